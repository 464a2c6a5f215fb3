//! One server on one data folder, the people on it, and what every subset must show or not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use veche::testing::{Client, Event, Server};

use crate::probes::Probe;

/// What the core itself shows of a message, of a chat, of a user.
const MESSAGE: [&str; 5] = ["id", "from", "to", "text", "at"];
const CHAT: [&str; 7] = [
    "chat", "kind", "title", "members", "online", "unread", "last",
];
const USER: [&str; 2] = ["name", "clients"];

/// The core's events.
const KINDS: [&str; 4] = ["message", "removed", "read", "client"];

/// How many posts a period allows: more than there are.
pub const POSTS: u64 = 100_000;

/// From so many starts ago the resumed stream is read.
const AWAY: usize = 4;

/// A message that was posted, as far as the core knows it.
pub struct Posted {
    pub id: u64,
    pub chat: String,
    pub text: String,
    pub expires: Value,
}

pub struct Stage {
    pub server: Server,
    pub ann: Client,
    pub bob: Client,
    /// What is on, of those that have a probe.
    pub on: BTreeSet<&'static str>,
    /// How often the server was started.
    pub number: usize,
    /// Messages outside of rooms.
    pub posted: Vec<Posted>,
    /// How many of Ann's posts the limit has counted.
    pub counted: u64,
    /// The events since a few starts ago, as this one resumes them.
    pub resumed: Vec<Event>,
    /// Where each start began.
    cursors: Vec<String>,
    settings: BTreeMap<&'static str, &'static str>,
    /// The API's description with all on.
    description: Value,
}

impl Stage {
    /// All that has a probe is on.
    pub fn new(probes: &[Box<dyn Probe>], there: &[String]) -> Self {
        let settings = probes.iter().map(|probe| (probe.name(), probe.settings()));
        let settings: BTreeMap<_, _> = settings.collect();
        assert!(
            settings
                .keys()
                .all(|name| there.iter().any(|one| one == name))
        );
        let on: BTreeSet<_> = settings.keys().copied().collect();
        let builder = Server::builder().config(config(&settings, &on));
        // What so many calls say would hide what a failure says.
        let told = "warn,veche::server::start=info,veche::server::works=info";
        let server = builder.env("RUST_LOG", told).start();
        let (ann, bob) = (server.connect("ann"), server.connect("bob"));
        let description = server.guest().get("/openapi.json").expect(200);
        let cursors = vec![ann.cursor()];
        Self {
            server,
            ann,
            bob,
            on,
            number: 0,
            posted: Vec::new(),
            counted: 0,
            resumed: Vec::new(),
            cursors,
            settings,
            description,
        }
    }

    pub fn has(&self, feature: &str) -> bool {
        self.on.contains(feature)
    }

    /// Something that nobody has said before.
    pub fn words(&self, stem: &str) -> String {
        format!("{stem} {} {}", self.number, self.posted.len())
    }

    /// Starts the server with these on, after a clean stop or a crash.
    pub fn switch(&mut self, on: &BTreeSet<&'static str>, crash: bool) {
        self.on.clone_from(on);
        self.number += 1;
        self.server.configure(config(&self.settings, on));
        if crash {
            self.server.kill();
        }
        self.server.restart();
        let from = self.cursors.len().saturating_sub(AWAY);
        self.resumed = Vec::new();
        let mut cursor = self.cursors[from].clone();
        loop {
            let (events, next) = self.ann.poll(&cursor, "0s");
            cursor = next;
            if events.is_empty() {
                break;
            }
            self.resumed.extend(events);
        }
        self.cursors.push(cursor);
    }

