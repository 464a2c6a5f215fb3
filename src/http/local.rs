//! Connections from within this machine, over a Unix socket. The system says whose each is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::UCred;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::conn::{self, Hall};
use super::crowd::{Crowd, Place};
use super::server::{Shutdown, report};
use super::{Limits, Service};

/// How long nothing is accepted after an accept that failed for want of something.
const PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections and serves each by the service that `of` makes for whoever it is from, until
/// `shutdown` turns true; what is under way then is answered within `Limits::drain_timeout`. One
/// more than `Limits::connections` is closed without a word. No stream is served here.
pub async fn serve_local<S: Service>(
    listener: UnixListener,
    of: impl Fn(UCred) -> S,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let (limits, crowd) = (Arc::new(limits.clone()), Arc::new(Crowd::new(&limits)));
    // Nothing leaves its task, so nobody hears of it.
    let (away, _) = mpsc::unbounded_channel();
    let mut draining = Shutdown(shutdown.clone());
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = draining.wait() => break,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let opened = accepted.and_then(|(stream, _)| {
            let from = stream.peer_cred()?;
            Ok((plain(stream)?, from))
        });
        match opened {
            Ok(_) if tasks.len() >= limits.connections => {
                tracing::debug!("too many connections to the local socket");
            }
            Ok((stream, from)) => {
                let hall = Hall {
                    service: Arc::new(of(from)),
                    limits: Arc::clone(&limits),
                    crowd: Arc::clone(&crowd),
                    shutdown: Shutdown(shutdown.clone()),
                    away: away.clone(),
                };
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                tasks.spawn(conn::run(stream, None, nowhere, Place::default(), hall));
            }
            Err(error) => {
                tracing::warn!(%error, "the local socket can not be accepted from");
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = draining.wait() => break,
                }
            }
        }
    }
    drop(listener);
    let drained = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.drain_timeout, drained).await.is_err() {
        tasks.shutdown().await;
    }
}

/// A Unix socket under the name of the kind that connections are here, which it answers like.
fn plain(stream: UnixStream) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::from(OwnedFd::from(stream.into_std()?));
    TcpStream::from_std(stream)
}
