//! `veche import`: a data folder made of an export, whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::copy::inside;
use super::export::{BEGIN, Begin, END, EXPORT, End, FILE, Faulty, Line, Piece, Reader};
use crate::bus::{WorldError, fold};
use crate::log::export::{Import, ImportError as RowError, open_copy};
use crate::log::reader::Reading;
use crate::log::sqlite::IMPORT;
use crate::log::{LogError, Named, sqlite};
use crate::server::{ServeError, lock};

/// What a data folder may have in it that is empty all the same.
const NOTHING: [&str; 2] = ["lock", IMPORT];

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    /// The export can't be opened.
    #[error("{file} can't be read")]
    Source {
        /// The export.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// There is no folder to import to.
    #[error(transparent)]
    Folder(#[from] ServeError),
    /// Something is there.
    #[error("{folder} has {found} in it: import to an empty folder")]
    NotEmpty {
        /// The data folder.
        folder: String,
        /// What is in it.
        found: String,
    },
    /// A line of the export is not to be taken.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong with it.
        what: String,
        /// What its reader said.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The rows are not what they were.
    #[error("what was exported is damaged: {0}")]
    Damaged(String),
    /// The rows can't be written or read.
    #[error("the database can't be made")]
    Log(#[from] LogError),
    /// What happened is not known to this program.
    #[error("what was exported can't be folded")]
    World(#[from] WorldError),
    /// The folder can't be written.
    #[error("{folder} can't be written")]
    Write {
        /// The data folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
}

/// Makes `data` what the export `file` says, or `-` for the standard input. The folder must be empty,
/// or not there. It is another history from here on, since that of the export may go on elsewhere.
pub(super) fn read(file: &Path, data: &Path) -> Result<(), ImportError> {
    let source = |source| ImportError::Source {
        file: file.display().to_string(),
        source,
    };
    let from: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(source)?))
    };
    let was_there = data.exists();
    let lock = lock(data)?;
    let made = make(from, data);
    if made.is_err() {
        // It ends as it began, as far as that can be; what matters is why.
        let _ = fs::remove_dir_all(data.join(IMPORT));
        if !was_there {
            let _ = fs::remove_file(data.join("lock"));
            let _ = fs::remove_dir(data);
        }
    }
    drop(lock);
    made
}

fn make(from: impl BufRead, data: &Path) -> Result<(), ImportError> {
    let failed = |source| ImportError::Write {
        folder: data.display().to_string(),
        source,
    };
    for entry in fs::read_dir(data).map_err(failed)? {
        let found = entry.map_err(failed)?.file_name();
        if !NOTHING.iter().any(|name| found == *name) {
            return Err(ImportError::NotEmpty {
                folder: data.display().to_string(),
                found: found.display().to_string(),
            });
        }
    }
    // What it noted is of a server that is gone.
    File::create(sqlite::lock_file(data)).map_err(failed)?;
    let part = data.join(IMPORT);
    match fs::remove_dir_all(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir(&part).map_err(failed)?,
    }
    let mut folder = Folder::new(part);
    let database = sqlite::file(&folder.path);
    let rows = Import::begin(&database)?;
    take_all(from, &rows, &mut folder)?;
    rows.finish()?;
    let reading = open_copy(&database)?;
    let mut damage = None;
    reading.verify(&mut |line| {
        damage.get_or_insert(line);
    });
    if let Some(damage) = damage {
        return Err(ImportError::Damaged(damage));
    }
    fold(&reading)?;
    let named = reading.objects()?;
    folder.close().map_err(failed)?;
    for object in &named {
        folder.verify(object)?;
    }
    folder.keep(named).map_err(failed)?;
    // A file of SQLite's that is only read leaves nothing else behind.
    drop::<Reading>(reading);
    settle(&folder.path, data).map_err(failed)
}

/// Makes all of it durable, and then the folder's own, the database last: with it, all is there.
fn settle(part: &Path, data: &Path) -> io::Result<()> {
    let database = sqlite::file(part);
    File::open(&database)?.sync_all()?;
    for entry in fs::read_dir(part)? {
        let entry = entry?;
        if entry.path() != database {
            fs::rename(entry.path(), data.join(entry.file_name()))?;
        }
    }
    File::open(data)?.sync_all()?;
    fs::rename(&database, sqlite::file(data))?;
    fs::remove_dir(part)?;
    File::open(data)?.sync_all()
}

/// Takes every line, and sees that they begin and end as they should.
fn take_all(from: impl BufRead, rows: &Import, folder: &mut Folder) -> Result<(), ImportError> {
    let mut lines = Reader::new(from);
    let first = next(&mut lines)?;
    let begin: Option<Begin> = (first.kind == BEGIN).then(|| parse(&first)).flatten();
    let begin = begin.ok_or_else(|| told(&lines, "this is no export of veche"))?;
    let (export, format) = (begin.export, begin.of.format);
    if export > EXPORT || format > sqlite::FORMAT {
        let (known, layout) = (EXPORT, sqlite::FORMAT);
        let what = format!(
            "it was written in export form {export} and format {format}, by a newer program; this \
             one reads form {known} and format {layout}"
        );
        return Err(told(&lines, what));
    }
    if export != EXPORT || format < sqlite::UNMARKED {
        let what = format!("form {export} and format {format} are not read any more");
        return Err(told(&lines, what));
    }
    let mut kinds = BTreeMap::from([(first.kind, 1_u64)]);
    loop {
        let before = lines.number();
        let line = next(&mut lines)?;
        match line.kind.as_str() {
            END => {
                let end: Option<End> = parse(&line);
                // An earlier program counted no kinds.
                let is_so =
                    |end: End| end.lines == before && (end.kinds.is_empty() || end.kinds == kinds);
                if !end.is_some_and(is_so) {
                    return Err(told(&lines, "it ends another number of lines"));
                }
                break;
            }
            FILE => {
                let piece: Option<Piece> = parse(&line);
                let taken = piece.map(|piece| folder.take(&piece));
                let taken = taken.unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()));
                taken.map_err(|error| because(&lines, "the file can't be taken", error))?;
            }
            kind => {
                let taken = rows.take(kind, line.json.get());
                taken
                    .map_err(|error: RowError| because(&lines, "the row can't be taken", error))?;
            }
        }
        *kinds.entry(line.kind).or_default() += 1;
    }
    match lines.next() {
        Ok(None) => Ok(()),
        _ => Err(told(&lines, "there is more behind the end")),
    }
}

