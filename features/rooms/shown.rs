//! Rooms as answers and events show them.

use veche::prelude::*;

use super::Rooms;
use super::facts::{Fact, Told};
use super::room::Room;

/// A room as its member sees it.
#[derive(Serialize, JsonSchema)]
pub struct RoomView<'a> {
    /// Its address.
    room: String,
    /// What it is called.
    title: &'a str,
    /// Whose it is.
    owner: &'a str,
    /// Everyone in it, in order of joining.
    members: Vec<&'a str>,
    /// What members see of what was posted before they came: nothing, `joined`, or `all`.
    history: &'static str,
    /// To its owner: who may come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    invites: Option<Vec<Waiting<'a>>>,
    /// To its owner: the links.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<LinkView>>,
    /// To its owner: who has asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Vec<Waiting<'a>>>,
}

/// Somebody who may come in, or wants to.
#[derive(Serialize, JsonSchema)]
pub struct Waiting<'a> {
    /// Who.
    user: &'a str,
    /// Since when.
    at: String,
}

/// A link, without its code.
#[derive(Serialize, JsonSchema)]
pub struct LinkView {
    /// When it was made.
    at: String,
    /// Until when it can be used.
    expires: Option<String>,
    /// How many it can still let in.
    uses: Option<u64>,
}

/// An invitation.
#[derive(Serialize, JsonSchema)]
pub struct InviteView<'a> {
    /// Where to.
    pub room: String,
    /// What that is called.
    pub title: &'a str,
    /// Who is invited.
    pub user: &'a str,
    /// Who invited.
    pub from: &'a str,
    /// When.
    pub at: String,
}

/// One's own request.
#[derive(Serialize, JsonSchema)]
pub struct AskedView<'a> {
    /// The room's title.
    pub title: &'a str,
    /// Since when.
    pub at: String,
}

/// The rooms of a user.
#[derive(Serialize, JsonSchema)]
pub struct RoomList<'a> {
    /// Those they are in.
    pub rooms: Vec<RoomView<'a>>,
    /// Those they may join.
    pub invites: Vec<InviteView<'a>>,
    /// Those they have asked for.
    pub requests: Vec<AskedView<'a>>,
}

/// The requests to a room.
#[derive(Serialize, JsonSchema)]
pub struct RequestList<'a> {
    /// Who has asked.
    pub requests: Vec<Waiting<'a>>,
}

/// How `history` is written.
pub fn history(all: bool) -> &'static str {
    if all { "all" } else { "joined" }
}

fn name<'a>(view: &View<'a>, user: UserId) -> &'a str {
    view.name(user).unwrap_or_default()
}

fn waiting<'a>(view: &View<'a>, who: impl Iterator<Item = (UserId, Time)>) -> Vec<Waiting<'a>> {
    who.map(|(user, at)| Waiting {
        user: name(view, user),
        at: at.to_string(),
    })
    .collect()
}

/// A room's requests.
pub fn requests<'a>(view: &View<'a>, room: &Room) -> Vec<Waiting<'a>> {
    let requests = room.requests.iter();
    waiting(view, requests.map(|(user, request)| (*user, request.at)))
}

/// A room's links that can be used.
fn links(view: &View<'_>, room: &Room) -> Vec<LinkView> {
    let alive = room.links.values().filter(|link| link.is_alive(view.now()));
    let mut alive: Vec<_> = alive.collect();
    alive.sort_by_key(|link| link.row);
    let shown = alive.into_iter().map(|link| LinkView {
        at: link.at.to_string(),
        expires: link.expires.map(|expires| expires.to_string()),
        uses: link.uses,
    });
    shown.collect()
}

/// A room as `to` sees it, with somebody who is about to be in it.
pub fn room<'a>(
    view: &View<'a>,
    chat: ChatId,
    to: UserId,
    comes: Option<UserId>,
) -> Option<RoomView<'a>> {
    let room = view.state::<Rooms>().room(chat)?;
    let is_owner = room.owner == to;
    let members = view.members(chat);
    let invites = || {
        let invites = room.invites.iter();
        waiting(view, invites.map(|(user, invite)| (*user, invite.at)))
    };
    Some(RoomView {
        room: view.spell(chat, None),
        title: view.title(chat)?,
        owner: name(view, room.owner),
        members: members
            .iter()
            .copied()
            .chain(comes)
            .map(|user| name(view, user))
            .collect(),
        history: history(view.sees_all(chat)),
        invites: is_owner.then(invites),
        links: is_owner.then(|| links(view, room)),
        requests: is_owner.then(|| requests(view, room)),
    })
}

