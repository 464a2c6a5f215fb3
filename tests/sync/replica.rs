//! What a client holds: filled once by asking, and kept by events alone from then on.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use veche::testing::Event;

use crate::asked::{in_order, list, number, object, sorted, text};

/// A client's copy of all that.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    me: String,
    users: BTreeSet<String>,
    clients: BTreeMap<String, Value>,
    /// The private chats that there are, by address.
    private: BTreeSet<String>,
    messages: BTreeMap<u64, Value>,
    comments: BTreeMap<u64, BTreeMap<u64, Value>>,
    unread: BTreeSet<u64>,
    /// How far chats are read, by address, as far as that was told; nothing where it is not shown.
    read: BTreeMap<String, u64>,
    shows_read: bool,
    complaints: Value,
    schedules: bool,
    scheduled: BTreeMap<String, Value>,
    rooms: BTreeMap<String, Value>,
    invites: BTreeMap<String, Value>,
    requests: Vec<Value>,
    /// Rooms that were just entered and show their past, which no event repeats.
    entered: Vec<String>,
}

impl Replica {
    /// What was asked for, as a client holds it.
    pub fn of(me: &str, asked: &Value) -> Self {
        let chats = object(&asked["chats"]);
        let mut replica = Self {
            me: me.to_owned(),
            users: list(&asked["users"]).iter().map(text).collect(),
            clients: object(&asked["clients"]).into_iter().collect(),
            private: chats
                .keys()
                .filter(|chat| chat.starts_with('@'))
                .cloned()
                .collect(),
            messages: BTreeMap::new(),
            comments: BTreeMap::new(),
            unread: list(&asked["unread"]).iter().map(number).collect(),
            read: chats
                .iter()
                .map(|(chat, about)| (chat.clone(), number(&about["web"]["read"])))
                .collect(),
            shows_read: chats.values().any(|about| !about["web"].is_null()),
            complaints: asked["user"]["complaints"].clone(),
            schedules: !asked["user"]["schedule"].is_null(),
            scheduled: object(&asked["scheduled"]).into_iter().collect(),
            rooms: object(&asked["rooms"]).into_iter().collect(),
            invites: object(&asked["invites"]).into_iter().collect(),
            requests: list(&asked["requests"]),
            entered: Vec::new(),
        };
        let messages = object(&asked["messages"]);
        for message in messages.values().flat_map(list) {
            replica.messages.insert(number(&message["id"]), message);
        }
        let comments = object(&asked["comments"]);
        for comment in comments.values().flat_map(list) {
            replica.comment(comment);
        }
        replica
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        let data = &event.data;
        match event.event.as_str() {
            "hello" | "user" => {}
            "reset" => panic!("a hole in the stream: {event:?}"),
            "client" => self.client(data),
            "message" => self.message(data),
            "removed" => {
                for id in list(&data["ids"]).iter().map(number) {
                    self.remove(id);
                }
            }
            "edited" => {
                let id = number(&data["id"]);
                if let Some(message) = self.messages.get_mut(&id) {
                    for part in ["text", "edited"] {
                        message[part] = data[part].clone();
                    }
                }
            }
            "delivered" => {
                for told in list(&data["messages"]) {
                    if let Some(message) = self.messages.get_mut(&number(&told["id"])) {
                        let fields = object(&told).into_iter();
                        fields.for_each(|(name, value)| message[name] = value);
                    }
                }
            }
            "read" => {
                let upto = number(&data["upto"]);
                self.read.insert(text(&data["chat"]), upto);
                let ids = self.unread.iter().copied().filter(|id| *id <= upto);
                for id in ids.collect::<Vec<_>>() {
                    if self.chat_of(id).is_none_or(|chat| data["chat"] == chat) {
                        self.unread.remove(&id);
                    }
                }
            }
            "comment" => self.comment(data.clone()),
            "reaction" => self.reaction(data),
            "warned" | "warning_ended" | "banned" | "unbanned" => {
                self.complaints = json!({
                    "warnings": data["warnings"],
                    "limit": data["limit"],
                    "banned_until": data["banned_until"],
                });
            }
            "scheduled" | "scheduled_sent" | "scheduled_failed" => {
                self.scheduled.insert(text(&data["id"]), data.clone());
            }
            "cancelled" | "scheduled_forgotten" => {
                self.scheduled.remove(&text(&data["id"]));
            }
            kind => self.room(kind, data),
        }
    }

    /// The rooms that were entered since this was last asked, and whose past is shown.
    pub fn entered(&mut self) -> Vec<String> {
        std::mem::take(&mut self.entered)
    }

    /// The past of a room, and the comments on it.
    pub fn past(&mut self, messages: Vec<Value>, comments: Vec<Value>) {
        for message in messages {
            self.messages.insert(number(&message["id"]), message);
        }
        comments
            .into_iter()
            .for_each(|comment| self.comment(comment));
    }

    fn client(&mut self, data: &Value) {
        let id = text(&data["id"]);
        if data["live"] == true {
            let about = json!({"agent": data["agent"], "since": data["since"]});
            self.clients.insert(id, about);
        } else {
            self.clients.remove(&id);
        }
    }

