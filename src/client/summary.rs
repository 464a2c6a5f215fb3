//! Answers to `/who` and `/status` as text.

use serde_json::Value;

use super::notice::{Reader, label};
use super::text::duration;

/// How much of a client's id is shown.
const SHORT: usize = 8;

/// Who is online, and how many others there are.
pub fn users(users: &[Value], more: bool) -> String {
    let name = |user: &Value| user["name"].as_str().unwrap_or("?").to_owned();
    let online = |user: &&Value| user["online"] == true;
    let here: Vec<String> = users.iter().filter(online).map(name).collect();
    let away: Vec<String> = users
        .iter()
        .filter(|user| !online(user))
        .map(name)
        .collect();
    let mut text = format!("online ({}): {}", here.len(), listed(&here));
    if !away.is_empty() {
        text.push_str(&format!("\noffline ({}): {}", away.len(), listed(&away)));
    }
    if more {
        text.push_str("\nand more");
    }
    text
}

/// The server, the user with what `standing` says of them, their clients and chats.
pub fn status(status: &Value, standing: &[String], reader: &Reader<'_>) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let server = &status["server"];
    let features = server["features"].as_array().into_iter().flatten();
    let features: Vec<String> = features.map(word).collect();
    let mut text = format!(
        "{} {}, up for {}; features: {}",
        word(&server["name"]),
        word(&server["version"]),
        duration(count(&server["uptime_s"])),
        listed(&features)
    );
    text.push_str(&format!("\nyou are {}", word(&status["user"]["name"])));
    for line in standing {
        text.push_str(&format!("\n  {line}"));
    }
    for client in status["user"]["clients"].as_array().into_iter().flatten() {
        let current = client["current"] == true;
        let id: String = word(&client["id"]).chars().take(SHORT).collect();
        text.push_str(&format!(
            "\n  client {id}{}: {}, since {}",
            if current { " (this one)" } else { "" },
            client["agent"].as_str().unwrap_or("of no name"),
            reader
                .time(&client["since"])
                .unwrap_or_else(|| "?".to_owned())
        ));
    }
    for chat in status["chats"].as_array().into_iter().flatten() {
        let address = word(&chat["chat"]);
        let title = chat["title"].as_str().filter(|_| chat["kind"] == "room");
        text.push_str(&format!(
            "\n  {}: {} of {} online, {} unread",
            label(&address, title.map(str::to_owned)),
            count(&chat["online"]),
            count(&chat["members"]),
            count(&chat["unread"])
        ));
    }
    text
}

fn listed(words: &[String]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Zone;
    use super::*;
    use serde_json::json;

    fn reader(zone: &Zone) -> Reader<'_> {
        Reader {
            me: "ann",
            title: &|_| None,
            zone,
            now: "2026-11-24T21:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn who_tells_those_online_first() {
        let list = [
            json!({"name": "ann", "online": true}),
            json!({"name": "bob", "online": false}),
            json!({"name": "carl", "online": true}),
        ];
        assert_eq!(
            users(&list, false),
            "online (2): ann, carl\noffline (1): bob"
        );
        assert_eq!(users(&[], true), "online (0): none\nand more");
    }

    #[test]
    fn the_status_names_server_clients_and_chats() {
        let answer = json!({
            "server": {"name": "veche", "version": "0.1.0", "uptime_s": 30, "features": ["polls"]},
            "user": {"name": "ann", "clients": [
                {"id": "3f1c2a9e-6f0b", "agent": "veche-chat/0.1.0",
                    "since": "2026-11-24T20:18:55.123Z", "current": true},
                {"id": "c2", "agent": null, "since": "2026-11-23T20:18:55.123Z"}]},
            "chats": [
                {"chat": "common", "kind": "common", "title": null, "members": 9, "online": 2,
                 "unread": 1},
                {"chat": "room:7", "kind": "room", "title": "Garden", "members": 3, "online": 1}],
        });
        let expected = "veche 0.1.0, up for 30 s; features: polls\nyou are ann\n  \
            on probation\n  client 3f1c2a9e (this one): veche-chat/0.1.0, since 20:18\n  \
            client c2: of no name, since 2026-11-23 20:18\n  \
            common: 2 of 9 online, 1 unread\n  [Garden]: 1 of 3 online, 0 unread";
        let zone = Zone::utc();
        let standing = ["on probation".to_owned()];
        assert_eq!(status(&answer, &standing, &reader(&zone)), expected);
    }

    #[test]
    fn an_answer_with_fields_missing_is_shown_as_far_as_it_goes() {
        let zone = Zone::utc();
        let status = |answer: Value| status(&answer, &[], &reader(&zone));
        assert!(status(json!({})).contains("you are ?"));
        assert!(status(json!({"chats": [1], "user": {"clients": [2]}})).contains("?"));
    }
}
