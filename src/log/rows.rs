//! The rows beside the log and how they are read from SQLite.

use std::collections::BTreeMap;

use rusqlite::Row as SqlRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::sums::{END, MARK, MESSAGE, ROW};
use super::{CORE, ChatId, Id, LogError, Pos, Record, Riders, UserId};
use crate::feature::Feature;
use crate::settings::Period;
use crate::time::Time;

/// A message as it is stored.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// Its id.
    pub id: Id,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Who wrote it.
    pub author: UserId,
    /// Whom it is addressed to, in a private chat.
    pub addressee: Option<UserId>,
    /// When it was posted.
    pub at: Time,
    /// When it ends.
    pub ends: Option<Time>,
    /// How long it lives from its delivery on, while it waits for that.
    pub fuse: Option<Period>,
    /// What the checks added.
    pub riders: Riders,
    /// How many rows each feature has beside it.
    pub counts: BTreeMap<String, u64>,
    /// The rows that it holds.
    pub held: Vec<Row>,
    /// What users have marked it with, where it was read to be shown.
    pub(crate) marks: Vec<Mark>,
    /// The text.
    pub text: String,
    /// The fact whose text that is, where it is not the one that made the message.
    pub reworded: Option<Pos>,
}

impl MessageRow {
    /// What a feature's own check added to it.
    pub fn rider<F: Feature>(&self) -> Option<F::Fact> {
        serde_json::from_str(self.riders.get(F::NAME)?.get()).ok()
    }

    /// Takes another text, with the fact that says so and what the checks added to that.
    pub(crate) fn reword(&mut self, record: &Record, text: &str) {
        text.clone_into(&mut self.text);
        self.reworded = Some(record.pos);
        self.riders.extend(record.riders.clone());
        self.riders
            .insert(record.owner.clone(), record.fact.clone());
    }

    /// What rides on it as it is stored: the core's own is the fact whose text it has.
    pub(super) fn stored_riders(&self) -> serde_json::Result<Option<String>> {
        let mut riders = self.riders.clone();
        if let Some(pos) = self.reworded {
            riders.insert(CORE.to_owned(), to_raw_value(&pos)?);
        }
        (!riders.is_empty())
            .then(|| serde_json::to_string(&riders))
            .transpose()
    }

    pub(super) const COLUMNS: &str =
        "id, chat, author, addressee, at, riders, text, sum, id, ends, fuse, ends_sum";

    pub(super) fn from_sql(row: &SqlRow<'_>) -> Result<Self, LogError> {
        MESSAGE.check(row, 0)?;
        END.check(row, 8)?;
        let id = row.get::<_, i64>(0)?.cast_unsigned();
        let riders: Option<String> = row.get(5)?;
        let unreadable = |source| LogError::Unreadable {
            what: format!("message {id}"),
            source,
        };
        let mut riders = match riders {
            None => Riders::new(),
            Some(json) => serde_json::from_str(&json).map_err(unreadable)?,
        };
        let reworded = riders.remove(CORE);
        let reworded = reworded.map(|pos| serde_json::from_str(pos.get()));
        Ok(Self {
            id,
            chat: ChatId(row.get::<_, i64>(1)?.cast_unsigned()),
            author: UserId(row.get::<_, i64>(2)?.cast_unsigned()),
            addressee: row
                .get::<_, Option<i64>>(3)?
                .map(|id| UserId(id.cast_unsigned())),
            at: Time(row.get(4)?),
            ends: row.get::<_, Option<i64>>(9)?.map(Time),
            fuse: row
                .get::<_, Option<i64>>(10)?
                .map(|ms| Period::ms(ms.cast_unsigned())),
            riders,
            counts: BTreeMap::new(),
            held: Vec::new(),
            marks: Vec::new(),
            text: row.get(6)?,
            reworded: reworded.transpose().map_err(unreadable)?,
        })
    }
}

/// The fact whose text a message has, by what rides on it as it is stored.
pub(super) fn reworded(riders: Option<&str>) -> serde_json::Result<Option<Pos>> {
    #[derive(Deserialize)]
    struct Own {
        chat: Option<Pos>,
    }
    const { assert!(matches!(CORE.as_bytes(), b"chat")) };
    let own = riders.map(serde_json::from_str::<Own>).transpose()?;
    Ok(own.and_then(|own| own.chat))
}