    /// Ann posts; the message has the fields of what is on, and no others.
    pub fn post(&mut self, to: &str, more: &Value) -> Value {
        let text = more["text"].as_str();
        let text = text.map_or_else(|| self.words("post"), str::to_owned);
        let mut body = json!({"to": to, "text": text});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let reply = self.ann.post("/send", &body);
        let message = reply.expect(201);
        let is_counted = self.has("rate_limit") && to == "common";
        assert_eq!(reply.header("ratelimit").is_some(), is_counted, "{reply}");
        self.counted += u64::from(is_counted);
        assert_eq!(message["text"], text.as_str());
        if !to.starts_with("room:") {
            self.posted.push(Posted {
                id: message["id"].as_u64().unwrap_or_default(),
                chat: to.to_owned(),
                text,
                expires: message["expires"].clone(),
            });
        }
        message
    }

    /// A message that was posted says something else now.
    pub fn reworded(&mut self, id: &Value, text: &str) {
        let posted = self.posted.iter_mut();
        for one in posted.filter(|one| *id == one.id) {
            text.clone_into(&mut one.text);
        }
    }

    /// What is done whatever is on.
    pub fn talk(&mut self) {
        self.post("common", &json!({}));
        self.post("@bob", &json!({}));
        assert!(!self.bob.texts("@ann").is_empty());
    }

    /// What must hold in every subset.
    pub fn looks_right(&mut self, probes: &[Box<dyn Probe>]) {
        let allowed = Allowed::of(probes, &self.on);
        let status = self.ann.status();
        let listed = list(&status["server"]["features"]);
        let listed: BTreeSet<&str> = listed
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| self.settings.contains_key(name))
            .collect();
        assert_eq!(listed, self.on);
        let fields: BTreeSet<&str> = keys(&status["user"]).collect();
        let expected: BTreeSet<&str> = USER
            .into_iter()
            .chain(allowed.user.iter().copied())
            .collect();
        assert_eq!(fields, expected, "{status}");
        let fields: BTreeSet<&str> = keys(&status["server"]).collect();
        let expected = ["name", "version", "uptime_s", "features", "text"].into_iter();
        let expected = expected.chain(allowed.server.iter().copied()).collect();
        assert_eq!(fields, expected, "{status}");

        let again = self.ann.again();
        let mut seen = vec![status, again.welcome.clone()];
        again.disconnect();
        seen.extend(self.bob.unread());
        seen.extend(self.bob.messages("@ann"));
        seen.push(self.ann.get("/users?limit=5").expect(200));
        for chat in ["common", "@bob"] {
            let history = self.ann.history(chat);
            let came = history.iter().map(|one| (&one["id"], &one["text"]));
            let posted = self.posted.iter().filter(|posted| posted.chat == chat);
            let posted: Vec<_> = posted.map(|one| (json!(one.id), json!(one.text))).collect();
            let posted: Vec<_> = posted.iter().map(|(id, text)| (id, text)).collect();
            assert_eq!(came.collect::<Vec<_>>(), posted, "{chat}");
            seen.extend(history);
        }
        let off = self.on.len() < probes.len();
        for event in &self.resumed {
            assert!(allowed.kinds.contains(event.event.as_str()), "{event:?}");
            seen.push(event.data.clone());
        }
        seen.iter().for_each(|value| allowed.check(value));
        self.describes(&allowed);
        if off {
            self.paths_are_off();
        }
    }

    /// The description has the calls and fields of what is on, and no others.
    fn describes(&self, allowed: &Allowed) {
        let now = self.server.guest().get("/openapi.json").expect(200);
        let calls = |document: &Value| -> BTreeSet<String> {
            operations(document)
                .into_iter()
                .filter(|(owner, ..)| {
                    !self.settings.contains_key(owner.as_str()) || self.has(owner)
                })
                .map(|(owner, method, path)| format!("{owner} {method} {path}"))
                .collect()
        };
        assert_eq!(calls(&now), calls(&self.description));
        assert_eq!(operations(&now).len(), calls(&now).len(), "{:?}", self.on);
        let schemas = &now["components"]["schemas"];
        for (schema, core, more) in [
            ("Message", &MESSAGE[..], &allowed.message),
            ("Chat", &CHAT[..], &allowed.chat),
            ("Self", &USER[..], &allowed.user),
        ] {
            let fields: BTreeSet<&str> = keys(&schemas[schema]["properties"]).collect();
            let expected: BTreeSet<&str> = core.iter().chain(more).copied().collect();
            assert_eq!(fields, expected, "{schema}");
        }
    }

    /// Each path of what is off says whose it is.
    fn paths_are_off(&self) {
        for (owner, method, path) in operations(&self.description) {
            if !self.settings.contains_key(owner.as_str()) || self.has(&owner) {
                continue;
            }
            let path: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "1" } else { part })
                .collect();
            let request = self.ann.request(&method.to_uppercase(), &path.join("/"));
            let request = if method == "post" {
                request.json(&json!({}))
            } else {
                request
            };
            let problem = request.send().problem(404, "feature_off");
            assert_eq!(problem["feature"], owner.as_str());
        }
    }
}

