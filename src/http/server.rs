//! The accept loop, the bound on connections, and the drain.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::conn::Hall;
use super::crowd::{Crowd, Place};
use super::input::Input;
use super::output::Output;
use super::pump::Torn;
use super::tls::{Greeted, Tls};
use super::wire::{Away, Return};
use super::{Limits, Problem, Service, conn};
use crate::counts::{COUNTS, signed};

/// Connections beyond the bound that are being told so at once; the next waits to be accepted.
/// While there is room for others, one that is too many of its address is closed without a word.
const REFUSALS: usize = 64;

/// The first and the longest pause after an accept that failed for want of something.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Whether the server drains.
#[derive(Clone)]
pub(super) struct Shutdown(pub(super) watch::Receiver<bool>);

impl Shutdown {
    pub(super) fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the drain's begin. Dropping the future loses nothing.
    pub(super) async fn wait(&mut self) {
        if self.0.wait_for(|on| *on).await.is_err() {
            // Nobody is left who could begin one.
            pending::<()>().await;
        }
    }
}

/// Accepts connections and serves them until `shutdown` turns true. Then it stops accepting,
/// closes idle connections, lets what is under way be answered (with `Connection: close`), ends
/// endless streams, and returns when all connections are gone or `Limits::drain_timeout` is over;
/// the rest is aborted. With `tls` it speaks HTTPS alone. Where the sender of `shutdown` is dropped, it serves on.
pub async fn serve<S: Service>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    service: Arc<S>,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let (most, patience) = (limits.connections, limits.drain_timeout);
    let mut connections = Connections::new(service, tls, limits, Shutdown(shutdown.clone()));
    let mut shutdown = Shutdown(shutdown);
    let mut refusals = JoinSet::new();
    let mut pause = PAUSES.0;
    loop {
        COUNTS.connections.set(signed(connections.count()));
        let accepted = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            () = connections.change() => continue,
            Some(ended) = refusals.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept(),
                if connections.count() < most || refusals.len() < REFUSALS => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSES.0;
                if let Err(error) = tune(&stream, &connections.hall.limits) {
                    tracing::debug!(%peer, %error, "a connection's options can not be set");
                }
                let refused = if connections.count() < most {
                    connections.take(stream, peer)
                } else {
                    Some((stream, overloaded()))
                };
                if let Some((stream, problem)) = refused
                    && refusals.len() < REFUSALS
                {
                    let limits = Arc::clone(&connections.hall.limits);
                    let tls = connections.tls.clone();
                    refusals
                        .spawn(async move { refuse(stream, peer, problem, tls, &limits).await });
                }
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                // Out of descriptors or memory: a connection's end gives some back.
                tracing::warn!(%error, ?pause, "connections can not be accepted");
                tokio::select! {
                    () = sleep(pause) => {}
                    () = shutdown.wait() => break,
                    () = connections.change() => {}
                }
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
    drop(listener);
    // Nobody has asked anything there yet.
    connections.greetings.shutdown().await;
    let drained = timeout(patience, async {
        while connections.count() > 0 {
            connections.change().await;
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = connections.count(),
            "the drain is over; the rest is aborted"
        );
        connections.tasks.shutdown().await;
        connections.pumps.shutdown().await;
    }
}

/// Sets a new connection's options.
fn tune(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    // Answers are written whole, so there is nothing to wait for.
    stream.set_nodelay(true)?;
    // The system's own bound is 4 MiB a connection, and one of all connections together: once that
    // is reached those that read get nothing either.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(limits.unsent)?;
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    Ok(())
}

/// The open connections: those that have a task, and those whose stream has left it.
struct Connections<S> {
    hall: Hall<S>,
    tls: Option<Arc<Tls>>,
    /// Handshakes of TLS, each with the place that its client has.
    greetings: JoinSet<Option<(Greeted, Place)>>,
    /// What lies between connections and their clients, with TLS.
    pumps: JoinSet<()>,
    tasks: JoinSet<()>,
    away: usize,
    /// Each connection says so before its task ends, so that none is missed between the two.
    told: mpsc::UnboundedReceiver<Away>,
}

impl<S: Service> Connections<S> {
    fn new(service: Arc<S>, tls: Option<Arc<Tls>>, limits: Limits, shutdown: Shutdown) -> Self {
        let (away, told) = mpsc::unbounded_channel();
        let hall = Hall {
            service,
            crowd: Arc::new(Crowd::new(&limits)),
            limits: Arc::new(limits),
            shutdown,
            away,
        };
        Self {
            hall,
            tls,
            greetings: JoinSet::new(),
            pumps: JoinSet::new(),
            tasks: JoinSet::new(),
            away: 0,
            told,
        }
    }

    fn count(&self) -> usize {
        // A pump and its connection end one after the other.
        self.greetings.len() + self.pumps.len().max(self.tasks.len() + self.away)
    }

    /// Waits until a connection ends, leaves its task or comes back; for ever while there is none.
    /// Dropping the future loses nothing.
    async fn change(&mut self) {
        tokio::select! {
            biased;
            // It never ends, for its other end is held here.
            Some(away) = self.told.recv() => match away {
                Away::Left => self.away += 1,
                Away::Closed => self.away -= 1,
                Away::Back(back) => {
                    self.away -= 1;
                    self.resume(*back);
                }
            },
            Some(greeted) = self.greetings.join_next() => match greeted {
                Ok(Some((greeted, place))) => {
                    self.pumps.spawn(greeted.pump.run());
                    self.open(greeted.plain, Some(greeted.torn), greeted.peer, place);
                }
                Ok(None) => {}
                Err(error) => report(Err(error)),
            },
            Some(ended) = self.pumps.join_next() => report(ended),
            Some(ended) = self.tasks.join_next() => report(ended),
            else => pending().await,
        }
    }

    /// Begins to serve a connection. One beyond what its address may have comes back, with what it
    /// is to be told.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Problem)> {
        let crowd = &self.hall.crowd;
        // Behind a proxy are many, each of whom is counted by what they ask for.
        let place = if crowd.is_proxy(peer.ip()) {
            Place::default()
        } else {
            match crowd.take(peer.ip()) {
                Ok(place) => place,
                Err(problem) => return Some((stream, problem)),
            }
        };
        let Some(tls) = &self.tls else {
            self.open(stream, None, peer, place);
            return None;
        };
        let (tls, limits) = (Arc::clone(tls), Arc::clone(&self.hall.limits));
        self.greetings
            .spawn(async move { Some((tls.greet(stream, peer, &limits).await?, place)) });
        None
    }

    fn open(&mut self, stream: TcpStream, torn: Option<Torn>, peer: SocketAddr, place: Place) {
        let hall = self.hall.clone();
        self.tasks.spawn(conn::run(stream, torn, peer, place, hall));
    }

    fn resume(&mut self, back: Return) {
        self.tasks.spawn(conn::resume(back, self.hall.clone()));
    }
}

fn overloaded() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "the server has as many connections as it takes; try again later",
    )
    .retry_after(5)
}

/// Refuses a connection that is one too many, by TLS where that is spoken.
async fn refuse(
    stream: TcpStream,
    peer: SocketAddr,
    problem: Problem,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
) {
    let Some(tls) = tls else {
        return tell(stream, peer, problem, limits.write_timeout).await;
    };
    if let Some(greeted) = tls.greet(stream, peer, limits).await {
        let told = tell(greeted.plain, peer, problem, limits.write_timeout);
        tokio::join!(greeted.pump.run(), told);
    }
}

async fn tell(stream: TcpStream, peer: SocketAddr, problem: Problem, patience: Duration) {
    let (read, write) = stream.into_split();
    let mut output = Output::new(write, patience);
    conn::refuse(problem, peer, &mut output, Input::new(read)).await;
}

/// Whether accepting failed because of the very connection that was to be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

pub(super) fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request's handling panicked; its connection is closed");
    }
}
