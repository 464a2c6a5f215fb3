//! How IRC spells users and chats. A spelling can be read back without a table, so it is the same on every
//! connection and after every restart.
//!
//! - A nick is the user's name. A `.`, which marks servers, is written `^`, and a name that begins
//!   with a digit or `-`, as no nick may, has a `|` before it. No name has those characters.
//! - A channel is `#`, the room's title and the beginning of its id: `#kitchen~0f8fad5b`. Titles are
//!   nobody's, so a title alone names no channel. In it a space is written `_`; what can't be in a channel's
//!   name, what has a meaning here, and what nobody sees, is written as bytes in hex, as in a URL: `%5F` is `_`.

use veche::prelude::*;

/// The most bytes of a title's spelling; a longer one is cut.
const TITLE: usize = 64;

/// The common chat's address, and its channel.
pub const COMMON: (&str, &str) = ("common", "#common");

/// The nick of a user.
pub fn nick(name: &str) -> String {
    let needs_mark = name.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let mark = if needs_mark { "|" } else { "" };
    format!("{mark}{}", name.replace('.', "^"))
}

/// The name of a nick; what is no nick is no name either.
pub fn name(nick: &str) -> String {
    let nick = nick.strip_prefix('|').unwrap_or(nick);
    nick.replace('^', ".")
}

/// A user as the source of a line.
pub fn source(name: &str) -> String {
    let nick = nick(name);
    format!("{nick}!{nick}@veche")
}

/// What a title is in a channel's name: as much of it as there is room for.
fn spelt(title: &str) -> String {
    let mut spelt = String::from("#");
    for c in title.chars() {
        let c = match c {
            ' ' => "_".to_owned(),
            '_' | '%' | ',' | '~' | ':' => escaped(c),
            c if is_unseen(c) => escaped(c),
            c => c.to_string(),
        };
        if spelt.len() + c.len() > TITLE {
            break;
        }
        spelt += &c;
    }
    spelt
}

fn escaped(c: char) -> String {
    let mut bytes = [0; 4];
    let bytes = c.encode_utf8(&mut bytes).bytes();
    bytes.map(|byte| format!("%{byte:02X}")).collect()
}

/// Whether a character is a blank, or one that shows itself by what it does to others alone, such as those
/// that turn their order: names with and without it would look alike. These are Unicode's
/// `Default_Ignorable_Code_Point`, but for the selectors of a form, which emoji have.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The title that a channel's name without an id spells; none where it spells none.
pub fn title(channel: &str) -> Option<String> {
    let spelt = channel
        .strip_prefix('#')
        .filter(|spelt| !spelt.is_empty())?;
    let mut bytes = Vec::new();
    let mut rest = spelt.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A channel's name without its case.
pub fn folded(channel: &str) -> String {
    channel.to_lowercase()
}

/// The channel of a room, the same for everybody and always.
pub fn channel(title: &str, room: &str) -> String {
    let spelt = spelt(title);
    let id = room.strip_prefix("room:").unwrap_or(room);
    let id: String = id.chars().take(8).collect();
    format!("{spelt}~{id}")
}

/// What may stand in a path or a query.
pub fn part(text: &str) -> String {
    let mut part = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                part.push(char::from(byte));
            }
            _ => part += &format!("%{byte:02X}"),
        }
    }
    part
}

/// A field that is a text; empty where it is not there.
pub fn field<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_is_read_back_to_the_name_that_it_spells() {
        for (user, spelt) in [
            ("ann", "ann"),
            ("ann.b", "ann^b"),
            (".ann", "^ann"),
            ("3com", "|3com"),
            ("-x-", "|-x-"),
            ("Владимир", "Владимир"),
            ("o_o-1.x", "o_o-1^x"),
        ] {
            assert_eq!(nick(user), spelt);
            assert_eq!(name(spelt), user);
        }
        assert_eq!(source("a.b"), "a^b!a^b@veche");
    }

    #[test]
    fn a_channel_is_read_back_to_the_title_that_it_spells() {
        for (room, spelt) in [
            ("kitchen", "#kitchen"),
            ("My room", "#My_room"),
            ("my_room", "#my%5Froom"),
            ("a, b: 100%", "#a%2C_b%3A_100%25"),
            ("Кухня 🍲", "#Кухня_🍲"),
            ("~", "#%7E"),
            ("#1", "##1"),
            ("❤️", "#❤️"),
            ("kit\u{202e}chen", "#kit%E2%80%AEchen"),
            ("\u{2066}a\u{2069}", "#%E2%81%A6a%E2%81%A9"),
            ("می\u{200c}خواهم", "#می%E2%80%8Cخواهم"),
            ("a\u{a0}b\u{3000}c", "#a%C2%A0b%E3%80%80c"),
            ("\u{ad}\u{feff}\u{e0041}", "#%C2%AD%EF%BB%BF%F3%A0%81%81"),
        ] {
            let channel = channel(room, "room:0f8fad5b-d9cb");
            assert_eq!(channel, format!("{spelt}~0f8fad5b"));
            assert_eq!(title(spelt).as_deref(), Some(room));
        }
        for none in ["#", "kitchen", "#%", "#%4", "#%zz", "#%FF"] {
            assert_eq!(title(none), None, "{none}");
        }
    }

    #[test]
    fn a_long_title_is_cut_and_its_id_is_not() {
        let room = "room:0f8fad5b-d9cb-469f-a165-70867728950e";
        for long in [
            "é".repeat(100),
            "_".repeat(100),
            "\u{202e}".repeat(100),
            format!("{}ab", "_".repeat(21)),
        ] {
            let name = channel(&long, room);
            assert!(
                name.len() <= TITLE + 9 && name.ends_with("~0f8fad5b"),
                "{name}"
            );
            let title = title(name.split('~').next().unwrap()).unwrap();
            assert!(long.starts_with(&title), "{name}");
        }
    }

    #[test]
    fn a_part_of_a_path_is_escaped() {
        assert_eq!(part("ann.b"), "ann.b");
        assert_eq!(part("room:1 é/?"), "room%3A1%20%C3%A9%2F%3F");
    }
}
