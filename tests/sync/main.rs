//! What one client of a user does shows on all their other clients, by events that carry enough
//! to update without asking again; and a client that was away catches up by the same events. Each
//! test does what can be done, and compares what each client holds with what a fresh one is told.

mod asked;
mod desk;
mod replica;
mod rooms;
mod stage;

use rooms::make_room;
use serde_json::{Value, json};
use stage::Stage;
use veche::testing::{Client, wait_until};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Waits until a user's `GET /scheduled` has so many in this state.
fn in_state(client: &Client, state: &str, count: usize) -> Vec<Value> {
    wait_until(state, || {
        let scheduled = client.get("/scheduled").expect(200)["scheduled"].clone();
        let scheduled = scheduled.as_array()?.iter();
        let found: Vec<_> = scheduled
            .filter(|one| one["state"] == state)
            .cloned()
            .collect();
        (found.len() == count).then_some(found)
    })
}

fn schedule(client: &Client, to: &str, text: &str, delay: &str) -> Value {
    let body = json!({"to": to, "text": text, "in": delay});
    client.post("/scheduled", &body).expect(201)
}

fn upload(client: &Client, name: &str) -> Value {
    let request = client.request("POST", &format!("/files?name={name}"));
    let uploaded = request.body("bread, salt", "text/plain").send();
    uploaded.expect(201)["id"].clone()
}

fn comment(client: &Client, message: &Value, text: &str) {
    let path = format!("/messages/{}/comments", message["id"]);
    client.post(&path, &json!({ "text": text })).expect(201);
}

#[test]
fn messages_and_read_marks_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    let ann = stage.join("ann");
    let bob = stage.join("Bob");
    let eve = stage.join_quietly("eve");
    stage.check("coming");
    let first = ann.say("one");
    ann.say("two");
    bob.say("three");
    stage.check("saying something to all");
    let psst = ann.tell("bob", "psst");
    stage.check("a first private message");
    bob.tell("ann", "what?");
    ann.tell("eve", "psst");
    stage.check("an answer");
    ann.tell("ann", "milk");
    stage.check("a note");
    bob.read("common", &first["id"]);
    eve.read("@ann", &json!(1));
    stage.check("reading a part");
    bob.read("@ann", &psst["id"]);
    eve.read_all();
    stage.check("reading all");
    let dan = stage.join("dan");
    dan.say("hello");
    stage.check("another's coming");
    stage.restart();
    ann.read_all();
    dan.tell("BOB", "hello");
    stage.check("a restart");
    stage.finish();
}

#[test]
fn clients_come_and_go_on_every_client() {
    let mut stage = Stage::new(&[]);
    let ann = stage.join("ann");
    stage.join("bob");
    let more: Vec<Client> = (0..3).map(|_| ann.again()).collect();
    stage.check("coming");
    more[1].disconnect();
    stage.check("one's going");
    more[2].say("still here");
    more[0].disconnect();
    stage.check("another's going");
    stage.finish();
}

#[test]
fn edits_and_removals_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("edits") {
        return;
    }
    let [ann, bob] = ["ann", "bob"].map(|name| stage.join(name));
    let messages = [
        ann.say("one"),
        ann.say("two"),
        ann.tell("bob", "psst"),
        ann.tell("ann", "milk"),
    ];
    stage.check("posting");
    let edit = |message: &Value, text: &str| {
        let change = json!({"message": message["id"], "text": text});
        ann.post("/edit", &change).expect(200)
    };
    for message in &messages {
        edit(message, "another");
    }
    stage.check("changing each");
    edit(&messages[0], "once more");
    bob.say("three");
    let gone = json!({"message": messages[1]["id"]});
    ann.post("/remove", &gone).expect(204);
    stage.check("changing and removing");
    stage.restart();
    edit(&messages[2], "after the restart");
    stage.check("a restart");
    if stage.has("rooms") {
        let room = make_room(&ann, "Kitchen", "joined");
        let message = ann.send(&room.address, "here").expect(201);
        edit(&message, "there");
        stage.check("changing in a room");
    }
    stage.finish();
}

#[test]
fn comments_are_counted_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("comments") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let eve = stage.join_quietly("eve");
    let (common, note) = (ann.say("hello"), ann.tell("ann", "milk"));
    let private = ann.tell("bob", "psst");
    stage.check("posting");
    for (client, message) in [
        (&bob, &common),
        (&eve, &common),
        (&bob, &private),
        (&ann, &note),
    ] {
        comment(client, message, "indeed");
    }
    stage.check("commenting");
    comment(&ann, &private, "really");
    stage.join("dan");
    stage.check("another's coming");
    stage.finish();
}

