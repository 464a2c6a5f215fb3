//! `veche backup`: one consistent moment of the data, as a tar that unpacks to a data folder.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

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
    let source = Source {
        data,
        database: &database,
        copy: &copy,
    };
    let packed = if file == Path::new("-") {
        source.pack(io::stdout().lock(), file)
    } else {
        // Whole or not at all: under another name until it is on the disk.
        let part = file.with_added_extension(format!("{}.part", uuid::Uuid::new_v4()));
        let write = || {
            let out = private()
                .create_new(true)
                .open(&part)
                .map_err(failed(file))?;
            source.pack(&out, file)?;
            out.sync_all().map_err(failed(file))?;
            fs::rename(&part, file).map_err(failed(file))
        };
        write().inspect_err(|_| {
            // It may not have come to be; what matters is why.
            let _ = fs::remove_file(&part);
        })
    };
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

/// What is copied from where.
struct Source<'a> {
    data: &'a Path,
    database: &'a Path,
    copy: &'a Path,
}

impl Source<'_> {
    /// Writes the objects, then the database's copy that names them. An object that is deleted
    /// meanwhile is named by no later copy, so that one is made until all that it names is packed.
    fn pack(&self, out: impl Write, file: &Path) -> Result<(), BackupError> {
        let failed = |source| BackupError::File {
            what: file.display().to_string(),
            source,
        };
        let mut tar = tar::Builder::new(out);
        let (mut packed, mut lost) = (BTreeSet::new(), BTreeSet::new());
        loop {
            File::create(self.copy).map_err(failed)?;
            copy_database(self.database, self.copy)?;
            let mut missing = BTreeSet::new();
            for object in objects(self.copy)? {
                if packed.contains(&object) {
                    continue;
                }
                let (place, name) = &object;
                match File::open(self.data.join(place).join(name)) {
                    Ok(mut found) => {
                        tar.append_file(inside(place).join(name), &mut found)
                            .map_err(failed)?;
                        packed.insert(object);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        missing.insert(object);
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
            // What a second copy names, too, was not deleted by the server.
            if missing.is_subset(&lost) {
                break;
            }
            lost = missing;
        }
        tar.append_path_with_name(self.copy, "veche.db")
            .and_then(|()| tar.into_inner()?.flush())
            .map_err(failed)
    }
}

/// Where a place lies in the archive: where it lies in the data folder, or else under its last
/// name.
fn inside(place: &str) -> PathBuf {
    let place = Path::new(place);
    let is_plain = place
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if is_plain {
        return place.to_owned();
    }
    place.file_name().unwrap_or(OsStr::new("objects")).into()
}

/// The objects that rows name: the place and the name of each.
fn objects(database: &Path) -> Result<Vec<(String, String)>, BackupError> {
    let copy = Connection::open(database)?;
    let mut statement = copy.prepare(
        "SELECT place, object FROM rows JOIN stores USING (owner) WHERE object IS NOT NULL",
    )?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}
