//! A listener beside the server's own, for another protocol than HTTP: with TLS as the server has it,
//! and with the bound on what one address holds open.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::crowd::Place;
use super::{Places, Tls};

/// The first and the longest pause after an accept that failed for want of something.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Where guests come in.
pub(crate) struct Door {
    listener: TcpListener,
    /// What frees connections of TLS, where they come with it.
    tls: Option<Arc<Tls>>,
    places: Arc<Places>,
    /// How many connections are open.
    open: IntGauge,
    /// How long a handshake may take.
    patience: Duration,
}

impl Door {
    /// Listens on an address. Connections come with TLS where there is any; each address may have as
    /// many open as `places` has for it, and all that are open are counted.
    pub(crate) async fn open(
        address: &str,
        tls: Option<Arc<Tls>>,
        places: Arc<Places>,
        open: IntGauge,
        patience: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            tls,
            places,
            open,
            patience,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn guest(&self, stream: TcpStream, peer: SocketAddr) -> Option<Guest> {
        // Lines are written whole, so there is nothing to wait for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a connection's options can not be set");
        }
        let Some(place) = self.places.take(peer.ip()) else {
            tracing::debug!(%peer, "too many connections of this address");
            return None;
        };
        Some(Guest {
            stream,
            address: peer.ip().to_canonical(),
            tls: self.tls.clone(),
            held: Held::new(place, &self.open),
            patience: self.patience,
        })
    }
}

/// Waits for the next connection at any of these doors; for ever where there is none. One that is
/// too many of its address is closed without a word. Dropping the future loses nothing.
pub(crate) async fn next_guest(doors: &[Door]) -> Guest {
    let mut pause = PAUSES.0;
    loop {
        let accepted = poll_fn(|cx| {
            let mut polls = doors
                .iter()
                .map(|door| (door, door.listener.poll_accept(cx)));
            let ready = polls.find_map(|(door, poll)| match poll {
                Poll::Ready(accepted) => Some((door, accepted)),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        });
        match accepted.await {
            (door, Ok((stream, peer))) => {
                if let Some(guest) = door.guest(stream, peer) {
                    return guest;
                }
            }
            (_, Err(error)) => {
                // Out of descriptors or memory: a connection's end gives some back.
                tracing::warn!(%error, ?pause, "connections can not be accepted");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// What a connection holds until it is closed: its address's place, and one of those that are counted.
struct Held {
    _place: Place,
    open: IntGauge,
}

impl Held {
    fn new(place: Place, open: &IntGauge) -> Self {
        open.inc();
        Self {
            _place: place,
            open: open.clone(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// A connection that has come to a door; dropping it closes it.
pub struct Guest {
    stream: TcpStream,
    address: IpAddr,
    tls: Option<Arc<Tls>>,
    held: Held,
    patience: Duration,
}

impl Guest {
    /// Where it comes from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its bytes in the clear: where it comes with TLS, after the handshake, which has as long as the
    /// head of a request (`server.head_timeout`).
    ///
    /// # Errors
    /// A handshake that fails, or takes too long.
    pub async fn enter(self) -> io::Result<GuestStream> {
        let stream: Box<dyn Duplex> = match self.tls {
            None => Box::new(self.stream),
            Some(tls) => {
                let greeted = timeout(self.patience, tls.bare(self.stream)).await;
                Box::new(greeted.map_err(|_| io::ErrorKind::TimedOut)??)
            }
        };
        Ok(GuestStream {
            stream,
            _held: self.held,
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Duplex for S {}

/// A guest's connection, in the clear on this side; dropping it closes it.
pub struct GuestStream {
    stream: Box<dyn Duplex>,
    _held: Held,
}

impl AsyncRead for GuestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
