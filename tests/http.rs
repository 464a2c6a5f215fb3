//! HTTP/1.1 on the wire, byte by byte: what is taken, what is refused and how the connection goes
//! on after it. "9110" and "9112" are the RFCs that the clauses are quoted from.

use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Server, Wire, wait_until};

const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A request that must be answered with `status`, and after which the connection goes on.
fn taken(server: &Server, clause: &str, request: &[u8], status: u16) {
    let mut wire = server.wire();
    wire.write(request);
    wire.write(NEXT);
    let first = wire.response();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert_eq!(
        first.status(),
        status,
        "{clause}: {shown:?}: {:?}",
        first.json()
    );
    let second = wire.response();
    assert_eq!(
        second.status(),
        200,
        "{clause}: the request after {shown:?}"
    );
}

/// A request that could be read in two ways: one refusal, and nothing after it is a request.
fn refused(server: &Server, clause: &str, request: &[u8], statuses: &[u16]) {
    let mut wire = server.wire();
    wire.write(request);
    wire.write(NEXT);
    let first = wire.response();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert!(
        statuses.contains(&first.status()),
        "{clause}: {shown:?} is {} instead of {statuses:?}: {:?}",
        first.status(),
        first.json()
    );
    assert!(
        first.closes(),
        "{clause}: {shown:?} is answered without `Connection: close`"
    );
    let rest = wire.rest();
    assert!(
        rest.is_empty(),
        "{clause}: {shown:?} is followed by {:?}",
        String::from_utf8_lossy(&rest)
    );
}

fn get(head: &str) -> Vec<u8> {
    format!("GET /healthz HTTP/1.1\r\n{head}\r\n\r\n").into_bytes()
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /connect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n\r\n{body}")
        .into_bytes()
}

/// `{"name":"NAME"}` as one chunk whose framing is the test's.
fn chunked(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked", body)
}

