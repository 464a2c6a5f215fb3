//! The subscriptions feature: what is said is posted to programs.

#![cfg(has_feature = "subscriptions")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod failing;
mod renewing;
mod seeing;
mod taking;

use serde_json::{Value, json};
use veche::prelude::Key;
use veche::testing::{Client, Received, Receiver, Server, binary, features};

/// Programs are on this machine, and failures soon over.
const QUICK: &str = "allow = [\"127.0.0.1\"]\npause = \"100ms\"\nlongest_pause = \"1s\"\n";

fn has(names: &[&str]) -> bool {
    let there = features(&binary());
    names.iter().all(|name| there.iter().any(|one| one == name))
}

fn server(settings: &str) -> Server {
    Server::only("subscriptions", &format!("{QUICK}{settings}"))
}

/// A subscription of a program to a chat, as it was answered.
fn subscribe(by: &Client, chat: &str, program: &Receiver) -> Value {
    let new = json!({"chat": chat, "url": program.url("/said")});
    by.post("/subscriptions", &new).expect(201)
}

fn path(made: &Value, more: &str) -> String {
    format!("/subscriptions/{}{more}", made["id"])
}

/// A user's only subscription, as it stands.
fn listed(of: &Client) -> Value {
    of.get("/subscriptions").expect(200)["subscriptions"][0].clone()
}

fn text(received: &Received) -> &str {
    received.body["data"]["text"].as_str().unwrap_or_default()
}

fn texts(received: &[Received]) -> Vec<&str> {
    received.iter().map(text).collect()
}

/// The signature of what was received, with a secret.
fn signed(received: &Received, secret: &Value) -> String {
    let secret = secret.as_str().unwrap_or_default();
    let key: Key = secret
        .strip_prefix("whsec_")
        .and_then(|key| key.parse().ok())
        .expect("a secret");
    let (id, second) = (
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
    );
    let signed = key.sign(&format!("{id}.{second}.{}", received.text));
    format!("v1,{signed}")
}

/// Verifies as Standard Webhooks says.
fn verify(received: &Received, secret: &Value) {
    assert_eq!(
        received.header("webhook-signature"),
        signed(received, secret)
    );
    let now = jiff::Timestamp::now().as_second();
    let second = received.header("webhook-timestamp").parse::<i64>();
    let second = second.expect("whole seconds");
    assert!((now - 60..=now).contains(&second), "{second}");
}
