//! Bodies: both framings, and `100 Continue`.

use veche::testing::Server;

use super::*;

#[test]
fn bodies_of_both_framings_are_taken() {
    let server = Server::core();
    let mut number = 0;
    let mut name = || {
        number += 1;
        format!("{{\"name\":\"user{number:04}\"}}")
    };
    let body = name();
    taken(
        &server,
        "9112 6.2",
        &post(&format!("Content-Length: {}", body.len()), &body),
        201,
    );
    let body = name();
    taken(
        &server,
        "leading zeros are digits",
        &post(&format!("Content-Length: 000{}", body.len()), &body),
        201,
    );
    for (clause, coding) in [
        ("9112 7", "chunked"),
        ("9110 10.1.4: codings are case-insensitive", "Chunked"),
        ("9112 7", "CHUNKED"),
    ] {
        let body = name();
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        taken(
            &server,
            clause,
            &post(&format!("Transfer-Encoding: {coding}"), &chunk),
            201,
        );
    }
    let body = name();
    let (a, b) = body.split_at(7);
    let chunks = [
        format!("{:X}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n", a.len(), b.len()),
        format!(
            "{:x};name=value\r\n{a}\r\n{:x};a;b=\"c;d\"\r\n{b}\r\n0;last\r\n\r\n",
            a.len(),
            b.len()
        ),
        format!(
            "00{:x}\r\n{a}\r\n{:x}\r\n{b}\r\n000\r\n\r\n",
            a.len(),
            b.len()
        ),
        format!(
            "{:x}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\nX-Trailer: y\r\nOther: z\r\n\r\n",
            a.len(),
            b.len()
        ),
        body.chars()
            .map(|c| format!("1\r\n{c}\r\n"))
            .collect::<String>()
            + "0\r\n\r\n",
    ];
    for (number, chunks) in chunks.into_iter().enumerate() {
        // The same name again is known already: 409, by a body that was understood.
        let status = if number == 0 { 201 } else { 409 };
        taken(&server, "9112 7.1", &chunked(&chunks), status);
    }
}

#[test]
fn trailers_are_never_merged_into_the_head() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut wire = server.wire();
    wire.write(format!(
        "POST /read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n\
         2\r\n{{}}\r\n0\r\nAuthorization: Bearer {}\r\n\r\n",
        ann.token
    ));
    assert_eq!(wire.response().status(), 401);
}

#[test]
fn lengths_and_codings_that_could_be_read_in_two_ways_are_refused() {
    let server = Server::core();
    for length in [
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5, 6",
        "5 5",
        "0x5",
        "5.0",
        "5e0",
        "",
        " ",
        "five",
        "５",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999",
    ] {
        let request = post(&format!("Content-Length: {length}"), "{\"a\"");
        refused(
            &server,
            "9110 8.6: Content-Length = 1*DIGIT",
            &request,
            &[400, 413],
        );
    }
    let table: [(&str, &str); 17] = [
        (
            "9112 6.3: two lengths",
            "Content-Length: 4\r\nContent-Length: 5",
        ),
        ("one value", "Content-Length: 4\r\nContent-Length: 4"),
        (
            "9112 6.1: both framings",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
        ),
        (
            "9112 6.1: both framings",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
        ),
        ("9112 6.1: an unknown coding", "Transfer-Encoding: gzip"),
        ("9112 6.1: an unknown coding", "Transfer-Encoding: xchunked"),
        ("9112 6.1: an unknown coding", "Transfer-Encoding: identity"),
        (
            "9112 6.1: exactly one chunked",
            "Transfer-Encoding: gzip, chunked",
        ),
        (
            "9112 6.1: \"MUST NOT apply the chunked transfer coding more than once\"",
            "Transfer-Encoding: chunked, chunked",
        ),
        (
            "9112 6.1: chunked is the last",
            "Transfer-Encoding: chunked, gzip",
        ),
        (
            "9112 6.1: chunked is the last",
            "Transfer-Encoding: chunked, identity",
        ),
        (
            "9112 6.1: in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (
            "9112 6.1: in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        (
            "9112 7: chunked has no parameters",
            "Transfer-Encoding: chunked;q=1",
        ),
        ("9112 6.1: an empty coding", "Transfer-Encoding:"),
        ("quoted is another word", "Transfer-Encoding: \"chunked\""),
        (
            "a control is no whitespace",
            "Transfer-Encoding: \u{b}chunked",
        ),
    ];
    for (clause, fields) in table {
        let request = post(fields, "0\r\n\r\n");
        refused(&server, clause, &request, &[400, 501]);
    }
    for coding in ["gzip", "deflate", "xchunked"] {
        let request = post(&format!("Transfer-Encoding: {coding}"), "");
        refused(
            &server,
            "9112 6.1: \"SHOULD respond with 501\"",
            &request,
            &[501],
        );
    }
    // 9112, 6.1: a request of HTTP/1.0 with Transfer-Encoding has faulty framing.
    let request = b"POST /connect HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&server, "9112 6.1", request, &[400]);
}

