//! `veche verify`: all the data read through.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use crate::bus::{causes, fold};
use crate::config::S3;
use crate::log::LogError;
use crate::log::reader::{Reader, Reading};
use crate::log::sqlite;
use crate::objects::Shelves;

/// Why the data is not all right.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifyError {
    /// There is nothing to read.
    #[error("there is no data in {0}")]
    NoData(String),
    /// The database can't be opened.
    #[error("the database can't be read")]
    Log(#[from] LogError),
    /// Whoever asks may not read all of it.
    #[error("not all can be read: {0}")]
    Denied(String),
    /// Some of it is not as it was written.
    #[error("{0} damaged places")]
    Damaged(u64),
    /// Nobody hears what is found.
    #[error("what was found can't be written")]
    Output(#[from] io::Error),
}

/// Prints what is damaged in a data folder, in use or not, a line each.
pub(super) fn run(data: &Path, s3: &S3) -> Result<(), VerifyError> {
    sqlite::inspect(data)?;
    if !sqlite::file(data).is_file() {
        return Err(VerifyError::NoData(data.display().to_string()));
    }
    let mut out = io::stdout().lock();
    let (mut damaged, mut written) = (0, Ok(()));
    let mut tell = |line: String| {
        damaged += 1;
        if written.is_ok() {
            written = writeln!(out, "{line}");
        }
    };
    let reader = Reader::new(data);
    let (shelves, mut closed) = (Shelves::new(data, s3), BTreeSet::new());
    let mut denied = None;
    let rows = reader.read_here(|reading| {
        let mut is_whole = true;
        let rows = reading.verify(&mut |line| {
            is_whole = false;
            tell(line);
        });
        // Else it would say the same again.
        if is_whole && let Err(error) = fold(reading) {
            tell(causes(&error));
        }
        match stores(reading, &shelves, &mut tell) {
            Ok(found) => closed = found,
            Err(VerifyError::Denied(place)) => denied = Some(place),
            Err(error) => tell(causes(&error)),
        }
        Ok(rows)
    })?;
    if let Some(place) = denied {
        return Err(VerifyError::Denied(place));
    }
    objects(&reader, &shelves, &closed, &mut tell)?;
    written?;
    if damaged > 0 {
        return Err(VerifyError::Damaged(damaged));
    }
    writeln!(out, "{rows} checksums are right")?;
    Ok(())
}

/// Tells of stores of objects that the server would not open; gives those.
fn stores(
    reading: &Reading,
    shelves: &Shelves<'_>,
    tell: &mut dyn FnMut(String),
) -> Result<BTreeSet<String>, VerifyError> {
    let epoch = reading.header()?.epoch;
    let mut closed = BTreeSet::new();
    for (_, place) in reading.stores()? {
        // A copy that was not started yet has no name: it takes what is there.
        if !epoch.is_empty()
            && let Err(error) = shelves.owner(&place, &epoch)
        {
            if is_denied(&error) {
                return Err(VerifyError::Denied(causes(&error)));
            }
            tell(causes(&error));
            closed.insert(place);
        }
    }
    Ok(closed)
}

/// Tells of the objects that are not as they were written, in the stores that are not `closed`.
fn objects(
    reader: &Reader,
    shelves: &Shelves<'_>,
    closed: &BTreeSet<String>,
    tell: &mut dyn FnMut(String),
) -> Result<(), VerifyError> {
    let all = reader.read_here(Reading::objects)?;
    for named in all.iter().filter(|named| !closed.contains(&named.place)) {
        let place = shelves.tell(named);
        let found = shelves
            .open(named)
            .and_then(|mut file| named.damage(&mut file));
        match found {
            Ok(None) => {}
            Ok(Some(what)) => tell(format!("{place} is damaged: {what}")),
            // A server that runs may have removed it since.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && !reader.read_here(Reading::objects)?.contains(named) => {}
            Err(error) if is_denied(&error) => {
                return Err(VerifyError::Denied(format!("{place}: {error}")));
            }
            Err(error) => tell(format!("{place} can't be read: {error}")),
        }
    }
    Ok(())
}

/// Whether something is not damaged, but not to be read by whoever asks.
fn is_denied(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}
