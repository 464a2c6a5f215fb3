//! Making a room and coming into one.

use super::*;

#[test]
fn a_room_is_made_by_its_owner_and_is_one_of_their_chats() {
    let server = server();
    let ann = server.connect("ann");
    let mut events = ann.again().events();
    let made = ann.post("/rooms", &json!({"title": "Kitchen"})).expect(201);
    assert_eq!(made["title"], "Kitchen");
    assert_eq!(made["owner"], "ann");
    assert_eq!(made["members"], json!(["ann"]));
    assert_eq!(made["history"], "joined");
    assert_eq!(events.next("room").data, made);
    let address = made["room"].as_str().expect("an address");
    let path = format!("/rooms/{}", address.trim_start_matches("room:"));
    assert_eq!(ann.get(&path).expect(200), made);
    assert_eq!(ann.get("/rooms").expect(200)["rooms"], json!([made]));
    let chat = ann.chat(address);
    assert_eq!(chat["kind"], "room");
    assert_eq!(chat["title"], "Kitchen");
    assert_eq!((&chat["members"], &chat["online"]), (&json!(1), &json!(1)));
    assert_eq!(chat["rooms"], json!({"owner": "ann", "history": "joined"}));
    for bad in [
        json!({}),
        json!({"title": ""}),
        json!({"title": "x".repeat(101)}),
    ] {
        ann.post("/rooms", &bad).problem(422, "invalid");
    }
    let bad = json!({"title": "x", "history": "some"});
    ann.post("/rooms", &bad).problem(422, "invalid");
}

#[test]
fn the_invited_join_and_see_what_is_said_from_then_on() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    room.say(&ann, "before");
    let mut his = bob.events();
    let mut hers = ann.events();
    room.join(&bob).problem(404, "not_found");
    let invite = room.invite(&ann, "bob");
    assert_eq!(his.next("invited").data, invite);
    assert_eq!(hers.next("invited").data, invite);
    assert_eq!(invite["from"], "ann");
    assert_eq!(bob.get("/rooms").expect(200)["invites"], json!([invite]));
    bob.send(&room.address, "not yet")
        .problem(404, "unknown_chat");
    let joined = room.join(&bob).expect(200);
    assert_eq!(joined["members"], json!(["ann", "bob"]));
    assert_eq!(hers.next("joined").data["user"], "bob");
    assert_eq!(his.next("joined").data["room"], room.address.as_str());
    assert_eq!(his.next("room").data, joined);
    assert_eq!(room.join(&bob).expect(200), joined, "again");
    let after = room.say(&ann, "after");
    assert_eq!(after["to"], room.address.as_str());
    assert_eq!(his.next("message").data, after);
    assert_eq!(bob.texts(&room.address), ["after"]);
    assert_eq!(ann.texts(&room.address), ["before", "after"]);
    assert_eq!(bob.unread().len(), 1);
    assert_eq!(bob.chat(&room.address)["unread"], 1);
    let before = ann.messages(&room.address)[0]["id"].clone();
    bob.get(&format!("/messages/{before}"))
        .problem(404, "not_found");
    bob.get(&format!("/messages/{}", after["id"])).expect(200);
    let page = format!("/messages?chat={}&before={}", room.address, after["id"]);
    assert_eq!(
        bob.get(&page).expect(200),
        json!({"messages": [], "more": false})
    );
    bob.read(&room.address, &after["id"]);
    assert_eq!(his.next("read").data["chat"], room.address.as_str());
    assert!(bob.unread().is_empty());
}

#[test]
fn a_name_may_have_its_at_sign() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    assert_eq!(room.invite(&ann, "@Bob")["user"], "bob");
    room.join(&bob).expect(200);
    room.remove(&ann, "@bob");
    room.join(&bob).problem(404, "not_found");
}

#[test]
fn a_link_needs_no_body() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    let made = ann.request("POST", &room.at("links")).send().expect(201);
    assert_eq!(made["expires"], Value::Null);
    let url = made["url"].as_str().unwrap_or_default();
    let asked = bob.request("POST", url).send().expect(202);
    assert_eq!(asked["state"], "pending");
}

