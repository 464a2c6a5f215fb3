//! The server put together: settings, features, log, bus, hub and HTTP; and the way of one
//! request through them.

mod admin;
mod deciding;
mod descriptors;
mod error;
mod gate;
mod guesses;
mod lane;
mod signals;
mod start;
mod systemd;
mod works;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::bus::{Answer, Body, Bus, Hub, internal};
use crate::chat::{self, Glimpses, Passwords, Tails};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::counts::{COUNTS, RouteCounts, signed};
use crate::feature::{Features, Run};
use crate::http::{Payload, Problem, Request, Response, Router};
use crate::log::reader::{Reader, Reading};
use crate::log::sqlite;
use crate::log::{Id, MessageRow, UserId};
use crate::objects::{Download, Stores};
use crate::openapi::Description;

use admin::Board;
pub(crate) use deciding::Asking;
pub(crate) use error::ServeError;
pub(crate) use gate::{Gate, digest, idempotency_key, peer};
use guesses::Guesses;
pub(crate) use lane::Lane;
pub(crate) use start::{check_cluster, check_stores, check_tls, lock, serve};
pub(crate) use systemd::listener;
pub(crate) use works::check_doors;

/// How a client shows who it is.
pub(crate) const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// What every handler reaches.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) bus: Bus,
    pub(crate) reader: Reader,
    /// The newest messages of chats.
    pub(crate) tails: Tails,
    /// What users saw of their chats.
    pub(crate) glimpses: Glimpses,
    pub(crate) hub: Arc<Hub>,
    pub(crate) features: Arc<Features>,
    pub(crate) passwords: Passwords,
    /// For looking for words.
    pub(crate) searches: Lane<UserId>,
    pub(crate) guesses: Guesses,
    pub(crate) stores: Arc<Stores>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) started: Instant,
    router: Router<Target>,
    /// What administrators can ask for.
    board: Board,
    openapi: Description,
}

/// What a path leads to.
struct Target {
    path: &'static str,
    open: bool,
    body: bool,
    body_optional: bool,
    run: Run,
    /// The feature that is off, whose path this is.
    off: Option<&'static str>,
    counts: RouteCounts,
}

impl Core {
    /// A message that a user may see; 404 otherwise, as if it did not exist.
    pub(crate) async fn message(&self, id: Id, user: UserId) -> Result<MessageRow, Problem> {
        let bus = self.bus.clone();
        let sees = move |row: &MessageRow| bus.peek(|view| chat::sees(view, user, row));
        let row = self
            .reader
            .read(move |reading| reading.message(id, sees))
            .await
            .map_err(|error| internal("reading a message", &error))?;
        // What is not there takes as long as what may not be seen.
        let sees = self
            .bus
            .read(|view| row.as_ref().is_some_and(|row| chat::sees(view, user, row)))
            .await?;
        row.filter(|_| sees).ok_or_else(chat::no_message)
    }

