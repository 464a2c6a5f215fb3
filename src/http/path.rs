//! Percent-decoding of paths (RFC 3986, section 2.1), once.

use std::borrow::Cow;

/// Decodes `raw` once. `None` for a `%` without two hex digits after it, or for what isn't UTF-8.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The one spelling of a path to match by: each segment decoded, then only `/` and `%` encoded
/// again, so that a segment keeps its bounds. `None` where [`decode`] gives none.
pub(super) fn normal(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    for (index, segment) in raw.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        for char in decode(segment)?.chars() {
            match char {
                '/' => out.push_str("%2F"),
                '%' => out.push_str("%25"),
                char => out.push(char),
            }
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_exactly_once() {
        assert_eq!(decode("a%20b").as_deref(), Some("a b"));
        assert_eq!(decode("%252F").as_deref(), Some("%2F"));
        assert_eq!(decode("%d0%BC%d0%b8%D1%80").as_deref(), Some("мир"));
        assert_eq!(decode("plain").as_deref(), Some("plain"));
    }

    #[test]
    fn what_is_not_percent_encoded_utf_8_is_refused() {
        for raw in [
            "%",
            "%4",
            "%zz",
            "%+1",
            "a%",
            "%ff",
            "%c3",
            "%C3%28",
            "%ed%a0%80",
        ] {
            assert_eq!(decode(raw), None, "{raw}");
            assert_eq!(normal(raw), None, "{raw}");
        }
        // A character cut in two by a slash is in neither segment.
        assert_eq!(normal("/%c3/%a9"), None);
    }

    #[test]
    fn the_normal_spelling_keeps_segments_apart() {
        assert_eq!(normal("/a%2Fb/%73end").as_deref(), Some("/a%2Fb/send"));
        assert_eq!(normal("/a%252Fb").as_deref(), Some("/a%252Fb"));
        assert_eq!(normal("/%2e%2e/x").as_deref(), Some("/../x"));
    }
}