    fn message(&mut self, message: &Value) {
        let id = number(&message["id"]);
        if message["from"] != self.me.as_str() {
            self.unread.insert(id);
        }
        let address = self.address(message);
        if address.starts_with('@') {
            self.private.insert(address);
        }
        self.messages.insert(id, message.clone());
    }

    fn reaction(&mut self, data: &Value) {
        let Some(message) = self.messages.get_mut(&number(&data["message"])) else {
            return;
        };
        let mut all = list(&message["reactions"]);
        let before = all.iter().position(|one| one["emoji"] == data["emoji"]);
        let before = before.map(|place| all.remove(place));
        let was_mine = before.is_some_and(|one| one["mine"] == true);
        let mine = match data["user"] == self.me.as_str() {
            true => data["on"] == true,
            false => was_mine,
        };
        if data["count"] != 0 {
            let part = |name: &str| data[name].clone();
            let (emoji, count, first) = (part("emoji"), part("count"), part("first"));
            all.push(json!({"emoji": emoji, "count": count, "mine": mine, "first": first}));
            all.sort_by_key(|one| number(&one["first"]));
        }
        if all.is_empty() {
            message
                .as_object_mut()
                .map(|message| message.shift_remove("reactions"));
        } else {
            message["reactions"] = all.into();
        }
    }

    fn comment(&mut self, comment: Value) {
        let on = self.comments.entry(number(&comment["message"]));
        on.or_default().insert(number(&comment["id"]), comment);
    }

    fn remove(&mut self, id: u64) {
        self.messages.remove(&id);
        self.comments.remove(&id);
        self.unread.remove(&id);
    }

