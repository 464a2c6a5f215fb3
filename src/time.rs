//! Time as a value. One [`Clock`] stands at the edge of the program; whatever lies behind it
//! is handed a [`Time`], so a test can turn the hand instead of waiting.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::settings::{Period, quoted};

/// An instant: milliseconds since the Unix epoch, in UTC, without leap seconds.
///
/// serde writes it as that integer, which keeps facts compact. [`Display`](fmt::Display) writes
/// it as RFC 3339 in UTC with exactly three decimals, `2026-11-24T20:18:55.123Z`; RFC 3339 has
/// years of four digits only, so what lies before year 0 or after 9999 is shown as the nearest
/// instant that it can express.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

/// 0000-01-01T00:00:00Z, the first instant that RFC 3339 can express.
const FIRST_SHOWN: i64 = -62_167_219_200_000;

impl Time {
    /// This much later; the last representable instant where that is too late.
    #[must_use]
    pub fn plus(self, period: Period) -> Time {
        Time(self.0.saturating_add_unsigned(period.as_ms()))
    }

    /// This much earlier; the first representable instant where that is too early.
    #[must_use]
    pub fn minus(self, period: Period) -> Time {
        Time(self.0.saturating_sub_unsigned(period.as_ms()))
    }

    /// How long ago `earlier` was: zero where it lies ahead, at most [`Period::MAX`].
    #[must_use]
    pub fn since(self, earlier: Time) -> Period {
        if earlier >= self {
            return Period::ZERO;
        }
        Period::ms(self.0.abs_diff(earlier.0))
    }

    /// Whole seconds until `later`, rounded up, and 0 where it has passed: what `Retry-After`
    /// says (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn seconds_until(self, later: Time) -> u64 {
        if later <= self {
            return 0;
        }
        later.0.abs_diff(self.0).div_ceil(1000)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.max(FIRST_SHOWN);
        let timestamp = Timestamp::from_millisecond(shown).unwrap_or(Timestamp::MAX);
        write!(f, "{timestamp:.3}")
    }
}

/// Why a text is no [`Time`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is no time: write it by RFC 3339, with seconds and an offset, such as \
     \"2026-11-24T20:18:55Z\" or \"2026-11-24T21:18:55.123+01:00\""
)]
pub struct TimeError {
    given: String,
}

impl FromStr for Time {
    type Err = TimeError;

    /// Reads RFC 3339 (section 5.6) with any offset. Digits beyond the milliseconds are cut
    /// off, and a leap second is read as the second before it.
    fn from_str(text: &str) -> Result<Time, TimeError> {
        milliseconds(text).map(Time).ok_or_else(|| TimeError {
            given: quoted(text),
        })
    }
}

/// The grammar is held to here, as jiff also takes other forms (a date with a zone's name, no
/// seconds, signed years); what the digits mean is jiff's to say.
fn milliseconds(text: &str) -> Option<i64> {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        exactly => byte == exactly,
    };
    if bytes.len() <= SHAPE.len() || !bytes.iter().zip(SHAPE).all(fits) {
        return None;
    }
    let (seconds, rest) = text.split_at(SHAPE.len());
    let (fraction, offset) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            let (fraction, offset) = rest.split_at(digits);
            (&fraction[..digits.min(3)], offset)
        }
    };
    match offset.as_bytes() {
        b"Z" | b"z" => {}
        [b'+' | b'-', hour @ .., b':', m, n]
            if hour.len() == 2
                && hour.iter().chain([m, n]).all(u8::is_ascii_digit)
                && hour <= b"23".as_slice() => {}
        _ => return None,
    }
    let timestamp: Timestamp = format!("{seconds}.{fraction:0<3}{offset}").parse().ok()?;
    // With an offset it may lie before all that is shown.
    Some(timestamp.as_millisecond()).filter(|shown| *shown >= FIRST_SHOWN)
}

/// Where the time comes from. Clones share the same hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still until a test turns it with [`set`](Clock::set) or
    /// [`advance`](Clock::advance).
    #[must_use]
    pub fn manual(start: Time) -> Clock {
        Clock(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The time now. The machine's clock may be set back between two calls.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(hand) => Time(hand.load(Ordering::SeqCst)),
        }
    }

    /// Turns a manual clock to `time`. The machine's clock is not ours to turn: on it this
    /// does nothing.
    pub fn set(&self, time: Time) {
        if let Source::Manual(hand) = &self.0 {
            hand.store(time.0, Ordering::SeqCst);
        }
    }

    /// Turns a manual clock forward; does nothing on the machine's.
    pub fn advance(&self, by: Period) {
        if let Source::Manual(hand) = &self.0 {
            let later = |now| Some(Time(now).plus(by).0);
            // It always has a later time, so this cannot fail.
            let _ = hand.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }
}

