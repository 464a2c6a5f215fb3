//! What must lie beside each other in a data folder. It is looked at before SQLite does, which
//! makes a new database where one is missing, takes a write-ahead log up to its first damage, and
//! deletes it then.
//!
//! The file `lock`, which keeps a second server out, also notes what must be there: the database
//! once it was made, and its write-ahead log for as long as something that was answered may lie in
//! that alone. Nothing else would tell a log that was lost from one that a clean stop took in.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{file, wal};
use crate::log::LogError;

/// The file that is locked while a server works on the folder.
pub(crate) fn lock_file(data: &Path) -> PathBuf {
    data.join("lock")
}

/// What is noted to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// Nothing yet.
    Nothing,
    /// The database.
    Database,
    /// The write-ahead log, too.
    Wal,
}

impl There {
    /// How it is noted. Each is the beginning of the next one, so that half of one is the one before.
    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Database => "veche.db\n",
            Self::Wal => "veche.db\nveche.db-wal\n",
        }
    }

    fn of(text: &[u8]) -> Self {
        let noted = [Self::Wal, Self::Database].into_iter();
        let mut noted = noted.filter(|there| text.starts_with(there.text().as_bytes()));
        noted.next().unwrap_or(Self::Nothing)
    }
}

/// The note of what is there, for whoever writes to the database.
pub(super) struct Note {
    file: Option<File>,
    there: There,
}

impl Note {
    /// The note of a folder. Without one the server works as well, and less is noticed at a start.
    pub(super) fn open(data: &Path) -> Self {
        let path = lock_file(data);
        let opened = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path);
        let file = opened.inspect_err(|error| {
            tracing::warn!(%error, file = %path.display(), "noting what is in the data folder");
        });
        Self {
            file: file.ok(),
            there: noted(data).unwrap_or(There::Nothing),
        }
    }

    /// Notes it durably, unless it is noted. What can't be is not tried again before that changes.
    pub(super) fn put(&mut self, there: There) {
        if self.there == there {
            return;
        }
        self.there = there;
        let Some(file) = &self.file else {
            return;
        };
        let text = there.text();
        let done = file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64))
            .and_then(|()| file.sync_all());
        if let Err(error) = done {
            tracing::warn!(%error, "noting what is in the data folder");
        }
    }
}

fn noted(data: &Path) -> io::Result<There> {
    match fs::read(lock_file(data)) {
        Ok(text) => Ok(There::of(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(error) => Err(error),
    }
}

/// A file's length, 0 where there is none.
fn length(file: &Path) -> Result<u64, LogError> {
    match fs::metadata(file) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(LogError::File {
            file: file.display().to_string(),
            source,
        }),
    }
}

/// What is noted to be there, as it is.
pub(super) fn has_wal(data: &Path) -> Result<bool, LogError> {
    Ok(length(&wal::file(&file(data)))? >= wal::LEAST)
}

/// Where an import lies until it is whole, in the data folder. One that was killed leaves it there,
/// and the next one begins anew.
pub(crate) const IMPORT: &str = "import.part";

/// Refuses a folder that has half of an import in it, that misses what it had, or whose write-ahead log is damaged. It must be used by
/// nobody: see [`inspect`].
pub(super) fn inspect_own(data: &Path) -> Result<(), LogError> {
    // The database comes last.
    if data.join(IMPORT).exists() && length(&file(data))? == 0 {
        return Err(LogError::HalfImport(data.display().to_string()));
    }
    let there = noted(data).map_err(|source| LogError::File {
        file: lock_file(data).display().to_string(),
        source,
    })?;
    let database = file(data);
    let log = wal::file(&database);
    if length(&database)? == 0 && (there != There::Nothing || length(&log)? > 0) {
        return Err(LogError::NoDatabase(database.display().to_string()));
    }
    if there == There::Wal && !has_wal(data)? {
        return Err(LogError::NoWal(log.display().to_string()));
    }
    wal::inspect(&database)
}

/// The same for those who work on a folder that a server may use, which looked at its start. Nothing
/// is changed.
pub(crate) fn inspect(data: &Path) -> Result<(), LogError> {
    let Err(error) = inspect_own(data) else {
        return Ok(());
    };
    // A log that is written meanwhile looks like any.
    let Ok(lock) = File::open(lock_file(data)) else {
        return Err(error);
    };
    match lock.try_lock_shared() {
        Ok(()) => inspect_own(data),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(_)) => Err(error),
    }
}
