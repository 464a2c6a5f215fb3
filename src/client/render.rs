//! Turns events into the lines that a reader sees.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::commands::{Reaction, notice, reaction_line};
use super::notice::{Notice, Reader, label};
use super::text::{Zone, safe_indented, safe_line, size};

/// What stands behind the name of who is no person.
pub const PROGRAM: &str = " (program)";

/// One event of the stream, or a message of the history as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its kind, as the server names it.
    pub kind: String,
    /// Its data.
    pub data: Value,
    /// The cursor that it came with.
    pub id: Option<String>,
}

impl Event {
    /// An event that did not come by the stream.
    pub fn new(kind: &str, data: Value) -> Event {
        Event {
            kind: kind.to_owned(),
            data,
            id: None,
        }
    }

    /// A message that did not come by the stream.
    pub fn message(data: Value) -> Event {
        Event::new("message", data)
    }
}

/// What of a message is shown; features may add more, which is left alone.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: u64,
    /// Its sender.
    pub from: String,
    /// Where it went: `common`, `@name` or `room:UUID`.
    pub to: String,
    /// What it says.
    #[serde(default)]
    pub text: String,
    /// When it was posted.
    pub at: String,
    /// When it will be gone, if that is known.
    #[serde(default)]
    pub expires: Option<String>,
    /// What is attached to it.
    #[serde(default)]
    pub file: Option<Attached>,
    /// How many comments there are on it.
    #[serde(default)]
    pub comments: u64,
    /// When its text was last changed, if it was.
    #[serde(default)]
    pub edited: Option<String>,
    /// The emoji on it, in their order.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// Whether a program wrote it, which reads nothing.
    #[serde(default)]
    pub bot: bool,
}

/// A file that is attached to a message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attached {
    /// Its id.
    pub id: String,
    /// The name that its sender gave it.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of them, in hexadecimal digits.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its media type, as its sender gave it.
    #[serde(default, rename = "type")]
    pub kind: String,
}

impl Attached {
    /// What is attached to a message, if anything is.
    pub fn of(message: &Value) -> Option<Attached> {
        Attached::deserialize(&message["file"]).ok()
    }
}

/// A comment on a message.
#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    /// Its id, of the same count as those of messages.
    pub id: u64,
    /// The message that it is on.
    pub message: u64,
    /// Its author.
    pub from: String,
    /// What it says.
    pub text: String,
    /// When it was posted.
    pub at: String,
}

/// How lines look: for whom, with colours or without, in one line each or indented.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether the terminal takes colours.
    pub colour: bool,
    /// Whether a message is one line whatever its text holds.
    pub single_line: bool,
    /// The zone of the times.
    pub zone: Zone,
    /// The user's own name, as the server writes it.
    pub me: String,
}

const DIM: &str = "2";
const RED: &str = "31";
const PRIVATE: &str = "1;35";
/// Readable on dark and on light ground, and none of them taken for a warning.
const NAMES: [&str; 5] = ["32", "33", "34", "36", "94"];

impl Style {
    /// The lines for an event; `None` for one that is nothing to a reader. `room` gives the title
    /// of a room by its address.
    pub fn event(
        &self,
        event: &Event,
        room: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        match event.kind.as_str() {
            "message" => {
                let message = Message::deserialize(&event.data).ok()?;
                Some(self.message(&message, room, now))
            }
            "comment" => {
                let comment = Comment::deserialize(&event.data).ok()?;
                Some(self.comment(&comment, now))
            }
            "removed" => {
                let ids = event.data.get("ids")?.as_array()?;
                let ids: Vec<String> = ids.iter().map(|id| format!("#{}", one_line(id))).collect();
                Some(self.dim(&format!("· removed: {}", ids.join(", "))))
            }
            "edited" => {
                let (id, text) = (event.data["id"].as_u64()?, event.data["text"].as_str()?);
                let says = self.dim(&format!("· #{id} says now:"));
                Some(format!("{says} {}", self.text(text)))
            }
            "user" => {
                let name = event.data.get("name")?.as_str()?;
                let online = event.data.get("online")?.as_bool()?;
                let state = if online { "online" } else { "offline" };
                (name != self.me).then(|| self.dim(&format!("· {} is {state}", safe_line(name))))
            }
            _ => {
                let reader = Reader {
                    me: &self.me,
                    title: &room,
                    zone: &self.zone,
                    now,
                };
                Some(match notice(event, &reader)? {
                    Notice::Calm(text) => self.dim(&format!("· {text}")),
                    Notice::Alarm(text) => self.paint(RED, &format!("! {text}")),
                })
            }
        }
    }

