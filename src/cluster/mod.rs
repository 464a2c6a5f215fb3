//! Many nodes as one server: the log is a stream of NATS JetStream, and the only thing that they
//! share.
//!
//! A batch is appended with the last sequence that its node knows, so of two that append at once
//! one alone can win; the other folds what won and decides again. Every node follows the stream
//! into its own SQLite, so that reads and event streams are the same code as on one machine.
//! There is no lease and no consensus of our own: safety is the expected sequence alone.
//!
//! - `wire.rs`: batches and texts as they travel.
//! - `connect.rs`: to NATS, and the streams made; `link.rs`: what is asked of them, with every wait bounded;
//!   `append.rs`: what is added to them.
//! - `log.rs`: the log that the writer has: staged in SQLite, appended to the stream, committed.
//! - `follow.rs`: what the stream takes, in order and without a hole.
//! - `role.rs`: who decides: whoever appended last.
//! - `lead.rs`, `forward.rs`: the others hand commands on to it, and notice that it is gone.
//! - `duty.rs`: which node does what one alone is to do.
//! - `online.rs`: who is online, by each node's word; `live.rs`: what else only those are told who
//!   are there.
//! - `bring.rs`: the history of a server that was alone becomes the stream's.
//! - `snapshot.rs`: copies of the log for new nodes; the stream is trimmed behind them.
//! - `erase.rs`: texts that are gone here, or that no batch came to name, are erased in the stream.

mod append;
mod bring;
mod connect;
mod duty;
mod erase;
mod follow;
mod forward;
mod lead;
mod link;
mod live;
mod log;
mod online;
mod role;
mod snapshot;
mod wire;

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use self::bring::bring;
use self::erase::Eraser;
use self::follow::{Follower, Handed, WAITING};
use self::lead::Peers;
use self::link::{Link, LinkError};
use self::role::Role;
use self::snapshot::{Keeper, SnapshotError, restore};
use crate::bus::{Bus, Hub, Others};
use crate::config::Cluster as Settings;
use crate::log::reader::Reader;
use crate::log::sqlite::SqliteLog;
use crate::log::{Log, LogError};

pub(crate) use forward::Asked;
pub(crate) use log::ClusterLog;

/// Why a node can't be part of the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// NATS refuses, or is not there.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The data folder can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The data folder has facts that the stream can't have.
    #[error(
        "the data folder is that of a server that was alone, and the stream has gone on without what \
         lies in it: start this node with an empty folder; to make a cluster of this folder, name \
         another stream"
    )]
    Alone,
    /// The history that was to come to the stream is not there yet.
    #[error(
        "the stream waits for the history of a server that was alone, which did not bring it there \
         to its end: start that one first, or name another stream"
    )]
    NotBroughtYet,
    /// It can't be brought there now.
    #[error("NATS did not take this server's history: start it again, and it tries again")]
    NotBrought,
    /// Both have facts, and not the same.
    #[error(
        "the data folder holds another history ({own}) than the stream ({theirs}): start this node \
         with an empty folder to join that one; to make a cluster of this folder, name another \
         stream, and start this node first"
    )]
    OtherHistory {
        /// The folder's epoch.
        own: String,
        /// The stream's.
        theirs: String,
    },
    /// The stream is not there any more.
    #[error(
        "this node has followed a stream up to {own}, and there is no stream `{stream}`: it was deleted, or \
         NATS has lost its data, or another name was meant. Restore NATS's data; or, to make a cluster of \
         what this folder has, start it once without [cluster], and then with it, before all other nodes"
    )]
    Gone {
        /// Its name.
        stream: String,
        /// How far this node has come.
        own: u64,
    },
    /// It is another one.
    #[error(
        "this node has followed another stream up to {own} than the one that is called `{stream}` now: that \
         one was deleted and made again. Start this node with an empty folder to join it"
    )]
    Other {
        /// Its name.
        stream: String,
        /// How far this node has come.
        own: u64,
    },
    /// The stream has lost what was acknowledged.
    #[error(
        "this node has followed the stream up to {own}, and it ends at {last}: NATS has lost what \
         it had acknowledged; restore its data, or name another stream, start this node once without \
         [cluster], then with it, and the others with empty folders"
    )]
    Lost {
        /// How far this node has come.
        own: u64,
        /// The stream's last sequence.
        last: u64,
    },
    /// The stream begins after what this node has, and there is no snapshot.
    #[error(
        "the stream begins at {first}, this node has followed it up to {own} only, and there is no \
         snapshot"
    )]
    Trimmed {
        /// How far this node has come.
        own: u64,
        /// The stream's first sequence.
        first: u64,
    },
    /// The snapshot can't be read.
    #[error("a snapshot can't be read")]
    Snapshot(#[from] SnapshotError),
}

/// Whether the settings are such that a node could take part.
pub(crate) fn check(settings: &Settings) -> Result<(), ClusterError> {
    let secret = settings.secret().map_err(LinkError::Settings)?;
    drop(secret);
    Ok(())
}

/// A node's part in the cluster.
pub(crate) struct Cluster {
    link: Link,
    role: Arc<Role>,
    /// What follows, until it runs.
    following: (mpsc::Sender<Handed>, u64),
}