fn next<R: BufRead>(lines: &mut Reader<R>) -> Result<Line, ImportError> {
    let line = lines.next();
    match line {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(told(lines, "the export is cut off here")),
        Err(faulty @ (Faulty::Damaged | Faulty::TooLong)) => Err(told(lines, faulty.to_string())),
        Err(faulty) => Err(because(lines, "it can't be taken", faulty)),
    }
}

fn parse<T: DeserializeOwned>(line: &Line) -> Option<T> {
    serde_json::from_str(line.json.get()).ok()
}

fn told<R: BufRead>(lines: &Reader<R>, what: impl Into<String>) -> ImportError {
    ImportError::Line {
        line: lines.number(),
        what: what.into(),
        source: None,
    }
}

fn because<R: BufRead>(
    lines: &Reader<R>,
    what: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ImportError {
    ImportError::Line {
        line: lines.number(),
        what: what.to_owned(),
        source: Some(source.into()),
    }
}

/// The folder in which it comes to be, with its objects.
struct Folder {
    path: PathBuf,
    /// Each one's place and name.
    objects: BTreeSet<(PathBuf, String)>,
    /// The one whose pieces come.
    open: Option<(String, File)>,
}

impl Folder {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            objects: BTreeSet::new(),
            open: None,
        }
    }

    /// Adds a piece to its file.
    fn take(&mut self, piece: &Piece) -> io::Result<()> {
        let bytes = STANDARD.decode(&piece.bytes).map_err(io::Error::other)?;
        if let Some((object, file)) = &mut self.open
            && *object == piece.object
        {
            return file.write_all(&bytes);
        }
        self.close()?;
        // What names it is a UUID, so that it can lie nowhere else.
        let object: Uuid = piece.object.parse().map_err(io::Error::other)?;
        let place = inside(&piece.place);
        fs::create_dir_all(self.path.join(&place))?;
        let mut file = File::create_new(self.path.join(&place).join(object.to_string()))?;
        file.write_all(&bytes)?;
        self.objects.insert((place, piece.object.clone()));
        self.open = Some((piece.object.clone(), file));
        Ok(())
    }

    /// Sees that an object which a row names is there, as it was written.
    fn verify(&self, named: &Named) -> Result<(), ImportError> {
        let path = self.path.join(inside(&named.place)).join(&named.object);
        let what = match File::open(path).and_then(|mut file| named.damage(&mut file)) {
            Ok(None) => return Ok(()),
            Ok(Some(what)) => what,
            Err(error) => error.to_string(),
        };
        let object = &named.object;
        Err(ImportError::Damaged(format!("the file {object}: {what}")))
    }

    fn close(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some((_, file)) => file.sync_all(),
            None => Ok(()),
        }
    }

    /// Leaves those files that rows name, and makes them durable.
    fn keep(&mut self, named: Vec<Named>) -> io::Result<()> {
        let named = named.into_iter();
        let named: BTreeSet<_> = named
            .map(|named| (inside(&named.place), named.object))
            .collect();
        for (place, object) in self.objects.difference(&named) {
            fs::remove_file(self.path.join(place).join(object))?;
        }
        let places: BTreeSet<_> = self.objects.iter().map(|(place, _)| place).collect();
        for place in places {
            for folder in place.ancestors() {
                File::open(self.path.join(folder))?.sync_all()?;
            }
        }
        Ok(())
    }
}
