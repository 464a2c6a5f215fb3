//! `/later`, `/scheduled` and `/cancel`, for servers with the feature `schedule`.

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answer::CallError;
use super::super::api::segment;
use super::super::lookup::may_begin_an_id;
use super::super::notice::{Notice, Reader};
use super::super::post::Post;
use super::super::render::Event;
use super::super::text::{Zone, excerpt, safe_line};
use super::super::worker::{Failure, Worker};
use super::words::{nothing, split};
use super::{Parsed, Wrong};
use crate::settings::Period;

/// How much of a text is shown where it is only to be recognised.
const EXCERPT: usize = 60;
/// How much of an id is shown, and is enough to name it.
const SHORT: usize = 8;

/// Why a time is none.
const BEYOND: &str = "that is beyond all times";
/// How a time is written, after what is wrong with the one that was.
const HINT: &str =
    "; write it like /later 10m TEXT, /later 18:30 TEXT or /later 2026-12-01T18:30 TEXT";
/// What the fields of a request are to who writes `/later`.
const FIELDS: [(&str, &str, &str); 4] = [
    ("at", "that time", HINT),
    ("in", "that time", HINT),
    ("text", "the text", ""),
    ("to", "the chat", ""),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Post a text to the current chat, later.
    Later { when: When, text: String },
    /// Show what is scheduled.
    List,
    /// Cancel one: by its number in the list, or its id's beginning.
    Cancel(String),
}

/// When to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// So long from now.
    In(Period),
    /// At a point of time.
    At(Timestamp),
    /// At a time by the user's own clock.
    Local(DateTime),
    /// The next time that the user's own clock shows this.
    Clock(Time),
}

/// A scheduled message, as far as it is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Item {
    id: String,
    to: String,
    text: Option<String>,
    file: Value,
    at: String,
    state: String,
    message: Option<u64>,
    reason: Option<String>,
    detail: Option<String>,
}

pub fn later(rest: &str) -> Parsed {
    let (word, text) = split(rest);
    if text.is_empty() {
        return Err(Wrong::Usage);
    }
    let when = when(word).ok_or_else(|| {
        Wrong::Because(format!(
            "\"{word}\" is no time to come: write 10m, 1h30m, 18:30, 2026-12-01T18:30 (by your \
             clock) or 2026-12-01T17:30Z"
        ))
    })?;
    let text = text.to_owned();
    Ok(super::Command::Schedule(Command::Later { when, text }))
}

fn when(word: &str) -> Option<When> {
    // With a colon it is what a clock shows.
    if !word.contains(':')
        && let Ok(period) = word.parse()
    {
        return Some(When::In(period));
    }
    if !word.contains('T') {
        return Time::strptime("%H:%M", word).ok().map(When::Clock);
    }
    let at = word.parse().map(When::At);
    at.or_else(|_| word.parse().map(When::Local)).ok()
}

pub fn scheduled(rest: &str) -> Parsed {
    nothing(rest)?;
    Ok(super::Command::Schedule(Command::List))
}

pub fn cancel(rest: &str) -> Parsed {
    let (which, more) = split(rest);
    nothing(more)?;
    if which.is_empty() {
        return Err(Wrong::Usage);
    }
    let which = which.to_owned();
    Ok(super::Command::Schedule(Command::Cancel(which)))
}

impl When {
    /// The point of time that is meant, by the user's clock; none where that is beyond all times.
    fn resolve(&self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        match self {
            When::In(_) => None,
            When::At(at) => Some(*at),
            When::Local(civil) => zone.at(*civil),
            When::Clock(time) => {
                let today = zone.civil(now).date();
                let at = zone.at(today.to_datetime(*time))?;
                if at > now {
                    return Some(at);
                }
                let tomorrow = today.checked_add(1.day()).ok()?;
                zone.at(tomorrow.to_datetime(*time))
            }
        }
    }
}

/// A refusal in the words in which a post for later was written.
pub fn in_words(post: &Post, error: CallError) -> CallError {
    match post.path.as_str() {
        "/scheduled" => error.in_words(&FIELDS),
        _ => error,
    }
}

impl Command {
    /// What it posts, if it does, for the time that is meant now.
    pub fn post(&self, to: &str, zone: &Zone, now: Timestamp) -> Option<Result<Post, String>> {
        let Command::Later { when, text } = self else {
            return None;
        };
        let at = match when {
            When::In(period) => {
                let wait = SignedDuration::try_from(period.to_std()).ok();
                wait.and_then(|wait| now.checked_add(wait).ok())
            }
            _ => when.resolve(zone, now),
        };
        let body = at.map(|at| json!({ "to": to, "text": text, "at": at.to_string() }));
        let post = body.map(|body| Post::new("/scheduled", body));
        Some(post.ok_or_else(|| BEYOND.to_owned()))
    }

