//! The way to NATS: the connection, the streams, and what is asked of them. Every wait is bounded.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{
    Config as StreamConfig, DirectGetErrorKind, RawMessageErrorKind, Stream,
};
use async_nats::{Client, Subscriber, connection};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::connect::{META_EPOCH, META_FORMAT, META_ID, META_POS, config, connect, found_or_made};
use super::wire::{FORMAT, Texts, WireError};
use crate::config::Cluster as Settings;
use crate::log::Pos;
use crate::time::Clock;

/// The longest wait for one answer of NATS, shorter than that for all tries together: a server
/// that dies takes its answers with it.
pub(super) const ONE_TRY: Duration = Duration::from_secs(1);

/// How soon what was refused or lost is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// The leader of a stream that has heard so long nothing of its peers may be it no more: they answer
/// once a second.
pub(super) const QUIET: Duration = Duration::from_secs(3);

/// The most bytes that a character of a text takes on its way, in it and in the answer kept beside it; and
/// what stands beside both.
const PER_CHARACTER: usize = 12;
const BESIDE: usize = 64 << 10;

/// Why the cluster's log can't be had, or not now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The settings lead nowhere.
    #[error("{0}")]
    Settings(String),
    /// No server answers.
    #[error("no NATS server can be reached")]
    Connect(#[from] async_nats::ConnectError),
    /// JetStream answers with an error, or not at all.
    #[error("NATS: {what}")]
    Nats {
        /// What was asked.
        what: &'static str,
        /// What it said.
        source: async_nats::Error,
    },
    /// It does not answer.
    #[error("NATS does not answer")]
    Silent,
    /// The stream is not one of ours.
    #[error("the stream `{0}` was not made by this program, for a chat of this name")]
    Foreign(String),
    /// The stream that this node has followed is not there.
    #[error("there is no stream `{0}`")]
    Missing(String),
    /// What NATS takes is too short.
    #[error(
        "NATS takes messages of at most {takes} bytes, and {needs} may be needed: raise its `max_payload`"
    )]
    Short {
        /// What it takes.
        takes: usize,
        /// What is needed.
        needs: usize,
    },
    /// What lies in it can't be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl LinkError {
    pub(super) fn nats(what: &'static str) -> impl FnOnce(async_nats::Error) -> Self {
        move |source| Self::Nats { what, source }
    }
}

/// A message that the stream holds.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) bytes: Bytes,
}

/// The connection and the streams.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    client: Client,
    jetstream: Context,
    log: Stream<()>,
    texts: Stream<()>,
    name: String,
    /// How the texts' stream is made, where it has to be made again.
    texts_config: Arc<StreamConfig>,
    replicas: usize,
    /// How long an append may take, with all its tries.
    patience: Duration,
}

