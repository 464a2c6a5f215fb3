//! Looks through the write-ahead log before SQLite does.
//!
//! SQLite takes the log up to its first frame whose checksum is wrong, and drops the rest without a
//! word. That is right for a last batch that a crash tore: it was never answered. It is wrong where
//! a bit flipped in the middle: the batches after it were answered, and would be lost. A batch is
//! begun only when the one before it is durable, so a whole frame behind a batch's end tells the one
//! from the other. <https://sqlite.org/fileformat2.html#walformat>

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::log::LogError;

const HEADER: usize = 32;
const FRAME: usize = 24;

/// SQLite's page size where the header does not say it; ours.
const PAGE: usize = 4096;

/// How long one is that has anything in it.
pub(super) const LEAST: u64 = (HEADER + FRAME + PAGE) as u64;

/// The header's first word, but for its last bit, which says in which order of bytes checksums
/// are computed.
const MAGIC: u32 = 0x377f_0682;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// How a write-ahead log was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Whole, or empty.
    Whole,
    /// With so many frames at its end that belong to no whole batch.
    Torn(u64),
    /// Damaged before batches that were durable: in the frame counted from 1, or in the header.
    Damaged(u64),
}

/// The write-ahead log of a database.
pub(super) fn file(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-wal");
    name.into()
}

