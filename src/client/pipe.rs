//! Without a terminal: a line in is a post, a line out is a message or an event.

use std::io::{self, BufRead, Write as _};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::commands::{Command, Wait, parse};
use super::here::Here;
use super::post::Post;
use super::render::{Event, Style};
use super::session::{Session, SignedIn};
use super::text::{Zone, safe_json};
use super::transfer::Progress;
use super::worker::{Ended, Job, QUEUE, Worker};
use super::{Error, Output};

/// The most bytes of a line: no larger body is taken by the server.
const MAX_LINE: u64 = 256 * 1024;

/// Posts the lines of standard input and prints what arrives, until the input ends.
pub fn run(session: Arc<Session>, json: bool) -> Result<(), Error> {
    session.sign_in_patiently()?;
    let output: Arc<dyn Output> = Arc::new(Lines::new(session.clone(), json));
    let (jobs, queue) = sync_channel(QUEUE);
    super::follow(&session, &output, &jobs, true)?;
    let own = session.clone();
    thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            let has = |feature: &str| own.has_feature(feature);
            read(&mut io::stdin().lock(), &jobs, &own.here, has);
        })
        .map_err(Error::Thread)?;
    let result = Worker::new(session.clone(), output, false).run(&queue);
    session.gate.close();
    result
}

/// Prints what arrives, and reads nothing. What was read is not printed again: the end of the common
/// chat is for a name that is new.
pub fn listen(session: Arc<Session>, json: bool) -> Result<(), Error> {
    let is_new = session.sign_in_patiently()? == SignedIn::NewName;
    let output: Arc<dyn Output> = Arc::new(Lines::new(session.clone(), json));
    let (jobs, queue) = sync_channel(QUEUE);
    super::follow(&session, &output, &jobs, is_new)?;
    // The stream alone has jobs from here on: when it ends, so does this.
    drop(jobs);
    let result = Worker::new(session.clone(), output, false).run(&queue);
    session.gate.close();
    result
}

/// Makes jobs of the lines; ends early where nobody takes them any more.
fn read(input: &mut impl BufRead, jobs: &SyncSender<Job>, here: &Here, has: impl Fn(&str) -> bool) {
    loop {
        let job = match next_line(input) {
            Ok(None) => Job::End,
            Err(error) => {
                let why = format!("standard input cannot be read: {error}");
                // Where nobody takes jobs any more there is nobody to tell.
                let _ = jobs.send(Job::Wrong(why));
                Job::End
            }
            Ok(Some(Err(why))) => Job::Wrong(why),
            Ok(Some(Ok(line))) => match parse(&line, &has) {
                Ok(None) => continue,
                Ok(Some(Command::Quit)) => Job::End,
                Ok(Some(Command::Logout)) => Job::LogOut(sync_channel(1).0),
                Ok(Some(command)) if command.wait() == Wait::Move => {
                    let (ended, end) = sync_channel(1);
                    let leaves = command.leaves();
                    if jobs.send(Job::Await(command, here.get(), ended)).is_err() {
                        return;
                    }
                    match end.recv() {
                        Ok(Ended::At(chat)) => here.go(Some(chat)),
                        // Who could not leave is still there.
                        Ok(Ended::Failed | Ended::Lost) if leaves => {}
                        // Lines meant for a chat that is not there, or not yet, go nowhere else.
                        Ok(Ended::Here | Ended::Failed | Ended::Lost) => here.go(None),
                        Err(_) => return,
                    }
                    continue;
                }
                Ok(Some(command)) => Job::Run(command, here.get()),
                Err(why) => Job::Wrong(why),
            },
        };
        let ended = matches!(job, Job::End);
        if jobs.send(job).is_err() || ended {
            return;
        }
    }
}

/// The next line without its end; an inner error is a line that cannot be posted, and why.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, String>>> {
    let mut line = Vec::new();
    let length = io::Read::take(&mut *input, MAX_LINE).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    let whole = line.pop_if(|byte| *byte == b'\n').is_some();
    if !whole && length as u64 == MAX_LINE {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(format!(
            "a line of more than {MAX_LINE} bytes is not sent"
        ))));
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(Some(String::from_utf8(line).map_err(|error| {
        let shown = String::from_utf8_lossy(error.as_bytes());
        let begin: String = shown.chars().take(40).collect();
        format!("a line that is not UTF-8 is not sent: \"{begin}\"")
    })))
}

