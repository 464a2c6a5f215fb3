//! The calls of the HTTP API that the client makes.

mod files;

use std::io::Read;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use super::answer::{CallError, Connected, Page, Problem, Status, Users};
use super::retry::{Backoff, Gate, Woken, dice};

const CONNECT: Duration = Duration::from_secs(10);
/// Whether a server is there is to be known soon.
const PROBE: Duration = Duration::from_secs(5);
/// A whole call, but a stream.
const CALL: Duration = Duration::from_secs(30);
/// The server sends a comment each 15 s; a stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(40);
/// 200 messages of 4,000 characters of four bytes, with room for what features add.
const MAX_ANSWER: u64 = 32 << 20;
/// Where an error page of a proxy is read up to.
const MAX_PROBLEM: u64 = 64 << 10;

/// A server, and the token to call it with. It has no `Debug`, so that no token is ever logged.
pub struct Api {
    agent: Agent,
    base: String,
    /// How an `https:` server is verified.
    trust: Option<TlsConfig>,
    token: RwLock<Option<String>>,
    /// Where those pause who try again; an answer to anybody is their time to do so.
    pub(super) gate: Gate,
}

impl Api {
    /// The API at an `http:` base URL that [`base_url`] has accepted.
    pub fn new(base: &str) -> Api {
        Api::at(base, None, None, Gate::default())
    }

    /// The same at an `https:` one.
    pub fn trusting(base: &str, trust: TlsConfig) -> Api {
        Api::at(base, Some(trust), None, Gate::default())
    }

    fn at(base: &str, trust: Option<TlsConfig>, token: Option<String>, gate: Gate) -> Api {
        Api {
            agent: agent(base, trust.clone()),
            base: base.to_owned(),
            trust,
            token: RwLock::new(token),
            gate,
        }
    }

    /// The same API with the same token, over connections of its own that can be cut.
    pub fn fork(&self) -> Api {
        Api::at(
            &self.base,
            self.trust.clone(),
            self.token(),
            self.gate.clone(),
        )
    }

    /// Closes every connection: what is under way fails at once, and so does what comes later.
    pub fn cut(&self) {
        self.agent.clone().shutdown();
    }

    /// The server's base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that calls carry.
    pub fn token(&self) -> Option<String> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Makes calls carry this token.
    pub fn set_token(&self, token: Option<String>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// `GET` of a path with a query.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, CallError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let (_, body) = self.heard(request.header("Accept", "application/json").call())?;
        Ok(body)
    }

    /// `POST` of a JSON body: the status and the answer, which is null where there is none.
    pub fn post(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<(u16, Value), CallError> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Accept", "application/json")
            .header("Content-Type", "application/json");
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.heard(request.send(body.to_string()))
    }

    /// An answer; one that the server itself has given wakes those who wait for it.
    fn heard(
        &self,
        result: Result<Response<Body>, ureq::Error>,
    ) -> Result<(u16, Value), CallError> {
        let answer = answer(result);
        match &answer {
            Ok(_) => self.gate.rouse(),
            Err(error @ CallError::Refused(_)) if !error.passes() => self.gate.rouse(),
            Err(_) => {}
        }
        answer
    }

    /// `DELETE`: the answer, which is null where there is none.
    pub fn delete(&self, path: &str) -> Result<Value, CallError> {
        let mut request = self
            .agent
            .delete(format!("{}{path}", self.base))
            .header("Accept", "application/json");
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let (_, body) = self.heard(request.call())?;
        Ok(body)
    }

