//! What is shown, apart from how: the chats with what was said in them. Events and answers change
//! it, and it tells what is to be asked for then. It knows no terminal and no server.

use std::collections::VecDeque;
use std::time::Instant;

use serde::Deserialize as _;
use serde_json::Value;

use super::super::Link;
use super::super::answer::{ChatStatus, Page};
use super::super::here::COMMON;
use super::super::post::Post;
use super::super::render::{Comment, Event, Message};
use super::super::text::mentions;
use super::chat::{Chat, Entry, Key, Loaded};

/// The most posts that wait for their time.
const MAX_WAITING: usize = 100;

/// What is to be done for the model.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// A chat was seen up to this message.
    Looked(String, u64),
    /// A page of a chat is wanted: the one before this message, or the newest.
    Load(String, Option<u64>),
    /// The bell is to ring.
    Ring,
}

/// A post that the server wants later.
#[derive(Debug, PartialEq)]
pub struct Waiting {
    /// What is posted.
    pub post: Post,
    /// The chat that was shown when it was typed.
    pub here: String,
    /// When.
    pub at: Instant,
}

/// All that is shown.
#[derive(Debug)]
pub struct Model {
    /// The user's own name.
    pub me: String,
    /// The chats, the common one first.
    pub chats: Vec<Chat>,
    /// Which of them is shown.
    pub at: usize,
    /// How the stream of events stands.
    pub link: Link,
    /// How far a file is.
    pub progress: Option<String>,
    /// The message that keys are for.
    pub selected: Option<u64>,
    /// Posts that wait for their time.
    pub waiting: Vec<Waiting>,
    /// Whether the bell may ring.
    pub bell: bool,
    /// What is to be done.
    pub effects: VecDeque<Effect>,
}

impl Model {
    /// The common chat alone, with nothing in it yet.
    pub fn new(me: &str, bell: bool) -> Model {
        Model {
            me: me.to_owned(),
            chats: vec![Chat::new(COMMON, COMMON)],
            at: 0,
            link: Link::Connecting,
            progress: None,
            selected: None,
            waiting: Vec::new(),
            bell,
            effects: VecDeque::new(),
        }
    }

    /// The chat that is shown.
    pub fn chat(&self) -> &Chat {
        &self.chats[self.at]
    }

    /// The chat that is shown.
    pub fn chat_mut(&mut self) -> &mut Chat {
        &mut self.chats[self.at]
    }

    /// The place of a chat in the list, where it is put at the end if it is not there.
    pub fn place(&mut self, address: &str, label: &str) -> usize {
        match self.find(address) {
            Some(at) => at,
            None => {
                self.chats.push(Chat::new(address, label));
                self.chats.len() - 1
            }
        }
    }

    fn find(&self, address: &str) -> Option<usize> {
        self.chats.iter().position(|chat| chat.address == address)
    }

    /// Shows another chat.
    pub fn open(&mut self, at: usize) {
        if at >= self.chats.len() {
            return;
        }
        if at != self.at {
            self.chat_mut().fresh = None;
            self.selected = None;
        }
        self.at = at;
        self.chat_mut().bottom = None;
        self.look();
    }

    /// What was said while the reader looked at older messages is read when they come back.
    pub fn settle(&mut self) {
        if self.chat().bottom.is_none() && self.chat().unread > 0 {
            self.look();
        }
    }

    /// The reader looks at the chat that is shown: it is fetched if it is not there, and read.
    fn look(&mut self) {
        let me = self.me.clone();
        let chat = self.chat_mut();
        chat.called = false;
        if chat.loaded == Loaded::No {
            chat.loaded = Loaded::Asked;
            let address = chat.address.clone();
            self.effects.push_back(Effect::Load(address, None));
        }
        let chat = self.chat_mut();
        if chat.loaded != Loaded::Yes || chat.unread == 0 {
            return;
        }
        if chat.fresh.is_none() {
            let unread = usize::try_from(chat.unread).unwrap_or(usize::MAX);
            let fresh = chat.after(0, &me).rev().take(unread).last();
            chat.fresh = fresh;
        }
        chat.unread = 0;
        let looked = Effect::Looked(chat.address.clone(), chat.newest_message());
        self.effects.push_back(looked);
    }

    /// The next chat with something unread, those that call first.
    pub fn next_unread(&self) -> Option<usize> {
        let count = self.chats.len();
        let others = (1..=count).map(|step| (self.at + step) % count);
        let unread: Vec<usize> = others.filter(|at| self.chats[*at].unread > 0).collect();
        let called = unread.iter().find(|at| self.chats[**at].called);
        called.or(unread.first()).copied()
    }

