//! Connections: order, deadlines, bounds, closing.

use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Server, Wire, wait_until};

use super::*;

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    // 9112, 9.3.2: "it MUST send the corresponding responses in the same order".
    let server = Server::core();
    let ann = server.connect("ann");
    let mut wire = server.wire();
    let mut all = String::new();
    for number in 0..50 {
        let body = json!({ "to": "common", "text": format!("m{number}") }).to_string();
        all += &format!(
            "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            ann.token,
            body.len()
        );
        all += "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    wire.write(all);
    for number in 0..50 {
        let sent = wire.response();
        assert_eq!(sent.status(), 201);
        assert_eq!(sent.json()["text"], format!("m{number}"));
        assert!(matches!(wire.response().status(), 401 | 404));
        assert_eq!(wire.response_to_head().status(), 200);
    }
    let texts: Vec<String> = (0..50).map(|number| format!("m{number}")).collect();
    assert_eq!(ann.texts("common"), texts);
}

#[test]
fn a_request_may_arrive_in_pieces_split_anywhere() {
    let server = Server::core();
    let request = chunked("7\r\n{\"name\"\r\n4;x=y\r\n:\"a\"\r\n1\r\n}\r\n0\r\nT: u\r\n\r\n");
    let mut wire = server.wire();
    for byte in &request {
        wire.write([*byte]);
    }
    assert_eq!(wire.response().status(), 201);
    for split in (1..request.len()).step_by(7) {
        let (a, b) = request.split_at(split);
        wire.write(a);
        wire.write(b);
        assert_eq!(wire.response().status(), 409, "split at {split}");
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = Server::core();
    for (clause, request) in [
        (
            "9112 9.3: no keep-alive by default",
            "GET /healthz HTTP/1.0\r\n\r\n",
        ),
        (
            "a Host is welcome",
            "GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 9.3: close",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ),
        (
            "9110 7.6.1: options are case-insensitive",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: foo, CLOSE\r\n\r\n",
        ),
    ] {
        let mut wire = server.wire();
        wire.write(request);
        wire.write(NEXT);
        let response = wire.response();
        assert_eq!(response.status(), 200, "{clause}");
        assert!(response.header("transfer-encoding").is_none(), "{clause}");
        assert!(wire.closed(), "{clause}");
    }
}

#[test]
fn a_stream_over_http_1_0_has_no_chunks() {
    // 9112, 6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the
    // corresponding request indicates HTTP/1.1".
    let server = Server::core();
    let ann = server.connect("ann");
    let mut wire = server.wire();
    wire.write(format!(
        "GET /events HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n",
        ann.token
    ));
    let mut seen = String::new();
    wait_until("hello", || {
        seen += &String::from_utf8_lossy(&wire.some(4096));
        seen.contains("event: hello").then_some(())
    });
    assert!(!seen.to_lowercase().contains("transfer-encoding"), "{seen}");
}

#[test]
fn a_client_that_closed_its_side_still_gets_its_answers() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bytes = server.raw([NEXT, NEXT, NEXT].concat());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    // Even one that has to be waited for.
    let cursor = ann.cursor();
    let mut wire = server.wire();
    wire.write(format!(
        "GET /events?after={cursor}&wait=1s HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\
         Authorization: Bearer {}\r\n\r\n",
        ann.token
    ));
    wire.half_close();
    let response = wire.response();
    assert_eq!(response.status(), 200);
    assert_eq!(response.json()["events"], json!([]));
}

#[test]
fn what_ends_in_the_middle_is_no_request() {
    let server = Server::core();
    let ann = server.connect("ann");
    let body = "{\"to\":\"common\",\"text\":\"never\"}";
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        ann.token
    );
    for cut in [
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1),
        format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
            body.len()
        ),
        format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n",
            body.len()
        ),
        format!("{head}Content-Length: {}\r\n", body.len()),
    ] {
        let bytes = server.raw(&cut);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.1 408"),
            "{cut:?}: {text}"
        );
    }
    assert!(ann.texts("common").is_empty());
}

#[test]
fn a_head_has_a_deadline_in_total() {
    let server = Server::builder()
        .core()
        .config("[server]\nhead_timeout = \"1s\"\n")
        .start();
    let mut wire = server.wire();
    wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\n");
    let begin = Instant::now();
    assert_eq!(wire.response().status(), 408);
    assert!(wire.closed());
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    // A byte now and then does not lengthen it.
    let status = drip(server.wire(), "GET /healthz HTTP/1.1\r\nX: ");
    assert!(matches!(status, None | Some(408)), "{status:?}");
}

