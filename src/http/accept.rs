//! What a client accepts.

use http::{HeaderMap, HeaderName};

/// Whether a field such as `Accept` lists something by its name, and not with a weight of zero,
/// which refuses it (RFC 9110, section 12.4.2). What `*` may stand for is not listed.
pub fn lists(headers: &HeaderMap, field: &HeaderName, name: &str) -> bool {
    let lines = headers.get_all(field).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|listed| {
        let mut parts = listed.split(';').map(str::trim);
        let is_it = parts
            .next()
            .is_some_and(|listed| listed.eq_ignore_ascii_case(name));
        is_it && !parts.any(is_refusal)
    })
}

fn is_refusal(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
    })
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT_ENCODING;

    use super::*;

    #[test]
    fn what_is_named_with_any_weight_but_zero_is_listed() {
        for (line, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip, br", true),
            ("gzip;q=0", false),
            ("gzip; Q = 0.000", false),
            ("br, identity", false),
            ("*", false),
            ("", false),
        ] {
            let value = line.parse().expect("a value");
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value)]);
            assert_eq!(
                lists(&headers, &ACCEPT_ENCODING, "gzip"),
                expected,
                "{line}"
            );
        }
        assert!(!lists(&HeaderMap::new(), &ACCEPT_ENCODING, "gzip"));
    }
}
