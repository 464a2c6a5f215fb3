//! Files on their way: streamed from and to the disk, shown as they go, stopped by their user.

mod download;
mod kinds;
mod place;
mod pour;
mod upload;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::api::Api;
use super::text::{limit, safe_line, size};
use super::{Output, reason};

pub use download::{Wanted, download};
pub use pour::pour;
pub use upload::upload;

/// How much is read at once.
const PIECE: usize = 64 * 1024;
/// How often the bar is drawn anew.
const DRAW: Duration = Duration::from_millis(100);
/// How many characters of a name stand before the bar.
const NAME: usize = 20;
/// How many characters the bar has.
const BAR: u64 = 20;

/// Whether the user waits for a file, and has stopped it.
#[derive(Default)]
pub struct Transfers(Mutex<Waited>);

#[derive(Default)]
struct Waited {
    waits: bool,
    stopped: bool,
    /// By what connections it is on its way.
    carrier: Option<Arc<Api>>,
}

impl Transfers {
    fn waited(&self) -> MutexGuard<'_, Waited> {
        // It is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user waits for a file from now on, until what this gives is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        *self.waited() = Waited {
            waits: true,
            ..Waited::default()
        };
        Waiting(self)
    }

    /// Stops the file that is waited for, whatever its server does; false where there is none, or
    /// it was stopped before.
    pub fn stop(&self) -> bool {
        let mut waited = self.waited();
        if !waited.waits || waited.stopped {
            return false;
        }
        waited.stopped = true;
        if let Some(carrier) = waited.carrier.take() {
            carrier.cut();
        }
        true
    }

    /// The API for the calls that a stop is to end.
    pub fn carrier(&self, api: &Api) -> Arc<Api> {
        let carrier = Arc::new(api.fork());
        let mut waited = self.waited();
        match waited.stopped {
            true => carrier.cut(),
            false => waited.carrier = Some(carrier.clone()),
        }
        carrier
    }

    /// Whether the user has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.waited().stopped
    }
}

/// The user waits for a file.
pub struct Waiting<'a>(&'a Transfers);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.0.waited() = Waited::default();
    }
}

/// The user has stopped it.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

fn was_stopped(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Stopped>())
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The server refused it, or cannot be reached.
    #[error("{0}")]
    Call(super::answer::CallError),
    /// The connection broke off.
    #[error("{}", reason::connection(.0))]
    Broken(io::Error),
    /// A file of this machine cannot be used.
    #[error("{path}: {}", reason::plain(&.why.to_string()))]
    File {
        /// Its path.
        path: String,
        /// Why not.
        why: io::Error,
    },
    /// The user has stopped it.
    #[error("it was cancelled")]
    Stopped {
        /// Whether something of it is there for the next time.
        kept: bool,
    },
    /// It has more bytes than the server takes.
    #[error(
        "the file has {}, and this server takes files of up to {}",
        size(*.bytes),
        limit(*.most)
    )]
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many are taken.
        most: u64,
    },
    /// What came is not what was meant. A whole sentence.
    #[error("{0}")]
    Different(String),
}

impl TransferError {
    fn file(path: &std::path::Path, why: io::Error) -> TransferError {
        TransferError::File {
            path: safe_line(&path.display().to_string()),
            why,
        }
    }
}

impl From<super::answer::CallError> for TransferError {
    fn from(error: super::answer::CallError) -> TransferError {
        TransferError::Call(error)
    }
}

/// How far a file has come.
#[derive(Debug, Clone)]
pub struct Progress<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many bytes are there.
    pub done: u64,
    /// How many there will be, if that is known.
    pub total: Option<u64>,
    /// How many came in a second.
    pub rate: u64,
    /// Whether nothing more can be done for it before the server has answered.
    pub waits: bool,
}

impl Progress<'_> {
    /// Name, bar, percent, size and rate in one line.
    pub fn line(&self) -> String {
        let mut name = safe_line(self.name);
        if let Some((cut, _)) = name.char_indices().nth(NAME) {
            let keep = name[..cut].char_indices().nth(NAME - 1);
            name.truncate(keep.map_or(cut, |(at, _)| at));
            name.push('…');
        }
        let mut line = format!("{name:<NAME$} ");
        let done = size(self.done);
        match self.total {
            // What was handed over has not arrived yet.
            Some(total) if self.waits => {
                let bar = "#".repeat(usize::try_from(BAR).unwrap_or_default());
                let total = size(total);
                let _ = write!(line, "[{bar}] {total}, waiting for the server");
                return line;
            }
            None if self.waits => {
                line.push_str("waiting for the server");
                return line;
            }
            Some(total) => {
                // Of nothing all is there at once.
                let part = |of: u64| {
                    let scaled = u128::from(self.done.min(total)) * u128::from(of);
                    let part = scaled.checked_div(u128::from(total));
                    part.map_or(of, |part| u64::try_from(part).unwrap_or(of))
                };
                let full = part(BAR);
                let bar = (0..BAR).map(|at| if at < full { '#' } else { '-' });
                line.push('[');
                line.extend(bar);
                let _ = write!(line, "] {:>3}%  {done} of {}", part(100), size(total));
            }
            None => line.push_str(&done),
        }
        let _ = write!(line, "  {}/s", size(self.rate));
        line
    }
}

