//! Who decides. The log itself says so: it is the node that appended last. A node that does not hear
//! of it any more decides by itself; if its append succeeds, it is the one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// This node's name, and the writer's.
#[derive(Debug)]
pub(crate) struct Role {
    node: Uuid,
    writer: watch::Sender<Option<Uuid>>,
    heard: Mutex<Instant>,
    /// The stream's sequence up to which this node has come.
    reached: watch::Sender<u64>,
    /// Whether the stream was trimmed beyond that.
    left: AtomicBool,
}

impl Role {
    /// A node under a name that no other has: one that is started again is another.
    pub(super) fn new() -> Self {
        Self {
            node: Uuid::new_v4(),
            writer: watch::Sender::new(None),
            heard: Mutex::new(Instant::now()),
            reached: watch::Sender::new(0),
            left: AtomicBool::new(false),
        }
    }

    /// This node.
    pub(super) fn node(&self) -> Uuid {
        self.node
    }

    /// A batch of this node was appended, or followed.
    pub(super) fn appended(&self, node: Uuid) {
        self.hear();
        self.writer.send_if_modified(|writer| {
            let is_new = *writer != Some(node);
            *writer = Some(node);
            is_new
        });
    }

    /// The node that decides, if that is another one that is there.
    pub(super) fn leader(&self) -> Option<Uuid> {
        self.writer.borrow().filter(|writer| *writer != self.node)
    }

    /// Whether it was this node that appended last.
    pub(super) fn leads(&self) -> bool {
        *self.writer.borrow() == Some(self.node)
    }

    /// The writer does not answer: until another batch comes, this node decides by itself.
    pub(super) fn lost(&self, node: Uuid) {
        self.writer.send_if_modified(|writer| {
            let was_it = *writer == Some(node);
            if was_it {
                tracing::info!(%node, "the node that decided does not answer");
                *writer = None;
            }
            was_it
        });
    }

    /// Tells of each change of the writer.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Uuid>> {
        self.writer.subscribe()
    }

    /// This node has come so far.
    pub(super) fn reach(&self, seq: u64) {
        self.reached.send_replace(seq);
    }

    /// The stream does not have what comes next.
    pub(super) fn leave_behind(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether it has not.
    pub(super) fn is_left_behind(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// How far this node has come.
    pub(super) fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// The writer has shown itself.
    pub(super) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nothing was heard of the writer.
    pub(super) fn silence(&self) -> Duration {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_appended_last_decides_until_it_is_lost() {
        let role = Role::new();
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert_eq!(role.leader(), None);
        role.appended(one);
        assert_eq!(role.leader(), Some(one));
        role.appended(other);
        role.lost(one);
        assert_eq!(role.leader(), Some(other));
        role.lost(other);
        assert_eq!(role.leader(), None);
        role.appended(role.node());
        assert_eq!(role.leader(), None);
    }
}
