//! Does what the user asks, one after another, and tells how it went.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::CallError;
use super::commands::{Command, Memory};
use super::post::Post;
use super::render::Event;
use super::session::Session;
use super::text::{Zone, excerpt};
use super::{Error, Output};

/// How many lines may wait to be posted.
pub const QUEUE: usize = 64;
/// How long a post is tried while the server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(120);
/// Marks of what was shown are put together for so long.
const MARKS: Duration = Duration::from_secs(2);
/// The stream brings back an own post within this time, or not at all.
const ECHO: Duration = Duration::from_secs(10);

/// How much of a text that was not sent is shown.
const EXCERPT: usize = 40;
/// Why what needs a chat is refused.
const NOWHERE: &str = "there is no chat to do it in, as the one that lines went to has ended, or \
                       the one named last was not found; /to names one";

/// Something to do.
#[derive(Debug)]
pub enum Job {
    /// What a line asked for, and the chat that was current then, if one was.
    Run(Command, Option<String>),
    /// The same, where the end is waited for.
    Await(Command, Option<String>, SyncSender<Ended>),
    /// A message that the server has wanted later.
    Post(Post),
    /// A line that was not understood, and why.
    Wrong(String),
    /// Ends this client; answers whether it is done.
    LogOut(SyncSender<bool>),
    /// Something was shown that is to be marked as read.
    Marks,
    /// The session cannot go on.
    Fatal(Error),
    /// No more lines.
    End,
}

/// How a command ended that was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Plain lines go where they went.
    Here,
    /// Plain lines go to this chat from now on.
    At(String),
    /// It was not done.
    Failed,
}

/// Takes the jobs from their queue.
pub struct Worker {
    /// The session.
    pub session: Arc<Session>,
    /// Where answers go.
    pub output: Arc<dyn Output>,
    /// Whether lines stand on the screen as they were typed.
    pub typed: bool,
    /// What commands remember.
    pub memory: Memory,
    zone: Zone,
    /// The message to be posted when the command has ended.
    due: Option<Value>,
    refused: u64,
    warned: bool,
}

/// Why a job was not done.
#[derive(Debug)]
pub enum Failure {
    /// It was refused, or made no sense: the next may fare better.
    Refused(String),
    /// The server cannot be reached.
    Lost(CallError),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        match error {
            CallError::Lost(_) => Failure::Lost(error),
            _ => Failure::Refused(error.explain()),
        }
    }
}

impl Worker {
    /// A worker; `typed` is whether its user sees the lines typed, and so needs no echo of them.
    pub fn new(session: Arc<Session>, output: Arc<dyn Output>, typed: bool) -> Worker {
        Worker {
            session,
            output,
            typed,
            memory: Memory::default(),
            zone: Zone::local(),
            due: None,
            refused: 0,
            warned: false,
        }
    }

