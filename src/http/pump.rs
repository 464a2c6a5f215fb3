//! Between a TLS connection and its bytes in the clear.
//!
//! It holds no buffer while nothing moves: what comes is read to the stack, and only what the other
//! side does not take at once is kept, one piece each way at most. Nothing is read from one side
//! before the other has taken what was read before, so that a slow client slows down whoever writes
//! to it, as it would without TLS.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;

/// What is moved at a time: the most that one TLS record holds (RFC 8446, section 5.1).
const PIECE: usize = 16 * 1024;

/// How long a client may take at most to close once the server has: a little more than the
/// connection itself gives it.
const LINGER: Duration = Duration::from_secs(6);

/// Whether a connection was broken off, so that its end must not look like one. Within the machine
/// there is no reset that would say so.
#[derive(Clone, Debug, Default)]
pub(super) struct Torn(Arc<AtomicBool>);

impl Torn {
    /// To be said before the connection is closed.
    pub(super) fn tear(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_torn(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What moves the bytes of one connection.
pub(super) struct Pump {
    tls: TlsStream<TcpStream>,
    plain: UnixStream,
    torn: Torn,
    /// How long the client may take for a piece.
    patience: Duration,
    inward: Inward,
    outward: Outward,
    /// Runs while the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

/// From the client.
#[derive(Default)]
struct Inward {
    /// What could not be handed on yet.
    held: Bytes,
    ended: bool,
}

/// To the client.
#[derive(Default)]
struct Outward {
    /// What TLS has not taken yet.
    held: Bytes,
    /// TLS may have something that the socket has not taken yet.
    unsent: bool,
    /// Nothing more comes.
    closing: bool,
}

impl Pump {
    /// A pump between the two. `patience` is how long the client may take for one piece.
    pub(super) fn new(
        tls: TlsStream<TcpStream>,
        plain: UnixStream,
        torn: Torn,
        patience: Duration,
    ) -> Self {
        Self {
            tls,
            plain,
            torn,
            patience,
            inward: Inward::default(),
            outward: Outward::default(),
            timer: None,
        }
    }

    /// Moves bytes until the server has ended, or one side is broken. A connection that the server has
    /// ended in order is ended so for the client, too (`close_notify`).
    pub(super) async fn run(mut self) {
        match poll_fn(|cx| self.poll(cx)).await {
            // How long a client may take to close is the connection's matter, too: it reads away
            // what comes for so long. This bounds both.
            Ok(()) => drop(timeout(LINGER, self.linger()).await),
            Err(error) => tracing::debug!(%error, "a TLS connection was broken off"),
        }
    }

    /// Reads away what the client still sends, until it closes or the connection does.
    async fn linger(self) {
        let Self { mut tls, plain, .. } = self;
        let mut read_away = pin!(poll_fn(|cx| {
            let mut space = [0; PIECE];
            loop {
                let mut piece = ReadBuf::new(&mut space);
                let read = ready!(Pin::new(&mut tls).poll_read(cx, &mut piece));
                if read.is_err() || piece.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        }));
        let mut closed = pin!(async {
            let wait = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            while let Ok(ready) = plain.ready(Interest::WRITABLE).await
                && !ready.is_write_closed()
            {
                // That it could be written to is of no interest: waits for other news.
                let _ = plain.try_io(Interest::WRITABLE, wait);
            }
        });
        tokio::select! {
            () = &mut read_away => {}
            () = &mut closed => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.inward.ended
            && let Poll::Ready(ended) = self.poll_inward(cx)
        {
            ended?;
            self.inward.ended = true;
        }
        if let Poll::Ready(ended) = self.poll_outward(cx) {
            return Poll::Ready(ended);
        }
        if !self.outward.unsent && !self.outward.closing {
            self.timer = None;
            return Poll::Pending;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Moves what the client sends; ready at its end.
    fn poll_inward(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.inward.held.has_remaining() {
                ready!(self.plain.poll_write_ready(cx))?;
                match self.plain.try_write(&self.inward.held) {
                    Ok(taken) => self.inward.held.advance(taken),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(Ok(())),
                }
                continue;
            }
            let mut space = [0; PIECE];
            let mut piece = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.tls).poll_read(cx, &mut piece));
            let piece = match read {
                Ok(()) => piece.filled(),
                // Many clients just close. What a request is says its framing, not this end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => &[],
                Err(error) => return Poll::Ready(Err(error)),
            };
            if piece.is_empty() {
                let ended = Pin::new(&mut self.plain).poll_shutdown(cx);
                // It fails only where the other side has gone.
                return ended.map(|_| Ok(()));
            }
            let taken = match self.plain.try_write(piece) {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // The other side has gone, and wants nothing more.
                Err(_) => return Poll::Ready(Ok(())),
            };
            self.inward.held = Bytes::copy_from_slice(&piece[taken..]);
        }
    }

    /// Moves what the server sends; ready when its end has gone out.
    fn poll_outward(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.outward.unsent {
                while self.outward.held.has_remaining() {
                    let held = &self.outward.held;
                    let taken = ready!(Pin::new(&mut self.tls).poll_write(cx, held))?;
                    self.outward.held.advance(taken);
                }
                ready!(Pin::new(&mut self.tls).poll_flush(cx))?;
                self.outward.unsent = false;
                self.timer = None;
            }
            if self.outward.closing {
                return Pin::new(&mut self.tls).poll_shutdown(cx);
            }
            ready!(self.plain.poll_read_ready(cx))?;
            let mut space = [0; PIECE];
            let piece = match self.plain.try_read(&mut space) {
                Ok(0) if self.torn.is_torn() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                Ok(0) => {
                    self.outward.closing = true;
                    continue;
                }
                Ok(read) => &space[..read],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.outward.unsent = true;
            let taken = match Pin::new(&mut self.tls).poll_write(cx, piece) {
                Poll::Ready(taken) => taken?,
                Poll::Pending => 0,
            };
            self.outward.held = Bytes::copy_from_slice(&piece[taken..]);
        }
    }
}
