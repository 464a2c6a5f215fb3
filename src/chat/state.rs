//! The fold of the core's facts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clients::{Agents, Tokens};
use super::few::packed;
use super::groups::{Group, Groups};
use super::{Digest, Fact, Few, FewBy, Folded};
use crate::bus::Stamp;
use crate::log::{ChatId, ClientId, Id, Pos, UserId};
use crate::time::Time;

/// Users, clients and chats. What is saved comes first, the indexes over it last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    #[serde(deserialize_with = "packed")]
    users: BTreeMap<UserId, User>,
    #[serde(deserialize_with = "packed")]
    clients: BTreeMap<ClientId, Client>,
    #[serde(deserialize_with = "packed")]
    private: BTreeMap<ChatId, Private>,
    common: Common,
    #[serde(default)]
    groups: Groups,
    #[serde(skip)]
    names: BTreeMap<Folded, UserId>,
    #[serde(skip)]
    tokens: Tokens,
    #[serde(skip)]
    agents: Agents,
    #[serde(skip)]
    pairs: HashMap<[UserId; 2], ChatId>,
}

/// A user.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    /// The name as they spelt it first.
    pub name: CompactString,
    /// The password's argon2id hash, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Box<str>>,
    /// When they joined.
    pub since: Time,
    /// When they were last seen.
    pub seen: Time,
    /// Their clients.
    pub clients: Few<ClientId, 1>,
    /// Their private chats, and those with members.
    pub chats: Few<ChatId, 2>,
    /// How far they have read each chat; where there is no mark, from its beginning.
    pub marks: FewBy<ChatId, Id, 2>,
}

/// A client of a user.
#[derive(Debug, Serialize, Deserialize)]
pub struct Client {
    /// Whose it is.
    pub user: UserId,
    /// Of its token.
    pub token: Digest,
    /// The program it says it is.
    pub agent: Arc<str>,
    /// Since when it is connected.
    pub since: Time,
    /// When it was last seen.
    pub seen: Time,
}

/// The kinds of chats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one everybody is in.
    Common,
    /// One of two users, or a user's notebook.
    Private,
    /// One with members, who come and go.
    Room,
}

impl Kind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Private => "private",
            Self::Room => "room",
        }
    }
}

/// A chat, as it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Chat {
    /// Its kind.
    pub kind: Kind,
    /// The two users of a private chat.
    pub pair: Option<[UserId; 2]>,
    /// The last message ever posted in it, 0 for none.
    pub last: Id,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Common {
    last: Id,
}

#[derive(Debug, Serialize, Deserialize)]
struct Private {
    pair: [UserId; 2],
    last: Id,
}

