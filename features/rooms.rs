//! **rooms**: chats with members, entered by invitation, or by a link and the owner's approval.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"title": "Kitchen"}' $URL/rooms
//! curl -H "Authorization: Bearer $TOKEN" --json '{"user": "bob"}' $URL/rooms/$ROOM/invites
//! curl -H "Authorization: Bearer $TOKEN" --json '{"uses": 3}' $URL/rooms/$ROOM/links
//! ```
//!
//! Who is in a room, and what each member sees, is the core's. Here is who may come in: the
//! invited, and those whose request the owner approves. A link lets nobody in; it lets them ask.
//! To everybody who is not in it a room does not exist.
//!
//! - `rooms/links.rs`: links, the requests that come by them, and the owner's decisions.
//! - `rooms/facts.rs`: what can happen; `rooms/room.rs`: one room's rules; `rooms/state.rs`: what is
//!   remembered of all.
//! - `rooms/shown.rs`: rooms as answers and events show them.
//! - `rooms/desk.rs`: what administrators decide.

#[path = "rooms/desk.rs"]
mod desk;
#[path = "rooms/facts.rs"]
mod facts;
#[path = "rooms/links.rs"]
mod links;
#[path = "rooms/room.rs"]
mod room;
#[path = "rooms/shown.rs"]
mod shown;
#[path = "rooms/state.rs"]
mod state;

use veche::prelude::*;

use facts::{Fact, Told};
use links::{MadeLink, Pending};
use room::Room;
use shown::{InviteView, RequestList, RoomList, RoomView};
use state::State;

/// The most characters of a title.
const TITLE: usize = 100;

settings! {
    /// Rooms: who comes in, and how many.
    pub struct Settings {
        /// How long somebody whose request was refused must wait before they ask again, at most
        /// 36500d.
        pub cooldown: Period = Period::hours(1) => Period::ms(0)..,
        /// How many rooms one user may own by making them, 1 to 100000.
        pub rooms: usize = 100 => 1..=100_000,
        /// How many members a room may have, 1 to 100000.
        pub members: usize = 10_000 => 1..=100_000,
        /// How many invitations of a room may be open, 1 to 100000.
        pub invites: usize = 1_000 => 1..=100_000,
        /// How many links of a room may be alive, 1 to 1000.
        pub links: usize = 20 => 1..=1_000,
        /// How many requests to a room may be pending, 1 to 100000.
        pub requests: usize = 1_000 => 1..=100_000,
    }
}

/// Rooms.
pub struct Rooms {
    settings: Settings,
}

feature!(Rooms);

#[derive(Deserialize, JsonSchema)]
struct NewRoom {
    /// 1–100 characters on one line.
    #[schemars(length(min = 1, max = 100))]
    title: String,
    /// What members see of what was posted before they came: nothing, or all.
    #[serde(default)]
    history: Option<History>,
}

#[derive(PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum History {
    Joined,
    All,
}

#[derive(Deserialize, JsonSchema)]
struct NewInvite {
    /// Who may come in: a name, in any case, with or without `@`.
    #[schemars(with = "strings::Mention")]
    user: String,
}

/// The body of a call that says all in its path.
#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A room's part of its chat.
#[derive(Serialize, JsonSchema)]
struct Part<'a> {
    /// Whose it is.
    owner: &'a str,
    /// What members see of what was posted before they came.
    history: &'static str,
}

impl Feature for Rooms {
    const ABOUT: &'static str =
        "Rooms with members, entered by invitation or by a link and approval";

