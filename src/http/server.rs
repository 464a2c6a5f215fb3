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
use super::wire::{Away, Return};
use super::{Limits, Problem, Service, conn};

/// Connections beyond the bound that are being told so at once; any further one is closed
/// without a word.
const REFUSALS: usize = 64;

/// The first and the longest pause after an accept that failed for want of something.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Whether the server drains.
#[derive(Clone)]
pub(super) struct Shutdown(watch::Receiver<bool>);

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
/// the rest is aborted. Where the sender of `shutdown` is dropped, it serves on.
pub async fn serve<S: Service>(
    listener: TcpListener,
    service: Arc<S>,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let patience = (limits.write_timeout, limits.drain_timeout);
    let most = limits.connections;
    let mut connections = Connections::new(service, limits, Shutdown(shutdown.clone()));
    let mut shutdown = Shutdown(shutdown);
    let mut refusals = JoinSet::new();
    let mut pause = PAUSES.0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            () = connections.change() => continue,
            Some(ended) = refusals.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSES.0;
                // Answers are written whole, so there is nothing to wait for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "no TCP_NODELAY");
                }
                let refused = if connections.count() < most {
                    connections.open(stream, peer)
                } else {
                    Some((stream, overloaded()))
                };
                if let Some((stream, problem)) = refused
                    && refusals.len() < REFUSALS
                {
                    refusals.spawn(refuse(stream, peer, problem, patience.0));
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
    let drained = timeout(patience.1, async {
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
    }
}

/// The open connections: those that have a task, and those whose stream has left it.
struct Connections<S> {
    hall: Hall<S>,
    tasks: JoinSet<()>,
    away: usize,
    /// Each connection says so before its task ends, so that none is missed between the two.
    told: mpsc::UnboundedReceiver<Away>,
}

impl<S: Service> Connections<S> {
    fn new(service: Arc<S>, limits: Limits, shutdown: Shutdown) -> Self {
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
            tasks: JoinSet::new(),
            away: 0,
            told,
        }
    }

    fn count(&self) -> usize {
        self.tasks.len() + self.away
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
            Some(ended) = self.tasks.join_next() => report(ended),
            else => pending().await,
        }
    }

    /// Begins to serve a connection. One beyond what its address may have comes back, with what it
    /// is to be told.
    fn open(&mut self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Problem)> {
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
        self.tasks
            .spawn(conn::run(stream, peer, place, self.hall.clone()));
        None
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

/// Tells a connection that is one too many so.
async fn refuse(stream: TcpStream, peer: SocketAddr, problem: Problem, patience: Duration) {
    tracing::debug!(%peer, code = %problem.code, "too many connections");
    let (read, write) = stream.into_split();
    let mut output = Output::new(write, patience);
    conn::refuse(problem, &mut output, Input::new(read)).await;
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

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request's handling panicked; its connection is closed");
    }
}
