//! `veche verify`: all the data read through.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::bus::{causes, fold};
use crate::log::LogError;
use crate::log::reader::{Reader, Reading};
use crate::log::sqlite;
use crate::objects;

/// Why the data is not all right.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifyError {
    /// There is nothing to read.
    #[error("there is no data in {0}")]
    NoData(String),
    /// The database can't be opened.
    #[error("the database can't be read")]
    Log(#[from] LogError),
    /// Some of it is not as it was written.
    #[error("{0} damaged places")]
    Damaged(u64),
    /// Nobody hears what is found.
    #[error("what was found can't be written")]
    Output(#[from] io::Error),
}

/// Prints what is damaged in a data folder, in use or not, a line each.
pub(super) fn run(data: &Path) -> Result<(), VerifyError> {
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
        if let Err(error) = stores(reading, data, &mut tell) {
            tell(causes(&error));
        }
        Ok(rows)
    })?;
    objects(&reader, data, &mut tell)?;
    written?;
    if damaged > 0 {
        return Err(VerifyError::Damaged(damaged));
    }
    writeln!(out, "{rows} checksums are right")?;
    Ok(())
}

/// Tells of folders of objects that the server would not open.
fn stores(reading: &Reading, data: &Path, tell: &mut dyn FnMut(String)) -> Result<(), LogError> {
    let epoch = reading.header()?.epoch;
    for (_, place) in reading.stores()? {
        // A copy that was not started yet has no name: it takes what is there.
        if !epoch.is_empty()
            && let Err(error) = objects::owner(&data.join(place), &epoch)
        {
            tell(causes(&error));
        }
    }
    Ok(())
}

/// Tells of the objects that are not as they were written.
fn objects(reader: &Reader, data: &Path, tell: &mut dyn FnMut(String)) -> Result<(), LogError> {
    for named in reader.read_here(Reading::objects)? {
        let path = data.join(&named.place).join(&named.object);
        let found = File::open(&path).and_then(|mut file| named.damage(&mut file));
        match found {
            Ok(None) => {}
            Ok(Some(what)) => tell(format!("{} is damaged: {what}", path.display())),
            // A server that runs may have removed it since.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && !reader.read_here(Reading::objects)?.contains(&named) => {}
            Err(error) => tell(format!("{} can't be read: {error}", path.display())),
        }
    }
    Ok(())
}
