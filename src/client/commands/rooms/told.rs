//! How rooms and what happens around them is told.

use serde_json::Value;

use super::done::{Room, Rooms, Waiting};
use crate::client::naming;
use crate::client::notice::{Notice, Reader};
use crate::client::text::safe_line;

/// How many members of a room are named.
const NAMED: usize = 20;

/// One's rooms, invitations and requests.
pub fn list(rooms: &Rooms, me: &str) -> String {
    let own = rooms.rooms.iter().map(|room| room.room.as_str());
    let all: Vec<&str> = own
        .chain(rooms.invites.iter().map(|invite| invite.room.as_str()))
        .collect();
    let address = |address: &str| {
        let short = naming::short(address);
        let same = all.iter().filter(|other| other.starts_with(&short));
        match same.count() {
            1 => short,
            _ => safe_line(address),
        }
    };
    let own = rooms.rooms.iter();
    let mut lines: Vec<String> = own
        .map(|room| format!("{} {}", address(&room.room), one(room, me)))
        .collect();
    for invite in &rooms.invites {
        let address = address(&invite.room);
        let text = invites(&invite.from, &invite.title, &invite.room);
        lines.push(format!("{address} {text}"));
    }
    for asked in &rooms.requests {
        let title = safe_line(&asked.title);
        lines.push(format!("you asked to come into \"{title}\""));
    }
    if lines.is_empty() {
        return "you are in no room: /room TITLE makes one".to_owned();
    }
    format!("rooms:\n{}", lines.join("\n"))
}

fn one(room: &Room, me: &str) -> String {
    let mut names: Vec<String> = room
        .members
        .iter()
        .take(NAMED)
        .map(|m| safe_line(m))
        .collect();
    let more = room.members.len() - names.len();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let title = safe_line(&room.title);
    let owner = if room.owner == me {
        "yours".to_owned()
    } else {
        format!("{}'s", safe_line(&room.owner))
    };
    let history = match room.history.as_str() {
        "all" => ", with its whole history",
        _ => "",
    };
    let mut text = format!("[{title}] ({owner}{history}): {}", names.join(", "));
    let users = |list: &[Waiting]| {
        let users: Vec<String> = list.iter().map(|one| safe_line(&one.user)).collect();
        users.join(", ")
    };
    if !room.invites.is_empty() {
        text.push_str(&format!("; invited: {}", users(&room.invites)));
    }
    if !room.requests.is_empty() {
        text.push_str(&format!("; asking: {}", users(&room.requests)));
    }
    if !room.links.is_empty() {
        text.push_str(&format!("; {}", links(room.links.len())));
    }
    text
}

fn links(count: usize) -> String {
    match count {
        1 => "1 link".to_owned(),
        count => format!("{count} links"),
    }
}

fn invites(from: &str, title: &str, address: &str) -> String {
    let typed = naming::typed(title, address);
    let (from, title) = (safe_line(from), safe_line(title));
    format!("{from} invites you to \"{title}\": /join {typed}")
}

/// That somebody asks to come in, and what the owner can do.
pub fn asks(user: &str, title: &str) -> String {
    let (user, title) = (safe_line(user), safe_line(title));
    format!("{user} asks to come into \"{title}\": /approve {user} or /refuse {user}")
}

/// What an event of rooms says.
pub fn notice(kind: &str, data: &Value, reader: &Reader<'_>) -> Option<Notice> {
    let text = match kind {
        "invited" => invited(data, reader),
        "join_request" => {
            let title = data["title"].as_str()?;
            match (data["user"].as_str(), data["state"].as_str()) {
                (Some(user), _) => Some(asks(user, title)),
                // That one is in says it.
                (None, Some("approved")) => None,
                (None, _) => Some(format!(
                    "you asked to come into \"{}\": its owner decides",
                    safe_line(title)
                )),
            }
        }
        "joined" => {
            let (room, user) = (reader.room(data)?, data["user"].as_str()?);
            if user == reader.me {
                let typed = typed(data, reader)?;
                Some(format!("you are in {room} now: /to {typed}"))
            } else {
                Some(format!("{} is in {room} now", safe_line(user)))
            }
        }
        "left" => left(data, reader),
        "refused" => refused(data, reader),
        "room" => room(data, reader),
        _ => None,
    };
    text.map(Notice::Calm)
}

