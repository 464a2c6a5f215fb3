//! Commands that were handed from node to node, and done.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::log;

/// How many commands are remembered: of more than a minute at a thousand a second.
const REMEMBERED: usize = 1 << 16;

/// The last commands that were done. Whoever tries one again has followed the stream since it was
/// first tried, so that no more of them are needed than come within some seconds.
#[derive(Default)]
pub(super) struct Done {
    known: HashMap<Uuid, log::Done>,
    order: VecDeque<Uuid>,
}

impl Done {
    /// These were done, too; what was told of them stands in the same order.
    pub(super) fn extend(&mut self, commands: Vec<Uuid>, told: Vec<log::Done>) {
        let told = told.into_iter().chain(std::iter::repeat(None));
        for (command, told) in commands.into_iter().zip(told) {
            if self.known.insert(command, told).is_none() {
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
    pub(super) fn get(&self, command: Uuid) -> Option<log::Done> {
        self.known.get(&command).copied()
    }
}