#[test]
fn a_link_lets_one_ask_and_the_owner_decides() {
    let server = Server::only("rooms", "cooldown = \"1s\"");
    let ann = server.connect("ann");
    let (bob, cat, dan) = (
        server.connect("bob"),
        server.connect("cat"),
        server.connect("dan"),
    );
    let room = make(&ann);
    let mut hers = ann.events();
    let mut his = bob.events();
    let code = room.link(&ann, &json!({"uses": 1, "expires": "7d"}));
    assert_eq!(hers.next("room").data["links"][0]["uses"], 1);
    assert_eq!(code.len(), 32);
    ask(&bob, "0123").problem(404, "unknown_link");
    ask(&bob, &code).expect(202);
    ask(&bob, &code).expect(202);
    ask(&cat, &code).expect(202);
    let inside = ask(&ann, &code).problem(409, "already_member");
    assert_eq!(
        inside["room"],
        room.address.as_str(),
        "who is in it may know which it is"
    );
    let request = hers.next("join_request");
    assert_eq!(request.data["user"], "bob");
    assert_eq!(request.data["room"], room.address.as_str());
    assert_eq!(his.next("join_request").data["state"], "pending");
    let requests = ann.get(&room.at("requests")).expect(200);
    assert_eq!(requests["requests"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        bob.get("/rooms").expect(200)["requests"][0]["title"],
        "Kitchen"
    );
    // Refused, and again after a while.
    room.decide(&ann, "bob", false).expect(204);
    assert_eq!(hers.next("refused").data["user"], "bob");
    assert_eq!(his.next("refused").data["title"], "Kitchen");
    let refusal = ask(&bob, &code);
    let wait = refusal.header("retry-after").map(str::to_owned);
    refusal.problem(429, "refused");
    assert_eq!(wait.as_deref(), Some("1"));
    veche::testing::wait_until("the cooldown is over", || {
        (ask(&bob, &code).status == 202).then_some(())
    });
    room.decide(&ann, "nobody", true).problem(404, "not_found");
    room.decide(&ann, "bob", true).expect(204);
    assert_eq!(his.next("room").data["members"], json!(["ann", "bob"]));
    room.decide(&ann, "bob", true).problem(404, "not_found");
    // The one use is spent.
    room.decide(&ann, "cat", true).problem(409, "link_spent");
    ask(&dan, &code).problem(404, "unknown_link");
    let other = room.link(&ann, &json!({}));
    ask(&dan, &other).expect(202);
    ann.delete(&room.at(&format!("links/{other}"))).expect(204);
    ann.delete(&room.at(&format!("links/{other}")))
        .problem(404, "unknown_link");
    ask(&server.connect("eve"), &other).problem(404, "unknown_link");
    room.link(&ann, &json!({}));
    ann.delete(&room.at("links")).expect(204);
    let shown = ann.get(&room.path).expect(200);
    assert_eq!(shown["links"], json!([]));
    for bad in [
        json!({"uses": 0}),
        json!({"expires": "0s"}),
        json!({"expires": 7}),
    ] {
        ann.post(&room.at("links"), &bad).problem(422, "invalid");
    }
}

#[test]
fn of_two_decisions_on_one_request_one_wins() {
    let server = server();
    let ann = server.connect("ann");
    let other = ann.again();
    let bob = server.connect("bob");
    let room = make(&ann);
    let code = room.link(&ann, &json!({}));
    for round in 0..20 {
        ask(&bob, &code).expect(202);
        let statuses = thread::scope(|scope| {
            let one = scope.spawn(|| room.decide(&ann, "bob", true).status);
            let two = scope.spawn(|| room.decide(&other, "bob", true).status);
            let mut both = [one.join().expect("one"), two.join().expect("two")];
            both.sort_unstable();
            both
        });
        assert_eq!(statuses, [204, 404], "round {round}");
        assert_eq!(room.members(&ann), json!(["ann", "bob"]));
        room.remove(&ann, "bob");
    }
}
