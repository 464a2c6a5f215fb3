//! The features' work beside the server, and where they listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Core, ServeError};
use crate::config::Config;
use crate::feature::{Features, Listen};
use crate::http::{Door, Places, Tls};

/// How long the features' work has to end by itself, from when requests are done.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Where features listen, by their names.
pub(super) type Doors = BTreeMap<&'static str, Vec<Door>>;

/// Listens wherever the features do.
pub(super) async fn open_doors(
    config: &Config,
    features: &Features,
    tls: Option<&Arc<Tls>>,
) -> Result<Doors, ServeError> {
    let server = &config.server;
    let mut doors = Doors::new();
    for feature in features.iter() {
        for Listen {
            address,
            tls: secure,
        } in feature.listens()
        {
            if secure && tls.is_none() {
                let why = format!(
                    "feature {}: {address} needs a certificate, and [server.tls] has none",
                    feature.name()
                );
                return Err(ServeError::Feature(why));
            }
            let tls = tls.filter(|_| secure).cloned();
            let places = Arc::new(Places::new(server.per_address, server.exempt()));
            let door = Door::open(&address, tls, places, server.head_timeout.to_std()).await;
            let opened = door.and_then(|door| Ok((door.address()?, door)));
            let (address, door) =
                opened.map_err(|source| ServeError::Listen { address, source })?;
            tracing::info!(feature = feature.name(), %address, secure, "listening, too");
            doors.entry(feature.name()).or_default().push(door);
        }
    }
    Ok(doors)
}

/// Starts the features' work beside the server, each with its doors.
pub(super) fn run_features(
    core: &Arc<Core>,
    mut doors: Doors,
    stopping: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let names = core.features.names();
    names
        .into_iter()
        .map(|name| {
            let (core, stopping) = (Arc::clone(core), stopping.clone());
            let doors = doors.remove(name).unwrap_or_default();
            tokio::spawn(async move {
                if let Some(feature) = core.features.iter().find(|feature| feature.name() == name) {
                    feature.run(Arc::clone(&core), doors, stopping).await;
                }
            })
        })
        .collect()
}

/// Waits a moment for the features' work, which knows that the server stops, and ends the rest of it.
pub(super) async fn end_works(works: Vec<JoinHandle<()>>) {
    let until = tokio::time::Instant::now() + LAST_WORK;
    for mut work in works {
        if tokio::time::timeout_at(until, &mut work).await.is_err() {
            work.abort();
        }
    }
}