    /// Takes over how the chats stand; `anew` where what is known of them may have gaps.
    pub fn chats(&mut self, chats: &[ChatStatus], label: impl Fn(&str) -> String, anew: bool) {
        let here = self.chat().address.clone();
        let gone = |chat: &Chat| chats.iter().all(|known| known.chat != chat.address);
        self.chats
            .retain(|chat| !chat.address.starts_with("room:") || !gone(chat));
        for status in chats {
            let at = self.place(&status.chat, &label(&status.chat));
            let chat = &mut self.chats[at];
            chat.label = label(&status.chat);
            chat.unread = status.unread;
            chat.people = status.members.zip(status.online);
            if anew {
                chat.lines.clear();
                (chat.loaded, chat.whole, chat.bottom) = (Loaded::No, false, None);
            }
        }
        if let Some(common) = self.find(COMMON) {
            let common = self.chats.remove(common);
            self.chats.insert(0, common);
        }
        self.at = self.find(&here).unwrap_or(0);
        self.look();
    }

    /// Takes in a page of a chat's messages that was asked for.
    pub fn page(&mut self, address: &str, before: Option<u64>, page: Result<Page, String>) {
        let Some(at) = self.find(address) else {
            return;
        };
        let chat = &mut self.chats[at];
        chat.asked = false;
        match page {
            Err(why) => {
                match before {
                    None => chat.loaded = Loaded::No,
                    Some(_) => chat.failed = true,
                }
                chat.note(format!("not loaded: {why}"), true);
            }
            Ok(page) => {
                chat.whole |= !page.more;
                if before.is_none() {
                    chat.loaded = Loaded::Yes;
                }
                for message in &page.messages {
                    if let Ok(message) = Message::deserialize(message) {
                        let key = (message.id, 0);
                        chat.lines.insert(key, Entry::Message(Box::new(message)));
                    }
                }
            }
        }
        if at == self.at && self.chat().loaded == Loaded::Yes && before.is_none() {
            self.look();
        }
    }

    /// Asks for what was said before what is there.
    pub fn want_older(&mut self) {
        let chat = self.chat_mut();
        if chat.whole || chat.asked || chat.failed || chat.loaded != Loaded::Yes {
            return;
        }
        let mut messages = chat.lines.iter();
        let first = messages.find(|(_, entry)| matches!(entry, Entry::Message(_)));
        let Some(((id, _), _)) = first else {
            return;
        };
        let load = Effect::Load(chat.address.clone(), Some(*id));
        chat.asked = true;
        self.effects.push_back(load);
    }

    /// Tries again what could not be loaded while there was no connection.
    pub fn link(&mut self, link: Link) {
        self.link = link;
        if link == Link::Up {
            for chat in &mut self.chats {
                chat.failed = false;
            }
            self.look();
        }
    }

    /// Takes in an event; `text` is what it says to its reader, `label` what chats are called.
    pub fn event(&mut self, event: &Event, text: Option<String>, label: impl Fn(&str) -> String) {
        let data = &event.data;
        match event.kind.as_str() {
            "message" => self.message(data, label, true),
            "comment" => self.comment(data),
            "removed" => self.removed(data),
            "read" => self.read(data),
            "user" => self.presence(data),
            kind => {
                let mine = data["user"].is_null() || data["user"] == self.me.as_str();
                let room = data["room"].as_str();
                if let (Some(room), "room" | "joined", true) = (room, kind, mine) {
                    self.place(room, &label(room));
                }
                if let (Some(room), "left", true) = (room, kind, mine) {
                    self.forget(room);
                }
                if let Some(text) = text {
                    let at = room.and_then(|room| self.find(room)).unwrap_or(self.at);
                    let bad = text.starts_with("! ");
                    let text = text.trim_start_matches("! ").trim_start_matches("· ");
                    self.chats[at].note(text.to_owned(), bad);
                }
            }
        }
    }

    /// Somebody has come or gone: the common chat is everybody's, a private one is theirs.
    fn presence(&mut self, data: &Value) {
        let online = data["online"] == true;
        let name = data["name"].as_str().unwrap_or_default();
        let private = format!("@{name}");
        let chats = self.chats.iter_mut();
        for chat in chats.filter(|chat| chat.address == COMMON || chat.address == private) {
            if let Some((members, here)) = &mut chat.people {
                *here = match online {
                    true => (*here + 1).min(*members),
                    false => here.saturating_sub(1),
                };
            }
        }
    }

    fn forget(&mut self, room: &str) {
        let Some(at) = self.find(room).filter(|at| *at > 0) else {
            return;
        };
        self.chats.remove(at);
        if at == self.at {
            self.at = 0;
            self.selected = None;
            self.look();
        } else if at < self.at {
            self.at -= 1;
        }
    }

    /// Tells the reader something, in the chat that is shown.
    pub fn note(&mut self, text: String, bad: bool) {
        self.chat_mut().note(text, bad);
    }

    /// The chat that a message is in: a private one is called by the other's name.
    fn chat_of(&self, message: &Message) -> String {
        match message.to.strip_prefix('@') {
            Some(to) if to == self.me => format!("@{}", message.from),
            _ => message.to.clone(),
        }
    }

