//! What is remembered of all rooms: the fold of their facts.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

use super::facts::Fact;
use super::room::{Invite, Link, Request, Room};

/// Every room.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    rooms: BTreeMap<ChatId, Room>,
    /// The room of each link, by the digest of its code.
    links: BTreeMap<String, ChatId>,
    /// When links end that have not yet, with the digests of their codes.
    #[serde(default)]
    ends: BTreeSet<(Time, String)>,
    /// Where somebody is invited to or has asked.
    waiting: BTreeMap<UserId, BTreeSet<ChatId>>,
}

impl State {
    /// A room's policy.
    pub fn room(&self, chat: ChatId) -> Option<&Room> {
        self.rooms.get(&chat)
    }

    /// The room of a link by the digest of its code.
    pub fn by_link(&self, code: &str) -> Option<(ChatId, &Room, &Link)> {
        let chat = *self.links.get(code)?;
        let room = self.rooms.get(&chat)?;
        Some((chat, room, room.links.get(code)?))
    }

    /// The link that ends next, with its room and its code's digest.
    pub fn next_end(&self) -> Option<(Time, ChatId, &str)> {
        let (at, code) = self.ends.first()?;
        Some((*at, *self.links.get(code)?, code))
    }

    /// The rooms that somebody is invited to or has asked for.
    pub fn waiting(&self, user: UserId) -> impl Iterator<Item = (ChatId, &Room)> {
        let chats = self.waiting.get(&user).into_iter().flatten();
        chats.filter_map(|chat| Some((*chat, self.rooms.get(chat)?)))
    }

    /// Folds a fact.
    pub fn fold(&mut self, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Made { chat, owner } => {
                self.rooms.insert(chat, Room::new(stamp.pos, owner));
            }
            Fact::Invited { chat, user } => {
                let (Some(by), Some(room)) = (stamp.by, self.rooms.get_mut(&chat)) else {
                    return;
                };
                let (row, at) = (stamp.pos, stamp.at);
                room.invites.insert(user, Invite { row, by, at });
                self.settle(chat, user);
            }
            Fact::Uninvited { chat, user } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    room.invites.remove(&user);
                }
                self.settle(chat, user);
            }
            Fact::Linked {
                chat,
                code,
                expires,
                uses,
            } => {
                let (Some(by), Some(room)) = (stamp.by, self.rooms.get_mut(&chat)) else {
                    return;
                };
                let link = Link {
                    row: stamp.pos,
                    by,
                    at: stamp.at,
                    expires,
                    uses,
                    over: false,
                };
                room.links.insert(code.clone(), link);
                self.ends.extend(expires.map(|at| (at, code.clone())));
                self.links.insert(code, chat);
            }
            Fact::Expired { chat, code, .. } => {
                let room = self.rooms.get_mut(&chat);
                let Some(link) = room.and_then(|room| room.links.get_mut(&code)) else {
                    return;
                };
                link.over = true;
                if let Some(at) = link.expires {
                    self.ends.remove(&(at, code));
                }
            }
            Fact::Unlinked { chat, codes } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    for code in codes {
                        if let Some(link) = room.links.remove(&code) {
                            forget(&mut self.links, &mut self.ends, code, &link);
                        }
                    }
                }
            }
            Fact::Asked { chat, user, code } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    let (row, at) = (stamp.pos, stamp.at);
                    room.requests.insert(user, Request { row, code, at });
                }
                self.settle(chat, user);
            }
            Fact::Refused { chat, user, until } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    room.requests.remove(&user);
                    room.refused.retain(|_, until| *until > stamp.at);
                    room.refused.insert(user, until);
                }
                self.settle(chat, user);
            }
            Fact::Joined { chat, user, code } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    room.invites.remove(&user);
                    room.requests.remove(&user);
                    room.refused.remove(&user);
                    room.entered.insert(user, stamp.pos);
                    if let Some(code) = code
                        && let Some(link) = room.links.get_mut(&code)
                        && let Some(uses) = &mut link.uses
                    {
                        *uses = uses.saturating_sub(1);
                        // One that is spent has ended.
                        if let (0, Some(at)) = (*uses, link.expires) {
                            self.ends.remove(&(at, code));
                        }
                    }
                }
                self.settle(chat, user);
            }
            Fact::Left {
                chat,
                user,
                removed,
                heir,
            } => self.leave(chat, user, removed, heir),
            Fact::Owned { chat, owner } => {
                if let Some(room) = self.rooms.get_mut(&chat) {
                    room.owner = owner;
                }
            }
            Fact::Told(_) => {}
        }
    }

    fn leave(&mut self, chat: ChatId, user: UserId, removed: bool, heir: Option<UserId>) {
        let Some(room) = self.rooms.get_mut(&chat) else {
            return;
        };
        let mut unsettled = vec![user];
        room.entered.remove(&user);
        if removed {
            unsettled.extend(room.invited_by(user));
            room.invites
                .retain(|invited, invite| invite.by != user && *invited != user);
            room.requests.remove(&user);
            let theirs = room.links.extract_if(.., |_, link| link.by == user);
            for (code, link) in theirs {
                forget(&mut self.links, &mut self.ends, code, &link);
            }
        }
        if let Some(heir) = heir {
            room.owner = heir;
        } else if room.owner == user
            && let Some(room) = self.rooms.remove(&chat)
        {
            for (code, link) in room.links {
                forget(&mut self.links, &mut self.ends, code, &link);
            }
            unsettled.extend(room.invites.keys().chain(room.requests.keys()));
        }
        for user in unsettled {
            self.settle(chat, user);
        }
    }

    /// Keeps the index of who waits.
    fn settle(&mut self, chat: ChatId, user: UserId) {
        let waits = self.rooms.get(&chat).is_some_and(|room| {
            room.invites.contains_key(&user) || room.requests.contains_key(&user)
        });
        let chats = self.waiting.entry(user).or_default();
        if waits {
            chats.insert(chat);
        } else {
            chats.remove(&chat);
        }
        if chats.is_empty() {
            self.waiting.remove(&user);
        }
    }
}

