//! Messages and events as JSON.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::{Fact, Handed, address};
use crate::bus::{Event, Fields, Shown, Subject, View};
use crate::feature::Features;
use crate::log::{ChatId, ClientId, Contents, Id, MessageRow, Record, UserId};
use crate::time::Time;

/// The core's fields of a message, as [`Message`] writes them.
const FIELDS: &[&str] = &["id", "from", "to", "text", "at"];

/// A message as everyone who sees it gets it: the core's fields, then the features'. It is written
/// as it is, with no value made of it first.
pub(crate) struct Message<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) features: &'a Features,
    pub(crate) row: &'a MessageRow,
    /// Who it is for; none where it is the same for all.
    pub(crate) to: Option<UserId>,
    /// Those of its fields that were written before.
    pub(crate) written: Option<&'a Written>,
}

/// Fields of a message that stay as they are, written.
#[derive(Default)]
pub(crate) struct Written {
    to: Box<RawValue>,
    text: Box<RawValue>,
    at: Box<RawValue>,
}

impl Written {
    pub(crate) fn of(view: &View<'_>, row: &MessageRow) -> serde_json::Result<Self> {
        Ok(Self {
            to: to_raw_value(&view.spell(row.chat, row.addressee))?,
            text: to_raw_value(&row.text)?,
            at: to_raw_value(&Spelt(row.at))?,
        })
    }

    /// How many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        self.to.get().len() + self.text.get().len() + self.at.get().len()
    }
}

/// A time as it is spelt, with no text made of it first.
struct Spelt(Time);

impl Serialize for Spelt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            view,
            features,
            row,
            to,
            written,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &row.id)?;
        map.serialize_entry("from", &view.name(row.author))?;
        if let Some(Written { to, text, at }) = written {
            map.serialize_entry("to", to)?;
            map.serialize_entry("text", text)?;
            map.serialize_entry("at", at)?;
        } else {
            map.serialize_entry("to", &view.spell(row.chat, row.addressee))?;
            map.serialize_entry("text", &row.text)?;
            map.serialize_entry("at", &Spelt(row.at))?;
        }
        let subject = Subject::Message(Shown::of(row, *to));
        let mut fields = Fields::beside(FIELDS);
        for feature in features.iter() {
            feature.show(view.world(), &subject, view, &mut fields);
        }
        for (name, value) in fields.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The same as a value.
pub(crate) fn message_json(
    view: &View<'_>,
    features: &Features,
    row: &MessageRow,
    to: Option<UserId>,
) -> Value {
    let message = Message {
        view,
        features,
        row,
        to,
        written: None,
    };
    // Its maps have texts as keys, and nothing else can fail.
    serde_json::to_value(message).unwrap_or_default()
}

/// The features' parts on a chat or a user, each under its feature's name.
pub(crate) fn parts(
    view: &View<'_>,
    features: &Features,
    subject: &Subject<'_>,
) -> Map<String, Value> {
    let mut parts = Map::new();
    for feature in features.iter() {
        let mut fields = Fields::default();
        feature.show(view.world(), subject, view, &mut fields);
        let fields = fields.into_map();
        if !fields.is_empty() {
            parts.insert(feature.name().to_owned(), Value::Object(fields));
        }
    }
    parts
}

/// Whose having an event starts a message's life.
type Delivers = Option<(UserId, Id)>;

/// The event of a core's fact.
pub(crate) fn event(
    view: &View<'_>,
    features: &Features,
    record: &Record,
    contents: &Contents,
) -> Option<(Event, Delivers)> {
    let fact = serde_json::from_str(record.fact.get()).ok()?;
    let event = match fact {
        Fact::Posted {
            chat,
            to,
            ends,
            fuse,
        } => {
            let row = MessageRow {
                id: record.pos,
                chat,
                author: record.by?,
                addressee: to,
                at: record.at,
                ends,
                fuse,
                riders: record.riders.clone(),
                counts: Default::default(),
                held: contents.held.clone(),
                marks: Vec::new(),
                text: contents.text.clone()?,
                reworded: None,
            };
            let event = Event::new("message", message_json(view, features, &row, None));
            return Some((event, fuse.and(to).map(|user| (user, row.id))));
        }
        Fact::Delivered { chat, to, messages } => {
            let ends = |handed: &Handed| end_fields(view, features, chat, to, handed);
            let messages: Vec<Value> = messages.iter().filter_map(ends).collect();
            if messages.is_empty() {
                return None;
            }
            let to = view.spell(chat, Some(to));
            Event::new("delivered", json!({"to": to, "messages": messages}))
        }
        Fact::Removed { chat, to, ids } => {
            Event::new("removed", json!({"to": view.spell(chat, to), "ids": ids}))
        }
        Fact::Read { chat, .. } if view.world().chat.is_hidden(chat) => return None,
        Fact::Read { user, chat, upto } => {
            let chat = address::address_for(&view.world().chat, chat, user);
            Event::new("read", json!({"chat": chat, "upto": upto}))
        }
        Fact::Connected { client, agent, .. } => Event::new(
            "client",
            json!({"id": client, "agent": agent, "since": record.at.to_string(), "live": true}),
        ),
        Fact::Disconnected { client, .. } => {
            Event::new("client", json!({"id": client, "live": false}))
        }
        Fact::Joined { .. }
        | Fact::Opened { .. }
        | Fact::Founded { .. }
        | Fact::Entered { .. }
        | Fact::Left { .. }
        | Fact::Cleared { .. }
        | Fact::Erased { .. }
        | Fact::Seen { .. }
        | Fact::Keyed { .. }
        | Fact::Administered { .. } => return None,
    };
    Some((event, None))
}

/// A message's id with those of its fields that its end makes known; none where no feature that
/// is on shows an end.
fn end_fields(
    view: &View<'_>,
    features: &Features,
    chat: ChatId,
    to: UserId,
    handed: &Handed,
) -> Option<Value> {
    let [one, other] = view.chat(chat)?.pair?;
    let author = if one == to { other } else { one };
    let (riders, counts) = Default::default();
    let fields = |ends| {
        let subject = Subject::Message(Shown {
            id: handed.id,
            chat,
            author,
            at: handed.at,
            ends,
            to: None,
            riders: &riders,
            held: &[],
            counts: &counts,
            marks: &[],
        });
        let mut fields = Fields::default();
        fields.set("id", handed.id);
        for feature in features.iter() {
            feature.show(view.world(), &subject, view, &mut fields);
        }
        fields.into_map()
    };
    let (mut known, unknown) = (fields(Some(handed.ends)), fields(None));
    known.retain(|name, value| name == "id" || unknown.get(name) != Some(value));
    (known.len() > 1).then_some(Value::Object(known))
}

/// A client as its user sees it.
#[derive(Serialize)]
pub(super) struct ShownClient {
    pub(super) id: ClientId,
    pub(super) agent: Arc<str>,
    pub(super) since: String,
    pub(super) seen: String,
    pub(super) current: bool,
}
