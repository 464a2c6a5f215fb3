//! Files in messages that are sent later.

use super::*;

#[test]
fn a_file_can_be_sent_later() {
    if !has("schedule") {
        return;
    }
    let server = Server::with("[features.files]\norphan = \"1s\"");
    let ann = server.connect("ann");
    let [sent, cancelled] = ["sent", "cancelled"].map(|name| upload(&ann, name, b"a"));
    let later = |file: &Value, delay: &str| {
        let body = json!({"to": "common", "file": file["id"], "in": delay});
        let made = ann.post("/scheduled", &body).expect(201);
        assert_eq!((&made["text"], &made["file"]), (&json!(""), file));
        made
    };
    later(&sent, "2s");
    let waits = later(&cancelled, "1h");
    let mut events = ann.events();
    let message = events.next("message").data;
    assert_eq!(message["file"], sent);
    assert_eq!(get(&ann, &sent).text, "a");
    assert_eq!(get(&ann, &cancelled).text, "a", "what waits is no orphan");
    let path = format!("/scheduled/{}", waits["id"].as_str().unwrap_or("?"));
    ann.delete(&path).expect(204);
    get(&ann, &cancelled).problem(404, "not_found");
    wait_until("one file to be left", || {
        (stored(&server).len() == 1).then_some(())
    });
    let unknown = json!({"to": "common", "file": cancelled["id"], "in": "1h"});
    ann.post("/scheduled", &unknown).problem(404, "not_found");
}

#[test]
fn to_plan_keeps_nobody_elses_file_from_ending() {
    if !(has("schedule") && has("ttl")) {
        return;
    }
    let server = Server::with("[features.ttl]\nafter = \"1s\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "a", b"a");
    send(&ann, "common", &file).expect(201);
    let mut events = bob.events();
    let later = json!({"to": "@me", "file": file["id"], "in": "2s"});
    let planned = bob.post("/scheduled", &later).expect(201);
    let known = json!({"id": file["id"], "url": file["url"]});
    assert_eq!(planned["file"], known, "its name would outlive it");
    events.next("removed");
    nothing_stored(&server);
    let failed = events.next("scheduled_failed").data;
    assert_eq!(failed["reason"], "not_found");
}

#[test]
fn what_cannot_be_sent_later_lets_its_file_go() {
    if !(has("schedule") && has("complaints")) {
        return;
    }
    let server = Server::with("[features.complaints]\nwarnings = 1");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "a", b"a");
    let mut events = ann.events();
    let later = json!({"to": "common", "file": file["id"], "text": "look", "in": "1s"});
    ann.post("/scheduled", &later).expect(201);
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    assert_eq!(events.next("scheduled_failed").data["reason"], "banned");
    nothing_stored(&server);
    let list = ann.get("/scheduled").expect(200);
    assert_eq!(list["scheduled"][0]["text"], "look");
}

#[test]
fn where_it_is_off_what_was_to_be_sent_later_shows_no_file_and_says_nothing_without() {
    if !has("schedule") {
        return;
    }
    let mut server = Server::start();
    let ann = server.connect("ann");
    let file = upload(&ann, "a", b"a");
    let cursor = ann.cursor();
    for text in ["", "with words"] {
        let later = json!({"to": "common", "file": file["id"], "text": text, "in": "2s"});
        ann.post("/scheduled", &later).expect(201);
    }
    server.configure("[features.files]\nenabled = false");
    server.restart();
    let list = ann.get("/scheduled").expect(200);
    assert_eq!(list["scheduled"].as_array().map(Vec::len), Some(2));
    assert!(!list.to_string().contains("file"), "{list}");
    let mut events = ann.events_after(&cursor);
    assert_eq!(events.next("scheduled").data.get("file"), None);
    assert_eq!(events.next("message").data["text"], "with words");
    let list = ann.get("/scheduled").expect(200);
    let reasons: Vec<_> = list["scheduled"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["reason"])
        .collect();
    assert!(reasons.contains(&&json!("invalid")), "{list}");
    assert_eq!(ann.texts("common"), ["with words"]);
}
