//! `/subscribe`, `/subscriptions`, `/unsubscribe` and `/resubscribe`, for servers with the feature
//! `subscriptions`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::notice::{Notice, Reader};
use super::super::render::Event;
use super::super::text::safe_line;
use super::super::worker::{Failure, Worker};
use super::webhooks::{place, reading};
use super::words::{nothing, split};
use super::{Parsed, Wrong};

/// What the fields of a request are to who writes `/subscribe`.
const FIELDS: [(&str, &str, &str); 2] = [
    ("url", "the URL", ""),
    ("chat", "the chat", "; write it like /subscribe URL TITLE"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Have what is said in that chat, or in the current one, posted to that URL.
    Make { url: String, chat: Option<String> },
    /// Show one's subscriptions.
    List,
    /// End one.
    Remove(String),
    /// Try again now, also where it was given up.
    On(String),
}

/// A subscription, as the server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// Its id.
    pub id: u64,
    /// What is said where.
    pub chat: String,
    /// Where to.
    url: String,
    /// When it was made.
    at: String,
    /// Whether its owner is in the chat.
    pub works: bool,
    #[serde(flatten)]
    standing: Standing,
}

/// How one stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Standing {
    state: String,
    failure: Option<Fault>,
}

/// Why it does not work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Fault {
    reason: String,
    status: Option<u16>,
    since: String,
    next: Option<String>,
}

fn command(command: Command) -> Parsed {
    Ok(super::Command::Subscriptions(command))
}

pub fn subscribe(rest: &str) -> Parsed {
    let (url, chat) = split(rest);
    if url.is_empty() {
        return Err(Wrong::Usage);
    }
    let (url, chat) = (url.to_owned(), (!chat.is_empty()).then(|| chat.to_owned()));
    command(Command::Make { url, chat })
}

pub fn subscriptions(rest: &str) -> Parsed {
    nothing(rest)?;
    command(Command::List)
}

fn which(rest: &str) -> Result<String, Wrong> {
    let (which, more) = split(rest);
    nothing(more)?;
    match which {
        "" => Err(Wrong::Usage),
        which => Ok(which.to_owned()),
    }
}

pub fn unsubscribe(rest: &str) -> Parsed {
    command(Command::Remove(which(rest)?))
}

pub fn resubscribe(rest: &str) -> Parsed {
    command(Command::On(which(rest)?))
}

impl Command {
    pub fn run(self, worker: &Worker, current: Option<&str>) -> Result<(), Failure> {
        match self {
            Command::Make { url, chat } => make(worker, current, &url, chat),
            Command::List => {
                let list = worker.session.fetch_subscriptions()?;
                let all = worker.session.subscriptions();
                let text = reading(worker, |reader| listed(&all, reader));
                worker.output.answer("subscriptions", &list, &text);
                Ok(())
            }
            Command::Remove(which) => {
                let found = found(worker, &which)?;
                let removed = worker.act(&["subscription_removed"], || {
                    let path = format!("/subscriptions/{}", found.id);
                    worker.session.api.delete(&path)?;
                    let data = json!({ "id": found.id, "url": found.url });
                    let removed = Event::new("subscription_removed", data);
                    Ok((removed.clone(), vec![removed]))
                })?;
                worker.tell(&removed);
                Ok(())
            }
            Command::On(which) => {
                let found = found(worker, &which)?;
                let path = format!("/subscriptions/{}/on", found.id);
                worker.post_once(&path, &json!({}))?;
                worker
                    .output
                    .notice(&format!("{} is tried again now", found.typed()));
                Ok(())
            }
        }
    }
}

/// The secret is told first, in a line of its own, for it is to be copied.
fn make(
    worker: &Worker,
    current: Option<&str>,
    url: &str,
    chat: Option<String>,
) -> Result<(), Failure> {
    let chat = worker.named_or_here(chat.as_deref(), current)?;
    let body = json!({ "url": url, "chat": chat });
    let made = worker.act(&["subscription"], || {
        let made = worker.post_once("/subscriptions", &body);
        let made = made.map_err(|error| error.in_words(&FIELDS))?;
        let mut told = made.clone();
        if let Some(fields) = told.as_object_mut() {
            fields.remove("secret");
        }
        Ok((made, vec![Event::new("subscription", told)]))
    })?;
    let one = Subscription::deserialize(&made).unwrap_or_default();
    let text = reading(worker, |reader| {
        format!(
            "{}\nby this secret {} verifies that what it gets of {} comes from here. It is shown only \
             now; /unsubscribe {} ends it",
            safe_line(made["secret"].as_str().unwrap_or_default()),
            safe_line(&one.url),
            heard(&one, reader),
            one.typed(),
        )
    });
    worker.output.answer("subscription", &made, &text);
    Ok(())
}

