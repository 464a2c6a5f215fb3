//! The rate_limit feature: so many posts to the common chat in a period, over all clients.

#![cfg(has_feature = "rate_limit")]

use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Reply, Server, binary, features};

fn server(messages: u32, per: &str) -> Server {
    Server::only(
        "rate_limit",
        &format!("messages = {messages}\nper = \"{per}\""),
    )
}

/// What the `RateLimit` header says is left, and in how many seconds the period ends.
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn left(reply: &Reply) -> (u64, u64) {
    let header = reply.header("ratelimit").unwrap_or_default();
    let number = |name: &str| {
        let part = header
            .split(';')
            .find_map(|part| part.trim().strip_prefix(name));
        part.and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {header:?}: {reply}"))
    };
    assert!(header.starts_with("\"common\";"), "{header}");
    (number("r="), number("t="))
}

/// Waits for the end of a period by the clock: there is no event that tells it.
fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn every_answer_to_a_common_post_says_the_policy_and_what_is_left() {
    let server = server(3, "1h");
    let ann = server.connect("ann");
    for expected in [2, 1, 0] {
        let reply = ann.send("common", "x");
        reply.expect(201);
        assert_eq!(
            reply.header("ratelimit-policy"),
            Some("\"common\";q=3;w=3600")
        );
        let (r, t) = left(&reply);
        assert_eq!(r, expected);
        assert!((3500..=3600).contains(&t), "{t}");
    }
    let refused = ann.send("common", "x");
    refused.problem(429, "rate_limited");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"common\";q=3;w=3600")
    );
    let (r, t) = left(&refused);
    assert_eq!(r, 0);
    let retry = refused.retry_after().as_secs();
    assert!((3500..=3600).contains(&retry), "{retry}");
    assert!(retry.abs_diff(t) <= 1, "{retry} and {t}");
    assert_eq!(
        ann.texts("common").len(),
        3,
        "nothing of the refused one is stored"
    );
}

#[test]
fn the_defaults_are_20_an_hour() {
    let server = Server::only("rate_limit", "");
    let ann = server.connect("ann");
    for _ in 0..20 {
        ann.say("x");
    }
    let refused = ann.send("common", "x");
    refused.problem(429, "rate_limited");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"common\";q=20;w=3600")
    );
}

#[test]
fn it_counts_a_user_over_all_their_clients_and_nobody_else() {
    let server = server(3, "1h");
    let ann = server.connect("ann");
    let second = ann.again();
    let bob = server.connect("bob");
    ann.say("1");
    second.say("2");
    ann.again().say("3");
    second.send("common", "4").problem(429, "rate_limited");
    ann.send("common", "4").problem(429, "rate_limited");
    assert_eq!(left(&bob.send("common", "his first")).0, 2);
}

#[test]
fn private_posts_neither_count_nor_are_refused() {
    let server = server(1, "1h");
    let ann = server.connect("ann");
    server.connect("bob");
    for _ in 0..5 {
        let reply = ann.send("@bob", "x");
        reply.expect(201);
        assert!(reply.header("ratelimit").is_none(), "{reply}");
        assert!(reply.header("ratelimit-policy").is_none(), "{reply}");
    }
    ann.say("1");
    ann.send("common", "2").problem(429, "rate_limited");
    ann.tell("bob", "still");
}

#[test]
fn the_count_is_kept_over_a_stop_and_a_crash() {
    let mut server = server(3, "1h");
    let ann = server.connect("ann");
    ann.say("1");
    server.restart();
    ann.say("2");
    server.kill();
    server.restart();
    assert_eq!(left(&ann.send("common", "3")).0, 0);
    server.kill();
    server.restart();
    ann.send("common", "4").problem(429, "rate_limited");
}

