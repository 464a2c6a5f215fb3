//! Brings messages into the index of texts, off the way of posts: some at a time, between two
//! batches, once enough wait. So a post costs nothing, and what is removed soon was never in it.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Bus, Health, causes};
use crate::log::LogError;
use crate::log::reader::Reader;

/// Messages that come into the index in one go, few enough to hold no post up.
const STEP: usize = 512;

/// How often it is looked whether enough wait.
const LOOK: Duration = Duration::from_secs(1);

/// How many are worth a word in the log.
const MANY: usize = 10_000;

/// Keeps the index no further behind than it may be.
pub(crate) struct Indexer {
    /// So many of the newest messages may be outside of it.
    pub(crate) behind: usize,
}

impl Indexer {
    /// Works until it is dropped.
    pub(crate) async fn run(self, bus: Bus, reader: Reader) {
        let mut seen = None;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let pos = bus.durable_pos();
            if seen == Some(pos) {
                continue;
            }
            match self.work(&bus, &reader).await {
                Ok(()) => seen = Some(pos),
                Err(error) => tracing::error!(%error, "looking for messages to index"),
            }
        }
    }

    /// Indexes until few enough wait.
    async fn work(&self, bus: &Bus, reader: &Reader) -> Result<(), LogError> {
        // Each step makes the index longer by a piece, and few large ones are better than many.
        let step = (self.behind / 8).clamp(1, STEP);
        let most = self.behind + MANY;
        let (mut count, mut is_told) = (0, false);
        loop {
            let waiting = reader.read(move |reading| reading.unindexed(most)).await?;
            let waiting = waiting.unwrap_or(0);
            if waiting < self.behind + step {
                break;
            }
            if waiting == most && !is_told {
                is_told = true;
                tracing::info!("indexing the texts of messages; those between are not found yet");
            }
            let step = (waiting - self.behind).min(STEP);
            let (done, is_done) = tokio::sync::oneshot::channel();
            let filled = bus.maintain(Box::new(move |log| {
                // Whoever counts may have gone.
                let _ = done.send(log.fill_index(step)?);
                Ok(())
            }));
            if let Err(error) = filled.await {
                tracing::error!(error = causes(&error), "indexing texts");
                break;
            }
            let now = is_done.await.unwrap_or(0);
            count += now;
            if now == 0 || bus.health() != Health::Ok {
                break;
            }
        }
        if is_told {
            tracing::info!(count, "indexed the texts of messages");
        }
        Ok(())
    }
}
