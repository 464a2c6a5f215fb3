//! What shows that a feature is on and has all that it had, or is off and leaves no trace.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use veche::testing::{Client, encode, wait_until};

use crate::stage::{POSTS, Stage, list};

/// A feature as it is seen from outside.
pub trait Probe {
    fn name(&self) -> &'static str;

    /// Its settings: nothing of it ends within the test.
    fn settings(&self) -> &'static str {
        ""
    }

    /// What it adds to messages.
    fn message_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it has a part in what the server says of itself.
    fn has_server_part(&self) -> bool {
        false
    }

    /// Whether it has a part in the user's own status.
    fn has_user_part(&self) -> bool {
        false
    }

    /// Whether it has a part in a chat's status.
    fn has_chat_part(&self) -> bool {
        false
    }

    /// Its events.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// It is on again: all is as it was.
    fn found(&mut self, stage: &mut Stage);

    /// It is off: what else must not be seen.
    fn hidden(&self, _: &mut Stage) {}

    /// It is on: does something.
    fn act(&mut self, stage: &mut Stage);
}

/// Those of every feature that has one.
pub fn all() -> Vec<Box<dyn Probe>> {
    vec![
        Box::new(Comments::default()),
        Box::new(Complaints::default()),
        Box::new(Edits::default()),
        Box::new(Files::default()),
        Box::new(Presence),
        Box::new(RateLimit),
        Box::new(Reactions::default()),
        Box::new(Rooms::default()),
        Box::new(Schedule::default()),
        Box::new(Search),
        Box::new(Ttl),
        Box::new(Web),
        Box::new(Webhooks::default()),
    ]
}

/// Whether a resumed stream tells of each of these once, in events of this kind.
fn resumes(stage: &Stage, kind: &str, field: &str, since: usize, made: &[(usize, Value)]) {
    let told = stage.resumed.iter().filter(|event| event.event == kind);
    let told: Vec<&Value> = told.map(|event| &event.data[field]).collect();
    for (_, one) in made.iter().filter(|(number, _)| *number >= since) {
        let times = told.iter().filter(|told| **told == one).count();
        assert_eq!(times, 1, "{kind} {one}");
    }
}

/// The start from which on the resumed stream tells of everything.
fn recent(stage: &Stage) -> usize {
    stage.number.saturating_sub(3)
}

#[derive(Default)]
struct Comments {
    message: u64,
    texts: Vec<String>,
    made: Vec<(usize, Value)>,
}

impl Comments {
    fn path(&self) -> String {
        format!("/messages/{}/comments", self.message)
    }
}

impl Probe for Comments {
    fn name(&self) -> &'static str {
        "comments"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["comments"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["comment"]
    }

    fn found(&mut self, stage: &mut Stage) {
        let path = format!("{}?limit=200", self.path());
        let answer = stage.bob.get(&path).expect(200);
        let texts = list(&answer["comments"]).into_iter();
        let texts: Vec<Value> = texts.map(|comment| comment["text"].clone()).collect();
        assert_eq!(texts, self.texts);
        let message = stage
            .ann
            .get(&format!("/messages/{}", self.message))
            .expect(200);
        assert_eq!(message["comments"], self.texts.len());
        resumes(stage, "comment", "id", recent(stage), &self.made);
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.message == 0 {
            let message = stage.post("common", &json!({}));
            self.message = message["id"].as_u64().unwrap_or_default();
        }
        let text = stage.words("comment");
        let reply = stage.ann.post(&self.path(), &json!({ "text": text }));
        let comment = reply.expect(201);
        stage.counted += u64::from(stage.has("rate_limit"));
        assert_eq!(reply.header("ratelimit").is_some(), stage.has("rate_limit"));
        self.texts.push(text);
        self.made.push((stage.number, comment["id"].clone()));
    }
}

/// Each time another emoji is put on the same message, by both; one of them takes the one before back.
#[derive(Default)]
struct Reactions {
    message: u64,
    count: usize,
}

impl Reactions {
    const EMOJI: [&str; 8] = ["👍", "🎉", "👀", "🚀", "🔥", "🙏", "💯", "🍀"];

