//! `/mentions`, for servers with the feature `mentions`.

use jiff::Timestamp;
use serde_json::Value;

use super::super::text::{Zone, excerpt};
use super::super::worker::{Failure, Worker};
use super::Parsed;
use super::search::line;
use super::words::{message_id, nothing, split};

/// So many are shown at once.
const SHOWN: &str = "20";
/// How much of a text is shown.
const EXCERPT: usize = 200;

/// Show the messages that call one, the last of those before an id where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Option<u64>);

pub fn mentions(rest: &str) -> Parsed {
    let (before, more) = split(rest);
    nothing(more)?;
    let before = match before {
        "" => None,
        id => Some(message_id(id)?),
    };
    Ok(super::Command::Mentions(Command(before)))
}

impl Command {
    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        let before = self.0.map(|id| id.to_string());
        let mut query = vec![("limit", SHOWN)];
        query.extend(before.as_deref().map(|before| ("before", before)));
        let answer = worker.session.api.get("/mentions", &query)?;
        let text = told(&answer, &Zone::local(), Timestamp::now());
        worker.output.answer("mentions", &answer, &text);
        Ok(())
    }
}

/// The newest last: it stands beside what is typed next.
fn told(answer: &Value, zone: &Zone, now: Timestamp) -> String {
    let messages = answer["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = messages.first() else {
        return "no message calls you".to_owned();
    };
    let older = format!("there are older ones: /mentions {}", first["id"]);
    let older = (answer["more"] == true).then_some(older);
    let lines = messages.iter().map(|message| {
        let text = message["text"].as_str().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line(message, &excerpt(&text, EXCERPT), zone, now)
    });
    older
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    #[test]
    fn the_last_are_asked_for_or_those_before_one() {
        let read = |line: &str| parse(line, |_| true);
        let command = |before| Ok(Some(super::super::Command::Mentions(Command(before))));
        assert_eq!(read("/mentions"), command(None));
        assert_eq!(read("/mentions #812"), command(Some(812)));
        let usage = Err("write /mentions [ID]".to_owned());
        assert_eq!(read("/mentions bob"), usage);
        assert_eq!(read("/mentions 8 1"), usage);
    }

    #[test]
    fn who_calls_is_told_with_where_and_the_number_by_which_more_is_done() {
        let now = "2026-11-24T21:00:00Z".parse().unwrap();
        let message = |id: u64, to: &str, text: &str| json!({"id": id, "from": "bob", "to": to, "text": text, "at": "2026-11-24T20:18:55.123Z"});
        let list = [
            message(7, "common", "@ann,\nlunch?\u{1b}"),
            message(9, "room:7", "@ann!"),
        ];
        let answer = json!({"messages": list, "more": true});
        let expected = "there are older ones: /mentions 7\n\
            #7 20:18 bob to common: @ann, lunch?\\u{1b}\n\
            #9 20:18 bob to a room: @ann!";
        assert_eq!(told(&answer, &Zone::utc(), now), expected);
        let none = json!({"messages": [], "more": false});
        assert_eq!(told(&none, &Zone::utc(), now), "no message calls you");
    }
}
