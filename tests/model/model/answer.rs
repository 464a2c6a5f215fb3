//! What a call is answered, and what again.

use serde_json::Value;

use super::call::Call;
use super::{ChatIx, DAY, Model, Moment, Ms, UserIx};

/// A success.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Null where there is none.
    pub body: Value,
    pub headers: Vec<(&'static str, String)>,
    pub made: Option<Made>,
}

/// What a call made that can be gone later.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    Message(Moment),
    Comment(Moment, Moment),
    Scheduled(String),
    File(String),
    Room(ChatIx),
    /// Which one, for a room may invite the same again.
    Invite(ChatIx, UserIx, u64),
    Link(ChatIx, String),
    /// Which one, for the same may ask again.
    Request(ChatIx, UserIx, u64),
    Member(ChatIx, UserIx, Moment),
}

impl Answer {
    pub fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
            made: None,
        }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub fn none() -> Self {
        Self::new(204, Value::Null)
    }
}

/// A refusal: its status, its code, and what else is known of its fields and headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str) -> Self {
        Self {
            status,
            code,
            fields: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub fn not_found() -> Self {
        Self::new(404, "not_found")
    }

    pub fn unknown_chat() -> Self {
        Self::new(404, "unknown_chat")
    }

    pub fn invalid(field: &'static str) -> Self {
        Self::new(422, "invalid").with("field", field)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub fn retry(mut self, seconds: i64) -> Self {
        self.headers.push(("retry-after", seconds.to_string()));
        self
    }
}

pub type Outcome = Result<Answer, Refusal>;

/// A request that succeeded under an idempotency key.
#[derive(Clone)]
pub struct Keyed {
    request: (&'static str, String, Option<Value>),
    at: Ms,
    answer: Answer,
}

impl Model {
    /// What a user's call is answered; `seen` is the server's answer, for what it chose.
    pub fn call(
        &mut self,
        by: UserIx,
        client: &str,
        call: &Call,
        key: Option<&str>,
        seen: &Value,
    ) -> Outcome {
        self.asked(by, client);
        let request = call.request();
        let Some(key) = key.filter(|_| request.0 == "POST") else {
            return self.decide(by, client, call, seen);
        };
        let place = (by, key.to_owned());
        let kept = self
            .keys
            .get(&place)
            .filter(|kept| kept.at >= self.now - DAY);
        if let Some(kept) = kept {
            return self.replay(kept, &request);
        }
        let answer = self.decide(by, client, call, seen)?;
        let (at, now) = (self.now, self.now);
        self.keys.retain(|_, kept| kept.at >= now - DAY);
        let kept = Keyed {
            request,
            at,
            answer: answer.clone(),
        };
        self.keys.insert(place, kept);
        Ok(answer)
    }

    fn replay(&self, kept: &Keyed, request: &(&'static str, String, Option<Value>)) -> Outcome {
        if kept.request != *request {
            return Err(Refusal::new(422, "key_reused"));
        }
        let is_there = match &kept.answer.made {
            None => true,
            Some(Made::Message(moment)) => self.messages.contains_key(moment),
            Some(Made::Comment(message, moment)) => self
                .messages
                .get(message)
                .is_some_and(|row| row.comments.iter().any(|comment| comment.moment == *moment)),
            Some(Made::File(id)) => self.files.iter().any(|file| file.id == *id),
            Some(Made::Scheduled(id)) => self
                .scheduled
                .iter()
                .any(|item| item.id == *id && item.is_waiting()),
            Some(Made::Room(chat)) => self.room(*chat).is_some(),
            Some(Made::Invite(chat, user, nth)) => self
                .room(*chat)
                .is_some_and(|room| room.is_invited(*user, *nth)),
            Some(Made::Link(chat, code)) => self
                .room(*chat)
                .is_some_and(|room| room.has_link(code, self.now)),
            Some(Made::Request(chat, user, nth)) => self
                .room(*chat)
                .is_some_and(|room| room.is_asking(*user, *nth)),
            Some(Made::Member(chat, user, joined)) => self
                .room(*chat)
                .is_some_and(|room| room.since(*user) == Some(*joined)),
        };
        if !is_there {
            return Err(Refusal::new(410, "gone"));
        }
        let mut answer = kept.answer.clone();
        if let Some(Made::Message(moment)) = answer.made
            && let Some(text) = answer.body.get_mut("text")
        {
            *text = self.messages[&moment].text.clone().into();
        }
        answer.headers.push(("idempotency-replayed", "true".into()));
        Ok(answer)
    }

    fn decide(&mut self, by: UserIx, client: &str, call: &Call, seen: &Value) -> Outcome {
        let outcome = self.do_call(by, client, call, seen);
        self.end_files();
        outcome
    }

    fn do_call(&mut self, by: UserIx, client: &str, call: &Call, seen: &Value) -> Outcome {
        match call {
            Call::Disconnect { all } => Ok(self.disconnect(by, client, *all)),
            Call::Status => Ok(self.status(by, client)),
            Call::Users { after, limit } => Ok(self.list_users(after.as_deref(), *limit)),
            Call::Send { to, text, file } => self.send(by, to, text, file.as_deref(), seen),
            Call::Upload { name, content } => self.upload(by, name, content, seen),
            Call::File { id } => self.download(by, id),
            Call::Messages { chat, page, limit } => self.history(by, chat, *page, *limit),
            Call::Message { id } => self.one(by, *id),
            Call::Unread { limit } => Ok(self.unread(by, *limit)),
            Call::Mentions { before, limit } => self.mentions(by, *before, *limit),
            Call::Read { chat, upto } => self.read(by, chat.as_deref(), *upto),
            Call::Edit { id, text } => self.edit(by, *id, text),
            Call::Unsay { id } => self.unsay(by, *id),
            Call::React { id, emoji, on } => self.react(by, *id, emoji, *on),
            Call::Reactions {
                id,
                emoji,
                after,
                limit,
            } => self.reactions(by, *id, emoji.as_deref(), *after, *limit),
            Call::Comment { id, text } => self.comment(by, *id, text, seen),
            Call::Comments { id, after, limit } => self.comments(by, *id, *after, *limit),
            Call::Complain {
                user,
                reason,
                message,
            } => self.complain(by, user, reason.as_deref(), *message),
            Call::Schedule {
                to,
                text,
                file,
                when,
            } => self.schedule(by, to, text, file.as_deref(), *when, seen),
            Call::Scheduled => Ok(self.list_scheduled(by)),
            Call::Cancel { id } => self.cancel(by, id),
            Call::MakeRoom { title, all } => self.make_room(by, title, *all, seen),
            Call::Rooms => Ok(self.list_rooms(by)),
            Call::Room { room } => self.one_room(by, room),
            Call::Invite { room, user } => self.invite(by, room, user),
            Call::Uninvite { room, user } => self.uninvite(by, room, user),
            Call::Link {
                room,
                expires,
                uses,
            } => self.link(by, room, *expires, *uses, seen),
            Call::Unlink { room, code } => self.unlink(by, room, code),
            Call::UnlinkAll { room } => self.unlink_all(by, room),
            Call::Requests { room } => self.list_requests(by, room),
            Call::Decide {
                room,
                user,
                approve,
            } => self.decide_request(by, room, user, *approve),
            Call::Remove { room, user } => self.remove(by, room, user),
            Call::Enter { room } => self.enter(by, room),
            Call::Ask { code } => self.ask(by, code),
            Call::Leave { room } => self.leave(by, room),
        }
    }
}
