//! `/hook`, `/hooks` and `/unhook`, for servers with the feature `webhooks`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::notice::{Notice, Reader};
use super::super::render::Event;
use super::super::text::safe_line;
use super::super::worker::{Failure, Worker};
use super::words::{nothing, split};
use super::{Parsed, Wrong};

/// What the fields of a request are to who writes `/hook`.
const FIELDS: [(&str, &str, &str); 2] = [
    ("name", "the name", ""),
    (
        "to",
        "the chat",
        "; write it like /hook NAME common, /hook NAME TITLE or /hook NAME @me",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make one that posts by that name, to that chat or to the current one.
    Make { name: String, to: Option<String> },
    /// Show one's hooks.
    List,
    /// Remove one: by its name or its id.
    Remove(String),
}

/// A hook, as the server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Its id.
    pub id: u64,
    /// Whom it posts as.
    pub name: String,
    /// Where it posts.
    pub to: String,
    /// When it was made.
    at: String,
    /// Whether its maker is still there.
    pub works: bool,
}

fn command(command: Command) -> Parsed {
    Ok(super::Command::Webhooks(command))
}

pub fn hook(rest: &str) -> Parsed {
    let (name, to) = split(rest);
    if name.is_empty() {
        return Err(Wrong::Usage);
    }
    let (name, to) = (name.to_owned(), (!to.is_empty()).then(|| to.to_owned()));
    command(Command::Make { name, to })
}

pub fn hooks(rest: &str) -> Parsed {
    nothing(rest)?;
    command(Command::List)
}

pub fn unhook(rest: &str) -> Parsed {
    let (which, more) = split(rest);
    nothing(more)?;
    if which.is_empty() {
        return Err(Wrong::Usage);
    }
    command(Command::Remove(which.to_owned()))
}

impl Command {
    pub fn run(self, worker: &Worker, current: Option<&str>) -> Result<(), Failure> {
        match self {
            Command::Make { name, to } => make(worker, current, &name, to),
            Command::List => {
                let list = worker.session.fetch_hooks()?;
                let hooks = worker.session.hooks();
                let text = reading(worker, |reader| listed(&hooks, reader));
                worker.output.answer("hooks", &list, &text);
                Ok(())
            }
            Command::Remove(which) => {
                worker.session.fetch_hooks()?;
                let hooks = worker.session.hooks();
                let hook = find(&hooks, &which).map_err(Failure::Refused)?;
                let removed = worker.act(&["hook_removed"], || {
                    let path = format!("/hooks/{}", hook.id);
                    worker.session.api.delete(&path)?;
                    let data = json!({ "id": hook.id, "name": hook.name });
                    let removed = Event::new("hook_removed", data);
                    Ok((removed.clone(), vec![removed]))
                })?;
                worker.tell(&removed);
                Ok(())
            }
        }
    }
}

/// The address is told first, in a line of its own, for it is to be copied.
fn make(
    worker: &Worker,
    current: Option<&str>,
    name: &str,
    to: Option<String>,
) -> Result<(), Failure> {
    let to = worker.named_or_here(to.as_deref(), current)?;
    let body = json!({ "name": name, "to": to });
    let made = worker.act(&["hook"], || {
        let made = worker.post_once("/hooks", &body);
        let made = made.map_err(|error| error.in_words(&FIELDS))?;
        Ok((made.clone(), vec![Event::new("hook", made)]))
    })?;
    let hook = Hook::deserialize(&made).unwrap_or_default();
    let hooks = worker.session.hooks();
    let text = reading(worker, |reader| {
        format!(
            "{}{}\nwhoever has this address posts by it as {} to {}. It is a secret, and shown only \
             now; /unhook {} ends it",
            worker.session.api.base(),
            safe_line(made["url"].as_str().unwrap_or_default()),
            safe_line(&hook.name),
            place(&hook.to, hook.works, reader),
            typed(&hook, &hooks),
        )
    });
    worker.output.answer("hook", &made, &text);
    Ok(())
}

