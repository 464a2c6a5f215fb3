//! Deletes the objects whose rows are gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Stores;
use crate::bus::Bus;
use crate::log::LogError;
use crate::log::reader::Reader;

/// Objects deleted at a time.
const AT_ONCE: usize = 256;

/// How soon what could not be deleted is tried again.
const RETRY: Duration = Duration::from_secs(20);

/// Works beside the server, woken by the writer when rows have gone.
pub(crate) struct Janitor {
    pub(crate) stores: Arc<Stores>,
    pub(crate) reader: Reader,
    pub(crate) bus: Bus,
}

impl Janitor {
    /// Works until it is dropped.
    pub(crate) async fn run(self) {
        tokio::join!(self.sweep(), self.clean_up());
    }

    /// Looks through the buckets once. What can't be asked now is asked again.
    async fn sweep(&self) {
        let started = SystemTime::now();
        while !self.stores.sweep(&self.reader, started).await {
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn clean_up(&self) {
        loop {
            self.clean().await;
            // The time is for what could not be deleted.
            let _ = tokio::time::timeout(RETRY, self.bus.removed()).await;
        }
    }

    /// Deletes all there is to delete; what fails stays to be tried again.
    async fn clean(&self) {
        loop {
            match self.step().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::error!(%error, "looking for objects to delete");
                }
            }
        }
    }

    /// Deletes some; says whether there may be more.
    async fn step(&self) -> Result<bool, LogError> {
        let trash = self.reader.read(|r| r.trash(AT_ONCE)).await?;
        let deleted = self.stores.delete(&trash).await;
        if deleted.is_empty() {
            return Ok(false);
        }
        let more = deleted.len() == AT_ONCE;
        let forgotten = self
            .bus
            .maintain(Box::new(move |log| log.forget(&deleted)))
            .await;
        if let Err(error) = forgotten {
            tracing::error!(%error, "noting that objects are deleted");
            return Ok(false);
        }
        Ok(more)
    }
}
