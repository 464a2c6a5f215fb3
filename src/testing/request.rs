//! A request and its answer.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Method};

/// Longest answer taken; a page of 200 messages of 4000 characters each is well below.
const LIMIT: u64 = 64 * 1024 * 1024;

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    url: String,
    token: String,
    agent: ureq::Agent,
    method: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(super) fn new(agent: ureq::Agent, method: &str, url: String, token: &str) -> Self {
        Self {
            url,
            token: token.to_owned(),
            agent,
            method: method.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// One more header; one named like one of the harness's own takes its place.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A JSON body, with its type.
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string(), "application/json")
    }

    /// A body of any bytes and type.
    pub fn body(mut self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", content_type)
    }

    /// A body without a `Content-Type`.
    pub fn untyped(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.url);
        self.try_send()
            .unwrap_or_else(|error| panic!("no answer to {what}: {error}"))
    }

    /// Sends it; a connection that fails, as under a server that is killed, is an error.
    ///
    /// # Errors
    /// What went wrong on the way.
    ///
    /// # Panics
    /// Where the request itself cannot be written, such as a path with a space.
    pub fn try_send(self) -> Result<Reply, Box<ureq::Error>> {
        let method: Method = self.method.parse().expect("a method");
        let mut request = ureq::http::Request::builder()
            .method(&method)
            .uri(&self.url);
        if !self.token.is_empty() && !self.has("authorization") {
            request = request.header("Authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let agent = &self.agent;
        let sent = match self.body {
            Some(body) => agent.run(request.body(body).expect("a request")),
            // A POST without a body still says so, or it would have none that ends.
            None if method == Method::POST => {
                agent.run(request.body(Vec::new()).expect("a request"))
            }
            None => agent.run(request.body(()).expect("a request")),
        };
        let (parts, body) = sent?.into_parts();
        let bytes = body.into_with_config().limit(LIMIT).read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        })
    }

    fn has(&self, name: &str) -> bool {
        let mut names = self.headers.iter().map(|(name, _)| name);
        names.any(|header| header.eq_ignore_ascii_case(name))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as JSON; `null` where it is none.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Reply {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// Where the status is another.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.body.clone()
    }

    /// The body of a refusal: RFC 9457's `application/problem+json` with all that the contract
    /// promises, this status and this `code`.
    ///
    /// # Panics
    /// Where any of that is missing or another.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert_eq!(self.body["code"], code, "{self}");
        assert_eq!(self.body["status"], status, "{self}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{self}");
        for field in ["type", "title", "detail"] {
            let text = self.body[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "a problem says its {field}: {self}");
        }
        self.body.clone()
    }

    /// Whole seconds of `Retry-After`.
    ///
    /// # Panics
    /// Where there is no such header, or it is no whole number.
    pub fn retry_after(&self) -> Duration {
        let seconds = self
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        Duration::from_secs(seconds.unwrap_or_else(|| panic!("no whole Retry-After: {self}")))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", self.text)
    }
}