/// A room that is about to be.
pub fn new_room<'a>(room: String, title: &'a str, owner: &'a str, all: bool) -> RoomView<'a> {
    RoomView {
        room,
        title,
        owner,
        members: vec![owner],
        history: history(all),
        invites: Some(Vec::new()),
        links: Some(Vec::new()),
        requests: Some(Vec::new()),
    }
}

/// What an event `refused` is of: somebody may have been invited and have asked.
const INVITE: &str = "invite";
const REQUEST: &str = "request";

/// The event of a fact.
pub fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
    let view = telling.view;
    let at = telling.at.to_string();
    let address = |chat: &ChatId| view.spell(*chat, None);
    let title = |chat: &ChatId| view.title(*chat);
    let of_room = |kind, chat: &ChatId, user: UserId| {
        let (room, title, user) = (address(chat), title(chat), view.name(user));
        let data = json!({"room": room, "title": title, "user": user, "at": at});
        Some(Event::new(kind, data))
    };
    let refused = |chat: &ChatId, user: UserId, of| {
        let mut event = of_room("refused", chat, user)?;
        event.data["of"] = Value::from(of);
        Some(event)
    };
    match fact {
        Fact::Made { chat, owner } => whole(view, *chat, *owner),
        Fact::Invited { chat, user } => {
            let data = InviteView {
                room: address(chat),
                title: title(chat)?,
                user: view.name(*user)?,
                from: telling.author()?,
                at,
            };
            Some(Event::new("invited", json!(data)))
        }
        Fact::Uninvited { chat, user } => refused(chat, *user, INVITE),
        Fact::Refused { chat, user, .. } => refused(chat, *user, REQUEST),
        Fact::Linked { chat, .. } | Fact::Unlinked { chat, .. } => {
            links_event(view, *chat, telling.by?)
        }
        Fact::Expired { chat, owner, .. } => links_event(view, *chat, *owner),
        Fact::Asked { chat, user, .. } => of_room("join_request", chat, *user),
        Fact::Joined { chat, user, .. } => of_room("joined", chat, *user),
        Fact::Left {
            chat,
            user,
            removed,
            heir,
        } => {
            let heir = heir.and_then(|heir| view.name(heir));
            let data = json!({
                "room": address(chat),
                "user": view.name(*user),
                "removed": removed,
                "owner": heir,
                "at": at,
            });
            Some(Event::new("left", data))
        }
        Fact::Owned { chat, owner } => {
            let owner = view.name(*owner);
            let data = json!({"room": address(chat), "title": title(chat), "owner": owner});
            Some(Event::new("room", data))
        }
        Fact::Told(Told::Room { chat, to }) => whole(view, *chat, *to),
        Fact::Told(Told::Links { chat, to }) => links_event(view, *chat, *to),
        Fact::Told(Told::Asked { title }) => {
            let data = json!({"title": title, "state": "pending", "at": at});
            Some(Event::new("join_request", data))
        }
        Fact::Told(Told::Approved { title, asked }) => {
            let asked = asked.to_string();
            let data = json!({"title": title, "state": "approved", "asked": asked, "at": at});
            Some(Event::new("join_request", data))
        }
        Fact::Told(Told::Refused { title, asked }) => {
            let asked = asked.to_string();
            let data = json!({"title": title, "of": REQUEST, "asked": asked, "at": at});
            Some(Event::new("refused", data))
        }
        Fact::Told(Told::Void { room, title }) => {
            let data = json!({"room": room, "title": title, "of": INVITE, "at": at});
            Some(Event::new("refused", data))
        }
    }
}

fn links_event(view: &View<'_>, chat: ChatId, to: UserId) -> Option<Event> {
    let room = view.state::<Rooms>().room(chat)?;
    // Whoever owned it then may not be its owner now.
    (room.owner == to).then(|| {
        let (address, links) = (view.spell(chat, None), links(view, room));
        let data = json!({"room": address, "title": view.title(chat), "links": links});
        Event::new("room", data)
    })
}

fn whole(view: &View<'_>, chat: ChatId, to: UserId) -> Option<Event> {
    // Whoever is out by now is told of it next, and must see nothing newer.
    if !view.is_member(chat, to) {
        return None;
    }
    Some(Event::new("room", json!(room(view, chat, to, None)?)))
}
