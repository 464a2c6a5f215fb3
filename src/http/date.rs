//! The `Date` field (RFC 9110, section 6.6.1).

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

thread_local! {
    /// The field changes once a second and is asked for with every answer.
    static LAST: RefCell<(i64, HeaderValue)> =
        const { RefCell::new((i64::MIN, HeaderValue::from_static(""))) };
}

/// The field for this moment. `None` for a clock that is off by thousands of years: an origin
/// server without a clock sends no `Date`.
pub(super) fn now() -> Option<HeaderValue> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    at(i64::try_from(since.as_secs()).ok()?)
}

/// The field for a time in seconds since 1970.
fn at(seconds: i64) -> Option<HeaderValue> {
    LAST.with_borrow_mut(|last| {
        if last.0 != seconds {
            let time = Timestamp::from_second(seconds).ok()?;
            let text = DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&time)
                .ok()?;
            *last = (seconds, HeaderValue::from_str(&text).ok()?);
        }
        Some(last.1.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_an_imf_fixdate() {
        // RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT ; IMF-fixdate".
        assert_eq!(at(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(1_709_164_800).unwrap(), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(at(i64::MAX), None);
        assert!(now().is_some());
    }
}
