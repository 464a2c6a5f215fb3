//! The mark that each text carries: which text it is, and when it was due to be sent. Streams are
//! scanned for it as bytes, whatever protocol they speak.

use memchr::memmem;

/// How a mark begins. No protocol here writes or escapes these bytes otherwise.
const PREFIX: &[u8] = b"mark:";
/// The digits of the number and of the time, in hexadecimal.
const NUMBER: usize = 8;
const DUE: usize = 14;
/// How long a mark is.
pub const LENGTH: usize = PREFIX.len() + NUMBER + DUE;

/// What a text's mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of the text, counted from 0 in each run.
    pub number: u32,
    /// When the text was due, in nanoseconds since the program started.
    pub due: u64,
}

impl Mark {
    /// A text of so many bytes that begins with the mark; as long as the mark at least.
    pub fn text(self, length: usize) -> String {
        let mut text = format!("mark:{:08x}{:014x}", self.number, self.due);
        let filler = " so that it is as long as what people write to each other all day long";
        text.extend(filler.chars().cycle().take(length.saturating_sub(LENGTH)));
        text
    }

    /// Reads what follows the prefix.
    fn parse(digits: &[u8]) -> Option<Self> {
        let digits = std::str::from_utf8(digits).ok()?;
        let number = u32::from_str_radix(digits.get(..NUMBER)?, 16).ok()?;
        let due = u64::from_str_radix(digits.get(NUMBER..)?, 16).ok()?;
        Some(Self { number, due })
    }
}

/// Finds the marks in one stream's bytes, however they are cut into reads.
#[derive(Default)]
pub struct Scanner {
    /// The end of the last read, in which a mark may have begun.
    tail: [u8; LENGTH - 1],
    kept: usize,
}

impl Scanner {
    /// Puts what is left of the last read at the buffer's front, and gives the room behind it.
    pub fn room<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let (front, room) = buffer.split_at_mut(self.kept);
        front.copy_from_slice(&self.tail[..self.kept]);
        room
    }

    /// Tells the marks that are whole, now that `read` bytes were read into [`Scanner::room`].
    pub fn scan(
        &mut self,
        finder: &memmem::Finder<'_>,
        buffer: &[u8],
        read: usize,
        mut found: impl FnMut(Mark),
    ) {
        let filled = &buffer[..self.kept + read];
        let mut place = 0;
        while let Some(next) = finder.find(&filled[place..]) {
            let begin = place + next;
            let Some(digits) = filled.get(begin + PREFIX.len()..begin + LENGTH) else {
                place = begin;
                break;
            };
            place = match Mark::parse(digits) {
                Some(mark) => {
                    found(mark);
                    begin + LENGTH
                }
                None => begin + PREFIX.len(),
            };
        }
        let rest = &filled[place..];
        let rest = &rest[rest.len() - rest.len().min(LENGTH - 1)..];
        self.tail[..rest.len()].copy_from_slice(rest);
        self.kept = rest.len();
    }
}

/// What [`Scanner::scan`] searches with; one does for all streams.
pub fn finder() -> memmem::Finder<'static> {
    memmem::Finder::new(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The marks of a text that arrives in these pieces.
    fn marks(pieces: &[&[u8]]) -> Vec<Mark> {
        let (finder, mut scanner) = (finder(), Scanner::default());
        let mut buffer = [0; 512];
        let mut marks = Vec::new();
        for piece in pieces {
            scanner.room(&mut buffer)[..piece.len()].copy_from_slice(piece);
            scanner.scan(&finder, &buffer, piece.len(), |mark| marks.push(mark));
        }
        marks
    }

    fn mark(number: u32, due: u64) -> Mark {
        Mark { number, due }
    }

    #[test]
    fn a_text_is_as_long_as_asked_and_its_mark_is_found() {
        let text = mark(7, 1_234_567_890_123).text(100);
        assert_eq!(text.len(), 100);
        assert_eq!(marks(&[text.as_bytes()]), [mark(7, 1_234_567_890_123)]);
        assert_eq!(mark(7, 1).text(1).len(), LENGTH);
    }

    #[test]
    fn marks_are_found_once_wherever_the_stream_is_cut() {
        let sent = [mark(1, 10), mark(2, 20), mark(u32::MAX, (1 << 56) - 1)];
        let mut stream = b"data: ".to_vec();
        for mark in sent {
            stream.extend(mark.text(LENGTH).as_bytes());
            stream.extend(b"\r\nmark mark:not one\n");
        }
        stream.extend(sent[0].text(100).as_bytes());
        let all = [&sent[..], &sent[..1]].concat();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(marks(&pieces), all, "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(marks(&bytes), all);
    }
}
