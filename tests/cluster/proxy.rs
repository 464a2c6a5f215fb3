//! A way to a server that can be cut, or go silent: networks fail in more ways than processes.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener as Listener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// All of them run here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
});

/// How a way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All goes through.
    Open,
    /// Connections end, and new ones at once.
    Cut,
    /// Connections stay, and nothing goes through them, as where a cable is pulled.
    Silent,
    /// What the server says does not come through.
    Deaf,
}

/// What is to happen once a client says certain bytes.
struct Trap {
    bytes: &'static [u8],
    /// How the way is from then on.
    then: Way,
    /// Whether the server gets to hear them.
    heard: bool,
}

struct Shared {
    to: SocketAddr,
    way: watch::Sender<Way>,
    trap: Mutex<Option<Trap>>,
}

/// One way.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// An open way to a server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket");
        let shared = Arc::new(Shared {
            to: server,
            way: watch::Sender::new(Way::Open),
            trap: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        RUNTIME.spawn(async move {
            let listener = Listener::from_std(listener).expect("a socket");
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, Arc::clone(&serving)));
            }
        });
        Self { address, shared }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is from now on.
    pub fn set(&self, way: Way) {
        self.trap().take();
        self.shared.way.send_replace(way);
    }

    /// How it is once a client has said `bytes`, which the server hears.
    pub fn after(&self, bytes: &'static str, then: Way) {
        let heard = true;
        let bytes = bytes.as_bytes();
        *self.trap() = Some(Trap { bytes, then, heard });
    }

    /// How it is when a client says `bytes`, which the server does not hear.
    pub fn before(&self, bytes: &'static str, then: Way) {
        let heard = false;
        let bytes = bytes.as_bytes();
        *self.trap() = Some(Trap { bytes, then, heard });
    }

    fn trap(&self) -> std::sync::MutexGuard<'_, Option<Trap>> {
        let trap = self.shared.trap.lock();
        trap.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the way lets through what goes up, or down; false once it is cut.
async fn passes(way: &mut watch::Receiver<Way>, up: bool) -> bool {
    let now = way.wait_for(|way| match way {
        Way::Open | Way::Cut => true,
        Way::Deaf => up,
        Way::Silent => false,
    });
    now.await.is_ok_and(|way| *way != Way::Cut)
}

async fn join(client: TcpStream, shared: Arc<Shared>) {
    let mut way = shared.way.subscribe();
    if !passes(&mut way, true).await {
        return;
    }
    let Ok(server) = TcpStream::connect(shared.to).await else {
        return;
    };
    let (client_says, client_hears) = client.into_split();
    let (server_says, server_hears) = server.into_split();
    // Where one ends, so does the other.
    tokio::select! {
        () = pump(client_says, server_hears, true, &shared) => {}
        () = pump(server_says, client_hears, false, &shared) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, up: bool, shared: &Shared) {
    let mut way = shared.way.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    // What came before may be the beginning of what is looked for.
    let mut said = Vec::new();
    loop {
        let count = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = way.wait_for(|way| *way == Way::Cut) => 0,
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        if up {
            let mut trap = shared.trap.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(bytes);
            let sprung = trap.take_if(|trap| {
                said.windows(trap.bytes.len())
                    .any(|window| window == trap.bytes)
            });
            said.drain(..said.len().saturating_sub(64));
            if let Some(Trap { then, heard, .. }) = sprung {
                shared.way.send_replace(then);
                if !heard {
                    return;
                }
            }
        }
        if !passes(&mut way, up).await || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