    /// Takes in a message; `counts` where it is news.
    pub fn message(&mut self, data: &Value, label: impl Fn(&str) -> String, counts: bool) {
        let Ok(message) = Message::deserialize(data) else {
            return;
        };
        let address = self.chat_of(&message);
        let at = self.place(&address, &label(&address));
        let is_here = at == self.at;
        let is_mine = message.from == self.me;
        let id = message.id;
        let calls = !is_mine && (address.starts_with('@') || mentions(&message.text, &self.me));
        let chat = &mut self.chats[at];
        let newest = chat.newest_message();
        let known = chat
            .lines
            .insert((id, 0), Entry::Message(Box::new(message)));
        if is_mine {
            // Whoever answers has seen what is above.
            chat.fresh = chat.fresh.filter(|_| !counts);
        }
        if known.is_some() || is_mine || !counts || id < newest {
            return;
        }
        if is_here && chat.bottom.is_none() && chat.loaded == Loaded::Yes {
            let looked = Effect::Looked(address, id);
            self.effects.push_back(looked);
        } else {
            chat.unread += 1;
            chat.called |= calls;
        }
        self.chats[at].trim();
        if calls && self.bell {
            self.effects.push_back(Effect::Ring);
        }
    }

    fn comment(&mut self, data: &Value) {
        let Ok(comment) = Comment::deserialize(data) else {
            return;
        };
        let message = (comment.message, 0);
        let holds = |chat: &Chat| chat.lines.contains_key(&message);
        let at = self.chats.iter().position(holds).unwrap_or(self.at);
        let chat = &mut self.chats[at];
        let known = chat.lines.insert((comment.id, 0), Entry::Comment(comment));
        if let (None, Some(Entry::Message(message))) = (known, chat.lines.get_mut(&message)) {
            message.comments += 1;
        }
    }

    fn removed(&mut self, data: &Value) {
        let ids = data["ids"].as_array().into_iter().flatten();
        let ids: Vec<u64> = ids.filter_map(Value::as_u64).collect();
        let me = self.me.clone();
        for chat in &mut self.chats {
            let first = chat.fresh.unwrap_or(0);
            let was: Vec<u64> = chat.after(first.saturating_sub(1), &me).collect();
            let gone = was.iter().filter(|id| ids.contains(id)).count() as u64;
            chat.unread = chat.unread.saturating_sub(gone);
            chat.lines.retain(|(id, _), entry| match entry {
                Entry::Comment(comment) => !ids.contains(&comment.message),
                Entry::Message(_) => !ids.contains(id),
                Entry::Note { .. } => true,
            });
        }
        self.selected = self.selected.filter(|id| !ids.contains(id));
    }

    /// Another client of the user's has read a chat.
    fn read(&mut self, data: &Value) {
        let (Some(at), Some(upto)) = (
            data["chat"].as_str().and_then(|chat| self.find(chat)),
            data["upto"].as_u64(),
        ) else {
            return;
        };
        let me = self.me.clone();
        let chat = &mut self.chats[at];
        let left = chat.after(upto, &me).count() as u64;
        if left < chat.unread {
            chat.unread = left;
        }
        chat.called &= chat.unread > 0;
    }

    /// Takes in what the user has just posted.
    pub fn sent(&mut self, posted: &Value, label: impl Fn(&str) -> String) {
        match posted["message"].is_u64() {
            true => self.comment(posted),
            false => self.message(posted, label, true),
        }
        if self.chat().bottom.is_some() && self.chat().newest() == posted["id"] {
            self.chat_mut().bottom = None;
        }
    }

    /// A post that the server wants only at that time; false where too many wait.
    pub fn later(&mut self, post: Post, at: Instant) -> bool {
        let room = self.waiting.len() < MAX_WAITING;
        if room {
            let here = post.to().unwrap_or(&self.chat().address).to_owned();
            self.waiting.push(Waiting { post, here, at });
        }
        room
    }

    /// Takes out the posts whose time has come.
    pub fn due(&mut self, now: Instant) -> Vec<Post> {
        let due = self.waiting.extract_if(.., |waiting| waiting.at <= now);
        due.map(|waiting| waiting.post).collect()
    }

    /// Selects the message before or after the selected one.
    pub fn select(&mut self, up: bool) {
        let chat = self.chat();
        // From what is in sight, if nothing is selected yet.
        let sight = chat
            .bottom
            .map_or(u64::MAX, |((id, _), _)| id.saturating_add(1));
        let selected = self.selected.unwrap_or(sight);
        let is_message = |(key, entry): (&Key, &Entry)| match entry {
            Entry::Message(_) => Some(key.0),
            _ => None,
        };
        let next = match up {
            true => chat.lines.range(..(selected, 0)).rev().find_map(is_message),
            false => chat
                .lines
                .range((selected.saturating_add(1), 0)..)
                .find_map(is_message),
        };
        match (next, up) {
            (Some(id), _) => self.selected = Some(id),
            (None, false) => self.selected = None,
            (None, true) => self.want_older(),
        }
    }

    /// The selected message.
    pub fn selected(&self) -> Option<&Message> {
        match self.chat().lines.get(&(self.selected?, 0)) {
            Some(Entry::Message(message)) => Some(message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