    /// `POST`, repeated under one idempotency key while the server cannot be reached, so that it
    /// is done once however often it is sent. Gives up after `patience`, or when the gate closes;
    /// tells `waits` once that it has to wait.
    pub fn post_once(
        &self,
        (path, body, key): (&str, &Value, &str),
        patience: Duration,
        mut waits: impl FnMut(&CallError),
    ) -> Result<Value, CallError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new();
        let mut tries = 0u32;
        loop {
            let error = match self.post(path, body, Some(key)) {
                Ok((_, answer)) => return Ok(answer),
                Err(error) if !error.passes() => return Err(error),
                Err(error) => error,
            };
            tries += 1;
            if tries == 1 && matches!(error, CallError::Lost(_)) {
                // Most often the server had closed a connection that was kept open too long.
                continue;
            }
            if tries <= 2 {
                waits(&error);
            }
            let left = patience.saturating_sub(begun.elapsed());
            let asked = error.retry_after().unwrap_or_default();
            let pause = backoff.next(dice()).max(asked).min(left);
            // The last try comes when the time is over, and not before.
            if left.is_zero() || asked > left {
                return Err(error);
            }
            let ended = match asked.is_zero() {
                true => self.gate.pause(pause) == Woken::Closed,
                false => self.gate.wait(pause),
            };
            if ended {
                return Err(error);
            }
        }
    }

    /// `GET /healthz`: whether a server of this API is there, were it one that takes no writes now.
    /// It has 5 s to say so.
    pub fn is_there(&self) -> Result<(), CallError> {
        let strange = || CallError::Strange("/healthz is another's".to_owned());
        let request = self.agent.get(format!("{}/healthz", self.base));
        let request = request.config().timeout_global(Some(PROBE)).build();
        match answer(request.header("Accept", "application/json").call()) {
            Ok((_, answer)) if answer["status"].is_string() => Ok(()),
            Err(error) if error.is_status(503) => Ok(()),
            Ok(_) => Err(strange()),
            Err(CallError::Refused(_)) => Err(strange()),
            Err(error) => Err(error),
        }
    }

    /// `POST /connect`.
    pub fn connect(&self, name: &str, password: Option<&str>) -> Result<Connected, CallError> {
        let mut body = json!({ "name": name });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        let (status, answer) = self.post("/connect", &body, None)?;
        let mut connected: Connected = typed(answer)?;
        connected.created = status == 201;
        Ok(connected)
    }

    /// Whether somebody has the name, guarded by a password; where it has none, or cannot be one, that is
    /// the error. Takes no name.
    pub fn knows(&self, name: &str) -> Result<bool, CallError> {
        let body = json!({ "name": name, "known": true });
        match self.post("/connect", &body, None) {
            Ok(_) => Ok(true),
            Err(error) if error.is_status(401) => Ok(true),
            Err(error) if error.is_status(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `GET /status`.
    pub fn status(&self) -> Result<Status, CallError> {
        typed(self.get("/status", &[])?)
    }

    /// `GET /messages`: the newest of a chat, or those that follow `after`.
    pub fn messages(&self, chat: &str, after: Option<u64>, limit: u16) -> Result<Page, CallError> {
        let limit = limit.to_string();
        let after = after.map(|id| id.to_string());
        let mut query = vec![("chat", chat), ("limit", limit.as_str())];
        if let Some(after) = &after {
            query.push(("after", after));
        }
        typed(self.get("/messages", &query)?)
    }

    /// `GET /messages`: the last of a chat before `before`, or the newest.
    pub fn older(&self, chat: &str, before: Option<u64>, limit: u16) -> Result<Page, CallError> {
        let limit = limit.to_string();
        let before = before.map(|id| id.to_string());
        let mut query = vec![("chat", chat), ("limit", limit.as_str())];
        if let Some(before) = &before {
            query.push(("before", before));
        }
        typed(self.get("/messages", &query)?)
    }

    /// `GET /unread`.
    pub fn unread(&self, limit: u16) -> Result<Page, CallError> {
        typed(self.get("/unread", &[("limit", &limit.to_string())])?)
    }

    /// The first unread message of a chat, by `GET /unread`.
    pub fn first_unread(&self, chat: &str) -> Result<Option<u64>, CallError> {
        let page: Page = typed(self.get("/unread", &[("chat", chat), ("limit", "1")])?)?;
        Ok(page.messages.first().and_then(|first| first["id"].as_u64()))
    }

    /// `GET /messages/ID/comments`.
    pub fn comments(&self, message: u64, after: u64) -> Result<Page, CallError> {
        let path = format!("/messages/{message}/comments");
        typed(self.get(&path, &[("after", &after.to_string())])?)
    }

    /// `GET /users`.
    pub fn users(&self, after: &str) -> Result<Users, CallError> {
        let mut query = vec![("limit", "200")];
        if !after.is_empty() {
            query.push(("after", after));
        }
        typed(self.get("/users", &query)?)
    }

    /// `GET /events` as a stream, from where `last` ended or from now on. A read of it fails when
    /// the server is silent for 40 s.
    pub fn events(&self, last: Option<&str>) -> Result<impl Read + use<>, CallError> {
        let mut request = self
            .agent
            .get(format!("{}/events", self.base))
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build()
            .header("Accept", "text/event-stream");
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.call()?;
        if response.status() != 200 {
            return Err(refusal(response));
        }
        match response.body().mime_type() {
            Some("text/event-stream") => Ok(response.into_body().into_reader()),
            other => Err(CallError::Strange(format!(
                "/events is {}",
                other.unwrap_or("of no type")
            ))),
        }
    }
}

fn agent(base: &str, trust: Option<TlsConfig>) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("veche-chat/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(CALL));
    // A proxy set for the wide net has nothing to do with this machine.
    if is_local(base) {
        config = config.proxy(None);
    }
    if let Some(trust) = trust {
        config = config.tls_config(trust);
    }
    config.build().new_agent()
}

fn answer(result: Result<Response<Body>, ureq::Error>) -> Result<(u16, Value), CallError> {
    let mut response = result?;
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(response));
    }
    let body = response.body_mut().with_config().limit(MAX_ANSWER);
    let body = body.read_to_vec()?;
    if body.is_empty() {
        return Ok((status.as_u16(), Value::Null));
    }
    match serde_json::from_slice(&body) {
        Ok(value) => Ok((status.as_u16(), value)),
        Err(error) => Err(CallError::Strange(error.to_string())),
    }
}

