//! The server's clock as a value: the unmodified binary under libfaketime, which reads the time
//! from a file at each look. It stands still until it is set, forward or back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use veche::testing::{Folder, Server, binary, features};

use crate::model::{CORE, Ms, SETTINGS, time};

/// Where Linux distributions keep the library.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// So many nodes are one server, where it is not alone.
pub const NODES: usize = 3;

fn library() -> &'static Path {
    let found = PLACES.iter().map(Path::new).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "the model test sets the server's clock by libfaketime, which is not here: \
             apt-get install libfaketime"
        )
    })
}

/// The features that the binary has.
fn compiled_in() -> &'static [String] {
    static FEATURES: OnceLock<Vec<String>> = OnceLock::new();
    FEATURES.get_or_init(|| features(&binary()))
}

/// The features that are on; `without` counts one that is off.
pub fn switched_on(without: Option<usize>) -> BTreeSet<String> {
    let has = compiled_in();
    let off = without.and_then(|n| has.get(n % has.len().max(1)));
    has.iter()
        .filter(|name| Some(*name) != off)
        .cloned()
        .collect()
}

/// The settings of the features that the binary has; `without` counts one that is off.
fn config(without: Option<usize>) -> String {
    let on = switched_on(without);
    let tables = compiled_in().iter().map(|name| {
        let own = SETTINGS.iter().find(|(known, _)| known == name);
        let (own, on) = (own.map_or("", |(_, settings)| settings), on.contains(name));
        format!("[features.{name}]\nenabled = {on}\n{own}")
    });
    CORE.to_owned() + &tables.collect::<String>()
}

/// A clock that a server goes by.
pub struct Clock {
    folder: Folder,
    file: PathBuf,
}

impl Clock {
    pub fn new(now: Ms) -> Self {
        let folder = Folder::new();
        let file = folder.join("now");
        let clock = Self { folder, file };
        clock.set(now);
        clock
    }

    /// Sets it: whoever looks sees the time before or this one, never a part of it.
    pub fn set(&self, now: Ms) {
        let text = time(now).replace('T', " ").replace('Z', "\n");
        let written = self.folder.write("next", text);
        std::fs::rename(written, &self.file).expect("a file can be renamed");
    }

    /// A server that goes by it: one process, or nodes on a NATS server.
    pub fn start(&self, without: Option<usize>, nats: Option<&str>) -> Server {
        let mut builder = Server::builder();
        if let Some(nats) = nats {
            builder = builder.nodes(NODES, nats);
        }
        builder
            .config(config(without))
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            // Timers go on by the real clock.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC")
            .start()
    }
}

/// The library leaves its shared memory behind.
pub fn clean_up(pid: u32) {
    for name in [
        format!("faketime_shm_{pid}"),
        format!("sem.faketime_sem_{pid}"),
    ] {
        // It may have gone by itself.
        let _ = std::fs::remove_file(Path::new("/dev/shm").join(name));
    }
}
