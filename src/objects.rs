//! Objects: bytes too large for a row, such as an uploaded file. Each lies in its feature's store
//! under a UUID, and belongs to a row ([`Entry::object`](crate::bus::Entry::object)): it is
//! written before the row is recorded, and deleted after the row is gone.
//!
//! What a crash leaves between the two is swept away at the next start, before anybody is served.
//! Deleting needs no feature: the log knows each one's place.

mod janitor;
mod sums;
mod write;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::bus::{Health, causes, internal};
use crate::counts::COUNTS;
use crate::http::{Chunk, Problem, Source};
use crate::log::reader::Reader;
use crate::log::{AppendError, Log, LogError};

pub(crate) use janitor::Janitor;
pub(crate) use sums::{Told, damage};
pub use write::{NewObject, Object};

/// Pieces written or read at once in one store. More would only wait for the same disk.
const TURNS: usize = 8;

/// Why the stores can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A folder can't be made or read.
    #[error("the folder {folder} can't be used")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Another server is at work there.
    #[error("another server uses the folder {0}")]
    Locked(String),
    /// What another history needs lies there.
    #[error(
        "the file `lock` in {folder} names {found:?}, and this history is {own:?}: the objects there \
         belong to another history, such as that which this one is restored from, or the file is \
         damaged; name another folder, or delete the file to give them to this one"
    )]
    Foreign {
        /// The folder.
        folder: String,
        /// The history that it names.
        found: String,
        /// This one.
        own: String,
    },
    /// The library refused the folder.
    #[error("the folder {folder} can't be used")]
    Store {
        /// The folder.
        folder: String,
        /// Why.
        source: object_store::Error,
    },
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Whose the stores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// This server's alone.
    Alone,
    /// Those of all nodes of a cluster, which have the same history.
    Nodes,
}

/// How old an object must be to be taken away unnamed, where another node may be about to name it.
const SETTLED: Duration = Duration::from_secs(24 * 60 * 60);

/// Every feature's store.
#[derive(Default)]
pub(crate) struct Stores(BTreeMap<String, Store>);

impl Stores {
    /// Opens the stores of the features that are on, `places`, and of those that the log knows,
    /// and takes away what a crash left in them.
    pub(crate) fn open(
        data: &Path,
        places: &[(&'static str, String)],
        known: Vec<(String, String)>,
        log: &mut dyn Log,
        sharing: Sharing,
    ) -> Result<Self, StoreError> {
        let mut all: BTreeMap<String, String> = known.into_iter().collect();
        for (owner, place) in places {
            if all.get(*owner) != Some(place) {
                log.set_store(owner, place)?;
                all.insert((*owner).to_owned(), place.clone());
            }
        }
        let mut stores = BTreeMap::new();
        for (owner, place) in all {
            let store = Store::open(&data.join(place), log.epoch(), sharing)?;
            store.sweep(log, sharing)?;
            stores.insert(owner, store);
        }
        Ok(Self(stores))
    }

    /// Deletes every object whose row is gone, as far as it can be, when nobody can note that any
    /// more: the next start deletes them again.
    pub(crate) async fn delete_trash(&self, reader: &Reader) {
        let trash = reader.read(|r| r.trash(usize::MAX)).await;
        let trash = trash.unwrap_or_else(|error| {
            tracing::error!(%error, "looking for objects to delete");
            Vec::new()
        });
        for (object, owner) in trash {
            self.delete(&owner, object).await;
        }
    }

    /// Deletes an object whose row is gone; says whether it is gone, too.
    async fn delete(&self, owner: &str, object: Uuid) -> bool {
        let Some(store) = self.get(owner) else {
            return false;
        };
        match store.delete(object).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, %object, owner, "deleting an object");
                false
            }
        }
    }

    /// A feature's store.
    pub(crate) fn get(&self, owner: &str) -> Option<&Store> {
        self.0.get(owner)
    }
}

/// One feature's store: a folder in which each object is a file.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    folder: PathBuf,
    /// Each write and read occupies a thread, and its memory.
    turns: Arc<Semaphore>,
    /// Keeps others out.
    _lock: Arc<File>,
}

