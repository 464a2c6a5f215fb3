//! Chats with members, who come and go. A feature owns each and says who may; while that feature
//! is off, its chats are hidden and otherwise as they were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::few::packed;
use crate::log::{ChatId, Id, Pos, UserId};

/// A chat with members.
#[derive(Debug, Serialize, Deserialize)]
pub struct Group {
    /// Names it in addresses.
    pub uuid: Uuid,
    /// The feature whose it is.
    pub owner: String,
    /// What to call it.
    pub title: String,
    /// Whether members see what was posted before they came.
    pub all: bool,
    /// The last message ever posted in it, 0 for none.
    pub last: Id,
    /// Each member, and the fact that let them in.
    #[serde(deserialize_with = "packed")]
    since: BTreeMap<UserId, Pos>,
    /// The members in order of their coming, as they are shared with every event.
    #[serde(skip)]
    order: Arc<[UserId]>,
}

impl Group {
    pub(super) fn new(uuid: Uuid, owner: String, title: String, all: bool) -> Self {
        Self {
            uuid,
            owner,
            title,
            all,
            last: 0,
            since: BTreeMap::new(),
            order: Arc::default(),
        }
    }

    /// Its members, in order of their coming.
    pub fn members(&self) -> &Arc<[UserId]> {
        &self.order
    }

    /// The fact that let a member in.
    pub fn since(&self, user: UserId) -> Option<Pos> {
        self.since.get(&user).copied()
    }

    /// How many of its members came before a position.
    pub(super) fn came_before(&self, pos: Pos) -> usize {
        self.order
            .partition_point(|user| self.since(*user).is_some_and(|since| since < pos))
    }

    fn index(&mut self) {
        let mut order: Vec<(Pos, UserId)> = self
            .since
            .iter()
            .map(|(user, since)| (*since, *user))
            .collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, user)| user).collect();
    }
}

/// What is still known of a chat that ended, so that what was told of it can be told again.
#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    uuid: Uuid,
    owner: String,
    #[serde(default)]
    title: String,
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Groups {
    live: BTreeMap<ChatId, Group>,
    ended: BTreeMap<ChatId, Ended>,
    /// Those that ended and may still have messages.
    clearing: BTreeSet<ChatId>,
    #[serde(skip)]
    uuids: HashMap<Uuid, ChatId>,
    #[serde(skip)]
    on: BTreeSet<&'static str>,
}

impl Groups {
    pub(super) fn found(&mut self, chat: ChatId, group: Group) {
        self.uuids.insert(group.uuid, chat);
        self.live.insert(chat, group);
    }

    /// Whether they were not in it already.
    pub(super) fn enter(&mut self, chat: ChatId, user: UserId, pos: Pos) -> bool {
        let Some(group) = self.live.get_mut(&chat) else {
            return false;
        };
        if group.since.contains_key(&user) {
            return false;
        }
        group.since.insert(user, pos);
        group.order = group.order.iter().copied().chain([user]).collect();
        true
    }

    pub(super) fn leave(&mut self, chat: ChatId, user: UserId) {
        let Some(group) = self.live.get_mut(&chat) else {
            return;
        };
        group.since.remove(&user);
        let stay = group.order.iter().copied().filter(|member| *member != user);
        group.order = stay.collect();
        if group.since.is_empty()
            && let Some(group) = self.live.remove(&chat)
        {
            let Group {
                uuid, owner, title, ..
            } = group;
            self.uuids.remove(&uuid);
            self.ended.insert(chat, Ended { uuid, owner, title });
            self.clearing.insert(chat);
        }
    }

    pub(super) fn cleared(&mut self, chat: ChatId) {
        self.clearing.remove(&chat);
    }

    pub(super) fn posted(&mut self, chat: ChatId, id: Id) {
        if let Some(group) = self.live.get_mut(&chat) {
            group.last = id;
        }
    }

    pub(super) fn index(&mut self) {
        self.uuids = self
            .live
            .iter()
            .map(|(chat, group)| (group.uuid, *chat))
            .collect();
        self.live.values_mut().for_each(Group::index);
    }

    pub(super) fn switch_on(&mut self, features: impl IntoIterator<Item = &'static str>) {
        self.on = features.into_iter().collect();
    }

