//! Bodies in both directions.

use super::*;

const POST: &str = "POST /echo HTTP/1.1\r\nHost: h\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn bodies_are_read_by_length_and_by_chunks() {
    let server = Server::start(Limits::default()).await;
    let answer = server
        .talk(format!(
            "{POST}Content-Length: 5\r\n\r\nhello{POST}Transfer-Encoding: chunked\r\n\r\n\
             3;x=y\r\nwor\r\n2\r\nld\r\n0\r\nX-Trailer: z\r\n\r\n{LAST}"
        ))
        .await;
    assert_eq!(count(&answer, "HTTP/1.1 200 OK"), 3, "{answer}");
    assert!(answer.contains("\r\n\r\nhelloHTTP/1.1 "), "{answer}");
    assert!(answer.contains("\r\n\r\nworldHTTP/1.1 "), "{answer}");
    assert!(answer.ends_with("GET /last"), "{answer}");
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_the_same() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.0.set_nodelay(true).unwrap();
    let input =
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e\r\nde\r\n0\r\n\r\n{LAST}");
    for byte in input.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    let answer = client.rest().await;
    assert!(answer.contains("\r\n\r\nabcdeHTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("GET /last"), "{answer}");
}

#[tokio::test]
async fn a_body_streams_through_both_ways_at_once() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client
        .send("POST /mirror HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.send("3\r\nabc\r\n").await;
    assert!(
        client
            .until("3\r\nabc\r\n")
            .await
            .contains("transfer-encoding: chunked")
    );
    client.send("2\r\nde\r\n").await;
    assert_eq!(client.until("\r\nde\r\n").await, "2\r\nde\r\n");
    client.send(format!("0\r\n\r\n{LAST}")).await;
    let rest = client.rest().await;
    assert!(rest.starts_with("0\r\n\r\nHTTP/1.1 200 OK"), "{rest}");
    assert!(rest.ends_with("GET /last"), "{rest}");
}

#[tokio::test]
async fn a_body_is_waited_for_with_100_continue_only_when_it_is_read() {
    // RFC 9110, 10.1.1: "send either the 100 (Continue) status code or a final status code".
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client
        .send(format!(
            "{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
    assert_eq!(
        client.until("\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hello").await;
    let answer = client.until("hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");

    // Who has begun to send the body needs no telling.
    for (fields, first, second) in [
        ("Content-Length: 5", "wo", "rld"),
        ("Transfer-Encoding: chunked", "5", "\r\nworld\r\n0\r\n\r\n"),
    ] {
        client
            .send(format!(
                "{POST}{fields}\r\nExpect: 100-continue\r\n\r\n{first}"
            ))
            .await;
        settle().await;
        client.send(second).await;
        assert!(client.until("world").await.starts_with("HTTP/1.1 200 OK"));
    }

    // And no body is not waited for.
    client
        .send(format!(
            "{POST}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
    assert!(
        client
            .until("\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
}

#[tokio::test]
async fn a_body_that_is_refused_gets_no_100_and_the_connection_closes() {
    let server = Server::start(Limits::default()).await;
    for (path, length, status) in [
        ("/unread", "5", "200 OK"),
        ("/echo", "1048577", "413 Payload Too Large"),
    ] {
        let answer = server
            .talk(format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
                 Content-Length: {length}\r\n\r\n"
            ))
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(count(&answer, "HTTP/1.1"), 1, "{answer}");
    }
}

#[tokio::test]
async fn an_unread_body_that_is_short_is_read_away() {
    let server = Server::start(Limits::default()).await;
    let body = "x".repeat(200_000);
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let answer = server
        .talk(format!(
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}\
             POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{LAST}",
            body.len()
        ))
        .await;
    assert_eq!(count(&answer, "HTTP/1.1 200 OK"), 3, "{answer}");
    assert!(answer.ends_with("GET /last"), "{answer}");
}

#[tokio::test]
async fn an_unread_body_that_is_long_closes_the_connection_and_loses_no_answer() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n")
        .await;
    client.send("x".repeat(200_000)).await;
    let answer = client.rest().await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("POST /a"), "{answer}");

    // How long a chunked body is shows late; it is not read for ever.
    let mut client = server.connect().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut sent = 0;
    while client.0.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "the server reads on and on");
    }
}

#[tokio::test]
async fn a_broken_body_is_refused_and_what_follows_is_not_taken_for_a_request() {
    let server = Server::start(Limits::default()).await;
    for body in [
        "5\r\nhelloX\r\n",
        "5\nhello\r\n",
        "0x5\r\nhello\r\n",
        "0\r\nX : y\r\n\r\n",
    ] {
        for path in ["/echo", "/unread"] {
            let answer = server
                .talk(format!(
                    "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                     {body}0\r\n\r\n{LAST}"
                ))
                .await;
            assert_eq!(count(&answer, "\r\ndate: "), 1, "{body:?}: {answer}");
            if path == "/echo" {
                assert!(
                    answer.starts_with("HTTP/1.1 400 Bad Request"),
                    "{body:?}: {answer}"
                );
                assert!(
                    answer.contains("\r\nconnection: close\r\n"),
                    "{body:?}: {answer}"
                );
                assert!(
                    answer.contains("application/problem+json"),
                    "{body:?}: {answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_refused() {
    let server = Server::start(Limits::default()).await;
    for fields in [
        "Content-Length: 9\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nhello",
    ] {
        let mut client = server.connect().await;
        client.send(format!("{POST}{fields}")).await;
        client.half_close().await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    }
}

#[tokio::test]
async fn streams_are_chunked_or_of_the_told_length() {
    let server = Server::start(Limits::default()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = server.talk(get("/pieces")).await;
    assert!(
        answer.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{answer}"
    );
    assert_eq!(body(&answer), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    let answer = server.talk(get("/sized")).await;
    assert!(answer.contains("\r\ncontent-length: 6\r\n"), "{answer}");
    assert_eq!(body(&answer), "onetwo");

    let answer = server
        .talk("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(body(&answer), "onetwo");
}

#[tokio::test]
async fn a_stream_that_breaks_does_not_look_whole() {
    let server = Server::start(Limits::default()).await;
    for path in ["/broken", "/short", "/long"] {
        let mut client = server.connect().await;
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        // A reset shows the break as well.
        let answer = client.try_rest().await.unwrap_or_default();
        let told = if path == "/short" {
            "content-length: 7\r\n"
        } else {
            ""
        };
        assert!(
            answer.contains(told) && !answer.ends_with("0\r\n\r\n"),
            "{path}: {answer}"
        );
        assert!(path != "/long" || !answer.contains("two"), "{answer}");
    }
    // In HTTP/1.0 the connection's end is the body's end, so only a reset tells.
    let mut client = server.connect().await;
    client.send("GET /broken HTTP/1.0\r\n\r\n").await;
    let error = client.try_rest().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
