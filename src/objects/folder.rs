//! Objects in a folder: each is a file.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use uuid::Uuid;

use super::{LOCK, SETTLED, Sharing, StoreError};
use crate::log::Log;

/// A folder, held for as long as this is.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Keeps others out.
    _lock: File,
}

impl Folder {
    pub(super) fn open(
        path: &Path,
        log: &dyn Log,
        sharing: Sharing,
    ) -> Result<(Self, Arc<dyn ObjectStore>), StoreError> {
        let name = || path.display().to_string();
        // What was sent in private lies in it: it is its owner's alone.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| StoreError::Folder {
                folder: name(),
                source,
            })?;
        sync_parent(path).map_err(|source| StoreError::Folder {
            folder: name(),
            source,
        })?;
        if is_anothers(path, log)? {
            return Err(StoreError::Unclaimed(name()));
        }
        let objects = LocalFileSystem::new_with_prefix(path)
            .map_err(|source| StoreError::Store {
                place: name(),
                source,
            })?
            .with_fsync(true);
        let folder = Self {
            path: path.to_owned(),
            _lock: lock(path, log.epoch(), sharing)?,
        };
        Ok((folder, Arc::new(objects)))
    }

    /// Deletes uploads that a crash broke off, and objects that no row names: their rows were
    /// never recorded. Files of other names are not ours.
    pub(super) fn sweep(&self, log: &dyn Log, sharing: Sharing) -> Result<(), StoreError> {
        let failed = |source| StoreError::Folder {
            folder: self.path.display().to_string(),
            source,
        };
        for entry in fs::read_dir(&self.path).map_err(failed)? {
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
                if modified.elapsed().unwrap_or(Duration::ZERO) < SETTLED {
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

    /// Takes away what the library leaves of an object that it could not finish: it writes beside the
    /// object's name, and counts from 1 there.
    pub(super) async fn clear(&self, id: Uuid) {
        let part = self.path.join(format!("{id}#1"));
        match tokio::fs::remove_file(&part).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, object = %id, "deleting what could not be finished");
            }
            _ => {}
        }
    }
}

/// Whose the objects in a folder are by its file `lock`: an error where they are another history's.
pub(super) fn owner(folder: &Path, epoch: &str) -> Result<(), StoreError> {
    match fs::read(folder.join(LOCK)) {
        Ok(found) => super::owned(&folder.display().to_string(), &found, epoch),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            let folder = folder.display().to_string();
            Err(StoreError::Folder { folder, source })
        }
    }
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
        .open(folder.join(LOCK))
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

/// Whether objects lie in a folder that nobody has claimed, and this history has none of them: it is
/// not to take them away as what a crash left.
fn is_anothers(folder: &Path, log: &dyn Log) -> Result<bool, StoreError> {
    let failed = |source| StoreError::Folder {
        folder: folder.display().to_string(),
        source,
    };
    if folder.join(LOCK).exists() {
        return Ok(false);
    }
    let mut has_any = false;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Ok(object) = name.to_string_lossy().parse::<Uuid>() else {
            continue;
        };
        if log.row_of(object)?.is_some() {
            return Ok(false);
        }
        has_any = true;
    }
    Ok(has_any)
}

/// Makes a folder's own entry durable, without which all that lies in it may be lost.
pub(crate) fn sync_parent(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
