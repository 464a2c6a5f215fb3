//! Rooms: who is in them, and who may come in; by a link, in `rooms/links.rs`.

mod links;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Made, Outcome, Refusal};
use super::posts::{Purpose, To};
use super::{Chat, ChatIx, INVITES, Kind, MEMBERS, Model, Moment, Ms, OWNED, Told, UserIx, time};

/// The most characters of a title.
const TITLE: usize = 100;

#[derive(Default)]
pub struct Room {
    pub uuid: String,
    pub title: String,
    /// Whether members see what was posted before they came.
    pub all: bool,
    pub owner: UserIx,
    /// When it was made, by its first member.
    founded: Moment,
    /// In order of joining, and since when.
    pub members: Vec<(UserIx, Moment)>,
    invites: BTreeMap<UserIx, Invite>,
    /// How many invitations and requests were made.
    made: u64,
    links: Vec<Link>,
    requests: BTreeMap<UserIx, Request>,
    /// Until when they may not ask again.
    refused: BTreeMap<UserIx, Ms>,
}

#[derive(Clone, Copy)]
struct Invite {
    by: UserIx,
    at: Ms,
    /// Which of the room's it is.
    nth: u64,
}

#[derive(Clone)]
struct Request {
    code: String,
    at: Ms,
    /// Which of the room's it is.
    nth: u64,
}

struct Link {
    code: String,
    by: UserIx,
    at: Ms,
    expires: Option<Ms>,
    uses: Option<u64>,
    /// Whether its owner was told that its time is over.
    over: bool,
}

impl Link {
    fn is_alive(&self, now: Ms) -> bool {
        let is_in_time = self.expires.is_none_or(|expires| expires > now);
        !self.over && self.uses != Some(0) && is_in_time
    }

    /// When its time is over, until its owner was told; of one that is spent they were.
    fn next_end(&self) -> Option<Ms> {
        self.expires.filter(|_| !self.over && self.uses != Some(0))
    }
}

impl Room {
    pub fn since(&self, user: UserIx) -> Option<Moment> {
        let member = self.members.iter().find(|(member, _)| *member == user)?;
        Some(member.1)
    }

    /// The same of one who was let in; who made the room was not.
    pub fn entered(&self, user: UserIx) -> Option<Moment> {
        self.since(user).filter(|since| *since != self.founded)
    }

    pub fn history(&self) -> &'static str {
        if self.all { "all" } else { "joined" }
    }

    pub fn invited(&self) -> Vec<UserIx> {
        self.invites.keys().copied().collect()
    }

    pub fn asking(&self) -> Vec<UserIx> {
        self.requests.keys().copied().collect()
    }

    pub fn codes(&self) -> Vec<String> {
        self.links.iter().map(|link| link.code.clone()).collect()
    }

    /// Whether somebody may still come by an invitation.
    pub fn is_invited(&self, user: UserIx, nth: u64) -> bool {
        self.invites
            .get(&user)
            .is_some_and(|invite| invite.nth == nth)
    }

    /// Whether somebody still asks.
    pub fn is_asking(&self, user: UserIx, nth: u64) -> bool {
        let request = self.requests.get(&user);
        request.is_some_and(|request| request.nth == nth)
    }

    /// Whether there is a link that can be used.
    pub fn has_link(&self, code: &str, now: Ms) -> bool {
        let link = self.link(code).map(|link| &self.links[link]);
        link.is_some_and(|link| link.is_alive(now))
    }

    fn link(&self, code: &str) -> Option<usize> {
        self.links.iter().position(|link| link.code == code)
    }
}

fn full(count: usize, most: usize) -> Result<(), Refusal> {
    if count < most {
        Ok(())
    } else {
        Err(Refusal::new(429, "too_many"))
    }
}

impl Model {
    /// A room that has members.
    pub fn room(&self, chat: ChatIx) -> Option<&Room> {
        match &self.chats[chat].kind {
            Kind::Room(room) if !room.members.is_empty() => Some(room),
            _ => None,
        }
    }

