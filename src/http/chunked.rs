//! The chunked coding (RFC 9112, section 7.1), from bytes, without I/O.

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::body::Decoded;
use super::line::{self, is_token_byte};
use super::problem::{headers_too_large, malformed};
use super::{Limits, Problem};

/// Hexadecimal digits of a chunk's size; as many as 64 bits have, so that none wraps around.
const SIZE_DIGITS: usize = 16;

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// Where to look on for the end of the line that is being read.
    at: usize,
    /// Bytes that extensions and trailers may still have, in total.
    spare: usize,
    /// Trailers that may still come.
    fields: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

impl Decoder {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: State::Size,
            at: 0,
            spare: limits.head,
            fields: limits.fields,
        }
    }

    /// Whether the whole body was decoded.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes from `buf` what can be decoded: a piece of data, if there is one. What follows the
    /// body stays.
    pub(super) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Problem> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = self.line(buf, SIZE_DIGITS)? else {
                        return Ok(Decoded::More);
                    };
                    let (size, extension) = size(&line)?;
                    self.spend(extension)?;
                    self.state = if size == 0 {
                        State::Trailers
                    } else {
                        State::Data(size)
                    };
                }
                State::Data(0) => self.state = State::DataEnd,
                State::Data(_) if buf.is_empty() => return Ok(Decoded::More),
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                    self.state = State::Data(left - here as u64);
                    return Ok(Decoded::Data(buf.split_to(here).freeze()));
                }
                State::DataEnd => {
                    let here = &buf[..buf.len().min(2)];
                    if !b"\r\n".starts_with(here) {
                        return Err(malformed("no CRLF after a chunk's data"));
                    } else if here.len() < 2 {
                        return Ok(Decoded::More);
                    }
                    let _ = buf.split_to(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    let Some(line) = self.line(buf, 0)? else {
                        return Ok(Decoded::More);
                    };
                    if line.is_empty() {
                        self.state = State::Done;
                        continue;
                    }
                    self.spend(line.len())?;
                    self.fields = self
                        .fields
                        .checked_sub(1)
                        .ok_or_else(|| headers_too_large("too many trailers"))?;
                    check_trailer(&line)?;
                }
                State::Done => return Ok(Decoded::End),
            }
        }
    }

    /// Takes a line, without its end, of at most `free` bytes and what may be spent.
    fn line(&mut self, buf: &mut BytesMut, free: usize) -> Result<Option<Bytes>, Problem> {
        let Some(end) = line::end(buf, &mut self.at)? else {
            return match self.at > free + self.spare {
                true => Err(too_much()),
                false => Ok(None),
            };
        };
        self.at = 0;
        let mut line = buf.split_to(end);
        line.truncate(end - 2);
        Ok(Some(line.freeze()))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        self.spare = self.spare.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

fn too_much() -> Problem {
    headers_too_large("the body's chunk extensions and trailers are too long")
}

/// Reads `chunk-size [ chunk-ext ]`: the size, and how long the extension is.
fn size(line: &[u8]) -> Result<(u64, usize), Problem> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (digits, extension) = line.split_at(digits);
    if digits.is_empty() || digits.len() > SIZE_DIGITS {
        return Err(malformed("a chunk's size is 1 to 16 hexadecimal digits"));
    }
    if !is_extension(extension) {
        return Err(malformed(
            "what follows a chunk's size is not a chunk extension",
        ));
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(|size| (size, extension.len()))
        .ok_or_else(|| malformed("a chunk's size is 1 to 16 hexadecimal digits"))
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, RFC 9112, section 7.1.1.
/// Extensions are read only to be sure that they are what they look like.
fn is_extension(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(named) = blank(rest)
            .strip_prefix(b";")
            .and_then(|rest| token(blank(rest)))
        else {
            return false;
        };
        rest = named;
        if let Some(value) = blank(rest).strip_prefix(b"=") {
            let value = blank(value);
            let Some(after) = token(value).or_else(|| quoted(value)) else {
                return false;
            };
            rest = after;
        }
    }
    true
}

fn blank(text: &[u8]) -> &[u8] {
    let count = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    &text[count..]
}

fn token(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| is_token_byte(**byte)).count();
    (count > 0).then(|| &text[count..])
}

/// What follows a quoted-string (RFC 9110, section 5.6.4).
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        let (&byte, after) = rest.split_first()?;
        let (content, after) = match byte {
            b'"' => return Some(after),
            b'\\' => after.split_first().map(|(byte, after)| (*byte, after))?,
            byte => (byte, after),
        };
        if (content < b' ' && content != b'\t') || content == 0x7f {
            return None;
        }
        rest = after;
    }
}

/// Trailers are held to the rules of fields, and then left away: merged into the head they could
/// change what it said (RFC 9110, section 6.5.1).
fn check_trailer(line: &[u8]) -> Result<(), Problem> {
    let colon = line.iter().position(|byte| *byte == b':');
    let valid = colon.is_some_and(|colon| {
        HeaderName::from_bytes(&line[..colon]).is_ok()
            && HeaderValue::from_bytes(&line[colon + 1..]).is_ok()
    });
    if valid {
        Ok(())
    } else {
        Err(malformed("a trailer is not a valid field"))
    }
}

#[cfg(test)]
mod tests;
