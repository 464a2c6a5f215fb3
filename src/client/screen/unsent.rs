//! What becomes of the lines that are not sent yet.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::post::Post;
use super::super::reason;
use super::super::text::safe_line;
use super::super::worker::Job;
use super::Screen;
use super::drafts::Unsent;
use super::outgoing::{Kept, Stage};

/// Why what was on its way when its user left is not there, as far as one knows.
const LEFT: &str = "you left before it was there";

impl Screen {
    /// Takes in how far a post is.
    pub fn stage(&mut self, post: &Post, stage: Stage) {
        self.unsaved = true;
        if let Some(to) = post.to() {
            // It is seen where it was to go, were that a chat that is gone.
            self.model.place(to, &self.session.label(to));
        }
        if !self.model.stage(post, stage) {
            self.take_back(&post.line());
            let why = "too much is on its way already";
            self.model.note(why.to_owned(), true);
        }
    }

    /// Hands over what is due.
    pub fn send(&mut self, due: Vec<Post>) {
        for post in due {
            if post.is_file() {
                self.send_file(post);
                continue;
            }
            if self.jobs.try_send(Job::Post(post.clone())).is_err() {
                let why = "too much is on its way already".to_owned();
                self.stage(&post, Stage::Failed(why));
            }
        }
    }

    /// Puts a text that is not sent back into the line, before what is there.
    pub fn take_back(&mut self, text: &str) {
        self.unsaved = true;
        let text = match (text, self.input.text().as_str()) {
            ("", begun) => begun.to_owned(),
            (text, "") => text.to_owned(),
            // Some texts end with the row break that what follows them needs.
            (text, begun) => format!("{}\n{begun}", text.strip_suffix('\n').unwrap_or(text)),
        };
        self.input.set(&text);
    }

    /// Gives a post back to its writer, since there is no such chat, or not any more.
    fn keep_line(&mut self, line: &str, told: String) {
        self.input.remember(line);
        self.unsaved = true;
        self.model.note(format!("{told}; Up brings it back"), true);
    }

    /// Gives back what there is no chat for.
    pub fn give_back(&mut self, post: &Post, why: &str) {
        self.model.arrived(post);
        let to = post.to().unwrap_or_default();
        let why = match self.session.title(to) {
            Some(_) => why.replace(to, &self.session.label(to)),
            None => why.to_owned(),
        };
        let line = match (to.starts_with('@'), post.kind()) {
            (true, Some("message")) => {
                let text = post.body["text"].as_str().unwrap_or_default();
                format!("/msg {to} {text}")
            }
            _ => post.line(),
        };
        self.keep_line(&line, format!("not sent: {why}: {}", safe_line(&line)));
        // What names its chat goes to no other.
        if line.starts_with("/msg") && self.input.is_empty() {
            self.input.set(&line);
        }
        self.model.drop_empty(to);
    }

    /// Gives back what was not sent to rooms that one is no longer in.
    pub fn offer_back(&mut self) {
        for (label, line) in std::mem::take(&mut self.model.given_up) {
            let shown = safe_line(&line);
            let told = format!("not sent, as you are no longer in {label}: {shown}");
            self.keep_line(&line, told);
        }
    }

    /// Brings back what was not sent the last time.
    pub fn restore(&mut self) {
        let Unsent {
            begun,
            outgoing,
            nowhere,
            titles,
        } = self.drafts.all();
        // What another window has left is kept here from now on.
        self.unsaved = true;
        self.session.know_titles(&titles);
        for (chat, text) in begun {
            if chat == self.model.chat().address {
                self.input.set(&text);
            } else {
                let at = self.model.place(&chat, &self.session.label(&chat));
                self.model.chats[at].draft = text;
            }
        }
        for (chat, line) in nowhere {
            self.model.lead_nowhere(&chat, &line);
        }
        for Kept { post, here } in outgoing {
            // Also what says itself not where to, as a comment does.
            let at = self.model.place(&here, &self.session.label(&here));
            let here = self.model.chats[at].address.clone();
            let left = Stage::Failed(LEFT.to_owned());
            if !self.model.stage_in(&post, &here, left) {
                self.input.remember(&post.line());
            }
        }
    }

    /// Keeps what is not sent.
    pub fn save(&mut self) {
        (self.unsaved, self.saved) = (false, Instant::now());
        let mut begun: BTreeMap<String, String> = BTreeMap::new();
        for (at, chat) in self.model.chats.iter().enumerate() {
            let text = match at == self.model.at {
                true => self.input.text(),
                false => chat.draft.clone(),
            };
            if !text.trim().is_empty() {
                begun.insert(chat.address.clone(), text);
            }
        }
        let mut nowhere: BTreeMap<String, String> = BTreeMap::new();
        for going in &self.model.moves {
            let chat = going.to.as_ref().filter(|_| !going.failed);
            if !going.held.is_empty() {
                let begun = begun
                    .entry(chat.unwrap_or(&going.from).clone())
                    .or_default();
                *begun = format!("{}\n{begun}", going.held.join("\n"));
            }
            // What was meant for another chat goes to this one the next time as little as now.
            if chat.is_none() && begun.contains_key(&going.from) {
                nowhere.insert(going.from.clone(), going.line.clone());
            }
        }
        let outgoing = self.model.outgoing.iter().map(|out| Kept {
            post: out.post.clone(),
            here: out.here.clone(),
        });
        let outgoing: Vec<Kept> = outgoing.collect();
        let chats = begun.keys().chain(outgoing.iter().map(|kept| &kept.here));
        let titles = chats.filter_map(|chat| Some((chat.clone(), self.session.title(chat)?)));
        let titles = titles.collect();
        let unsent = Unsent {
            begun,
            outgoing,
            nowhere,
            titles,
        };
        if let Err(error) = self.drafts.keep(unsent) {
            let why = reason::plain(&error.to_string());
            self.model
                .note(format!("what is typed cannot be kept: {why}"), true);
        }
    }
}
