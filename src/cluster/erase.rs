//! Erasing in the stream the texts of what is gone: each node knows where they lie, and that is
//! in its log until it is done. The node that decides does so at once; the others look a while later
//! whether it has.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::link::{Link, LinkError};
use super::role::Role;
use crate::bus::Bus;
use crate::log::LogError;
use crate::log::reader::Reader;

/// Texts erased in one go.
const AT_ONCE: usize = 256;

/// How long a node leaves to the one that decides, of the minute that is promised.
const LEFT: Duration = Duration::from_secs(10);

/// How soon what failed is tried again, and how often it is looked for answers that are old.
const AGAIN: Duration = Duration::from_secs(5);

/// Erases texts for as long as the server runs.
pub(super) struct Eraser {
    pub(super) link: Link,
    pub(super) role: Arc<Role>,
    pub(super) bus: Bus,
    pub(super) reader: Reader,
}

#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Eraser {
    pub(super) async fn run(self) {
        loop {
            match self.step().await {
                Ok(AT_ONCE) => continue,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "erasing texts in the stream"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn step(&self) -> Result<usize, EraseError> {
        let now = self.bus.now();
        let trash = self
            .reader
            .read(move |r| r.stream_trash(now, AT_ONCE))
            .await?;
        if trash.is_empty() {
            return Ok(0);
        }
        if self.role.leader().is_some() {
            sleep(LEFT).await;
        }
        let mut erased = Vec::with_capacity(trash.len());
        for seq in trash {
            self.link.erase(seq).await?;
            erased.push(seq);
        }
        let count = erased.len();
        let forgotten = self
            .bus
            .maintain(Box::new(move |log| log.forget_texts(&erased)));
        if let Err(error) = forgotten.await {
            tracing::debug!(%error, "forgetting texts of the stream");
        }
        Ok(count)
    }
}