    fn react(&self, by: &Client, emoji: &str, on: bool) {
        let body = json!({"message": self.message, "emoji": emoji, "on": on});
        by.post("/react", &body).expect(200);
    }
}

impl Probe for Reactions {
    fn name(&self) -> &'static str {
        "reactions"
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["reactions"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["reaction"]
    }

    fn found(&mut self, stage: &mut Stage) {
        let path = format!("/messages/{}", self.message);
        let shown = list(&stage.bob.get(&path).expect(200)["reactions"]);
        let part = |one: &Value| json!([one["emoji"], one["count"], one["mine"]]);
        let shown: Vec<Value> = shown.iter().map(part).collect();
        let expected = (0..self.count).map(|number| {
            let is_last = number + 1 == self.count;
            json!([Self::EMOJI[number], 1 + u64::from(is_last), is_last])
        });
        assert_eq!(shown, expected.collect::<Vec<_>>());
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.message == 0 {
            let message = stage.post("common", &json!({}));
            self.message = message["id"].as_u64().unwrap_or_default();
        }
        if self.count == Self::EMOJI.len() {
            return;
        }
        if let Some(before) = self.count.checked_sub(1) {
            self.react(&stage.bob, Self::EMOJI[before], false);
        }
        for by in [&stage.ann, &stage.bob] {
            self.react(by, Self::EMOJI[self.count], true);
        }
        self.count += 1;
    }
}

#[derive(Default)]
struct Edits {
    /// What was changed, with the text that it has.
    changed: Vec<(Value, String)>,
}

