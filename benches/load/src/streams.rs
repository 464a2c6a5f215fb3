//! The streams: connections that only listen, on a thread of their own, so that what publishers
//! measure does not wait for what streams receive.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Problem;
use crate::mark::{self, Scanner};
use crate::protocol::Kind;
use crate::times::{Times, now};

/// How much one read takes; what a stream of a busy server holds at once.
const READ: usize = 256 * 1024;
/// How many streams are being opened at once: fewer than any server's backlog.
const OPENING: usize = 64;
/// How long one stream may take to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// After how long without any delivery the rest is given up.
const SILENCE: Duration = Duration::from_secs(3);

/// What the streams received.
pub struct Tally {
    /// From when a text was due to when a stream had it.
    pub times: Times,
    /// The texts that streams received, each once.
    pub delivered: u64,
    /// Those that a stream received again.
    pub doubled: u64,
    /// Those that a stream received after one that was due later.
    pub overtaken: u64,
    /// The streams that the server closed.
    pub closed: u64,
    /// When the last text was received.
    pub last: u64,
}

impl Tally {
    fn new() -> Result<Self, Problem> {
        let times = Times::new()?;
        Ok(Self {
            times,
            delivered: 0,
            doubled: 0,
            overtaken: 0,
            closed: 0,
            last: 0,
        })
    }
}

type Collect = oneshot::Sender<Tally>;

/// Open streams.
pub struct Streams {
    delivered: Arc<AtomicU64>,
    collect: mpsc::UnboundedSender<Collect>,
    thread: JoinHandle<Result<(), Problem>>,
}

impl Streams {
    /// Opens a stream for each of the tokens, at each of the addresses in turn.
    ///
    /// # Errors
    /// Where one does not open.
    pub async fn open(
        kind: Kind,
        addrs: &'static [SocketAddr],
        tokens: Vec<String>,
    ) -> Result<Self, Problem> {
        let delivered = Arc::new(AtomicU64::new(0));
        let (collect, asked) = mpsc::unbounded_channel();
        let (opened, all_open) = oneshot::channel();
        let total = delivered.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let local = LocalSet::new();
            runtime.block_on(local.run_until(listen(kind, addrs, tokens, total, opened, asked)))
        });
        let streams = Self {
            delivered,
            collect,
            thread,
        };
        if all_open.await.is_err() {
            streams.close()?;
            return Err("the streams ended before they were open".into());
        }
        Ok(streams)
    }

    /// Waits until so many texts have been received in all since the last
    /// [`collect`](Self::collect), or nothing comes any more, and tells what was received.
    ///
    /// # Errors
    /// Where the streams' thread has ended.
    pub async fn collect(&self, wanted: u64) -> Result<Tally, Problem> {
        let mut seen = 0;
        let mut since = Instant::now();
        // Nothing announces that a delivery does not come: that is what is found out here.
        while seen < wanted && since.elapsed() < SILENCE {
            sleep(Duration::from_millis(5)).await;
            let delivered = self.delivered.load(Ordering::Relaxed);
            if delivered != seen {
                (seen, since) = (delivered, Instant::now());
            }
        }
        let (sender, tally) = oneshot::channel();
        self.collect.send(sender).map_err(|_| "the streams ended")?;
        Ok(tally.await?)
    }

    /// Closes them all.
    ///
    /// # Errors
    /// What went wrong on their thread.
    pub fn close(self) -> Result<(), Problem> {
        drop(self.collect);
        self.thread
            .join()
            .map_err(|_| "the streams' thread panicked")?
    }
}

/// What all streams of the thread share.
struct Shared {
    buffer: Vec<u8>,
    finder: memmem::Finder<'static>,
    tally: Tally,
    delivered: Arc<AtomicU64>,
}

async fn listen(
    kind: Kind,
    addrs: &'static [SocketAddr],
    tokens: Vec<String>,
    delivered: Arc<AtomicU64>,
    opened: oneshot::Sender<()>,
    mut asked: mpsc::UnboundedReceiver<Collect>,
) -> Result<(), Problem> {
    let shared = Rc::new(RefCell::new(Shared {
        buffer: vec![0; READ],
        finder: mark::finder(),
        tally: Tally::new()?,
        delivered: delivered.clone(),
    }));
    let tokens = Rc::new(RefCell::new(tokens));
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..OPENING {
        let (tokens, shared) = (tokens.clone(), shared.clone());
        opening.spawn_local(async move {
            loop {
                let (left, token) = {
                    let mut tokens = tokens.borrow_mut();
                    (tokens.len(), tokens.pop())
                };
                let Some(token) = token else {
                    return Ok::<(), Problem>(());
                };
                let addr = addrs[left % addrs.len()];
                let open = timeout(PATIENCE, open_one(kind, addr, &token));
                let stream = open.await.map_err(|_| "a stream did not open")??;
                tokio::task::spawn_local(follow(stream, shared.clone()));
            }
        });
    }
    while let Some(done) = opening.join_next().await {
        done??;
    }
    // Nobody waits any more where the run was given up.
    let _ = opened.send(());
    while let Some(answer) = asked.recv().await {
        delivered.store(0, Ordering::Relaxed);
        let tally = std::mem::replace(&mut shared.borrow_mut().tally, Tally::new()?);
        let _ = answer.send(tally);
    }
    Ok(())
}

async fn open_one(kind: Kind, addr: SocketAddr, token: &str) -> Result<TcpStream, Problem> {
    let (request, open) = kind.subscribe(token)?;
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    while memmem::find(&answer, open.as_bytes()).is_none() {
        if stream.read_buf(&mut answer).await? == 0 {
            let said = String::from_utf8_lossy(&answer);
            return Err(format!("the server closed a stream: {said}").into());
        }
    }
    if answer.starts_with(b"HTTP/") && !answer.starts_with(b"HTTP/1.1 200") {
        return Err(format!("no stream: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(stream)
}

/// Reads a stream to its end.
async fn follow(stream: TcpStream, shared: Rc<RefCell<Shared>>) {
    let mut scanner = Scanner::default();
    // A bit for each text that was received.
    let mut seen: Vec<u64> = Vec::new();
    let mut latest = 0;
    while stream.readable().await.is_ok() {
        let shared = &mut *shared.borrow_mut();
        match stream.try_read(scanner.room(&mut shared.buffer)) {
            Ok(0) => break,
            Ok(read) => {
                let (now, tally) = (now(), &mut shared.tally);
                let before = tally.delivered;
                scanner.scan(&shared.finder, &shared.buffer, read, |mark| {
                    let (word, bit) = (mark.number as usize / 64, 1 << (mark.number % 64));
                    if seen.len() <= word {
                        seen.resize(word + 1, 0);
                    }
                    if seen[word] & bit != 0 {
                        tally.doubled += 1;
                        return;
                    }
                    seen[word] |= bit;
                    tally.delivered += 1;
                    tally.overtaken += u64::from(mark.due < latest);
                    latest = latest.max(mark.due);
                    tally.last = now;
                    tally.times.record(now.saturating_sub(mark.due));
                });
                let more = tally.delivered - before;
                shared.delivered.fetch_add(more, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    shared.borrow_mut().tally.closed += 1;
}
