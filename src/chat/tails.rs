//! The newest messages of the chats that are read most, so that the page everybody asks for needs
//! no look at the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::render::Written;
use crate::bus::View;
use crate::log::{ChatId, Id, MessageRow, Pos, UserId};

/// How many messages a tail has: a page as it is asked for by default, and one that says whether
/// there are more.
const ROWS: usize = 51;

/// Chats kept at once.
const CHATS: usize = 128;

/// A tail that is longer, in bytes of its texts and riders, is not kept: with [`CHATS`] this
/// bounds the memory.
const BYTES: usize = 64 * 1024;

/// A chat's newest messages.
#[derive(Default)]
pub(crate) struct Tails(Mutex<All>);

#[derive(Default)]
struct All {
    chats: HashMap<ChatId, Tail>,
    /// How often any was used.
    uses: u64,
}

struct Tail {
    /// What it follows from.
    stamp: Stamp,
    /// Oldest first.
    rows: Arc<[Kept]>,
    /// When it was used last, in uses of any.
    used: u64,
}

/// What a tail follows from: while neither changes, nor does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The chat's last message ever posted.
    last: Id,
    /// The last fact that changed messages that are there.
    altered: Pos,
}

impl Stamp {
    /// The stamp of a chat by a world that is durable.
    pub(crate) fn of(view: &View<'_>, chat: ChatId) -> Self {
        Self {
            last: view.chat(chat).map_or(0, |chat| chat.last),
            altered: view.world().altered,
        }
    }
}

/// A message that is kept.
pub(crate) struct Kept {
    pub(crate) row: MessageRow,
    pub(crate) written: Written,
}

/// Some of a tail's messages.
pub(crate) struct Part {
    rows: Arc<[Kept]>,
    first: usize,
    /// Whether there are messages before them.
    pub(crate) more: bool,
}

impl Part {
    /// The messages, oldest first.
    pub(crate) fn rows(&self) -> &[Kept] {
        self.rows.get(self.first..).unwrap_or_default()
    }

    /// The newest `limit` of a whole tail's messages that lie beyond `floor`.
    fn of(rows: Arc<[Kept]>, floor: Id, limit: usize) -> Self {
        let seen = rows.partition_point(|kept| kept.row.id <= floor);
        let first = seen.max(rows.len().saturating_sub(limit));
        let more = first > seen;
        Self { rows, first, more }
    }
}

impl Tails {
    /// How many messages the store is asked for.
    pub(crate) const ROWS: usize = ROWS;

    /// Whether a page of so many messages can be part of a tail.
    pub(crate) fn reach(limit: usize) -> bool {
        limit < ROWS
    }

    /// The newest `limit` messages beyond `floor` of a chat whose stamp is this one, if they are
    /// kept.
    pub(crate) fn get(&self, chat: ChatId, stamp: Stamp, floor: Id, limit: usize) -> Option<Part> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let used = kept.uses;
        let tail = kept.chats.get_mut(&chat);
        let tail = tail.filter(|tail| tail.stamp == stamp)?;
        tail.used = used;
        Some(Part::of(Arc::clone(&tail.rows), floor, limit))
    }

    /// Keeps a chat's newest messages, [`Tails::ROWS`] of them where there are so many, which were
    /// read after the stamp was taken; gives the newest `limit` beyond `floor`.
    pub(crate) fn put(
        &self,
        chat: ChatId,
        stamp: Stamp,
        rows: Vec<Kept>,
        floor: Id,
        limit: usize,
    ) -> Part {
        let rows: Arc<[Kept]> = rows.into();
        let bytes: usize = rows.iter().map(held).sum();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is gone from a chat stays in no tail.
        let whole = |tail: &Tail| tail.stamp.altered == stamp.altered;
        kept.chats.retain(|_, tail| whole(tail));
        if bytes <= BYTES {
            if kept.chats.len() >= CHATS && !kept.chats.contains_key(&chat) {
                let oldest = kept.chats.iter().min_by_key(|(_, tail)| tail.used);
                let oldest = oldest.map(|(chat, _)| *chat);
                oldest.and_then(|oldest| kept.chats.remove(&oldest));
            }
            kept.uses += 1;
            let (rows, used) = (Arc::clone(&rows), kept.uses);
            kept.chats.insert(chat, Tail { stamp, rows, used });
        }
        Part::of(rows, floor, limit)
    }
}

fn held(kept: &Kept) -> usize {
    size(&kept.row) + kept.written.size()
}

/// How much a message holds beside its fixed size.
pub(super) fn size(row: &MessageRow) -> usize {
    let riders = row.riders.iter();
    let riders: usize = riders
        .map(|(name, fact)| name.len() + fact.get().len())
        .sum();
    // What is held has no text, and its facts are short.
    let marks = row.marks.iter();
    let marks: usize = marks
        .map(|mark| 512 + mark.by.len() * size_of::<UserId>())
        .sum();
    row.text.len() + riders + row.held.len() * 512 + marks
}

#[cfg(test)]
mod tests;
