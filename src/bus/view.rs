//! The world as it is read.

use std::sync::Arc;

use super::{Address, World};
use crate::chat::{self, Chat};
use crate::feature::Feature;
use crate::http::Problem;
use crate::log::{Audience, ChatId, Id, Pos, Record, UserId};
use crate::time::Time;

/// Where and when a fact happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Its position.
    pub pos: Pos,
    /// When its batch was decided.
    pub at: Time,
    /// Whose request it came from.
    pub by: Option<UserId>,
    /// The chat whose members are told of it.
    pub chat: Option<ChatId>,
    /// The message that it lies beside.
    pub message: Option<Id>,
}

impl Stamp {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            pos: record.pos,
            at: record.at,
            by: record.by,
            chat: match record.audience {
                Audience::Chat(chat) => Some(chat),
                Audience::Nobody | Audience::Users(_) => None,
            },
            message: record.message(),
        }
    }
}

/// The world as it is read: users, chats and who sees what.
#[derive(Clone, Copy)]
pub struct View<'a> {
    world: &'a World,
    now: Time,
}

impl<'a> View<'a> {
    pub(crate) fn new(world: &'a World, now: Time) -> Self {
        Self { world, now }
    }

    /// The time of this decision or answer.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A user's name, as they spelt it first.
    pub fn name(&self, user: UserId) -> Option<&'a str> {
        self.world.chat.user(user).map(|user| user.name.as_str())
    }

    /// When a user joined.
    pub fn joined_at(&self, user: UserId) -> Option<Time> {
        self.world.chat.user(user).map(|user| user.since)
    }

    /// A user by name, in any case, with or without `@`.
    pub fn find_user(&self, name: &str) -> Option<UserId> {
        self.world.chat.find(name.strip_prefix('@').unwrap_or(name))
    }

    /// A chat.
    pub fn chat(&self, chat: ChatId) -> Option<Chat> {
        self.world.chat.chat(chat)
    }

    /// Whether a user is in a chat.
    pub fn is_member(&self, chat: ChatId, user: UserId) -> bool {
        self.world.chat.is_member(chat, user)
    }

    /// A chat with members by its UUID, which may be anything; none where its feature is off.
    pub fn room(&self, uuid: &str) -> Option<ChatId> {
        self.world.chat.find_group(uuid.parse().ok()?)
    }

    /// A chat's title, where it has members who come and go; also when the last one has gone.
    pub fn title(&self, chat: ChatId) -> Option<&'a str> {
        self.world.chat.title(chat)
    }

    /// Whether a chat's members see what was posted before they came.
    pub fn sees_all(&self, chat: ChatId) -> bool {
        self.world.chat.group(chat).is_none_or(|group| group.all)
    }

    /// The private chat of two users, if anybody has written there.
    pub fn private(&self, one: UserId, other: UserId) -> Option<ChatId> {
        self.world.chat.private(one, other)
    }

    /// Who is in a chat other than the common one, in order of their coming.
    pub fn members(&self, chat: ChatId) -> Arc<[UserId]> {
        self.world.chat.members(chat)
    }

    /// A user's chats, the common one first.
    pub fn chats_of(&self, user: UserId) -> Vec<ChatId> {
        self.world.chat.chats_of(user)
    }

    /// Whom an `address` names for `user`: 404 `unknown_chat` where it is nothing that they see,
    /// 422 where it is no address, naming the `field` that it stands in.
    pub fn address(&self, field: &str, address: &str, user: UserId) -> Result<Address, Problem> {
        chat::resolve(&self.world.chat, field, address, user)
    }

    /// A message's or chat's address as everyone in it reads it.
    pub fn spell(&self, chat: ChatId, addressee: Option<UserId>) -> String {
        chat::spell(&self.world.chat, chat, addressee)
    }

    /// The chats whose messages a user sees now, in order of their ids, each with the id beyond which
    /// they see them.
    pub fn seen_by(&self, user: UserId) -> Vec<(ChatId, Id)> {
        let state = &self.world.chat;
        let chats = state.chats_of(user).into_iter();
        let mut seen: Vec<_> = chats.map(|chat| (chat, state.floor(chat, user))).collect();
        seen.sort_unstable();
        seen
    }

    /// The id up to which a user has read a chat, or beyond which they see it where that is more:
    /// what others wrote after it is unread.
    pub fn read_upto(&self, chat: ChatId, user: UserId) -> Id {
        let state = &self.world.chat;
        state.mark(chat, user).max(state.floor(chat, user))
    }

    /// The feature's own state.
    pub fn state<F: Feature>(&self) -> &'a F::State {
        self.world.state::<F>()
    }

    pub(crate) fn world(&self) -> &'a World {
        self.world
    }
}
