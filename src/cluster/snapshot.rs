//! Snapshots for new nodes, in JetStream's object store: copies of a node's log without texts. The
//! node that decides makes them, and the stream is trimmed behind the older of the newest two.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::object_store::{Config as BucketConfig, ObjectMetadata, ObjectStore};
use futures_util::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};

use super::link::{Link, LinkError};
use super::role::Role;
use crate::bus::{Bus, causes};
use crate::log::sqlite::{self, Copy, Put, copy};
use crate::log::{LogError, Pos};
use crate::objects::sync_parent;

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(5);

/// Texts read at once into a copy, and asked for at once.
const PAGE: usize = 4096;
const AT_ONCE: usize = 128;

/// What a copy is called in the data folder while it is made or read; the next start takes it away.
const COPY: &str = "veche.copy";

/// What a snapshot says of itself.
const META_POS: &str = "veche-pos";

/// Why a snapshot can't be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// NATS refuses.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// SQLite refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file can't be written.
    #[error("the copy of the log can't be written")]
    File(#[from] std::io::Error),
    /// Making it panicked.
    #[error("making it panicked")]
    Panicked,
}

/// A snapshot that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Saved {
    /// The stream's sequence up to which it goes.
    pub(super) seq: u64,
    /// The position.
    pub(super) pos: Pos,
}

fn refused<E: Into<async_nats::Error>>(what: &'static str) -> impl FnOnce(E) -> LinkError {
    move |error| LinkError::Nats {
        what,
        source: error.into(),
    }
}

impl Link {
    /// The bucket of snapshots.
    async fn bucket(&self) -> Result<ObjectStore, LinkError> {
        let bucket = format!("{}-snapshots", self.name());
        let jetstream = self.jetstream();
        if let Ok(found) = jetstream.get_object_store(&bucket).await {
            return Ok(found);
        }
        let config = BucketConfig {
            bucket,
            num_replicas: self.replicas(),
            ..BucketConfig::default()
        };
        let made = jetstream.create_object_store(config).await;
        made.map_err(refused("making the bucket of snapshots"))
    }

