//! What is unread, and the marks that say so.

use serde_json::{Value, json};
use veche::testing::{Client, Server};

fn texts(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect()
}

fn unread_texts(client: &Client) -> Vec<String> {
    texts(&client.unread())
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn all_that_others_wrote_in_every_chat_is_unread_oldest_first() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    ann.say("one");
    ann.tell("bob", "two");
    bob.say("his own");
    bob.tell("ann", "his own too");
    eve.tell("bob", "three");
    eve.tell("ann", "not for bob");
    ann.say("four");
    assert_eq!(unread_texts(&bob), ["one", "two", "three", "four"]);
}

#[test]
fn what_is_unread_in_one_chat_alone_is_told_and_of_no_other() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    server.connect("eve");
    ann.tell("bob", "psst");
    ann.say("one");
    bob.say("his own");
    ann.say("two");
    let unread = |query: &str| {
        let answer = bob.get(&format!("/unread?{query}")).expect(200);
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        let texts = texts(&messages).into_iter().map(str::to_owned);
        (texts.collect::<Vec<_>>(), answer["more"] == true)
    };
    assert_eq!(unread("chat=common&limit=1"), (vec!["one".into()], true));
    let both = vec!["one".into(), "two".into()];
    assert_eq!(unread("chat=common"), (both, false));
    assert_eq!(unread("chat=@Ann"), (vec!["psst".into()], false));
    assert_eq!(unread("chat=@eve"), (vec![], false));
    bob.get("/unread?chat=@nobody").problem(404, "unknown_chat");
}

#[test]
fn neither_looking_nor_posting_moves_the_mark() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.say("one");
    bob.unread();
    bob.messages("common");
    bob.say("answer");
    bob.again();
    assert_eq!(unread_texts(&bob), ["one"]);
}

#[test]
fn read_moves_the_mark_forward_and_never_back_for_all_clients() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let second = bob.again();
    let sent: Vec<Value> = ["one", "two", "three"].map(|text| ann.say(text)).into();
    bob.read("common", &sent[1]["id"]);
    assert_eq!(unread_texts(&bob), ["three"]);
    assert_eq!(unread_texts(&second), ["three"]);
    assert_eq!(second.chat("common")["unread"], 1);
    bob.read("common", &sent[0]["id"]);
    bob.read("common", &json!(0));
    assert_eq!(unread_texts(&second), ["three"]);
}

#[test]
fn a_mark_is_clamped_to_the_chats_last_message() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.say("one");
    bob.read("common", &json!(9_007_199_254_740_991_u64));
    assert!(bob.unread().is_empty());
    ann.say("two");
    ann.tell("bob", "three");
    assert_eq!(unread_texts(&bob), ["two", "three"]);
}

#[test]
fn a_mark_in_one_chat_leaves_the_others_alone() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    ann.tell("bob", "private");
    let last = ann.say("common");
    bob.read("common", &last["id"]);
    assert_eq!(unread_texts(&bob), ["private"]);
    let private = &bob.unread()[0]["id"];
    bob.read("@ann", private);
    assert!(bob.unread().is_empty());
}

#[test]
fn an_empty_read_marks_everything_read() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    ann.say("one");
    ann.tell("bob", "two");
    eve.tell("bob", "three");
    bob.read_all();
    assert!(bob.unread().is_empty());
    assert_eq!(bob.chat("common")["unread"], 0);
    ann.say("four");
    assert_eq!(unread_texts(&bob), ["four"]);
}

#[test]
fn whoever_comes_back_sees_all_that_they_missed_and_nothing_else() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let bob = server.client(&json!({ "name": "bob", "password": "b" }));
    ann.say("seen");
    bob.read_all();
    bob.disconnect();
    ann.say("missed one");
    ann.tell("bob", "missed two");
    server.restart();
    let back = server.client(&json!({ "name": "bob", "password": "b" }));
    assert_eq!(unread_texts(&back), ["missed one", "missed two"]);
    assert_eq!(back.welcome["unread"]["common"], 1);
    assert_eq!(back.welcome["unread"]["@ann"], 1);
}

#[test]
fn a_limit_makes_pages_and_says_whether_there_is_more() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    for number in 0..7 {
        ann.say(&format!("m{number}"));
    }
    let page = bob.get("/unread?limit=3").expect(200);
    assert_eq!(page["more"], true);
    let first = page["messages"].as_array().cloned().unwrap_or_default();
    assert_eq!(texts(&first), ["m0", "m1", "m2"]);
    bob.read("common", &first[2]["id"]);
    let page = bob.get("/unread?limit=4").expect(200);
    assert_eq!(page["more"], false);
    let rest = page["messages"].as_array().cloned().unwrap_or_default();
    assert_eq!(texts(&rest), ["m3", "m4", "m5", "m6"]);
    for limit in ["x", "-1"] {
        bob.get(&format!("/unread?limit={limit}"))
            .problem(422, "invalid");
    }
}

#[test]
fn a_mark_for_what_is_no_chat_is_refused() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.post("/read", &json!({ "chat": "@nobody", "upto": 1 }))
        .problem(404, "unknown_chat");
    for (field, body) in [
        ("upto", json!({ "chat": "common", "upto": "x" })),
        ("upto", json!({ "chat": "common", "upto": -1 })),
        ("upto", json!({ "chat": "common", "upto": 1.5 })),
        ("chat", json!({ "upto": 1 })),
        ("chat", json!({ "chat": 1, "upto": 1 })),
    ] {
        let problem = ann.post("/read", &body).problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field), "{body}: {detail}");
    }
}

#[test]
fn counts_and_list_agree_over_a_restart() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let sent: Vec<Value> = (0..10).map(|n| ann.say(&format!("m{n}"))).collect();
    bob.read("common", &sent[3]["id"]);
    for stop in [false, true] {
        if stop {
            server.restart();
        } else {
            server.kill();
            server.restart();
        }
        assert_eq!(bob.chat("common")["unread"], 6);
        assert_eq!(bob.unread().len(), 6);
    }
}
