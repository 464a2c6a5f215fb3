//! The threads that read, each with a connection of its own. One that has work left takes it
//! without sleeping first: under load a read costs no change of threads but the one to its asker.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::LogError;
use super::reader::Reading;

/// Reads at once: more would only queue for the same cores; at least two, since a disk may be slow.
fn most() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4))
}

/// What a thread is to do with a moment of the store, or with why there is none.
pub(super) type Work = Box<dyn FnOnce(Result<&Reading, LogError>) + Send>;

/// The threads, which end with this.
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    file: PathBuf,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    /// At most one for each request that is being answered, whose number is bounded.
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self(Arc::new(Shared {
            file,
            queue: Mutex::default(),
            wake: Condvar::new(),
        }))
    }

    /// Hands work to a thread; fails where the first of them can't be started.
    pub(super) fn submit(&self, work: Work) -> Result<(), LogError> {
        let mut queue = self.0.queue();
        if queue.idle == 0 && queue.threads < most() {
            let shared = Arc::clone(&self.0);
            let started = thread::Builder::new()
                .name("reader".into())
                .spawn(move || shared.run());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => return Err(LogError::Thread(error)),
                Err(error) => tracing::warn!(%error, "starting a thread that reads"),
            }
        }
        queue.waiting.push_back(work);
        if queue.idle > 0 {
            self.0.wake.notify_one();
        }
        Ok(())
    }

    pub(super) fn connect(&self) -> Result<Connection, LogError> {
        self.0.connect()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut connection = None;
        while let Some(work) = self.next() {
            // A panic is a fault in what reads; its connection is given up in the middle of a read.
            let read = AssertUnwindSafe(|| self.read(connection.take(), work));
            connection = catch_unwind(read).ok().flatten();
        }
    }

    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                return Some(work);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Gives the connection back, if it is still good.
    fn read(&self, connection: Option<Connection>, work: Work) -> Option<Connection> {
        let opened = connection.map_or_else(|| self.connect(), Ok);
        match opened.and_then(Reading::of) {
            Ok(reading) => {
                work(Ok(&reading));
                reading.end().ok()
            }
            Err(error) => {
                work(Err(error));
                None
            }
        }
    }

    fn connect(&self) -> Result<Connection, LogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::testing::Folder;

    /// Readers of an empty store, and the folder that it lies in.
    fn readers() -> (Readers, Folder) {
        let folder = Folder::new();
        let file = folder.path().join("empty.db");
        let store = Connection::open(&file).expect("a store");
        store
            .execute_batch("CREATE TABLE facts (pos INTEGER)")
            .expect("a table");
        (Readers::new(file), folder)
    }

    /// Asks for something, and gives where the answer comes.
    fn ask(readers: &Readers) -> mpsc::Receiver<u64> {
        let (answer, answered) = mpsc::channel();
        let work: Work = Box::new(move |reading| {
            let floor = reading.and_then(Reading::floor).expect("readable");
            answer.send(floor).expect("asked");
        });
        readers.submit(work).expect("a thread");
        answered
    }

    #[test]
    fn more_are_asked_for_than_read_at_once_and_each_is_answered() {
        let (readers, _folder) = readers();
        let asked: Vec<_> = (0..50).map(|_| ask(&readers)).collect();
        assert!(asked.iter().all(|answered| answered.recv() == Ok(0)));
        assert!(readers.0.queue().threads <= most());
    }

    #[test]
    fn work_that_panics_takes_no_thread_with_it() {
        let (readers, _folder) = readers();
        for _ in 0..2 * most() {
            readers
                .submit(Box::new(|_| panic!("a fault")))
                .expect("a thread");
        }
        assert_eq!(ask(&readers).recv(), Ok(0));
        assert!(readers.0.queue().threads <= most());
    }

    #[test]
    fn a_store_that_is_not_there_is_an_error_and_is_read_once_it_is() {
        let folder = Folder::new();
        let readers = Readers::new(folder.path().join("none.db"));
        let (answer, answered) = mpsc::channel();
        let work: Work = Box::new(move |reading| answer.send(reading.is_err()).expect("asked"));
        readers.submit(work).expect("a thread");
        assert_eq!(answered.recv(), Ok(true));
    }

    #[test]
    fn the_threads_end_with_their_owner_once_all_is_answered() {
        let (readers, _folder) = readers();
        let shared = Arc::downgrade(&readers.0);
        let asked: Vec<_> = (0..8).map(|_| ask(&readers)).collect();
        drop(readers);
        assert!(asked.iter().all(|answered| answered.recv() == Ok(0)));
        // The last thread to end lets go of it.
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
