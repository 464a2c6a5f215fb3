//! A length of time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::quoted;

/// A length of time: whole milliseconds, from zero to [`Period::MAX`]. What would be longer
/// is held at that maximum, so every period that exists can be written and read back.
///
/// Its text is a number and a unit, or several from the longest unit to the shortest: `500ms`,
/// `90s`, `10m`, `4h`, `7d`, `1h30m`. A day is 24 hours. It is shown as one number with the
/// longest unit that divides it, `90s` and not `1m30s`; serde writes the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Period {
    /// No time at all.
    pub const ZERO: Period = Period(0);

    /// The longest: 100 years of 365 days.
    pub const MAX: Period = Period(100 * 365 * DAY);

    /// So many milliseconds.
    #[must_use]
    pub const fn ms(n: u64) -> Period {
        Period::of(n, 1)
    }

    /// So many seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Period {
        Period::of(n, SECOND)
    }

    /// So many minutes.
    #[must_use]
    pub const fn mins(n: u64) -> Period {
        Period::of(n, MINUTE)
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(n: u64) -> Period {
        Period::of(n, HOUR)
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn days(n: u64) -> Period {
        Period::of(n, DAY)
    }

    const fn of(n: u64, unit: u64) -> Period {
        let ms = n.saturating_mul(unit);
        if ms > Period::MAX.0 {
            Period::MAX
        } else {
            Period(ms)
        }
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// About as long, to be said to people: in the largest unit of which there are two, rounded down.
    #[must_use]
    pub fn roughly(self) -> Period {
        let units = [DAY, HOUR, MINUTE, SECOND].into_iter();
        let unit = units.clone().find(|unit| self.0 >= 2 * unit).unwrap_or(1);
        Period(self.0 - self.0 % unit)
    }

    /// The same length as the standard library has it.
    #[must_use]
    pub const fn to_std(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let (unit, name) = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")]
            .into_iter()
            .find(|(unit, _)| self.0.is_multiple_of(*unit))
            .unwrap_or((1, "ms"));
        f.pad(&format!("{}{name}", self.0 / unit))
    }
}

/// Why a text is no [`Period`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} {reason}: {ALLOWED}")]
pub struct PeriodError {
    given: String,
    reason: &'static str,
}

const ALLOWED: &str = "write a number and a unit, such as \"500ms\", \"90s\", \"10m\", \"4h\", \
                       \"7d\" or \"1h30m\", at most \"36500d\" (100 years)";

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Period, PeriodError> {
        let refuse = |reason| PeriodError {
            given: quoted(text),
            reason,
        };
        // What a clock shows is no length of time, whatever the parser makes of it.
        let span = SpanParser::new()
            .parse_span(text)
            .ok()
            .filter(|_| !text.contains(':'))
            .ok_or_else(|| refuse("is no length of time"))?;
        if span.is_negative() {
            return Err(refuse("is negative"));
        }
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(refuse("uses years or months, whose length varies"));
        }
        let days = i128::from(span.get_weeks()) * 7 + i128::from(span.get_days());
        let minutes = (days * 24 + i128::from(span.get_hours())) * 60;
        let seconds = (minutes + i128::from(span.get_minutes())) * 60;
        let ms =
            (seconds + i128::from(span.get_seconds())) * 1000 + i128::from(span.get_milliseconds());
        let finer = i128::from(span.get_microseconds()) * 1000 + i128::from(span.get_nanoseconds());
        if finer % 1_000_000 != 0 {
            return Err(refuse("is finer than a millisecond"));
        }
        u64::try_from(ms + finer / 1_000_000)
            .ok()
            .filter(|ms| *ms <= Period::MAX.0)
            .map(Period)
            .ok_or_else(|| refuse("is too long"))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time in quotes, such as \"90s\", \"10m\" or \"7d\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: a number and a unit (ms, s, m, h or d), or \
                several from the longest unit to the shortest; at most 36500d.",
            "examples": ["90s", "10m", "1h30m", "7d"],
            "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Period>().expect_err(text).to_string()
    }

    #[test]
    fn roughly_is_said_in_the_largest_unit_of_which_there_are_two() {
        for (ms, said) in [
            (172_796_976, "47h"),
            (172_800_000, "2d"),
            (90_000, "90s"),
            (119_999, "119s"),
            (120_001, "2m"),
            (1_999, "1999ms"),
            (0, "0s"),
        ] {
            assert_eq!(Period::ms(ms).roughly().to_string(), said);
        }
    }

    #[test]
    fn the_written_forms_are_read() {
        assert_eq!(period("0s"), Period::ZERO);
        assert_eq!(period("500ms"), Period::ms(500));
        assert_eq!(period("90s"), Period::secs(90));
        assert_eq!(period("10m"), Period::mins(10));
        assert_eq!(period("4h"), Period::hours(4));
        assert_eq!(period("365d"), Period::days(365));
        assert_eq!(period("1h30m"), Period::mins(90));
        assert_eq!(period("1d2h3m4s5ms"), Period::ms(93_784_005));
        assert_eq!(period("1.5h"), Period::mins(90));
        assert_eq!(period("2w"), Period::days(14));
        assert_eq!(period("36500d"), Period::MAX);
    }

    #[test]
    fn it_is_shown_as_one_number_with_the_longest_unit_that_divides_it() {
        for (period, shown) in [
            (Period::ZERO, "0s"),
            (Period::ms(1), "1ms"),
            (Period::ms(1000), "1s"),
            (Period::ms(1001), "1001ms"),
            (Period::secs(90), "90s"),
            (Period::secs(3600), "1h"),
            (Period::mins(90), "90m"),
            (Period::hours(24), "1d"),
            (Period::hours(25), "25h"),
            (Period::days(7), "7d"),
            (Period::MAX, "36500d"),
        ] {
            assert_eq!(period.to_string(), shown);
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let mut ms = 1_u64;
        while ms < Period::MAX.as_ms() {
            for unit in [1, SECOND, MINUTE, HOUR, DAY] {
                for n in [ms - 1, ms, ms + 1] {
                    let period = Period::of(n, unit);
                    let text = period.to_string();
                    assert_eq!(text.parse(), Ok(period), "{text}");
                    let json = serde_json::to_string(&period).unwrap();
                    assert_eq!(json, format!("\"{text}\""));
                    assert_eq!(serde_json::from_str::<Period>(&json).unwrap(), period);
                }
            }
            ms = ms * 5 / 4 + 1;
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_is_allowed() {
        for (text, reason) in [
            ("", "is no length of time"),
            ("90", "is no length of time"),
            ("soon", "is no length of time"),
            ("18:30:00", "is no length of time"),
            ("10 parsecs", "is no length of time"),
            ("1m1h", "is no length of time"),
            (" 1h", "is no length of time"),
            ("-5s", "is negative"),
            ("5s ago", "is negative"),
            ("1mo", "uses years or months"),
            ("1y", "uses years or months"),
            ("36500d1ms", "is too long"),
            ("876001h", "is too long"),
            ("1us", "is finer than a millisecond"),
            ("0.0001s", "is finer than a millisecond"),
        ] {
            let error = refusal(text);
            assert!(error.starts_with(&format!("{text:?} {reason}")), "{error}");
            assert!(error.ends_with(ALLOWED), "{error}");
        }
        assert!(refusal("99999999999999999999d").ends_with(ALLOWED));
        assert!(refusal(&"é".repeat(1_000_000)).len() < 400);
    }

    #[test]
    fn a_number_without_a_unit_is_refused_by_serde() {
        let error = serde_json::from_str::<Period>("90").unwrap_err();
        assert!(
            error.to_string().contains("a length of time in quotes"),
            "{error}"
        );
    }

    #[test]
    fn what_would_be_too_long_is_held_at_the_maximum() {
        assert_eq!(Period::days(u64::MAX), Period::MAX);
        assert_eq!(Period::ms(u64::MAX), Period::MAX);
        assert_eq!(
            Period::MAX.to_std(),
            Duration::from_secs(100 * 365 * 86_400)
        );
    }

    #[test]
    fn its_schema_is_a_string_with_examples_that_are_read() {
        let schema = schemars::schema_for!(Period);
        assert_eq!(schema.get("type").unwrap(), "string");
        for example in schema.get("examples").unwrap().as_array().unwrap() {
            period(example.as_str().unwrap());
        }
    }
}
