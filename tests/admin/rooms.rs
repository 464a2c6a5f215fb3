//! Rooms.

use serde_json::{Value, json};
use veche::testing::Server;

use crate::refused;

#[test]
fn a_room_that_is_given_to_a_member_is_theirs_for_everybody() {
    let mut server = Server::only("rooms", "");
    let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Garden"})).expect(201)["room"].clone();
    let address = room.as_str().expect("an address");
    let path = address.replacen("room:", "/rooms/", 1);
    for who in [&bob, &cat] {
        let body = json!({"user": who.name});
        ann.post(&format!("{path}/invites"), &body).expect(201);
        who.post(&format!("{path}/join"), &json!({})).expect(200);
    }
    server.connect("guest");
    ann.post(&format!("{path}/invites"), &json!({"user": "guest"}))
        .expect(201);
    let mut streams = [&ann, &bob, &cat].map(|client| client.events());

    refused(&server, &["rename-owner", address, "guest"], "not_found");
    refused(&server, &["rename-owner", "room:none", "bob"], "not_found");
    refused(&server, &["rename-owner", address, "ann"], "is_owner");
    server.told(&["rename-owner", address, "@Bob"]);

    let told = json!({"room": room, "title": "Garden", "owner": "bob"});
    for stream in &mut streams {
        assert_eq!(stream.next("room").data, told);
    }
    let whole = streams[1].next("room").data;
    assert_eq!(whole["invites"][0]["user"], "guest", "{whole}");
    assert_eq!(whole, bob.get(&path).expect(200));
    server.kill();
    server.restart();
    for client in [&ann, &bob, &cat] {
        assert_eq!(client.get(&path).expect(200)["owner"], "bob");
    }
    assert_eq!(ann.get(&path).expect(200)["invites"], Value::Null);
    let remove = |client: &veche::testing::Client, name: &str| {
        client.delete(&format!("{path}/members/{name}"))
    };
    remove(&ann, "cat").problem(403, "not_owner");
    remove(&bob, "cat").expect(204);
}
