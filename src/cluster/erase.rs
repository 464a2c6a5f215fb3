//! Erasing in the stream the texts of what is gone: each node knows where they lie, and that is
//! in its log until it is done. The node that decides does so at once; the others look a while later
//! whether it has.
//!
//! Texts are appended before the batch that names them. That may never come: its node dies, NATS
//! vanishes, another node was first. So the texts' stream is swept: what is there when it is looked at
//! belongs to a batch that expects the log's stream to end no later than it does after that look. Once
//! this node has followed the log beyond that end, no such batch can come any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::link::{Link, LinkError};
use super::role::Role;
use crate::bus::Bus;
use crate::log::reader::{Reader, Reading};
use crate::log::{AppendError, LogError};

/// Texts erased in one go.
const AT_ONCE: usize = 256;

/// Texts swept in one go.
const SWEPT_AT_ONCE: u64 = 4096;

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
    /// Texts that are about to be swept.
    pub(super) settling: Option<Settling>,
}

/// Texts of which it will be known which of them are named.
#[derive(Clone, Copy)]
pub(super) struct Settling {
    /// The one before them, and the last of them.
    from: u64,
    upto: u64,
    /// Where the log's stream ended after they were looked at: beyond it no batch names them.
    end: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Eraser {
    pub(super) async fn run(mut self) {
        loop {
            match self.step().await {
                Ok(AT_ONCE) => continue,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "erasing texts in the stream"),
            }
            if let Err(error) = self.sweep().await {
                tracing::debug!(%error, "sweeping the texts' stream");
            }
            sleep(AGAIN).await;
        }
    }

    /// Finds out what nothing names, a part of that with each call.
    async fn sweep(&mut self) -> Result<(), EraseError> {
        let swept = self.reader.read(Reading::stream_swept).await?;
        match self.settling {
            None => {
                let (before, last) = self.link.text_bounds().await?;
                let from = swept.unwrap_or(0).max(before);
                if swept != Some(from) {
                    self.note_swept(from, from).await?;
                }
                let (upto, end) = (last.min(from + SWEPT_AT_ONCE), None);
                self.settling = (upto > from).then_some(Settling { from, upto, end });
            }
            // A step later than the look, so that a NATS server that was cut off by then is known to be.
            Some(settling @ Settling { end: None, .. }) => {
                let (_, last) = self.link.bounds().await?;
                let end = Some(last);
                self.settling = Some(Settling { end, ..settling });
            }
            Some(Settling { from, upto, end }) => {
                if Some(*self.role.reached().borrow()) > end {
                    self.note_swept(from, upto).await?;
                    self.settling = None;
                }
            }
        }
        Ok(())
    }

    async fn note_swept(&self, from: u64, upto: u64) -> Result<(), EraseError> {
        let noted = self
            .bus
            .maintain(Box::new(move |log| log.sweep_texts(from, upto)));
        Ok(noted.await?)
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
