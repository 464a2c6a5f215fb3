//! The features' work beside the server, and where they listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Core, ServeError};
use crate::config::{Config, listen};
use crate::counts::COUNTS;
use crate::feature::{Features, Listen};
use crate::http::{Door, Places, Tls};
use crate::settings::quoted;

/// How long the features' work has to end by itself, from when requests are done.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Where features listen, by their names.
pub(super) type Doors = BTreeMap<&'static str, Vec<Door>>;

/// Whether the features could listen where they want to: by what the addresses are, not by who has them.
pub(crate) fn check_doors(config: &Config, features: &Features) -> Result<(), ServeError> {
    let mut wrong = Vec::new();
    for feature in features.iter() {
        for door in feature.listens() {
            let setting = name(feature.name(), &door);
            if let Err(why) = listen(&door.address) {
                wrong.push(format!("{setting}: {why}"));
            } else if door.tls && config.tls.pair().is_none() {
                let address = quoted(&door.address);
                wrong.push(format!(
                    "{setting}: {address} needs a certificate, and [server.tls] has none"
                ));
            }
        }
    }
    match wrong[..] {
        [] => Ok(()),
        _ => Err(ServeError::Feature(wrong.join("\n"))),
    }
}

/// What config.toml calls the setting that says where a feature listens.
fn name(feature: &str, door: &Listen) -> String {
    format!("features.{feature}.{}", door.setting)
}

/// Listens wherever the features do, which [`check_doors`] has allowed.
pub(super) async fn open_doors(
    config: &Config,
    features: &Features,
    tls: Option<&Arc<Tls>>,
) -> Result<Doors, ServeError> {
    let server = &config.server;
    let mut doors = Doors::new();
    for feature in features.iter() {
        for wanted in feature.listens() {
            let secure = wanted.tls;
            let tls = tls.filter(|_| secure).cloned();
            let places = Arc::new(Places::new(server.per_address, server.exempt()));
            let labels = [feature.name(), wanted.setting];
            let open = COUNTS.feature_connections.with_label_values(&labels);
            let patience = server.head_timeout.to_std();
            let door = Door::open(&wanted.address, tls, places, open, patience).await;
            let opened = door.and_then(|door| Ok((door.address()?, door)));
            let (address, door) = opened.map_err(|source| ServeError::Listen {
                address: format!("{}: {}", name(feature.name(), &wanted), wanted.address),
                source,
            })?;
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