    pub(super) fn get(&self, chat: ChatId) -> Option<&Group> {
        let group = self.live.get(&chat)?;
        self.on.contains(group.owner.as_str()).then_some(group)
    }

    pub(super) fn find(&self, uuid: Uuid) -> Option<ChatId> {
        let chat = *self.uuids.get(&uuid)?;
        self.get(chat).map(|_| chat)
    }

    pub(super) fn uuid(&self, chat: ChatId) -> Option<Uuid> {
        match self.live.get(&chat) {
            Some(group) => Some(group.uuid),
            None => self.ended.get(&chat).map(|ended| ended.uuid),
        }
    }

    pub(super) fn title(&self, chat: ChatId) -> Option<&str> {
        match self.live.get(&chat) {
            Some(group) => Some(&group.title),
            None => self.ended.get(&chat).map(|ended| ended.title.as_str()),
        }
    }

    pub(super) fn is_hidden(&self, chat: ChatId) -> bool {
        let owner = match self.live.get(&chat) {
            Some(group) => Some(&group.owner),
            None => self.ended.get(&chat).map(|ended| &ended.owner),
        };
        owner.is_some_and(|owner| !self.on.contains(owner.as_str()))
    }

    pub(super) fn ended(&self) -> Option<ChatId> {
        self.clearing.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ChatId = ChatId(7);

    fn groups(members: &[u64]) -> Groups {
        let mut groups = Groups::default();
        groups.switch_on(["den"]);
        let group = Group::new(Uuid::nil(), "den".into(), "Den".into(), false);
        groups.found(CHAT, group);
        for (pos, user) in (10..).zip(members) {
            assert!(groups.enter(CHAT, UserId(*user), pos));
        }
        groups
    }

    fn members(groups: &Groups) -> Vec<u64> {
        let group = groups.get(CHAT).expect("a chat");
        group.members().iter().map(|user| user.0).collect()
    }

    #[test]
    fn members_are_in_order_of_their_coming_also_when_read_again() {
        let mut groups = groups(&[3, 1, 2]);
        assert_eq!(members(&groups), [3, 1, 2]);
        assert!(!groups.enter(CHAT, UserId(1), 20), "twice");
        groups.leave(CHAT, UserId(3));
        assert!(groups.enter(CHAT, UserId(3), 30));
        assert_eq!(members(&groups), [1, 2, 3]);
        let saved = serde_json::to_string(&groups).expect("saved");
        let mut read: Groups = serde_json::from_str(&saved).expect("read");
        read.index();
        read.switch_on(["den"]);
        assert_eq!(members(&read), [1, 2, 3]);
        assert_eq!(read.find(Uuid::nil()), Some(CHAT));
        assert_eq!(serde_json::to_string(&read).expect("saved"), saved);
    }

    #[test]
    fn who_came_before_a_message_is_a_part_at_the_front() {
        let groups = groups(&[3, 1, 2]);
        let group = groups.get(CHAT).expect("a chat");
        let before: Vec<_> = [10, 11, 12, 13].map(|pos| group.came_before(pos)).into();
        assert_eq!(before, [0, 1, 2, 3]);
    }

    #[test]
    fn one_whose_feature_is_off_is_hidden_and_comes_back_as_it_was() {
        let mut groups = groups(&[1]);
        groups.switch_on([]);
        assert!(groups.is_hidden(CHAT) && groups.get(CHAT).is_none());
        assert_eq!(groups.find(Uuid::nil()), None);
        groups.posted(CHAT, 40);
        groups.switch_on(["den"]);
        assert!(!groups.is_hidden(CHAT));
        assert_eq!(groups.get(CHAT).map(|group| group.last), Some(40));
    }

    #[test]
    fn the_last_ones_leaving_ends_it_and_its_name_stays_known() {
        let mut groups = groups(&[1, 2]);
        groups.leave(CHAT, UserId(1));
        assert_eq!(groups.ended(), None);
        groups.leave(CHAT, UserId(2));
        assert!(groups.get(CHAT).is_none() && groups.find(Uuid::nil()).is_none());
        assert_eq!(groups.uuid(CHAT), Some(Uuid::nil()));
        assert_eq!(groups.ended(), Some(CHAT));
        groups.cleared(CHAT);
        assert_eq!(groups.ended(), None);
        assert!(!groups.enter(CHAT, UserId(1), 50), "it is no more");
    }
}
