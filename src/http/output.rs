//! A connection's write side.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, timeout};

use super::input::Input;
use super::pump::Torn;

/// Bytes of an answer that give its client a second more than its patience: a long one may be taken
/// slowly, but not drop by drop, for what waits to be taken is in memory.
const PACE: u64 = 16 * 1024;

/// Pieces in one gathered write. Linux takes 1,024; more than this many waiting pieces are rare,
/// and the array lives on the stack.
const GATHER: usize = 128;

/// The queue's room that is kept from one write to the next.
const KEEP: usize = 16;

/// How long a client may still keep this side waiting with one answer.
struct Patience {
    most: Duration,
    waited: Duration,
    /// What it has taken since it was first waited for.
    taken: u64,
}

impl Patience {
    fn left(&self) -> Duration {
        let pace = Duration::from_secs(1).mul_f64(self.taken as f64 / PACE as f64);
        (self.most + pace).saturating_sub(self.waited)
    }

    fn take(&mut self, bytes: usize) {
        // What went before lies in the system's buffers, and the client may have none of it.
        if self.waited > Duration::ZERO {
            self.taken += bytes as u64;
        }
    }

    fn renew(&mut self) {
        (self.waited, self.taken) = (Duration::ZERO, 0);
    }
}

/// The write half and what is to be written next.
pub(super) struct Output {
    half: OwnedWriteHalf,
    /// Pieces to be written by the next [`Output::flush`], in order.
    pub(super) queue: Vec<Bytes>,
    patience: Patience,
    /// Whether what is written belongs to a stream that only ever ends with its client: then each
    /// flush is judged by itself, and otherwise all of an answer.
    pub(super) is_endless: bool,
    /// Where a break is told, if not by a reset.
    pub(super) torn: Option<Torn>,
}

impl Output {
    /// `patience` is how long a client may keep this side waiting with one answer in total, and a
    /// second more for each [`PACE`] bytes that it takes.
    pub(super) fn new(half: OwnedWriteHalf, patience: Duration) -> Self {
        Self {
            half,
            queue: Vec::new(),
            patience: Patience {
                most: patience,
                waited: Duration::ZERO,
                taken: 0,
            },
            is_endless: false,
            torn: None,
        }
    }

    /// Another answer begins.
    pub(super) fn begin(&mut self) {
        self.patience.renew();
        self.is_endless = false;
    }

    /// Writes the queue, as few gathered writes as the kernel takes.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.is_endless {
            self.patience.renew();
        }
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
                    self.patience.take(written);
                    while written > 0 {
                        let piece = &mut self.queue[first];
                        let taken = written.min(piece.len());
                        piece.advance(taken);
                        written -= taken;
                        first += usize::from(written > 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the client takes more, for as long as it still may.
    async fn wait(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        timeout(self.patience.left(), self.half.writable()).await??;
        self.patience.waited += begun.elapsed();
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gains_time_by_what_it_takes_and_loses_it_by_waiting() {
        let second = Duration::from_secs(1);
        let mut patience = Patience {
            most: second * 60,
            waited: Duration::ZERO,
            taken: 0,
        };
        patience.take(1 << 30);
        assert_eq!(patience.left(), second * 60, "nobody has waited yet");
        patience.waited += second * 50;
        assert_eq!(patience.left(), second * 10);
        patience.take(16 * 1024);
        assert_eq!(patience.left(), second * 11);
        // One byte at a time is no progress.
        for _ in 0..20 {
            patience.waited += second;
            patience.take(1);
        }
        assert_eq!(patience.left(), Duration::ZERO);
        patience.renew();
        assert_eq!(patience.left(), second * 60);
    }
}
