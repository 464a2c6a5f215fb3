//! The layer over real sockets, with a small service behind it.

mod bodies;
mod bounds;
mod connections;
mod differential;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Far more than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers by the path, and counts what it does.
#[derive(Default)]
struct Desk {
    started: Notify,
    go_on: Notify,
    /// What the last stream at `/events`, which is endless, or `/feed` is fed with.
    events: std::sync::Mutex<Option<mpsc::UnboundedSender<Chunk>>>,
    sources: Arc<AtomicUsize>,
    source_dropped: Arc<Notify>,
}

impl Service for Desk {
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            assert!(
                request
                    .extensions()
                    .get::<Peer>()
                    .unwrap()
                    .address
                    .is_loopback()
            );
            let head_only = request.method() == Method::HEAD;
            let (parts, mut body) = request.into_parts();
            let payload = match parts.uri.path() {
                "/echo" => match body.bytes(1024 * 1024).await {
                    Ok(bytes) => Payload::Full(bytes),
                    Err(problem) => return problem.into_response(),
                },
                "/mirror" => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    tokio::spawn(async move {
                        while let Ok(Some(piece)) = body.chunk().await {
                            let _ = sender.send(Chunk::plain(piece));
                        }
                    });
                    self.stream(None, receiver, false)
                }
                "/slow" => {
                    self.started.notify_one();
                    self.go_on.notified().await;
                    Payload::Full("slow".into())
                }
                "/pieces" => self.stream(None, given(&["one", "", "two"]), false),
                "/sized" => self.stream(Some(6), given(&["one", "two"]), false),
                "/short" => self.stream(Some(7), given(&["one", "two"]), false),
                "/long" => self.stream(Some(5), given(&["one", "two"]), false),
                "/broken" => self.stream(None, given(&["one", "BREAK"]), false),
                path @ ("/events" | "/feed") => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    sender.send(Chunk::framed("hello")).unwrap();
                    *self.events.lock().unwrap() = Some(sender);
                    self.stream(None, receiver, path == "/events")
                }
                "/flood" => Payload::Stream {
                    length: None,
                    source: Box::new(Flood(Arc::clone(&self.source_dropped))),
                },
                "/panic" => panic!("as asked"),
                "/interim" => {
                    let mut response = Response::new(Payload::Empty);
                    *response.status_mut() = http::StatusCode::PROCESSING;
                    return response;
                }
                path => Payload::Full(format!("{} {path}", parts.method).into()),
            };
            assert!(!head_only || matches!(payload, Payload::Full(_)));
            Response::new(payload)
        })
    }
}

impl Desk {
    fn stream(
        &self,
        length: Option<u64>,
        receiver: mpsc::UnboundedReceiver<Chunk>,
        endless: bool,
    ) -> Payload {
        self.sources.fetch_add(1, Ordering::SeqCst);
        let (sources, dropped) = (Arc::clone(&self.sources), Arc::clone(&self.source_dropped));
        let source = Box::new(Channel {
            receiver,
            endless,
            sources,
            dropped,
        });
        Payload::Stream { length, source }
    }

    fn send_event(&self, text: &str) {
        self.events
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .send(Chunk::framed(text))
            .unwrap();
    }
}

/// Lets all else that can go on do so, and has the sockets looked at.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn given(pieces: &[&'static str]) -> mpsc::UnboundedReceiver<Chunk> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for piece in pieces {
        sender.send(Chunk::plain(*piece)).unwrap();
    }
    receiver
}

/// What comes from a channel; the text BREAK is an error.
struct Channel {
    receiver: mpsc::UnboundedReceiver<Chunk>,
    endless: bool,
    sources: Arc<AtomicUsize>,
    dropped: Arc<Notify>,
}

impl Source for Channel {
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Chunk>,
    ) -> Poll<io::Result<bool>> {
        match self.receiver.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Ok(false)),
            Poll::Ready(Some(chunk)) if chunk.data() == b"BREAK" => {
                Poll::Ready(Err(io::Error::other("as asked")))
            }
            Poll::Ready(Some(chunk)) => {
                out.push(chunk);
                Poll::Ready(Ok(true))
            }
        }
    }

    fn endless(&self) -> bool {
        self.endless
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.sources.fetch_sub(1, Ordering::SeqCst);
        self.dropped.notify_one();
    }
}

/// As much as the client takes.
struct Flood(Arc<Notify>);

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Source for Flood {
    fn poll_chunks(&mut self, _: &mut Context<'_>, out: &mut Vec<Chunk>) -> Poll<io::Result<bool>> {
        out.push(Chunk::plain(Bytes::from_static(&[b'x'; 64 * 1024])));
        Poll::Ready(Ok(true))
    }
}

struct Server {
    address: SocketAddr,
    desk: Arc<Desk>,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::start_with(None, limits).await
    }

    async fn start_with(tls: Option<Arc<Tls>>, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk::default());
        let (shutdown, receiver) = watch::channel(false);
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&desk), limits, receiver));
        Self {
            address,
            desk,
            shutdown,
            task,
        }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends on a connection of its own, and reads until the server closes.
    async fn talk(&self, input: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(input).await;
        client.rest().await
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, input: impl AsRef<[u8]>) {
        self.0.write_all(input.as_ref()).await.unwrap();
    }

    /// Says that nothing more is sent.
    async fn half_close(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads until `end` has come.
    async fn until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        let read = async {
            while !got.ends_with(end.as_bytes()) {
                got.push(self.0.read_u8().await.unwrap());
            }
        };
        if timeout(PATIENCE, read).await.is_err() {
            panic!("no {end:?} after {:?}", String::from_utf8_lossy(&got));
        }
        String::from_utf8(got).unwrap()
    }

    /// Reads until the server closes; a reset is an error.
    async fn try_rest(&mut self) -> io::Result<String> {
        let mut got = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut got))
            .await
            .expect("the server closes")?;
        Ok(String::from_utf8(got).unwrap())
    }

    async fn rest(&mut self) -> String {
        self.try_rest().await.unwrap()
    }
}

/// How often `text` has `part`.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a whole head").1
}
