//! One connection: a head, an exchange, and again; and the closing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Version};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::crowd::{Crowd, Place};
use super::exchange::Reading;
use super::head::{self, Head, Scanner};
use super::input::Input;
use super::output::Output;
use super::problem::{malformed, timeout as timed_out};
use super::pump::Torn;
use super::response::{self, Asked, Content};
use super::server::Shutdown;
use super::wire::{Away, Return};
use super::{Limits, Problem, RequestId, Response, Service};
use crate::counts::COUNTS;

/// How much is read away, and how long, before a connection is closed. A socket that is closed
/// while bytes wait in it is reset, and a reset can take the answer away that the client has not
/// read yet (RFC 9112, section 9.6).
/// Where a body was left unread its client may still be sending, and gets more of both.
const LINGER: (usize, Duration) = (256 * 1024, Duration::from_secs(1));
const LINGER_IN_BODY: (usize, Duration) = (32 * 1024 * 1024, Duration::from_secs(5));

/// Room for one reading of a head.
const ROOM: usize = 8 * 1024;

/// What all connections share.
pub(super) struct Hall<S> {
    pub(super) service: Arc<S>,
    pub(super) limits: Arc<Limits>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) shutdown: Shutdown,
    /// Where streams that leave their tasks are counted, and come back to.
    pub(super) away: mpsc::UnboundedSender<Away>,
}

impl<S> Clone for Hall<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            limits: Arc::clone(&self.limits),
            crowd: Arc::clone(&self.crowd),
            shutdown: self.shutdown.clone(),
            away: self.away.clone(),
        }
    }
}

/// One connection with all that its exchanges need.
pub(super) struct Connection<S> {
    pub(super) hall: Hall<S>,
    pub(super) peer: SocketAddr,
    /// What the client holds: the connection, or, behind a proxy, the exchange.
    pub(super) place: Place,
    pub(super) output: Output,
}

/// Serves a connection until it is closed, or its stream leaves the task. `torn` is where its
/// breaking off is told, if it is no TCP connection.
pub(super) async fn run<S: Service>(
    stream: TcpStream,
    torn: Option<Torn>,
    peer: SocketAddr,
    place: Place,
    hall: Hall<S>,
) {
    let (mut connection, input) = connect(stream, peer, place, hall);
    connection.output.torn = torn;
    serve(connection, input).await;
}

/// Goes on with a connection whose stream comes back: one in the chunked coding, whose breaking off
/// shows by itself.
pub(super) async fn resume<S: Service>(back: Return, hall: Hall<S>) {
    let peer = back.peer;
    let stream = match TcpStream::from_std(back.socket) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "a stream can not be taken back"),
    };
    let (connection, input) = connect(stream, peer, back.place, hall);
    if let Some((connection, input)) = connection
        .resume(back.rest, back.source, back.closes, input)
        .await
    {
        serve(connection, input).await;
    }
}

fn connect<S>(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    hall: Hall<S>,
) -> (Connection<S>, Input) {
    let (read, write) = stream.into_split();
    let output = Output::new(write, hall.limits.write_timeout);
    let connection = Connection {
        hall,
        peer,
        place,
        output,
    };
    (connection, Input::new(read))
}

async fn serve<S: Service>(mut connection: Connection<S>, mut input: Input) {
    loop {
        match connection.next_head(&mut input).await {
            Ok(Some(head)) => {
                let is_proxy = connection.hall.crowd.is_proxy(connection.peer.ip());
                let given = is_proxy
                    .then(|| RequestId::brought(&head.headers))
                    .flatten();
                let id = given.unwrap_or_else(RequestId::new);
                let exchange = connection.exchange(head, input, id.clone());
                match id.scope(exchange).await {
                    Some(kept) => (connection, input) = kept,
                    None => return,
                }
                if is_proxy {
                    // Whoever asks next may be another.
                    connection.place = Place::default();
                }
            }
            Ok(None) => return,
            Err(problem) => {
                return refuse(problem, connection.peer, &mut connection.output, input).await;
            }
        }
        // A client may send many requests ahead that are all answered at once.
        tokio::task::consume_budget().await;
    }
}

impl<S> Connection<S> {
    /// The next request's head; `None` when there is none: the client has closed, or has been
    /// idle for too long, or the server drains.
    async fn next_head(&mut self, input: &mut Input) -> Result<Option<Head>, Problem> {
        input.release();
        if input.buf.is_empty() && !self.wait_for_more(input).await {
            return Ok(None);
        }
        let patience = self.hall.limits.head_timeout;
        let deadline = Instant::now() + patience;
        let mut scanner = Scanner::default();
        loop {
            if let Some(raw) = scanner.take(&mut input.buf, &self.hall.limits)? {
                return head::parse(&raw).map(Some);
            }
            match timeout_at(deadline, input.fill(ROOM)).await {
                Ok(Ok(1..)) => {}
                Ok(Err(_)) => return Ok(None),
                // An empty line after a body, as some clients send it, is no request.
                _ if input.buf[..] == *b"\r\n" => return Ok(None),
                Ok(Ok(_)) => return Err(malformed("the head is cut off")),
                Err(_) => {
                    let seconds = patience.as_secs_f32();
                    return Err(timed_out(format!(
                        "the head has not come within {seconds} s"
                    )));
                }
            }
        }
    }

    /// Waits for the first byte of a request. What has come is taken before the drain is looked
    /// at, so that a request that was sent in time is answered.
    async fn wait_for_more(&mut self, input: &mut Input) -> bool {
        let more = async {
            tokio::select! {
                biased;
                read = input.fill(ROOM) => matches!(read, Ok(1..)),
                () = self.hall.shutdown.wait() => false,
            }
        };
        timeout(self.hall.limits.idle_timeout, more)
            .await
            .unwrap_or(false)
    }
}

/// Answers a problem of the layer itself, and closes.
pub(super) async fn refuse(problem: Problem, peer: SocketAddr, output: &mut Output, input: Input) {
    let id = RequestId::new();
    let peer = peer.ip().to_canonical();
    let response = id.clone().scope_sync(|| refusal(problem, peer));
    let (parts, payload) = response.into_parts();
    // The request is not understood, so nothing of it counts: not even a HEAD.
    let asked = Asked {
        method: Method::GET,
        version: Version::HTTP_11,
        id,
    };
    let answer = response::answer(&asked, &parts, payload, true);
    output.queue.push(answer.head);
    if let Content::Whole(bytes) = answer.content {
        output.queue.push(bytes);
    }
    if output.flush().await.is_ok() {
        close(output, Reading::Bare(input)).await;
    }
}

/// A problem of the layer itself as a response.
pub(super) fn refusal(problem: Problem, peer: IpAddr) -> Response {
    let (status, code, detail) = (problem.status.as_u16(), &*problem.code, &*problem.detail);
    tracing::info!(%peer, status, code, detail, "refused");
    COUNTS.elsewhere.count(problem.status, Duration::ZERO);
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Closes in order: says that nothing more comes, then reads away what still does, briefly.
pub(super) async fn close(output: &mut Output, mut reading: Reading) {
    output.finish().await;
    let (most, patience) = if reading.is_in_body() {
        LINGER_IN_BODY
    } else {
        LINGER
    };
    let rest = async {
        if let Some(mut input) = reading.back().await
            && !input.ended
        {
            input.drain(most).await;
        }
    };
    // Whether the peer was quick enough makes no difference: the connection ends here.
    let _ = timeout(patience, rest).await;
}
