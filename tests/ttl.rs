//! The ttl feature: messages live for a time, and are then gone from everywhere.

#![cfg(has_feature = "ttl")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veche::testing::{Client, Events, Server, binary, features, wait_until};

/// What a removed text may still be found for in the files of a running server.
const FORGOTTEN: Duration = Duration::from_secs(60);

fn server(after: &str) -> Server {
    Server::only("ttl", &format!("after = \"{after}\""))
}

/// A text that nothing else has.
fn unique(stem: &str) -> String {
    format!("{stem} {}", uuid::Uuid::new_v4())
}

/// Waits for the `removed` event of a message.
fn removed(events: &mut Events, message: &Value) -> Value {
    let passed = events.until(|event| {
        event.event == "removed"
            && event.data["ids"]
                .as_array()
                .is_some_and(|ids| ids.contains(&message["id"]))
    });
    passed
        .last()
        .map(|event| event.data.clone())
        .unwrap_or_default()
}

fn gone_everywhere(client: &Client, message: &Value, chat: &str) {
    client
        .get(&format!("/messages/{}", message["id"]))
        .problem(404, "not_found");
    assert!(!client.history(chat).contains(message));
    assert!(
        client
            .unread()
            .iter()
            .all(|unread| unread["id"] != message["id"])
    );
    assert_ne!(client.chat(chat)["last"]["id"], message["id"]);
}

