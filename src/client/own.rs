//! Events of what this very client does: they are told by its answer already, and not again when
//! the stream brings them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::render::Event;

/// The stream brings an own event within this time, or what comes is another's.
const ECHO: Duration = Duration::from_secs(10);
/// The most events that are held back, and the most that are expected.
const MAX: usize = 1_000;

/// What is under way, and what the stream is to bring of it.
#[derive(Debug, Default)]
pub struct Own {
    /// The kinds of events that what is under way may lead to.
    kinds: &'static [&'static str],
    held: Vec<Event>,
    expected: VecDeque<(Instant, String)>,
}

impl Own {
    /// Holds events of these kinds back until [`Own::end`] tells which are one's own.
    pub fn begin(&mut self, kinds: &'static [&'static str]) {
        self.kinds = kinds;
    }

    /// Takes an event in; gives it back if it is to be shown now.
    pub fn take(&mut self, event: Event, now: Instant) -> Option<Event> {
        if self.kinds.contains(&event.kind.as_str()) && self.held.len() < MAX {
            self.held.push(event);
            return None;
        }
        self.expected
            .retain(|(since, _)| now.duration_since(*since) < ECHO);
        let key = key(&event);
        match self.expected.iter().position(|(_, known)| *known == key) {
            Some(at) => {
                self.expected.remove(at);
                None
            }
            None => Some(event),
        }
    }

    /// Ends what [`Own::begin`] began, with the events that it led to; gives what was held back
    /// and is to be shown after all.
    pub fn end(&mut self, did: &[Event], now: Instant) -> Vec<Event> {
        self.kinds = &[];
        self.expected
            .extend(did.iter().map(|event| (now, key(event))));
        let beyond = self.expected.len().saturating_sub(MAX);
        self.expected.drain(..beyond);
        let held = std::mem::take(&mut self.held);
        held.into_iter()
            .filter_map(|event| self.take(event, now))
            .collect()
    }

    /// Expects nothing any more: the stream begins anew.
    pub fn forget(&mut self) {
        self.expected.clear();
    }
}

/// What an event is about, so that the answer to a call is known again in it.
fn key(event: &Event) -> String {
    let field = |name: &str| match &event.data[name] {
        Value::String(text) => text.to_lowercase(),
        Value::Number(id) => id.to_string(),
        _ => String::new(),
    };
    // Who asks to come into a room is told its title alone.
    let room = Some(field("room")).filter(|room| !room.is_empty());
    let room = room.unwrap_or_else(|| field("title"));
    format!("{}\n{}\n{room}\n{}", event.kind, field("id"), field("user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn joined(user: &str) -> Event {
        Event::new("joined", json!({"room": "room:7", "user": user, "at": "T"}))
    }

    #[test]
    fn ones_own_event_is_not_shown_whether_it_comes_before_or_after_the_answer() {
        let now = Instant::now();
        for first in [true, false] {
            let mut own = Own::default();
            own.begin(&["joined"]);
            if first {
                assert_eq!(own.take(joined("bob"), now), None);
            }
            assert_eq!(own.take(joined("eve"), now), None);
            let did = [Event::new(
                "joined",
                json!({"room": "room:7", "user": "Bob"}),
            )];
            assert_eq!(own.end(&did, now), [joined("eve")]);
            if !first {
                assert_eq!(own.take(joined("bob"), now), None);
            }
            assert_eq!(own.take(joined("bob"), now), Some(joined("bob")));
        }
    }

    #[test]
    fn one_that_is_known_by_a_number_is_not_taken_for_another() {
        let now = Instant::now();
        let hook = |id: u64| Event::new("hook", json!({"id": id, "name": "ci"}));
        let mut own = Own::default();
        own.begin(&["hook"]);
        assert!(own.end(&[hook(45)], now).is_empty());
        assert_eq!(own.take(hook(47), now), Some(hook(47)));
        assert_eq!(own.take(hook(45), now), None);
    }

    #[test]
    fn what_the_stream_does_not_bring_in_time_is_no_longer_expected() {
        let mut own = Own::default();
        let now = Instant::now();
        own.begin(&["joined"]);
        assert!(own.end(&[joined("bob")], now).is_empty());
        assert!(own.take(joined("bob"), now + ECHO).is_some());
        own.end(&[joined("bob")], now);
        own.forget();
        assert!(own.take(joined("bob"), now).is_some());
    }

    #[test]
    fn after_a_failure_all_that_was_held_is_shown() {
        let mut own = Own::default();
        let now = Instant::now();
        own.begin(&["joined"]);
        assert!(own.take(joined("bob"), now).is_none());
        assert_eq!(own.end(&[], now), [joined("bob")]);
    }
}
