//! What the numbers of a step mean over what there is now, and the call that comes of it.

use crate::model::call::{Call, Page, When};
use crate::model::{HOUR, Kind, Model, Room, SECOND, UserIx};
use crate::steps::{EMOJI, FILES, N, NOBODY, TEXTS, To, What};

/// The first large number.
const LARGE: N = 6;

/// What was made in the course of a sequence, and has no place in the model.
#[derive(Default)]
pub struct Made {
    pub codes: Vec<String>,
    pub scheduled: Vec<String>,
    pub files: Vec<String>,
}

fn pick<T: Clone>(from: &[T], n: N) -> Option<T> {
    // The newest come first: most is done with them.
    (!from.is_empty()).then(|| from[from.len() - 1 - n % from.len()].clone())
}

fn text(n: N) -> String {
    TEXTS[n % TEXTS.len()].to_owned()
}

/// What a caller may mean.
pub struct Sight<'a> {
    pub model: &'a Model,
    pub made: &'a Made,
    pub by: UserIx,
}

impl Sight<'_> {
    /// One of those that the caller has to do with, or of all.
    fn one<T: Clone>(
        &self,
        own: impl IntoIterator<Item = T>,
        all: impl IntoIterator<Item = T>,
        n: N,
    ) -> Option<T> {
        let own: Vec<T> = own.into_iter().collect();
        let all: Vec<T> = all.into_iter().collect();
        if n < LARGE && !own.is_empty() {
            pick(&own, n)
        } else {
            pick(&all, n)
        }
    }

    fn user(&self, n: N) -> String {
        let users = &self.model.users;
        if n == LARGE + 1 {
            "nobody".to_owned()
        } else {
            users[n % users.len()].name.clone()
        }
    }

    /// One of these users, or any.
    fn user_of(&self, users: Vec<UserIx>, n: N) -> String {
        match pick(&users, n).filter(|_| n < LARGE) {
            Some(user) => self.model.users[user].name.clone(),
            None => self.user(n),
        }
    }

    fn id(&self, n: N) -> u64 {
        let ids = &self.model.ids;
        let seen = self
            .model
            .messages
            .keys()
            .filter(|moment| self.model.sees(self.by, **moment));
        let seen = seen.filter_map(|moment| ids[*moment]);
        self.one(seen, ids.iter().flatten().copied(), n)
            .unwrap_or(1_000_000)
    }

    /// A message of the caller's own, or any.
    fn own_id(&self, n: N) -> u64 {
        let messages = self.model.messages.iter();
        let own = messages.filter(|(moment, message)| {
            message.from == self.by && self.model.sees(self.by, **moment)
        });
        let own = own.filter_map(|(moment, _)| self.model.ids[*moment]);
        let all = self.model.ids.iter().flatten().copied();
        self.one(own, all, n).unwrap_or(1_000_000)
    }

    /// A room that passes, or any.
    fn room_that(&self, passes: impl Fn(&Room) -> bool, n: N) -> String {
        let rooms = self.model.chats.iter().filter_map(|chat| match &chat.kind {
            Kind::Room(room) => Some(room),
            _ => None,
        });
        let own = rooms.clone().filter(|room| passes(room));
        let room = self.one(own, rooms, n);
        room.map_or_else(|| "none".to_owned(), |room| room.uuid.clone())
    }

    /// One that the caller is in.
    fn room(&self, n: N) -> String {
        self.room_that(|room| room.since(self.by).is_some(), n)
    }

    fn is_in_a_room(&self) -> bool {
        let mut rooms = (0..self.model.chats.len()).filter_map(|chat| self.model.room(chat));
        rooms.any(|room| room.since(self.by).is_some())
    }

    /// One that the caller owns.
    fn owned(&self, n: N) -> String {
        self.owned_with(|_| true, n)
    }

    /// One that the caller owns, and that has something.
    fn owned_with(&self, has: impl Fn(&Room) -> bool, n: N) -> String {
        let is_own = |room: &Room| room.owner == self.by && !room.members.is_empty();
        self.room_that(|room| is_own(room) && has(room), n)
    }

    /// Those of a room, by its UUID.
    fn those<T>(&self, uuid: &str, of: impl Fn(&Room) -> Vec<T>) -> Vec<T> {
        let chat = self.model.find_room(uuid);
        chat.and_then(|chat| self.model.room(chat))
            .map(of)
            .unwrap_or_default()
    }

    fn code(&self, n: N) -> String {
        pick(&self.made.codes, n).unwrap_or_else(|| "x".to_owned())
    }

    fn scheduled(&self, n: N) -> String {
        let own = self.model.scheduled_by(self.by).into_iter();
        let one = self.one(own, self.made.scheduled.iter().cloned(), n);
        one.unwrap_or_else(|| "x".to_owned())
    }

    fn file(&self, n: N) -> String {
        let own = self.model.files_of(self.by);
        self.one(own, self.made.files.clone(), n)
            .unwrap_or_else(|| "x".to_owned())
    }

    /// A file for a post, on a server that has files.
    fn to_send(&self, file: Option<N>) -> Option<String> {
        file.filter(|_| self.model.has("files"))
            .map(|n| self.file(n))
    }

    pub fn address(&self, to: &To) -> String {
        match to {
            To::Common => "common".to_owned(),
            To::Me => "@me".to_owned(),
            To::User(n) => format!("@{}", self.user(*n)),
            // Whoever is in no room says it to all.
            To::Room(n) if *n < LARGE && !self.is_in_a_room() => "common".to_owned(),
            To::Room(n) => format!("room:{}", self.room(*n)),
            To::Nobody(n) => NOBODY[n % NOBODY.len()].to_owned(),
        }
    }
}

