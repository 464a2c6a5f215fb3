//! Facts of subscriptions, and their fold.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// What can happen to subscriptions. Each is named by the position of the fact that made it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// One was made. Its URL and its secret are the fact's text.
    Made {
        /// Whose it is.
        by: UserId,
        /// What it is of.
        place: Place,
    },
    /// Programs have all that there was, up to these messages.
    Taken {
        /// Of each subscription the last one.
        upto: BTreeMap<Id, Id>,
    },
    /// A message was not taken.
    Failed {
        /// Of which subscription.
        subscription: Id,
        /// How it stands since.
        failure: Failure,
    },
    /// It works again, or is to be tried again.
    On {
        /// Which.
        subscription: Id,
    },
    /// One is signed with another secret from now on. Its URL and that secret are the fact's text.
    Renewed {
        /// Which.
        subscription: Id,
        /// Until when the secret of before signs, too.
        until: Time,
    },
    /// Secrets of before sign no more.
    Retired {
        /// Those of these.
        subscriptions: Vec<Id>,
    },
    /// One is no more.
    Removed {
        /// Which.
        subscription: Id,
    },
}

/// What is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A chat.
    Chat(ChatId),
    /// The private chat with somebody, which begins with its first message.
    With(UserId),
}

impl Place {
    /// The chat, where there is one and this user is in it.
    pub fn chat(self, view: &View<'_>, user: UserId) -> Option<ChatId> {
        match self {
            Self::Chat(chat) => view.is_member(chat, user).then_some(chat),
            Self::With(peer) => view.private(user, peer),
        }
    }
}

/// That a program does not take what is posted to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When the first of these failures was.
    pub since: Time,
    /// When the last one was.
    pub at: Time,
    /// How many there were in a row.
    pub times: u32,
    /// Why the last one failed.
    pub why: Why,
    /// When it is tried again; never, where it was given up.
    pub next: Option<Time>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was answered, and not with 2xx.
    Status(u16),
    /// It was not answered.
    Call(CallError),
    /// This server failed.
    Internal,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whose it is.
    pub by: UserId,
    /// What it is of.
    pub place: Place,
    /// When it was made.
    pub at: Time,
    /// The last message that was taken, or after which it begins.
    pub upto: Id,
    /// That it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The row with its URL and its secret, where that is not the one that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewed: Option<Id>,
    /// The row with the secret of before, and until when that signs, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Id, Time)>,
}

impl Failure {
    /// Until when nothing is to be tried. A failure that is still to come was noted by a clock that
    /// was set back since: its pause says nothing any more.
    pub fn rests(&self, now: Time) -> Option<Time> {
        self.next.filter(|next| self.at <= now && now < *next)
    }
}

impl Subscription {
    /// Whether it was given up.
    pub fn is_off(&self) -> bool {
        self.failure.is_some_and(|failure| failure.next.is_none())
    }

    /// The row with the URL and the secret of the one that has this id.
    pub fn row(&self, id: Id) -> Id {
        self.renewed.unwrap_or(id)
    }
}

/// The subscriptions that there are.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    all: BTreeMap<Id, Subscription>,
    /// By their owners.
    owners: BTreeMap<UserId, BTreeSet<Id>>,
    /// Those of which a secret of before signs, by when it ends.
    #[serde(default)]
    ends: BTreeSet<(Time, Id)>,
}

