//! Who is online at other nodes of a cluster: as they tell it, until they fall silent.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Hub, Streams};
use crate::log::UserId;

/// A node's own clients, by its last word.
pub(super) struct Elsewhere {
    users: HashSet<UserId>,
    heard: Instant,
}

impl Hub {
    /// Everyone online at this node.
    pub(crate) fn here(&self) -> BTreeSet<UserId> {
        let streams = self.lock();
        let lingering = streams.lingering.keys();
        streams.open.keys().chain(lingering).copied().collect()
    }

    /// Ends when somebody may have come to this node, or left it, since this was last asked.
    pub(crate) async fn presence_changed(&self) {
        self.came_or_left.notified().await;
    }

    /// A node has told who came to it and who left it; of `all` that are there, where it says so.
    pub(crate) fn heard_of(&self, node: Uuid, all: bool, on: &[UserId], off: &[UserId]) {
        let mut streams = self.lock();
        let now = Instant::now();
        let known = streams.elsewhere.entry(node).or_insert_with(|| Elsewhere {
            users: HashSet::new(),
            heard: now,
        });
        known.heard = now;
        let mut left: Vec<UserId> = off.to_vec();
        if all {
            let still: HashSet<&UserId> = on.iter().collect();
            left.extend(known.users.iter().filter(|user| !still.contains(user)));
        }
        left.retain(|user| known.users.remove(user));
        for user in on {
            if !streams.is_online(*user) {
                self.tell_presence(&streams, *user, true);
            }
            if let Some(known) = streams.elsewhere.get_mut(&node) {
                known.users.insert(*user);
            }
        }
        self.tell_left(&streams, &left);
    }

    /// Forgets nodes that have been silent for so long.
    pub(crate) fn forget_silent(&self, patience: Duration) {
        let mut streams = self.lock();
        let is_silent = |node: &Elsewhere| node.heard.elapsed() > patience;
        let silent: Vec<Uuid> = streams
            .elsewhere
            .iter()
            .filter(|(_, node)| is_silent(node))
            .map(|(node, _)| *node)
            .collect();
        for node in silent {
            if let Some(node) = streams.elsewhere.remove(&node) {
                let left: Vec<UserId> = node.users.into_iter().collect();
                self.tell_left(&streams, &left);
            }
        }
    }

    fn tell_left(&self, streams: &Streams, left: &[UserId]) {
        for user in left {
            if !streams.is_online(*user) {
                self.tell_presence(streams, *user, false);
            }
        }
    }
}

impl Streams {
    /// Whether somebody is online at another node.
    pub(super) fn is_elsewhere(&self, user: UserId) -> bool {
        self.elsewhere
            .values()
            .any(|node| node.users.contains(&user))
    }

    /// Everyone who is online at another node.
    pub(super) fn all_elsewhere(&self) -> impl Iterator<Item = UserId> {
        self.elsewhere
            .values()
            .flat_map(|node| node.users.iter().copied())
    }
}
