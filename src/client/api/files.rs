//! The calls that carry a file.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::SendBody;
use ureq::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use ureq::http::{HeaderMap, HeaderName};

use super::{Api, SILENCE, refusal, segment};
use crate::client::answer::CallError;

/// How long the server may take to answer once it has the whole file.
const KEEP: Duration = Duration::from_secs(120);

/// What a server says of a file before it sends it.
pub struct FileHead {
    /// The name that its sender gave it.
    pub name: Option<String>,
    /// How many bytes it has.
    pub size: Option<u64>,
    /// What marks its content, where that is strong enough to go on from.
    pub tag: Option<String>,
}

/// A file, or the rest of it, as it comes.
pub struct Content {
    /// The place of its first byte.
    pub begins: u64,
    /// How many bytes the whole file has, if that is known.
    pub whole: Option<u64>,
    /// The bytes.
    pub body: Box<dyn Read>,
}

impl Api {
    /// `POST /files` of `size` bytes. The server is asked before they are sent, so that what it
    /// refuses is not sent at all. There is no bound on the whole, only on each silence.
    pub fn upload(
        &self,
        name: &str,
        kind: &str,
        size: u64,
        body: &mut dyn Read,
    ) -> Result<Value, CallError> {
        let mut request = self
            .agent
            .post(format!("{}/files", self.base))
            .query("name", name)
            .config()
            .timeout_global(None)
            .timeout_per_write(Some(SILENCE))
            .timeout_recv_response(Some(KEEP))
            .build()
            .header("Accept", "application/json")
            .header("Content-Type", kind)
            .header("Content-Length", size);
        if size > 0 {
            request = request.header("Expect", "100-continue");
        }
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let (_, body) = self.heard(request.send(SendBody::from_reader(body)))?;
        Ok(body)
    }

    /// `HEAD /files/ID`.
    pub fn file_head(&self, id: &str) -> Result<FileHead, CallError> {
        let mut request = self
            .agent
            .head(format!("{}/files/{}", self.base, segment(id)));
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call()?;
        if !response.status().is_success() {
            return Err(refusal(response));
        }
        let fields = response.headers();
        let tag = text(fields, &ETAG).filter(|tag| tag.starts_with('"'));
        Ok(FileHead {
            name: text(fields, &CONTENT_DISPOSITION).and_then(file_name),
            size: text(fields, &CONTENT_LENGTH).and_then(|size| size.parse().ok()),
            tag: tag.map(str::to_owned),
        })
    }

    /// `GET /files/ID`: all of it, or what follows so many bytes if it is still the one of that
    /// tag.
    pub fn file(&self, id: &str, after: Option<(u64, &str)>) -> Result<Content, CallError> {
        let mut request = self
            .agent
            .get(format!("{}/files/{}", self.base, segment(id)))
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some((from, tag)) = after {
            request = request
                .header("Range", format!("bytes={from}-"))
                .header("If-Range", tag);
        }
        let response = request.call()?;
        let (begins, whole) = match response.status().as_u16() {
            200 => {
                let size = text(response.headers(), &CONTENT_LENGTH);
                (0, size.and_then(|size| size.parse().ok()))
            }
            206 => {
                let range = text(response.headers(), &CONTENT_RANGE).and_then(content_range);
                let strange = || CallError::Strange("a part of a file of no range".to_owned());
                range.ok_or_else(strange)?
            }
            _ => return Err(refusal(response)),
        };
        let body = Box::new(response.into_body().into_reader());
        Ok(Content {
            begins,
            whole,
            body,
        })
    }
}

fn text<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    fields.get(name)?.to_str().ok().map(str::trim)
}

/// The first byte and the whole length of `bytes 5-9/10`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, whole.parse().ok()))
}

/// The name in a Content-Disposition (RFC 6266), the extended one (RFC 8187) before the plain one.
fn file_name(value: &str) -> Option<String> {
    let extended = parameter(value, "filename*").and_then(|value| {
        let mut parts = value.splitn(3, '\'');
        let is_utf8 = parts.next()?.eq_ignore_ascii_case("utf-8");
        let name = unescaped(parts.nth(1)?)?;
        is_utf8.then_some(name)
    });
    extended.or_else(|| parameter(value, "filename"))
}

/// The value of a parameter, which may stand in quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let mut value = String::new();
        let mut chars = after.trim_start().chars();
        let quoted = chars.clone().next() == Some('"');
        if quoted {
            chars.next();
        }
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted => break,
                '\\' if quoted => value.extend(chars.next()),
                ';' if !quoted => break,
                c => value.push(c),
            }
        }
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(if quoted {
                value
            } else {
                value.trim().to_owned()
            });
        }
        let left = chars.as_str();
        rest = match quoted {
            true => left.split_once(';')?.1,
            false => left,
        };
    }
}

/// A percent-encoded text; `None` where it is no UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_where_it_begins_and_how_long_the_whole_is() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes */10", "5-9/10", "bytes 5"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        for (value, name) in [
            ("attachment; filename=cat.png", "cat.png"),
            (
                "attachment; filename=\"my \\\"cat\\\"; 1.png\"",
                "my \"cat\"; 1.png",
            ),
            (
                "attachment; filename=\"cat.png\"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.png",
                "кот.png",
            ),
            ("attachment; filename*=utf-8'ru'a%20b; x=y", "a b"),
            ("attachment; filename=\"a\"; filename*=latin1''%ff", "a"),
            ("attachment; filename*=UTF-8''%ff; filename=b", "b"),
        ] {
            assert_eq!(file_name(value).as_deref(), Some(name), "{value}");
        }
        for nameless in ["attachment", "attachment; name=x", "attachment; filename"] {
            assert_eq!(file_name(nameless), None, "{nameless}");
        }
    }
}
