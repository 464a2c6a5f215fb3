//! What clients wrote and were answered, for every feature that the server has, against what fresh
//! clients see: each once, in order, for exactly those whom it concerns.
//!
//! Every write has an idempotency key. One that a crash left unanswered is done again under its key,
//! so that nothing about it stays open: it must be there once from then on.

mod check;
mod copied;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use veche::testing::{Client, Server, binary, features};

use crate::random::Random;

/// Who writes: a thread each.
const WRITERS: [&str; 4] = ["ann", "bob", "cat", "dan"];

/// Whom they complain about.
const ACCUSED: usize = 12;

/// Settings under which nothing stands in the writers' way.
pub fn config() -> String {
    let own = [
        ("rate_limit", "messages = 1000000\n"),
        ("ttl", "after = \"30d\"\n"),
    ];
    let has = features(&binary());
    let own = own
        .iter()
        .filter(|(name, _)| has.iter().any(|has| has == name));
    own.map(|(name, settings)| format!("[features.{name}]\n{settings}"))
        .collect()
}

/// One write and what it asks for.
#[derive(Clone, Debug)]
struct Write {
    by: usize,
    key: String,
    method: &'static str,
    path: String,
    body: Value,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// With the bytes of its file, if it has one.
    Post(Option<Vec<u8>>),
    Comment(u64),
    Read(u64),
    Room,
    Invite(String, usize),
    Join(String),
    Leave(String),
    Schedule,
    Cancel(String),
    Complain(String),
}

/// A message as it was acknowledged.
#[derive(Clone, Debug)]
struct Post {
    message: Value,
    by: usize,
    bytes: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    comments: BTreeMap<u64, Vec<Value>>,
    marks: BTreeMap<usize, u64>,
    /// Who is in each room, in order of joining, and who is invited.
    rooms: BTreeMap<String, (Vec<usize>, BTreeSet<usize>)>,
    scheduled: BTreeMap<usize, BTreeMap<String, Value>>,
    complaints: BTreeMap<String, BTreeSet<usize>>,
    banned: BTreeSet<String>,
}

/// Everything that was acknowledged.
pub struct Ledger {
    has: Vec<String>,
    clients: Vec<Client>,
    accused: Vec<Client>,
    cursors: Vec<String>,
    state: Mutex<State>,
    keys: AtomicUsize,
    /// Writes that were answered.
    pub answered: AtomicUsize,
}

impl Ledger {
    pub fn new(server: &Server) -> Self {
        let clients: Vec<_> = WRITERS.iter().map(|name| server.connect(name)).collect();
        Self {
            has: features(&binary()),
            cursors: clients.iter().map(Client::cursor).collect(),
            accused: (0..ACCUSED)
                .map(|number| server.connect(&format!("accused{number}")))
                .collect(),
            clients,
            state: Mutex::default(),
            keys: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        }
    }

    /// How many write at once.
    pub fn writers(&self) -> usize {
        self.clients.len()
    }