/// Counts what has come, and shows it.
pub struct Meter<'a> {
    transfers: &'a Transfers,
    output: &'a Arc<dyn Output>,
    name: &'a str,
    begun: Instant,
    /// What was there at the beginning already.
    before: u64,
    done: u64,
    total: Option<u64>,
    drawn: Option<Instant>,
    /// Whether the other end has to confirm the whole.
    to_confirm: bool,
}

impl<'a> Meter<'a> {
    fn new(
        transfers: &'a Transfers,
        output: &'a Arc<dyn Output>,
        name: &'a str,
        total: Option<u64>,
    ) -> Meter<'a> {
        Meter {
            transfers,
            output,
            name,
            begun: Instant::now(),
            before: 0,
            done: 0,
            total,
            drawn: None,
            to_confirm: false,
        }
    }

    /// One of what is asked for, until the answer has come.
    pub fn asking(
        transfers: &'a Transfers,
        output: &'a Arc<dyn Output>,
        name: &'a str,
    ) -> Meter<'a> {
        let meter = Meter::new(transfers, output, name, None);
        meter.draw(true);
        meter
    }

    /// Begins with so much of it.
    fn begin(&mut self, before: u64, total: Option<u64>) {
        (self.before, self.done) = (before, before);
        self.total = total;
    }

    /// Fails where the user has stopped it.
    fn go_on(&self) -> io::Result<()> {
        match self.transfers.is_stopped() {
            true => Err(io::Error::other(Stopped)),
            false => Ok(()),
        }
    }

    fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let is_whole = self.total == Some(self.done);
        if !is_whole && self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        self.draw(is_whole && self.to_confirm);
    }

    fn draw(&self, waits: bool) {
        let millis = self.begun.elapsed().as_millis().max(1);
        let rate = u128::from(self.done - self.before) * 1000 / millis;
        self.output.progress(Some(&Progress {
            name: self.name,
            done: self.done,
            total: self.total,
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
            waits,
        }));
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.output.progress(None);
    }
}

/// A path as the user wrote it, with `~/` for the home folder as shells have it.
fn user_path(written: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
    let below = match written {
        "~" => Some(""),
        other => other.strip_prefix("~/"),
    };
    match below.zip(home()) {
        Some((below, home)) => PathBuf::from(home).join(below),
        None => PathBuf::from(written),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::CallError;
    use super::*;

    #[test]
    fn progress_is_one_line_of_a_harmless_name_a_bar_and_numbers() {
        let mut progress = Progress {
            name: "cat.png",
            done: 1 << 20,
            total: Some(4 << 20),
            rate: 700 << 10,
            waits: false,
        };
        assert_eq!(
            progress.line(),
            "cat.png              [#####---------------]  25%  1 MiB of 4 MiB  700 KiB/s"
        );
        progress.name = "a\u{1b}[2J\nname that is long";
        assert!(progress.line().starts_with("a\\u{1b}[2J\\nname th… ["));
        progress.total = None;
        assert!(
            progress.line().ends_with("… 1 MiB  700 KiB/s"),
            "{}",
            progress.line()
        );
        progress.waits = true;
        assert!(progress.line().ends_with("… waiting for the server"));
        (progress.done, progress.total) = (4 << 20, Some(4 << 20));
        let line = progress.line();
        assert!(line.ends_with("[####################] 4 MiB, waiting for the server"));
        assert!(!line.contains('%'), "{line}");
        progress.waits = false;
        (progress.done, progress.total) = (0, Some(0));
        assert!(progress.line().contains("[####################] 100%"));
    }

    #[test]
    fn a_transfer_is_stopped_once_and_only_while_it_runs() {
        let transfers = Transfers::default();
        assert!(!transfers.stop());
        let output: Arc<dyn Output> = Arc::new(super::super::fake::Record::default());
        let waiting = transfers.wait();
        let meter = Meter::new(&transfers, &output, "x", None);
        assert!(meter.go_on().is_ok());
        assert!(transfers.stop());
        assert!(!transfers.stop());
        assert!(was_stopped(&meter.go_on().unwrap_err()));
        drop(waiting);
        assert!(!transfers.stop());
        assert!(meter.go_on().is_ok());
    }

    /// It failed, and not since somebody had waited for long enough.
    fn was_cut(answer: Result<serde_json::Value, CallError>) {
        match answer {
            Err(CallError::Lost(error)) => {
                assert!(!matches!(*error, ureq::Error::Timeout(_)), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stop_ends_a_call_that_waits_for_its_answer_and_those_that_come_later() {
        // It accepts, by its queue, and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap());
        let transfers = Transfers::default();
        let waiting = transfers.wait();
        let api = Api::new(&base);
        let carrier = transfers.carrier(&api);
        std::thread::scope(|scope| {
            let call = scope.spawn(|| carrier.get("/messages/1", &[]));
            // Once the request is there, the call waits.
            let (mut asked, _) = silent.accept().unwrap();
            io::Read::read_exact(&mut asked, &mut [0; 4]).unwrap();
            assert!(transfers.stop());
            was_cut(call.join().unwrap());
        });
        was_cut(transfers.carrier(&api).get("/status", &[]));
        drop(waiting);
        assert!(!transfers.is_stopped());
    }
}
