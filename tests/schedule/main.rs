//! The schedule feature: messages that are sent later, each exactly once.

#![cfg(has_feature = "schedule")]

mod keeping;
mod making;
mod sending;
mod showing;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use veche::prelude::Time;
use veche::testing::{Client, Event, Events, Reply, Server, binary, features, wait_until};

/// What a text that is gone may still be found for in the files of a running server.
const FORGOTTEN: Duration = Duration::from_secs(60);

fn server() -> Server {
    Server::only("schedule", "")
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0))
}

/// Waits for a time by the clock: what is tried then is told by no event.
fn wait_for(time: i64) {
    let left = u64::try_from(time - now()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(left));
}

fn schedule(client: &Client, to: &str, text: &str, delay: &str) -> Reply {
    client.post(
        "/scheduled",
        &json!({ "to": to, "text": text, "in": delay }),
    )
}

fn schedule_at(client: &Client, to: &str, text: &str, at: i64) -> Reply {
    let at = Time(at).to_string();
    client.post("/scheduled", &json!({ "to": to, "text": text, "at": at }))
}

fn scheduled(client: &Client) -> Vec<Value> {
    let list = client.get("/scheduled").expect(200);
    list["scheduled"].as_array().cloned().unwrap_or_default()
}

fn cancel(client: &Client, item: &Value) -> Reply {
    let id = item["id"].as_str().unwrap_or_default();
    client.delete(&format!("/scheduled/{id}"))
}

/// Waits until nothing waits any more, and gives the list.
fn settled(client: &Client) -> Vec<Value> {
    wait_until("everything to be sent or to fail", || {
        let list = scheduled(client);
        list.iter()
            .all(|item| item["state"] != "waiting")
            .then_some(list)
    })
}

/// What a client holds that does nothing but follow the events.
#[derive(Default)]
struct Follower {
    items: BTreeMap<String, Value>,
    texts: BTreeMap<u64, Value>,
}

impl Follower {
    fn take(&mut self, events: &[Event]) {
        for Event { event, data, .. } in events {
            let id = data["id"].as_str().unwrap_or_default().to_owned();
            match event.as_str() {
                "scheduled" | "scheduled_failed" => {
                    self.items.insert(id, data.clone());
                }
                "scheduled_sent" => {
                    let mut item = data.clone();
                    // The message came before it.
                    let message = item["message"].as_u64().unwrap_or_default();
                    if let Some(text) = self.texts.get(&message) {
                        item["text"] = text.clone();
                    }
                    self.items.insert(id, item);
                }
                "cancelled" | "scheduled_forgotten" => {
                    self.items.remove(&id);
                }
                "message" => {
                    let id = data["id"].as_u64().unwrap_or_default();
                    self.texts.insert(id, data["text"].clone());
                }
                _ => {}
            }
        }
    }

    fn follow(&mut self, events: &mut Events, marker: &str) {
        self.take(&events.until_text(marker));
    }
}

/// What a client holds that comes new.
fn fresh(client: &Client) -> BTreeMap<String, Value> {
    let list = scheduled(&client.again()).into_iter();
    list.map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item))
        .collect()
}
