//! The way to stderr. Whoever reads it may stop reading, and a write waits then for as long: so a
//! thread of its own writes, and nobody else ever waits for it. What does not fit into its buffer is
//! lost, counted, and said once there is room again.

use std::io::{self, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::counts::COUNTS;

/// How much waits to be written: thousands of lines, a moment of a busy server.
const LONGEST: usize = 1 << 20;

/// How much of it is for warnings and errors alone, so that they come through when somebody reads again.
const GRAVE: usize = 64 << 10;

/// How long is waited for what is said last: enough for whoever reads, and short beside the time in
/// which the server ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process's own.
pub(super) static STDERR: Stderr = Stderr::new();

/// Lines that wait to be written.
pub(super) struct Stderr {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    more: Condvar,
    /// All is written.
    done: Condvar,
}

struct Waiting {
    /// Whole lines.
    lines: Vec<u8>,
    /// Those that found no room behind them.
    lost: u64,
    /// Whether some are being written.
    writes: bool,
}

impl Stderr {
    const fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                lines: Vec::new(),
                lost: 0,
                writes: false,
            }),
            more: Condvar::new(),
            done: Condvar::new(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a line written that ends as lines do, unless too much waits already.
    fn push(&self, line: &[u8], weight: Weight) {
        let room = match weight {
            Weight::Ordinary => LONGEST - GRAVE,
            Weight::Grave => LONGEST,
        };
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > room {
            waiting.lost += 1;
            COUNTS.lost_lines.inc();
            return;
        }
        // Where some wait already, whoever writes them is on its way.
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.more.notify_one();
        }
    }

    /// Waits until all is written, but not for somebody who does not read.
    pub(super) fn drain(&self) {
        let is_behind = |waiting: &mut Waiting| waiting.writes || !waiting.lines.is_empty();
        let waiting = self.waiting();
        // What is not written by then is not read either.
        let _ = self
            .done
            .wait_timeout_while(waiting, PATIENCE, is_behind)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Writes what comes, line by line, for as long as the process is there.
    pub(super) fn write_to(&self, mut to: impl Write) -> ! {
        let mut lines = Vec::new();
        loop {
            let lost = {
                let mut waiting = self.waiting();
                waiting.writes = false;
                while waiting.lines.is_empty() {
                    self.done.notify_all();
                    waiting = self
                        .more
                        .wait(waiting)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                waiting.writes = true;
                mem::swap(&mut waiting.lines, &mut lines);
                mem::take(&mut waiting.lost)
            };
            if lost > 0 {
                // Behind those that are written now, where they would have stood.
                tracing::warn!(lines = lost, "lines of the log are lost: nobody read them");
            }
            // One a write: a line stays whole where others write to the same place, and one that
            // can't be written takes no others along.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if to.write_all(line).is_err() {
                    COUNTS.lost_lines.inc();
                }
            }
            lines.clear();
            // A burst's room is given back.
            lines.shrink_to(LONGEST / 16);
        }
    }
}

/// How much is lost with a line.
#[derive(Clone, Copy)]
pub(super) enum Weight {
    Ordinary,
    Grave,
}

/// Where whoever formats a line writes it, in one piece.
pub(super) struct Way(pub(super) Weight);

impl Write for Way {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.push(line, self.0);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Whoever reads, when they like.
    struct Reader {
        read: mpsc::SyncSender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.read
                .send(line.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_writes_waits_for_no_reader_and_what_finds_no_room_is_counted() {
        static STALLED: Stderr = Stderr::new();
        let (read, reader) = mpsc::sync_channel(0);
        thread::spawn(|| STALLED.write_to(Reader { read }));
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let push = |weight| STALLED.push(&line, weight);
        let before = COUNTS.lost_lines.get();
        push(Weight::Ordinary);
        assert_eq!(reader.recv().expect("a line"), line);
        STALLED.drain();
        push(Weight::Ordinary);
        while !STALLED.waiting().lines.is_empty() {
            thread::yield_now();
        }
        // It is on its way, and all others wait.
        for _ in 0..2 * LONGEST / line.len() {
            push(Weight::Ordinary);
        }
        let (all, grave) = (LONGEST / line.len(), GRAVE / line.len());
        let lost = COUNTS.lost_lines.get() - before;
        assert_eq!(lost, (all + grave) as u64);
        // What is grave has room of its own.
        for _ in 0..=grave {
            push(Weight::Grave);
        }
        assert_eq!(COUNTS.lost_lines.get() - before, lost + 1);
        // Nobody reads: the end is waited for no longer than it is worth.
        STALLED.drain();
        for _ in 0..=all {
            assert_eq!(reader.recv().expect("a line"), line);
        }
    }
}
