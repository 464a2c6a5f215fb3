//! What systemd, or another that speaks as it does, hands over and is told. Without one, each of
//! these does nothing.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
#[cfg(target_os = "linux")]
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::timeout;

use crate::bus::Bus;

/// How long it may take until there is room for what is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket that was handed over (`LISTEN_FDS`), if one was.
///
/// # Errors
/// More than one, or another than a TCP socket to listen on.
pub(crate) fn listener() -> io::Result<Option<TcpListener>> {
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        let many = format!("there are {} sockets", handed.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, many));
    }
    let socket = handed.take_tcp_listener(0)?;
    #[cfg(target_os = "linux")]
    if let Some(socket) = &socket
        && !socket2::SockRef::from(socket).is_listener()?
    {
        let deaf = "the socket does not listen";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, deaf));
    }
    Ok(socket)
}

/// The server answers.
pub(super) fn ready() {
    tokio::spawn(tell(&[NotifyState::Ready]));
}

/// The server reads its certificate again; [`ready`] says when it has.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    let now = now.inspect_err(|error| tracing::warn!(%error, "the time since the machine's start"));
    tokio::spawn(tell(&[
        NotifyState::Reloading,
        now.unwrap_or(NotifyState::MonotonicUsec(0)),
    ]));
}

/// The server ends.
pub(super) fn stopping() {
    tokio::spawn(tell(&[NotifyState::Stopping]));
}

/// Says again and again that the writer goes round, where that is asked for (`WatchdogSec=`).
/// Without a word from it the server is started again.
pub(super) async fn watch(bus: Bus) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut next = tokio::time::interval((within / 2).max(Duration::from_millis(1)));
    loop {
        next.tick().await;
        // It comes back when the writer has done all that was asked of it before. What it says of
        // the storage is said elsewhere, and is mended by no restart.
        let _ = bus.maintain(Box::new(|_| Ok(()))).await;
        tell(&[NotifyState::Watchdog]).await;
    }
}

/// Tells at once; where there is no room for it, whoever awaits what is given back waits for some.
fn tell(news: &[NotifyState<'_>]) -> impl Future<Output = ()> + Send + use<> {
    let place = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty());
    let lines: String = news.iter().map(|one| format!("{one}\n")).collect();
    let told = place.map(|place| {
        let socket = connected(&place)?;
        match socket.send(lines.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::net::UnixDatagram::from_std(socket).map(Some)
            }
            told => told.map(|_| None),
        }
    });
    async move {
        let told = match told.transpose() {
            Ok(Some(Some(socket))) => {
                let told = timeout(PATIENCE, socket.send(lines.as_bytes())).await;
                told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map(drop)
            }
            told => told.map(drop),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "systemd can not be told");
        }
    }
}

/// The socket where somebody is told, by its file or by its name alone (sd_notify(3)).
fn connected(place: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match place.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(place)?,
    }
    Ok(socket)
}
