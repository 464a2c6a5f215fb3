//! What a program does over HTTP, without a connection: for features that speak another protocol to
//! people's programs ([`Site::inside`](super::Site::inside)).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;

use crate::client::sse::{Frame, Parser};
use crate::http::{Body, Chunk, Payload, Peer, Problem, RequestId, Response, Service, Source};
use crate::server::{Core, Gate};

/// The most bytes of an answer that are taken: more than the API gives.
const ANSWER: usize = 32 << 20;

/// Somebody at an address who asks this server what a program asks over HTTP. Nothing of it goes over
/// a connection, and all that is judged there is judged: rights, limits, guesses of passwords.
#[derive(Clone)]
pub struct Inside {
    core: Arc<Core>,
    peer: Peer,
    agent: HeaderValue,
    /// `Bearer TOKEN`, once there is one.
    bearer: Option<HeaderValue>,
}

/// An answer.
#[derive(Debug)]
pub struct Answered {
    /// Whether it was done, or why not.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its JSON; null where it has none.
    pub body: Value,
}

impl Answered {
    /// What a refusal is called, a stable word; empty where it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// What a refusal says, a sentence; empty where it is none.
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    /// When to come again, in seconds, where that is said.
    pub fn retry_after(&self) -> Option<u64> {
        let value = self.headers.get(RETRY_AFTER)?;
        value.to_str().ok()?.parse().ok()
    }
}

impl Inside {
    pub(super) fn new(core: Arc<Core>, address: IpAddr, agent: &str) -> Self {
        // What can't stand in a head is said of no client over HTTP either.
        let agent = HeaderValue::from_str(agent);
        Self {
            core,
            peer: Peer {
                address: address.to_canonical(),
                is_proxied: false,
            },
            agent: agent.unwrap_or(HeaderValue::from_static("unknown")),
            bearer: None,
        }
    }

    /// Asks with this token from now on. It is in no log, and not in what `Debug` shows.
    pub fn sign_in(&mut self, token: &str) {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok();
        self.bearer = bearer.map(|mut bearer| {
            bearer.set_sensitive(true);
            bearer
        });
    }

    /// `GET` of a path, with its query.
    pub async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, None).await
    }

    /// `POST` of JSON to a path.
    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// `DELETE` of a path.
    pub async fn delete(&self, path: &str) -> Answered {
        self.ask(Method::DELETE, path, None).await
    }

    /// The user's events after a cursor, or from now on.
    ///
    /// # Errors
    /// What `GET /events` refuses.
    pub async fn events(&self, after: Option<&str>) -> Result<Events, Answered> {
        let path = match after {
            Some(cursor) => format!("/events?after={cursor}"),
            None => "/events".to_owned(),
        };
        let response = self.answer(Method::GET, &path, None).await;
        let (parts, payload) = response.into_parts();
        match payload {
            Payload::Stream { source, .. } if parts.status == StatusCode::OK => Ok(Events {
                source,
                parser: Parser::new(),
                came: Vec::new(),
                waiting: VecDeque::new(),
            }),
            payload => Err(answered(parts, payload).await),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answered {
        let (parts, payload) = self.answer(method, path, body).await.into_parts();
        answered(parts, payload).await
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from_bytes(bytes));
        let mut request = match request {
            Ok(request) => request,
            Err(error) => {
                let detail = format!("this is no path: {error}");
                return Problem::new(StatusCode::NOT_FOUND, "not_found", detail).into_response();
            }
        };
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.agent.clone());
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.extensions_mut().insert(self.peer);
        let gate = Gate(Arc::clone(&self.core));
        RequestId::new().scope(gate.call(request)).await
    }
}

/// An answer, with all of its body; what is not JSON is null.
async fn answered(parts: http::response::Parts, payload: Payload) -> Answered {
    let bytes = match payload {
        Payload::Empty => Vec::new(),
        Payload::Full(bytes) => bytes.into(),
        Payload::Stream { mut source, .. } => {
            let mut all = Vec::new();
            let mut pieces = Vec::new();
            while all.len() < ANSWER && next(source.as_mut(), &mut pieces).await {
                pieces.drain(..).for_each(|piece| all.extend(piece.data()));
            }
            pieces.iter().for_each(|piece| all.extend(piece.data()));
            all
        }
    };
    Answered {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

/// What a source has next, and whether there may be more.
async fn next(source: &mut dyn Source, pieces: &mut Vec<Chunk>) -> bool {
    poll_fn(|cx| source.poll_chunks(cx, pieces))
        .await
        .unwrap_or_else(|error| {
            tracing::debug!(%error, "an answer broke off");
            false
        })
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// A cursor to go on after it; none for what is live only.
    pub id: Option<String>,
    /// What kind of event it is.
    pub kind: String,
    /// Its data.
    pub data: Value,
}

/// A user's events, one after the other. Between two askings nothing is read ahead but what the
/// server hands out at once: who does not ask costs a bounded queue, and misses nothing. To ask for more is
/// also to say that what came before is with whom it is for.
pub struct Events {
    source: Box<dyn Source>,
    parser: Parser,
    came: Vec<Frame>,
    waiting: VecDeque<Happened>,
}

impl Events {
    /// The next one; none when there will be no more: the client is signed out, or the server stops.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Happened> {
        loop {
            if let Some(happened) = self.waiting.pop_front() {
                return Some(happened);
            }
            let mut pieces = Vec::new();
            let more = next(self.source.as_mut(), &mut pieces).await;
            for piece in pieces {
                self.parser.feed(piece.data(), &mut self.came);
            }
            self.waiting
                .extend(self.came.drain(..).filter_map(happened));
            if !more && self.waiting.is_empty() {
                return None;
            }
        }
    }
}

fn happened(frame: Frame) -> Option<Happened> {
    match frame {
        Frame::Event { kind, data, id } => Some(Happened {
            id,
            kind,
            data: serde_json::from_str(&data).ok()?,
        }),
        Frame::Retry(_) | Frame::Oversized => None,
    }
}
