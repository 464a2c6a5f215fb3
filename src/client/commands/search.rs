//! `/search`, for servers with the feature `search`.

use jiff::Timestamp;
use serde_json::Value;

use super::super::text::{Zone, safe_line};
use super::super::worker::{Failure, Worker};
use super::{Parsed, Wrong};

/// So many of what was found are shown at once.
const SHOWN: &str = "20";

/// Show messages in which words stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(String);

pub fn search(rest: &str) -> Parsed {
    let words = rest.trim();
    if words.is_empty() {
        return Err(Wrong::Usage);
    }
    Ok(super::Command::Search(Command(words.to_owned())))
}

impl Command {
    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        let query = [("q", self.0.as_str()), ("limit", SHOWN)];
        let answer = worker.session.api.get("/search", &query);
        let answer = answer.map_err(|error| error.in_words(&[("q", "the search", "")]))?;
        worker
            .output
            .notice(&told(&answer, &Zone::local(), Timestamp::now()));
        Ok(())
    }
}

/// What was found, the newest last: it stands beside what is typed next.
fn told(answer: &Value, zone: &Zone, now: Timestamp) -> String {
    let found = answer["found"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines: Vec<String> = Vec::new();
    if answer["more"] == true {
        lines.push("there are older ones: search for more words".to_owned());
    }
    if answer["complete"] == false {
        lines.push("older messages are still being indexed".to_owned());
    }
    lines.extend(found.iter().rev().map(|found| hit(found, zone, now)));
    if found.is_empty() {
        lines.push("nothing was found".to_owned());
    }
    lines.join("\n")
}

fn hit(hit: &Value, zone: &Zone, now: Timestamp) -> String {
    let pieces = hit["snippet"].as_array().map_or(&[][..], Vec::as_slice);
    let piece = |piece: &Value| {
        let text = piece["text"].as_str().unwrap_or_default();
        let text = safe_line(&text.replace("\r\n", " ").replace('\n', " "));
        if piece["hit"] == true {
            format!("*{text}*")
        } else {
            text
        }
    };
    let text: String = pieces.iter().map(piece).collect();
    line(&hit["message"], &text, zone, now)
}

/// A message of a list, with what is shown of its text: its number is what more is done by.
pub(super) fn line(message: &Value, text: &str, zone: &Zone, now: Timestamp) -> String {
    let field = |name: &str| message[name].as_str().unwrap_or_default();
    let to = match field("to") {
        to if to.starts_with("room:") => "a room",
        to => to,
    };
    format!(
        "#{} {} {} to {}: {text}",
        message["id"],
        zone.show(field("at"), now),
        safe_line(field("from")),
        safe_line(to),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    #[test]
    fn what_follows_is_what_is_looked_for() {
        let expected = super::super::Command::Search(Command("\"next week\" -x".into()));
        assert_eq!(
            parse("/search  \"next week\" -x ", |_| true),
            Ok(Some(expected))
        );
        assert_eq!(
            parse("/search", |_| true),
            Err("write /search WORDS".into())
        );
        assert_eq!(
            parse("/search x", |_| false),
            Err("this server has no search".into())
        );
    }

    #[test]
    fn what_was_found_is_told_with_its_place_and_the_words_marked() {
        let hit = |id: u64, to: &str| {
            json!({"message": {"id": id, "from": "ann", "to": to, "at": "2026-11-24T20:18:55.123Z"},
                "snippet": [{"text": "a\n", "hit": false}, {"text": "cake\u{1b}", "hit": true}]})
        };
        let answer = json!({"found": [hit(9, "@bob"), hit(7, "room:1")], "more": true,
            "complete": true});
        let now = "2026-11-24T21:00:00Z".parse().unwrap();
        let zone = Zone::named("UTC0").unwrap();
        let expected = "there are older ones: search for more words\n\
             #7 20:18 ann to a room: a *cake\\u{1b}*\n#9 20:18 ann to @bob: a *cake\\u{1b}*";
        assert_eq!(told(&answer, &zone, now), expected);
        let none = json!({"found": [], "more": false, "complete": true});
        assert_eq!(told(&none, &zone, now), "nothing was found");
    }
}
