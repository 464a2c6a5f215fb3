//! Posting: addresses, the rules that judge every post, comments, and what ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Made, Outcome, Refusal};
use super::{
    AFTER, COMMON, Chat, ChatIx, Comment, Kind, Message, Model, Moment, Ms, PER, POSTS, TEXT, Told,
    UNDELIVERED, UserIx, seconds, time,
};

/// Where a post goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum To {
    Chat(ChatIx),
    User(UserIx),
}

/// What a post is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Purpose {
    Now,
    Later,
    Upload,
    Change,
}

type Headers = Vec<(&'static str, String)>;

impl Model {
    /// Whom an address in `field` names.
    pub fn address(&self, by: UserIx, field: &'static str, address: &str) -> Result<To, Refusal> {
        if address == "common" {
            return Ok(To::Chat(COMMON));
        }
        if let Some(name) = address.strip_prefix('@') {
            let user = if name == "me" {
                Some(by)
            } else {
                self.find(name)
            };
            return user.map(To::User).ok_or_else(Refusal::unknown_chat);
        }
        let Some(uuid) = address.strip_prefix("room:") else {
            return Err(Refusal::invalid(field));
        };
        let room = self
            .find_room(uuid)
            .filter(|chat| self.is_member(*chat, by));
        room.map(To::Chat).ok_or_else(Refusal::unknown_chat)
    }

    /// A message's address, as everyone in its chat reads it.
    pub fn spell(&self, chat: ChatIx, to: Option<UserIx>) -> String {
        match (&self.chats[chat].kind, to) {
            (_, Some(to)) => format!("@{}", self.users[to].name),
            (Kind::Room(room), None) => format!("room:{}", room.uuid),
            (Kind::Common | Kind::Private(_), None) => "common".to_owned(),
        }
    }

    pub fn private(&self, one: UserIx, other: UserIx) -> Option<ChatIx> {
        self.chats.iter().position(|chat| match chat.kind {
            Kind::Private(pair) => pair == [one, other] || pair == [other, one],
            _ => false,
        })
    }

    pub fn check_text(field: &'static str, text: &str) -> Result<(), Refusal> {
        let fits = (1..=TEXT).contains(&text.chars().count());
        if fits {
            Ok(())
        } else {
            Err(Refusal::invalid(field))
        }
    }

    /// Judges a post by every rule: of several refusals the lowest status, then the first name.
    pub fn check(
        &self,
        from: UserIx,
        to: To,
        purpose: Purpose,
        text: &str,
        file: Option<&str>,
    ) -> Result<Headers, Refusal> {
        let mut refusals = Vec::new();
        // A file is enough to say. What is only to be uploaded has no text.
        if purpose != Purpose::Upload && (file.is_none() || !text.is_empty()) {
            refusals.extend(Self::check_text("text", text).err());
        }
        refusals.extend(file.and_then(|file| self.check_file(from, file).err()));
        if let Some(until) = self.banned_until(from) {
            let banned = Refusal::new(403, "banned").with("until", time(until));
            refusals.push(banned.retry(seconds(self.now, until)));
        }
        let limited = self.has("rate_limit") && to == To::Chat(COMMON) && purpose == Purpose::Now;
        let (until, count) = self.period(from).unwrap_or((self.now + PER, 0));
        let left = POSTS - count;
        let t = seconds(self.now, until);
        if limited && left == 0 {
            refusals.push(Refusal::new(429, "rate_limited").retry(t));
        }
        let headers = |left: u64| {
            let limit = format!("\"common\";r={left};t={t}");
            let policy = format!("\"common\";q={POSTS};w={}", PER / 1000);
            if limited {
                vec![("ratelimit-policy", policy), ("ratelimit", limit)]
            } else {
                Vec::new()
            }
        };
        refusals.reverse();
        match refusals
            .into_iter()
            .rev()
            .min_by_key(|refusal| refusal.status)
        {
            None => Ok(headers(left.saturating_sub(1))),
            Some(mut refusal) => {
                refusal.headers.extend(headers(left));
                Err(refusal)
            }
        }
    }

    /// A user's running period. One that ends further away than a period is long was begun by a
    /// clock that was wrong, and does not count.
    fn period(&self, user: UserIx) -> Option<(Ms, u64)> {
        let (until, count) = *self.periods.get(&user)?;
        (until > self.now && until <= self.now + 2 * PER).then_some((until, count))
    }

    /// Counts a post to the common chat.
    fn count(&mut self, user: UserIx) {
        if !self.has("rate_limit") {
            return;
        }
        let (until, count) = self.period(user).unwrap_or((self.now + PER, 0));
        let now = self.now;
        self.periods.retain(|_, (until, _)| *until > now);
        self.periods.insert(user, (until, count + 1));
    }

    pub fn standing(&self, user: UserIx) -> Value {
        let running = self.period(user);
        let left = POSTS - running.map_or(0, |(_, count)| count);
        let until = running.map(|(until, _)| time(until));
        json!({"messages": POSTS, "left": left, "until": until})
    }

    pub fn send(
        &mut self,
        by: UserIx,
        to: &str,
        text: &str,
        file: Option<&str>,
        seen: &Value,
    ) -> Outcome {
        let to = self.address(by, "to", to)?;
        let mut headers = self.check(by, to, Purpose::Now, text, file)?;
        let moment = self.post(by, to, text, file, seen["id"].as_u64());
        let body = self.messages[&moment].posted.clone();
        headers.push(("location", format!("/messages/{}", body["id"])));
        let made = Some(Made::Message(moment));
        Ok(Answer {
            status: 201,
            body,
            headers,
            made,
        })
    }

    /// Posts what every rule let pass.
    pub fn post(
        &mut self,
        from: UserIx,
        to: To,
        text: &str,
        file: Option<&str>,
        id: Option<u64>,
    ) -> Moment {
        if to == To::Chat(COMMON) {
            self.count(from);
        }
        let called = self.called(from, to, text);
        let (chat, to) = match to {
            To::Chat(chat) => (chat, None),
            To::User(peer) => {
                let chat = self.private(from, peer).unwrap_or_else(|| {
                    self.chats.push(Chat {
                        kind: Kind::Private([from, peer]),
                        last: None,
                    });
                    self.chats.len() - 1
                });
                (chat, Some(peer))
            }
        };
        let waits = to.is_some_and(|to| to != from);
        let life = if waits { UNDELIVERED } else { AFTER };
        let lives = self.has("ttl");
        let moment = self.moment(id);
        let message = Message {
            from,
            chat,
            to,
            text: text.to_owned(),
            file: file.map(str::to_owned),
            at: self.now,
            ends: lives.then_some(self.now + life),
            fuse: (lives && waits).then_some(AFTER),
            called,
            comments: Vec::new(),
            reactions: Vec::new(),
            said: BTreeMap::new(),
            posted: Value::Null,
            edited: None,
            times: 0,
            readers: None,
        };
        if let Some(file) = file {
            self.hold(file);
        }
        self.chats[chat].last = Some(moment);
        self.messages.insert(moment, message);
        let posted = self.shown(moment);
        if let Some(message) = self.messages.get_mut(&moment) {
            message.posted = posted;
        }
        self.tell(self.members(chat), Told::Message(moment));
        moment
    }

    /// A message that a user sees, by its id.
    pub fn visible(&self, by: UserIx, id: u64) -> Result<Moment, Refusal> {
        let moment = self.moment_of(id).filter(|moment| self.sees(by, *moment));
        moment.ok_or_else(Refusal::not_found)
    }

    pub fn comment(&mut self, by: UserIx, id: u64, text: &str, seen: &Value) -> Outcome {
        let about = self.visible(by, id)?;
        let message = &self.messages[&about];
        let to = match self.chats[message.chat].kind {
            Kind::Private(_) => To::User(by),
            _ => To::Chat(message.chat),
        };
        let headers = self.check(by, to, Purpose::Now, text, None)?;
        if to == To::Chat(COMMON) {
            self.count(by);
        }
        let moment = self.moment(seen["id"].as_u64());
        let comment = Comment {
            moment,
            from: by,
            text: text.to_owned(),
            at: self.now,
        };
        let body = self.shown_comment(about, &comment);
        let seen_by = self.members(self.messages[&about].chat);
        let seen_by = seen_by
            .into_iter()
            .filter(|user| self.sees(*user, about))
            .collect();
        if let Some(message) = self.messages.get_mut(&about) {
            message.comments.push(comment);
        }
        self.tell(seen_by, Told::Comment(about, moment, body.clone()));
        let made = Some(Made::Comment(about, moment));
        Ok(Answer {
            status: 201,
            body,
            headers,
            made,
        })
    }

    pub fn shown_comment(&self, about: Moment, comment: &Comment) -> Value {
        json!({
            "id": self.id(comment.moment),
            "message": self.id(about),
            "from": self.users[comment.from].name,
            "text": comment.text,
            "at": time(comment.at),
        })
    }

    /// Whether a message is to be removed: its end has come, or its room has ended.
    pub fn is_over(&self, message: &Message) -> bool {
        let is_left = self.members(message.chat).is_empty();
        is_left || message.ends.is_some_and(|ends| ends <= self.now)
    }

    /// Removes the messages whose end has come, and those of rooms that ended.
    pub fn end_messages(&mut self) {
        let over = self.messages.iter();
        let over = over.filter(|(_, message)| self.is_over(message));
        let over: Vec<Moment> = over.map(|(moment, _)| *moment).collect();
        self.take_away(|moment, _| over.contains(&moment));
    }

    /// Removes some messages.
    pub fn take_away(&mut self, is_meant: impl Fn(Moment, &Message) -> bool) {
        let mut gone: BTreeMap<(ChatIx, Option<UserIx>), Vec<Moment>> = BTreeMap::new();
        for (moment, message) in &self.messages {
            if is_meant(*moment, message) {
                gone.entry((message.chat, message.to))
                    .or_default()
                    .push(*moment);
            }
        }
        for ((chat, to), moments) in gone {
            let members = self.members(chat);
            let saw = members.iter().map(|user| {
                let saw = moments.iter().filter(|moment| self.sees(*user, **moment));
                saw.copied().collect()
            });
            let removed = Told::Removed {
                to: self.spell(chat, to),
                ids: moments.clone(),
                saw: saw.collect(),
            };
            self.tell(members, removed);
            for moment in &moments {
                self.messages.remove(moment);
            }
        }
    }
}
