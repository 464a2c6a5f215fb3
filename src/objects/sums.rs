//! Checksums of objects: behind its bytes each has one for every piece of 64 KiB, so that a part of
//! it can be verified without the rest. What was written before there were any has none.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crc32fast::Hasher;

/// Bytes that share a checksum.
pub(super) const PIECE: u64 = 64 * 1024;

/// Bytes of a checksum.
const SUM: u64 = 4;

/// What an object with checksums ends with.
const MARK: &[u8] = b"veche-1\n";

/// The checksums of an object that is being written.
#[derive(Default)]
pub(super) struct Sums {
    done: Vec<u8>,
    piece: Hasher,
    length: u64,
}

impl Sums {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(PIECE - self.length).unwrap_or(usize::MAX);
            let (here, rest) = bytes.split_at(bytes.len().min(room));
            self.piece.update(here);
            self.length += here.len() as u64;
            if self.length == PIECE {
                self.end_piece();
            }
            bytes = rest;
        }
    }

    fn end_piece(&mut self) {
        let sum = std::mem::take(&mut self.piece).finalize();
        self.done.extend(sum.to_le_bytes());
        self.length = 0;
    }

    /// What is written behind the object's bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.length > 0 {
            self.end_piece();
        }
        self.done.extend(MARK);
        self.done
    }
}

/// How long an object of `size` bytes is with its checksums.
pub(super) fn with_sums(size: u64) -> u64 {
    size + size.div_ceil(PIECE) * SUM + MARK.len() as u64
}

/// The piece that has a byte of an object of `size` bytes, and where its checksum lies.
pub(super) fn piece(at: u64, size: u64) -> (Range<u64>, Range<u64>) {
    let number = at / PIECE;
    let from = number * PIECE;
    let sum = size + number * SUM;
    (from..size.min(from + PIECE), sum..sum + SUM)
}

/// Whether a piece is as it was written.
pub(super) fn is_whole(piece: &[u8], sum: &[u8]) -> bool {
    crc32fast::hash(piece).to_le_bytes() == *sum
}

/// Whether a file has its checksums, and all are right; one without any can't be told.
pub(crate) fn verify(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // The size follows from the length: each piece but the last is full.
    let body = length.saturating_sub(MARK.len() as u64);
    let size = body.saturating_sub(body.div_ceil(PIECE + SUM) * SUM);
    let mut left = size;
    let mut sums = Sums::default();
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        file.by_ref()
            .take(left.min(PIECE))
            .read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(false);
        }
        left -= piece.len() as u64;
        sums.update(&piece);
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    Ok(!rest.ends_with(MARK) || rest == sums.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_length_is_whole_until_a_bit_of_it_flips() {
        let path = std::env::temp_dir().join(format!("veche-sums-{}", uuid::Uuid::new_v4()));
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let size = usize::try_from(size).expect("a size");
            let mut bytes = vec![7_u8; size];
            let mut sums = Sums::default();
            for part in bytes.chunks(10_007) {
                sums.update(part);
            }
            bytes.extend(sums.finish());
            assert_eq!(bytes.len() as u64, with_sums(size as u64));
            std::fs::write(&path, &bytes).expect("a file");
            assert!(verify(&path).expect("it is read"), "{size}");
            // All but the mark, without which it is one that has none.
            for at in (0..bytes.len() - MARK.len()).step_by(4_099) {
                bytes[at] ^= 4;
                std::fs::write(&path, &bytes).expect("a file");
                assert!(!verify(&path).expect("it is read"), "byte {at} of {size}");
                bytes[at] ^= 4;
            }
        }
        let _ = std::fs::remove_file(path);
    }
}