    pub fn run(self, worker: &mut Worker, current: Option<&str>) -> Result<(), Failure> {
        match self {
            Command::Later { when, text } => {
                let to = worker.here(current)?;
                let mut body = json!({ "to": to, "text": text });
                if let When::In(period) = when {
                    body["in"] = period.to_string().into();
                } else {
                    let at = when.resolve(worker.zone(), Timestamp::now());
                    let at = at.ok_or_else(|| Failure::Refused(BEYOND.into()))?;
                    body["at"] = at.to_string().into();
                }
                let made = worker.act(&["scheduled"], || {
                    let made = worker.post_once("/scheduled", &body);
                    let made = made.map_err(|error| error.in_words(&FIELDS))?;
                    let made = Event::new("scheduled", made);
                    Ok((made.clone(), vec![made]))
                })?;
                worker.tell(&made);
                Ok(())
            }
            Command::List => {
                let (list, items) = fetch(worker)?;
                let text = listed(&items, worker);
                worker.output.answer("schedule", &list, &text);
                worker.memory.scheduled = items;
                Ok(())
            }
            Command::Cancel(which) => {
                let item = find(worker, &which)?;
                let mut data = json!({ "id": item.id, "to": item.to, "at": item.at });
                if let Some(text) = item.text {
                    data["text"] = text.into();
                }
                let cancelled = worker.act(&["cancelled"], || {
                    let path = format!("/scheduled/{}", segment(&item.id));
                    worker.session.api.delete(&path)?;
                    let cancelled = Event::new("cancelled", data);
                    Ok((cancelled.clone(), vec![cancelled]))
                })?;
                worker.tell(&cancelled);
                Ok(())
            }
        }
    }
}

fn fetch(worker: &Worker) -> Result<(Value, Vec<Item>), Failure> {
    let list = worker.session.api.get("/scheduled", &[])?;
    let items = list["scheduled"].as_array().into_iter().flatten();
    let items = items.filter_map(|item| Item::deserialize(item).ok());
    let items = items.collect();
    Ok((list, items))
}

/// What a number of the list that was shown last, or the beginning of an id, means.
fn find(worker: &Worker, which: &str) -> Result<Item, Failure> {
    let listed = &worker.memory.scheduled;
    let number = which.parse::<usize>().ok();
    if let Some(item) = number.and_then(|number| listed.get(number.checked_sub(1)?)) {
        return Ok(item.clone());
    }
    let (_, items) = fetch(worker)?;
    let wanted = which.to_lowercase();
    let mut fitting = items
        .into_iter()
        .filter(|item| may_begin_an_id(&wanted) && item.id.starts_with(&wanted));
    match (fitting.next(), fitting.next()) {
        (Some(item), None) => Ok(item),
        (Some(_), Some(_)) => Err(Failure::Refused(format!(
            "more than one id begins with {which}: write more of it"
        ))),
        (None, _) => Err(Failure::Refused(format!(
            "nothing that is scheduled has the number or id {which}: /scheduled lists it"
        ))),
    }
}

fn listed(items: &[Item], worker: &Worker) -> String {
    if items.is_empty() {
        return "nothing is scheduled: /later 10m TEXT does it".to_owned();
    }
    let title = |chat: &str| worker.session.title(chat);
    let me = worker.session.me();
    let reader = Reader {
        me: &me,
        title: &title,
        zone: worker.zone(),
        now: Timestamp::now(),
    };
    let width = items.len().to_string().len();
    let lines = items.iter().enumerate().map(|(at, item)| {
        let what = match item.state.as_str() {
            "waiting" => String::new(),
            "sent" => " sent".to_owned(),
            "failed" => format!(" not sent: {}", item.why()),
            other => format!(" {}", safe_line(other)),
        };
        format!("{:>width$}. {}{what}", at + 1, item.line(&reader))
    });
    let lines: Vec<String> = lines.collect();
    format!("scheduled:\n{}", lines.join("\n"))
}

impl Item {
    /// When it is due, where to, and how it begins.
    fn line(&self, reader: &Reader<'_>) -> String {
        let at = reader.zone.show(&self.at, reader.now);
        let to = reader.chat(&self.to);
        let mut line = format!("{at} to {to}");
        if let Some(text) = self.text.as_deref().filter(|text| !text.is_empty()) {
            line.push_str(&format!(": \"{}\"", excerpt(text, EXCERPT)));
        }
        if let Some(name) = self.file["name"].as_str() {
            line.push_str(&format!(" [file {}]", safe_line(name)));
        }
        line
    }

    fn short(&self) -> String {
        safe_line(&self.id.chars().take(SHORT).collect::<String>())
    }

    fn why(&self) -> String {
        let why = self.detail.as_deref().or(self.reason.as_deref());
        safe_line(why.unwrap_or("a rule refused it"))
    }
}

