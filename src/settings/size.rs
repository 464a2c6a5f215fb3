//! A size in bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::quoted;

/// A size in bytes, from zero to [`Size::MAX`]; what would be larger is held at that maximum,
/// so every size that exists can be written and read back.
///
/// Its text is a whole number and a unit, `900B`, `256KiB`, `5MiB`, `1GiB`, `2TiB`; a plain
/// integer of bytes is read too. It is shown with the largest unit that divides it, and serde
/// writes the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// From the largest to the smallest.
const UNITS: [(u64, &str); 5] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1, "B"),
];

impl Size {
    /// The largest: 1024 TiB.
    pub const MAX: Size = Size(1 << 50);

    /// So many bytes.
    #[must_use]
    pub const fn b(n: u64) -> Size {
        Size::of(n, 1)
    }

    /// So many times 1024 bytes.
    #[must_use]
    pub const fn kib(n: u64) -> Size {
        Size::of(n, 1 << 10)
    }

    /// So many times 1024 KiB.
    #[must_use]
    pub const fn mib(n: u64) -> Size {
        Size::of(n, 1 << 20)
    }

    const fn of(n: u64, unit: u64) -> Size {
        let bytes = n.saturating_mul(unit);
        if bytes > Size::MAX.0 {
            Size::MAX
        } else {
            Size(bytes)
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = UNITS
            .into_iter()
            .find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit))
            .unwrap_or((1, "B"));
        f.pad(&format!("{}{name}", self.0 / unit))
    }
}

/// Why a text or a number is no [`Size`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} {reason}: write a whole number and a unit, such as \"900B\", \"256KiB\", \"5MiB\" \
     or \"1GiB\", at most \"1024TiB\""
)]
pub struct SizeError {
    given: String,
    reason: &'static str,
}

impl Size {
    /// A size that came as a plain number of bytes.
    fn from_number(bytes: i128) -> Result<Size, SizeError> {
        let refuse = |reason| SizeError {
            given: bytes.to_string(),
            reason,
        };
        let bytes = u64::try_from(bytes).map_err(|_| {
            refuse(if bytes < 0 {
                "is negative"
            } else {
                "is too large"
            })
        })?;
        if bytes > Size::MAX.0 {
            return Err(refuse("is too large"));
        }
        Ok(Size(bytes))
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Size, SizeError> {
        let refuse = |reason| SizeError {
            given: quoted(text),
            reason,
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(refuse("is no size"));
        }
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let (unit, _) = UNITS
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(unit))
            .ok_or_else(|| refuse("has no known unit"))?;
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .filter(|bytes| *bytes <= Size::MAX.0)
            .map(Size)
            .ok_or_else(|| refuse("is too large"))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct TextOrBytes;

        impl Visitor<'_> for TextOrBytes {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in quotes, such as \"256KiB\" or \"5MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Size::from_number(bytes.into()).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                Size::from_number(bytes.into()).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(TextOrBytes)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A size in bytes: a whole number and a unit (B, KiB, MiB, GiB or \
                TiB); at most 1024TiB.",
            "examples": ["900B", "256KiB", "5MiB"],
            "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Size {
        text.parse().unwrap()
    }

    #[test]
    fn the_written_forms_are_read() {
        assert_eq!(size("0B"), Size::b(0));
        assert_eq!(size("900B"), Size::b(900));
        assert_eq!(size("256KiB"), Size::kib(256));
        assert_eq!(size("5MiB"), Size::mib(5));
        assert_eq!(size("1GiB"), Size::mib(1024));
        assert_eq!(size("5 mib"), Size::mib(5));
        assert_eq!(size("1024TiB"), Size::MAX);
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let mut n = 1_u64;
        while n < Size::MAX.bytes() {
            for (unit, _) in UNITS {
                for n in [n - 1, n, n + 1] {
                    let size = Size::of(n, unit);
                    let text = size.to_string();
                    assert_eq!(text.parse(), Ok(size), "{text}");
                    let json = serde_json::to_string(&size).unwrap();
                    assert_eq!(serde_json::from_str::<Size>(&json).unwrap(), size);
                    let plain = size.bytes().to_string();
                    assert_eq!(serde_json::from_str::<Size>(&plain).unwrap(), size);
                }
            }
            n = n * 5 / 4 + 1;
        }
        assert_eq!(Size::b(0).to_string(), "0B");
        assert_eq!(Size::b(1025).to_string(), "1025B");
        assert_eq!(Size::kib(1024).to_string(), "1MiB");
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_is_allowed() {
        for (text, reason) in [
            ("", "is no size"),
            ("big", "is no size"),
            ("-1B", "is no size"),
            ("900", "has no known unit"),
            ("5MB", "has no known unit"),
            ("1.5MiB", "has no known unit"),
            ("5  MiB", "has no known unit"),
            ("1025TiB", "is too large"),
            ("99999999999999999999B", "is too large"),
            ("18446744073709551615KiB", "is too large"),
        ] {
            let error = text.parse::<Size>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("{text:?} {reason}")), "{error}");
            assert!(error.contains("\"256KiB\""), "{error}");
        }
        for (json, reason) in [("-1", "is negative"), ("18446744073709551615", "too large")] {
            let error = serde_json::from_str::<Size>(json).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_would_be_too_large_is_held_at_the_maximum() {
        assert_eq!(Size::mib(u64::MAX), Size::MAX);
    }

    #[test]
    fn its_schema_is_a_string_with_examples_that_are_read() {
        let schema = schemars::schema_for!(Size);
        assert_eq!(schema.get("type").unwrap(), "string");
        for example in schema.get("examples").unwrap().as_array().unwrap() {
            size(example.as_str().unwrap());
        }
    }
}
