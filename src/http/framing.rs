//! What a request's fields say of its body and of the connection.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode, Version};

use super::Problem;
use super::line::is_token;
use super::problem::{malformed, not_implemented};

/// How a request's body is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; none without a field that says otherwise.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// Reads `Content-Length` and `Transfer-Encoding`. Whatever two programs could read in two ways is
/// refused, since that is how a request is smuggled past one of them (RFC 9112, section 11.2).
pub(super) fn framing(version: Version, headers: &HeaderMap) -> Result<Framing, Problem> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(malformed("there is more than one Content-Length field"));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        if version == Version::HTTP_10 {
            return Err(malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        if length.is_some() {
            return Err(malformed(
                "Content-Length and Transfer-Encoding exclude each other",
            ));
        }
        return only_chunked(headers).map(|()| Framing::Chunked);
    }
    let Some(length) = length else {
        return Ok(Framing::Length(0));
    };
    let digits = length.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed("Content-Length is digits and nothing else"));
    }
    length
        .to_str()
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map(Framing::Length)
        .ok_or_else(|| malformed("Content-Length is beyond any length"))
}

fn only_chunked(headers: &HeaderMap) -> Result<(), Problem> {
    let mut chunked = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            let name = coding
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            if !is_token(name) {
                return Err(malformed("Transfer-Encoding is not a list of codings"));
            } else if !name.eq_ignore_ascii_case(b"chunked") {
                return Err(not_implemented(
                    "the only transfer coding known here is chunked",
                ));
            } else if name.len() < coding.len() {
                return Err(malformed("the chunked coding has no parameters"));
            }
            chunked += 1;
        }
    }
    match chunked {
        1 => Ok(()),
        _ => Err(malformed("Transfer-Encoding is exactly one chunked")),
    }
}

/// Whether the client waits for `100 Continue` before it sends its body (RFC 9110, section
/// 10.1.1). In HTTP/1.0 the field means nothing.
pub(super) fn expects_continue(version: Version, headers: &HeaderMap) -> Result<bool, Problem> {
    if version == Version::HTTP_10 {
        return Ok(false);
    }
    let mut expected = false;
    for value in headers.get_all(EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Problem::new(
                StatusCode::EXPECTATION_FAILED,
                "expectation_failed",
                "the only expectation that is met here is 100-continue",
            ));
        }
        expected = true;
    }
    Ok(expected)
}

/// Whether the client wants the connection kept after this exchange (RFC 9112, section 9.3).
pub(super) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    if version == Version::HTTP_10 {
        lists(headers, CONNECTION, b"keep-alive") && !lists(headers, CONNECTION, b"close")
    } else {
        !lists(headers, CONNECTION, b"close")
    }
}

/// Whether a list-valued field has this option, in any case.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, option: &[u8]) -> bool {
    let mut options = headers
        .get_all(name)
        .iter()
        .flat_map(|v| v.as_bytes().split(|b| *b == b','));
    options.any(|known| known.trim_ascii().eq_ignore_ascii_case(option))
}
