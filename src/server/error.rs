//! Why a server does not start.

use std::io;

use super::admin::SocketError;
use crate::bus::WorldError;
use crate::cluster::ClusterError;
use crate::http::{RouteError, TlsError};
use crate::log::{AppendError, LogError};
use crate::objects::StoreError;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Two features have one name.
    #[error("{0}")]
    Conflict(String),
    /// A feature refused its settings.
    #[error("{0}")]
    Feature(String),
    /// The data folder can't be used.
    #[error("the data folder {folder} can't be used")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Another server uses the data folder.
    #[error("another server uses the data folder {0}; stop it, or start this one with --data")]
    Locked(String),
    /// The log can't be opened.
    #[error("veche.db can't be opened")]
    Log(#[from] LogError),
    /// The index of texts can't be made, or dropped.
    #[error("the index of texts can't be kept")]
    Index(#[from] AppendError),
    /// A feature's objects can't be reached.
    #[error("the objects can't be reached")]
    Objects(#[from] StoreError),
    /// The log can't be folded.
    #[error("veche.db can't be read")]
    World(#[from] WorldError),
    /// This node can't be part of the cluster.
    #[error("[cluster]: this node can't take part")]
    Cluster(#[from] ClusterError),
    /// The address can't be listened on.
    #[error("{address} can't be listened on")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The administrators' socket can't be listened on.
    #[error("server.admin: {path} can't be listened on")]
    Admin {
        /// The socket.
        path: String,
        /// Why.
        source: SocketError,
    },
    /// The certificate and its key can't be used.
    #[error("[server.tls] can't be used")]
    Tls(#[from] TlsError),
    /// What systemd handed over is not one socket to listen on.
    #[error("what systemd handed over can't be listened on: it must be one TCP socket")]
    Activation(#[source] io::Error),
    /// Two paths are one.
    #[error("two routes collide")]
    Route(#[from] RouteError),
    /// The writer or the hub ended: by a fault of this program or of a feature, or because the
    /// cluster can't be followed.
    #[error("a part of the server ended; why stands above")]
    Broken,
    /// The cluster's log was trimmed beyond what this node has; it goes on from a snapshot.
    #[error("the cluster's log has left this node behind")]
    LeftBehind,
    /// The system refused a thread or a signal handler.
    #[error("the system refused")]
    System(#[from] io::Error),
}
