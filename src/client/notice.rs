//! What events say to those who read them: short sentences, in which all that others wrote is
//! harmless.

use jiff::Timestamp;
use serde_json::Value;

use super::text::{Zone, safe_line};

/// A sentence on something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Good to know.
    Calm(String),
    /// Not to be overlooked.
    Alarm(String),
}

/// Who reads, where and when.
pub struct Reader<'a> {
    /// The user's own name, as the server writes it.
    pub me: &'a str,
    /// The title of a room, by its address.
    pub title: &'a dyn Fn(&str) -> Option<String>,
    /// The zone of the times.
    pub zone: &'a Zone,
    /// The time that it is.
    pub now: Timestamp,
}

impl Reader<'_> {
    /// A chat as people call it: a room by its title, in brackets.
    pub fn chat(&self, address: &str) -> String {
        label(address, (self.title)(address))
    }

    /// A room's title in quotes: the one that came with the event, or the known one.
    pub fn room(&self, data: &Value) -> Option<String> {
        let given = data["title"].as_str().map(str::to_owned);
        let title = given.or_else(|| {
            let address = data["room"].as_str()?;
            Some((self.title)(address).unwrap_or_else(|| address.to_owned()))
        });
        title.map(|title| format!("\"{}\"", safe_line(&title)))
    }

    /// The time that stands in a field.
    pub fn time(&self, stamp: &Value) -> Option<String> {
        stamp.as_str().map(|stamp| self.zone.show(stamp, self.now))
    }
}

/// A chat as people call it, given the title that it has if it is a room.
pub fn label(address: &str, title: Option<String>) -> String {
    match title {
        Some(title) if address.starts_with("room:") => format!("[{}]", safe_line(&title)),
        _ => safe_line(address),
    }
}
