//! Programs that take what is posted to them.

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Received, Receiver};

use super::{listed, path, server, subscribe, text, verify};

#[test]
fn what_is_said_is_posted_in_order_and_signed() {
    let server = server("");
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    bob.say("before");
    let mut events = ann.events();
    let made = subscribe(&ann, "common", &program);
    let told = events.next("subscription").data;
    assert_eq!(told, listed(&ann), "her other clients know as much");
    assert_eq!(told["secret"], Value::Null);
    assert_eq!(
        (&told["state"], &told["works"]),
        (&json!("on"), &json!(true))
    );
    let said: Vec<Value> = (0..20)
        .map(|number| bob.say(&format!("{number}")))
        .collect();
    ann.tell("bob", "between us");
    let own = ann.say("mine");
    for message in said.iter().chain([&own]) {
        let received = program.next();
        assert_eq!(received.body["data"], *message);
        assert_eq!(received.body["type"], "message");
        assert_eq!(received.body["timestamp"], message["at"]);
        let id = format!("msg_{}", message["id"]);
        assert_eq!(received.header("webhook-id"), id);
        assert_eq!(received.path, "/said");
        assert_eq!(received.header("content-type"), "application/json");
        assert!(received.header("user-agent").starts_with("veche/"));
        verify(&received, &made["secret"]);
    }
    ann.delete(&path(&made, "")).expect(204);
    assert_eq!(
        events.next("subscription_removed").data,
        json!({"id": made["id"]})
    );
    ann.say("after");
    assert!(program.within(Duration::from_millis(300)).is_none());
    assert_eq!(
        ann.get("/subscriptions").expect(200)["subscriptions"],
        json!([])
    );
    let secret = made["secret"].as_str().expect("a secret");
    server.forgets(Duration::from_secs(30), secret.trim_start_matches("whsec_"));
    server.forgets(Duration::from_secs(30), &program.url("/said"));
}

#[test]
fn a_restart_and_a_crash_lose_nothing_and_keep_the_order() {
    let mut server = server("");
    let program = Receiver::start();
    let ann = server.connect("ann");
    subscribe(&ann, "@me", &program);
    let mut all: Vec<String> = Vec::new();
    let mut came: Vec<Received> = Vec::new();
    for round in 0..6 {
        let texts = (0..30).map(|number| format!("{round} {number}"));
        for text in texts {
            ann.tell("ann", &text);
            all.push(text);
        }
        came.push(program.next());
        if round % 2 == 0 {
            server.kill();
        }
        server.restart();
    }
    let last = all.last().cloned().unwrap_or_default();
    while came.last().map(text) != Some(&last) {
        came.push(program.next());
    }
    // What comes again after a crash is what came last before it: from there on it is in order.
    let mut next = 0;
    let mut again = 0;
    for received in &came {
        let place = all
            .iter()
            .position(|known| known == text(received))
            .expect("was said");
        assert!(place <= next, "{} was left out", all[next]);
        again += usize::from(place < next);
        next = next.max(place + 1);
    }
    assert_eq!(next, all.len());
    assert!(again < all.len(), "{again} came again");
}

#[test]
fn a_stop_records_what_was_taken() {
    let mut server = server("");
    let program = Receiver::start();
    let ann = server.connect("ann");
    subscribe(&ann, "@me", &program);
    for round in 0..3 {
        let said = format!("{round}");
        ann.tell("ann", &said);
        assert_eq!(text(&program.next()), said);
        server.restart();
    }
    assert!(program.within(Duration::from_millis(300)).is_none());
}

#[test]
fn with_the_feature_off_nothing_is_posted_and_it_goes_on_when_it_is_on() {
    let mut server = server("");
    let program = Receiver::start();
    let ann = server.connect("ann");
    subscribe(&ann, "@me", &program);
    let on = server.config().to_owned();
    server.configure(on.replace("enabled = true", "enabled = false"));
    server.restart();
    ann.get("/subscriptions").problem(404, "feature_off");
    ann.tell("ann", "meanwhile");
    assert!(program.within(Duration::from_millis(300)).is_none());
    server.configure(on);
    server.restart();
    assert_eq!(text(&program.next()), "meanwhile");
}

#[test]
fn there_are_so_many_and_each_is_its_owners_alone() {
    let server = server("subscriptions = 2");
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let made = subscribe(&ann, "common", &program);
    subscribe(&ann, "@bob", &program);
    let new = json!({"chat": "common", "url": program.url("/")});
    ann.post("/subscriptions", &new).problem(429, "too_many");
    bob.delete(&path(&made, "")).problem(404, "not_found");
    assert_eq!(
        bob.get("/subscriptions").expect(200)["subscriptions"],
        json!([])
    );
    let nobody = json!({"chat": "@nobody", "url": program.url("/")});
    bob.post("/subscriptions", &nobody)
        .problem(404, "unknown_chat");
    // The private chat begins with its first message.
    bob.tell("ann", "psst");
    assert_eq!(text(&program.next()), "psst");
    ann.delete(&path(&made, "")).expect(204);
    ann.delete(&path(&made, "")).problem(404, "not_found");
    ann.post("/subscriptions", &new).expect(201);
}
