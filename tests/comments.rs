//! The comments feature: comments on a message, for those who see it.

#![cfg(has_feature = "comments")]

use serde_json::{Value, json};
use veche::testing::{Client, Reply, Server};

fn server() -> Server {
    Server::only("comments", "")
}

fn comment(client: &Client, message: &Value, text: &str) -> Reply {
    let path = format!("/messages/{}/comments", message["id"]);
    client.post(&path, &json!({ "text": text }))
}

fn comments(client: &Client, message: &Value, query: &str) -> Value {
    client
        .get(&format!("/messages/{}/comments?{query}", message["id"]))
        .expect(200)
}

fn texts(page: &Value) -> Vec<&str> {
    let comments = page["comments"].as_array().into_iter().flatten();
    comments
        .filter_map(|comment| comment["text"].as_str())
        .collect()
}

#[test]
fn a_comment_is_answered_201_with_itself_and_told_to_those_who_see_the_message() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let message = ann.say("hello");
    let mut hers = ann.events();
    let mut his = bob.events();
    let made = comment(&bob, &message, "well said").expect(201);
    assert_eq!(made["message"], message["id"]);
    assert_eq!(made["from"], "bob");
    assert_eq!(made["text"], "well said");
    assert!(made["id"].as_u64() > message["id"].as_u64(), "{made}");
    assert!(made["at"].is_string(), "{made}");
    for events in [&mut hers, &mut his] {
        let event = events.next("comment");
        assert_eq!(event.data, made);
        assert!(event.id.is_some());
    }
    assert_eq!(comments(&ann, &message, "")["comments"], json!([made]));
}

#[test]
fn a_message_counts_its_comments_wherever_it_is_shown() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let message = ann.say("hello");
    for number in 0..3 {
        comment(&ann, &message, &format!("c{number}")).expect(201);
    }
    let one = ann.get(&format!("/messages/{}", message["id"])).expect(200);
    assert_eq!(one["comments"], 3);
    assert_eq!(ann.messages("common")[0]["comments"], 3);
    assert_eq!(bob.unread()[0]["comments"], 3);
    assert_eq!(ann.chat("common")["last"]["comments"], 3);
    assert_eq!(bob.again().welcome["history"][0]["comments"], 3);
}

#[test]
fn each_comment_counts_at_once_where_the_message_was_read_just_before() {
    let server = server();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    for count in 0..3 {
        assert_eq!(ann.messages("common")[0]["comments"], count);
        assert_eq!(ann.chat("common")["last"]["comments"], count);
        comment(&ann, &message, "well said").expect(201);
    }
}

#[test]
fn comments_come_in_pages_oldest_first() {
    let server = server();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let other = ann.say("other");
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(comment(&ann, &message, &format!("c{number}")).expect(201)["id"].clone());
        comment(&ann, &other, "elsewhere").expect(201);
    }
    let page = comments(&ann, &message, "limit=2");
    assert_eq!(
        (texts(&page), &page["more"]),
        (vec!["c0", "c1"], &json!(true))
    );
    let page = comments(&ann, &message, &format!("limit=2&after={}", ids[1]));
    assert_eq!(
        (texts(&page), &page["more"]),
        (vec!["c2", "c3"], &json!(true))
    );
    let page = comments(&ann, &message, &format!("limit=2&after={}", ids[3]));
    assert_eq!((texts(&page), &page["more"]), (vec!["c4"], &json!(false)));
    assert_eq!(texts(&comments(&ann, &message, "after=0")).len(), 5);
}

#[test]
fn who_may_not_see_the_message_may_not_see_or_make_a_comment() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let secret = ann.tell("bob", "psst");
    let mut others = eve.events();
    let cursor = others.hello().to_owned();
    comment(&bob, &secret, "oh").expect(201);
    comment(&eve, &secret, "me too").problem(404, "not_found");
    let path = format!("/messages/{}/comments", secret["id"]);
    eve.get(&path).problem(404, "not_found");
    eve.get("/messages/9007199254740991/comments")
        .problem(404, "not_found");
    eve.post(
        "/messages/9007199254740991/comments",
        &json!({ "text": "x" }),
    )
    .problem(404, "not_found");
    assert_eq!(texts(&comments(&ann, &secret, "")), ["oh"]);
    ann.say("marker");
    assert!(
        others
            .until_text("marker")
            .iter()
            .all(|event| event.event != "comment")
    );
    let resumed = eve.events_after(&cursor).until_text("marker");
    assert!(resumed.iter().all(|event| event.event != "comment"));
}