    type Settings = Settings;
    type State = State;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/rooms", "Makes a room", Self::make)
            .returns::<RoomView>(201, "The room")
            .get(
                "/rooms",
                "One's rooms, invitations and requests",
                Self::list,
            )
            .returns::<RoomList>(200, "Rooms in order of their making")
            .get("/rooms/{id}", "One room", Self::one)
            .returns::<RoomView>(200, "The room")
            .post("/rooms/{id}/invites", "Invites somebody", Self::invite)
            .returns::<InviteView>(201, "The invitation")
            .delete(
                "/rooms/{id}/invites/{name}",
                "Takes an invitation back",
                Self::uninvite,
            )
            .returns_nothing(204, "It is void")
            .post("/rooms/{id}/links", "Makes a link", Self::link)
            .body_optional()
            .returns::<MadeLink>(201, "The link, whose code is shown only here")
            .delete("/rooms/{id}/links/{code}", "Revokes a link", Self::unlink)
            .returns_nothing(204, "It is dead")
            .delete("/rooms/{id}/links", "Revokes every link", Self::unlink_all)
            .returns_nothing(204, "All are dead")
            .get("/rooms/{id}/requests", "Who has asked", Self::requests)
            .returns::<RequestList>(200, "Those who wait")
            .post(
                "/rooms/{id}/requests/{name}",
                "Approves or refuses a request",
                Self::decide,
            )
            .returns_nothing(204, "It is decided")
            .delete(
                "/rooms/{id}/members/{name}",
                "Removes a member",
                Self::remove,
            )
            .returns_nothing(204, "They are out")
            .post("/rooms/{id}/join", "Comes in, invited", Self::join)
            .body_optional()
            .returns::<RoomView>(200, "The room")
            .post("/join/{code}", "Asks to come in, by a link", Self::ask)
            .body_optional()
            .returns::<Pending>(202, "The owner will decide")
            .post("/rooms/{id}/leave", "Leaves a room", Self::leave)
            .body_optional()
            .returns_nothing(204, "Out of it")
            .chat_part::<Part>("A room's owner and history")
            .admin(
                "rename-owner ROOM NAME",
                "Gives a room to one of its members",
                Self::rename_owner,
            )
    }

    fn apply(state: &mut State, fact: Fact, stamp: &Stamp) {
        state.fold(fact, stamp);
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        shown::event(fact, telling)
    }

    fn due(&self, state: &State, _: &Tx<'_>) -> Option<Time> {
        state.next_end().map(|(at, ..)| at)
    }

    fn wake(&self, state: &State, tx: &mut Tx<'_>) -> Result<(), Problem> {
        let Some((_, chat, code)) = state.next_end().filter(|(at, ..)| *at <= tx.now()) else {
            return Ok(());
        };
        let room = state.room(chat);
        room.map_or(Ok(()), |room| Self::expire(tx, chat, room, code))
    }

    fn show(&self, state: &State, of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        if let Subject::Chat { chat, .. } = of
            && let Some(room) = state.room(*chat)
        {
            to.set_all(&Part {
                owner: view.name(room.owner).unwrap_or_default(),
                history: shown::history(view.sees_all(*chat)),
            });
        }
    }
}

impl Rooms {
    fn make(&self, tx: &mut Tx<'_>, call: &Call, new: &NewRoom) -> Result<Answer, Problem> {
        check_title(&new.title)?;
        let state = tx.state::<Self>();
        let chats = tx.chats_of(call.user);
        let owned = chats
            .into_iter()
            .filter_map(|chat| state.room(chat))
            .filter(|room| room.owner == call.user)
            .count();
        full(owned, self.settings.rooms, "rooms of one's own")?;
        // A title is a text that others come to see: whoever may not post may not write one.
        let mut draft = Draft::message(call.user, Address::User(call.user), &new.title);
        draft.purpose = Purpose::Upload;
        let mut passed = tx.check(&draft)?;
        let all = new.history == Some(History::All);
        let (chat, uuid) = tx.found::<Self>(&new.title, all)?;
        tx.enter::<Self>(chat, call.user)?;
        let made = Fact::Made {
            chat,
            owner: call.user,
        };
        let row = tx.record(told(made, vec![call.user]).kept().passed(&mut passed))?;
        let owner = tx.name(call.user).unwrap_or_default();
        let room = shown::new_room(format!("room:{uuid}"), &new.title, owner, all);
        Ok(Answer::created(json!(room))
            .made(row)
            .location(&format!("/rooms/{uuid}"))
            .headers(passed.headers()))
    }

    async fn list(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let user = ask.call.user;
        let list = ask.view(|view| {
            let rooms = view.chats_of(user).into_iter();
            let mut list = RoomList {
                rooms: rooms
                    .filter_map(|chat| shown::room(view, chat, user, None))
                    .collect(),
                invites: Vec::new(),
                requests: Vec::new(),
            };
            for (chat, room) in view.state::<Self>().waiting(user) {
                let Some(title) = view.title(chat).filter(|_| view.chat(chat).is_some()) else {
                    continue;
                };
                if let Some(invite) = room.invites.get(&user) {
                    list.invites.push(InviteView {
                        room: view.spell(chat, None),
                        title,
                        user: view.name(user).unwrap_or_default(),
                        from: view.name(invite.by).unwrap_or_default(),
                        at: invite.at.to_string(),
                    });
                }
                if let Some(request) = room.requests.get(&user) {
                    let at = request.at.to_string();
                    list.requests.push(shown::AskedView { title, at });
                }
            }
            json!(list)
        });
        Ok(Answer::ok(list.await?))
    }

    async fn one(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let room = ask.view(|view| {
            let (chat, _) = find(view, &ask.call)?;
            let room = shown::room(view, chat, ask.call.user, None);
            Ok(json!(room.ok_or_else(no_room)?))
        });
        Ok(Answer::ok(room.await??))
    }

