//! The presence feature: who is writing, told to those who are there.

#![cfg(has_feature = "presence")]

use serde_json::json;
use veche::testing::{Client, Events, Server};

fn types(client: &Client, to: &str) {
    client.post("/typing", &json!({ "to": to })).expect(204);
}

/// What comes up to a message that is sent now.
fn kinds(from: &Client, to: &str, events: &mut Events) -> Vec<String> {
    let sent = from.send(to, "stop").expect(201);
    let until = events.until(|event| event.event == "message" && event.data == sent);
    until.into_iter().map(|event| event.event).collect()
}

#[test]
fn those_in_a_chat_are_told_who_is_writing_there_and_nobody_else() {
    let server = Server::only("presence", "");
    let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
    let (mut hers, mut his, mut cats) = (ann.events(), bob.events(), cat.events());
    types(&ann, "@BOB");
    for events in [&mut hers, &mut his] {
        let event = events.next("typing");
        assert_eq!(event.data, json!({"from": "ann", "to": "@bob"}));
        assert_eq!(event.id, None, "it is kept nowhere");
    }
    types(&ann, "common");
    let told = cats.next("typing");
    assert_eq!(
        told.data,
        json!({"from": "ann", "to": "common"}),
        "what is for two is told to two"
    );
    types(&ann, "@ann");
    assert_eq!(hers.next("typing").data["to"], "common");
    assert_eq!(hers.next("typing").data["to"], "@ann");
    assert_eq!(his.next("typing").data["to"], "common");
    assert!(
        !kinds(&ann, "@bob", &mut his).contains(&"typing".to_owned()),
        "a notebook is one's own"
    );
    ann.post("/typing", &json!({"to": "@nobody"}))
        .problem(404, "unknown_chat");
    ann.post("/typing", &json!({})).problem(422, "invalid");
}

#[test]
fn it_is_never_told_again_and_ends_no_poll() {
    let server = Server::only("presence", "");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let cursor = bob.cursor();
    let mut events = bob.events();
    types(&ann, "@bob");
    events.next("typing");
    let (polled, after) = bob.poll(&cursor, "1ms");
    assert_eq!(polled, []);
    assert_eq!(after, cursor, "nothing was recorded");
    let mut again = bob.events_after(&cursor);
    assert!(!kinds(&ann, "@bob", &mut again).contains(&"typing".to_owned()));
}

#[test]
fn in_a_crowd_the_common_chat_is_not_told() {
    let server = Server::only("presence", "");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let crowd: Vec<_> = (0..100).map(|_| ann.events()).collect();
    let mut his = bob.events();
    types(&ann, "common");
    assert!(!kinds(&ann, "common", &mut his).contains(&"typing".to_owned()));
    types(&ann, "@bob");
    assert_eq!(his.next("typing").data["to"], "@bob");
    drop(crowd);
    // Their ends are noticed one by one.
    while {
        types(&ann, "common");
        !kinds(&ann, "common", &mut his).contains(&"typing".to_owned())
    } {}
}