fn system_now() -> Time {
    let saturated = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX);
    Time(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => saturated(after.as_millis()),
        Err(before) => -saturated(before.duration().as_millis()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    /// A fixed sequence of 64-bit numbers (SplitMix64), of every magnitude.
    fn numbers() -> impl Iterator<Item = i64> {
        let mut state = 7_u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) as i64) >> (state % 64)
        })
    }

    #[test]
    fn it_is_shown_in_utc_with_three_decimals() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Time(1_795_551_535_123).to_string(),
            "2026-11-24T20:18:55.123Z"
        );
        assert_eq!(Time(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Time(FIRST_SHOWN).to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_rfc_3339_cannot_express_is_shown_as_the_nearest_it_can() {
        assert_eq!(Time(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(
            Time(FIRST_SHOWN - 1).to_string(),
            "0000-01-01T00:00:00.000Z"
        );
        assert_eq!(Time(i64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let last = Timestamp::MAX.as_millisecond();
        for number in numbers().take(20_000) {
            let time = Time(number.clamp(FIRST_SHOWN, last));
            let shown = time.to_string();
            assert_eq!(shown.parse(), Ok(time), "{shown}");
            assert_eq!(shown.len(), 24, "{shown}");
        }
    }

    #[test]
    fn any_offset_is_read() {
        let noon = time("2026-11-24T12:00:00Z");
        assert_eq!(time("2026-11-24T13:00:00+01:00"), noon);
        assert_eq!(time("2026-11-24T06:30:00.000-05:30"), noon);
        assert_eq!(time("2026-11-24t12:00:00z"), noon);
        assert_eq!(time("2026-11-24T12:00:00-00:00"), noon);
        assert_eq!(time("2026-11-25T11:59:00+23:59"), noon);
    }

    #[test]
    fn digits_beyond_the_milliseconds_are_cut_off() {
        assert_eq!(time("1970-01-01T00:00:00.1Z"), Time(100));
        assert_eq!(time("1970-01-01T00:00:00.0019999999999999Z"), Time(1));
        assert_eq!(time("1969-12-31T23:59:59.9999Z"), Time(-1));
        assert_eq!(time("1990-12-31T23:59:60Z"), time("1990-12-31T23:59:59Z"));
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "now",
            "1795551535123",
            "2026-11-24",
            "2026-11-24T20:18Z",
            "2026-11-24T20:18:55",
            "2026-11-24 20:18:55Z",
            "2026-11-24T20:18:55.Z",
            "2026-11-24T20:18:55,5Z",
            "2026-11-24T20:18:55+01",
            "2026-11-24T20:18:55+0100",
            "2026-11-24T20:18:55+24:00",
            "2026-11-24T20:18:55+01:60",
            "2026-11-24T20:18:55Z[UTC]",
            "2026-11-24T20:18:55Z ",
            " 2026-11-24T20:18:55Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "+002026-11-24T20:18:55Z",
            "-002026-11-24T20:18:55Z",
            "２026-11-24T20:18:55Z",
            "2026-11-24T20:18:55é",
            "9999-12-31T23:59:59-23:00",
            "0000-01-01T00:00:55.123456+01:00",
        ] {
            let error = text.parse::<Time>().expect_err(text).to_string();
            assert!(error.contains("RFC 3339"), "{error}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time(5).plus(Period::secs(1)), Time(1005));
        assert_eq!(Time(5).minus(Period::secs(1)), Time(-995));
        assert_eq!(Time(i64::MAX).plus(Period::MAX), Time(i64::MAX));
        assert_eq!(Time(i64::MIN).minus(Period::ms(1)), Time(i64::MIN));
        assert_eq!(Time(1500).since(Time(500)), Period::secs(1));
        assert_eq!(Time(500).since(Time(1500)), Period::ZERO);
        assert_eq!(Time(i64::MAX).since(Time(i64::MIN)), Period::MAX);
    }

    #[test]
    fn seconds_until_are_rounded_up() {
        let now = Time(10_000);
        assert_eq!(now.seconds_until(Time(10_000)), 0);
        assert_eq!(now.seconds_until(Time(9_000)), 0);
        assert_eq!(now.seconds_until(Time(10_001)), 1);
        assert_eq!(now.seconds_until(Time(11_000)), 1);
        assert_eq!(now.seconds_until(Time(11_001)), 2);
        assert_eq!(
            Time(i64::MIN).seconds_until(Time(i64::MAX)),
            u64::MAX.div_ceil(1000)
        );
    }

    #[test]
    fn serde_writes_the_integer() {
        assert_eq!(serde_json::to_string(&Time(-7)).unwrap(), "-7");
        assert_eq!(serde_json::from_str::<Time>("12").unwrap(), Time(12));
    }

    #[test]
    fn a_manual_clock_moves_only_when_it_is_turned_and_for_all_its_clones() {
        let clock = Clock::manual(Time(100));
        let other = clock.clone();
        assert_eq!(other.now(), Time(100));
        clock.advance(Period::ms(11));
        assert_eq!(other.now(), Time(111));
        other.set(Time(3));
        assert_eq!(clock.now(), Time(3));
        clock.set(Time(i64::MAX));
        clock.advance(Period::ms(1));
        assert_eq!(clock.now(), Time(i64::MAX));
    }

    #[test]
    fn the_systems_clock_cannot_be_turned() {
        let clock = Clock::system();
        let before = clock.now();
        clock.set(Time(0));
        clock.advance(Period::MAX);
        let after = clock.now();
        assert!(before > time("2025-01-01T00:00:00Z"));
        assert!(after.since(before) < Period::hours(1));
    }
}
