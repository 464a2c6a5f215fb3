//! The HTTP that `object_store` speaks with an object store: hyper and rustls, as everywhere here,
//! instead of another client with another cryptographic library.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Sockets;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long one address may take to take a connection. The whole call has a limit of its own.
const CONNECT: Duration = Duration::from_secs(3);

/// Connections that are kept for the next calls, and for how long.
const KEPT: usize = 8;
const KEPT_FOR: Duration = Duration::from_secs(20);

/// What an answer's head, and what is read of its body ahead of whoever takes it, may hold, in bytes.
const BUFFER: usize = 64 * 1024;

/// What makes the client.
#[derive(Clone, Debug)]
pub(super) struct Connector(Caller);

#[derive(Clone, Debug)]
struct Caller {
    client: Client<HttpsConnector<Sockets>, HttpRequestBody>,
    /// How long the head of an answer may take.
    timeout: Duration,
}

impl Connector {
    /// One that trusts the authorities in the file `ca`, or else those of this system. Where there
    /// are none, no server is reached over TLS.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub(super) fn new(ca: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(file) => {
                let wrong =
                    |what: &dyn std::fmt::Display| format!("`ca`: {}: {what}", file.display());
                let certs = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
                for cert in certs {
                    let added = cert.map(|cert| roots.add(cert));
                    added
                        .map_err(|error| wrong(&error))?
                        .map_err(|error| wrong(&error))?;
                }
                if roots.is_empty() {
                    return Err(wrong(&"there is no certificate in it"));
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut sockets = Sockets::new();
        sockets.set_connect_timeout(Some(CONNECT));
        sockets.set_nodelay(true);
        sockets.enforce_http(false);
        // Where plain HTTP is not allowed, no such endpoint is taken.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT)
            .http1_max_buf_size(BUFFER)
            .build(connector);
        Ok(Self(Caller { client, timeout }))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[async_trait]
impl HttpService for Caller {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = tokio::time::timeout(self.timeout, self.client.request(request)).await;
        let answer = answered
            .map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?
            .map_err(|error| {
                let kind = match error.is_connect() {
                    true => HttpErrorKind::Connect,
                    false => HttpErrorKind::Interrupted,
                };
                HttpError::new(kind, error)
            })?;
        let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(broken))))
    }
}