    /// What the server has counted of itself, and what it finds when it looks now.
    pub(crate) async fn counted(&self) -> Result<String, Problem> {
        let failed = |error: &(dyn Error + 'static)| internal("reading what was counted", error);
        let floor = self.reader.read(Reading::floor).await;
        let floor = floor.map_err(|error| failed(&error))?;
        let position = self.bus.durable_pos();
        let users = self.bus.peek(|view| view.world().chat.user_count());
        let file = sqlite::file(&self.config.server.data);
        let wal = file.with_extension("db-wal");
        // One that can't be looked at is none.
        let size = |file: &Path| file.metadata().map_or(0, |metadata| metadata.len());
        for (gauge, found) in [
            (&COUNTS.streams, signed(self.hub.count())),
            (&COUNTS.writer_queue, signed(self.bus.waiting())),
            (&COUNTS.hub_queue, signed(self.hub.waiting())),
            (&COUNTS.log_facts, signed(position.saturating_sub(floor))),
            (&COUNTS.log_position, signed(position)),
            (&COUNTS.log_bytes, signed(size(&file))),
            (&COUNTS.wal_bytes, signed(size(&wal))),
            (
                &COUNTS.writable,
                i64::from(self.bus.health().problem().is_none()),
            ),
            (&COUNTS.users, signed(users)),
            (&COUNTS.online, signed(self.hub.online().len())),
        ] {
            gauge.set(found);
        }
        let now = self.bus.now().0 as f64 / 1000.0;
        let started = now - self.started.elapsed().as_secs_f64();
        COUNTS.text(started).map_err(|error| failed(&*error))
    }

    /// The API's description.
    pub(crate) fn openapi(&self) -> Response {
        json_response(StatusCode::OK, self.openapi.text())
    }
}

/// The answer of `GET /healthz`.
pub(crate) fn health(core: &Core) -> Result<Response, Problem> {
    match core.bus.health().problem() {
        Some(problem) => Err(problem),
        None => Ok(respond(Answer::ok(json!({"status": "ok"})))),
    }
}

/// A decision's answer as a response.
pub(crate) fn respond(answer: Answer) -> Response {
    let mut response = match (answer.body, answer.content) {
        // A value always has its JSON; its `Display` takes twice as long.
        (Body::Json(body), _) => {
            let json = serde_json::to_vec(&body).unwrap_or_default();
            json_response(answer.status, json.into())
        }
        (Body::Written(body), _) => json_response(answer.status, body),
        (Body::None, None) => Response::new(Payload::Empty),
        (Body::None, Some(content)) => {
            let length = content.range.end - content.range.start;
            let source = Download::new(content.object, content.range);
            Response::new(Payload::Stream {
                length: Some(length),
                source: Box::new(source),
            })
        }
    };
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.headers);
    if !answer.delivers.is_empty() {
        response.extensions_mut().insert(Delivers(answer.delivers));
    }
    response
}

/// The messages that a response delivers once it is written, in its extensions.
#[derive(Clone)]
struct Delivers(Vec<Id>);

fn json_response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Payload::Full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Nobody may cache an answer of the API or guess its type.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// The refusal of what is a feature's that is off.
fn off(feature: &str) -> Problem {
    let detail = format!("the feature `{feature}` is off on this server");
    Problem::new(StatusCode::NOT_FOUND, "feature_off", detail).with("feature", feature)
}

/// The refusal of a request without a live token.
pub(crate) fn unauthorized() -> Problem {
    let detail = "this needs `Authorization: Bearer TOKEN` with the token of a live client";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .header(WWW_AUTHENTICATE, CHALLENGE)
}

/// A request's JSON body; an optional one that is not there is `{}`.
pub(crate) async fn json_body(
    core: &Core,
    request: &mut Request,
    optional: bool,
) -> Result<Bytes, Problem> {
    let max = usize::try_from(core.config.server.body.bytes()).unwrap_or(usize::MAX);
    let mut kinds = request.headers().get_all(CONTENT_TYPE).iter().cloned();
    let (kind, another) = (kinds.next(), kinds.next());
    if another.is_some() || request.headers().contains_key(CONTENT_ENCODING) {
        return Err(unsupported_type());
    }
    if kind.is_none() && optional {
        let bytes = request.body_mut().bytes(max).await?;
        if bytes.is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        return Err(unsupported_type());
    }
    let is_json = kind
        .as_ref()
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            parts
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
                && parts.all(|part| {
                    let charset = part.to_ascii_lowercase();
                    !charset.starts_with("charset=")
                        || charset.trim_start_matches("charset=").trim_matches('"') == "utf-8"
                })
        });
    if !is_json {
        return Err(unsupported_type());
    }
    let bytes = request.body_mut().bytes(max).await?;
    if bytes.is_empty() && optional {
        return Ok(Bytes::from_static(b"{}"));
    }
    Ok(bytes)
}

fn unsupported_type() -> Problem {
    let detail = "the body must be plain JSON: one `Content-Type: application/json`, no encoding";
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_type",
        detail,
    )
}