impl Probe for Edits {
    fn name(&self) -> &'static str {
        "edits"
    }

    fn has_server_part(&self) -> bool {
        true
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["edited"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["edited"]
    }

    fn found(&mut self, stage: &mut Stage) {
        for (id, text) in &self.changed {
            let message = stage.bob.get(&format!("/messages/{id}")).expect(200);
            assert_eq!(message["text"], *text);
            assert!(message["edited"].is_string(), "{message}");
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        for (id, text) in &self.changed {
            let message = stage.bob.get(&format!("/messages/{id}")).expect(200);
            assert_eq!(message["text"], *text);
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("@bob", &json!({}));
        let text = stage.words("edit");
        let change = json!({"message": message["id"], "text": text});
        stage.ann.post("/edit", &change).expect(200);
        stage.reworded(&message["id"], &text);
        self.changed.push((message["id"].clone(), text));
    }
}

#[derive(Default)]
struct Complaints {
    /// One who is banned, and until when.
    villain: Option<(Client, Value)>,
    /// Those who were warned once, by Ann.
    warned: Vec<Client>,
}

impl Probe for Complaints {
    fn name(&self) -> &'static str {
        "complaints"
    }

    fn settings(&self) -> &'static str {
        "warnings = 2\nban = \"400d\"\ndecay = \"400d\""
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["warned", "warning_ended", "banned", "unbanned"]
    }

    fn found(&mut self, stage: &mut Stage) {
        if let Some((villain, until)) = &self.villain {
            let refused = villain.send("@me", "milk").problem(403, "banned");
            assert_eq!(refused["until"], *until);
            assert_eq!(
                villain.status()["user"]["complaints"]["banned_until"],
                *until
            );
        }
        for warned in self.warned.iter().rev().take(2) {
            let case = warned.status()["user"]["complaints"].clone();
            assert_eq!(
                case,
                json!({"warnings": 1, "limit": 2, "banned_until": null})
            );
            let body = json!({"user": warned.name});
            let again = stage.ann.post("/complaints", &body);
            again.problem(409, "already_complained");
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        if let Some((villain, _)) = &self.villain {
            villain.send("@me", "milk").expect(201);
        }
        for warned in self.warned.iter().rev().take(1) {
            let cursor = warned.welcome["cursor"].as_str().unwrap_or_default();
            let (events, _) = warned.poll(cursor, "0s");
            let told = events.iter().any(|event| event.event == "warned");
            assert!(!told, "{:?}: {events:?}", stage.on);
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let complain = |by: &Client, user: &Client| {
            let body = json!({"user": user.name});
            by.post("/complaints", &body).expect(201)["banned_until"].clone()
        };
        if self.villain.is_none() {
            let villain = stage.server.connect("villain");
            complain(&stage.ann, &villain);
            let until = complain(&stage.bob, &villain);
            assert!(until.is_string(), "{until}");
            self.villain = Some((villain, until));
        }
        let next = stage.server.connect(&format!("user{}", stage.number));
        complain(&stage.ann, &next);
        self.warned.push(next);
    }
}

#[derive(Default)]
struct Files {
    /// The messages that have one, and the file as they show it.
    sent: BTreeMap<u64, Value>,
    /// One that waits to be sent.
    waiting: Option<Value>,
}

impl Probe for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn has_server_part(&self) -> bool {
        true
    }

    fn settings(&self) -> &'static str {
        "orphan = \"400d\""
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn found(&mut self, stage: &mut Stage) {
        for message in stage.ann.history("common") {
            let id = message["id"].as_u64().unwrap_or_default();
            assert_eq!(message.get("file"), self.sent.get(&id), "{message}");
        }
        for file in self.sent.values().rev().take(2) {
            let path = file["url"].as_str().unwrap_or_default();
            let reply = stage.bob.get(path);
            assert_eq!(reply.status, 200, "{reply}");
            assert_eq!(reply.text, file["name"].as_str().unwrap_or_default());
        }
    }

    fn hidden(&self, stage: &mut Stage) {
        // It means nothing now, and never will.
        if let Some(file) = &self.waiting {
            let message = stage.post("common", &json!({"file": file["id"]}));
            assert!(message.get("file").is_none(), "{message}");
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        // What was uploaded when it was on before is sent now.
        if let Some(file) = self.waiting.take() {
            let message = stage.post("common", &json!({"file": file["id"]}));
            assert_eq!(message["file"], file);
            self.sent
                .insert(message["id"].as_u64().unwrap_or_default(), file);
        }
        let name = stage.words("file").replace(' ', "-");
        let request = stage.ann.request("POST", &format!("/files?name={name}"));
        self.waiting = Some(request.body(name, "text/plain").send().expect(201));
    }
}

struct RateLimit;

impl Probe for RateLimit {
    fn name(&self) -> &'static str {
        "rate_limit"
    }

    fn settings(&self) -> &'static str {
        "messages = 100000\nper = \"400d\""
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn found(&mut self, stage: &mut Stage) {
        let left = &stage.ann.status()["user"]["rate_limit"]["left"];
        assert_eq!(*left, POSTS - stage.counted);
    }

    fn act(&mut self, _: &mut Stage) {}
}

#[derive(Default)]
struct Rooms {
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

#[derive(Default)]
struct Schedule {
    /// What waits for long.
    waiting: Option<Value>,
    /// What falls due soon, whether the feature is on then or not.
    soon: Option<String>,
    made: Vec<(usize, Value)>,
}

impl Probe for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn has_user_part(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "scheduled",
            "scheduled_sent",
            "scheduled_failed",
            "cancelled",
            "scheduled_forgotten",
        ]
    }

    fn found(&mut self, stage: &mut Stage) {
        let ann = &stage.ann;
        let scheduled = || list(&ann.get("/scheduled").expect(200)["scheduled"]);
        if let Some(text) = &self.soon {
            wait_until("it to be sent", || {
                let mut sent = scheduled().into_iter().filter(|one| one["state"] == "sent");
                sent.any(|one| one["text"] == text.as_str()).then_some(())
            });
            let notes = ann.history("@ann");
            let times = notes
                .iter()
                .filter(|one| one["text"] == text.as_str())
                .count();
            assert_eq!(times, 1, "{text}");
        }
        let waiting = scheduled()
            .into_iter()
            .filter(|one| one["state"] == "waiting");
        let waiting: Vec<Value> = waiting.collect();
        assert_eq!(waiting, Vec::from_iter(self.waiting.clone()));
        assert_eq!(ann.status()["user"]["schedule"]["waiting"], waiting.len());
        let made: Vec<_> = self.made.iter().rev().take(1).cloned().collect();
        resumes(stage, "scheduled", "id", recent(stage), &made);
    }

    fn act(&mut self, stage: &mut Stage) {
        let ann = &stage.ann;
        if let Some(waiting) = self.waiting.take() {
            let id = waiting["id"].as_str().unwrap_or_default();
            ann.delete(&format!("/scheduled/{id}")).expect(204);
        }
        let schedule = |text: &str, delay: &str| {
            let body = json!({"to": "@me", "text": text, "in": delay});
            ann.post("/scheduled", &body).expect(201)
        };
        let waiting = schedule(&stage.words("later"), "100d");
        self.made.push((stage.number, waiting["id"].clone()));
        self.waiting = Some(waiting);
        let soon = stage.words("soon");
        schedule(&soon, "150ms");
        self.soon = Some(soon);
    }
}

