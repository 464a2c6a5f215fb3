//! A connection's read side.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::net::tcp::OwnedReadHalf;

/// The read half and what has come and was not yet taken.
pub(super) struct Input {
    half: OwnedReadHalf,
    pub(super) buf: BytesMut,
    /// The peer has closed its sending side.
    pub(super) ended: bool,
}

impl Input {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self {
            half,
            buf: BytesMut::new(),
            ended: false,
        }
    }

    /// Waits for bytes and appends up to about `room` of them; 0 at the end. Dropping the future
    /// loses nothing. The room is made only once there is something to read, so that a connection
    /// that waits holds none.
    pub(super) async fn fill(&mut self, room: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx, room)).await
    }

    /// [`Input::fill`], for those who wait for several things at once.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.half.as_ref().poll_read_ready(cx))?;
            self.buf.reserve(room);
            match self.half.try_read_buf(&mut self.buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.release(),
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(Ok(0));
                }
                other => return Poll::Ready(other),
            }
        }
    }

    /// Whether nothing has come that was not taken, nor the end.
    pub(super) fn is_quiet(&self) -> bool {
        self.buf.is_empty() && !self.ended
    }

    pub(super) fn into_half(self) -> OwnedReadHalf {
        self.half
    }

    /// Gives the buffer back if nothing is in it.
    pub(super) fn release(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// Reads away up to `most` bytes, or to the end.
    pub(super) async fn drain(&mut self, most: usize) {
        let mut left = most;
        loop {
            self.buf.clear();
            match self.fill(8 * 1024).await {
                Ok(0) | Err(_) => return,
                Ok(read) if read >= left => return,
                Ok(read) => left -= read,
            }
        }
    }
}
