//! What a client was given: which of its lines go when a message is removed, and how far a chat counts as
//! read by it.

use std::collections::{BTreeMap, HashMap};

use veche::prelude::*;

use super::caps::Cap;
use super::line::Out;
use super::link::Link;
use super::names::folded;

/// Of so many texts that have more than one line, or are about another message, it is known to which
/// message they belong; then those of the oldest messages are forgotten.
const KEPT: usize = 4096;

/// The lines that a client was given of messages, beyond the first.
#[derive(Default)]
pub struct Lines {
    /// By message: the id of a text that belongs to it, and how many lines that has.
    of: BTreeMap<Id, Vec<(String, usize)>>,
    count: usize,
}

impl Lines {
    /// Notes that a text of so many lines belongs to a message.
    fn note(&mut self, message: Id, id: &str, lines: usize) {
        let texts = self.of.entry(message).or_default();
        if let Some((_, known)) = texts.iter_mut().find(|(known, _)| known == id) {
            *known = lines.max(*known);
            return;
        }
        texts.push((id.to_owned(), lines));
        self.count += 1;
        while self.count > KEPT
            && let Some((_, forgotten)) = self.of.pop_first()
        {
            self.count -= forgotten.len();
        }
    }

    /// The id of each line that belongs to a message, and forgets them.
    pub fn take(&mut self, message: Id) -> Vec<String> {
        let mut texts = self.of.remove(&message).unwrap_or_default();
        self.count -= texts.len();
        let own = message.to_string();
        if !texts.iter().any(|(id, _)| *id == own) {
            texts.insert(0, (own, 1));
        }
        let ids = texts.iter();
        ids.flat_map(|(id, lines)| (0..*lines).map(|place| line_id(id, place)))
            .collect()
    }
}

/// The id of a text's line: that of the text, and of a further line with its place behind it.
pub fn line_id(text: &str, place: usize) -> String {
    match place {
        0 => text.to_owned(),
        place => format!("{text}.{place}"),
    }
}

/// Chats of which more is unread than was given, by address: they stay unread until the client has the
/// rest.
#[derive(Default)]
pub struct Held(HashMap<String, Hold>);

struct Hold {
    /// The first message that is unread.
    begin: Id,
    /// The first from which on all was given.
    from: Id,
    /// The last that was given.
    upto: Id,
}

impl Held {
    /// Notes that a message was given; whether its chat is held.
    pub fn note(&mut self, chat: &str, id: Id) -> bool {
        let hold = self.0.get_mut(chat);
        hold.map(|hold| hold.upto = id.max(hold.upto)).is_some()
    }

    /// Whether a chat is held.
    pub fn has(&self, chat: &str) -> bool {
        let chat = folded(chat);
        self.0.keys().any(|key| folded(key) == chat)
    }

    /// Changes what is known of a chat, in any case of its letters; gives the chat and how far it is read
    /// where nothing is missing any more.
    fn change(&mut self, chat: &str, change: impl FnOnce(&mut Hold)) -> Option<(String, Id)> {
        let chat = folded(chat);
        let (key, hold) = self.0.iter_mut().find(|(key, _)| folded(key) == chat)?;
        change(hold);
        if hold.from > hold.begin {
            return None;
        }
        let key = key.clone();
        let hold = self.0.remove(&key)?;
        Some((key, hold.upto))
    }
}

impl Link {
    /// Sends the lines of a text that belongs to a message, and has this id.
    pub fn give(&mut self, message: Id, id: &str, lines: Vec<Out>) {
        let is_more = lines.len() > 1 || id != message.to_string();
        if is_more && self.caps.has(Cap::Redaction) {
            self.lines.note(message, id, lines.len());
        }
        lines.into_iter().for_each(|line| self.send(line));
    }

    /// Holds a chat whose messages before `from` are not given though they are unread, from `begin` on.
    pub fn hold(&mut self, chat: &str, begin: Id, from: Id) {
        let hold = Hold {
            begin,
            from,
            upto: 0,
        };
        self.held.0.insert(chat.to_owned(), hold);
    }

    /// Lets a chat go that was held, as all of it is given now.
    pub fn let_go(&mut self, chat: &str) {
        self.held.0.remove(chat);
    }

    /// Notes that a part of a chat was given at the client's own wish: from a message on to before another.
    pub fn gave(&mut self, chat: &str, first: Id, next: Id) {
        let read = self.held.change(chat, |hold| {
            if next >= hold.from {
                hold.from = first.min(hold.from);
            }
            if first <= hold.begin {
                hold.begin = next.max(hold.begin);
            }
        });
        if let Some((chat, upto)) = read {
            self.reads(&chat, upto);
        }
    }

    /// Notes that a chat was read elsewhere.
    pub fn read_elsewhere(&mut self, chat: &str, upto: Id) {
        let read = self.held.change(chat, |hold| {
            hold.begin = hold.begin.max(upto + 1);
        });
        if let Some((chat, upto)) = read {
            self.reads(&chat, upto);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_what_belongs_to_a_message_is_known() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(41), ["41"]);
        lines.note(41, "41", 3);
        lines.note(41, "41", 2);
        lines.note(41, "57", 2);
        assert_eq!(lines.take(41), ["41", "41.1", "41.2", "57", "57.1"]);
        assert_eq!(lines.take(41), ["41"]);
        lines.note(41, "57", 1);
        assert_eq!(lines.take(41), ["41", "57"]);
    }

    #[test]
    fn what_is_known_of_lines_is_bounded() {
        let mut lines = Lines::default();
        for id in 0..KEPT as u64 + 1 {
            lines.note(id, &id.to_string(), 2);
        }
        assert_eq!((lines.of.len(), lines.count), (KEPT, KEPT));
        assert_eq!(lines.take(0), ["0"]);
        assert_eq!(lines.take(1), ["1", "1.1"]);
    }

    #[test]
    fn a_held_chat_is_read_when_nothing_of_it_is_missing() {
        let held = |begin, from| {
            let hold = Hold {
                begin,
                from,
                upto: 90,
            };
            Held(HashMap::from([("@Bob".to_owned(), hold)]))
        };
        let mut chats = held(10, 50);
        assert!(!chats.note("common", 91));
        assert!(chats.note("@Bob", 91));
        assert_eq!(chats.change("@bob", |hold| hold.from = 30), None);
        let read = chats.change("@bob", |hold| hold.from = 10);
        assert_eq!(read, Some(("@Bob".to_owned(), 91)));
        assert!(!chats.note("@Bob", 92));
        let read = held(10, 50).change("@Bob", |hold| hold.begin = 50);
        assert_eq!(read, Some(("@Bob".to_owned(), 90)));
    }
}