#[test]
fn a_common_message_shows_its_end_and_is_gone_everywhere_when_it_comes() {
    let server = server("3s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    let mut events = bob.events();
    let text = unique("ephemeral");
    let message = ann.say(&text);
    assert_eq!(seconds_between(&message["at"], &message["expires"]), 3);
    let told = events.next("message");
    assert_eq!(told.data, message);
    assert_eq!(ann.messages("common"), std::slice::from_ref(&message));
    assert_eq!(bob.chat("common")["unread"], 1);

    let told = removed(&mut events, &message);
    assert_eq!(told, json!({ "to": "common", "ids": [message["id"]] }));
    gone_everywhere(&bob, &message, "common");
    assert_eq!(bob.chat("common")["unread"], 0);
    assert!(bob.chat("common")["last"].is_null());
    assert_eq!(bob.again().welcome["history"], json!([]));
    assert!(
        bob.again().welcome["unread"]
            .get("common")
            .is_none_or(|count| count == 0)
    );

    // A resumed stream judges what could be seen then, and shows nothing of what is gone.
    ann.say("marker");
    let resumed = bob.events_after(&cursor).until_text("marker");
    assert!(
        resumed
            .iter()
            .all(|event| !event.data.to_string().contains(&text)),
        "{resumed:?}"
    );
    let (polled, _) = bob.poll(&cursor, "1s");
    assert!(
        polled
            .iter()
            .all(|event| !event.data.to_string().contains(&text)),
        "{polled:?}"
    );
}

#[test]
fn a_removed_text_is_in_no_file_of_the_running_server_within_a_minute() {
    let server = server("2s");
    let ann = server.connect("ann");
    let mut events = ann.events();
    let text = unique("secret");
    let message = ann.say(&text);
    // The scan finds what is there, or its finding nothing later would say nothing.
    assert!(
        !server.holding(&text).is_empty(),
        "a text lies in clear in the data folder"
    );
    removed(&mut events, &message);
    server.forgets(FORGOTTEN, &text);
}

#[test]
fn a_removed_text_is_in_no_file_after_a_clean_stop() {
    let mut server = server("1s");
    let ann = server.connect("ann");
    let mut events = ann.events();
    let texts: Vec<String> = (0..20).map(|n| unique(&format!("secret {n}"))).collect();
    let messages: Vec<Value> = texts.iter().map(|text| ann.say(text)).collect();
    removed(&mut events, &messages[19]);
    assert!(server.stop().success());
    for text in &texts {
        assert_eq!(server.holding(text), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn what_expired_while_the_server_was_down_is_gone_when_it_is_back() {
    let mut server = server("2s");
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let text = unique("secret");
    let message = ann.say(&text);
    let posted = Instant::now();
    server.kill();
    wait_until("the message's end", || {
        (posted.elapsed() > Duration::from_millis(2500)).then_some(())
    });
    server.restart();
    gone_everywhere(&ann, &message, "common");
    let mut events = ann.events_after(&cursor);
    removed(&mut events, &message);
    server.forgets(FORGOTTEN, &text);
}

#[test]
fn an_end_is_kept_over_a_crash() {
    let mut server = server("3s");
    let ann = server.connect("ann");
    let message = ann.say("short");
    server.kill();
    server.restart();
    let mut events = ann.events();
    if let Some(still) = ann.messages("common").first() {
        assert_eq!(still["expires"], message["expires"]);
        removed(&mut events, &message);
    }
    wait_until("the message to go", || {
        ann.messages("common").is_empty().then_some(())
    });
}

#[test]
fn a_private_message_lives_from_its_delivery() {
    let server = server("2s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut hers = ann.events();
    let message = ann.tell("bob", "psst");
    let posted = Instant::now();
    // Nobody has handed it to bob yet: it stays, whatever its sender looks at.
    wait_until("longer than a delivered one would live", || {
        assert_eq!(ann.texts("@bob"), ["psst"]);
        (posted.elapsed() > Duration::from_secs(4)).then_some(())
    });
    let delivered = Instant::now();
    assert_eq!(bob.texts("@ann"), ["psst"]);
    removed(&mut hers, &message);
    assert!(
        delivered.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        delivered.elapsed()
    );
    gone_everywhere(&bob, &message, "@ann");
    gone_everywhere(&ann, &message, "@bob");
}

#[test]
fn every_way_of_handing_it_over_is_a_delivery() {
    let server = server("1s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut hers = ann.events();
    let cursor = bob.cursor();

    let message = ann.tell("bob", "by the unread");
    assert_eq!(bob.unread().len(), 1);
    removed(&mut hers, &message);

    let message = ann.tell("bob", "by its id");
    bob.get(&format!("/messages/{}", message["id"])).expect(200);
    removed(&mut hers, &message);

    let message = ann.tell("bob", "by the status");
    assert_eq!(bob.chat("@ann")["last"]["id"], message["id"]);
    removed(&mut hers, &message);

    let message = ann.tell("bob", "by the welcome");
    assert!(bob.again().welcome.to_string().contains("by the welcome"));
    removed(&mut hers, &message);

    let message = ann.tell("bob", "by a poll");
    let (events, _) = bob.poll(&cursor, "10s");
    assert!(events.iter().any(|event| event.data["id"] == message["id"]));
    removed(&mut hers, &message);

    let mut his = bob.events();
    let message = ann.tell("bob", "by the stream");
    his.next("message");
    removed(&mut hers, &message);
    removed(&mut his, &message);
}

#[test]
fn a_delivery_tells_every_client_of_both_when_the_message_ends() {
    let server = server("1h");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let mut others = eve.events();
    let clients = [ann.clone(), ann.again(), bob.clone(), bob.again()];
    let mut streams = clients.map(|client| client.events());
    let before = [ann.cursor(), bob.cursor()];
    let message = ann.tell("bob", "psst");
    assert!(message.get("expires").is_none(), "{message}");
    let told: Vec<Value> = streams
        .iter_mut()
        .map(|stream| stream.next("delivered").data)
        .collect();
    let expires = &bob.messages("@ann")[0]["expires"];
    assert!(expires.is_string(), "{expires}");
    let messages = json!([{ "id": message["id"], "expires": expires }]);
    assert_eq!(told[0], json!({ "to": "@bob", "messages": messages }));
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");

    // Whoever was away, or polls, learns it by the same event, and having it is no delivery.
    for (client, cursor) in [ann, bob].iter().zip(before) {
        let told: Vec<_> = client.poll(&cursor, "0s").0;
        let told: Vec<_> = told.iter().map(|event| &event.event).collect();
        assert_eq!(
            told.iter().filter(|kind| **kind == "delivered").count(),
            1,
            "{told:?}"
        );
        assert_eq!(
            client.events_after(&cursor).next("delivered").data["messages"],
            messages
        );
    }
    eve.say("marker");
    for stream in &mut streams {
        let passed = stream.until_text("marker");
        assert!(
            passed.iter().all(|event| event.event != "delivered"),
            "{passed:?}"
        );
    }
    let passed = others.until_text("marker");
    assert!(
        passed.iter().all(|event| event.event != "delivered"),
        "{passed:?}"
    );
}

#[test]
fn a_delivery_ends_a_long_poll_and_several_of_one_chat_are_one_event() {
    let server = server("1h");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let ids: Vec<Value> = ["one", "two"]
        .map(|text| ann.tell("bob", text)["id"].clone())
        .into();
    let cursor = ann.cursor();
    let poll = std::thread::spawn(move || ann.poll(&cursor, "20s").0);
    assert_eq!(bob.unread().len(), 2);
    let events = poll.join().expect("a poll");
    let kinds: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(kinds, ["delivered"]);
    let messages = events[0].data["messages"].as_array().expect("messages");
    let told: Vec<Value> = messages.iter().map(|one| one["id"].clone()).collect();
    assert_eq!(told, ids);
}

#[test]
fn a_delivery_that_is_no_end_to_anybody_is_not_told() {
    let mut server = server("1h");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let message = ann.tell("bob", "psst");
    let cursor = ann.cursor();
    let on = server.config().to_owned();
    server.configure(on.replace("enabled = true", "enabled = false"));
    server.restart();
    assert_eq!(bob.texts("@ann"), ["psst"]);
    ann.say("marker");
    let passed = ann.events_after(&cursor).until_text("marker");
    assert!(
        passed.iter().all(|event| event.event != "delivered"),
        "{passed:?}"
    );
    server.configure(on);
    server.restart();
    // It was one all the same.
    let told = ann.events_after(&cursor).next("delivered").data;
    assert_eq!(told["messages"][0]["id"], message["id"]);
    assert_eq!(
        told["messages"][0]["expires"],
        ann.messages("@bob")[0]["expires"]
    );
}

/// Does this for longer than a delivered message would live, and the message is still there.
fn delivers_nothing(look: impl Fn(&Client)) {
    let server = server("1s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.tell("bob", "psst");
    let begin = Instant::now();
    wait_until("longer than a delivered one would live", || {
        look(&bob);
        assert_eq!(ann.texts("@bob"), ["psst"]);
        (begin.elapsed() > Duration::from_secs(3)).then_some(())
    });
}

#[test]
fn a_look_elsewhere_delivers_nothing() {
    delivers_nothing(|bob| {
        bob.get("/users").expect(200);
        bob.get("/messages?chat=common").expect(200);
        bob.get("/messages?chat=@ann&before=1").expect(200);
        drop(bob.events());
    });
}

#[test]
fn an_answer_without_its_body_delivers_nothing() {
    delivers_nothing(|bob| {
        assert_eq!(bob.head("/messages?chat=@ann").status, 200);
        assert_eq!(bob.head("/unread").status, 200);
    });
}

#[test]
fn an_undelivered_one_lives_at_most_so_long() {
    let server = Server::only("ttl", "after = \"1s\"\nundelivered = \"3s\"");
    let ann = server.connect("ann");
    server.connect("bob");
    let mut hers = ann.events();
    let posted = Instant::now();
    let message = ann.tell("bob", "psst");
    removed(&mut hers, &message);
    assert!(
        posted.elapsed() >= Duration::from_millis(2500),
        "{:?}",
        posted.elapsed()
    );
}

#[test]
fn a_note_to_oneself_counts_as_delivered_at_posting() {
    let server = server("1s");
    let ann = server.connect("ann");
    let mut hers = ann.events();
    let message = ann.tell("ann", "milk");
    assert_eq!(seconds_between(&message["at"], &message["expires"]), 1);
    removed(&mut hers, &message);
    gone_everywhere(&ann, &message, "common");
    assert!(ann.history("@ann").is_empty());
}

#[test]
fn a_delivery_is_kept_over_a_stop() {
    let mut server = server("3s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.tell("bob", "psst");
    assert_eq!(bob.unread().len(), 1);
    server.restart();
    wait_until("the delivered one to go", || {
        ann.texts("@bob").is_empty().then_some(())
    });
}

#[test]
fn removed_is_told_to_those_who_saw_and_names_the_chat_as_the_messages_did() {
    let server = server("1s");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let mut his = bob.events();
    let mut hers = ann.events();
    let mut others = eve.events();
    let message = ann.tell("bob", "psst");
    let expected = json!({ "to": "@bob", "ids": [message["id"]] });
    assert_eq!(removed(&mut his, &message), expected);
    assert_eq!(removed(&mut hers, &message), expected);
    ann.say("marker");
    let passed = others.until_text("marker");
    assert!(
        passed.iter().all(|event| event.event != "removed"),
        "{passed:?}"
    );
}

#[test]
fn the_lifetime_is_the_one_in_force_at_posting() {
    let mut server = server("1h");
    let ann = server.connect("ann");
    let old = ann.say("old");
    let config = server.config().replace("\"1h\"", "\"1s\"");
    server.configure(config);
    server.restart();
    let mut events = ann.events();
    let new = ann.say("new");
    removed(&mut events, &new);
    let left = ann.messages("common");
    assert_eq!(left, [old]);
}

#[test]
fn what_a_repeat_would_answer_with_may_be_gone() {
    let server = server("1s");
    let ann = server.connect("ann");
    let mut events = ann.events();
    let body = json!({ "to": "common", "text": "once" });
    let message = ann.post_once("k", "/send", &body).expect(201);
    removed(&mut events, &message);
    ann.post_once("k", "/send", &body).problem(410, "gone");
    assert!(ann.messages("common").is_empty());
}

#[test]
fn comments_go_with_their_message_where_there_are_comments() {
    if !features(&binary()).contains(&"comments".to_owned()) {
        return;
    }
    let mut server = Server::with("[features.ttl]\nafter = \"2s\"\n");
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let mut events = ann.events();
    let message = ann.say("hello");
    let text = unique("comment");
    let path = format!("/messages/{}/comments", message["id"]);
    ann.post(&path, &json!({ "text": text })).expect(201);
    removed(&mut events, &message);
    ann.get(&path).problem(404, "not_found");
    ann.post(&path, &json!({ "text": "late" }))
        .problem(404, "not_found");
    ann.say("marker");
    let resumed = ann.events_after(&cursor).until_text("marker");
    assert!(
        resumed
            .iter()
            .all(|event| !event.data.to_string().contains(&text)),
        "{resumed:?}"
    );
    assert!(server.stop().success());
    assert_eq!(server.holding(&text), Vec::<std::path::PathBuf>::new());
}

#[test]
fn switched_off_messages_stay_and_show_no_end() {
    let server = Server::with("[features.ttl]\nenabled = false\nafter = \"1s\"\n");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    assert!(message.get("expires").is_none(), "{message}");
    let begin = Instant::now();
    wait_until("longer than it would have lived", || {
        assert_eq!(ann.messages("common").len(), 1);
        (begin.elapsed() > Duration::from_secs(3)).then_some(())
    });
}

/// Whole seconds from one time to another of the same day or so.
fn seconds_between(from: &Value, to: &Value) -> i64 {
    let time = |value: &Value| {
        let time: Result<jiff::Timestamp, _> = value.as_str().unwrap_or_default().parse();
        time.map(jiff::Timestamp::as_millisecond)
            .unwrap_or_default()
    };
    (time(to) - time(from) + 500) / 1000
}

#[test]
fn ends_are_kept_where_the_log_was_trimmed_behind_a_snapshot_and_no_snapshot_has_the_text() {
    let mut server = Server::builder()
        .only("ttl", "after = \"4s\"")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let common = unique("common");
    let private = unique("private");
    ann.say(&common);
    ann.tell("bob", &private);
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    bob.unread();
    server.restart();
    server.kill();
    server.restart();
    wait_until("all to go", || {
        (ann.messages("common").is_empty() && ann.messages("@bob").is_empty()).then_some(())
    });
    server.forgets(FORGOTTEN, &common);
    server.forgets(FORGOTTEN, &private);
}
