//! What a subscriber sees, and no more, is what is posted.

use std::time::Duration;

use serde_json::json;
use veche::testing::{Receiver, Server};

use super::{QUICK, has, listed, subscribe, text, texts};

#[test]
fn who_leaves_a_room_gets_no_more_of_it_until_they_are_back() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::with(format!("[features.subscriptions]\n{QUICK}"));
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let made = ann.post("/rooms", &json!({"title": "Ops"})).expect(201);
    let room = made["room"].as_str().expect("an address").to_owned();
    let rooms = format!("/rooms/{}", room.trim_start_matches("room:"));
    let spy = json!({"chat": room, "url": program.url("/")});
    bob.post("/subscriptions", &spy)
        .problem(404, "unknown_chat");
    let come = || {
        ann.post(&format!("{rooms}/invites"), &json!({"user": "bob"}))
            .expect(201);
        bob.post(&format!("{rooms}/join"), &json!({})).expect(200);
    };
    ann.send(&room, "before").expect(201);
    come();
    subscribe(&bob, &room, &program);
    ann.send(&room, "one").expect(201);
    assert_eq!(text(&program.next()), "one");
    ann.delete(&format!("{rooms}/members/bob")).expect(204);
    assert_eq!(listed(&bob)["works"], false);
    ann.send(&room, "two").expect(201);
    assert!(program.within(Duration::from_millis(300)).is_none());
    come();
    ann.send(&room, "three").expect(201);
    assert_eq!(
        text(&program.next()),
        "three",
        "what was said meanwhile is not hers to see"
    );
    assert_eq!(listed(&bob)["works"], true);
}

#[test]
fn what_has_gone_is_not_posted_and_what_was_changed_is_as_it_is() {
    if !has(&["edits"]) {
        return;
    }
    let server = Server::with(format!("[features.subscriptions]\n{QUICK}"));
    let program = Receiver::start();
    let ann = server.connect("ann");
    subscribe(&ann, "@me", &program);
    program.answer(500);
    let [one, two, three] = ["one", "two", "three"].map(|text| ann.tell("ann", text));
    program.next();
    ann.post("/remove", &json!({"message": one["id"]}))
        .expect(204);
    ann.post("/edit", &json!({"message": two["id"], "text": "2"}))
        .expect(200);
    program.answer(200);
    let mut came = Vec::new();
    while came.last().map(text) != Some("three") {
        came.push(program.next());
    }
    came.retain(|received| text(received) != "one");
    assert_eq!(texts(&came), ["2", "three"]);
    assert_eq!(came[1].body["data"]["id"], three["id"]);
}

#[test]
fn a_private_message_that_a_program_took_is_delivered() {
    if !has(&["ttl"]) {
        return;
    }
    let server = Server::with(format!("[features.subscriptions]\n{QUICK}"));
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    subscribe(&ann, "@bob", &program);
    let mut events = bob.events();
    let message = bob.tell("ann", "psst");
    program.next();
    let delivered = events.next("delivered").data;
    assert_eq!(delivered["messages"][0]["id"], message["id"]);
}

#[test]
fn a_ban_is_from_writing_and_what_is_said_comes_all_the_same() {
    if !has(&["complaints"]) {
        return;
    }
    let server = Server::with(format!(
        "[features.complaints]\nwarnings = 1\n[features.subscriptions]\n{QUICK}"
    ));
    let program = Receiver::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    subscribe(&ann, "common", &program);
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    ann.send("common", "x").problem(403, "banned");
    bob.say("quiet now");
    assert_eq!(text(&program.next()), "quiet now");
}
