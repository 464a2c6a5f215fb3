//! What of a room is seen, and by whom.

use super::*;

#[test]
fn a_room_with_all_its_history_shows_it_to_those_who_come_later() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make_with(&ann, "all");
    let before = room.say(&ann, "before");
    room.bring(&ann, &bob);
    assert_eq!(bob.texts(&room.address), ["before"]);
    assert_eq!(bob.history(&room.address).len(), 1);
    bob.get(&format!("/messages/{}", before["id"])).expect(200);
    assert_eq!(bob.chat(&room.address)["last"]["text"], "before");
    assert!(bob.unread().is_empty(), "the mark starts at joining");
}

#[test]
fn streams_open_and_resumed_show_what_was_said_while_one_was_in_the_room() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    let cursor = bob.cursor();
    let mut open = bob.events();
    room.say(&ann, "one");
    room.bring(&ann, &bob);
    room.say(&ann, "two");
    room.remove(&ann, "bob");
    room.say(&ann, "three");
    room.bring(&ann, &bob);
    room.say(&ann, "four");
    room.leave(&bob).expect(204);
    room.say(&ann, "five");
    ann.say("marker");
    let live = open.until_text("marker");
    assert_eq!(text_of(&live), ["two", "four", "marker"]);
    let resumed = bob.events_after(&cursor).until_text("marker");
    let of = |events: &[veche::testing::Event]| -> Vec<_> {
        let kept = events.iter().filter(|event| event.id.is_some());
        kept.map(|event| (event.id.clone(), event.event.clone()))
            .collect()
    };
    let whole = |events: Vec<(Option<String>, String)>| -> Vec<_> {
        // What a whole room was is not shown to somebody who is out of it.
        events
            .into_iter()
            .filter(|(_, kind)| kind != "room")
            .collect()
    };
    assert_eq!(whole(of(&resumed)), whole(of(&live)));
    let left: Vec<_> = live.iter().filter(|event| event.event == "left").collect();
    assert_eq!(left.len(), 2);
    assert_eq!(left[0].data["removed"], true);
    assert_eq!(left[1].data["removed"], false);
    let unread = bob.unread();
    assert!(unread.iter().all(|message| message["to"] == "common"));
    bob.get(&format!("/messages?chat={}", room.address))
        .problem(404, "unknown_chat");
}

#[test]
fn to_others_a_room_does_not_exist() {
    let server = Server::with(with(&["rooms", "comments"], ""));
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let eve = server.connect("eve");
    let room = make(&ann);
    room.bring(&ann, &bob);
    let message = room.say(&ann, "secret");
    let code = room.link(&ann, &json!({}));
    let mut hers = eve.events();
    for path in ["", "/requests"] {
        let path = format!("{}{path}", room.path);
        eve.get(&path).problem(404, "not_found");
    }
    let posts = [
        ("invites", json!({"user": "eve"})),
        ("links", json!({})),
        ("requests/bob", json!({"approve": true})),
        ("join", json!({})),
        ("leave", json!({})),
    ];
    for (path, body) in &posts {
        eve.post(&room.at(path), body).problem(404, "not_found");
    }
    let code_path = format!("links/{code}");
    for path in ["invites/bob", &code_path, "links", "members/bob"] {
        eve.delete(&room.at(path)).problem(404, "not_found");
    }
    eve.send(&room.address, "hi").problem(404, "unknown_chat");
    let read = json!({"chat": room.address});
    eve.post("/read", &read).problem(404, "unknown_chat");
    let id = &message["id"];
    eve.get(&format!("/messages/{id}"))
        .problem(404, "not_found");
    eve.get(&format!("/messages/{id}/comments"))
        .problem(404, "not_found");
    eve.post(&format!("/messages/{id}/comments"), &json!({"text": "x"}))
        .problem(404, "not_found");
    // A member who is not its owner is told so.
    for (path, body) in &posts[..3] {
        bob.post(&room.at(path), body).problem(403, "not_owner");
    }
    for path in ["invites/bob", &code_path, "links", "members/ann"] {
        bob.delete(&room.at(path)).problem(403, "not_owner");
    }
    bob.get(&room.at("requests")).problem(403, "not_owner");
    // A link shows the title alone.
    let pending = ask(&eve, &code).expect(202);
    assert_eq!(pending, json!({"state": "pending", "title": "Kitchen"}));
    let uuid = room.address.trim_start_matches("room:");
    ann.say("marker");
    let seen = format!("{:?}", hers.until_text("marker"));
    assert!(!seen.contains(uuid), "{seen}");
    assert!(!format!("{}{}", eve.status(), eve.get("/rooms").expect(200)).contains(uuid));
}

#[test]
fn comments_reach_those_who_see_the_message_and_no_later_member() {
    if !has(&["comments"]) {
        return;
    }
    let server = Server::with(with(&["rooms", "comments"], ""));
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let cat = server.connect("cat");
    let room = make(&ann);
    room.bring(&ann, &bob);
    let old = room.say(&ann, "old");
    let cursor = cat.cursor();
    room.bring(&ann, &cat);
    let mut hers = cat.events();
    let mut his = bob.events();
    let path = format!("/messages/{}/comments", old["id"]);
    bob.post(&path, &json!({"text": "indeed"})).expect(201);
    assert_eq!(his.next("comment").data["text"], "indeed");
    cat.get(&path).problem(404, "not_found");
    cat.post(&path, &json!({"text": "?"}))
        .problem(404, "not_found");
    let new = room.say(&bob, "new");
    let path = format!("/messages/{}/comments", new["id"]);
    cat.post(&path, &json!({"text": "hello"})).expect(201);
    room.say(&ann, "marker");
    let of = |events: Vec<veche::testing::Event>| -> Vec<Value> {
        let comments = events.into_iter().filter(|event| event.event == "comment");
        comments.map(|event| event.data["text"].clone()).collect()
    };
    assert_eq!(of(hers.until_text("marker")), ["hello"]);
    let resumed = cat.events_after(&cursor).until_text("marker");
    assert_eq!(of(resumed), ["hello"]);
}

#[test]
fn room_messages_live_as_long_as_any_and_are_no_posts_to_the_common_chat() {
    if !has(&["ttl", "rate_limit"]) {
        return;
    }
    let settings = "[features.ttl]\nafter = \"1s\"\n[features.rate_limit]\nmessages = 1\n";
    let server = Server::with(with(&["rooms", "ttl", "rate_limit"], settings));
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    room.bring(&ann, &bob);
    let mut his = bob.events();
    let first = room.say(&ann, "one");
    room.say(&ann, "two");
    assert!(first["expires"].is_string(), "{first}");
    let removed = his.next("removed").data;
    assert_eq!(removed["to"], room.address.as_str());
    assert_eq!(removed["ids"][0], first["id"]);
    bob.get(&format!("/messages/{}", first["id"]))
        .problem(404, "not_found");
}
