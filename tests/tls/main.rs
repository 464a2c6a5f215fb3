//! TLS: what the server speaks with a certificate, how it comes by another, and how the console
//! client verifies it. The authority is made here.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod console;
mod elsewhere;
mod serving;
mod starting;

use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use veche::testing::{Folder, PATIENCE, Server};

/// A connection whose bytes are the test's own, within TLS.
type TlsWire = StreamOwned<ClientConnection, TcpStream>;

/// Who vouches for servers.
struct Authority {
    folder: Folder,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of the tests");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let folder = Folder::new();
        folder.write("ca.pem", &pem);
        Self {
            folder,
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// The authority's own certificate.
    fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Writes a certificate for a server of that name, and its key: `cert.pem` and `key.pem`.
    fn certify(&self, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.folder.write("cert.pem", cert.pem());
        self.folder.write("key.pem", key.serialize_pem());
    }

    /// What a server needs for it to speak TLS, with further settings.
    fn settings(&self, server: &str) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "[server]\n{server}\n[server.tls]\ncert = {:?}\nkey = {:?}\n",
            path("cert.pem"),
            path("key.pem")
        )
    }

    /// A server with a certificate for 127.0.0.1.
    fn server(&self, server: &str) -> Server {
        self.certify("127.0.0.1");
        Server::builder()
            .core()
            .config(self.settings(server))
            .env("RUST_LOG", "debug")
            .start()
    }

    fn agent(&self) -> ureq::Agent {
        let ca = ureq::tls::Certificate::from_pem(self.pem.as_bytes()).expect("a certificate");
        let trust = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![ca])))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .tls_config(trust)
            .build()
            .new_agent()
    }

    /// A connection to a server, its handshake still to come.
    fn dial(&self, server: &Server) -> TlsWire {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate");
        roots.add(ca).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let stream = TcpStream::connect(server.address()).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        StreamOwned::new(connection, stream)
    }

    /// Joins as somebody new, and gives the token.
    fn join(&self, server: &Server, name: &str) -> String {
        let mut reply = self
            .agent()
            .post(format!("{}/connect", server.url()))
            .send_json(serde_json::json!({ "name": name }))
            .expect("an answer");
        let welcome: serde_json::Value = reply.body_mut().read_json().expect("JSON");
        welcome["token"].as_str().unwrap_or_default().to_owned()
    }
}

/// Reads until what came has `text`, and gives all of it.
fn read_until(wire: &mut TlsWire, text: &str) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(text.len()).any(|part| part == text.as_bytes()) {
        let read = wire.read(&mut piece).expect("more bytes");
        assert!(read > 0, "it ended without {text:?}");
        seen.extend_from_slice(&piece[..read]);
    }
    seen
}