impl What {
    /// Whether this is something that a user can do now.
    pub fn fits(&self, model: &Model, by: UserIx) -> bool {
        let rooms = || (0..model.chats.len()).filter_map(|chat| model.room(chat));
        let owns = |has: &dyn Fn(&Room) -> bool| rooms().any(|room| room.owner == by && has(room));
        match self {
            Self::Invite { .. } | Self::Link { .. } | Self::Requests { .. } => owns(&|_| true),
            Self::Uninvite { .. } => owns(&|room| !room.invited().is_empty()),
            Self::Unlink { .. } | Self::UnlinkAll { .. } => owns(&|room| !room.codes().is_empty()),
            Self::Decide { .. } => owns(&|room| !room.asking().is_empty()),
            Self::Remove { .. } => owns(&|room| room.members.len() > 1),
            Self::Enter { .. } => rooms().any(|room| room.invited().contains(&by)),
            Self::Room { .. } | Self::Leave { .. } => rooms().any(|room| room.since(by).is_some()),
            Self::Ask { .. } => {
                rooms().any(|room| room.since(by).is_none() && !room.codes().is_empty())
            }
            Self::File { .. } => !model.files_of(by).is_empty(),
            Self::Cancel { .. } => !model.scheduled_by(by).is_empty(),
            Self::Message { .. }
            | Self::Comment { .. }
            | Self::Comments { .. }
            | Self::React { .. }
            | Self::Reactions { .. } => model.messages.keys().any(|moment| model.sees(by, *moment)),
            Self::Edit { .. } | Self::Unsay { .. } => {
                let mut messages = model.messages.iter();
                messages.any(|(moment, message)| message.from == by && model.sees(by, *moment))
            }
            Self::Complain { .. } => model.banned_until(by).is_none(),
            _ => true,
        }
    }

