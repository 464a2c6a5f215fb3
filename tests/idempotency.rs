//! `Idempotency-Key`: a repeat gets its answer again and nothing is done twice.

use serde_json::{Value, json};
use veche::testing::{Reply, Server};

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

fn hello() -> Value {
    json!({ "to": "common", "text": "hello" })
}

#[test]
fn a_repeat_gets_the_same_answer_and_posts_nothing() {
    let server = Server::core();
    let ann = server.connect("ann");
    let first = ann.post_once("k1", "/send", &hello());
    let message = first.expect(201);
    assert!(!replayed(&first), "{first}");
    for _ in 0..3 {
        let again = ann.post_once("k1", "/send", &hello());
        assert_eq!(again.expect(201), message);
        assert!(replayed(&again), "{again}");
        assert_eq!(again.header("location"), first.header("location"));
    }
    assert_eq!(ann.texts("common").len(), 1);
    ann.post_once("k2", "/send", &hello()).expect(201);
    assert_eq!(ann.texts("common").len(), 2);
}

#[test]
fn a_repeat_by_another_client_of_the_user_is_the_same_one() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let message = ann.post_once("k", "/send", &hello()).expect(201);
    let again = second.post_once("k", "/send", &hello());
    assert_eq!(again.expect(201), message);
    assert!(replayed(&again));
}

#[test]
fn the_same_key_of_another_user_is_another_key() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.post_once("k", "/send", &hello()).expect(201);
    let his = bob.post_once("k", "/send", &hello());
    assert_eq!(his.expect(201)["from"], "bob");
    assert!(!replayed(&his));
    assert_eq!(ann.texts("common").len(), 2);
}

#[test]
fn simultaneous_repeats_are_one() {
    let server = Server::core();
    let ann = server.connect("ann");
    for round in 0..10 {
        let key = format!("round {round}");
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let posting: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| ann.post_once(&key, "/send", &hello())))
                .collect();
            posting
                .into_iter()
                .filter_map(|posted| posted.join().ok())
                .collect()
        });
        assert_eq!(replies.len(), 8);
        let message = replies[0].expect(201);
        assert!(replies.iter().all(|reply| reply.expect(201) == message));
        let first = replies.iter().filter(|reply| !replayed(reply)).count();
        assert_eq!(first, 1, "one of them is the first");
    }
    assert_eq!(ann.texts("common").len(), 10);
}

#[test]
fn a_repeat_is_known_over_a_clean_stop_and_a_crash() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let message = ann.post_once("k", "/send", &hello()).expect(201);
    server.restart();
    assert_eq!(ann.post_once("k", "/send", &hello()).expect(201), message);
    server.kill();
    server.restart();
    let again = ann.post_once("k", "/send", &hello());
    assert_eq!(again.expect(201), message);
    assert!(replayed(&again));
    assert_eq!(ann.texts("common").len(), 1);
}

#[test]
fn the_same_key_with_another_request_is_refused() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.post_once("k", "/send", &hello()).expect(201);
    ann.post_once("k", "/send", &json!({ "to": "common", "text": "other" }))
        .problem(422, "key_reused");
    ann.post_once("k", "/send", &json!({ "to": "@ann", "text": "hello" }))
        .problem(422, "key_reused");
    ann.post_once("k", "/read", &json!({}))
        .problem(422, "key_reused");
    assert_eq!(ann.texts("common"), ["hello"]);
}

#[test]
fn refusals_are_not_kept() {
    let server = Server::core();
    let ann = server.connect("ann");
    let body = json!({ "to": "@bob", "text": "hello" });
    ann.post_once("k", "/send", &body)
        .problem(404, "unknown_chat");
    server.connect("bob");
    let reply = ann.post_once("k", "/send", &body);
    reply.expect(201);
    assert!(!replayed(&reply));
    // Nor does a refusal hold the key for its own request.
    ann.post_once("j", "/send", &json!({ "to": "common", "text": "" }))
        .problem(422, "invalid");
    ann.post_once("j", "/send", &hello()).expect(201);
}

#[test]
fn a_key_has_1_to_128_printable_characters() {
    let server = Server::core();
    let ann = server.connect("ann");
    let longest = "k".repeat(128);
    for key in [
        "k",
        "a key with spaces",
        "~!@#$%^&*()[]{}\"'<>,;:",
        longest.as_str(),
    ] {
        ann.post_once(key, "/send", &hello()).expect(201);
    }
    let before = ann.texts("common").len();
    let too_long = "k".repeat(129);
    for key in [too_long.as_str(), "tab\tinside", "é"] {
        let mut wire = server.wire();
        let body = hello().to_string();
        wire.write(format!(
            "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nIdempotency-Key: {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            ann.token,
            body.len()
        ));
        let response = wire.response();
        assert_eq!(response.status(), 422, "{key}: {:?}", response.head);
        assert_eq!(response.json()["code"], "invalid");
    }
    let mut wire = server.wire();
    wire.write(format!(
        "POST /read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nIdempotency-Key: \r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        ann.token
    ));
    assert_eq!(wire.response().status(), 422);
    assert_eq!(ann.texts("common").len(), before);
}

#[test]
fn any_authenticated_post_takes_a_key() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    bob.say("one");
    ann.post_once("r", "/read", &json!({})).expect(204);
    bob.say("two");
    let again = ann.post_once("r", "/read", &json!({}));
    again.expect(204);
    assert!(replayed(&again), "{again}");
    assert_eq!(ann.unread().len(), 1, "the repeat marked nothing");
}

#[test]
fn a_repeat_is_known_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .core()
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    let message = ann.post_once("k", "/send", &hello()).expect(201);
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    for crash in [false, true] {
        if crash {
            server.kill();
        }
        server.restart();
        let again = ann.post_once("k", "/send", &hello());
        assert_eq!(again.expect(201), message);
        assert!(replayed(&again));
        ann.post_once("k", "/read", &json!({}))
            .problem(422, "key_reused");
    }
    assert_eq!(ann.texts("common").len(), 1);
}
