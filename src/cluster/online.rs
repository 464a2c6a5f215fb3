//! Who is online, between nodes: each tells who came to it and who left it, and now and then all
//! that are there, so that what was lost is made good and a node that died is forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::link::Link;
use crate::bus::Hub;
use crate::log::UserId;

/// How often a node tells all.
const ALL: Duration = Duration::from_secs(3);

/// How long a node may be silent.
const SILENT: Duration = Duration::from_secs(10);

/// Who comes and goes within this is told at once.
const GATHERED: Duration = Duration::from_millis(50);

/// What a node tells.
#[derive(Serialize, Deserialize)]
struct News {
    node: Uuid,
    /// Whether these are all that are there.
    all: bool,
    on: Vec<UserId>,
    off: Vec<UserId>,
}

/// Tells and hears who is online, for as long as the server runs.
pub(super) async fn run(link: Link, node: Uuid, hub: Arc<Hub>) {
    let subject = link.subject("online");
    let mut told = BTreeSet::new();
    let mut all = interval(ALL);
    all.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut heard = match link.client().subscribe(subject.clone()).await {
            Ok(heard) => heard,
            Err(error) => {
                tracing::debug!(%error, "listening to who is online");
                sleep(ALL).await;
                continue;
            }
        };
        loop {
            tokio::select! {
                message = heard.next() => {
                    let Some(message) = message else { break };
                    match serde_json::from_slice::<News>(&message.payload) {
                        Ok(news) if news.node != node => {
                            hub.heard_of(news.node, news.all, &news.on, &news.off);
                        }
                        _ => {}
                    }
                }
                () = hub.presence_changed() => {
                    sleep(GATHERED).await;
                    let here = hub.here();
                    let news = News {
                        node,
                        all: false,
                        on: here.difference(&told).copied().collect(),
                        off: told.difference(&here).copied().collect(),
                    };
                    tell(&link, &news).await;
                    told = here;
                }
                _ = all.tick() => {
                    told = hub.here();
                    let on = told.iter().copied().collect();
                    tell(&link, &News { node, all: true, on, off: Vec::new() }).await;
                    hub.forget_silent(SILENT);
                }
            }
        }
    }
}

/// Nobody is at this node any more.
pub(super) async fn leave(link: &Link, node: Uuid) {
    let (on, off) = (Vec::new(), Vec::new());
    tell(
        link,
        &News {
            node,
            all: true,
            on,
            off,
        },
    )
    .await;
    // Without NATS nobody hears it, and it is forgotten by its silence.
    let _ = tokio::time::timeout(GATHERED * 10, link.client().flush()).await;
}

async fn tell(link: &Link, news: &News) {
    // What would wait for NATS to come back is told anew then.
    if !link.is_connected() {
        return;
    }
    let Ok(bytes) = serde_json::to_vec(news) else {
        return;
    };
    let told = link.client().publish(link.subject("online"), bytes.into());
    if let Err(error) = told.await {
        tracing::debug!(%error, "telling who is online");
    }
}