impl State {
    /// Folds a fact.
    pub fn apply(&mut self, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Made { by, place } => {
                let made = Subscription {
                    by,
                    place,
                    at: stamp.at,
                    upto: stamp.pos,
                    failure: None,
                    renewed: None,
                    before: None,
                };
                self.all.insert(stamp.pos, made);
                self.owners.entry(by).or_default().insert(stamp.pos);
            }
            Fact::Taken { upto } => {
                for (id, upto) in upto {
                    if let Some(one) = self.all.get_mut(&id) {
                        one.upto = one.upto.max(upto);
                    }
                }
            }
            Fact::Failed {
                subscription,
                failure,
            } => {
                if let Some(one) = self.all.get_mut(&subscription) {
                    one.failure = Some(failure);
                }
            }
            Fact::On { subscription } => {
                if let Some(one) = self.all.get_mut(&subscription) {
                    one.failure = None;
                }
            }
            Fact::Renewed {
                subscription,
                until,
            } => {
                self.retire(subscription);
                if let Some(one) = self.all.get_mut(&subscription) {
                    one.before = Some((one.row(subscription), until));
                    one.renewed = Some(stamp.pos);
                    self.ends.insert((until, subscription));
                }
            }
            Fact::Retired { subscriptions } => {
                subscriptions.into_iter().for_each(|id| self.retire(id));
            }
            Fact::Removed { subscription } => {
                self.retire(subscription);
                let Some(gone) = self.all.remove(&subscription) else {
                    return;
                };
                if let Some(own) = self.owners.get_mut(&gone.by) {
                    own.remove(&subscription);
                    if own.is_empty() {
                        self.owners.remove(&gone.by);
                    }
                }
            }
        }
    }

    fn retire(&mut self, id: Id) {
        let one = self.all.get_mut(&id);
        if let Some((_, until)) = one.and_then(|one| one.before.take()) {
            self.ends.remove(&(until, id));
        }
    }

    /// When the next secret of before ends, and of which subscription.
    pub fn ends(&self) -> impl Iterator<Item = (Time, Id)> {
        self.ends.iter().copied()
    }

    /// One of them.
    pub fn get(&self, id: Id) -> Option<&Subscription> {
        self.all.get(&id)
    }

    /// Those that were not given up.
    pub fn on(&self) -> impl Iterator<Item = (Id, &Subscription)> {
        let all = self.all.iter().map(|(id, one)| (*id, one));
        all.filter(|(_, one)| !one.is_off())
    }

    /// A user's own, the oldest first.
    pub fn of(&self, user: UserId) -> impl Iterator<Item = (Id, &Subscription)> {
        let own = self.owners.get(&user).into_iter().flatten();
        own.filter_map(|id| Some((*id, self.all.get(id)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(pos: Id) -> Stamp {
        Stamp {
            pos,
            at: Time(7),
            ..Stamp::default()
        }
    }

    fn failed(subscription: Id, next: Option<Time>) -> Fact {
        let failure = Failure {
            since: Time(7),
            at: Time(8),
            times: 1,
            why: Why::Status(500),
            next,
        };
        Fact::Failed {
            subscription,
            failure,
        }
    }

    fn one() -> State {
        let mut state = State::default();
        let made = Fact::Made {
            by: UserId(1),
            place: Place::Chat(ChatId::COMMON),
        };
        state.apply(made, &stamp(10));
        state
    }

    #[test]
    fn it_goes_on_from_where_it_was_made_and_never_back() {
        let mut state = one();
        assert_eq!(state.get(10).map(|one| one.upto), Some(10));
        for (reached, upto) in [(14, 14), (12, 14), (20, 20)] {
            let taken = Fact::Taken {
                upto: [(10, reached), (99, 5)].into(),
            };
            state.apply(taken, &stamp(30));
            assert_eq!(state.get(10).map(|one| one.upto), Some(upto));
        }
    }

    #[test]
    fn one_that_was_given_up_is_off_until_it_is_switched_on() {
        let mut state = one();
        state.apply(failed(10, Some(Time(9))), &stamp(11));
        assert_eq!(state.on().count(), 1);
        state.apply(failed(10, None), &stamp(12));
        assert!(state.get(10).is_some_and(Subscription::is_off));
        assert_eq!(state.on().count(), 0);
        state.apply(Fact::On { subscription: 10 }, &stamp(13));
        assert_eq!(state.get(10).and_then(|one| one.failure), None);
        assert_eq!(state.on().count(), 1);
    }

    #[test]
    fn of_one_that_was_removed_nothing_is_left() {
        let mut state = one();
        assert_eq!(state.of(UserId(1)).count(), 1);
        state.apply(Fact::Removed { subscription: 10 }, &stamp(11));
        state.apply(failed(10, None), &stamp(12));
        assert_eq!(state.of(UserId(1)).count(), 0);
        assert!(state.owners.is_empty(), "nobody is remembered for nothing");
        assert!(state.all.is_empty());
    }

    #[test]
    fn facts_and_state_are_read_as_they_are_written() {
        let mut state = one();
        state.apply(failed(10, Some(Time(9))), &stamp(11));
        let again = State::deserialize(json!(state)).unwrap_or_default();
        assert_eq!(again.all, state.all);
        let why = json!(Why::Call(CallError::Private));
        assert_eq!(why, json!({"call": "private"}));
        assert_eq!(json!(Why::Status(500)), json!({"status": 500}));
    }
}