    /// The title of a room, also when it has ended.
    pub fn title(&self, chat: ChatIx) -> Option<&str> {
        match &self.chats[chat].kind {
            Kind::Room(room) => Some(&room.title),
            _ => None,
        }
    }

    fn room_mut(&mut self, chat: ChatIx) -> &mut Room {
        match &mut self.chats[chat].kind {
            Kind::Room(room) => room,
            _ => unreachable!("a room was looked up"),
        }
    }

    pub fn find_room(&self, uuid: &str) -> Option<ChatIx> {
        let mut chats = 0..self.chats.len();
        chats.find(|chat| self.room(*chat).is_some_and(|room| room.uuid == uuid))
    }

    /// A room as it is found by one of its members.
    fn own(&self, by: UserIx, uuid: &str) -> Result<ChatIx, Refusal> {
        let chat = self
            .find_room(uuid)
            .filter(|chat| self.is_member(*chat, by));
        chat.ok_or_else(Refusal::not_found)
    }

    /// A room as it is found by its owner.
    fn owned(&self, by: UserIx, uuid: &str) -> Result<(ChatIx, &Room), Refusal> {
        let chat = self.own(by, uuid)?;
        let room = self.room(chat).filter(|room| room.owner == by);
        Ok((chat, room.ok_or_else(|| Refusal::new(403, "not_owner"))?))
    }

    /// The whole room, as one of its members sees it.
    pub fn whole(&self, room: &Room, to: UserIx) -> Value {
        let name = |user: &UserIx| &self.users[*user].name;
        let mut whole = json!({
            "room": format!("room:{}", room.uuid),
            "title": room.title,
            "owner": name(&room.owner),
            "members": room.members.iter().map(|(user, _)| name(user)).collect::<Vec<_>>(),
            "history": room.history(),
        });
        if room.owner == to {
            let wait = |user, at: Ms| json!({"user": name(user), "at": time(at)});
            let invites = room
                .invites
                .iter()
                .map(|(user, invite)| wait(user, invite.at));
            whole["invites"] = invites.collect();
            whole["requests"] = self.requests(room);
            whole["links"] = self.links(room);
        }
        whole
    }

    pub fn links(&self, room: &Room) -> Value {
        let alive = room.links.iter().filter(|link| link.is_alive(self.now));
        alive
            .map(|link| {
                let expires = link.expires.map(time);
                json!({"at": time(link.at), "expires": expires, "uses": link.uses})
            })
            .collect()
    }

    fn requests(&self, room: &Room) -> Value {
        let requests = room.requests.iter();
        requests
            .map(|(user, request)| json!({"user": self.users[*user].name, "at": time(request.at)}))
            .collect()
    }

    fn invitation(&self, room: &Room, user: UserIx) -> Option<Value> {
        let invite = room.invites.get(&user)?;
        Some(json!({
            "room": format!("room:{}", room.uuid),
            "title": room.title,
            "user": self.users[user].name,
            "from": self.users[invite.by].name,
            "at": time(invite.at),
        }))
    }

    pub fn make_room(&mut self, by: UserIx, title: &str, all: bool, seen: &Value) -> Outcome {
        let length = title.chars().count();
        if length > TITLE || title.trim().is_empty() || title.contains(char::is_control) {
            return Err(Refusal::invalid("title"));
        }
        let chats = 0..self.chats.len();
        let owned = chats.filter(|chat| self.room(*chat).is_some_and(|room| room.owner == by));
        full(owned.count(), OWNED)?;
        self.check(by, To::User(by), Purpose::Upload, title, None)?;
        let address = seen["room"].as_str().unwrap_or_default();
        let uuid = address.strip_prefix("room:").unwrap_or_default().to_owned();
        let joined = self.moment(None);
        let room = Room {
            uuid: uuid.clone(),
            title: title.to_owned(),
            all,
            owner: by,
            founded: joined,
            members: vec![(by, joined)],
            ..Room::default()
        };
        let body = self.whole(&room, by);
        let chat = self.chats.len();
        self.chats.push(Chat {
            kind: Kind::Room(room),
            last: None,
        });
        self.users[by].marks.insert(chat, joined);
        self.tell(vec![by], Told::Room(chat, by));
        let headers = vec![("location", format!("/rooms/{uuid}"))];
        Ok(Answer {
            headers,
            made: Some(Made::Room(chat)),
            ..Answer::new(201, body)
        })
    }