#[test]
fn chunks_that_are_not_exact_are_refused() {
    let server = Server::core();
    // What is not refused would be `{}`, which is 422.
    let table = [
        ("no hex", "g\r\n{}\r\n0\r\n\r\n"),
        ("no prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("no sign", "+2\r\n{}\r\n0\r\n\r\n"),
        ("no sign", "-2\r\n{}\r\n0\r\n\r\n"),
        ("no whitespace before", " 2\r\n{}\r\n0\r\n\r\n"),
        ("no underscore", "0_2\r\n{}\r\n0\r\n\r\n"),
        ("no empty size", "\r\n{}\r\n0\r\n\r\n"),
        ("an extension is no size", ";a\r\n{}\r\n0\r\n\r\n"),
        ("no wrap-around", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("no wrap-around", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ("CRLF after the size", "2\n{}\r\n0\r\n\r\n"),
        ("CRLF after the size", "2\r{}\r\n0\r\n\r\n"),
        ("CRLF after the size", "2;a\n{}\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "2;a\rb\r\n{}\r\n0\r\n\r\n"),
        ("NUL in an extension", "2;a\0\r\n{}\r\n0\r\n\r\n"),
        ("CRLF after the data", "2\r\n{}0\r\n\r\n"),
        ("CRLF after the data", "2\r\n{}\n0\r\n\r\n"),
        ("CRLF after the data", "2\r\n{}XX0\r\n\r\n"),
        ("CRLF after the data", "1\r\n{}\r\n0\r\n\r\n"),
        ("CRLF at the end", "2\r\n{}\r\n0\r\n\n"),
        ("trailers are fields", "2\r\n{}\r\n0\r\nnothing\r\n\r\n"),
        ("trailers are fields", "2\r\n{}\r\n0\r\nX : y\r\n\r\n"),
        (
            "trailers are not folded",
            "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n",
        ),
        ("trailers have no NUL", "2\r\n{}\r\n0\r\nX: \0\r\n\r\n"),
        (
            "trailers end with CRLF",
            "2\r\n{}\r\n0\r\nX: y\nZ: z\r\n\r\n",
        ),
    ];
    for (clause, body) in table {
        refused(&server, clause, &chunked(body), &[400]);
    }
}

#[test]
fn a_body_beyond_the_limit_is_413_before_it_is_read() {
    let server = Server::core();
    let ann = server.connect("ann");
    let head = |framing: &str| {
        format!(
            "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n",
            ann.token
        )
    };
    // Nothing of it is sent: where the length is told, no one needs to wait for it.
    let mut wire = server.wire();
    wire.write(head("Content-Length: 99999999999"));
    assert_eq!(wire.response().status(), 413);
    // Without a length it is read up to the limit, and not to an end that never comes.
    let mut wire = server.wire();
    wire.write(head("Transfer-Encoding: chunked"));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..64 {
        wire.write(&chunk);
    }
    assert_eq!(wire.response().status(), 413);
}

#[test]
fn a_client_that_asks_is_told_to_continue() {
    // 9110, 10.1.1: "MUST send an immediate response ... either a 100 or the final status".
    let server = Server::core();
    let mut wire = server.wire();
    let body = "{\"name\":\"ann\"}";
    wire.write(post(
        &format!("Expect: 100-continue\r\nContent-Length: {}", body.len()),
        "",
    ));
    assert_eq!(wire.response().status(), 100);
    wire.write(body);
    assert_eq!(wire.response().status(), 201);
    wire.write(post(
        &format!("Expect: 100-Continue\r\nContent-Length: {}", body.len()),
        "",
    ));
    assert_eq!(wire.response().status(), 100);
    wire.write(body);
    assert_eq!(wire.response().status(), 409);
}

#[test]
fn a_body_that_will_be_refused_is_never_asked_for() {
    let server = Server::core();
    let ann = server.connect("ann");
    let token = format!("Authorization: Bearer {}\r\n", ann.token);
    for (line, fields, status) in [
        (
            "POST /send",
            "Content-Type: application/json\r\nContent-Length: 10",
            401,
        ),
        ("POST /nothing", &*format!("{token}Content-Length: 10"), 404),
        ("PUT /send", &*format!("{token}Content-Length: 10"), 405),
        (
            "POST /send",
            &*format!("{token}Content-Type: application/json\r\nContent-Length: 9999999"),
            413,
        ),
        (
            "POST /send",
            &*format!("{token}Content-Type: text/plain\r\nContent-Length: 10"),
            415,
        ),
    ] {
        let mut wire = server.wire();
        wire.write(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{fields}\r\n\r\n"
        ));
        let response = wire.response();
        assert_eq!(response.status(), status, "{line}");
        // The client may send the body all the same or go on without it: only a closed
        // connection is clear to both.
        assert!(response.closes(), "{line}");
        assert!(wire.closed(), "{line}");
    }
}

#[test]
fn expectations_of_http_1_0_are_ignored() {
    // 9110, 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request
    // MUST ignore that expectation".
    let server = Server::core();
    let mut wire = server.wire();
    let body = "{\"name\":\"ann\"}";
    wire.write(format!(
        "POST /connect HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(wire.response().status(), 201);
}

#[test]
fn after_an_early_refusal_the_next_request_works_or_the_connection_closes() {
    let server = Server::core();
    let ann = server.connect("ann");
    let token = format!("Authorization: Bearer {}\r\n", ann.token);
    let json = "Content-Type: application/json\r\n";
    for size in [10, 100_000, 2_000_000] {
        for (line, fields, status) in [
            ("POST /send", json.to_owned(), 401),
            ("POST /nothing", format!("{token}{json}"), 404),
            ("PUT /send", format!("{token}{json}"), 405),
            (
                "POST /send",
                format!("{token}Content-Type: text/plain\r\n"),
                415,
            ),
        ] {
            // A body that looks like requests must not become one.
            let body = NEXT.repeat(size / NEXT.len() + 1);
            let mut wire = server.wire();
            let head = format!(
                "{line} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n",
                body.len()
            );
            wire.write(head);
            wire.write(&body);
            wire.write(format!("GET /status HTTP/1.1\r\nHost: x\r\n{token}\r\n"));
            let response = wire.response();
            assert!(
                response.status() == status || (size == 2_000_000 && response.status() == 413),
                "{line} {size}: {:?}",
                response.head
            );
            if response.closes() {
                assert!(wire.closed(), "{line} {size}");
            } else {
                let next = wire.response();
                assert_eq!(next.status(), 200, "{line} {size}");
                assert!(
                    next.json()["user"].is_object(),
                    "{line} {size}: the body became a request"
                );
            }
        }
    }
}
