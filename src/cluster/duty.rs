//! Which node does what one alone is to do: the one that decides.

use std::sync::Arc;

use tokio::time::sleep;

use super::Cluster;
use super::lead::AGAIN;
use crate::bus::{Answer, Bus, Decide};
use crate::chat::Fact;
use crate::log::Audience;

impl Cluster {
    /// Ends when this node decides. Where none does, it appends, and so becomes the one, unless
    /// another is first.
    pub(crate) async fn duty(&self, bus: &Bus) {
        let mut writers = self.role.watch();
        while !self.role.leads() {
            writers.mark_unchanged();
            if self.role.leader().is_none() {
                let role = Arc::clone(&self.role);
                let append: Decide = Box::new(move |tx| {
                    // Decided again where another was first: then there is one.
                    if role.leader().is_none() {
                        // It changes nothing, and is an append like any other.
                        let clients = Vec::new();
                        tx.core(&Fact::Seen { clients }, Audience::Nobody)?;
                    }
                    Ok(Answer::no_content())
                });
                if bus.submit(None, None, append).await.is_err() {
                    // NATS may be away.
                    sleep(AGAIN).await;
                }
            } else if writers.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends when another node decides.
    pub(crate) async fn relieved(&self) {
        let mut writers = self.role.watch();
        // It ends as well with the role itself, which lasts as long as the server.
        let _ = writers
            .wait_for(|writer| writer.is_some_and(|writer| writer != self.role.node()))
            .await;
    }
}
