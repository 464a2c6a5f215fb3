//! The way of one request: CORS, its path, who asks, its idempotency key, its handler; and the
//! log line of what came of it.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::{Asking, Core, Delivers, Target, harden, json_body, off, respond, unauthorized};
use crate::bus::{Bus, KeySpec};
use crate::chat::Digest;
use crate::chat::connect::bearer;
use crate::chat::invalid;
use crate::counts::COUNTS;
use crate::feature::{Call, PrepareOpen, Run, answer_fixed};
use crate::http::{
    Chunk, Found, Params, Payload, Peer, Problem, Request, Response, Service, Source,
};
use crate::log::Id;

/// The headers that pages of other origins may read.
const EXPOSED: &str = "Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, \
     ETag, Content-Disposition, Content-Range, WWW-Authenticate, X-Request-Id";

/// The headers that pages of other origins may send.
const ACCEPTED: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, \
     If-Range, If-Match, If-None-Match, Accept";

/// The methods of the API.
const METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";

/// The HTTP layer's service: the core behind its gate.
pub(crate) struct Gate(pub(crate) Arc<Core>);

/// What a request turned out to be, for its log line.
#[derive(Default)]
struct Seen<'a> {
    target: Option<&'a Target>,
    /// Where it led to nothing: what may be shown of its path.
    beside: Option<String>,
    call: Option<Call>,
    code: Option<String>,
}

impl Service for Gate {
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            let begun = Instant::now();
            let method = request.method().clone();
            let peer = peer(&request);
            let origin = self.allowed_origin(request.headers());
            let mut seen = Seen::default();
            let mut response = match self.answer(request, &mut seen).await {
                Ok(response) => response,
                Err(problem) => {
                    seen.code = Some(problem.code.clone().into_owned());
                    problem.into_response()
                }
            };
            harden(response.headers_mut());
            self.deliver(&mut response);
            if !self.0.config.server.cors.is_empty() {
                share(response.headers_mut(), origin);
            }
            let took = begun.elapsed();
            let counts = seen
                .target
                .map_or(&COUNTS.elsewhere, |target| &target.counts);
            counts.count(response.status(), took);
            self.log(&method, peer, &seen, response.status(), took);
            response
        })
    }
}

impl Gate {
    /// Has the delivery of an answer's messages noted once it is written, and not before.
    fn deliver(&self, response: &mut Response) {
        let Some(Delivers(ids)) = response.extensions_mut().remove() else {
            return;
        };
        if let Payload::Full(bytes) = response.body_mut() {
            let handing = Handing {
                bus: self.0.bus.clone(),
                bytes: Some(std::mem::take(bytes)),
                ids,
            };
            let length = handing.bytes.as_ref().map(|bytes| bytes.len() as u64);
            let source = Box::new(handing);
            *response.body_mut() = Payload::Stream { length, source };
        }
    }