fn refusal(mut response: Response<Body>) -> CallError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = response.body_mut().with_config().limit(MAX_PROBLEM);
    // A proxy's error page has no problem in it: the status alone is then told.
    let body = body.read_to_vec().unwrap_or_default();
    let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    problem.status = status;
    problem.retry_after = retry_after;
    CallError::Refused(Box::new(problem))
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers
        .get("retry-after")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, CallError> {
    serde_json::from_value(value).map_err(|error| CallError::Strange(error.to_string()))
}

/// A part of a path, percent-encoded, so that it is one part whatever is in it.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            // Two dots alone would be another part.
            b'.' if !text.trim_matches('.').is_empty() => out.push('.'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The base URL of a server as the user wrote it: `http://` may be left out, a path may follow.
/// The error is a sentence for the user.
pub fn base_url(server: &str) -> Result<String, String> {
    let server = server.trim();
    let full = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let wrong = |why: &str| Err(format!("{server:?} is no server's address: {why}"));
    let Ok(uri) = full.parse::<Uri>() else {
        return wrong("write it like http://127.0.0.1:8000");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return wrong("write it like http://127.0.0.1:8000");
    };
    if !matches!(scheme, "http" | "https") {
        return wrong("this client speaks http and https");
    }
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return wrong("it is a host and a port, with no user before them");
    }
    if uri.query().is_some() {
        return wrong("it has no query");
    }
    let host = authority.as_str().to_lowercase();
    Ok(format!(
        "{scheme}://{host}{}",
        uri.path().trim_end_matches('/')
    ))
}

