//! The real server of this crate: polls and the core together.

use veche::prelude::{Value, json};
use veche::testing::{Builder, Client, Reply, Server, features};

fn server() -> Builder {
    Server::builder().binary(env!("CARGO_BIN_EXE_poll"))
}

/// Whether the server has a feature of veche's own, which may be left out of it.
fn has(feature: &str) -> bool {
    let all = features(env!("CARGO_BIN_EXE_poll").as_ref());
    all.iter().any(|name| name == feature)
}

fn ask(client: &Client, to: &str) -> Value {
    let poll = json!({"question": "Lunch?", "options": ["soup", "rice"], "to": to});
    client.post("/polls", &poll).expect(201)
}

fn vote(client: &Client, poll: &Value, option: u32) -> Reply {
    let path = format!("/polls/{}/votes", poll["id"]);
    client.post(&path, &json!({ "option": option }))
}

fn standing(client: &Client, poll: &Value) -> Reply {
    client.get(&format!("/polls/{}", poll["id"]))
}

#[test]
fn a_poll_is_a_message_that_everyone_in_the_chat_votes_on() {
    let server = server().only("poll", "").start();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut events = bob.events();
    let poll = ask(&ann, "common");
    assert_eq!(poll["text"], "Poll: Lunch?\n1. soup\n2. rice");
    assert_eq!(poll["poll"]["votes"], json!([0, 0]));
    assert_eq!(events.next("message").data, poll);
    vote(&ann, &poll, 1).expect(204);
    vote(&bob, &poll, 1).expect(204);
    vote(&bob, &poll, 2).expect(204);
    let told = events.next("vote").data;
    assert_eq!(
        told,
        json!({"poll": poll["id"], "from": "ann", "option": 1})
    );
    let stands = standing(&bob, &poll).expect(200);
    assert_eq!(stands["votes"], json!([1, 1]));
    assert_eq!(
        (&stands["open"], &stands["mine"]),
        (&json!(true), &json!(2))
    );
    let shown = &bob.messages("common")[0];
    assert_eq!(shown["poll"]["votes"], json!([1, 1]));
}

#[test]
fn any_client_begins_one_by_sending_its_text_and_other_texts_stay_texts() {
    let server = server().only("poll", "options = 2").start();
    let ann = server.connect("ann");
    let poll = ann.say("Poll: Tea?\n1. yes\n2. no");
    assert_eq!(poll["poll"]["open"], true);
    let plain = ann.say("Poll: Tea?\n1. yes\n2. no\n3. later");
    assert_eq!(plain["poll"], Value::Null);
    standing(&ann, &plain).problem(404, "not_found");
}

#[test]
fn what_cannot_be_asked_or_voted_is_refused_with_the_field() {
    let server = server().only("poll", "").start();
    let ann = server.connect("ann");
    for (poll, field) in [
        (json!({"question": "?", "options": ["one"]}), "options"),
        (json!({"question": "?", "options": ["one", " "]}), "options"),
        (
            json!({"question": "a\nb", "options": ["1", "2"]}),
            "question",
        ),
    ] {
        let problem = ann.post("/polls", &poll).problem(422, "invalid");
        assert_eq!(problem["field"], field);
    }
    let poll = ask(&ann, "common");
    for option in [0, 3] {
        let problem = vote(&ann, &poll, option).problem(422, "invalid");
        assert_eq!(problem["field"], "option");
    }
    let plain = ann.say("hello");
    vote(&ann, &plain, 1).problem(404, "not_found");
}

#[test]
fn a_poll_in_a_private_chat_is_nobody_elses() {
    let server = server().only("poll", "").start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let eve = server.connect("eve");
    let poll = ask(&ann, "@bob");
    vote(&bob, &poll, 2).expect(204);
    standing(&eve, &poll).problem(404, "not_found");
    vote(&eve, &poll, 1).problem(404, "not_found");
}

#[test]
fn a_poll_closes_when_its_time_is_over_and_a_restart_changes_nothing() {
    let mut server = server().only("poll", "open = \"3s\"").start();
    let ann = server.connect("ann");
    let poll = ask(&ann, "common");
    vote(&ann, &poll, 2).expect(204);
    let cursor = ann.cursor();
    server.kill();
    server.restart();
    let told = ann.events_after(&cursor).next("poll_closed").data;
    assert_eq!(told, json!({"poll": poll["id"], "votes": [0, 1]}));
    vote(&ann, &poll, 1).problem(409, "poll_closed");
    let stands = standing(&ann, &poll).expect(200);
    assert_eq!(
        (&stands["open"], &stands["votes"]),
        (&json!(false), &json!([0, 1]))
    );
    assert_eq!(ann.messages("common")[0]["poll"]["open"], false);
}

#[test]
fn votes_pass_the_rules_that_hold_for_every_post() {
    if !has("rate_limit") {
        return;
    }
    let rules = "[features.rate_limit]\nmessages = 2";
    let server = server().config(rules).start();
    let ann = server.connect("ann");
    let poll = ask(&ann, "common");
    vote(&ann, &poll, 1).expect(204);
    vote(&ann, &poll, 2).problem(429, "rate_limited");
}

#[test]
fn who_is_banned_neither_asks_nor_votes() {
    if !has("complaints") {
        return;
    }
    let config = "[features.complaints]\nwarnings = 1\n";
    let server = server().config(config).start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let poll = ask(&ann, "common");
    let complaint = json!({ "user": "bob" });
    ann.post("/complaints", &complaint).expect(201);
    vote(&bob, &poll, 1).problem(403, "banned");
    let own = json!({"question": "Tea?", "options": ["yes", "no"]});
    bob.post("/polls", &own).problem(403, "banned");
    assert_eq!(standing(&bob, &poll).expect(200)["votes"], json!([0, 0]));
}

#[test]
fn a_poll_goes_with_its_message() {
    if !has("ttl") {
        return;
    }
    let rules = "[features.ttl]\nafter = \"500ms\"\n[features.poll]\nopen = \"1s\"";
    let server = server().config(rules).start();
    let ann = server.connect("ann");
    let mut events = ann.events();
    let poll = ask(&ann, "common");
    assert_eq!(events.next("removed").data["ids"], json!([poll["id"]]));
    standing(&ann, &poll).problem(404, "not_found");
}

#[test]
fn administrators_close_one_before_its_time() {
    let server = server().only("poll", "").start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let poll = ask(&ann, "common");
    vote(&bob, &poll, 2).expect(204);
    let mut events = bob.events();
    assert!(server.admin(&[]).stdout.contains("close-poll"));
    let id = poll["id"].to_string();
    server.told(&["close-poll", &id]);
    let closed = json!({"poll": poll["id"], "votes": [0, 1]});
    assert_eq!(events.next("poll_closed").data, closed);
    vote(&bob, &poll, 1).problem(409, "poll_closed");
    let again = server.admin(&["close-poll", &id]);
    assert!(again.stderr.contains("not_found"), "{again:?}");
    assert_eq!(server.told(&["audit"])["audit"][0]["command"], "close-poll");
}
