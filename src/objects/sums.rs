//! Checksums of objects: behind its bytes each has one for every piece of 64 KiB, so that a part of
//! it can be verified without the rest. They are over the object's name, too: one that lies under
//! another's shows. What was written before there were any has none, and there are those without the
//! name.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use crc32fast::Hasher;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes that share a checksum.
pub(super) const PIECE: u64 = 64 * 1024;

/// Bytes of a checksum.
const SUM: u64 = 4;

/// What an object ends with whose checksums are over its name, too.
const MARK: &[u8; 8] = b"veche-2\n";

/// What one ends with whose are not.
const NAMELESS: &[u8; 8] = b"veche-1\n";

/// What an object's row may say of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Told {
    size: u64,
    sha256: String,
}

/// The checksums of an object that is being written.
pub(super) struct Sums {
    seed: u32,
    done: Vec<u8>,
    piece: Hasher,
    length: u64,
}

/// Where the checksums of an object begin.
fn seed(id: Uuid) -> u32 {
    crc32fast::hash(id.as_bytes())
}

impl Sums {
    pub(super) fn new(id: Uuid) -> Self {
        Self::seeded(seed(id))
    }

    fn seeded(seed: u32) -> Self {
        Self {
            seed,
            done: Vec::new(),
            piece: Hasher::new_with_initial(seed),
            length: 0,
        }
    }

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
        let next = Hasher::new_with_initial(self.seed);
        let sum = std::mem::replace(&mut self.piece, next).finalize();
        self.done.extend(sum.to_le_bytes());
        self.length = 0;
    }

    /// What is written behind the object's bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.finish_with(MARK)
    }

    fn finish_with(mut self, mark: &[u8]) -> Vec<u8> {
        if self.length > 0 {
            self.end_piece();
        }
        self.done.extend(mark);
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

/// Whether a piece of an object is as it was written. Which of the two kinds its checksum is need
/// not be known: one kind is no likelier to be the other by chance than any number.
pub(super) fn is_whole(id: Uuid, piece: &[u8], sum: &[u8]) -> bool {
    let named = || {
        let mut hasher = Hasher::new_with_initial(seed(id));
        hasher.update(piece);
        hasher.finalize()
    };
    named().to_le_bytes() == *sum || crc32fast::hash(piece).to_le_bytes() == *sum
}

/// What is wrong with an object, in words; of one without checksums, of which its row says nothing
/// either, that can't be told.
pub(crate) fn damage(file: &mut File, id: Uuid, told: Option<&Told>) -> io::Result<Option<String>> {
    let length = file.metadata()?.len();
    let size = match told {
        Some(told) => told.size,
        // It follows from the length: each piece but the last is full.
        None => {
            let body = length.saturating_sub(MARK.len() as u64);
            body.saturating_sub(body.div_ceil(PIECE + SUM) * SUM)
        }
    };
    if told.is_some() && length != size && length != with_sums(size) {
        return Ok(Some(format!(
            "it has {length} bytes instead of {}",
            with_sums(size)
        )));
    }
    let (mut named, mut nameless) = (Sums::new(id), Sums::seeded(0));
    let mut digest = Sha256::new();
    let (mut left, mut piece) = (size, Vec::new());
    while left > 0 {
        piece.clear();
        file.by_ref()
            .take(left.min(PIECE))
            .read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(Some("it ends too early".to_owned()));
        }
        left -= piece.len() as u64;
        named.update(&piece);
        nameless.update(&piece);
        digest.update(&piece);
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let has_sums = match told {
        Some(_) => length != size,
        None => rest.ends_with(MARK) || rest.ends_with(NAMELESS),
    };
    let expected = if rest.ends_with(NAMELESS) {
        nameless.finish_with(NAMELESS)
    } else {
        named.finish()
    };
    if has_sums && rest != expected {
        return Ok(Some("a checksum is another's".to_owned()));
    }
    if told.is_some_and(|told| told.sha256 != hex::encode(digest.finalize())) {
        return Ok(Some("its SHA-256 is another's".to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(bytes: &[u8], id: Uuid, told: Option<&Told>) -> Option<String> {
        let path = std::env::temp_dir().join(format!("veche-sums-{}", Uuid::new_v4()));
        std::fs::write(&path, bytes).expect("a file");
        let found = damage(&mut File::open(&path).expect("a file"), id, told);
        let _ = std::fs::remove_file(path);
        found.expect("it is read")
    }

    /// An object, with the checksums of one of the two kinds, and what its row says.
    fn object(id: Uuid, size: u64, mark: &[u8]) -> (Vec<u8>, Told) {
        let mut bytes = vec![7_u8; usize::try_from(size).expect("a size")];
        let told = Told {
            size,
            sha256: hex::encode(Sha256::digest(&bytes)),
        };
        let mut sums = match mark == MARK {
            true => Sums::new(id),
            false => Sums::seeded(0),
        };
        for part in bytes.chunks(10_007) {
            sums.update(part);
        }
        bytes.extend(sums.finish_with(mark));
        assert_eq!(bytes.len() as u64, with_sums(size));
        (bytes, told)
    }

    const SIZES: [u64; 6] = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE];

    #[test]
    fn a_file_of_any_length_is_whole_until_a_bit_of_it_flips() {
        let id = Uuid::new_v4();
        for (size, mark) in SIZES
            .into_iter()
            .flat_map(|size| [(size, MARK), (size, NAMELESS)])
        {
            let (mut bytes, told) = object(id, size, mark);
            for told in [Some(&told), None] {
                assert_eq!(wrong(&bytes, id, told), None, "{size}");
                // All but the mark, without which it is one that has none, where its row says nothing.
                let end = bytes.len() - if told.is_none() { MARK.len() } else { 0 };
                for at in (0..end).step_by(9_091) {
                    bytes[at] ^= 4;
                    assert!(wrong(&bytes, id, told).is_some(), "byte {at} of {size}");
                    bytes[at] ^= 4;
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_length_is_damaged_whatever_its_end_says() {
        let id = Uuid::new_v4();
        let (whole, told) = object(id, 2 * PIECE, MARK);
        let mut longer = whole.clone();
        longer.extend([7; 100]);
        let plain = &whole[..usize::try_from(2 * PIECE).expect("small")];
        // One without any checksums is from before there were any.
        assert_eq!(wrong(plain, id, Some(&told)), None);
        for length in [0, 100, 65_540, 131_080] {
            let cut = wrong(&whole[..length], id, Some(&told));
            assert_eq!(
                cut,
                Some(format!("it has {length} bytes instead of 131088"))
            );
        }
        assert!(wrong(&longer, id, Some(&told)).is_some());
    }

    #[test]
    fn a_piece_under_another_name_is_damaged_unless_it_is_of_before() {
        let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
        for size in SIZES.into_iter().filter(|size| *size > 0) {
            for mark in [MARK, NAMELESS] {
                let (bytes, told) = object(id, size, mark);
                let (range, sum) = piece(size - 1, size);
                let part = |range: Range<u64>| {
                    let at = |at| usize::try_from(at).expect("small");
                    &bytes[at(range.start)..at(range.end)]
                };
                assert!(is_whole(id, part(range.clone()), part(sum.clone())));
                let is_named = mark == MARK;
                assert_eq!(is_whole(other, part(range), part(sum)), !is_named);
                assert_eq!(wrong(&bytes, other, None).is_some(), is_named);
                let others = Told {
                    sha256: "0".repeat(64),
                    ..told
                };
                assert!(wrong(&bytes, id, Some(&others)).is_some());
            }
        }
    }
}
