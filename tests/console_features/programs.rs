//! Subscriptions and mentions from the console.

use serde_json::json;
use veche::testing::Server;

use crate::{Console, both, has};

/// Where nothing listens, tried often and given up soon.
const HASTY: &str =
    "pause = \"100ms\"\nlongest_pause = \"100ms\"\ngive_up = \"1s\"\nallow = [\"127.0.0.1\"]";

#[test]
fn a_subscription_is_made_given_up_tried_again_and_ended() {
    if !has(&["subscriptions"]) {
        return;
    }
    let server = Server::only("subscriptions", HASTY);
    let mut ann = Console::start(&server, "ann");
    ann.types("/subscriptions", &["you have no subscriptions"]);
    ann.types("/subscribe", &["! write /subscribe URL [TO]"]);
    ann.types("/subscribe gopher://h", &["! the URL "]);
    // Nothing listens on a port that is asked for by nobody.
    let url = "http://127.0.0.1:1/said";
    let secret = ann.types(&format!("/subscribe {url}"), &["whsec_"]);
    ann.sees(&["by this secret", url, "of common", "shown only now"]);
    ann.types(
        "/subscriptions",
        &["#", &format!("common to {url}, since ")],
    );
    ann.write("is anybody there?");
    let given_up = ann.sees(&["was given up: nothing takes connections there"]);
    ann.types("/subscriptions", &[": off, as it failed since "]);
    let id = given_up.split('#').nth(1);
    let id = id
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_default();
    ann.types(
        &format!("/resubscribe {id}"),
        &[&format!("#{id} is tried again now")],
    );
    ann.types("/unsubscribe 9", &["! you have no subscription \"9\""]);
    ann.types(
        &format!("/unsubscribe {url}"),
        &[&format!("your subscription #{id} to {url} is no more")],
    );
    ann.types(
        "/subscribe http://127.0.0.1:1/me @me",
        &["of your notebook"],
    );
    let (_, seen) = ann.end();
    assert_eq!(seen.matches("is no more").count(), 1, "{seen}");
    assert!(
        !seen.contains("is posted to"),
        "its own event is told by the answer: {seen}"
    );
    assert_eq!(
        seen.matches(secret.trim_start_matches("· ")).count(),
        1,
        "{seen}"
    );
}

#[test]
fn a_subscription_that_another_client_makes_is_told_and_not_its_secret() {
    if !has(&["subscriptions"]) {
        return;
    }
    let server = Server::only("subscriptions", "");
    let (other, ann) = both(&server);
    let body = json!({"chat": "common", "url": "https://hooks.example/said"});
    let made = other.post("/subscriptions", &body).expect(201);
    ann.sees(&["what is said in common is posted to https://hooks.example/said now"]);
    let id = &made["id"];
    other.delete(&format!("/subscriptions/{id}")).expect(204);
    ann.sees(&[&format!("· your subscription #{id} is no more")]);
    let (_, seen) = ann.end();
    let secret = made["secret"].as_str().unwrap_or_default();
    assert!(secret.len() > 20 && !seen.contains(secret), "{seen}");
}

#[test]
fn what_calls_one_is_listed_with_the_newest_last() {
    if !has(&["mentions"]) {
        return;
    }
    let server = Server::only("mentions", "");
    let bob = server.connect("bob");
    let mut ann = Console::start(&server, "ann");
    ann.types("/mentions", &["no message calls you"]);
    for number in 1..=21 {
        bob.say(&format!("@ann, call {number}."));
    }
    bob.say("nobody in particular");
    ann.sees(&["nobody in particular"]);
    let older = ann.types("/mentions", &["there are older ones: /mentions "]);
    let last = ann.sees(&["bob to common: @ann, call 21."]);
    assert!(last.contains('#'), "{last}");
    let older = older.rsplit(' ').next().unwrap_or_default().to_owned();
    ann.types(
        &format!("/mentions {older}"),
        &["bob to common: @ann, call 1."],
    );
    let (_, seen) = ann.end();
    let listed = seen.matches("bob to common: ").count();
    assert_eq!(listed, 21, "{seen}");
}
