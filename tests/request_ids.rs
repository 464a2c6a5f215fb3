//! Each request has a name: in its answer, whatever that is, and in each line logged for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use veche::testing::{Server, wait_until};

const PROXY: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// The lines of the log that name a request, once there are `count` of them.
fn lines_of(server: &Server, field: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    wait_until("lines that name the request", || {
        let log = server.log();
        found = log
            .lines()
            .filter(|line| line.contains(field))
            .map(str::to_owned)
            .collect();
        (found.len() >= count).then_some(())
    });
    found
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut wire = server.wire();
    let mut ids = BTreeSet::new();
    let mut heads = Vec::new();
    let bearer = format!("Host: x\r\nAuthorization: Bearer {}\r\n", ann.token);
    for (request, status) in [
        (format!("GET /status HTTP/1.1\r\n{bearer}\r\n"), 200),
        (format!("GET /nothing HTTP/1.1\r\n{bearer}\r\n"), 404),
        (format!("DELETE /status HTTP/1.1\r\n{bearer}\r\n"), 405),
        ("GET /status HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 401),
        ("OPTIONS /send HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 204),
        (
            format!("POST /send HTTP/1.1\r\n{bearer}Content-Length: 2\r\n\r\n{{}}"),
            415,
        ),
    ] {
        wire.write(request);
        let answer = wire.response();
        assert_eq!(answer.status(), status, "{:?}", answer.head);
        heads.push(answer.head);
    }
    wire.write(format!("HEAD /status HTTP/1.1\r\n{bearer}\r\n"));
    heads.push(wire.response_to_head().head);
    // What the layer below refuses has one, too.
    wire.write("GET / nonsense\r\n\r\n");
    let refused = wire.response();
    assert_eq!(refused.status(), 400);
    heads.push(refused.head);
    let mut stream = server.wire();
    stream.write(format!("GET /events HTTP/1.1\r\n{bearer}\r\n"));
    let begun = String::from_utf8_lossy(&stream.some(4096)).into_owned();
    let id = begun
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    ids.insert(id.unwrap_or_default().to_owned());
    for head in &heads {
        let named = head
            .headers
            .iter()
            .filter(|(name, _)| name == "x-request-id");
        assert_eq!(named.count(), 1, "{head:?}");
        ids.insert(head.header("x-request-id").unwrap_or_default().to_owned());
    }
    assert_eq!(ids.len(), heads.len() + 1, "{ids:?}");
    for id in ids {
        assert!(
            id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
}

#[test]
fn every_line_that_is_logged_for_a_request_ends_with_its_id() {
    let server = Server::core();
    let reply = server.join(&json!({ "name": "ann" }));
    let id = reply.header("x-request-id").unwrap_or_default();
    // That somebody connected is one line, that it was answered another.
    let lines = lines_of(&server, &format!(" request={id}"), 2);
    assert!(lines.iter().all(|line| line.ends_with(id)), "{lines:?}");
    assert!(lines[0].contains("connected"), "{lines:?}");
    assert!(lines[1].contains("answered"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let log = server.log();
    let listening = log.lines().find(|line| line.contains("listening"));
    assert!(
        listening.is_some_and(|line| !line.contains("request=")),
        "{log}"
    );
}

#[test]
fn in_json_the_id_is_a_field_of_each_of_its_lines() {
    let server = Server::builder()
        .core()
        .config("[log]\nformat = \"json\"\n")
        .env("RUST_LOG", "debug")
        .start();
    let reply = server.join(&json!({ "name": "ann" }));
    let id = reply.header("x-request-id").unwrap_or_default();
    let lines = lines_of(&server, id, 2);
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        assert_eq!(line["request"], id, "{line}");
        assert!(
            line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
    let answered = lines.iter().find(|line| line.contains("answered"));
    let answered: Value = answered
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    assert_eq!(answered["path"], "/connect");
    assert_eq!(answered["status"], 201);
    // What is refused before it is a request is told at this level, under its answer's id.
    let answer = server.raw("GET / nonsense\r\n\r\n");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "))
        .unwrap_or_default();
    let refused = lines_of(&server, id, 1);
    let refused: Value = serde_json::from_str(&refused[0]).unwrap_or_default();
    assert_eq!(
        (&refused["code"], &refused["request"]),
        (&json!("malformed"), &json!(id))
    );
}

#[test]
fn a_trusted_proxys_own_id_is_taken_over() {
    let server = Server::builder().core().config(PROXY).start();
    let asked = |id: &str| {
        let guest = server.guest();
        let request = guest.request("GET", "/healthz").header("X-Request-Id", id);
        let reply = request.send();
        reply.header("x-request-id").unwrap_or_default().to_owned()
    };
    let own = "1-67891233-abcdef012345678912345678";
    assert_eq!(asked(own), own);
    lines_of(&server, &format!(" request={own}"), 1);
    for wrong in ["", "a b", "a\"b", &"x".repeat(129)] {
        let given = asked(wrong);
        assert!(given.len() == 16 && given != wrong, "{wrong}: {given}");
    }
    let twice = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n";
    let mut wire = server.wire();
    wire.write(twice);
    let answer = wire.response();
    assert_eq!(answer.header("x-request-id").map(str::len), Some(16));
}

#[test]
fn anybody_elses_is_not() {
    let server = Server::core();
    let guest = server.guest();
    let reply = guest
        .request("GET", "/healthz")
        .header("X-Request-Id", "mine")
        .send();
    let id = reply.header("x-request-id").unwrap_or_default();
    assert_ne!(id, "mine");
    lines_of(&server, &format!(" request={id}"), 1);
    assert!(!server.log().contains("mine"), "{}", server.log());
}

#[test]
fn pages_of_allowed_origins_may_read_it() {
    let server = Server::builder()
        .core()
        .config("[server]\ncors = [\"https://chat.example.org\"]\n")
        .start();
    let guest = server.guest();
    let reply = guest
        .request("GET", "/healthz")
        .header("Origin", "https://chat.example.org")
        .send();
    let exposed = reply.header("access-control-expose-headers");
    assert!(
        exposed.is_some_and(|exposed| exposed.contains("X-Request-Id")),
        "{reply}"
    );
}
