//! One address before several nodes, as of a proxy that knows nothing of chats: each connection is
//! led to the next node.
//!
//! A node follows the others as soon as NATS tells it. Tests say what holds from one request to
//! the next, so a connection is led on once its node has all that any of them has.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::log::Pos;
use crate::log::reader::{Reader, Reading};

/// How soon it is looked again how far a node has come.
const AGAIN: Duration = Duration::from_millis(1);

/// The addresses of those in this process.
static OPEN: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

/// Whether requests to a URL are spread over nodes: then each has a connection of its own.
pub(super) fn is_at(url: &str) -> bool {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.iter()
        .any(|address| url.ends_with(&format!("//{address}")))
}

#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    nodes: Mutex<Nodes>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Nodes {
    /// Those that run: where, and with which data folder.
    running: Vec<(SocketAddr, PathBuf)>,
    /// Whose turn it is.
    turn: usize,
    /// The furthest that any has come.
    furthest: Pos,
}

impl Front {
    /// An address that leads nowhere yet.
    pub(super) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(address);
        drop(open);
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if serving.closed.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&serving);
                thread::spawn(move || {
                    if let Some(node) = shared.next() {
                        join(&client, node);
                    }
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to these from now on.
    pub(super) fn lead_to(&self, running: impl Iterator<Item = (SocketAddr, PathBuf)>) {
        self.shared.nodes().running = running.collect();
    }
}

impl Shared {
    fn nodes(&self) -> std::sync::MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next node, once it has all that any has; none where none runs.
    fn next(&self) -> Option<SocketAddr> {
        let (address, data, furthest) = {
            let mut nodes = self.nodes();
            nodes.turn += 1;
            let all = nodes.running.iter().filter_map(|(_, data)| last(data));
            nodes.furthest = all.chain([nodes.furthest]).max()?;
            let turn = nodes.turn.checked_rem(nodes.running.len())?;
            let (address, data) = nodes.running.get(turn)?.clone();
            (address, data, nodes.furthest)
        };
        let deadline = Instant::now() + PATIENCE;
        while last(&data) < Some(furthest) && Instant::now() < deadline {
            thread::sleep(AGAIN);
        }
        Some(address)
    }
}

/// How far a node has come; none where that can't be read now.
fn last(data: &std::path::Path) -> Option<Pos> {
    Reader::new(data).read_here(Reading::last).ok()
}

/// Moves what both ends say until both have ended.
fn join(client: &TcpStream, node: SocketAddr) {
    let Ok(node) = TcpStream::connect(node) else {
        return;
    };
    // Small messages go at once, as they came.
    let _ = (client.set_nodelay(true), node.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| pump(client, &node));
        pump(&node, client);
    });
}

fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    // Whoever broke off has ended, too.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // It waits for one more.
        let _ = TcpStream::connect(self.address);
    }
}
