//! A message or a comment on its way to the server.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// What is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// The idempotency key under which it is posted, so that it is there once however often that is
    /// tried.
    pub key: String,
    /// Where it is posted to.
    pub path: String,
    /// What is posted.
    pub body: Value,
}

impl Post {
    /// One that was not tried yet.
    pub fn new(path: &str, body: Value) -> Post {
        Post {
            key: Uuid::new_v4().to_string(),
            path: path.to_owned(),
            body,
        }
    }

    /// A text for a chat.
    pub fn text(to: &str, text: &str) -> Post {
        Post::new("/send", json!({ "to": to, "text": text }))
    }

    /// The kind of the event that it leads to.
    pub fn kind(&self) -> &'static str {
        match self.path.ends_with("/comments") {
            true => "comment",
            false => "message",
        }
    }

    /// The chat that it goes to, if it says that.
    pub fn to(&self) -> Option<&str> {
        self.body["to"].as_str()
    }

    /// The line by which it is posted; an empty one where there is none, since it has no text.
    pub fn line(&self) -> String {
        let text = self.body["text"].as_str().unwrap_or_default();
        match self.path.split('/').collect::<Vec<_>>()[..] {
            ["", "messages", id, "comments"] => format!("/comment {id} {text}"),
            // One slash would make it a command.
            _ if text.starts_with('/') => format!("/{text}"),
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_of_a_post_posts_the_same_again() {
        let line = |path: &str, body| Post::new(path, body).line();
        assert_eq!(line("/send", json!({"text": "hello"})), "hello");
        assert_eq!(line("/send", json!({"text": "/etc"})), "//etc");
        assert_eq!(line("/send", json!({"file": "x"})), "");
        let comment = line("/messages/812/comments", json!({"text": "/nice"}));
        assert_eq!(comment, "/comment 812 /nice");
        let kind = |path: &str| Post::new(path, json!({})).kind();
        assert_eq!(kind("/messages/812/comments"), "comment");
        assert_eq!(kind("/send"), "message");
    }
}
