//! The same bytes to this layer and to hyper's server, a connection each: what hyper refuses is
//! refused here, and what both take is read alike.

use std::convert::Infallible;
use std::sync::Mutex;

use http::HeaderMap;
use http::header::HOST;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

use super::*;
use crate::fuzz::fuzz;

/// Longer inputs meet limits, which differ by intent.
const LONGEST: usize = 8 * 1024;

/// A request as a service sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: Method,
    target: String,
    version: http::Version,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seen {
    fn new(parts: &http::request::Parts, body: Vec<u8>) -> Self {
        Self {
            method: parts.method.clone(),
            target: parts.uri.to_string(),
            version: parts.version,
            headers: sorted(&parts.headers, parts.uri.authority().is_some()),
            body,
        }
    }
}

/// The fields; that of the host is what the target says, where it says it.
fn sorted(headers: &HeaderMap, is_absolute: bool) -> Vec<(String, Vec<u8>)> {
    let fields = headers
        .iter()
        .filter(|(name, _)| !is_absolute || *name != HOST);
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    // Only the order of fields of one name has a meaning, and sorting keeps it.
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// Writes down each request that comes whole.
#[derive(Default)]
struct Clerk(Log);

impl Service for Clerk {
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            match body.bytes(LONGEST).await {
                Ok(body) => self.0.lock().unwrap().push(Seen::new(&parts, body.into())),
                Err(problem) => return problem.into_response(),
            }
            Response::new(Payload::Empty)
        })
    }
}

async fn hypers(
    request: hyper::Request<Incoming>,
    log: Log,
) -> Result<hyper::Response<String>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut whole = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => whole.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(_broken) => return Ok(hyper::Response::new(String::new())),
        }
    }
    log.lock().unwrap().push(Seen::new(&parts, whole));
    Ok(hyper::Response::new(String::new()))
}

/// Both servers, and what they have seen.
struct Pair {
    runtime: Runtime,
    ours: (SocketAddr, Log),
    hypers: (SocketAddr, Log),
    _shutdown: watch::Sender<bool>,
}

impl Pair {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let (shutdown, draining) = watch::channel(false);
        let clerk = Arc::new(Clerk::default());
        let log = Log::default();
        let (one, other) = runtime.block_on(async {
            let bind = || TcpListener::bind("127.0.0.1:0");
            (bind().await.unwrap(), bind().await.unwrap())
        });
        let ours = (one.local_addr().unwrap(), Arc::clone(&clerk.0));
        let hypers = (other.local_addr().unwrap(), Arc::clone(&log));
        runtime.spawn(serve(one, None, clerk, Limits::default(), draining));
        runtime.spawn(async move {
            loop {
                let (stream, _) = other.accept().await.unwrap();
                let log = Arc::clone(&log);
                let service = service_fn(move |request| self::hypers(request, Arc::clone(&log)));
                let mut server = hyper::server::conn::http1::Builder::new();
                let server = server.half_close(true).max_headers(128);
                // A refusal is an error of the connection.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        });
        Self {
            runtime,
            ours,
            hypers,
            _shutdown: shutdown,
        }
    }

    /// What a server sees of a connection with these bytes.
    fn seen(&self, (address, log): &(SocketAddr, Log), input: &[u8]) -> Vec<Seen> {
        self.runtime.block_on(async {
            let mut client = TcpStream::connect(address).await.unwrap();
            // A server that has refused may be gone.
            let _ = client.write_all(input).await;
            let _ = client.shutdown().await;
            let mut answer = Vec::new();
            let end = timeout(PATIENCE, client.read_to_end(&mut answer));
            assert!(end.await.is_ok(), "the server closes");
        });
        std::mem::take(&mut *log.lock().unwrap())
    }

    fn compare(&self, input: &[u8]) {
        if input.len() > LONGEST {
            return;
        }
        let ours = self.seen(&self.ours, input);
        let hypers = self.seen(&self.hypers, input);
        let as_many = &hypers[..ours.len().min(hypers.len())];
        assert_eq!(ours, as_many, "hyper takes {} requests", hypers.len());
    }
}

#[test]
fn what_hyper_refuses_is_refused_and_what_both_take_is_read_alike() {
    let pair = Pair::start();
    for seeds in ["heads", "framing"] {
        fuzz(seeds, |input| pair.compare(input));
    }
}

#[test]
fn both_take_what_is_valid() {
    let pair = Pair::start();
    let input = b"POST /a?b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let ours = pair.seen(&pair.ours, input);
    assert_eq!(ours.len(), 2);
    assert_eq!(ours, pair.seen(&pair.hypers, input));
    let smuggled = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(pair.seen(&pair.ours, smuggled), []);
}