/// The settings of the server, with these on.
fn config(settings: &BTreeMap<&str, &str>, on: &BTreeSet<&str>) -> String {
    // A feature's state passes through many snapshots while it is off.
    let storage = "[storage]\nsnapshot_every = 40\n".to_owned();
    let tables = settings.iter().map(|(name, text)| {
        format!(
            "[features.{name}]\nenabled = {}\n{text}\n",
            on.contains(name)
        )
    });
    [storage].into_iter().chain(tables).collect()
}

/// Every call of a description with its owner.
fn operations(document: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let owner = operation["tags"][0].as_str().unwrap_or_default();
            found.push((owner.to_owned(), method.clone(), path.clone()));
        }
    }
    found
}

/// What may be seen.
struct Allowed {
    message: Vec<&'static str>,
    chat: Vec<&'static str>,
    user: Vec<&'static str>,
    server: Vec<&'static str>,
    kinds: BTreeSet<&'static str>,
    rooms: bool,
}

impl Allowed {
    fn of(probes: &[Box<dyn Probe>], on: &BTreeSet<&str>) -> Self {
        let on = || probes.iter().filter(|probe| on.contains(probe.name()));
        let named = |has: fn(&dyn Probe) -> bool| {
            let names = on().filter(|probe| has(probe.as_ref()));
            names.map(|probe| probe.name()).collect()
        };
        Self {
            message: on()
                .flat_map(|probe| probe.message_fields())
                .copied()
                .collect(),
            chat: named(|probe| probe.has_chat_part()),
            user: named(|probe| probe.has_user_part()),
            server: named(|probe| probe.has_server_part()),
            kinds: KINDS
                .into_iter()
                .chain(on().flat_map(|probe| probe.kinds()).copied())
                .collect(),
            rooms: on().any(|probe| probe.has_chat_part()),
        }
    }

    /// Looks at all that is in a value.
    fn check(&self, value: &Value) {
        match value {
            Value::Object(fields) => {
                self.check_object(fields);
                fields.values().for_each(|value| self.check(value));
            }
            Value::Array(values) => values.iter().for_each(|value| self.check(value)),
            Value::String(text) => {
                let is_room = text.starts_with("room:") || text == "room";
                assert!(self.rooms || !is_room, "{text}");
            }
            _ => {}
        }
    }

    fn check_object(&self, fields: &Map<String, Value>) {
        let is = |core: &[&str]| core.iter().all(|name| fields.contains_key(*name));
        let (core, more) = if is(&MESSAGE) && !fields.contains_key("message") {
            (&MESSAGE[..], &self.message)
        } else if is(&["chat", "kind", "unread"]) {
            (&CHAT[..], &self.chat)
        } else {
            return;
        };
        let is_known = |name: &str| core.contains(&name) || more.contains(&name);
        let strange: Vec<&String> = fields.keys().filter(|name| !is_known(name)).collect();
        assert!(strange.is_empty(), "{strange:?} in {fields:?}");
    }
}

pub fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(name, _)| name.as_str())
}