impl Store {
    fn open(folder: &Path, epoch: &str, sharing: Sharing) -> Result<Self, StoreError> {
        let name = || folder.display().to_string();
        // What was sent in private lies in it: it is its owner's alone.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| StoreError::Folder {
                folder: name(),
                source,
            })?;
        sync_parent(folder).map_err(|source| StoreError::Folder {
            folder: name(),
            source,
        })?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| StoreError::Store {
                folder: name(),
                source,
            })?
            .with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            folder: folder.to_owned(),
            turns: Arc::new(Semaphore::new(TURNS)),
            _lock: Arc::new(lock(folder, epoch, sharing)?),
        })
    }

    /// Deletes uploads that a crash broke off, and objects that no row names: their rows were
    /// never recorded. Files of other names are not ours.
    fn sweep(&self, log: &dyn Log, sharing: Sharing) -> Result<(), StoreError> {
        let failed = |source| StoreError::Folder {
            folder: self.folder.display().to_string(),
            source,
        };
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // The library writes beside the object's name, with a number behind it.
            let (object, is_part) = match name.split_once('#') {
                Some((object, _)) => (object, true),
                None => (&*name, false),
            };
            let Ok(object) = object.parse::<Uuid>() else {
                continue;
            };
            if sharing == Sharing::Nodes {
                let metadata = entry.metadata().map_err(failed)?;
                let modified = metadata.modified().map_err(failed)?;
                // One that lies in the future is young.
                if modified.elapsed().unwrap_or_default() < SETTLED {
                    continue;
                }
            }
            if is_part || log.row_of(object)?.is_none() {
                tracing::info!(%object, "taking away what no message holds");
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Deletes an object; one that is gone already is deleted.
    pub(crate) async fn delete(&self, id: Uuid) -> object_store::Result<()> {
        match self.objects.delete(&name(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    /// Takes away what the library leaves of an object that it could not finish: it writes beside the
    /// object's name, and counts from 1 there.
    async fn clear(&self, id: Uuid) {
        let part = self.folder.join(format!("{id}#1"));
        match tokio::fs::remove_file(&part).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, object = %id, "deleting what could not be finished");
            }
            _ => {}
        }
    }

    /// An object as long as it was, else 500 and a line in the log; `None` where it is not there.
    pub(crate) async fn stored(&self, id: Uuid, size: u64) -> Result<Option<Stored>, Problem> {
        let _turn = self.turn().await?;
        let found = match self.objects.head(&name(id)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(internal("reading an object", &error)),
        };
        let stored = Stored {
            store: self.clone(),
            id,
            size,
            has_sums: found.size == sums::with_sums(size),
        };
        if stored.has_sums || found.size == size {
            return Ok(Some(stored));
        }
        let (found, whole) = (found.size, sums::with_sums(size));
        let what = format!("it has {found} bytes instead of {whole}");
        Err(damaged(id, &what))
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = self.turns.acquire().await;
        turn.map_err(|error| internal("storing an object", &error))
    }
}

/// An object that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    store: Store,
    id: Uuid,
    size: u64,
    has_sums: bool,
}

impl Stored {
    /// Reads a part of it, the whole pieces around it, and verifies them.
    async fn read(self, part: Range<u64>) -> io::Result<Bytes> {
        let _turn = self.store.turns.acquire().await.map_err(io::Error::other)?;
        let (piece, sum) = sums::piece(part.start, self.size);
        let mut ranges = vec![piece.clone()];
        ranges.extend(self.has_sums.then_some(sum));
        let read = self.store.objects.get_ranges(&name(self.id), &ranges).await;
        let read = read.map_err(io::Error::other)?;
        let bytes = read.first().cloned().unwrap_or_default();
        if let Some(sum) = read.get(1)
            && !sums::is_whole(self.id, &bytes, sum)
        {
            let what = format!("its checksum from byte {} on is another's", piece.start);
            let id = self.id;
            return Err(io::Error::other(LogError::DamagedObject { id, what }));
        }
        let inside = |at: u64| usize::try_from(at.saturating_sub(piece.start)).unwrap_or(0);
        let (from, upto) = (inside(part.start), inside(part.end).min(bytes.len()));
        if from > upto {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.slice(from..upto))
    }

