//! The mentions feature: `@name` calls somebody, whose chat says so until they read it.

#![cfg(has_feature = "mentions")]

use serde_json::{Value, json};
use veche::testing::{Client, Server, binary, encode, features};

fn has(names: &[&str]) -> bool {
    let all = features(&binary());
    names.iter().all(|name| all.iter().any(|one| one == name))
}

/// The unread messages that call a client's user, as a chat in their status says it.
fn calling(client: &Client, chat: &str) -> Vec<Value> {
    let part = client.chat(chat)["mentions"]["unread"].clone();
    part.as_array().cloned().unwrap_or_default()
}

/// The ids of the messages that call a client's user, and whether there are more.
fn listed(client: &Client, query: &str) -> (Vec<Value>, bool) {
    let page = client.get(&format!("/mentions?{query}")).expect(200);
    let messages = page["messages"].as_array().into_iter().flatten();
    let ids = messages.map(|message| message["id"].clone()).collect();
    (ids, page["more"] == true)
}

#[test]
fn a_message_that_calls_somebody_says_so_wherever_it_is_shown() {
    let server = Server::start();
    let [ann, bob, _] = ["ann", "bob", "Åsa"].map(|name| server.connect(name));
    let since = bob.cursor();
    let message = ann.say("@BOB, @åsa. and @bob again; not @nobody, a@bob.org or @ann");
    assert_eq!(message["mentions"], json!(["bob", "Åsa"]));
    assert!(ann.say("nobody").get("mentions").is_none());
    let id = &message["id"];
    let path = format!("/messages/{id}");
    assert_eq!(bob.get(&path).expect(200)["mentions"], message["mentions"]);
    assert_eq!(bob.history("common")[0]["mentions"], message["mentions"]);
    let (events, _) = bob.poll(&since, "5s");
    let told = events.iter().find(|event| event.event == "message");
    assert_eq!(
        told.expect("a message").data["mentions"],
        message["mentions"]
    );
    let late = server.join(&json!({"name": "late"})).expect(201);
    assert_eq!(late["history"][0]["mentions"], message["mentions"]);
}

#[test]
fn a_chat_says_what_calls_until_it_is_read_on_all_clients() {
    let mut server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let other = bob.again();
    let one = ann.say("@bob one");
    let two = ann.say("two");
    let three = ann.say("@bob three");
    let private = ann.send("@bob", "@bob in private").expect(201);
    let both = [one["id"].clone(), three["id"].clone()];
    server.kill();
    server.restart();
    for client in [&bob, &other] {
        assert_eq!(calling(client, "common"), both);
        assert_eq!(calling(client, "@ann"), [private["id"].clone()]);
        let all = [&one, &three, &private].map(|message| message["id"].clone());
        assert_eq!(listed(client, ""), (all.into(), false));
    }
    assert!(calling(&ann, "common").is_empty());
    let upto = json!({"chat": "common", "upto": two["id"]});
    other.post("/read", &upto).expect(204);
    assert_eq!(calling(&bob, "common"), [three["id"].clone()]);
    bob.post("/read", &json!({"chat": "common"})).expect(204);
    assert!(calling(&other, "common").is_empty());
    assert!(bob.chat("common").get("mentions").is_none());
    // What is read is still listed.
    assert_eq!(listed(&bob, "").0.len(), 3);
}

#[test]
fn the_list_is_read_backwards_in_pages() {
    let server = Server::only("mentions", "");
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let ids: Vec<Value> = (0..5)
        .map(|n| ann.say(&format!("@bob {n}"))["id"].clone())
        .collect();
    assert_eq!(listed(&bob, "limit=2"), (ids[3..].to_vec(), true));
    let before = format!("limit=2&before={}", ids[3]);
    assert_eq!(listed(&bob, &before), (ids[1..3].to_vec(), true));
    let before = format!("limit=2&before={}", ids[1]);
    assert_eq!(listed(&bob, &before), (ids[..1].to_vec(), false));
    assert_eq!(listed(&bob, "before=0"), (vec![], false));
    assert_eq!(listed(&ann, ""), (vec![], false));
    bob.get("/mentions?limit=0").problem(422, "invalid");
    server.guest().get("/mentions").problem(401, "unauthorized");
}

#[test]
fn what_is_removed_or_ends_calls_nobody() {
    if !has(&["edits"]) {
        return;
    }
    let mut server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let [one, two] = ["@bob one", "@bob two"].map(|text| ann.say(text)["id"].clone());
    ann.post("/remove", &json!({"message": one})).expect(204);
    assert_eq!(calling(&bob, "common"), std::slice::from_ref(&two));
    assert_eq!(listed(&bob, ""), (vec![two.clone()], false));
    // An edit changes what a message says, and not whom it called.
    let edit = json!({"message": two, "text": "@ann"});
    let edited = ann.post("/edit", &edit).expect(200);
    assert_eq!(edited["mentions"], json!(["bob"]), "{edited}");
    server.restart();
    assert_eq!(calling(&bob, "common"), [two]);
    assert_eq!(calling(&ann, "common"), Vec::<Value>::new());
}

#[test]
fn only_who_is_in_a_room_is_called_there() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::start();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Den"})).expect(201);
    let address = room["room"].as_str().expect("an address");
    let uuid = address.trim_start_matches("room:");
    let invite = json!({"user": "bob"});
    ann.post(&format!("/rooms/{uuid}/invites"), &invite)
        .expect(201);
    bob.post(&format!("/rooms/{uuid}/join"), &json!({}))
        .expect(200);
    let message = ann.send(address, "@bob and @eve").expect(201);
    assert_eq!(message["mentions"], json!(["bob"]));
    assert_eq!(listed(&eve, ""), (vec![], false));
    assert_eq!(listed(&bob, ""), (vec![message["id"].clone()], false));
    // Who has left sees nothing of it any more.
    bob.post(&format!("/rooms/{uuid}/leave"), &json!({}))
        .expect(204);
    assert_eq!(listed(&bob, ""), (vec![], false));
    assert!(
        bob.get(&format!("/messages?chat={}", encode(address)))
            .status
            == 404
    );
}

#[test]
fn a_message_for_later_calls_when_it_is_sent() {
    if !has(&["schedule"]) {
        return;
    }
    let server = Server::start();
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let later = json!({"to": "common", "text": "@bob, now", "in": "1s"});
    ann.post("/scheduled", &later).expect(201);
    assert!(calling(&bob, "common").is_empty());
    let since = bob.cursor();
    let (events, _) = bob.poll(&since, "20s");
    let sent = events.iter().find(|event| event.event == "message");
    let sent = sent.expect("a message");
    assert_eq!(sent.data["mentions"], json!(["bob"]));
    assert_eq!(calling(&bob, "common"), [sent.data["id"].clone()]);
}
