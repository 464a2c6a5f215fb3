//! Ctrl-C while no line is being edited: it stops the file that is on its way, and without one, or
//! the second time, the program.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::thread;

use super::session::Session;

/// What shells call a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Watches for it, on a thread of its own, for as long as the program runs.
pub fn watch(session: Arc<Session>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let watch = move || {
        runtime.block_on(async {
            // Where signals cannot be heard, the system ends the program by itself.
            while tokio::signal::ctrl_c().await.is_ok() {
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