#[test]
fn valid_requests_of_every_form_are_taken() {
    let server = Server::core();
    let line = |length: usize| {
        let frame = "GET /healthz? HTTP/1.1".len();
        format!(
            "GET /healthz?{} HTTP/1.1\r\nHost: x\r\n\r\n",
            "a".repeat(length - frame)
        )
    };
    let fields = |count: usize| {
        let more: String = (1..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{more}\r\n")
    };
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("9112 3: origin-form", get("Host: x")),
        (
            "9112 3.2.2: \"a server MUST accept the absolute-form\"",
            b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "9112 3.2.2: the host of absolute-form wins",
            b"GET http://a/healthz HTTP/1.1\r\nHost: b\r\n\r\n".to_vec(),
        ),
        (
            "9110 4.2.3: the scheme is case-insensitive",
            b"GET HTTP://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "9112 3: \"at minimum, request-line lengths of 8000 octets\"",
            line(8000).into_bytes(),
        ),
        ("100 fields", fields(100).into_bytes()),
        ("9110 5.1: field names are case-insensitive", get("hOsT: x")),
        (
            "9112 5: whitespace around a value is no part of it",
            get("Host: \t x \t "),
        ),
        ("9112 5: no whitespace is needed", get("Host:x")),
        (
            "9110 5.5: obs-text in a value is opaque",
            [b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: \xff\xe9\r\n\r\n".as_slice()].concat(),
        ),
        ("9110 5.5: an empty value", get("Host: x\r\nX:")),
        (
            "9112 2.2: \"SHOULD ignore at least one empty line\"",
            b"\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "9110 7.2: a Host may have a port",
            get("Host: example.org:8000"),
        ),
        (
            "9110 7.2: a Host may be an address",
            get("Host: [::1]:8000"),
        ),
        (
            "9110 8.6: Content-Length: 0",
            get("Host: x\r\nContent-Length: 0"),
        ),
        (
            "9112 6: a GET's body is read, whatever it means",
            [get("Host: x\r\nContent-Length: 5"), b"hello".to_vec()].concat(),
        ),
        (
            "9112 7.1: a GET's chunked body too",
            [
                get("Host: x\r\nTransfer-Encoding: chunked"),
                b"5\r\nhello\r\n0\r\n\r\n".to_vec(),
            ]
            .concat(),
        ),
        (
            "paths are percent-decoded once",
            b"GET /%68ealthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "9110 9.3.2: unknown request fields are ignored",
            get("Host: x\r\nX-Anything: at all"),
        ),
        (
            "9110 7.8: an Upgrade may be ignored",
            get(
                "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
            ),
        ),
    ];
    for (clause, request) in table {
        taken(&server, clause, &request, 200);
    }
    taken(
        &server,
        "what is encoded twice is decoded once",
        b"GET /%2568ealthz HTTP/1.1\r\nHost: x\r\n\r\n",
        404,
    );
    taken(
        &server,
        "`..` means nothing",
        b"GET /x/../healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        404,
    );
}

#[test]
fn options_of_the_server_itself_is_answered() {
    // 9110, 9.3.7: "An OPTIONS request with an asterisk ("*") as the request target applies to
    // the server in general".
    let server = Server::core();
    let mut wire = server.wire();
    wire.write("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    let status = wire.response().status();
    assert!(matches!(status, 200 | 204), "{status}");
    wire.write(NEXT);
    assert_eq!(wire.response().status(), 200);
}

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
fn heads_that_could_be_read_in_two_ways_are_refused() {
    let server = Server::core();
    let table: Vec<(&str, &[u8])> = vec![
        (
            "9112 3.2: \"MUST respond with 400 to any HTTP/1.1 request message that lacks a Host\"",
            b"GET /healthz HTTP/1.1\r\n\r\n",
        ),
        (
            "9112 3.2: \"or contains more than one Host\"",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3.2: \"or has an invalid field value\"",
            b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
        ),
        ("9112 3.2", b"GET /healthz HTTP/1.1\r\nHost: x/y\r\n\r\n"),
        ("9112 3.2", b"GET /healthz HTTP/1.1\r\nHost: user@x\r\n\r\n"),
        ("9112 3.2", b"GET /healthz HTTP/1.1\r\nHost: x:port\r\n\r\n"),
        ("9112 3.2", b"GET /healthz HTTP/1.1\r\nHost: x, y\r\n\r\n"),
        (
            "9112 3: one SP",
            b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: one SP",
            b"GET /healthz  HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: no SP at the end",
            b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: SP, no tab",
            b"GET\t/healthz\tHTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: no SP before",
            b" GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: a method is a token",
            b"G(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: a method is a token",
            b"G\xc3\x89T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3: a version is there",
            b"GET /healthz\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 5.1: \"No whitespace is allowed between the field name and colon\"",
            b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
        ),
        (
            "9112 5.1",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n",
        ),
        (
            "9112 5.1",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\t: 0\r\n\r\n",
        ),
        (
            "9112 2.2: whitespace before the first field",
            b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n",
        ),
        (
            "9112 5.2: obs-fold",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        ),
        (
            "9112 5.2: obs-fold",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n",
        ),
        (
            "9110 5.5: NUL in a value",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        ),
        (
            "9112 2.2: bare CR",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        ),
        (
            "9112 2.2: bare CR",
            b"GET /healthz HTTP/1.1\rHost: x\r\n\r\n",
        ),
        ("bare LF", b"GET /healthz HTTP/1.1\nHost: x\n\n"),
        ("bare LF", b"GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
        ("bare LF", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n"),
        (
            "9110 5.1: a name is a token",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
        ),
        (
            "9110 5.1: a name is a token",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX(: y\r\n\r\n",
        ),
        (
            "9110 5.1: a name is a token",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX Y: y\r\n\r\n",
        ),
        (
            "9110 5.1: a name is a token",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\xc3\xa9: y\r\n\r\n",
        ),
        (
            "9112 5: a field has a colon",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n",
        ),
        (
            "9112 3.2: no such target",
            b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3.2: no such target",
            b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3.2.4: the asterisk is for OPTIONS",
            b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "9112 3.2.3: authority-form is for CONNECT",
            b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "3986 2.1: a percent needs two digits",
            b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "3986 2.1: a percent needs two digits",
            b"GET /% HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "paths must be UTF-8",
            b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "paths must be UTF-8",
            b"GET /%c0%af HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "3986 2: raw bytes are no characters of a URI",
            b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "controls in a target",
            b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "controls in a target",
            b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "a TLS greeting",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ),
    ];
    for (clause, request) in table {
        refused(&server, clause, request, &[400]);
    }
}

#[test]
fn versions_have_an_exact_grammar() {
    // 9112, 2.3: HTTP-version = HTTP-name "/" DIGIT "." DIGIT, and the name is case-sensitive.
    let server = Server::core();
    for version in [
        "http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/01.1",
        "HTTP/1.10",
        "HTTP/1.1x",
        "HTTP/1,1",
        "HTTP/+1.1",
        "HTTPS/1.1",
        "HTTP 1.1",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/0.9",
        "HTTP/9.9",
    ] {
        let request = format!("GET /healthz {version}\r\nHost: x\r\n\r\n");
        refused(&server, "9112 2.3", request.as_bytes(), &[400, 505]);
    }
    refused(
        &server,
        "9113 3.4: the preface of HTTP/2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[400, 505],
    );
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
fn beyond_the_limits_the_answer_names_the_limit() {
    let server = Server::core();
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    refused(&server, "9110 15.5.15", long.as_bytes(), &[414]);
    let query = format!(
        "GET /healthz?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a".repeat(100_000)
    );
    refused(&server, "9110 15.5.15", query.as_bytes(), &[414]);
    let many: String = (0..3000).map(|n| format!("X-{n}: y\r\n")).collect();
    refused(
        &server,
        "6585 5",
        &get(&format!("Host: x\r\n{many}X: y")),
        &[431],
    );
    refused(
        &server,
        "6585 5",
        &get(&format!("Host: x\r\nX: {}", "y".repeat(2_000_000))),
        &[431],
    );
    refused(
        &server,
        "6585 5",
        &get(&format!("Host: x\r\n{}: y", "x".repeat(2_000_000))),
        &[431],
    );
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(2_000_000));
    refused(
        &server,
        "extensions are bounded",
        &chunked(&extension),
        &[400, 413, 431],
    );
    let extensions = format!("1;{}\r\n \r\n", "a".repeat(1000)).repeat(2000) + "0\r\n\r\n";
    refused(
        &server,
        "extensions are bounded in total",
        &chunked(&extensions),
        &[400, 413, 431],
    );
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X: y\r\n".repeat(100_000));
    refused(
        &server,
        "trailers are bounded",
        &chunked(&trailers),
        &[400, 413, 431],
    );
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

#[test]
fn answers_say_their_date_and_length() {
    // 9110, 6.6.1: "An origin server with a clock MUST generate a Date header field".
    let server = Server::core();
    let mut wire = server.wire();
    for request in [NEXT, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"] {
        wire.write(request);
        let response = wire.response();
        let date = response.header("date").unwrap_or_default();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
        assert!(response.header("content-length").is_some());
    }
}

#[test]
fn damaged_requests_get_an_answer_that_blames_them_and_harm_nobody() {
    let server = Server::core();
    let whole = chunked("7;x=y\r\n{\"name\"\r\n8\r\n:\"user1\"\r\n1\r\n}\r\n0\r\nT: u\r\n\r\n");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap_or(0) % bound
    };
    for _ in 0..1500 {
        let mut bytes = whole.clone();
        for _ in 0..=random(4) {
            let place = random(bytes.len());
            match random(4) {
                0 => bytes[place] = u8::try_from(random(256)).unwrap_or(0),
                1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, b"\r\n:; \0\xff\t"[random(8)]),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let answer = server.raw(&bytes);
        let text = String::from_utf8_lossy(&answer).into_owned();
        for line in text.split("HTTP/1.1 ").skip(1) {
            let status = line.get(..3).unwrap_or_default();
            if !status.bytes().all(|byte| byte.is_ascii_digit()) {
                // A sentence that speaks of the version.
                continue;
            }
            assert!(
                status < "500" || matches!(status, "501" | "505"),
                "{status} to {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    let mut wire = server.wire();
    wire.write(NEXT);
    assert_eq!(wire.response().status(), 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