/// Standard output, a line at a time; what is no message goes to standard error.
struct Lines {
    session: Arc<Session>,
    style: Style,
    json: bool,
    broken: Mutex<Option<io::Error>>,
}

impl Lines {
    fn new(session: Arc<Session>, json: bool) -> Lines {
        let style = Style {
            colour: super::colours(),
            single_line: true,
            zone: Zone::local(),
            me: session.me(),
        };
        Lines {
            session,
            style,
            json,
            broken: Mutex::new(None),
        }
    }

    fn print(&self, line: &str) {
        if let Err(error) = io::stdout()
            .lock()
            .write_all(format!("{line}\n").as_bytes())
        {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn print_json(&self, kind: &str, data: &Value, id: Option<&str>) {
        self.print(&json_line(kind, data, id));
    }

    fn tell(&self, line: &str) {
        // Where standard error is closed there is nobody to tell.
        let _ = io::stderr()
            .lock()
            .write_all(format!("{line}\n").as_bytes());
    }
}

/// An event as a line of JSON.
fn json_line(kind: &str, data: &Value, id: Option<&str>) -> String {
    let mut line = Map::new();
    line.insert("event".to_owned(), kind.into());
    line.insert("data".to_owned(), data.clone());
    if let Some(id) = id {
        line.insert("id".to_owned(), id.into());
    }
    safe_json(&Value::Object(line).to_string())
}

/// Plain text: what goes to errors is never coloured, as it may well go to a file.
fn plain(style: &Style) -> Style {
    Style {
        colour: false,
        ..style.clone()
    }
}

impl Output for Lines {
    fn event(&self, event: &Event) {
        if self.json {
            return self.print_json(&event.kind, &event.data, event.id.as_deref());
        }
        let room = |chat: &str| self.session.title(chat);
        let now = Timestamp::now();
        match event.kind.as_str() {
            "message" | "comment" => {
                if let Some(line) = self.style.event(event, room, now) {
                    self.print(&line);
                }
            }
            // Whoever reads messages by the line has no use for comings and goings.
            "removed" | "user" => {}
            _ => {
                if let Some(line) = plain(&self.style).event(event, room, now) {
                    self.tell(&line);
                }
            }
        }
    }

    fn ended(&self, event: &Event) {
        if self.json {
            return self.event(event);
        }
        let room = |chat: &str| self.session.title(chat);
        let then = self.session.here.told();
        let style = plain(&self.style);
        if let Some(line) = style.ended(event, room, Timestamp::now(), &then) {
            self.tell(&line);
        }
    }

    fn sent(&self, _: &Post, _: &Value) {}

    fn answer(&self, kind: &str, data: &Value, text: &str) {
        if self.json {
            self.print_json(kind, data, None);
        } else {
            self.notice(text);
        }
    }

    // A line that is drawn over and over is for terminals.
    fn progress(&self, _: Option<&Progress<'_>>) {}

    fn notice(&self, text: &str) {
        self.tell(&plain(&self.style).notice(text));
    }

    fn trouble(&self, text: &str) {
        self.tell(&plain(&self.style).trouble(text));
    }

    fn broken(&self) -> Option<io::Error> {
        self.broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is read, where there is no chat `@nobody`.
    fn jobs(input: &[u8]) -> Vec<String> {
        let (jobs, queue) = sync_channel(QUEUE);
        let name = |job| match job {
            Job::Run(command, at) => format!("{}: {command:?}", at.as_deref().unwrap_or("nowhere")),
            Job::Await(command, _, ended) => {
                let to = command.goes_to().unwrap_or_default().to_owned();
                let end = match to.as_str() {
                    "@nobody" => Ended::Failed,
                    _ => Ended::At(to.clone()),
                };
                ended.send(end).unwrap();
                format!("to {to}")
            }
            Job::Wrong(why) => format!("wrong: {why}"),
            Job::LogOut(_) => "log out".to_owned(),
            Job::End => "end".to_owned(),
            other => format!("{other:?}"),
        };
        thread::scope(|scope| {
            scope.spawn(move || read(&mut &*input, &jobs, &Here::piped(), |_| false));
            queue.iter().map(name).collect()
        })
    }

    #[test]
    fn lines_go_to_the_chat_that_was_named_last() {
        let input = b"one\r\n\n/to @bob\ntwo\n//four";
        let expected = [
            "common: Say(\"one\")",
            "to @bob",
            "@bob: Say(\"two\")",
            "@bob: Say(\"/four\")",
            "end",
        ];
        assert_eq!(jobs(input), expected);
    }

    #[test]
    fn lines_for_a_chat_that_is_not_there_go_nowhere() {
        let expected = ["to @nobody", "nowhere: Say(\"two\")", "to common", "end"];
        assert_eq!(jobs(b"/to @nobody\ntwo\n/to common"), expected);
    }

    #[test]
    fn who_could_not_leave_says_what_follows_where_they_were() {
        let (jobs, queue) = sync_channel(QUEUE);
        let name = |job| match job {
            Job::Run(_, at) => at.unwrap_or_default(),
            Job::Await(_, _, ended) => {
                ended.send(Ended::Failed).unwrap();
                "failed".to_owned()
            }
            _ => "end".to_owned(),
        };
        let input = &mut &b"/leave\nstill here\n"[..];
        let jobs: Vec<String> = thread::scope(|scope| {
            scope.spawn(move || read(input, &jobs, &Here::piped(), |_| true));
            queue.iter().map(name).collect()
        });
        assert_eq!(jobs, ["failed", "common", "end"]);
    }

    #[test]
    fn a_command_that_the_server_lacks_is_told() {
        let expected = ["wrong: this server has no rooms", "end"];
        assert_eq!(jobs(b"/rooms"), expected);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_refused_and_the_next_one_posted() {
        let jobs = jobs(b"caf\xe9\nok\n");
        assert!(
            jobs[0].starts_with("wrong: a line that is not UTF-8"),
            "{}",
            jobs[0]
        );
        assert_eq!(jobs[1..], ["common: Say(\"ok\")", "end"]);
    }

    #[test]
    fn a_line_too_long_is_refused_as_a_whole() {
        let mut input = vec![b'x'; MAX_LINE as usize * 2 + 5];
        input.extend(b"\nok\n");
        let jobs = jobs(&input);
        assert!(
            jobs[0].starts_with("wrong: a line of more than"),
            "{}",
            jobs[0]
        );
        assert_eq!(jobs[1..], ["common: Say(\"ok\")", "end"]);
    }

    #[test]
    fn an_input_that_cannot_be_read_ends_it() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("it is a folder"))
            }
        }
        let (jobs, queue) = sync_channel(QUEUE);
        let input = &mut io::BufReader::new(Broken);
        read(input, &jobs, &Here::piped(), |_| false);
        drop(jobs);
        let jobs: Vec<Job> = queue.iter().collect();
        assert!(matches!(&jobs[0], Job::Wrong(why) if why.ends_with("it is a folder")));
        assert!(matches!(jobs[1..], [Job::End]));
    }

    #[test]
    fn nothing_after_a_quit_is_posted() {
        assert_eq!(jobs(b"one\n/quit\ntwo\n"), ["common: Say(\"one\")", "end"]);
        assert_eq!(jobs(b""), ["end"]);
    }

    #[test]
    fn an_event_is_one_line_of_harmless_json() {
        let data = json!({"text": "a\nb\u{1b}\u{9b}\u{202e}"});
        let line = json_line("message", &data, Some("e1.7"));
        let expected =
            r#"{"event":"message","data":{"text":"a\nb\u001b\u009b\u202e"},"id":"e1.7"}"#;
        assert_eq!(line, expected);
        assert_eq!(
            json_line("user", &json!({}), None),
            r#"{"event":"user","data":{}}"#
        );
    }
}
