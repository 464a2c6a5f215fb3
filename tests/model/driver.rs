//! Does steps on a real server and on the model, and compares every answer, every event, and in
//! the end, and around each restart, what every user sees.
//!
//! - `driver/lives.rs`: the server's stops, crashes and starts.
//! - `driver/looks.rs`: what every user sees.

mod lives;
mod looks;

use std::time::Instant;

use serde_json::{Value, json};
use veche::testing::{Client, Event, Reply, Server, wait_until};

use crate::clock::{Clock, clean_up, switched_on};
use crate::compare;
use crate::model::call::{Call, Page};
use crate::model::files::KIND;
use crate::model::{Model, Ms, UserIx};
use crate::sight::{Made, Sight, post};
use crate::steps::{PASSWORDS, Step, What, name};

/// When every sequence begins: 2026-01-01T00:00:00.500Z.
const BEGIN: Ms = 1_767_225_600_500;

/// The clients from this one on do what they can't, too.
const BOLD: usize = 6;

/// The most events of one poll.
const PAGE: usize = 500;

/// A client that was ever connected.
struct Known {
    user: UserIx,
    http: Client,
    cursor: String,
    /// Where that is in the model's list of all that was told.
    place: usize,
}

/// A request that had an idempotency key.
#[derive(Clone)]
struct Keyed {
    user: UserIx,
    key: String,
    call: Call,
}

pub struct Driver {
    server: Server,
    /// Its processes, while they run.
    pids: Vec<u32>,
    clock: Clock,
    model: Model,
    /// The first one is the clerk's, whom no step names and who never leaves.
    clients: Vec<Known>,
    keyed: Vec<Keyed>,
    made: Made,
    /// How many worlds were folded a second time from an earlier snapshot.
    pub folded: usize,
}

type Done = Result<(), String>;

impl Driver {
    /// A new server, and a new model; `without` counts a feature that is off. With a NATS server it is
    /// one of several nodes, and each request goes to the next of them.
    pub fn new(without: Option<usize>, nats: Option<&str>) -> Result<Self, String> {
        let clock = Clock::new(BEGIN);
        let server = clock.start(without, nats);
        let mut driver = Self {
            pids: server.pids(),
            server,
            clock,
            model: Model::new(BEGIN, nats.is_some()),
            clients: Vec::new(),
            keyed: Vec::new(),
            made: Made::default(),
            folded: 0,
        };
        driver.model.has = switched_on(without);
        driver.connect("clerk", None, None)?;
        driver.connect("ann", None, None)?;
        driver.connect("bob", None, None)?;
        driver.connect("Cyd", None, None)?;
        Ok(driver)
    }

    /// Does every step, and looks at all that there is in the end.
    pub fn run(&mut self, steps: &[Step]) -> Done {
        for (number, step) in steps.iter().enumerate() {
            self.step(step)
                .map_err(|error| format!("step {number}, {step:?}: {error}"))?;
        }
        self.end_all()
            .map_err(|error| format!("in the end: {error}"))
    }

    fn step(&mut self, step: &Step) -> Done {
        match step {
            Step::Connect {
                name: n,
                password,
                by,
            } => {
                let by = by.and_then(|n| self.live(n));
                self.connect(&name(*n), PASSWORDS[*password], by)
            }
            Step::Do {
                client,
                what,
                keyed,
            } => {
                let mut what = what.clone();
                // Most do first what makes it possible.
                while *client < BOLD
                    && self.able(&what).is_empty()
                    && let Some(before) = what.needs()
                {
                    what = before;
                }
                let Some(client) = self.who(*client, &what) else {
                    return Ok(());
                };
                let call = what.call(&self.sight(client));
                if call
                    .feature()
                    .is_some_and(|feature| !self.model.has(feature))
                {
                    return Ok(());
                }
                let key = keyed.then(|| self.new_key(client, &call));
                self.call(client, &call, key.as_deref(), false)
            }
            Step::Again {
                which,
                client,
                other,
            } => {
                let Some(Keyed {
                    user,
                    key,
                    mut call,
                }) = self.keyed.iter().rev().nth(*which).cloned()
                else {
                    return Ok(());
                };
                if *other {
                    call = Call::Read {
                        chat: Some(key.clone()),
                        upto: None,
                    };
                }
                let own = (0..self.clients.len())
                    .filter(|n| self.clients[*n].user == user && self.is_live(*n));
                let own: Vec<usize> = own.collect();
                let Some(client) = own.get(client % own.len().max(1)) else {
                    return Ok(());
                };
                self.call(*client, &call, Some(&key), false)
            }
            Step::Poll { client } => match self.live(*client) {
                Some(client) => self.poll(client),
                None => Ok(()),
            },
            Step::Dead { client } => {
                let dead: Vec<usize> = (1..self.clients.len())
                    .filter(|n| !self.is_live(*n))
                    .collect();
                let Some(client) = dead.get(client % dead.len().max(1)) else {
                    return Ok(());
                };
                self.clients[*client]
                    .http
                    .get("/status")
                    .problem(401, "unauthorized");
                Ok(())
            }
            Step::Clock { by } => {
                self.set_clock(*by);
                self.catch_up()
            }
            Step::Restart { kill, by } => {
                self.restart(*kill, *by)?;
                self.look_at_all()
            }
            Step::Crash {
                client,
                to,
                text,
                after,
            } => match self.live(*client) {
                Some(client) => {
                    let call = post(&self.sight(client), to, *text);
                    self.crash(client, &call, *after)
                }
                None => Ok(()),
            },
        }
    }

