//! Remembers what has been shown, so that nothing is shown twice.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// How many ids are remembered. What can come twice is what was posted while a page of history
/// was on its way, so this is far more than enough.
const REMEMBERED: usize = 20_000;

/// A removal this close to the announced end is the end itself.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(120);

/// The ids of messages and comments that were shown lately.
#[derive(Debug, Default)]
pub struct Seen {
    shown: HashMap<u64, Shown>,
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct Shown {
    at: String,
    expires: Option<Timestamp>,
}

impl Seen {
    /// Takes note of a message; false if it was noted before. A server restored from a backup
    /// gives ids again that it gave before, so the time of posting counts, too.
    pub fn insert(&mut self, id: u64, at: &str, expires: Option<&str>) -> bool {
        let shown = Shown {
            at: at.to_owned(),
            expires: expires.and_then(|time| time.parse().ok()),
        };
        if let Some(before) = self.shown.get_mut(&id) {
            let same = before.at == shown.at;
            *before = shown;
            return !same;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        self.order.push_back(id);
        self.shown.insert(id, shown);
        true
    }

    /// Whether that message was noted.
    pub fn contains(&self, id: u64, at: &str) -> bool {
        self.shown.get(&id).is_some_and(|shown| shown.at == at)
    }

    /// Whether a removal is news to somebody who watches: the message was shown, and its end was
    /// not announced with it.
    pub fn is_missed(&self, id: u64, now: Timestamp) -> bool {
        self.shown.get(&id).is_some_and(|shown| {
            shown
                .expires
                .is_none_or(|expires| expires.duration_since(now) > TOLERANCE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-24T20:18:55.123Z";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_message_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.insert(7, AT, None));
        assert!(!seen.insert(7, AT, None));
        assert!(seen.insert(8, AT, None));
    }

    #[test]
    fn an_id_given_again_after_a_restored_backup_is_new() {
        let mut seen = Seen::default();
        assert!(seen.insert(7, AT, None));
        assert!(seen.insert(7, "2026-11-25T08:00:00.000Z", None));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut seen = Seen::default();
        for id in 0..=REMEMBERED as u64 {
            assert!(seen.insert(id, AT, None));
        }
        assert_eq!(seen.shown.len(), REMEMBERED);
        assert!(!seen.insert(1, AT, None));
        assert!(seen.insert(0, AT, None));
    }

    #[test]
    fn only_an_end_that_nobody_expected_is_news() {
        let mut seen = Seen::default();
        seen.insert(7, AT, Some("2026-11-24T21:18:55.123Z"));
        seen.insert(8, AT, None);
        assert!(seen.is_missed(7, time("2026-11-24T20:30:00Z")));
        assert!(!seen.is_missed(7, time("2026-11-24T21:18:30Z")));
        assert!(!seen.is_missed(7, time("2026-11-24T22:00:00Z")));
        assert!(seen.is_missed(8, time("2026-11-24T20:30:00Z")));
        assert!(!seen.is_missed(9, time("2026-11-24T20:30:00Z")));
    }
}
