//! The calls, and how each is written.

use serde_json::{Map, Value, json};
use veche::testing::encode;

use super::Ms;

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
    Mentions {
        before: Option<u64>,
        limit: u64,
    },
    Read {
        chat: Option<String>,
        upto: Option<u64>,
    },
    Edit {
        id: u64,
        text: String,
    },
    Unsay {
        id: u64,
    },
    React {
        id: u64,
        emoji: String,
        on: bool,
    },
    Reactions {
        id: u64,
        emoji: Option<String>,
        after: u64,
        limit: u64,
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
            Self::Edit { .. } | Self::Unsay { .. } => "edits",
            Self::React { .. } | Self::Reactions { .. } => "reactions",
            Self::Mentions { .. } => "mentions",
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
            Self::Mentions { before, limit } => {
                let before = before.map(|id| format!("&before={id}"));
                let before = before.unwrap_or_default();
                get(format!("/mentions?limit={limit}{before}"))
            }
            Self::Read { chat, upto } => {
                let chat = chat.clone().map(|chat| ("chat", json!(chat)));
                post(
                    "/read".into(),
                    object([chat, upto.map(|id| ("upto", json!(id)))]),
                )
            }
            Self::Edit { id, text } => post("/edit".into(), json!({"message": id, "text": text})),
            Self::Unsay { id } => post("/remove".into(), json!({"message": id})),
            Self::React { id, emoji, on } => {
                let body = json!({"message": id, "emoji": emoji, "on": on});
                post("/react".into(), body)
            }
            Self::Reactions {
                id,
                emoji,
                after,
                limit,
            } => {
                let emoji = emoji
                    .iter()
                    .map(|emoji| format!("&emoji={}", encode(emoji)));
                get(format!(
                    "/messages/{id}/reactions?after={after}&limit={limit}{}",
                    emoji.collect::<String>()
                ))
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
