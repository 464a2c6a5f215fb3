//! What the server answers, as far as the client needs it, and why it may not answer.

use std::fmt;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio_rustls::rustls;

use super::text::{Zone, duration, safe_line};
use super::{reason, trust};

/// A call that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no answer, or not a whole one.
    #[error("the server cannot be reached: {}", reason::call(.0))]
    Lost(Box<ureq::Error>),
    /// Nothing that can be trusted, or spoken to, is there. The text is a whole sentence.
    #[error("{0}")]
    Untrusted(String),
    /// The server refused.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// An answer that is not the API's.
    #[error("the answer is not one of a veche server: {0}")]
    Strange(String),
}

impl From<ureq::Error> for CallError {
    fn from(error: ureq::Error) -> CallError {
        match trust::fault(&error) {
            Some(rustls::Error::InvalidCertificate(why)) => CallError::Untrusted(format!(
                "the server's certificate is not one to trust ({why}); --ca FILE names who vouches \
                 for it"
            )),
            Some(rustls::Error::InvalidMessage(_)) => CallError::Untrusted(
                "there is no HTTPS at this address: perhaps it is http://".to_owned(),
            ),
            _ => CallError::Lost(Box::new(error)),
        }
    }
}

impl CallError {
    /// Whether the same call may succeed later, without anybody's doing.
    pub fn passes(&self) -> bool {
        match self {
            CallError::Lost(error) => !matches!(
                **error,
                ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl
            ),
            CallError::Refused(problem) => match problem.status {
                501 | 505 => false,
                status => status == 408 || status >= 500,
            },
            CallError::Untrusted(_) | CallError::Strange(_) => false,
        }
    }

    /// The most bytes that the server takes, where there were more.
    pub fn max(&self) -> Option<u64> {
        match self {
            CallError::Refused(problem) if problem.status == 413 => problem.max,
            _ => None,
        }
    }

    /// Whether the server may have done what was asked, though it has not said so.
    pub fn may_be_done(&self) -> bool {
        match self {
            CallError::Lost(error) => match &**error {
                ureq::Error::Io(error) => error.kind() != io::ErrorKind::ConnectionRefused,
                ureq::Error::Timeout(what) => {
                    !matches!(what, ureq::Timeout::Resolve | ureq::Timeout::Connect)
                }
                ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => false,
                _ => self.passes(),
            },
            _ => self.passes(),
        }
    }

    /// Whether this is the refusal with that status.
    pub fn is_status(&self, status: u16) -> bool {
        matches!(self, CallError::Refused(problem) if problem.status == status)
    }

    /// Whether it is refused since nobody and nothing is where it was to go.
    pub fn is_nowhere(&self) -> bool {
        matches!(self, CallError::Refused(problem) if problem.code == "unknown_chat")
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Refused(problem) => problem.retry_after.map(Duration::from_secs),
            _ => None,
        }
    }

    /// A refusal with the request's fields, which it has in backticks, called by what the user has
    /// written, and with a hint at how that is written, for the field that is at fault.
    pub fn in_words(mut self, fields: &[(&str, &str, &str)]) -> CallError {
        if let CallError::Refused(problem) = &mut self {
            for (field, word, hint) in fields {
                problem.detail = problem.detail.replace(&format!("`{field}`"), word);
                if problem.field == *field {
                    problem.detail.push_str(hint);
                }
            }
        }
        self
    }

    /// A refusal because nobody and nothing is there, with the address that was meant.
    pub fn about(mut self, to: Option<&str>) -> CallError {
        if let (CallError::Refused(problem), Some(to)) = (&mut self, to)
            && problem.code == "unknown_chat"
        {
            problem.detail.push_str(&format!(" as {to}"));
        }
        self
    }

    /// Why there was no answer, without saying that there was none; else what was answered.
    pub fn why(&self) -> String {
        match self {
            CallError::Lost(error) => reason::call(error),
            _ => self.to_string(),
        }
    }
}

/// A refusal, as RFC 9457 describes one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// The stable word for programs.
    pub code: String,
    title: String,
    detail: String,
    /// The field of the request that is at fault.
    pub field: String,
    /// The most bytes that are taken, where there were more.
    pub max: Option<u64>,
    until: String,
    /// After how many seconds the server asks to come again.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(&Zone::local(), Timestamp::now()))
    }
}

impl Problem {
    /// What the server said, with its times as the user's clock shows them.
    fn sentence(&self, zone: &Zone, now: Timestamp) -> String {
        let until = (!self.until.is_empty()).then(|| zone.show(&self.until, now));
        if let (Some(until), "banned") = (&until, self.code.as_str()) {
            return format!("you are banned from posting until {until}; you can read");
        }
        let mut text = match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => format!("the server answered with status {}", self.status),
            // What is code to programs is quoted to people.
            ("", text) | (text, _) => safe_line(text).replace('`', "\""),
        };
        let seconds = self.retry_after.map(|seconds| {
            // The server's own sentence may tell it already, in seconds whatever their number.
            (format!("again in {seconds} s"), duration(seconds))
        });
        match (until, seconds) {
            (Some(until), _) => text.push_str(&format!(" (until {until})")),
            (None, Some((told, wait))) if text.contains(&told) => {
                text = text.replace(&told, &format!("again in {wait}"));
            }
            (None, Some((_, wait))) if !text.contains("again") => {
                text.push_str(&format!(" (again in {wait})"));
            }
            _ => {}
        }
        text
    }
}