/// What the stream says of itself.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) epoch: String,
    /// Names the stream itself: one that is deleted and made again is another. Older ones have none.
    pub(super) id: Option<String>,
    /// The position up to which its history is in no batch: it was that of a server that was alone.
    pub(super) begins_after: Option<Pos>,
    /// The first sequence that is still there, and the last.
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Link {
    /// Connects, and makes the streams where they are not there yet: for a history with this
    /// epoch.
    /// Where there is history up to `pos` already, they say that it is to come. What this node has
    /// followed already is not made again. A text has up to `text` characters.
    pub(super) async fn open(
        settings: &Settings,
        epoch: &str,
        pos: Pos,
        is_known: bool,
        text: usize,
    ) -> Result<(Self, Found), LinkError> {
        let client = connect(settings).await?;
        let (takes, needs) = (client.max_payload(), BESIDE + text * PER_CHARACTER);
        if takes < needs {
            return Err(LinkError::Short { takes, needs });
        }
        let jetstream = ContextBuilder::new().timeout(ONE_TRY).build(client.clone());
        let name = settings.stream.clone();
        let texts_name = format!("{name}-texts");
        let patience = settings.timeout.to_std();
        let deadline = Instant::now() + patience.max(Duration::from_secs(10));
        let log = config(&name, "batch", settings, epoch, pos);
        let texts = config(&texts_name, "text", settings, epoch, pos);
        // The texts first: where the log is there, they are, unless they were lost.
        let log = match found_or_made(&jetstream, &log, false, deadline).await {
            Err(LinkError::Missing(_)) if !is_known => {
                found_or_made(&jetstream, &texts, true, deadline).await?;
                found_or_made(&jetstream, &log, true, deadline).await?
            }
            found => {
                let found = found?;
                renewed(&jetstream, &texts, deadline).await?;
                found
            }
        };
        let info = log.cached_info();
        let metadata = &info.config.metadata;
        let (Some(format), Some(epoch)) = (metadata.get(META_FORMAT), metadata.get(META_EPOCH))
        else {
            return Err(LinkError::Foreign(name));
        };
        let format: u32 = format
            .parse()
            .map_err(|_| LinkError::Foreign(name.clone()))?;
        if format > FORMAT {
            return Err(WireError::Newer { found: format }.into());
        }
        let found = Found {
            epoch: epoch.clone(),
            id: metadata.get(META_ID).cloned(),
            begins_after: metadata.get(META_POS).and_then(|pos| pos.parse().ok()),
            first: info.state.first_sequence,
            last: info.state.last_sequence,
        };
        let (log_name, texts_name) = (name.clone(), texts_name);
        let link = Self {
            log: jetstream
                .get_stream_no_info(&log_name)
                .await
                .map_err(|error| LinkError::nats("naming the stream")(error.into()))?,
            texts: jetstream
                .get_stream_no_info(&texts_name)
                .await
                .map_err(|error| LinkError::nats("naming the stream")(error.into()))?,
            client,
            jetstream,
            name,
            texts_config: Arc::new(texts),
            replicas: settings.replicas.into(),
            patience,
        };
        Ok((link, found))
    }

    /// The connection, for what is not kept.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream.
    pub(super) fn jetstream(&self) -> &Context {
        &self.jetstream
    }

    /// What the log's stream is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// On how many servers what is made is to lie.
    pub(super) fn replicas(&self) -> usize {
        self.replicas
    }

    /// Trims the log's stream: the batches up to `seq` go.
    pub(super) async fn trim(&self, seq: u64) -> Result<(), LinkError> {
        let purged = self.log.purge().sequence(seq + 1).await;
        purged.map_err(|error| LinkError::nats("trimming the stream")(error.into()))?;
        Ok(())
    }

    /// Takes all texts away, while no batch names any.
    pub(super) async fn clear_texts(&self) -> Result<(), LinkError> {
        let purged = self.texts.purge().await;
        purged.map_err(|error| LinkError::nats("clearing the texts' stream")(error.into()))?;
        Ok(())
    }

    /// The sequence before the first text that is still there, and the last one's.
    pub(super) async fn text_bounds(&self) -> Result<(u64, u64), LinkError> {
        let info = timeout(ONE_TRY, self.texts.get_info()).await;
        let info = info
            .map_err(|_| LinkError::Silent)?
            .map_err(|error| LinkError::nats("asking for the texts' stream")(error.into()))?;
        let state = info.state;
        Ok((state.first_sequence.saturating_sub(1), state.last_sequence))
    }

    /// Makes the texts' stream again, where it is there no more, and the log's is.
    pub(super) async fn renew_texts(&self, deadline: Instant) {
        let renewed = async {
            self.bounds().await?;
            renewed(&self.jetstream, &self.texts_config, deadline).await
        };
        if let Err(error) = renewed.await {
            tracing::debug!(%error, "looking for the texts' stream");
        }
    }

    /// A subject of this cluster's own.
    pub(super) fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.name)
    }

    /// How long an append may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The longest message that NATS takes.
    pub(super) fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Whether there is a connection now.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// Goes to another NATS server: this one may be cut off from its peers.
    pub(super) async fn move_on(&self) {
        if let Err(error) = self.client.force_reconnect().await {
            tracing::debug!(%error, "going to another NATS server");
        }
    }

    /// The batch with this sequence; none where it is not there.
    pub(super) async fn batch(&self, seq: u64) -> Result<Option<Stored>, LinkError> {
        get(&self.log, seq).await
    }

    /// The texts with this sequence; none where they were erased.
    pub(super) async fn texts(&self, seq: u64) -> Result<Option<Texts>, LinkError> {
        let stored = get(&self.texts, seq).await?;
        stored.map(|stored| read_texts(&stored)).transpose()
    }

    /// The first sequence of the log's stream that is still there, and the last.
    pub(super) async fn bounds(&self) -> Result<(u64, u64), LinkError> {
        let info = timeout(ONE_TRY, self.log.get_info()).await;
        let info = info
            .map_err(|_| LinkError::Silent)?
            .map_err(|error| LinkError::nats("asking for the stream")(error.into()))?;
        // One that is cut off from its peers goes on answering for some time, with what is past.
        if let Some(cluster) = &info.cluster {
            let peers = cluster.replicas.len();
            let there = cluster.replicas.iter();
            let there = there.filter(|peer| peer.active < QUIET).count();
            if cluster.leader.is_none() || (there + 1) * 2 <= peers + 1 {
                return Err(LinkError::Silent);
            }
        }
        Ok((info.state.first_sequence, info.state.last_sequence))
    }

    /// Erases texts for good: NATS overwrites them.
    pub(super) async fn erase(&self, seq: u64) -> Result<(), LinkError> {
        let done = timeout(ONE_TRY, self.texts.delete_message(seq)).await;
        match done.map_err(|_| LinkError::Silent)? {
            Ok(_) => Ok(()),
            // Another node may have been first.
            Err(error) => match get(&self.texts, seq).await? {
                None => Ok(()),
                Some(_) => Err(LinkError::nats("erasing a text")(error.into())),
            },
        }
    }

    /// What the streams take, as it is taken: batches and texts.
    pub(super) async fn listen(&self) -> Result<(Subscriber, Subscriber), LinkError> {
        let failed = LinkError::nats("subscribing");
        let batches = self.client.subscribe(self.subject("told.batch")).await;
        let batches = batches.map_err(|error| failed(error.into()))?;
        let failed = LinkError::nats("subscribing");
        let texts = self.client.subscribe(self.subject("told.text")).await;
        let texts = texts.map_err(|error| failed(error.into()))?;
        Ok((batches, texts))
    }
}

