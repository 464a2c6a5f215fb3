//! Request heads (RFC 9112, sections 2 to 5), from bytes, without I/O.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

use super::framing::{self, Framing};
use super::problem::{headers_too_large, malformed, not_implemented};
use super::{Limits, Problem, line, target};

/// A request head that keeps all the rules.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// The client wants the connection kept.
    pub(super) keeps_alive: bool,
}

/// Finds a head's end in bytes that come in pieces.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Where to look on.
    at: usize,
    /// Where the line begins that `at` is in.
    line: usize,
    /// Whole lines before that, an empty first one left out.
    lines: usize,
    /// Bytes of an empty line before the request line.
    skipped: usize,
}

impl Scanner {
    /// Takes a whole head, with its closing empty line, from the front of `buf` as soon as it is
    /// there. `buf` is what has come so far, from the head's first byte on.
    pub(super) fn take(
        &mut self,
        buf: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<Bytes>, Problem> {
        while let Some(end) = line::end(buf, &mut self.at)? {
            let start = std::mem::replace(&mut self.line, end);
            self.check_size(end, limits)?;
            if end - start == 2 {
                // RFC 9112, section 2.2: "a server that is expecting to receive and parse a
                // request-line SHOULD ignore at least one empty line (CRLF) received prior".
                if self.lines > 0 {
                    let mut head = buf.split_to(end);
                    return Ok(Some(head.split_off(self.skipped).freeze()));
                } else if self.skipped > 0 {
                    return Err(malformed(
                        "more than one empty line before the request line",
                    ));
                }
                self.skipped = end;
                continue;
            }
            if matches!(buf.get(start), Some(b' ' | b'\t')) {
                return Err(malformed(
                    "a line that begins with a space; fields are not folded",
                ));
            }
            self.lines += 1;
            if self.lines - 1 > limits.fields {
                return Err(headers_too_large(format!(
                    "more than {} fields in the head",
                    limits.fields
                )));
            }
        }
        self.check_size(buf.len(), limits)?;
        Ok(None)
    }

    fn check_size(&self, seen: usize, limits: &Limits) -> Result<(), Problem> {
        let size = seen - self.skipped;
        if self.lines == 0 && size > limits.request_line {
            return Err(Problem::new(
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                format!(
                    "the request line is longer than {} bytes",
                    limits.request_line
                ),
            ));
        }
        if size > limits.head {
            return Err(headers_too_large(format!(
                "the head is longer than {} bytes",
                limits.head
            )));
        }
        Ok(())
    }
}

/// Reads a whole head as [`Scanner::take`] gives it: with CRLF line ends only and no folded line,
/// where `httparse` would be lenient.
pub(super) fn parse(raw: &Bytes) -> Result<Head, Problem> {
    let (method, raw_target, version) = request_line(raw)?;
    let mut headers = fields(raw)?;
    let target = target::parse(&method, raw_target)?;
    target::check_host(version, &target, &mut headers)?;
    Ok(Head {
        framing: framing::framing(version, &headers)?,
        expects_continue: framing::expects_continue(version, &headers)?,
        keeps_alive: framing::keeps_alive(version, &headers),
        method,
        target,
        version,
        headers,
    })
}

fn request_line(raw: &[u8]) -> Result<(Method, &[u8], Version), Problem> {
    let line = raw.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed(
            "a request line is METHOD TARGET VERSION, with single spaces between",
        ));
    };
    // The version is judged first: what follows is the grammar of this version only.
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Problem::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "unsupported_version",
                "the versions spoken here are HTTP/1.1 and HTTP/1.0",
            ));
        }
        _ => {
            return Err(malformed(
                "the request line does not end with HTTP/1.1 or HTTP/1.0",
            ));
        }
    };
    if !line::is_token(method) {
        return Err(malformed("the method is not a token"));
    }
    let method = Method::from_bytes(method).map_err(|_| malformed("the method is not a token"))?;
    if method == Method::CONNECT {
        return Err(not_implemented(
            "this is no proxy: there is no CONNECT here",
        ));
    }
    Ok((method, target, version))
}

fn fields(raw: &Bytes) -> Result<HeaderMap, Problem> {
    let lines = raw.iter().filter(|byte| **byte == b'\n').count();
    let mut parsed = vec![httparse::EMPTY_HEADER; lines];
    let mut request = httparse::Request::new(&mut parsed);
    match request.parse(raw) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(malformed("the head does not end where its empty line is")),
        Err(httparse::Error::HeaderName) => {
            return Err(malformed(
                "a field's name is a token with a colon right after it",
            ));
        }
        Err(httparse::Error::HeaderValue) => {
            return Err(malformed("a field's value has a control character"));
        }
        Err(error) => return Err(malformed(format!("the head is invalid: {error}"))),
    }
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| malformed("a field's name is a token with a colon right after it"))?;
        let value = HeaderValue::from_maybe_shared(raw.slice_ref(field.value))
            .map_err(|_| malformed(format!("the value of {name} has a control character")))?;
        headers
            .try_append(name, value)
            .map_err(|_| headers_too_large("too many fields"))?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