    /// Verifies where a part of it begins: an answer that has begun can't say any more that it is
    /// not as it was, only break off.
    pub(crate) async fn verify_begin(&self, part: &Range<u64>) -> Result<(), Problem> {
        if part.is_empty() {
            return Ok(());
        }
        let begin = self.clone().read(part.start..part.start + 1).await;
        match begin {
            Ok(_) => Ok(()),
            Err(error) => match error.get_ref() {
                Some(cause) => Err(internal("reading an object", cause)),
                None => Err(internal("reading an object", &error)),
            },
        }
    }
}

/// 500 `damaged`, and a line in the log.
pub(crate) fn damaged(id: Uuid, what: &str) -> Problem {
    let what = what.to_owned();
    internal("reading an object", &LogError::DamagedObject { id, what })
}

/// Whose the objects in a folder are by its file `lock`: an error where they are another history's.
pub(crate) fn owner(folder: &Path, epoch: &str) -> Result<(), StoreError> {
    let found = match fs::read(folder.join("lock")) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            let folder = folder.display().to_string();
            return Err(StoreError::Folder { folder, source });
        }
    };
    if found.is_empty() || found == epoch.as_bytes() {
        return Ok(());
    }
    Err(StoreError::Foreign {
        folder: folder.display().to_string(),
        found: String::from_utf8_lossy(&found).into_owned(),
        own: epoch.to_owned(),
    })
}

/// Locks a folder, for what no row names is deleted there: so no two servers, and no two histories,
/// may share one.
fn lock(folder: &Path, epoch: &str, sharing: Sharing) -> Result<File, StoreError> {
    let name = || folder.display().to_string();
    let failed = |source| StoreError::Folder {
        folder: name(),
        source,
    };
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join("lock"))
        .map_err(failed)?;
    let locked = match sharing {
        Sharing::Alone => file.try_lock(),
        Sharing::Nodes => file.try_lock_shared(),
    };
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::Locked(name()),
        TryLockError::Error(source) => failed(source),
    })?;
    owner(folder, epoch)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        // Half of a name would be another history's after a power cut.
        file.write_all(epoch.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(failed)?;
    }
    Ok(file)
}

/// Makes a folder's own entry durable, without which all that lies in it may be lost.
pub(crate) fn sync_parent(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn name(id: Uuid) -> Name {
    Name::from(id.to_string())
}

/// Why a store refused, as an answer: 503 `storage_full` where there is no room, `storage_failed`
/// where the disk failed. That is this object's alone, of which nobody was told.
fn refused(error: &object_store::Error) -> Problem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let Some(io) = error.downcast_ref::<io::Error>() else {
            cause = error.source();
            continue;
        };
        let is_full = matches!(
            io.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        if is_full && let Some(full) = Health::Full.problem() {
            return full;
        }
        tracing::error!(error = causes(error), "storing an object failed");
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_failed",
            "the server's storage failed; nothing was kept",
        );
    }
    internal("storing an object", error)
}

/// A part of an object as an answer's body. It reads on when what it read is written, so that one
/// piece is in memory at a time.
pub(crate) struct Download {
    object: Stored,
    left: Range<u64>,
    reading: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>>,
}

impl Download {
    pub(crate) fn new(object: Stored, range: Range<u64>) -> Self {
        Self {
            object,
            left: range,
            reading: None,
        }
    }
}

impl Source for Download {
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Chunk>,
    ) -> Poll<io::Result<bool>> {
        if self.left.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let (object, from) = (&self.object, self.left.start);
        let (piece, _) = sums::piece(from, object.size);
        let upto = self.left.end.min(piece.end);
        let reading = self
            .reading
            .get_or_insert_with(|| Box::pin(object.clone().read(from..upto)));
        let read = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        let bytes = read.inspect_err(|error| broken_off(error, self.object.id))?;
        self.left.start = upto;
        out.push(Chunk::plain(bytes));
        Poll::Ready(Ok(!self.left.is_empty()))
    }
}

/// Tells why a download breaks off.
fn broken_off(error: &io::Error, object: Uuid) {
    let cause = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
    let is_gone = cause
        .and_then(|cause| cause.downcast_ref())
        .is_some_and(|error| matches!(error, object_store::Error::NotFound { .. }));
    if is_gone {
        return tracing::info!(%object, "a file was removed while it was sent");
    }
    tracing::error!(%error, %object, "reading an object");
    if cause.is_some_and(|cause| cause.is::<LogError>()) {
        COUNTS.damage.inc();
    }
}
