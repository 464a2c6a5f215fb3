//! Every wait and every size has an end.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

fn short() -> Duration {
    Duration::from_millis(50)
}

#[tokio::test]
async fn a_head_that_trickles_is_timed_out_in_total() {
    let server = Server::start(Limits {
        head_timeout: short(),
        ..Limits::default()
    })
    .await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\n").await;
    let (mut read, mut write) = client.0.split();
    let trickle = async {
        // Each piece comes well within the time; all of them do not.
        while write.write_all(b"X: y\r\n").await.is_ok() {
            tokio::time::sleep(short() / 10).await;
        }
    };
    let mut answer = String::new();
    tokio::select! {
        _ = trickle => {}
        _ = timeout(PATIENCE, read.read_to_string(&mut answer)) => {}
    }
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout"),
        "{answer}"
    );
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_timed_out() {
    let server = Server::start(Limits {
        body_timeout: short(),
        ..Limits::default()
    })
    .await;
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\n";
    for fields in [
        "Content-Length: 9\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n9\r\n",
    ] {
        let answer = server.talk(format!("{head}{fields}")).await;
        assert!(
            answer.starts_with("HTTP/1.1 408 Request Timeout"),
            "{answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits {
        idle_timeout: short(),
        head_timeout: short(),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    assert_eq!(server.talk("").await, "");
    assert_eq!(server.talk("\r\n").await, "");
    assert!(server.talk(GET).await.ends_with("GET /a"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = Server::start(Limits {
        write_timeout: short(),
        ..Limits::default()
    })
    .await;
    let mut client = server.connect().await;
    client.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n").await;
    // Nothing is read until the server has given up.
    timeout(PATIENCE, server.desk.source_dropped.notified())
        .await
        .expect("the server gives up");
    assert!(
        !client
            .try_rest()
            .await
            .unwrap_or_default()
            .ends_with("0\r\n\r\n")
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_no_longer_read_from() {
    let server = Server::start(Limits::default()).await;
    for path in ["/flood", "/slow", "/events"] {
        let mut client = server.connect().await;
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        let requests = GET.repeat(1000);
        let mut sent = 0;
        // What still can be sent then lies in the kernel's buffers.
        let more = async |client: &mut Client| client.0.write_all(requests.as_bytes()).await;
        while timeout(short() * 10, more(&mut client)).await.is_ok() {
            sent += requests.len();
            assert!(
                sent < 64 * 1024 * 1024,
                "{path}: the server reads on and on"
            );
        }
    }
}

#[tokio::test]
async fn sizes_beyond_the_limits_are_refused_and_the_answer_is_not_lost() {
    let server = Server::start(Limits::default()).await;
    let line = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(200_000));
    assert!(
        server
            .talk(line)
            .await
            .starts_with("HTTP/1.1 414 URI Too Long")
    );
    let field = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "a".repeat(200_000)
    );
    assert!(server.talk(field).await.starts_with("HTTP/1.1 431 "));
    let fields = format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
        "X: y\r\n".repeat(200)
    );
    assert!(server.talk(fields).await.starts_with("HTTP/1.1 431 "));
    let chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("{chunked}1;{}\r\n", "a".repeat(100_000));
    assert!(server.talk(extension).await.starts_with("HTTP/1.1 431 "));
    let trailers = format!("{chunked}0\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert!(server.talk(trailers).await.starts_with("HTTP/1.1 431 "));
    let body = format!("{chunked}100001\r\n{}\r\n0\r\n\r\n", "a".repeat(0x10_0001));
    let mut client = server.connect().await;
    client.send(body).await;
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Server::start(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let mut first = server.connect().await;
    first.send(GET).await;
    first.until("GET /a").await;
    let mut second = server.connect().await;
    second.send(GET).await;
    second.until("GET /a").await;
    let answer = server.talk(GET).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable"),
        "{answer}"
    );
    assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains("\"code\":\"overloaded\""), "{answer}");
    // When one goes, the next is let in.
    first.half_close().await;
    assert_eq!(first.rest().await, "");
    let mut third = server.connect().await;
    third.send(GET).await;
    third.until("GET /a").await;
}