#[test]
fn a_comments_text_is_held_to_what_a_messages_text_is() {
    let server = server();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    comment(&ann, &message, &"ж".repeat(4000)).expect(201);
    comment(&ann, &message, &"ж".repeat(4001)).problem(422, "invalid");
    comment(&ann, &message, "").problem(422, "invalid");
    let path = format!("/messages/{}/comments", message["id"]);
    ann.post(&path, &json!({})).problem(422, "invalid");
    ann.post(&path, &json!({ "text": 7 }))
        .problem(422, "invalid");
    ann.get(&format!("{path}?limit=x")).problem(422, "invalid");
    ann.get(&format!("{path}?after=x")).problem(422, "invalid");
    ann.delete(&path).problem(405, "method_not_allowed");
}

#[test]
fn a_comment_is_no_message_and_marks_nothing_unread() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let message = ann.say("hello");
    bob.read_all();
    let made = comment(&ann, &message, "more").expect(201);
    assert!(bob.unread().is_empty());
    assert_eq!(bob.texts("common"), ["hello"]);
    bob.get(&format!("/messages/{}", made["id"]))
        .problem(404, "not_found");
    comment(&bob, &made, "on a comment").problem(404, "not_found");
}

#[test]
fn a_repeat_with_its_key_comments_once() {
    let server = server();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let path = format!("/messages/{}/comments", message["id"]);
    let body = json!({ "text": "once" });
    let first = ann.post_once("k", &path, &body).expect(201);
    let again = ann.post_once("k", &path, &body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(texts(&comments(&ann, &message, "")), ["once"]);
}

#[test]
fn comments_and_their_events_are_kept_over_a_stop_and_a_crash() {
    let mut server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    let message = ann.say("hello");
    comment(&ann, &message, "one").expect(201);
    server.restart();
    comment(&bob, &message, "two").expect(201);
    server.kill();
    server.restart();
    assert_eq!(texts(&comments(&bob, &message, "")), ["one", "two"]);
    assert_eq!(ann.messages("common")[0]["comments"], 2);
    let mut resumed = bob.events_after(&cursor);
    assert_eq!(resumed.next("comment").data["text"], "one");
    assert_eq!(resumed.next("comment").data["text"], "two");
}

#[test]
fn switched_off_its_paths_say_so_and_its_field_is_gone_and_switched_on_again_all_is_there() {
    let mut server = server();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    comment(&ann, &message, "one").expect(201);
    let on = server.config().to_owned();
    server.configure("[features.comments]\nenabled = false\n");
    server.restart();
    let path = format!("/messages/{}/comments", message["id"]);
    for problem in [
        ann.get(&path).problem(404, "feature_off"),
        ann.post(&path, &json!({ "text": "x" }))
            .problem(404, "feature_off"),
    ] {
        assert!(problem.to_string().contains("comments"), "{problem}");
    }
    assert!(ann.messages("common")[0].get("comments").is_none());
    server.configure(on);
    server.restart();
    assert_eq!(ann.messages("common")[0]["comments"], 1);
    assert_eq!(texts(&comments(&ann, &message, "")), ["one"]);
}

#[test]
fn comments_are_kept_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .only("comments", "")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    comment(&ann, &message, "one").expect(201);
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    for count in 1..4 {
        if count == 2 {
            server.kill();
        }
        server.restart();
        assert_eq!(ann.messages("common")[0]["comments"], count);
        assert_eq!(texts(&comments(&ann, &message, "")).len(), count);
        comment(&ann, &message, "more").expect(201);
    }
}