/// Sees that the texts' stream is there. One that is made again begins beyond every sequence that the one
/// before it may have had: nodes know texts by these.
async fn renewed(
    jetstream: &Context,
    config: &StreamConfig,
    deadline: Instant,
) -> Result<(), LinkError> {
    match found_or_made(jetstream, config, false, deadline).await {
        Err(LinkError::Missing(stream)) => {
            tracing::error!(
                stream,
                "NATS has lost the stream of texts, and it is made again: nodes keep the texts that they \
                 have, and new ones come up without these"
            );
            let first = Clock::system().now().0.unsigned_abs();
            let config = StreamConfig {
                first_sequence: Some(first),
                ..config.clone()
            };
            found_or_made(jetstream, &config, true, deadline)
                .await
                .map(drop)
        }
        found => found.map(drop),
    }
}

/// Reads a message of the texts' stream.
pub(super) fn read_texts(stored: &Stored) -> Result<Texts, LinkError> {
    let seq = stored.seq;
    let texts = serde_json::from_slice(&stored.bytes);
    texts.map_err(|source| WireError::Unreadable { seq, source }.into())
}

/// A message that was told as it was taken.
pub(super) fn told(message: &async_nats::Message) -> Option<Stored> {
    let seq = message.headers.as_ref()?.get("Nats-Sequence")?;
    Some(Stored {
        seq: seq.as_str().parse().ok()?,
        bytes: message.payload.clone(),
    })
}

/// A message by its sequence: of any replica that has it, and else by the word of the stream's
/// leader, for a replica may lag behind.
async fn get(stream: &Stream<()>, seq: u64) -> Result<Option<Stored>, LinkError> {
    match timeout(ONE_TRY, stream.direct_get(seq)).await {
        Ok(Ok(message)) if message.sequence == seq => {
            return Ok(Some(Stored {
                seq,
                bytes: message.payload,
            }));
        }
        Ok(Err(error)) if error.kind() != DirectGetErrorKind::NotFound => {
            tracing::debug!(%error, "reading a message of a replica");
        }
        _ => {}
    }
    match timeout(ONE_TRY, stream.get_raw_message(seq)).await {
        Err(_) => Err(LinkError::Silent),
        Ok(Ok(message)) => Ok(Some(Stored {
            seq,
            bytes: message.payload,
        })),
        Ok(Err(error)) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Ok(Err(error)) => Err(LinkError::nats("reading a message")(error.into())),
    }
}
