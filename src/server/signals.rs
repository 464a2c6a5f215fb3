//! The signals that the server hears.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::systemd;
use crate::bus::causes;
use crate::http::Tls;

/// How long a certificate's files may take to be read again. A file may be one that never answers, such
/// as a pipe, or one on a file system that is away.
const READING: Duration = Duration::from_secs(3);

/// So many readings may wait for files that do not answer; one more is refused.
const READINGS: usize = 4;

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
    let readings = Arc::new(Semaphore::new(READINGS));
    while hangup.recv().await.is_some() {
        systemd::reloading();
        match &tls {
            None => tracing::info!("nothing is read again: there is no [server.tls]"),
            Some(tls) => match read_again(tls, &readings).await {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!(error, "the certificate stays the one before"),
            },
        }
        systemd::ready();
    }
}

/// Reads the certificate on a thread of its own, for which neither the next reading waits nor the stop.
/// What comes too late is not shown: the next reading may have been faster.
async fn read_again(tls: &Arc<Tls>, readings: &Arc<Semaphore>) -> Result<(), String> {
    let place = Arc::clone(readings).try_acquire_owned();
    let place = place.map_err(|_| "the readings before have no end yet".to_owned())?;
    let (tell, told) = oneshot::channel();
    let reader = Arc::clone(tls);
    let read = move || {
        let _place = place;
        // Nobody may wait for it any more.
        let _ = tell.send(reader.read());
    };
    let thread = thread::Builder::new().name("tls".into()).spawn(read);
    thread.map_err(|error| format!("there is no thread to read it: {error}"))?;
    match timeout(READING, told).await {
        Ok(Ok(Ok(shown))) => {
            tls.show(shown);
            Ok(())
        }
        Ok(Ok(Err(error))) => Err(causes(&error)),
        Ok(Err(_)) => Err("it was not read to its end".to_owned()),
        Err(_) => Err(format!(
            "what it is read from did not answer within {READING:?}"
        )),
    }
}
