//! What is for every stream, once, as one run of bytes. A stream's place on it is an offset, so
//! that one frame or a thousand are one write, and a frame costs nothing a stream.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::log::Pos;

/// Room that is kept when nothing waits.
const KEEP: usize = 64 * 1024;

/// The end of frames that some stream has not had yet.
#[derive(Default)]
pub(super) struct Tape {
    bytes: VecDeque<u8>,
    /// Where `bytes` begins: always the begin of a frame.
    start: u64,
    /// Where each frame ends, and the last position up to there.
    ends: VecDeque<(u64, Pos)>,
    /// The last position before `start`.
    before: Pos,
}

impl Tape {
    /// Where the next frame begins.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// How many bytes are held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a frame; `pos` is 0 where the log does not know it.
    pub(super) fn push(&mut self, frame: &[u8], pos: Pos) {
        self.bytes.extend(frame);
        let last = self.ends.back().map_or(self.before, |(_, pos)| *pos);
        self.ends.push_back((self.end(), last.max(pos)));
    }

    /// The bytes between two offsets, in at most two pieces.
    pub(super) fn pieces(&self, from: u64, to: u64) -> [IoSlice<'_>; 2] {
        let index = |offset: u64| {
            let offset = offset.saturating_sub(self.start);
            usize::try_from(offset).map_or(self.bytes.len(), |at| at.min(self.bytes.len()))
        };
        let (from, to) = (index(from), index(to));
        let (front, back) = self.bytes.as_slices();
        let part = |piece: &[u8], begin: usize| {
            let clamp = |at: usize| at.saturating_sub(begin).min(piece.len());
            clamp(from)..clamp(to)
        };
        [
            IoSlice::new(&front[part(front, 0)]),
            IoSlice::new(&back[part(back, front.len())]),
        ]
    }

    /// For a stream that leaves the tape at an offset: the last position of which it has had
    /// anything, and the rest of the frame that it has had in part.
    pub(super) fn leave(&self, at: u64) -> (Pos, Bytes) {
        let index = self.ends.partition_point(|(end, _)| *end <= at);
        let (begin, had) = match index.checked_sub(1) {
            Some(index) => self.ends[index],
            None => (self.start, self.before),
        };
        match self.ends.get(index) {
            Some((end, pos)) if at > begin => {
                let rest = self.pieces(at, *end);
                (*pos, [&*rest[0], &*rest[1]].concat().into())
            }
            _ => (had, Bytes::new()),
        }
    }

    /// Drops the frames that end by this offset.
    pub(super) fn trim(&mut self, upto: u64) {
        let gone = self.ends.partition_point(|(end, _)| *end <= upto);
        if let Some((end, pos)) = self.ends.drain(..gone).next_back() {
            let gone = usize::try_from(end - self.start).unwrap_or(usize::MAX);
            self.bytes.drain(..gone.min(self.bytes.len()));
            self.start = end;
            self.before = pos;
        }
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEEP);
            self.ends.shrink_to(KEEP / 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let mut tape = Tape::default();
        for (frame, pos) in [("one", 1), ("live", 0), ("three", 3)] {
            tape.push(frame.as_bytes(), pos);
        }
        tape
    }

    fn text(tape: &Tape, from: u64, to: u64) -> String {
        let pieces = tape.pieces(from, to);
        let bytes = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn frames_are_read_between_any_two_offsets() {
        let mut tape = tape();
        assert_eq!(text(&tape, 0, tape.end()), "onelivethree");
        assert_eq!(text(&tape, 1, 5), "neli");
        assert_eq!(text(&tape, 12, 12), "");
        // Round the ring's seam, too.
        for pos in 4..200 {
            tape.push(b"0123456789", pos);
            tape.trim(tape.end() - 15);
            assert_eq!(text(&tape, tape.end() - 10, tape.end()), "0123456789");
        }
    }

    #[test]
    fn a_stream_leaves_with_the_rest_of_what_it_had_in_part() {
        let mut tape = tape();
        assert_eq!(tape.leave(0), (0, Bytes::new()));
        assert_eq!(tape.leave(1), (1, Bytes::from("ne")));
        assert_eq!(tape.leave(3), (1, Bytes::new()));
        // What only those see who are there has no position of its own.
        assert_eq!(tape.leave(5), (1, Bytes::from("ve")));
        assert_eq!(tape.leave(8), (3, Bytes::from("hree")));
        assert_eq!(tape.leave(12), (3, Bytes::new()));
        tape.trim(12);
        assert_eq!(tape.leave(12), (3, Bytes::new()));
    }

    #[test]
    fn only_whole_frames_are_trimmed() {
        let mut tape = tape();
        tape.trim(5);
        assert_eq!((tape.len(), tape.end()), (9, 12));
        assert_eq!(text(&tape, 3, 12), "livethree");
        tape.trim(12);
        assert_eq!((tape.len(), tape.end()), (0, 12));
    }
}
