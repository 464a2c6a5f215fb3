use serde_json::{Value, json};

use super::{Probe, recent, resumes};
use crate::stage::Stage;

#[derive(Default)]
pub struct Rooms {
    room: String,
    /// The room as its owner sees it.
    whole: Value,
    texts: Vec<String>,
    made: Vec<(usize, Value)>,
    /// How many Bob has not read.
    unread: u64,
}

impl Rooms {
    fn path(&self) -> String {
        format!("/rooms/{}", self.room.trim_start_matches("room:"))
    }
}

impl Probe for Rooms {
    fn name(&self) -> &'static str {
        "rooms"
    }

    fn has_chat_part(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "room",
            "invited",
            "join_request",
            "joined",
            "left",
            "refused",
        ]
    }

    fn found(&mut self, stage: &mut Stage) {
        assert_eq!(stage.ann.get(&self.path()).expect(200), self.whole);
        assert_eq!(stage.bob.texts(&self.room), self.texts);
        assert_eq!(stage.bob.chat(&self.room)["unread"], self.unread);
        resumes(stage, "message", "id", recent(stage), &self.made);
    }

    fn hidden(&self, stage: &mut Stage) {
        stage
            .ann
            .send(&self.room, "hello")
            .problem(404, "unknown_chat");
        let chat = format!("/messages?chat={}", self.room);
        stage.bob.get(&chat).problem(404, "unknown_chat");
        if let Some((_, id)) = self.made.last() {
            stage
                .bob
                .get(&format!("/messages/{id}"))
                .problem(404, "not_found");
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.room.is_empty() {
            let made = stage
                .ann
                .post("/rooms", &json!({"title": "Kitchen"}))
                .expect(201);
            made["room"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut self.room);
            let invites = format!("{}/invites", self.path());
            stage
                .ann
                .post(&invites, &json!({"user": "bob"}))
                .expect(201);
            let join = format!("{}/join", self.path());
            stage.bob.post(&join, &json!({})).expect(200);
        }
        let guest = stage.server.connect(&format!("guest{}", stage.number));
        let invites = format!("{}/invites", self.path());
        stage
            .ann
            .post(&invites, &json!({"user": guest.name}))
            .expect(201);
        if stage.number.is_multiple_of(3) {
            stage.bob.read_all();
            self.unread = 0;
        }
        let message = stage.post(&self.room, &json!({}));
        self.texts
            .push(message["text"].as_str().unwrap_or_default().to_owned());
        // One page of history is looked at.
        if self.texts.len() > 200 {
            self.texts.remove(0);
        }
        self.made.push((stage.number, message["id"].clone()));
        self.unread += 1;
        self.whole = stage.ann.get(&self.path()).expect(200);
    }
}
