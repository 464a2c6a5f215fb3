//! Connecting: names, passwords, tokens, a user's several clients, and leaving.

use serde_json::{Value, json};
use veche::testing::{Client, Server, wait_until};

#[test]
fn a_new_name_is_answered_201_with_all_that_a_client_begins_with() {
    let server = Server::core();
    let reply = server.join(&json!({ "name": "ann" }));
    let welcome = reply.expect(201);
    assert_eq!(welcome["user"]["name"], "ann");
    assert!(uuid(&welcome["client"]), "{welcome}");
    assert!(
        welcome["token"]
            .as_str()
            .is_some_and(|token| token.len() >= 32)
    );
    assert!(welcome["chats"].is_array(), "{welcome}");
    assert_eq!(welcome["history"], json!([]));
    assert!(welcome["unread"].is_object(), "{welcome}");
    assert!(
        welcome["cursor"]
            .as_str()
            .is_some_and(|cursor| !cursor.is_empty())
    );
}

#[test]
fn names_of_any_script_are_taken_as_they_are() {
    let server = Server::core();
    let names = [
        "a",
        "7",
        "Ann",
        "ann_b",
        "x.y-z",
        "Мария",
        "Ιωάννα",
        "李小龙",
        "さくら",
        "김민준",
        "محمد",
        "משה",
        "अनुष्का",
        "กมลา",
        "தமிழ்",
        "ნინო",
        "Յան",
        "ɳame",
        "𝒜lice",
        "٣٤",
        "_a_",
        "-1-",
        ".b",
    ];
    for name in names {
        let reply = server.join(&json!({ "name": name }));
        let welcome = reply.expect(201);
        assert_eq!(welcome["user"]["name"], name);
        let client = Client::welcomed(&server.url(), &welcome);
        let message = client.tell(name, "to myself");
        assert_eq!(message["from"], name);
        assert_eq!(message["to"], format!("@{name}"));
    }
}

#[test]
fn a_name_is_kept_in_its_composed_form_nfc() {
    let server = Server::core();
    let decomposed = server.connect("e\u{301}va");
    assert_eq!(decomposed.name, "\u{e9}va");
    server
        .join(&json!({ "name": "\u{e9}va" }))
        .problem(409, "name_taken");
    let message = decomposed.tell("e\u{301}va", "found in either form");
    assert_eq!(message["to"], "@\u{e9}va");
}

#[test]
fn a_name_is_unique_and_found_whatever_its_case() {
    let server = Server::core();
    let bob = server.connect("bob");
    for (name, others) in [
        ("ann", ["ANN", "Ann"]),
        ("Ärger", ["ärger", "ÄRGER"]),
        ("σίσυφος", ["ΣΊΣΥΦΟΣ", "Σίσυφοσ"]),
        ("Straße", ["STRASSE", "strasse"]),
        ("Юля", ["юля", "ЮЛЯ"]),
    ] {
        server.connect(name);
        for other in others {
            server
                .join(&json!({ "name": other }))
                .problem(409, "name_taken");
            let message = bob.tell(other, "hi");
            assert_eq!(message["to"], format!("@{name}"), "by {other}");
        }
    }
}

#[test]
fn a_name_that_is_none_is_refused_with_422_naming_the_field() {
    let server = Server::core();
    let long = "a".repeat(33);
    let names = [
        "",
        " ",
        "a b",
        "ann ",
        " ann",
        "a/b",
        "@ann",
        "room:a",
        "a,b",
        "a\nb",
        "a\u{0}b",
        "a\u{200b}b",
        "a\u{202e}b",
        "_",
        "-.-",
        "...",
        "\u{301}",
        "😀",
        "a😀",
        "a?",
        "a#",
        "a%20",
        long.as_str(),
    ];
    for name in names {
        let problem = server
            .join(&json!({ "name": name }))
            .problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("name"), "{name:?}: {detail}");
    }
    for body in [
        json!({}),
        json!({ "name": 7 }),
        json!({ "name": null }),
        json!({ "name": ["ann"] }),
        json!({ "name": "ann", "password": 7 }),
    ] {
        server.join(&body).problem(422, "invalid");
    }
}

#[test]
fn a_name_has_up_to_32_characters_counted_after_composition() {
    let server = Server::core();
    server.connect(&"ж".repeat(32));
    server.connect(&"𝒜".repeat(32));
    let composed = server.connect(&"e\u{301}".repeat(32));
    assert_eq!(composed.name, "\u{e9}".repeat(32));
    server
        .join(&json!({ "name": "ж".repeat(33) }))
        .problem(422, "invalid");
}

