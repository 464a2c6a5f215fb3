//! Users and their clients, and who asked when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::{COMMON, ChatIx, MAX_SIZE, Model, Moment, Ms, Told, UserIx, WINDOW, time};

/// What the harness calls itself.
const AGENT: &str = "veche-testing";

/// Between two polls one stays online for 10 s of real time: around that, either is right.
const SURELY: Duration = Duration::from_secs(7);
const POSSIBLY: Duration = Duration::from_secs(15);

/// Within this a node has told the others who came to it.
const TOLD: Duration = Duration::from_secs(2);

/// Within this a node that died is forgotten, with those who were there.
const FORGOTTEN: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct User {
    pub name: String,
    pub password: Option<String>,
    pub clients: BTreeMap<String, Client>,
    /// How far they have read each chat; from its beginning where nothing stands.
    pub marks: BTreeMap<ChatIx, Moment>,
    pub seen: Seen,
    /// When they polled last, since the server's start.
    pub polled: Option<Instant>,
    /// Until when some node may take them for being at one that died.
    unsure: Option<Instant>,
}

pub struct Client {
    since: Ms,
    seen: Seen,
}

/// When somebody was seen last. The server notes it in passing: a crash may forget a minute of
/// it, and a clock that is set back shows either time.
#[derive(Default, Clone, Copy)]
pub struct Seen {
    /// What is never forgotten.
    sure: Ms,
    least: Ms,
    most: Ms,
}

impl Seen {
    fn certain(at: Ms) -> Self {
        Self {
            sure: at,
            least: at,
            most: at,
        }
    }

    /// With several nodes one alone knows it, until that is recorded.
    fn ask(&mut self, now: Ms, spread: bool) {
        self.least = if spread {
            self.sure
        } else {
            now.max(self.sure)
        };
        self.most = self.most.max(now);
    }

    fn be_sure(&mut self, now: Ms) {
        self.sure = self.sure.max(now);
        self.least = self.least.max(now);
        self.most = self.most.max(now);
    }

    /// Nobody was seen in times to come, whatever the clock once was.
    fn shown(&self, now: Ms) -> Value {
        json!({"?between": [time(self.least.min(now)), time(self.most.min(now))]})
    }
}

impl Model {
    pub fn find(&self, name: &str) -> Option<UserIx> {
        let name = name.to_lowercase();
        self.users
            .iter()
            .position(|user| user.name.to_lowercase() == name)
    }

    pub fn everybody(&self) -> Vec<UserIx> {
        (0..self.users.len()).collect()
    }

    /// `POST /connect`; `theirs` is the user whose live client's token came with it.
    pub fn connect(
        &mut self,
        name: &str,
        password: Option<&str>,
        theirs: Option<UserIx>,
        seen: &Value,
    ) -> Outcome {
        let is_allowed = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if !(1..=32).contains(&name.chars().count())
            || !name.chars().all(is_allowed)
            || !name.chars().any(char::is_alphanumeric)
            || name.eq_ignore_ascii_case("me")
        {
            return Err(Refusal::invalid("name"));
        }
        let known = self.find(name);
        let user = match known {
            Some(user) => {
                let needs = &self.users[user].password;
                if theirs != Some(user) {
                    match needs {
                        None => return Err(Refusal::new(409, "name_taken")),
                        Some(needs) if password != Some(needs) => {
                            return Err(Refusal::new(401, "wrong_password"));
                        }
                        Some(_) => {}
                    }
                }
                user
            }
            None => {
                let joined = self.moment(None);
                self.users.push(User {
                    name: name.to_owned(),
                    password: password.map(str::to_owned),
                    marks: [(COMMON, joined)].into(),
                    seen: Seen::certain(self.now),
                    ..User::default()
                });
                self.users.len() - 1
            }
        };
        let id = seen["client"].as_str().unwrap_or_default().to_owned();
        let (since, seen) = (self.now, Seen::certain(self.now));
        self.users[user].seen.be_sure(since);
        self.users[user]
            .clients
            .insert(id.clone(), Client { since, seen });
        let data = json!({"id": id, "agent": AGENT, "since": time(since), "live": true});
        self.tell(vec![user], Told::Plain("client", data));
        let chats = self.chats(user);
        let unread = chats.iter().filter(|chat| chat["unread"] != 0);
        let unread: serde_json::Map<_, _> = unread
            .map(|chat| {
                (
                    chat["chat"].as_str().unwrap_or_default().to_owned(),
                    chat["unread"].clone(),
                )
            })
            .collect();
        let history = self.latest(user, COMMON, super::HISTORY);
        let body = json!({
            "user": {"name": self.users[user].name},
            "client": {"?any": true},
            "token": {"?any": true},
            "chats": chats,
            "history": self.hand(user, &history),
            "unread": unread,
            "cursor": {"?any": true},
        });
        Ok(Answer::new(if known.is_some() { 200 } else { 201 }, body))
    }