    pub fn list_rooms(&self, by: UserIx) -> Answer {
        let rooms = (0..self.chats.len()).filter_map(|chat| self.room(chat));
        let own = rooms.clone().filter(|room| room.since(by).is_some());
        let asked = rooms.clone().filter_map(|room| {
            let at = room.requests.get(&by)?.at;
            Some(json!({"title": room.title, "at": time(at)}))
        });
        Answer::ok(json!({
            "rooms": own.map(|room| self.whole(room, by)).collect::<Vec<_>>(),
            "invites": rooms.filter_map(|room| self.invitation(room, by)).collect::<Vec<_>>(),
            "requests": asked.collect::<Vec<_>>(),
        }))
    }

    pub fn one_room(&self, by: UserIx, uuid: &str) -> Outcome {
        let room = self.room(self.own(by, uuid)?);
        let room = room.ok_or_else(Refusal::not_found)?;
        Ok(Answer::ok(self.whole(room, by)))
    }

    pub fn invite(&mut self, by: UserIx, uuid: &str, name: &str) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        let user = self.find(name).ok_or_else(Refusal::not_found)?;
        if room.since(user).is_some() {
            return Err(Refusal::new(409, "already_member"));
        }
        let is_new = !room.invites.contains_key(&user);
        if is_new {
            full(room.invites.len(), INVITES)?;
            let at = self.now;
            let room = self.room_mut(chat);
            room.made += 1;
            let nth = room.made;
            room.invites.insert(user, Invite { by, at, nth });
        }
        let room = self.room(chat).ok_or_else(Refusal::not_found)?;
        let made = Made::Invite(chat, user, room.invites[&user].nth);
        let body = self.invitation(room, user).unwrap_or_default();
        if is_new {
            self.tell(vec![by, user], Told::Plain("invited", body.clone()));
        }
        Ok(Answer {
            made: Some(made),
            ..Answer::new(201, body)
        })
    }

    pub fn uninvite(&mut self, by: UserIx, uuid: &str, name: &str) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        let user = self
            .find(name)
            .filter(|user| room.invites.contains_key(user));
        let user = user.ok_or_else(Refusal::not_found)?;
        self.room_mut(chat).invites.remove(&user);
        self.tell_refused(chat, "invite", user, vec![by, user]);
        Ok(Answer::none())
    }

    /// Tells some of what happened to a user in a room.
    fn tell_of(&mut self, chat: ChatIx, kind: &'static str, user: UserIx, to: Vec<UserIx>) {
        let data = self.happened(chat, user);
        self.tell(to, Told::Titled(kind, chat, data));
    }

    /// The same of an invitation or a request that is refused.
    fn tell_refused(&mut self, chat: ChatIx, of: &str, user: UserIx, to: Vec<UserIx>) {
        let mut data = self.happened(chat, user);
        data["of"] = json!(of);
        self.tell(to, Told::Titled("refused", chat, data));
    }

    fn happened(&self, chat: ChatIx, user: UserIx) -> Value {
        let (user, at) = (&self.users[user].name, time(self.now));
        json!({"room": self.spell(chat, None), "user": user, "at": at})
    }

    fn let_in(&mut self, chat: ChatIx, user: UserIx) -> Result<(), Refusal> {
        if self.members(chat).len() >= MEMBERS {
            return Err(Refusal::new(409, "room_full"));
        }
        let joined = self.moment(None);
        let room = self.room_mut(chat);
        room.members.push((user, joined));
        room.invites.remove(&user);
        let request = room.requests.remove(&user);
        let title = room.title.clone();
        room.refused.remove(&user);
        self.users[user].marks.insert(chat, joined);
        self.tell_of(chat, "joined", user, self.members(chat));
        self.tell(vec![user], Told::Room(chat, user));
        if let Some(Request { at: asked, .. }) = request {
            let (asked, at) = (time(asked), time(self.now));
            let own = json!({"title": title, "state": "approved", "asked": asked, "at": at});
            self.tell(vec![user], Told::Plain("join_request", own));
        }
        Ok(())
    }

    pub fn enter(&mut self, by: UserIx, uuid: &str) -> Outcome {
        let chat = self.find_room(uuid).ok_or_else(Refusal::not_found)?;
        if !self.is_member(chat, by) {
            let room = self
                .room(chat)
                .filter(|room| room.invites.contains_key(&by));
            room.ok_or_else(Refusal::not_found)?;
            self.let_in(chat, by)?;
        }
        let answer = self.one_room(by, uuid)?;
        let joined = self.room(chat).and_then(|room| room.entered(by));
        Ok(Answer {
            made: joined.map(|joined| Made::Member(chat, by, joined)),
            ..answer
        })
    }

    /// Takes a user out, after those in the room, and they themselves, were told.
    fn take_out(&mut self, chat: ChatIx, user: UserIx, removed: bool, heir: Option<UserIx>) {
        let heir = heir.map(|heir| &self.users[heir].name);
        let left = json!({
            "room": self.spell(chat, None),
            "user": self.users[user].name,
            "removed": removed,
            "owner": heir,
            "at": time(self.now),
        });
        self.tell(self.members(chat), Told::Plain("left", left));
        self.room_mut(chat)
            .members
            .retain(|(member, _)| *member != user);
        self.users[user].marks.remove(&chat);
    }

    /// Tells some that their invitation is void.
    fn void(&mut self, chat: ChatIx, invited: Vec<UserIx>) {
        let Kind::Room(room) = &self.chats[chat].kind else {
            return;
        };
        let (room, title) = (format!("room:{}", room.uuid), &room.title);
        let data = json!({"room": room, "title": title, "of": "invite", "at": time(self.now)});
        self.tell(invited, Told::Plain("refused", data));
    }

    pub fn remove(&mut self, by: UserIx, uuid: &str, name: &str) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        let user = self.find(name).filter(|user| room.since(*user).is_some());
        let user = user.ok_or_else(Refusal::not_found)?;
        if user == by {
            return Err(Refusal::new(409, "is_owner"));
        }
        let theirs = room.invites.iter().filter(|(_, invite)| invite.by == user);
        let void: Vec<UserIx> = theirs.map(|(invited, _)| *invited).collect();
        let loses = !void.is_empty() || room.links.iter().any(|link| link.by == user);
        self.take_out(chat, user, true, None);
        let room = self.room_mut(chat);
        room.invites.retain(|_, invite| invite.by != user);
        room.links.retain(|link| link.by != user);
        self.void(chat, void);
        if loses {
            self.tell(vec![by], Told::Room(chat, by));
        }
        Ok(Answer::none())
    }

    pub fn leave(&mut self, by: UserIx, uuid: &str) -> Outcome {
        let chat = self.own(by, uuid)?;
        let is_owner = self.room(chat).is_some_and(|room| room.owner == by);
        let others = self.members(chat).into_iter().find(|member| *member != by);
        let heir = others.filter(|_| is_owner);
        self.take_out(chat, by, false, heir);
        if let Some(heir) = heir {
            self.room_mut(chat).owner = heir;
            self.tell(vec![heir], Told::Room(chat, heir));
        } else if is_owner {
            let at = time(self.now);
            let room = std::mem::take(self.room_mut(chat));
            let invited = room.invites.keys().copied().collect();
            // What is left of it is its name.
            let (uuid, title) = (room.uuid, room.title);
            *self.room_mut(chat) = Room {
                uuid,
                title: title.clone(),
                ..Room::default()
            };
            self.void(chat, invited);
            for (user, Request { at: asked, .. }) in room.requests {
                let asked = time(asked);
                let own = json!({"title": title, "of": "request", "asked": asked, "at": at});
                self.tell(vec![user], Told::Plain("refused", own));
            }
        }
        Ok(Answer::none())
    }
}
