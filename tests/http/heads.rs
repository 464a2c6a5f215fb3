//! Request lines and heads.

use veche::testing::Server;

use super::*;

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
