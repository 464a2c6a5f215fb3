use super::*;
use crate::http::{Chunk, Response};
use std::io;
use std::task::{Context, Poll};

struct Nothing;

impl Source for Nothing {
    fn poll_chunks(&mut self, _: &mut Context<'_>, _: &mut Vec<Chunk>) -> Poll<io::Result<bool>> {
        Poll::Ready(Ok(false))
    }
}

fn stream(length: Option<u64>) -> Payload {
    Payload::Stream {
        length,
        source: Box::new(Nothing),
    }
}

/// The head's lines but the `Date`, whether a body follows, and whether the connection closes.
fn made(method: Method, version: Version, response: Response, close: bool) -> (String, bool, bool) {
    let (parts, payload) = response.into_parts();
    let id = RequestId::new();
    let line = format!("x-request-id: {}", id.as_str());
    let asked = Asked {
        method,
        version,
        id,
    };
    let answer = super::answer(&asked, &parts, payload, close);
    let head = String::from_utf8(answer.head.to_vec()).unwrap();
    let lines: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("x-request-id: "))
        .collect();
    assert_eq!(
        lines.len() + 2,
        head.split("\r\n").count(),
        "one Date and one X-Request-Id: {head}"
    );
    assert!(head.contains(&line), "{head}");
    let follows = !matches!(answer.content, Content::Nothing);
    (
        lines.join("|").trim_end_matches('|').to_owned(),
        follows,
        answer.close,
    )
}

fn with(status: u16, payload: Payload) -> Response {
    http::Response::builder()
        .status(status)
        .body(payload)
        .unwrap()
}

#[test]
fn a_body_is_delimited_as_the_version_allows() {
    let get = |version, payload| made(Method::GET, version, with(200, payload), false);
    let (new, old) = (Version::HTTP_11, Version::HTTP_10);
    for (version, payload, head, follows, close) in [
        (
            new,
            Payload::Empty,
            "HTTP/1.1 200 OK|content-length: 0",
            false,
            false,
        ),
        (
            new,
            Payload::Full("abc".into()),
            "HTTP/1.1 200 OK|content-length: 3",
            true,
            false,
        ),
        (
            new,
            stream(Some(7)),
            "HTTP/1.1 200 OK|content-length: 7",
            true,
            false,
        ),
        (
            new,
            stream(None),
            "HTTP/1.1 200 OK|transfer-encoding: chunked",
            true,
            false,
        ),
        (
            old,
            Payload::Full("abc".into()),
            "HTTP/1.1 200 OK|content-length: 3|connection: keep-alive",
            true,
            false,
        ),
        // RFC 9112, 6.1: "A server MUST NOT send a response containing Transfer-Encoding unless
        // the corresponding request indicates HTTP/1.1".
        (
            old,
            stream(None),
            "HTTP/1.1 200 OK|connection: close",
            true,
            true,
        ),
    ] {
        assert_eq!(get(version, payload), (head.to_owned(), follows, close));
    }
}

#[test]
fn what_has_no_content_gets_none() {
    // RFC 9110, 8.6: "A server MUST NOT send a Content-Length header field in any response with a
    // status code of 1xx (Informational) or 204 (No Content)".
    for (status, head) in [
        (204, "HTTP/1.1 204 No Content"),
        (304, "HTTP/1.1 304 Not Modified"),
        (205, "HTTP/1.1 205 Reset Content|content-length: 0"),
    ] {
        let made = made(
            Method::GET,
            Version::HTTP_11,
            with(status, Payload::Full("abc".into())),
            false,
        );
        assert_eq!(made, (head.to_owned(), false, false));
    }
}

#[test]
fn the_answer_to_head_has_the_length_and_no_content() {
    // RFC 9110, 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send
    // content in the response."
    let head = |response| made(Method::HEAD, Version::HTTP_11, response, false);
    for (payload, expected) in [
        (
            Payload::Full("abc".into()),
            "HTTP/1.1 200 OK|content-length: 3",
        ),
        (stream(Some(7)), "HTTP/1.1 200 OK|content-length: 7"),
        (stream(None), "HTTP/1.1 200 OK"),
        (Payload::Empty, "HTTP/1.1 200 OK|content-length: 0"),
    ] {
        assert_eq!(
            head(with(200, payload)),
            (expected.to_owned(), false, false)
        );
    }
    let mut told = with(200, Payload::Empty);
    told.headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("99"));
    assert_eq!(head(told).0, "HTTP/1.1 200 OK|content-length: 99");
}

#[test]
fn what_the_service_says_of_the_message_is_not_taken_over() {
    let mut response = with(200, Payload::Full("abc".into()));
    for (name, value) in [
        ("content-length", "99"),
        ("transfer-encoding", "gzip"),
        ("connection", "upgrade"),
        ("keep-alive", "timeout=5"),
        ("x-kept", "yes"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let (head, ..) = made(Method::GET, Version::HTTP_11, response, false);
    assert_eq!(head, "HTTP/1.1 200 OK|content-length: 3|x-kept: yes");
}

#[test]
fn the_service_can_have_the_connection_closed() {
    let mut response = with(200, Payload::Empty);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("Close"));
    let (head, _, close) = made(Method::GET, Version::HTTP_11, response, false);
    assert_eq!(head, "HTTP/1.1 200 OK|content-length: 0|connection: close");
    assert!(close);
    assert!(
        made(
            Method::GET,
            Version::HTTP_11,
            with(200, Payload::Empty),
            true
        )
        .2
    );
}
