//! One process of the server: starting, stopping, killing, its log.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::program::{command, ended};
use super::{Folder, PATIENCE};

/// What the contract gives a server that was told to stop.
const STOP: Duration = Duration::from_secs(10);

/// How often a port is asked for again that something else may have taken during a restart.
const BINDS: usize = 5;

/// What its log is called in its folder.
const LOG: &str = "stderr.log";

/// A process with its folder. Dropping it kills the one and removes the other; in a test that fails
/// the folder is kept.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) binary: PathBuf,
    environment: Vec<(OsString, OsString)>,
    /// Taken from the system at the first start, and kept over restarts.
    address: Option<SocketAddr>,
    /// `http`, or `https` with TLS.
    pub(super) scheme: &'static str,
    process: Option<Process>,
    pub(super) folder: Folder,
    /// Where its log is.
    pub(super) log: PathBuf,
}

#[derive(Debug)]
struct Process {
    child: Child,
    reader: JoinHandle<()>,
}

impl Node {
    /// One that does not run yet.
    pub(super) fn new(binary: PathBuf, environment: Vec<(OsString, OsString)>) -> Self {
        let folder = Folder::new();
        Self {
            binary,
            environment,
            address: None,
            scheme: "http",
            process: None,
            log: folder.join(LOG),
            folder,
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address.expect("a started server has an address")
    }

    /// The data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Whether it runs, as far as the test knows.
    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The process's number.
    pub(super) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").child.id()
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.child.kill();
            let _ = process.child.wait();
            process.finish();
        }
    }

    /// Sends a signal, by its name without `SIG`, and does not wait.
    pub(super) fn terminate(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status()
            .expect("kill(1) is there");
        assert!(sent.success(), "the server cannot be sent SIG{signal}");
    }

    /// Waits until it has ended, and says how.
    pub(super) fn stopped(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the server runs");
        let Some(status) = ended(&mut process.child, STOP) else {
            self.process = Some(process);
            panic!("the server did not stop within {STOP:?}");
        };
        process.finish();
        status
    }

    /// Starts it with this config.toml, on the port that it had; that one may be somebody's for a
    /// moment.
    pub(super) fn launch(&mut self, config: &str) {
        self.folder.write("config.toml", config);
        let mut tries = 0;
        loop {
            let before = said(&self.log).len();
            match self.spawn(config) {
                Ok(()) => return,
                Err(error) => {
                    tries += 1;
                    let taken = said(&self.log)[before..].to_lowercase().contains("in use");
                    assert!(taken && tries < BINDS, "{error}");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    fn spawn(&mut self, config: &str) -> Result<(), String> {
        let listen = self
            .address
            .map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        // A file has at once what was said; a pipe's reader may lag behind.
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a file");
        let mut command = command(&self.binary, self.folder.path());
        command
            .args(["serve", "--listen", &listen, "--data"])
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        if !config.is_empty() {
            command.args(["--config", "config.toml"]);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let mut child = command.spawn().expect("the binary starts");
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let process = self.process.insert(Process { child, reader });
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("no `listening on` within {PATIENCE:?}"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = ended(&mut process.child, PATIENCE);
                self.kill();
                return Err(format!("the server ended at its start: {status:?}"));
            }
        };
        let told = |scheme| {
            let rest = line.strip_prefix("listening on ")?;
            let address = rest.strip_prefix(scheme)?.strip_prefix("://")?;
            Some((scheme, address.parse().ok()?))
        };
        let (scheme, address) = told("http")
            .or_else(|| told("https"))
            .ok_or_else(|| format!("{line:?} is not `listening on http://ADDRESS`"))?;
        (self.scheme, self.address) = (scheme, Some(address));
        Ok(())
    }
}

/// All that was written to a log so far.
pub(super) fn said(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

impl Process {
    /// Its pipe is read to its end.
    fn finish(self) {
        let _ = self.reader.join();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
