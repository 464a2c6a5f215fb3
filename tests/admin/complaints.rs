//! Bans and complaints.

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Server, wait_at_most};

use crate::refused;

fn complain(client: &Client, reason: &str) {
    let body = json!({"user": "bob", "reason": reason});
    client.post("/complaints", &body).expect(201);
}

fn listed(server: &Server, words: &[&str]) -> Vec<Value> {
    let told = server.told(&[&["complaints"], words].concat());
    told["complaints"].as_array().expect("a list").clone()
}

#[test]
fn a_ban_holds_as_one_by_complaints_until_it_is_lifted() {
    let mut server = Server::only("complaints", "");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let mut events = bob.events();
    server.told(&["ban", "@BOB", "--for", "2h", "--reason", "the-reason-why"]);
    let banned = events.next("banned").data;
    let until = banned["banned_until"].as_str().expect("a time").to_owned();
    server.kill();
    server.restart();
    let refusal = bob.send("common", "hello");
    let problem = refusal.problem(403, "banned");
    assert_eq!(problem["until"], until);
    let left = refusal.retry_after();
    assert!(
        left > Duration::from_secs(7_000) && left <= Duration::from_secs(7_200),
        "{left:?}"
    );
    assert_eq!(bob.status()["user"]["complaints"]["banned_until"], until);
    ann.post("/complaints", &json!({"user": "bob"}))
        .problem(409, "already_banned");
    // Who decided, and why, is nobody's to read, and the reason stands in no log.
    assert!(!bob.status().to_string().contains("reason"));
    assert!(!server.log().contains("the-reason-why"));
    let entries = listed(&server, &["bob"]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["reason"], "the-reason-why");
    assert_eq!(
        (&entries[0]["by"], &entries[0]["banned"]),
        (&Value::Null, &json!(true))
    );

    let mut events = bob.events();
    server.told(&["unban", "bob"]);
    let unbanned = json!({"warnings": 0, "limit": 3, "banned_until": null});
    assert_eq!(events.next("unbanned").data, unbanned);
    bob.say("here again");
    refused(&server, &["unban", "bob"], "not_found");
    refused(&server, &["ban", "nobody"], "not_found");
    refused(&server, &["ban", "bob", "--for", "soon"], "for");
    refused(&server, &["ban", "bob", "--for", "0s"], "for");
}

#[test]
fn a_ban_over_a_ban_sets_its_end_anew_and_it_ends_by_itself() {
    let server = Server::only("complaints", "warnings = 1\n");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    complain(&ann, "the first reason");
    let until = |bob: &Client| bob.status()["user"]["complaints"]["banned_until"].clone();
    let before = until(&bob);
    let mut events = bob.events();
    server.told(&[
        "ban",
        "bob",
        "--for",
        "1500ms",
        "--reason",
        "the second reason",
    ]);
    assert_eq!(events.next("banned").data["banned_until"], until(&bob));
    assert_ne!(until(&bob), before);
    let reasons: Vec<_> = listed(&server, &[])
        .iter()
        .map(|one| one["reason"].clone())
        .collect();
    assert_eq!(reasons, ["the first reason", "the second reason"]);
    events.next("unbanned");
    bob.say("again");
    assert_eq!(listed(&server, &[]), Vec::<Value>::new());
    for reason in ["the first reason", "the second reason"] {
        // But what an administrator said stays on record.
        let in_record = reason == "the second reason";
        if !in_record {
            server.forgets(Duration::from_secs(20), reason);
        }
    }
}

#[test]
fn a_complaint_that_is_dismissed_counts_no_longer_and_is_not_made_again() {
    let mut server = Server::only("complaints", "warnings = 3\n");
    let [ann, bob, cat, dan] = ["ann", "bob", "cat", "dan"].map(|name| server.connect(name));
    let said = bob.say("what they complain about");
    let body = json!({"user": "bob", "reason": "it is rude", "message": said["id"]});
    ann.post("/complaints", &body).expect(201);
    complain(&cat, "me too");
    let entries = listed(&server, &[]);
    let by: Vec<_> = entries
        .iter()
        .map(|one| (&one["by"], &one["reason"], &one["message"]))
        .collect();
    let none = Value::Null;
    assert_eq!(
        by,
        [
            (&json!("ann"), &json!("it is rude"), &said["id"]),
            (&json!("cat"), &json!("me too"), &none),
        ]
    );
    let mut events = bob.events();
    server.told(&["dismiss", &entries[0]["id"].to_string()]);
    let ended = json!({"warnings": 1, "limit": 3, "banned_until": null});
    assert_eq!(events.next("warning_ended").data, ended);
    assert_eq!(bob.status()["user"]["complaints"]["warnings"], 1);
    server.forgets(Duration::from_secs(20), "it is rude");
    refused(
        &server,
        &["dismiss", &entries[0]["id"].to_string()],
        "not_found",
    );
    ann.post("/complaints", &body)
        .problem(409, "already_complained");

    server.kill();
    server.restart();
    assert_eq!(listed(&server, &["bob"]).len(), 1);
    let mut events = bob.events();
    server.told(&["dismiss", "bob"]);
    assert_eq!(events.next("warning_ended").data["warnings"], 0);
    complain(&dan, "another one");
    assert_eq!(bob.status()["user"]["complaints"]["warnings"], 1);
    server.told(&["ban", "bob"]);
    refused(&server, &["dismiss", "bob"], "already_banned");
    wait_at_most(Duration::from_secs(5), "the ban to be listed", || {
        (listed(&server, &[]).len() == 2).then_some(())
    });
}
