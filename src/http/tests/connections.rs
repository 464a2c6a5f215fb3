//! What becomes of connections: kept, pipelined, half-closed, drained.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    // RFC 9112, 9.3.2: "it MUST send the corresponding responses in the same order that the
    // requests were received".
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let many: String = (0..500)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    client.send(many).await;
    server.desk.started.notified().await;
    server.desk.go_on.notify_one();
    client.until("slow").await;
    for n in 0..500 {
        client.until(&format!("\r\n\r\nGET /{n}")).await;
    }
}

#[tokio::test]
async fn http_1_0_is_kept_only_when_asked_for() {
    let server = Server::start(Limits::default()).await;
    let answer = server.talk("GET /a HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.contains("\r\nconnection: close\r\n") && answer.ends_with("GET /a"),
        "{answer}"
    );
    let answer = server
        .talk("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
        .await;
    assert_eq!(
        count(&answer, "\r\nconnection: keep-alive\r\n"),
        1,
        "{answer}"
    );
    assert_eq!(count(&answer, "\r\nconnection: close\r\n"), 1, "{answer}");
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_and_the_next_request_follows() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("\r\ncontent-length: 9\r\n"), "{head}");
    assert_eq!(count(&head, "\r\ndate: "), 1, "{head}");
    client.send(GET).await;
    assert!(client.until("GET /a").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn absolute_targets_asterisks_and_odd_methods_reach_the_service() {
    let server = Server::start(Limits::default()).await;
    for (line, expected) in [
        ("GET http://x/y HTTP/1.1", "GET /y"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *"),
        ("BREW /pot HTTP/1.1", "BREW /pot"),
    ] {
        let answer = server
            .talk(format!("{line}\r\nHost: h\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!(body(&answer), expected);
    }
}

#[tokio::test]
async fn a_refusal_is_one_answer_and_the_end() {
    let server = Server::start(Limits::default()).await;
    for (bad, status) in [
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
            "400 Bad Request",
        ),
        ("GET / HTTP/1.1\nHost: h\n\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (
            "GET / HTTP/3.0\r\nHost: h\r\n\r\n",
            "505 HTTP Version Not Supported",
        ),
        (
            "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
            "501 Not Implemented",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n",
            "417 Expectation Failed",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
            "501 Not Implemented",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request",
        ),
    ] {
        let answer = server.talk(format!("{bad}{GET}{GET}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{bad:?}: {answer}"
        );
        assert_eq!(count(&answer, "\r\ndate: "), 1, "{bad:?}: {answer}");
        for field in [
            "connection: close",
            "content-type: application/problem+json",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(
                answer.contains(&format!("\r\n{field}\r\n")),
                "{bad:?}: {answer}"
            );
        }
        let problem: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        assert!(
            status.starts_with(&problem["status"].to_string()),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_refused_client_may_go_on_sending_for_a_while() {
    // RFC 9112, 9.6: "servers typically close a connection in stages".
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET\r\n".repeat(1000)).await;
    client.until("\"headers_too_large\"}").await;
    for _ in 0..10 {
        client.send("more").await;
        settle().await;
    }
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_half_closed_client_gets_its_whole_answer() {
    let server = Server::start(Limits::default()).await;
    for path in ["/slow", "/pieces", "/a"] {
        let mut client = server.connect().await;
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        client.half_close().await;
        if path == "/slow" {
            server.desk.started.notified().await;
            server.desk.go_on.notify_one();
        }
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(
            ["slow", "GET /a", "0\r\n\r\n"]
                .iter()
                .any(|end| answer.ends_with(end)),
            "{answer}"
        );
    }
    // What comes after the half-closing is part of it.
    let mut client = server.connect().await;
    client.send("GET /feed HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("5\r\nhello\r\n").await;
    client.half_close().await;
    settle().await;
    server.desk.send_event("more");
    assert_eq!(client.until("more\r\n").await, "4\r\nmore\r\n");
    *server.desk.events.lock().unwrap() = None;
    assert_eq!(client.rest().await, "0\r\n\r\n");
    // Half a head is no request.
    let mut client = server.connect().await;
    client.send("GET / HT").await;
    client.half_close().await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 Bad Request"));
}

#[tokio::test]
async fn an_endless_stream_ends_when_its_client_does() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("5\r\nhello\r\n").await;
    server.desk.send_event("more");
    assert_eq!(client.until("more\r\n").await, "4\r\nmore\r\n");
    client.half_close().await;
    assert_eq!(client.rest().await, "0\r\n\r\n");
    server.desk.source_dropped.notified().await;

    let mut client = server.connect().await;
    client.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until("5\r\nhello\r\n").await;
    drop(client);
    server.desk.source_dropped.notified().await;
    assert_eq!(server.desk.sources.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_closes_its_connection_only() {
    let server = Server::start(Limits::default()).await;
    let mut other = server.connect().await;
    other.send(GET).await;
    other.until("GET /a").await;
    assert_eq!(
        server.talk("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").await,
        ""
    );
    other.send(GET).await;
    other.until("GET /a").await;
}

#[tokio::test]
async fn an_interim_status_from_the_service_is_its_failure() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client
        .send("GET /interim HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 500 "));
}

#[tokio::test]
async fn a_drain_answers_what_is_under_way_and_closes_the_rest() {
    let server = Server::start(Limits::default()).await;
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.until("GET /a").await;
    let mut fresh = server.connect().await;
    let mut events = server.connect().await;
    events.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n").await;
    events.until("5\r\nhello\r\n").await;
    let mut slow = server.connect().await;
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.desk.started.notified().await;

    server.shutdown.send(true).unwrap();
    assert_eq!(idle.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    assert_eq!(events.rest().await, "0\r\n\r\n");
    assert!(TcpStream::connect(server.address).await.is_err());
    server.desk.go_on.notify_one();
    let answer = slow.rest().await;
    assert!(
        answer.contains("\r\nconnection: close\r\n") && answer.ends_with("slow"),
        "{answer}"
    );
    drop((idle, fresh, events, slow));
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut slow = server.connect().await;
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.desk.started.notified().await;
    server.shutdown.send(true).unwrap();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(slow.try_rest().await.unwrap_or_default(), "");
}
