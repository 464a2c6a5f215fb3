//! Files: uploads that wait for a message, and files that messages hold.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Made, Outcome, Refusal};
use super::posts::{Purpose, To};
use super::{MAX_SIZE, Model, Ms, ORPHAN, UPLOADS, UserIx, seconds};

/// What every upload says that it is.
pub const KIND: &str = "text/plain";

pub struct File {
    pub id: String,
    by: UserIx,
    name: String,
    content: String,
    /// When it is gone, until something holds it.
    pub waits: Option<Ms>,
}

impl File {
    fn shown(&self) -> Value {
        let digest = Sha256::digest(self.content.as_bytes());
        json!({
            "id": self.id,
            "name": self.name,
            "type": KIND,
            "size": self.content.len(),
            "sha256": digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "url": format!("/files/{}", self.id),
        })
    }
}

impl Model {
    pub fn upload(&mut self, by: UserIx, name: &str, content: &str, seen: &Value) -> Outcome {
        self.check(by, To::User(by), Purpose::Upload, name, None)?;
        let own = self.files.iter().filter(|file| file.by == by);
        let waiting: Vec<Ms> = own.filter_map(|file| file.waits).collect();
        if waiting.len() >= UPLOADS {
            let first = waiting.into_iter().min().unwrap_or(self.now);
            let refusal = Refusal::new(429, "too_many_uploads");
            return Err(refusal.retry(seconds(self.now, first).max(1)));
        }
        if content.len() > MAX_SIZE {
            return Err(Refusal::new(413, "too_large"));
        }
        let id = seen["id"].as_str().unwrap_or_default().to_owned();
        let file = File {
            id: id.clone(),
            by,
            name: name.to_owned(),
            content: content.to_owned(),
            waits: Some(self.now + ORPHAN),
        };
        let body = file.shown();
        self.files.push(file);
        Ok(Answer {
            status: 201,
            body,
            headers: vec![("location", format!("/files/{id}"))],
            made: Some(Made::File(id)),
        })
    }

    /// The bytes of a file.
    pub fn download(&self, by: UserIx, id: &str) -> Outcome {
        self.check_file(by, id)?;
        let file = self.files.iter().find(|file| file.id == id);
        Ok(Answer::ok(json!(file.map(|file| &file.content))))
    }

    /// A file is its uploader's, and theirs who see a message that it is in.
    pub fn check_file(&self, by: UserIx, id: &str) -> Result<(), Refusal> {
        let file = self.files.iter().find(|file| file.id == id);
        let file = file.ok_or_else(Refusal::not_found)?;
        let mut messages = self.messages.iter();
        let is_seen = messages
            .any(|(moment, message)| message.file.as_deref() == Some(id) && self.sees(by, *moment));
        if file.by == by || is_seen {
            Ok(())
        } else {
            Err(Refusal::not_found())
        }
    }

    pub fn is_own_file(&self, by: UserIx, id: &str) -> bool {
        let mut files = self.files.iter();
        files.any(|file| file.id == id && file.by == by)
    }

    pub fn shown_file(&self, id: &str) -> Option<Value> {
        let file = self.files.iter().find(|file| file.id == id)?;
        Some(file.shown())
    }

    /// Something has come to hold a file.
    pub fn hold(&mut self, id: &str) {
        let file = self.files.iter_mut().find(|file| file.id == id);
        if let Some(file) = file {
            file.waits = None;
        }
    }

    /// Forgets the files that waited for too long, and those that nothing holds any more.
    pub fn end_files(&mut self) {
        let messages = self
            .messages
            .values()
            .filter_map(|message| message.file.as_ref());
        let scheduled = self.scheduled.iter().filter_map(|item| item.held());
        let held: Vec<&String> = messages.chain(scheduled).collect();
        let now = self.now;
        self.files.retain(|file| match file.waits {
            Some(until) => until > now,
            None => held.contains(&&file.id),
        });
    }

    /// The files that a user may send, for a step to choose from.
    pub fn files_of(&self, user: UserIx) -> Vec<String> {
        let ids = self.files.iter().map(|file| file.id.clone());
        ids.filter(|id| self.check_file(user, id).is_ok()).collect()
    }
}
