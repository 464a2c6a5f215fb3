use super::*;

/// Feeds `input` whole, then split at every position, then byte by byte; all must come to the
/// same.
fn parse_split(input: &[u8], limits: &Limits) -> Result<Head, Problem> {
    let whole = feed(&[input], limits);
    let outcome = |result: &Result<Option<Head>, Problem>| match result {
        Ok(head) => format!("{head:?}"),
        Err(problem) => problem.to_string(),
    };
    for at in 0..=input.len() {
        let split = feed(&[&input[..at], &input[at..]], limits);
        assert_eq!(outcome(&split), outcome(&whole), "split at {at}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(
        outcome(&feed(&bytes, limits)),
        outcome(&whole),
        "byte by byte"
    );
    whole.map(|head| head.expect("a whole head"))
}

fn feed(pieces: &[&[u8]], limits: &Limits) -> Result<Option<Head>, Problem> {
    let mut scanner = Scanner::default();
    let mut buf = BytesMut::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        if let Some(raw) = scanner.take(&mut buf, limits)? {
            return parse(&raw).map(Some);
        }
    }
    Ok(None)
}

fn good(input: &[u8]) -> Head {
    parse_split(input, &Limits::default())
        .unwrap_or_else(|problem| panic!("{problem}: {}", input.escape_ascii()))
}

fn refused(input: &[u8]) -> (u16, String) {
    match parse_split(input, &Limits::default()) {
        Ok(head) => panic!("taken: {} as {head:?}", input.escape_ascii()),
        Err(problem) => (problem.status.as_u16(), problem.code.to_string()),
    }
}

#[test]
fn a_head_is_read_however_it_is_split() {
    let head = good(
        b"POST /a?b HTTP/1.1\r\nhOST: h:1\r\nContent-Length:  5 \r\nX-A:\r\nX-A: \tb \xe9\t\r\n\
          Expect: 100-Continue\r\n\r\n",
    );
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.target, "/a?b");
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.headers["host"], "h:1");
    let values: Vec<&[u8]> = head
        .headers
        .get_all("x-a")
        .iter()
        .map(|v| v.as_bytes())
        .collect();
    assert_eq!(values, [&b""[..], b"b \xe9"]);
    assert_eq!(head.framing, Framing::Length(5));
    assert!(head.expects_continue && head.keeps_alive);
}

