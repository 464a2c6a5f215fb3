//! What strangers send to this layer. Each target holds a promise; `crate::fuzz` makes the input.

#![allow(clippy::expect_used, reason = "a broken promise is told by a panic")]

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Version};

use super::body::{Decoded, Decoder};
use super::head::{self, Head, Scanner};
use super::{Body, Limits, Problem, Upload, chunked};
use crate::fuzz::pieces;

/// A head that comes in these pieces.
fn head_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Head>, Problem> {
    let mut scanner = Scanner::default();
    let mut buf = BytesMut::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        if let Some(raw) = scanner.take(&mut buf, &Limits::default())? {
            return head::parse(&raw).map(Some);
        }
    }
    Ok(None)
}

/// What tells one head from another.
fn told(head: &Head) -> String {
    format!("{head:?}")
}

fn verdict(head: &Result<Option<Head>, Problem>) -> String {
    match head {
        Ok(head) => head.as_ref().map(told).unwrap_or_default(),
        Err(problem) => problem.to_string(),
    }
}

/// A head is the same however it was split, and the one that is written from it.
pub(crate) fn heads(input: &[u8]) {
    let limits = Limits::default();
    let whole = head_of(std::iter::once(input));
    // Which limit a longer one breaks first depends on how much of it is there.
    if input.len() <= limits.request_line {
        assert_eq!(verdict(&whole), verdict(&head_of(pieces(input))));
    }
    let Ok(Some(head)) = whole else { return };
    let version = if head.version == Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    };
    let mut written = format!("{} {} HTTP/{version}\r\n", head.method, head.target).into_bytes();
    for (name, value) in &head.headers {
        written.extend_from_slice(name.as_str().as_bytes());
        written.extend_from_slice(b": ");
        written.extend_from_slice(value.as_bytes());
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(b"\r\n");
    let again = head::parse(&Bytes::from(written));
    assert_eq!(again.map(|head| told(&head)).ok(), Some(told(&head)));
}

/// What a connection that brings these pieces has on it.
fn story<'a>(all: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let limits = Limits::default();
    let mut story = Vec::new();
    let mut buf = BytesMut::new();
    let mut scanner = Scanner::default();
    let mut body = None;
    for piece in all {
        buf.extend_from_slice(piece);
        loop {
            match step(&mut buf, &mut scanner, &mut body, &limits) {
                Ok(Step::More) => break,
                Ok(Step::Went) => {}
                Ok(Step::Told(part)) => story.push(part),
                Err(problem) => {
                    story.push(problem.to_string());
                    return story;
                }
            }
        }
    }
    story
}

/// One step on a connection.
enum Step {
    /// It needs more bytes.
    More,
    Went,
    /// Something is whole.
    Told(String),
}

fn step(
    buf: &mut BytesMut,
    scanner: &mut Scanner,
    body: &mut Option<(Decoder, Vec<u8>)>,
    limits: &Limits,
) -> Result<Step, Problem> {
    let Some((decoder, data)) = body else {
        let Some(raw) = scanner.take(buf, limits)? else {
            return Ok(Step::More);
        };
        let head = head::parse(&raw)?;
        *scanner = Scanner::default();
        *body = Some((Decoder::new(head.framing, limits), Vec::new()));
        return Ok(Step::Told(told(&head)));
    };
    Ok(match decoder.decode(buf)? {
        Decoded::More => Step::More,
        Decoded::Data(piece) => {
            data.extend_from_slice(&piece);
            Step::Went
        }
        Decoded::End => {
            let whole = data.escape_ascii().to_string();
            *body = None;
            Step::Told(whole)
        }
    })
}

/// Where one request ends and the next begins does not depend on how they were split.
pub(crate) fn framing(input: &[u8]) {
    if input.len() <= Limits::default().request_line {
        assert_eq!(story(std::iter::once(input)), story(pieces(input)));
    }
}

/// What a decoder gives of these pieces, and whether it is done.
fn decoded<'a>(all: impl Iterator<Item = &'a [u8]>) -> Result<(Vec<u8>, bool), String> {
    let mut decoder = chunked::Decoder::new(&Limits::default());
    let (mut buf, mut data) = (BytesMut::new(), Vec::new());
    for piece in all {
        buf.extend_from_slice(piece);
        loop {
            match decoder
                .decode(&mut buf)
                .map_err(|problem| problem.to_string())?
            {
                Decoded::Data(piece) => {
                    assert!(!piece.is_empty());
                    data.extend_from_slice(&piece);
                }
                Decoded::More => break,
                Decoded::End => {
                    assert!(decoder.is_done());
                    break;
                }
            }
        }
    }
    Ok((data, decoder.is_done()))
}

/// A chunked body is the same however it was split, and however it is cut into chunks.
pub(crate) fn chunks(input: &[u8]) {
    let whole = decoded(std::iter::once(input));
    if input.len() <= Limits::default().request_line {
        assert_eq!(whole, decoded(pieces(input)));
    }
    let Ok((data, true)) = whole else { return };
    assert!(data.len() < input.len());
    let mut again = Vec::new();
    for piece in pieces(&data) {
        again.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        again.extend_from_slice(piece);
        again.extend_from_slice(b"\r\n");
    }
    again.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(decoded(std::iter::once(&again[..])), Ok((data, true)));
}

/// The boundary of the forms in the corpus.
const BOUNDARY: &str = "multipart/form-data; boundary=frontier";

/// The most that a file may have here.
const MOST: u64 = 1000;

/// A form's file is a part of what came, and no longer than it may be; what is refused is the client's
/// fault.
pub(crate) fn forms(input: &[u8]) {
    let read = async {
        let kind = (CONTENT_TYPE, HeaderValue::from_static(BOUNDARY));
        let headers = HeaderMap::from_iter([kind]);
        let body = Body::from_bytes(input.to_vec());
        let mut reader = Upload::new(&headers, body)?.open(MOST).await?;
        let mut file = Vec::new();
        while let Some(piece) = reader.chunk().await? {
            file.extend_from_slice(&piece);
        }
        Ok::<_, Problem>(file)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    match runtime.expect("no I/O is asked for").block_on(read) {
        Ok(file) => {
            assert!(file.len() as u64 <= MOST);
            let is_part = file.is_empty() || input.windows(file.len()).any(|part| part == file);
            assert!(is_part, "{}", file.escape_ascii());
        }
        Err(problem) => assert!(problem.status.is_client_error(), "{problem}"),
    }
}
