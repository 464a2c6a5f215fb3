//! What travels: batches of facts, and their texts beside them.
//!
//! A batch is one message of the log's stream. Its texts are messages of a stream of their own,
//! so that each can be erased while the facts stay; a batch names them by their sequence there.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::{Done, Id, Pos, Record, UserId};
use crate::time::Time;

/// The number of this form. A node that knows a lower one than it meets stops.
pub(super) const FORMAT: u32 = 1;

/// A batch of facts, as one node appended it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The number of its form.
    pub(super) format: u32,
    /// Names this attempt to append, so that its outcome can be found out.
    pub(super) id: Uuid,
    /// The node that decided it.
    pub(super) node: Uuid,
    /// The forwarded commands that it is the outcome of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<Uuid>,
    /// What was told of them, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) told: Vec<Done>,
    /// Where its texts lie in their stream, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) texts: Vec<u64>,
    /// Its facts, in order.
    pub(super) records: Vec<Entry>,
}

/// A fact: its position, when it was decided, and the rest of its record. Positions are ours,
/// not the stream's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry(pub(super) Pos, pub(super) Time, pub(super) Record);

impl Entry {
    /// The record as the log has it.
    pub(super) fn into_record(self) -> Record {
        Record {
            pos: self.0,
            at: self.1,
            ..self.2
        }
    }
}

/// Texts that are erased together, as one message: that of a message or row, and the answer that
/// told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Texts {
    /// What they belong to.
    pub(super) of: Id,
    pub(super) texts: Vec<Text>,
}

/// A text, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    /// The position of the fact that it lies beside.
    pub(super) pos: Pos,
    pub(super) text: String,
    /// The user and the idempotency key whose answer it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<(UserId, String)>,
}

/// Why a message of the stream can't be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// A newer program wrote it.
    #[error(
        "the stream holds facts in format {found}, and this program knows formats up to {FORMAT}: \
         run the version that the other nodes run"
    )]
    Newer {
        /// The number found.
        found: u32,
    },
    /// It is not what a node writes.
    #[error("message {seq} of the stream is not readable")]
    Unreadable {
        /// Its sequence.
        seq: u64,
        /// What its reader said.
        source: serde_json::Error,
    },
}

/// The part of a batch that stays the same in every format.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Batch {
    /// As it travels.
    pub(super) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads the message with the sequence `seq`.
    pub(super) fn decode(seq: u64, bytes: &[u8]) -> Result<Self, WireError> {
        let unreadable = |source| WireError::Unreadable { seq, source };
        let Head { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > FORMAT {
            return Err(WireError::Newer { found: format });
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::log::{Audience, CORE, ChatId};

    fn batch() -> Batch {
        let fact = r#"{"posted":{"chat":0}}"#.to_owned();
        let record = Record {
            pos: 7,
            at: Time(1000),
            owner: CORE.to_owned(),
            fact: RawValue::from_string(fact).expect("JSON"),
            by: None,
            audience: Audience::Chat(ChatId::COMMON),
            riders: Default::default(),
            row: None,
            object: None,
            holds: Vec::new(),
            text: true,
        };
        Batch {
            format: FORMAT,
            id: Uuid::new_v4(),
            node: Uuid::new_v4(),
            commands: Vec::new(),
            told: Vec::new(),
            texts: vec![3],
            records: vec![Entry(record.pos, record.at, record)],
        }
    }

    #[test]
    fn a_batch_comes_back_as_it_was_with_positions_and_times() {
        let sent = batch();
        let bytes = sent.encode().expect("JSON");
        let came = Batch::decode(1, &bytes).expect("a batch");
        assert_eq!(
            (came.id, came.node, &came.texts),
            (sent.id, sent.node, &sent.texts)
        );
        let record = came
            .records
            .into_iter()
            .next()
            .expect("a fact")
            .into_record();
        assert_eq!((record.pos, record.at), (7, Time(1000)));
        assert_eq!(record.fact.get(), r#"{"posted":{"chat":0}}"#);
        assert!(record.text && record.by.is_none());
    }

    #[test]
    fn a_batch_of_a_newer_format_is_refused_whatever_else_it_holds() {
        let bytes = format!(r#"{{"format":{},"facts":"otherwise"}}"#, FORMAT + 1);
        let error = Batch::decode(1, bytes.as_bytes()).expect_err("newer");
        assert!(matches!(error, WireError::Newer { found } if found == FORMAT + 1));
        let error = Batch::decode(5, b"{}").expect_err("no batch").to_string();
        assert!(error.contains("message 5"), "{error}");
    }
}
