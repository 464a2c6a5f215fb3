//! Lines of IRC: what clients send, read; what they are sent, written. No I/O.

use super::caps::{Cap, Caps};

/// The most bytes of a line without its tags, the line's end included.
pub const LINE: usize = 512;

/// The most bytes of a client's tags, with the `@` before and the space after them.
pub const TAGS: usize = 4096;

/// The most parameters of a line.
const PARAMS: usize = 15;

/// A line that a client sent.
#[derive(Debug, Default, PartialEq)]
pub struct Line {
    /// Tags by their names, their values unescaped.
    pub tags: Vec<(String, String)>,
    /// The command, in capitals.
    pub command: String,
    /// What follows it.
    pub params: Vec<String>,
}

/// Why a line can't be read.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// It is longer than a line may be.
    Long,
    /// It is no UTF-8.
    NotText,
}

impl Line {
    /// Reads a line without its end; none where there is nothing in it.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Wrong> {
        let text = std::str::from_utf8(bytes).map_err(|_| Wrong::NotText)?;
        let (tags, rest) = match text.strip_prefix('@') {
            None => ("", text),
            Some(text) => text.split_once(' ').unwrap_or((text, "")),
        };
        if tags.len() + 2 > TAGS || rest.len() + 2 > LINE {
            return Err(Wrong::Long);
        }
        let mut rest = rest.trim_start_matches(' ');
        if rest.starts_with(':') {
            // A client speaks for nobody but itself.
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
        }
        let mut params = Vec::new();
        loop {
            rest = rest.trim_start_matches(' ');
            if rest.is_empty() {
                break;
            }
            if let Some(last) = rest.strip_prefix(':').filter(|_| !params.is_empty()) {
                params.push(last.to_owned());
                break;
            }
            if params.len() == PARAMS {
                params.push(rest.to_owned());
                break;
            }
            let (param, after) = rest.split_once(' ').unwrap_or((rest, ""));
            params.push(param.to_owned());
            rest = after;
        }
        if params.is_empty() {
            return Ok(None);
        }
        let command = params.remove(0).to_ascii_uppercase();
        let tags = tags.split(';').filter(|tag| !tag.is_empty()).map(|tag| {
            let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
            (name.to_owned(), unescape(value))
        });
        Ok(Some(Self {
            tags: tags.collect(),
            command,
            params,
        }))
    }

    /// A tag's value.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let found = self.tags.iter().rev().find(|(tag, _)| tag == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter; empty where it is not there.
    pub fn param(&self, place: usize) -> &str {
        self.params.get(place).map_or("", String::as_str)
    }
}

/// A line for a client. Nothing that is put into it can begin another line or another parameter.
#[derive(Clone, Debug, Default)]
pub struct Out {
    tags: Vec<(&'static str, String)>,
    source: String,
    command: &'static str,
    params: Vec<String>,
    text: Option<String>,
}

impl Out {
    /// A command from somebody.
    pub fn new(source: &str, command: &'static str) -> Self {
        Self {
            source: source.to_owned(),
            command,
            ..Self::default()
        }
    }

    /// Adds a parameter: one word.
    pub fn word(mut self, word: &str) -> Self {
        self.params.push(word.to_owned());
        self
    }

    /// Sets the last parameter, which may have spaces.
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Adds a tag, which those get who have asked for it.
    pub fn tag(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.tags.push((name, value.into()));
        self
    }

    /// Makes another command of it.
    pub fn command(mut self, command: &'static str) -> Self {
        self.command = command;
        self
    }

    /// Puts it into a batch, unless it is in one.
    pub fn put_into(&mut self, batch: &str) {
        if !self.tags.iter().any(|(name, _)| *name == "batch") {
            self.tags.push(("batch", batch.to_owned()));
        }
    }

    /// Whether these lines are one batch, from its beginning to its end.
    pub fn is_one_batch(lines: &[Self]) -> bool {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
            return false;
        };
        let name = |line: &Self, mark| {
            let word = line.params.first().filter(|_| line.command == "BATCH")?;
            word.strip_prefix(mark).map(str::to_owned)
        };
        name(first, '+').is_some_and(|opened| name(last, '-') == Some(opened))
    }

    /// Writes it for a client with these capabilities, its end included.
    pub fn write(&self, caps: Caps, into: &mut Vec<u8>) {
        let mut mark = '@';
        for (name, value) in self.tags.iter().filter(|(name, _)| is_for(name, caps)) {
            into.push(mark as u8);
            into.extend(name.as_bytes());
            if !value.is_empty() {
                into.push(b'=');
                into.extend(escape(value).as_bytes());
            }
            mark = ';';
        }
        if mark == ';' {
            into.push(b' ');
        }
        let mut line = String::new();
        if !self.source.is_empty() {
            line = format!(":{} ", word(&self.source));
        }
        line += self.command;
        for param in &self.params {
            line.push(' ');
            line += &word(param);
        }
        if let Some(text) = &self.text {
            line += " :";
            line.extend(text.chars().map(|c| if ends_line(c) { ' ' } else { c }));
        }
        let end = line.floor_char_boundary(LINE - 2);
        into.extend(&line.as_bytes()[..end]);
        into.extend(b"\r\n");
    }

