//! Reading: history, single messages, what is unread, who is there.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{invalid, message_json};
use crate::bus::{Address, Answer, internal};
use crate::feature::{Call, limit};
use crate::http::Problem;
use crate::log::reader::Page;
use crate::log::{Id, MessageRow, UserId};
use crate::server::Core;
use crate::time::Time;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct History {
    /// Which chat.
    chat: String,
    /// The last messages before this id.
    #[serde(default)]
    before: Option<Id>,
    /// The first messages after this id; 0 is the beginning.
    #[serde(default)]
    after: Option<Id>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Unread {
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Users {
    /// Those whose names follow this one.
    #[serde(default)]
    after: Option<String>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

/// `GET /messages`
pub(super) async fn history(
    core: Arc<Core>,
    call: Call,
    query: History,
) -> Result<Answer, Problem> {
    let limit = limit(query.limit)?;
    let page = match (query.before, query.after) {
        (Some(_), Some(_)) => {
            return Err(invalid("before", "`before` and `after` exclude each other"));
        }
        (Some(id), None) => Page::Before(id),
        (None, Some(id)) => Page::After(id),
        (None, None) => Page::Newest,
    };
    let chat = core
        .bus
        .read(|view| match view.address(&query.chat, call.user) {
            Ok(Address::Chat(chat)) => Ok(Some(chat)),
            Ok(Address::User(peer)) => Ok(view.world().chat.private(call.user, peer)),
            Err(problem) => Err(problem),
        })
        .await?
        .map_err(|problem| {
            if problem.code == "invalid" {
                problem.with("field", "chat")
            } else {
                problem
            }
        })?;
    let (rows, more) = match chat {
        // Nobody has written there yet.
        None => (Vec::new(), false),
        Some(chat) => core
            .reader
            .read(move |reading| reading.page(chat, page, limit))
            .await
            .map_err(|error| internal("reading history", &error))?,
    };
    Ok(Answer::ok(
        json!({"messages": show(&core, Viewer::of(&call), &rows), "more": more}),
    ))
}

/// `GET /messages/{id}`
pub(super) async fn message(core: Arc<Core>, call: Call) -> Result<Answer, Problem> {
    let row = core.message(call.id("id")?, call.user).await?;
    let message = show(&core, Viewer::of(&call), std::slice::from_ref(&row)).pop();
    Ok(Answer::ok(message.unwrap_or_default()))
}

/// `GET /unread`
pub(super) async fn unread(core: Arc<Core>, call: Call, query: Unread) -> Result<Answer, Problem> {
    let limit = limit(query.limit)?;
    let chats = core
        .bus
        .read(|view| view.world().chat.unread_chats(call.user))
        .await?;
    let (rows, more) = core
        .reader
        .read(move |reading| reading.unread(&chats, call.user, limit))
        .await
        .map_err(|error| internal("reading what is unread", &error))?;
    Ok(Answer::ok(
        json!({"messages": show(&core, Viewer::of(&call), &rows), "more": more}),
    ))
}

/// `GET /users`
pub(super) async fn users(core: Arc<Core>, query: Users) -> Result<Answer, Problem> {
    let limit = limit(query.limit)?;
    let online = core.hub.online();
    let lately = core.bus.seen_lately();
    let (users, more) = core
        .bus
        .read(|view| {
            let mut users: Vec<Value> = view
                .world()
                .chat
                .users_after(query.after.as_deref())
                .take(limit + 1)
                .map(|(id, user)| {
                    let seen = user
                        .clients
                        .iter()
                        .filter_map(|client| lately.get(client))
                        .max();
                    let seen = seen.map_or(user.seen, |seen: &Time| user.seen.max(*seen));
                    json!({
                        "name": user.name,
                        "online": online.contains(&id),
                        "seen": seen.to_string(),
                    })
                })
                .collect();
            let more = users.len() > limit;
            users.truncate(limit);
            (users, more)
        })
        .await?;
    Ok(Answer::ok(json!({"users": users, "more": more})))
}

/// Who is shown messages.
#[derive(Clone, Copy)]
pub(super) struct Viewer {
    pub(super) user: UserId,
    /// Whether the answer's body is sent to them, so that it delivers what it holds.
    pub(super) gets_it: bool,
}

impl Viewer {
    pub(super) fn of(call: &Call) -> Self {
        Self {
            user: call.user,
            gets_it: call.hands_over,
        }
    }
}

/// Messages as JSON, on their way to a user: their delivery, if that matters.
pub(super) fn show(core: &Core, to: Viewer, rows: &[MessageRow]) -> Vec<Value> {
    let waiting =
        |row: &&MessageRow| row.fuse.is_some() && to.gets_it && row.addressee == Some(to.user);
    core.bus
        .delivered(rows.iter().filter(waiting).map(|row| row.id));
    core.bus.peek(|view| {
        rows.iter()
            .map(|row| message_json(view, &core.features, row))
            .collect()
    })
}
