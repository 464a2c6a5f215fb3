//! A user's overview: their chats with what is unread and last, their clients.

use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::glimpses::Glimpse;
use super::reading::{delivers, show};
use super::render::{Message, ShownClient};
use super::tails::Stamp;
use super::{address, render, sees};
use crate::bus::{Answer, Subject, View, internal};
use crate::feature::Call;
use crate::http::Problem;
use crate::log::reader::Reading;
use crate::log::{ChatId, ClientId, Id, LogError, MessageRow, Pos, UserId, unless_damaged};
use crate::server::Core;
use crate::time::Time;

/// What a user sees of all their chats at one position of the log.
pub(super) struct Overview {
    pub(super) chats: Vec<Chat>,
    /// Unread messages by chat, where there are any.
    pub(super) unread: Map<String, Value>,
    /// The common chat's last messages.
    pub(super) history: Vec<Value>,
    /// Messages that are delivered with it.
    pub(super) delivers: Vec<Id>,
    /// A position up to which nothing is missing.
    pub(super) pos: Pos,
}

/// A chat as one of its members sees it from outside.
#[derive(Serialize)]
pub(super) struct Chat {
    chat: String,
    kind: &'static str,
    title: String,
    members: usize,
    online: usize,
    unread: u64,
    /// The last message, written.
    last: Option<Box<RawValue>>,
    /// The features' parts.
    #[serde(flatten)]
    parts: Map<String, Value>,
}

/// A chat as the world has it.
struct Outline {
    chat: ChatId,
    shown: Chat,
    stamp: Stamp,
    mark: Id,
    floor: Id,
    last: Id,
}

/// About how many bytes a chat takes as it is written.
const CHAT: usize = 384;

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
    let known = core.glimpses.get(user);
    let fresh = |outline: &Outline| {
        let place = known.binary_search_by_key(&outline.chat, |glimpse| glimpse.chat);
        let glimpse = place.ok().and_then(|place| known.get(place))?;
        let (stamp, mark) = (outline.stamp, outline.mark);
        (glimpse.stamp == stamp && glimpse.mark == mark).then(|| glimpse.clone())
    };
    let glimpses: Vec<_> = outlines.iter().map(fresh).collect();
    let missing = outlines.iter().zip(&glimpses);
    let missing = missing.filter(|(_, glimpse)| glimpse.is_none());
    let missing: Vec<_> = missing.map(|(outline, _)| Wanted::of(outline)).collect();
    let count = if history { core.config.chat.history } else { 0 };
    let stored = if missing.is_empty() && count == 0 {
        Stored::nothing(pos)
    } else {
        core.reader
            .read(move |reading| Stored::read(reading, user, missing, count))
            .await
            .map_err(|error| internal("reading chats", &error))?
    };
    let exact = stored.last == pos;
    let is_new = !stored.glimpses.is_empty() || known.len() != outlines.len();
    let mut stored_glimpses = stored.glimpses.into_iter();
    let glimpses = glimpses.into_iter();
    let glimpses: Arc<[Glimpse]> = glimpses
        .filter_map(|glimpse| glimpse.or_else(|| stored_glimpses.next()))
        .collect();
    let history = show(core, user, &stored.history).await?;
    let lasts = written(core, user, &glimpses).await?;
    let rows = glimpses
        .iter()
        .filter_map(|glimpse| glimpse.last.as_deref());
    let mut overview = Overview {
        chats: Vec::with_capacity(outlines.len()),
        unread: Map::new(),
        history: history.messages,
        delivers: history
            .delivers
            .into_iter()
            .chain(delivers(user, rows))
            .collect(),
        pos,
    };
    for ((outline, glimpse), last) in outlines.into_iter().zip(glimpses.iter()).zip(lasts) {
        let unread = glimpse.unread;
        if unread > 0 {
            overview
                .unread
                .insert(outline.shown.chat.clone(), unread.into());
        }
        overview.chats.push(Chat {
            unread,
            last,
            ..outline.shown
        });
    }
    // What was read a moment later than the world may be further than its stamp says.
    if exact && is_new {
        core.glimpses.put(user, glimpses);
    }
    Ok((overview, exact))
}

/// The last messages, written for the user who sees them.
async fn written(
    core: &Core,
    user: UserId,
    glimpses: &[Glimpse],
) -> Result<Vec<Option<Box<RawValue>>>, Problem> {
    let write = |view: &View<'_>| {
        let features = &core.features;
        let one = |glimpse: &Glimpse| {
            let row = glimpse.last.as_deref()?;
            let message = Message {
                view,
                features,
                row,
                to: Some(user),
                written: None,
            };
            // One that ended meanwhile, or whose chat they left, is not theirs any more.
            sees(view, user, row).then(|| to_raw_value(&message))
        };
        glimpses
            .iter()
            .map(|glimpse| one(glimpse).transpose())
            .collect()
    };
    let all: serde_json::Result<_> = core.bus.read(write).await?;
    all.map_err(|error| internal("writing messages", &error))
}

