//! The rooms feature: who comes in, what members see and when, and that others see nothing.

use std::thread;

use serde_json::{Value, json};
use veche::testing::{Client, Reply, Server};

fn server() -> Server {
    Server::only("rooms", "")
}

/// Several features with their defaults, the rest off.
fn with(names: &[&str], settings: &str) -> String {
    let all = veche::testing::features(&veche::testing::binary());
    let off = all.iter().filter(|name| !names.contains(&name.as_str()));
    let off: String = off
        .map(|name| format!("[features.{name}]\nenabled = false\n"))
        .collect();
    off + settings
}

struct Room {
    address: String,
    path: String,
}

fn make_with(owner: &Client, history: &str) -> Room {
    let body = json!({"title": "Kitchen", "history": history});
    let made = owner.post("/rooms", &body).expect(201);
    let address = made["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", address.trim_start_matches("room:"));
    Room { address, path }
}

fn make(owner: &Client) -> Room {
    make_with(owner, "joined")
}

impl Room {
    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    fn invite(&self, owner: &Client, name: &str) -> Value {
        let body = json!({ "user": name });
        owner.post(&self.at("invites"), &body).expect(201)
    }

    fn join(&self, client: &Client) -> Reply {
        client.request("POST", &self.at("join")).send()
    }

    fn bring(&self, owner: &Client, client: &Client) {
        self.invite(owner, &client.name);
        self.join(client).expect(200);
    }

    fn remove(&self, owner: &Client, name: &str) {
        owner
            .delete(&self.at(&format!("members/{name}")))
            .expect(204);
    }

    fn leave(&self, client: &Client) -> Reply {
        client.request("POST", &self.at("leave")).send()
    }

    fn link(&self, owner: &Client, body: &Value) -> String {
        let made = owner.post(&self.at("links"), body).expect(201);
        made["link"].as_str().unwrap_or_default().to_owned()
    }

    fn decide(&self, owner: &Client, name: &str, approve: bool) -> Reply {
        let path = self.at(&format!("requests/{name}"));
        owner.post(&path, &json!({ "approve": approve }))
    }

    fn say(&self, client: &Client, text: &str) -> Value {
        client.send(&self.address, text).expect(201)
    }

    fn members(&self, client: &Client) -> Value {
        client.get(&self.path).expect(200)["members"].clone()
    }
}

fn ask(client: &Client, code: &str) -> Reply {
    client.request("POST", &format!("/join/{code}")).send()
}

fn text_of(events: &[veche::testing::Event]) -> Vec<String> {
    let messages = events.iter().filter(|event| event.event == "message");
    messages
        .filter_map(|event| event.data["text"].as_str().map(str::to_owned))
        .collect()
}

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
    ask(&ann, &code).problem(409, "already_member");
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

#[test]
fn the_owners_leaving_hands_the_room_on_and_the_last_ones_ends_it() {
    let mut server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (cat, dan) = (server.connect("cat"), server.connect("dan"));
    let room = make(&ann);
    room.bring(&ann, &cat);
    room.bring(&ann, &bob);
    let code = room.link(&ann, &json!({}));
    ask(&dan, &code).expect(202);
    room.say(&ann, "unforgettable");
    let mut hers = cat.events();
    let removing = ann.delete(&room.at("members/ann"));
    removing.problem(409, "is_owner");
    room.leave(&ann).expect(204);
    let left = hers.next("left").data;
    assert_eq!(
        (&left["user"], &left["owner"]),
        (&json!("ann"), &json!("cat"))
    );
    assert_eq!(hers.next("room").data["requests"][0]["user"], "dan");
    room.leave(&ann).problem(404, "not_found");
    server.kill();
    server.restart();
    assert_eq!(cat.get(&room.path).expect(200)["owner"], "cat");
    assert_eq!(room.members(&cat), json!(["cat", "bob"]));
    room.leave(&bob).expect(204);
    let mut his = dan.events();
    let mut last = cat.events();
    room.leave(&cat).expect(204);
    assert_eq!(last.next("left").data["room"], room.address.as_str());
    assert_eq!(his.next("refused").data["title"], "Kitchen");
    ask(&dan, &code).problem(404, "unknown_link");
    cat.get(&room.path).problem(404, "not_found");
    server.forgets(std::time::Duration::from_secs(30), "unforgettable");
    server.restart();
    cat.send(&room.address, "?").problem(404, "unknown_chat");
}

#[test]
fn a_removal_voids_what_the_removed_had() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let cat = server.connect("cat");
    // Bob was the owner, made a link and invited cat.
    let room = make(&bob);
    room.bring(&bob, &ann);
    let code = room.link(&bob, &json!({}));
    room.invite(&bob, "cat");
    room.leave(&bob).expect(204);
    room.bring(&ann, &bob);
    room.remove(&ann, "bob");
    room.join(&bob).problem(404, "not_found");
    room.join(&cat).problem(404, "not_found");
    ask(&bob, &code).problem(404, "unknown_link");
    assert_eq!(cat.get("/rooms").expect(200)["invites"], json!([]));
    // A new invitation lets him in, and one taken back doesn't.
    room.invite(&ann, "bob");
    let mut his = bob.events();
    ann.delete(&room.at("invites/bob")).expect(204);
    assert_eq!(his.next("refused").data["user"], "bob");
    ann.delete(&room.at("invites/bob"))
        .problem(404, "not_found");
    room.join(&bob).problem(404, "not_found");
    room.bring(&ann, &bob);
    assert_eq!(room.members(&ann), json!(["ann", "bob"]));
    let body = json!({"user": "bob"});
    ann.post(&room.at("invites"), &body)
        .problem(409, "already_member");
    let body = json!({"user": "nobody"});
    ann.post(&room.at("invites"), &body)
        .problem(404, "not_found");
}

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
fn comments_reach_those_who_see_the_message_and_no_later_member() {
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
