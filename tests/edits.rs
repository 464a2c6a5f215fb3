//! The edits feature: one's own messages changed and removed, and what they said before is gone.

#![cfg(has_feature = "edits")]

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Event, Reply, Server, binary, features, run};

/// What an erased text may still be found for in the files of a running server.
const FORGOTTEN: Duration = Duration::from_secs(60);

fn server(settings: &str) -> Server {
    Server::only("edits", settings)
}

fn edit(client: &Client, message: &Value, text: &str) -> Reply {
    client.post("/edit", &json!({"message": message["id"], "text": text}))
}

fn remove(client: &Client, message: &Value) -> Reply {
    client.post("/remove", &json!({"message": message["id"]}))
}

fn get(client: &Client, message: &Value) -> Value {
    client
        .get(&format!("/messages/{}", message["id"]))
        .expect(200)
}

/// What an edit's event says of the message.
fn told(message: &Value) -> Value {
    let part = |name: &str| message[name].clone();
    json!({"to": part("to"), "id": part("id"), "text": part("text"), "edited": part("edited")})
}

fn has(names: &[&str]) -> bool {
    let all = features(&binary());
    names.iter().all(|name| all.iter().any(|one| one == name))
}

/// Several features with their defaults, the rest off.
fn with(names: &[&str], settings: &str) -> Server {
    let all = features(&binary());
    let off = all.iter().filter(|name| !names.contains(&name.as_str()));
    let off = off.map(|name| format!("[features.{name}]\nenabled = false\n"));
    Server::with(off.collect::<String>() + settings)
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

#[test]
fn an_edit_shows_wherever_the_message_does_and_is_told_to_all_who_see_it() {
    let server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let message = ann.say("helo");
    assert!(message.get("edited").is_none(), "{message}");
    // What is read often is kept at hand: it must follow.
    for client in [&ann, &bob] {
        assert_eq!(client.texts("common"), ["helo"]);
        assert_eq!(client.chat("common")["last"]["text"], "helo");
    }
    let streams = [ann.events(), ann.again().events(), bob.events()];
    let edited = edit(&ann, &message, "hello").expect(200);
    assert!(edited["edited"].is_string(), "{edited}");
    let mut expected = message.clone();
    expected["text"] = "hello".into();
    expected["edited"] = edited["edited"].clone();
    assert_eq!(edited, expected);
    for mut events in streams {
        let event = events.next("edited");
        assert_eq!(event.data, told(&edited));
        assert!(event.id.is_some());
    }
    for client in [&ann, &bob, &bob.again()] {
        assert_eq!(get(client, &message), edited);
        assert_eq!(client.messages("common"), std::slice::from_ref(&edited));
        assert_eq!(client.chat("common")["last"], edited);
    }
    assert_eq!(bob.unread(), std::slice::from_ref(&edited));
    assert_eq!(bob.again().welcome["history"], json!([edited]));
    assert_eq!(bob.chat("common")["unread"], 1);
}

#[test]
fn an_edit_of_a_private_message_is_told_to_both_and_nobody_else() {
    let server = server("");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let message = ann.tell("bob", "psst");
    let note = ann.tell("ann", "milk");
    let (mut his, mut hers) = (bob.events(), eve.events());
    let edited = edit(&ann, &message, "hush").expect(200);
    edit(&ann, &note, "bread").expect(200);
    assert_eq!(his.next("edited").data, told(&edited));
    assert_eq!(edited["to"], "@bob");
    assert_eq!(bob.texts("@ann"), ["hush"]);
    assert_eq!(ann.texts("@ann"), ["bread"]);
    ann.say("marker");
    let passed = hers.until_text("marker");
    assert!(!kinds(&passed).contains(&"edited"), "{passed:?}");
}

#[test]
fn what_a_message_said_before_leaves_every_file_and_every_kept_answer() {
    let mut server = server("");
    let ann = server.connect("ann");
    let body = json!({"to": "common", "text": "unforgettable-1"});
    let message = ann.post_once("k", "/send", &body).expect(201);
    for (old, new) in [(1, 2), (2, 3)] {
        let text = format!("unforgettable-{new}");
        let change = json!({"message": message["id"], "text": text});
        let key = format!("to {new}");
        let edited = ann.post_once(&key, "/edit", &change).expect(200);
        assert_eq!(edited["text"], text);
        assert_eq!(ann.post_once(&key, "/edit", &change).expect(200), edited);
        server.forgets(FORGOTTEN, &format!("unforgettable-{old}"));
    }
    // The first request happened, and is not done again; what it made says something else now.
    let again = ann.post_once("k", "/send", &body);
    assert_eq!(again.expect(201)["id"], message["id"]);
    assert_eq!(again.expect(201)["text"], "unforgettable-3");
    assert_eq!(ann.texts("common"), ["unforgettable-3"]);
    remove(&ann, &message).expect(204);
    server.forgets(FORGOTTEN, "unforgettable");
    ann.post_once("k", "/send", &body).problem(410, "gone");
    let message = ann.say("remembered-1");
    edit(&ann, &message, "remembered-2").expect(200);
    server.stop();
    assert!(server.holding("remembered-1").is_empty());
    assert!(!server.holding("remembered-2").is_empty());
}

#[test]
fn an_edit_survives_a_crash_and_is_resumed_once_with_what_the_message_says_now() {
    let mut server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let start = bob.cursor();
    let message = ann.say("one");
    edit(&ann, &message, "two").expect(200);
    let between = bob.cursor();
    let edited = edit(&ann, &message, "three").expect(200);
    server.kill();
    server.restart();
    assert_eq!(get(&bob, &message), edited);
    ann.say("marker");
    for (cursor, expected) in [
        (&start, &["message", "edited", "message"][..]),
        (&between, &["edited", "message"]),
    ] {
        let events = bob.events_after(cursor).until_text("marker");
        let events: Vec<Event> = events.into_iter().filter(|one| one.id.is_some()).collect();
        let events: Vec<Event> = events
            .into_iter()
            .filter(|one| one.event != "hello")
            .collect();
        assert_eq!(kinds(&events), expected, "{events:?}");
        let edit = events.iter().find(|one| one.event == "edited");
        assert_eq!(edit.map(|one| &one.data), Some(&told(&edited)));
        assert_eq!(events[0].data["text"], "three");
    }
    let all = json!(bob.poll(&start, "1s").0.len());
    assert_eq!(all, 3);
}

#[test]
fn only_the_sender_may_and_only_for_a_while() {
    let server = server("window = \"2s\"\ntimes = 2");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let message = ann.say("hello");
    let private = ann.tell("bob", "psst");
    edit(&bob, &message, "x").problem(403, "not_yours");
    remove(&bob, &message).problem(403, "not_yours");
    edit(&bob, &private, "x").problem(403, "not_yours");
    edit(&eve, &private, "x").problem(404, "not_found");
    remove(&eve, &private).problem(404, "not_found");
    edit(&ann, &json!({"id": 999_999}), "x").problem(404, "not_found");
    for text in ["once", "twice"] {
        edit(&ann, &message, text).expect(200);
    }
    edit(&ann, &message, "thrice").problem(403, "too_often");
    // What changes nothing is none.
    edit(&ann, &message, "twice").expect(200);
    veche::testing::wait_until("the window to close", || {
        (edit(&ann, &private, "psst").status == 403).then_some(())
    });
    edit(&ann, &private, "x").problem(403, "too_old");
    remove(&ann, &private).problem(403, "too_old");
    assert_eq!(bob.texts("@ann"), ["psst"]);
    assert_eq!(bob.texts("common"), ["twice"]);
}

#[test]
fn without_a_window_a_message_can_always_be_changed() {
    let server = server("window = \"0s\"");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    edit(&ann, &message, "still").expect(200);
    remove(&ann, &message).expect(204);
}

#[test]
fn a_new_text_is_judged_as_a_posts_is() {
    let server = server("");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let refused = edit(&ann, &message, "");
    assert_eq!(refused.problem(422, "invalid")["field"], "text");
    edit(&ann, &message, &"x".repeat(4001)).problem(422, "invalid");
    edit(&ann, &message, &"\u{1f984}".repeat(4000)).expect(200);
    ann.post("/edit", &json!({"message": message["id"]}))
        .problem(422, "invalid");
    ann.post("/edit", &json!({"message": "1", "text": "x"}))
        .problem(422, "invalid");
    // A text that does not change is told to nobody.
    let mut events = ann.events();
    edit(&ann, &message, &"\u{1f984}".repeat(4000)).expect(200);
    ann.say("marker");
    let passed = events.until_text("marker");
    assert!(!kinds(&passed).contains(&"edited"), "{passed:?}");
}

#[test]
fn a_removed_message_is_gone_everywhere_and_told_as_every_removal_is() {
    let mut server = server("");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let (first, second) = (ann.say("first"), ann.say("second"));
    let mut events = bob.events();
    let cursor = bob.cursor();
    remove(&ann, &second).expect(204);
    let removed = json!({"to": "common", "ids": [second["id"]]});
    assert_eq!(events.next("removed").data, removed);
    remove(&ann, &second).problem(404, "not_found");
    edit(&ann, &second, "x").problem(404, "not_found");
    server.kill();
    server.restart();
    assert_eq!(bob.texts("common"), ["first"]);
    assert_eq!(bob.chat("common")["last"], first);
    assert_eq!(bob.chat("common")["unread"], 1);
    assert_eq!(bob.events_after(&cursor).next("removed").data, removed);
}

#[test]
fn what_was_said_before_is_kept_where_that_is_asked_for_and_goes_with_the_message() {
    let mut server = server("keep_history = true");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let message = ann.tell("bob", "memorable-1");
    let first = edit(&ann, &message, "memorable-2").expect(200);
    edit(&ann, &message, "memorable-3").expect(200);
    let path = format!("/messages/{}/edits", message["id"]);
    for client in [&ann, &bob] {
        let page = client.get(&path).expect(200);
        let parts = |name: &str| -> Vec<Value> {
            let edits = page["edits"].as_array().into_iter().flatten();
            edits.map(|one| one[name].clone()).collect()
        };
        assert_eq!(parts("text"), ["memorable-1", "memorable-2"]);
        let since = [message["at"].clone(), first["edited"].clone()];
        assert_eq!(parts("at"), since);
        assert_eq!(page["more"], false);
    }
    let page = bob.get(&format!("{path}?limit=1")).expect(200);
    assert_eq!(page["more"], true);
    let after = &page["edits"][0]["id"];
    let rest = bob.get(&format!("{path}?after={after}")).expect(200);
    assert_eq!(rest["edits"][0]["text"], "memorable-2");
    eve.get(&path).problem(404, "not_found");
    server.kill();
    server.restart();
    assert_eq!(
        bob.get(&path).expect(200)["edits"].as_array().map(Vec::len),
        Some(2)
    );
    remove(&ann, &message).expect(204);
    ann.get(&path).problem(404, "not_found");
    server.forgets(FORGOTTEN, "memorable");
}

#[test]
fn switched_off_it_answers_nothing_and_what_was_changed_stays_so() {
    let mut server = server("");
    let ann = server.connect("ann");
    let message = ann.say("one");
    edit(&ann, &message, "two").expect(200);
    let cursor = ann.cursor();
    edit(&ann, &message, "three").expect(200);
    let on = server.config().to_owned();
    server.configure("[features.edits]\nenabled = false\n[features.web]\nenabled = false\n");
    if !has(&["web"]) {
        server.configure("[features.edits]\nenabled = false\n");
    }
    server.stop();
    server.restart();
    edit(&ann, &message, "four").problem(404, "feature_off");
    remove(&ann, &message).problem(404, "feature_off");
    let shown = get(&ann, &message);
    assert_eq!(shown["text"], "three");
    assert!(shown.get("edited").is_none(), "{shown}");
    ann.tell("ann", "marker");
    let passed = ann.events_after(&cursor).until_text("marker");
    assert!(!kinds(&passed).contains(&"edited"), "{passed:?}");
    server.configure(on);
    server.stop();
    server.restart();
    assert!(get(&ann, &message)["edited"].is_string());
    edit(&ann, &message, "four").expect(200);
}

#[test]
fn somebody_banned_may_remove_and_not_change() {
    if !has(&["complaints"]) {
        return;
    }
    let server = with(&["edits", "complaints"], "");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    server.told(&["ban", "ann"]);
    edit(&ann, &message, "worse").problem(403, "banned");
    assert_eq!(ann.texts("common"), ["hello"]);
    remove(&ann, &message).expect(204);
}

#[test]
fn an_edit_is_no_post_more() {
    if !has(&["rate_limit"]) {
        return;
    }
    let server = with(
        &["edits", "rate_limit"],
        "[features.rate_limit]\nmessages = 1\n",
    );
    let ann = server.connect("ann");
    let message = ann.say("hello");
    ann.send("common", "more").problem(429, "rate_limited");
    edit(&ann, &message, "hello, all").expect(200);
    assert_eq!(ann.status()["user"]["rate_limit"]["left"], 0);
}

#[test]
fn a_message_keeps_its_comments_its_file_and_its_end() {
    if !has(&["comments", "files", "ttl"]) {
        return;
    }
    let server = with(
        &["comments", "edits", "files", "ttl"],
        "[features.ttl]\nafter = \"1h\"\n",
    );
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let upload = ann.request("POST", "/files?name=x").body("y", "text/plain");
    let file = upload.send().expect(201)["id"].clone();
    let body = json!({"to": "common", "text": "look", "file": file});
    let message = ann.post("/send", &body).expect(201);
    let path = format!("/messages/{}/comments", message["id"]);
    bob.post(&path, &json!({"text": "nice"})).expect(201);
    let edited = edit(&ann, &message, "look here").expect(200);
    assert_eq!(edited["file"], message["file"]);
    assert_eq!(edited["expires"], message["expires"]);
    assert_eq!(edited["comments"], 1);
    assert_eq!(get(&bob, &message), edited);
    // Where there is a file, there may be no text.
    assert_eq!(edit(&ann, &message, "").expect(200)["text"], "");
    assert_eq!(bob.texts("common"), [""]);
    remove(&ann, &message).expect(204);
    let url = format!("/files/{}", file.as_str().unwrap_or_default());
    bob.get(&url).problem(404, "not_found");
}

#[test]
fn who_left_a_room_does_not_see_what_a_message_says_later() {
    if !has(&["rooms"]) {
        return;
    }
    let server = with(&["edits", "rooms"], "");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Kitchen"})).expect(201)["room"].clone();
    let address = room.as_str().unwrap_or_default();
    let path = address.replacen("room:", "/rooms/", 1);
    let join = |client: &Client, name: &str| {
        ann.post(&format!("{path}/invites"), &json!({ "user": name }))
            .expect(201);
        client.post(&format!("{path}/join"), &json!({})).expect(200);
    };
    join(&bob, "bob");
    let cursor = bob.cursor();
    let [early, late] = ["early", "late"].map(|text| ann.send(address, text).expect(201));
    edit(&ann, &early, "while he was there").expect(200);
    bob.post(&format!("{path}/leave"), &json!({})).expect(204);
    join(&eve, "eve");
    let mut hers = eve.events();
    edit(&ann, &late, "after he left").expect(200);
    ann.say("marker");
    let texts = |events: Vec<Event>| -> Vec<Value> {
        let texts = events.into_iter().map(|event| event.data["text"].clone());
        texts.filter(Value::is_string).collect()
    };
    let seen = texts(bob.events_after(&cursor).until_text("marker"));
    assert_eq!(seen, ["while he was there", "while he was there", "marker"]);
    edit(&bob, &late, "x").problem(404, "not_found");
    // Who came later sees neither the message nor its edit.
    assert_eq!(texts(hers.until_text("marker")), ["marker"]);
}

#[test]
fn an_export_says_what_the_messages_say_now() {
    let mut server = server("keep_history = true");
    let ann = server.connect("ann");
    let message = ann.say("one");
    let edited = edit(&ann, &message, "two").expect(200);
    let output = run(server.folder().path(), ["export", "all.jsonl"]);
    assert!(output.status.success(), "{output:?}");
    server.stop();
    std::fs::remove_dir_all(server.data()).unwrap_or_default();
    let output = run(server.folder().path(), ["import", "all.jsonl"]);
    assert!(output.status.success(), "{output:?}");
    server.restart();
    assert_eq!(get(&ann, &message), edited);
    let path = format!("/messages/{}/edits", message["id"]);
    assert_eq!(ann.get(&path).expect(200)["edits"][0]["text"], "one");
}
