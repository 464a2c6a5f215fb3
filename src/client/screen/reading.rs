//! What of a chat is there and what of it was read. It is fetched page by page: its newest, what begins
//! where the unread does, and then what the reader comes to. Where two such pieces do not meet there is
//! a gap. The read mark moves over what was in sight, one piece at a time, and over nothing else.

use serde::Deserialize as _;

use super::super::answer::Page;
use super::super::render::Message;
use super::chat::{Chat, Entry, Key, Loaded};
use super::model::{Effect, Model};

/// A part of a chat that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its newest, and what begins where the unread does.
    Newest,
    /// The last before this message.
    Before(u64),
    /// The first after this message; 0 is the beginning.
    After(u64),
}

/// What was fetched of a chat.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The page that was asked for.
    pub page: Page,
    /// With the newest: the first that is not read.
    pub first: Option<u64>,
    /// With that, where the newest do not reach back so far: the page that begins there.
    pub begin: Option<Page>,
}

/// What is drawn of a chat: the ids of the first and the last line in sight, and where something is
/// missing between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// The id of the first line.
    pub top: u64,
    /// The id of the last one.
    pub bottom: u64,
    /// The gap that begins behind this message.
    pub gap: Option<u64>,
    /// Whether the first line that is there is in sight.
    pub is_top: bool,
}

fn is_message((key, entry): (&Key, &Entry)) -> Option<u64> {
    match entry {
        Entry::Message(_) => Some(key.0),
        _ => None,
    }
}

impl Chat {
    fn message_after(&self, id: u64) -> Option<u64> {
        let mut after = self.lines.range((id.saturating_add(1), 0)..);
        after.find_map(is_message)
    }

    fn message_before(&self, id: u64) -> Option<u64> {
        let mut before = self.lines.range(..(id, 0)).rev();
        before.find_map(is_message)
    }

    /// The gap behind this line, if it is the last one before one.
    pub fn gap_behind(&self, key: Key) -> Option<u64> {
        let next = self.lines.range((key.0, key.1 + 1)..).next();
        let next = next.map_or(u64::MAX, |((id, _), _)| *id);
        self.gaps.range(key.0..next).next().copied()
    }

    /// How many messages are missing in a gap, where that is known: what is unread is in no other one.
    pub fn missing(&self, gap: u64, me: &str) -> Option<u64> {
        let is_only = gap >= self.read && self.gaps.range(self.read..).count() == 1;
        let there = self.after(self.read, me).count() as u64;
        let missing = self.unread.saturating_sub(there);
        Some(missing).filter(|missing| is_only && *missing > 0)
    }

    /// The message from which on nothing unread is there, where something is missing.
    fn unread_ends(&self) -> Option<u64> {
        self.gaps.range(self.read..).next().copied()
    }

    /// Puts in the messages of a page; gives the ids of its first and its last.
    fn put(&mut self, page: &Page) -> Option<(u64, u64)> {
        let mut span = None;
        for message in &page.messages {
            if let Ok(message) = Message::deserialize(message) {
                let id = message.id;
                span = Some((span.map_or(id, |(first, _)| first), id));
                let entry = Entry::Message(Box::new(message));
                self.lines.insert((id, 0), entry);
            }
        }
        span
    }

    fn put_after(&mut self, after: u64, page: &Page) {
        self.gaps.remove(&after);
        let next = self.message_after(after);
        let last = self.put(page).map(|(_, last)| last);
        if let Some(last) = last.filter(|_| page.more)
            && next.is_none_or(|next| last < next)
        {
            self.gaps.insert(last);
        }
        self.whole |= after == 0;
    }

    fn put_before(&mut self, before: u64, page: &Page) {
        let above = self.message_before(before).unwrap_or(0);
        let gap = self.gaps.range(above..before).next().copied();
        let first = self.put(page).map(|(first, _)| first);
        if !page.more {
            self.whole = true;
            self.gaps.retain(|gap| *gap >= before);
        } else if let Some(gap) = gap.filter(|gap| first.is_some_and(|first| first <= *gap)) {
            self.gaps.remove(&gap);
        }
    }

    fn put_newest(&mut self, fetched: &Fetched, me: &str) {
        self.loaded = Loaded::Yes;
        let last = self.put(&fetched.page).map_or(0, |(_, last)| last);
        self.whole |= !fetched.page.more;
        let read = fetched.first.map_or(last, |first| first.saturating_sub(1));
        // Another client may have read more meanwhile.
        self.read = read.max(self.read);
        if let (Some(first), Some(begin)) = (fetched.first, &fetched.begin) {
            self.put_after(first.saturating_sub(1), begin);
        }
        let there = self.after(self.read, me).count() as u64;
        self.unread = match self.unread_ends() {
            // What was counted since is there.
            Some(_) => self.unread.max(there),
            None => there,
        };
        self.calls_until_read();
    }

    /// All up to this message is read.
    pub fn read_up_to(&mut self, upto: u64, me: &str) {
        let upto = upto.max(self.read);
        let seen = self.after(self.read, me).take_while(|id| *id <= upto);
        let seen = seen.count() as u64;
        let left = self.after(upto, me).count() as u64;
        self.read = upto;
        self.unread = match (self.loaded, self.unread_ends()) {
            (Loaded::Yes, None) => left,
            (Loaded::Yes, Some(_)) => self.unread.saturating_sub(seen).max(left),
            _ => self.unread.min(left),
        };
        self.calls_until_read();
    }