    /// The snapshots that are there, the oldest first.
    pub(super) async fn snapshots(&self) -> Result<Vec<Saved>, LinkError> {
        let bucket = self.bucket().await?;
        let mut list = bucket
            .list()
            .await
            .map_err(refused("listing the snapshots"))?;
        let mut found = Vec::new();
        while let Some(info) = list.next().await {
            let info = info.map_err(refused("listing the snapshots"))?;
            let pos = info.metadata.get(META_POS).and_then(|pos| pos.parse().ok());
            if let (Ok(seq), Some(pos)) = (info.name.parse(), pos) {
                found.push(Saved { seq, pos });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(super) async fn save(&self, saved: Saved, file: &Path) -> Result<(), SnapshotError> {
        let bucket = self.bucket().await?;
        let mut file = File::open(file).await?;
        let metadata = ObjectMetadata {
            name: format!("{:020}", saved.seq),
            metadata: [(META_POS.to_owned(), saved.pos.to_string())].into(),
            ..ObjectMetadata::default()
        };
        let put = bucket.put(metadata, &mut file).await;
        put.map_err(refused("saving a snapshot"))?;
        Ok(())
    }

    async fn fetch(&self, saved: Saved, file: &Path) -> Result<(), SnapshotError> {
        let bucket = self.bucket().await?;
        let mut found = bucket
            .get(format!("{:020}", saved.seq))
            .await
            .map_err(refused("reading a snapshot"))?;
        let mut out = File::create(file).await?;
        tokio::io::copy(&mut found, &mut out).await?;
        out.flush().await?;
        Ok(())
    }

    async fn forget(&self, saved: Saved) -> Result<(), LinkError> {
        let bucket = self.bucket().await?;
        let deleted = bucket.delete(format!("{:020}", saved.seq)).await;
        deleted.map_err(refused("forgetting a snapshot"))
    }
}

/// Makes snapshots for as long as the server runs.
pub(super) struct Keeper {
    pub(super) link: Link,
    pub(super) role: Arc<Role>,
    pub(super) bus: Bus,
    pub(super) data: PathBuf,
    /// After so many facts.
    pub(super) every: u64,
}

impl Keeper {
    pub(super) async fn run(self) {
        let (mut newest, mut fails) = (None, false);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if !self.role.leads() {
                (newest, fails) = (None, false);
                continue;
            }
            match self.step(newest).await {
                Ok(pos) => {
                    if std::mem::take(&mut fails) {
                        tracing::info!("snapshots for new nodes are saved again");
                    }
                    newest = Some(pos);
                }
                // Said once: it is tried again and again.
                Err(error) if !fails => {
                    fails = true;
                    tracing::warn!(error = causes(&error), "saving a snapshot for new nodes");
                }
                Err(error) => tracing::debug!(error = causes(&error), "saving a snapshot"),
            }
        }
    }

    /// Saves a snapshot and trims, if it is time; gives the position of the newest.
    async fn step(&self, newest: Option<Pos>) -> Result<Pos, SnapshotError> {
        let newest = match newest {
            Some(pos) => pos,
            None => self
                .link
                .snapshots()
                .await?
                .last()
                .map_or(0, |saved| saved.pos),
        };
        if self.bus.durable_pos().saturating_sub(newest) < self.every {
            return Ok(newest);
        }
        let copied = make_copy(&self.data).await?;
        let saved = copied.saved;
        self.link.save(saved, copied.path()).await?;
        drop(copied);
        let all = self.link.snapshots().await?;
        if let [older @ .., before, _] = all.as_slice() {
            for old in older {
                self.link.forget(*old).await?;
            }
            self.link.trim(before.seq).await?;
        }
        tracing::info!(saved.seq, saved.pos, "saved a snapshot for new nodes");
        Ok(saved.pos)
    }
}

/// A copy of a node's log, which is taken away again.
pub(super) struct Copied {
    file: PathBuf,
    /// Up to where it goes.
    pub(super) saved: Saved,
}

impl Copied {
    pub(super) fn path(&self) -> &Path {
        &self.file
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::warn!(%error, "taking away a copy of the log");
        }
    }
}

/// Copies a data folder's log, without its texts.
pub(super) async fn make_copy(data: &Path) -> Result<Copied, SnapshotError> {
    let file = data.join(COPY);
    clear(&file)?;
    let (from, to) = (sqlite::file(data), file.clone());
    let made = tokio::task::spawn_blocking(move || copy(&from, &to)).await;
    let (seq, pos) = made.map_err(|_| SnapshotError::Panicked)??;
    let saved = Saved { seq, pos };
    Ok(Copied { file, saved })
}

/// Takes away what an earlier one left.
fn clear(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the newest snapshot in place of a data folder's log, with its texts; false where there is
/// none.
pub(super) async fn restore(link: &Link, data: &Path) -> Result<bool, SnapshotError> {
    let file = data.join(COPY);
    clear(&file)?;
    let Some(newest) = link.snapshots().await?.pop() else {
        return Ok(false);
    };
    tracing::info!(newest.seq, newest.pos, "reading a snapshot");
    link.fetch(newest, &file).await?;
    let mut copy = Copy::open(&file)?;
    let (mut after, mut missing) = (0, 0);
    loop {
        let page = copy.texts(after, PAGE)?;
        let Some((last, _)) = page.last().copied() else {
            break;
        };
        let mut reading = stream::iter(page)
            .map(|(seq, id)| async move { (id, link.texts(seq).await) })
            .buffered(AT_ONCE);
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        while let Some((id, texts)) = reading.next().await {
            match texts? {
                None => gone.push(id),
                // What it belongs to: a text that took another's place was a later fact's.
                Some(texts) => found.extend(texts.texts.into_iter().map(|text| match text.key {
                    Some((user, key)) => Put::Answer(user, key, text.text),
                    None => Put::Beside(texts.of, text.text),
                })),
            }
        }
        copy.put(&found, &gone)?;
        missing += gone.len();
        after = last;
    }
    if missing > 0 {
        // Those that were removed since are told of by the facts that follow.
        tracing::warn!(
            missing,
            "texts of the snapshot are in the stream no more: what they belong to was removed since, or NATS has lost them"
        );
    }
    drop(copy);
    fs::File::open(&file)?.sync_all()?;
    let database = sqlite::file(data);
    // What belongs to the old one must not be taken for the new one's.
    for extension in ["db-wal", "db-shm"] {
        clear(&database.with_extension(extension))?;
    }
    fs::rename(&file, &database)?;
    sync_parent(&database)?;
    Ok(true)
}
