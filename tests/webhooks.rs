//! The webhooks feature: programs that post by secret paths.

#![cfg(has_feature = "webhooks")]

use serde_json::{Value, json};
use veche::testing::{Client, Server, binary, features};

fn has(names: &[&str]) -> bool {
    let there = features(&binary());
    names.iter().all(|name| there.iter().any(|one| one == name))
}

fn hook(by: &Client, name: &str, to: &str) -> (Value, String) {
    let made = by
        .post("/hooks", &json!({"name": name, "to": to}))
        .expect(201);
    let url = made["url"].as_str().unwrap_or_default().to_owned();
    (made["id"].clone(), url)
}

#[test]
fn what_is_posted_to_a_hook_comes_from_its_bot() {
    let mut server = Server::only("webhooks", "");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (mut hers, mut his) = (ann.events(), bob.events());
    let (id, url) = hook(&ann, "alerts", "common");
    let told = hers.next("hook").data;
    let listed = ann.get("/hooks").expect(200)["hooks"][0].clone();
    assert_eq!(told, listed, "her other clients know as much");
    assert_eq!(listed["id"], id);
    assert_eq!(listed["works"], true);
    assert!(
        !listed
            .to_string()
            .contains(url.trim_start_matches("/hooks/"))
    );

    let reply = server
        .guest()
        .post(&url, &json!({"text": "the disk is full"}));
    assert_eq!((reply.status, reply.text.as_str()), (200, "ok"));
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    for events in [&mut hers, &mut his] {
        let message = events.next("message").data;
        assert_eq!(message["from"], "alerts");
        assert_eq!(message["to"], "common");
        assert_eq!(message["text"], "the disk is full");
        assert_eq!(message["bot"], true, "a program wrote it");
    }
    assert_eq!(ann.chat("common")["unread"], 1, "it is not her own message");
    bob.say("not me");
    for events in [&mut hers, &mut his] {
        assert_eq!(events.next("message").data["bot"], Value::Null);
    }

    server.kill();
    server.restart();
    let form = "payload=%7B%22text%22%3A%22again%22%7D";
    let request = server.guest().request("POST", &url);
    let reply = request
        .body(form, "application/x-www-form-urlencoded")
        .send();
    assert_eq!(reply.text, "ok");
    assert_eq!(bob.texts("common"), ["the disk is full", "not me", "again"]);

    let mut hers = ann.events();
    ann.delete(&format!("/hooks/{id}")).expect(204);
    assert_eq!(hers.next("hook_removed").data, json!({ "id": id }));
    let gone = server.guest().post(&url, &json!({"text": "x"}));
    gone.problem(404, "not_found");
    let last = ann.chat("common")["last"].clone();
    let marked = (&last["text"], &last["bot"]);
    assert_eq!(
        marked,
        (&json!("again"), &json!(true)),
        "it stays a program's"
    );
    assert_eq!(ann.get("/hooks").expect(200)["hooks"], json!([]));
    assert_eq!(server.holding(&url), Vec::<std::path::PathBuf>::new());
}

#[test]
fn nobody_connects_as_a_bot_and_its_name_stays_its_makers() {
    let server = Server::only("webhooks", "");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (id, _) = hook(&ann, "Alerts", "common");
    server
        .join(&json!({"name": "alerts"}))
        .problem(409, "name_taken");
    server
        .join(&json!({"name": "alerts", "password": "correct-horse"}))
        .problem(409, "name_taken");
    let taken = |by: &Client, name: &str| by.post("/hooks", &json!({ "name": name }));
    taken(&bob, "alerts").problem(409, "name_taken");
    taken(&ann, "bob").problem(409, "name_taken");
    taken(&ann, "no name").problem(422, "invalid");
    ann.delete(&format!("/hooks/{id}")).expect(204);
    taken(&bob, "alerts").problem(409, "name_taken");
    let again = taken(&ann, "ALERTS").expect(201);
    assert_eq!(again["name"], "Alerts", "as it was spelt first");
    bob.delete(&format!("/hooks/{}", again["id"]))
        .problem(404, "not_found");
}