    /// How many bytes of a text fit into it.
    pub fn room(&self) -> usize {
        let params = self.params.iter().map(|param| param.len() + 1);
        let taken = self.source.len() + 2 + self.command.len() + params.sum::<usize>() + 2;
        (LINE - 2).saturating_sub(taken)
    }
}

/// Whether a tag is for clients with these capabilities.
fn is_for(tag: &str, caps: Caps) -> bool {
    caps.has(match tag {
        "time" => Cap::ServerTime,
        "batch" => Cap::Batch,
        "label" => Cap::LabeledResponse,
        "account" => Cap::AccountTag,
        _ => Cap::MessageTags,
    })
}

fn ends_line(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\0')
}

/// A parameter without what could begin another one.
fn word(word: &str) -> String {
    let mut word: String = word
        .chars()
        .map(|c| if c == ' ' || ends_line(c) { '_' } else { c })
        .collect();
    if word.is_empty() {
        word.push('*');
    }
    if word.starts_with(':') {
        word.insert(0, '_');
    }
    word
}

const ESCAPES: [(char, char); 5] = [
    (';', ':'),
    (' ', 's'),
    ('\\', '\\'),
    ('\r', 'r'),
    ('\n', 'n'),
];

/// A tag's value as it is written.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars().filter(|c| *c != '\0') {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, escape)) => escaped.extend(['\\', *escape]),
            None => escaped.push(c),
        }
    }
    escaped
}

fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
        } else if let Some(c) = chars.next() {
            let found = ESCAPES.iter().find(|(_, escape)| *escape == c);
            plain.push(found.map_or(c, |(plain, _)| *plain));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Line {
        Line::parse(line.as_bytes()).unwrap().unwrap_or_default()
    }

    fn written(out: &Out, caps: Caps) -> String {
        let mut bytes = Vec::new();
        out.write(caps, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_tags_a_command_and_parameters_of_which_the_last_may_have_spaces() {
        let line = parsed("@+draft/reply=7;label=a\\sb\\:\\\\ :me privmsg  #common :hello  you ");
        assert_eq!(line.command, "PRIVMSG");
        assert_eq!(line.params, ["#common", "hello  you "]);
        assert_eq!(line.tag("label"), Some("a b;\\"));
        assert_eq!(line.tag("+draft/reply"), Some("7"));
        assert_eq!(line.tag("time"), None);
        assert_eq!(parsed("PART #a :").params, ["#a", ""]);
        assert_eq!(parsed("PING x:y").params, ["x:y"]);
        let many = format!("WHO {}", "a ".repeat(40));
        assert_eq!(parsed(&many).params.len(), PARAMS);
        for nothing in ["", "   ", "@a=b", "@a ", ":me"] {
            assert_eq!(Line::parse(nothing.as_bytes()), Ok(None), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_text_is_told_apart() {
        let line = |length| Line::parse(&vec![b'x'; length]);
        assert!(line(LINE - 2).is_ok());
        assert_eq!(line(LINE - 1), Err(Wrong::Long));
        let tags = |length: usize| format!("@{} PING x", "t".repeat(length));
        assert!(Line::parse(tags(TAGS - 2).as_bytes()).is_ok());
        assert_eq!(Line::parse(tags(TAGS - 1).as_bytes()), Err(Wrong::Long));
        assert_eq!(Line::parse(b"PRIVMSG a :\xff"), Err(Wrong::NotText));
    }

    #[test]
    fn a_client_gets_the_tags_that_it_has_asked_for() {
        let out = Out::new("ann!ann@veche", "PRIVMSG")
            .word("#common")
            .text("hi")
            .tag("time", "2026-11-29T10:18:55.123Z")
            .tag("msgid", "7");
        let bare = ":ann!ann@veche PRIVMSG #common :hi\r\n";
        assert_eq!(written(&out, Caps::default()), bare);
        let timed = Caps::default().with(Cap::ServerTime);
        let time = "@time=2026-11-29T10:18:55.123Z";
        assert_eq!(written(&out, timed), format!("{time} {bare}"));
        let both = timed.with(Cap::MessageTags);
        assert_eq!(written(&out, both), format!("{time};msgid=7 {bare}"));
    }

    #[test]
    fn nothing_in_a_line_begins_another() {
        let evil = "a\r\nQUIT :x\0 y";
        let out = Out::new(evil, "PRIVMSG")
            .word(evil)
            .word("")
            .word(":b")
            .text(evil)
            .tag("msgid", evil);
        let line = written(&out, Caps::default().with(Cap::MessageTags));
        assert_eq!(line.matches(['\r', '\n', '\0']).count(), 2, "{line:?}");
        let read = Line::parse(line.trim_end().as_bytes()).unwrap().unwrap();
        assert_eq!(read.command, "PRIVMSG");
        assert_eq!(read.params.len(), 4);
        assert_eq!(&read.params[1..3], ["*", "_:b"]);
    }

    #[test]
    fn a_line_is_cut_between_characters_at_its_longest() {
        let out = Out::new("", "NOTICE").word("a").text(&"é".repeat(600));
        let line = written(&out, Caps::default());
        assert!(
            line.len() <= LINE && line.len() >= LINE - 1,
            "{}",
            line.len()
        );
    }
}