    fn room(&mut self, kind: &str, data: &Value) {
        let (address, title, user) = (text(&data["room"]), &data["title"], &data["user"]);
        let is_me = *user == self.me.as_str();
        match kind {
            "room" if data.get("members").is_some() => {
                let before = self.rooms.insert(address.clone(), in_order(data.clone()));
                if before.is_none() && data["history"] == "all" {
                    self.entered.push(address);
                }
            }
            "room" if data["owner"].is_string() => {
                let is_mine = data["owner"] == self.me.as_str();
                self.change(&address, |room| {
                    room["owner"] = data["owner"].clone();
                    // What only an owner has; the new one is told it all by the next event.
                    if !is_mine && let Some(room) = room.as_object_mut() {
                        for part in ["invites", "links", "requests"] {
                            room.remove(part);
                        }
                    }
                });
            }
            "room" => self.change(&address, |room| room["links"] = sorted(&data["links"])),
            "joined" if is_me => {
                self.invites.remove(&address);
            }
            "joined" => self.change(&address, |room| {
                without(room, "invites", user);
                without(room, "requests", user);
                let mut members = list(&room["members"]);
                if !members.contains(user) {
                    members.push(user.clone());
                    room["members"] = members.into();
                }
            }),
            "left" if is_me => {
                self.rooms.remove(&address);
                self.read.remove(&address);
                let gone = self.messages.iter();
                let gone = gone.filter(|(_, message)| message["to"] == address.as_str());
                for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.remove(id);
                }
            }
            "left" => self.change(&address, |room| {
                let members = list(&room["members"]).into_iter();
                room["members"] = members.filter(|member| member != user).collect();
                if data["owner"].is_string() {
                    room["owner"] = data["owner"].clone();
                }
            }),
            "invited" if is_me => {
                self.invites.insert(address, data.clone());
            }
            "invited" => self.change(&address, |room| with(room, "invites", data)),
            "join_request" if user.is_string() => {
                self.change(&address, |room| with(room, "requests", data));
            }
            "join_request" if data["state"] == "pending" => {
                let request = json!({"title": title, "at": data["at"]});
                self.requests.retain(|one| *one != request);
                self.requests.push(request);
            }
            "refused" if data["of"] == "invite" && (is_me || user.is_null()) => {
                self.invites.remove(&address);
            }
            "refused" if data["of"] == "invite" => {
                self.change(&address, |room| without(room, "invites", user));
            }
            "refused" if user.is_string() => {
                self.change(&address, |room| without(room, "requests", user));
            }
            "join_request" | "refused" => {
                let request = json!({"title": title, "at": data["asked"]});
                self.requests.retain(|one| *one != request);
            }
            _ => panic!("an event that nobody wrote down: {kind} {data}"),
        }
    }

    fn change(&mut self, room: &str, change: impl FnOnce(&mut Value)) {
        // One that was left meanwhile is none of theirs.
        if let Some(room) = self.rooms.get_mut(room) {
            change(room);
        }
    }

    /// The address of a message's chat, as the replica's user writes it.
    fn address(&self, message: &Value) -> String {
        let to = text(&message["to"]);
        if to.starts_with('@') && message["from"] != self.me.as_str() {
            return format!("@{}", text(&message["from"]));
        }
        to
    }

    fn chat_of(&self, id: u64) -> Option<String> {
        self.messages.get(&id).map(|message| self.address(message))
    }

    /// What the client would show, with what is not told by events that are kept: who is there,
    /// which is told to those who are there themselves, and private chats in which nothing is left.
    pub fn view_beside(&self, truth: &Value) -> Value {
        let mut view = self.view();
        view["users"] = truth["users"].clone();
        view["chats"]["common"]["members"] = truth["chats"]["common"]["members"].clone();
        for (address, chat) in object(&truth["chats"]) {
            let is_empty = list(&truth["messages"][&address]).is_empty();
            if address.starts_with('@') && is_empty && view["chats"][&address].is_null() {
                view["messages"][&address] = truth["messages"][&address].clone();
                view["chats"][&address] = chat.clone();
            }
            // That of coming into a room is told by no event.
            if address.starts_with("room:") && !self.read.contains_key(&address) {
                view["chats"][&address]["web"] = chat["web"].clone();
            }
        }
        view
    }

    /// What the client would show: in the form of [`asked`](crate::asked::asked).
    fn view(&self) -> Value {
        let mut messages: Map<String, Value> = Map::new();
        let mut chats: Map<String, Value> = Map::new();
        let common = json!({"kind": "common", "title": "common", "members": self.users.len()});
        chats.insert("common".into(), common);
        for address in &self.private {
            let name = &address[1..];
            let members = if name == self.me { 1 } else { 2 };
            let chat = json!({"kind": "private", "title": name, "members": members});
            chats.insert(address.clone(), chat);
        }
        for (address, room) in &self.rooms {
            let chat = json!({
                "kind": "room",
                "title": room["title"],
                "members": list(&room["members"]).len(),
                "rooms": {"owner": room["owner"], "history": room["history"]},
            });
            chats.insert(address.clone(), chat);
        }
        for (address, chat) in &mut chats {
            chat["unread"] = 0.into();
            if self.shows_read {
                let read = self.read.get(address).copied().unwrap_or_default();
                chat["web"] = json!({"read": read});
            }
            chat["last"] = Value::Null;
            messages.insert(address.clone(), json!([]));
        }
        for (id, message) in &self.messages {
            let address = self.address(message);
            let mut message = message.clone();
            if message.get("comments").is_some() {
                let count = self.comments.get(id).map_or(0, BTreeMap::len);
                message["comments"] = count.into();
            }
            let chat = &mut chats[&address];
            if self.unread.contains(id) {
                chat["unread"] = (number(&chat["unread"]) + 1).into();
                if list(&message["mentions"]).contains(&self.me.as_str().into()) {
                    let mut calling = list(&chat["mentions"]["unread"]);
                    calling.push((*id).into());
                    chat["mentions"] = json!({"unread": calling});
                }
            }
            chat["last"] = message.clone();
            if let Some(history) = messages[&address].as_array_mut() {
                history.push(message);
            }
        }
        let mut rooms = self.rooms.clone();
        let now = jiff::Timestamp::now();
        for room in rooms.values_mut().filter(|room| room["links"].is_array()) {
            let links = list(&room["links"]).into_iter();
            let lives = |link: &Value| {
                let ends = link["expires"].as_str().map(str::parse::<jiff::Timestamp>);
                ends.is_none_or(|ends| ends.is_ok_and(|ends| ends > now))
            };
            room["links"] = links.filter(lives).collect();
        }
        let comments = self.comments.iter().map(|(message, comments)| {
            let comments: Vec<Value> = comments.values().cloned().collect();
            (message.to_string(), comments.into())
        });
        let mut scheduled: Map<String, Value> = Map::new();
        for (id, one) in &self.scheduled {
            let mut one = one.clone();
            if let Some(message) = one["message"]
                .as_u64()
                .and_then(|id| self.messages.get(&id))
            {
                one["text"] = message["text"].clone();
            }
            scheduled.insert(id.clone(), one);
        }
        let mut user = Map::new();
        if !self.complaints.is_null() {
            user.insert("complaints".into(), self.complaints.clone());
        }
        if self.schedules {
            let waiting = self.scheduled.values();
            let waiting: Vec<&Value> = waiting.filter(|one| one["state"] == "waiting").collect();
            let next = waiting.iter().filter_map(|one| one["at"].as_str()).min();
            let part = json!({"waiting": waiting.len(), "next": next});
            user.insert("schedule".into(), part);
        }
        json!({
            "user": user,
            "users": self.users,
            "clients": self.clients,
            "chats": chats,
            "messages": messages,
            "comments": comments.collect::<Map<_, _>>(),
            "unread": self.unread,
            "scheduled": scheduled,
            "rooms": rooms,
            "invites": self.invites,
            "requests": sorted(&self.requests.clone().into()),
        })
    }
}

/// Puts somebody who waits into a list that only an owner has.
fn with(room: &mut Value, part: &str, data: &Value) {
    if room.get(part).is_none() {
        return;
    }
    without(room, part, &data["user"]);
    let mut waiting = list(&room[part]);
    waiting.push(json!({"user": data["user"], "at": data["at"]}));
    room[part] = sorted(&waiting.into());
}

fn without(room: &mut Value, part: &str, user: &Value) {
    if room.get(part).is_some() {
        let waiting = list(&room[part]).into_iter();
        room[part] = waiting.filter(|one| one["user"] != *user).collect();
    }
}
