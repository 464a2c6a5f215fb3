//! Texts on their way in and out: lines of IRC are short, and have colours and commands in them. No I/O.

use veche::prelude::*;

/// What begins a CTCP message, and ends it.
const CTCP: char = '\u{1}';

/// What begins a text that says what its author does, as people type it.
const ME: &str = "/me ";

/// A text as it is posted: without colours and other control codes; empty where nothing but blanks is left.
/// None where it is not for people, but a question of one program to another.
pub fn incoming(text: &str) -> Option<String> {
    let (text, does) = match text.strip_prefix(CTCP) {
        None => (text, false),
        Some(text) => {
            let text = text.trim_end_matches(CTCP);
            (text.strip_prefix("ACTION ")?, true)
        }
    };
    let text = plain(text);
    Some(match text.trim() {
        "" => String::new(),
        _ if does => format!("{ME}{text}"),
        _ => text,
    })
}

/// A text without control codes, and without what follows those of colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // A colour, in decimal or hex, and behind a comma that of the ground.
        let (most, is_digit): (usize, fn(&char) -> bool) = match c {
            '\u{3}' => (2, char::is_ascii_digit),
            '\u{4}' => (6, char::is_ascii_hexdigit),
            '\t' => {
                plain.push(c);
                continue;
            }
            c if c.is_control() => continue,
            c => {
                plain.push(c);
                continue;
            }
        };
        let mut count = 0;
        while count < most && rest.next_if(is_digit).is_some() {
            count += 1;
        }
        let mut ahead = rest.clone();
        if count > 0 && ahead.next() == Some(',') && ahead.peek().is_some_and(is_digit) {
            rest = ahead;
            let mut count = 0;
            while count < most && rest.next_if(is_digit).is_some() {
                count += 1;
            }
        }
    }
    plain
}

/// A text as lines for a client, each of at most `room` bytes: split where it is, then between words, and
/// within a word between what people see as characters.
pub fn outgoing(text: &str, room: usize) -> Vec<String> {
    let (text, does) = match text.strip_prefix(ME) {
        Some(rest) if !rest.trim().is_empty() => (rest, true),
        _ => (text, false),
    };
    let room = if does {
        room.saturating_sub("\u{1}ACTION \u{1}".len())
    } else {
        room
    };
    let mut lines = Vec::new();
    for line in text.trim_matches(['\n', '\r']).split('\n') {
        let line = unbroken(line.trim_end_matches('\r'));
        // An empty line of a text is kept; many clients drop one that has nothing in it.
        if line.trim().is_empty() {
            lines.push(" ".to_owned());
        } else {
            split(&line, room, &mut lines);
        }
    }
    if does {
        lines
            .iter_mut()
            .for_each(|line| *line = format!("{CTCP}ACTION {line}{CTCP}"));
    }
    lines
}

/// What is a line's end, or turns the order of what stands around it.
pub fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn split(line: &str, room: usize, into: &mut Vec<String>) {
    let mut current = String::new();
    for word in line.split_word_bounds() {
        if current.len() + word.len() <= room {
            current += word;
            continue;
        }
        if !current.trim().is_empty() {
            into.push(current.trim_end().to_owned());
        }
        current.clear();
        if word.len() <= room {
            current += word.trim_start();
            continue;
        }
        for grapheme in word.graphemes(true) {
            // What is one character to people can be long without end: then between those of Unicode.
            for piece in pieces(grapheme, room) {
                if current.len() + piece.len() > room {
                    into.push(std::mem::take(&mut current));
                }
                current += piece;
            }
        }
    }
    if !current.trim().is_empty() {
        into.push(current.trim_end().to_owned());
    }
}

fn pieces(grapheme: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = grapheme;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.len() {
            length if length <= room => length,
            _ => rest.floor_char_boundary(room.max(4)),
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// A text with a space for all that would break its line.
pub fn unbroken(text: &str) -> String {
    let blank = |c: char| c.is_control() || is_break(c);
    text.chars()
        .map(|c| if blank(c) { ' ' } else { c })
        .collect()
}

/// A time as people read it: `2026-11-29 18:50:07 UTC`.
pub fn moment(time: &str) -> String {
    let seconds = time.get(..19).unwrap_or(time);
    format!("{} UTC", seconds.replace('T', " "))
}

/// What somebody is told who is banned.
pub fn banned(until: &str) -> String {
    format!("You may not post until {}; you can read", moment(until))
}

/// The beginning of a text, for a quotation: one line of at most so many characters.
pub fn beginning(text: &str, most: usize) -> String {
    let line = unbroken(text);
    let line = line.trim();
    let mut graphemes = line.graphemes(true);
    let mut beginning: String = graphemes.by_ref().take(most).collect();
    if graphemes.next().is_some() {
        beginning.push('…');
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_control_codes_are_not_posted() {
        for (sent, posted) in [
            ("hello", Some("hello")),
            ("\u{2}bold\u{2} \u{1d}it\u{f}", Some("bold it")),
            ("\u{3}4,12red\u{3} 5", Some("red 5")),
            ("\u{3}4,blue", Some(",blue")),
            ("\u{3}123", Some("3")),
            ("\u{4}ff0000,00ff00x", Some("x")),
            ("a\tb", Some("a\tb")),
            ("\u{1}ACTION waves\u{1}", Some("/me waves")),
            ("\u{1}VERSION\u{1}", None),
            ("\u{1}ACTION  \u{1}", Some("")),
            ("\u{2}\u{2} ", Some("")),
            ("", Some("")),
        ] {
            assert_eq!(incoming(sent).as_deref(), posted, "{sent:?}");
        }
    }

    #[test]
    fn a_text_is_split_between_words_and_long_words_between_characters() {
        assert_eq!(outgoing("one two three", 8), ["one two", "three"]);
        assert_eq!(outgoing("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        let family = "👨‍👩‍👧";
        let lines = outgoing(&family.repeat(3), 20);
        assert_eq!(lines, [family, family, family]);
        let cruel = format!("e{}", "\u{301}".repeat(40));
        let lines = outgoing(&cruel, 16);
        assert!(lines.iter().all(|line| line.len() <= 16));
        assert_eq!(lines.concat(), cruel);
    }

    #[test]
    fn lines_are_kept_also_empty_ones_within() {
        assert_eq!(outgoing("\none\r\n\n\ntwo\n", 80), ["one", " ", " ", "two"]);
        assert_eq!(outgoing("a\u{0}b\u{202e}c", 80), ["a b c"]);
    }

    #[test]
    fn what_somebody_does_is_an_action_in_each_of_its_lines() {
        assert_eq!(outgoing("/me waves", 80), ["\u{1}ACTION waves\u{1}"]);
        assert_eq!(outgoing("/me ", 80), ["/me"]);
        let lines = outgoing("/me one two", 12);
        assert_eq!(lines, ["\u{1}ACTION one\u{1}", "\u{1}ACTION two\u{1}"]);
    }

    #[test]
    fn no_line_is_longer_than_its_room_and_no_word_is_lost() {
        let text = "Sed ut perspiciatis, unde omnis iste natus error sit voluptatem.";
        for room in 16..70 {
            let lines = outgoing(text, room);
            assert!(
                lines.iter().all(|line| line.len() <= room),
                "{room}: {lines:?}"
            );
            assert_eq!(lines.join(" ").replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn a_quotation_is_one_short_line() {
        assert_eq!(beginning("one\ntwo three", 7), "one two…");
        assert_eq!(beginning("short", 7), "short");
    }
}
