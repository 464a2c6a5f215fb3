//! Slows down who guesses: wrong passwords by address and by name, unknown tokens by address.
//!
//! Each key has a bucket that a guess fills by one and that empties steadily. The buckets are a
//! count-min sketch, so what is remembered takes the same room whoever comes: a key's bucket is the
//! emptiest of its cells, one in each row. Another key may share a cell, hardly one shares all.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::chat::Folded;
use crate::config;
use crate::http::{Network, Problem, has, holder};

/// Rows of the sketch.
const ROWS: usize = 4;

/// Cells of a row; a power of two of which four fit into the bits of a hash.
const CELLS: usize = 4096;

/// Names with addresses that have shown the name's password; then it begins anew. 1 MiB at most.
const KNOWN: usize = 64 * 1024;

/// How much later an unknown token is answered where too many came from its address. A known one is
/// answered at once: whoever shares the address with the guesser is not held up.
const PAUSE: Duration = Duration::from_secs(1);

/// What guesses are counted by.
#[derive(Clone, Copy, Debug, Hash)]
enum Key<'a> {
    Password(IpAddr),
    Token(IpAddr),
    Name(&'a Folded),
}

/// Who has guessed how often of late.
pub(crate) struct Guesses {
    /// How many guesses fit into a bucket.
    most: u32,
    /// How long a bucket takes to lose one.
    pace: Duration,
    exempt: Vec<Network>,
    hasher: RandomState,
    begun: Instant,
    sketch: Mutex<Sketch>,
    /// Whoever has logged in from an address before is not locked out there by others, who guess at
    /// the name from elsewhere.
    known: Mutex<HashSet<u64>>,
}

/// When each cell will be empty, in microseconds from the start. Zeros take no memory until they are
/// written to.
struct Sketch(Box<[u64]>);

/// A password that is being checked. It counts as a guess unless it is told otherwise.
pub(crate) struct Try<'a> {
    guesses: &'a Guesses,
    counted: Vec<u64>,
    pair: Option<u64>,
}

impl Guesses {
    pub(crate) fn new(config: &config::Server) -> Self {
        Self {
            most: config.guesses,
            pace: config.guesses_per.to_std() / config.guesses,
            exempt: config.exempt(),
            hasher: RandomState::new(),
            begun: Instant::now(),
            sketch: Mutex::new(Sketch(vec![0; ROWS * CELLS].into())),
            known: Mutex::default(),
        }
    }

    /// Before a password is looked at.
    ///
    /// # Errors
    /// 429 `too_many_guesses` where too many were wrong of late, from this address or for this name.
    pub(crate) fn password(&self, peer: Option<IpAddr>, name: &Folded) -> Result<Try<'_>, Problem> {
        let pair = peer.map(|peer| self.pair(peer, name));
        let by_address = self.counted(peer).map(Key::Password);
        let is_known = pair.is_some_and(|pair| locked(&self.known).contains(&pair));
        let by_name = (!is_known).then_some(Key::Name(name));
        let counted: Vec<u64> = [by_address, by_name]
            .into_iter()
            .flatten()
            .map(|key| self.hasher.hash_one(key))
            .collect();
        self.count(&counted, self.begun.elapsed())?;
        Ok(Try {
            guesses: self,
            counted,
            pair,
        })
    }

    /// A name was given its password from there.
    pub(crate) fn set(&self, peer: Option<IpAddr>, name: &Folded) {
        if let Some(peer) = peer {
            self.learn(self.pair(peer, name));
        }
    }

    fn pair(&self, peer: IpAddr, name: &Folded) -> u64 {
        self.hasher.hash_one((holder(peer), name))
    }

    fn learn(&self, pair: u64) {
        let mut known = locked(&self.known);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(pair);
    }

    /// What is answered to a token that is nobody's.
    pub(crate) async fn token(&self, peer: Option<IpAddr>, refusal: Problem) -> Problem {
        let Some(peer) = self.counted(peer) else {
            return refusal;
        };
        let key = self.hasher.hash_one(Key::Token(peer));
        match self.count(&[key], self.begun.elapsed()) {
            Ok(()) => refusal,
            Err(problem) => {
                tokio::time::sleep(PAUSE).await;
                problem
            }
        }
    }

    /// The address that guesses are counted by, if they are.
    fn counted(&self, peer: Option<IpAddr>) -> Option<IpAddr> {
        peer.filter(|peer| !has(&self.exempt, *peer)).map(holder)
    }

    /// Counts a guess under each key, or under none where one bucket is full.
    fn count(&self, keys: &[u64], now: Duration) -> Result<(), Problem> {
        let (now, pace) = (micros(now), micros(self.pace));
        let mut sketch = locked(&self.sketch);
        let full = pace * u64::from(self.most);
        let mut over = 0;
        for key in keys {
            let fill = sketch.empty_at(*key).saturating_sub(now) + pace;
            over = over.max(fill.saturating_sub(full));
        }
        if over > 0 {
            let detail = "too many wrong passwords or tokens; come back after `Retry-After`";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_guesses", detail);
            return Err(problem.retry_after(over.div_ceil(1_000_000)));
        }
        for key in keys {
            sketch.change(*key, |empty_at| empty_at.max(now) + pace);
        }
        Ok(())
    }
}

