//! Follows the server's stream of events, over as many connections as it takes.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::CallError;
use super::render::Event;
use super::retry::{Backoff, Woken, dice};
use super::session::{Session, SignedIn};
use super::sse::{Frame, Parser};
use super::text::duration;
use super::worker::Job;
use super::{Error, Link, Output, reason, terminal};

/// Whether the same may go well later.
fn may_pass(why: &CallError) -> bool {
    why.passes() || why.is_status(429)
}

/// What a connection broke off with.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{}", .0.why())]
    Call(CallError),
    #[error("{}", reason::connection(.0))]
    Read(#[from] io::Error),
    #[error("the server closed the connection")]
    Ended,
    #[error("the session has ended")]
    Closed,
    /// There is no session to be had.
    #[error("{0}")]
    Refused(Box<Error>),
}

impl From<CallError> for Broken {
    fn from(error: CallError) -> Broken {
        Broken::Call(error)
    }
}

/// What has to be fetched before the stream can go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Beginning,
    Missed,
    Nothing,
}

/// Shows events as they come. Runs on a thread of its own until the session ends.
pub struct Stream {
    session: Arc<Session>,
    output: Arc<dyn Output>,
    jobs: SyncSender<Job>,
    started: Option<SyncSender<Result<(), Error>>>,
    history: bool,
    cursor: Option<String>,
    due: Due,
    lost: bool,
    /// Whether it was told that one cannot sign in.
    refused: bool,
    backoff: Backoff,
}

impl Stream {
    /// A stream that begins now, with the end of the common chat if `history` says so, and with
    /// what is unread. `started` hears once whether that has been shown; without it the beginning is
    /// tried until it is there, signing in included. `jobs` hears of what was shown later.
    pub fn new(
        session: Arc<Session>,
        output: Arc<dyn Output>,
        jobs: SyncSender<Job>,
        started: Option<SyncSender<Result<(), Error>>>,
        history: bool,
    ) -> Stream {
        Stream {
            session,
            output,
            jobs,
            started,
            history,
            cursor: None,
            due: Due::Beginning,
            lost: false,
            refused: false,
            backoff: Backoff::new(),
        }
    }

    /// Follows the stream until the session ends, or something ends it for good.
    pub fn run(mut self) {
        loop {
            let connected = self.sign_in().and_then(|()| self.connection());
            let mut broken = match connected {
                Err(broken) => broken,
                Ok(never) => match never {},
            };
            if self.session.is_over() || matches!(broken, Broken::Closed) {
                return;
            }
            match broken {
                Broken::Refused(error) if !self.goes_on(&error) => return self.end(*error),
                _ => {}
            }
            if let Broken::Call(error) = &broken
                && error.is_status(401)
            {
                let mut ask = |again| self.output.ask_password(again);
                match self.session.sign_in(&mut ask) {
                    Ok(SignedIn::Again) => {}
                    Ok(_) => self.output.notice("signed in again, as a new client"),
                    Err(Error::Server { why, .. }) if may_pass(&why) => broken = why.into(),
                    Err(error @ Error::Server { .. }) => return self.end(error),
                    Err(Error::NameTaken(name) | Error::NameLost(name)) => {
                        return self.end(Error::EndedForGood(name));
                    }
                    Err(_) => return self.end(Error::Ended(self.session.me())),
                }
            }
            if self.started.is_some() {
                let error = match broken {
                    Broken::Call(error) => self.session.failed(error),
                    Broken::Read(source) => Error::Stream(source),
                    _ => Error::Stream(io::ErrorKind::UnexpectedEof.into()),
                };
                return self.end(error);
            }
            let asked = match &broken {
                Broken::Call(error) => error.retry_after().unwrap_or_default(),
                _ => Duration::ZERO,
            };
            let pause = self.backoff.next(dice()).max(asked);
            let why = broken.to_string();
            self.output
                .link(Link::Lost(Instant::now() + pause, why.clone()));
            // Who looks at chats sees how the connection stands all the time.
            if !std::mem::replace(&mut self.lost, true) && !self.session.looks() {
                let seconds = duration(pause.as_secs_f64().ceil() as u64);
                self.output.notice(&format!(
                    "the connection is lost ({broken}); trying again in {seconds}, and on"
                ));
            }
            let gate = &self.session.gate;
            let woken = match asked.is_zero() {
                true => gate.pause(pause),
                // What the server asks for is kept to, whoever is in a hurry.
                false if gate.wait(pause) => Woken::Closed,
                false => Woken::Over,
            };
            match woken {
                Woken::Closed => return,
                Woken::Roused => {
                    self.backoff.reset();
                    self.output.link(Link::Lost(Instant::now(), why));
                }
                Woken::Over => {}
            }
        }
    }

