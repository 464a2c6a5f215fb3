//! Following the stream: what every node appends, in its order, without a hole.
//!
//! NATS tells each message as it takes it. That may be lost, so the sequences are watched: what is
//! missing is read from the stream, and once in a while it is asked how far that goes. So there is
//! no consumer in NATS that could die with its server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::link::{Link, LinkError, Stored, read_texts, told};
use super::role::Role;
use super::wire::{Batch, Texts};

/// Batches that wait for the writer.
pub(super) const WAITING: usize = 64;

/// How often it is asked how far the stream goes, while nothing is told.
const LOOK: Duration = Duration::from_secs(1);

/// After so many answers that did not come another NATS server is asked.
const PATIENT: u32 = 3;

/// Messages asked for at once where many are missing.
const AT_ONCE: usize = 32;

/// Bytes of texts that are kept until their batch comes.
const KEPT: usize = 8 << 20;

/// A batch from the stream.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) seq: u64,
    pub(super) batch: Batch,
    /// Whether it was told as it was appended: else it may be old.
    pub(super) is_new: bool,
    /// Its texts, those that were not erased; none where they were not asked for.
    pub(super) texts: Option<Vec<(u64, Texts)>>,
}

/// What is handed to the writer: a batch, or why there will be no more.
pub(super) type Handed = Result<Incoming, FollowError>;

/// Why the stream can't be followed any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The next batch is not there.
    #[error("the stream does not reach back to {0} any more: this node goes on from a snapshot")]
    Trimmed(u64),
    /// What lies in it can't be read.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Reads the stream on and on.
pub(super) struct Follower {
    link: Link,
    /// This node's, whose own batches come back.
    role: Arc<Role>,
    /// The next sequence.
    next: u64,
    out: mpsc::Sender<Handed>,
    /// Tells the writer that there is something.
    wake: Arc<dyn Fn() + Send + Sync>,
    texts: Cache,
}

/// Texts as they were told, until their batch comes.
#[derive(Default)]
struct Cache {
    by_seq: HashMap<u64, Stored>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Follower {
    pub(super) fn new(
        link: Link,
        role: Arc<Role>,
        next: u64,
        out: mpsc::Sender<Handed>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            link,
            role,
            next,
            out,
            wake,
            texts: Cache::default(),
        }
    }

