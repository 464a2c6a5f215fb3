//! Reads a stream of Server-Sent Events, as the WHATWG HTML standard, section 9.2.6, defines it.
//!
//! The parser does no input or output of its own: it is fed bytes in pieces of any size and hands
//! out the frames that they complete.

/// The most bytes that one line, and the data of one event, may have. A message of the server's
/// largest body fits several times; an event that is larger is skipped as a whole.
pub const MAX_EVENT: usize = 1 << 20;

/// What a completed block of lines meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// An event to act on.
    Event {
        /// Its kind: `message` where the stream names none.
        kind: String,
        /// Its data, the lines joined by line feeds.
        data: String,
        /// The id given with this very event, if one was.
        id: Option<String>,
    },
    /// The pause in milliseconds that the server asks for before a new connection.
    Retry(u64),
    /// An event larger than [`MAX_EVENT`] was left out.
    Oversized,
}

/// The state of one stream between two pieces of it.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    started: bool,
    after_cr: bool,
    oversized: bool,
    kind: String,
    data: String,
    has_data: bool,
    id: Option<String>,
    last_id: Option<String>,
}

impl Parser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// The id that a new connection resumes after: the last one of the blocks completed so far.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Takes the next bytes and appends the frames that they complete to `frames`.
    pub fn feed(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) {
        for &byte in bytes {
            let follows_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if follows_cr => {}
                b'\n' | b'\r' => self.end_line(frames),
                _ if self.line.len() < MAX_EVENT => self.line.push(byte),
                _ => self.oversized = true,
            }
        }
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let mut text: &str = &text;
        if !std::mem::replace(&mut self.started, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            self.end_block(frames);
        } else {
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            self.field(field, value.strip_prefix(' ').unwrap_or(value), frames);
        }
        // The allocation is kept for the next line, unless it has grown beyond the usual.
        if line.capacity() <= 64 * 1024 {
            self.line = line;
            self.line.clear();
        }
    }

    fn field(&mut self, field: &str, value: &str, frames: &mut Vec<Frame>) {
        match field {
            "event" => self.kind = value.to_owned(),
            "data" => {
                if self.data.len() + value.len() >= MAX_EVENT {
                    self.oversized = true;
                    return;
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                if let Ok(millis) = value.parse() {
                    frames.push(Frame::Retry(millis));
                }
            }
            _ => {}
        }
    }

    fn end_block(&mut self, frames: &mut Vec<Frame>) {
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data);
        let id = self.id.take();
        if id.is_some() {
            self.last_id.clone_from(&id);
        }
        let has_data = std::mem::take(&mut self.has_data);
        if std::mem::take(&mut self.oversized) {
            frames.push(Frame::Oversized);
        } else if has_data {
            let kind = if kind.is_empty() {
                "message".to_owned()
            } else {
                kind
            };
            frames.push(Frame::Event { kind, data, id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> (Vec<Frame>, Option<String>) {
        let mut parser = Parser::new();
        let mut frames = Vec::new();
        for piece in pieces {
            parser.feed(piece, &mut frames);
        }
        (frames, parser.last_id().map(str::to_owned))
    }

    fn event(kind: &str, data: &str, id: Option<&str>) -> Frame {
        Frame::Event {
            kind: kind.to_owned(),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        }
    }

    const STREAM: &str = "\u{feff}retry: 2000\n\n: a comment\n\nid: e1.7\r\nevent: hello\r\n\
        data: {\"cursor\":\"e1.7\"}\r\n\r\ndata: first\rdata:\rdata:  third é\r\rid\ndata: x\n\n\
        event: user\ndata:{}\n\nnonsense: y\ndata\n\ndata: never ended";

    fn expected() -> Vec<Frame> {
        vec![
            Frame::Retry(2000),
            event("hello", "{\"cursor\":\"e1.7\"}", Some("e1.7")),
            event("message", "first\n\n third é", None),
            event("message", "x", Some("")),
            event("user", "{}", None),
            event("message", "", None),
        ]
    }

    #[test]
    fn a_stream_split_at_each_byte_gives_the_same_frames() {
        let bytes = STREAM.as_bytes();
        for at in 0..=bytes.len() {
            let (frames, last) = parse(&[&bytes[..at], &bytes[at..]]);
            assert_eq!(frames, expected(), "split at {at}");
            assert_eq!(last.as_deref(), Some(""), "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parse(&single).0, expected());
    }

    #[test]
    fn a_carriage_return_and_line_feed_in_two_pieces_end_one_line() {
        let (frames, _) = parse(&[b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"]);
        assert_eq!(frames, [event("message", "a\nb", None)]);
    }

    #[test]
    fn the_mark_at_the_beginning_is_only_dropped_there() {
        let (frames, _) = parse(&["data: a\n\n\u{feff}data: b\n\n".as_bytes()]);
        assert_eq!(frames, [event("message", "a", None)]);
    }

    #[test]
    fn an_id_without_data_moves_the_cursor_and_is_no_event() {
        let (frames, last) = parse(&[b"id: 9\n\n"]);
        assert!(frames.is_empty());
        assert_eq!(last.as_deref(), Some("9"));
    }

    #[test]
    fn an_id_of_a_block_that_never_ended_does_not_move_the_cursor() {
        assert_eq!(
            parse(&[b"id: 1\ndata: a\n\nid: 2\ndata: b\n"]).1.as_deref(),
            Some("1")
        );
    }

    #[test]
    fn an_id_with_a_nul_and_a_retry_that_is_no_number_are_ignored() {
        let (frames, last) = parse(&[b"id: a\0b\nretry: 1s\nretry: \ndata: a\n\n"]);
        assert_eq!(frames, [event("message", "a", None)]);
        assert_eq!(last, None);
    }

    #[test]
    fn an_event_with_a_line_too_long_is_skipped_and_the_next_one_read() {
        let long = vec![b'x'; MAX_EVENT + 10];
        let (frames, last) = parse(&[b"id: 1\ndata: ", &long, b"\n\nid: 2\ndata: next\n\n"]);
        assert_eq!(
            frames,
            [Frame::Oversized, event("message", "next", Some("2"))]
        );
        assert_eq!(last.as_deref(), Some("2"));
    }

    #[test]
    fn an_event_of_too_many_lines_is_skipped() {
        let line = [b"data: ".as_slice(), &vec![b'x'; MAX_EVENT / 2], b"\n"].concat();
        let (frames, _) = parse(&[&line, &line, &line, b"\ndata: next\n\n"]);
        assert_eq!(frames, [Frame::Oversized, event("message", "next", None)]);
    }
}
