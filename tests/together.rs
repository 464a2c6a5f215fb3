//! Features that know nothing of each other, at work on the same messages.

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Server, binary, features};

fn has(all: &[&str]) -> bool {
    let there = features(&binary());
    all.iter()
        .all(|name| there.iter().any(|known| known == name))
}

fn upload(client: &Client, name: &str, text: &str) -> Value {
    let request = client.request("POST", &format!("/files?name={name}"));
    request.body(text, "text/plain").send().expect(201)
}

/// A room of Ann's with Bob in it.
fn room(ann: &Client, bob: &Client) -> String {
    let made = ann.post("/rooms", &json!({"title": "Garden"})).expect(201);
    let room = made["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    let invites = format!("{path}/invites");
    ann.post(&invites, &json!({"user": "bob"})).expect(201);
    bob.post(&format!("{path}/join"), &json!({})).expect(200);
    room
}

/// All that may show a message: its own path, each chat's page and newest, unread, the list of
/// chats, what a new client is welcomed with, and what a client that was away catches up with.
fn everywhere(
    server: &Server,
    client: &Client,
    name: &str,
    chats: &[&str],
    cursor: &str,
) -> String {
    let mut all = String::new();
    for chat in chats {
        for message in client.history(chat) {
            all += &message.to_string();
        }
    }
    all += &Value::from(client.unread()).to_string();
    all += &client.status().to_string();
    let again = client
        .request("POST", "/connect")
        .json(&json!({"name": name}));
    all += &again.send().expect(200).to_string();
    let (events, _) = client.poll(cursor, "1ms");
    for event in events {
        all += &event.data.to_string();
    }
    all += &client.get("/scheduled").text;
    all += &server.guest().get("/healthz").text;
    all
}

#[test]
fn what_has_ended_is_gone_from_every_answer_count_stream_and_file_with_all_that_lay_beside_it() {
    if !has(&["comments", "files", "rooms", "schedule", "ttl"]) {
        return;
    }
    let config = "[storage]\nsnapshot_every = 20\n\
        [features.ttl]\nafter = \"4s\"\nundelivered = \"4s\"\n";
    let mut server = Server::with(config);
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let room = room(&ann, &bob);
    let chats = ["common", "@ann", &room];
    let cursor = bob.cursor();
    let addresses = ["common", "@bob", &room];

    let later = json!({"to": "common", "text": "hidden scheduled", "in": "1s"});
    ann.post("/scheduled", &later).expect(201);
    let mut live = bob.events();
    let mut posted = Vec::new();
    let mut urls = Vec::new();
    for to in addresses {
        let file = upload(&ann, "hidden-name", "hidden bytes");
        urls.push(file["url"].as_str().unwrap_or_default().to_owned());
        let body = json!({"to": to, "text": "hidden text", "file": file["id"]});
        let message = ann.request("POST", "/send").header("Idempotency-Key", to);
        let message = message.json(&body).send().expect(201);
        let comments = format!("/messages/{}/comments", message["id"]);
        ann.post(&comments, &json!({"text": "hidden comment"}))
            .expect(201);
        posted.push(message);
    }
    let scheduled = live.until_text("hidden scheduled");
    posted.extend(scheduled.last().map(|event| event.data.clone()));
    assert!(scheduled.iter().any(|event| event.event == "comment"));
    let sent = &posted[3]["expires"];
    assert!(
        sent.as_str() > posted[0]["expires"].as_str(),
        "its life starts when it is sent"
    );
    assert_eq!(bob.chat(&room)["unread"], 1);
    assert!(everywhere(&server, &bob, "bob", &chats, &cursor).contains("hidden"));

    let mut gone: Vec<Value> = Vec::new();
    while gone.len() < posted.len() {
        let removed = live.next("removed").data;
        gone.extend(removed["ids"].as_array().cloned().unwrap_or_default());
    }
    for (client, name) in [(&ann, "ann"), (&bob, "bob")] {
        let chats = if name == "ann" {
            ["common", "@bob", &room]
        } else {
            chats
        };
        let all = everywhere(&server, client, name, &chats, &cursor);
        assert!(
            !all.contains("hidden"),
            "{name} is shown what is gone: {all}"
        );
        for chat in chats {
            assert_eq!(client.chat(chat)["unread"], 0, "{name} in {chat}");
            assert_eq!(client.chat(chat)["last"], Value::Null, "{name} in {chat}");
        }
        for message in &posted {
            let path = format!("/messages/{}", message["id"]);
            client.get(&path).problem(404, "not_found");
            client
                .get(&format!("{path}/comments"))
                .problem(404, "not_found");
        }
        for url in &urls {
            client.get(url).problem(404, "not_found");
        }
    }
    for to in addresses {
        let body = json!({"to": to, "text": "hidden text", "file": urls[0][7..]});
        let again = ann.request("POST", "/send").header("Idempotency-Key", to);
        let again = again.json(&body).send();
        assert!([410, 422].contains(&again.status), "{again:?}");
    }
    for word in [
        "hidden text",
        "hidden comment",
        "hidden scheduled",
        "hidden-name",
        "hidden bytes",
    ] {
        server.forgets(Duration::from_secs(60), word);
    }
    server.restart();
    let all = everywhere(&server, &bob, "bob", &chats, &cursor);
    assert!(!all.contains("hidden"), "{all}");
}

#[test]
fn a_clean_stop_leaves_no_byte_of_what_has_ended() {
    if !has(&["files", "ttl"]) {
        return;
    }
    let mut server = Server::with("[features.ttl]\nafter = \"1s\"\n");
    let ann = server.connect("ann");
    let file = upload(&ann, "hidden-name", "hidden bytes");
    let mut events = ann.events();
    let body = json!({"to": "common", "text": "hidden text", "file": file["id"]});
    ann.post("/send", &body).expect(201);
    events.next("removed");
    server.stop();
    for word in ["hidden text", "hidden-name", "hidden bytes"] {
        assert_eq!(
            server.holding(word),
            Vec::<std::path::PathBuf>::new(),
            "{word}"
        );
    }
}

#[test]
fn whoever_posts_in_whatever_way_is_held_to_every_rule() {
    if !has(&["comments", "files", "rate_limit", "schedule"]) {
        return;
    }
    let server = Server::with("[features.rate_limit]\nmessages = 3\n");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let left = |reply: &veche::testing::Reply| {
        let left = reply.header("RateLimit").unwrap_or_default().to_owned();
        left.split(';').nth(1).unwrap_or_default().to_owned()
    };
    let message = ann.send("common", "one");
    assert_eq!(left(&message), "r=2");
    let comments = format!("/messages/{}/comments", message.expect(201)["id"]);
    assert_eq!(left(&ann.post(&comments, &json!({"text": "two"}))), "r=1");
    // To upload and to plan is not to post.
    let file = upload(&ann, "x", "x");
    let later = json!({"to": "common", "text": "later", "in": "1s"});
    let mut events = ann.events();
    ann.post("/scheduled", &later).expect(201);
    let three = ann.post("/send", &json!({"to": "common", "file": file["id"]}));
    assert_eq!(left(&three), "r=0");
    assert_eq!(
        events.next("scheduled_failed").data["reason"],
        "rate_limited"
    );
    ann.post(&comments, &json!({"text": "four"}))
        .problem(429, "rate_limited");
    ann.send("@bob", "in private").expect(201);
    bob.post(&comments, &json!({"text": "another's"}))
        .expect(201);
}
