//! `veche export`: everything as lines of JSON, of one moment.

mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::copy::{self, CopyError, Moment};
use crate::config::S3;
use crate::log::export::{Header, open_copy};
use crate::log::reader::Reading;
use crate::log::{self, Named};
pub(super) use lines::{Faulty, Line, Lines, Reader};

/// The number of this form of lines; a file with a higher one is refused.
pub(super) const EXPORT: u64 = 1;

/// The kinds of lines that are not the log's.
pub(super) const BEGIN: &str = "veche";
pub(super) const FILE: &str = "file";
pub(super) const END: &str = "end";

/// Bytes of a file in one line: base64 without padding, a few of them in memory.
const PIECE: u64 = 48 * 1024;

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
    /// The form of the lines.
    pub(super) export: u64,
    /// What they are of.
    #[serde(flatten)]
    pub(super) of: Header,
}

/// A piece of a file, in order from its first byte on.
#[derive(Serialize, Deserialize)]
pub(super) struct Piece {
    /// Where the files of its feature lie.
    pub(super) place: String,
    /// The file's name.
    pub(super) object: String,
    /// Its bytes, and its checksums behind them, in base64.
    pub(super) bytes: String,
}

/// The last line, by which one sees that nothing is cut off.
#[derive(Serialize, Deserialize)]
pub(super) struct End {
    /// How many lines stand before it.
    pub(super) lines: u64,
    /// How many of each kind.
    #[serde(default)]
    pub(super) kinds: BTreeMap<String, u64>,
}

/// Writes the data of a folder, in use or not, to `file`.
pub(super) fn write(data: &Path, s3: &S3, file: &Path) -> Result<(), CopyError> {
    copy::write(data, s3, file, |moment, out| {
        let mut lines = Lines::new(BufWriter::new(out));
        put(moment, &mut lines)?;
        // What is damaged is not exported.
        Ok(Vec::new())
    })
}

/// Writes the files, then the rows of the database's copy that names them: one whose message was
/// removed meanwhile is one too many, and never one too few.
fn put(moment: &Moment<'_>, lines: &mut Lines<impl Write>) -> Result<(), CopyError> {
    let failed = |source: io::Error| moment.failed(source);
    let of = log::reader::Reader::new(moment.data).read_here(Reading::header)?;
    let begin = Begin { export: EXPORT, of };
    lines.put(BEGIN, &text(&begin)?).map_err(failed)?;
    let damage =
        moment.objects(|named, mut found| put_file(lines, named, &mut found).map_err(failed))?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(CopyError::Damaged(damage));
    }
    let reading = open_copy(moment.copy)?;
    let mut damage = None;
    reading.verify(&mut |line| {
        damage.get_or_insert(line);
    });
    if let Some(damage) = damage {
        return Err(CopyError::Damaged(damage));
    }
    reading.export(&mut |kind, json| lines.put(kind, &json).map_err(failed))?;
    let end = End {
        lines: lines.kinds().values().sum(),
        kinds: lines.kinds().clone(),
    };
    lines.put(END, &text(&end)?).map_err(failed)?;
    lines.flush().map_err(failed)
}

fn put_file(lines: &mut Lines<impl Write>, named: &Named, found: &mut File) -> io::Result<()> {
    // One that is empty has a line, too.
    for number in 0_u64.. {
        let mut bytes = Vec::new();
        Read::take(&mut *found, PIECE).read_to_end(&mut bytes)?;
        if bytes.is_empty() && number > 0 {
            break;
        }
        let piece = Piece {
            place: named.place.clone(),
            object: named.object.clone(),
            bytes: STANDARD.encode(&bytes),
        };
        lines.put(FILE, &serde_json::to_string(&piece)?)?;
    }
    Ok(())
}

fn text(value: &impl Serialize) -> Result<String, CopyError> {
    serde_json::to_string(value).map_err(|source| CopyError::File {
        what: "a line".to_owned(),
        source: source.into(),
    })
}
