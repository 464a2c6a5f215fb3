//! What there is to be completed and answered: who is in which room and who asks to come in, what
//! is scheduled, one's hooks and subscriptions, the messages that were shown last.

use std::collections::{BTreeSet, VecDeque};

use serde::Deserialize as _;
use serde_json::Value;

use super::commands::{Hook, Subscription};
use super::render::{Event, Message};
use super::text::{excerpt, safe_line};

/// The most of each kind that is remembered.
const MAX: usize = 1_000;
/// How many messages are offered to be commented on, or for their files.
const MAX_MESSAGES: usize = 200;
/// How much of a text is shown where it is only to be recognised.
const EXCERPT: usize = 24;
/// How much of an id names what is scheduled.
const SHORT: usize = 8;

/// A room that one is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// Its address.
    pub address: String,
    /// Its title.
    pub title: String,
    /// Who is in it.
    pub members: Vec<String>,
    /// Who is invited, where it is one's own.
    pub invited: Vec<String>,
    /// Who asks to come in, where it is one's own.
    pub asking: Vec<String>,
}

/// A message that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: u64,
    /// The chat that it is in.
    pub chat: String,
    /// Who wrote it.
    pub from: String,
    /// Who wrote it, and how it begins.
    pub about: String,
    /// The name of its file.
    pub file: Option<String>,
}

/// All that.
#[derive(Debug, Default)]
pub struct Known {
    /// The rooms that one is in.
    pub rooms: Vec<Room>,
    /// The rooms that one is invited to: address and title.
    pub invites: Vec<(String, String)>,
    /// What waits for its time: the beginning of its id, and how it begins.
    pub scheduled: Vec<(String, String)>,
    /// One's hooks, the oldest first.
    pub hooks: Vec<Hook>,
    /// One's subscriptions, the oldest first.
    pub subscriptions: Vec<Subscription>,
    /// Links that this client has made: the room's address and the code.
    pub links: Vec<(String, String)>,
    /// Who is no person, of those whose messages were shown.
    bots: BTreeSet<String>,
    /// The last messages, oldest first.
    pub messages: VecDeque<Line>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(MAX)
}

impl Room {
    /// A room as the server shows it, if it shows who is in it.
    fn of(data: &Value) -> Option<Room> {
        let users = |field: &str| list(&data[field]).map(|one| text(&one["user"])).collect();
        data["members"].as_array()?;
        Some(Room {
            address: data["room"].as_str()?.to_owned(),
            title: text(&data["title"]),
            members: list(&data["members"]).map(text).collect(),
            invited: users("invites"),
            asking: users("requests"),
        })
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) && names.len() < MAX {
        names.push(name.to_owned());
    }
}

fn remove(names: &mut Vec<String>, name: &str) {
    names.retain(|known| known != name);
}

