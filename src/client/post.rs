//! A message or a comment on its way to the server.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where those go whose files are to be uploaded first.
const FILE: &str = "/file";

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

    /// What a line says by which a file is sent to a chat.
    pub fn file(to: &str, line: &str) -> Post {
        Post::new(FILE, json!({ "to": to, "line": line }))
    }

    /// Whether a file is to be uploaded first.
    pub fn is_file(&self) -> bool {
        self.path == FILE
    }

    /// The kind of the event that it leads to, where that is something said.
    pub fn kind(&self) -> Option<&'static str> {
        match self.path.as_str() {
            "/send" => Some("message"),
            path if path.ends_with("/comments") => Some("comment"),
            _ => None,
        }
    }

    /// The chat that it goes to, if it says that.
    pub fn to(&self) -> Option<&str> {
        self.body["to"].as_str()
    }

    /// The line by which it is posted; an empty one where there is none, since it has no text.
    pub fn line(&self) -> String {
        let field = |name: &str| self.body[name].as_str().unwrap_or_default();
        let (text, message) = (field("text"), &self.body["message"]);
        match self.path.split('/').collect::<Vec<_>>()[..] {
            ["", "messages", id, "comments"] => format!("/comment {id} {text}"),
            ["", "edit"] => format!("/edit {message} {text}"),
            ["", "remove"] => format!("/remove {message}"),
            ["", "react"] => match self.body["on"] == true {
                true => format!("/react {message} {}", field("emoji")),
                false => format!("/unreact {message} {}", field("emoji")),
            },
            ["", "scheduled"] => format!("/later {} {text}", field("at")),
            _ if self.is_file() => field("line").to_owned(),
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
        assert_eq!(kind("/messages/812/comments"), Some("comment"));
        assert_eq!(kind("/send"), Some("message"));
        assert_eq!(kind("/edit"), None);
        for (path, body, expected) in [
            ("/edit", json!({"message": 7, "text": "x"}), "/edit 7 x"),
            ("/remove", json!({"message": 7}), "/remove 7"),
            (
                "/react",
                json!({"message": 7, "emoji": "👍", "on": true}),
                "/react 7 👍",
            ),
            (
                "/react",
                json!({"message": 7, "emoji": "👍", "on": false}),
                "/unreact 7 👍",
            ),
            (
                "/scheduled",
                json!({"at": "2026-12-01T10:00:00Z", "text": "x"}),
                "/later 2026-12-01T10:00:00Z x",
            ),
        ] {
            assert_eq!(line(path, body), expected);
        }
        assert_eq!(Post::file("common", "/file x y").line(), "/file x y");
    }
}
