//! Bodies of requests: the decoding, and what the service reads.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::framing::Framing;
use super::input::Input;
use super::problem::{malformed, stopping, timeout, too_large};
use super::server::Shutdown;
use super::{Limits, Problem, chunked};

/// Bytes of an unread body that are read away so that the connection can be kept.
const DISCARD: usize = 256 * 1024;

/// Bytes of the next requests that are taken in while a response is streamed; then the client is
/// no longer read from.
const AHEAD: usize = 16 * 1024;

/// Bytes of a body that give it a second more than its patience: a long one may come slowly, but
/// not drop by drop.
const PACE: u64 = 16 * 1024;

/// Room for one reading of a body.
const ROOM: usize = 32 * 1024;

/// A request's body. Where it is dropped unread, the rest is read away if it is short, and
/// otherwise the connection is closed after the answer.
#[derive(Debug)]
pub struct Body(Kind);

enum Kind {
    Memory(Bytes),
    Wire {
        incoming: Option<Box<Incoming>>,
        back: Option<oneshot::Sender<Box<Incoming>>>,
    },
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Wire { .. } => f.write_str("on the wire"),
        }
    }
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::from_bytes(Bytes::new())
    }

    /// A body that is all there.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Memory(bytes.into()))
    }

    /// Lends the read side to a body, and says where it comes back when that is dropped.
    pub(super) fn lend(incoming: Box<Incoming>) -> (Self, oneshot::Receiver<Box<Incoming>>) {
        let (back, lent) = oneshot::channel();
        (
            Self(Kind::Wire {
                incoming: Some(incoming),
                back: Some(back),
            }),
            lent,
        )
    }

    /// The bytes that are still to be read, where that is told (`Content-Length`); 0 for no body,
    /// `None` for the chunked coding.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Kind::Memory(bytes) => Some(bytes.len() as u64),
            Kind::Wire { incoming, .. } => incoming
                .as_ref()
                .map_or(Some(0), |incoming| incoming.decoder.left()),
        }
    }

    /// Whether it is known that nothing is to be read.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next piece, as it comes from the network; `None` at the end. The first call sends
    /// `100 Continue` to a client that waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// 400 `malformed` for a body that is broken or cut off, 408 `timeout` when it has not come
    /// within `Limits::body_timeout` and a second more for each 16 KiB of it, 503 `stopping` where the
    /// server stops meanwhile, 431 `headers_too_large` for endless chunk extensions or
    /// trailers. Each following call says the same.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        match &mut self.0 {
            Kind::Memory(bytes) if bytes.is_empty() => Ok(None),
            Kind::Memory(bytes) => Ok(Some(std::mem::take(bytes))),
            Kind::Wire {
                incoming: Some(incoming),
                ..
            } => incoming.chunk().await,
            Kind::Wire { incoming: None, .. } => Ok(None),
        }
    }

    /// The whole body, of at most `max` bytes.
    ///
    /// # Errors
    /// 413 `too_large`, without reading (and without `100 Continue`) where the length is told, and
    /// those of [`Body::chunk`].
    pub async fn bytes(&mut self, max: usize) -> Result<Bytes, Problem> {
        let over = || too_large(format!("the body is longer than {max} bytes"));
        let told = self.len();
        if told.is_some_and(|told| told > max as u64) {
            return Err(over());
        }
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 == told.unwrap_or(u64::MAX) {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while whole.len() <= max {
            let Some(piece) = self.chunk().await? else {
                return Ok(whole.freeze());
            };
            whole.extend_from_slice(&piece);
        }
        Err(over())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Kind::Wire { incoming, back } = &mut self.0
            && let (Some(incoming), Some(back)) = (incoming.take(), back.take())
        {
            // A connection that no longer waits for its read side is being closed.
            let _ = back.send(incoming);
        }
    }
}

/// What a decoder makes of the bytes that it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A piece, never empty.
    Data(Bytes),
    /// It needs more bytes.
    More,
    /// The body is over.
    End,
}

/// Decodes one body, from bytes, without I/O.
#[derive(Debug)]
pub(super) enum Decoder {
    Length(u64),
    Chunked(chunked::Decoder),
}

impl Decoder {
    pub(super) fn new(framing: Framing, limits: &Limits) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(chunked::Decoder::new(limits)),
        }
    }

    pub(super) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Problem> {
        match self {
            Self::Chunked(decoder) => decoder.decode(buf),
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(_) if buf.is_empty() => Ok(Decoded::More),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= here as u64;
                Ok(Decoded::Data(buf.split_to(here).freeze()))
            }
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
        }
    }

    fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) => None,
        }
    }
}