#[test]
fn unknown_fields_are_ignored() {
    let server = Server::core();
    let body = json!({ "name": "ann", "colour": "red", "deep": { "er": [1] } });
    server.join(&body).expect(201);
}

#[test]
fn a_known_name_without_a_password_is_taken_for_everybody_else() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let body = json!({ "name": "ann" });
    server.join(&body).problem(409, "name_taken");
    server
        .join(&json!({ "name": "ann", "password": "guess" }))
        .problem(409, "name_taken");
    bob.post("/connect", &body).problem(409, "name_taken");
    Client::new(&server.url(), "no-such-token")
        .post("/connect", &body)
        .problem(409, "name_taken");
    ann.disconnect();
    server.join(&body).problem(409, "name_taken");
    ann.post("/connect", &body).problem(409, "name_taken");
}

#[test]
fn a_live_clients_token_lets_in_a_further_client() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    assert_eq!(second.name, "ann");
    assert_ne!(second.id, ann.id);
    assert_ne!(second.token, ann.token);
    let reply = ann.post("/connect", &json!({ "name": "ANN" }));
    assert_eq!(reply.expect(200)["user"]["name"], "ann");
    second.say("from the second");
    assert_eq!(ann.texts("common"), ["from the second"]);
}

#[test]
fn a_password_opens_its_name_and_nothing_else_does() {
    let server = Server::core();
    let secret = "пароль with spaces \u{1f512}";
    let first = server.client(&json!({ "name": "ann", "password": secret }));
    for body in [
        json!({ "name": "ann" }),
        json!({ "name": "ann", "password": "wrong" }),
        json!({ "name": "ANN", "password": secret.to_uppercase() }),
    ] {
        let reply = server.join(&body);
        reply.problem(401, "wrong_password");
        // RFC 9110, 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate
        // header field".
        assert!(reply.header("www-authenticate").is_some(), "{reply}");
    }
    // An empty one may be refused as none at all.
    let empty = server.join(&json!({ "name": "ann", "password": "" }));
    assert!(matches!(empty.status, 401 | 422), "{empty}");
    let body = json!({ "name": "Ann", "password": secret });
    let second = Client::welcomed(&server.url(), &server.join(&body).expect(200));
    assert_eq!(second.name, "ann");
    assert_ne!(second.id, first.id);
    first.again();
    // Even its own live token does not make a wrong password right for another name.
    let bob = server.connect("bob");
    bob.post("/connect", &json!({ "name": "ann" }))
        .problem(401, "wrong_password");
}

#[test]
fn whether_a_name_is_known_can_be_asked_without_taking_it() {
    let server = Server::core();
    server.client(&json!({ "name": "ann", "password": "secret" }));
    server.connect("bob");
    let asks = |name: &str| server.join(&json!({ "name": name, "known": true }));
    for _ in 0..2 {
        asks("carl").problem(404, "not_found");
    }
    asks("ANN").problem(401, "wrong_password");
    asks("bob").problem(409, "name_taken");
    asks("a b").problem(422, "invalid");
    let known = json!({ "name": "ann", "password": "secret", "known": true });
    server.join(&known).expect(200);
    server.join(&json!({ "name": "carl" })).expect(201);
}

#[test]
fn of_two_that_ask_for_a_new_name_at_once_one_gets_it() {
    let server = Server::core();
    let replies: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.join(&json!({ "name": "ann" })).status))
            .collect();
        asking
            .into_iter()
            .filter_map(|asked| asked.join().ok())
            .collect()
    });
    let count = |status| replies.iter().filter(|&&reply| reply == status).count();
    assert_eq!((count(201), count(409)), (1, 7), "{replies:?}");
}

#[test]
fn the_welcome_has_the_last_20_of_the_common_chat_and_the_counts_of_what_is_unread() {
    let server = Server::core();
    let ann = server.connect("ann");
    for number in 0..25 {
        ann.say(&format!("m{number}"));
    }
    let bob = server.connect("bob");
    let expected: Vec<String> = (5..25).map(|number| format!("m{number}")).collect();
    let texts: Vec<&str> = bob.welcome["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["text"].as_str())
        .collect();
    assert_eq!(texts, expected);

    bob.read_all();
    ann.say("one");
    ann.say("two");
    ann.tell("bob", "three");
    let again = bob.again();
    assert_eq!(again.welcome["unread"]["common"], 2);
    assert_eq!(again.welcome["unread"]["@ann"], 1);
}

#[test]
fn the_length_of_the_welcomes_history_is_a_setting() {
    let server = Server::builder()
        .core()
        .config("[chat]\nhistory = 3\n")
        .start();
    let ann = server.connect("ann");
    for number in 0..5 {
        ann.say(&format!("m{number}"));
    }
    let bob = server.connect("bob");
    assert_eq!(bob.welcome["history"].as_array().map(Vec::len), Some(3));
    assert_eq!(bob.welcome["history"][2]["text"], "m4");
}

#[test]
fn the_welcomes_cursor_misses_nothing_that_follows_it() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.say("between");
    let cursor = bob.welcome["cursor"].as_str().unwrap_or_default();
    let mut events = bob.events_after(cursor);
    assert_eq!(events.next("message").data["text"], "between");
}