    fn invite(&self, tx: &mut Tx<'_>, call: &Call, new: &NewInvite) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let user = tx
            .find_user(&new.user)
            .ok_or_else(|| not_found("there is no such user"))?;
        if tx.is_member(chat, user) {
            return Err(already_member("they are in the room"));
        }
        let known = room.invites.get(&user);
        let row = match known {
            Some(invite) => invite.row,
            None => {
                let open = room.invites.len();
                full(open, self.settings.invites, "open invitations")?;
                let fact = Fact::Invited { chat, user };
                tx.record(told(fact, vec![call.user, user]).kept())?
            }
        };
        let invite = InviteView {
            room: tx.spell(chat, None),
            title: tx.title(chat).unwrap_or_default(),
            user: tx.name(user).unwrap_or_default(),
            from: tx
                .name(known.map_or(call.user, |invite| invite.by))
                .unwrap_or_default(),
            at: known.map_or(tx.now(), |invite| invite.at).to_string(),
        };
        Ok(Answer::created(json!(invite)).made(row))
    }

    fn uninvite(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let found = tx
            .find_user(call.param("name"))
            .and_then(|user| Some((user, room.invites.get(&user)?)));
        let (user, invite) = found.ok_or_else(|| not_found("there is no such invitation"))?;
        let fact = Fact::Uninvited { chat, user };
        tx.record(told(fact, vec![call.user, user]))?;
        erase(tx, vec![invite.row])?;
        Ok(Answer::no_content())
    }

    fn remove(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let user = tx
            .find_user(call.param("name"))
            .filter(|user| tx.is_member(chat, *user))
            .ok_or_else(|| not_found("there is no such member"))?;
        if user == call.user {
            let detail = "one leaves by POST /rooms/ID/leave, which hands the room over";
            return Err(Problem::new(StatusCode::CONFLICT, "is_owner", detail));
        }
        let void = room.invited_by(user);
        let loses = !void.is_empty() || room.links.values().any(|link| link.by == user);
        let fact = Fact::Left {
            chat,
            user,
            removed: true,
            heir: None,
        };
        tx.record(Entry::<Self>::new(fact).tell_chat(chat))?;
        tx.leave::<Self>(chat, user)?;
        self.void(tx, chat, void, Vec::new())?;
        let rows = room.rows_by(user);
        erase(tx, rows.into_iter().chain(room.entered.get(&user).copied()))?;
        if loses {
            // The room's invitations and links are fewer now.
            let to = call.user;
            tx.record(told(Fact::Told(Told::Room { chat, to }), vec![to]))?;
        }
        Ok(Answer::no_content())
    }

    fn join(&self, tx: &mut Tx<'_>, call: &Call, _: &Nothing) -> Result<Answer, Problem> {
        let user = call.user;
        let chat = tx.room(call.param("id")).ok_or_else(no_room)?;
        let room = tx.state::<Self>().room(chat).ok_or_else(no_room)?;
        let mut comes = None;
        let mut row = room.entered.get(&user).copied();
        if !tx.is_member(chat, user) {
            if !room.invites.contains_key(&user) {
                return Err(no_room());
            }
            row = Some(self.let_in(tx, chat, user, None)?);
            comes = Some(user);
        }
        let room = shown::room(tx, chat, user, comes).ok_or_else(no_room)?;
        let answer = Answer::ok(json!(room));
        Ok(match row {
            Some(row) => answer.made(row),
            None => answer,
        })
    }

    fn leave(&self, tx: &mut Tx<'_>, call: &Call, _: &Nothing) -> Result<Answer, Problem> {
        let (chat, room) = find(tx, call)?;
        let user = call.user;
        let is_owner = room.owner == user;
        let members = tx.members(chat);
        let mut others = members.iter().copied().filter(|member| *member != user);
        let heir = if is_owner { others.next() } else { None };
        let fact = Fact::Left {
            chat,
            user,
            removed: false,
            heir,
        };
        tx.record(Entry::<Self>::new(fact).tell_chat(chat))?;
        match heir {
            // They see from now on what an owner sees.
            Some(to) => {
                tx.record(told(Fact::Told(Told::Room { chat, to }), vec![to]))?;
            }
            None if is_owner => {
                let invited = room.invites.keys().copied().collect();
                let asked = room.requests.iter();
                let asked = asked.map(|(user, request)| (*user, request.at)).collect();
                self.void(tx, chat, invited, asked)?;
            }
            None => {}
        }
        let ends = is_owner && heir.is_none();
        let rows = if ends {
            room.rows()
        } else {
            room.entered.get(&user).copied().into_iter().collect()
        };
        erase(tx, rows)?;
        tx.leave::<Self>(chat, user)?;
        Ok(Answer::no_content())
    }