    async fn answer<'a>(
        &'a self,
        request: Request,
        seen: &mut Seen<'a>,
    ) -> Result<Response, Problem> {
        let core = &self.0;
        let path = request.uri().path();
        if request.method() == Method::OPTIONS {
            seen.beside = Some(outline(path));
            return self.options(&request);
        }
        let (target, params) = match core.router.find(request.method(), path) {
            Found::Target { target, params } => (target, params),
            Found::NotFound => {
                seen.beside = Some(outline(path));
                let detail = "there is nothing at this path";
                return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
            }
            Found::MethodNotAllowed { allow } => {
                seen.beside = Some(outline(path));
                let detail = format!("this path takes {}", allow.to_str().unwrap_or_default());
                return Err(Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    detail,
                )
                .header(ALLOW, allow));
            }
        };
        seen.target = Some(target);
        if target.open {
            is_on(target)?;
            return match &target.run {
                Run::Read(handler) => handler(Arc::clone(core), None, request).await,
                Run::Fixed(find) => answer_fixed(find, &params, &request),
                Run::Open(prepare) => self.open(prepare, params, request).await,
                Run::Write(_) | Run::Upload { .. } => Err(unauthorized()),
            };
        }
        let call = self.authenticate(&request, params).await?;
        seen.call = Some(call.clone());
        core.bus.seen(call.client);
        is_on(target)?;
        match &target.run {
            Run::Read(handler)
            | Run::Upload {
                receive: handler, ..
            } => handler(Arc::clone(core), Some(call), request).await,
            Run::Fixed(find) => answer_fixed(find, &call.params, &request),
            // Those are open.
            Run::Open(_) => Err(unauthorized()),
            Run::Write(_) => self.write(target, call, request).await,
        }
    }

    async fn write(
        &self,
        target: &Target,
        call: Call,
        mut request: Request,
    ) -> Result<Response, Problem> {
        let Run::Write(prepare) = &target.run else {
            return Err(unauthorized());
        };
        let key = idempotency_key(request.method(), request.headers())?;
        let bytes = if target.body {
            json_body(&self.0, &mut request, target.body_optional).await?
        } else {
            Bytes::new()
        };
        let key = key.map(|key| KeySpec {
            key,
            digest: digest(request.method(), request.uri().path(), &bytes),
        });
        let asking = Asking {
            by: Some((call.user, call.client)),
            method: request.method(),
            path: request.uri().path(),
            key,
            body: &bytes,
        };
        let decide = prepare(call, &bytes)?;
        self.0.decide(asking, decide).await.map(respond)
    }

    /// Has decided what whoever knows the path may ask for.
    async fn open(
        &self,
        prepare: &PrepareOpen,
        params: Params,
        mut request: Request,
    ) -> Result<Response, Problem> {
        let most = usize::try_from(self.0.config.server.body.bytes()).unwrap_or(usize::MAX);
        let bytes = request.body_mut().bytes(most).await?;
        let decide = prepare(params, &bytes)?;
        let asking = Asking {
            by: None,
            method: request.method(),
            path: request.uri().path(),
            key: None,
            body: &bytes,
        };
        match self.0.decide(asking, decide).await {
            Ok(answer) => Ok(respond(answer)),
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                Err(self.0.guesses.token(peer(&request), problem).await)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Whose token it is. One that is not found is looked for again once all is durable, since it
    /// may be ending just now, or not.
    async fn authenticate(&self, request: &Request, params: Params) -> Result<Call, Problem> {
        let token = bearer(request.headers())
            .map(Digest::of)
            .ok_or_else(unauthorized)?;
        let find = |view: &crate::bus::View<'_>| view.world().chat.client_by_token(token);
        let found = match self.0.bus.peek(find) {
            Some(found) => Some(found),
            None => self.0.bus.read(find).await?,
        };
        let found = match (found, &self.0.cluster) {
            // Another node may have given it a moment ago.
            (None, Some(cluster)) => {
                cluster.catch_up().await;
                self.0.bus.read(find).await?
            }
            (found, _) => found,
        };
        let Some((client, user)) = found else {
            return Err(self.0.guesses.token(peer(request), unauthorized()).await);
        };
        Ok(Call {
            user,
            client,
            params,
        })
    }

    fn options(&self, request: &Request) -> Result<Response, Problem> {
        let mut response = Response::new(Payload::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        let path = request.uri().path();
        // A method that nobody has, so that the answer lists those that the path takes.
        let nobody = Method::from_bytes(b"-").unwrap_or(Method::TRACE);
        let allow = match self.0.router.find(&nobody, path) {
            _ if path == "*" => HeaderValue::from_static(METHODS),
            Found::MethodNotAllowed { allow } => allow,
            Found::Target { .. } => HeaderValue::from_static(METHODS),
            Found::NotFound => {
                let detail = "there is nothing at this path";
                return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
            }
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, allow);
        if request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed_origin(request.headers()).is_some()
        {
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static(METHODS),
            );
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(ACCEPTED),
            );
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        }
        Ok(response)
    }

    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let allowed = &self.0.config.server.cors;
        if allowed.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        allowed
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
            .then(|| origin.clone())
    }

    fn log(
        &self,
        method: &Method,
        peer: Option<IpAddr>,
        seen: &Seen<'_>,
        status: StatusCode,
        took: Duration,
    ) {
        let user = seen.call.as_ref().map(|call| {
            self.0
                .bus
                .peek(|view| view.name(call.user).map(str::to_owned))
                .unwrap_or_default()
        });
        tracing::info!(
            %method,
            path = seen
                .target
                .map(|target| target.path)
                .or(seen.beside.as_deref()),
            user,
            client = seen.call.as_ref().map(|call| tracing::field::display(call.client)),
            peer = peer.map(tracing::field::display),
            status = status.as_u16(),
            code = seen.code,
            us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

/// The address that a request came from.
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.address)
}

/// The first part of a path, at most 32 bytes. What follows it may be the secret of a link.
fn outline(path: &str) -> String {
    let is_end = |(at, char): &(usize, char)| *char == '/' || *at >= 32;
    let end = path.char_indices().skip(1).find(is_end);
    match end {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}

/// Refuses what is a feature's that is off.
fn is_on(target: &Target) -> Result<(), Problem> {
    target.off.map_or(Ok(()), |feature| Err(off(feature)))
}

/// An answer that delivers messages: asked for more, it knows that what it gave is written.
struct Handing {
    bus: Bus,
    bytes: Option<Bytes>,
    ids: Vec<Id>,
}

impl Source for Handing {
    fn poll_chunks(&mut self, _: &mut Context<'_>, out: &mut Vec<Chunk>) -> Poll<io::Result<bool>> {
        if let Some(bytes) = self.bytes.take() {
            out.push(Chunk::plain(bytes));
            return Poll::Ready(Ok(true));
        }
        self.bus.delivered(self.ids.drain(..));
        Poll::Ready(Ok(false))
    }
}

fn share(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
}

/// The key of a POST: 1 to 128 printable ASCII characters.
pub(crate) fn idempotency_key(
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next().filter(|_| *method == Method::POST) else {
        return Ok(None);
    };
    let key = key.as_bytes();
    let is_valid = (1..=128).contains(&key.len())
        && key.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && keys.next().is_none();
    if !is_valid {
        let detail = "an Idempotency-Key is 1 to 128 printable ASCII characters, given once";
        return Err(invalid("Idempotency-Key", detail));
    }
    Ok(Some(String::from_utf8_lossy(key).into_owned()))
}

/// What tells one request from another under the same key.
pub(crate) fn digest(method: &Method, path: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [method.as_str(), path] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.update(body);
    hex::encode(digest.finalize())
}
