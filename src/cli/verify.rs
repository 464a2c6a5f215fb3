//! `veche verify`: all the data read through.

use std::io::{self, Write};
use std::path::Path;

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
    if !sqlite::file(data).is_file() {
        return Err(VerifyError::NoData(data.display().to_string()));
    }
    let mut out = io::stdout().lock();
    let (mut damaged, mut written) = (0, Ok(()));
    let rows = Reader::new(data).read_here(|reading| {
        Ok(reading.verify(&mut |line| {
            damaged += 1;
            if written.is_ok() {
                written = writeln!(out, "{line}");
            }
        }))
    })?;
    for line in objects(data)? {
        damaged += 1;
        writeln!(out, "{line}")?;
    }
    written?;
    if damaged > 0 {
        return Err(VerifyError::Damaged(damaged));
    }
    writeln!(out, "{rows} checksums are right")?;
    Ok(())
}

/// The objects that are not as they were written, in words.
fn objects(data: &Path) -> Result<Vec<String>, LogError> {
    let named = Reader::new(data).read_here(Reading::objects)?;
    let told = named.into_iter().filter_map(|(place, object)| {
        let path = data.join(place).join(object);
        match objects::verify(&path) {
            Ok(true) => None,
            Ok(false) => Some(format!(
                "{} is damaged: a checksum is another's",
                path.display()
            )),
            Err(error) => Some(format!("{} can't be read: {error}", path.display())),
        }
    });
    Ok(told.collect())
}
