//! What outlives a crash and the off switch, and what has a bound.

use super::*;

#[test]
fn all_is_there_after_a_crash() {
    let mut server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (cat, dan) = (server.connect("cat"), server.connect("dan"));
    let room = make(&ann);
    room.bring(&ann, &bob);
    room.invite(&ann, "cat");
    let code = room.link(&ann, &json!({"uses": 2}));
    ask(&dan, &code).expect(202);
    room.say(&bob, "hello");
    let before = ann.get(&room.path).expect(200);
    let lists = [&ann, &bob, &cat, &dan].map(|client| client.get("/rooms").expect(200));
    server.kill();
    server.restart();
    assert_eq!(ann.get(&room.path).expect(200), before);
    let after = [&ann, &bob, &cat, &dan].map(|client| client.get("/rooms").expect(200));
    assert_eq!(after, lists);
    assert_eq!(ann.texts(&room.address), ["hello"]);
    room.decide(&ann, "dan", true).expect(204);
    room.join(&cat).expect(200);
    assert_eq!(room.members(&ann), json!(["ann", "bob", "dan", "cat"]));
    assert!(server.holding(&code).is_empty(), "a code is on the disk");
}

#[test]
fn switched_off_rooms_leave_no_trace_and_come_back_as_they_were() {
    let mut server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = make(&ann);
    let cursor = bob.cursor();
    room.bring(&ann, &bob);
    let message = room.say(&ann, "hello");
    let before = ann.get(&room.path).expect(200);
    let on = server.config().to_owned();
    server.configure(with(&[], ""));
    server.restart();
    ann.get("/rooms").problem(404, "feature_off");
    ann.get(&room.path).problem(404, "feature_off");
    ann.send(&room.address, "x").problem(404, "unknown_chat");
    let id = &message["id"];
    ann.get(&format!("/messages/{id}"))
        .problem(404, "not_found");
    assert!(bob.unread().is_empty());
    assert_eq!(bob.status()["chats"].as_array().map(Vec::len), Some(1));
    ann.say("marker");
    let seen = bob.events_after(&cursor).until_text("marker");
    let kinds: Vec<&str> = seen.iter().map(|event| event.event.as_str()).collect();
    assert!(
        kinds
            .iter()
            .all(|kind| ["message", "user", "client"].contains(kind)),
        "{kinds:?}"
    );
    assert_eq!(text_of(&seen), ["marker"]);
    server.configure(on);
    server.restart();
    assert_eq!(ann.get(&room.path).expect(200), before);
    assert_eq!(bob.texts(&room.address), ["hello"]);
    assert_eq!(bob.unread().len(), 2);
    let seen = bob.events_after(&cursor).until_text("marker");
    assert_eq!(text_of(&seen), ["hello", "marker"]);
}

#[test]
fn what_is_bounded_says_so() {
    let settings = "rooms = 1\nmembers = 2\ninvites = 1\nlinks = 1\nrequests = 1";
    let server = Server::only("rooms", settings);
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (cat, dan) = (server.connect("cat"), server.connect("dan"));
    let room = make(&ann);
    let second = ann.post("/rooms", &json!({"title": "Hall"}));
    second.problem(429, "too_many");
    let code = room.link(&ann, &json!({}));
    ann.post(&room.at("links"), &json!({}))
        .problem(429, "too_many");
    ask(&cat, &code).expect(202);
    ask(&dan, &code).problem(429, "too_many");
    room.invite(&ann, "bob");
    room.invite(&ann, "bob");
    let body = json!({"user": "dan"});
    ann.post(&room.at("invites"), &body)
        .problem(429, "too_many");
    room.join(&bob).expect(200);
    room.decide(&ann, "cat", true).problem(409, "room_full");
}

