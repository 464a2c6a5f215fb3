//! Does what the user asks, one after another, and tells how it went.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::CallError;
use super::command::{Command, help};
use super::render::Event;
use super::session::Session;
use super::summary;
use super::{Error, Output};

/// How many lines may wait to be posted.
pub const QUEUE: usize = 64;
/// How long a post is tried while the server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(120);
/// Marks of what was shown are put together for so long.
const MARKS: Duration = Duration::from_secs(2);
/// The stream brings back an own post within this time, or not at all.
const ECHO: Duration = Duration::from_secs(10);
/// The most users that `/who` lists.
const MAX_USERS: usize = 1_000;

/// Something to do.
#[derive(Debug)]
pub enum Job {
    /// What a line asked for, and the chat that was current then.
    Run(Command, String),
    /// A line that was not understood, and why.
    Wrong(String),
    /// Asks whether there is such a chat to write to; answers false when there is none.
    Switch(String, SyncSender<bool>),
    /// Ends this client; answers whether it is done.
    LogOut(SyncSender<bool>),
    /// Something was shown that is to be marked as read.
    Marks,
    /// The session cannot go on.
    Fatal(Error),
    /// No more lines.
    End,
}

/// Takes the jobs from their queue.
pub struct Worker {
    session: Arc<Session>,
    output: Arc<dyn Output>,
    /// Whether lines stand on the screen as they were typed.
    typed: bool,
    refused: u64,
    warned: bool,
}

