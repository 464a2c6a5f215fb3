//! TLS, at the edge: a connection is freed of it (`pump.rs`) before the rest of this layer sees it.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::StatusCode;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::input::Input;
use super::output::Output;
use super::pump::{Pump, Torn};
use super::{Limits, Problem, conn};

/// How much of a file is read: far more than a chain of certificates has.
const LONGEST: u64 = 1 << 20;

/// The first byte of a TLS handshake (RFC 8446, section 5.1). No request begins with it.
const HANDSHAKE: u8 = 22;

/// What the server shows of itself, and can show anew while it runs.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

/// A certificate and its key, as they were read.
pub struct Shown(Arc<ServerConfig>);

/// Why a certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not have what it should.
    #[error("{} has no {what} in PEM that can be read", file.display())]
    Without {
        /// The file.
        file: PathBuf,
        /// What it should have.
        what: &'static str,
        /// What is there instead, if anything.
        source: pem::Error,
    },
    /// The two can't be used, or don't belong together.
    #[error("the certificate of {} and the key of {} can't be used", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Tls {
    /// TLS with the certificate of one file, the others of its chain after it, and the private key
    /// of another, both in PEM.
    ///
    /// # Errors
    /// A file that can't be read or has not what it should, or a key of another certificate.
    pub fn open(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            config: RwLock::new(config(cert, key)?),
            cert: cert.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Reads both files again. This blocks, for as long as they do not answer.
    ///
    /// # Errors
    /// As at first.
    pub fn read(&self) -> Result<Shown, TlsError> {
        config(&self.cert, &self.key).map(Shown)
    }

    /// Shows what was read to connections that begin from now on.
    pub fn show(&self, shown: Shown) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = shown.0;
    }

    /// Waits for a client's handshake, as long as for a head. What does not become a TLS connection
    /// is closed; one that speaks plain HTTP is told so.
    pub(super) async fn greet(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        limits: &Limits,
    ) -> Option<Greeted> {
        let tls = match timeout(limits.head_timeout, self.shake_hands(stream)).await {
            Ok(Ok(Begun::Tls(tls))) => tls,
            Ok(Ok(Begun::Plain(stream))) => {
                refuse_plain(stream, peer, limits).await;
                return None;
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no TLS connection");
                return None;
            }
            Err(_) => {
                tracing::debug!(%peer, "no TLS handshake in time");
                return None;
            }
        };
        let torn = Torn::default();
        let greeted = pair().map(|(plain, other)| Greeted {
            pump: Pump::new(*tls, other, torn.clone(), limits.write_timeout),
            plain,
            peer,
            torn,
        });
        if let Err(error) = &greeted {
            tracing::warn!(%peer, %error, "a TLS connection can not be served");
        }
        greeted.ok()
    }

    /// Begins TLS with a client of another protocol than HTTP, whatever it calls that.
    pub(super) async fn bare(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut config = {
            let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
            ServerConfig::clone(&config)
        };
        config.alpn_protocols.clear();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<Begun> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE] {
            return Ok(Begun::Plain(stream));
        }
        let tls = self.acceptor().accept(stream).await?;
        Ok(Begun::Tls(Box::new(tls)))
    }

    fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }
}

/// How a connection began.
enum Begun {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
}

/// A connection that has been freed of TLS.
pub(super) struct Greeted {
    /// Its bytes in the clear.
    pub(super) plain: TcpStream,
    pub(super) peer: SocketAddr,
    /// Where a break is told.
    pub(super) torn: Torn,
    /// What moves them; to be run beside.
    pub(super) pump: Pump,
}

/// Two ends of a pipe within the process. The first is no TCP connection, but whatever this layer
/// and the hub's thread ask of one it answers the same, and so they need to know of one kind only.
fn pair() -> io::Result<(TcpStream, tokio::net::UnixStream)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    let one = std::net::TcpStream::from(OwnedFd::from(one));
    Ok((
        TcpStream::from_std(one)?,
        tokio::net::UnixStream::from_std(other)?,
    ))
}

async fn refuse_plain(stream: TcpStream, peer: SocketAddr, limits: &Limits) {
    let problem = Problem::new(
        StatusCode::BAD_REQUEST,
        "https_required",
        "this port speaks HTTPS, and this was plain HTTP: write https:// in the address",
    );
    let (read, write) = stream.into_split();
    let mut output = Output::new(write, limits.write_timeout);
    conn::refuse(problem, peer, &mut output, Input::new(read)).await;
}

fn config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read(cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.and_then(|chain| match chain.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(chain),
    });
    let without = |file: &Path, what| {
        let file = file.to_owned();
        move |source| TlsError::Without { file, what, source }
    };
    let chain = chain.map_err(without(cert, "certificate"))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(without(key, "private key"))?;
    let unusable = |source| TlsError::Unusable {
        cert: cert.to_owned(),
        key: key.to_owned(),
        source,
    };
    // Named here, so that it does not depend on what else is linked in.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LONGEST).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
    Ok(bytes)
}
