//! Ctrl-C while no line is being edited: it stops the file that is on its way, and without one, or
//! the second time, the program.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::screen::News;
use super::session::Session;

/// What shells call a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Watches for it, on a thread of its own, for as long as the program runs. Has to be called before
/// the first line is edited: the editor puts back, after each line, what was there before it.
pub fn watch(session: Arc<Session>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut pressed = {
        let _entered = runtime.enter();
        presses()?
    };
    let watch = move || {
        runtime.block_on(async {
            while pressed.recv().await.is_some() {
                if !session.transfers.stop() {
                    exit(INTERRUPTED);
                }
            }
        });
    };
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(watch)?;
    Ok(())
}

/// Tells once that the system ends the program or closes its terminal, so that both are left as
/// they are to be. Watches on a thread of its own, for as long as the program runs.
pub fn on_end(news: SyncSender<News>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let ends = {
        let _entered = runtime.enter();
        ends()?
    };
    let watch = move || {
        runtime.block_on(ends);
        // A screen that has closed needs not be told.
        let _ = news.send(News::Over);
    };
    thread::Builder::new().name("end".to_owned()).spawn(watch)?;
    Ok(())
}

#[cfg(unix)]
fn ends() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Ctrl-C is a key here; in an editor that has the terminal meanwhile it is that one's.
    let interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let _unheard = interrupt;
        tokio::select! {
            _ = term.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

#[cfg(windows)]
fn ends() -> io::Result<impl Future<Output = ()>> {
    let mut closed = tokio::signal::windows::ctrl_close()?;
    Ok(async move {
        closed.recv().await;
    })
}

#[cfg(unix)]
fn presses() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn presses() -> io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