struct Ttl;

impl Probe for Ttl {
    fn name(&self) -> &'static str {
        "ttl"
    }

    fn settings(&self) -> &'static str {
        "after = \"400d\"\nundelivered = \"500d\""
    }

    fn message_fields(&self) -> &'static [&'static str] {
        &["expires"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["delivered"]
    }

    fn found(&mut self, stage: &mut Stage) {
        // Each ends as was said when it was posted; those that were posted without it never end.
        let ends = stage
            .posted
            .iter()
            .map(|posted| (posted.id, &posted.expires));
        let ends: BTreeMap<u64, &Value> = ends.collect();
        let history = stage.ann.history("common");
        assert!(!history.is_empty());
        for message in &history {
            let id = message["id"].as_u64().unwrap_or_default();
            assert_eq!(Some(&&message["expires"]), ends.get(&id), "{message}");
        }
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("common", &json!({}));
        assert!(message["expires"].is_string(), "{message}");
    }
}

struct Presence;

impl Presence {
    fn tell(stage: &mut Stage) {
        let told = stage.ann.post("/typing", &json!({"to": "@ann"}));
        told.expect(204);
    }
}

impl Probe for Presence {
    fn name(&self) -> &'static str {
        "presence"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["typing"]
    }

    fn found(&mut self, stage: &mut Stage) {
        Self::tell(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        let told = stage.ann.post("/typing", &json!({"to": "@ann"}));
        told.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        Self::tell(stage);
    }
}

struct Search;

impl Probe for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn found(&mut self, stage: &mut Stage) {
        self.act(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        let asked = stage.ann.get("/search?q=needle");
        asked.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        let message = stage.post("common", &json!({}));
        let text = encode(message["text"].as_str().unwrap_or_default());
        let path = format!("/search?q=%22{text}%22&limit=1");
        let found = stage.ann.get(&path).expect(200);
        assert_eq!(found["found"][0]["message"]["id"], message["id"]);
    }
}

#[derive(Default)]
struct Webhooks {
    url: String,
}

impl Probe for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["hook"]
    }

    fn found(&mut self, stage: &mut Stage) {
        self.act(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        stage.ann.get("/hooks").problem(404, "feature_off");
        let told = stage
            .server
            .guest()
            .post(&self.url, &json!({"text": "psst"}));
        told.problem(404, "feature_off");
    }

    fn act(&mut self, stage: &mut Stage) {
        if self.url.is_empty() {
            let new = json!({"name": "bot", "to": "@me"});
            let made = stage.ann.post("/hooks", &new).expect(201);
            made["url"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut self.url);
        }
        let guest = stage.server.guest();
        assert_eq!(guest.post(&self.url, &json!({"text": "psst"})).text, "ok");
    }
}

struct Web;

impl Probe for Web {
    fn name(&self) -> &'static str {
        "web"
    }

    fn found(&mut self, stage: &mut Stage) {
        assert_eq!(stage.ann.get("/").status, 200);
    }

    fn hidden(&self, stage: &mut Stage) {
        stage.ann.get("/").problem(404, "feature_off");
    }

    fn act(&mut self, _: &mut Stage) {}
}
