//! `/comment` and `/comments`, for servers with the feature `comments`.

use serde_json::json;

use super::super::post::Post;
use super::super::render::Event;
use super::super::worker::{Failure, Worker};
use super::words::{message_id, nothing, split};
use super::{Parsed, Wrong};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Post a comment on a message.
    Comment { id: u64, text: String },
    /// Show the comments on a message.
    List(u64),
}

pub fn comment(rest: &str) -> Parsed {
    let (id, text) = split(rest);
    if text.is_empty() {
        return Err(Wrong::Usage);
    }
    let (id, text) = (message_id(id)?, text.to_owned());
    Ok(super::Command::Comments(Command::Comment { id, text }))
}

pub fn comments(rest: &str) -> Parsed {
    let (id, more) = split(rest);
    nothing(more)?;
    Ok(super::Command::Comments(Command::List(message_id(id)?)))
}

impl Command {
    /// What it posts, if it does.
    pub fn post(&self) -> Option<Post> {
        let Command::Comment { id, text } = self else {
            return None;
        };
        let path = format!("/messages/{id}/comments");
        Some(Post::new(&path, json!({ "text": text })))
    }

    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        match (self.post(), self) {
            (Some(post), _) => worker.post(&post),
            (None, Command::List(id)) => list(worker, id),
            (None, _) => Ok(()),
        }
    }
}

fn list(worker: &Worker, id: u64) -> Result<(), Failure> {
    let (mut after, mut any) = (0, false);
    loop {
        let page = worker.session.api.comments(id, after)?;
        let last = page.messages.last();
        let last = last.and_then(|comment| comment["id"].as_u64());
        for data in page.messages {
            any = true;
            worker.output.event(&Event::new("comment", data));
        }
        match last {
            Some(last) if page.more && last > after => after = last,
            _ => break,
        }
    }
    if !any {
        let text = format!("nobody has commented on #{id}");
        worker.output.notice(&text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_comment_names_a_message_with_or_without_the_hash() {
        let expected = super::super::Command::Comments(Command::Comment {
            id: 812,
            text: "so it is".into(),
        });
        for line in ["/comment 812 so it is", "/comment #812 so it is"] {
            assert_eq!(parse(line, |_| true), Ok(Some(expected.clone())));
        }
        for bad in ["/comment", "/comment 812", "/comment x y", "/comment -1 y"] {
            let usage = Err("write /comment ID TEXT".into());
            assert_eq!(parse(bad, |_| true), usage, "{bad}");
        }
        let usage = Err("write /comments ID".into());
        assert_eq!(parse("/comments 8 9", |_| true), usage);
    }
}