impl Cluster {
    /// Joins: the log that the writer gets, and the rest.
    pub(crate) async fn join(
        settings: &Settings,
        data: &Path,
        mut local: SqliteLog,
        text: usize,
    ) -> Result<(ClusterLog, Self), ClusterError> {
        let known = local.join_stream()?;
        let (own, pos) = (known.unwrap_or(0), local.last());
        let opened = Link::open(settings, local.epoch(), pos, own > 0, text).await;
        let (link, found) = opened.map_err(|error| match error {
            LinkError::Missing(stream) => ClusterError::Gone { stream, own },
            error => error.into(),
        })?;
        if found.epoch != local.epoch() {
            if local.last() > 0 {
                return Err(ClusterError::OtherHistory {
                    own: local.epoch().to_owned(),
                    theirs: found.epoch,
                });
            }
            local.set_epoch(&found.epoch)?;
        }
        let role = Arc::new(Role::new());
        let mut own = own;
        if own > 0
            && let (Some(theirs), Some(own)) = (&found.id, local.stream_id()?)
            && *theirs != own
        {
            let stream = settings.stream.clone();
            let own = known.unwrap_or(0);
            return Err(ClusterError::Other { stream, own });
        }
        let (first, mut last) = (found.first, found.last);
        if local.last() > 0 && own == 0 {
            if last == 0 {
                own = bring(&link, data, &mut local, role.node()).await?;
                last = own;
            } else if known.is_none() || found.begins_after.is_none() {
                return Err(ClusterError::Alone);
            }
            // Else what it has is what the stream begins after, and it was killed before it noted
            // more: as it brought that, or with a snapshot of it. It follows from the beginning.
        } else if found.begins_after.is_some() && last == 0 {
            return Err(ClusterError::NotBroughtYet);
        }
        // An empty folder has nothing to lose by a snapshot, and one that the stream left behind
        // nothing else to go on from.
        if (local.last() == 0 || first > own + 1) && last > own {
            drop(local);
            restore(&link, data).await?;
            local = SqliteLog::open(data)?;
            own = local.join_stream()?.unwrap_or(0);
        }
        if own > last {
            return Err(ClusterError::Lost { own, last });
        }
        if first > own + 1 {
            return Err(ClusterError::Trimmed { own, first });
        }
        if let Some(id) = &found.id {
            local.set_stream_id(id)?;
        }
        let (out, incoming) = mpsc::channel(WAITING);
        tracing::info!(
            node = %role.node(), epoch = found.epoch, from = own, upto = last, "joined the cluster"
        );
        let log = ClusterLog::new(local, link.clone(), Arc::clone(&role), incoming, own, last);
        let cluster = Self {
            link,
            role,
            following: (out, own + 1),
        };
        Ok((log, cluster))
    }

    /// Begins to follow; `wake` tells the writer that something has come.
    pub(crate) fn follow(&self, wake: Arc<dyn Fn() + Send + Sync>) -> JoinHandle<()> {
        let (out, next) = self.following.clone();
        let (link, role) = (self.link.clone(), Arc::clone(&self.role));
        tokio::spawn(Follower::new(link, role, next, out, wake).run())
    }

    /// Whether the stream was trimmed beyond this node, so that it goes on from a snapshot alone.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.role.is_left_behind()
    }

    /// Begins to tell and to hear who is online, and to hear what only those are told who are there.
    pub(crate) fn tell_online(&self, hub: Arc<Hub>) -> JoinHandle<()> {
        let (link, node) = (self.link.clone(), self.role.node());
        tokio::spawn(async move {
            let live = live::run(link.clone(), node, Arc::clone(&hub));
            tokio::join!(online::run(link, node, hub), live);
        })
    }

    /// Tells the other nodes that this one stops.
    pub(crate) async fn leave(&self) {
        online::leave(&self.link, self.role.node()).await;
    }

    /// What the writer is to know of the other nodes.
    pub(crate) fn others(&self) -> Box<dyn Others> {
        Box::new(Peers {
            link: self.link.clone(),
            role: Arc::clone(&self.role),
            runtime: Handle::current(),
            under_way: Arc::new(Semaphore::new(1)),
            telling: Arc::new(Semaphore::new(live::AT_ONCE)),
        })
    }

    /// Begins to make snapshots for new nodes, one after so many facts.
    pub(crate) fn keep(&self, bus: Bus, data: &Path, every: u64) -> JoinHandle<()> {
        let keeper = Keeper {
            link: self.link.clone(),
            role: Arc::clone(&self.role),
            bus,
            data: data.to_owned(),
            every,
        };
        tokio::spawn(keeper.run())
    }

    /// Begins to erase in the stream what is gone here.
    pub(crate) fn erase(&self, bus: Bus, reader: Reader) -> JoinHandle<()> {
        let (link, role) = (self.link.clone(), Arc::clone(&self.role));
        tokio::spawn(
            Eraser {
                link,
                role,
                bus,
                reader,
                settling: None,
            }
            .run(),
        )
    }
}