/// Why a job was not done.
enum Failure {
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
                Ok(Job::Run(command, to)) => self.command(command, &to).err(),
                Ok(Job::Wrong(why)) => Some(Failure::Refused(why)),
                Ok(Job::Switch(chat, known)) => {
                    let failure = self.command(Command::To(chat.clone()), &chat).err();
                    // Who asked may have gone on without waiting.
                    let _ = known.send(!matches!(failure, Some(Failure::Refused(_))));
                    failure
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

    fn command(&mut self, command: Command, current: &str) -> Result<(), Failure> {
        let api = &self.session.api;
        match command {
            Command::Say(text) => self.send(current, &text)?,
            Command::Msg { to, text } => self.send(&to, &text)?,
            Command::Comment { id, text } => {
                self.need("comments")?;
                let path = format!("/messages/{id}/comments");
                self.post("comment", &path, &json!({ "text": text }))?;
            }
            Command::Comments(id) => self.comments(id)?,
            Command::To(chat) => {
                api.messages(&chat, None, 1)?;
                if self.typed {
                    self.output
                        .notice(&format!("plain lines go to {chat} from now on"));
                }
            }
            Command::History(limit) => {
                let page = api.messages(current, None, limit)?;
                self.list(page.messages, &format!("nothing in {current} yet"));
            }
            Command::Unread => {
                let page = api.unread(200)?;
                self.list(page.messages, "nothing is unread");
                if page.more {
                    self.output.notice("there is more: /unread again");
                }
                self.session.mark()?;
            }
            Command::Read => {
                api.post("/read", &json!({}), None)?;
                self.output.notice("everything is marked as read");
            }
            Command::Who => self.who()?,
            Command::Status => {
                // What stands on the screen counts as read.
                self.session.mark()?;
                let status = api.get("/status", &[])?;
                self.output
                    .answer("status", &status, &summary::status(&status));
            }
            Command::Me => {
                let data = json!({ "name": self.session.me(), "chat": current });
                let text = format!("you are {}; plain lines go to {current}", self.session.me());
                self.output.answer("me", &data, &text);
            }
            Command::Help => self.output.notice(&help()),
            // These two are for those who read the lines.
            Command::Quit | Command::Logout => {}
        }
        Ok(())
    }

    fn send(&self, to: &str, text: &str) -> Result<(), Failure> {
        self.post("message", "/send", &json!({ "to": to, "text": text }))
    }

    /// Posts a message or a comment, and sees to it that it stands on the screen once.
    fn post(&self, kind: &str, path: &str, body: &Value) -> Result<(), Failure> {
        if self.typed {
            self.session.posting();
        }
        let output = &self.output;
        let answer =
            self.session
                .api
                .post_once(path, body, PATIENCE, &self.session.gate, |error| {
                    output.notice(&format!("not sent yet: {}", error.explain()));
                });
        if self.typed {
            if let Ok(answer) = &answer {
                self.output.sent(answer);
            }
            for event in self.session.posted(answer.as_ref().ok()) {
                self.output.event(&event);
            }
        } else if let Ok(answer) = &answer {
            let event = Event {
                kind: kind.to_owned(),
                data: answer.clone(),
                id: None,
            };
            if let Some(event) = self.session.await_echo(event) {
                self.output.event(&event);
            }
        }
        match answer {
            Ok(_) => Ok(()),
            Err(error @ CallError::Lost(_)) if !self.typed => Err(Failure::Lost(error)),
            Err(error) => {
                let text = body["text"].as_str().unwrap_or_default();
                let begin: String = text.chars().take(40).collect();
                let dots = if begin.len() < text.len() { "…" } else { "" };
                let why = error.explain();
                Err(Failure::Refused(format!(
                    "not sent: {why}: \"{begin}{dots}\""
                )))
            }
        }
    }

    fn comments(&self, id: u64) -> Result<(), Failure> {
        self.need("comments")?;
        let (mut after, mut any) = (0, false);
        loop {
            let page = self.session.api.comments(id, after)?;
            let last = page
                .messages
                .last()
                .and_then(|comment| comment["id"].as_u64());
            for data in page.messages {
                any = true;
                let kind = "comment".to_owned();
                self.output.event(&Event {
                    kind,
                    data,
                    id: None,
                });
            }
            match last {
                Some(last) if page.more && last > after => after = last,
                _ => break,
            }
        }
        if !any {
            self.output
                .notice(&format!("nobody has commented on #{id}"));
        }
        Ok(())
    }

    fn need(&self, feature: &str) -> Result<(), Failure> {
        if self.session.has_feature(feature) {
            Ok(())
        } else {
            Err(Failure::Refused(format!("this server has no {feature}")))
        }
    }

    /// Shows messages on demand, whether they were shown before or not.
    fn list(&self, messages: Vec<Value>, nothing: &str) {
        if messages.is_empty() {
            self.output.notice(nothing);
        }
        self.session.note_shown(&messages);
        for message in messages {
            self.output.event(&Event::message(message));
        }
    }

    fn who(&self) -> Result<(), Failure> {
        let mut users = Vec::new();
        let mut after = String::new();
        let mut more = true;
        while more && users.len() < MAX_USERS {
            let page = self.session.api.users(&after)?;
            let last = page.users.last().and_then(|user| user["name"].as_str());
            let last = last.unwrap_or_default().to_owned();
            more = page.more && last != after;
            after = last;
            users.extend(page.users);
        }
        let text = summary::users(&users, more);
        let data = json!({ "users": users, "more": more });
        self.output.answer("users", &data, &text);
        Ok(())
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
        Job::Run(Command::Say(text.to_owned()), "common".to_owned())
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
    fn a_command_of_a_feature_that_is_off_is_not_sent() {
        let comment = Command::Comment {
            id: 7,
            text: "x".to_owned(),
        };
        let jobs = vec![
            Job::Run(comment, "common".to_owned()),
            Job::Run(Command::To("@nobody".to_owned()), "@nobody".to_owned()),
            Job::End,
        ];
        let (_, lines) = run(session_with_posts(), true, jobs);
        let expected = [
            "trouble: this server has no comments",
            "trouble: there is no such chat",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_chat_that_is_refused_is_told_to_who_would_switch_to_it() {
        let (switch, known) = sync_channel(1);
        let jobs = vec![Job::Switch("@nobody".to_owned(), switch), Job::End];
        let (_, lines) = run(session_with_posts(), true, jobs);
        assert_eq!(known.recv(), Ok(false));
        assert_eq!(lines, ["trouble: there is no such chat"]);
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