/// What to write for the room of an event.
fn typed(data: &Value, reader: &Reader<'_>) -> Option<String> {
    let address = data["room"].as_str()?;
    let known = || (reader.title)(address);
    let title = data["title"].as_str().map(str::to_owned).or_else(known);
    Some(naming::typed(title.as_deref().unwrap_or(address), address))
}

fn invited(data: &Value, reader: &Reader<'_>) -> Option<String> {
    let (user, title) = (data["user"].as_str()?, data["title"].as_str()?);
    if user == reader.me {
        let (from, address) = (data["from"].as_str()?, data["room"].as_str()?);
        return Some(invites(from, title, address));
    }
    let (user, title) = (safe_line(user), safe_line(title));
    Some(format!(
        "{user} is invited to \"{title}\": /uninvite {user} takes it back"
    ))
}

fn left(data: &Value, reader: &Reader<'_>) -> Option<String> {
    let (room, user) = (reader.room(data)?, data["user"].as_str()?);
    let is_removed = data["removed"] == true;
    let mut text = match (user == reader.me, is_removed) {
        (true, true) => format!("you were removed from {room}"),
        (true, false) => format!("you left {room}"),
        (false, true) => format!("{} was removed from {room}", safe_line(user)),
        (false, false) => format!("{} left {room}", safe_line(user)),
    };
    match data["owner"].as_str() {
        Some(owner) if owner == reader.me => text.push_str("; it is yours now"),
        Some(owner) => text.push_str(&format!("; it is {}'s now", safe_line(owner))),
        None => {}
    }
    Some(text)
}

fn refused(data: &Value, reader: &Reader<'_>) -> Option<String> {
    let room = reader.room(data)?;
    match data["user"].as_str() {
        Some(user) if user != reader.me => {
            Some(format!("{} is not let into {room}", safe_line(user)))
        }
        None if data["room"].is_null() => Some(format!("you are not let into {room}")),
        _ => Some(format!("the invitation to {room} was taken back")),
    }
}