/// Refuses a damaged one, and tells of a torn one, which SQLite cuts.
pub(super) fn inspect(database: &Path) -> Result<(), LogError> {
    let file = file(database);
    let name = || file.display().to_string();
    let found = match File::open(&file) {
        Ok(opened) => look(BufReader::with_capacity(1 << 16, opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    match found {
        Ok(Found::Whole) => Ok(()),
        Ok(Found::Torn(frames)) => {
            let file = name();
            tracing::warn!(
                file,
                frames,
                "the last batch was never finished: it is cut off"
            );
            Ok(())
        }
        Ok(Found::Damaged(frame)) => Err(LogError::DamagedWal {
            file: name(),
            frame,
        }),
        Err(source) => Err(LogError::File {
            file: name(),
            source,
        }),
    }
}

/// The running checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn over(mut self, bytes: &[u8], big_endian: bool) -> Self {
        let word = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
            if big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        for pair in bytes.chunks_exact(8) {
            self.0 = self.0.wrapping_add(word(pair)).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(&pair[4..])).wrapping_add(self.0);
        }
        self
    }

    fn stored(bytes: &[u8]) -> Self {
        Self(number(bytes), number(&bytes[4..]))
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn look(mut from: impl Read) -> io::Result<Found> {
    let mut header = [0; HEADER];
    match fill(&mut from, &mut header)? {
        0 => return Ok(Found::Whole),
        HEADER => {}
        _ => return Ok(Found::Torn(0)),
    }
    let big_endian = header[3] & 1 == 1;
    let mut before = Sum::stored(&header[24..]);
    let is_whole =
        number(&header) & !1 == MAGIC && Sum(0, 0).over(&header[..24], big_endian) == before;
    let salts = &header[16..24];
    let page = usize::try_from(number(&header[8..])).unwrap_or(0);
    let (page, big_endian) = if is_whole {
        (page, big_endian)
    } else {
        (PAGE, cfg!(target_endian = "big"))
    };

    let mut frame = vec![0; FRAME + page];
    // Frames of this log, by their salts, since its last batch that is whole; the first that is not
    // as it was written; whether a batch ended since.
    let (mut open, mut broken, mut ended) = (0, None, false);
    for count in 1.. {
        let read = fill(&mut from, &mut frame)?;
        if read < frame.len() {
            open += u64::from(read > 0);
            break;
        }
        let sum = before
            .over(&frame[..8], big_endian)
            .over(&frame[FRAME..], big_endian);
        before = Sum::stored(&frame[16..]);
        // An older log's salts are others altogether; a flipped bit leaves them much the same.
        let strange = salts
            .iter()
            .zip(&frame[8..16])
            .map(|(a, b)| (a ^ b).count_ones());
        let strange: u32 = strange.sum();
        let is_ours = is_whole && strange <= 1;
        let is_right = sum == before && number(&frame) != 0 && (strange == 0 || !is_whole);
        if is_right && !is_whole {
            return Ok(Found::Damaged(0));
        }
        if !is_right {
            broken = broken.or(Some(count));
        } else if ended && let Some(broken) = broken {
            return Ok(Found::Damaged(broken));
        }
        // Of one that is not right the end is believed if it came with the salts, in one sector.
        let at = HEADER as u64 + (count - 1) * frame.len() as u64;
        let is_told = is_right || (is_ours && at % SECTOR != SECTOR - 8);
        let is_end = is_told && number(&frame[4..]) != 0;
        ended |= is_end && broken.is_some();
        if broken.is_none() && is_end {
            open = 0;
        } else {
            open += u64::from(is_ours);
        }
    }
    Ok(if open > 0 {
        Found::Torn(open)
    } else {
        Found::Whole
    })
}

/// Reads as much as there is, at most the buffer.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log of three batches, as SQLite writes it: its bytes, and where the frames of each end.
    fn written() -> (Vec<u8>, Vec<usize>) {
        let folder = std::env::temp_dir().join(format!("veche-wal-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder");
        let database = folder.join("x.db");
        let connection = Connection::open(&database).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (a); PRAGMA wal_checkpoint(RESTART);",
            )
            .expect("a table");
        let mut ends = Vec::new();
        for _ in 0..3 {
            let sql = "INSERT INTO t VALUES (randomblob(9000))";
            connection.execute_batch(sql).expect("a row");
            ends.push(std::fs::read(file(&database)).expect("a log").len());
        }
        let bytes = std::fs::read(file(&database)).expect("a log");
        drop(connection);
        let _ = std::fs::remove_dir_all(folder);
        (bytes, ends)
    }

    fn found(bytes: &[u8]) -> Found {
        look(bytes).expect("bytes can be read")
    }

    #[test]
    fn a_log_as_it_was_written_is_whole() {
        let (bytes, ends) = written();
        assert_eq!(found(&bytes), Found::Whole);
        assert_eq!(found(&[]), Found::Whole);
        for end in ends {
            assert_eq!(found(&bytes[..end]), Found::Whole);
        }
    }

    #[test]
    fn a_log_that_is_cut_anywhere_is_torn_or_whole_and_never_damaged() {
        let (bytes, ends) = written();
        for end in (1..bytes.len()).step_by(37) {
            let cut = found(&bytes[..end]);
            let is_whole = ends.contains(&end) || end == HEADER;
            assert_eq!(matches!(cut, Found::Torn(_)), !is_whole, "{end}: {cut:?}");
        }
    }

    #[test]
    fn a_bit_that_flipped_before_the_last_batch_is_damage_and_in_it_a_tear() {
        let (bytes, ends) = written();
        // All of the first heads, and of the rest what a debug build has the time for.
        for at in (0..HEADER + FRAME).chain((HEADER..bytes.len()).step_by(37)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let is_damage = matches!(found(&flipped), Found::Damaged(_));
            // One that makes a frame look like a batch's end is damage, too.
            let of_end = (4..8).contains(&((at.max(HEADER) - HEADER) % (FRAME + PAGE)));
            if at < ends[1] {
                assert!(is_damage, "byte {at} of {ends:?}: {:?}", found(&flipped));
            } else if !of_end {
                assert!(!is_damage, "byte {at} of {ends:?}");
            }
        }
    }

    #[test]
    fn sectors_of_the_last_batch_that_are_missing_are_a_tear() {
        let (bytes, ends) = written();
        for from in (ends[1]..bytes.len()).step_by(72) {
            let mut torn = bytes.clone();
            let end = bytes.len().min(from + 512);
            torn[from..end].fill(0);
            let is_same = torn == bytes;
            let expected = !is_same && matches!(found(&torn), Found::Torn(_));
            assert!(is_same || expected, "{from}: {:?}", found(&torn));
        }
    }
}
