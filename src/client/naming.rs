//! How rooms are named in a command: by their title, or by the beginning of their address.

use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::text::{safe_line, steers};

/// What the address of a room begins with.
const ROOM: &str = "room:";
/// How much of the id in an address is shown, and most often enough to name it.
const SHORT: usize = 8;

/// The address of the one room that is meant, if one is. `rooms` are addresses with titles. Where
/// several may be meant none is taken: the error is a sentence for the user, with what to write
/// after `command` instead.
pub fn find<'a>(
    named: &str,
    rooms: impl Iterator<Item = (&'a str, &'a str)>,
    command: &str,
) -> Result<Option<String>, String> {
    let rooms: Vec<(&str, &str)> = rooms.collect();
    let lower = named.to_lowercase();
    // A whole address is nothing that a title is mistaken for.
    if rooms.iter().any(|(address, _)| *address == lower) {
        return Ok(Some(lower));
    }
    let fitting = |fits: &dyn Fn(&str, &str) -> bool| -> Vec<&str> {
        let rooms = rooms.iter().filter(|(address, title)| fits(address, title));
        rooms.map(|(address, _)| *address).collect()
    };
    let is_beginning = lower.len() > ROOM.len() && lower.starts_with(ROOM);
    let begun = fitting(&|address, _| is_beginning && address.starts_with(&lower));
    let mut titled = fitting(&|_, title| title == named);
    if titled.is_empty() {
        let key = key(named);
        titled = fitting(&|_, title| self::key(title) == key);
    }
    let what = match (begun.len(), titled.len()) {
        (0, _) => "the title of more than one room",
        (_, 0) => "how more than one room's address begins",
        _ => "a title and how an address begins",
    };
    let mut found = begun;
    found.retain(|address| !titled.contains(address));
    found.extend(titled);
    match found.as_slice() {
        [] => Ok(None),
        [address] => Ok(Some((*address).to_owned())),
        more => {
            let calls = more
                .iter()
                .map(|address| format!("{command} {}", safe_line(address)));
            let calls: Vec<String> = calls.collect();
            let named = safe_line(named);
            Err(format!("\"{named}\" is {what}: {}", calls.join(" or ")))
        }
    }
}

/// A title as it is compared where none is the very same: without what nobody can see or type.
fn key(title: &str) -> String {
    let shown: String = title.nfc().filter(|c| !steers(*c)).collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether that is the whole address of a room.
pub fn is_whole(address: &str) -> bool {
    let id = address.strip_prefix(ROOM);
    id.is_some_and(|id| id.contains('-') && id.parse::<Uuid>().is_ok())
}

/// The beginning of an address, as it is shown and can be written.
pub fn short(address: &str) -> String {
    let length = ROOM.len() + SHORT;
    safe_line(&address.chars().take(length).collect::<String>())
}

/// What to write for a room: its title where that can be typed as it is shown, else the beginning
/// of its address.
pub fn typed(title: &str, address: &str) -> String {
    let can_be_typed = title.trim() == title
        && !title.chars().any(steers)
        && !title.to_lowercase().starts_with(ROOM)
        && !title.starts_with('@')
        && !title.contains("/join/")
        && title != "common"
        && title.parse::<Uuid>().is_err();
    match can_be_typed {
        true => title.to_owned(),
        false => short(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: [(&str, &str); 7] = [
        ("room:1a2b", "Garden"),
        ("room:1a9f", " Attic "),
        ("room:2c00", "ni\u{202e}ce"),
        ("room:3d00", "room:1a2"),
        ("room:4e00", "Cellar"),
        ("room:5f00", "cellar "),
        ("room:6a00", "room:6"),
    ];

    fn found(named: &str) -> Result<Option<String>, String> {
        find(named, ROOMS.into_iter(), "/to")
    }

    #[test]
    fn a_room_is_found_by_its_title_or_the_beginning_of_its_address() {
        for (named, address) in [
            ("Garden", "room:1a2b"),
            ("gardEN", "room:1a2b"),
            ("attic", "room:1a9f"),
            (" Attic ", "room:1a9f"),
            ("nice", "room:2c00"),
            ("room:2", "room:2c00"),
            ("ROOM:2C", "room:2c00"),
            ("room:1a2b", "room:1a2b"),
            ("room:3d00", "room:3d00"),
            ("Cellar", "room:4e00"),
            ("cellar ", "room:5f00"),
            // Both lead to the same room.
            ("room:6", "room:6a00"),
        ] {
            assert_eq!(found(named), Ok(Some(address.to_owned())), "{named}");
        }
        for named in ["Roof", "room:", "room:7", "1a2b"] {
            assert_eq!(found(named), Ok(None), "{named}");
        }
    }

    #[test]
    fn where_several_may_be_meant_none_is_taken() {
        for (named, told) in [
            (
                "room:1",
                "\"room:1\" is how more than one room's address begins: /to room:1a2b or /to \
                 room:1a9f",
            ),
            (
                "room:1a2",
                "\"room:1a2\" is a title and how an address begins: /to room:1a2b or /to room:3d00",
            ),
            (
                "CELLAR",
                "\"CELLAR\" is the title of more than one room: /to room:4e00 or /to room:5f00",
            ),
        ] {
            assert_eq!(found(named), Err(told.to_owned()));
        }
    }

    #[test]
    fn what_is_to_be_typed_can_be() {
        let address = "room:6a7d9c0e-52a4-4f0b-9a59-3e1c7f0c2b11";
        assert!(is_whole(address));
        assert!(!is_whole("room:6a7d9c0e"));
        for title in ["Garden", "The  Garden", "сад 😀"] {
            assert_eq!(typed(title, address), title);
        }
        for title in [
            " x",
            "x ",
            "a\u{202e}b",
            "room:1",
            "Room:",
            "@bob",
            "common",
            "/join/x",
        ] {
            assert_eq!(typed(title, address), "room:6a7d9c0e", "{title}");
        }
    }
}
