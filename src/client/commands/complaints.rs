//! `/complain`, for servers with the feature `complaints`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::notice::{Notice, Reader};
use super::super::text::safe_line;
use super::super::worker::{Failure, Worker};
use super::Parsed;
use super::words::{name, split};

/// Complain about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    user: String,
    reason: Option<String>,
}

pub fn complain(rest: &str) -> Parsed {
    let (user, reason) = split(rest);
    let user = name(user)?;
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    Ok(super::Command::Complaints(Command { user, reason }))
}

impl Command {
    pub fn run(self, worker: &Worker) -> Result<(), Failure> {
        let mut body = json!({ "user": self.user });
        if let Some(reason) = self.reason {
            body["reason"] = reason.into();
        }
        let case = worker.post_once("/complaints", &body)?;
        let user = safe_line(case["user"].as_str().unwrap_or(&self.user));
        let text = match case["banned_until"].as_str() {
            Some(until) => {
                let until = worker.zone().show(until, Timestamp::now());
                format!("that was one too many: {user} is banned from posting until {until}")
            }
            None => format!("{user} is warned: {}", warnings(&case)),
        };
        worker.output.answer("complaint", &case, &text);
        Ok(())
    }
}

fn warnings(case: &Value) -> String {
    let count = |field: &str| case[field].as_u64().unwrap_or(0);
    let (warnings, limit) = (count("warnings"), count("limit"));
    format!("{warnings} of the {limit} warnings that are a ban")
}

/// How one stands, by one's own part of `GET /status`; nothing where there is nothing to tell.
pub fn standing(user: &Value, reader: &Reader<'_>) -> Option<String> {
    let case = &user["complaints"];
    if let Some(until) = reader.time(&case["banned_until"]) {
        let why = match case["limit"].as_u64() {
            Some(1) => ", as somebody complained about you".to_owned(),
            Some(limit) => format!(", for the {limit} warnings that are a ban"),
            None => String::new(),
        };
        return Some(format!(
            "banned from posting until {until}{why}; you can read"
        ));
    }
    (case["warnings"].as_u64()? > 0).then(|| warnings(case))
}

/// What an event of complaints says; they are all about the reader.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    match kind {
        "warned" => {
            let mut text = format!("somebody complained about you: {}", warnings(data));
            if let Some(expires) = reader.time(&data["expires"]) {
                text.push_str(&format!("; this one counts until {expires}"));
            }
            Some(Notice::Alarm(text))
        }
        "banned" => {
            let until = reader.time(&data["banned_until"]);
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            let text = format!("you are banned from posting{until}; you can read");
            Some(Notice::Alarm(text))
        }
        "unbanned" => Some(Notice::Calm(
            "your ban is over: you can post again".to_owned(),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::text::Zone;
    use super::super::parse;
    use super::*;

    #[test]
    fn a_complaint_names_somebody_and_may_give_a_reason() {
        for (line, user, reason) in [
            ("/complain bob", "bob", None),
            (
                "/complain @bob  all this spam ",
                "bob",
                Some("all this spam"),
            ),
        ] {
            let (user, reason) = (user.to_owned(), reason.map(str::to_owned));
            let expected = super::super::Command::Complaints(Command { user, reason });
            assert_eq!(parse(line, |_| true), Ok(Some(expected)), "{line}");
        }
        let usage = Err("write /complain NAME [REASON]".to_owned());
        assert_eq!(parse("/complain @", |_| true), usage);
    }

    #[test]
    fn warnings_and_bans_are_told_in_sentences() {
        let zone = Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &|_| None,
            zone: &zone,
            now: "2026-11-24T20:00:00Z".parse().unwrap(),
        };
        let alarm = |text: &str| Some(Notice::Alarm(text.to_owned()));
        let data = json!({"warnings": 1, "limit": 3, "expires": "2026-12-24T20:18:55.123Z"});
        assert_eq!(
            notice("warned", &data, &reader),
            alarm(
                "somebody complained about you: 1 of the 3 warnings that are a ban; this one \
                 counts until 2026-12-24 20:18"
            )
        );
        let data = json!({"banned_until": "2026-11-24T23:40:00.000Z"});
        assert_eq!(
            notice("banned", &data, &reader),
            alarm("you are banned from posting until 23:40; you can read")
        );
        let data = json!({"banned_until": "x\u{1b}"});
        assert_eq!(
            notice("banned", &data, &reader),
            alarm("you are banned from posting until x\\u{1b}; you can read")
        );
        let standing = |case: Value| standing(&json!({ "complaints": case }), &reader);
        let until = "2026-11-24T23:40:00.000Z";
        assert_eq!(
            standing(json!({"warnings": 0, "limit": 3, "banned_until": until})).as_deref(),
            Some(
                "banned from posting until 23:40, for the 3 warnings that are a ban; you can read"
            )
        );
        assert_eq!(
            standing(json!({"warnings": 2, "limit": 3, "banned_until": null})).as_deref(),
            Some("2 of the 3 warnings that are a ban")
        );
        assert_eq!(standing(json!({"warnings": 0, "limit": 3})), None);
        assert_eq!(standing(Value::Null), None);
        let over = Notice::Calm("your ban is over: you can post again".to_owned());
        assert_eq!(notice("unbanned", &json!({}), &reader), Some(over));
    }
}
