//! What a typed line asks for: the commands of the core and of each feature.
//!
//! `list` names them all. Each other file has how its own are read, and what they do; those of a
//! feature also have how its events are told.

mod chat;
mod comments;
mod complaints;
mod edits;
mod files;
mod list;
mod mentions;
mod reactions;
mod rooms;
mod schedule;
mod search;
mod subscriptions;
mod webhooks;
mod words;

use jiff::Timestamp;
use serde_json::Value;

use super::notice::{Notice, Reader};
use super::post::Post;
use super::render::Event;
use super::session::Session;
use super::text::Zone;
use super::worker::{Failure, Worker};

pub use files::find as find_file;
use list::COMMANDS;
pub use list::{Spec, Takes};
pub use reactions::{COMMON, Reaction, fold as fold_reaction, line as reaction_line};
pub use schedule::in_words as schedule_words;
pub use subscriptions::Subscription;
pub use webhooks::{Hook, typed as typed_hook};

/// Why a line is no command.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// Its arguments are others than it takes.
    Usage,
    /// A sentence for the user.
    Because(String),
}

type Parsed = Result<Command, Wrong>;

/// What came of a command that was done: the chat that plain lines go to from then on, where it
/// has changed that.
pub type Done = Result<Option<String>, Failure>;

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Post this text to the current chat.
    Say(String),
    /// Leave.
    Quit,
    /// End this client on the server.
    Logout,
    /// Explain the commands.
    Help,
    /// One of the core's.
    Chat(chat::Command),
    /// One of the feature `comments`.
    Comments(comments::Command),
    /// One of the feature `complaints`.
    Complaints(complaints::Command),
    /// One of the feature `edits`.
    Edits(edits::Command),
    /// One of the feature `files`.
    Files(files::Command),
    /// One of the feature `mentions`.
    Mentions(mentions::Command),
    /// One of the feature `reactions`.
    Reactions(reactions::Command),
    /// One of the feature `rooms`.
    Rooms(rooms::Command),
    /// One of the feature `schedule`.
    Schedule(schedule::Command),
    /// One of the feature `search`.
    Search(search::Command),
    /// One of the feature `subscriptions`.
    Subscriptions(subscriptions::Command),
    /// One of the feature `webhooks`.
    Webhooks(webhooks::Command),
}

/// What commands remember from one to the next.
#[derive(Debug, Default)]
pub struct Memory {
    /// The scheduled messages as they were listed last.
    scheduled: Vec<schedule::Item>,
}

/// How long the prompt waits for a command before it takes another line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until it is known where plain lines go, but not for long.
    Move,
    /// Until it is done or the user stops it.
    Transfer,
}

