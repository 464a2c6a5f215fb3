//! Lines of JSON that are whole or told to be damaged.
//!
//! Each is an object of one field, its kind, and a checksum behind it, over the line up to there and
//! over the checksum of the line before: so one that is changed, lost, or in another's place shows.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use crc32fast::Hasher;
use serde_json::value::RawValue;

/// The longest line that is read. A piece of a file has 64 KiB and the longest text half a MiB; the longest
/// there are name many ids at once, and have some MiB.
const LONGEST: u64 = 64 << 20;

/// How one begins that may be longer: everybody and all their chats stand in it, of two million users
/// a GiB and more.
const WORLD: &[u8] = b"{\"snapshot\":";

/// The longest of these.
const LONGEST_WORLD: u64 = 4 << 30;

/// What stands before a checksum.
const SUM: &str = ",\"crc\":";

/// The checksum of a line behind another's.
fn sum(before: u32, line: &str) -> u32 {
    let mut hasher = Hasher::new_with_initial(before);
    hasher.update(line.as_bytes());
    hasher.finalize()
}

/// Writes lines.
pub(in crate::cli) struct Lines<W> {
    out: W,
    last: u32,
    kinds: BTreeMap<String, u64>,
}

impl<W: Write> Lines<W> {
    pub(in crate::cli) fn new(out: W) -> Self {
        Self {
            out,
            last: 0,
            kinds: BTreeMap::new(),
        }
    }

    /// Writes one. A kind is a word that JSON need not escape.
    pub(in crate::cli) fn put(&mut self, kind: &str, json: &str) -> io::Result<()> {
        let line = format!("{{\"{kind}\":{json}");
        self.last = sum(self.last, &line);
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        writeln!(self.out, "{line}{SUM}{}}}", self.last)
    }

    /// How many of each kind were written.
    pub(in crate::cli) fn kinds(&self) -> &BTreeMap<String, u64> {
        &self.kinds
    }

    pub(in crate::cli) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Faulty {
    /// It can't be read.
    #[error("it can't be read")]
    Unreadable(#[source] io::Error),
    /// It has no end where every line has one.
    #[error("it is longer than a line of an export can be")]
    TooLong,
    /// It is not what was written, or the one before it is missing.
    #[error("it is damaged: its checksum is another's")]
    Damaged,
}

/// A line that is as it was written.
pub(in crate::cli) struct Line {
    pub(in crate::cli) kind: String,
    pub(in crate::cli) json: Box<RawValue>,
}

/// Reads lines.
pub(in crate::cli) struct Reader<R> {
    from: R,
    last: u32,
    count: u64,
}

impl<R: BufRead> Reader<R> {
    pub(in crate::cli) fn new(from: R) -> Self {
        Self {
            from,
            last: 0,
            count: 0,
        }
    }

    /// The number of the line that was read last, from 1 on.
    pub(in crate::cli) fn number(&self) -> u64 {
        self.count
    }

    /// The next one; none at the end.
    pub(in crate::cli) fn next(&mut self) -> Result<Option<Line>, Faulty> {
        let mut bytes = Vec::new();
        self.count += 1;
        let mut is_whole = self.take(LONGEST, &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !is_whole && bytes.starts_with(WORLD) {
            is_whole = self.take(LONGEST_WORLD - LONGEST, &mut bytes)?;
        }
        if !is_whole {
            return Err(Faulty::TooLong);
        }
        let text = String::from_utf8(bytes).map_err(|_| Faulty::Damaged)?;
        let line = self.whole(&text).ok_or(Faulty::Damaged)?;
        Ok(Some(line))
    }

    /// Reads on to the end of a line, or of all; not where that is further than `most`.
    fn take(&mut self, most: u64, bytes: &mut Vec<u8>) -> Result<bool, Faulty> {
        let read = self.from.by_ref().take(most).read_until(b'\n', bytes);
        let read = read.map_err(Faulty::Unreadable)?;
        Ok(bytes.ends_with(b"\n") || (read as u64) < most)
    }

    fn whole(&mut self, text: &str) -> Option<Line> {
        let (line, told) = text.rsplit_once(SUM)?;
        let told: u32 = told.strip_suffix("}\n")?.parse().ok()?;
        let sum = sum(self.last, line);
        if sum != told {
            return None;
        }
        self.last = sum;
        let (kind, json) = line.strip_prefix("{\"")?.split_once("\":")?;
        let json = RawValue::from_string(json.to_owned()).ok()?;
        let kind = kind.to_owned();
        Some(Line { kind, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Option<(String, String)>> {
        let mut reader = Reader::new(text);
        let mut read = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(line)) => read.push(Some((line.kind, line.json.get().to_owned()))),
                Ok(None) => return read,
                Err(_) => {
                    read.push(None);
                    return read;
                }
            }
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_read_for_ever_and_a_snapshot_may_be_long() {
        let mut endless = Reader::new(io::BufReader::new(io::repeat(b'a')));
        assert!(matches!(endless.next(), Err(Faulty::TooLong)));
        let world = format!("\"{}\"", "x".repeat(LONGEST as usize));
        for (kind, is_read) in [("snapshot", true), ("facts", false)] {
            let mut lines = Lines::new(Vec::new());
            lines.put(kind, &world).expect("a line");
            let mut reader = Reader::new(&*lines.out);
            assert_eq!(reader.next().is_ok(), is_read, "{kind}");
        }
    }

    #[test]
    fn lines_are_read_as_they_were_written_and_no_others_are() {
        let mut lines = Lines::new(Vec::new());
        let said = [
            ("a", r#"{"x":",\"crc\":1}"}"#),
            ("b", "[1,2]"),
            ("a", "null"),
        ];
        for (kind, json) in said {
            lines.put(kind, json).expect("a line");
        }
        let whole = lines.out;
        let expected = said.map(|(kind, json)| Some((kind.to_owned(), json.to_owned())));
        assert_eq!(read(&whole), expected);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged).last(), Some(&None), "byte {at}");
        }
        let text = String::from_utf8(whole).expect("UTF-8");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let swapped = [lines[1], lines[0], lines[2]].concat();
        let lost = [lines[0], lines[2]].concat();
        for text in [swapped, lost] {
            assert_eq!(read(text.as_bytes()).last(), Some(&None), "{text}");
        }
    }
}
