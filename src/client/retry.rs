//! How long to pause before the next try, and how to stop pausing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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

/// Where those pause who try again: it is closed once, when the session ends, and whoever pauses goes
/// on at once. Clones are one gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// How often it was said that a try may go well now.
    roused: u64,
}

/// What has ended a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Its time is over.
    Over,
    /// A try may go well now.
    Roused,
    /// The session has ended.
    Closed,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `pause` is over or the gate closes, whatever else is said; true if it is closed.
    pub fn wait(&self, pause: Duration) -> bool {
        let state = self.state();
        let (state, _) = self
            .0
            .bell
            .wait_timeout_while(state, pause, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Waits until `pause` is over, a try may go well, or the gate closes.
    pub fn pause(&self, pause: Duration) -> Woken {
        let state = self.state();
        let before = state.roused;
        let waits = |state: &mut State| !state.closed && state.roused == before;
        let waited = self.0.bell.wait_timeout_while(state, pause, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.closed {
            true => Woken::Closed,
            false if state.roused != before => Woken::Roused,
            false => Woken::Over,
        }
    }

    /// Ends every [`Gate::pause`]: the server has answered somebody, or the user wants it tried now.
    pub fn rouse(&self) {
        let mut state = self.state();
        state.roused = state.roused.wrapping_add(1);
        self.0.bell.notify_all();
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Ends the session.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.bell.notify_all();
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

    #[test]
    fn a_pause_ends_when_a_try_may_go_well_and_what_the_server_asks_for_does_not() {
        let gate = Gate::default();
        gate.rouse();
        assert_eq!(gate.pause(Duration::ZERO), Woken::Over, "that was before");
        let long = Duration::from_secs(3_600);
        std::thread::scope(|scope| {
            let pausing = scope.spawn(|| gate.pause(long));
            let asked = scope.spawn(|| gate.wait(long));
            while !pausing.is_finished() {
                gate.clone().rouse();
                std::thread::yield_now();
            }
            assert_eq!(pausing.join().unwrap(), Woken::Roused);
            assert!(!asked.is_finished());
            gate.close();
            assert!(asked.join().unwrap());
        });
        assert_eq!(gate.pause(long), Woken::Closed);
    }
}