#[test]
fn a_token_is_dead_at_once_when_its_client_disconnects_and_its_streams_close() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let mut stream = ann.events();
    let mut other = second.events();
    ann.disconnect();
    let reply = ann.get("/status");
    reply.problem(401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    ann.send("common", "x").problem(401, "unauthorized");
    ann.post("/disconnect", &json!({}))
        .problem(401, "unauthorized");
    stream.end();
    second.say("still here");
    other.until_text("still here");
}

#[test]
fn disconnect_needs_no_body() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.request("POST", "/disconnect").send().expect(204);
    ann.get("/status").problem(401, "unauthorized");
}

#[test]
fn all_ends_every_client_of_the_user_and_no_one_elses() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let bob = server.connect("bob");
    let mut stream = second.events();
    ann.post("/disconnect", &json!({ "all": true })).expect(204);
    stream.end();
    ann.get("/status").problem(401, "unauthorized");
    second.get("/status").problem(401, "unauthorized");
    bob.status();
}

#[test]
fn one_client_ends_another_of_the_same_user_and_no_one_elses() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let bob = server.connect("bob");
    let mut stream = second.events();
    let id = |who: &veche::testing::Client| who.status()["user"]["clients"][0]["id"].clone();
    let strange = ann.post("/disconnect", &json!({ "client": id(&bob) }));
    strange.problem(404, "not_found");
    ann.post("/disconnect", &json!({ "client": "x" }))
        .problem(404, "not_found");
    let clients = ann.status()["user"]["clients"].clone();
    let other = clients.as_array().into_iter().flatten();
    let other = other.filter(|client| client["current"] == false);
    let other: Vec<_> = other.map(|client| client["id"].clone()).collect();
    assert_eq!(other.len(), 1);
    ann.post("/disconnect", &json!({ "client": other[0] }))
        .expect(204);
    stream.end();
    second.get("/status").problem(401, "unauthorized");
    bob.status();
    let left = ann.status()["user"]["clients"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_ended_client_gets_no_answer_to_a_poll_that_it_left_waiting() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let cursor = ann.cursor();
    std::thread::scope(|scope| {
        let path = format!("/events?after={cursor}&wait=20s");
        let poll = scope.spawn(move || {
            let request = ann
                .request("GET", &path)
                .header("Accept", "application/json");
            request.try_send().map(|reply| reply.status)
        });
        veche::testing::wait_until("the poll to be under way, or over", || {
            second.post("/disconnect", &json!({ "all": true }));
            poll.is_finished().then_some(())
        });
        let Ok(outcome) = poll.join() else {
            unreachable!("the poll's thread does not panic")
        };
        // Closed, or answered: what matters is that it does not go on listening.
        assert!(
            outcome.is_err() || matches!(outcome, Ok(200 | 401)),
            "{outcome:?}"
        );
    });
}

fn uuid(value: &Value) -> bool {
    let parts: Vec<usize> = value
        .as_str()
        .unwrap_or_default()
        .split('-')
        .map(str::len)
        .collect();
    parts == [8, 4, 4, 4, 12]
}

#[test]
fn no_token_and_no_password_lies_in_the_data_folder() {
    let mut server = Server::core();
    let secret = "correct-horse-battery";
    let ann = server.client(&json!({ "name": "ann", "password": secret }));
    let second = ann.again();
    ann.say("a text is there");
    for stop in [false, true] {
        if stop {
            server.stop();
        }
        // The scan finds what is there.
        assert!(!server.holding("a text is there").is_empty());
        for hidden in [secret, &ann.token, &second.token] {
            assert_eq!(server.holding(hidden), Vec::<std::path::PathBuf>::new());
        }
    }
}