    /// Follows until nobody takes what is handed on, or the stream can't be followed.
    pub(super) async fn run(mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let (mut batches, mut texts) = match self.link.listen().await {
                Ok(listening) => listening,
                Err(error) => {
                    tracing::debug!(%error, "listening");
                    continue;
                }
            };
            if let Err(error) = self.listen(&mut batches, &mut texts).await {
                tracing::error!(%error, "following the stream");
                if matches!(error, FollowError::Trimmed(_)) {
                    self.role.leave_behind();
                }
                // The writer may have ended.
                let _ = self.out.send(Err(error)).await;
                (self.wake)();
                return;
            }
            if self.out.is_closed() {
                return;
            }
        }
    }

    /// Hands on what is told, and what was missed, until the subscriptions end.
    async fn listen(
        &mut self,
        batches: &mut Subscriber,
        texts: &mut Subscriber,
    ) -> Result<(), FollowError> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        while !self.out.is_closed() {
            tokio::select! {
                biased;
                message = texts.next() => {
                    let Some(message) = message else { return Ok(()) };
                    self.texts.put(told(&message));
                }
                message = batches.next() => {
                    let Some(message) = message else { return Ok(()) };
                    let Some(stored) = told(&message) else { continue };
                    look.reset();
                    if stored.seq > self.next {
                        self.read_up_to(stored.seq - 1).await?;
                    }
                    if stored.seq == self.next {
                        let incoming = self.unpack(stored).await?;
                        self.hand(incoming).await;
                    }
                }
                _ = look.tick() => {
                    match self.link.bounds().await {
                        Ok((_, last)) => {
                            failed = 0;
                            self.read_up_to(last).await?;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "looking for what was missed");
                            failed += 1;
                            if failed % PATIENT == 0 && self.link.is_connected() {
                                self.link.move_on().await;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads what was not told, several messages at once; gives up for now where NATS fails.
    async fn read_up_to(&mut self, last: u64) -> Result<(), FollowError> {
        let (link, node) = (self.link.clone(), self.role.node());
        let mut missing = stream::iter(self.next..=last)
            .map(|seq| {
                let link = link.clone();
                async move { (seq, load(&link, seq, Some(node)).await) }
            })
            .buffered(AT_ONCE);
        while let Some((seq, loaded)) = missing.next().await {
            match loaded {
                Ok(Some(incoming)) => self.hand(incoming).await,
                Ok(None) => return Err(FollowError::Trimmed(seq)),
                Err(error @ LinkError::Wire(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%error, "reading what was missed");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn unpack(&mut self, stored: Stored) -> Result<Incoming, FollowError> {
        let seq = stored.seq;
        let batch = Batch::decode(seq, &stored.bytes).map_err(LinkError::from)?;
        if batch.node == self.role.node() {
            return Ok(Incoming {
                seq,
                batch,
                is_new: true,
                texts: None,
            });
        }
        let mut texts = Vec::with_capacity(batch.texts.len());
        let mut missing = Vec::new();
        for seq in &batch.texts {
            match self.texts.take(*seq) {
                Some(stored) => texts.push((*seq, read_texts(&stored)?)),
                None => missing.push(*seq),
            }
        }
        if let Some(last) = batch.texts.last() {
            // Texts lie in the order of their batches, so what is older was nobody's.
            self.texts.drop_up_to(*last);
        }
        loop {
            match load_texts(&self.link, &missing).await {
                Ok(found) => {
                    texts.extend(found);
                    let texts = Some(texts);
                    return Ok(Incoming {
                        seq,
                        batch,
                        is_new: true,
                        texts,
                    });
                }
                Err(error @ LinkError::Wire(_)) => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "reading texts"),
            }
            tokio::time::sleep(LOOK / 10).await;
        }
    }

    async fn hand(&mut self, incoming: Incoming) {
        self.next = incoming.seq + 1;
        // The writer knows of its own already, as a rule: it need not be woken for them.
        let is_news = incoming.texts.is_some();
        // It may have ended.
        let _ = self.out.send(Ok(incoming)).await;
        if is_news {
            (self.wake)();
        }
    }
}

/// A batch with its texts, but those of `own`.
pub(super) async fn load(
    link: &Link,
    seq: u64,
    own: Option<Uuid>,
) -> Result<Option<Incoming>, LinkError> {
    let Some(stored) = link.batch(seq).await? else {
        return Ok(None);
    };
    let batch = Batch::decode(seq, &stored.bytes)?;
    let texts = if own == Some(batch.node) {
        None
    } else {
        Some(load_texts(link, &batch.texts).await?)
    };
    Ok(Some(Incoming {
        seq,
        batch,
        is_new: false,
        texts,
    }))
}

async fn load_texts(link: &Link, seqs: &[u64]) -> Result<Vec<(u64, Texts)>, LinkError> {
    let mut loading = stream::iter(seqs.iter().copied())
        .map(|seq| async move { (seq, link.texts(seq).await) })
        .buffered(AT_ONCE);
    let mut found = Vec::with_capacity(seqs.len());
    while let Some((seq, texts)) = loading.next().await {
        if let Some(texts) = texts? {
            found.push((seq, texts));
        }
    }
    Ok(found)
}

impl Cache {
    fn put(&mut self, stored: Option<Stored>) {
        let Some(stored) = stored else { return };
        self.bytes += stored.bytes.len();
        self.order.push_back(stored.seq);
        self.by_seq.insert(stored.seq, stored);
        while self.bytes > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.take(oldest);
        }
    }

    fn take(&mut self, seq: u64) -> Option<Stored> {
        let stored = self.by_seq.remove(&seq)?;
        self.bytes -= stored.bytes.len();
        Some(stored)
    }

    fn drop_up_to(&mut self, last: u64) {
        while let Some(oldest) = self.order.front().copied().filter(|seq| *seq <= last) {
            self.order.pop_front();
            self.take(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(seq: u64, length: usize) -> Option<Stored> {
        let bytes = vec![0; length].into();
        Some(Stored { seq, bytes })
    }

    #[test]
    fn texts_are_kept_until_they_are_taken_within_their_room() {
        let mut cache = Cache::default();
        for seq in 1..=9 {
            cache.put(stored(seq, KEPT / 4));
        }
        assert!(cache.take(1).is_none() && cache.take(9).is_some());
        assert!(cache.bytes <= KEPT);
        cache.drop_up_to(9);
        assert_eq!(
            (cache.bytes, cache.by_seq.len(), cache.order.len()),
            (0, 0, 0)
        );
    }
}