/// A chat of which something is wanted from the store.
struct Wanted {
    chat: ChatId,
    stamp: Stamp,
    mark: Id,
    floor: Id,
    last: Id,
}

impl Wanted {
    fn of(outline: &Outline) -> Self {
        let Outline {
            chat,
            stamp,
            mark,
            floor,
            last,
            ..
        } = *outline;
        Self {
            chat,
            stamp,
            mark,
            floor,
            last,
        }
    }
}

/// What the store has, at one moment.
struct Stored {
    /// The last position.
    last: Pos,
    glimpses: Vec<Glimpse>,
    history: Vec<MessageRow>,
}

impl Stored {
    fn nothing(last: Pos) -> Self {
        Self {
            last,
            glimpses: Vec::new(),
            history: Vec::new(),
        }
    }

    fn read(
        reading: &Reading,
        user: UserId,
        wanted: Vec<Wanted>,
        history: usize,
    ) -> Result<Self, LogError> {
        let mut stored = Self::nothing(reading.last()?);
        stored.glimpses.reserve(wanted.len());
        for Wanted {
            chat,
            stamp,
            mark,
            floor,
            last,
        } in wanted
        {
            let unread = if last > mark {
                unless_damaged(reading.unread_count(chat, mark, user))?
            } else {
                0
            };
            let last = reading.readable(chat, floor, 1)?.pop();
            stored.glimpses.push(Glimpse {
                chat,
                stamp,
                mark,
                unread,
                last: last.map(Arc::new),
            });
        }
        if history > 0 {
            // Nobody is kept out by what is damaged for all.
            stored.history = reading.readable(ChatId::COMMON, 0, history)?;
        }
        Ok(stored)
    }
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
                let title = match state.group(chat) {
                    Some(group) => group.title.as_str(),
                    None => address.trim_start_matches('@'),
                };
                outlines.push(Outline {
                    chat,
                    shown: Chat {
                        kind: look.kind.as_str(),
                        title: title.to_owned(),
                        members: state.member_count(chat),
                        online: present,
                        unread: 0,
                        last: None,
                        parts: render::parts(
                            view,
                            &core.features,
                            &Subject::Chat { chat, to: user },
                        ),
                        chat: address,
                    },
                    stamp: Stamp::of(view, chat),
                    mark: state.mark(chat, user),
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
    // Of a user with many clients no more is done under the world's lock than must be.
    let look = |view: &View<'_>| {
        let state = &view.world().chat;
        let user = state.user(call.user)?;
        let clients = user.clients.iter().filter_map(|id| {
            let client = state.client(*id)?;
            Some((*id, Arc::clone(&client.agent), client.since, client.seen))
        });
        let parts = render::parts(view, &core.features, &Subject::User(call.user));
        Some((
            user.name.clone(),
            clients.collect::<Vec<_>>(),
            parts,
            view.now(),
        ))
    };
    let found = core.bus.read(look).await?;
    let user = found.map(|(name, clients, parts, now)| {
        let ids = clients.iter().map(|(id, ..)| *id);
        let lately = core.bus.seen_lately_of(ids);
        let one = |(id, agent, since, seen): (ClientId, Arc<str>, Time, Time)| {
            let lately = lately.get(&id).copied().unwrap_or_default();
            ShownClient {
                id,
                agent,
                since: since.to_string(),
                seen: seen.max(lately).min(now).to_string(),
                current: id == call.client,
            }
        };
        User {
            name,
            clients: clients.into_iter().map(one).collect(),
            parts,
        }
    });
    let mut server = Map::new();
    server.insert("name".into(), core.config.server.name.as_str().into());
    server.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    server.insert("uptime_s".into(), core.started.elapsed().as_secs().into());
    server.insert("features".into(), core.features.names().into());
    server.insert("text".into(), core.config.chat.text.into());
    server.extend(
        core.bus
            .peek(|view| render::parts(view, &core.features, &Subject::Server)),
    );
    let clients = user.as_ref().map_or(0, |user| user.clients.len());
    let room = (overview.chats.len() + clients + 2) * CHAT;
    let body = Status {
        server,
        user,
        chats: overview.chats,
    };
    Ok(Answer::written(&body, room)?.delivers(overview.delivers))
}

/// The answer of `GET /status`.
#[derive(Serialize)]
struct Status {
    server: Map<String, Value>,
    user: Option<User>,
    chats: Vec<Chat>,
}

/// Oneself.
#[derive(Serialize)]
struct User {
    name: CompactString,
    clients: Vec<ShownClient>,
    /// The features' parts.
    #[serde(flatten)]
    parts: Map<String, Value>,
}
