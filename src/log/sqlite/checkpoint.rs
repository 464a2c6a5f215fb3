//! Brings what lies in the WAL over to the database, on a thread of its own: a post that waited
//! for it would wait for an fsync more, and for a thousand pages.

use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::LogError;

/// So many more pages in the WAL are brought over in one go: 4 MiB.
const WORTHWHILE: i32 = 1_000;

/// Pages in the WAL from which on the writer waits for it to be empty: 64 MiB. Where posts never
/// stop, the thread alone would never come to its end.
const MOST: i32 = 16 * WORTHWHILE;

/// The thread, which ends when this is dropped.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Pages in the WAL after the last commit.
    pages: AtomicI32,
    asked: Mutex<Asked>,
    changed: Condvar,
    /// Held while something is brought over: SQLite lets only one do it at a time.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Asked {
    work: bool,
    /// Pages in the WAL when work was last asked for.
    at: i32,
    end: bool,
}

impl Checkpointer {
    /// Takes checkpoints over from a connection, which does none by itself from then on.
    pub(super) fn start(file: &Path, writer: &mut Connection) -> Result<Self, LogError> {
        let shared = Arc::new(Shared::default());
        let (own, told) = (Arc::clone(&shared), Arc::clone(&shared));
        let connection = Connection::open(file)?;
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || own.run(&connection))
            .map_err(LogError::Thread)?;
        writer.wal_hook(Some(move |_: &mut _, pages| {
            told.note(pages);
            Ok(())
        }))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether the writer is to empty the WAL before that grows further.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.pages.load(Ordering::Relaxed) >= MOST
    }

    /// The turn of the writer: the thread does nothing until this is dropped.
    pub(super) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.shared.take_turn()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.lock().end = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of checkpoints panicked");
        }
    }
}

impl Shared {
    fn note(&self, pages: i32) {
        self.pages.store(pages, Ordering::Relaxed);
        let mut asked = self.lock();
        if pages < asked.at {
            // The WAL began anew.
            asked.at = 0;
        }
        if pages - asked.at >= WORTHWHILE {
            asked.at = pages;
            asked.work = true;
            self.changed.notify_one();
        }
    }

    fn run(&self, connection: &Connection) {
        while self.wait() {
            let turn = self.take_turn();
            // Whoever reads is not waited for: the rest is brought over the next time.
            let done = connection.busy_timeout(Duration::ZERO).and_then(|()| {
                connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            });
            if let Err(error) = done {
                // What was not brought over stays in the WAL, where it is durable.
                tracing::warn!(%error, "a checkpoint");
            }
            drop(turn);
        }
    }

    /// Waits for work; false at the end.
    fn wait(&self) -> bool {
        let idle = |asked: &mut Asked| !asked.work && !asked.end;
        let asked = self.changed.wait_while(self.lock(), idle);
        let mut asked = asked.unwrap_or_else(PoisonError::into_inner);
        asked.work = false;
        !asked.end
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