#[test]
fn reactions_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("reactions") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let eve = stage.join_quietly("eve");
    let (common, private) = (ann.say("hello"), ann.tell("bob", "psst"));
    stage.check("posting");
    let react = |client: &Client, message: &Value, emoji: &str, on: bool| {
        let body = json!({"message": message["id"], "emoji": emoji, "on": on});
        client.post("/react", &body).expect(200);
    };
    for (client, message, emoji) in [
        (&ann, &common, "👍"),
        (&bob, &common, "🎉"),
        (&eve, &common, "👍"),
        (&bob, &private, "❤"),
    ] {
        react(client, message, emoji, true);
    }
    stage.check("reacting");
    react(&ann, &common, "👍", false);
    stage.check("taking back");
    react(&eve, &common, "👍", false);
    react(&bob, &private, "❤", false);
    stage.check("taking the last one back");
    react(&ann, &common, "👍", true);
    react(&ann, &private, "❤", true);
    stage.restart();
    react(&bob, &common, "👍", true);
    react(&bob, &common, "👍", false);
    react(&bob, &common, "👍", true);
    stage.check("a restart");
    stage.finish();
}

#[test]
fn mentions_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("mentions") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    stage.join_quietly("eve");
    let first = ann.say("@bob and @eve");
    let second = ann.say("@eve, @Bob!");
    bob.say("@ann");
    ann.tell("bob", "@bob");
    stage.check("calling");
    bob.read("common", &first["id"]);
    stage.check("reading a part");
    if stage.has("edits") {
        let removal = json!({"message": second["id"]});
        ann.post("/remove", &removal).expect(204);
        stage.check("removing");
    }
    stage.restart();
    ann.say("@bob again");
    stage.check("a restart");
    bob.read_all();
    stage.check("reading all");
    stage.finish();
}

#[test]
fn what_ends_ends_on_every_client() {
    let mut stage = Stage::new(&[("ttl", "after = \"3s\"\nundelivered = \"4s\"")]);
    if !stage.has("ttl") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    stage.join_quietly("eve");
    let common = ann.say("hello");
    ann.tell("bob", "psst");
    let late = ann.tell("eve", "never read");
    if stage.has("comments") {
        comment(&bob, &common, "indeed");
    }
    if stage.has("files") {
        let body = json!({"to": "common", "file": upload(&bob, "list.txt")});
        bob.post("/send", &body).expect(201);
    }
    let mut events = ann.events();
    let gone = |message: &Value| {
        let id = message["id"].clone();
        move |event: &veche::testing::Event| {
            let ids = event.data["ids"].as_array();
            event.event == "removed" && ids.is_some_and(|ids| ids.contains(&id))
        }
    };
    if stage.has("rooms") {
        let kitchen = make_room(&ann, "Kitchen", "joined");
        kitchen.bring(&ann, &bob);
        kitchen.say(&bob, "for a while");
    }
    // Nobody asks for eve, so that hers ends undelivered.
    events.until(gone(&late));
    assert!(ann.messages("common").is_empty());
    stage.check("all ends");
    ann.tell("eve", "read");
    ann.tell("bob", "psst");
    bob.say("hello");
    stage.check("a delivery to one who was away");
    let last = ann.say("last");
    let cursor = events.cursor().to_owned();
    stage.restart();
    let mut events = ann.events_after(&cursor);
    events.until(gone(&last));
    stage.check("a restart");
    stage.finish();
}

#[test]
fn warnings_and_bans_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[("complaints", "ban = \"4s\"\ndecay = \"4s\"")]);
    if !stage.has("complaints") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let eve = stage.join_quietly("eve");
    let dan = stage.join("dan");
    let message = bob.say("spam");
    let complain = |client: &Client, user: &str| {
        let body = json!({"user": user, "reason": "spam", "message": message["id"]});
        client.post("/complaints", &body).expect(201);
    };
    complain(&ann, "bob");
    stage.check("a warning");
    let warnings = |count: u64| {
        wait_until("the warnings", || {
            (bob.status()["user"]["complaints"]["warnings"] == count).then_some(())
        });
    };
    warnings(0);
    stage.check("its end");
    complain(&eve, "bob");
    complain(&dan, "bob");
    stage.check("two warnings");
    warnings(0);
    complain(&stage.join("fay"), "bob");
    complain(&stage.join("gus"), "bob");
    complain(&stage.join_quietly("hal"), "bob");
    stage.check("a ban");
    complain(&bob, "eve");
    wait_until("the ban's end", || {
        bob.status()["user"]["complaints"]["banned_until"]
            .is_null()
            .then_some(())
    });
    stage.check("its end");
    complain(&ann, "bob");
    stage.restart();
    stage.check("a restart");
    stage.finish();
}

