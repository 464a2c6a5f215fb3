//! The server under test: starting, stopping, killing, its log.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use super::front::Front;
use super::node::{Node, said};
use super::nodes::Together;
use super::program::call;
use super::{Builder, Client, Folder, Output, Reply, Wire, wait_at_most};

/// A running server: one process, or several nodes of a cluster behind one address. Dropping it kills
/// them and removes their folders; in a test that fails the log is shown, and the folders kept.
#[derive(Debug)]
pub struct Server {
    config: String,
    /// What makes nodes of them.
    together: Option<Together>,
    /// What leads to all of them in turn, where there are several.
    front: Option<Front>,
    /// One at least.
    nodes: Vec<Node>,
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
        environment: &[(OsString, OsString)],
        together: Option<Together>,
    ) -> Self {
        let count = together.as_ref().map_or(1, |together| together.nodes);
        let nodes = (0..count).map(|_| Node::new(binary.clone(), environment.to_vec()));
        let mut nodes: Vec<Node> = nodes.collect();
        // What they say is one log.
        let log = nodes[0].log.clone();
        nodes.iter_mut().for_each(|node| node.log.clone_from(&log));
        let mut server = Self {
            config,
            together,
            front: (count > 1).then(Front::open),
            nodes,
        };
        server.launch();
        server
    }

    fn first(&self) -> &Node {
        &self.nodes[0]
    }

    /// `http://127.0.0.1:PORT`, the same over restarts; with TLS `https://`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.first().scheme, self.address())
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Where it never came up.
    pub fn address(&self) -> SocketAddr {
        match &self.front {
            Some(front) => front.address(),
            None => self.first().address(),
        }
    }

    /// The data folder; of several nodes, the first one's.
    pub fn data(&self) -> PathBuf {
        self.first().data()
    }

    /// The data folders of all nodes.
    pub fn all_data(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(Node::data).collect()
    }

    /// The working folder, with config.toml and the data folder in it.
    pub fn folder(&self) -> &Folder {
        &self.first().folder
    }

    /// The process's number.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn pid(&self) -> u32 {
        self.first().pid()
    }

    /// The numbers of the processes that run, one a node.
    pub fn pids(&self) -> Vec<u32> {
        let running = self.nodes.iter().filter(|node| node.runs());
        running.map(Node::pid).collect()
    }

    /// All that it wrote to stderr so far, over all its runs.
    pub fn log(&self) -> String {
        said(&self.first().log)
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
        self.open_front(false);
        self.nodes.iter_mut().for_each(Node::kill);
    }

    /// SIGKILL of one node, by its number, which is counted on over all: the others stay.
    pub fn kill_node(&mut self, number: usize) {
        let count = self.nodes.len();
        self.nodes[number % count].kill();
        self.open_front(true);
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
        self.nodes.iter().for_each(|node| node.terminate(signal));
    }

    /// Waits until a server that was told to stop has ended, and says how.
    ///
    /// # Panics
    /// Where it does not run, or does not end within the 10 s that it has.
    pub fn stopped(&mut self) -> ExitStatus {
        let ended: Vec<_> = self.nodes.iter_mut().map(Node::stopped).collect();
        let failed = ended.iter().find(|status| !status.success());
        *failed.unwrap_or(&ended[0])
    }

    /// Starts it again on the same data and the same port, after a clean stop where it runs. Of
    /// several nodes those start that don't run, or all where all do.
    ///
    /// # Panics
    /// Where it does not come up within [`PATIENCE`](super::PATIENCE).
    pub fn restart(&mut self) {
        if self.nodes.iter().all(Node::runs) {
            let status = self.stop();
            assert!(status.success(), "a clean stop ended with {status}");
        }
        self.launch();
    }

    fn launch(&mut self) {
        let configs = match &self.together {
            Some(together) => together.configs(&self.config, self.first()),
            None => vec![self.config.clone()],
        };
        for (node, config) in self.nodes.iter_mut().zip(&configs) {
            if !node.runs() {
                node.launch(config);
            }
        }
        self.open_front(true);
    }

    /// Tells what leads to the nodes which of them run; whether `any` is to be led to.
    fn open_front(&self, any: bool) {
        if let Some(front) = &self.front {
            let running = self.nodes.iter().filter(|node| any && node.runs());
            front.lead_to(running.map(|node| (node.address(), node.data())));
        }
    }

    /// `veche admin` with these words, asked of this server.
    pub fn admin(&self, words: &[&str]) -> Output {
        let words = ["admin"].into_iter().chain(words.iter().copied());
        call(&self.first().binary, self.folder().path(), words)
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
    /// Where it does not within [`PATIENCE`](super::PATIENCE).
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut wire = self.wire();
        wire.write(bytes);
        wire.half_close();
        wire.rest()
    }

    /// The files below the data folder that have `text` in their bytes.
    pub fn holding(&self, text: &str) -> Vec<PathBuf> {
        let nodes = self.nodes.iter();
        nodes
            .flat_map(|node| {
                node.folder
                    .all()
                    .into_iter()
                    .map(|file| (node.data(), file))
            })
            .filter(|(data, (path, _))| path.starts_with(data))
            .map(|(_, file)| file)
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

impl Drop for Server {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}--- its end ---", self.log());
        }
    }
}
