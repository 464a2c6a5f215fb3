//! `/edit`, `/edits` and `/remove`, for servers with the feature `edits`.

use serde_json::json;

use super::super::post::Post;
use super::super::text::safe_indented;
use super::super::worker::{Failure, Worker};
use super::words::{message_id, nothing, split};
use super::{Parsed, Wrong};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give one's own message another text.
    Edit { id: u64, text: String },
    /// Show what a message said before.
    List(u64),
    /// Remove one's own message.
    Remove(u64),
}

pub fn edit(rest: &str) -> Parsed {
    let (id, text) = split(rest);
    if text.is_empty() {
        return Err(Wrong::Usage);
    }
    let (id, text) = (message_id(id)?, text.to_owned());
    Ok(super::Command::Edits(Command::Edit { id, text }))
}

fn alone(rest: &str) -> Result<u64, Wrong> {
    let (id, more) = split(rest);
    nothing(more)?;
    message_id(id)
}

pub fn edits(rest: &str) -> Parsed {
    alone(rest).map(|id| super::Command::Edits(Command::List(id)))
}

pub fn remove(rest: &str) -> Parsed {
    alone(rest).map(|id| super::Command::Edits(Command::Remove(id)))
}

impl Command {
    /// What it posts, if it does.
    pub fn post(&self) -> Option<Post> {
        match self {
            Command::Edit { id, text } => {
                let body = json!({ "message": id, "text": text });
                Some(Post::new("/edit", body))
            }
            Command::Remove(id) => Some(Post::new("/remove", json!({ "message": id }))),
            Command::List(_) => None,
        }
    }

    /// What is done is told by its event.
    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        if let Some(post) = self.post() {
            worker.post_once(&post.path, &post.body)?;
        }
        if let Command::List(id) = self {
            let path = format!("/messages/{id}/edits");
            let page = worker.session.api.get(&path, &[("limit", "200")])?;
            let edits = page["edits"].as_array().into_iter().flatten();
            let now = jiff::Timestamp::now();
            let line = |one: &serde_json::Value| {
                let at = worker.zone().show(one["at"].as_str()?, now);
                Some(format!("{at} {}", safe_indented(one["text"].as_str()?)))
            };
            let lines: Vec<String> = edits.filter_map(line).collect();
            let text = match lines.is_empty() {
                true => format!("what #{id} said before is not kept"),
                false => format!("#{id} said before:\n{}", lines.join("\n")),
            };
            worker.output.answer("edits", &page, &text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_message_is_named_with_or_without_the_hash_and_its_text_is_kept() {
        let expected = super::super::Command::Edits(Command::Edit {
            id: 812,
            text: "two\n  lines".into(),
        });
        for line in ["/edit 812 two\n  lines", "/edit #812 two\n  lines"] {
            assert_eq!(parse(line, |_| true), Ok(Some(expected.clone())));
        }
        for bad in ["/edit", "/edit 812", "/edit x y"] {
            assert_eq!(parse(bad, |_| true), Err("write /edit ID TEXT".into()));
        }
        let usage = Err("write /remove ID".into());
        assert_eq!(parse("/remove 8 9", |_| true), usage);
    }
}
