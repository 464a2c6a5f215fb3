//! What features add to answers and events.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::View;
use crate::feature::{Feature, Features, Named};
use crate::log::{ChatId, Id, Mark, MessageRow, Riders, Row, UserId};
use crate::time::Time;

/// An event: its kind and its JSON, the same for everyone who gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its kind, the `event:` line of the stream.
    pub kind: &'static str,
    /// Its data.
    pub data: Value,
}

impl Event {
    /// An event of `kind` with `data`.
    pub fn new(kind: &'static str, data: Value) -> Self {
        Self { kind, data }
    }
}

/// What surrounds a fact that is being told as an event.
pub struct Telling<'a> {
    /// The fact's position, the id of what it made.
    pub id: Id,
    /// When it was decided.
    pub at: Time,
    /// Whose request it came from.
    pub by: Option<UserId>,
    /// The message that it lies beside.
    pub message: Option<Id>,
    /// The text that lies beside it.
    pub text: Option<&'a str>,
    /// Names and chats.
    pub view: &'a View<'a>,
    pub(crate) features: &'a Features,
}

impl Telling<'_> {
    /// Those of a request's fields that some check reads now: what others are shown of it.
    pub fn read_by_checks(&self, more: &Map<String, Value>) -> Map<String, Value> {
        self.features.read(more)
    }

    /// The name of the user whose request it came from.
    pub fn author(&self) -> Option<&str> {
        self.by.and_then(|user| self.view.name(user))
    }
}

/// What is being shown.
pub enum Subject<'a> {
    /// A message.
    Message(Shown<'a>),
    /// A chat, as one of its members sees it.
    Chat {
        /// The chat.
        chat: ChatId,
        /// Who sees it.
        to: UserId,
    },
    /// A user, as they see themselves.
    User(UserId),
    /// The server, as everybody sees it: what its settings allow.
    Server,
}

/// A message that is being shown.
pub struct Shown<'a> {
    /// Its id.
    pub id: Id,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Who wrote it.
    pub author: UserId,
    /// When it was posted.
    pub at: Time,
    /// When it ends, once that is known.
    pub ends: Option<Time>,
    /// Who it is shown to; none where it is the same for all who see it.
    pub to: Option<UserId>,
    pub(crate) riders: &'a Riders,
    pub(crate) held: &'a [Row],
    pub(crate) counts: &'a std::collections::BTreeMap<String, u64>,
    pub(crate) marks: &'a [Mark],
}

impl<'a> Shown<'a> {
    pub(crate) fn of(row: &'a MessageRow, to: Option<UserId>) -> Self {
        Self {
            id: row.id,
            chat: row.chat,
            author: row.author,
            at: row.at,
            // While it waits for its delivery, its end is not known.
            ends: if row.fuse.is_none() { row.ends } else { None },
            to,
            riders: &row.riders,
            held: &row.held,
            counts: &row.counts,
            marks: &row.marks,
        }
    }

    /// What the feature's own check added to it.
    pub fn rider<F: Feature>(&self) -> Option<F::Fact> {
        parse(self.riders.get(<F as Named>::NAME)?.get())
    }

    /// The feature's rows that it holds.
    pub fn held<F: Feature>(&self) -> impl Iterator<Item = &'a Row> {
        self.held
            .iter()
            .filter(|row| row.owner == <F as Named>::NAME)
    }

    /// What users have marked it with, each text once, in no order. A message that was just posted,
    /// or is told of as an event, has none: what came later is told by itself.
    pub fn marks<F: Feature>(&self) -> impl Iterator<Item = &'a Mark> {
        self.marks
            .iter()
            .filter(|mark| mark.owner() == <F as Named>::NAME)
    }

    /// How many rows the feature has beside it.
    pub fn count<F: Feature>(&self) -> u64 {
        self.counts.get(<F as Named>::NAME).copied().unwrap_or(0)
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Fields being added to a JSON object.
#[derive(Debug, Default)]
pub struct Fields {
    /// Names that stand already.
    taken: &'static [&'static str],
    /// Few enough that looking through them is the fastest.
    set: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    /// Sets every field of a struct.
    pub fn set_all(&mut self, part: &impl Serialize) {
        if let Ok(Value::Object(fields)) = serde_json::to_value(part) {
            for (name, value) in fields {
                self.set(name, value);
            }
        }
    }

    /// Sets a field. The core's own fields come first and cannot be set again.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let name = name.into();
        if !self.taken.contains(&&*name) && self.set.iter().all(|(other, _)| *other != name) {
            self.set.push((name, value.into()));
        }
    }

    /// None yet, where these stand already.
    pub(crate) fn beside(taken: &'static [&'static str]) -> Self {
        Self {
            taken,
            set: Vec::new(),
        }
    }

    /// What was set, in that order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.set.iter().map(|(name, value)| (&**name, value))
    }

    /// The same as an object; none where nothing was set.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        let set = self.set.into_iter();
        set.map(|(name, value)| (name.into_owned(), value))
            .collect()
    }
}
