//! Commands that were handed from node to node, and done.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

/// How many commands are remembered: of more than a minute at a thousand a second.
const REMEMBERED: usize = 1 << 16;

/// The last commands that were done. Whoever tries one again has followed the stream since it was
/// first tried, so that no more of them are needed than come within some seconds.
#[derive(Default)]
pub(super) struct Done {
    known: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Done {
    /// These were done, too.
    pub(super) fn extend(&mut self, commands: Vec<Uuid>) {
        for command in commands {
            if self.known.insert(command) {
                self.order.push_back(command);
            }
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// Whether this one was.
    pub(super) fn has(&self, command: Uuid) -> bool {
        self.known.contains(&command)
    }
}