/// The read side while a request is handled: its body, and what comes after it.
pub(super) struct Incoming {
    pub(super) input: Input,
    decoder: Decoder,
    /// Asks the connection for `100 Continue`.
    go_ahead: Option<oneshot::Sender<()>>,
    patience: Duration,
    deadline: Option<Instant>,
    /// Where not all of it is here yet: the drain, how long after its begin the rest may come, and
    /// when that is over, once it has begun.
    drain: Option<(Shutdown, Duration)>,
    end: Option<Instant>,
    discarded: usize,
    failed: Option<Problem>,
}

/// What became of the peer while it was watched.
pub(super) enum Watched {
    /// It has closed its sending side.
    Ended,
    /// The connection is gone.
    Broken,
}

impl Incoming {
    pub(super) fn new(
        input: Input,
        framing: Framing,
        go_ahead: Option<oneshot::Sender<()>>,
        limits: &Limits,
        shutdown: &Shutdown,
    ) -> Self {
        let here = input.buf.len() as u64;
        let is_here = matches!(framing, Framing::Length(length) if length <= here);
        let decoder = Decoder::new(framing, limits);
        let patience = limits.body_timeout;
        Self {
            input,
            decoder,
            go_ahead,
            patience,
            deadline: None,
            // The other half is for the answer.
            drain: (!is_here).then(|| (shutdown.clone(), limits.drain_timeout / 2)),
            end: None,
            discarded: 0,
            failed: None,
        }
    }

    /// Whether the whole body was read, so that the next request follows.
    pub(super) fn is_done(&self) -> bool {
        self.failed.is_none() && self.decoder.is_done()
    }

    /// Whether the rest of the body may be short enough to be read away for the next request.
    pub(super) fn may_be_kept(&self) -> bool {
        let waits = self.go_ahead.is_some() && self.input.buf.is_empty();
        let long = self
            .decoder
            .left()
            .is_some_and(|left| left > DISCARD as u64);
        self.failed.is_none() && (self.decoder.is_done() || !(waits || long))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        if let Some(problem) = &self.failed {
            return Err(problem.clone());
        }
        let result = self.next().await;
        if let Err(problem) = &result {
            self.failed = Some(problem.clone());
        }
        result
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let deadline = *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.patience);
        tokio::task::consume_budget().await;
        loop {
            match self.decoder.decode(&mut self.input.buf)? {
                Decoded::Data(data) => {
                    // Who has begun to send does not wait to be told so.
                    self.go_ahead = None;
                    let pace = Duration::from_secs(1).mul_f64(data.len() as f64 / PACE as f64);
                    self.deadline = Some(deadline + pace);
                    return Ok(Some(data));
                }
                Decoded::End => return Ok(None),
                Decoded::More => {}
            }
            if let Some(go_ahead) = self.go_ahead.take()
                && self.input.buf.is_empty()
                && go_ahead.send(()).is_err()
            {
                return Err(malformed("the body was not waited for before the answer"));
            }
            let until = self.end.map_or(deadline, |end| end.min(deadline));
            let filled = match &mut self.drain {
                Some((shutdown, grace)) if self.end.is_none() => tokio::select! {
                    biased;
                    () = shutdown.wait() => {
                        self.end = Some(Instant::now() + *grace);
                        continue;
                    }
                    filled = timeout_at(until, self.input.fill(ROOM)) => filled,
                },
                _ if self.end.is_some_and(|end| end <= Instant::now()) => {
                    // However fast the rest comes.
                    return Err(stopping());
                }
                _ => timeout_at(until, self.input.fill(ROOM)).await,
            };
            match filled {
                Err(_) if until < deadline => return Err(stopping()),
                Err(_) => {
                    let seconds = self.patience.as_secs_f32();
                    return Err(timeout(format!("the body has not come within {seconds} s")));
                }
                Ok(Ok(0)) => return Err(malformed("the body is cut off")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(malformed(format!("the body is cut off: {error}"))),
            }
        }
    }

    /// Decodes what is there of an unread body and leaves it away. False when that is too much, or
    /// broken: then the next request can not be found.
    fn skip(&mut self) -> bool {
        while self.failed.is_none() && self.discarded <= DISCARD {
            match self.decoder.decode(&mut self.input.buf) {
                Ok(Decoded::Data(data)) => self.discarded += data.len(),
                Ok(Decoded::More | Decoded::End) => return true,
                Err(problem) => self.failed = Some(problem),
            }
        }
        false
    }

    /// Reads away what the service left of the body; false when the connection can not be kept.
    pub(super) async fn discard(&mut self) -> bool {
        while self.skip() {
            if self.is_done() {
                return true;
            }
            match self.input.fill(ROOM).await {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
        }
        false
    }

    /// Watches the peer while a response is streamed to it: ready when it closed its sending side
    /// or is gone. What it sends meanwhile is taken in, but only so much.
    pub(super) fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Watched> {
        while self.skip() && self.input.buf.len() < AHEAD {
            match ready!(self.input.poll_fill(cx, AHEAD / 4)) {
                Ok(0) => return Poll::Ready(Watched::Ended),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Poll::Ready(Watched::Broken),
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
