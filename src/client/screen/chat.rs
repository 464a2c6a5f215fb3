//! One chat as it is shown: its lines by their ids, and what of it is known.

use std::collections::{BTreeMap, BTreeSet};

use super::super::render::{Comment, Message};

/// The most lines of a chat that are kept; older ones are fetched again when they are scrolled to.
const MAX_LINES: usize = 5_000;

/// Where a line stands: by the id of its message or comment; what is neither follows the last one.
pub type Key = (u64, u32);

/// A line of a chat.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A message.
    Message(Box<Message>),
    /// A comment on one.
    Comment(Comment),
    /// Something told to the reader alone, as it is to be shown.
    Note { text: String, bad: bool },
}

/// Whether the end of a chat was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// Nobody has asked for it.
    No,
    /// It is asked for.
    Asked,
    /// It is there.
    Yes,
}

/// One chat.
#[derive(Debug)]
pub struct Chat {
    /// Its address.
    pub address: String,
    /// What people call it.
    pub label: String,
    /// How many of its messages are not read.
    pub unread: u64,
    /// All up to this message is read.
    pub read: u64,
    /// Those of them that are for the reader in particular.
    pub calls: BTreeSet<u64>,
    /// What is known of it.
    pub lines: BTreeMap<Key, Entry>,
    /// Behind these messages others are missing.
    pub gaps: BTreeSet<u64>,
    /// The first message that was not read when the chat was opened.
    pub fresh: Option<u64>,
    /// Whether its end is there.
    pub loaded: Loaded,
    /// Whether its beginning is there.
    pub whole: bool,
    /// Whether a page beside its newest is asked for.
    pub asked: bool,
    /// Whether the last such page could not be had, and is not asked for again by itself.
    pub failed: bool,
    /// Where its reader is told that.
    pub troubled: Option<Key>,
    /// How many rows are to be scrolled when that page is there, up where they are less than none.
    pub owed: isize,
    /// Whether it was just opened, and is to be shown from where the unread begins.
    pub arriving: bool,
    /// The line at the bottom of the pane and how many of its rows are below; none: the newest.
    pub bottom: Option<(Key, usize)>,
    /// The line that is begun for it.
    pub draft: String,
    /// How many are in it and how many of them are here, if that was told.
    pub people: Option<(u64, u64)>,
    /// Who is in it, where it is a room and that was told.
    pub members: Vec<String>,
}

impl Chat {
    /// One that nothing is known of yet.
    pub fn new(address: &str, label: &str) -> Chat {
        Chat {
            address: address.to_owned(),
            label: label.to_owned(),
            unread: 0,
            read: 0,
            calls: BTreeSet::new(),
            lines: BTreeMap::new(),
            gaps: BTreeSet::new(),
            fresh: None,
            arriving: false,
            loaded: Loaded::No,
            whole: false,
            asked: false,
            failed: false,
            troubled: None,
            owed: 0,
            bottom: None,
            draft: String::new(),
            people: None,
            members: Vec::new(),
        }
    }

    /// The id of its last line.
    pub fn newest(&self) -> u64 {
        let ids = self.lines.keys().rev().map(|(id, _)| *id);
        ids.max().unwrap_or(0)
    }

    /// The id of its last message.
    pub fn newest_message(&self) -> u64 {
        let messages = self.lines.iter().rev();
        let mut ids = messages.filter(|(_, entry)| matches!(entry, Entry::Message(_)));
        ids.next().map_or(0, |((id, _), _)| *id)
    }

    /// The messages of others after this one.
    pub fn after(&self, upto: u64, me: &str) -> impl DoubleEndedIterator<Item = u64> {
        self.lines
            .range((upto.saturating_add(1), 0)..)
            .filter_map(move |((id, _), entry)| match entry {
                Entry::Message(message) if message.from != me => Some(*id),
                _ => None,
            })
    }

    /// Shows its newest.
    pub fn go_to_end(&mut self) {
        (self.bottom, self.owed) = (None, 0);
    }

    /// Puts something told below all that is there.
    pub fn note(&mut self, text: String, bad: bool) {
        let last = self.lines.last_key_value();
        let key = last.map_or((0, 1), |((id, n), _)| (*id, n + 1));
        self.lines.insert(key, Entry::Note { text, bad });
        self.trim();
    }

    /// Tells its reader that something of it could not be loaded, until it is.
    pub fn trouble(&mut self, text: String) {
        self.note(text, true);
        self.troubled = self.lines.last_key_value().map(|(key, _)| *key);
    }

    /// What was not loaded is asked for again, or there.
    pub fn forget_trouble(&mut self) {
        if let Some(key) = self.troubled.take() {
            self.lines.remove(&key);
        }
    }

    /// Forgets what is known of it, but how it stands.
    pub fn begin_anew(&mut self) {
        self.lines.clear();
        self.gaps.clear();
        (self.loaded, self.whole, self.bottom) = (Loaded::No, false, None);
        (self.fresh, self.troubled, self.read, self.owed) = (None, None, 0, 0);
    }

    /// Puts what answers its reader where they look: below the last line in sight. What is below that is
    /// as unread as before.
    pub fn answer(&mut self, text: String, bad: bool) {
        let Some(((id, _), _)) = self.bottom else {
            return self.note(text, bad);
        };
        let mut there = self.lines.range((id, 0)..=(id, u32::MAX)).rev();
        let last = there.next().map_or(0, |((_, n), _)| *n);
        let key = (id, last.saturating_add(1));
        self.lines.insert(key, Entry::Note { text, bad });
        self.bottom = Some((key, 0));
    }

    /// Forgets the oldest lines, where nobody looks at them.
    pub fn trim(&mut self) {
        while self.lines.len() > MAX_LINES && self.bottom.is_none() {
            if let Some(((id, _), Entry::Message(_))) = self.lines.pop_first() {
                self.whole = false;
                self.gaps.retain(|gap| *gap > id);
                if id > self.read {
                    self.gaps.insert(self.read);
                }
            }
        }
    }
}