#[test]
fn a_hook_to_oneself_is_private() {
    let server = Server::only("webhooks", "");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (_, url) = hook(&ann, "cron", "@me");
    server
        .guest()
        .post(&url, &json!({"text": "done"}))
        .expect(200);
    assert_eq!(ann.texts("@cron"), ["done"]);
    assert_eq!(bob.unread(), Vec::<Value>::new());
    let other = json!({"name": "spy", "to": "@bob"});
    ann.post("/hooks", &other).problem(422, "invalid");
}

#[test]
fn a_hook_posts_to_a_room_as_long_as_its_maker_is_in_it() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::with("");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let made = ann.post("/rooms", &json!({"title": "Ops"})).expect(201);
    let room = made["room"].as_str().expect("an address").to_owned();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    let stranger = json!({"name": "spy", "to": room});
    bob.post("/hooks", &stranger).problem(404, "unknown_chat");
    ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
        .expect(201);
    bob.post(&format!("{path}/join"), &json!({})).expect(200);
    let (_, url) = hook(&bob, "ci", &room);
    let post = || server.guest().post(&url, &json!({"text": "green"}));
    post().expect(200);
    assert_eq!(ann.texts(&room), ["green"]);
    bob.post(&format!("{path}/leave"), &json!({})).expect(204);
    post().problem(404, "unknown_chat");
    assert_eq!(bob.get("/hooks").expect(200)["hooks"][0]["works"], false);
}

#[test]
fn a_ban_and_a_limit_hold_for_hooks_too() {
    if !has(&["complaints", "rate_limit"]) {
        return;
    }
    let server = Server::with(
        "[features.complaints]\nwarnings = 1\n[features.rate_limit]\nmessages = 2\nper = \"1h\"\n",
    );
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (_, url) = hook(&ann, "alerts", "common");
    let post = || server.guest().post(&url, &json!({"text": "x"}));
    post().expect(200);
    post().expect(200);
    let limited = post();
    limited.problem(429, "rate_limited");
    assert!(limited.header("retry-after").is_some());
    let (_, quiet) = hook(&ann, "cron", "@me");
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    let banned = server.guest().post(&quiet, &json!({"text": "x"}));
    banned.problem(403, "banned");
    ann.post("/hooks", &json!({"name": "more"}))
        .problem(403, "banned");
}

#[test]
fn there_are_so_many_and_what_is_not_understood_is_refused() {
    let server = Server::only("webhooks", "hooks = 2");
    let ann = server.connect("ann");
    let (id, url) = hook(&ann, "one", "common");
    hook(&ann, "two", "common");
    ann.post("/hooks", &json!({"name": "three"}))
        .problem(429, "too_many");
    ann.delete(&format!("/hooks/{id}")).expect(204);
    let (_, next) = hook(&ann, "three", "common");
    server
        .guest()
        .post(&url, &json!({"text": "x"}))
        .problem(404, "not_found");
    let post = |body: &str| {
        let request = server.guest().request("POST", &next);
        request.body(body, "application/json").send()
    };
    post("{}").problem(422, "invalid");
    post("no").problem(400, "malformed");
    post(&json!({"text": "x".repeat(300_000)}).to_string()).problem(413, "too_large");
    post(&json!({"text": "ż".repeat(5000)}).to_string()).expect(200);
    let texts = ann.texts("common");
    assert_eq!(texts[0].chars().count(), 4000);
    assert!(texts[0].ends_with('…'));
}

#[test]
fn guessed_paths_are_slowed_as_guessed_tokens_are() {
    let server = Server::builder()
        .config("[server]\nguesses = 3\nexempt = []\n")
        .start();
    let guess = || {
        server.guest().post(
            "/hooks/0123456789abcdef0123456789abcdef",
            &json!({"text": "x"}),
        )
    };
    for _ in 0..3 {
        guess().problem(404, "not_found");
    }
    guess().problem(429, "too_many_guesses");
}
