//! The calls, and what one is answered.

use serde_json::{Map, Value, json};
use veche::testing::encode;

use super::{DAY, Model, Moment, Ms, UserIx};

/// A call of an authenticated client.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Disconnect {
        all: bool,
    },
    Status,
    Users {
        after: Option<String>,
        limit: u64,
    },
    Send {
        to: String,
        text: String,
        file: Option<String>,
    },
    Messages {
        chat: String,
        page: Page,
        limit: u64,
    },
    Message {
        id: u64,
    },
    Unread {
        limit: u64,
    },
    Read {
        chat: Option<String>,
        upto: Option<u64>,
    },
    Comment {
        id: u64,
        text: String,
    },
    Comments {
        id: u64,
        after: u64,
        limit: u64,
    },
    Complain {
        user: String,
        reason: Option<String>,
        message: Option<u64>,
    },
    Schedule {
        to: String,
        text: String,
        file: Option<String>,
        when: When,
    },
    Upload {
        name: String,
        content: String,
    },
    File {
        id: String,
    },
    Scheduled,
    Cancel {
        id: String,
    },
    MakeRoom {
        title: String,
        all: bool,
    },
    Rooms,
    Room {
        room: String,
    },
    Invite {
        room: String,
        user: String,
    },
    Uninvite {
        room: String,
        user: String,
    },
    Link {
        room: String,
        expires: Option<u64>,
        uses: Option<u64>,
    },
    Unlink {
        room: String,
        code: String,
    },
    UnlinkAll {
        room: String,
    },
    Requests {
        room: String,
    },
    Decide {
        room: String,
        user: String,
        approve: bool,
    },
    Remove {
        room: String,
        user: String,
    },
    Enter {
        room: String,
    },
    Ask {
        code: String,
    },
    Leave {
        room: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Page {
    Newest,
    Before(u64),
    After(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    At(Ms),
    In(u64),
    Both,
    Neither,
}

impl Call {
    /// The feature whose call it is; none for the core's.
    pub fn feature(&self) -> Option<&'static str> {
        Some(match self {
            Self::Comment { .. } | Self::Comments { .. } => "comments",
            Self::Complain { .. } => "complaints",
            Self::Upload { .. } | Self::File { .. } => "files",
            Self::Schedule { .. } | Self::Scheduled | Self::Cancel { .. } => "schedule",
            Self::MakeRoom { .. } | Self::Rooms | Self::Room { .. } => "rooms",
            Self::Invite { .. } | Self::Uninvite { .. } | Self::Remove { .. } => "rooms",
            Self::Link { .. } | Self::Unlink { .. } | Self::UnlinkAll { .. } => "rooms",
            Self::Requests { .. } | Self::Decide { .. } => "rooms",
            Self::Enter { .. } | Self::Ask { .. } | Self::Leave { .. } => "rooms",
            _ => return None,
        })
    }

    /// Method, path with its query, body: JSON, or a text as it is.
    pub fn request(&self) -> (&'static str, String, Option<Value>) {
        let get = |path: String| ("GET", path, None);
        let post = |path: String, body: Value| ("POST", path, Some(body));
        let delete = |path: String| ("DELETE", path, None);
        match self {
            Self::Disconnect { all } => post("/disconnect".into(), json!({"all": all})),
            Self::Status => get("/status".into()),
            Self::Users { after, limit } => {
                let after = after.iter().map(|name| format!("&after={}", encode(name)));
                get(format!("/users?limit={limit}{}", after.collect::<String>()))
            }
            Self::Send { to, text, file } => {
                let file = file.clone().map(|file| ("file", json!(file)));
                let to = Some(("to", json!(to)));
                post(
                    "/send".into(),
                    object([to, Some(("text", json!(text))), file]),
                )
            }
            Self::Upload { name, content } => {
                let path = format!("/files?name={}", encode(name));
                post(path, Value::String(content.clone()))
            }
            Self::File { id } => get(format!("/files/{id}")),
            Self::Messages { chat, page, limit } => {
                let page = match page {
                    Page::Newest => String::new(),
                    Page::Before(id) => format!("&before={id}"),
                    Page::After(id) => format!("&after={id}"),
                };
                get(format!(
                    "/messages?chat={}&limit={limit}{page}",
                    encode(chat)
                ))
            }
            Self::Message { id } => get(format!("/messages/{id}")),
            Self::Unread { limit } => get(format!("/unread?limit={limit}")),
            Self::Read { chat, upto } => {
                let chat = chat.clone().map(|chat| ("chat", json!(chat)));
                post(
                    "/read".into(),
                    object([chat, upto.map(|id| ("upto", json!(id)))]),
                )
            }
            Self::Comment { id, text } => {
                post(format!("/messages/{id}/comments"), json!({"text": text}))
            }
            Self::Comments { id, after, limit } => get(format!(
                "/messages/{id}/comments?after={after}&limit={limit}"
            )),
            Self::Complain {
                user,
                reason,
                message,
            } => {
                let reason = reason.clone().map(|reason| ("reason", json!(reason)));
                let message = message.map(|id| ("message", json!(id)));
                post(
                    "/complaints".into(),
                    object([Some(("user", json!(user))), reason, message]),
                )
            }
            Self::Schedule {
                to,
                text,
                file,
                when,
            } => {
                let file = file.clone().map(|file| ("file", json!(file)));
                let at = |at: Ms| Some(("at", json!(super::time(at))));
                let delay = |seconds: u64| Some(("in", json!(format!("{seconds}s"))));
                let (at, delay) = match when {
                    When::At(time) => (at(*time), None),
                    When::In(seconds) => (None, delay(*seconds)),
                    When::Both => (at(0), delay(60)),
                    When::Neither => (None, None),
                };
                let to = Some(("to", json!(to)));
                post(
                    "/scheduled".into(),
                    object([to, Some(("text", json!(text))), file, at, delay]),
                )
            }
            Self::Scheduled => get("/scheduled".into()),
            Self::Cancel { id } => delete(format!("/scheduled/{id}")),
            Self::MakeRoom { title, all } => {
                let history = if *all { "all" } else { "joined" };
                post("/rooms".into(), json!({"title": title, "history": history}))
            }
            Self::Rooms => get("/rooms".into()),
            Self::Room { room } => get(format!("/rooms/{room}")),
            Self::Invite { room, user } => {
                post(format!("/rooms/{room}/invites"), json!({"user": user}))
            }
            Self::Uninvite { room, user } => {
                delete(format!("/rooms/{room}/invites/{}", encode(user)))
            }
            Self::Link {
                room,
                expires,
                uses,
            } => {
                let expires = expires.map(|life| ("expires", json!(format!("{life}s"))));
                let body = object([expires, uses.map(|uses| ("uses", json!(uses)))]);
                post(format!("/rooms/{room}/links"), body)
            }
            Self::Unlink { room, code } => delete(format!("/rooms/{room}/links/{code}")),
            Self::UnlinkAll { room } => delete(format!("/rooms/{room}/links")),
            Self::Requests { room } => get(format!("/rooms/{room}/requests")),
            Self::Decide {
                room,
                user,
                approve,
            } => {
                let path = format!("/rooms/{room}/requests/{}", encode(user));
                post(path, json!({"approve": approve}))
            }
            Self::Remove { room, user } => {
                delete(format!("/rooms/{room}/members/{}", encode(user)))
            }
            Self::Enter { room } => post(format!("/rooms/{room}/join"), json!({})),
            Self::Ask { code } => post(format!("/join/{code}"), json!({})),
            Self::Leave { room } => post(format!("/rooms/{room}/leave"), json!({})),
        }
    }
}

fn object<const N: usize>(fields: [Option<(&str, Value)>; N]) -> Value {
    let fields = fields.into_iter().flatten();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

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
                .any(|item| item.id == *id && item.message.is_none()),
        };
        if !is_there {
            return Err(Refusal::new(410, "gone"));
        }
        let mut answer = kept.answer.clone();
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
            Call::Read { chat, upto } => self.read(by, chat.as_deref(), *upto),
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
