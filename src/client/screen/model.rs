//! What is shown, apart from how: the chats with what was said in them. Events and answers change
//! it, and it tells what is to be asked for then. It knows no terminal and no server.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::Link;
use super::super::answer::ChatStatus;
use super::super::here::COMMON;
use super::super::render::Message;
use super::chat::{Chat, Entry, Key};
use super::moving::Move;
use super::outgoing::Outgoing;
use super::panel::Panel;
use super::people::People;
use super::reading::{Part, Sight};
use super::typing::Typing;

/// What is to be done for the model.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// A chat was seen up to this message.
    Looked(String, u64),
    /// A part of a chat is wanted.
    Load(String, Part),
    /// The bell is to ring.
    Ring,
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
    /// Whether it was up before.
    pub was_up: bool,
    /// How far a file is.
    pub progress: Option<String>,
    /// What was drawn last of the chat that is shown, until that counts as read.
    pub sight: Option<Sight>,
    /// Whether the server tells which messages call the user.
    pub knows_calls: bool,
    /// The message that keys are for.
    pub selected: Option<u64>,
    /// What was typed and is not there yet.
    pub outgoing: Vec<Outgoing>,
    /// Lines that were not sent to rooms that one is no longer in: what those are called, and the lines.
    pub given_up: Vec<(String, String)>,
    /// The commands that lead to another chat, with what was typed behind each.
    pub moves: Vec<Move>,
    /// What is known of who is here.
    pub people: People,
    /// What is known of who is writing.
    pub typing: Typing,
    /// What lies over the messages.
    pub panel: Option<Panel>,
    /// How many ask to come into one's rooms.
    pub asking: usize,
    /// How many rooms one is invited to.
    pub invitations: usize,
    /// Whether the bell may ring.
    pub bell: bool,
    /// What of emoji was told while a page was on its way.
    pub late: Vec<Value>,
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
            was_up: false,
            progress: None,
            sight: None,
            knows_calls: false,
            selected: None,
            outgoing: Vec::new(),
            given_up: Vec::new(),
            moves: Vec::new(),
            people: People::default(),
            typing: Typing::default(),
            panel: None,
            asking: 0,
            invitations: 0,
            bell,
            late: Vec::new(),
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
                self.doubt_people();
                self.chats.len() - 1
            }
        }
    }

    /// The place of a chat in the list, if it is there.
    pub fn find(&self, address: &str) -> Option<usize> {
        // Names are one whatever their case.
        let is_it = |chat: &Chat| {
            chat.address == address
                || (address.starts_with('@')
                    && chat.address.to_lowercase() == address.to_lowercase())
        };
        self.chats.iter().position(is_it)
    }

    /// Shows another chat.
    pub fn open(&mut self, at: usize) {
        if at >= self.chats.len() {
            return;
        }
        if at != self.at {
            self.lines_go_here();
            self.chat_mut().fresh = None;
            self.selected = None;
        }
        self.at = at;
        self.sight = None;
        self.lines_go_here();
        (self.chat_mut().bottom, self.chat_mut().owed) = (None, 0);
        self.look(true);
    }

    /// The next chat with something unread, those that call first.
    pub fn next_unread(&self) -> Option<usize> {
        let count = self.chats.len();
        let others = (1..=count).map(|step| (self.at + step) % count);
        let unread: Vec<usize> = others.filter(|at| self.chats[*at].unread > 0).collect();
        let called = unread.iter().find(|at| self.chats[**at].is_called());
        called.or(unread.first()).copied()
    }

    /// Takes over how the chats stand; `anew` where what is known of them may have gaps.
    pub fn chats(&mut self, chats: &[ChatStatus], label: impl Fn(&str) -> String, anew: bool) {
        let here = self.chat().address.clone();
        let gone = |chat: &Chat| chats.iter().all(|known| known.chat != chat.address);
        // By their titles, which the server tells no more.
        let label_of = |room: &str| {
            let chat = self.chats.iter().find(|chat| chat.address == room);
            chat.map_or_else(|| label(room), |chat| chat.label.clone())
        };
        let mut rooms: Vec<(String, String)> = Vec::new();
        for out in &self.outgoing {
            let is_gone = chats.iter().all(|known| known.chat != out.here);
            if out.here.starts_with("room:") && is_gone {
                rooms.push((out.here.clone(), label_of(&out.here)));
            }
        }
        for (room, label) in rooms {
            self.give_up(&room, &label);
        }
        // What was begun for a room that is gone is still its writer's.
        self.chats.retain(|chat| {
            !chat.address.starts_with("room:") || !gone(chat) || !chat.draft.is_empty()
        });
        for status in chats {
            let at = self.place(&status.chat, &label(&status.chat));
            let chat = &mut self.chats[at];
            chat.label = label(&status.chat);
            chat.unread = status.unread;
            if anew {
                chat.begin_anew();
            }
            chat.calls.extend(status.calls());
            chat.calls_until_read();
            chat.people = status.members.zip(status.online);
        }
        if let Some(common) = self.find(COMMON) {
            let common = self.chats.remove(common);
            self.chats.insert(0, common);
        }
        self.at = self.find(&here).unwrap_or(0);
        self.sight = None;
        self.forget_people();
        self.look(true);
    }

    /// Tries again what could not be loaded while there was no connection.
    pub fn link(&mut self, link: Link) {
        self.link = link;
        if self.link == Link::Up {
            self.was_up = true;
            self.unbar();
            for chat in &mut self.chats {
                chat.failed = false;
                chat.forget_trouble();
            }
            self.forget_people();
            self.look(false);
        }
    }

    /// One is no longer in a room.
    pub fn forget(&mut self, room: &str) {
        let Some(at) = self.find(room).filter(|at| *at > 0) else {
            return;
        };
        let gone = self.chats.remove(at);
        self.give_up(room, &gone.label);
        if !gone.draft.trim().is_empty() {
            self.given_up.push((gone.label, gone.draft));
        }
        if at == self.at {
            self.at = 0;
            (self.selected, self.sight) = (None, None);
            // They did not come to read there: its end is where they are told why they are there.
            let common = self.chat_mut();
            common.go_to_end();
            common.arriving = false;
            self.look(false);
        } else if at < self.at {
            self.at -= 1;
        }
    }

    /// Forgets a chat that nothing was said in, where nobody looks at it.
    pub fn drop_empty(&mut self, address: &str) {
        let Some(at) = self.find(address).filter(|at| *at > 0 && *at != self.at) else {
            return;
        };
        let chat = &self.chats[at];
        let is_used = self.outgoing.iter().any(|out| out.here == chat.address);
        if chat.lines.is_empty() && chat.draft.is_empty() && !is_used {
            self.chats.remove(at);
            self.at -= usize::from(at < self.at);
        }
    }

    /// Tells the reader something, in the chat that is shown, where they look.
    pub fn note(&mut self, text: String, bad: bool) {
        self.chat_mut().answer(text, bad);
    }

    /// Tells the reader something about a room, there, or in the chat that is shown if that room is
    /// not there.
    pub fn note_in(&mut self, room: &str, text: String) {
        let at = self.find(room).unwrap_or(self.at);
        self.chats[at].answer(text, false);
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
pub mod tests;
