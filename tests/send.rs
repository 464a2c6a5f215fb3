//! Sending: to the common chat, to somebody, to oneself; what is refused; one message by its id.

use serde_json::{Value, json};
use veche::testing::{Reply, Server};

#[test]
fn a_message_to_the_common_chat_is_answered_201_with_itself_and_its_place() {
    let server = Server::core();
    let ann = server.connect("ann");
    let reply = ann.send("common", "hello");
    let message = reply.expect(201);
    assert_eq!(message["from"], "ann");
    assert_eq!(message["to"], "common");
    assert_eq!(message["text"], "hello");
    assert!(message["id"].as_u64().is_some_and(|id| id > 0));
    assert!(rfc3339_utc_milliseconds(&message["at"]), "{message}");
    let place = format!("/messages/{}", message["id"]);
    assert_eq!(reply.header("location"), Some(place.as_str()));
    assert_eq!(ann.get(&place).expect(200), message);
}

#[test]
fn ids_only_grow_in_all_chats_together() {
    let server = Server::core();
    let ann = server.connect("ann");
    server.connect("bob");
    let mut last = 0;
    for _ in 0..5 {
        for to in ["common", "@bob", "@ann"] {
            let id = ann.send(to, "x").expect(201)["id"]
                .as_u64()
                .unwrap_or_default();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }
}

#[test]
fn a_private_message_is_addressed_to_its_recipient_for_both_sides() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let message = ann.tell("bob", "psst");
    assert_eq!(message["to"], "@bob");
    let answer = bob.tell("ann", "what");
    assert_eq!(answer["to"], "@ann");
    let both = [message.clone(), answer];
    assert_eq!(ann.messages("@bob"), both);
    assert_eq!(bob.messages("@ann"), both);
    let path = format!("/messages/{}", message["id"]);
    assert_eq!(bob.get(&path).expect(200), message);
}

#[test]
fn one_may_write_to_oneself() {
    let server = Server::core();
    let ann = server.connect("ann");
    let by_name = ann.tell("ann", "milk");
    assert_eq!(by_name["to"], "@ann");
    assert_eq!(ann.texts("@ann"), ["milk"]);
    assert!(ann.unread().is_empty());
}

#[test]
fn a_notebook_is_its_owners_alone() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let note = ann.tell("ann", "milk");
    bob.get(&format!("/messages/{}", note["id"]))
        .problem(404, "not_found");
    // Bob's chat with Ann is another one.
    assert!(bob.messages("@ann").is_empty());
}

#[test]
fn a_text_has_1_to_4000_characters_of_any_width() {
    let server = Server::core();
    let ann = server.connect("ann");
    for unit in ["a", "ж", "語", "😀"] {
        let text = unit.repeat(4000);
        assert_eq!(ann.say(&text)["text"], text);
        ann.send("common", &unit.repeat(4001))
            .problem(422, "invalid");
    }
    ann.say("x");
    ann.send("common", "").problem(422, "invalid");
}

#[test]
fn the_texts_limit_is_a_setting() {
    let server = Server::builder()
        .core()
        .config("[chat]\ntext = 5\n")
        .start();
    let ann = server.connect("ann");
    ann.say("12345");
    let problem = ann.send("common", "123456").problem(422, "invalid");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains('5'))
    );
}

#[test]
fn a_text_comes_back_character_by_character_as_it_was_sent() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut events = ann.events();
    for text in [
        " leading and trailing ",
        "lines\r\nof\nall\rkinds\u{2028}and\u{2029}more",
        "data: looks like a stream\n\nevent: message\nid: 1",
        "nul \u{0} bell \u{7} escape \u{1b}[31m del \u{7f}",
        "e\u{301} stays decomposed",
        "שלום \u{202e}abc\u{202c} مرحبا",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "\u{feff}bom \u{fffd} \u{10ffff}",
        "\"quotes\" \\ and </script>",
    ] {
        let message = ann.say(text);
        assert_eq!(message["text"], text);
        assert_eq!(events.next("message").data, message);
        let path = format!("/messages/{}", message["id"]);
        assert_eq!(ann.get(&path).expect(200), message);
    }
}

#[test]
fn an_unknown_recipient_is_404_unknown_chat() {
    let server = Server::core();
    let ann = server.connect("ann");
    for to in ["@nobody", "room:01234567-89ab-4cde-8f01-23456789abcd"] {
        ann.send(to, "x").problem(404, "unknown_chat");
    }
    // What is no address at all is either of the two, and never a message.
    for to in [
        "", "nobody", "@", "room:", "room:x", "Common ", "@@ann", "@a b",
    ] {
        let reply = ann.send(to, "x");
        assert!(matches!(reply.status, 404 | 422), "{to:?}: {reply}");
    }
}

#[test]
fn a_wrong_type_is_422_and_names_the_field() {
    let server = Server::core();
    let ann = server.connect("ann");
    for (field, body) in [
        ("to", json!({ "text": "x" })),
        ("to", json!({ "to": 7, "text": "x" })),
        ("to", json!({ "to": null, "text": "x" })),
        ("text", json!({ "to": "common" })),
        ("text", json!({ "to": "common", "text": 7 })),
        ("text", json!({ "to": "common", "text": ["x"] })),
        ("text", json!({ "to": "common", "text": { "a": 1 } })),
    ] {
        let problem = ann.post("/send", &body).problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field), "{body}: {detail}");
    }
    for body in [json!([]), json!("text"), json!(7), json!(null)] {
        let reply = ann.post("/send", &body);
        assert!(matches!(reply.status, 400 | 422), "{body}: {reply}");
    }
    assert!(ann.texts("common").is_empty());
}

#[test]
fn what_one_may_not_see_is_answered_exactly_as_what_does_not_exist() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let secret = ann.tell("bob", "psst");
    bob.get(&format!("/messages/{}", secret["id"])).expect(200);
    let unseen = eve.get(&format!("/messages/{}", secret["id"]));
    let missing = eve.get("/messages/9007199254740991");
    unseen.problem(404, "not_found");
    missing.problem(404, "not_found");
    assert_eq!(
        shape(&unseen, &secret["id"]),
        shape(&missing, &json!(9_007_199_254_740_991_u64))
    );
}

#[test]
fn an_id_that_is_none_is_404_or_422_and_never_another_message() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.say("one");
    for id in [
        "0",
        "-1",
        "x",
        "1.0",
        "18446744073709551616",
        "99999999999999999999999",
        "1%00",
        "%2e%2e",
    ] {
        let reply = ann.get(&format!("/messages/{id}"));
        assert!(matches!(reply.status, 404 | 422), "{id}: {reply}");
    }
}

/// All of an answer but its time and the id that was asked for.
fn shape(reply: &Reply, id: &Value) -> (u16, Vec<String>, String) {
    let mut headers: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (
        reply.status,
        headers,
        reply.text.replace(&id.to_string(), "ID"),
    )
}

fn rfc3339_utc_milliseconds(at: &Value) -> bool {
    let shape: String = at
        .as_str()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}
