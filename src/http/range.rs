//! Conditional and ranged requests (RFC 9110, sections 13 and 14), without I/O.

use std::ops::Range;

use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, Method};

/// What a GET or HEAD gets of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// 200: all of it.
    Whole,
    /// 206: these bytes.
    Part(Range<u64>),
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client asked for.
    Failed,
    /// 416: it has no such bytes.
    Unsatisfiable,
}

/// What a request selects of a representation of `length` bytes with the strong `etag`, quotes
/// included. A range that is no single one in bytes is as if it were not there (section 14.2).
pub fn select(method: &Method, headers: &HeaderMap, etag: &str, length: u64) -> Selected {
    if headers.contains_key(IF_MATCH) && !matches(headers, IF_MATCH, etag, false) {
        return Selected::Failed;
    }
    if matches(headers, IF_NONE_MATCH, etag, true) {
        return Selected::NotModified;
    }
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Selected::Whole;
    };
    let same = match headers.get(IF_RANGE) {
        None => true,
        // A date is never equal: this representation has none.
        Some(validator) => validator.as_bytes() == etag.as_bytes(),
    };
    match range.to_str() {
        Ok(range) if same && *method == Method::GET => part(range, length),
        _ => Selected::Whole,
    }
}

/// Whether a list of entity tags has this one; a weak comparison takes `W/"x"` for `"x"`.
fn matches(headers: &HeaderMap, name: http::HeaderName, etag: &str, weak: bool) -> bool {
    let lines = headers.get_all(name).iter();
    let tags = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(',').map(str::trim));
    tags.into_iter().any(|tag| {
        let tag = if weak {
            tag.strip_prefix("W/").unwrap_or(tag)
        } else {
            tag
        };
        tag == "*" || tag == etag
    })
}

/// One range of bytes (section 14.1.2).
fn part(range: &str, length: u64) -> Selected {
    let Some((unit, set)) = range.split_once('=') else {
        return Selected::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Selected::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Selected::Whole;
    }
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Selected::Whole,
    };
    if range.is_empty() {
        Selected::Unsatisfiable
    } else {
        Selected::Part(range)
    }
}

/// Digits alone; more than a number holds is the greatest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(headers: &[(&'static str, &str)], length: u64) -> Selected {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        select(&Method::GET, &map, "\"a\"", length)
    }

    fn ranged(range: &str) -> Selected {
        selected(&[("range", range)], 10)
    }

    #[test]
    fn a_single_range_of_bytes_selects_its_part() {
        assert_eq!(ranged("bytes=0-0"), Selected::Part(0..1));
        assert_eq!(ranged("bytes=2-5"), Selected::Part(2..6));
        assert_eq!(ranged("Bytes=2-"), Selected::Part(2..10));
        assert_eq!(ranged("bytes=-3"), Selected::Part(7..10));
        assert_eq!(ranged("bytes=-300"), Selected::Part(0..10));
        assert_eq!(
            ranged("bytes=9-18446744073709551615"),
            Selected::Part(9..10)
        );
        assert_eq!(
            ranged("bytes=0-99999999999999999999999"),
            Selected::Part(0..10)
        );
    }

    #[test]
    fn what_lies_behind_the_end_is_unsatisfiable() {
        for range in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(ranged(range), Selected::Unsatisfiable, "{range}");
        }
        assert_eq!(
            selected(&[("range", "bytes=0-")], 0),
            Selected::Unsatisfiable
        );
        assert_eq!(
            selected(&[("range", "bytes=-5")], 0),
            Selected::Unsatisfiable
        );
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for range in [
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes 0-1",
            "lines=0-1",
            "",
        ] {
            assert_eq!(ranged(range), Selected::Whole, "{range}");
        }
        let twice = [("range", "bytes=0-1"), ("range", "bytes=0-1")];
        assert_eq!(selected(&twice, 10), Selected::Whole);
        let mut head = HeaderMap::new();
        head.insert(RANGE, "bytes=0-1".parse().expect("a value"));
        assert_eq!(select(&Method::HEAD, &head, "\"a\"", 10), Selected::Whole);
    }

    #[test]
    fn conditions_go_before_ranges() {
        let range = ("range", "bytes=0-1");
        for same in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert_eq!(
                selected(&[("if-none-match", same), range], 10),
                Selected::NotModified
            );
        }
        assert_eq!(
            selected(&[("if-none-match", "\"b\""), range], 10),
            Selected::Part(0..2)
        );
        assert_eq!(selected(&[("if-match", "\"b\"")], 10), Selected::Failed);
        assert_eq!(selected(&[("if-match", "W/\"a\"")], 10), Selected::Failed);
        assert_eq!(selected(&[("if-match", "\"a\"")], 10), Selected::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole() {
        let range = ("range", "bytes=0-1");
        let part = Selected::Part(0..2);
        assert_eq!(selected(&[("if-range", "\"a\""), range], 10), part);
        for other in ["\"b\"", "W/\"a\"", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            assert_eq!(selected(&[("if-range", other), range], 10), Selected::Whole);
        }
    }
}
