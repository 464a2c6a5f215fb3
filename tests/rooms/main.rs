//! The rooms feature: who comes in, what members see and when, and that others see nothing.

#![cfg(has_feature = "rooms")]

mod coming;
mod going;
mod keeping;
mod sight;

use std::thread;

use serde_json::{Value, json};
use veche::testing::{Client, Reply, Server};

fn server() -> Server {
    Server::only("rooms", "")
}

/// Whether other features are there: their files may be taken out.
fn has(names: &[&str]) -> bool {
    let all = veche::testing::features(&veche::testing::binary());
    names.iter().all(|name| all.iter().any(|one| one == name))
}

/// Several features with their defaults, the rest off.
fn with(names: &[&str], settings: &str) -> String {
    let all = veche::testing::features(&veche::testing::binary());
    let off = all.iter().filter(|name| !names.contains(&name.as_str()));
    let off: String = off
        .map(|name| format!("[features.{name}]\nenabled = false\n"))
        .collect();
    off + settings
}

struct Room {
    address: String,
    path: String,
}

fn make_with(owner: &Client, history: &str) -> Room {
    let body = json!({"title": "Kitchen", "history": history});
    Room::of(&owner.post("/rooms", &body).expect(201))
}

fn make(owner: &Client) -> Room {
    make_with(owner, "joined")
}

impl Room {
    fn of(made: &Value) -> Self {
        let address = made["room"].as_str().unwrap_or_default().to_owned();
        let path = format!("/rooms/{}", address.trim_start_matches("room:"));
        Self { address, path }
    }

    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    fn invite(&self, owner: &Client, name: &str) -> Value {
        let body = json!({ "user": name });
        owner.post(&self.at("invites"), &body).expect(201)
    }

    fn join(&self, client: &Client) -> Reply {
        client.request("POST", &self.at("join")).send()
    }

    fn bring(&self, owner: &Client, client: &Client) {
        self.invite(owner, &client.name);
        self.join(client).expect(200);
    }

    fn remove(&self, owner: &Client, name: &str) {
        owner
            .delete(&self.at(&format!("members/{name}")))
            .expect(204);
    }

    fn leave(&self, client: &Client) -> Reply {
        client.request("POST", &self.at("leave")).send()
    }

    fn link(&self, owner: &Client, body: &Value) -> String {
        let made = owner.post(&self.at("links"), body).expect(201);
        made["link"].as_str().unwrap_or_default().to_owned()
    }

    fn decide(&self, owner: &Client, name: &str, approve: bool) -> Reply {
        let path = self.at(&format!("requests/{name}"));
        owner.post(&path, &json!({ "approve": approve }))
    }

    fn say(&self, client: &Client, text: &str) -> Value {
        client.send(&self.address, text).expect(201)
    }

    fn members(&self, client: &Client) -> Value {
        client.get(&self.path).expect(200)["members"].clone()
    }
}

fn ask(client: &Client, code: &str) -> Reply {
    client.request("POST", &format!("/join/{code}")).send()
}

fn text_of(events: &[veche::testing::Event]) -> Vec<String> {
    let messages = events.iter().filter(|event| event.event == "message");
    messages
        .filter_map(|event| event.data["text"].as_str().map(str::to_owned))
        .collect()
}
