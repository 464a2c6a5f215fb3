//! Ctrl-C while no line is being edited: it stops the file that is on its way, and without one, or
//! the second time, the program.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::thread;

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

#[cfg(unix)]
fn presses() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn presses() -> io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