fn is_local(base: &str) -> bool {
    let uri = base.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("");
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Reply, serve};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Posts to a server that gives these answers in turn: the result, and how many came.
    fn post(replies: Vec<fn() -> Reply>) -> (Result<Value, CallError>, usize) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let key = std::sync::OnceLock::new();
        let base = serve(move |asked| {
            let sent = asked.field("idempotency-key").map(str::to_owned);
            assert_eq!(
                key.get_or_init(|| sent.clone()),
                &sent,
                "every try has the same key"
            );
            assert_eq!(sent.as_deref(), Some("0123456789abcdef"));
            replies[counted.fetch_add(1, Ordering::SeqCst)]()
        });
        let api = Api::new(&base);
        let patience = Duration::from_secs(2);
        let body = json!({});
        let call = ("/send", &body, "0123456789abcdef");
        let result = api.post_once(call, patience, |_| {});
        (result, count.load(Ordering::SeqCst))
    }

    #[test]
    fn a_post_whose_answer_was_lost_is_sent_again_under_the_same_key() {
        let (result, count) = post(vec![|| Reply::Lost, || Reply::Json(503, json!({})), || {
            Reply::Json(201, json!({"id": 7}))
        }]);
        assert_eq!(result.unwrap()["id"], 7);
        assert_eq!(count, 3);
    }

    #[test]
    fn a_refused_post_is_not_sent_again() {
        let (result, count) = post(vec![|| {
            Reply::Json(403, json!({"code": "banned", "detail": "you are banned"}))
        }]);
        let error = result.unwrap_err();
        assert!(error.is_status(403));
        assert_eq!(error.to_string(), "you are banned");
        assert_eq!(count, 1);
    }

    #[test]
    fn a_closed_gate_ends_the_tries() {
        let base = serve(|_| Reply::Lost);
        let api = Api::new(&base);
        let patience = Duration::from_secs(3_600);
        let call = ("/send", &json!({}), "key");
        let result = api.post_once(call, patience, |_| api.gate.close());
        assert!(matches!(result, Err(CallError::Lost(_))));
    }

    #[test]
    fn an_answer_to_anybody_wakes_who_waits_for_the_server() {
        let api = Api::new(&serve(|asked| match asked.path.as_str() {
            "/read" => Reply::Json(204, Value::Null),
            "/send" => Reply::Json(404, json!({"code": "unknown_chat"})),
            _ => Reply::Json(503, json!({})),
        }));
        let woken = |path: &'static str| {
            let call = || drop(api.fork().post(path, &json!({}), None));
            std::thread::scope(|scope| {
                let pausing = scope.spawn(|| api.gate.pause(Duration::from_millis(700)));
                while !pausing.is_finished() {
                    call();
                }
                pausing.join().unwrap()
            })
        };
        assert_eq!(woken("/read"), Woken::Roused);
        assert_eq!(woken("/send"), Woken::Roused);
        assert_eq!(woken("/busy"), Woken::Over, "it takes nothing yet");
    }

    #[test]
    fn an_answer_that_is_not_the_apis_is_told_from_a_lost_one() {
        let api = Api::new(&serve(|_| Reply::Stream("<html>".to_owned())));
        assert!(matches!(api.status(), Err(CallError::Strange(_))));
        let api = Api::new(&serve(|_| Reply::Json(200, json!({}))));
        assert!(matches!(
            api.events(None).err(),
            Some(CallError::Strange(_))
        ));
        assert!(matches!(api.is_there(), Err(CallError::Strange(_))));
        let api = Api::new(&serve(|_| Reply::Json(200, json!({"status": "ok"}))));
        assert!(api.is_there().is_ok());
    }

    #[test]
    fn an_address_is_taken_with_and_without_its_scheme() {
        for (written, base) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
            ("localhost:8000", "http://localhost:8000"),
            ("HTTP://Chat.Example.org", "http://chat.example.org"),
            ("http://example.org/veche/", "http://example.org/veche"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("HTTPS://example.org/", "https://example.org"),
        ] {
            assert_eq!(base_url(written).as_deref(), Ok(base), "{written}");
        }
    }

    #[test]
    fn what_is_no_address_is_explained() {
        for bad in [
            "",
            "https://",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "x?y",
            "a b",
        ] {
            assert!(
                base_url(bad)
                    .unwrap_err()
                    .contains("is no server's address"),
                "{bad}"
            );
        }
    }

    #[test]
    fn this_machine_is_called_without_a_proxy() {
        assert!(is_local("http://127.0.0.1:8000"));
        assert!(is_local("http://localhost"));
        assert!(is_local("http://[::1]:8000"));
        assert!(!is_local("http://example.org"));
    }

    #[test]
    fn a_part_of_a_path_is_one_part_whatever_is_in_it() {
        for (text, encoded) in [
            ("bob-1_2.3~", "bob-1_2.3~"),
            ("a/b ?#%", "a%2Fb%20%3F%23%25"),
            ("Боб", "%D0%91%D0%BE%D0%B1"),
            ("..", "%2E%2E"),
        ] {
            assert_eq!(segment(text), encoded);
        }
    }

    #[test]
    fn pages_are_read_whatever_they_hold() {
        let page: Page = typed(json!({"comments": [1], "more": true})).unwrap();
        assert_eq!((page.messages.len(), page.more), (1, true));
        assert!(typed::<Page>(json!({"more": true})).is_err());
    }
}
