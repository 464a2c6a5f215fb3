//! `veche backup`: one consistent moment of the data, as a tar that unpacks to a data folder.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::log::sqlite;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackupError {
    /// There is nothing to copy.
    #[error("there is no data in {0}")]
    NoData(String),
    /// The database can't be copied.
    #[error("the database can't be copied")]
    Database(#[from] rusqlite::Error),
    /// A file can't be written or read.
    #[error("{what} can't be written")]
    File {
        /// Which one.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Writes the data of a folder, in use or not, to `file`. What is restored from it is a new
/// epoch, since the server goes on from here without it.
pub(super) fn write(data: &Path, file: &Path) -> Result<(), BackupError> {
    let database = sqlite::file(data);
    if !database.is_file() {
        return Err(BackupError::NoData(data.display().to_string()));
    }
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |source| BackupError::File { what, source }
    };
    // Beside the backup: what a killed backup leaves must not lie in the data folder, where texts
    // that are erased later would survive in it.
    let place = if file == Path::new("-") {
        env::temp_dir().join("veche")
    } else {
        file.to_owned()
    };
    let copy = place.with_added_extension(format!("{}.tmp", uuid::Uuid::new_v4()));
    // SQLite takes an empty file for none.
    private()
        .create_new(true)
        .open(&copy)
        .map_err(failed(&copy))?;
    let copied = copy_database(&database, &copy);
    let packed = copied.and_then(|()| {
        if file == Path::new("-") {
            return pack(data, &copy, io::stdout().lock())
                .map(drop)
                .map_err(failed(file));
        }
        // Whole or not at all: under another name until it is on the disk.
        let part = file.with_added_extension(format!("{}.part", uuid::Uuid::new_v4()));
        let write = || {
            let out = private().create_new(true).open(&part)?;
            pack(data, &copy, &out)?;
            out.sync_all()?;
            fs::rename(&part, file)
        };
        write().map_err(|error| {
            // It may not have come to be; what matters is why.
            let _ = fs::remove_file(&part);
            failed(file)(error)
        })
    });
    let removed = fs::remove_file(&copy);
    packed?;
    removed.map_err(failed(&copy))
}

/// A file for its owner alone: private messages will lie in it.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

fn copy_database(from: &Path, to: &Path) -> Result<(), BackupError> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(std::time::Duration::from_secs(30))?;
    source.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    let copy = Connection::open(to)?;
    // Each start on a copy of this names a history of its own.
    copy.execute("DELETE FROM meta WHERE key = 'epoch'", [])?;
    Ok(())
}

/// The database's copy, and whatever else lies in the folder but the database's own files.
fn pack(data: &Path, database: &Path, out: impl Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    tar.append_path_with_name(database, "veche.db")?;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            tar.append_dir_all(entry.file_name(), entry.path())?;
        }
    }
    tar.into_inner()?.flush()
}