fn room(data: &Value, reader: &Reader<'_>) -> Option<String> {
    let room = reader.room(data)?;
    if let Some(members) = data["members"].as_array() {
        // Whoever comes in later, or becomes the owner, is told so by another event.
        let is_new = members.len() == 1 && data["owner"] == *reader.me;
        let typed = typed(data, reader)?;
        return is_new.then(|| {
            format!("{room} is there: /to {typed} goes to it, /invite NAME and /link bring others")
        });
    }
    match data["owner"].as_str() {
        Some(owner) if owner == reader.me => return Some(format!("{room} is yours now")),
        Some(owner) => return Some(format!("{room} is {}'s now", safe_line(owner))),
        None => {}
    }
    match data["links"].as_array()?.len() {
        0 => Some(format!("no link leads into {room}")),
        1 => Some(format!("1 link leads into {room}: /unlink ends it")),
        count => Some(format!("{count} links lead into {room}: /unlink ends them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::text::Zone;
    use serde::Deserialize as _;
    use serde_json::json;

    fn say(kind: &str, data: Value) -> Option<String> {
        let title = |chat: &str| (chat == "room:7").then(|| "Garden".to_owned());
        let zone = Zone::utc();
        let reader = Reader {
            me: "ann",
            title: &title,
            zone: &zone,
            now: "2026-11-24T20:00:00Z".parse().unwrap(),
        };
        notice(kind, &data, &reader).map(|notice| match notice {
            Notice::Calm(text) | Notice::Alarm(text) => text,
        })
    }

    #[test]
    fn each_event_says_what_can_be_typed_next() {
        let of = |user: &str| json!({"room": "room:7", "title": "Garden", "user": user});
        let mut invited = of("ann");
        invited["from"] = "bob".into();
        let left = |user: &str, removed: bool, owner: Value| json!({"room": "room:7", "user": user, "removed": removed, "owner": owner});
        for (kind, data, expected) in [
            (
                "invited",
                invited,
                "bob invites you to \"Garden\": /join Garden",
            ),
            (
                "invited",
                of("bob"),
                "bob is invited to \"Garden\": /uninvite bob takes it back",
            ),
            (
                "join_request",
                of("bob"),
                "bob asks to come into \"Garden\": /approve bob or /refuse bob",
            ),
            (
                "join_request",
                json!({"title": "Garden", "state": "pending"}),
                "you asked to come into \"Garden\": its owner decides",
            ),
            ("joined", of("bob"), "bob is in \"Garden\" now"),
            ("joined", of("ann"), "you are in \"Garden\" now: /to Garden"),
            (
                "left",
                left("bob", false, json!("ann")),
                "bob left \"Garden\"; it is yours now",
            ),
            (
                "left",
                left("bob", true, json!(null)),
                "bob was removed from \"Garden\"",
            ),
            (
                "left",
                left("ann", true, json!(null)),
                "you were removed from \"Garden\"",
            ),
            ("refused", of("bob"), "bob is not let into \"Garden\""),
            (
                "refused",
                json!({"title": "Garden"}),
                "you are not let into \"Garden\"",
            ),
            (
                "refused",
                json!({"room": "room:7", "title": "Garden"}),
                "the invitation to \"Garden\" was taken back",
            ),
            (
                "room",
                json!({"room": "room:7", "title": "Garden", "owner": "ann", "members": ["ann"]}),
                "\"Garden\" is there: /to Garden goes to it, /invite NAME and /link bring others",
            ),
            (
                "room",
                json!({"room": "room:7", "title": "Garden", "links": [{}, {}]}),
                "2 links lead into \"Garden\": /unlink ends them",
            ),
            (
                "room",
                json!({"room": "room:7", "title": "Garden", "owner": "bob"}),
                "\"Garden\" is bob's now",
            ),
        ] {
            assert_eq!(say(kind, data).as_deref(), Some(expected), "{kind}");
        }
    }

    #[test]
    fn an_approval_is_said_once_by_the_coming_in() {
        let data = json!({"title": "Garden", "state": "approved"});
        assert_eq!(say("join_request", data), None);
    }

    #[test]
    fn a_title_steers_no_terminal() {
        let data = json!({"room": "r", "title": "a\u{1b}[2J\n\u{202e}", "user": "bob"});
        for kind in ["invited", "join_request", "joined", "left", "refused"] {
            let text = say(kind, data.clone()).unwrap();
            assert!(!text.contains(['\u{1b}', '\n', '\u{202e}']), "{text}");
        }
    }

    #[test]
    fn ones_rooms_are_listed_with_who_waits() {
        let rooms = Rooms::deserialize(json!({
            "rooms": [
                {"room": "room:7", "title": "Garden", "owner": "ann", "members": ["ann", "bob"],
                 "history": "all", "invites": [{"user": "eve", "at": "T"}], "links": [{}],
                 "requests": [{"user": "carl", "at": "T"}]},
                {"room": "room:8", "title": "Attic", "owner": "bob",
                 "members": (0..25).map(|n| format!("u{n}")).collect::<Vec<_>>(),
                 "history": "joined"},
            ],
            "invites": [{"room": "room:9", "title": "Cellar", "user": "ann", "from": "eve"}],
            "requests": [{"title": "Roof", "at": "T"}],
        }));
        let text = list(&rooms.unwrap(), "ann");
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let garden = "room:7 [Garden] (yours, with its whole history): ann, bob; invited: eve; \
                      asking: carl; 1 link";
        assert_eq!(lines[0], garden);
        assert!(
            lines[1].starts_with("room:8 [Attic] (bob's): u0, u1"),
            "{text}"
        );
        assert!(lines[1].ends_with("u19, 5 more"), "{text}");
        assert_eq!(
            lines[2],
            "room:9 eve invites you to \"Cellar\": /join Cellar"
        );
        assert_eq!(lines[3], "you asked to come into \"Roof\"");
        assert!(list(&Rooms::default(), "ann").starts_with("you are in no room"));
    }
}
