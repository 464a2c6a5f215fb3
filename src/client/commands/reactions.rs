//! `/react` and `/unreact`, for servers with the feature `reactions`, and how emoji on messages are told.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::notice::{Notice, Reader};
use super::super::post::Post;
use super::super::text::safe_line;
use super::super::worker::{Failure, Worker};
use super::words::{message_id, split};
use super::{Parsed, Wrong};

/// What Tab offers; every other emoji can be typed or pasted.
pub const COMMON: [&str; 8] = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];

/// An emoji on a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// How many have put it there.
    pub count: u64,
    /// Whether the user has.
    pub mine: bool,
    /// By this they are in order.
    pub first: u64,
}

/// Puts an emoji on a message, or takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    id: u64,
    emoji: String,
    on: bool,
}

fn read(rest: &str, on: bool) -> Parsed {
    let (id, emoji) = split(rest);
    let emoji = emoji.trim();
    if emoji.is_empty() || emoji.contains(char::is_whitespace) {
        return Err(Wrong::Usage);
    }
    let (id, emoji) = (message_id(id)?, emoji.to_owned());
    Ok(super::Command::Reactions(Command { id, emoji, on }))
}

pub fn react(rest: &str) -> Parsed {
    read(rest, true)
}

pub fn unreact(rest: &str) -> Parsed {
    read(rest, false)
}

impl Command {
    /// What it posts.
    pub fn post(&self) -> Post {
        let body = json!({ "message": self.id, "emoji": self.emoji, "on": self.on });
        Post::new("/react", body)
    }

    /// What is done is told by its event.
    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        let post = self.post();
        worker.post_once(&post.path, &post.body)?;
        Ok(())
    }
}

/// What the event says to its reader, where the message itself can't be shown anew.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    if kind != "reaction" {
        return None;
    }
    let (user, emoji) = (data["user"].as_str()?, data["emoji"].as_str()?);
    let who = match user == reader.me {
        true => "you have".to_owned(),
        false => format!("{} has", safe_line(user)),
    };
    let (done, where_) = match data["on"].as_bool()? {
        true => ("put", "on"),
        false => ("taken", "off"),
    };
    let (emoji, id) = (safe_line(emoji), data["message"].as_u64()?);
    Some(Notice::Calm(format!("{who} {done} {emoji} {where_} #{id}")))
}

/// Brings what is on a message up to date by an event.
pub fn fold(all: &mut Vec<Reaction>, event: &Value, me: &str) {
    let Some(emoji) = event["emoji"].as_str() else {
        return;
    };
    let before = all.iter().position(|one| one.emoji == emoji);
    let was_mine = before.is_some_and(|place| all.remove(place).mine);
    let mine = match event["user"] == me {
        true => event["on"] == true,
        false => was_mine,
    };
    // There is no first where nobody has it there any more.
    let (count, first) = (event["count"].as_u64(), event["first"].as_u64());
    if let (Some(count @ 1..), Some(first)) = (count, first) {
        let emoji = emoji.to_owned();
        all.push(Reaction {
            emoji,
            count,
            mine,
            first,
        });
        all.sort_by_key(|one| one.first);
    }
}

/// What is on a message, in one line: each with how many, and a star where the user is one of them.
pub fn line(all: &[Reaction]) -> String {
    let one = |one: &Reaction| {
        let star = if one.mine { "*" } else { "" };
        format!("{} {}{star}", safe_line(&one.emoji), one.count)
    };
    all.iter().map(one).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_reaction_names_a_message_and_one_emoji() {
        for (line, on) in [("/react #812 👍", true), ("/unreact 812 👍 ", false)] {
            let emoji = "👍".to_owned();
            let command = Command { id: 812, emoji, on };
            let expected = super::super::Command::Reactions(command);
            assert_eq!(parse(line, |_| true), Ok(Some(expected)), "{line}");
        }
        for bad in ["/react", "/react 812", "/react 👍 812", "/react 812 👍 👍"] {
            let usage = Err("write /react ID EMOJI".into());
            assert_eq!(parse(bad, |_| true), usage, "{bad}");
        }
    }

    fn event(user: &str, emoji: &str, on: bool, count: u64, first: u64) -> Value {
        let mut data =
            json!({"message": 7, "user": user, "emoji": emoji, "on": on, "count": count});
        if count > 0 {
            data["first"] = first.into();
        }
        data
    }

    #[test]
    fn events_keep_what_is_on_a_message_in_order_and_ones_own_marked() {
        let mut all = Vec::new();
        for (event, expected) in [
            (event("bob", "👍", true, 1, 8), "👍 1"),
            (event("ann", "❤️", true, 1, 9), "👍 1  ❤️ 1*"),
            (event("ann", "👍", true, 2, 8), "👍 2*  ❤️ 1*"),
            (event("ann", "👍", false, 1, 8), "👍 1  ❤️ 1*"),
            (event("ann", "👍", true, 2, 8), "👍 2*  ❤️ 1*"),
            (event("bob", "👍", false, 1, 8), "👍 1*  ❤️ 1*"),
            // Told twice, it is as it was.
            (event("bob", "👍", false, 1, 8), "👍 1*  ❤️ 1*"),
            (event("ann", "👍", false, 0, 0), "❤️ 1*"),
            (event("carl", "👍", true, 1, 12), "❤️ 1*  👍 1"),
        ] {
            fold(&mut all, &event, "ann");
            assert_eq!(line(&all), expected, "{event}");
        }
    }

    #[test]
    fn who_has_done_what_is_told() {
        let zone = super::super::super::text::Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &|_| None,
            zone: &zone,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let told = |event: &Value| match notice("reaction", event, &reader) {
            Some(Notice::Calm(text)) => text,
            other => panic!("{other:?}"),
        };
        let (there, gone) = (
            event("bob", "👍", true, 1, 8),
            event("ann", "👍", false, 0, 0),
        );
        assert_eq!(told(&there), "bob has put 👍 on #7");
        assert_eq!(told(&gone), "you have taken 👍 off #7");
    }
}
