//! One consistent moment of the data of a folder, in use or not, on its way to a file.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use crate::config::S3;
use crate::log::export::open_copy;
use crate::log::reader::Reading;
use crate::log::{LogError, Named, sqlite};
use crate::objects::{Shelves, StoreError};

/// How long a server that writes is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the files that are not finished yet end with, behind a UUID.
const COPY: &str = ".tmp";
const PART: &str = ".part";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// There is nothing to copy.
    #[error("there is no data in {0}")]
    NoData(String),
    /// The database can't be copied.
    #[error("the database can't be copied")]
    Database(#[source] LogError),
    /// What was copied can't be read.
    #[error("the database can't be read")]
    Log(#[from] LogError),
    /// A folder of objects is another's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some of it is not as it was written.
    #[error("the data is damaged: {0}; `veche verify` lists all that is")]
    Damaged(String),
    /// All of it is copied, as it is.
    #[error("the copy is there, with what is damaged as it was found: {0} places")]
    Kept(usize),
    /// What is there is not to be replaced.
    #[error("{0} is no file that could be replaced: name another, or `-` for the standard output")]
    NoFile(String),
    /// The data itself would be overwritten.
    #[error("{0} lies in the data folder: name a file elsewhere")]
    Inside(String),
    /// A file can't be written or read.
    #[error("{what} can't be written")]
    File {
        /// Which one.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Writes what `put` makes of a folder's data to `file`, or to the standard output for `-`: whole or
/// not at all. What an earlier one that was killed left beside it is taken away. What `put` finds
/// damaged, and copies all the same, is told.
pub(super) fn write(
    data: &Path,
    s3: &S3,
    file: &Path,
    put: impl FnOnce(&Moment<'_>, &mut dyn Write) -> Result<Vec<String>, CopyError>,
) -> Result<(), CopyError> {
    sqlite::inspect(data)?;
    let damage = write_to(data, s3, file, put)?;
    if damage.is_empty() {
        return Ok(());
    }
    for line in &damage {
        // Whoever started this may not listen to what it says; the status tells.
        let _ = writeln!(io::stderr(), "{line}");
    }
    Err(CopyError::Kept(damage.len()))
}

fn write_to(
    data: &Path,
    s3: &S3,
    file: &Path,
    put: impl FnOnce(&Moment<'_>, &mut dyn Write) -> Result<Vec<String>, CopyError>,
) -> Result<Vec<String>, CopyError> {
    let database = sqlite::file(data);
    if !database.is_file() {
        return Err(CopyError::NoData(data.display().to_string()));
    }
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |source| CopyError::File { what, source }
    };
    // Beside the file: what a killed one leaves must not lie in the data folder, where texts that
    // are erased later would survive in it.
    let is_piped = file == Path::new("-");
    let place = match is_piped {
        true => env::temp_dir().join("veche"),
        false => target(data, file)?,
    };
    sweep(&place);
    let copy = Unfinished::new(&place, COPY).map_err(failed(&place))?;
    let moment = Moment {
        data,
        database: &database,
        copy: &copy.path,
        file,
        shelves: Shelves::new(data, s3),
    };
    if is_piped {
        return put(&moment, &mut io::stdout().lock());
    }
    let part = Unfinished::new(&place, PART).map_err(failed(file))?;
    let damage = put(&moment, &mut &part.file)?;
    part.file.sync_all().map_err(failed(file))?;
    fs::rename(&part.path, &place).map_err(failed(file))?;
    Ok(damage)
}

/// The file that is to be written, where links lead to: one that is not there yet or can be replaced,
/// and lies outside the data.
fn target(data: &Path, file: &Path) -> Result<PathBuf, CopyError> {
    let name = || file.display().to_string();
    let is_link = fs::symlink_metadata(file).is_ok_and(|found| found.is_symlink());
    let place = match is_link {
        true => fs::canonicalize(file).map_err(|_| CopyError::NoFile(name()))?,
        false => file.to_owned(),
    };
    if fs::metadata(&place).is_ok_and(|found| !found.is_file()) {
        return Err(CopyError::NoFile(name()));
    }
    let folder = place.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    // Where one of them is not there, nothing is written.
    if let (Ok(folder), Ok(data)) = (folder, fs::canonicalize(data))
        && folder.starts_with(data)
    {
        return Err(CopyError::Inside(name()));
    }
    Ok(place)
}

/// A file under another name than its last, for its owner alone: private messages will lie in it.
/// It is locked for as long as somebody works on it, and goes with this.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    fn new(place: &Path, ending: &str) -> io::Result<Self> {
        loop {
            let path = place.with_added_extension(format!("{}{ending}", Uuid::new_v4()));
            let mut options = OpenOptions::new();
            let options = options.write(true).mode(0o600).create_new(true);
            let file = options.open(&path)?;
            file.lock()?;
            let unfinished = Self { path, file };
            // Somebody who sweeps may have found it before it was locked.
            let there = fs::metadata(&unfinished.path).map(|there| there.ino());
            if there.ok() == Some(unfinished.file.metadata()?.ino()) {
                return Ok(unfinished);
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // One that has its last name by now is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes away what was not finished beside `place`, and nobody works on; what can't be is left.
fn sweep(place: &Path) {
    let folder = place.parent().filter(|folder| *folder != Path::new(""));
    let Some(name) = place.file_name().and_then(OsStr::to_str) else {
        return;
    };
    let entries = fs::read_dir(folder.unwrap_or(Path::new(".")));
    for entry in entries.into_iter().flatten().flatten() {
        let is_unfinished = entry.file_name().to_str().is_some_and(|found| {
            let rest = found
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            let id = rest.and_then(|rest| rest.strip_suffix(COPY).or(rest.strip_suffix(PART)));
            id.is_some_and(|id| id.parse::<Uuid>().is_ok())
        });
        // Another's, which can't be opened, is not ours to take away.
        if is_unfinished
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // Another may have been faster. SQLite's own may lie beside it.
            let _ = fs::remove_file(entry.path());
            let mut journal = entry.path().into_os_string();
            journal.push("-journal");
            let _ = fs::remove_file(journal);
        }
    }
}

/// The data of a folder, of one moment.
pub(super) struct Moment<'a> {
    /// The folder.
    pub(super) data: &'a Path,
    database: &'a Path,
    /// Where the database's copy lies, once the objects are through.
    pub(super) copy: &'a Path,
    file: &'a Path,
    shelves: Shelves<'a>,
}

impl Moment<'_> {
    /// Gives each object, and then copies the database that names them. An object that is deleted
    /// meanwhile is named by no later copy, so that one is made until all that it names was given.
    /// Gives back what is wrong with them, in words: each is looked at before it is given.
    pub(super) fn objects(
        &self,
        mut put: impl FnMut(&Named, File) -> Result<(), CopyError>,
    ) -> Result<Vec<String>, CopyError> {
        let (mut given, mut lost) = (BTreeSet::new(), BTreeSet::new());
        let mut damage = Vec::new();
        loop {
            File::create(self.copy).map_err(|source| self.failed(source))?;
            copy_database(self.database, self.copy)?;
            let mut missing = BTreeSet::new();
            let reading = open_copy(self.copy)?;
            self.own(&reading)?;
            for object in reading.objects()? {
                if given.contains(&object) {
                    continue;
                }
                match self.shelves.open(&object) {
                    Ok(mut found) => {
                        let failed = |source| self.failed(source);
                        let wrong = object.damage(&mut found).map_err(failed)?;
                        damage.extend(wrong.map(|what| {
                            format!("{} is damaged: {what}", self.shelves.tell(&object))
                        }));
                        found.rewind().map_err(failed)?;
                        put(&object, found)?;
                        given.insert(object);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        missing.insert(object);
                    }
                    Err(error) => return Err(self.failed(error)),
                }
            }
            // What a second copy names, too, was not deleted by the server.
            if missing.is_subset(&lost) {
                let missing = missing.iter().map(|object| self.shelves.tell(object));
                damage.extend(missing.map(|place| format!("{place} is missing")));
                return Ok(damage);
            }
            lost = missing;
        }
    }

    /// Refuses stores of objects that the server would not open.
    fn own(&self, reading: &Reading) -> Result<(), CopyError> {
        let epoch = reading.header()?.epoch;
        for (_, place) in reading.stores()? {
            // A copy that was not started yet has no name: it takes what is there.
            if !epoch.is_empty() {
                self.shelves.owner(&place, &epoch)?;
            }
        }
        Ok(())
    }

    /// A file that can't be written or read.
    pub(super) fn failed(&self, source: io::Error) -> CopyError {
        let what = self.file.display().to_string();
        CopyError::File { what, source }
    }
}

/// Copies a database. What is made of the copy is a history of its own, since the server goes on
/// from here without it.
fn copy_database(from: &Path, to: &Path) -> Result<(), CopyError> {
    // One that could write would take the write-ahead log in when it is closed.
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    source.busy_timeout(PATIENCE)?;
    source.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// Where a place lies in what is written: where it lies in the data folder, or else, as a bucket does,
/// under its last name.
pub(super) fn inside(place: &str) -> PathBuf {
    let is_folder = !place.contains("://");
    let place = Path::new(place);
    let is_plain = is_folder
        && place
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    if is_plain {
        return place.to_owned();
    }
    place.file_name().unwrap_or(OsStr::new("objects")).into()
}
