//! A server that was alone becomes a cluster's first node: its history becomes the stream's.
//!
//! The stream must be new, and made by this node: it says there that a history is to come, and until
//! that is done no other node joins. The texts are brought to their stream first, then a snapshot, and
//! behind both one batch without a fact, from which on other nodes follow. What breaks off is done
//! again at the next start.

use std::path::Path;

use tokio::time::Instant;
use uuid::Uuid;

use super::ClusterError;
use super::append::Outcome;
use super::link::Link;
use super::snapshot::make_copy;
use super::wire::{Batch, FORMAT, Text, Texts};
use crate::log::sqlite::{Brought, Place, Placed, SqliteLog};
use crate::log::{AppendError, Log};

/// Texts on their way at once.
const PAGE: usize = 512;

/// How often it is told how many texts are there.
const TOLD: usize = 100 * PAGE;

/// How often a page of texts is tried, each for as long as a write waits for NATS.
const TRIES: usize = 10;

/// Brings all to the stream, in the name of `node`; gives the stream's sequence with that.
pub(super) async fn bring(
    link: &Link,
    data: &Path,
    local: &mut SqliteLog,
    node: Uuid,
) -> Result<u64, ClusterError> {
    if local.join_stream()?.is_none() {
        tracing::info!(
            facts = local.last(),
            "bringing this server's history to the stream"
        );
        local.unplace_texts()?;
        link.clear_texts().await?;
        bring_texts(link, local).await?;
        local.come_to(0)?;
    }
    let pos = local.last();
    let copied = make_copy(data).await?;
    link.save(copied.saved, copied.path()).await?;
    let id = Uuid::new_v4();
    let first = Batch {
        format: FORMAT,
        id,
        node,
        commands: Vec::new(),
        told: Vec::new(),
        texts: Vec::new(),
        records: Vec::new(),
    };
    let bytes = first.encode().map_err(|_| ClusterError::NotBrought)?;
    let deadline = Instant::now() + link.patience();
    match link.append(id, bytes.into(), 0, deadline).await {
        Outcome::Appended(seq) => {
            local.come_to(seq)?;
            tracing::info!(pos, "this server's history is the stream's");
            Ok(seq)
        }
        Outcome::Lost | Outcome::Unknown => Err(ClusterError::NotBrought),
    }
}

async fn bring_texts(link: &Link, local: &mut SqliteLog) -> Result<(), ClusterError> {
    let (mut place, mut count) = (Place::Messages(0), 0);
    while place != Place::End {
        let (texts, next) = local.texts_after(&place, PAGE)?;
        place = next;
        let lying: Vec<Texts> = texts.iter().map(travelling).collect();
        let seqs = append(link, &lying).await?;
        let placed = texts.iter().zip(seqs).map(|(text, seq)| Placed {
            id: text.of,
            seq,
            until: text.until,
            instead: false,
        });
        local.place_brought(&placed.collect::<Vec<_>>())?;
        count += texts.len();
        if count % TOLD == 0 && count > 0 {
            tracing::info!(count, "texts are in the stream");
        }
    }
    Ok(())
}

/// The sequences of texts, once they are in the stream.
async fn append(link: &Link, texts: &[Texts]) -> Result<Vec<u64>, ClusterError> {
    let page = Uuid::new_v4();
    for _ in 0..TRIES {
        let deadline = Instant::now() + link.patience();
        // NATS knows those that it has taken already.
        if let Some(seqs) = link.append_texts(page, texts, deadline).await {
            return Ok(seqs);
        }
    }
    Err(ClusterError::NotBrought)
}

fn travelling(text: &Brought) -> Texts {
    let Brought { of, text, key, .. } = text;
    Texts {
        of: *of,
        texts: vec![Text {
            pos: *of,
            text: text.clone(),
            key: key.clone(),
        }],
    }
}

impl From<AppendError> for ClusterError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full(error) | AppendError::Busy(error) | AppendError::Failed(error) => {
                Self::Log(error)
            }
            AppendError::Away | AppendError::Unknown | AppendError::Lost => Self::NotBrought,
        }
    }
}
