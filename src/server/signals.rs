//! The signals that the server hears.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::systemd;
use crate::bus::causes;
use crate::http::Tls;

/// Hears of SIGTERM and SIGINT from here on, so that none is missed while the log is read.
pub(super) fn stop() -> io::Result<mpsc::Receiver<()>> {
    let (tell, told) = mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The server may have ended by itself.
        let _ = tell.send(()).await;
    });
    Ok(told)
}

/// Hears of SIGHUP from here on.
pub(super) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Has the certificate read again with each SIGHUP. Where it can't be used, the one before stays.
pub(super) async fn reload(mut hangup: Signal, tls: Option<Arc<Tls>>) {
    while hangup.recv().await.is_some() {
        systemd::reloading();
        match tls.clone() {
            None => tracing::info!("nothing is read again: there is no [server.tls]"),
            Some(tls) => match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(())) => tracing::info!("the certificate was read again"),
                Ok(Err(error)) => {
                    let error = causes(&error);
                    tracing::error!(error, "the certificate stays the one before");
                }
                Err(error) => tracing::error!(%error, "reading the certificate again"),
            },
        }
        systemd::ready();
    }
}
