//! A user's overview: their chats with what is unread and last, their clients.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::reading::show;
use super::{address, render};
use crate::bus::{Answer, Subject, internal};
use crate::feature::Call;
use crate::http::Problem;
use crate::log::reader::Page;
use crate::log::{ChatId, Id, MessageRow, Pos, UserId};
use crate::server::Core;

/// What a user sees of all their chats at one position of the log.
pub(super) struct Overview {
    pub(super) chats: Vec<Value>,
    /// Unread messages by chat, where there are any.
    pub(super) unread: Map<String, Value>,
    /// The common chat's last messages.
    pub(super) history: Vec<Value>,
    /// Messages that are delivered with it.
    pub(super) delivers: Vec<Id>,
    /// A position up to which nothing is missing.
    pub(super) pos: Pos,
}

/// A chat as the world has it.
struct Outline {
    chat: ChatId,
    address: String,
    json: Map<String, Value>,
    parts: Map<String, Value>,
    mark: Id,
    floor: Id,
    last: Id,
}

/// What the store has of a chat.
type Contents = (u64, Option<MessageRow>);

/// How often all is read again to be of one position.
const TRIES: usize = 10;

/// A user's chats and the common chat's last messages, where events go on from [`Overview::pos`].
pub(super) async fn welcome(core: &Core, user: UserId) -> Result<Overview, Problem> {
    for _ in 0..TRIES {
        let (overview, exact) = overview(core, user, true).await?;
        if exact {
            return Ok(overview);
        }
    }
    // Something was written each time. Then the earlier position is the right one: what is told
    // after it may be here already, but nothing is missed.
    overview(core, user, true)
        .await
        .map(|(overview, _)| overview)
}

/// A user's chats; with `history`, the common chat's last messages too. Says whether all of it
/// is of one position: the world is looked at first, and the store a moment later.
async fn overview(core: &Core, user: UserId, history: bool) -> Result<(Overview, bool), Problem> {
    let (outlines, pos) = outlines(core, user).await?;
    let wanted: Vec<_> = outlines
        .iter()
        .map(|o| (o.chat, o.mark, o.floor, o.last))
        .collect();
    let count = if history { core.config.chat.history } else { 0 };
    let (last, contents, rows) = core
        .reader
        .read(move |reading| {
            let mut contents: Vec<Contents> = Vec::with_capacity(wanted.len());
            for (chat, mark, floor, last) in wanted {
                let unread = if last > mark {
                    reading.unread_count(chat, mark, user)?
                } else {
                    0
                };
                contents.push((unread, reading.page(chat, Page::Newest, floor, 1)?.0.pop()));
            }
            let rows = match count {
                0 => Vec::new(),
                count => reading.page(ChatId::COMMON, Page::Newest, 0, count)?.0,
            };
            Ok((reading.last()?, contents, rows))
        })
        .await
        .map_err(|error| internal("reading chats", &error))?;
    let (counts, lasts): (Vec<u64>, Vec<Option<MessageRow>>) = contents.into_iter().unzip();
    let there: Vec<bool> = lasts.iter().map(Option::is_some).collect();
    let lasts: Vec<MessageRow> = lasts.into_iter().flatten().collect();
    let history = show(core, user, &rows).await?;
    let lasts = show(core, user, &lasts).await?;
    let mut overview = Overview {
        chats: Vec::new(),
        unread: Map::new(),
        history: history.messages,
        delivers: [history.delivers, lasts.delivers].concat(),
        pos,
    };
    let mut lasts = lasts.messages.into_iter();
    for ((outline, unread), there) in outlines.into_iter().zip(counts).zip(there) {
        if unread > 0 {
            overview.unread.insert(outline.address, unread.into());
        }
        let mut json = outline.json;
        json.insert("unread".into(), unread.into());
        json.insert("last".into(), there.then(|| lasts.next()).flatten().into());
        json.extend(outline.parts);
        overview.chats.push(Value::Object(json));
    }
    Ok((overview, last == pos))
}

/// A user's chats as the world has them, and its position.
async fn outlines(core: &Core, user: UserId) -> Result<(Vec<Outline>, Pos), Problem> {
    // Taken first: the hub's lock is never asked for under the world's.
    let online = core.hub.online();
    core.bus
        .read(|view| {
            let state = &view.world().chat;
            let mut outlines = Vec::new();
            for chat in state.chats_of(user) {
                let Some(look) = state.chat(chat) else {
                    continue;
                };
                let address = address::address_for(state, chat, user);
                let present = if chat == ChatId::COMMON {
                    online.len()
                } else {
                    state
                        .members(chat)
                        .iter()
                        .filter(|member| online.contains(member))
                        .count()
                };
                let mut json = Map::new();
                json.insert("chat".into(), address.clone().into());
                json.insert("kind".into(), look.kind.as_str().into());
                let title = match state.group(chat) {
                    Some(group) => group.title.as_str(),
                    None => address.trim_start_matches('@'),
                };
                json.insert("title".into(), title.into());
                json.insert("members".into(), state.member_count(chat).into());
                json.insert("online".into(), present.into());
                let parts = render::parts(view, &core.features, &Subject::Chat { chat, to: user });
                let mark = state.mark(chat, user);
                outlines.push(Outline {
                    chat,
                    address,
                    json,
                    parts,
                    mark,
                    floor: state.floor(chat, user),
                    last: look.last,
                });
            }
            (outlines, view.world().pos)
        })
        .await
}

/// `GET /status`
pub(super) async fn status(core: Arc<Core>, call: Call) -> Result<Answer, Problem> {
    let (overview, _) = overview(&core, call.user, false).await?;
    let lately = core.bus.seen_lately();
    let user = core
        .bus
        .read(|view| {
            let state = &view.world().chat;
            let user = state.user(call.user)?;
            let clients: Vec<Value> = user
                .clients
                .iter()
                .filter_map(|id| {
                    let client = state.client(*id)?;
                    let seen = lately.get(id).copied().unwrap_or_default();
                    Some(render::client_json(*id, client, seen, *id == call.client))
                })
                .collect();
            let mut json = Map::new();
            json.insert("name".into(), user.name.clone().into());
            json.insert("clients".into(), clients.into());
            json.extend(render::parts(
                view,
                &core.features,
                &Subject::User(call.user),
            ));
            Some(json)
        })
        .await?;
    let body = json!({
        "server": {
            "name": core.config.server.name,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": core.started.elapsed().as_secs(),
            "features": core.features.names(),
        },
        "user": user,
        "chats": overview.chats,
    });
    Ok(Answer::ok(body).delivers(overview.delivers))
}
