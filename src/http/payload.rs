//! Bodies of responses, as the service gives them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};

use super::Wire;

/// A response's body.
pub enum Payload {
    /// No body.
    Empty,
    /// A body that is all there.
    Full(Bytes),
    /// A body that is made while it is sent.
    Stream {
        /// Its bytes in all, where that is known: sent as `Content-Length`, and held to (a source
        /// that gives more or less breaks the connection). Otherwise the body is chunked, or for
        /// HTTP/1.0 ends with the connection.
        length: Option<u64>,
        /// Where it comes from.
        source: Box<dyn Source>,
    },
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length:?})"),
        }
    }
}

/// A body that is made while it is sent.
///
/// The connection asks for all that waits, writes it in one gathered write, and asks again only
/// when that is written: so each call also says that what the call before gave is with the kernel.
pub trait Source: Send {
    /// Appends all that waits to `out`, without blocking.
    ///
    /// `Ready(Ok(true))` when something was appended and more may come, `Ready(Ok(false))` at the
    /// end (what was appended with it is sent; the source is dropped after that is written),
    /// `Pending` when nothing waits: then nothing is appended, and `cx` is woken later.
    ///
    /// # Errors
    /// An error breaks the connection, so that the client sees a body that is cut off, not a
    /// shorter one.
    fn poll_chunks(&mut self, cx: &mut Context<'_>, out: &mut Vec<Chunk>)
    -> Poll<io::Result<bool>>;

    /// Whether this goes on until someone ends it, as an event stream does. Then the client's
    /// closing of its sending side ends the stream at once, and so does the server's drain (in
    /// order: with the end of the chunked body). Otherwise a client that has closed its sending
    /// side still gets the whole answer.
    fn endless(&self) -> bool {
        false
    }

    /// Whether somebody else may write what comes next: asked of an endless source when all that
    /// it gave is written and nothing waits. Where it says so, [`Source::leave`] follows.
    fn may_leave(&mut self) -> bool {
        false
    }

    /// Takes the connection's socket out of its task. Whoever holds it then writes to it, and gives
    /// it back, with a source that goes on from there, when it can be read from, when the source
    /// has an end, and when the server drains. A source that never says that it may leave is never
    /// asked.
    fn leave(self: Box<Self>, wire: Wire) {
        drop(wire);
    }
}

/// A piece of a body. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The bytes, with the chunked coding's frame around them where `data` is not all of it.
    wire: Bytes,
    data: Range<usize>,
}

impl Chunk {
    /// A piece with its frame of the chunked coding (RFC 9112, section 7.1) made once, in one
    /// allocation, to be sent by any number of streams.
    pub fn framed(payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref();
        if payload.is_empty() {
            // A frame of no bytes would be the body's end.
            return Self::plain(Bytes::new());
        }
        let size = size_line(payload.len());
        let mut wire = BytesMut::with_capacity(size.len() + payload.len() + 2);
        wire.put_slice(size.as_bytes());
        wire.put_slice(payload);
        wire.put_slice(b"\r\n");
        Self {
            wire: wire.freeze(),
            data: size.len()..size.len() + payload.len(),
        }
    }

    /// A piece that is framed when it is written, where that is needed, without a copy.
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        let wire = bytes.into();
        Self {
            data: 0..wire.len(),
            wire,
        }
    }

    /// The bare bytes.
    pub fn data(&self) -> &[u8] {
        &self.wire[self.data.clone()]
    }

    /// The bytes with their frame, where [`Chunk::framed`] made it.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The bare bytes, to be sent as they are.
    pub(super) fn into_data(self) -> Bytes {
        self.wire.slice(self.data)
    }

    /// Appends this piece in the chunked coding; nothing if it is empty.
    pub(super) fn into_framed(self, out: &mut Vec<Bytes>) {
        if self.data.is_empty() {
        } else if self.data.len() < self.wire.len() {
            out.push(self.wire);
        } else {
            out.push(Bytes::from(size_line(self.wire.len())));
            out.push(self.wire);
            out.push(Bytes::from_static(b"\r\n"));
        }
    }
}

fn size_line(len: usize) -> String {
    format!("{len:x}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(chunk: Chunk) -> Vec<u8> {
        let mut parts = Vec::new();
        chunk.into_framed(&mut parts);
        parts.concat()
    }

    #[test]
    fn a_framed_and_a_plain_chunk_look_the_same_on_the_wire() {
        let text = "x".repeat(300);
        let expected = format!("12c\r\n{text}\r\n").into_bytes();
        assert_eq!(wire(Chunk::framed(&text)), expected);
        assert_eq!(wire(Chunk::plain(text.clone())), expected);
        assert_eq!(Chunk::framed(&text).data(), text.as_bytes());
        assert_eq!(Chunk::framed(&text).into_data(), text.as_bytes());
        assert_eq!(Chunk::plain(text.clone()).data(), text.as_bytes());
    }

    #[test]
    fn an_empty_chunk_is_never_the_end_of_the_body() {
        assert!(wire(Chunk::framed("")).is_empty());
        assert!(wire(Chunk::plain("")).is_empty());
        assert!(Chunk::framed("").data().is_empty());
    }
}