/// The commands that a server with these features has.
pub fn specs(has: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static Spec> {
    let offered = move |spec: &&Spec| spec.feature.is_none_or(&has);
    COMMANDS.iter().filter(offered)
}

/// Reads a line; `None` for one with nothing in it. `has` tells which features the server has.
/// The error is a sentence for the user.
pub fn parse(line: &str, has: impl Fn(&str) -> bool) -> Result<Option<Command>, String> {
    let Some(rest) = line.strip_prefix('/') else {
        let blank = line.trim().is_empty();
        return Ok((!blank).then(|| Command::Say(line.to_owned())));
    };
    if rest.starts_with('/') {
        return Ok(Some(Command::Say(rest.to_owned())));
    }
    let (word, rest) = words::split(rest);
    let Some(spec) = COMMANDS.iter().find(|spec| spec.name[1..] == *word) else {
        return Err(format!(
            "/{word} is no command: /help lists them, //{word} sends it as a text"
        ));
    };
    if let Some(feature) = spec.feature.filter(|feature| !has(feature)) {
        return Err(format!("this server has no {feature}"));
    }
    (spec.read)(rest).map(Some).map_err(|wrong| match wrong {
        Wrong::Usage => format!("write {} {}", spec.name, spec.arguments)
            .trim_end()
            .to_owned(),
        Wrong::Because(why) => why,
    })
}

/// The list that `/help` shows.
pub fn help(has: impl Fn(&str) -> bool) -> String {
    let mut text = String::from("a line without a slash is posted to the current chat");
    for spec in specs(has) {
        let call = format!("{} {}", spec.name, spec.arguments);
        text.push_str(&format!("\n{call:<30} {}", spec.about));
    }
    text.push_str("\n//TEXT                         sends a text that begins with a slash");
    text.push_str("\nTab completes commands, names, titles and paths");
    text.push_str("\nCtrl-C clears the line, or stops a file on its way; Ctrl-D leaves");
    text
}

/// What an event of a feature says to its reader, if anything.
pub fn notice(event: &Event, reader: &Reader<'_>) -> Option<Notice> {
    let (kind, data) = (event.kind.as_str(), &event.data);
    schedule::notice(kind, data, reader)
        .or_else(|| complaints::notice(kind, data, reader))
        .or_else(|| reactions::notice(kind, data, reader))
        .or_else(|| rooms::notice(kind, data, reader))
        .or_else(|| webhooks::notice(kind, data, reader))
        .or_else(|| subscriptions::notice(kind, data, reader))
}

/// What the parts of features say of oneself in `GET /status`, a line each.
pub fn standing(user: &Value, reader: &Reader<'_>) -> Vec<String> {
    complaints::standing(user, reader).into_iter().collect()
}

impl Command {
    /// Does it. `current` is the chat that plain lines went to when it was typed.
    pub fn run(self, worker: &mut Worker, current: Option<&str>) -> Done {
        match self {
            Command::Say(text) => worker.say(current, &text).map(|()| None),
            Command::Help => {
                let text = help(|feature| worker.session.has_feature(feature));
                worker.output.notice(&text);
                Ok(None)
            }
            // These two are for those who read the lines.
            Command::Quit | Command::Logout => Ok(None),
            Command::Chat(command) => command.run(worker, current),
            Command::Comments(command) => command.run(worker).map(|()| None),
            Command::Search(command) => command.run(worker).map(|()| None),
            Command::Complaints(command) => command.run(worker).map(|()| None),
            Command::Edits(command) => command.run(worker).map(|()| None),
            Command::Files(command) => command.run(worker, current).map(|()| None),
            Command::Mentions(command) => command.run(worker).map(|()| None),
            Command::Reactions(command) => command.run(worker).map(|()| None),
            Command::Rooms(command) => command.run(worker, current),
            Command::Schedule(command) => command.run(worker, current).map(|()| None),
            Command::Subscriptions(command) => command.run(worker, current).map(|()| None),
            Command::Webhooks(command) => command.run(worker, current).map(|()| None),
        }
    }

    /// What it posts, where it does nothing else, from the chat that plain lines go to; the error is a
    /// sentence for the user. What it says of a time counts from now.
    pub fn posts(
        &self,
        session: &Session,
        current: Option<&str>,
        zone: &Zone,
    ) -> Option<Result<Post, String>> {
        match self {
            Command::Say(text) => Some(Ok(Post::text(current?, text))),
            Command::Comments(command) => command.post().map(Ok),
            Command::Edits(command) => command.post().map(Ok),
            Command::Reactions(command) => Some(Ok(command.post())),
            Command::Schedule(command) => command.post(current?, zone, Timestamp::now()),
            Command::Chat(chat::Command::Msg { to, text }) => {
                let to = session.find_chat(to);
                Some(to.map(|to| Post::text(&to, text)))
            }
            _ => None,
        }
    }

    /// Whether it sends a file.
    pub fn sends_file(&self) -> bool {
        matches!(self, Command::Files(files::Command::Send { .. }))
    }

    /// What the prompt waits for.
    pub fn wait(&self) -> Wait {
        match self {
            Command::Chat(command) if command.moves() => Wait::Move,
            Command::Rooms(command) if command.moves() => Wait::Move,
            Command::Files(_) => Wait::Transfer,
            _ => Wait::No,
        }
    }

    /// Whether it is to end where plain lines go, and nothing else.
    pub fn leaves(&self) -> bool {
        matches!(self, Command::Rooms(rooms::Command::Leave))
    }

    /// The address that it names as the chat to go to, if it does.
    pub fn goes_to(&self) -> Option<&str> {
        match self {
            Command::Chat(command) => command.goes_to(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_: &str) -> bool {
        true
    }

    #[test]
    fn a_plain_line_is_posted_as_it_is() {
        let said = Command::Say("  hello /there ".into());
        assert_eq!(parse("  hello /there ", all), Ok(Some(said)));
    }

    #[test]
    fn a_blank_line_is_nothing() {
        assert_eq!(parse("", all), Ok(None));
        assert_eq!(parse(" \t", all), Ok(None));
    }

    #[test]
    fn two_slashes_send_a_text_with_one() {
        let said = |text: &str| Ok(Some(Command::Say(text.into())));
        assert_eq!(parse("//etc is full", all), said("/etc is full"));
        assert_eq!(parse("///", all), said("//"));
    }

    #[test]
    fn an_unknown_command_is_explained_and_never_posted() {
        let error = parse("/shrug hi", all).unwrap_err();
        assert!(error.contains("/shrug is no command"), "{error}");
        assert!(parse("/", all).is_err());
        assert!(parse("/MSG @bob hi", all).is_err());
    }

    #[test]
    fn every_command_is_known_by_one_name_and_explained_in_one_line() {
        let mut names: Vec<&str> = specs(all).map(|spec| spec.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let text = help(all);
        for spec in specs(all) {
            assert!(spec.name.starts_with('/'), "{}", spec.name);
            let line = text.lines().find(|line| line.contains(spec.about)).unwrap();
            assert!(line.starts_with(spec.name), "{line}");
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn every_command_has_its_place_in_the_documentation() {
        let page = include_str!("../../../docs/console.md");
        for name in specs(all).map(|spec| spec.name) {
            let there = page.contains(&format!("`{name}`")) || page.contains(&format!("`{name} "));
            assert!(there || name == "/help", "{name}");
        }
    }

    #[test]
    fn wrong_arguments_are_answered_with_the_usage() {
        for spec in specs(all).filter(|spec| !spec.arguments.is_empty()) {
            // What may be left away stands in brackets.
            if spec.arguments.starts_with('[') {
                continue;
            }
            let usage = format!("write {} {}", spec.name, spec.arguments);
            assert_eq!(parse(spec.name, all), Err(usage));
        }
    }

    #[test]
    fn commands_of_a_feature_that_the_server_lacks_are_not_there() {
        let none = |_: &str| false;
        let only = |feature: &str| feature == "rooms";
        for spec in specs(all) {
            let Some(feature) = spec.feature else {
                continue;
            };
            let error = parse(spec.name, none).unwrap_err();
            assert_eq!(error, format!("this server has no {feature}"));
            assert!(!help(none).contains(&format!("\n{} ", spec.name)));
            assert_eq!(
                help(only).contains(&format!("\n{} ", spec.name)),
                feature == "rooms"
            );
        }
    }
}
