//! Reading: history, single messages, what is unread, who is there.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::render::{Message, Written};
use super::tails::{Kept, Stamp, Tails};
use super::{invalid, message_json, sees};
use crate::bus::{Address, Answer, View, internal};
use crate::feature::{Call, Features, limit};
use crate::http::Problem;
use crate::log::reader::{Page, Reading};
use crate::log::{Id, LogError, MessageRow, UserId};
use crate::openapi::strings;
use crate::server::Core;
use crate::time::Time;

/// About how many bytes a message takes as it is written.
const MESSAGE: usize = 256;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct HistoryQuery {
    /// Which chat.
    #[schemars(with = "strings::Address")]
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
pub(super) struct UnreadQuery {
    /// Of this chat alone.
    #[serde(default)]
    #[schemars(with = "Option<strings::Address>")]
    chat: Option<String>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct UsersQuery {
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
    query: HistoryQuery,
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
    let seen = core
        .bus
        .read(|view| {
            let (chat, floor) = match view.address("chat", &query.chat, call.user)? {
                Address::Chat(chat) => (chat, view.world().chat.floor(chat, call.user)),
                Address::User(peer) => match view.world().chat.private(call.user, peer) {
                    Some(chat) => (chat, 0),
                    None => return Ok(None),
                },
            };
            Ok(Some((chat, floor, Stamp::of(view, chat))))
        })
        .await??;
    let Some((chat, floor, stamp)) = seen else {
        // Nobody has written there yet.
        return page_json::<MessageRow>(&core, call.user, &[], false).await;
    };
    if page == Page::Newest && Tails::reach(limit) {
        let part = match core.tails.get(chat, stamp, floor, limit) {
            Some(part) => part,
            None => {
                let newest = move |reading: &Reading| reading.page(chat, page, 0, Tails::ROWS);
                let (rows, _) = core.reader.read(newest).await.map_err(unread_history)?;
                core.tails
                    .put(chat, stamp, keep(&core, rows).await?, floor, limit)
            }
        };
        return page_json(&core, call.user, part.rows(), part.more).await;
    }
    let (rows, more) = core
        .reader
        .read(move |reading| reading.page(chat, page, floor, limit))
        .await
        .map_err(unread_history)?;
    page_json(&core, call.user, &rows, more).await
}

/// Messages with what of them can be written once for all who read them.
async fn keep(core: &Core, rows: Vec<MessageRow>) -> Result<Vec<Kept>, Problem> {
    let write = |view: &View<'_>| rows.iter().map(|row| Written::of(view, row)).collect();
    let written: serde_json::Result<Vec<_>> = core.bus.read(write).await?;
    let written = written.map_err(|error| internal("writing messages", &error))?;
    let both = rows.into_iter().zip(written);
    Ok(both.map(|(row, written)| Kept { row, written }).collect())
}

fn unread_history(error: LogError) -> Problem {
    internal("reading history", &error)
}

/// `GET /messages/{id}`
pub(super) async fn message(core: Arc<Core>, call: Call) -> Result<Answer, Problem> {
    let row = core.message(call.id("id")?, call.user).await?;
    let mut shown = show(&core, call.user, std::slice::from_ref(&row)).await?;
    let message = shown.messages.pop().unwrap_or_default();
    Ok(Answer::ok(message).delivers(shown.delivers))
}

/// `GET /unread`
pub(super) async fn unread(
    core: Arc<Core>,
    call: Call,
    query: UnreadQuery,
) -> Result<Answer, Problem> {
    let limit = limit(query.limit)?;
    let chats = core
        .bus
        .read(|view| {
            let state = &view.world().chat;
            let mut chats = state.unread_chats(call.user);
            if let Some(address) = &query.chat {
                let only = match view.address("chat", address, call.user)? {
                    Address::Chat(chat) => Some(chat),
                    // Perhaps nobody has written there yet.
                    Address::User(peer) => state.private(call.user, peer),
                };
                chats.retain(|(chat, _)| Some(*chat) == only);
            }
            Ok::<_, Problem>(chats)
        })
        .await??;
    let (rows, more) = core
        .reader
        .read(move |reading| reading.unread(&chats, call.user, limit))
        .await
        .map_err(|error| internal("reading what is unread", &error))?;
    page_json(&core, call.user, &rows, more).await
}

/// `GET /users`
pub(super) async fn users(core: Arc<Core>, query: UsersQuery) -> Result<Answer, Problem> {
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
                    // A clock that was ahead once noted what is still to come.
                    let seen = seen.min(view.now());
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

/// Messages as JSON, on their way to a user.
pub(crate) struct Shown {
    pub(crate) messages: Vec<Value>,
    /// Those whose life starts when the user has them.
    pub(crate) delivers: Vec<Id>,
}

/// Makes JSON of messages; null of one that its reader no longer sees, who left its chat meanwhile.
pub(crate) async fn show(core: &Core, to: UserId, rows: &[MessageRow]) -> Result<Shown, Problem> {
    let json = |view: &View<'_>| {
        rows.iter()
            .map(|row| {
                if sees(view, to, row) {
                    message_json(view, &core.features, row, Some(to))
                } else {
                    Value::Null
                }
            })
            .collect()
    };
    Ok(Shown {
        messages: core.bus.read(json).await?,
        delivers: delivers(to, rows),
    })
}

/// Those of the messages whose life starts when the user has them.
pub(crate) fn delivers<'a>(to: UserId, rows: impl IntoIterator<Item = &'a MessageRow>) -> Vec<Id> {
    let waiting = |row: &&MessageRow| row.fuse.is_some() && row.addressee == Some(to);
    rows.into_iter().filter(waiting).map(|row| row.id).collect()
}

/// A message of a page, read just now or kept.
trait Line: Sync {
    fn row(&self) -> &MessageRow;
    fn written(&self) -> Option<&Written>;
}

impl Line for MessageRow {
    fn row(&self) -> &MessageRow {
        self
    }

    fn written(&self) -> Option<&Written> {
        None
    }
}

impl Line for Kept {
    fn row(&self) -> &MessageRow {
        &self.row
    }

    fn written(&self) -> Option<&Written> {
        Some(&self.written)
    }
}

/// A page of messages, as it is written.
#[derive(Serialize)]
struct Listed<M> {
    messages: M,
    more: bool,
}

/// Those of a page's messages that the user still sees.
struct Seen<'a, L> {
    view: &'a View<'a>,
    features: &'a Features,
    to: UserId,
    lines: &'a [L],
}

impl<L: Line> Serialize for Seen<'_, L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { view, features, .. } = *self;
        let seen = |line: &&L| sees(view, self.to, line.row());
        let lines = self.lines.iter().filter(seen);
        serializer.collect_seq(lines.map(|line| Message {
            view,
            features,
            row: line.row(),
            to: Some(self.to),
            written: line.written(),
        }))
    }
}

async fn page_json<L: Line>(
    core: &Core,
    to: UserId,
    lines: &[L],
    more: bool,
) -> Result<Answer, Problem> {
    let write = |view: &View<'_>| {
        let features = &core.features;
        let messages = Seen {
            view,
            features,
            to,
            lines,
        };
        Answer::written(&Listed { messages, more }, lines.len() * MESSAGE)
    };
    let answer = core.bus.read(write).await??;
    Ok(answer.delivers(delivers(to, lines.iter().map(Line::row))))
}
