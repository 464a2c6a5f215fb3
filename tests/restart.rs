//! What is kept over a clean stop and over a crash: everything that was acknowledged.

use serde_json::{Value, json};
use veche::testing::{Client, Server};

/// All that a user can see, but what depends on the moment.
fn seen(client: &Client, chats: &[&str]) -> Vec<Value> {
    let mut all: Vec<Value> = chats
        .iter()
        .map(|chat| json!(client.history(chat)))
        .collect();
    all.push(json!(client.unread()));
    let status = client.status();
    let mut listed: Vec<Value> = Vec::new();
    for chat in status["chats"].as_array().into_iter().flatten() {
        listed.push(json!([
            chat["chat"],
            chat["kind"],
            chat["members"],
            chat["unread"],
            chat["last"]
        ]));
    }
    all.push(json!(listed));
    let clients = status["user"]["clients"].as_array().into_iter().flatten();
    all.push(clients.map(|client| client["id"].clone()).collect());
    let users = client.get("/users").expect(200);
    let users = users["users"].as_array().into_iter().flatten();
    all.push(users.map(|user| user["name"].clone()).collect());
    all
}

fn everything_is_kept(config: &str) {
    let mut server = Server::builder().core().config(config).start();
    let ann = server.client(&json!({ "name": "Ann", "password": "s3cret" }));
    let bob = server.connect("bob");
    let second = bob.again();
    let gone = bob.again();
    gone.disconnect();
    let mut last = Value::Null;
    for number in 0..40 {
        last = ann.say(&format!("to all {number}"));
        bob.tell("ann", &format!("to ann {number}"));
    }
    ann.read("common", &last["id"]);
    bob.read("common", &bob.messages("common")[5]["id"]);
    let hers = seen(&ann, &["common", "@bob"]);
    let his = seen(&second, &["common", "@ann"]);

    for crash in [false, true, true] {
        if crash {
            server.kill();
        }
        server.restart();
        assert_eq!(seen(&ann, &["common", "@bob"]), hers);
        assert_eq!(seen(&second, &["common", "@ann"]), his);
        gone.get("/status").problem(401, "unauthorized");
        server
            .join(&json!({ "name": "bob" }))
            .problem(409, "name_taken");
        server
            .join(&json!({ "name": "ann", "password": "wrong" }))
            .problem(401, "wrong_password");
        let again = server.client(&json!({ "name": "ANN", "password": "s3cret" }));
        assert_eq!(again.name, "Ann");
        again.disconnect();
    }
    // Ids go on where they were, and are never used again.
    let next = ann.say("next");
    assert!(next["id"].as_u64() > last["id"].as_u64());
}

#[test]
fn users_passwords_tokens_messages_and_marks_are_kept() {
    everything_is_kept("");
}

#[test]
fn they_are_kept_as_well_where_snapshots_are_made_and_the_log_is_trimmed_all_the_time() {
    everything_is_kept("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n");
}

#[test]
fn a_crash_in_the_middle_of_posting_loses_nothing_acknowledged_and_invents_nothing() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut acknowledged: Vec<Value> = Vec::new();
    let mut sent = 0;
    for round in 0..5 {
        let posted = std::thread::scope(|scope| {
            let posting = scope.spawn(|| {
                let mut posted = Vec::new();
                for number in 0.. {
                    let body = json!({ "to": "common", "text": format!("r{round} m{number}") });
                    match ann.request("POST", "/send").json(&body).try_send() {
                        Ok(reply) => posted.push(reply.expect(201)),
                        Err(_) => return posted,
                    }
                }
                posted
            });
            let mut events = bob.events();
            for _ in 0..30 {
                events.next("message");
            }
            server.kill();
            posting.join().unwrap_or_default()
        });
        sent += posted.len() + 1;
        acknowledged.extend(posted);
        server.restart();
    }
    let there = ann.history("common");
    assert!(acknowledged.iter().all(|message| there.contains(message)));
    assert!(there.len() <= sent, "{} of at most {sent}", there.len());
    let ids: Vec<u64> = there
        .iter()
        .filter_map(|message| message["id"].as_u64())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn what_a_stream_showed_before_a_crash_is_there_after_it() {
    // An event is as durable as an answer: whoever saw it can rely on it.
    let mut server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    for round in 0..5 {
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0.. {
                    let body = json!({ "to": "common", "text": format!("r{round} m{number}") });
                    if ann.request("POST", "/send").json(&body).try_send().is_err() {
                        return;
                    }
                }
            });
            let mut events = bob.events();
            let mut seen: Vec<Value> = (0..20).map(|_| events.next("message").data).collect();
            server.kill();
            let more = events.end();
            seen.extend(
                more.into_iter()
                    .filter(|event| event.event == "message")
                    .map(|event| event.data),
            );
            seen
        });
        server.restart();
        let there = ann.history("common");
        assert!(
            seen.iter().all(|message| there.contains(message)),
            "round {round}"
        );
    }
}

#[test]
fn a_changed_config_takes_effect_at_the_next_start() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    ann.say("longer than five");
    let config = format!("{}\n[chat]\ntext = 5\n", server.config());
    server.configure(config);
    server.restart();
    ann.send("common", "longer than five")
        .problem(422, "invalid");
    assert_eq!(ann.texts("common"), ["longer than five"]);
}
