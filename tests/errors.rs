//! Refusals: their shape, their codes, and that no input is answered with a 5xx.

use serde_json::json;
use veche::testing::Server;

const READS: [&str; 7] = [
    "/status",
    "/users",
    "/messages?chat=common",
    "/messages/1",
    "/unread",
    "/healthz",
    "/openapi.json",
];

#[test]
fn without_a_token_or_with_an_unknown_one_it_is_401_that_says_bearer() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.say("one");
    let calls = [
        ("GET", "/status"),
        ("GET", "/users"),
        ("GET", "/messages?chat=common"),
        ("GET", "/messages/1"),
        ("GET", "/unread"),
        ("GET", "/events"),
        ("POST", "/send"),
        ("POST", "/read"),
        ("POST", "/disconnect"),
    ];
    let bad = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YTpi",
        "Bearer a b",
        "bearer",
    ];
    for (method, path) in calls {
        for authorization in bad {
            let mut request = server.guest().request(method, path).json(&json!({}));
            if method == "GET" {
                request = server.guest().request(method, path);
            }
            if !authorization.is_empty() {
                request = request.header("Authorization", authorization);
            }
            let reply = request.send();
            reply.problem(401, "unauthorized");
            let challenge = reply.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer"), "{method} {path}: {reply}");
        }
    }
}

#[test]
fn the_scheme_is_known_in_any_case() {
    // RFC 9110, 11.1: "It uses a case-insensitive token to identify the authentication scheme".
    let server = Server::core();
    let ann = server.connect("ann");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {}", ann.token);
        let request = server.guest().request("GET", "/status");
        request
            .header("Authorization", &authorization)
            .send()
            .expect(200);
    }
}

#[test]
fn three_calls_need_no_token() {
    let server = Server::core();
    let guest = server.guest();
    assert_eq!(guest.get("/healthz").expect(200), json!({ "status": "ok" }));
    guest.get("/openapi.json").expect(200);
    guest
        .post("/connect", &json!({ "name": "ann" }))
        .expect(201);
}

#[test]
fn an_unknown_path_is_404_not_found() {
    let server = Server::core();
    let ann = server.connect("ann");
    for path in [
        "/nothing",
        "/send/more",
        "/messages/1/2/3",
        "/Send",
        "/send/",
        "//send",
        "/a/../status",
        "/%2e%2e/status",
        "/status%00",
        "/status%2F",
    ] {
        ann.get(path).problem(404, "not_found");
        ann.post(path, &json!({})).problem(404, "not_found");
    }
}

#[test]
fn another_method_is_405_with_those_allowed() {
    let server = Server::core();
    let ann = server.connect("ann");
    for (method, path, allowed) in [
        ("GET", "/send", "POST"),
        ("PUT", "/send", "POST"),
        ("DELETE", "/send", "POST"),
        ("POST", "/status", "GET"),
        ("PATCH", "/messages/1", "GET"),
        ("POST", "/healthz", "GET"),
        ("GET", "/connect", "POST"),
        ("BREW", "/status", "GET"),
        ("get", "/status", "GET"),
    ] {
        let reply = ann.request(method, path).send();
        reply.problem(405, "method_not_allowed");
        let allow = reply.header("allow").unwrap_or_default();
        let listed: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(listed.contains(&allowed), "{method} {path}: {allow}");
        if allowed == "GET" {
            assert!(listed.contains(&"HEAD"), "{method} {path}: {allow}");
        }
    }
}

#[test]
fn another_content_type_is_415() {
    let server = Server::core();
    let ann = server.connect("ann");
    let body = json!({ "to": "common", "text": "x" }).to_string();
    for kind in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "json",
        "application/json-patch+json",
    ] {
        ann.request("POST", "/send")
            .body(body.as_str(), kind)
            .send()
            .problem(415, "unsupported_type");
        let connect = json!({ "name": "bob" }).to_string();
        server
            .guest()
            .request("POST", "/connect")
            .body(connect, kind)
            .send()
            .problem(415, "unsupported_type");
    }
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
    ] {
        ann.request("POST", "/send")
            .body(body.as_str(), kind)
            .send()
            .expect(201);
    }
}

#[test]
fn what_is_no_json_is_400_malformed() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bodies: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"{\"to\":\"common\",\"text\":\"x\"",
        b"{\"to\":\"common\",\"text\":\"x\"} {}",
        b"{'to':'common'}",
        b"{\"to\":\"common\",\"text\":\"x\",}",
        b"{\"to\":\"common\",\"text\":\"x\",\"ignored\":\"\xff\"}",
        b"{\"to\":\"common\",\"text\":\"\\x41\"}",
        b"{\"to\":\"common\",\"text\":\"raw\nnewline\"}",
        b"{\"to\":\"common\",\"text\":\"\xff\"}",
        b"{\"to\":\"common\",\"text\":\"\xc3\x28\"}",
        b"{\"to\":\"common\",\"text\":\"\xed\xa0\x80\"}",
        b"{\"to\":\"common\",\"text\":\"\xc0\x80\"}",
        b"\xff\xfe{\x00}\x00",
        b"{\"to\":\"common\",\"text\":NaN}",
    ];
    for body in bodies {
        let reply = ann
            .request("POST", "/send")
            .body(body, "application/json")
            .send();
        assert_eq!(
            reply.status,
            400,
            "{:?}: {reply}",
            String::from_utf8_lossy(body)
        );
        reply.problem(400, "malformed");
    }
    assert!(ann.texts("common").is_empty());
}

