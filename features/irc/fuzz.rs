//! The fuzz target: what clients send, line by line, and what becomes of it.

use veche::prelude::*;

use super::caps::{Cap, Caps};
use super::commands::message_id;
use super::history::edge;
use super::line::{LINE, Line, Out, TAGS};
use super::names::{channel, is_unseen, name, nick, title};
use super::text::{incoming, is_break, outgoing};
use super::welcome::credentials;

fuzzed!(super::Irc, lines);

fn lines(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(Some(line)) = Line::parse(line) else {
            continue;
        };
        written(&line);
        let values = line.tags.iter().map(|(_, value)| value);
        for text in line.params.iter().chain(values) {
            texts(text);
            names(text);
            // What is none is no number, no time and no password, and nothing worse.
            let _ = (message_id(text), edge(text), credentials(text));
        }
    }
}

/// Whatever is read can be written as one line, and says the same, but for what would end it.
fn written(line: &Line) {
    let caps = Caps::default().with(Cap::MessageTags);
    let value: String = line.tags.iter().map(|(_, value)| value.as_str()).collect();
    let out = Out::new("", "TEST").tag("msgid", value.clone());
    let out = line.params.iter().fold(out, |out, param| out.word(param));
    let mut bytes = Vec::new();
    out.text(&value).write(caps, &mut bytes);
    let written = String::from_utf8(bytes).unwrap_or_default();
    assert!(written.ends_with("\r\n"), "{written:?}");
    let body = &written[..written.len() - 2];
    assert!(!body.contains(['\r', '\n', '\0']), "{written:?}");
    let (tags, rest) = match body.strip_prefix('@') {
        Some(tagged) => tagged.split_once(' ').unwrap_or_default(),
        None => ("", body),
    };
    assert!(rest.len() <= LINE - 2, "{written:?}");
    // What is cut, or was escaped into more than clients may send, is not compared.
    if rest.len() < LINE - 8 && tags.len() + 2 <= TAGS {
        let again = Line::parse(body.as_bytes()).ok().flatten();
        let again = again.unwrap_or_default();
        assert_eq!(again.command, "TEST");
        let count = (line.params.len() + 1).min(15);
        assert_eq!(again.params.len(), count, "{written:?}");
        let whole = value.replace('\0', "");
        assert_eq!(again.tag("msgid").unwrap_or_default(), whole);
    }
}

/// What is posted steers nothing, and each line of it fits and loses no letter.
fn texts(text: &str) {
    if let Some(posted) = incoming(text) {
        let steers = |c: char| c.is_control() && c != '\t';
        assert!(!posted.contains(steers), "{posted:?}");
    }
    let room = 40 + text.len() % 400;
    let lines = outgoing(text, room);
    let is_action = lines.iter().all(|line| line.starts_with('\u{1}'));
    for line in &lines {
        let inner = line.trim_matches('\u{1}');
        assert!(line.len() <= room, "{room}: {line:?}");
        assert!(
            !inner.contains(|c: char| c.is_control() || is_break(c)),
            "{line:?}"
        );
    }
    if !is_action {
        let letters = |text: &str| {
            let seen = |c: &char| !c.is_whitespace() && !c.is_control() && !is_break(*c);
            text.chars().filter(seen).collect::<String>()
        };
        assert_eq!(letters(&lines.concat()), letters(text));
    }
}

/// A channel's name is one word in which all is seen, and is read back to the title, or to its beginning; a
/// nick is read back to the name.
fn names(text: &str) {
    let name_of = channel(text, "room:0f8fad5b-d9cb-469f-a165-70867728950e");
    let spelt = name_of.strip_suffix("~0f8fad5b").unwrap_or_default();
    assert!(spelt.starts_with('#'), "{name_of:?}");
    assert!(!spelt.contains([',', ':', '~', ' ']) && !spelt.contains(is_unseen));
    assert!(spelt.len() <= 64, "{spelt:?}");
    if spelt != "#" {
        let read = title(spelt).unwrap_or_default();
        let is_beginning = !read.is_empty() && text.starts_with(&read);
        assert!(is_beginning, "{text:?}: {spelt}");
        assert_eq!(channel(&read, "room:0f8fad5b"), name_of);
    }
    let user: String = text.chars().filter(|c| is_in_name(*c)).collect();
    assert_eq!(name(&nick(&user)), user);
}
