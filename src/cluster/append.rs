//! Appending: texts, and batches behind what is known to be the stream's end.

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::link::{AGAIN, Link};
use super::wire::{Batch, Texts};
use crate::bus::causes;

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is in the stream, with this sequence.
    Appended(u64),
    /// Another has its place.
    Lost,
    /// Nobody knows.
    Unknown,
}

impl Link {
    /// Appends texts, each as a message; gives their sequences, in the same order. None where not
    /// all were taken in time: then the batch can't be appended.
    pub(super) async fn append_texts(
        &self,
        batch: Uuid,
        texts: &[Texts],
        deadline: Instant,
    ) -> Option<Vec<u64>> {
        let mut seqs = vec![None; texts.len()];
        let subject = self.subject("text");
        loop {
            let mut under_way = Vec::new();
            let mut failed = None;
            for (index, texts) in texts.iter().enumerate() {
                if seqs.get(index).is_some_and(Option::is_some) {
                    continue;
                }
                let bytes = serde_json::to_vec(texts).ok()?;
                let message = PublishMessage::build()
                    .payload(bytes.into())
                    .message_id(format!("{batch}-{index}"));
                let sending = self.jetstream().send_publish(subject.clone(), message);
                match timeout_at(deadline, sending).await.ok()? {
                    Ok(ack) => under_way.push((index, ack)),
                    Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                        tracing::error!(%error, "appending a text");
                        return None;
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            for (index, ack) in under_way {
                match timeout_at(deadline, ack.into_future()).await.ok()? {
                    Ok(ack) => {
                        if let Some(seq) = seqs.get_mut(index) {
                            *seq = Some(ack.sequence);
                        }
                    }
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(seqs) = seqs.iter().copied().collect() {
                return Some(seqs);
            }
            let Some(error) = failed else { continue };
            tracing::debug!(%error, "appending a text");
            if !self.is_connected() || Instant::now() + AGAIN >= deadline {
                tracing::warn!(error = causes(&error), "NATS takes no texts");
                return None;
            }
            // It says the same while the stream has no leader.
            if error.kind() == PublishErrorKind::StreamNotFound {
                self.renew_texts(deadline).await;
            }
            sleep(AGAIN).await;
        }
    }

    /// Appends a batch, if the stream still ends at `expected`. It is tried again until its outcome
    /// is known: NATS knows its id.
    pub(super) async fn append(
        &self,
        id: Uuid,
        bytes: Bytes,
        expected: u64,
        deadline: Instant,
    ) -> Outcome {
        let subject = self.subject("batch");
        loop {
            let message = PublishMessage::build()
                .payload(bytes.clone())
                .message_id(id.to_string())
                .expected_last_sequence(expected);
            let publish = async {
                let sent = self.jetstream().send_publish(subject.clone(), message);
                sent.await?.await
            };
            match timeout_at(deadline, publish).await {
                Ok(Ok(ack)) => return Outcome::Appended(ack.sequence),
                Ok(Err(error)) if error.kind() == PublishErrorKind::WrongLastSequence => {
                    // Where an acknowledgement was lost, the one that is in the way is ours.
                    if let Ok(Some(stored)) = self.batch(expected + 1).await {
                        let theirs = Batch::decode(stored.seq, &stored.bytes);
                        return match theirs {
                            Ok(theirs) if theirs.id == id => Outcome::Appended(stored.seq),
                            _ => Outcome::Lost,
                        };
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "appending a batch"),
                Err(_) => return Outcome::Unknown,
            }
            if Instant::now() + AGAIN >= deadline {
                return Outcome::Unknown;
            }
            sleep(AGAIN).await;
        }
    }
}