#[test]
fn a_period_begins_with_the_first_message_and_at_its_end_the_count_is_zero_again() {
    let server = server(2, "3s");
    let ann = server.connect("ann");
    let begin = Instant::now();
    ann.say("1");
    ann.say("2");
    let refused = ann.send("common", "3");
    if begin.elapsed() < Duration::from_millis(2500) {
        refused.problem(429, "rate_limited");
        let retry = refused.retry_after();
        assert!(
            retry >= Duration::from_secs(1) && retry <= Duration::from_secs(3),
            "{retry:?}"
        );
        wait(retry);
    }
    // Whoever waits as long as they were told may post, and has the whole measure again.
    let reply = ann.send("common", "3");
    reply.expect(201);
    assert_eq!(left(&reply).0, 1);
    wait(Duration::from_secs(3));
    assert_eq!(left(&ann.send("common", "4")).0, 1);
}

#[test]
fn a_replayed_or_refused_request_does_not_count() {
    let server = server(2, "1h");
    let ann = server.connect("ann");
    let body = json!({ "to": "common", "text": "once" });
    let first = ann.post_once("k", "/send", &body).expect(201);
    for _ in 0..5 {
        assert_eq!(ann.post_once("k", "/send", &body).expect(201), first);
        ann.send("common", "").problem(422, "invalid");
        ann.send("common", &"x".repeat(4001))
            .problem(422, "invalid");
    }
    assert_eq!(left(&ann.send("common", "second")).0, 0);
    for _ in 0..5 {
        ann.post_once("j", "/send", &json!({ "to": "common", "text": "third" }))
            .problem(429, "rate_limited");
    }
    // A replay is no post: it is answered even over the limit.
    assert_eq!(ann.post_once("k", "/send", &body).expect(201), first);
}

#[test]
fn of_many_at_once_no_more_than_the_limit_get_through() {
    let server = server(5, "1h");
    let ann = server.connect("ann");
    let clients: Vec<Client> = (0..8).map(|_| ann.again()).collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let posting: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| [0, 1].map(|_| client.send("common", "x").status)))
            .collect();
        posting
            .into_iter()
            .filter_map(|posted| posted.join().ok())
            .flatten()
            .collect()
    });
    let through = statuses.iter().filter(|&&status| status == 201).count();
    let refused = statuses.iter().filter(|&&status| status == 429).count();
    assert_eq!((through, refused), (5, 11), "{statuses:?}");
    assert_eq!(ann.texts("common").len(), 5);
}

#[test]
fn comments_in_the_common_chat_count_where_there_are_comments() {
    if !features(&binary()).contains(&"comments".to_owned()) {
        return;
    }
    let server = Server::with("[features.rate_limit]\nmessages = 3\nper = \"1h\"\n");
    let ann = server.connect("ann");
    server.connect("bob");
    let message = ann.say("1");
    let path = format!("/messages/{}/comments", message["id"]);
    let reply = ann.post(&path, &json!({ "text": "2" }));
    reply.expect(201);
    assert_eq!(left(&reply).0, 1);
    ann.say("3");
    let refused = ann.post(&path, &json!({ "text": "4" }));
    refused.problem(429, "rate_limited");
    assert!(refused.header("ratelimit-policy").is_some());
    let private = ann.tell("bob", "psst");
    ann.post(
        &format!("/messages/{}/comments", private["id"]),
        &json!({ "text": "free" }),
    )
    .expect(201);
}

#[test]
fn switched_off_nothing_is_counted_and_no_header_appears() {
    let server = Server::with("[features.rate_limit]\nenabled = false\n");
    let ann = server.connect("ann");
    for _ in 0..25 {
        let reply = ann.send("common", "x");
        reply.expect(201);
        assert!(reply.header("ratelimit").is_none(), "{reply}");
    }
}

#[test]
fn the_count_is_kept_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .only("rate_limit", "messages = 2\nper = \"1h\"")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    ann.say("1");
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    server.restart();
    assert_eq!(left(&ann.send("common", "2")).0, 0);
    server.kill();
    server.restart();
    ann.send("common", "3").problem(429, "rate_limited");
}