    /// Works until there are no more lines. An error tells that not all was done.
    pub fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Error> {
        let mut marks: Option<Instant> = None;
        loop {
            let job = match marks {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let failure = match job {
                Ok(Job::Run(command, at)) => {
                    let done = command.run(&mut self, at.as_deref());
                    done.and_then(|_| self.post_due()).err()
                }
                Ok(Job::Post(post)) => self.post(post.kind, &post.path, &post.body).err(),
                Ok(Job::Wrong(why)) => Some(Failure::Refused(why)),
                Ok(Job::Await(command, at, ended)) => {
                    let done = command.run(&mut self, at.as_deref());
                    // Who asked may have gone on without waiting.
                    let _ = ended.send(match &done {
                        Ok(None) => Ended::Here,
                        Ok(Some(chat)) => Ended::At(chat.clone()),
                        Err(_) => Ended::Failed,
                    });
                    done.and_then(|_| self.post_due()).err()
                }
                Ok(Job::LogOut(done)) => {
                    let out = self.log_out();
                    // Who asked may have left without waiting.
                    let _ = done.send(matches!(out, Ok(true)));
                    match out {
                        Ok(true) => return self.result(),
                        Ok(false) => None,
                        Err(failure) => Some(failure),
                    }
                }
                Ok(Job::Marks) => {
                    marks.get_or_insert_with(|| Instant::now() + MARKS);
                    None
                }
                Ok(Job::Fatal(error)) => {
                    self.output.trouble(&error.explain());
                    return Err(error);
                }
                Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    // What cannot be marked now is marked with what comes next.
                    marks = self
                        .session
                        .mark()
                        .err()
                        .map(|_| Instant::now() + MARKS * 5);
                    None
                }
            };
            match failure {
                None => {}
                Some(Failure::Refused(why)) => {
                    self.refused += 1;
                    self.output.trouble(&why);
                }
                Some(Failure::Lost(error)) if self.typed => {
                    self.refused += 1;
                    self.output
                        .trouble(&format!("not done: {}", error.explain()));
                }
                Some(Failure::Lost(error)) => return Err(self.session.failed(error)),
            }
            if let Some(error) = self.output.broken() {
                return Err(Error::Output(error));
            }
        }
        if !self.typed {
            for event in self.session.echoes(ECHO) {
                self.output.event(&event);
            }
        }
        // What was shown and could not be marked is shown again at the next start.
        let _ = self.session.mark();
        self.result()
    }

    fn result(&self) -> Result<(), Error> {
        match self.refused {
            _ if self.typed => Ok(()),
            0 => Ok(()),
            lines => Err(Error::Refused(lines)),
        }
    }

