//! A connection's write side.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

use super::input::Input;
use super::pump::Torn;

/// Pieces in one gathered write. Linux takes 1,024; more than this many waiting pieces are rare,
/// and the array lives on the stack.
const GATHER: usize = 128;

/// The queue's room that is kept from one write to the next.
const KEEP: usize = 16;

/// The write half and what is to be written next.
pub(super) struct Output {
    half: OwnedWriteHalf,
    /// Pieces to be written by the next [`Output::flush`], in order.
    pub(super) queue: Vec<Bytes>,
    patience: Duration,
    /// Where a break is told, if not by a reset.
    pub(super) torn: Option<Torn>,
}

impl Output {
    /// `patience` is how long a write may make no progress.
    pub(super) fn new(half: OwnedWriteHalf, patience: Duration) -> Self {
        Self {
            half,
            queue: Vec::new(),
            patience,
            torn: None,
        }
    }

    /// Writes the queue, as few gathered writes as the kernel takes.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let mut first = 0;
        loop {
            while self
                .queue
                .get(first)
                .is_some_and(|piece| !piece.has_remaining())
            {
                first += 1;
            }
            if first == self.queue.len() {
                self.queue.clear();
                self.queue.shrink_to(KEEP);
                return Ok(());
            }
            match self.try_write(first) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(mut written) => {
                    while written > 0 {
                        let piece = &mut self.queue[first];
                        let taken = written.min(piece.len());
                        piece.advance(taken);
                        written -= taken;
                        first += usize::from(written > 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(self.patience, self.half.writable()).await??;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn try_write(&self, first: usize) -> io::Result<usize> {
        let pieces = &self.queue[first..];
        if let [piece] = pieces {
            return self.half.try_write(piece);
        }
        let mut slices = [IoSlice::new(&[]); GATHER];
        let count = pieces.len().min(GATHER);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        self.half.try_write_vectored(&slices[..count])
    }

    /// The socket again, out of the runtime's hands.
    pub(super) fn rejoin(self, input: Input) -> io::Result<std::net::TcpStream> {
        let stream = input.into_half().reunite(self.half);
        stream.map_err(io::Error::other)?.into_std()
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn finish(&mut self) {
        // It fails only where the connection is gone, which then needs no telling.
        let _ = self.half.shutdown().await;
    }

    /// Closes with a reset instead of an end, for a body that ends with the connection and must not
    /// be taken for whole.
    pub(super) fn break_off(self) {
        if let Some(torn) = &self.torn {
            torn.tear();
        }
        // Where it fails the connection is gone already.
        let _ = self.half.as_ref().set_zero_linger();
        self.half.forget();
    }
}
