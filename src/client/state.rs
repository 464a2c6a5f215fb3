//! What the client has shown and knows, apart from how it came by it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use serde::Deserialize as _;
use serde_json::Value;

use super::answer::{ChatStatus, Status};
use super::known::Known;
use super::own::Own;
use super::render::{Attached, Comment, Event, Message};
use super::seen::Seen;

/// The most names kept for completion.
pub const MAX_NAMES: usize = 2_000;
/// The most own posts held back, and the most kept until the stream has brought them back.
pub const MAX_AWAITED: usize = 1_000;

/// The most files that are known by the beginning of their ids, and the most rooms by title.
pub const MAX_FILES: usize = 1_000;

/// The part of a session that its threads share under one lock.
#[derive(Debug, Default)]
pub struct State {
    /// The user's own name, as the server writes it once it was asked.
    pub me: String,
    /// The features that the server has on, once it was asked.
    pub features: Option<Vec<String>>,
    /// The most bytes of a file, as far as the server tells.
    pub max_file: Option<u64>,
    /// The titles of rooms, by address.
    pub titles: HashMap<String, String>,
    /// The names to complete.
    pub names: BTreeSet<String>,
    /// The files of the messages that were shown last.
    pub files: VecDeque<Attached>,
    /// Events of what this client does itself.
    pub own: Own,
    /// What was shown.
    pub seen: Seen,
    /// The newest message of each chat that was shown, or was there at the start.
    pub newest: HashMap<String, u64>,
    /// How far each chat was shown, and is not marked as read yet.
    pub marks: BTreeMap<String, u64>,
    /// Whether own messages are held back, since one of them may be the one being posted.
    pub posting: bool,
    /// What is held back.
    pub held: Vec<Event>,
    /// How many events are on their way to the screen.
    pub showing: usize,
    /// Whether a chat is read when its reader looks at it, and not when a message is shown.
    pub looks: bool,
    /// Own posts that the stream has not brought back yet.
    pub awaited: BTreeMap<u64, Event>,
    /// What there is to be completed, beside names, titles and files.
    pub known: Known,
}

impl State {
    /// Takes over what `GET /status` tells.
    pub fn learn(&mut self, status: &Status) {
        self.me.clone_from(&status.user.name);
        self.features = Some(status.server.features.clone());
        self.max_file = status.server.files.map(|files| files.max_size);
        self.titles.clear();
        for chat in &status.chats {
            if let Some(title) = &chat.title {
                self.title(&chat.chat, title);
            }
            if let Some(name) = chat.chat.strip_prefix('@') {
                self.name(name);
            }
        }
    }

    /// Keeps a name for completion.
    pub fn name(&mut self, name: &str) {
        if self.names.len() < MAX_NAMES && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    fn title(&mut self, chat: &str, title: &str) {
        if chat.starts_with("room:") && self.titles.len() < MAX_FILES {
            self.titles.insert(chat.to_owned(), title.to_owned());
        }
    }

    /// Learns from an event which rooms one is in, by their titles, who is in them, and what is
    /// scheduled.
    pub fn learn_from(&mut self, event: &Event) {
        let data = &event.data;
        self.known.learn(event, &self.me);
        let is_mine = data["user"].is_null() || data["user"] == self.me;
        let (Some(room), true) = (data["room"].as_str(), is_mine) else {
            return;
        };
        if let ("room" | "joined", Some(title)) = (event.kind.as_str(), data["title"].as_str()) {
            self.title(room, title);
        }
    }

    /// Forgets the room that one is no longer in, once that is told.
    pub fn forget_room(&mut self, event: &Event) {
        if event.kind == "left"
            && event.data["user"] == self.me
            && let Some(room) = event.data["room"].as_str()
        {
            self.titles.remove(room);
        }
    }

    /// Keeps a file that was shown.
    fn file(&mut self, file: Attached) {
        self.files.retain(|known| known.id != file.id);
        if self.files.len() == MAX_FILES {
            self.files.pop_front();
        }
        self.files.push_back(file);
    }

    /// Takes an event in; gives it back if it is to be shown now.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        self.learn_from(&event);
        match event.kind.as_str() {
            "message" | "comment" => {
                if self.posting && self.held.len() < MAX_AWAITED && event.data["from"] == self.me {
                    self.held.push(event);
                    return None;
                }
                self.note(&event.data).then_some(event)
            }
            "user" => {
                if let Some(name) = event.data["name"].as_str() {
                    self.name(name);
                }
                Some(event)
            }
            _ => self.own.take(event, Instant::now()),
        }
    }

    /// Takes note of a message or a comment as shown; false if it was before, or is none.
    pub fn note(&mut self, data: &Value) -> bool {
        if let Ok(message) = Message::deserialize(data) {
            self.name(&message.from);
            if let Some(file) = &message.file {
                self.file(file.clone());
            }
            self.read(&message);
            let chat = self.chat(&message);
            self.known.shown(&chat, &message);
            let newest = self.newest.entry(chat).or_insert(0);
            *newest = message.id.max(*newest);
            let expires = message.expires.as_deref();
            return self.seen.insert(message.id, &message.at, expires);
        }
        match Comment::deserialize(data) {
            Ok(comment) => self.seen.insert(comment.id, &comment.at, None),
            Err(_) => false,
        }
    }