    /// The chat that plain lines go to.
    pub fn here<'a>(&self, current: Option<&'a str>) -> Result<&'a str, Failure> {
        current.ok_or_else(|| Failure::Refused(format!("not done: {NOWHERE}")))
    }

    /// Posts a text to the chat that plain lines go to.
    pub fn say(&self, current: Option<&str>, text: &str) -> Result<(), Failure> {
        match current {
            Some(to) => self.send(to, text),
            None => Err(Failure::Refused(format!(
                "not sent: {NOWHERE}: \"{}\"",
                excerpt(text, EXCERPT)
            ))),
        }
    }

    /// The zone of the user's clock.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Posts a text to a chat.
    pub fn send(&self, to: &str, text: &str) -> Result<(), Failure> {
        self.post("message", "/send", &json!({ "to": to, "text": text }))
    }

    /// `POST`, once, however long the server cannot be reached.
    pub fn post_once(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let (output, gate) = (&self.output, &self.session.gate);
        let waits =
            |error: &CallError| output.notice(&format!("not done yet: {}", error.explain()));
        self.session
            .api
            .post_once(path, body, PATIENCE, gate, waits)
    }

    /// Does what leads to events of these kinds. The closure gives the events that it led to:
    /// they are not shown again when the stream brings them.
    pub fn act<T>(
        &self,
        kinds: &'static [&'static str],
        act: impl FnOnce() -> Result<(T, Vec<Event>), CallError>,
    ) -> Result<T, Failure> {
        self.session.acting(kinds);
        let acted = act();
        let did = acted.as_ref().map(|(_, did)| did.as_slice());
        for event in self.session.acted(did.unwrap_or_default()) {
            self.session.show(self.output.as_ref(), &event);
        }
        Ok(acted?.0)
    }

    /// Tells what was done, in the words of its event.
    pub fn tell(&self, event: &Event) {
        self.session.show(self.output.as_ref(), event);
    }

    /// Posts a message or a comment, and sees to it that it stands on the screen once.
    pub fn post(&self, kind: &'static str, path: &str, body: &Value) -> Result<(), Failure> {
        if self.typed {
            self.session.posting();
        }
        let answer = self.post_once(path, body);
        if self.typed {
            if let Ok(answer) = &answer {
                self.output.sent(answer);
            }
            for event in self.session.posted(answer.as_ref().ok()) {
                self.output.event(&event);
            }
        } else if let Ok(answer) = &answer {
            let event = Event::new(kind, answer.clone());
            if let Some(event) = self.session.await_echo(event) {
                self.output.event(&event);
            }
        }
        match answer {
            Ok(_) => Ok(()),
            Err(error @ CallError::Lost(_)) if !self.typed => Err(Failure::Lost(error)),
            Err(error) => {
                let wait = error.retry_after().filter(|_| error.is_status(429));
                let post = Post {
                    kind,
                    path: path.to_owned(),
                    body: body.clone(),
                };
                let kept = wait.is_some_and(|wait| self.output.later(&post, wait))
                    || self.output.unsent(&post, &error.explain());
                if kept {
                    return Ok(());
                }
                let why = error.explain();
                let text = body["text"].as_str().unwrap_or_default();
                Err(Failure::Refused(match excerpt(text, EXCERPT) {
                    text if text.is_empty() => format!("not sent: {why}"),
                    text => format!("not sent: {why}: \"{text}\""),
                }))
            }
        }
    }

    /// Posts this message when the end of the command has been told: nobody waits for a post.
    pub fn post_later(&mut self, body: Value) {
        self.due = Some(body);
    }

    fn post_due(&mut self) -> Result<(), Failure> {
        match self.due.take() {
            Some(body) => self.post("message", "/send", &body),
            None => Ok(()),
        }
    }

    /// Shows messages on demand, whether they were shown before or not.
    pub fn list(&self, messages: Vec<Value>, nothing: &str) {
        if messages.is_empty() {
            self.output.notice(nothing);
        }
        self.session.note_shown(&messages);
        for message in messages {
            self.output.event(&Event::message(message));
        }
    }

    /// Ends this client, if that is what the user wants: true if it is ended.
    fn log_out(&mut self) -> Result<bool, Failure> {
        if self.typed && !self.session.has_password() && !self.warned {
            self.warned = true;
            self.output.trouble(
                "without a password only this client's token proves that the name is yours; \
                 /logout once more ends the client and forgets the token",
            );
            return Ok(false);
        }
        match self.session.log_out() {
            Ok(()) => Ok(true),
            Err(error) => Err(Failure::Refused(error.explain())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::parse;
    use super::super::fake::{Record, Reply, serve, session};
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn posted(id: u64, text: &str) -> Value {
        let at = "2026-11-24T20:18:55.123Z";
        json!({"id": id, "from": "ann", "to": "common", "text": text, "at": at})
    }

    /// A session at a server that refuses the text `no`.
    fn session_with_posts() -> Arc<Session> {
        let base = serve(|asked| match asked.path.as_str() {
            "/status" => Reply::Json(
                200,
                json!({"server": {"features": ["polls"]}, "user": {"name": "ann"}}),
            ),
            "/send" if asked.body["text"] == "no" => {
                Reply::Json(422, json!({"code": "invalid", "detail": "that is no text"}))
            }
            "/send" => Reply::Json(201, posted(7, asked.body["text"].as_str().unwrap())),
            "/messages" if asked.query("chat") == Some("@bob") => {
                Reply::Json(200, json!({"messages": []}))
            }
            "/messages" => Reply::Json(404, json!({"detail": "there is no such chat"})),
            _ => Reply::Json(204, Value::Null),
        });
        Arc::new(session(&base))
    }

    fn run(session: Arc<Session>, typed: bool, jobs: Vec<Job>) -> (Result<(), Error>, Vec<String>) {
        let record = Arc::new(Record::default());
        let (sender, queue) = sync_channel(16);
        for job in jobs {
            sender.try_send(job).unwrap();
        }
        let result = Worker::new(session, record.clone(), typed).run(&queue);
        (result, record.lines())
    }

    fn say(text: &str) -> Job {
        Job::Run(Command::Say(text.to_owned()), Some("common".to_owned()))
    }

    #[test]
    fn a_typed_line_is_confirmed_and_its_echo_is_not_shown() {
        static SESSION: std::sync::OnceLock<Arc<Session>> = std::sync::OnceLock::new();
        let base = serve(|asked| match asked.path.as_str() {
            "/status" => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
            "/send" => {
                // The stream is faster than the answer.
                let session = SESSION.get().unwrap();
                match session.take(Event::message(posted(7, "hi"))) {
                    None => Reply::Json(201, posted(7, "hi")),
                    Some(_) => Reply::Json(400, json!({"detail": "shown before its answer"})),
                }
            }
            _ => Reply::Json(204, Value::Null),
        });
        let session = Arc::new(session(&base));
        assert!(SESSION.set(session.clone()).is_ok());
        let (result, lines) = run(session.clone(), true, vec![say("hi"), Job::End]);
        assert!(result.is_ok());
        assert_eq!(lines, ["sent 7"]);
        // The stream is slower than the answer.
        assert!(session.take(Event::message(posted(7, "hi"))).is_none());
    }

    #[test]
    fn ones_own_message_from_another_client_is_shown_after_all() {
        let session = session_with_posts();
        session.posting();
        assert!(
            session
                .take(Event::message(posted(6, "elsewhere")))
                .is_none()
        );
        let (_, lines) = run(session, true, vec![say("hi"), Job::End]);
        assert_eq!(lines, ["sent 7", "message 6"]);
    }

    #[test]
    fn a_pipe_waits_for_its_echo_and_does_not_show_it_twice() {
        let session = session_with_posts();
        let streamed = session.clone();
        let (result, lines) = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(event) = streamed.take(Event::message(posted(7, "hi"))) {
                    streamed.shown(&event);
                }
            });
            run(session, false, vec![say("hi"), Job::End])
        });
        assert!(result.is_ok());
        assert!(lines.is_empty(), "{lines:?}");
    }

    #[test]
    fn a_refused_line_is_told_and_the_next_one_posted() {
        let jobs = vec![
            say("no"),
            Job::Wrong("/x is no command".to_owned()),
            say("hi"),
            Job::End,
        ];
        let session = session_with_posts();
        let echo = session.take(Event::message(posted(7, "hi")));
        session.shown(&echo.unwrap());
        let (result, lines) = run(session, false, jobs);
        assert!(matches!(result, Err(Error::Refused(2))));
        let expected = [
            "trouble: not sent: that is no text: \"no\"",
            "trouble: /x is no command",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn how_a_command_ended_is_told_to_who_waits_for_it() {
        for (line, expected) in [
            ("/to @nobody", Ended::Failed),
            ("/to @bob", Ended::At("@bob".to_owned())),
            ("/me", Ended::Here),
        ] {
            let command = parse(line, |_| true).unwrap().unwrap();
            let (ended, end) = sync_channel(1);
            let jobs = vec![Job::Await(command, None, ended), Job::End];
            let (_, lines) = run(session_with_posts(), true, jobs);
            assert_eq!(end.recv(), Ok(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_line_that_belongs_nowhere_is_refused() {
        let nowhere = Job::Run(Command::Say("hi".to_owned()), None);
        let (_, lines) = run(session_with_posts(), true, vec![nowhere, Job::End]);
        assert!(
            lines[0].starts_with("trouble: not sent: there is no chat")
                && lines[0].ends_with("\"hi\""),
            "{lines:?}"
        );
    }

    #[test]
    fn a_name_without_a_password_is_not_given_up_by_one_word() {
        let (first, once) = sync_channel(1);
        let (second, twice) = sync_channel(1);
        let jobs = vec![Job::LogOut(first), Job::LogOut(second)];
        let (result, lines) = run(session_with_posts(), true, jobs);
        assert!(result.is_ok());
        assert_eq!((once.recv(), twice.recv()), (Ok(false), Ok(true)));
        assert!(lines[0].contains("/logout once more"), "{lines:?}");
    }
}
