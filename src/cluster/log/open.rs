//! The open batch: facts that are staged in SQLite, as they will travel, and their texts with what they
//! belong to.

use uuid::Uuid;

use crate::cluster::wire::{Entry, Text, Texts};
use crate::log::sqlite::KEY_LIFE;
use crate::log::{Beside, Change, Done, Id, Record};
use crate::time::Time;

/// What the open batch is.
#[derive(Default)]
pub(super) struct Open {
    /// Another node's, with this sequence; else this node's own.
    pub(super) following: Option<u64>,
    pub(super) records: Vec<Entry>,
    pub(super) commands: Vec<Uuid>,
    pub(super) told: Vec<Done>,
    pub(super) texts: Vec<Staged>,
    /// The length of the records as they travel, more or less.
    pub(super) bytes: usize,
}

/// Texts of the open batch that are erased together.
pub(super) struct Staged {
    pub(super) texts: Texts,
    pub(super) until: Option<Time>,
    /// Whether they take the place of what lies there of the same.
    pub(super) instead: bool,
}

impl Open {
    /// Adds a fact, unless the batch is another node's.
    pub(super) fn stage(&mut self, record: &Record, text: Option<&str>, changes: &[Change]) {
        if self.following.is_some() {
            return;
        }
        // Names and numbers beside the fact and the riders take about so much.
        self.bytes += 256 + record.fact.get().len();
        self.bytes += record
            .riders
            .values()
            .map(|fact| fact.get().len())
            .sum::<usize>();
        self.records
            .push(Entry(record.pos, record.at, record.clone()));
        if let Some(text) = text {
            let (of, until) = owner(record, changes);
            let key = changes.iter().find_map(|change| match change {
                Change::Key { user, key, .. } => Some((*user, key.clone())),
                _ => None,
            });
            let text = Text {
                pos: record.pos,
                text: text.to_owned(),
                key,
            };
            // What takes another's place is erased without it.
            let instead = reworded(record).is_some();
            let same = |last: &&mut Staged| last.texts.of == of && !instead;
            match self.texts.last_mut().filter(same) {
                Some(last) => last.texts.texts.push(text),
                None => self.texts.push(Staged {
                    texts: Texts {
                        of,
                        texts: vec![text],
                    },
                    until,
                    instead,
                }),
            }
        }
    }
}

/// What a text belongs to, and when it goes if it belongs to nothing that goes.
fn owner(record: &Record, changes: &[Change]) -> (Id, Option<Time>) {
    let made = changes.iter().find_map(|change| match change {
        Change::Key { made, .. } => Some(*made),
        _ => None,
    });
    match made {
        None => (reworded(record).unwrap_or(record.pos), None),
        Some(Some(made)) => (made, None),
        Some(None) => (record.pos, Some(record.at.plus(KEY_LIFE))),
    }
}

/// The message whose text a fact's is instead.
pub(super) fn reworded(record: &Record) -> Option<Id> {
    match record.row {
        Some(Beside::Text(message)) => Some(message),
        _ => None,
    }
}

/// When a text that another node placed is forgotten, where it is an answer that tells of nothing
/// that goes.
pub(super) fn untold(record: &Record) -> Option<Time> {
    let changes = crate::chat::changes(record).ok()?;
    owner(record, &changes).1
}
