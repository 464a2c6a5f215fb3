//! How long things took: their percentiles, by a histogram, so that millions of them take no room.

use std::sync::LazyLock;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Problem;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the program first asked; one clock for all its threads.
pub fn now() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Lengths of time, counted in buckets that are exact to 0.1 %.
#[derive(Clone)]
pub struct Times(Histogram<u64>);

/// Percentiles in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half took at most this long.
    pub p50_ms: f64,
    /// 99 in 100 took at most this long.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Times {
    /// None yet.
    ///
    /// # Errors
    /// Never, with the precision that stands here.
    pub fn new() -> Result<Self, Problem> {
        // From a microsecond to ten minutes: longer than any load runs.
        Ok(Self(Histogram::new_with_bounds(1_000, 600_000_000_000, 3)?))
    }

    /// Counts one of so many nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Counts all of the other's, too.
    ///
    /// # Errors
    /// Never, for both have the same bounds.
    pub fn add(&mut self, other: &Self) -> Result<(), Problem> {
        Ok(self.0.add(&other.0)?)
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The percentiles; zeros where nothing was counted.
    pub fn percentiles(&self) -> Percentiles {
        let ms = |nanoseconds: u64| {
            // To the microsecond; a double holds that exactly.
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let us = (nanoseconds / 1_000) as f64;
            us / 1_000.0
        };
        Percentiles {
            p50_ms: ms(self.0.value_at_quantile(0.5)),
            p99_ms: ms(self.0.value_at_quantile(0.99)),
            max_ms: ms(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, wanted: f64) {
        assert!(
            (value / wanted - 1.0).abs() < 0.002,
            "{value}, not {wanted}"
        );
    }

    #[test]
    fn percentiles_are_those_of_all_that_was_counted() {
        let (mut odd, mut even) = (Times::new().unwrap(), Times::new().unwrap());
        for ms in 1..=1000_u64 {
            let half = if ms % 2 == 0 { &mut even } else { &mut odd };
            half.record(ms * 1_000_000);
        }
        odd.add(&even).unwrap();
        assert_eq!(odd.count(), 1000);
        let found = odd.percentiles();
        close(found.p50_ms, 500.0);
        close(found.p99_ms, 990.0);
        close(found.max_ms, 1000.0);
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound_and_nothing_as_zero() {
        let mut times = Times::new().unwrap();
        assert_eq!(times.percentiles().p99_ms, 0.0);
        times.record(u64::MAX);
        close(times.percentiles().p50_ms, 600_000.0);
    }

    #[test]
    fn the_clock_goes_on() {
        let first = now();
        assert!(now() >= first);
    }
}
