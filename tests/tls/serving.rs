//! What a server with a certificate speaks.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use veche::testing::{Wire, wait_until};

use super::{Authority, read_until};

#[test]
fn requests_and_streams_go_through_tls() {
    let authority = Authority::new();
    let server = authority.server("");
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let token = authority.join(&server, "ann");
    let mut stream = authority.dial(&server);
    let asked = format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(asked.as_bytes()).expect("written");
    read_until(&mut stream, "event: hello");
    let agent = authority.agent();
    for text in ["one", "two"] {
        let reply = agent
            .post(format!("{}/send", server.url()))
            .header("Authorization", format!("Bearer {token}"))
            .send_json(json!({ "to": "common", "text": text }))
            .expect("an answer");
        assert_eq!(reply.status(), 201);
        // The second finds the stream with the hub's thread.
        read_until(&mut stream, &format!("\"text\":\"{text}\""));
    }
    assert_eq!(
        stream.conn.alpn_protocol(),
        None,
        "none was asked for, so none is chosen"
    );
}

#[test]
fn plain_http_on_the_port_is_refused_with_the_scheme_to_use() {
    let authority = Authority::new();
    let server = authority.server("");
    for request in [
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut wire = server.wire();
        wire.write(request);
        let answer = wire.response();
        assert_eq!(answer.status(), 400, "{:?}", answer.head);
        let problem = answer.json();
        assert_eq!(problem["code"], "https_required", "{problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("https://"), "{detail}");
        assert!(answer.header("x-request-id").is_some() && answer.closes());
        assert!(wire.closed());
    }
}

#[test]
fn who_does_not_go_on_with_a_handshake_is_let_go() {
    let authority = Authority::new();
    let server = authority.server("head_timeout = \"300ms\"");
    // Nothing, and the beginning of a record.
    for beginning in [&b""[..], &[22, 3, 1]] {
        let mut wire = Wire::open(server.address());
        wire.write(beginning);
        let begun = Instant::now();
        assert!(wire.closed(), "nothing is said to it");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(200), "{waited:?}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    }
    // Others were served meanwhile, and are after it.
    authority.join(&server, "ann");
}

#[test]
fn handshakes_that_do_not_go_on_take_the_places_of_connections_and_no_others() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(8_000)), hard).expect("a limit");
    let authority = Authority::new();
    let server = authority.server("");
    // As many as five addresses may have.
    let begun: Vec<_> = (0..5 * 256)
        .map(|_| {
            let mut wire = Wire::open(server.address());
            wire.write([22, 3, 1]);
            wire
        })
        .collect();
    authority.join(&server, "ann");
    drop(begun);
}

#[test]
fn a_stop_ends_a_stream_in_order() {
    let authority = Authority::new();
    let mut server = authority.server("");
    let token = authority.join(&server, "ann");
    let mut stream = authority.dial(&server);
    let asked = format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(asked.as_bytes()).expect("written");
    read_until(&mut stream, "event: hello");
    server.terminate("TERM");
    let mut rest = Vec::new();
    // Without the alert that says that this is the end (RFC 8446, section 6.1), it is an error.
    stream.read_to_end(&mut rest).expect("an end in order");
    assert!(
        rest.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    drop(stream);
    assert!(server.stopped().success());
}

#[test]
fn a_crash_is_no_end_in_order() {
    let authority = Authority::new();
    let mut server = authority.server("");
    let mut wire = authority.dial(&server);
    wire.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("written");
    read_until(&mut wire, "\"ok\"");
    server.kill();
    assert!(wire.read(&mut [0; 16]).is_err());
}

#[test]
fn one_who_only_closes_is_no_trouble() {
    let authority = Authority::new();
    let mut server = authority.server("");
    let token = authority.join(&server, "ann");
    for _ in 0..3 {
        let mut stream = authority.dial(&server);
        let asked =
            format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(asked.as_bytes()).expect("written");
        read_until(&mut stream, "event: hello");
        drop(stream);
    }
    // Their streams are over: the user is seen as gone.
    let agent = authority.agent();
    wait_until("the user to be gone", || {
        let mut reply = agent
            .get(format!("{}/users", server.url()))
            .header("Authorization", format!("Bearer {token}"))
            .call()
            .ok()?;
        let users: Value = reply.body_mut().read_json().ok()?;
        (users["users"][0]["online"] == false).then_some(())
    });
    assert!(server.stop().success());
}

#[test]
fn one_connection_too_many_is_told_so_by_tls() {
    let authority = Authority::new();
    let server = authority.server("connections = 1");
    let mut first = authority.dial(&server);
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("written");
    read_until(&mut first, "\"ok\"");
    let mut second = authority.dial(&server);
    second.flush().expect("a handshake");
    let mut answer = String::new();
    second.read_to_string(&mut answer).expect("an end in order");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("overloaded"), "{answer}");
    // The place is free again once the first has gone.
    drop(first);
    wait_until("a place", || {
        let reply = authority.agent().get(format!("{}/healthz", server.url()));
        (reply.call().ok()?.status() == 200).then_some(())
    });
}

#[test]
fn what_is_long_comes_whole_also_to_one_who_reads_slowly() {
    let authority = Authority::new();
    let server = authority.server("");
    let token = authority.join(&server, "ann");
    let agent = authority.agent();
    // Characters of four bytes: some 3 MB in all, more than sockets hold.
    let text = "😀".repeat(4000);
    for _ in 0..200 {
        let reply = agent
            .post(format!("{}/send", server.url()))
            .header("Authorization", format!("Bearer {token}"))
            .send_json(json!({ "to": "common", "text": text }))
            .expect("an answer");
        assert_eq!(reply.status(), 201);
    }
    let mut wire = authority.dial(&server);
    let asked = format!(
        "GET /messages?chat=common&limit=200 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    wire.write_all(asked.as_bytes()).expect("written");
    let mut answer = read_until(&mut wire, "\r\n\r\n");
    // What the sockets hold is full by then, and the server waits.
    std::thread::sleep(Duration::from_millis(300));
    wire.read_to_end(&mut answer).expect("an end in order");
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let answer = &answer[head.map_or(0, |head| head + 4)..];
    let page: Value = serde_json::from_slice(answer).expect("JSON, whole");
    let messages = page["messages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    assert_eq!(messages.len(), 200);
    assert!(
        messages
            .iter()
            .all(|message| message["text"] == text.as_str())
    );
}

#[test]
fn one_who_never_reads_is_let_go() {
    let authority = Authority::new();
    let server = authority.server("write_timeout = \"500ms\"");
    let token = authority.join(&server, "ann");
    let agent = authority.agent();
    let text = "😀".repeat(4000);
    for _ in 0..200 {
        let sent = agent
            .post(format!("{}/send", server.url()))
            .header("Authorization", format!("Bearer {token}"))
            .send_json(json!({ "to": "common", "text": text }));
        assert_eq!(sent.expect("an answer").status(), 201);
    }
    let mut wire = authority.dial(&server);
    let asked = format!(
        "GET /messages?chat=common&limit=200 HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    // Several, so that no buffer of the system's holds them all.
    for _ in 0..8 {
        wire.write_all(asked.as_bytes()).expect("written");
    }
    wait_until("the connection to be broken off", || {
        server
            .log()
            .contains("a TLS connection was broken off")
            .then_some(())
    });
}
