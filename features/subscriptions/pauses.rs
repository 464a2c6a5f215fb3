//! How long it is waited after a failure, and when it is given up.

use veche::prelude::*;

use super::Settings;
use super::state::{Failure, Why};

/// How much shorter a pause may be by chance, so that not all come back at once: 200 in 1000.
pub const JITTER: u64 = 200;

impl Settings {
    /// How a subscription stands after one more failure. `asked` is how long the program wants to be
    /// left alone, `chance` a number below [`JITTER`].
    pub fn failed(
        &self,
        before: Option<Failure>,
        why: Why,
        now: Time,
        asked: Option<Period>,
        chance: u64,
    ) -> Failure {
        // None was later than this one, whatever the clock said.
        let since = before.map_or(now, |before| before.since.min(now));
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let grown = 3_u64
            .saturating_pow(times - 1)
            .saturating_mul(self.pause.as_ms());
        let longest = self.longest_pause.as_ms();
        let pause = grown.min(longest);
        let pause = pause - pause * chance / 1000;
        let asked = asked.map_or(0, |asked| asked.as_ms().min(longest));
        let next = now.plus(Period::ms(pause.max(asked)));
        let end = since.plus(self.give_up);
        // Whoever says that they are gone want nothing any more.
        let is_off = why == Why::Status(410) || now >= end;
        Failure {
            since,
            at: now,
            times,
            why,
            next: (!is_off).then(|| next.min(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            pause: Period::secs(5),
            longest_pause: Period::mins(5),
            give_up: Period::hours(1),
            ..Settings::default()
        }
    }

    /// Fails again and again, each time as soon as it may, and gives the pauses.
    fn pauses(chance: u64) -> Vec<i64> {
        let (mut before, mut now, mut pauses) = (None, Time(0), Vec::new());
        loop {
            let failure = settings().failed(before, Why::Status(500), now, None, chance);
            let Some(next) = failure.next else {
                return pauses;
            };
            pauses.push(next.0 - now.0);
            (before, now) = (Some(failure), next);
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_end_when_it_is_given_up() {
        let pauses = pauses(0);
        assert_eq!(pauses[..5], [5_000, 15_000, 45_000, 135_000, 300_000]);
        assert!(
            pauses[4..pauses.len() - 1]
                .iter()
                .all(|pause| *pause == 300_000)
        );
        assert_eq!(
            pauses.iter().sum::<i64>(),
            3_600_000,
            "the last is at the end"
        );
    }

    #[test]
    fn by_chance_they_are_shorter_and_grow_all_the_same() {
        let pauses = pauses(JITTER - 1);
        assert_eq!(pauses[..3], [4_005, 12_015, 36_045]);
        assert!(pauses.iter().all(|pause| *pause < 300_000));
    }

    #[test]
    fn who_asks_to_be_left_alone_is_within_the_bound() {
        let failed = |asked| {
            let asked = Some(Period::secs(asked));
            let failure = settings().failed(None, Why::Status(503), Time(0), asked, 0);
            failure.next.map(|next| next.0)
        };
        assert_eq!(failed(1), Some(5_000));
        assert_eq!(failed(60), Some(60_000));
        assert_eq!(failed(86_400), Some(300_000));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_pause() {
        let (then, now) = (Time(10_000_000), Time(1_000_000));
        let before = settings().failed(None, Why::Status(500), then, None, 0);
        assert_eq!(before.rests(then), Some(Time(10_005_000)));
        assert_eq!(before.rests(Time(10_005_000)), None, "its time has come");
        assert_eq!(before.rests(now), None);
        let failure = settings().failed(Some(before), Why::Status(500), now, None, 0);
        assert_eq!(failure.since, now, "nor is it given up later for that");
        assert_eq!(failure.rests(now), Some(Time(1_015_000)));
    }

    #[test]
    fn who_is_gone_is_not_asked_again() {
        let failed = |status| settings().failed(None, Why::Status(status), Time(0), None, 0);
        assert_eq!(failed(410).next, None);
        assert!(failed(404).next.is_some());
    }

    #[test]
    fn however_often_it_failed_a_pause_is_a_number() {
        let before = settings().failed(None, Why::Internal, Time(0), None, 0);
        let before = Failure {
            times: u32::MAX,
            ..before
        };
        let failure = settings().failed(Some(before), Why::Internal, Time(1), None, 199);
        assert!(failure.next.is_some_and(|next| next.0 > 200_000));
    }
}