#[test]
fn scheduled_messages_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[("schedule", "pending = 2\nmax_late = \"1s\"")]);
    if !stage.has("schedule") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let one = schedule(&ann, "common", "later", "1h");
    schedule(&ann, "@bob", "much later", "10h");
    schedule(&bob, "@bob", "milk", "1h");
    stage.check("scheduling");
    let cancel = |client: &Client, one: &Value| {
        client
            .delete(&format!("/scheduled/{}", text(&one["id"])))
            .expect(204);
    };
    cancel(&ann, &one);
    stage.check("cancelling");
    for (number, to) in (1..).zip(["common", "@bob", "@ann"]) {
        schedule(&ann, to, "soon", "100ms");
        in_state(&ann, "sent", number);
        stage.check("sending");
    }
    // What fell due too long ago while nobody was there to send it has failed.
    let late = schedule(&ann, "common", "too late", "1s");
    let due: jiff::Timestamp = text(&late["at"]).parse().unwrap_or_default();
    stage.server.stop();
    wait_until("it to be late", || {
        let late = jiff::Timestamp::now().duration_since(due);
        (late > jiff::SignedDuration::from_millis(1500)).then_some(())
    });
    stage.restart();
    let failed = in_state(&ann, "failed", 1);
    assert_eq!(failed[0]["reason"], "too_late");
    stage.check("failing");
    cancel(&ann, &failed[0]);
    stage.check("taking away what failed");
    // Ten times as many as may wait are listed, and no more.
    let mut events = ann.events();
    for _ in 0..20 {
        schedule(&ann, "common", "again", "1ms");
        events.next("scheduled_sent");
    }
    in_state(&ann, "sent", 20);
    stage.check("forgetting");
    stage.finish();
}

#[test]
fn a_scheduled_message_that_a_rule_refuses_has_failed_on_every_client() {
    let mut stage = Stage::new(&[("complaints", "warnings = 1")]);
    if !stage.has("schedule") || !stage.has("complaints") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    schedule(&bob, "@ann", "soon", "1s");
    let mut count = 1;
    if stage.has("files") {
        let body = json!({"to": "@ann", "file": upload(&bob, "a.txt"), "in": "1s"});
        bob.post("/scheduled", &body).expect(201);
        count = 2;
    }
    ann.post("/complaints", &json!({"user": "bob"})).expect(201);
    assert_eq!(in_state(&bob, "failed", count)[0]["reason"], "banned");
    stage.check("failing");
    stage.finish();
}

#[test]
fn files_are_the_same_on_every_client() {
    let mut stage = Stage::new(&[]);
    if !stage.has("files") {
        return;
    }
    let ann = stage.join("ann");
    let bob = stage.join("bob");
    let file = upload(&ann, "list.txt");
    stage.check("uploading");
    let body = json!({"to": "common", "text": "look", "file": file});
    ann.post("/send", &body).expect(201);
    ann.post("/send", &json!({"to": "@bob", "file": file}))
        .expect(201);
    bob.post("/send", &json!({"to": "@bob", "file": file}))
        .expect(201);
    stage.check("sending it");
    if stage.has("schedule") {
        let body = json!({"to": "common", "file": upload(&bob, "b.txt"), "in": "1s"});
        bob.post("/scheduled", &body).expect(201);
        stage.check("scheduling one");
        in_state(&bob, "sent", 1);
        stage.check("its being sent");
    }
    stage.finish();
}

#[test]
fn after_all_clients_were_ended_a_new_one_goes_on_where_one_was() {
    use veche::testing::Server;
    let server = Server::with(stage::config(&[]));
    let features = veche::testing::features(&veche::testing::binary());
    let ann = server.client(&json!({"name": "ann", "password": "open sesame"}));
    let bob = server.connect("bob");
    let held = asked::asked(&ann, &features);
    let mut held = replica::Replica::of("ann", &held);
    let mut events = ann.events_after(&text(&ann.welcome["cursor"]));
    bob.tell("ann", "one");
    ann.post("/disconnect", &json!({"all": true})).expect(204);
    let passed = events.end();
    passed.iter().for_each(|event| held.take(event));
    bob.tell("ann", "two");
    let again = server.client(&json!({"name": "ann", "password": "open sesame"}));
    let mut events = again.events_after(events.cursor());
    let passed = events.until(|event| event.data["id"] == again.id);
    passed.iter().for_each(|event| held.take(event));
    wait_until("the copy to be the truth", || {
        events.arrived().iter().for_each(|event| held.take(event));
        let truth = asked::asked(&again, &features);
        asked::difference("", &held.view_beside(&truth), &truth)
            .is_none()
            .then_some(())
    });
}