/// What is heard, as people call it.
fn heard(one: &Subscription, reader: &Reader<'_>) -> String {
    match one.chat.as_str() {
        "@me" => "your notebook".to_owned(),
        chat => place(chat, one.works, reader),
    }
}

/// The one that is meant, of those that there are now.
fn found(worker: &Worker, which: &str) -> Result<Subscription, Failure> {
    worker.session.fetch_subscriptions()?;
    find(&worker.session.subscriptions(), which).map_err(Failure::Refused)
}

/// By an id with or without `#`, or a URL that is one's alone.
fn find(all: &[Subscription], which: &str) -> Result<Subscription, String> {
    let number = which.strip_prefix('#').unwrap_or(which).parse().ok();
    let fits = |one: &&Subscription| number == Some(one.id) || one.url == which;
    let fitting: Vec<&Subscription> = all.iter().filter(fits).collect();
    let which = safe_line(which);
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(format!(
            "you have no subscription \"{which}\": /subscriptions lists yours"
        )),
        more => {
            let ids: Vec<String> = more.iter().map(|one| one.typed()).collect();
            let ids = ids.join(" or ");
            Err(format!("\"{which}\" is more than one subscription: {ids}"))
        }
    }
}

impl Fault {
    /// What went wrong, in words.
    fn why(&self) -> String {
        match (self.reason.as_str(), self.status) {
            ("status", Some(status)) => format!("it answered {status}"),
            ("unresolved", _) => "its name has no address".to_owned(),
            ("private", _) => "its address is not a public one".to_owned(),
            ("unreachable", _) => "nothing takes connections there".to_owned(),
            ("tls", _) => "its certificate is not trusted".to_owned(),
            ("timeout", _) => "it did not answer in time".to_owned(),
            ("protocol", _) => "what came is no answer of HTTP".to_owned(),
            ("internal", _) => "this server failed".to_owned(),
            (reason, _) => safe_line(reason),
        }
    }
}

impl Subscription {
    /// What to write for it.
    pub fn typed(&self) -> String {
        format!("#{}", self.id)
    }

    /// What it is recognised by.
    pub fn about(&self) -> String {
        safe_line(&self.url)
    }

    /// Takes over how it stands now.
    pub fn learn(&mut self, data: &Value) {
        self.standing = Standing::deserialize(data).unwrap_or_default();
    }

    /// What is posted where, and how that goes.
    pub fn line(&self, reader: &Reader<'_>) -> String {
        let (typed, url) = (self.typed(), safe_line(&self.url));
        let place = heard(self, reader);
        let time = |stamp: &str| reader.zone.show(stamp, reader.now);
        let line = format!("{typed} {place} to {url}, since {}", time(&self.at));
        let failure = self.standing.failure.as_ref();
        match (self.standing.state.as_str(), failure) {
            ("off", Some(fault)) => format!(
                "{line}: off, as it failed since {}: {}; /resubscribe {typed} tries again",
                time(&fault.since),
                fault.why()
            ),
            ("failing", Some(fault)) => {
                let next = fault.next.as_deref().map(time);
                let next = next.map_or(String::new(), |next| format!(", tried again {next}"));
                let since = time(&fault.since);
                format!("{line}: fails since {since}: {}{next}", fault.why())
            }
            _ if !self.works => format!("{line}: does not work, as you are not there"),
            _ => line,
        }
    }
}

fn listed(all: &[Subscription], reader: &Reader<'_>) -> String {
    if all.is_empty() {
        return "you have no subscriptions: /subscribe URL has what is said here posted there"
            .to_owned();
    }
    let lines: Vec<String> = all.iter().map(|one| one.line(reader)).collect();
    format!("subscriptions:\n{}", lines.join("\n"))
}