/// What an event of schedule says.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    let item = || {
        Item::deserialize(data)
            .ok()
            .filter(|item| !item.id.is_empty())
    };
    match kind {
        "scheduled" => {
            let item = item()?;
            let (line, id) = (item.line(reader), item.short());
            Some(Notice::Calm(format!(
                "later, {line} (/cancel {id} takes it back)"
            )))
        }
        "cancelled" => {
            let item = item()?;
            Some(Notice::Calm(if item.to.is_empty() {
                format!("a scheduled message was cancelled ({})", item.short())
            } else {
                format!("cancelled: {}", item.line(reader))
            }))
        }
        "scheduled_sent" => {
            let item = item()?;
            let became = item
                .message
                .map_or(String::new(), |id| format!(" as #{id}"));
            let to = reader.chat(&item.to);
            Some(Notice::Calm(format!(
                "what was scheduled is sent to {to}{became}"
            )))
        }
        "scheduled_failed" => {
            let item = item()?;
            let (line, why) = (item.line(reader), item.why());
            Some(Notice::Alarm(format!(
                "not sent, though scheduled for {line}: {why}"
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        match parse(line, |_| true)? {
            Some(super::super::Command::Schedule(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn resolved(word: &str, zone: &Zone) -> String {
        let now = "2026-11-24T20:00:00Z".parse().unwrap();
        let at = when(word).unwrap().resolve(zone, now);
        at.unwrap().to_string()
    }

    #[test]
    fn a_time_is_a_length_a_clock_time_or_a_date() {
        assert_eq!(when("10m"), Some(When::In(Period::mins(10))));
        assert_eq!(when("1h30m"), Some(When::In(Period::mins(90))));
        let zone = Zone::named("XYZ-2").unwrap();
        for (word, at) in [
            ("2026-12-01T10:00Z", "2026-12-01T10:00:00Z"),
            ("2026-12-01T10:00:30+02:00", "2026-12-01T08:00:30Z"),
            ("2026-12-01T10:00", "2026-12-01T08:00:00Z"),
            // It is 22:00 by the user's clock.
            ("22:30", "2026-11-24T20:30:00Z"),
            ("22:00", "2026-11-25T20:00:00Z"),
            ("8:05", "2026-11-25T06:05:00Z"),
        ] {
            assert_eq!(resolved(word, &zone), at, "{word}");
        }
        for wrong in ["soon", "10", "25:00", "18:30:00", "2026-13-01T10:00", "-5m"] {
            assert_eq!(when(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn later_takes_a_time_and_a_text() {
        let expected = Command::Later {
            when: When::In(Period::mins(10)),
            text: "lunch  now?".into(),
        };
        assert_eq!(read("/later 10m  lunch  now? "), Ok(expected));
        for line in ["/later", "/later 10m"] {
            let usage = Err("write /later 10m | 18:30 | DATE TEXT".into());
            assert_eq!(read(line), usage, "{line}");
        }
        let error = read("/later soon lunch").unwrap_err();
        assert!(error.starts_with("\"soon\" is no time to come"), "{error}");
    }

    #[test]
    fn its_events_are_told_in_a_line_each() {
        let title = |chat: &str| (chat == "room:7").then(|| "Garden\u{1b}".to_owned());
        let zone = Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &title,
            zone: &zone,
            now: "2026-11-24T20:00:00Z".parse().unwrap(),
        };
        let mut data = json!({"id": "3f1c2a9e-6f0b", "to": "room:7", "text": "one\ntwo",
            "at": "2026-11-24T20:30:00.000Z", "state": "waiting"});
        let calm = |text: &str| Some(Notice::Calm(text.to_owned()));
        let line = "20:30 to [Garden\\u{1b}]: \"one\\ntwo\"";
        assert_eq!(
            notice("scheduled", &data, &reader),
            calm(&format!("later, {line} (/cancel 3f1c2a9e takes it back)"))
        );
        data["detail"] = "you are banned".into();
        assert_eq!(
            notice("scheduled_failed", &data, &reader),
            Some(Notice::Alarm(format!(
                "not sent, though scheduled for {line}: you are banned"
            )))
        );
        data["message"] = json!(812);
        assert_eq!(
            notice("scheduled_sent", &data, &reader),
            calm("what was scheduled is sent to [Garden\\u{1b}] as #812")
        );
        data["text"] = "".into();
        data["file"] = json!({"name": "a\u{1b}"});
        assert_eq!(
            notice("scheduled", &data, &reader),
            calm(
                "later, 20:30 to [Garden\\u{1b}] [file a\\u{1b}] (/cancel 3f1c2a9e takes it back)"
            )
        );
        assert_eq!(
            notice("cancelled", &json!({"id": "3f1c2a9e-6f0b"}), &reader),
            calm("a scheduled message was cancelled (3f1c2a9e)")
        );
        assert_eq!(notice("cancelled", &json!(3), &reader), None);
        assert_eq!(notice("scheduled_forgotten", &data, &reader), None);
    }
}
