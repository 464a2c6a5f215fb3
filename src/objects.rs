//! Objects: bytes too large for a row, such as an uploaded file. Each lies in its feature's store
//! under a UUID, and belongs to a row ([`Entry::object`](crate::bus::Entry::object)): it is
//! written before the row is recorded, and deleted after the row is gone.
//!
//! What a crash leaves between the two is swept away at the next start, before anybody is served.
//! Deleting needs no feature: the log knows each one's place.

mod bucket;
mod folder;
mod janitor;
mod read;
mod shelves;
mod sums;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use object_store::path::Path as Name;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

use self::bucket::Bucket;
use self::folder::Folder;
use crate::bus::{Health, causes, internal};
use crate::config::S3;
use crate::http::Problem;
use crate::log::reader::Reader;
use crate::log::{AppendError, Log, LogError};

pub(crate) use folder::sync_parent;
pub(crate) use janitor::Janitor;
pub(crate) use read::{Download, Stored};
pub(crate) use shelves::Shelves;
pub(crate) use sums::{Told, damage};
pub use write::{NewObject, Object};

/// Pieces written or read at once in one store. More would only wait for the same disk.
const TURNS: usize = 8;

/// What says whose a place is.
const LOCK: &str = "lock";

/// What a file without a name ends with, for the moment that it has one.
const UNNAMED: &str = ".part";

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
        "the file `lock` in {place} names {found:?}, and this history is {own:?}: the objects there \
         belong to another history, such as that which this one is restored from, or the file is \
         damaged; name another place, or delete the file to give them to this one"
    )]
    Foreign {
        /// The folder or bucket.
        place: String,
        /// The history that it names.
        found: String,
        /// This one.
        own: String,
    },
    /// Nobody has said whose the objects there are, and this history has none of them.
    #[error(
        "{0} holds objects of which this history knows none, and no file `lock` that says whose they \
         are: start with the data that they belong to, name another folder, or move them away"
    )]
    Unclaimed(String),
    /// What is named is no place, or the settings beside it are wrong.
    #[error("the store of objects {place:?}: {what}")]
    Place {
        /// What is named.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// There is no such bucket.
    #[error("there is no bucket for {0}: make it, or name another")]
    NoBucket(String),
    /// The bucket refuses this server.
    #[error(
        "{place} does not let this server in: its credentials, in [s3] or the environment, are wrong, or have too few rights"
    )]
    Rights {
        /// The bucket.
        place: String,
        /// What it said.
        source: object_store::Error,
    },
    /// The bucket does not answer.
    #[error("{place} does not answer")]
    Away {
        /// The bucket.
        place: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The library refused the place.
    #[error("{place} can't be used")]
    Store {
        /// The folder or bucket.
        place: String,
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
    /// and takes away what a crash left in their folders.
    pub(crate) fn open(
        data: &Path,
        s3: &S3,
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
            let store = if bucket::is_url(&place) {
                let (bucket, objects) = Bucket::open(&place, s3, data, log.epoch())?;
                Store::new(objects, Kind::Bucket(bucket))
            } else {
                Store::in_folder(&data.join(place), log, sharing)?
            };
            stores.insert(owner, store);
        }
        Ok(Self(stores))
    }

    /// Sees that each bucket is there, and this history's; one that does not answer may do so later.
    pub(crate) async fn reach(&self) -> Result<(), StoreError> {
        for store in self.0.values() {
            let Kind::Bucket(bucket) = &store.kind else {
                continue;
            };
            match bucket.claim(&*store.objects).await {
                Err(error @ StoreError::Away { .. }) => {
                    tracing::warn!(error = causes(&error), "going on without it");
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Takes away what a crash left in buckets, as [`Stores::open`] does in folders: objects that no row
    /// names, and that were written a day before the start or earlier, for by then their rows were here.
    /// Says whether all buckets could be looked through.
    pub(crate) async fn sweep(&self, reader: &Reader, started: SystemTime) -> bool {
        let mut all = true;
        for (owner, store) in &self.0 {
            if let Kind::Bucket(bucket) = &store.kind
                && let Err(error) = store.sweep(bucket, reader, started).await
            {
                tracing::error!(
                    error = causes(&*error),
                    owner,
                    "looking for what no message holds"
                );
                all = false;
            }
        }
        all
    }

    /// Deletes every object whose row is gone, as far as it can be, when nobody can note that any
    /// more: the next start deletes them again.
    pub(crate) async fn delete_trash(&self, reader: &Reader) {
        let trash = reader.read(|r| r.trash(usize::MAX)).await;
        let trash = trash.unwrap_or_else(|error| {
            tracing::error!(%error, "looking for objects to delete");
            Vec::new()
        });
        self.delete(&trash).await;
    }

    /// Deletes objects whose rows are gone, each with its feature; gives those that are gone, too. A
    /// bucket that does not answer is asked for no more of them now.
    async fn delete(&self, trash: &[(Uuid, String)]) -> Vec<Uuid> {
        let (mut gone, mut away) = (Vec::new(), BTreeSet::new());
        for (object, owner) in trash {
            let Some(store) = self.get(owner).filter(|_| !away.contains(owner)) else {
                continue;
            };
            match store.delete(*object).await {
                Ok(()) => gone.push(*object),
                Err(error) => {
                    tracing::error!(error = causes(&error), %object, owner, "deleting an object");
                    if matches!(store.kind, Kind::Bucket(_)) {
                        away.insert(owner);
                    }
                }
            }
        }
        gone
    }

    /// A feature's store.
    pub(crate) fn get(&self, owner: &str) -> Option<&Store> {
        self.0.get(owner)
    }
}

/// One feature's store.
#[derive(Clone)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    kind: Kind,
    /// Each write and read occupies a thread or a connection, and its memory.
    turns: Arc<Semaphore>,
}

#[derive(Clone)]
enum Kind {
    Folder(Arc<Folder>),
    Bucket(Arc<Bucket>),
}

// The library's own would tell more than is anybody's business.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    fn in_folder(path: &Path, log: &dyn Log, sharing: Sharing) -> Result<Self, StoreError> {
        let (folder, objects) = Folder::open(path, log, sharing)?;
        folder.sweep(log, sharing)?;
        Ok(Self::new(objects, Kind::Folder(Arc::new(folder))))
    }

    fn new(objects: Arc<dyn ObjectStore>, kind: Kind) -> Self {
        Self {
            objects,
            kind,
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// Begins an object.
    async fn begin(&self, id: Uuid) -> Result<Box<dyn MultipartUpload>, Problem> {
        self.ready().await?;
        let _turn = self.turn().await?;
        let begun = match &self.kind {
            Kind::Folder(_) => self.objects.put_multipart(&name(id)).await,
            Kind::Bucket(bucket) => bucket.begin(&self.objects, name(id)).await,
        };
        begun.map_err(|error| self.refused(&error))
    }

    /// Sees that a bucket is this history's, where that was not seen yet.
    async fn ready(&self) -> Result<(), Problem> {
        let Kind::Bucket(bucket) = &self.kind else {
            return Ok(());
        };
        let claimed = bucket.claim(&*self.objects).await;
        claimed.map_err(|error| bucket.away(&error))
    }

    /// Deletes an object; one that is gone already is deleted.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<(), StoreError> {
        let name = name(id);
        let deleted = match &self.kind {
            Kind::Folder(_) => self.objects.delete(&name).await,
            Kind::Bucket(bucket) => {
                bucket.claim(&*self.objects).await?;
                bucket.within(self.objects.delete(&name)).await
            }
        };
        match deleted {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => {
                let place = id.to_string();
                Err(StoreError::Store { place, source })
            }
        }
    }

    async fn sweep(
        &self,
        bucket: &Bucket,
        reader: &Reader,
        started: SystemTime,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        bucket.claim(&*self.objects).await?;
        let mut all = self.objects.list(None);
        while let Some(id) = bucket.next_old(&mut all, started).await? {
            if reader.read(move |r| r.row_of(id)).await?.is_none() {
                tracing::info!(object = %id, "taking away what no message holds");
                self.delete(id).await?;
            }
        }
        Ok(())
    }

    /// Takes away what is left of an object that could not be finished.
    async fn clear(&self, id: Uuid) {
        if let Kind::Folder(folder) = &self.kind {
            folder.clear(id).await;
        }
    }

    /// An object as long as it was, else 500 and a line in the log; `None` where it is not there.
    pub(crate) async fn stored(&self, id: Uuid, size: u64) -> Result<Option<Stored>, Problem> {
        self.ready().await?;
        let _turn = self.turn().await?;
        let name = name(id);
        let found = match &self.kind {
            Kind::Folder(_) => self.objects.head(&name).await,
            Kind::Bucket(bucket) => bucket.within(self.objects.head(&name)).await,
        };
        match found {
            Ok(found) => Stored::new(self, id, size, found.size).map(Some),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.unread(&error)),
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = self.turns.acquire();
        let turn = match &self.kind {
            Kind::Folder(_) => turn.await,
            // All before this one may be waiting for what does not answer.
            Kind::Bucket(bucket) => timeout(bucket.timeout(), turn)
                .await
                .map_err(|error| bucket.away(&error))?,
        };
        turn.map_err(|error| internal("storing an object", &error))
    }

    /// Why an object can't be read, as an answer.
    fn unread(&self, error: &object_store::Error) -> Problem {
        match &self.kind {
            Kind::Folder(_) => internal("reading an object", error),
            Kind::Bucket(bucket) => bucket.away(error),
        }
    }

    /// Why an object can't be written, as an answer: 503 `storage_full` where there is no room,
    /// `storage_failed` where the disk failed, `no_store` where the bucket did not take it. That is
    /// this object's alone, of which nobody was told.
    fn refused(&self, error: &object_store::Error) -> Problem {
        match &self.kind {
            Kind::Bucket(bucket) if !bucket::is_local(error) => bucket.away(error),
            _ => on_disk(error),
        }
    }
}

/// 500 `damaged`, and a line in the log.
pub(crate) fn damaged(id: Uuid, what: &str) -> Problem {
    let what = what.to_owned();
    internal("reading an object", &LogError::DamagedObject { id, what })
}

/// Whose the objects in a place are by what its file `lock` says: an error where they are another
/// history's.
fn owned(place: &str, found: &[u8], epoch: &str) -> Result<(), StoreError> {
    if found.is_empty() || found == epoch.as_bytes() {
        return Ok(());
    }
    Err(StoreError::Foreign {
        place: place.to_owned(),
        found: String::from_utf8_lossy(found).into_owned(),
        own: epoch.to_owned(),
    })
}

/// A file that goes with its last handle, in a folder.
fn unnamed(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("{}{UNNAMED}", Uuid::new_v4()));
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    let file = options.mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn name(id: Uuid) -> Name {
    Name::from(id.to_string())
}

/// Why the disk refused, as an answer.
fn on_disk(error: &object_store::Error) -> Problem {
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