    pub fn disconnect(&mut self, by: UserIx, client: &str, all: bool) -> Answer {
        let user = &mut self.users[by];
        let ids = if all {
            user.clients.keys().cloned().collect()
        } else {
            vec![client.to_owned()]
        };
        user.seen.be_sure(self.now);
        for id in ids {
            self.users[by].clients.remove(&id);
            self.tell(
                vec![by],
                Told::Plain("client", json!({"id": id, "live": false})),
            );
        }
        Answer::none()
    }

    /// A client asked for something.
    pub fn asked(&mut self, by: UserIx, client: &str) {
        let user = &mut self.users[by];
        user.seen.ask(self.now, self.spread);
        if let Some(client) = user.clients.get_mut(client) {
            client.seen.ask(self.now, self.spread);
        }
    }

    /// The server has started again; killed, it may have forgotten when it saw whom.
    pub fn restarted(&mut self, killed: bool) {
        self.up_since = self.now;
        for user in &mut self.users {
            (user.polled, user.unsure) = (None, None);
            let clients = user.clients.values_mut().map(|client| &mut client.seen);
            for seen in clients.chain([&mut user.seen]).filter(|_| killed) {
                seen.least = seen.sure;
            }
        }
    }

    /// One of several nodes was killed, and has started again.
    pub fn lost_a_node(&mut self) {
        for user in &mut self.users {
            if user.polled.take().is_some() {
                user.unsure = Some(Instant::now() + FORGOTTEN);
            }
        }
    }

    pub fn list_users(&self, after: Option<&str>, limit: u64) -> Answer {
        let mut users: Vec<&User> = self.users.iter().collect();
        users.sort_by_key(|user| user.name.to_lowercase());
        let after = after.map(str::to_lowercase);
        users.retain(|user| {
            after
                .as_ref()
                .is_none_or(|after| user.name.to_lowercase() > *after)
        });
        let more = users.len() > limit as usize;
        let users = users.iter().take(limit as usize).map(|user| {
            let online = match user.online(self.spread) {
                (0, 1) => json!({"?any": true}),
                (sure, _) => json!(sure == 1),
            };
            json!({"name": user.name, "online": online, "seen": user.seen.shown(self.now)})
        });
        Answer::ok(json!({"users": users.collect::<Vec<_>>(), "more": more}))
    }

    /// How many of these users are online: at least and at most.
    pub fn online(&self, users: &[UserIx]) -> Value {
        let counts = users
            .iter()
            .map(|user| self.users[*user].online(self.spread));
        let (least, most) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        json!({"?count": [least, most]})
    }

    pub fn status(&mut self, by: UserIx, client: &str) -> Answer {
        let chats = self.chats(by);
        let user = &self.users[by];
        let clients = user.clients.iter().map(|(id, own)| {
            json!({
                "id": id,
                "agent": AGENT,
                "since": time(own.since),
                "seen": own.seen.shown(self.now),
                "current": id == client,
            })
        });
        let mut shown = json!({"name": user.name, "clients": clients.collect::<Vec<_>>()});
        for (feature, part) in [
            ("complaints", self.own_case(by)),
            ("rate_limit", self.standing(by)),
            ("schedule", self.waiting(by)),
        ] {
            if self.has(feature) {
                shown[feature] = part;
            }
        }
        let mut server = json!({
            "name": "veche",
            "version": {"?any": true},
            "uptime_s": {"?any": true},
            "features": self.has,
            "text": super::TEXT,
        });
        let window = json!({"window_s": WINDOW / 1000, "keep_history": false});
        let max = json!({"max_size": MAX_SIZE});
        for (feature, part) in [("edits", window), ("files", max)] {
            if self.has(feature) {
                server[feature] = part;
            }
        }
        Answer::ok(json!({"server": server, "user": shown, "chats": chats}))
    }
}

impl User {
    fn online(&self, spread: bool) -> (u64, u64) {
        let unsure = self.unsure.is_some_and(|until| Instant::now() < until);
        match self.polled.map(|at| at.elapsed()) {
            Some(ago) if ago < SURELY && (!spread || ago > TOLD) => (1, 1),
            Some(ago) if ago < POSSIBLY => (0, 1),
            _ => (0, u64::from(unsure)),
        }
    }
}