/// A message that is to be removed. It is not verified: what is damaged goes at its end as well.
#[derive(Clone, Debug)]
pub struct Going {
    /// Its id.
    pub id: Id,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Whom it is addressed to, in a private chat.
    pub addressee: Option<UserId>,
}

impl Going {
    pub(super) const COLUMNS: &str = "id, chat, addressee";

    pub(super) fn from_sql(row: &SqlRow<'_>) -> Result<Self, LogError> {
        let addressee: Option<i64> = row.get(2)?;
        Ok(Self {
            id: row.get::<_, i64>(0)?.cast_unsigned(),
            chat: ChatId(row.get::<_, i64>(1)?.cast_unsigned()),
            addressee: addressee.map(|id| UserId(id.cast_unsigned())),
        })
    }
}

impl From<&MessageRow> for Going {
    fn from(row: &MessageRow) -> Self {
        Self {
            id: row.id,
            chat: row.chat,
            addressee: row.addressee,
        }
    }
}

/// A feature's own row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: Id,
    /// The feature it belongs to.
    pub owner: String,
    /// The message it lies beside, or is a mark on.
    pub message: Option<Id>,
    /// Whether it is a mark, and there: not taken back.
    pub on: Option<bool>,
    /// Whose request made it.
    pub author: Option<UserId>,
    /// When it was made.
    pub at: Time,
    pub(crate) fact: Box<RawValue>,
    /// Its text.
    pub text: Option<String>,
    /// Its object.
    pub object: Option<Uuid>,
}

impl Row {
    /// The fact that made it.
    pub fn fact<F: Feature>(&self) -> Option<F::Fact> {
        serde_json::from_str(self.fact.get()).ok()
    }

    pub(super) const COLUMNS: &str =
        "id, owner, message, author, at, fact, text, object, rows.sum, id, marks, marks_sum";

    /// How many those are.
    pub(super) const WIDTH: usize = 12;

    pub(super) fn from_sql(row: &SqlRow<'_>) -> Result<Self, LogError> {
        ROW.check(row, 0)?;
        MARK.check(row, 9)?;
        let id = row.get::<_, i64>(0)?.cast_unsigned();
        let marks: Option<i64> = row.get(10)?;
        let beside = row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
        Ok(Self {
            id,
            owner: row.get(1)?,
            message: beside.or(marks.map(i64::unsigned_abs)),
            on: marks.map(i64::is_positive),
            author: row
                .get::<_, Option<i64>>(3)?
                .map(|id| UserId(id.cast_unsigned())),
            at: Time(row.get(4)?),
            fact: RawValue::from_string(row.get(5)?).map_err(|source| LogError::Unreadable {
                what: format!("row {id}"),
                source,
            })?,
            text: row.get(6)?,
            object: row
                .get::<_, Option<String>>(7)?
                .and_then(|object| object.parse().ok()),
        })
    }
}

/// What users have marked a message with ([`Entry::mark`](crate::bus::Entry::mark)).
#[derive(Clone, Debug)]
pub struct Mark {
    /// The row of one of them.
    pub(super) row: Row,
    /// Who.
    pub by: Vec<UserId>,
}

impl Mark {
    /// What it says.
    pub fn text(&self) -> &str {
        self.row.text.as_deref().unwrap_or_default()
    }

    /// Its feature.
    pub(crate) fn owner(&self) -> &str {
        &self.row.owner
    }

    /// The row of one of them.
    pub fn row(&self) -> &Row {
        &self.row
    }
}

/// How a mark stands on a message, for one user.
#[derive(Clone, Debug)]
pub struct Marked {
    /// The user's own row, whether it is on or was taken back.
    pub own: Option<Row>,
    /// The newest row of anybody, whether it is on or was taken back.
    pub newest: Option<Row>,
    /// How many different ones of its feature's are on the message.
    pub different: usize,
}

/// An answer as it is kept under an idempotency key: a text, erased with what it tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The message or row that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Id>,
}
