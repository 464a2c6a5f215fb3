//! Many streams, slow ones, and their sockets: what holds however the bytes come to be written.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::Value;
use veche::testing::{Client, Server, Wire, wait_until};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages for the slow reader, of 12 KB each.
const MESSAGES: usize = 1_500;

/// A stream from a cursor on, as the bare connection that it is.
fn open(server: &Server, client: &Client, cursor: &str) -> Wire {
    let mut wire = server.wire();
    wire.write(format!(
        "GET /events?after={cursor} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        client.token
    ));
    wire
}

/// Reads up to a text, and whatever comes with its end.
#[track_caller]
fn until(wire: &mut Wire, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = String::new();
    while !seen.contains(text) {
        // A stream shows signs of life for ever.
        assert!(Instant::now() < deadline, "no {text:?} after {seen}");
        let more = wire.some(4096);
        assert!(!more.is_empty(), "no {text:?} after {seen}");
        seen += &String::from_utf8_lossy(&more);
    }
    seen
}

/// The events of a stream in the chunked coding, each of which is one chunk.
#[track_caller]
fn events(bytes: &[u8]) -> Vec<(u64, Value)> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let (_, mut body) = text.split_once("\r\n\r\n").expect("a head");
    let mut events = Vec::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        let Some((chunk, rest)) = rest.split_at_checked(size) else {
            break;
        };
        let field = |name: &str| chunk.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(id), Some("message")) = (field("id: "), field("event: ")) {
            let pos = id.rsplit('-').next().and_then(|pos| pos.parse().ok());
            let data = field("data: ").expect("data");
            let data = serde_json::from_str(data).expect("JSON");
            events.push((pos.expect("a position"), data));
        }
        body = rest.strip_prefix("\r\n").expect("a chunk's end");
    }
    events
}

#[test]
fn a_reader_in_small_bites_gets_whole_events_in_order_of_both_kinds() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut wire = open(&server, &bob, &bob.cursor());
    let mut bytes = until(&mut wire, "event: hello").into_bytes();
    let filling = "€".repeat(3990);
    // As much as fills the sockets' buffers and the hub's.
    for number in 0..MESSAGES {
        let text = format!("{number} {filling}");
        if number % 3 == 0 {
            ann.tell("bob", &text);
        } else {
            ann.say(&text);
        }
        if number % 20 == 0 {
            bytes.extend(wire.some(7001));
        }
    }
    ann.tell("bob", "the last");
    let is_last = |bytes: &[u8]| {
        let tail = &bytes[bytes.len().saturating_sub(1000)..];
        String::from_utf8_lossy(tail).contains("\"the last\"")
    };
    while !is_last(&bytes) {
        let more = wire.some(70_001);
        assert!(!more.is_empty(), "the stream ended early");
        bytes.extend(more);
    }
    let events = events(&bytes);
    assert!(events.is_sorted_by(|(a, _), (b, _)| a < b));
    let texts = events.iter().filter_map(|(_, data)| data["text"].as_str());
    let numbers: Vec<_> = texts.map_while(|text| text.split_once(" €")).collect();
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|(n, _)| n.parse().expect("a number"))
        .collect();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn three_hundred_streams_get_everything_once_and_in_order() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut streams: Vec<_> = (0..300)
        .map(|number| if number % 2 == 0 { &ann } else { &bob })
        .map(|client| client.events())
        .collect();
    std::thread::scope(|scope| {
        for (name, writer) in [("a", &ann), ("b", &bob)] {
            scope.spawn(move || (0..100).for_each(|n| drop(writer.say(&format!("{name}{n}")))));
        }
    });
    ann.say("the last");
    let expected = streams[0].until_text("the last");
    assert_eq!(
        expected
            .iter()
            .filter(|event| event.event == "message")
            .count(),
        201
    );
    let messages = |events: Vec<veche::testing::Event>| -> Vec<_> {
        let messages = events.into_iter().filter(|event| event.event == "message");
        messages
            .map(|event| (event.id, event.data["text"].clone()))
            .collect()
    };
    let expected = messages(expected);
    for stream in &mut streams[1..] {
        assert_eq!(messages(stream.until_text("the last")), expected);
    }
}