    fn has(&self, feature: &str) -> bool {
        self.has.iter().any(|has| has == feature)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes whatever comes to mind until the server is gone, or stops; gives the write that it left open.
    pub fn write_until_gone(&self, by: usize, random: &mut Random) -> Option<Open> {
        loop {
            let Ok(write) = self.think(by, random) else {
                return None;
            };
            match self.ask(&write) {
                None | Some((503, _)) => return Some(Open(write)),
                Some((status, body)) => self.learn(&write, status, &body),
            }
        }
    }

    /// Writes so many; for a server that stays.
    pub fn write(&self, by: usize, count: usize, random: &mut Random) {
        for _ in 0..count {
            let write = self.think(by, random).expect("an upload is answered");
            self.settle([Open(write)]);
        }
    }

    /// Does what was left open again.
    pub fn settle(&self, open: impl IntoIterator<Item = Open>) {
        for Open(write) in open {
            let (status, body) = self.ask(&write).expect("the server is back");
            self.learn(&write, status, &body);
        }
    }

    /// Tries one post of each writer, and gives those that were refused, with the refusals; whatever
    /// was answered otherwise is kept.
    pub fn refusals(&self, random: &mut Random) -> Vec<(Open, u16, String)> {
        let mut refused = Vec::new();
        for by in 0..self.writers() {
            let write = self.post(by, "common".to_owned(), None, random);
            let (status, body) = self.ask(&write).expect("a refusal is an answer");
            if status < 400 {
                self.learn(&write, status, &body);
            } else {
                let code = body["code"].as_str().unwrap_or_default().to_owned();
                refused.push((Open(write), status, code));
            }
        }
        refused
    }

    fn ask(&self, write: &Write) -> Option<(u16, Value)> {
        let request = self.clients[write.by].request(write.method, &write.path);
        let request = match write.method {
            "POST" => request
                .header("Idempotency-Key", &write.key)
                .json(&write.body),
            _ => request,
        };
        let reply = request.try_send().ok()?;
        Some((reply.status, reply.body))
    }

    /// The next write; an error where what it needs first found no server.
    fn think(&self, by: usize, random: &mut Random) -> Result<Write, ()> {
        let kind = random.below(100);
        let rooms: Vec<String> = {
            let state = self.state();
            let mine = state
                .rooms
                .iter()
                .filter(|(_, (members, _))| members.contains(&by));
            mine.map(|(room, _)| room.clone()).collect()
        };
        let write = match kind {
            0..15 if self.has("comments") => self.comment(by, random),
            15..23 if self.has("files") => return self.upload(by, random),
            23..35 if self.has("rooms") => Some(self.room(by, &rooms, random)),
            35..42 if self.has("schedule") => Some(self.schedule(by, random)),
            42..47 if self.has("complaints") => self.complain(by, random),
            47..52 => self.read(by, random),
            52..65 => {
                let to = format!("@{}", random.pick(&WRITERS));
                Some(self.post(by, to, None, random))
            }
            65..78 if !rooms.is_empty() => {
                Some(self.post(by, random.pick(&rooms).clone(), None, random))
            }
            _ => None,
        };
        Ok(write.unwrap_or_else(|| self.post(by, "common".to_owned(), None, random)))
    }

    fn make(&self, by: usize, path: impl Into<String>, body: Value, what: What) -> Write {
        Write {
            by,
            key: format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed)),
            method: "POST",
            path: path.into(),
            body,
            what,
        }
    }

    fn post(
        &self,
        by: usize,
        to: String,
        file: Option<(Value, Vec<u8>)>,
        random: &mut Random,
    ) -> Write {
        let mut body = json!({ "to": to, "text": text(random) });
        let bytes = file.map(|(file, bytes)| {
            body["file"] = file;
            bytes
        });
        self.make(by, "/send", body, What::Post(bytes))
    }

    fn upload(&self, by: usize, random: &mut Random) -> Result<Write, ()> {
        let length = *random.pick(&[1, 100, 5_000, 70_000, 140_000]);
        let bytes: Vec<u8> = (0..length)
            .map(|_| b'a' + (random.next() % 26) as u8)
            .collect();
        let request = self.clients[by].request("POST", "/files?name=x");
        let reply = request.body(bytes.clone(), "text/plain").try_send();
        let reply = reply.map_err(|_| ())?;
        if reply.status == 503 {
            return Err(());
        }
        let file = reply.expect(201)["id"].clone();
        let to = match random.coin() {
            true => "common".to_owned(),
            false => format!("@{}", random.pick(&WRITERS)),
        };
        Ok(self.post(by, to, Some((file, bytes)), random))
    }

    fn comment(&self, by: usize, random: &mut Random) -> Option<Write> {
        let state = self.state();
        let seen: Vec<_> = state
            .posts
            .iter()
            .filter(|post| state.sees(by, post))
            .collect();
        let message = id(&seen.get(random.below(seen.len()))?.message);
        let path = format!("/messages/{message}/comments");
        let body = json!({ "text": text(random) });
        Some(self.make(by, path, body, What::Comment(message)))
    }

    fn read(&self, by: usize, random: &mut Random) -> Option<Write> {
        let state = self.state();
        let posts = state
            .posts
            .iter()
            .filter(|post| post.message["to"] == "common");
        let ids: Vec<u64> = posts.map(|post| id(&post.message)).collect();
        let upto = *ids.get(random.below(ids.len()))?;
        let body = json!({ "chat": "common", "upto": upto });
        Some(self.make(by, "/read", body, What::Read(upto)))
    }

    fn room(&self, by: usize, mine: &[String], random: &mut Random) -> Write {
        let state = self.state();
        let invited = state
            .rooms
            .iter()
            .find(|(_, (_, invited))| invited.contains(&by));
        if let Some((room, _)) = invited {
            return self.make(
                by,
                format!("{}/join", at(room)),
                json!({}),
                What::Join(room.clone()),
            );
        }
        let other = random.below(WRITERS.len());
        if let Some(room) = mine.get(random.below(mine.len() + 1)) {
            let (members, _) = &state.rooms[room];
            if members[0] == by && !members.contains(&other) {
                let body = json!({ "user": WRITERS[other] });
                let what = What::Invite(room.clone(), other);
                return self.make(by, format!("{}/invites", at(room)), body, what);
            }
            if members[0] != by && random.coin() {
                let what = What::Leave(room.clone());
                return self.make(by, format!("{}/leave", at(room)), json!({}), what);
            }
        }
        let body = json!({ "title": "a room", "history": "all" });
        self.make(by, "/rooms", body, What::Room)
    }

    fn schedule(&self, by: usize, random: &mut Random) -> Write {
        let state = self.state();
        let waiting = state.scheduled.get(&by);
        if random.below(3) == 0
            && let Some(id) = waiting.and_then(|waiting| waiting.keys().next())
        {
            let path = format!("/scheduled/{id}");
            let mut write = self.make(by, path, Value::Null, What::Cancel(id.clone()));
            write.method = "DELETE";
            return write;
        }
        let to = format!("@{}", random.pick(&WRITERS));
        let body = json!({ "to": to, "text": text(random), "in": "5h" });
        self.make(by, "/scheduled", body, What::Schedule)
    }

    fn complain(&self, by: usize, random: &mut Random) -> Option<Write> {
        let name = format!("accused{}", random.below(ACCUSED));
        let state = self.state();
        let mine = state.complaints.get(&name);
        if mine.is_some_and(|mine| mine.contains(&by)) {
            return None;
        }
        let body = json!({ "user": name });
        Some(self.make(by, "/complaints", body, What::Complain(name)))
    }

    /// Keeps an answer.
    fn learn(&self, write: &Write, status: u16, body: &Value) {
        let mut state = self.state();
        let by = write.by;
        let expect = |expected: &[u16]| {
            assert!(expected.contains(&status), "{write:?}: {status} {body}");
        };
        match &write.what {
            What::Post(bytes) => {
                expect(&[201]);
                state.posts.push(Post {
                    message: body.clone(),
                    by,
                    bytes: bytes.clone(),
                });
            }
            What::Comment(message) => {
                expect(&[201]);
                state
                    .comments
                    .entry(*message)
                    .or_default()
                    .push(body.clone());
            }
            What::Read(upto) => {
                expect(&[204]);
                let mark = state.marks.entry(by).or_default();
                *mark = (*mark).max(*upto);
            }
            What::Room => {
                expect(&[201]);
                let room = body["room"].as_str().expect("a room has an address");
                state
                    .rooms
                    .insert(room.to_owned(), (vec![by], BTreeSet::new()));
            }
            What::Invite(room, other) => {
                // They may have come meanwhile, by an earlier one, with which this one is gone.
                expect(&[201, 409, 410]);
                if let Some((members, invited)) = state.rooms.get_mut(room)
                    && status == 201
                    && !members.contains(other)
                {
                    invited.insert(*other);
                }
            }
            What::Join(room) => {
                // Two invitations are one: it may be spent.
                expect(&[200, 404]);
                if let Some((members, invited)) = state.rooms.get_mut(room) {
                    invited.remove(&by);
                    if status == 200 && !members.contains(&by) {
                        members.push(by);
                    }
                }
            }
            What::Leave(room) => {
                expect(&[204]);
                if let Some((members, _)) = state.rooms.get_mut(room) {
                    members.retain(|member| *member != by);
                }
            }
            What::Schedule => {
                expect(&[201]);
                let id = body["id"].as_str().expect("an id").to_owned();
                state
                    .scheduled
                    .entry(by)
                    .or_default()
                    .insert(id, body.clone());
            }
            What::Cancel(id) => {
                // Done again after a crash it may be gone.
                expect(&[204, 404]);
                state.scheduled.entry(by).or_default().remove(id);
            }
            What::Complain(name) => {
                // Others may have had them banned meanwhile.
                expect(&[201, 409]);
                let mine = state.complaints.entry(name.clone()).or_default();
                mine.insert(by);
                if body["banned_until"].is_string() || status == 409 {
                    state.banned.insert(name.clone());
                }
            }
        }
        drop(state);
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A write whose answer nobody had.
pub struct Open(Write);

fn at(room: &str) -> String {
    room.replacen("room:", "/rooms/", 1)
}

fn id(message: &Value) -> u64 {
    message["id"]
        .as_u64()
        .unwrap_or_else(|| panic!("no id: {message}"))
}

/// A text that no other is.
fn text(random: &mut Random) -> String {
    let length = *random.pick(&[0, 0, 10, 1_000]);
    format!("{:016x}{}", random.next(), "\u{44e}".repeat(length))
}