#[test]
fn the_welcome_and_the_events_after_its_cursor_leave_no_hole() {
    const OTHERS: usize = 600;
    let server = Server::core();
    let bob = server.connect("bob");
    let others: Vec<Client> = (0..OTHERS)
        .map(|number| server.connect(&format!("u{number}")))
        .collect();
    let welcomes: Vec<Client> = std::thread::scope(|scope| {
        let halves = others.chunks(OTHERS / 6).map(|half| {
            scope.spawn(move || {
                for other in half {
                    other.tell("bob", "first");
                }
            })
        });
        let halves: Vec<_> = halves.collect();
        let mut welcomes = Vec::new();
        while halves.iter().any(|half| !half.is_finished()) {
            welcomes.push(bob.again());
        }
        welcomes
    });
    for client in welcomes {
        let chats = client.welcome["chats"].as_array().cloned();
        let chats = chats.unwrap_or_default();
        let mut unread: Vec<(String, Value)> = chats
            .iter()
            .map(|chat| (chat["chat"].to_string(), chat["unread"].clone()))
            .collect();
        let mut cursor = client.welcome["cursor"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        loop {
            let (events, next) = client.poll(&cursor, "0s");
            if events.is_empty() {
                break;
            }
            cursor = next;
            for event in events.iter().filter(|event| event.event == "message") {
                let from = event.data["from"].as_str().unwrap_or_default();
                unread.push((format!("\"@{from}\""), json!(1)));
            }
        }
        unread.retain(|(chat, _)| chat != "\"common\"");
        unread.sort_by(|one, other| one.0.cmp(&other.0));
        unread.dedup_by(|one, other| one.0 == other.0);
        assert_eq!(unread.len(), OTHERS, "{}", client.welcome);
        assert!(unread.iter().all(|(_, unread)| *unread == 1), "{unread:?}");
    }
}

/// A server on which a user may have so many clients, and ann's first one.
fn few_clients(most: usize) -> (Server, Client) {
    let server = Server::builder().core();
    let server = server
        .config(format!("[server]\nclients = {most}\n"))
        .start();
    let ann = server.connect("ann");
    (server, ann)
}

#[test]
fn one_client_too_many_signs_out_the_one_that_was_seen_longest_ago() {
    let (server, first) = few_clients(4);
    let (second, third) = (first.again(), first.again());
    let mut events = first.events();
    // Who only listens was seen longest ago, and is there.
    third.get("/status").expect(200);
    wait_until("a moment to pass", || {
        let status = second.status();
        let clients = status["user"]["clients"].as_array().expect("clients");
        let seen = |of: &Client| clients.iter().find(|one| one["id"] == of.id.as_str());
        let seen = |of: &Client| seen(of).and_then(|one| one["seen"].as_str());
        (seen(&second) > seen(&third)).then_some(())
    });
    let fourth = first.again();
    let fifth = first.again();
    third.get("/status").problem(401, "unauthorized");
    for client in [&second, &fourth, &fifth] {
        client.get("/status").expect(200);
    }
    let told = events.until(|event| event.data["live"] == false);
    assert_eq!(told.last().expect("an event").data["id"], third.id.as_str());
    // Another's are their own.
    let bob = server.connect("bob");
    let own =
        [&bob, &bob.again(), &bob.again(), &bob.again()].map(|client| client.get("/status").status);
    assert_eq!(own, [200; 4]);
}

#[test]
fn where_all_of_a_users_clients_are_there_one_more_is_refused() {
    let (server, first) = few_clients(2);
    let second = first.again();
    let (_one, two) = (first.events(), second.events());
    let again = || {
        let request = first.request("POST", "/connect");
        request.json(&json!({ "name": "ann" })).send()
    };
    again().problem(429, "too_many");
    second.get("/status").expect(200);
    drop(two);
    // The server notices the end of a stream when it does.
    wait_until("room", || (again().status == 200).then_some(()));
    second.get("/status").problem(401, "unauthorized");
    first.get("/status").expect(200);
    server.connect("bob");
}

#[test]
fn a_setting_that_is_lowered_lets_go_of_all_that_are_beyond_it() {
    let (mut server, first) = few_clients(50);
    let others: Vec<_> = (0..20).map(|_| first.again()).collect();
    server.stop();
    server.configure("[server]\nclients = 3\n");
    server.restart();
    first.get("/status").expect(200);
    let last = first.again();
    let status = last.status();
    let left = status["user"]["clients"].as_array().expect("clients");
    assert_eq!(left.len(), 3, "{status}");
    first.get("/status").expect(200);
    let live = others
        .iter()
        .filter(|client| client.get("/status").status == 200);
    assert_eq!(live.count(), 1);
}

#[test]
fn of_many_that_connect_at_once_no_more_stay_than_a_user_may_have() {
    let (server, first) = few_clients(8);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| first.again());
        }
    });
    let status = server.told(&["users"]);
    assert_eq!(status["users"][0]["clients"], 8, "{status}");
}
