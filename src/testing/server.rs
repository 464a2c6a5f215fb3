//! The server's process: starting, stopping, killing, its log.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::program::{call, command, ended};
use super::{Builder, Client, Folder, Output, PATIENCE, Reply, Wire, wait_at_most};

/// What the contract gives a server that was told to stop.
const STOP: Duration = Duration::from_secs(10);

/// How often a port is asked for again that something else may have taken during a restart.
const BINDS: usize = 5;

/// What its log is called in its folder.
const LOG: &str = "stderr.log";

/// A running server. Dropping it kills the process and removes its folder; in a test that fails
/// its log is shown, and the folder kept.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    config: String,
    environment: Vec<(OsString, OsString)>,
    /// Taken from the system at the first start, and kept over restarts.
    address: Option<SocketAddr>,
    /// `http`, or `https` with TLS.
    scheme: &'static str,
    process: Option<Process>,
    folder: Folder,
}

#[derive(Debug)]
struct Process {
    child: Child,
    reader: JoinHandle<()>,
}

impl Server {
    /// A server as it comes: no config.toml, every feature at its defaults.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server with this config.toml.
    pub fn with(config: impl Into<String>) -> Self {
        Self::builder().config(config).start()
    }

    /// A server with no feature on.
    pub fn core() -> Self {
        Self::builder().core().start()
    }

    /// A server with one feature on, and its settings.
    pub fn only(feature: &str, settings: &str) -> Self {
        Self::builder().only(feature, settings).start()
    }

    /// For all that the short ways don't say.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts the first time.
    pub(super) fn launched(
        binary: PathBuf,
        config: String,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        let mut server = Self {
            binary,
            config,
            environment,
            address: None,
            scheme: "http",
            process: None,
            folder: Folder::new(),
        };
        server.launch();
        server
    }

    /// `http://127.0.0.1:PORT`, the same over restarts; with TLS `https://`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Where it never came up.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a started server has an address")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The working folder, with config.toml and the data folder in it.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The process's number.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").child.id()
    }

    /// All that it wrote to stderr so far, over all its runs.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Another config.toml, from the next start on.
    pub fn configure(&mut self, config: impl Into<String>) {
        self.config = config.into();
    }

    /// The config.toml that it was started with.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// SIGKILL, as a crash of the machine's would: it gets no chance to finish anything.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.child.kill();
            let _ = process.child.wait();
            process.finish();
        }
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Panics
    /// Where it does not run, or does not end within the 10 s that it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate("TERM");
        self.stopped()
    }

    /// Sends a signal, by its name without `SIG`, and does not wait.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn terminate(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status()
            .expect("kill(1) is there");
        assert!(sent.success(), "the server cannot be sent SIG{signal}");
    }

    /// Waits until a server that was told to stop has ended, and says how.
    ///
    /// # Panics
    /// Where it does not run, or does not end within the 10 s that it has.
    pub fn stopped(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the server runs");
        let Some(status) = ended(&mut process.child, STOP) else {
            self.process = Some(process);
            panic!("the server did not stop within {STOP:?}");
        };
        process.finish();
        status
    }

    /// Starts it again on the same data and the same port, after a clean stop where it runs.
    ///
    /// # Panics
    /// Where it does not come up within [`PATIENCE`].
    pub fn restart(&mut self) {
        if self.process.is_some() {
            let status = self.stop();
            assert!(status.success(), "a clean stop ended with {status}");
        }
        self.launch();
    }

    /// Starts it, on the port that it had; that one may be somebody's for a moment.
    fn launch(&mut self) {
        self.folder.write("config.toml", &self.config);
        let mut tries = 0;
        loop {
            let before = self.log().len();
            match self.spawn() {
                Ok(()) => return,
                Err(error) => {
                    tries += 1;
                    let taken = self.log()[before..].to_lowercase().contains("in use");
                    assert!(taken && tries < BINDS, "{error}");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    fn spawn(&mut self) -> Result<(), String> {
        let listen = self
            .address
            .map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        // A file has at once what was said; a pipe's reader may lag behind.
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(LOG))
            .expect("a file");
        let mut command = command(&self.binary, self.folder.path());
        command
            .args(["serve", "--listen", &listen, "--data"])
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        if !self.config.is_empty() {
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

    /// `veche admin` with these words, asked of this server.
    pub fn admin(&self, words: &[&str]) -> Output {
        let words = ["admin"].into_iter().chain(words.iter().copied());
        call(&self.binary, self.folder.path(), words)
    }

    /// The same, with what the server answers as JSON; null where it only does it.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn told(&self, words: &[&str]) -> Value {
        let output = self.admin(&[&["--json"], words].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
        if output.stdout.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&output.stdout).expect("JSON")
    }

    /// Joins the common chat as somebody new.
    ///
    /// # Panics
    /// Where the server refuses, or knows the name.
    pub fn connect(&self, name: &str) -> Client {
        let reply = self.join(&serde_json::json!({ "name": name }));
        Client::welcomed(&self.url(), &reply.expect(201))
    }

    /// `POST /connect` with this body, whatever comes of it.
    pub fn join(&self, body: &Value) -> Reply {
        self.guest().post("/connect", body)
    }

    /// The client that [`join`](Self::join) brought.
    ///
    /// # Panics
    /// Where the server refused.
    pub fn client(&self, body: &Value) -> Client {
        let reply = self.join(body);
        assert!(matches!(reply.status, 200 | 201), "{reply}");
        Client::welcomed(&self.url(), &reply.body)
    }

    /// Somebody without a token.
    pub fn guest(&self) -> Client {
        Client::new(&self.url(), "")
    }

    /// A connection whose every byte is the test's own.
    ///
    /// # Panics
    /// Where the server does not accept.
    pub fn wire(&self) -> Wire {
        Wire::open(self.address())
    }

    /// Sends these bytes, closes the sending side, and gives all that comes back until the
    /// server closes too.
    ///
    /// # Panics
    /// Where it does not within [`PATIENCE`].
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut wire = self.wire();
        wire.write(bytes);
        wire.half_close();
        wire.rest()
    }

    /// The files below the data folder that have `text` in their bytes.
    pub fn holding(&self, text: &str) -> Vec<PathBuf> {
        let found = self.folder.all().into_iter();
        found
            .filter(|(path, _)| path.starts_with(self.data()))
            .filter(|(_, bytes)| contains(bytes, text.as_bytes()))
            .map(|(path, _)| path)
            .collect()
    }

    /// Waits until no file below the data folder has `text` in its bytes.
    ///
    /// # Panics
    /// Where one still has it after `limit`.
    pub fn forgets(&self, limit: Duration, text: &str) {
        wait_at_most(limit, "a removed text to leave the data folder", || {
            self.holding(text).is_empty().then_some(())
        });
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl Process {
    /// Its pipe is read to its end.
    fn finish(self) {
        let _ = self.reader.join();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}--- its end ---", self.log());
        }
    }
}
