//! Does what the user asks, one after another, and tells how it went.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::answer::CallError;
use super::commands::{Command, Memory, schedule_words};
use super::post::Post;
use super::render::{Event, Style};
use super::session::Session;
use super::text::{Zone, excerpt};
use super::{Error, Output};

/// How many lines may wait to be posted.
pub const QUEUE: usize = 64;
/// How many calls whose answers were lost are remembered.
const LOST: usize = 100;
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
    /// It was not done, as the server could not be reached.
    Lost,
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
    /// The calls whose answers were lost, with their idempotency keys: the same again is the same
    /// call, so that what the server may have done already is not done twice.
    lost: RefCell<Vec<(String, Value, String)>>,
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
            _ => Failure::Refused(error.to_string()),
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
            lost: RefCell::default(),
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
                Ok(Job::Post(post)) => self.post(&post).err(),
                Ok(Job::Wrong(why)) => Some(Failure::Refused(why)),
                Ok(Job::Await(command, at, ended)) => {
                    let done = command.run(&mut self, at.as_deref());
                    // Who asked may have gone on without waiting.
                    let _ = ended.send(match &done {
                        Ok(None) => Ended::Here,
                        Ok(Some(chat)) => Ended::At(chat.clone()),
                        Err(Failure::Refused(_)) => Ended::Failed,
                        Err(Failure::Lost(_)) => Ended::Lost,
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
                    // Whoever reads lines is told at once; a program, by what it ends with.
                    if self.typed {
                        self.output.trouble(&error.explain());
                    }
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
                    self.output.trouble(&format!("not done: {error}"));
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

    /// The chat that was named, or else the one that plain lines go to.
    pub fn named_or_here(
        &self,
        named: Option<&str>,
        current: Option<&str>,
    ) -> Result<String, Failure> {
        match named {
            Some(named) => self.session.find_chat(named).map_err(Failure::Refused),
            None => self.here(current).map(str::to_owned),
        }
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
        self.post(&Post::text(to, text))
    }

    /// `POST`, once, however long the server cannot be reached, and also where the user does the
    /// same again since no answer came.
    pub fn post_once(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let waits = |error: &CallError| {
            let why = format!("not done yet: {error}; it is tried again");
            self.output.notice(&why);
        };
        let mut lost = self.lost.borrow_mut();
        let same = lost
            .iter()
            .position(|(at, what, _)| at == path && what == body);
        let key = match same {
            Some(at) => lost.remove(at).2,
            None => uuid::Uuid::new_v4().to_string(),
        };
        let answer = self.call((path, body, &key), waits);
        if answer.as_ref().is_err_and(CallError::passes) {
            if lost.len() == LOST {
                lost.remove(0);
            }
            lost.push((path.to_owned(), body.clone(), key));
        }
        answer
    }

    fn call(
        &self,
        call: (&str, &Value, &str),
        waits: impl FnMut(&CallError),
    ) -> Result<Value, CallError> {
        self.session.api.post_once(call, self.session.wait, waits)
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
    pub fn post(&self, post: &Post) -> Result<(), Failure> {
        let Some(kind) = post.kind() else {
            return self.deed(post);
        };
        if self.typed {
            self.session.posting();
        }
        let waits = |error: &CallError| {
            // Who looks at chats sees that it is on its way.
            if !self.session.looks() {
                let why = format!("not sent yet: {error}; it is tried again");
                self.output.notice(&why);
            }
        };
        let answer = self.call((&post.path, &post.body, &post.key), waits);
        if self.typed {
            if let Ok(answer) = &answer {
                self.output.sent(post, answer);
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
            Err(error) => self.not_posted(post, error),
        }
    }

    /// Does what leads to no message: its event tells it, or else its answer.
    fn deed(&self, post: &Post) -> Result<(), Failure> {
        let kinds: &[&str] = match post.path.as_str() {
            "/scheduled" => &["scheduled"],
            _ => &[],
        };
        self.session.acting(kinds);
        let answer = self.call((&post.path, &post.body, &post.key), |_| {});
        let made = answer.as_ref().ok();
        let made = made
            .zip(kinds.first())
            .map(|(made, kind)| Event::new(kind, made.clone()));
        for event in self.session.acted(made.as_slice()) {
            self.session.show(self.output.as_ref(), &event);
        }
        match answer {
            Ok(_) => {
                self.output.done(post);
                made.iter().for_each(|made| self.tell(made));
                Ok(())
            }
            Err(error) => self.not_posted(post, schedule_words(post, error)),
        }
    }

    /// A post that the server has not taken, or may not have.
    fn not_posted(&self, post: &Post, error: CallError) -> Result<(), Failure> {
        let error = error.about(post.to());
        // Over the rate, or banned: the server says until when.
        let is_for_now = error.is_status(429) || error.is_status(403);
        let wait = error.retry_after().filter(|_| is_for_now);
        let kept = wait.is_some_and(|wait| self.output.later(post, wait))
            || (error.is_status(401) && self.output.barred(post))
            || (error.is_nowhere() && self.output.nowhere(post, &error.to_string()))
            || self.output.unsent(post, &error.to_string());
        if kept {
            return Ok(());
        }
        let text = post.body["text"].as_str().unwrap_or_default();
        Err(Failure::Refused(match excerpt(text, EXCERPT) {
            text if text.is_empty() => format!("not sent: {error}"),
            text => format!("not sent: {error}: \"{text}\""),
        }))
    }

    /// Posts this message when the end of the command has been told: nobody waits for a post.
    pub fn post_later(&mut self, body: Value) {
        self.due = Some(body);
    }

    fn post_due(&mut self) -> Result<(), Failure> {
        match self.due.take() {
            Some(body) => self.post(&Post::new("/send", body)),
            None => Ok(()),
        }
    }

    /// Shows messages on demand, whether they were shown before or not.
    pub fn list(&self, messages: Vec<Value>, nothing: &str) {
        if messages.is_empty() {
            self.output.notice(nothing);
        }
        self.session.note_shown(&messages);
        let events = messages.into_iter().map(Event::message);
        // On the whole screen each message has its own place, in its chat: a list of them is told.
        if self.session.looks() {
            let style = Style {
                colour: false,
                single_line: true,
                zone: self.zone.clone(),
                me: self.session.me(),
            };
            let title = |room: &str| self.session.title(room);
            let lines = events.filter_map(|event| style.event(&event, title, Timestamp::now()));
            let lines: Vec<String> = lines.collect();
            if !lines.is_empty() {
                self.output.notice(&lines.join("\n"));
            }
            return;
        }
        events.for_each(|event| self.output.event(&event));
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
mod tests;