    /// Makes somebody a member, and gives the row of it; with the digest of a link's code that
    /// counts as its use.
    fn let_in(
        &self,
        tx: &mut Tx<'_>,
        chat: ChatId,
        user: UserId,
        code: Option<String>,
    ) -> Result<Id, Problem> {
        let most = self.settings.members;
        if tx.members(chat).len() >= most {
            let detail = format!("the room has {most} members, as many as it may");
            return Err(Problem::new(StatusCode::CONFLICT, "room_full", detail));
        }
        tx.enter::<Self>(chat, user)?;
        let fact = Fact::Joined { chat, user, code };
        let row = tx.record(Entry::<Self>::new(fact).tell_chat(chat).kept())?;
        let whole = Fact::Told(Told::Room { chat, to: user });
        tx.record(told(whole, vec![user]))?;
        let Some(room) = tx.state::<Self>().room(chat) else {
            return Ok(row);
        };
        if let Some(invite) = room.invites.get(&user) {
            erase(tx, vec![invite.row])?;
        }
        if let Some(request) = room.requests.get(&user) {
            let title = tx.title(chat).unwrap_or_default().to_owned();
            let asked = request.at;
            let approved = Fact::Told(Told::Approved { title, asked });
            tx.record(told(approved, vec![user]))?;
            erase(tx, vec![request.row])?;
        }
        Ok(row)
    }

    /// Tells those who waited that they wait no longer.
    fn void(
        &self,
        tx: &mut Tx<'_>,
        chat: ChatId,
        invited: Vec<UserId>,
        asked: Vec<(UserId, Time)>,
    ) -> Result<(), Problem> {
        let title = tx.title(chat).unwrap_or_default().to_owned();
        if !invited.is_empty() {
            let room = tx.spell(chat, None);
            let title = title.clone();
            tx.record(told(Fact::Told(Told::Void { room, title }), invited))?;
        }
        for (user, asked) in asked {
            let title = title.clone();
            let refused = Fact::Told(Told::Refused { title, asked });
            tx.record(told(refused, vec![user]))?;
        }
        Ok(())
    }
}

fn told(fact: Fact, to: Vec<UserId>) -> Entry<Rooms> {
    Entry::new(fact).tell(to)
}

/// Ends what was made: its row goes, and with it the answer that is kept for a repeat.
fn erase(tx: &mut Tx<'_>, rows: impl IntoIterator<Item = Id>) -> Result<(), Problem> {
    let mut there = Vec::new();
    for row in rows {
        // A link's goes with its last use, before the link itself is taken away.
        if tx.row::<Rooms>(row)?.is_some() {
            there.push(row);
        }
    }
    if there.is_empty() {
        return Ok(());
    }
    tx.erase::<Rooms>(there)
}

/// The room of a path, for its members; to others it does not exist.
fn find<'a>(view: &View<'a>, call: &Call) -> Result<(ChatId, &'a Room), Problem> {
    let chat = view.room(call.param("id"));
    let chat = chat.filter(|chat| view.is_member(*chat, call.user));
    let room = chat.and_then(|chat| Some((chat, view.state::<Rooms>().room(chat)?)));
    room.ok_or_else(no_room)
}

/// The room of a path, for its owner.
fn owned<'a>(view: &View<'a>, call: &Call) -> Result<(ChatId, &'a Room), Problem> {
    let (chat, room) = find(view, call)?;
    if room.owner == call.user {
        return Ok((chat, room));
    }
    let detail = "only the room's owner may do this";
    Err(Problem::new(StatusCode::FORBIDDEN, "not_owner", detail))
}

fn check_title(title: &str) -> Result<(), Problem> {
    let length = title.chars().count();
    if length > TITLE || title.trim().is_empty() {
        let detail = format!("`title` has {length} characters; 1 to {TITLE} are allowed");
        return Err(invalid("title", detail));
    }
    if title.contains(|c: char| c.is_control()) {
        return Err(invalid(
            "title",
            "`title` is one line without control characters",
        ));
    }
    Ok(())
}

fn full(count: usize, most: usize, what: &str) -> Result<(), Problem> {
    if count < most {
        return Ok(());
    }
    let detail = format!("{most} {what} are allowed");
    Err(Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many",
        detail,
    ))
}

fn already_member(detail: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "already_member", detail)
}

fn no_room() -> Problem {
    not_found("there is no such room")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_of_1_to_100_characters() {
        for good in ["a", "Küche", &"ж".repeat(100)] {
            assert!(check_title(good).is_ok(), "{good:?}");
        }
        for bad in ["", "  ", "a\nb", "a\u{7}", &"ж".repeat(101)] {
            assert!(check_title(bad).is_err(), "{bad:?}");
        }
    }
}