    /// Whether a screen stays open that has opened while the server was down, and whose name turns out
    /// to be another's by now: what is typed there is not taken away. It tells once what is missing.
    fn goes_on(&mut self, error: &Error) -> bool {
        let is_open = self.session.looks() && self.started.is_none();
        let goes_on = is_open && matches!(error, Error::NameTaken(_) | Error::NameLost(_));
        if goes_on && !std::mem::replace(&mut self.refused, true) {
            self.output.trouble(&format!(
                "not signed in: {error}; leave by Ctrl+D and start again to be asked"
            ));
        }
        goes_on
    }

    /// Signs in, if that was not done yet.
    fn sign_in(&mut self) -> Result<(), Broken> {
        if self.session.is_signed_in() {
            return Ok(());
        }
        let mut ask = |again| self.output.ask_password(again);
        match self.session.sign_in(&mut ask) {
            Ok(SignedIn::Again) => Ok(()),
            Ok(how) => {
                if let Some(told) = terminal::welcome(&self.session, how) {
                    self.output.notice(&told);
                }
                Ok(())
            }
            Err(Error::Server { why, .. }) if may_pass(&why) => Err(Broken::Call(why)),
            Err(error) => Err(Broken::Refused(Box::new(error))),
        }
    }

    /// Nothing comes any more: says so where it is waited for.
    fn end(&mut self, error: Error) {
        // Whoever waits for the server waits no longer.
        self.session.gate.close();
        match self.started.take() {
            // Whoever started the stream is gone only together with the session.
            Some(started) => drop(started.send(Err(error))),
            None => drop(self.jobs.send(Job::Fatal(error))),
        }
    }

