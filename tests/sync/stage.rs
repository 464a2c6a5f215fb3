//! Users with several clients each, whose copies are compared with what a fresh client is told.

use std::time::{Duration, Instant};

use serde_json::Value;
use veche::testing::{Client, Events, Server, binary, features, wait_until};

use crate::asked::{asked, difference};
use crate::replica::Replica;

/// How long a copy that differs may stay as it is, with nothing more to come: less than anything
/// in these tests lasts, so that no difference ends by itself.
const STILL: Duration = Duration::from_secs(2);

/// A server and the users on it.
pub struct Stage {
    pub server: Server,
    features: Vec<String>,
    people: Vec<Person>,
}

struct Person {
    /// The client that acts.
    client: Client,
    live: Option<Live>,
    /// It is away while something is done, and resumes by a poll.
    away: Copy,
    /// It is away until the end.
    absent: Copy,
}

struct Live {
    copy: Copy,
    events: Events,
}

/// A client with its replica, as far as its cursor.
struct Copy {
    client: Client,
    replica: Replica,
    cursor: String,
}

impl Copy {
    fn new(client: Client, features: &[String]) -> Self {
        let cursor = client.welcome["cursor"].as_str().unwrap_or_default();
        let cursor = cursor.to_owned();
        let replica = Replica::of(&client.name, &asked(&client, features));
        Self {
            client,
            replica,
            cursor,
        }
    }

    fn take(&mut self, event: &veche::testing::Event) {
        self.replica.take(event);
        for room in self.replica.entered() {
            let path = format!("/messages?limit=200&chat={room}");
            // Whoever was in it for a while only has nothing of it.
            let answer = self.client.get(&path);
            let messages = answer.body["messages"].as_array().cloned();
            let messages = messages.unwrap_or_default();
            let comments = messages.iter().filter(|one| one["comments"] != 0);
            let comments = comments.flat_map(|one| {
                let path = format!("/messages/{}/comments?limit=200", one["id"]);
                let answer = self.client.get(&path).body;
                answer["comments"].as_array().cloned().unwrap_or_default()
            });
            let comments = comments.collect();
            self.replica.past(messages, comments);
        }
    }

    /// Polls until there is nothing more.
    fn resume(&mut self) {
        loop {
            let (events, cursor) = self.client.poll(&self.cursor, "0s");
            self.cursor = cursor;
            if events.is_empty() {
                return;
            }
            events.iter().for_each(|event| self.take(event));
        }
    }
}

impl Live {
    fn new(copy: Copy) -> Self {
        let events = copy.client.events_after(&copy.cursor);
        Self { copy, events }
    }

    fn take_arrived(&mut self) {
        for event in self.events.arrived() {
            self.copy.take(&event);
        }
    }

    /// Opens the stream again where it was.
    fn reopen(&mut self) {
        self.take_arrived();
        let cursor = self.events.cursor().to_owned();
        self.events = self.copy.client.events_after(&cursor);
    }
}

/// The tables of a config.toml for those features that there are, each with these settings.
pub fn config(settings: &[(&str, &str)]) -> String {
    let there = features(&binary());
    let settings = settings
        .iter()
        .filter(|(name, _)| there.iter().any(|one| one == name));
    settings
        .map(|(name, text)| format!("[features.{name}]\n{text}\n"))
        .collect()
}

impl Stage {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let many = ("rate_limit", "messages = 1000000");
        let settings: Vec<_> = settings.iter().copied().chain([many]).collect();
        Self {
            server: Server::with(config(&settings)),
            features: features(&binary()),
            people: Vec::new(),
        }
    }

    /// Whether the server has a feature.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|one| one == feature)
    }

    /// Somebody joins, with one client that acts, one that listens and two that are away.
    pub fn join(&mut self, name: &str) -> Client {
        let client = self.server.connect(name);
        self.add(client, true)
    }

    /// Somebody whose clients all are away.
    pub fn join_quietly(&mut self, name: &str) -> Client {
        let client = self.server.connect(name);
        self.add(client, false)
    }

    fn add(&mut self, client: Client, listens: bool) -> Client {
        let copy = || Copy::new(client.again(), &self.features);
        let person = Person {
            live: listens.then(|| Live::new(copy())),
            away: copy(),
            absent: copy(),
            client: client.clone(),
        };
        self.people.push(person);
        client
    }

    /// Stops the server and starts it again; the streams go on where they were.
    pub fn restart(&mut self) {
        self.server.restart();
        let live = self
            .people
            .iter_mut()
            .filter_map(|person| person.live.as_mut());
        live.for_each(Live::reopen);
    }

    /// Every copy is what a fresh client of its user is told.
    #[track_caller]
    pub fn check(&mut self, what: &str) {
        for person in &mut self.people {
            let fresh = person.client.again();
            if let Some(live) = &mut person.live {
                // The fresh client's own coming is the last that matters.
                let passed = live.events.until(|event| event.data["id"] == fresh.id);
                passed.iter().for_each(|event| live.copy.take(event));
            }
            let name = &fresh.name;
            settles(
                &format!("after {what}, {name}"),
                &fresh,
                &self.features,
                || {
                    person.away.resume();
                    let mut held = vec![("resumed", person.away.replica.clone())];
                    if let Some(live) = &mut person.live {
                        live.take_arrived();
                        held.push(("live", live.copy.replica.clone()));
                    }
                    held
                },
            );
            fresh.disconnect();
        }
    }

    /// The same of those who were away all the time, by stream and by poll.
    #[track_caller]
    pub fn finish(mut self) {
        self.check("all of it");
        for person in &mut self.people {
            let fresh = person.client.again();
            let absent = &person.absent;
            let mut stream = Live::new(Copy {
                client: absent.client.clone(),
                replica: absent.replica.clone(),
                cursor: absent.cursor.clone(),
            });
            let passed = stream.events.until(|event| event.data["id"] == fresh.id);
            passed.iter().for_each(|event| stream.copy.take(event));
            let what = format!("at last, {}", fresh.name);
            settles(&what, &fresh, &self.features, || {
                person.absent.resume();
                stream.take_arrived();
                vec![
                    ("polled", person.absent.replica.clone()),
                    ("streamed", stream.copy.replica.clone()),
                ]
            });
            fresh.disconnect();
        }
    }
}

/// Waits until what is held is what the fresh client is told: deliveries and ends come when they
/// come.
#[track_caller]
fn settles(
    what: &str,
    fresh: &Client,
    features: &[String],
    mut held: impl FnMut() -> Vec<(&'static str, Replica)>,
) {
    let mut last = (Value::Null, Vec::new(), Instant::now());
    wait_until(what, || {
        let truth = asked(fresh, features);
        let held = held();
        let wrong = held.iter().find_map(|(whose, view)| {
            let wrong = difference("", &view.view_beside(&truth), &truth)?;
            Some(format!("{what}'s {whose} client differs at {wrong}"))
        });
        let Some(wrong) = wrong else {
            return Some(());
        };
        if (&last.0, &last.1) != (&truth, &held) {
            last = (truth, held, Instant::now());
        }
        assert!(last.2.elapsed() < STILL, "{wrong}");
        None
    });
}