impl Known {
    /// The room of that address, if one is in it.
    pub fn room(&self, address: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| room.address == address)
    }

    fn room_mut(&mut self, address: &str) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| room.address == address)
    }

    /// Takes over what `GET /rooms` tells.
    pub fn learn_rooms(&mut self, answer: &Value) {
        self.rooms = list(&answer["rooms"]).filter_map(Room::of).collect();
        let invites = list(&answer["invites"]);
        let invites = invites.map(|invite| (text(&invite["room"]), text(&invite["title"])));
        self.invites = invites.collect();
    }

    /// Takes over what `GET /scheduled` tells.
    pub fn learn_scheduled(&mut self, answer: &Value) {
        let items = list(&answer["scheduled"]);
        let waiting = items.filter(|item| item["state"] == "waiting");
        self.scheduled = waiting.map(scheduled).collect();
    }

    /// Takes over what `GET /hooks` tells.
    pub fn learn_hooks(&mut self, answer: &Value) {
        let hooks = list(&answer["hooks"]);
        self.hooks = hooks
            .filter_map(|hook| Hook::deserialize(hook).ok())
            .collect();
    }

    /// Takes over what `GET /subscriptions` tells.
    pub fn learn_subscriptions(&mut self, answer: &Value) {
        let subscriptions = list(&answer["subscriptions"]);
        self.subscriptions = subscriptions
            .filter_map(|one| Subscription::deserialize(one).ok())
            .collect();
    }

    /// A hook posts to a room, and a subscription hears of it, as long as one is in it.
    fn stand(&mut self, room: &str, works: bool) {
        let hooks = self.hooks.iter_mut().filter(|hook| hook.to == room);
        hooks.for_each(|hook| hook.works = works);
        let subscriptions = self.subscriptions.iter_mut();
        let there = subscriptions.filter(|one| one.chat == room);
        there.for_each(|one| one.works = works);
    }

    /// Takes in an event; `me` is one's own name.
    pub fn learn(&mut self, event: &Event, me: &str) {
        let data = &event.data;
        let (room, user) = (text(&data["room"]), text(&data["user"]));
        let is_mine = user == me;
        match event.kind.as_str() {
            "room" => {
                if let Some(whole) = Room::of(data) {
                    self.rooms.retain(|known| known.address != whole.address);
                    self.rooms.push(whole);
                    self.invites.retain(|(known, _)| *known != room);
                }
            }
            "joined" => {
                if is_mine {
                    self.invites.retain(|(known, _)| *known != room);
                    self.stand(&room, true);
                } else if let Some(known) = self.room_mut(&room) {
                    add(&mut known.members, &user);
                    remove(&mut known.asking, &user);
                    remove(&mut known.invited, &user);
                }
            }
            "left" if is_mine => {
                self.rooms.retain(|known| known.address != room);
                self.stand(&room, false);
            }
            "left" => {
                if let Some(known) = self.room_mut(&room) {
                    remove(&mut known.members, &user);
                }
            }
            "invited" if is_mine => {
                self.invites.retain(|(known, _)| *known != room);
                self.invites.push((room, text(&data["title"])));
            }
            "invited" => {
                if let Some(known) = self.room_mut(&room) {
                    add(&mut known.invited, &user);
                }
            }
            "join_request" => {
                if let Some(known) = self.room_mut(&room).filter(|_| !user.is_empty()) {
                    add(&mut known.asking, &user);
                }
            }
            "refused" if user.is_empty() => self.invites.retain(|(known, _)| *known != room),
            "refused" => {
                if let Some(known) = self.room_mut(&room) {
                    if data["of"] != "request" {
                        remove(&mut known.invited, &user);
                    }
                    if data["of"] != "invite" {
                        remove(&mut known.asking, &user);
                    }
                }
            }
            "scheduled" => {
                let item = scheduled(data);
                self.scheduled.retain(|(id, _)| *id != item.0);
                self.scheduled.push(item);
            }
            "cancelled" | "scheduled_sent" | "scheduled_failed" | "scheduled_forgotten" => {
                let gone = scheduled(data);
                self.scheduled.retain(|(id, _)| *id != gone.0);
            }
            "hook" => {
                if let Ok(hook) = Hook::deserialize(data)
                    && self.hooks.len() < MAX
                {
                    self.hooks.retain(|known| known.id != hook.id);
                    self.hooks.push(hook);
                }
            }
            "hook_removed" => self.hooks.retain(|hook| data["id"] != hook.id),
            "subscription" => {
                if let Ok(one) = Subscription::deserialize(data) {
                    let mut all = self.subscriptions.iter();
                    match all.position(|known| known.id == one.id) {
                        Some(place) => self.subscriptions[place] = one,
                        None if self.subscriptions.len() < MAX => self.subscriptions.push(one),
                        None => {}
                    }
                }
            }
            "subscription_state" => {
                let known = self.subscriptions.iter_mut();
                let known = known.filter(|one| data["id"] == one.id);
                known.for_each(|one| one.learn(data));
            }
            "subscription_removed" => self.subscriptions.retain(|one| data["id"] != one.id),
            "edited" => {
                let known = self.messages.iter_mut();
                let (id, says) = (data["id"].as_u64(), text(&data["text"]));
                for line in known.filter(|line| Some(line.id) == id) {
                    let from = line.about.split(": ").next().unwrap_or_default();
                    line.about = format!("{from}: {}", excerpt(&says, EXCERPT));
                }
            }
            "removed" => {
                let ids: Vec<u64> = list(&data["ids"]).filter_map(Value::as_u64).collect();
                self.messages.retain(|line| !ids.contains(&line.id));
            }
            _ => {}
        }
    }

    /// Whether a name is a program's, as far as that is known.
    pub fn is_bot(&self, name: &str) -> bool {
        self.bots.contains(name) || self.hooks.iter().any(|hook| hook.name == name)
    }

    /// A message was shown in its chat.
    pub fn shown(&mut self, chat: &str, message: &Message) {
        if message.bot && self.bots.len() < MAX {
            self.bots.insert(message.from.clone());
        }
        let line = Line {
            id: message.id,
            chat: chat.to_owned(),
            from: message.from.clone(),
            about: format!(
                "{}: {}",
                safe_line(&message.from),
                excerpt(&message.text, EXCERPT)
            ),
            file: message.file.as_ref().map(|file| safe_line(&file.name)),
        };
        // Older pages come later.
        let at = self.messages.partition_point(|known| known.id < line.id);
        match self
            .messages
            .get_mut(at)
            .filter(|known| known.id == line.id)
        {
            Some(known) => *known = line,
            None => self.messages.insert(at, line),
        }
        if self.messages.len() > MAX_MESSAGES {
            self.messages.pop_front();
        }
    }

    /// A link was made.
    pub fn link(&mut self, room: &str, code: &str) {
        if self.links.len() < MAX {
            self.links.push((room.to_owned(), code.to_owned()));
        }
    }

    /// A link is dead, or, without a code, all of the room's.
    pub fn unlink(&mut self, room: &str, code: Option<&str>) {
        self.links
            .retain(|(known, of)| known != room || code.is_some_and(|code| code != of));
    }

    /// Who asks to come into which of one's rooms: the rooms' addresses and titles, and names.
    pub fn requests(&self) -> Vec<(String, String, String)> {
        let asked = self.rooms.iter().flat_map(|room| {
            let of = |name: &String| (room.address.clone(), room.title.clone(), name.clone());
            room.asking.iter().map(of)
        });
        asked.collect()
    }
}

