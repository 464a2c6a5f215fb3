//! `GET /events`: a user's events as one stream, or as a long poll.
//!
//! Both start on the log at their cursor and follow the hub once they have caught up; a stream
//! that falls behind goes back to the log. So there is one way to resume, and it is exact.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::invalid;
use crate::bus::{Answer, Event, Frame, Registered, Seated, Taken, View, about, internal};
use crate::feature::{Boxed, Call, parse_query};
use crate::http::{Chunk, Payload, Problem, Request, Response, Source, Wire, lists};
use crate::log::reader::Told;
use crate::log::{Audience, Id, LogError, Pos, UserId};
use crate::server::{Core, respond, unauthorized};
use crate::settings::Period;

/// The most events of one poll, which are read from the log at once.
const POLL: usize = 500;

/// Records read from the log at a time for a stream. One that does not read holds so many.
const PAGE: usize = 64;

/// The longest wait of a poll; a longer one is taken as this.
const LONGEST_WAIT: Period = Period::secs(60);

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Query {
    /// The cursor to go on from; now without it.
    #[serde(default)]
    after: Option<String>,
    /// How long a poll waits for something to happen, at most 60 seconds.
    #[serde(default)]
    wait: Option<String>,
}

/// `GET /events`
pub(super) async fn events(
    core: Arc<Core>,
    call: Call,
    request: Request,
) -> Result<Response, Problem> {
    let query: Query = parse_query(request.uri().query())?;
    let polls = wants_json(request.headers());
    let wait = match &query.wait {
        None => Period::ms(0),
        Some(wait) => wait
            .parse()
            .map_err(|error| invalid("wait", format!("`wait`: {error}")))?,
    };
    let cursor = last_event_id(request.headers()).or(query.after);
    let Some(registered) = core.hub.register(call.user, call.client, polls) else {
        let detail = "too many streams are open, or the server is stopping";
        return Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(1),
        );
    };
    // A client that ended before it had its place would never hear of it.
    if core
        .bus
        .read(|view| view.world().chat.client(call.client).is_none())
        .await?
    {
        return Err(unauthorized());
    }
    let start = start(&core, cursor).await?;
    if polls {
        let wait = wait.min(LONGEST_WAIT).to_std();
        return poll(&core, &registered, start, wait).await;
    }
    let stream = Stream::new(Arc::clone(&core), registered, start);
    let mut response = Response::new(Payload::Stream {
        length: None,
        source: Box::new(stream),
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Where a stream begins.
#[derive(Clone, Copy)]
struct Start {
    pos: Pos,
    /// Whether what was asked for can't be had without a hole.
    reset: bool,
}

async fn start(core: &Core, cursor: Option<String>) -> Result<Start, Problem> {
    let asked = cursor.map(|cursor| core.hub.frames().position(&cursor));
    let bounds = async || {
        let reading = core.reader.read(|reading| {
            let bounds = (reading.floor()?, reading.last()?);
            Ok(bounds)
        });
        let bounds = reading.await;
        bounds.map_err(|error| internal("reading the log's bounds", &error))
    };
    let (mut floor, mut last) = bounds().await?;
    if let (Some(Some(pos)), Some(cluster)) = (asked, &core.cluster)
        && pos > last
    {
        // Another node gave it, which is ahead of this one.
        if cluster.reaches(&core.bus, pos).await.is_none() {
            return Err(behind());
        }
        (floor, last) = bounds().await?;
    }
    Ok(match asked {
        None => Start {
            pos: last,
            reset: false,
        },
        Some(Some(pos)) if (floor..=last).contains(&pos) => Start { pos, reset: false },
        Some(_) => Start {
            pos: last,
            reset: true,
        },
    })
}

/// The refusal of a cursor that may be the cluster's, which this node can't find out now.
fn behind() -> Problem {
    let detail = "this node is behind that cursor, and the cluster's log does not answer";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_log", detail).retry_after(1)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |kind| lists(headers, &ACCEPT, kind);
    accepts("application/json") && !accepts("text/event-stream")
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?;
    // What is no text is no cursor either, and must not pass for none.
    let id = String::from_utf8_lossy(id.as_bytes()).into_owned();
    (!id.is_empty()).then_some(id)
}

/// A part of the log as its reader gets it.
struct Part {
    frames: Vec<Frame>,
    /// How far it reaches.
    upto: Pos,
    /// Whether that was the end.
    complete: bool,
    /// Whether the log no longer reached back to where it should have begun.
    hole: bool,
}

/// Reads what a user could see after a position.
async fn read(core: Arc<Core>, user: UserId, after: Pos, limit: usize) -> Result<Part, Problem> {
    let part = core
        .reader
        .read(move |reading| {
            let last = reading.last()?;
            if reading.floor()? > after {
                return Ok((Vec::new(), last, true, true));
            }
            match reading.told(user, after, limit) {
                // What is damaged can't be told: as where the log no longer reaches back to it.
                Err(error @ LogError::Damaged { .. }) => {
                    tracing::error!(%error, "reading events");
                    Ok((Vec::new(), last, true, true))
                }
                told => told.map(|(told, upto)| (told, upto, upto == last, false)),
            }
        })
        .await;
    let (told, upto, complete, hole) = part.map_err(|error| internal("reading events", &error))?;
    let frames = core.bus.peek(|view| {
        told.iter()
            .filter(|told| is_shown(view, told))
            .filter_map(|told| {
                let frames = core.hub.frames();
                frames.frame(view, &told.record, &told.contents)
            })
            .collect()
    });
    Ok(Part {
        frames,
        upto,
        complete,
        hole,
    })
}

/// Whether somebody who saw a fact's chat saw the message, too, that it lies beside.
fn is_shown(view: &View<'_>, told: &Told) -> bool {
    match (&told.record.audience, about(&told.record)) {
        (Audience::Chat(chat), Some(message)) => {
            view.world().chat.sees_since(*chat, told.since, message)
        }
        _ => true,
    }
}

/// An open stream.
struct Stream {
    core: Arc<Core>,
    registered: Registered,
    pos: Pos,
    waiting: VecDeque<Chunk>,
    reading: Option<Boxed<Result<Part, Problem>>>,
    taken: Vec<Arc<Frame>>,
    /// Given to the connection, and not yet known to be written.
    handed: Vec<Id>,
}

impl Stream {
    fn new(core: Arc<Core>, registered: Registered, start: Start) -> Self {
        let mut waiting = VecDeque::from([Chunk::framed("retry: 2000\n")]);
        waiting.push_back(notice(&core, "hello", start.pos).chunk());
        if start.reset {
            waiting.push_back(notice(&core, "reset", start.pos).chunk());
        }
        Self {
            core,
            registered,
            pos: start.pos,
            waiting,
            reading: None,
            taken: Vec::new(),
            handed: Vec::new(),
        }
    }

    fn give(&mut self, frame: &Frame, out: &mut Vec<Chunk>) {
        out.push(frame.chunk());
        self.pos = self.pos.max(frame.pos);
        self.handed.extend(self.delivers(frame));
    }

    /// The message that a frame hands over to this stream's user, whose life then begins.
    fn delivers(&self, frame: &Frame) -> Option<Id> {
        let (user, id) = frame.delivers?;
        (user == self.registered.mailbox().user).then_some(id)
    }

    fn take_part(&mut self, part: Part, out: &mut Vec<Chunk>) {
        self.pos = self.pos.max(part.upto);
        if part.hole {
            out.push(notice(&self.core, "reset", part.upto).chunk());
        }
        for frame in &part.frames {
            self.give(frame, out);
        }
        if part.complete {
            // Otherwise the hub is ahead already, and the mailbox says so again.
            self.registered.go_live(part.upto);
        }
    }
}

impl Source for Stream {
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Chunk>,
    ) -> Poll<io::Result<bool>> {
        if !self.handed.is_empty() {
            self.core.bus.delivered(self.handed.drain(..));
        }
        out.extend(self.waiting.drain(..));
        while out.is_empty() {
            if let Some(reading) = &mut self.reading {
                let part = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                match part {
                    Ok(part) => self.take_part(part, out),
                    Err(problem) => return Poll::Ready(Err(io::Error::other(problem))),
                }
                continue;
            }
            let mut taken = std::mem::take(&mut self.taken);
            match ready!(self.registered.mailbox().poll_take(cx, &mut taken)) {
                Taken::Frames => {
                    for frame in taken.drain(..) {
                        self.give(&frame, out);
                    }
                }
                Taken::Behind => {
                    let user = self.registered.mailbox().user;
                    self.reading =
                        Some(Box::pin(read(Arc::clone(&self.core), user, self.pos, PAGE)));
                }
                Taken::Closed => return Poll::Ready(Ok(false)),
            }
        }
        Poll::Ready(Ok(true))
    }

    fn endless(&self) -> bool {
        true
    }

    fn may_leave(&mut self) -> bool {
        // What was handed out is written by now.
        self.core.bus.delivered(self.handed.drain(..));
        self.waiting.is_empty() && self.reading.is_none() && self.registered.mailbox().is_idle()
    }

    fn leave(self: Box<Self>, wire: Wire) {
        let core = Arc::clone(&self.core);
        core.hub.seat(self, wire);
    }
}

impl Seated for Stream {
    fn registered(&self) -> &Registered {
        &self.registered
    }

    fn wrote(&mut self, frame: &Frame) {
        self.pos = self.pos.max(frame.pos);
        self.core.bus.delivered(self.delivers(frame));
    }

    fn go_on_from(&mut self, pos: Pos) {
        self.pos = self.pos.max(pos);
    }
}

/// An event that only says where the stream is.
fn notice(core: &Core, kind: &'static str, pos: Pos) -> Frame {
    let cursor = core.hub.frames().cursor(pos);
    Frame::new(pos, &cursor, &Event::new(kind, json!({"cursor": cursor})))
}

/// A long poll: at once if there is anything, else when there is or the wait is over.
async fn poll(
    core: &Arc<Core>,
    registered: &Registered,
    start: Start,
    wait: Duration,
) -> Result<Response, Problem> {
    let user = registered.mailbox().user;
    let mut pos = start.pos;
    let mut frames: Vec<Arc<Frame>> = Vec::new();
    if start.reset {
        frames.push(Arc::new(notice(core, "reset", pos)));
    }
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    while frames.is_empty() {
        let mut taken = Vec::new();
        let event = tokio::select! {
            biased;
            event = poll_fn(|cx| registered.mailbox().poll_take(cx, &mut taken)) => event,
            () = &mut over => break,
        };
        match event {
            // Events that are never resumed end no poll.
            Taken::Frames => frames.extend(taken.into_iter().filter(|frame| frame.pos != 0)),
            Taken::Behind => {
                let part = read(Arc::clone(core), user, pos, POLL).await?;
                if part.hole {
                    frames.push(Arc::new(notice(core, "reset", part.upto)));
                }
                frames.extend(part.frames.into_iter().map(Arc::new));
                pos = part.upto;
                if part.complete {
                    registered.go_live(part.upto);
                }
            }
            Taken::Closed => break,
        }
    }
    frames.truncate(POLL);
    if let Some(last) = frames.last() {
        pos = pos.max(last.pos);
    }
    let own = |frame: &Arc<Frame>| frame.delivers.filter(|(to, _)| *to == user);
    let delivers = frames.iter().filter_map(own).map(|(_, id)| id).collect();
    let events = frames
        .iter()
        .map(|frame| event_json(core, frame))
        .collect::<Result<Vec<_>, _>>();
    let events = events.map_err(|error| internal("an event", &error))?;
    let cursor = core.hub.frames().cursor(pos);
    let body = json!({"events": events, "cursor": cursor});
    Ok(respond(Answer::ok(body).delivers(delivers)))
}

fn event_json(core: &Core, frame: &Frame) -> serde_json::Result<Value> {
    let data: Value = serde_json::from_slice(frame.data())?;
    let id = core.hub.frames().cursor(frame.pos);
    Ok(json!({"id": id, "event": frame.kind(), "data": data}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_what_accepts_json_and_no_stream() {
        let cases = [
            ("application/json", true),
            ("text/html, Application/JSON;q=0.5", true),
            ("application/json, text/event-stream;q=0", true),
            ("application/json, text/event-stream", false),
            ("application/json;q=0", false),
            ("application/json; Q=0.000, */*", false),
            ("*/*", false),
        ];
        for (accept, polls) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_json(&headers), polls, "{accept}");
        }
    }
}