    /// What makes this possible, where nobody can do it.
    pub fn needs(&self) -> Option<What> {
        Some(match self {
            Self::Invite { room, .. } | Self::Link { room, .. } => Self::MakeRoom {
                title: room % 3,
                all: room % 2 == 0,
            },
            Self::Requests { room } | Self::Room { room } | Self::Leave { room } => {
                Self::MakeRoom {
                    title: room % 3,
                    all: room % 2 == 0,
                }
            }
            Self::Uninvite { room, user } => Self::Invite {
                room: *room,
                user: *user,
            },
            Self::Enter { room } => Self::Invite {
                room: *room,
                user: room + 1,
            },
            Self::Remove { room, .. } => Self::Enter { room: *room },
            Self::Unlink { room, .. } | Self::UnlinkAll { room } => Self::Link {
                room: *room,
                expires: None,
                uses: None,
            },
            Self::Ask { code } => Self::Link {
                room: *code,
                expires: None,
                uses: Some(1),
            },
            Self::Decide { room, .. } => Self::Ask { code: *room },
            Self::Cancel { id } => Self::Schedule {
                to: To::Me,
                text: *id,
                file: None,
                by: HOUR,
                at: false,
            },
            Self::File { id } => Self::Upload {
                name: *id,
                large: false,
            },
            Self::Message { id }
            | Self::Edit { id, .. }
            | Self::Unsay { id }
            | Self::Comment { id, .. }
            | Self::Comments { id, .. }
            | Self::React { id, .. }
            | Self::Reactions { id, .. } => Self::Send {
                to: To::User(*id),
                text: 0,
                file: None,
            },
            _ => return None,
        })
    }