/// The beginning of the id of what is scheduled, and how it begins.
fn scheduled(item: &Value) -> (String, String) {
    let id: String = text(&item["id"]).chars().take(SHORT).collect();
    (id, excerpt(&text(&item["text"]), EXCERPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn garden() -> Known {
        let mut known = Known::default();
        known.learn_rooms(&json!({
            "rooms": [{"room": "room:7", "title": "Garden", "members": ["ann", "bob"],
                "invites": [{"user": "carl"}], "requests": [{"user": "eve"}]}],
            "invites": [{"room": "room:8", "title": "Attic", "user": "ann"}],
        }));
        known
    }

    fn learn(known: &mut Known, kind: &str, data: Value) {
        known.learn(&Event::new(kind, data), "ann");
    }

    #[test]
    fn who_is_in_a_room_and_who_may_be_follows_the_events() {
        let mut known = garden();
        let of = |user: &str| json!({"room": "room:7", "title": "Garden", "user": user});
        assert_eq!(known.requests()[0].2, "eve");
        learn(&mut known, "joined", of("eve"));
        learn(&mut known, "joined", of("carl"));
        learn(&mut known, "left", of("bob"));
        learn(&mut known, "join_request", of("dan"));
        learn(&mut known, "join_request", of("fay"));
        learn(&mut known, "refused", of("fay"));
        learn(&mut known, "invited", of("gus"));
        let room = known.room("room:7").unwrap();
        assert_eq!(room.members, ["ann", "eve", "carl"]);
        assert_eq!(
            (&room.asking[..], &room.invited[..]),
            (&["dan".to_owned()][..], &["gus".to_owned()][..])
        );
        learn(&mut known, "left", of("ann"));
        assert!(known.room("room:7").is_none());
        assert!(known.requests().is_empty());
    }

    #[test]
    fn an_invitation_is_there_until_it_is_taken_or_taken_back() {
        for (kind, data) in [
            ("joined", json!({"room": "room:8", "user": "ann"})),
            ("refused", json!({"room": "room:8", "of": "invite"})),
        ] {
            let mut known = garden();
            assert_eq!(known.invites.len(), 1);
            learn(&mut known, kind, data);
            assert!(known.invites.is_empty(), "{kind}");
        }
    }

    #[test]
    fn what_waits_is_known_until_it_is_sent_or_cancelled() {
        let mut known = Known::default();
        known.learn_scheduled(&json!({"scheduled": [
            {"id": "3f1c2a9e-6f0b", "text": "one", "state": "waiting"},
            {"id": "4f1c2a9e-6f0b", "text": "two", "state": "sent"},
        ]}));
        learn(
            &mut known,
            "scheduled",
            json!({"id": "5f1c2a9e-6f0b", "text": "three"}),
        );
        let ids = |known: &Known| -> Vec<String> {
            known.scheduled.iter().map(|(id, _)| id.clone()).collect()
        };
        assert_eq!(ids(&known), ["3f1c2a9e", "5f1c2a9e"]);
        learn(&mut known, "cancelled", json!({"id": "3f1c2a9e-6f0b"}));
        learn(&mut known, "scheduled_sent", json!({"id": "5f1c2a9e-6f0b"}));
        assert!(known.scheduled.is_empty());
    }

    #[test]
    fn hooks_are_known_until_they_are_removed_and_with_whether_they_work() {
        let mut known = Known::default();
        let hook = |id: u64, to: &str| json!({"id": id, "name": "ci", "to": to, "works": true});
        known.learn_hooks(&json!({"hooks": [hook(31, "common"), hook(45, "room:7")]}));
        learn(&mut known, "hook", hook(47, "@me"));
        learn(&mut known, "hook", hook(47, "@me"));
        let works = |known: &Known| -> Vec<(u64, bool)> {
            let hooks = known.hooks.iter();
            hooks.map(|hook| (hook.id, hook.works)).collect()
        };
        assert_eq!(works(&known), [(31, true), (45, true), (47, true)]);
        let of = |user: &str| json!({"room": "room:7", "user": user});
        learn(&mut known, "left", of("bob"));
        learn(&mut known, "left", of("ann"));
        assert_eq!(works(&known), [(31, true), (45, false), (47, true)]);
        learn(&mut known, "joined", of("ann"));
        learn(&mut known, "hook_removed", json!({"id": 31}));
        assert_eq!(works(&known), [(45, true), (47, true)]);
    }

    #[test]
    fn subscriptions_are_known_as_they_stand_until_they_end() {
        let mut known = Known::default();
        let one = |id: u64, chat: &str| json!({"id": id, "chat": chat, "url": "http://h", "works": true, "state": "on"});
        known.learn_subscriptions(&json!({"subscriptions": [one(31, "common")]}));
        learn(&mut known, "subscription", one(45, "room:7"));
        learn(&mut known, "subscription", one(45, "room:7"));
        learn(&mut known, "left", json!({"room": "room:7", "user": "ann"}));
        let works: Vec<bool> = known.subscriptions.iter().map(|one| one.works).collect();
        assert_eq!(works, [true, false]);
        let before = known.subscriptions[0].clone();
        let failure = json!({"reason": "timeout", "times": 1, "since": "T", "at": "T"});
        let state = json!({"id": 31, "state": "off", "failure": failure});
        learn(&mut known, "subscription_state", state);
        assert_ne!(known.subscriptions[0], before);
        learn(
            &mut known,
            "subscription_state",
            json!({"id": 31, "state": "on"}),
        );
        assert_eq!(known.subscriptions[0], before);
        learn(&mut known, "subscription_removed", json!({"id": 31}));
        assert_eq!(known.subscriptions.len(), 1);
    }

    #[test]
    fn the_last_messages_are_known_in_their_order_and_up_to_a_bound() {
        let mut known = Known::default();
        let message = |id: u64| -> Message {
            serde_json::from_value(json!({"id": id, "from": "bob", "to": "common", "text": "x",
                "at": "2026-11-24T20:18:55.123Z"}))
            .unwrap()
        };
        for id in (100..=100 + MAX_MESSAGES as u64).chain([50]) {
            known.shown("common", &message(id));
            known.shown("common", &message(id));
        }
        let ids: Vec<u64> = known.messages.iter().map(|line| line.id).collect();
        assert_eq!(ids.len(), MAX_MESSAGES);
        assert!(ids.is_sorted());
        learn(&mut known, "removed", json!({"to": "common", "ids": [200]}));
        assert_eq!(known.messages.len(), MAX_MESSAGES - 1);
    }

    #[test]
    fn a_link_is_known_until_it_is_ended() {
        let mut known = Known::default();
        for code in ["a", "b", "c"] {
            known.link("room:7", code);
        }
        known.link("room:8", "d");
        known.unlink("room:7", Some("b"));
        assert_eq!(known.links.len(), 3);
        known.unlink("room:7", None);
        assert_eq!(known.links, [("room:8".to_owned(), "d".to_owned())]);
    }
}