pub(super) fn reading<T>(worker: &Worker, tell: impl FnOnce(&Reader<'_>) -> T) -> T {
    let title = |chat: &str| worker.session.title(chat);
    tell(&Reader {
        me: &worker.session.me(),
        title: &title,
        zone: worker.zone(),
        now: Timestamp::now(),
    })
}

/// The hook that is meant by a name, or by an id with or without `#`.
fn find<'a>(hooks: &'a [Hook], which: &str) -> Result<&'a Hook, String> {
    let number = which.strip_prefix('#').unwrap_or(which).parse().ok();
    // No name has the mark of a number.
    let name = which.strip_prefix('@').unwrap_or(which).to_lowercase();
    let fits = |hook: &&Hook| number == Some(hook.id) || hook.name.to_lowercase() == name;
    let fitting: Vec<&Hook> = hooks.iter().filter(fits).collect();
    let which = safe_line(which);
    match fitting.as_slice() {
        [hook] => Ok(hook),
        [] => Err(format!("you have no hook \"{which}\": /hooks lists yours")),
        more => {
            let calls = more.iter().map(|hook| format!("/unhook #{}", hook.id));
            let calls: Vec<String> = calls.collect();
            let calls = calls.join(" or ");
            Err(format!("\"{which}\" is more than one hook: {calls}"))
        }
    }
}

/// What to write for a hook: its name, where that means no other.
pub fn typed(hook: &Hook, hooks: &[Hook]) -> String {
    match find(hooks, &hook.name) {
        Ok(found) if found.id == hook.id => safe_line(&hook.name),
        _ => format!("#{}", hook.id),
    }
}

/// Where something of one's own leads; `works` tells whether one is there.
pub(super) fn place(to: &str, works: bool, reader: &Reader<'_>) -> String {
    match to {
        "@me" => "you alone".to_owned(),
        // Of a room that one is not in the title is not told either.
        to if !works && (reader.title)(to).is_none() => "a room".to_owned(),
        to => reader.chat(to),
    }
}

impl Hook {
    /// Whom it posts as, where, and whether it does.
    pub fn line(&self, reader: &Reader<'_>) -> String {
        let (name, place) = (safe_line(&self.name), place(&self.to, self.works, reader));
        let since = reader.zone.show(&self.at, reader.now);
        let line = format!("#{} {name} to {place}, since {since}", self.id);
        match self.works {
            true => line,
            false => format!("{line}: does not work, as you are not there"),
        }
    }
}

fn listed(hooks: &[Hook], reader: &Reader<'_>) -> String {
    if hooks.is_empty() {
        return "you have no hooks: /hook NAME makes one, by which a program posts".to_owned();
    }
    let lines: Vec<String> = hooks.iter().map(|hook| hook.line(reader)).collect();
    format!("hooks:\n{}", lines.join("\n"))
}

/// What an event of webhooks says.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    let hook = Hook::deserialize(data).ok().filter(|hook| hook.id > 0);
    let name = |hook: &Hook| safe_line(&hook.name);
    let text = match kind {
        "hook" => {
            let hook = hook?;
            let (name, place) = (name(&hook), place(&hook.to, hook.works, reader));
            format!("a hook of yours posts as {name} to {place} now: /hooks lists yours")
        }
        "hook_removed" => {
            let hook = hook?;
            match hook.name.as_str() {
                "" => format!("your hook #{} is no more", hook.id),
                _ => format!(
                    "your hook #{} is no more, by which {} posted",
                    hook.id,
                    name(&hook)
                ),
            }
        }
        _ => return None,
    };
    Some(Notice::Calm(text))
}

