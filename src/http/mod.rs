//! The server's HTTP/1.1, written by hand on tokio's streams. It knows nothing of chat.
//!
//! Strict by RFC 9110 and RFC 9112: what two programs could read in two ways is refused with one
//! answer, and the connection is closed.
//!
//! | file | holds |
//! |---|---|
//! | `server.rs` | the accept loop, the bound on connections, the drain |
//! | `local.rs` | the accept loop of a Unix socket within the machine |
//! | `crowd.rs` | whose address counts behind proxies; the bound on what one address holds open |
//! | `door.rs` | a listener beside the server's own, for another protocol |
//! | `network.rs` | addresses and networks as settings list them (no I/O) |
//! | `conn.rs` | one connection: heads in, exchanges, keep-alive, closing without losing an answer |
//! | `exchange.rs` | one request and its answer: the service's call, `100 Continue`, streams |
//! | `input.rs`, `output.rs` | the read side with its buffer; the write side with its gathered writes |
//! | `line.rs` | lines that end with CRLF and nothing else (no I/O) |
//! | `head.rs` | bytes to a request head (no I/O) |
//! | `target.rs` | the grammar of request targets and `Host` (no I/O) |
//! | `framing.rs` | what a head says of body and connection (no I/O) |
//! | `chunked.rs` | the chunked coding's decoder (no I/O) |
//! | `body.rs` | the request's body as the service reads it |
//! | `upload.rs` | a body that is a file, raw or in a form |
//! | `accept.rs` | what a client accepts, by its weights (no I/O) |
//! | `range.rs` | conditional and ranged requests (no I/O) |
//! | `payload.rs` | the response's body as the service gives it |
//! | `tls.rs`, `pump.rs` | TLS at the edge; what moves bytes between it and a plain connection |
//! | `wire.rs` | a stream's socket outside its task |
//! | `response.rs` | the response's head (no I/O) |
//! | `router.rs`, `path.rs` | paths to targets; percent-decoding, once |
//! | `problem.rs` | refusals as `application/problem+json` |
//! | `date.rs` | the `Date` field |
//! | `request_id.rs` | what names a request in its answer and in the log |

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

mod accept;
mod body;
mod chunked;
mod conn;
mod crowd;
mod date;
mod door;
mod exchange;
mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod head;
mod input;
mod line;
mod local;
mod network;
mod output;
mod path;
mod payload;
mod problem;
mod pump;
mod range;
mod request_id;
mod response;
mod router;
mod server;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod upload;
mod wire;

pub use accept::lists;
pub use body::Body;
pub(crate) use crowd::{Places, holder, lists as has};
pub(crate) use door::{Door, next_guest};
pub use door::{Guest, GuestStream};
pub use local::serve_local;
pub use network::Network;
pub use payload::{Chunk, Payload, Source};
pub use problem::{Details, Problem};
pub use range::{Selected, select};
pub use request_id::{RequestId, X_REQUEST_ID};
pub use router::{Found, Params, RouteError, Router};
pub use server::serve;
pub use tls::{Tls, TlsError};
pub use upload::{Upload, UploadReader};
pub use wire::Wire;

/// A request; its extensions hold its [`Peer`].
///
/// `uri()` is what the request line had: an origin-form path, `*`, or an absolute URI; its
/// `path()` is raw and known to be percent-encoded UTF-8. For an absolute URI the `Host` field is
/// the URI's authority, whatever the client sent (RFC 9112, section 3.2.2).
pub type Request = http::Request<Body>;

/// A response. The connection itself sets `Date`, `Connection`, `Content-Length`,
/// `Transfer-Encoding` and `X-Request-Id`, and leaves the body away where there is none (`HEAD`,
/// 204, 205, 304).
///
/// Two fields of the service's count: `Connection: close` closes after this answer, and
/// `Content-Length` is kept in the answer to a `HEAD` whose payload is empty.
pub type Response = http::Response<Payload>;

/// Where a request came from, in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The one at the other end of the connection, or the one that a trusted proxy forwards.
    pub address: IpAddr,
    /// Whether a trusted proxy has said whose it is.
    pub is_proxied: bool,
}

/// What answers requests. One value serves all connections.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. Called once a request, in order within a connection.
    ///
    /// The call is dropped only when the connection fails while `100 Continue` is written, or
    /// when a drain is out of time; a client that goes away does not stop it. A panic closes this
    /// one connection.
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>>;
}

/// The bounds of the server, each with its answer when it is reached.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once. One more gets 503 `overloaded` and is closed.
    pub connections: usize,
    /// Connections that one address has open at once, a /64 of IPv6 being one; behind a proxy,
    /// requests and streams. One more gets 429 `too_many_connections`, and a connection is closed.
    pub per_address: usize,
    /// Those for whom `per_address` does not count.
    pub exempt: Vec<Network>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
    /// Bytes of a request line, its CRLF included (RFC 9112, section 3, wants 8,000 at least).
    /// Over it: 414 `uri_too_long`. More than 65,000 has no effect.
    pub request_line: usize,
    /// Bytes of a whole head, request line included. Over it: 431 `headers_too_large`. The
    /// extensions and the trailers of a chunked body, in total, have the same bound.
    pub head: usize,
    /// Field lines of a head, and of trailers. Over it: 431 `headers_too_large`.
    pub fields: usize,
    /// From a head's first byte to its last, in total. Over it: 408 `timeout`.
    pub head_timeout: Duration,
    /// From the first reading of a body to its last byte, in total, and a second more for each
    /// 16 KiB of it. Over it: 408 `timeout`.
    pub body_timeout: Duration,
    /// How long a connection may wait for the first byte of a request. Over it: closed.
    pub idle_timeout: Duration,
    /// How long a client may keep the server waiting while it takes one answer, in total, and a
    /// second more for each 16 KiB of it; of an endless stream, while it takes one write. Over it:
    /// closed.
    pub write_timeout: Duration,
    /// Bytes that the system holds for a client beyond what is on its way to it. More waits in the
    /// process, within its own bounds.
    pub unsent: u32,
    /// How long a drain waits for what is under way. Over it: aborted.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 256,
            exempt: vec![
                Network::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
                Network::new(Ipv6Addr::LOCALHOST.into(), 128),
            ],
            proxies: Vec::new(),
            request_line: 16 * 1024,
            head: 64 * 1024,
            fields: 128,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            unsent: 128 * 1024,
            drain_timeout: Duration::from_secs(8),
        }
    }
}