    /// Whether a message or comment was not shown yet.
    pub fn is_new(&self, data: &Value) -> bool {
        let (id, at) = (data["id"].as_u64(), data["at"].as_str());
        id.zip(at)
            .is_some_and(|(id, at)| !self.seen.contains(id, at))
    }

    /// Notes that a message is to be marked as read. One's own move no mark.
    pub fn read(&mut self, message: &Message) {
        if message.from != self.me && !self.looks {
            let mark = self.marks.entry(self.chat(message)).or_insert(0);
            *mark = message.id.max(*mark);
        }
    }

    /// Brings the newest ids in line with the chats as they are: a log restored from a backup
    /// may end before what was shown.
    pub fn note_newest(&mut self, chats: &[ChatStatus]) {
        for chat in chats {
            self.newest.insert(chat.chat.clone(), chat.last_id());
        }
    }

    /// The chat that a message is in: a private one is called by the other's name.
    fn chat(&self, message: &Message) -> String {
        match message.to.strip_prefix('@') {
            Some(to) if to == self.me => format!("@{}", message.from),
            _ => message.to.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state() -> State {
        State {
            me: "ann".to_owned(),
            ..State::default()
        }
    }

    fn message(id: u64, from: &str, to: &str) -> Event {
        let at = "2026-11-24T20:18:55.123Z";
        Event::message(json!({"id": id, "from": from, "to": to, "text": "x", "at": at}))
    }

    #[test]
    fn a_message_is_shown_once_whichever_way_it_comes() {
        let mut state = state();
        assert!(state.take(message(7, "bob", "common")).is_some());
        let mut again = message(7, "bob", "common");
        again.id = Some("cursor".to_owned());
        assert!(state.take(again).is_none());
    }

    #[test]
    fn others_messages_are_marked_in_their_chat_and_ones_own_are_not() {
        let mut state = state();
        for event in [
            message(7, "bob", "common"),
            message(9, "bob", "@ann"),
            message(8, "bob", "@ann"),
            message(10, "ann", "@bob"),
            message(11, "ann", "common"),
            message(12, "ann", "@ann"),
        ] {
            assert!(state.take(event).is_some());
        }
        let marks: Vec<_> = state
            .marks
            .iter()
            .map(|(chat, id)| (chat.as_str(), *id))
            .collect();
        assert_eq!(marks, [("@bob", 9), ("common", 7)]);
        assert_eq!(state.newest["@bob"], 10);
        assert_eq!(state.newest["common"], 11);
        assert_eq!(state.newest["@ann"], 12);
    }

    #[test]
    fn while_posting_ones_own_messages_are_held_and_others_are_not() {
        let mut state = state();
        state.posting = true;
        assert!(state.take(message(7, "ann", "common")).is_none());
        assert!(state.take(message(8, "bob", "common")).is_some());
        assert_eq!(state.held.len(), 1);
        assert!(state.is_new(&message(7, "ann", "common").data));
    }

    #[test]
    fn what_is_no_message_is_not_shown_as_one() {
        let mut state = state();
        assert!(state.take(Event::message(json!({"id": "x"}))).is_none());
        assert!(state.take(Event::message(json!(null))).is_none());
    }

    #[test]
    fn a_log_that_ends_earlier_than_before_is_believed() {
        let mut state = state();
        state.take(message(90, "bob", "common"));
        let chat = json!({"chat": "common", "last": {"id": 40}});
        state.note_newest(&[serde_json::from_value(chat).unwrap()]);
        assert_eq!(state.newest["common"], 40);
    }

    #[test]
    fn rooms_are_known_by_their_titles_while_one_is_in_them() {
        let mut state = state();
        let room = json!({"room": "room:7", "title": "Garden"});
        state.take(Event::new("room", room));
        assert_eq!(state.titles["room:7"], "Garden");
        let of = |user: &str| json!({"room": "room:8", "title": "Attic", "user": user});
        state.take(Event::new("invited", of("ann")));
        state.take(Event::new("joined", of("bob")));
        assert!(!state.titles.contains_key("room:8"));
        state.take(Event::new("joined", of("ann")));
        assert!(state.titles.contains_key("room:8"));
        for (user, there) in [("bob", true), ("ann", false)] {
            let left = Event::new("left", of(user));
            let shown = state.take(left).unwrap();
            // Its line needs the title.
            assert!(state.titles.contains_key("room:8"));
            state.forget_room(&shown);
            assert_eq!(state.titles.contains_key("room:8"), there);
        }
    }

    #[test]
    fn files_are_remembered_up_to_a_bound_each_once() {
        let mut state = state();
        for id in 0..MAX_FILES as u64 + 5 {
            let mut event = message(id, "bob", "common");
            event.data["file"] = json!({"id": format!("f{id}"), "name": "x", "size": 1});
            state.take(event);
        }
        assert_eq!(state.files.len(), MAX_FILES);
        assert_eq!(state.files[0].id, "f5");
    }

    #[test]
    fn names_are_learnt_up_to_a_bound() {
        let mut state = state();
        for n in 0..MAX_NAMES + 10 {
            state.name(&n.to_string());
        }
        assert_eq!(state.names.len(), MAX_NAMES);
    }
}
