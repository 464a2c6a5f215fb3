//! How a server comes by its certificate, and by another one.

use std::io::Write;

use rcgen::{CertificateParams, KeyPair};
use veche::testing::{Folder, Server, run, wait_until};

use super::{Authority, TlsWire, read_until};

/// The certificate that a server shows.
fn shown(authority: &Authority, server: &Server) -> Vec<u8> {
    let mut wire = authority.dial(server);
    wire.flush().expect("a handshake");
    certificate(&wire)
}

fn certificate(wire: &TlsWire) -> Vec<u8> {
    let chain = wire.conn.peer_certificates().unwrap_or_default();
    chain.first().expect("a certificate").to_vec()
}

#[test]
fn sighup_has_the_certificate_read_again_and_breaks_no_connection() {
    let authority = Authority::new();
    let mut server = authority.server("");
    let token = authority.join(&server, "ann");
    let first = shown(&authority, &server);
    let mut stream = authority.dial(&server);
    let asked = format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(asked.as_bytes()).expect("written");
    read_until(&mut stream, "event: hello");
    authority.certify("127.0.0.1");
    server.terminate("HUP");
    wait_until("the certificate to be read again", || {
        server
            .log()
            .contains("the certificate was read again")
            .then_some(())
    });
    let second = shown(&authority, &server);
    assert_ne!(first, second);
    let sent = authority
        .agent()
        .post(format!("{}/send", server.url()))
        .header("Authorization", format!("Bearer {token}"))
        .send_json(serde_json::json!({ "to": "common", "text": "still there" }));
    assert_eq!(sent.expect("an answer").status(), 201);
    read_until(&mut stream, "still there");
    assert_eq!(certificate(&stream), first);

    // A pair that does not belong together: the one before stays, and the log says why.
    let other = KeyPair::generate().expect("a key");
    authority.folder.write("key.pem", other.serialize_pem());
    server.terminate("HUP");
    wait_until("the refusal of the new certificate", || {
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("stays the one before"))?;
        assert!(line.contains("key.pem"), "{line}");
        Some(())
    });
    assert_eq!(shown(&authority, &server), second);
    assert!(server.stop().success());
}

#[test]
fn a_certificate_that_never_ends_keeps_neither_the_next_from_being_read_nor_the_server_from_stopping()
 {
    let authority = Authority::new();
    let mut server = authority.server("");
    let first = shown(&authority, &server);
    let file = authority.folder.join("cert.pem");
    std::fs::remove_file(&file).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.expect("mkfifo is there").success());
    server.terminate("HUP");
    // Its other end opens when it is being read.
    let writer = std::fs::File::options().write(true).open(&file);
    wait_until("the refusal", || {
        let log = server.log();
        log.contains("did not answer within").then_some(())
    });
    assert_eq!(shown(&authority, &server), first);
    std::fs::remove_file(&file).expect("removed");
    authority.certify("127.0.0.1");
    server.terminate("HUP");
    wait_until("the new one", || {
        (shown(&authority, &server) != first).then_some(())
    });
    assert!(server.stop().success());
    assert!(server.log().ends_with("stopped\n"), "{}", server.log());
    drop(writer);
}

#[test]
fn without_tls_sighup_changes_nothing() {
    let mut server = Server::core();
    server.terminate("HUP");
    wait_until("the line on it", || {
        server.log().contains("nothing is read again").then_some(())
    });
    server.guest().get("/healthz").expect(200);
    assert!(server.stop().success());
}

#[test]
fn a_key_may_lie_in_the_certificates_file() {
    let authority = Authority::new();
    authority.certify("127.0.0.1");
    let read = |name: &str| std::fs::read_to_string(authority.folder.join(name));
    let both = read("cert.pem").expect("a file") + &read("key.pem").expect("a file");
    let file = authority.folder.write("both.pem", both);
    let server = Server::builder()
        .core()
        .config(format!(
            "[server.tls]\ncert = {:?}\n",
            file.display().to_string()
        ))
        .start();
    shown(&authority, &server);
}

#[test]
fn a_start_that_finds_no_certificate_to_use_says_which_file_and_why() {
    let authority = Authority::new();
    authority.certify("127.0.0.1");
    let folder = Folder::new();
    let other = KeyPair::generate().expect("a key");
    let expired = {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.self_signed(&other).expect("a certificate").pem()
    };
    authority.folder.write("other.pem", other.serialize_pem());
    authority.folder.write("empty.pem", "");
    authority.folder.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    );
    authority.folder.write("expired.pem", expired);
    for (cert, key, said) in [
        (
            "missing.pem",
            "key.pem",
            "missing.pem can't be read: No such file",
        ),
        (
            "cert.pem",
            "missing.pem",
            "missing.pem can't be read: No such file",
        ),
        (
            "empty.pem",
            "key.pem",
            "empty.pem has no certificate in PEM",
        ),
        (
            "broken.pem",
            "key.pem",
            "broken.pem has no certificate in PEM",
        ),
        ("cert.pem", "cert.pem", "cert.pem has no private key in PEM"),
        ("cert.pem", "other.pem", "other.pem can't be used"),
    ] {
        let path = |name: &str| authority.folder.join(name).display().to_string();
        let (cert, key) = (path(cert), path(key));
        folder.write(
            "config.toml",
            format!("[server.tls]\ncert = {cert:?}\nkey = {key:?}\n"),
        );
        let output = run(folder.path(), ["--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains(said), "{said}: {}", output.stderr);
        assert!(output.stderr.contains("[server.tls]"), "{}", output.stderr);
        assert!(!folder.join("data").exists(), "nothing was begun");
    }
}

#[test]
fn check_says_where_a_certificate_can_not_be_used() {
    let folder = Folder::new();
    let config = "[server.tls]\ncert = \"nothing.pem\"\nkey = \"nothing.key\"\n";
    folder.write("config.toml", config);
    let checked = run(folder.path(), ["check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(checked.stderr.contains("nothing.pem"), "{checked:?}");
}