    /// The call, over what there is now.
    pub fn call(&self, sight: &Sight<'_>) -> Call {
        match *self {
            Self::Disconnect { all } => Call::Disconnect { all },
            Self::Status => Call::Status,
            Self::Users { limit } => Call::Users { after: None, limit },
            Self::Send {
                ref to,
                text: t,
                file,
            } => Call::Send {
                to: sight.address(to),
                text: text(t),
                file: sight.to_send(file),
            },
            Self::Messages {
                ref chat,
                page,
                id,
                limit,
            } => {
                let page = match page {
                    0 => Page::Newest,
                    1 => Page::Before(sight.id(id)),
                    2 => Page::After(sight.id(id)),
                    _ => Page::After(0),
                };
                Call::Messages {
                    chat: sight.address(chat),
                    page,
                    limit,
                }
            }
            Self::Message { id } => Call::Message { id: sight.id(id) },
            Self::Unread { limit } => Call::Unread { limit },
            Self::Mentions { before, limit } => Call::Mentions {
                before: before.map(|n| sight.id(n)),
                limit,
            },
            Self::Read { ref chat, upto } => Call::Read {
                chat: chat.as_ref().map(|chat| sight.address(chat)),
                upto: upto.map(|n| match n {
                    0 => 0,
                    1 => (1 << 53) - 1,
                    n => sight.id(n - 2),
                }),
            },
            Self::Edit { id, text: t } => Call::Edit {
                id: sight.own_id(id),
                text: text(t),
            },
            Self::Unsay { id } => Call::Unsay {
                id: sight.own_id(id),
            },
            Self::React { id, emoji, on } => Call::React {
                id: sight.id(id),
                emoji: EMOJI[emoji % EMOJI.len()].to_owned(),
                on,
            },
            Self::Reactions {
                id,
                emoji,
                after,
                limit,
            } => Call::Reactions {
                id: sight.id(id),
                emoji: emoji.map(|n| EMOJI[n % EMOJI.len()].to_owned()),
                after: after.map_or(0, |n| sight.id(n + LARGE)),
                limit,
            },
            Self::Comment { id, text: t } => Call::Comment {
                id: sight.id(id),
                text: text(t),
            },
            Self::Comments { id, after, limit } => {
                let after = after.map_or(0, |n| sight.id(n + LARGE));
                Call::Comments {
                    id: sight.id(id),
                    after,
                    limit,
                }
            }
            Self::Complain {
                user,
                reason,
                message,
            } => Call::Complain {
                user: sight.user_of(sight.model.warned(sight.by), user),
                reason: reason.map(text),
                message: message.map(|n| sight.id(n)),
            },
            Self::Schedule {
                ref to,
                text: t,
                file,
                by,
                at,
            } => {
                let when = if at || by < 0 {
                    When::At(sight.model.now + by)
                } else {
                    When::In((by / SECOND) as u64)
                };
                Call::Schedule {
                    to: sight.address(to),
                    text: text(t),
                    file: sight.to_send(file),
                    when,
                }
            }
            Self::ScheduleWrongly { both } => {
                let when = if both { When::Both } else { When::Neither };
                Call::Schedule {
                    to: "common".to_owned(),
                    text: text(0),
                    file: None,
                    when,
                }
            }
            Self::Upload { name, large } => Call::Upload {
                name: FILES[name % FILES.len()].to_owned(),
                content: "file ".repeat(if large { 300 } else { name + 1 }),
            },
            Self::File { id } => Call::File { id: sight.file(id) },
            Self::Scheduled => Call::Scheduled,
            Self::Cancel { id } => Call::Cancel {
                id: sight.scheduled(id),
            },
            Self::MakeRoom { title, all } => {
                let titles = ["Den", "Küche", "Hall", " ", "a\nb", &"x".repeat(101)];
                Call::MakeRoom {
                    title: titles[title % titles.len()].to_owned(),
                    all,
                }
            }
            Self::Rooms => Call::Rooms,
            Self::Room { room } => Call::Room {
                room: sight.room(room),
            },
            Self::Invite { room, user } => Call::Invite {
                room: sight.owned(room),
                user: sight.user(user),
            },
            Self::Uninvite { room, user } => {
                let room = sight.owned_with(|room| !room.invited().is_empty(), room);
                let invited = sight.those(&room, Room::invited);
                Call::Uninvite {
                    room,
                    user: sight.user_of(invited, user),
                }
            }
            Self::Link {
                room,
                expires,
                uses,
            } => Call::Link {
                room: sight.owned(room),
                expires,
                uses,
            },
            Self::Unlink { room, code } => {
                let room = sight.owned_with(|room| !room.codes().is_empty(), room);
                let codes = sight.those(&room, Room::codes);
                let code = sight.one(codes, sight.made.codes.clone(), code);
                Call::Unlink {
                    room,
                    code: code.unwrap_or_else(|| "x".to_owned()),
                }
            }
            Self::UnlinkAll { room } => Call::UnlinkAll {
                room: sight.owned(room),
            },
            Self::Requests { room } => Call::Requests {
                room: sight.owned(room),
            },
            Self::Decide {
                room,
                user,
                approve,
            } => {
                let room = sight.owned_with(|room| !room.asking().is_empty(), room);
                let asking = sight.those(&room, Room::asking);
                Call::Decide {
                    room,
                    user: sight.user_of(asking, user),
                    approve,
                }
            }
            Self::Remove { room, user } => {
                let room = sight.owned_with(|room| room.members.len() > 1, room);
                let users = |room: &Room| {
                    let members = room.members.iter().map(|(user, _)| *user);
                    members.filter(|user| *user != room.owner).collect()
                };
                let members = sight.those(&room, users);
                Call::Remove {
                    room,
                    user: sight.user_of(members, user),
                }
            }
            Self::Enter { room } => {
                let invited = |room: &Room| room.invited().contains(&sight.by);
                Call::Enter {
                    room: sight.room_that(invited, room),
                }
            }
            Self::Ask { code } => Call::Ask {
                code: sight.code(code),
            },
            Self::Leave { room } => Call::Leave {
                room: sight.room(room),
            },
        }
    }
}

/// The post of a client while the server is killed.
pub fn post(sight: &Sight<'_>, to: &To, n: N) -> Call {
    Call::Send {
        to: sight.address(to),
        text: text(n),
        file: None,
    }
}