impl std::error::Error for Problem {}

/// What `POST /connect` gives that the client needs.
#[derive(Debug, Deserialize)]
pub struct Connected {
    /// The new client's token.
    pub token: String,
    /// Whether the name is new.
    #[serde(skip)]
    pub created: bool,
}

/// What `GET /status` tells that the client needs.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)] // The fields are the API's.
pub struct Status {
    pub server: ServerStatus,
    pub user: UserStatus,
    #[serde(default)]
    pub chats: Vec<ChatStatus>,
}

#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct ServerStatus {
    #[serde(default)]
    pub features: Vec<String>,
    #[serde(default)]
    pub files: Option<FilesStatus>,
}

#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct UserStatus {
    pub name: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[allow(missing_docs)]
pub struct FilesStatus {
    pub max_size: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ChatStatus {
    pub chat: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub unread: u64,
    #[serde(default)]
    pub online: Option<u64>,
    #[serde(default)]
    pub members: Option<u64>,
    #[serde(default)]
    pub last: Option<Value>,
    #[serde(default)]
    pub mentions: Option<Value>,
}

impl ChatStatus {
    /// The id of the chat's newest message, 0 where there is none.
    pub fn last_id(&self) -> u64 {
        self.last
            .as_ref()
            .and_then(|last| last["id"].as_u64())
            .unwrap_or(0)
    }

    /// The unread messages that call the user, as far as the server tells.
    pub fn calls(&self) -> impl Iterator<Item = u64> {
        let mentions = self.mentions.as_ref();
        let unread = mentions.and_then(|mentions| mentions["unread"].as_array());
        unread.into_iter().flatten().filter_map(Value::as_u64)
    }
}

/// A page of messages or comments, oldest first.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    /// What is on it.
    #[serde(alias = "comments")]
    pub messages: Vec<Value>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
}

/// A page of users.
#[derive(Debug, Deserialize)]
pub struct Users {
    /// Each with its name, and whether it is online.
    pub users: Vec<Value>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_server_said_and_when_to_come_again() {
        let problem = Problem {
            status: 429,
            title: "Too many".to_owned(),
            detail: "20 messages per hour".to_owned(),
            retry_after: Some(2_041),
            ..Problem::default()
        };
        assert_eq!(
            problem.to_string(),
            "20 messages per hour (again in 34 min 1 s)"
        );
        for (seconds, told, shown) in [
            (3_600, "try again in 3600 s", "try again in 1 h"),
            (125, "ask again in 125 s", "ask again in 2 min 5 s"),
            (125, "come again soon", "come again soon"),
        ] {
            let problem = Problem {
                detail: told.to_owned(),
                retry_after: Some(seconds),
                ..Problem::default()
            };
            assert_eq!(problem.to_string(), shown);
        }
        let bare = Problem {
            status: 502,
            ..Problem::default()
        };
        assert_eq!(bare.to_string(), "the server answered with status 502");
    }

    #[test]
    fn the_fields_of_a_request_are_called_by_what_the_user_has_written() {
        let fields = [("at", "that time", ": write 18:30"), ("in", "that", "")];
        let refusal = |field: &str, detail: &str| {
            CallError::Refused(Box::new(Problem {
                field: field.to_owned(),
                detail: detail.to_owned(),
                ..Problem::default()
            }))
        };
        for (field, detail, told) in [
            (
                "at",
                "`at` is in the past",
                "that time is in the past: write 18:30",
            ),
            ("in", "`in` is too long", "that is too long"),
            ("to", "`to` is nobody", "\"to\" is nobody"),
        ] {
            let error = refusal(field, detail).in_words(&fields);
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn a_ban_is_told_with_its_end_by_the_users_clock() {
        let mut problem = Problem {
            status: 403,
            code: "banned".to_owned(),
            detail: "you are banned until the time in `until`".to_owned(),
            until: "2026-11-24T23:40:00.000Z".to_owned(),
            retry_after: Some(9_000),
            ..Problem::default()
        };
        let now = "2026-11-24T20:00:00Z".parse().unwrap();
        let zone = Zone::named("XYZ-1").unwrap();
        let expected = "you are banned from posting until 2026-11-25 00:40; you can read";
        assert_eq!(problem.sentence(&zone, now), expected);
        problem.code = "closed".to_owned();
        problem.detail = "closed\u{1b}".to_owned();
        let expected = "closed\\u{1b} (until 2026-11-25 00:40)";
        assert_eq!(problem.sentence(&zone, now), expected);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| {
            CallError::Refused(Box::new(Problem {
                status,
                ..Problem::default()
            }))
        };
        for status in [408, 500, 502, 503, 504] {
            assert!(refused(status).passes(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422, 429, 501] {
            assert!(!refused(status).passes(), "{status}");
        }
        assert!(CallError::from(ureq::Error::ConnectionFailed).passes());
        assert!(!CallError::from(ureq::Error::ConnectionFailed).may_be_done());
        let io = |kind: io::ErrorKind| CallError::from(ureq::Error::Io(kind.into()));
        assert!(io(io::ErrorKind::UnexpectedEof).may_be_done());
        assert!(!io(io::ErrorKind::ConnectionRefused).may_be_done());
        assert!(!CallError::from(ureq::Error::BadUri("x".to_owned())).passes());
    }
}