    /// Whether something unread is for the reader in particular.
    pub fn is_called(&self) -> bool {
        self.unread > 0 && (self.address.starts_with('@') || !self.calls.is_empty())
    }

    /// A message calls its reader until it is read.
    pub fn calls_until_read(&mut self) {
        let read = self.read;
        self.calls.retain(|id| *id > read);
        if self.unread == 0 {
            self.calls.clear();
        }
    }
}

impl Model {
    /// What was drawn is read, as far as nothing before it is left out.
    pub fn settle(&mut self) {
        let Some(sight) = self.sight.take() else {
            return;
        };
        let me = self.me.clone();
        let chat = self.chat_mut();
        if chat.arriving || chat.unread == 0 || chat.loaded != Loaded::Yes {
            return;
        }
        let end = chat.unread_ends();
        let upto = sight.bottom.min(end.unwrap_or(u64::MAX));
        let first = chat.after(chat.read, &me).next();
        match first {
            Some(first) if first > upto => return,
            Some(first) if first < sight.top => {
                chat.fresh.get_or_insert(first);
                return;
            }
            Some(_) => {}
            // It was counted, and is gone.
            None if end.is_none() && upto >= chat.newest_message() => {}
            None => return,
        }
        chat.read_up_to(upto, &me);
        let looked = Effect::Looked(chat.address.clone(), upto);
        self.effects.push_back(looked);
    }

    /// Whether something unread is above what is in sight.
    pub fn leaves_out(&self) -> bool {
        let (chat, top) = (self.chat(), self.sight.map(|sight| sight.top));
        let first = chat.after(chat.read, &self.me).next();
        chat.loaded == Loaded::Yes && first.zip(top).is_some_and(|(first, top)| first < top)
    }

    /// The reader looks at the chat that is shown: it is fetched if it is not there. Where they have
    /// just come, it is shown from where the unread begins.
    pub fn look(&mut self, arrives: bool) {
        let chat = self.chat_mut();
        if chat.loaded == Loaded::No {
            chat.loaded = Loaded::Asked;
            let load = Effect::Load(chat.address.clone(), Part::Newest);
            self.effects.push_back(load);
        } else if arrives && chat.unread > 0 && chat.fresh.is_none() {
            self.go_to_unread();
        }
    }

    /// Shows the chat from where the unread begins, or where it began.
    pub fn go_to_unread(&mut self) {
        let me = self.me.clone();
        let chat = self.chat_mut();
        if chat.loaded != Loaded::Yes {
            return;
        }
        if chat.unread > 0 {
            let first = chat.after(chat.read, &me).next();
            let end = chat.unread_ends().unwrap_or(u64::MAX);
            chat.fresh = first.filter(|first| *first <= end);
            if chat.fresh.is_none() {
                // It is not there any more.
                chat.loaded = Loaded::No;
                return self.look(true);
            }
        }
        chat.arriving = chat.fresh.is_some();
    }

    /// Takes in what was asked for of a chat.
    pub fn page(&mut self, address: &str, part: Part, fetched: Result<Fetched, String>) {
        let Some(at) = self.find(address) else {
            return;
        };
        let me = self.me.clone();
        let chat = &mut self.chats[at];
        if part != Part::Newest {
            chat.asked = false;
        }
        chat.forget_trouble();
        match (fetched, part) {
            (Err(why), _) => {
                match part {
                    Part::Newest => chat.loaded = Loaded::No,
                    _ => chat.failed = true,
                }
                chat.owed = 0;
                chat.trouble(format!("not loaded: {why}"));
            }
            (Ok(fetched), Part::Newest) => chat.put_newest(&fetched, &me),
            (Ok(fetched), Part::Before(id)) => chat.put_before(id, &fetched.page),
            (Ok(fetched), Part::After(id)) => chat.put_after(id, &fetched.page),
        }
        self.catch_up();
        let is_there = part == Part::Newest && self.chats[at].loaded == Loaded::Yes;
        if is_there && at == self.at {
            self.look(true);
        }
    }

    fn want(&mut self, part: Part) {
        let chat = self.chat_mut();
        if chat.asked || chat.failed || chat.loaded != Loaded::Yes {
            return;
        }
        chat.asked = true;
        let load = Effect::Load(chat.address.clone(), part);
        self.effects.push_back(load);
    }

    /// Asks for what was said before what is there.
    pub fn want_older(&mut self) {
        let chat = self.chat();
        if let Some(first) = chat.message_after(0).filter(|_| !chat.whole) {
            self.want(Part::Before(first));
        }
    }

    /// Asks for the beginning of the chat, if it is not there.
    pub fn want_first(&mut self) {
        if !self.chat().whole {
            self.want(Part::After(0));
        }
    }

    /// Asks for what is missing at the ends of what is in sight, which is read in a moment.
    pub fn saw(&mut self, sight: Sight) {
        self.sight = Some(sight);
        if sight.is_top {
            self.want_older();
        }
        let Some(gap) = sight.gap else {
            return;
        };
        // Whoever reads on comes to it from above, and whoever looks back from below: what is in sight
        // stays there.
        match self.chat().message_after(gap) {
            Some(next) if sight.bottom > gap => self.want(Part::Before(next)),
            _ => self.want(Part::After(gap)),
        }
    }
}

#[cfg(test)]
mod tests;
