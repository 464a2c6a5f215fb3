//! Programs that do not, and such as may not be called.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veche::testing::{Receiver, Server, wait_until};

use super::{listed, path, server, subscribe, text, texts, verify};

#[test]
fn what_is_not_taken_comes_again_after_growing_pauses_and_nothing_overtakes_it() {
    let server = server("");
    let program = Receiver::start();
    let ann = server.connect("ann");
    let made = subscribe(&ann, "@me", &program);
    program.answer(500);
    let mut events = ann.events();
    ann.tell("ann", "one");
    ann.tell("ann", "two");
    let tries = program.take(4);
    assert_eq!(texts(&tries), ["one"; 4]);
    for again in &tries {
        assert_eq!(again.header("webhook-id"), tries[0].header("webhook-id"));
        verify(again, &made["secret"]);
    }
    // 100, 300 and 900 ms, each up to a fifth less.
    let pauses: Vec<_> = tries.windows(2).map(|two| two[1].at - two[0].at).collect();
    for (pause, least) in pauses.iter().zip([80, 240, 720]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
    for times in 1..=4 {
        let state = events.next("subscription_state").data;
        assert_eq!(state["state"], "failing");
        assert_eq!(state["failure"]["times"], times);
    }
    let failure = listed(&ann)["failure"].clone();
    assert_eq!(
        (&failure["reason"], &failure["status"]),
        (&json!("status"), &json!(500))
    );
    assert!(
        failure["next"].is_string() && failure["since"].is_string(),
        "{failure}"
    );
    program.answer(200);
    assert_eq!(texts(&program.take(2)), ["one", "two"]);
    let state = events.next("subscription_state").data;
    assert_eq!(state, json!({"state": "on", "id": made["id"]}));
    assert_eq!(listed(&ann)["state"], "on");
}

#[test]
fn who_is_switched_on_is_tried_at_once() {
    let server = Server::only("subscriptions", "allow = [\"127.0.0.1\"]\npause = \"1h\"");
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let made = subscribe(&ann, "common", &program);
    program.answer(503);
    bob.say("hello");
    program.next();
    wait_until("the failure", || {
        (listed(&ann)["state"] == "failing").then_some(())
    });
    program.answer(200);
    bob.post(&path(&made, "/on"), &json!({}))
        .problem(404, "not_found");
    let on = ann.post(&path(&made, "/on"), &json!({})).expect(200);
    assert_eq!(on["state"], "on");
    assert_eq!(text(&program.next()), "hello");
}

#[test]
fn one_that_fails_for_too_long_is_off_until_it_is_switched_on() {
    let server = server("give_up = \"1s\"");
    let program = Receiver::start();
    let ann = server.connect("ann");
    let made = subscribe(&ann, "@me", &program);
    let mut events = ann.events();
    program.answer(500);
    ann.tell("ann", "one");
    let states = (0..20).map(|_| events.next("subscription_state").data);
    let off = states.into_iter().find(|state| state["state"] == "off");
    let off = off.expect("it is given up");
    assert_eq!(
        (&off["id"], &off["failure"]["next"]),
        (&made["id"], &Value::Null)
    );
    while program.within(Duration::from_millis(300)).is_some() {}
    ann.tell("ann", "two");
    assert!(program.within(Duration::from_millis(300)).is_none());
    program.answer(200);
    ann.post(&path(&made, "/on"), &json!({})).expect(200);
    assert_eq!(texts(&program.take(2)), ["one", "two"]);
}

#[test]
fn gone_ends_it_and_a_redirect_is_not_followed() {
    let server = server("");
    let (gone, moved, elsewhere) = (Receiver::start(), Receiver::start(), Receiver::start());
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    gone.answer(410);
    let to = elsewhere.url("/");
    moved.answer_with(move |_| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    });
    subscribe(&ann, "common", &gone);
    subscribe(&bob, "common", &moved);
    ann.say("hello");
    gone.next();
    moved.take(2);
    wait_until("the end", || (listed(&ann)["state"] == "off").then_some(()));
    assert_eq!(listed(&ann)["failure"]["status"], 410);
    assert_eq!(listed(&bob)["failure"]["status"], 302);
    assert_eq!(listed(&bob)["state"], "failing");
    assert!(gone.within(Duration::from_millis(300)).is_none());
    assert!(elsewhere.within(Duration::ZERO).is_none());
}

#[test]
fn what_is_not_public_is_not_called_however_it_is_spelt() {
    let server = Server::only("subscriptions", "pause = \"100ms\"");
    let program = Receiver::start();
    let port = program
        .url("")
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let ann = server.connect("ann");
    let new = |url: &str| ann.post("/subscriptions", &json!({"chat": "@me", "url": url}));
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let refused = new(&format!("http://{host}:{port}/"));
        refused.problem(422, "invalid");
        assert_eq!(refused.body["field"], "url");
    }
    for url in ["ftp://example.org/", "http://ann:x@example.org/", "no", ""] {
        new(url).problem(422, "invalid");
    }
    // What a name leads to is known when it is called.
    new(&format!("http://localhost:{port}/")).expect(201);
    ann.tell("ann", "hello");
    wait_until("the refusal", || {
        (listed(&ann)["failure"]["reason"] == "private").then_some(())
    });
    assert!(program.within(Duration::ZERO).is_none());
}

#[test]
fn a_program_that_does_not_answer_delays_no_other() {
    let server = server("at_once = 2\ntimeout = \"1s\"");
    let (hangs, other) = (Receiver::start(), Receiver::start());
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (_release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    hangs.answer_with(move |_| {
        // It ends with the test.
        let _ = held.lock().map(|held| held.recv());
        String::new()
    });
    for _ in 0..3 {
        subscribe(&ann, "common", &hangs);
    }
    subscribe(&bob, "common", &other);
    bob.say("one");
    hangs.next();
    let begun = Instant::now();
    for number in 0..5 {
        bob.say(&format!("{number}"));
    }
    assert_eq!(texts(&other.take(6)), ["one", "0", "1", "2", "3", "4"]);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    wait_until("the failure", || {
        (listed(&ann)["failure"]["reason"] == "timeout").then_some(())
    });
    // What is removed is broken off, and what hangs holds no stop up.
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(5));
}