#[cfg(test)]
mod tests {
    use super::super::super::text::Zone;
    use super::super::parse;
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        match parse(line, |_| true)? {
            Some(super::super::Command::Webhooks(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn hook(id: u64, name: &str, to: &str, works: bool) -> Hook {
        let at = "2026-11-24T19:18:55.123Z".to_owned();
        let (name, to) = (name.to_owned(), to.to_owned());
        Hook {
            id,
            name,
            to,
            at,
            works,
        }
    }

    #[test]
    fn a_hook_is_made_by_a_name_and_perhaps_a_chat() {
        for (line, to) in [
            ("/hook alerts", None),
            ("/hook alerts @me ", Some("@me")),
            ("/hook  alerts  The Garden", Some("The Garden")),
        ] {
            let (name, to) = ("alerts".to_owned(), to.map(str::to_owned));
            assert_eq!(read(line), Ok(Command::Make { name, to }), "{line}");
        }
        assert_eq!(read("/hook"), Err("write /hook NAME [TO]".to_owned()));
        assert_eq!(
            read("/unhook a b"),
            Err("write /unhook NAME | ID".to_owned())
        );
    }

    #[test]
    fn a_hook_is_found_by_its_name_where_that_is_one_alone_and_else_by_its_id() {
        let hooks = [
            hook(31, "alerts", "common", true),
            hook(45, "ci", "common", true),
            hook(47, "ci", "@me", true),
            hook(50, "31", "common", true),
        ];
        for (which, id) in [
            ("Alerts", 31),
            ("@alerts", 31),
            ("#31", 31),
            ("45", 45),
            ("#47", 47),
            ("50", 50),
        ] {
            assert_eq!(find(&hooks, which).map(|hook| hook.id), Ok(id), "{which}");
        }
        for (which, told) in [
            (
                "ci",
                "\"ci\" is more than one hook: /unhook #45 or /unhook #47",
            ),
            (
                "31",
                "\"31\" is more than one hook: /unhook #31 or /unhook #50",
            ),
            ("#9", "you have no hook \"#9\": /hooks lists yours"),
            (
                "bob\u{1b}",
                "you have no hook \"bob\\u{1b}\": /hooks lists yours",
            ),
        ] {
            assert_eq!(find(&hooks, which), Err(told.to_owned()));
        }
        let typed = hooks.iter().map(|hook| typed(hook, &hooks));
        let typed: Vec<String> = typed.collect();
        assert_eq!(typed, ["alerts", "#45", "#47", "#50"]);
        for (typed, hook) in typed.iter().zip(&hooks) {
            assert_eq!(find(&hooks, typed), Ok(hook));
        }
    }

    #[test]
    fn hooks_are_told_with_where_they_post_and_whether() {
        let title = |chat: &str| (chat == "room:7").then(|| "Ops\u{1b}".to_owned());
        let zone = Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &title,
            zone: &zone,
            now: "2026-11-24T20:00:00Z".parse().unwrap(),
        };
        let hooks = [
            hook(31, "alerts", "common", true),
            hook(45, "ci", "room:7", true),
            hook(47, "ci", "@me", true),
            hook(50, "old", "room:8", false),
        ];
        let expected = "hooks:\n\
            #31 alerts to common, since 19:18\n\
            #45 ci to [Ops\\u{1b}], since 19:18\n\
            #47 ci to you alone, since 19:18\n\
            #50 old to a room, since 19:18: does not work, as you are not there";
        assert_eq!(listed(&hooks, &reader), expected);
        assert!(listed(&[], &reader).starts_with("you have no hooks"));
        let say = |kind: &str, data: Value| notice(kind, &data, &reader);
        let calm = |text: &str| Some(Notice::Calm(text.to_owned()));
        let made = json!({"id": 45, "name": "ci\u{1b}", "to": "room:7", "works": true});
        assert_eq!(
            say("hook", made),
            calm("a hook of yours posts as ci\\u{1b} to [Ops\\u{1b}] now: /hooks lists yours")
        );
        let gone = json!({"id": 45});
        assert_eq!(say("hook_removed", gone), calm("your hook #45 is no more"));
        let gone = json!({"id": 45, "name": "ci"});
        let told = calm("your hook #45 is no more, by which ci posted");
        assert_eq!(say("hook_removed", gone), told);
        assert_eq!(say("hook", json!({})), None);
        assert_eq!(say("hooked", json!({"id": 45})), None);
    }
}