#[test]
fn what_follows_the_head_stays() {
    let mut buf = BytesMut::from(&b"\r\nGET / HTTP/1.0\r\n\r\nGET /next"[..]);
    let raw = Scanner::default()
        .take(&mut buf, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(raw, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(buf, "GET /next");
}

#[test]
fn one_empty_line_before_the_request_line_is_skipped() {
    // RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD
    // ignore at least one empty line (CRLF) received prior to the request-line".
    assert_eq!(good(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").target, "/");
    assert_eq!(refused(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").0, 400);
}

#[test]
fn any_token_is_a_method() {
    assert_eq!(
        good(b"M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n")
            .method
            .as_str(),
        "M-SEARCH"
    );
    assert_eq!(
        good(b"get / HTTP/1.1\r\nHost: h\r\n\r\n").method.as_str(),
        "get"
    );
}

#[test]
fn the_connection_is_kept_as_the_version_says() {
    // RFC 9112, 9.3: "If the received protocol is HTTP/1.1 (or later), the connection will
    // persist", "HTTP/1.0, the "keep-alive" connection option is present".
    for (version, field, kept) in [
        ("1.1", "X: y", true),
        ("1.1", "Connection: Close", false),
        ("1.1", "Connection: a, close", false),
        ("1.1", "Connection: a\r\nConnection: close", false),
        ("1.0", "X: y", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
    ] {
        let head = good(format!("GET / HTTP/{version}\r\nHost: h\r\n{field}\r\n\r\n").as_bytes());
        assert_eq!(head.keeps_alive, kept, "{version} {field}");
    }
}

#[test]
fn an_expectation_in_http_1_0_is_ignored() {
    // RFC 9110, 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request
    // MUST ignore that expectation."
    let head = good(b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert!(!head.expects_continue);
}

#[test]
fn framing_is_taken_when_it_can_be_read_in_one_way() {
    for (fields, framing) in [
        ("X: y", Framing::Length(0)),
        ("Content-Length: 0", Framing::Length(0)),
        ("content-length: 007", Framing::Length(7)),
        (
            "Content-Length: 18446744073709551615",
            Framing::Length(u64::MAX),
        ),
        ("Transfer-Encoding: chunked", Framing::Chunked),
        ("Transfer-Encoding:\tCHUNKED ", Framing::Chunked),
    ] {
        let head = good(format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n").as_bytes());
        assert_eq!(head.framing, framing, "{fields}");
    }
}

/// Holds each line of a table, `STATUS |INPUT| CLAUSE`, to its status; `around` makes a head of the
/// input.
fn check_table(table: &str, around: impl Fn(&str) -> String) {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut checked = 0;
    for row in rows {
        let columns: Vec<&str> = row.splitn(3, '|').collect();
        let status: u16 = columns[0].trim().parse().unwrap();
        let head = around(&unescape(columns[1]));
        assert_eq!(refused(head.as_bytes()).0, status, "{row}");
        checked += 1;
    }
    assert!(checked > 30);
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (char, rest) = match part.as_bytes()[0] {
            b'r' => ('\r', &part[1..]),
            b'n' => ('\n', &part[1..]),
            b't' => ('\t', &part[1..]),
            b'x' => (
                u8::from_str_radix(&part[1..3], 16).unwrap().into(),
                &part[3..],
            ),
            _ => panic!("unknown escape in {text}"),
        };
        out.push(char);
        out.push_str(rest);
    }
    out
}

#[test]
fn fields_that_could_be_read_in_two_ways_are_refused() {
    check_table(include_str!("bad-fields.txt"), |fields| {
        format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n")
    });
}

#[test]
fn a_first_field_that_is_folded_is_refused() {
    // RFC 9112, 2.2: "A recipient that receives whitespace between the start-line and the first
    // header field MUST either reject the message as invalid or consume".
    assert_eq!(refused(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n").0, 400);
}

#[test]
fn a_transfer_encoding_in_http_1_0_is_refused() {
    // RFC 9112, 6.1: "a server or client that receives an HTTP/1.0 message containing a
    // Transfer-Encoding header field MUST treat the message as if the framing is faulty".
    assert_eq!(
        refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").0,
        400
    );
}

#[test]
fn request_lines_that_are_none_are_refused() {
    check_table(include_str!("bad-request-lines.txt"), |line| {
        format!("{line}\r\nHost: h\r\n\r\n")
    });
    assert_eq!(refused(b"GET / HTTP/1.1\nHost: h\n\n").0, 400);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: h\r\n\n").0, 400);
}

#[test]
fn the_limits_let_through_what_the_rfc_asks_for() {
    // RFC 9112, 3: "It is RECOMMENDED that all HTTP senders and recipients support, at a minimum,
    // request-line lengths of 8000 octets."
    let target = format!("/{}", "a".repeat(7985));
    let mut input = format!("GET {target} HTTP/1.1\r\nHost: h\r\n");
    assert_eq!(input.find('\r'), Some(8000 - 1));
    for number in 0..100 {
        input.push_str(&format!("X-{number}: {number}\r\n"));
    }
    input.push_str("\r\n");
    let head = feed(&[input.as_bytes()], &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(head.target, target.as_str());
    assert_eq!(head.headers.len(), 101);
}

#[test]
fn beyond_the_limits_is_refused_as_soon_as_it_is_seen() {
    let limits = Limits {
        request_line: 40,
        head: 120,
        fields: 3,
        ..Limits::default()
    };
    let status = |input: &str| {
        let result = feed(&[input.as_bytes()], &limits);
        assert_eq!(
            feed(&input.as_bytes().chunks(1).collect::<Vec<_>>(), &limits)
                .err()
                .map(|p| p.status),
            result.as_ref().err().map(|p| p.status)
        );
        result.err().map_or(200, |problem| problem.status.as_u16())
    };
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(24));
    assert_eq!(line.len(), 40);
    assert_eq!(status(&format!("{line}Host: h\r\n\r\n")), 200);
    assert_eq!(status(&format!("\r\n{line}Host: h\r\n\r\n")), 200);
    assert_eq!(status(&format!("GET /a{}", &line[5..])), 414);
    // No line end is in sight yet.
    assert_eq!(status(&"a".repeat(41)), 414);
    assert_eq!(status(&format!("{line}X: {}", "a".repeat(80))), 431);
    assert_eq!(
        status(&format!("{line}Host: h\r\nX: y\r\nX: y\r\n\r\n")),
        200
    );
    assert_eq!(
        status(&format!("{line}Host: h\r\nX: y\r\nX: y\r\nX: y\r\n")),
        431
    );
}