#[test]
fn a_room_of_a_thousand_works_like_one_of_three() {
    let server = server();
    let ann = server.connect("ann");
    let room = make(&ann);
    let names: Vec<String> = (0..999).map(|number| format!("m{number}")).collect();
    let mut clients: Vec<Client> = thread::scope(|scope| {
        let join = |names: &'_ [String]| {
            let names = names.to_vec();
            let (server, room, ann) = (&server, &room, &ann);
            scope.spawn(move || {
                let bring = |name: &String| {
                    let client = server.connect(name);
                    room.bring(ann, &client);
                    client
                };
                names.iter().map(bring).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = names.chunks(100).map(join).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|clients| clients.expect("joined"))
            .collect()
    });
    assert_eq!(ann.chat(&room.address)["members"], 1000);
    let mut streams: Vec<_> = clients.iter().step_by(50).map(Client::events).collect();
    let message = room.say(&ann, "to all");
    for stream in &mut streams {
        assert_eq!(stream.next("message").data, message);
    }
    assert!(clients.iter().all(|client| client.unread().len() == 1));
    let gone = clients.remove(0);
    room.remove(&ann, &gone.name);
    room.say(&ann, "to the rest");
    ann.say("marker");
    assert_eq!(text_of(&streams[0].until_text("marker")), ["marker"]);
    assert_eq!(
        text_of(&streams[1].until_text("marker")),
        ["to the rest", "marker"]
    );
}

#[test]
fn a_repeat_with_its_key_is_gone_once_what_it_made_is() {
    let mut server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let cat = server.connect("cat");
    let title = json!({"title": "Kitchen"});
    let made = ann.post_once("room", "/rooms", &title).expect(201);
    let room = Room::of(&made);
    let (invites, links) = (room.at("invites"), room.at("links"));
    let invite = json!({"user": "bob"});
    let invited = ann.post_once("bob", &invites, &invite).expect(201);
    let link = ann.post_once("link", &links, &json!({})).expect(201);
    let once = ann
        .post_once("once", &links, &json!({"uses": 1}))
        .expect(201);
    server.restart();
    let repeats = [
        ("room", "/rooms", &title, &made),
        ("bob", &invites, &invite, &invited),
        ("link", &links, &json!({}), &link),
        ("once", &links, &json!({"uses": 1}), &once),
    ];
    for (key, path, body, first) in repeats {
        let again = ann.post_once(key, path, body);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.expect(201), *first, "{key}");
    }
    let gone = |key: &str, path: &str, body: &Value| {
        ann.post_once(key, path, body).problem(410, "gone");
    };

    // Taken back; the same once more is another one, until it is used.
    ann.delete(&room.at("invites/bob")).expect(204);
    gone("bob", &invites, &invite);
    ann.post_once("bob again", &invites, &invite).expect(201);
    room.join(&bob).expect(200);
    gone("bob again", &invites, &invite);

    ann.delete(&room.at(&format!(
        "links/{}",
        link["link"].as_str().unwrap_or_default()
    )))
    .expect(204);
    gone("link", &links, &json!({}));
    ask(&cat, once["link"].as_str().unwrap_or_default()).expect(202);
    ann.post_once("once", &links, &json!({"uses": 1}))
        .expect(201);
    room.decide(&ann, "cat", true).expect(204);
    gone("once", &links, &json!({"uses": 1}));

    // A link goes with its time, too, which its owner's clients hear.
    let mut hers = ann.events();
    let short = json!({"expires": "1s"});
    ann.post_once("short", &links, &short).expect(201);
    let shown = |data: &Value| data["links"].as_array().map_or(0, Vec::len);
    let before = hers.next("room");
    let after = hers.next("room");
    assert_eq!(shown(&before.data), shown(&after.data) + 1);
    gone("short", &links, &short);

    // So do a request when it is decided, and a coming in when one is out.
    let code = room.link(&ann, &json!({}));
    let (asking, join) = (format!("/join/{code}"), room.at("join"));
    let dan = server.connect("dan");
    dan.post_once("ask", &asking, &json!({})).expect(202);
    dan.post_once("ask", &asking, &json!({})).expect(202);
    let (decide, yes) = (room.at("requests/dan"), json!({"approve": true}));
    ann.post_once("yes", &decide, &yes).expect(204);
    dan.post_once("ask", &asking, &json!({}))
        .problem(410, "gone");
    dan.post_once("in", &join, &json!({})).expect(200);
    ann.post_once("yes", &decide, &yes).expect(204);
    dan.post_once("in", &join, &json!({})).expect(200);
    room.remove(&ann, "dan");
    gone("yes", &decide, &yes);
    dan.post_once("in", &join, &json!({})).problem(410, "gone");

    // The new owner's go with their removal of the old one, the room with its last member.
    ann.post_once("dan", &invites, &json!({"user": "dan"}))
        .expect(201);
    ann.post_once("all", &links, &json!({})).expect(201);
    room.leave(&ann).expect(204);
    ann.post_once("room", "/rooms", &title).expect(201);
    room.invite(&bob, "ann");
    room.join(&ann).expect(200);
    room.remove(&bob, "ann");
    gone("dan", &invites, &json!({"user": "dan"}));
    gone("all", &links, &json!({}));
    room.leave(&bob).expect(204);
    room.leave(&cat).expect(204);
    gone("room", "/rooms", &title);
}
