//! How long to pause before the next try, and how to stop pausing.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The first pause, unless the server asks for another.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses that double from the first to the longest.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    tries: u32,
}

impl Backoff {
    /// Pauses as they are before anything has failed.
    pub fn new() -> Backoff {
        Backoff {
            first: FIRST_PAUSE,
            tries: 0,
        }
    }

    /// Takes the first pause that the server asks for, within reason.
    pub fn set_first(&mut self, first: Duration) {
        self.first = first.clamp(Duration::from_millis(100), LONGEST_PAUSE);
    }

    /// Begins again with the first pause: a try has succeeded.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next pause. `dice`, from 0 to 1, spreads it over its upper half, so that the clients
    /// of a server that comes back do not all return in the same moment.
    pub fn next(&mut self, dice: f64) -> Duration {
        let full = self.first.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        full.min(LONGEST_PAUSE)
            .mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }
}

/// A number from 0 to 1.
pub fn dice() -> f64 {
    // Without a source of chance the pause is a middle one, which does no harm.
    let number = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(number) / f64::from(u32::MAX)
}

/// Closed once, when the session ends: whoever pauses goes on at once.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Mutex<bool>,
    bell: Condvar,
}

impl Gate {
    /// Waits until `pause` is over or the gate closes; true if it is closed.
    pub fn wait(&self, pause: Duration) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let (closed, _) = self
            .bell
            .wait_timeout_while(closed, pause, |closed| !*closed)
            .unwrap_or_else(PoisonError::into_inner);
        *closed
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session.
    pub fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u64> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), FIRST_PAUSE);
    }

    #[test]
    fn chance_spreads_a_pause_over_its_upper_half() {
        let pause = |dice| Backoff::new().next(dice).as_millis();
        assert_eq!([pause(0.0), pause(0.5), pause(1.0)], [500, 750, 1000]);
        assert!((0.0..=1.0).contains(&dice()));
    }

    #[test]
    fn the_server_sets_the_first_pause_within_reason() {
        let mut backoff = Backoff::new();
        backoff.set_first(Duration::from_secs(2));
        assert_eq!(backoff.next(1.0), Duration::from_secs(2));
        backoff.set_first(Duration::from_secs(4_000));
        backoff.reset();
        assert_eq!(backoff.next(1.0), LONGEST_PAUSE);
        backoff.set_first(Duration::ZERO);
        assert!(backoff.next(0.0) > Duration::ZERO);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            assert!(backoff.next(0.3) <= LONGEST_PAUSE);
        }
    }

    #[test]
    fn a_closed_gate_ends_every_wait() {
        let gate = Gate::default();
        assert!(!gate.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait(Duration::from_secs(3_600)));
            gate.close();
            assert!(waiting.join().unwrap());
        });
        assert!(gate.is_closed());
    }
}
