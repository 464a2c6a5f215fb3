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

use super::input::Input;
use super::output::Output;
use super::pump::Torn;
use super::tls::{Greeted, Tls};
use super::wire::{Away, Return};
use super::{Limits, Problem, Service, conn};
use crate::counts::{COUNTS, signed};

/// Connections beyond the bound that are being told so at once; any further one is closed
/// without a word.
const REFUSALS: usize = 64;

/// TLS handshakes at once. Each keeps a processor busy for a millisecond or so; a client that does
/// not go on with its own is gone within `Limits::head_timeout`. One more is closed without a word.
const GREETINGS: usize = 1024;

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
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSES.0;
                // Answers are written whole, so there is nothing to wait for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "no TCP_NODELAY");
                }
                if connections.count() < most {
                    connections.take(stream, peer);
                } else if refusals.len() < REFUSALS {
                    let (tls, limits) = (connections.tls.clone(), Arc::clone(&connections.limits));
                    refusals.spawn(async move { refuse(stream, peer, tls, &limits).await });
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

/// The open connections: those that have a task, and those whose stream has left it.
struct Connections<S> {
    service: Arc<S>,
    tls: Option<Arc<Tls>>,
    limits: Arc<Limits>,
    shutdown: Shutdown,
    /// Handshakes of TLS.
    greetings: JoinSet<Option<Greeted>>,
    /// What lies between connections and their clients, with TLS.
    pumps: JoinSet<()>,
    tasks: JoinSet<()>,
    away: usize,
    /// Each connection says so before its task ends, so that none is missed between the two.
    tell: mpsc::UnboundedSender<Away>,
    told: mpsc::UnboundedReceiver<Away>,
}

impl<S: Service> Connections<S> {
    fn new(service: Arc<S>, tls: Option<Arc<Tls>>, limits: Limits, shutdown: Shutdown) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            service,
            tls,
            limits: Arc::new(limits),
            shutdown,
            greetings: JoinSet::new(),
            pumps: JoinSet::new(),
            tasks: JoinSet::new(),
            away: 0,
            tell,
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
                Ok(Some(greeted)) => {
                    self.pumps.spawn(greeted.pump.run());
                    self.open(greeted.plain, Some(greeted.torn), greeted.peer);
                }
                Ok(None) => {}
                Err(error) => report(Err(error)),
            },
            Some(ended) = self.pumps.join_next() => report(ended),
            Some(ended) = self.tasks.join_next() => report(ended),
            else => pending().await,
        }
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = &self.tls else {
            return self.open(stream, None, peer);
        };
        if self.greetings.len() >= GREETINGS {
            return tracing::debug!(%peer, "too many handshakes");
        }
        let (tls, limits) = (Arc::clone(tls), Arc::clone(&self.limits));
        self.greetings
            .spawn(async move { tls.greet(stream, peer, &limits).await });
    }

    fn open(&mut self, stream: TcpStream, torn: Option<Torn>, peer: SocketAddr) {
        let (service, limits) = (Arc::clone(&self.service), Arc::clone(&self.limits));
        let (shutdown, tell) = (self.shutdown.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            conn::run(stream, torn, peer, &*service, &limits, shutdown, tell).await;
        });
    }

    fn resume(&mut self, back: Return) {
        let (service, limits) = (Arc::clone(&self.service), Arc::clone(&self.limits));
        let (shutdown, tell) = (self.shutdown.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            conn::resume(back, &*service, &limits, shutdown, tell).await;
        });
    }
}

/// Refuses a connection beyond the bound, by TLS where that is spoken.
async fn refuse(stream: TcpStream, peer: SocketAddr, tls: Option<Arc<Tls>>, limits: &Limits) {
    let Some(tls) = tls else {
        return overloaded(stream, peer, limits.write_timeout).await;
    };
    if let Some(greeted) = tls.greet(stream, peer, limits).await {
        let refused = overloaded(greeted.plain, peer, limits.write_timeout);
        tokio::join!(greeted.pump.run(), refused);
    }
}

/// Tells a connection beyond the bound to come again.
async fn overloaded(stream: TcpStream, peer: SocketAddr, patience: Duration) {
    let (read, write) = stream.into_split();
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "the server has as many connections as it takes; try again later",
    );
    let mut output = Output::new(write, patience);
    conn::refuse(problem.retry_after(5), peer, &mut output, Input::new(read)).await;
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