/// Takes a link that is no more out of what finds it.
fn forget(
    links: &mut BTreeMap<String, ChatId>,
    ends: &mut BTreeSet<(Time, String)>,
    code: String,
    link: &Link,
) {
    links.remove(&code);
    if let Some(at) = link.expires {
        ends.remove(&(at, code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ChatId = ChatId(5);
    const OWNER: UserId = UserId(1);

    fn state(facts: impl IntoIterator<Item = (i64, Fact)>) -> State {
        let mut state = State::default();
        let made = Fact::Made {
            chat: CHAT,
            owner: OWNER,
        };
        for (at, fact) in [(0, made)].into_iter().chain(facts) {
            let stamp = Stamp {
                at: Time(at),
                by: Some(OWNER),
                ..Stamp::default()
            };
            state.fold(fact, &stamp);
        }
        state
    }

    fn linked(code: &str, expires: i64, uses: u64) -> Fact {
        Fact::Linked {
            chat: CHAT,
            code: code.into(),
            expires: Some(Time(expires)),
            uses: Some(uses),
        }
    }

    fn asked(user: u64, code: &str) -> Fact {
        Fact::Asked {
            chat: CHAT,
            user: UserId(user),
            code: code.into(),
        }
    }

    fn joined(user: u64, code: Option<&str>) -> Fact {
        Fact::Joined {
            chat: CHAT,
            user: UserId(user),
            code: code.map(str::to_owned),
        }
    }

    fn left(user: u64, removed: bool, heir: Option<u64>) -> Fact {
        Fact::Left {
            chat: CHAT,
            user: UserId(user),
            removed,
            heir: heir.map(UserId),
        }
    }

    #[test]
    fn a_use_is_counted_when_somebody_comes_in_and_not_when_they_ask() {
        let facts = [
            (1, linked("l", 100, 1)),
            (2, asked(2, "l")),
            (3, asked(3, "l")),
        ];
        let alive = |state: &State| {
            let (_, _, link) = state.by_link("l").expect("a link");
            link.is_alive(Time(50))
        };
        assert!(alive(&state(facts.clone())));
        let state = state(facts.into_iter().chain([(4, joined(2, Some("l")))]));
        assert!(!alive(&state));
        let waiting = |user| state.waiting(UserId(user)).count();
        assert_eq!((waiting(2), waiting(3)), (0, 1));
    }

    #[test]
    fn a_link_is_dead_when_it_has_expired_unless_a_request_needs_it() {
        let state = state([
            (1, linked("gone", 10, 1)),
            (1, linked("asked", 10, 1)),
            (2, asked(2, "asked")),
            (3, linked("new", 100, 1)),
        ]);
        let room = state.room(CHAT).expect("a room");
        assert_eq!(room.dead_links(Time(9)), Vec::<String>::new());
        assert_eq!(room.dead_links(Time(20)), ["gone"]);
    }

    #[test]
    fn a_removal_voids_what_the_removed_made_and_held() {
        let mut state = state([(1, linked("old", 100, 9)), (1, joined(2, None))]);
        let stamp = Stamp {
            by: Some(UserId(2)),
            ..Stamp::default()
        };
        state.fold(linked("theirs", 100, 9), &stamp);
        let invited = Fact::Invited {
            chat: CHAT,
            user: UserId(3),
        };
        state.fold(invited, &stamp);
        state.fold(left(2, true, None), &stamp);
        assert!(state.by_link("theirs").is_none() && state.by_link("old").is_some());
        assert_eq!(state.waiting(UserId(3)).count(), 0);
        let room = state.room(CHAT).expect("a room");
        assert!(room.invites.is_empty());
        assert_eq!(room.owner, OWNER);
    }

    #[test]
    fn the_owners_leaving_hands_it_over_and_the_last_ones_ends_it() {
        let facts = [(1, linked("l", 100, 9)), (2, asked(3, "l"))];
        let handed = state(
            facts
                .clone()
                .into_iter()
                .chain([(3, left(1, false, Some(2)))]),
        );
        assert_eq!(handed.room(CHAT).map(|room| room.owner), Some(UserId(2)));
        let ended = state(facts.into_iter().chain([(3, left(1, false, None))]));
        assert!(ended.room(CHAT).is_none());
        assert!(ended.links.is_empty() && ended.ends.is_empty() && ended.waiting.is_empty());
    }
}