impl Try<'_> {
    /// The password was right.
    pub(crate) fn was_right(self) {
        if let Some(pair) = self.pair {
            self.guesses.learn(pair);
        }
        self.was_none();
    }

    /// The password was not looked at.
    pub(crate) fn was_none(self) {
        let pace = micros(self.guesses.pace);
        let mut sketch = locked(&self.guesses.sketch);
        for key in self.counted {
            sketch.change(key, |empty_at| empty_at.saturating_sub(pace));
        }
    }
}

impl Sketch {
    /// When a key's bucket is empty.
    fn empty_at(&self, key: u64) -> u64 {
        let cells = cells(key).map(|cell| self.0.get(cell).copied().unwrap_or_default());
        cells.into_iter().min().unwrap_or_default()
    }

    fn change(&mut self, key: u64, change: impl Fn(u64) -> u64) {
        for cell in cells(key) {
            if let Some(empty_at) = self.0.get_mut(cell) {
                *empty_at = change(*empty_at);
            }
        }
    }
}

/// A key's cells, one in each row.
fn cells(key: u64) -> [usize; ROWS] {
    std::array::from_fn(|row| {
        let bits = (key >> (16 * row)) as usize;
        row * CELLS + bits % CELLS
    })
}

/// Half a million years of them fit.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What panicked while it held a lock left a count that is a little off at worst.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn guesses(most: u32) -> Guesses {
        Guesses::new(&config::Server {
            guesses: most,
            guesses_per: crate::settings::Period::mins(u64::from(most)),
            ..config::Server::default()
        })
    }

    #[test]
    fn a_bucket_takes_so_many_and_loses_one_after_the_other() {
        let guesses = guesses(3);
        let at = |minutes: u32| guesses.count(&[7], MINUTE * minutes);
        assert!(at(0).is_ok() && at(0).is_ok() && at(0).is_ok());
        let refused = at(0).expect_err("three are in it");
        assert_eq!(refused.headers["retry-after"], "60");
        assert!(at(1).is_ok());
        assert!(at(1).is_err());
        assert!(guesses.count(&[8], MINUTE).is_ok(), "another's is empty");
        assert!(at(100).is_ok() && at(100).is_ok() && at(100).is_ok());
        assert!(at(100).is_err(), "it never takes more");
    }

    #[test]
    fn a_guess_counts_nowhere_where_one_bucket_is_full() {
        let guesses = guesses(1);
        assert!(guesses.count(&[1], MINUTE).is_ok());
        assert!(guesses.count(&[1, 2], MINUTE).is_err());
        assert!(guesses.count(&[2], MINUTE).is_ok());
    }

    #[test]
    fn names_and_addresses_are_counted_apart_and_the_right_password_is_none() {
        let guesses = guesses(2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().ok());
        let [ann, bob] = ["ann", "bob"].map(Folded::of);
        for _ in 0..5 {
            guesses.password(one, &ann).expect("a place").was_right();
            guesses.password(one, &bob).expect("a place").was_none();
        }
        assert!(guesses.password(one, &bob).is_ok() && guesses.password(one, &bob).is_ok());
        assert!(guesses.password(one, &bob).is_err(), "wrong twice");
        assert!(guesses.password(one, &ann).is_err(), "the address counts");
        assert!(guesses.password(other, &bob).is_err(), "so does the name");
        assert!(guesses.password(other, &ann).is_ok());
        // From elsewhere somebody guesses at Ann, who is known where she was before.
        let guesses = super::tests::guesses(2);
        guesses.password(one, &ann).expect("a place").was_right();
        assert!(guesses.password(other, &ann).is_ok() && guesses.password(other, &ann).is_ok());
        assert!(guesses.password(other, &ann).is_err());
        assert!(guesses.password(one, &ann).is_ok());
    }

    #[test]
    fn what_is_exempt_is_counted_by_name_alone() {
        let guesses = guesses(1);
        let here = "127.0.0.1".parse().ok();
        for name in ["a", "b", "c"] {
            assert!(guesses.password(here, &Folded::of(name)).is_ok());
            assert!(guesses.password(here, &Folded::of(name)).is_err());
        }
    }

    #[test]
    fn thousands_of_guessers_fill_no_bucket_but_their_own() {
        let guesses = guesses(20);
        for address in 0..2000_u32 {
            let peer = IpAddr::from((0xC000_0000 + address).to_be_bytes());
            for _ in 0..20 {
                let key = guesses.hasher.hash_one(Key::Password(peer));
                let _ = guesses.count(&[key], MINUTE);
            }
        }
        let full = (0..1000_u64).filter(|name| {
            let key = guesses
                .hasher
                .hash_one(Key::Name(&Folded::of(&name.to_string())));
            guesses.count(&[key], MINUTE).is_err()
        });
        assert!(full.count() < 50);
    }
}
