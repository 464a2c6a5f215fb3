//! What the core offers.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::Server;

use crate::refused;

/// The record, the oldest entry first.
fn record(server: &Server) -> Vec<Value> {
    let told = server.told(&["audit"]);
    told["audit"].as_array().expect("a list").clone()
}

#[test]
fn the_commands_are_those_that_the_running_server_offers() {
    let mut server = Server::builder().all().start();
    for words in [&[][..], &["--help"]] {
        let output = server.admin(words);
        assert!(output.status.success(), "{output:?}");
        for name in ["users", "remove", "stats", "audit"] {
            assert!(output.stdout.contains(name), "{name}: {output:?}");
        }
    }
    let output = server.admin(&["remove", "--help"]);
    assert!(
        output.status.success() && output.stdout.contains("MESSAGE"),
        "{output:?}"
    );
    for wrong in [
        &["remov", "1"][..],
        &["remove"],
        &["users", "--nothing", "x"],
        &["stats", "x"],
    ] {
        let output = server.admin(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
    server.stop();
    let output = server.admin(&["--help"]);
    assert!(output.stdout.contains("veche admin"), "{output:?}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[cfg(has_feature = "complaints")]
#[test]
fn a_command_of_a_feature_that_is_off_is_not_offered() {
    let server = Server::core();
    let output = server.admin(&["ban", "ann"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let listed = server.admin(&[]);
    assert!(!listed.stdout.contains("unban"), "{listed:?}");
}

#[test]
fn users_are_listed_by_name_as_a_table_or_as_json() {
    let server = Server::start();
    for name in ["cat", "Ann", "bob"] {
        server.client(&json!({"name": name, "password": "secret"}));
    }
    let bob = server.connect("dan");
    let _online = bob.events();
    let users = server.told(&["users"]);
    let names: Vec<_> = users["users"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|user| &user["name"])
        .collect();
    assert_eq!(names, ["Ann", "bob", "cat", "dan"]);
    let dan = &users["users"][3];
    assert_eq!(
        (&dan["online"], &dan["clients"], &dan["password"]),
        (&json!(true), &json!(1), &json!(false))
    );
    assert_eq!(users["users"][0]["password"], true);
    let after = server.told(&["users", "--after", "BOB"]);
    assert_eq!(after["users"][0]["name"], "cat");
    let table = server.admin(&["users"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(
        lines[0].starts_with("name") && lines[1].starts_with("Ann"),
        "{table}"
    );
}

#[test]
fn more_than_one_answer_holds_is_asked_for_page_by_page() {
    let server = Server::core();
    for number in 0..201 {
        server.connect(&format!("u{number:03}"));
    }
    let table = server.admin(&["users"]).stdout;
    for name in ["u000", "u199", "u200"] {
        assert_eq!(table.matches(name).count(), 1, "{name}");
    }
}

#[test]
fn stats_say_how_the_server_is() {
    let server = Server::start();
    let ann = server.connect("ann");
    ann.say("one");
    ann.say("two");
    let stats = server.told(&["stats"]);
    assert_eq!(
        (&stats["users"], &stats["messages"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(stats["writes"], "ok");
    assert!(stats["database_bytes"].as_u64() > Some(0), "{stats}");
    assert!(server.admin(&["stats"]).stdout.contains("messages: 2\n"));
}

#[test]
fn a_removed_message_is_gone_for_all_with_what_lies_beside_it() {
    let mut server = Server::start();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let said = ann.say("what nobody should have said");
    let id = said["id"].to_string();
    let comments = format!("/messages/{id}/comments");
    let has_comments = ann
        .post(&comments, &json!({"text": "nor this one, ever"}))
        .status
        == 201;
    let mut events = bob.events();
    assert_eq!(server.told(&["remove", &id]), Value::Null);
    let removed = events.next("removed");
    assert_eq!(removed.data, json!({"to": "common", "ids": [said["id"]]}));
    for path in [format!("/messages/{id}"), comments] {
        bob.get(&path).problem(
            404,
            if has_comments || !path.ends_with("comments") {
                "not_found"
            } else {
                "feature_off"
            },
        );
    }
    assert_eq!(bob.texts("common"), Vec::<String>::new());
    refused(&server, &["remove", &id], "not_found");
    refused(&server, &["remove", "soon"], "whole number");
    server.forgets(Duration::from_secs(20), "what nobody should");
    server.forgets(Duration::from_secs(20), "nor this one");
    server.kill();
    server.restart();
    assert_eq!(bob.texts("common"), Vec::<String>::new());
}

#[test]
fn every_command_is_on_record_with_whose_it_was_and_what_came_of_it() {
    let mut server = Server::start();
    let own = std::fs::metadata(server.data()).expect("a folder").uid();
    let ann = server.connect("ann");
    let id = ann.say("a message")["id"].to_string();
    server.told(&["users", "--after", "a"]);
    server.told(&["remove", &id]);
    refused(&server, &["remove", &id], "not_found");
    let expected = [
        ("users", json!({"after": "a"}), 200),
        ("remove", json!({"message": id}), 204),
        ("remove", json!({"message": id}), 404),
    ];
    server.kill();
    server.restart();
    let record = record(&server);
    assert_eq!(record.len(), expected.len(), "{record:?}");
    for (entry, (command, arguments, status)) in record.iter().zip(expected) {
        assert_eq!(entry["uid"], own, "{entry}");
        assert_eq!(
            (&entry["command"], &entry["arguments"]),
            (&json!(command), &arguments)
        );
        assert_eq!(entry["status"], status, "{entry}");
        assert!(
            entry["at"].as_str().is_some_and(|at| at.ends_with('Z')),
            "{entry}"
        );
    }
    // Looking at it is on it, too.
    assert_eq!(self::record(&server).len(), 4);
    let line = server.log();
    let line = line
        .lines()
        .find(|line| line.contains("administrator") && line.contains("404"));
    let line = line.expect("a line in the log");
    assert!(
        line.contains(&format!("uid={own}")) && line.contains(&id),
        "{line}"
    );
}