    /// The line for an event that has ended the chat that plain lines went to, and what has become
    /// of those.
    pub fn ended(
        &self,
        event: &Event,
        room: impl Fn(&str) -> Option<String>,
        now: Timestamp,
        then: &str,
    ) -> Option<String> {
        let line = self.event(event, room, now)?;
        Some(format!("{line}{}", self.dim(&format!("; {then}"))))
    }

    fn message(
        &self,
        message: &Message,
        room: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> String {
        let mut from = self.name(&message.from);
        if message.bot {
            from.push_str(&self.dim(PROGRAM));
        }
        let head = match message.to.strip_prefix('@') {
            Some(to) if to == message.from => {
                format!("{} {from}", self.paint(PRIVATE, "[to yourself]"))
            }
            Some(to) => {
                let to = if to == self.me {
                    "you".to_owned()
                } else {
                    self.name(to)
                };
                format!("{} {from} → {to}", self.paint(PRIVATE, "[private]"))
            }
            None if message.to == "common" => from,
            None => {
                let title = room(&message.to).unwrap_or_else(|| message.to.clone());
                format!("{} {from}", label(&message.to, Some(title)))
            }
        };
        let mut parts = Vec::new();
        if !message.text.is_empty() {
            parts.push(self.text(&message.text));
        }
        if let Some(file) = &message.file {
            let mut about = format!("[file {}, ", safe_line(&file.name));
            if !file.kind.is_empty() {
                about.push_str(&format!("{}, ", safe_line(&file.kind)));
            }
            parts.push(format!("{about}{}: /get {}]", size(file.size), message.id));
        }
        if message.edited.is_some() {
            parts.push(self.dim("(edited)"));
        }
        match message.comments {
            0 => {}
            1 => parts.push(self.dim("(1 comment)")),
            n => parts.push(self.dim(&format!("({n} comments)"))),
        }
        let stamp = self.stamp(&message.at, message.id, now);
        let mut shown = format!("{stamp} {head}: {}", parts.join(" "));
        if !message.reactions.is_empty() {
            // Beneath it, where a message may have further lines.
            shown.push_str(match self.single_line {
                true => "  ",
                false => "\n      ",
            });
            shown.push_str(&self.dim(&reaction_line(&message.reactions)));
        }
        shown
    }

    /// The line for a comment.
    pub fn comment(&self, comment: &Comment, now: Timestamp) -> String {
        format!(
            "{} {} {}: {}",
            self.stamp(&comment.at, comment.id, now),
            self.name(&comment.from),
            self.dim(&format!("on #{}", comment.message)),
            self.text(&comment.text),
        )
    }

    /// The line that confirms what the user just typed: the text stands above it, and where it
    /// went is told where that was not the common chat.
    pub fn sent(
        &self,
        posted: &Value,
        room: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        let (id, at) = (posted["id"].as_u64()?, posted["at"].as_str()?);
        let place = match posted["to"].as_str() {
            None | Some("common") => String::new(),
            Some(to) if to.starts_with('@') => format!(" to {} alone", safe_line(to)),
            Some(to) => format!(" to {}", label(to, room(to))),
        };
        let stamp = self.stamp(at, id, now);
        Some(format!("{stamp} {}", self.dim(&format!("✓ sent{place}"))))
    }

    /// Something that the reader should notice.
    pub fn trouble(&self, text: &str) -> String {
        self.paint(RED, &format!("! {}", safe_indented(text)))
    }

    /// Something good to know.
    pub fn notice(&self, text: &str) -> String {
        self.dim(&format!("· {}", safe_indented(text)))
    }

    fn text(&self, text: &str) -> String {
        if self.single_line {
            safe_line(text)
        } else {
            safe_indented(text)
        }
    }

    fn stamp(&self, at: &str, id: u64, now: Timestamp) -> String {
        self.dim(&format!("{} #{id}", self.zone.show(at, now)))
    }

    fn name(&self, name: &str) -> String {
        let sum = name.chars().fold(0usize, |sum, c| {
            sum.wrapping_mul(31).wrapping_add(c as usize)
        });
        self.paint(NAMES[sum % NAMES.len()], &safe_line(name))
    }

    fn dim(&self, text: &str) -> String {
        self.paint(DIM, text)
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => safe_line(text),
        other => safe_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn style() -> Style {
        Style {
            colour: false,
            single_line: false,
            zone: Zone::utc(),
            me: "ann".to_owned(),
        }
    }

    fn show(style: &Style, kind: &str, data: Value) -> Option<String> {
        let event = Event {
            kind: kind.to_owned(),
            data,
            id: None,
        };
        let room = |chat: &str| (chat == "room:7").then(|| "Garden\u{1b}".to_owned());
        style.event(&event, room, "2026-11-24T21:00:00Z".parse().unwrap())
    }

    fn message(from: &str, to: &str, text: &str) -> Value {
        json!({"id": 812, "from": from, "to": to, "text": text, "at": "2026-11-24T20:18:55.123Z"})
    }

    fn line(data: Value) -> String {
        show(&style(), "message", data).unwrap()
    }

    #[test]
    fn a_message_shows_its_time_id_sender_and_text() {
        assert_eq!(
            line(message("bob", "common", "hello")),
            "20:18 #812 bob: hello"
        );
    }

    #[test]
    fn a_private_message_is_plainly_marked() {
        assert_eq!(
            line(message("bob", "@ann", "psst")),
            "20:18 #812 [private] bob → you: psst"
        );
        assert_eq!(
            line(message("ann", "@bob", "yes")),
            "20:18 #812 [private] ann → bob: yes"
        );
        assert_eq!(
            line(message("ann", "@ann", "milk")),
            "20:18 #812 [to yourself] ann: milk"
        );
    }

    #[test]
    fn a_room_is_shown_by_its_title_or_its_address() {
        assert_eq!(
            line(message("bob", "room:7", "hi")),
            "20:18 #812 [Garden\\u{1b}] bob: hi"
        );
        assert_eq!(
            line(message("bob", "room:8", "hi")),
            "20:18 #812 [room:8] bob: hi"
        );
    }

    #[test]
    fn further_lines_of_a_text_are_indented_or_escaped() {
        let data = message("bob", "common", "one\n20:19 #813 carl: two");
        assert_eq!(
            line(data.clone()),
            "20:18 #812 bob: one\n      20:19 #813 carl: two"
        );
        let single = Style {
            single_line: true,
            ..style()
        };
        let expected = "20:18 #812 bob: one\\n20:19 #813 carl: two";
        assert_eq!(show(&single, "message", data).unwrap(), expected);
    }

    #[test]
    fn what_features_add_is_shown_where_it_helps() {
        let mut data = message("bob", "common", "see");
        data["comments"] = json!(2);
        data["file"] = json!({"id": "f", "name": "a\nb", "type": "text/\u{1b}", "size": 2000});
        data["other"] = json!([1]);
        let expected =
            "20:18 #812 bob: see [file a\\nb, text/\\u{1b}, 2 KiB: /get 812] (2 comments)";
        assert_eq!(line(data), expected);
    }

    #[test]
    fn the_emoji_on_a_message_stand_beneath_it_with_ones_own_marked() {
        let mut data = message("bob", "common", "lunch?");
        data["reactions"] = json!([
            {"emoji": "👍", "count": 2, "mine": false, "first": 8},
            {"emoji": "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "count": 1, "mine": true, "first": 9},
            {"emoji": "👩\u{200d}❤\u{fe0f}\u{200d}👨", "count": 1, "mine": false, "first": 10},
        ]);
        let emoji = "👍 2  🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 1*  👩\u{200d}❤\u{fe0f}\u{200d}👨 1";
        let expected = format!("20:18 #812 bob: lunch?\n      {emoji}");
        assert_eq!(line(data.clone()), expected);
        let single = Style {
            single_line: true,
            ..style()
        };
        let expected = format!("20:18 #812 bob: lunch?  {emoji}");
        assert_eq!(show(&single, "message", data).unwrap(), expected);
    }

    #[test]
    fn a_confirmation_tells_where_a_text_went() {
        let now = "2026-11-24T21:00:00Z".parse().unwrap();
        let room = |chat: &str| (chat == "room:7").then(|| "Garden".to_owned());
        let sent = |to| style().sent(&message("ann", to, "x"), room, now).unwrap();
        assert_eq!(sent("common"), "20:18 #812 ✓ sent");
        assert_eq!(sent("@bob"), "20:18 #812 ✓ sent to @bob alone");
        assert_eq!(sent("room:7"), "20:18 #812 ✓ sent to [Garden]");
        assert_eq!(sent("room:8"), "20:18 #812 ✓ sent to room:8");
        assert_eq!(style().sent(&json!({"id": 1}), room, now), None);
    }

    #[test]
    fn the_other_events_have_a_line_of_their_own() {
        let style = style();
        let comment = json!({"id": 9, "message": 8, "from": "bob", "text": "true",
            "at": "2026-11-24T20:18:55.123Z"});
        let cases = [
            ("comment", comment, "20:18 #9 bob on #8: true"),
            (
                "removed",
                json!({"to": "common", "ids": [8, 9]}),
                "· removed: #8, #9",
            ),
            (
                "user",
                json!({"name": "bob", "online": true}),
                "· bob is online",
            ),
            (
                "user",
                json!({"name": "bob", "online": false}),
                "· bob is offline",
            ),
            (
                "banned",
                json!({"banned_until": "x\u{1b}"}),
                "! you are banned from posting until x\\u{1b}; you can read",
            ),
            (
                "joined",
                json!({"room": "room:7", "user": "bob"}),
                "· bob is in \"Garden\\u{1b}\" now",
            ),
        ];
        for (kind, data, expected) in cases {
            assert_eq!(
                show(&style, kind, data).as_deref(),
                Some(expected),
                "{kind}"
            );
        }
    }

    #[test]
    fn unknown_and_broken_events_are_passed_over() {
        let style = style();
        for (kind, data) in [
            ("moon", json!({"phase": "full"})),
            ("client", json!({"id": "c"})),
            ("read", json!({"chat": "common", "upto": 3})),
            (
                "delivered",
                json!({"to": "@ann", "messages": [{"id": 3, "expires": "2026-11-24T21:18:55.123Z"}]}),
            ),
            ("user", json!({"name": "ann", "online": true})),
            ("message", json!({"id": "x"})),
            ("message", json!(null)),
            ("comment", json!([])),
            ("removed", json!({"ids": 3})),
            ("user", json!({"name": 7})),
        ] {
            assert_eq!(show(&style, kind, data), None, "{kind}");
        }
    }

    #[test]
    fn colours_close_where_they_end() {
        let style = Style {
            colour: true,
            ..style()
        };
        let text = show(&style, "message", message("bob", "@ann", "\u{1b}[0m")).unwrap();
        assert_eq!(text.matches("\u{1b}[").count(), 6);
        assert!(text.ends_with(": \\u{1b}[0m"), "{text}");
        assert!(style.notice("x").ends_with("\u{1b}[0m"));
    }
}
