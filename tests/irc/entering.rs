//! Coming in and going: names, passwords, capabilities, TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use veche::testing::{Folder, PATIENCE, Server, run, wait_until};

use super::stage::{Irc, address, config, password, server};

fn sasl(client: &mut Irc, nick: &str, password: &str) {
    client.send("CAP LS 302");
    client.send("CAP REQ :sasl");
    client.send("AUTHENTICATE PLAIN");
    client.until("AUTHENTICATE +");
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{nick}\0{password}"));
    client.send(&format!("AUTHENTICATE {plain}"));
}

#[test]
fn a_new_name_is_a_new_user_and_comes_back_by_its_password_over_irc_and_over_http() {
    let server = server("", "");
    let mut ann = Irc::dial(&server);
    ann.send("PASS secret-word");
    ann.send("NICK ann");
    ann.send("USER ann 0 * :Ann");
    let greeting = ann.until(" 366 ann #common ");
    for part in [
        " 001 ann ",
        " 005 ann CASEMAPPING=ascii ",
        " 422 ann ",
        ":ann!ann@veche JOIN #common",
    ] {
        assert!(
            greeting.iter().any(|line| line.contains(part)),
            "{part}: {greeting:#?}"
        );
    }
    let over_http = server.client(&json!({"name": "ann", "password": "secret-word"}));
    assert_eq!(over_http.name, "ann");
    let mut again = Irc::dial(&server);
    sasl(&mut again, "ANN", "secret-word");
    again.until(" 900 ");
    again.until(" 903 ");
    again.send("NICK something");
    again.send("USER ann 0 * :Ann");
    again.send("CAP END");
    let greeting = again.until(" 366 ann #common ");
    assert!(
        greeting.iter().any(|line| line.contains(" 001 ann ")),
        "{greeting:#?}"
    );
}

#[test]
fn a_wrong_password_lets_nobody_in() {
    let server = server("", "");
    server.client(&json!({"name": "ann", "password": "secret-word"}));
    server.connect("bob");
    let enter = |lines: &[&str]| {
        let mut client = Irc::dial(&server);
        for line in lines {
            client.send(line);
        }
        client.send("USER u 0 * :u");
        client
    };
    let mut wrong = enter(&["PASS secret", "NICK ann"]);
    let rest = wrong.rest();
    assert!(rest[0].contains(" 464 * :"), "{rest:#?}");
    assert!(rest[1].starts_with("ERROR :Closing Link"), "{rest:#?}");
    let mut none = enter(&["NICK ann"]);
    assert!(none.rest()[0].contains(" 464 * :"), "a password is needed");
    // Names that can't be had; another one can, on the same connection.
    let mut taken = enter(&["PASS secret", "NICK bob"]);
    taken.line(" 433 * bob ");
    taken.send("NICK a!b");
    taken.line(" 432 * a!b ");
    taken.send("NICK cat");
    taken.line(" 001 cat ");
    let mut denied = Irc::dial(&server);
    sasl(&mut denied, "ann", "secret");
    denied.line(" 904 * ");
    denied.send("AUTHENTICATE PLAIN");
    denied.line("AUTHENTICATE +");
    denied.send("AUTHENTICATE *");
    denied.line(" 906 * ");
    denied.send("AUTHENTICATE EXTERNAL");
    denied.line(" 908 * PLAIN ");
    // Before all that nothing can be done.
    denied.send("PRIVMSG #common :hello");
    denied.line(" 451 * ");
}

#[test]
fn a_client_is_signed_out_when_it_goes_whichever_way() {
    let mut server = server("", "");
    let ann = server.client(&json!({"name": "ann", "password": password("ann")}));
    let clients = || {
        let status = ann.get("/status").expect(200);
        status["user"]["clients"].as_array().unwrap().len()
    };
    Irc::plain(&server, "ann").quit();
    wait_until("the client to be signed out", || {
        (clients() == 1).then_some(())
    });
    drop(Irc::plain(&server, "ann"));
    wait_until("the client to be signed out", || {
        (clients() == 1).then_some(())
    });
    // Signed out from elsewhere, it is gone.
    let mut irc = Irc::plain(&server, "ann");
    let bob = server.client(&json!({"name": "ann", "password": password("ann")}));
    bob.post("/disconnect", &json!({"all": true})).expect(204);
    assert!(irc.rest().last().unwrap().contains("signed out"));
    // When the server stops, each is told, and signed out before the last write.
    let mut irc = Irc::plain(&server, "ann");
    assert!(server.stop().success());
    let rest = irc.rest();
    assert_eq!(
        rest.last().unwrap(),
        "ERROR :Closing Link: ann (the server stops)"
    );
    server.restart();
    let ann = server.client(&json!({"name": "ann", "password": password("ann")}));
    let status = ann.get("/status").expect(200);
    assert_eq!(status["user"]["clients"].as_array().unwrap().len(), 1);
}

