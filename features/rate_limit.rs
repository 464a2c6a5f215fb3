//! **rate_limit**: how much one user posts to the common chat.
//!
//! ```toml
//! [features.rate_limit]
//! messages = 20
//! per = "1h"
//! ```
//!
//! Counted per user over all their clients and across restarts; comments in the common chat
//! count, too. A period begins with a user's first message after the last period ended, and at
//! its end the count is zero again. Over it a post is refused with 429 `rate_limited` and
//! `Retry-After`. Every answer to such a post carries `RateLimit-Policy` and `RateLimit`.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

settings! {
    /// How much one user posts to the common chat.
    pub struct Settings {
        /// How many messages and comments in a period, 1 to 1000000000.
        pub messages: u64 = 20 => 1..=1_000_000_000,
        /// How long a period is. At least 1s.
        pub per: Period = Period::hours(1) => Period::secs(1)..,
    }
}

/// The limit on the common chat.
pub struct RateLimit {
    settings: Settings,
}

feature!(RateLimit);

/// How a user stands, in their own `/status`.
#[derive(Serialize, JsonSchema)]
struct Standing {
    /// How many messages a period allows.
    messages: u64,
    /// How many are left in this one.
    left: u64,
    /// When this one ends, if one has begun.
    until: Option<String>,
}

/// A post to the common chat counted in the period that ends then.
#[derive(Serialize, Deserialize)]
pub struct Counted {
    until: Time,
}

/// The periods that have not ended.
#[derive(Default, Serialize, Deserialize)]
pub struct Periods {
    users: BTreeMap<UserId, UserPeriod>,
    /// The same in order of their ends, so that those over are found.
    ends: BTreeSet<(Time, UserId)>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct UserPeriod {
    until: Time,
    count: u64,
}

impl Feature for RateLimit {
    const ABOUT: &'static str = "Limits how much one user posts to the common chat";

    type Settings = Settings;
    type State = Periods;
    type Fact = Counted;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new().user_part::<Standing>("How much one may still post to the common chat")
    }

    fn check(&self, state: &Periods, draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<Counted> {
        if draft.kind() != Kind::Common || draft.purpose != Purpose::PostNow {
            return Verdict::pass();
        }
        let Settings { messages, per } = self.settings;
        let running = state.running(draft.from, tx.now(), per);
        let until = running.map_or(tx.now().plus(per), |period| period.until);
        let left = messages.saturating_sub(running.map_or(0, |period| period.count));
        let seconds = tx.now().seconds_until(until);
        let verdict = if left > 0 {
            Verdict::pass().rider(Counted { until })
        } else {
            let detail = format!(
                "{messages} messages in {per} are allowed in the common chat; try again in \
                 {seconds} s"
            );
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
            Verdict::refuse(problem.retry_after(seconds))
        };
        let policy = format!("\"common\";q={messages};w={}", per.as_ms().div_ceil(1000));
        let limit = |left: u64| format!("\"common\";r={left};t={seconds}");
        verdict.header("ratelimit-policy", &policy, &policy).header(
            "ratelimit",
            &limit(left.saturating_sub(1)),
            &limit(left),
        )
    }

    fn apply(state: &mut Periods, fact: Counted, stamp: &Stamp) {
        let Some(user) = stamp.by else { return };
        state.forget(stamp.at);
        let period = state.users.entry(user).or_insert(UserPeriod {
            until: fact.until,
            count: 0,
        });
        if period.until != fact.until {
            state.ends.remove(&(period.until, user));
            *period = UserPeriod {
                until: fact.until,
                count: 0,
            };
        }
        period.count += 1;
        state.ends.insert((fact.until, user));
    }

    fn show(&self, state: &Periods, of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        let Subject::User(user) = of else { return };
        let running = state.running(*user, view.now(), self.settings.per);
        let count = running.map_or(0, |period| period.count);
        to.set_all(&Standing {
            messages: self.settings.messages,
            left: self.settings.messages.saturating_sub(count),
            until: running.map(|period| period.until.to_string()),
        });
    }
}

impl Periods {
    /// A user's period, if it has not ended. A clock that is set back a little lengthens it, and gives
    /// nobody a new one. One that ends further away than two periods was begun by a clock that was
    /// wrong, or under other settings: it counts no more.
    fn running(&self, user: UserId, now: Time, per: Period) -> Option<UserPeriod> {
        let period = self.users.get(&user).copied()?;
        (period.until > now && period.until <= now.plus(per).plus(per)).then_some(period)
    }

    /// Drops what has ended, so that this holds only those who posted lately.
    fn forget(&mut self, now: Time) {
        while let Some((until, user)) = self
            .ends
            .first()
            .copied()
            .filter(|(until, _)| *until <= now)
        {
            self.ends.remove(&(until, user));
            self.users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(state: &mut Periods, user: u64, at: i64, until: i64) {
        let stamp = Stamp {
            pos: 1,
            at: Time(at),
            by: Some(UserId(user)),
            ..Stamp::default()
        };
        RateLimit::apply(state, Counted { until: Time(until) }, &stamp);
    }

    fn counted(state: &Periods, user: u64, now: i64) -> Option<u64> {
        state
            .running(UserId(user), Time(now), Period::ms(100))
            .map(|period| period.count)
    }

    #[test]
    fn a_period_counts_until_it_ends_and_no_longer() {
        let mut state = Periods::default();
        count(&mut state, 1, 0, 100);
        count(&mut state, 1, 99, 100);
        assert_eq!(counted(&state, 1, 99), Some(2));
        assert_eq!(counted(&state, 1, 100), None);
        count(&mut state, 1, 150, 250);
        assert_eq!(counted(&state, 1, 150), Some(1));
    }

    #[test]
    fn a_clock_that_was_wrong_locks_nobody_out() {
        let mut state = Periods::default();
        count(&mut state, 1, 1_000_000, 1_000_100);
        assert_eq!(counted(&state, 1, 50), None);
        count(&mut state, 1, 50, 150);
        assert_eq!(counted(&state, 1, 50), Some(1));
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_gives_nobody_a_new_period() {
        let mut state = Periods::default();
        count(&mut state, 1, 1_000, 1_100);
        assert_eq!(counted(&state, 1, 940), Some(1));
        assert_eq!(counted(&state, 1, 899), None, "more than a period");
    }

    #[test]
    fn each_user_has_a_period_of_their_own() {
        let mut state = Periods::default();
        count(&mut state, 1, 0, 100);
        count(&mut state, 2, 50, 150);
        assert_eq!(
            (counted(&state, 1, 60), counted(&state, 2, 60)),
            (Some(1), Some(1))
        );
    }

    #[test]
    fn periods_that_ended_take_no_memory() {
        let mut state = Periods::default();
        for user in 0..100 {
            count(
                &mut state,
                user,
                user.cast_signed(),
                user.cast_signed() + 10,
            );
        }
        assert!(state.users.len() <= 11, "{}", state.users.len());
        assert_eq!(state.users.len(), state.ends.len());
    }
}
