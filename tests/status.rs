//! The status: the server, oneself, one's chats.

use serde_json::{Value, json};
use veche::testing::{Client, Server};

#[test]
fn it_tells_of_the_server_the_user_and_the_common_chat() {
    let server = Server::core();
    let ann = server.connect("ann");
    let status = ann.status();
    assert!(status["server"]["name"].is_string(), "{status}");
    assert!(status["server"]["version"].is_string(), "{status}");
    assert!(status["server"]["uptime_s"].is_number(), "{status}");
    assert_eq!(status["server"]["features"], json!([]));
    assert_eq!(status["user"]["name"], "ann");
    let common = ann.chat("common");
    assert_eq!(common["kind"], "common");
    assert!(common["title"].is_string(), "{common}");
    assert_eq!(common["members"], 1);
    assert!(common["online"].is_u64(), "{common}");
    assert_eq!(common["unread"], 0);
    assert!(common["last"].is_null(), "{common}");
}

#[test]
fn each_client_is_listed_with_its_agent_and_which_one_is_asking() {
    let server = Server::core();
    let ann = server.connect("ann");
    let reply = ann
        .request("POST", "/connect")
        .header("User-Agent", "my phone")
        .json(&json!({ "name": "ann" }))
        .send();
    let phone = Client::welcomed(&server.url(), &reply.expect(200));
    let status = phone.status();
    let clients = status["user"]["clients"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(clients.len(), 2, "{status}");
    for client in &clients {
        assert_eq!(client["current"], client["id"] == phone.id.as_str());
        assert!(client["since"].is_string(), "{client}");
        assert!(client["seen"].is_string(), "{client}");
    }
    let own = clients
        .iter()
        .find(|client| client["id"] == phone.id.as_str());
    assert_eq!(
        own.map(|client| &client["agent"]),
        Some(&Value::from("my phone"))
    );
    ann.disconnect();
    let left = phone.status()["user"]["clients"].as_array().map(Vec::len);
    assert_eq!(left, Some(1));
}

#[test]
fn a_private_chat_appears_for_both_with_its_first_message() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let message = ann.tell("bob", "psst");
    let hers = ann.chat("@bob");
    let his = bob.chat("@ann");
    assert_eq!(hers["kind"], "private");
    assert_eq!(his["kind"], "private");
    assert_eq!(hers["last"], message);
    assert_eq!(his["last"], message);
    assert_eq!(his["members"], 2);
    assert_eq!(
        (&hers["unread"], &his["unread"]),
        (&Value::from(0), &Value::from(1))
    );
    let chats = eve.status()["chats"].as_array().map(Vec::len);
    assert_eq!(chats, Some(1), "eve has the common chat alone");
}

#[test]
fn the_common_chat_counts_its_members_and_shows_its_last_message() {
    let server = Server::core();
    let ann = server.connect("ann");
    server.connect("bob");
    let eve = server.connect("eve");
    let _open = eve.events();
    ann.say("one");
    let last = eve.say("two");
    let common = ann.chat("common");
    assert_eq!(common["members"], 3);
    assert!(
        common["online"]
            .as_u64()
            .is_some_and(|count| (1..=3).contains(&count))
    );
    assert_eq!(common["last"], last);
    assert_eq!(common["unread"], 1);
}

#[test]
fn it_follows_what_happens_in_each_chat_since_it_was_last_asked_for() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let seen = |chat: &str| {
        let chat = ann.chat(chat);
        (chat["last"]["text"].clone(), chat["unread"].clone())
    };
    bob.tell("ann", "one");
    assert_eq!(seen("@bob"), (json!("one"), json!(1)));
    bob.tell("ann", "two");
    assert_eq!(seen("@bob"), (json!("two"), json!(2)));
    bob.say("to all");
    assert_eq!(seen("@bob"), (json!("two"), json!(2)));
    assert_eq!(seen("common"), (json!("to all"), json!(1)));
    ann.post("/read", &json!({})).expect(204);
    assert_eq!(seen("@bob"), (json!("two"), json!(0)));
    assert_eq!(seen("common"), (json!("to all"), json!(0)));
    // A chat that is new stands among those that were seen before.
    server.connect("eve").tell("ann", "hello");
    assert_eq!(seen("@eve"), (json!("hello"), json!(1)));
    assert_eq!(seen("@bob"), (json!("two"), json!(0)));
}