#[test]
fn capabilities_are_negotiated_and_may_change_later() {
    let server = server("motd = \"one\\ntwo\"", "");
    let mut ann = Irc::dial(&server);
    ann.send("CAP LS");
    assert!(
        !ann.line(" CAP * LS ").contains("sasl="),
        "values are for 302"
    );
    ann.send("CAP LS 302");
    assert!(ann.line(" CAP * LS ").contains("sasl=PLAIN"));
    ann.send("CAP REQ :server-time teleport");
    ann.line(" CAP * NAK :server-time teleport");
    ann.send("CAP REQ :server-time");
    ann.line(" CAP * ACK :server-time");
    ann.send("PASS secret-word");
    ann.send("NICK ann");
    ann.send("USER ann 0 * :Ann");
    ann.send("CAP NONSENSE");
    ann.line(" 410 * NONSENSE ");
    ann.send("CAP END");
    let greeting = ann.until(" 366 ");
    for line in [" 375 ", " 372 ann :- one", " 372 ann :- two", " 376 "] {
        assert!(greeting.iter().any(|said| said.contains(line)), "{line}");
    }
    ann.send("CAP REQ :-server-time batch");
    ann.line(" CAP ann ACK ");
    ann.send("CAP LIST");
    assert!(
        ann.line(" CAP ann LIST :batch cap-notify")
            .ends_with("cap-notify")
    );
    for (line, answer) in [
        ("NICK bob", " 447 "),
        ("USER a b c d", " 462 "),
        ("AUTHENTICATE PLAIN", " 907 "),
        ("TELEPORT", " 421 ann TELEPORT "),
        ("KICK #common", " 461 ann KICK "),
        ("PRIVMSG", " 411 "),
        ("PRIVMSG ann", " 412 "),
        ("WHOIS nobody", " 401 ann nobody "),
        ("ISON ann nobody", " 303 ann :ann"),
        ("USERHOST ann", " 302 ann :ann=+ann@veche"),
        ("LUSERS", " 251 "),
        ("VERSION", " 351 "),
        ("WHOWAS x", " 406 "),
        ("MODE ann", " 221 ann +i"),
        ("MODE ann +x", " 501 "),
        ("AWAY", " 305 "),
    ] {
        ann.send(line);
        ann.line(answer);
    }
}

#[test]
fn it_listens_nowhere_unless_it_is_told_to() {
    let server = Server::start();
    assert!(!server.log().contains("listening, too"));
    let off = Server::with(config("enabled = false", ""));
    assert!(!off.log().contains("listening, too"));
}

#[test]
fn an_address_that_is_taken_stops_the_start_and_is_named() {
    let first = server("", "");
    let taken = address(&first, false);
    let folder = Folder::new();
    let text = config("", "").replacen("127.0.0.1:0", &taken.to_string(), 1);
    folder.write("config.toml", text + "[server]\nlisten = \"127.0.0.1:0\"\n");
    let output = run(folder.path(), ["serve"]);
    assert!(!output.status.success());
    let named = format!("features.irc.listen: {taken} can't be listened on");
    assert!(output.stderr.contains(&named), "{output:?}");
}

#[test]
fn with_a_certificate_there_is_tls_and_without_there_is_none() {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let cert = params
        .signed_by(&own, &issuer)
        .expect("a certificate")
        .pem();
    let folder = Folder::new();
    folder.write("cert.pem", &cert);
    folder.write("key.pem", own.serialize_pem());
    let path = |name: &str| folder.join(name).display().to_string();
    let tls = format!(
        "[server.tls]\ncert = {:?}\nkey = {:?}\n",
        path("cert.pem"),
        path("key.pem")
    );
    let secure = server("listen_tls = \"127.0.0.1:0\"", &tls);

    let mut roots = RootCertStore::empty();
    let der = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
    roots.add(der).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"irc".to_vec()];
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(address(&secure, true)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(b"PASS secret-word\r\nNICK ann\r\nUSER a 0 * :a\r\n")
        .expect("written");
    let mut lines = BufReader::new(tls).lines();
    assert!(lines.any(|line| line.expect("a line").contains(" 001 ann ")));
    // Plain lines are spoken at the other port alone.
    let mut plain = TcpStream::connect(address(&secure, true)).expect("a connection");
    plain.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    plain.write_all(b"NICK ann\r\n").expect("written");
    let mut reader = BufReader::new(plain);
    let mut heard = Vec::new();
    // What comes is an alert of TLS at most.
    let _ = std::io::Read::read_to_end(&mut reader, &mut heard);
    assert!(heard.len() < 16, "{heard:?}");
}

#[test]
fn where_nobody_can_listen_is_said_by_the_check_and_by_the_start_under_the_settings_names() {
    let folder = Folder::new();
    let told = |settings: &str| {
        folder.write("config.toml", format!("[features.irc]\n{settings}"));
        let [check, start] = [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]]
            .map(|arguments| run(folder.path(), arguments));
        assert!(!check.status.success() && !start.status.success());
        assert_eq!(check.stderr, start.stderr);
        check.stderr
    };
    let both = told("listen = \"6667\"\nlisten_tls = \"127.0.0.1:6697\"\n");
    for line in [
        "features.irc.listen: \"6667\" is no address to listen on: write an IP address or a host name, ",
        // What is to have TLS is never spoken without.
        "features.irc.listen_tls: \"127.0.0.1:6697\" needs a certificate, and [server.tls] has none",
    ] {
        assert!(both.contains(line), "{both}");
    }
    // Of a feature that is off nothing is asked.
    folder.write(
        "config.toml",
        "[features.irc]\nenabled = false\nlisten = \"6667\"\n",
    );
    let off = run(folder.path(), ["check"]);
    assert!(off.status.success(), "{off:?}");
}