impl State {
    /// Folds a fact.
    pub(crate) fn apply(&mut self, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Joined { name, password } => self.join(&name, password, stamp),
            Fact::Connected {
                user,
                client,
                token,
                agent,
            } => {
                let agent = self.agents.share(&agent);
                if let Some(user) = self.users.get_mut(&user) {
                    user.clients.insert(client);
                    user.seen = user.seen.max(stamp.at);
                }
                let (since, seen) = (stamp.at, stamp.at);
                self.clients.insert(
                    client,
                    Client {
                        user,
                        token,
                        agent,
                        since,
                        seen,
                    },
                );
                self.tokens.insert(client, &self.clients);
            }
            Fact::Disconnected { user, client } => {
                self.tokens.remove(client, &self.clients);
                if let Some(gone) = self.clients.remove(&client) {
                    self.agents.give_back(gone.agent);
                }
                if let Some(user) = self.users.get_mut(&user) {
                    user.clients.remove(&client);
                    user.seen = user.seen.max(stamp.at);
                }
            }
            Fact::Opened { pair } => {
                let chat = ChatId(stamp.pos);
                for user in pair {
                    if let Some(user) = self.users.get_mut(&user) {
                        user.chats.insert(chat);
                    }
                }
                self.pairs.insert(pair, chat);
                self.private.insert(chat, Private { pair, last: 0 });
            }
            Fact::Founded {
                owner,
                uuid,
                title,
                all,
            } => {
                let group = Group::new(uuid, owner, title, all);
                self.groups.found(ChatId(stamp.pos), group);
            }
            Fact::Entered { chat, user } => {
                if self.groups.enter(chat, user, stamp.pos)
                    && let Some(user) = self.users.get_mut(&user)
                {
                    user.chats.insert(chat);
                    // What was said before they came is not unread.
                    user.marks.insert(chat, stamp.pos);
                }
            }
            Fact::Left { chat, user } => {
                self.groups.leave(chat, user);
                if let Some(user) = self.users.get_mut(&user) {
                    user.chats.remove(&chat);
                    user.marks.remove(chat);
                }
            }
            Fact::Cleared { chat } => self.groups.cleared(chat),
            Fact::Posted { chat, .. } => {
                if chat == ChatId::COMMON {
                    self.common.last = stamp.pos;
                } else if let Some(chat) = self.private.get_mut(&chat) {
                    chat.last = stamp.pos;
                } else {
                    self.groups.posted(chat, stamp.pos);
                }
            }
            Fact::Read { user, chat, upto } => {
                if let Some(user) = self.users.get_mut(&user) {
                    let mark = user.marks.get(chat).copied().unwrap_or_default();
                    user.marks.insert(chat, upto.max(mark));
                }
            }
            Fact::Seen { clients } => {
                for (id, at) in clients {
                    let Some(client) = self.clients.get_mut(&id) else {
                        continue;
                    };
                    client.seen = client.seen.max(at);
                    if let Some(user) = self.users.get_mut(&client.user) {
                        user.seen = user.seen.max(at);
                    }
                }
            }
            Fact::Delivered { .. }
            | Fact::Removed { .. }
            | Fact::Erased { .. }
            | Fact::Keyed { .. }
            | Fact::Administered { .. } => {}
        }
    }

    fn join(&mut self, name: &str, password: Option<String>, stamp: &Stamp) {
        let id = UserId(stamp.pos);
        self.names.insert(Folded::of(name), id);
        // What was said before they came is not unread.
        let marks = FewBy::from_iter([(ChatId::COMMON, stamp.pos)]);
        let user = User {
            name: name.into(),
            password: password.map(Into::into),
            since: stamp.at,
            seen: stamp.at,
            clients: Few::default(),
            chats: Few::default(),
            marks,
        };
        self.users.insert(id, user);
    }

    /// Makes the indexes of a state that was read.
    pub(crate) fn index(&mut self) {
        self.names = self
            .users
            .iter()
            .map(|(id, user)| (Folded::of(&user.name), *id))
            .collect();
        for client in self.clients.values_mut() {
            client.agent = self.agents.share(&client.agent);
        }
        self.tokens = Tokens::of(&self.clients);
        self.pairs = self
            .private
            .iter()
            .map(|(id, chat)| (chat.pair, *id))
            .collect();
        self.groups.index();
    }

    /// A user.
    pub fn user(&self, user: UserId) -> Option<&User> {
        self.users.get(&user)
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// A user by name, in any case.
    pub fn find(&self, name: &str) -> Option<UserId> {
        self.names.get(&Folded::of(name)).copied()
    }

    /// Users in order of their names, after a name.
    pub fn users_after(&self, name: Option<&str>) -> impl Iterator<Item = (UserId, &User)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = name.map_or(Unbounded, |name| Excluded(Folded::of(name)));
        self.names
            .range((after, Unbounded))
            .filter_map(|(_, id)| Some((*id, self.users.get(id)?)))
    }

    /// A client.
    pub fn client(&self, client: ClientId) -> Option<&Client> {
        self.clients.get(&client)
    }

    /// A live client by its token.
    pub fn client_by_token(&self, token: Digest) -> Option<(ClientId, UserId)> {
        let id = self.tokens.find(token, &self.clients)?;
        Some((id, self.clients.get(&id)?.user))
    }

    /// A chat.
    pub fn chat(&self, chat: ChatId) -> Option<Chat> {
        if chat == ChatId::COMMON {
            return Some(Chat {
                kind: Kind::Common,
                pair: None,
                last: self.common.last,
            });
        }
        if let Some(private) = self.private.get(&chat) {
            return Some(Chat {
                kind: Kind::Private,
                pair: Some(private.pair),
                last: private.last,
            });
        }
        let group = self.groups.get(chat)?;
        Some(Chat {
            kind: Kind::Room,
            pair: None,
            last: group.last,
        })
    }

    /// A chat with members, unless its feature is off.
    pub fn group(&self, chat: ChatId) -> Option<&Group> {
        self.groups.get(chat)
    }

    /// A chat with members by its UUID, unless its feature is off.
    pub fn find_group(&self, uuid: Uuid) -> Option<ChatId> {
        self.groups.find(uuid)
    }

    /// The UUID of a chat that has or had members.
    pub(super) fn uuid(&self, chat: ChatId) -> Option<Uuid> {
        self.groups.uuid(chat)
    }

    /// Says which features are on: the chats of the others are hidden.
    pub(crate) fn switch_on(&mut self, features: impl IntoIterator<Item = &'static str>) {
        self.groups.switch_on(features);
    }

    /// Whether a chat is one of a feature that is off.
    pub(crate) fn is_hidden(&self, chat: ChatId) -> bool {
        self.groups.is_hidden(chat)
    }

    /// The title of a chat with members, also when it has ended.
    pub(crate) fn title(&self, chat: ChatId) -> Option<&str> {
        self.groups.title(chat)
    }

    /// A chat that ended and may still have messages.
    pub(crate) fn ended(&self) -> Option<ChatId> {
        self.groups.ended()
    }

    /// After which position a user sees a chat's messages.
    pub fn floor(&self, chat: ChatId, user: UserId) -> Pos {
        let group = self.groups.get(chat).filter(|group| !group.all);
        group.and_then(|group| group.since(user)).unwrap_or(0)
    }

    /// Whether somebody who has been in a chat since `since` sees what lies beside a message of
    /// it.
    pub(crate) fn sees_since(&self, chat: ChatId, since: Pos, message: Id) -> bool {
        self.groups
            .get(chat)
            .is_none_or(|group| group.all || since < message)
    }

    /// The private chat of two users.
    pub fn private(&self, one: UserId, other: UserId) -> Option<ChatId> {
        self.pairs.get(&[one.min(other), one.max(other)]).copied()
    }

    /// Whether a user is in a chat.
    pub fn is_member(&self, chat: ChatId, user: UserId) -> bool {
        if chat == ChatId::COMMON {
            return self.users.contains_key(&user);
        }
        match self.private.get(&chat) {
            Some(private) => private.pair.contains(&user),
            None => self
                .groups
                .get(chat)
                .is_some_and(|group| group.since(user).is_some()),
        }
    }

    /// Who is in a chat other than the common one, in order of their coming.
    pub fn members(&self, chat: ChatId) -> Arc<[UserId]> {
        match self.private.get(&chat) {
            Some(Private {
                pair: [one, other], ..
            }) if one == other => [*one].into(),
            Some(private) => private.pair.into(),
            None => self
                .groups
                .get(chat)
                .map(|group| Arc::clone(group.members()))
                .unwrap_or_default(),
        }
    }

    /// How many of a chat's members, in order of their coming, see a message of it: those who
    /// came later may not.
    pub(crate) fn seeing(&self, chat: ChatId, message: Id) -> usize {
        match self.groups.get(chat) {
            Some(group) if !group.all => group.came_before(message),
            _ => self.members(chat).len(),
        }
    }

    /// How many are in a chat.
    pub fn member_count(&self, chat: ChatId) -> usize {
        if chat == ChatId::COMMON {
            self.users.len()
        } else {
            self.members(chat).len()
        }
    }

    /// The chats of a user, the common one first.
    pub fn chats_of(&self, user: UserId) -> Vec<ChatId> {
        let own = self
            .users
            .get(&user)
            .into_iter()
            .flat_map(|user| &user.chats)
            .copied()
            .filter(|chat| !self.groups.is_hidden(*chat));
        [ChatId::COMMON].into_iter().chain(own).collect()
    }

    /// How far a user has read a chat.
    pub fn mark(&self, chat: ChatId, user: UserId) -> Pos {
        self.users
            .get(&user)
            .and_then(|user| user.marks.get(chat))
            .copied()
            .unwrap_or(0)
    }

    /// Of a user's chats those with messages after their mark, each with the mark.
    pub fn unread_chats(&self, user: UserId) -> Vec<(ChatId, Id)> {
        self.chats_of(user)
            .into_iter()
            .filter_map(|chat| {
                let mark = self.mark(chat, user);
                (self.chat(chat)?.last > mark).then_some((chat, mark))
            })
            .collect()
    }
}
