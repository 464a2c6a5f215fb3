//! Links into rooms, and the requests that come by them.

use serde_json::{Value, json};
use veche::prelude::digest;

use super::{Link, Request, Room, full};
use crate::model::answer::{Answer, Made, Outcome, Refusal};
use crate::model::{
    COOLDOWN, Kind, LINKS, Model, Ms, REQUESTS, SECOND, Told, UserIx, seconds, time,
};

impl Model {
    pub fn link(
        &mut self,
        by: UserIx,
        uuid: &str,
        expires: Option<u64>,
        uses: Option<u64>,
        seen: &Value,
    ) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        if uses == Some(0) {
            return Err(Refusal::invalid("uses"));
        }
        if expires == Some(0) {
            return Err(Refusal::invalid("expires"));
        }
        let now = self.now;
        full(
            room.links.iter().filter(|link| link.is_alive(now)).count(),
            LINKS,
        )?;
        let code = seen["link"].as_str().unwrap_or_default().to_owned();
        let expires = expires.map(|life| now + life as Ms * SECOND);
        let room = self.room_mut(chat);
        // A dead one is known only as long as a request came with it.
        let asked: Vec<String> = room
            .requests
            .values()
            .map(|request| request.code.clone())
            .collect();
        room.links
            .retain(|link| link.is_alive(now) || asked.contains(&link.code));
        room.links.push(Link {
            code: code.clone(),
            by,
            at: now,
            expires,
            uses,
            over: false,
        });
        self.tell(vec![by], Told::Links(chat, by));
        let expires = expires.map(time);
        let url = format!("/join/{code}");
        let body = json!({"link": {"?any": true}, "url": url, "at": time(now), "expires": expires});
        Ok(Answer {
            made: Some(Made::Link(chat, code)),
            ..Answer::new(201, body)
        })
    }

    pub fn unlink(&mut self, by: UserIx, uuid: &str, code: &str) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        let link = room
            .link(code)
            .ok_or_else(|| Refusal::new(404, "unknown_link"))?;
        self.room_mut(chat).links.remove(link);
        self.tell(vec![by], Told::Links(chat, by));
        Ok(Answer::none())
    }

    pub fn unlink_all(&mut self, by: UserIx, uuid: &str) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        if !room.links.is_empty() {
            self.room_mut(chat).links.clear();
            self.tell(vec![by], Told::Links(chat, by));
        }
        Ok(Answer::none())
    }

    pub fn list_requests(&self, by: UserIx, uuid: &str) -> Outcome {
        let (_, room) = self.owned(by, uuid)?;
        Ok(Answer::ok(json!({"requests": self.requests(room)})))
    }

    pub fn ask(&mut self, by: UserIx, code: &str) -> Outcome {
        let unknown = || Refusal::new(404, "unknown_link");
        let (now, mut chats) = (self.now, 0..self.chats.len());
        let lives = |room: &Room| {
            room.links
                .iter()
                .any(|link| link.code == code && link.is_alive(now))
        };
        let chat = chats.find(|chat| self.room(*chat).is_some_and(lives));
        let chat = chat.ok_or_else(unknown)?;
        let room = self.room(chat).ok_or_else(unknown)?;
        if room.since(by).is_some() {
            return Err(Refusal::new(409, "already_member"));
        }
        let title = room.title.clone();
        if !room.requests.contains_key(&by) {
            if let Some(until) = room.refused.get(&by).filter(|until| **until > now) {
                return Err(Refusal::new(429, "refused").retry(seconds(now, *until)));
            }
            full(room.requests.len(), REQUESTS)?;
            let owner = room.owner;
            let room = self.room_mut(chat);
            room.made += 1;
            let request = Request {
                code: code.to_owned(),
                at: now,
                nth: room.made,
            };
            room.requests.insert(by, request);
            self.tell_of(chat, "join_request", by, vec![owner]);
            let own = json!({"title": title, "state": "pending", "at": time(now)});
            self.tell(vec![by], Told::Plain("join_request", own));
        }
        let asks = self.room(chat).and_then(|room| room.requests.get(&by));
        Ok(Answer {
            made: asks.map(|request| Made::Request(chat, by, request.nth)),
            ..Answer::new(202, json!({"state": "pending", "title": title}))
        })
    }

    pub fn decide_request(&mut self, by: UserIx, uuid: &str, name: &str, approve: bool) -> Outcome {
        let (chat, room) = self.owned(by, uuid)?;
        let user = self
            .find(name)
            .filter(|user| room.requests.contains_key(user));
        let user = user.ok_or_else(Refusal::not_found)?;
        let now = self.now;
        if !approve {
            let title = room.title.clone();
            let asked = time(room.requests[&user].at);
            let room = self.room_mut(chat);
            room.requests.remove(&user);
            room.refused.retain(|_, until| *until > now);
            room.refused.insert(user, now + COOLDOWN);
            self.tell_refused(chat, "request", user, vec![by]);
            let own = json!({"title": title, "of": "request", "asked": asked, "at": time(now)});
            self.tell(vec![user], Told::Plain("refused", own));
            return Ok(Answer::none());
        }
        let link = room.link(&room.requests[&user].code);
        if link.is_some_and(|link| room.links[link].uses == Some(0)) {
            return Err(Refusal::new(409, "link_spent"));
        }
        self.let_in(chat, user)?;
        if let Some(link) = link {
            let link = &mut self.room_mut(chat).links[link];
            link.uses = link.uses.map(|uses| uses.saturating_sub(1));
            self.tell(vec![by], Told::Links(chat, by));
        }
        let joined = self.room(chat).and_then(|room| room.entered(user));
        Ok(Answer {
            made: joined.map(|joined| Made::Member(chat, user, joined)),
            ..Answer::none()
        })
    }

    /// Tells owners of links whose time is over, in order of that and of their codes' digests.
    pub fn end_links(&mut self) {
        let now = self.now;
        let mut over = Vec::new();
        for chat in 0..self.chats.len() {
            let Kind::Room(room) = &mut self.chats[chat].kind else {
                continue;
            };
            let owner = room.owner;
            for link in &mut room.links {
                if let Some(at) = link.next_end().filter(|at| *at <= now) {
                    link.over = true;
                    over.push((at, digest(&link.code), chat, owner));
                }
            }
        }
        over.sort();
        for (_, _, chat, owner) in over {
            self.tell(vec![owner], Told::Links(chat, owner));
        }
    }

    pub fn next_link_end(&self) -> Option<Ms> {
        let rooms = (0..self.chats.len()).filter_map(|chat| self.room(chat));
        let links = rooms.flat_map(|room| &room.links);
        links.filter_map(Link::next_end).min()
    }
}
