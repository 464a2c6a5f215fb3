//! Connections that are freed of TLS: their ends, and clients that do not read.

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::testing::Folder;

/// A server with a certificate that it has signed itself, and what trusts it.
async fn start(limits: Limits) -> (Server, TlsConnector) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = Folder::new();
    let cert = folder.write("cert.pem", own.cert.pem());
    let key = folder.write("key.pem", own.signing_key.serialize_pem());
    let tls = Tls::open(&cert, &key).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&cert).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = Server::start_with(Some(Arc::new(tls)), limits).await;
    (server, TlsConnector::from(Arc::new(config)))
}

async fn connect(server: &Server, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await.unwrap()
}

async fn rest(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    let mut got = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut got))
        .await
        .expect("the server closes")?;
    Ok(String::from_utf8(got).unwrap())
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_has_an_end_only_if_it_is_whole() {
    let (server, connector) = start(Limits::default()).await;
    let mut whole = connect(&server, &connector).await;
    whole
        .write_all(b"GET /pieces HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(body(&rest(&mut whole).await.unwrap()), "onetwo");
    let mut broken = connect(&server, &connector).await;
    broken
        .write_all(b"GET /broken HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let error = rest(&mut broken).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}

#[tokio::test]
async fn one_who_has_said_all_still_gets_the_answer() {
    let (server, connector) = start(Limits::default()).await;
    let mut client = connect(&server, &connector).await;
    client
        .write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    timeout(PATIENCE, server.desk.started.notified())
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    server.desk.go_on.notify_one();
    assert!(rest(&mut client).await.unwrap().ends_with("slow"));
}

#[tokio::test]
async fn one_who_reads_nothing_is_let_go_after_the_time_for_a_write() {
    let (server, connector) = start(Limits {
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut client = connect(&server, &connector).await;
    client
        .write_all(b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let dropped = server.desk.source_dropped.notified();
    timeout(PATIENCE, dropped).await.expect("the flood ends");
    let ended = rest(&mut client).await;
    assert!(
        ended.is_err(),
        "a body that was cut off has no end in order"
    );
}

#[tokio::test]
async fn a_drain_ends_streams_in_order_and_waits_until_they_have_heard() {
    let (server, connector) = start(Limits::default()).await;
    let mut client = connect(&server, &connector).await;
    client
        .write_all(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 1024];
    let read = timeout(PATIENCE, client.read(&mut first))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&first[..read]).contains("200 OK"));
    server.shutdown.send_replace(true);
    let ended = rest(&mut client).await.unwrap();
    assert!(ended.ends_with("0\r\n\r\n"), "{ended}");
    drop(client);
    timeout(PATIENCE, server.task)
        .await
        .expect("the drain ends")
        .unwrap();
}