#[test]
fn half_a_surrogate_pair_is_no_character() {
    let server = Server::core();
    let ann = server.connect("ann");
    for text in ["\\ud800", "\\udc00", "a\\ud83d b", "\\ud83d\\ud83d"] {
        let body = format!("{{\"to\":\"common\",\"text\":\"{text}\"}}");
        let request = ann.request("POST", "/send");
        let reply = request.body(body, "application/json").send();
        assert!(matches!(reply.status, 400 | 422), "{text}: {reply}");
    }
    assert!(ann.texts("common").is_empty());
}

#[test]
fn one_field_given_twice_is_not_guessed_at() {
    let server = Server::core();
    let ann = server.connect("ann");
    let body = "{\"to\":\"common\",\"to\":\"@ann\",\"text\":\"x\"}";
    let reply = ann
        .request("POST", "/send")
        .body(body, "application/json")
        .send();
    assert!(matches!(reply.status, 400 | 422), "{reply}");
    assert!(ann.texts("common").is_empty());
}

#[test]
fn depth_bombs_are_refused_and_harm_nobody() {
    let server = Server::core();
    let ann = server.connect("ann");
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    for bomb in [
        open.clone(),
        format!("{open}{close}"),
        format!("{{\"to\":\"common\",\"text\":\"x\",\"extra\":{open}{close}}}"),
        "{\"a\":".repeat(40_000),
    ] {
        let reply = ann
            .request("POST", "/send")
            .body(bomb, "application/json")
            .send();
        assert!(matches!(reply.status, 400 | 422), "{}", reply.status);
    }
    ann.say("still here");
}

#[test]
fn a_json_body_has_at_most_256_kib() {
    let server = Server::core();
    let ann = server.connect("ann");
    let limit = 256 * 1024;
    let frame = json!({ "to": "common", "text": "x", "pad": "" }).to_string();
    let body = |size: usize| {
        frame.replace(
            "\"pad\":\"\"",
            &format!("\"pad\":\"{}\"", "p".repeat(size - frame.len())),
        )
    };
    let exact = body(limit);
    assert_eq!(exact.len(), limit);
    ann.request("POST", "/send")
        .body(exact, "application/json")
        .send()
        .expect(201);
    let reply = ann
        .request("POST", "/send")
        .body(body(limit + 1), "application/json")
        .send();
    assert_eq!(reply.status, 413, "{reply}");
    assert!(reply.body["code"].is_string(), "{reply}");
    assert_eq!(ann.texts("common").len(), 1);
}

#[test]
fn head_is_answered_wherever_get_is_without_a_body() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut bob = server.wire();
    let id = ann.say("one")["id"].to_string();
    for path in READS {
        let path = path.replace("/1", &format!("/{id}"));
        let get = ann.get(&path);
        get.expect(200);
        let head = ann.head(&path);
        assert_eq!(head.status, 200, "{path}");
        assert!(head.text.is_empty(), "{path}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
        bob.write(format!(
            "HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            ann.token
        ));
        // The next answer on the connection is where the last one ended: there was no body.
        assert_eq!(bob.response_to_head().status(), 200, "{path}");
    }
    bob.write(format!(
        "HEAD /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        ann.token
    ));
    let stream = bob.response_to_head();
    assert_eq!(stream.status(), 200);
    assert_eq!(
        stream
            .header("content-type")
            .map(|kind| kind.starts_with("text/event-stream")),
        Some(true)
    );
    ann.head("/nothing").expect(404);
    assert_eq!(server.guest().head("/status").status, 401);
}

#[test]
fn every_answer_of_the_api_forbids_sniffing_and_storing() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut replies: Vec<_> = READS.iter().map(|path| ann.get(path)).collect();
    replies.push(ann.send("common", "x"));
    replies.push(ann.send("@nobody", "x"));
    replies.push(ann.get("/nothing"));
    replies.push(ann.delete("/send"));
    replies.push(server.guest().get("/status"));
    replies.push(server.join(&json!({ "name": "bob" })));
    replies.push(ann.post("/read", &json!({})));
    for reply in replies {
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{reply}"
        );
        let cache = reply.header("cache-control").unwrap_or_default();
        assert!(cache.contains("no-store"), "{reply}");
        assert!(reply.header("date").is_some(), "{reply}");
        assert!(reply.header("set-cookie").is_none(), "{reply}");
    }
}

#[test]
fn odd_queries_are_refused_or_ignored_and_never_a_5xx() {
    let server = Server::core();
    let ann = server.connect("ann");
    for query in [
        "?",
        "??",
        "?&&&",
        "?=",
        "?=&=",
        "?limit",
        "?limit=",
        "?limit=1&limit=2",
        "?%",
        "?%zz=1",
        "?limit=%ff",
        "?after=%00",
        "?limit=%2B1",
        "?limit=1e3",
        "?limit=0x10",
        "?limit=٣",
        "?after=%F0%9F%98%80",
        "?limit=18446744073709551616",
        "?chat=common&after=-9223372036854775809",
    ] {
        let query: String = query
            .chars()
            .map(|c| {
                if c.is_ascii() {
                    c.to_string()
                } else {
                    veche::testing::encode(&c.to_string())
                }
            })
            .collect();
        for path in ["/messages", "/users", "/unread", "/status", "/messages/1"] {
            let reply = ann.get(&format!("{path}{query}"));
            assert!(reply.status < 500, "{path}{query}: {reply}");
        }
    }
}

#[test]
fn random_bytes_as_a_body_are_a_4xx() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        let reply = ann
            .request("POST", "/send")
            .body(bytes, "application/json")
            .send();
        assert!((400..500).contains(&reply.status), "{reply}");
    }
}
