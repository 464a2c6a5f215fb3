//! What events and answers change of what is shown.

use std::time::Instant;

use serde::Deserialize as _;
use serde_json::Value;

use super::super::commands::fold_reaction;
use super::super::render::{Comment, Event, Message};
use super::super::text::mentions;
use super::chat::{Chat, Entry, Loaded};
use super::model::{Effect, Model};

/// So many emoji that come while a page is on its way are told again after it.
const MAX_LATE: usize = 1_000;

impl Model {
    /// Takes in an event; `text` is what it says to its reader, `label` what chats are called.
    pub fn event(&mut self, event: &Event, text: Option<String>, label: impl Fn(&str) -> String) {
        let data = &event.data;
        match event.kind.as_str() {
            "message" => self.message(data, label, true),
            "comment" => self.comment(data),
            "edited" => self.edited(data),
            "reaction" => self.reaction(data),
            "removed" => self.removed(data),
            "read" => self.read(data),
            "user" => self.presence(data),
            "typing" => self.typing(data, Instant::now()),
            kind => {
                let mine = data["user"].is_null() || data["user"] == self.me.as_str();
                let room = data["room"].as_str();
                if let (Some(room), "room" | "joined", true) = (room, kind, mine) {
                    self.place(room, &label(room));
                }
                if let (Some(room), "left", true) = (room, kind, mine) {
                    self.forget(room);
                }
                if matches!(kind, "joined" | "left") {
                    self.doubt_people();
                }
                if kind == "unbanned" && mine {
                    self.now();
                }
                if let Some(text) = text {
                    let place = room.and_then(|room| self.find(room));
                    let bad = text.starts_with("! ");
                    let text = text.trim_start_matches("! ").trim_start_matches("· ");
                    match (place, kind) {
                        // Who is let into a room looks elsewhere.
                        (Some(place), "joined") if mine => {
                            let key = (place < 9).then(|| format!(" or Alt+{}", place + 1));
                            let text = format!("{text}{}", key.unwrap_or_default());
                            self.note(text, bad);
                        }
                        (Some(place), _) => self.chats[place].note(text.to_owned(), bad),
                        (None, _) => self.note(text.to_owned(), bad),
                    }
                }
            }
        }
    }

    /// The chat that a message is in: a private one is called by the other's name.
    pub fn chat_between(&self, from: &str, to: &str) -> String {
        match to.strip_prefix('@') {
            Some(to) if to == self.me => format!("@{from}"),
            _ => to.to_owned(),
        }
    }

    /// Takes in a message; `counts` where it is news.
    pub fn message(&mut self, data: &Value, label: impl Fn(&str) -> String, counts: bool) {
        let Ok(message) = Message::deserialize(data) else {
            return;
        };
        let address = self.chat_between(&message.from, &message.to);
        self.typed(&message.from, &address);
        let at = self.place(&address, &label(&address));
        let is_here = at == self.at;
        let is_mine = message.from == self.me;
        let id = message.id;
        let names_me = match (&data["mentions"], self.knows_calls) {
            (Value::Array(names), true) => names.iter().any(|name| *name == *self.me),
            (_, is_known) => !is_known && mentions(&message.text, &self.me),
        };
        let calls = !is_mine && (address.starts_with('@') || names_me);
        let rings = calls || (!is_mine && mentions(&message.text, &self.me));
        let chat = &mut self.chats[at];
        let newest = chat.newest_message();
        let known = chat
            .lines
            .insert((id, 0), Entry::Message(Box::new(message)));
        if is_mine && counts && chat.unread == 0 {
            // Whoever answers has seen what is above.
            chat.fresh = None;
        }
        if known.is_some() || is_mine || !counts || id < newest {
            return;
        }
        if is_here && chat.bottom.is_some() && chat.unread == 0 {
            chat.fresh = Some(id);
        }
        chat.unread += 1;
        if calls {
            chat.calls.insert(id);
        }
        chat.trim();
        if rings && self.bell {
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

    fn edited(&mut self, data: &Value) {
        let (Some(id), Some(text)) = (data["id"].as_u64(), data["text"].as_str()) else {
            return;
        };
        for chat in &mut self.chats {
            if let Some(Entry::Message(message)) = chat.lines.get_mut(&(id, 0)) {
                text.clone_into(&mut message.text);
                message.edited = data["edited"].as_str().map(str::to_owned);
            }
        }
    }

    /// An emoji was put on a message, or taken back. A page that is on its way may be older.
    fn reaction(&mut self, data: &Value) {
        if self.is_loading() && self.late.len() < MAX_LATE {
            self.late.push(data.clone());
        }
        self.react(data);
    }

    fn react(&mut self, data: &Value) {
        let Some(id) = data["message"].as_u64() else {
            return;
        };
        for chat in &mut self.chats {
            if let Some(Entry::Message(message)) = chat.lines.get_mut(&(id, 0)) {
                fold_reaction(&mut message.reactions, data, &self.me);
            }
        }
    }

    /// What came while a page was on its way goes on top of that.
    pub fn catch_up(&mut self) {
        let late = std::mem::take(&mut self.late);
        late.iter().for_each(|data| self.react(data));
        if self.is_loading() {
            self.late = late;
        }
    }

    fn is_loading(&self) -> bool {
        let loads = |chat: &Chat| chat.asked || chat.loaded == Loaded::Asked;
        self.chats.iter().any(loads)
    }

    /// One's own last message in the chat that is shown.
    pub fn own_last(&self) -> Option<&Message> {
        let entries = self.chat().lines.values().rev();
        let messages = entries.filter_map(|entry| match entry {
            Entry::Message(message) => Some(&**message),
            _ => None,
        });
        messages
            .filter(|message| message.from == self.me)
            .max_by_key(|message| message.id)
    }

    fn removed(&mut self, data: &Value) {
        let ids = data["ids"].as_array().into_iter().flatten();
        let ids: Vec<u64> = ids.filter_map(Value::as_u64).collect();
        let me = self.me.clone();
        for chat in &mut self.chats {
            let was: Vec<u64> = chat.after(chat.read, &me).collect();
            let gone = was.iter().filter(|id| ids.contains(id)).count() as u64;
            chat.unread = chat.unread.saturating_sub(gone);
            chat.lines.retain(|(id, _), entry| match entry {
                Entry::Comment(comment) => !ids.contains(&comment.message),
                Entry::Message(_) => !ids.contains(id),
                Entry::Note { .. } => true,
            });
            chat.calls.retain(|id| !ids.contains(id));
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
        self.chats[at].read_up_to(upto, &me);
    }

    fn holds(&self, message: &Value) -> bool {
        let mut chats = self.chats.iter();
        let id = message["id"].as_u64();
        id.is_some_and(|id| chats.any(|chat| chat.lines.contains_key(&(id, 0))))
    }

    /// Takes in what the user has just posted.
    pub fn sent(&mut self, posted: &Value, label: impl Fn(&str) -> String) {
        match posted["message"].is_u64() {
            true => self.comment(posted),
            // The answer is as the message was then; its events may have told more.
            false if !self.holds(posted) => self.message(posted, label, true),
            false => {}
        }
        // Who says something sees it; a comment is counted where the reader is.
        let is_said = !posted["message"].is_u64() && self.chat().newest() == posted["id"];
        if is_said {
            self.chat_mut().go_to_end();
        }
    }
}
