//! One request and its answer, on a connection of its own.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Position, Url};

use super::{CallError, Called};

/// How long one address may take to take a connection. The whole call has a limit of its own.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest head of an answer, in bytes.
const HEAD: usize = 16 * 1024;

/// How much of an answer's body is read, in bytes, so that who sends it is not cut off while at it.
const BODY: usize = 64 * 1024;

/// How long that may take. What is answered stands in the head.
const LINGER: Duration = Duration::from_secs(1);

/// Who calls.
const AGENT: &str = concat!("veche/", env!("CARGO_PKG_VERSION"));

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A POST of JSON; none where a URL can't be said in a head.
pub(super) fn request(url: &Url, headers: HeaderMap, json: String) -> Option<Request<String>> {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let mut request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
        .body(json)
        .ok()?;
    *request.headers_mut() = headers;
    let own = [
        (HOST, HeaderValue::from_str(host).ok()?),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CONNECTION, HeaderValue::from_static("close")),
    ];
    for (name, value) in own {
        request.headers_mut().insert(name, value);
    }
    Some(request)
}

/// Connects to the first of these addresses that takes connections.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, CallError> {
    let mut came = CallError::Unreachable;
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => {}
            Err(_) => came = CallError::Timeout,
        }
    }
    Err(came)
}

/// TLS by the authorities that this system trusts.
pub(super) async fn tls() -> Result<TlsConnector, CallError> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let loaded = loaded.map_err(|_| CallError::Tls)?;
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(loaded.certs);
    if taken == 0 {
        let error = loaded.errors.first().map(tracing::field::display);
        tracing::warn!(error, "this system has no certificates of authorities");
        return Err(CallError::Tls);
    }
    // Named here, so that it does not depend on what else is linked in.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| CallError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Begins TLS with the server that a URL names, and with no other.
pub(super) async fn shake_hands(
    tls: &TlsConnector,
    url: &Url,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, CallError> {
    let name = match url.host().ok_or(CallError::Tls)? {
        url::Host::Domain(name) => ServerName::try_from(name.to_owned()),
        url::Host::Ipv4(address) => Ok(std::net::IpAddr::V4(address).into()),
        url::Host::Ipv6(address) => Ok(std::net::IpAddr::V6(address).into()),
    };
    let name = name.map_err(|_| CallError::Tls)?;
    let begun = tls.connect(name, stream).await;
    begun.map_err(|error| {
        tracing::debug!(%error, "beginning TLS");
        CallError::Tls
    })
}

/// Sends a request and reads its answer, whose head must have come by then; the connection ends.
pub(super) async fn ask(
    stream: Box<dyn Stream>,
    request: Request<String>,
    until: Instant,
) -> Result<Called, CallError> {
    let wrong = |error: hyper::Error| {
        tracing::debug!(error = crate::bus::causes(&error), "asking");
        CallError::Protocol
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(wrong)?;
    let mut connection = pin!(connection);
    let mut asking = pin!(async {
        let answer = timeout_at(until, sender.send_request(request)).await;
        let answer = answer.map_err(|_| CallError::Timeout)?.map_err(wrong)?;
        let (head, body) = answer.into_parts();
        // Its length changes nothing.
        let _ = timeout(LINGER, pass_over(body)).await;
        Ok(Called {
            status: head.status,
            headers: head.headers,
        })
    });
    let mut is_over = false;
    loop {
        tokio::select! {
            called = &mut asking => return called,
            // What it had to say it has said to whoever asks.
            _ = &mut connection, if !is_over => is_over = true,
        }
    }
}

/// Reads a body, at most so much of it. What becomes of it is of no interest.
async fn pass_over(mut body: Incoming) {
    let mut read = 0;
    while read < BODY {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else { return };
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_host_and_port_that_its_url_does() {
        for (url, host, target) in [
            ("https://example.org:443", "example.org", "/"),
            (
                "http://example.org:8080/a?b=c",
                "example.org:8080",
                "/a?b=c",
            ),
            (
                "http://[2606:4700::1]:81/x y",
                "[2606:4700::1]:81",
                "/x%20y",
            ),
        ] {
            let url = Url::parse(url).expect("a URL");
            let theirs = HeaderMap::from_iter([(HOST, HeaderValue::from_static("internal"))]);
            let request = request(&url, theirs, "{}".to_owned()).expect("a request");
            assert_eq!(request.uri(), target);
            let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
            assert_eq!(hosts, [host], "one alone");
        }
    }
}
