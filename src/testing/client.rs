//! One client of a user: its token, and the core's verbs in short.

use std::fmt;

use serde_json::{Value, json};

use super::{Event, Events, PATIENCE, Reply, Request, front};

/// Connections that a client keeps open, where they are not spread over nodes.
const IDLE: usize = 10;

/// Percent-encodes a part of a path or a query's value.
pub fn encode(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A connected client. It keeps its connections, as programs do, and its token, which outlives a
/// restart of the server. Cloning it makes no further client: both are the same one.
#[derive(Clone)]
pub struct Client {
    /// The user's name, as the server gave it back.
    pub name: String,
    /// The client's id.
    pub id: String,
    /// The token; empty for a guest.
    pub token: String,
    /// The whole answer to `POST /connect`; `null` for a guest.
    pub welcome: Value,
    url: String,
    agent: ureq::Agent,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `url` with this token, whatever that is worth.
    pub fn new(url: &str, token: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .proxy(None)
            .user_agent("veche-testing")
            .timeout_global(Some(PATIENCE * 2))
            .max_idle_connections(if front::is_at(url) { 0 } else { IDLE })
            .build()
            .new_agent();
        Self {
            name: String::new(),
            id: String::new(),
            token: token.to_owned(),
            welcome: Value::Null,
            url: url.to_owned(),
            agent,
        }
    }

    /// The client that an answer to `POST /connect` speaks of.
    ///
    /// # Panics
    /// Where the answer lacks its name, id or token.
    pub fn welcomed(url: &str, welcome: &Value) -> Self {
        let field = |value: &Value| value.as_str().map(str::to_owned);
        let mut client = Self::new(url, "");
        client.name = field(&welcome["user"]["name"]).expect("connect answers user.name");
        client.id = field(&welcome["client"]).expect("connect answers client");
        client.token = field(&welcome["token"]).expect("connect answers token");
        client.welcome = welcome.clone();
        client
    }

    /// A further client of the same user, let in by this one's token.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn again(&self) -> Self {
        let reply = self.post("/connect", &json!({ "name": self.name }));
        Self::welcomed(&self.url, &reply.expect(200))
    }

    /// A request to fill in and [`send`](Request::send).
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(
            self.agent.clone(),
            method,
            format!("{}{path}", self.url),
            &self.token,
        )
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }

    /// `HEAD`.
    pub fn head(&self, path: &str) -> Reply {
        self.request("HEAD", path).send()
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send()
    }

    /// `POST` of JSON with an `Idempotency-Key`.
    pub fn post_once(&self, key: &str, path: &str, body: &Value) -> Reply {
        self.request("POST", path)
            .header("Idempotency-Key", key)
            .json(body)
            .send()
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send()
    }

    /// `POST /send`, whatever comes of it.
    pub fn send(&self, to: &str, text: &str) -> Reply {
        self.post("/send", &json!({ "to": to, "text": text }))
    }

    /// Posts to the common chat; the message.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn say(&self, text: &str) -> Value {
        self.send("common", text).expect(201)
    }

    /// Posts to a user; the message.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn tell(&self, name: &str, text: &str) -> Value {
        self.send(&format!("@{name}"), text).expect(201)
    }

    /// The newest messages of a chat, oldest first: one page of `GET /messages`.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn messages(&self, chat: &str) -> Vec<Value> {
        let path = format!("/messages?limit=200&chat={}", encode(chat));
        list(&self.get(&path).expect(200)["messages"])
    }

    /// All of a chat, oldest first, page by page from the beginning.
    ///
    /// # Panics
    /// Where the server refuses, or a page that says `more` has nothing on it.
    pub fn history(&self, chat: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, id);
            let path = format!("/messages?limit=200&after={after}&chat={}", encode(chat));
            let page = self.get(&path).expect(200);
            let messages = list(&page["messages"]);
            let more = page["more"].as_bool().expect("`more` is a bool");
            assert!(!(more && messages.is_empty()), "more after nothing: {page}");
            all.extend(messages);
            if !more {
                return all;
            }
        }
    }

    /// The texts of [`messages`](Self::messages).
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn texts(&self, chat: &str) -> Vec<String> {
        texts(&self.messages(chat))
    }

    /// What is unread, in every chat, oldest first.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn unread(&self) -> Vec<Value> {
        list(&self.get("/unread?limit=200").expect(200)["messages"])
    }

    /// `GET /status`.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn status(&self) -> Value {
        self.get("/status").expect(200)
    }

    /// One chat's part of `GET /status`.
    ///
    /// # Panics
    /// Where the server refuses, or lists no such chat.
    pub fn chat(&self, chat: &str) -> Value {
        let status = self.status();
        let chats = list(&status["chats"]);
        let found = chats.into_iter().find(|entry| entry["chat"] == chat);
        found.unwrap_or_else(|| panic!("{chat} is none of {}'s chats: {status}", self.name))
    }

    /// Marks a chat read up to and including a message.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn read(&self, chat: &str, upto: &Value) {
        self.post("/read", &json!({ "chat": chat, "upto": upto }))
            .expect(204);
    }

    /// Marks everything read.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn read_all(&self) {
        self.post("/read", &json!({})).expect(204);
    }

    /// Ends this client.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn disconnect(&self) {
        self.post("/disconnect", &json!({})).expect(204);
    }

    /// The position of now: the `cursor` of the hello that a new stream begins with.
    pub fn cursor(&self) -> String {
        self.events().cursor().to_owned()
    }

    /// A stream of what happens from now on.
    ///
    /// # Panics
    /// Where the server refuses, or does not begin with `hello`.
    pub fn events(&self) -> Events {
        Events::open(&self.url, &self.token, "/events", &[])
    }

    /// A stream of all that has happened since `cursor`.
    ///
    /// # Panics
    /// Where the server refuses, or does not begin with `hello`.
    pub fn events_after(&self, cursor: &str) -> Events {
        let path = format!("/events?after={}", encode(cursor));
        Events::open(&self.url, &self.token, &path, &[])
    }

    /// [`events_after`](Self::events_after), for a server that may be down just now.
    ///
    /// # Errors
    /// In words, why there is no stream.
    pub fn try_events_after(&self, cursor: &str) -> Result<Events, String> {
        let path = format!("/events?after={}", encode(cursor));
        Events::try_open(&self.url, &self.token, &path, &[])
    }

    /// A stream with headers of the test's own.
    ///
    /// # Panics
    /// Where the server refuses, or does not begin with `hello`.
    pub fn events_with(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        Events::open(&self.url, &self.token, path, headers)
    }

    /// One long poll: its events, and the cursor for the next.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn poll(&self, cursor: &str, wait: &str) -> (Vec<Event>, String) {
        let path = format!("/events?after={}&wait={wait}", encode(cursor));
        let reply = self
            .request("GET", &path)
            .header("Accept", "application/json")
            .send();
        let body = reply.expect(200);
        let events = list(&body["events"]);
        let next = body["cursor"].as_str().expect("a poll answers a cursor");
        (events.iter().map(Event::of).collect(), next.to_owned())
    }
}

/// The elements of an array.
fn list(value: &Value) -> Vec<Value> {
    let list = value.as_array();
    list.unwrap_or_else(|| panic!("not an array: {value}"))
        .clone()
}

fn id(message: &Value) -> u64 {
    let id = message["id"].as_u64();
    id.unwrap_or_else(|| panic!("no id: {message}"))
}

fn texts(messages: &[Value]) -> Vec<String> {
    let text = |message: &Value| message["text"].as_str().unwrap_or_default().to_owned();
    messages.iter().map(text).collect()
}
