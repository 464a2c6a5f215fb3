//! What systemd, or another that speaks as it does, hands over and is told. Without one, each of
//! these does nothing.

use std::io;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::bus::Bus;

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
    tell(&[NotifyState::Ready]);
}

/// The server reads its certificate again; [`ready`] says when it has.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    let now = now.inspect_err(|error| tracing::warn!(%error, "the time since the machine's start"));
    tell(&[
        NotifyState::Reloading,
        now.unwrap_or(NotifyState::MonotonicUsec(0)),
    ]);
}

/// The server ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
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
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(news: &[NotifyState<'_>]) {
    let place = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let told = match place.as_bytes() {
        [b'@', name @ ..] => tell_abstract(name, news),
        _ => sd_notify::notify(news),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "systemd can not be told");
    }
}

/// The same at a socket without a file, of which the library does not know (sd_notify(3)).
#[cfg(target_os = "linux")]
fn tell_abstract(name: &[u8], news: &[NotifyState<'_>]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let lines: String = news.iter().map(|one| format!("{one}\n")).collect();
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(lines.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn tell_abstract(_: &[u8], news: &[NotifyState<'_>]) -> io::Result<()> {
    sd_notify::notify(news)
}