    /// One connection, until it breaks off.
    fn connection(&mut self) -> Result<std::convert::Infallible, Broken> {
        let mut reader = self.session.api.events(self.cursor.as_deref())?;
        let mut parser = Parser::new();
        let mut frames = Vec::new();
        let mut piece = vec![0; 16 * 1024];
        loop {
            let length = match reader.read(&mut piece) {
                Ok(0) => return Err(Broken::Ended),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            parser.feed(&piece[..length], &mut frames);
            for frame in frames.drain(..) {
                match frame {
                    Frame::Retry(millis) => self.backoff.set_first(Duration::from_millis(millis)),
                    Frame::Oversized => self.output.trouble("an event too large to show came by"),
                    Frame::Event { kind, data, id } => self.event(kind, &data, id)?,
                }
            }
            if let Some(id) = parser.last_id() {
                self.cursor = Some(id.to_owned());
            }
        }
    }

    fn event(&mut self, kind: String, data: &str, id: Option<String>) -> Result<(), Broken> {
        if self.session.gate.is_closed() {
            return Err(Broken::Closed);
        }
        // What is no JSON can be shown neither as a line nor as JSON.
        let Ok(data) = serde_json::from_str::<Value>(data) else {
            return Ok(());
        };
        match kind.as_str() {
            "hello" => {
                if self.cursor.is_none() {
                    self.cursor = data["cursor"].as_str().map(str::to_owned);
                }
                self.fetch()?;
                self.backoff.reset();
                self.output.link(Link::Up);
                // What is on its way need not wait any longer either.
                self.session.gate.rouse();
                if std::mem::take(&mut self.lost) && !self.session.looks() {
                    self.output.notice("connected again");
                }
                if let Some(started) = self.started.take() {
                    // Nobody waits any more only where the session has ended.
                    let _ = started.send(Ok(()));
                }
            }
            "reset" => {
                self.session.stream_begins_anew();
                self.cursor = data["cursor"].as_str().map(str::to_owned);
                if self.due == Due::Nothing {
                    self.due = Due::Missed;
                }
                self.fetch()?;
            }
            _ => {
                let event = Event { kind, data, id };
                if let Some(event) = self.session.take(event) {
                    self.show(&event);
                }
            }
        }
        if let Some(error) = self.output.broken() {
            // Whoever takes no more jobs has ended already.
            let _ = self.jobs.send(Job::Fatal(Error::Output(error)));
            return Err(Broken::Closed);
        }
        self.ask_for_marks()
    }

    /// Fetches what the stream itself does not bring.
    fn fetch(&mut self) -> Result<(), CallError> {
        if self.session.looks() && self.due != Due::Nothing {
            return self.fetch_chats();
        }
        let mut show = |event: Event| self.show(&event);
        match self.due {
            Due::Beginning => self.session.begin(self.history, &mut show)?,
            Due::Missed => {
                let here = self.session.here.get();
                let title = here.as_deref().and_then(|room| self.session.title(room));
                self.session.catch_up(&mut show)?;
                self.miss_removal(here, title);
            }
            Due::Nothing => {}
        }
        self.due = Due::Nothing;
        Ok(())
    }

    /// Fetches how the chats stand: their messages are fetched when they are looked at.
    fn fetch_chats(&mut self) -> Result<(), CallError> {
        let here = self.session.here.get();
        let title = here.as_deref().and_then(|room| self.session.title(room));
        let chats = self.session.chats()?;
        self.output.chats(&chats, self.due == Due::Missed);
        self.miss_removal(here, title);
        self.due = Due::Nothing;
        Ok(())
    }

    /// Tells that one is no longer in the room that plain lines go to: no event has told it.
    fn miss_removal(&self, here: Option<String>, title: Option<String>) {
        if let (Some(room), Some(title)) = (here, title)
            && self.session.title(&room).is_none()
        {
            let me = self.session.me();
            let data = json!({ "room": room, "title": title, "user": me, "removed": true });
            let left = Event::new("left", data);
            self.session.show(self.output.as_ref(), &left);
        }
    }

    fn show(&self, event: &Event) {
        self.session.show(self.output.as_ref(), event);
        self.session.shown(event);
    }

    /// Wakes the worker for the marks; a full queue of it wakes it all the same.
    fn ask_for_marks(&self) -> Result<(), Broken> {
        if !self.session.has_marks() {
            return Ok(());
        }
        match self.jobs.try_send(Job::Marks) {
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Broken::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::Api;
    use super::super::fake::{Record, Reply, serve, session, store};
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::thread::JoinHandle;

    fn message(id: u64) -> Value {
        let at = "2026-11-24T20:18:55.123Z";
        json!({"id": id, "from": "bob", "to": "common", "text": "x", "at": at})
    }

    fn event(cursor: &str, kind: &str, data: Value) -> String {
        format!("id: {cursor}\nevent: {kind}\ndata: {data}\n\n")
    }

    type Cursors = Arc<Mutex<Vec<Option<String>>>>;

    /// A server that gives these streams in turn, then refuses with 401; all its messages are
    /// those of `missed`.
    fn scripted(streams: Vec<String>, missed: Vec<u64>) -> (Session, Cursors) {
        let cursors = Cursors::default();
        let asked_after = cursors.clone();
        let base = serve(move |asked| match asked.path.as_str() {
            "/events" => {
                let mut cursors = asked_after.lock().unwrap();
                cursors.push(asked.field("last-event-id").map(str::to_owned));
                match streams.get(cursors.len() - 1) {
                    Some(stream) => Reply::Stream(stream.clone()),
                    None => Reply::Json(401, json!({})),
                }
            }
            // The token dies with the last stream.
            "/status" if asked_after.lock().unwrap().len() > streams.len() => {
                Reply::Json(401, json!({}))
            }
            "/status" => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
            "/connect" => Reply::Json(409, json!({})),
            "/read" => Reply::Json(204, Value::Null),
            "/unread" if asked_after.lock().unwrap().len() > 1 => {
                let messages: Vec<Value> = missed.iter().map(|id| message(*id)).collect();
                Reply::Json(200, json!({"messages": messages}))
            }
            _ => Reply::Json(200, json!({"messages": []})),
        });
        (session(&base), cursors)
    }

    fn run(session: Session) -> (Arc<Record>, Receiver<Job>, Receiver<Result<(), Error>>) {
        let record = Arc::new(Record::default());
        let (jobs, queue) = sync_channel(8);
        let (started, start) = sync_channel(1);
        let stream = Stream::new(Arc::new(session), record.clone(), jobs, Some(started), true);
        let thread: JoinHandle<()> = std::thread::spawn(move || stream.run());
        thread.join().unwrap();
        (record, queue, start)
    }

    #[test]
    fn a_stream_that_broke_off_goes_on_after_its_last_event() {
        let first = "retry: 100\n\n".to_owned()
            + &event("e.1", "hello", json!({"cursor": "e.1"}))
            + &event("e.2", "message", message(2))
            + "id: e.9\nevent: message\ndata: never whole";
        let second =
            event("e.2", "hello", json!({"cursor": "e.2"})) + &event("e.3", "message", message(3));
        let (session, cursors) = scripted(vec![first, second], Vec::new());
        let (record, queue, start) = run(session);
        assert!(start.recv().unwrap().is_ok());
        let mut lines = record.lines();
        lines.retain(|line| !line.starts_with("lost: "));
        assert_eq!(lines[0], "message 2");
        assert!(
            lines[1].starts_with("notice: the connection is lost"),
            "{}",
            lines[1]
        );
        assert_eq!(lines[2..4], ["notice: connected again", "message 3"]);
        let after = |cursor: &str| Some(cursor.to_owned());
        let expected = [None, after("e.2"), after("e.3")];
        assert_eq!(cursors.lock().unwrap()[..], expected);
        let jobs: Vec<Job> = queue.iter().collect();
        assert!(matches!(jobs[0], Job::Marks));
        assert!(matches!(
            jobs.last(),
            Some(Job::Fatal(Error::EndedForGood(_)))
        ));
    }

    #[test]
    fn after_a_reset_what_was_missed_is_shown_once() {
        let first = "retry: 100\n\n".to_owned()
            + &event("e.1", "hello", json!({"cursor": "e.1"}))
            + &event("e.2", "message", message(2));
        let second = event("f.7", "reset", json!({"cursor": "f.7"}))
            + &event("f.8", "message", message(6))
            + &event("f.9", "message", message(8));
        let (session, cursors) = scripted(vec![first, second], vec![2, 4, 6]);
        let (record, _queue, _start) = run(session);
        let mut shown = record.lines();
        shown.retain(|line| line.starts_with("message"));
        assert_eq!(shown, ["message 2", "message 4", "message 6", "message 8"]);
        let last = cursors.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.as_deref(), Some("f.9"));
    }

    #[test]
    fn one_that_is_not_waited_for_signs_in_when_the_server_is_there() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let base = serve(move |asked| {
            let mut calls = calls.lock().unwrap();
            let before = calls.iter().filter(|path| **path == asked.path).count();
            calls.push(asked.path.clone());
            match (asked.path.as_str(), before) {
                ("/connect", 0) => Reply::Lost,
                ("/connect", 1) => Reply::Json(201, json!({"token": "fresh"})),
                ("/connect", _) => Reply::Json(409, json!({})),
                ("/status", 0) => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
                // The token is dead by then.
                _ => Reply::Json(401, json!({})),
            }
        });
        let (store, _folder) = store();
        let session = Arc::new(Session::new(Api::new(&base), store, "ann".to_owned(), None));
        session.look_at_chats();
        let record = Arc::new(Record::default());
        let (jobs, queue) = sync_channel(8);
        let stream = Stream::new(session.clone(), record.clone(), jobs, None, true);
        std::thread::spawn(move || stream.run()).join().unwrap();
        assert!(session.is_signed_in());
        let lines = record.lines();
        assert!(
            lines[0].starts_with("lost: the connection broke off"),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("notice: the name is new"), "{lines:?}");
        let end = queue.iter().last();
        assert!(
            matches!(end, Some(Job::Fatal(Error::EndedForGood(_)))),
            "{end:?}"
        );
    }

    #[test]
    fn a_screen_whose_kept_token_is_dead_asks_for_the_password_and_goes_on() {
        let lives = Mutex::new(true);
        let base = serve(move |asked| {
            let status = json!({"server": {}, "user": {"name": "ann"}});
            let fresh = asked.field("authorization") == Some("Bearer fresh");
            let mut lives = lives.lock().unwrap();
            match (asked.path.as_str(), asked.body["password"].as_str()) {
                ("/connect", Some("right")) if *lives => {
                    Reply::Json(200, json!({"token": "fresh"}))
                }
                ("/status", _) if fresh && *lives => Reply::Json(200, status),
                _ => {
                    // The fresh one is dead when it is used, and the password another.
                    *lives &= asked.path != "/events";
                    Reply::Json(401, json!({"code": "wrong_password"}))
                }
            }
        });
        let (store, _folder) = store();
        store.save(&base, "ann", "dead").unwrap();
        let session = Arc::new(Session::new(Api::new(&base), store, "ann".to_owned(), None));
        session.look_at_chats();
        let record = Arc::new(Record::default());
        *record.1.lock().unwrap() = vec!["right".to_owned(), "wrong".to_owned()];
        let (jobs, queue) = sync_channel(8);
        let stream = Stream::new(session.clone(), record.clone(), jobs, None, true);
        std::thread::spawn(move || stream.run()).join().unwrap();
        assert!(session.is_signed_in());
        // Once more while it runs; nobody answers then.
        let asked = [false, true, false].map(|again| format!("asked, again: {again}"));
        assert_eq!(record.lines(), asked);
        let end = queue.iter().last();
        assert!(matches!(end, Some(Job::Fatal(Error::Ended(_)))), "{end:?}");
    }

    #[test]
    fn a_screen_whose_name_is_taken_meanwhile_stays_open_and_tells_what_is_missing() {
        let connects = Arc::new(Mutex::new(0));
        let base = serve(move |asked| {
            let fresh = asked.field("authorization") == Some("Bearer fresh");
            let mut connects = connects.lock().unwrap();
            // The fresh one is dead after its first call, too.
            *connects += usize::from(asked.path == "/connect" || fresh);
            match (asked.path.as_str(), *connects) {
                ("/connect", 1) => Reply::Json(409, json!({})),
                ("/connect", 2) => Reply::Json(200, json!({"token": "fresh"})),
                ("/connect", _) => Reply::Json(409, json!({})),
                ("/status", 3) if fresh => {
                    Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}}))
                }
                _ => Reply::Json(401, json!({})),
            }
        });
        let (store, _folder) = store();
        store.save(&base, "ann", "dead").unwrap();
        let session = Arc::new(Session::new(Api::new(&base), store, "ann".to_owned(), None));
        session.look_at_chats();
        let record = Arc::new(Record::default());
        let (jobs, queue) = sync_channel(8);
        let stream = Stream::new(session.clone(), record.clone(), jobs, None, true);
        std::thread::spawn(move || stream.run()).join().unwrap();
        let lines = record.lines();
        assert!(
            lines[0].contains("not signed in: the name ann is taken"),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with("lost: the name ann is taken"),
            "{lines:?}"
        );
        // It was tried again, and went well, until its token was dead for good.
        assert!(session.is_signed_in());
        let end = queue.iter().last();
        assert!(
            matches!(end, Some(Job::Fatal(Error::EndedForGood(_)))),
            "{end:?}"
        );
    }

    #[test]
    fn a_stream_that_cannot_begin_tells_so_at_once() {
        let (session, _cursors) = scripted(vec![String::new()], Vec::new());
        let (record, _queue, start) = run(session);
        assert!(matches!(start.recv().unwrap(), Err(Error::Stream(_))));
        assert!(record.lines().is_empty());
    }
}
