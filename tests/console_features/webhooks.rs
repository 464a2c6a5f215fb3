//! Hooks from the console.

use serde_json::json;
use veche::testing::Server;

use crate::{Console, both, has};

#[test]
fn a_hook_is_made_listed_and_removed_and_its_address_is_told_whole() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "hooks = 3");
    server.connect("bob");
    let mut ann = Console::start(&server, "ann");
    ann.types("/hooks", &["you have no hooks: /hook NAME makes one"]);
    ann.types("/hook", &["! write /hook NAME [TO]"]);
    ann.types("/hook bob", &["! the name is somebody's already"]);
    let addresses = format!("{}/hooks/", server.url());
    let line = ann.types("/hook alerts", &[&addresses]);
    ann.sees(&[
        "as alerts to common",
        "shown only now",
        "/unhook alerts ends it",
    ]);
    let address = line.trim_start_matches("· ").to_owned();
    let path = address.trim_start_matches(&server.url()).to_owned();
    let post = || {
        server
            .guest()
            .post(&path, &json!({"text": "the disk is full"}))
    };
    post().expect(200);
    ann.sees(&["alerts (program): the disk is full"]);
    ann.types("/hook ci @bob", &["! a hook posts to ", "/hook NAME @me"]);
    ann.types(
        "/hook ci @me",
        &["as ci to you alone", "/unhook ci ends it"],
    );
    ann.types("/hooks", &["#", " ci to you alone, since "]);
    ann.types("/hook CI", &["as ci to common", "/unhook #"]);
    ann.types("/hook more", &["! you have 3 hooks, as many as one may"]);
    ann.types("/unhook ci", &["! \"ci\" is more than one hook: /unhook #"]);
    ann.types("/unhook Alerts", &["is no more, by which alerts posted"]);
    post().problem(404, "not_found");
    ann.types("/unhook alerts", &["! you have no hook \"alerts\""]);
    let (_, seen) = ann.end();
    // The stream brings back what the answers told.
    assert_eq!(seen.matches("is no more").count(), 1, "{seen}");
    assert_eq!(seen.matches(&address).count(), 1, "{seen}");
    assert!(!seen.contains("a hook of yours"), "{seen}");
}

#[test]
fn a_hook_that_another_client_makes_is_told_and_not_its_address() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "");
    let (other, mut ann) = both(&server);
    let body = json!({"name": "alerts"});
    let made = other.post("/hooks", &body).expect(201);
    ann.sees(&["· a hook of yours posts as alerts to common now: /hooks lists yours"]);
    let id = &made["id"];
    other.delete(&format!("/hooks/{id}")).expect(204);
    ann.sees(&[&format!("· your hook #{id} is no more")]);
    ann.types("/hooks", &["you have no hooks"]);
    let (_, seen) = ann.end();
    let url = made["url"].as_str().unwrap_or_default();
    assert!(url.len() > 20 && !seen.contains(url), "{seen}");
}

#[test]
fn a_hook_posts_where_one_is_and_the_list_says_when_it_does_no_more() {
    if !has(&["webhooks", "rooms"]) {
        return;
    }
    let server = Server::start();
    let mut ann = Console::start(&server, "ann");
    ann.types("/room Ops", &["you have made \"Ops\""]);
    ann.types("/hook ci", &["as ci to [Ops]"]);
    ann.types("/to common", &[]);
    ann.types("/hook cron ops", &["as cron to [Ops]"]);
    ann.types("/hooks", &["ci to [Ops], since "]);
    ann.types("/to Ops", &[]);
    ann.types("/leave", &["you left \"Ops\""]);
    ann.types(
        "/hooks",
        &["cron to a room", "does not work, as you are not there"],
    );
    ann.types("/hook more", &["! not done: there is no chat to do it in"]);
}

#[test]
fn as_json_a_hook_is_told_by_one_line_with_its_path() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "");
    let mut ann = Console::with(&server, "ann", &["--json"]);
    ann.types("/hook alerts", &["\"event\":\"hook\"", "\"url\":\"/hooks/"]);
    ann.types("/hooks", &["\"event\":\"hooks\"", "\"works\":true"]);
    ann.types("/unhook alerts", &["\"event\":\"hook_removed\""]);
    let (ok, seen) = ann.end();
    assert!(ok, "{seen}");
    assert_eq!(seen.matches("\"event\":\"hook\"").count(), 1, "{seen}");
    assert_eq!(seen.matches("hook_removed").count(), 1, "{seen}");
}