/// What an event of subscriptions says. That one fails is no news as long as it is tried again.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    let one = Subscription::deserialize(data)
        .ok()
        .filter(|one| one.id > 0)?;
    let typed = one.typed();
    Some(match (kind, one.standing.state.as_str()) {
        ("subscription", _) => Notice::Calm(format!(
            "what is said in {} is posted to {} now: /subscriptions lists yours",
            heard(&one, reader),
            safe_line(&one.url)
        )),
        ("subscription_removed", _) => Notice::Calm(match one.url.as_str() {
            "" => format!("your subscription {typed} is no more"),
            url => format!("your subscription {typed} to {} is no more", safe_line(url)),
        }),
        ("subscription_state", "off") => {
            let why = one.standing.failure.unwrap_or_default().why();
            Notice::Alarm(format!(
                "your subscription {typed} was given up: {why}; /resubscribe {typed} tries again"
            ))
        }
        ("subscription_state", "on") => {
            Notice::Calm(format!("your subscription {typed} works again"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::text::Zone;
    use super::super::parse;
    use super::*;

    fn one(id: u64, url: &str, standing: Value) -> Subscription {
        let mut data = json!({"id": id, "chat": "common", "url": url, "works": true,
            "at": "2026-11-24T19:18:55.123Z", "state": "on"});
        for (name, value) in standing.as_object().unwrap() {
            data[name] = value.clone();
        }
        Subscription::deserialize(data).unwrap()
    }

    #[test]
    fn one_is_made_by_a_url_and_perhaps_a_chat() {
        let read = |line: &str| match parse(line, |_| true)? {
            Some(super::super::Command::Subscriptions(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        };
        for (line, chat) in [
            ("/subscribe http://h/x", None),
            ("/subscribe  http://h/x  The Garden", Some("The Garden")),
        ] {
            let (url, chat) = ("http://h/x".to_owned(), chat.map(str::to_owned));
            assert_eq!(read(line), Ok(Command::Make { url, chat }), "{line}");
        }
        assert_eq!(
            read("/unsubscribe #31"),
            Ok(Command::Remove("#31".to_owned()))
        );
        let usage = Err("write /resubscribe ID".to_owned());
        assert_eq!(read("/resubscribe 1 2"), usage);
    }

    #[test]
    fn one_is_found_by_its_id_or_by_a_url_that_is_its_alone() {
        let all = [(31, "http://a"), (45, "http://b"), (47, "http://b")];
        let all = all.map(|(id, url)| one(id, url, json!({})));
        for (which, id) in [("31", 31), ("#45", 45), ("http://a", 31)] {
            assert_eq!(find(&all, which).map(|one| one.id), Ok(id), "{which}");
        }
        for (which, told) in [
            (
                "http://b",
                "\"http://b\" is more than one subscription: #45 or #47",
            ),
            (
                "9",
                "you have no subscription \"9\": /subscriptions lists yours",
            ),
        ] {
            assert_eq!(find(&all, which), Err(told.to_owned()));
        }
    }

    #[test]
    fn each_is_told_with_how_it_stands_and_why() {
        let zone = Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &|_| None,
            zone: &zone,
            now: "2026-11-24T20:00:00Z".parse().unwrap(),
        };
        let failure = |reason: &str, status: Option<u16>, next: Option<&str>| {
            json!({"reason": reason, "status": status, "times": 3, "next": next,
                "since": "2026-11-24T19:30:00.000Z", "at": "2026-11-24T19:40:00.000Z"})
        };
        let next = Some("2026-11-24T20:10:00.000Z");
        let all = [
            one(31, "http://a\u{1b}", json!({})),
            one(
                45,
                "http://b",
                json!({"state": "failing", "failure": failure("status", Some(502), next)}),
            ),
            one(
                47,
                "http://c",
                json!({"state": "off", "failure": failure("private", None, None)}),
            ),
            one(50, "http://d", json!({"works": false, "chat": "room:8"})),
        ];
        let expected = "subscriptions:\n\
            #31 common to http://a\\u{1b}, since 19:18\n\
            #45 common to http://b, since 19:18: fails since 19:30: it answered 502, tried again 20:10\n\
            #47 common to http://c, since 19:18: off, as it failed since 19:30: its address is not a \
            public one; /resubscribe #47 tries again\n\
            #50 a room to http://d, since 19:18: does not work, as you are not there";
        assert_eq!(listed(&all, &reader), expected);
        let state = |state: &str, failure: Value| {
            let data = json!({"id": 45, "state": state, "failure": failure});
            notice("subscription_state", &data, &reader)
        };
        assert_eq!(state("failing", failure("timeout", None, next)), None);
        let told = "your subscription #45 was given up: it did not answer in time; /resubscribe #45 tries \
            again";
        let off = state("off", failure("timeout", None, None));
        assert_eq!(off, Some(Notice::Alarm(told.to_owned())));
        let on = Notice::Calm("your subscription #45 works again".to_owned());
        assert_eq!(state("on", Value::Null), Some(on));
        assert_eq!(notice("subscriptions", &json!({"id": 45}), &reader), None);
    }
}
