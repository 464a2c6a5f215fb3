//! Browsers of other origins, and proxies in front.

use serde_json::json;
use veche::testing::{Client, Server, wait_until};

const HERE: &str = "https://chat.example.org";

/// The headers that a page needs to read, by the contract's names.
const EXPOSED: [&str; 7] = [
    "location",
    "retry-after",
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "allow",
    "www-authenticate",
];

fn allowing(origins: &str) -> Server {
    Server::builder()
        .core()
        .config(format!("[server]\ncors = [{origins}]\n"))
        .start()
}

#[test]
fn off_by_default() {
    let server = Server::core();
    let ann = server.connect("ann");
    let reply = ann.request("GET", "/status").header("Origin", HERE).send();
    reply.expect(200);
    assert!(
        reply.header("access-control-allow-origin").is_none(),
        "{reply}"
    );
    let preflight = server
        .guest()
        .request("OPTIONS", "/send")
        .header("Origin", HERE)
        .header("Access-Control-Request-Method", "POST")
        .send();
    assert!(
        preflight.header("access-control-allow-origin").is_none(),
        "{preflight}"
    );
}

#[test]
fn an_allowed_origin_may_read_answers_and_refusals_and_their_headers() {
    let server = allowing(&format!("\"{HERE}\", \"http://localhost:5173\""));
    let ann = server.connect("ann");
    for origin in [HERE, "http://localhost:5173"] {
        for path in ["/status", "/nothing", "/healthz"] {
            let reply = ann.request("GET", path).header("Origin", origin).send();
            assert_eq!(
                reply.header("access-control-allow-origin"),
                Some(origin),
                "{path}: {reply}"
            );
            let vary = reply.header("vary").unwrap_or_default().to_lowercase();
            assert!(vary.contains("origin"), "{path}: {reply}");
            let exposed = reply
                .header("access-control-expose-headers")
                .unwrap_or_default()
                .to_lowercase();
            for name in EXPOSED.iter().take(5) {
                assert!(exposed.contains(name), "{name}: {exposed}");
            }
            // The API has no cookies: credentials in the sense of CORS are never allowed.
            assert!(
                reply.header("access-control-allow-credentials").is_none(),
                "{reply}"
            );
        }
        let reply = server
            .guest()
            .request("GET", "/status")
            .header("Origin", origin)
            .send();
        reply.problem(401, "unauthorized");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    }
    let events = ann.events_with("/events", &[("Origin", HERE)]);
    assert_eq!(
        events.head.header("access-control-allow-origin"),
        Some(HERE)
    );
}

#[test]
fn a_preflight_is_answered_without_a_token() {
    let server = allowing(&format!("\"{HERE}\""));
    let preflight = server
        .guest()
        .request("OPTIONS", "/send")
        .header("Origin", HERE)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization, content-type, idempotency-key",
        )
        .send();
    assert!(matches!(preflight.status, 200 | 204), "{preflight}");
    assert_eq!(preflight.header("access-control-allow-origin"), Some(HERE));
    let methods = preflight
        .header("access-control-allow-methods")
        .unwrap_or_default();
    assert!(methods.contains("POST"), "{preflight}");
    let headers = preflight
        .header("access-control-allow-headers")
        .unwrap_or_default()
        .to_lowercase();
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
    ] {
        assert!(headers.contains(name), "{name}: {headers}");
    }
    let delete = server
        .guest()
        .request("OPTIONS", "/status")
        .header("Origin", HERE)
        .header("Access-Control-Request-Method", "GET")
        .send();
    assert!(matches!(delete.status, 200 | 204), "{delete}");
}

#[test]
fn another_origin_is_told_nothing() {
    let server = allowing(&format!("\"{HERE}\""));
    let ann = server.connect("ann");
    for origin in [
        "https://evil.example",
        "https://chat.example.org.evil.example",
        "http://chat.example.org",
        "https://chat.example.org:8443",
        "null",
        "",
    ] {
        let reply = ann
            .request("GET", "/status")
            .header("Origin", origin)
            .send();
        assert!(
            reply.header("access-control-allow-origin").is_none(),
            "{origin}: {reply}"
        );
        let preflight = server
            .guest()
            .request("OPTIONS", "/send")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .send();
        assert!(
            preflight.header("access-control-allow-origin").is_none(),
            "{origin}: {preflight}"
        );
    }
}

#[test]
fn a_star_allows_every_origin() {
    let server = allowing("\"*\"");
    let ann = server.connect("ann");
    let reply = ann
        .request("GET", "/status")
        .header("Origin", "https://any.example")
        .send();
    let allowed = reply
        .header("access-control-allow-origin")
        .unwrap_or_default();
    assert!(matches!(allowed, "*" | "https://any.example"), "{reply}");
}

/// Connects with this `X-Forwarded-For`; the server's log then tells whom it saw.
fn forwarded(server: &Server, name: &str, forwarded: &str) {
    let reply = server
        .guest()
        .request("POST", "/connect")
        .header("X-Forwarded-For", forwarded)
        .json(&json!({ "name": name }))
        .send();
    Client::welcomed(&server.url(), &reply.expect(201)).say("x");
}

#[test]
fn x_forwarded_for_is_believed_from_trusted_proxies_alone() {
    let trusting = Server::builder()
        .core()
        .config("[server]\ntrusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n")
        .start();
    forwarded(&trusting, "ann", "192.0.2.66, 198.51.100.7, 10.1.2.3");
    let log = wait_until("a line with the last address that is no proxy's", || {
        let log = trusting.log();
        log.contains("198.51.100.7").then_some(log)
    });
    assert!(
        !log.contains("192.0.2.66"),
        "what is before it is only claimed:\n{log}"
    );

    let plain = Server::core();
    forwarded(&plain, "ann", "198.51.100.7");
    let log = wait_until("a line with the connection's", || {
        let log = plain.log();
        log.contains("peer=127.0.0.1").then_some(log)
    });
    assert!(!log.contains("198.51.100.7"), "nobody is trusted:\n{log}");
}

#[test]
fn a_forwarded_address_that_is_none_harms_nobody() {
    let server = Server::builder()
        .core()
        .config("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n")
        .start();
    for (number, value) in [
        "",
        ",",
        "unknown",
        "_hidden",
        "1.2.3",
        "::1, x",
        "[::1]:80",
        "1.2.3.4:99999",
    ]
    .into_iter()
    .enumerate()
    {
        forwarded(&server, &format!("user{number}"), value);
    }
}
