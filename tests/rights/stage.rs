//! The five people of the matrix, and the things that a call is about, made anew for each call.

use std::cell::Cell;

use serde_json::{Value, json};
use veche::testing::{Client, Server, binary, features};

use super::matrix::Row;

/// A server and its people.
pub struct Stage {
    pub server: Server,
    features: Vec<String>,
    owner: Client,
    member: Client,
    stranger: Client,
    banned: Client,
    /// Somebody to be invited, and somebody who asks to come in.
    guest: Client,
    asker: Client,
    scenes: Cell<u32>,
}

/// What one call is made with. What the call is not about is empty.
#[derive(Clone)]
pub struct Scene {
    /// Who calls.
    pub who: Client,
    /// Somebody new, to be complained about.
    pub accused: String,
    /// A room's UUID, a link to it.
    pub room: String,
    pub code: String,
    /// A private message of the owner's, its file, a message in the room.
    pub message: Value,
    pub file: String,
    pub in_room: Value,
    /// A scheduled message of the owner's.
    pub scheduled: String,
    /// A hook of the owner's, and its path.
    pub hook: Value,
    pub secret: String,
    /// A subscription of the owner's.
    pub subscription: Value,
}

impl Stage {
    pub fn set() -> Self {
        let features = features(&binary());
        let mut config = String::new();
        for (name, settings) in [
            ("complaints", "warnings = 1"),
            ("rooms", "rooms = 100000"),
            ("schedule", "pending = 100000"),
            ("files", "pending = 100000"),
            ("webhooks", "hooks = 1000"),
            (
                "subscriptions",
                "subscriptions = 1000\nallow = [\"127.0.0.1\"]",
            ),
            // Off, unless it is told otherwise.
            ("metrics", "enabled = true"),
        ] {
            if features.iter().any(|known| known == name) {
                config += &format!("[features.{name}]\n{settings}\n");
            }
        }
        let server = Server::with(config);
        let [owner, member, stranger, banned, guest, asker] =
            ["owner", "member", "stranger", "banned", "guest", "asker"]
                .map(|name| server.connect(name));
        let stage = Self {
            server,
            features,
            owner,
            member,
            stranger,
            banned,
            guest,
            asker,
            scenes: Cell::new(0),
        };
        if stage.has("complaints") {
            let complaint = json!({"user": "banned"});
            stage.owner.post("/complaints", &complaint).expect(201);
        }
        stage
    }

    /// Whether a feature, or each of several, is there; the core always is.
    pub fn has(&self, needed: &str) -> bool {
        let is_there = |name| name == "core" || self.features.iter().any(|known| known == name);
        needed.split(", ").all(is_there)
    }

    /// All that a row's call needs, for one of the people.
    pub fn scene(&self, role: &str, row: &Row) -> Scene {
        let number = self.scenes.get();
        self.scenes.set(number + 1);
        let (who, peer) = match role {
            "nobody" => (self.server.guest(), &self.member),
            "stranger" => (self.stranger.again(), &self.member),
            "member" => (self.member.again(), &self.member),
            "owner" => (self.owner.again(), &self.member),
            "banned" => (self.banned.again(), &self.banned),
            other => unreachable!("{other} is none of the matrix's people"),
        };
        let mut scene = Scene {
            who,
            accused: format!("accused{number}"),
            room: String::new(),
            code: "none".to_owned(),
            message: Value::Null,
            file: String::new(),
            in_room: Value::Null,
            scheduled: String::new(),
            hook: Value::Null,
            secret: String::new(),
            subscription: Value::Null,
        };
        if row.call == "POST /complaints" {
            self.server.connect(&scene.accused);
        }
        let mut message = json!({"to": format!("@{}", peer.name), "text": "between us"});
        if self.has("files") {
            let upload = self.owner.request("POST", "/files?name=x");
            let file = upload.body("bytes", "text/plain").send().expect(201);
            message["file"] = file["id"].clone();
            scene.file = text(&file["id"]);
        }
        scene.message = self.owner.post("/send", &message).expect(201)["id"].clone();
        if row.feature.contains("rooms") {
            self.room(&mut scene);
        }
        if row.feature.contains("schedule") {
            let later = json!({"to": "@member", "text": "later", "in": "1h"});
            let made = self.owner.post("/scheduled", &later).expect(201);
            scene.scheduled = text(&made["id"]);
        }
        if row.feature.contains("webhooks") {
            let new = json!({"name": "bot", "to": "@me"});
            let made = self.owner.post("/hooks", &new).expect(201);
            scene.hook = made["id"].clone();
            scene.secret = text(&made["url"]);
        }
        if row.feature.contains("subscriptions") {
            let new = json!({"chat": "@me", "url": "http://127.0.0.1:9/"});
            let made = self.owner.post("/subscriptions", &new).expect(201);
            scene.subscription = made["id"].clone();
        }
        scene
    }

    /// A room of the owner's with the member and the banned in it, an invitation, a link and a
    /// request.
    fn room(&self, scene: &mut Scene) {
        let made = self
            .owner
            .post("/rooms", &json!({"title": "Garden"}))
            .expect(201);
        let address = text(&made["room"]);
        scene.room = address.trim_start_matches("room:").to_owned();
        let path = format!("/rooms/{}", scene.room);
        for come in [&self.member, &self.banned, &self.guest] {
            let invites = format!("{path}/invites");
            self.owner
                .post(&invites, &json!({"user": come.name}))
                .expect(201);
            if come.name != "guest" {
                come.post(&format!("{path}/join"), &json!({})).expect(200);
            }
        }
        let link = self
            .owner
            .post(&format!("{path}/links"), &json!({}))
            .expect(201);
        scene.code = text(&link["link"]);
        self.asker
            .post(&format!("/join/{}", scene.code), &json!({}))
            .expect(202);
        let said = self.owner.send(&address, "in the room").expect(201);
        scene.in_room = said["id"].clone();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