#[test]
fn a_coming_is_told_once_to_streams_that_open_meanwhile() {
    let server = Server::core();
    let marker = server.connect("marker");
    // Asking for a cursor is a coming and a going, too.
    let cursor = marker.cursor();
    let mut there = open(&server, &marker, &cursor);
    until(&mut there, "event: hello");
    for round in 0..100 {
        let name = format!("ann{round}");
        let coming = format!("{{\"name\":\"{name}\",\"online\":true}}");
        let (ann, bob) = (
            server.connect(&name),
            server.connect(&format!("bob{round}")),
        );
        let mut goes = open(&server, &bob, &cursor);
        until(&mut goes, "event: hello");
        // None waits for another, so that one is told of while others are taking their places, and
        // one leaves its.
        let mut wires = [&bob, &bob, &ann].map(|client| open(&server, client, &cursor));
        goes.write("GET /healthz HTTP/1.1\r\n");
        wires.iter_mut().for_each(|wire| drop(wire.some(1)));
        marker.say(&format!("all {round} are here"));
        let last = format!("\"all {round} are here\"");
        for wire in &mut wires {
            let seen = until(wire, &last);
            assert!(seen.matches(&coming).count() <= 1, "{seen}");
        }
        for wire in [&mut there, &mut goes] {
            let seen = until(wire, &last);
            assert_eq!(seen.matches(&coming).count(), 1, "{seen}");
        }
    }
}

#[test]
fn what_a_client_sends_into_its_stream_changes_nothing() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut wire = open(&server, &ann, &ann.cursor());
    until(&mut wire, "event: hello");
    for number in 0..3 {
        ann.say(&format!("before {number}"));
        until(&mut wire, &format!("before {number}"));
        wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        ann.say(&format!("after {number}"));
        until(&mut wire, &format!("after {number}"));
    }
    wire.half_close();
    let rest = String::from_utf8_lossy(&wire.rest()).into_owned();
    // The requests that came ahead are answered when the stream is over.
    assert!(rest.starts_with("0\r\n\r\nHTTP/1.1 200 OK"), "{rest}");
}

#[test]
fn a_stream_ends_in_order_with_its_client_and_no_other_does() {
    let server = Server::core();
    let ann = server.connect("ann");
    let phone = ann.again();
    let mut own = open(&server, &ann, &ann.cursor());
    let mut others = open(&server, &phone, &phone.cursor());
    ann.say("hello");
    for wire in [&mut own, &mut others] {
        until(wire, "\"hello\"");
    }
    ann.disconnect();
    until(&mut own, "\n\n\r\n0\r\n\r\n");
    phone.say("again");
    until(&mut others, "\"again\"");
}

#[test]
fn a_stopping_server_ends_streams_that_only_wait() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let mut wires: Vec<_> = (0..20)
        .map(|_| open(&server, &ann, &ann.cursor()))
        .collect();
    ann.say("hello");
    wires
        .iter_mut()
        .for_each(|wire| drop(until(wire, "\"hello\"")));
    server.terminate("TERM");
    for wire in &mut wires {
        let rest = String::from_utf8_lossy(&wire.rest()).into_owned();
        assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    }
    assert!(server.stopped().success());
}

#[test]
fn streams_that_only_wait_count_as_connections_until_they_are_gone() {
    let server = Server::builder()
        .core()
        .config("[server]\nconnections = 8\n")
        .start();
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let mut wires: Vec<_> = Vec::new();
    loop {
        let mut wire = open(&server, &ann, &cursor);
        let head = until(&mut wire, "\r\n");
        if head.starts_with("HTTP/1.1 503") {
            break;
        }
        if !head.contains("event: hello") {
            until(&mut wire, "event: hello");
        }
        wires.push(wire);
        assert!(wires.len() <= 8, "{} streams", wires.len());
    }
    drop(wires);
    wait_until("a place", || {
        let mut wire = server.wire();
        wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        (wire.response().status() == 200).then_some(())
    });
}
