//! What a hostile server sends to `veche chat`. `crate::fuzz` makes the input.

use jiff::Timestamp;

use super::render::{Event, Style};
use super::sse::{Frame, MAX_EVENT, Parser};
use super::text::{Zone, steers};
use crate::fuzz::pieces;

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<String>) {
    let mut parser = Parser::new();
    let mut frames = Vec::new();
    for piece in pieces {
        parser.feed(piece, &mut frames);
    }
    (frames, parser.last_id().map(str::to_owned))
}

/// Events are the same however they were split, none is larger than it may be, and what is shown of them
/// is one line that steers no terminal.
pub(crate) fn events(input: &[u8]) {
    let (whole, last) = frames(std::iter::once(input));
    assert_eq!((&whole, &last), (&frames(pieces(input)).0, &last));
    let style = Style {
        colour: false,
        single_line: true,
        zone: Zone::utc(),
        me: "ann".to_owned(),
    };
    for frame in whole {
        let Frame::Event { kind, data, id } = frame else {
            continue;
        };
        assert!(data.len() <= MAX_EVENT);
        let Ok(data) = serde_json::from_str(&data) else {
            continue;
        };
        let event = Event { kind, data, id };
        let title = |_: &str| Some("a \u{1b}[31mroom\u{202e}".to_owned());
        let line = style.event(&event, title, Timestamp::UNIX_EPOCH);
        assert!(!line.unwrap_or_default().contains(steers), "{event:?}");
    }
}