    /// The nth live client but the clerk's.
    fn live(&self, n: usize) -> Option<usize> {
        let live: Vec<usize> = (1..self.clients.len())
            .filter(|n| self.is_live(*n))
            .collect();
        live.get(n % live.len().max(1)).copied()
    }

    /// The live clients whose users can do something.
    fn able(&self, what: &What) -> Vec<usize> {
        let live = (1..self.clients.len()).filter(|n| self.is_live(*n));
        live.filter(|n| what.fits(&self.model, self.clients[*n].user))
            .collect()
    }

    /// The nth of them, or of all where nobody can.
    fn who(&self, n: usize, what: &What) -> Option<usize> {
        let able = self.able(what);
        match able.len() {
            0 => self.live(n),
            count => Some(able[n % count]),
        }
    }

    fn is_live(&self, client: usize) -> bool {
        let Known { user, http, .. } = &self.clients[client];
        self.model.users[*user].clients.contains_key(&http.id)
    }

    fn sight(&self, client: usize) -> Sight<'_> {
        Sight {
            model: &self.model,
            made: &self.made,
            by: self.clients[client].user,
        }
    }

    fn new_key(&mut self, client: usize, call: &Call) -> String {
        let key = format!("key {}", self.keyed.len());
        let user = self.clients[client].user;
        self.keyed.push(Keyed {
            user,
            key: key.clone(),
            call: call.clone(),
        });
        key
    }

    fn connect(&mut self, name: &str, password: Option<&str>, by: Option<usize>) -> Done {
        let mut body = json!({"name": name});
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        let url = self.server.url();
        let (reply, theirs) = match by {
            Some(by) => (
                self.clients[by].http.post("/connect", &body),
                Some(self.clients[by].user),
            ),
            None => (Client::new(&url, "").post("/connect", &body), None),
        };
        let expected = self.model.connect(name, password, theirs, &reply.body);
        self.check(&expected, &reply, false)?;
        if let Ok(answer) = &expected {
            let user = answer.body["user"]["name"]
                .as_str()
                .and_then(|name| self.model.find(name));
            self.clients.push(Known {
                user: user.unwrap_or_default(),
                http: Client::welcomed(&url, &reply.body),
                cursor: reply.body["cursor"].as_str().unwrap_or_default().to_owned(),
                place: self.model.told.len(),
            });
        }
        self.settle(self.clients.len() - 1)
    }

    /// One call of a client.
    fn call(&mut self, client: usize, call: &Call, key: Option<&str>, may_replay: bool) -> Done {
        let (method, path, body) = call.request();
        let Known { user, http, .. } = &self.clients[client];
        let mut request = http.request(method, &path);
        request = match &body {
            None => request,
            Some(Value::String(text)) => request.body(text.as_str(), KIND),
            Some(body) => request.json(body),
        };
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let mut reply = request.send();
        if matches!(call, Call::File { .. }) && reply.status == 200 {
            reply.body = json!(reply.text);
        }
        let (user, id) = (*user, http.id.clone());
        let expected = self.model.call(user, &id, call, key, &reply.body);
        self.check(&expected, &reply, may_replay)
            .map_err(|error| format!("{method} {path}: {error}"))?;
        self.made
            .codes
            .extend(reply.body["link"].as_str().map(str::to_owned));
        if matches!(call, Call::Schedule { .. }) {
            self.made
                .scheduled
                .extend(reply.body["id"].as_str().map(str::to_owned));
        }
        if matches!(call, Call::Upload { .. }) {
            self.made
                .files
                .extend(reply.body["id"].as_str().map(str::to_owned));
        }
        self.settle(client)
    }

    fn check(&mut self, expected: &crate::model::Outcome, reply: &Reply, may_replay: bool) -> Done {
        let ids = &mut self.model.ids;
        compare::answer(ids, expected, reply, may_replay)
            .and_then(|()| compare::grow(ids))
            .map_err(|error| format!("{error}\ncame: {reply}\nexpected: {expected:#?}"))
    }

    /// Waits until what was handed to a client is noted, and what is due by now done: the server
    /// does both with its next batch. What a client was handed is noted before its next request.
    fn settle(&mut self, client: usize) -> Done {
        if !self.model.handed.is_empty() {
            let client = if self.is_live(client) { client } else { 0 };
            self.nudge(client);
            if self.model.spread {
                self.see_deliveries(client);
            }
            self.model.deliver();
        }
        if self.model.is_due() {
            self.catch_up()
        } else {
            Ok(())
        }
    }

    /// A write that changes nothing.
    fn nudge(&mut self, client: usize) {
        let Known { user, http, .. } = &self.clients[client];
        http.post("/read", &json!({"chat": "common", "upto": 0}))
            .expect(204);
        self.model.asked(*user, &http.id);
    }

    /// Waits until it is recorded what a client was handed: the node that did tells it to the one that
    /// decides, and nobody waits for that.
    fn see_deliveries(&self, client: usize) {
        let Known { user, http, .. } = &self.clients[client];
        for moment in &self.model.handed {
            let message = self.model.messages.get(moment);
            let burns =
                message.filter(|message| message.to == Some(*user) && message.fuse.is_some());
            let (Some(_), Some(id)) = (burns, self.model.ids[*moment]) else {
                continue;
            };
            wait_until("a delivery to be recorded", || {
                let shown = http.get(&format!("/messages/{id}"));
                (shown.status != 200 || shown.body["expires"].is_string()).then_some(())
            });
        }
    }

    /// Has what is due done, and learns the ids of the messages that were sent by it.
    fn catch_up(&mut self) -> Done {
        self.nudge(0);
        self.model.tick();
        for moment in self.model.unknown() {
            let Some((reader, chat)) = self.model.who_reads(moment) else {
                continue;
            };
            if self.model.ids[moment].is_some() {
                continue;
            }
            let mut clients = 0..self.clients.len();
            if let Some(client) =
                clients.find(|n| self.clients[*n].user == reader && self.is_live(*n))
            {
                let (page, limit) = (Page::Newest, 200);
                self.call(client, &Call::Messages { chat, page, limit }, None, false)?;
            }
        }
        Ok(())
    }

    fn set_clock(&mut self, by: Ms) {
        self.model.now += by;
        self.model.up_since = self.model.up_since.min(self.model.now);
        self.clock.set(self.model.now);
    }

    /// All events since the client's cursor.
    fn poll(&mut self, client: usize) -> Done {
        let mut came: Vec<Event> = Vec::new();
        let known = &mut self.clients[client];
        loop {
            let (events, cursor) = known.http.poll(&known.cursor, "0s");
            known.cursor = cursor;
            let count = events.len();
            came.extend(events);
            if count < PAGE {
                break;
            }
        }
        let (user, since) = (known.user, known.place);
        known.place = self.model.told.len();
        self.model.asked(user, &known.http.id);
        self.model.users[user].polled = Some(Instant::now());
        let expected = self.model.events(user, since);
        let ids = &mut self.model.ids;
        compare::events(ids, &expected, &came)
            .and_then(|()| compare::grow(ids))
            .and_then(|()| in_order(&came))
            .map_err(|error| {
                format!(
                    "{}'s poll: {error}\ncame: {came:#?}\nexpected: {:#?}",
                    known.http.name, expected.events
                )
            })?;
        self.settle(client)
    }
}

/// The cursors of events only grow, and a message's is its id.
fn in_order(events: &[Event]) -> Done {
    let position =
        |event: &Event| -> Option<u64> { event.id.as_ref()?.rsplit('-').next()?.parse().ok() };
    let mut last = 0;
    for event in events {
        let here = position(event).ok_or_else(|| format!("no cursor: {event:?}"))?;
        if here <= last {
            return Err(format!("{here} came after {last}"));
        }
        last = here;
        if ["message", "comment"].contains(&event.event.as_str()) && event.data["id"] != here {
            return Err(format!("its cursor is {here}: {event:?}"));
        }
    }
    Ok(())
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Where it stopped on the way, the server still runs.
        self.pids.drain(..).for_each(clean_up);
    }
}
