//! What only those are told who are there, between nodes: the one that decides tells the others,
//! once. What is lost on the way is lost, as it is to who is not there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use uuid::Uuid;

use super::forward::{pack, unpack};
use super::link::Link;
use crate::bus::{Frame, Hub, Live, Recipients};
use crate::log::UserId;

/// The name under which it travels.
const SUBJECT: &str = "live";

/// How much of it may be on its way at once.
pub(super) const AT_ONCE: usize = 64;

/// How soon listening is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Whom something is for; the event itself is behind it.
#[derive(Serialize, Deserialize)]
struct Head {
    node: Uuid,
    /// These users, or everybody.
    to: Option<Vec<UserId>>,
}

/// Tells the other nodes.
pub(super) async fn tell(link: &Link, node: Uuid, to: Recipients, frame: Arc<Frame>) {
    // What would wait for NATS to come back would come too late.
    if !link.is_connected() {
        return;
    }
    let to = match to {
        Recipients::Everyone => None,
        Recipients::These { users, count } => Some(users.iter().take(count).copied().collect()),
    };
    let Ok(told) = pack(&Head { node, to }, frame.text()) else {
        return;
    };
    if let Err(error) = link.client().publish(link.subject(SUBJECT), told).await {
        tracing::debug!(%error, "telling other nodes what is live");
    }
}

/// Hears the other nodes, for as long as the server runs.
pub(super) async fn run(link: Link, node: Uuid, hub: Arc<Hub>) {
    loop {
        match link.client().subscribe(link.subject(SUBJECT)).await {
            Ok(mut heard) => {
                while let Some(message) = heard.next().await {
                    if let Some(live) = read(&message.payload, node) {
                        hub.tell(live);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "listening to what is live"),
        }
        sleep(AGAIN).await;
    }
}

/// What another node told; none where it is this one's own, or nothing that a node tells.
fn read(told: &Bytes, own: Uuid) -> Option<Live> {
    let (Head { node, to }, text) = unpack(told)?;
    let to = match to {
        None => Recipients::Everyone,
        Some(users) => Recipients::These {
            count: users.len(),
            users: users.into(),
        },
    };
    let frame = Arc::new(Frame::relayed(&text));
    (node != own).then_some(Live { to, frame })
}