#[test]
fn a_body_has_a_deadline_in_total() {
    let server = Server::builder()
        .core()
        .config("[server]\nbody_timeout = \"1s\"\n")
        .start();
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut wire = server.wire();
        wire.write(post(framing, ""));
        assert_eq!(wire.response().status(), 408, "{framing}");
        assert!(wire.closed());
    }
    let head = String::from_utf8_lossy(&post("Content-Length: 100000", "")).into_owned();
    let status = drip(server.wire(), &head);
    assert!(matches!(status, None | Some(408)), "{status:?}");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::builder()
        .core()
        .config("[server]\nidle_timeout = \"1s\"\n")
        .start();
    assert!(server.wire().closed());
    let mut wire = server.wire();
    wire.write(NEXT);
    assert_eq!(wire.response().status(), 200);
    assert!(wire.closed());
}

#[test]
fn one_connection_too_many_is_503_and_room_is_made_by_closing() {
    let server = Server::builder()
        .core()
        .config("[server]\nconnections = 4\n")
        .start();
    let mut open: Vec<Wire> = Vec::new();
    for _ in 0..4 {
        let mut wire = server.wire();
        wire.write(NEXT);
        assert_eq!(wire.response().status(), 200);
        open.push(wire);
    }
    let mut one_more = server.wire();
    one_more.write(NEXT);
    let response = one_more.response();
    assert_eq!(response.status(), 503);
    assert!(response.closes());
    drop(one_more);
    // However many come at once.
    let mut many: Vec<Wire> = (0..200).map(|_| server.wire()).collect();
    many.iter_mut().for_each(|wire| wire.write(NEXT));
    for mut wire in many {
        assert_eq!(wire.response().status(), 503);
    }
    open.pop();
    wait_until("room for one more", || {
        let mut wire = server.wire();
        wire.write(NEXT);
        wire.try_response()
            .filter(|response| response.status() == 200)
    });
    open[0].write(NEXT);
    assert_eq!(open[0].response().status(), 200);
}

#[test]
fn one_stream_too_many_is_503() {
    let server = Server::builder()
        .core()
        .config("[server]\nstreams = 2\n")
        .start();
    let ann = server.connect("ann");
    let first = ann.events();
    let _second = ann.events();
    let reply = ann.get("/events");
    assert_eq!(reply.status, 503, "{reply}");
    ann.status();
    drop(first);
    let bare = Client::new(&server.url(), &ann.token);
    wait_until("room for one more stream", || {
        let reply = bare
            .request("GET", "/events?wait=0s")
            .header("Accept", "application/json")
            .send();
        (reply.status == 200).then_some(())
    });
}

#[test]
fn two_thousand_idle_connections_leave_an_answer_under_a_second() {
    let server = Server::core();
    let mut idle = Vec::new();
    while idle.len() < 2000 {
        // Half of them say nothing, half begin a request and stop. The system may allow a test
        // fewer open files.
        let Ok(stream) = std::net::TcpStream::connect(server.address()) else {
            break;
        };
        if idle.len() % 2 == 0 {
            let _ = std::io::Write::write_all(&mut &stream, b"GET /healthz HT");
        }
        idle.push(stream);
    }
    let room = idle.len().saturating_sub(8);
    idle.truncate(room);
    assert!(idle.len() > 200, "only {} connections", idle.len());
    let mut wire = server.wire();
    for _ in 0..5 {
        let begin = Instant::now();
        wire.write(NEXT);
        assert_eq!(wire.response().status(), 200);
        assert!(
            begin.elapsed() < Duration::from_secs(1),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn a_client_that_does_not_read_is_no_longer_read_from() {
    let server = Server::core();
    let mut wire = server.wire();
    wire.patience(Duration::from_secs(2));
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let mut sent = 0;
    while wire.try_write(&requests).is_ok() {
        sent += requests.len();
        assert!(sent < 256 << 20, "the server reads without end");
    }
    let mut other = server.wire();
    other.write(NEXT);
    assert_eq!(other.response().status(), 200);
}

/// Sends a byte every 100 ms until the server has had enough, and gives what it says.
fn drip(mut wire: Wire, begin: &str) -> Option<u16> {
    wire.write(begin);
    wire.patience(Duration::from_millis(100));
    let mut answer = Vec::new();
    wait_until("a deadline on a dripping client", || {
        if wire.try_write("x").is_err() {
            return Some(());
        }
        answer.extend(wire.some(4096));
        (!answer.is_empty()).then_some(())
    });
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.get(9..12).and_then(|code| code.parse().ok())
}
