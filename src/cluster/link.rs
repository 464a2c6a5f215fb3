//! The way to NATS: the connection, the streams, and what is asked of them. Every wait is bounded.

use std::time::Duration;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config as StreamConfig, DirectGetErrorKind, RawMessageErrorKind, Republish, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectOptions, Subscriber, connection};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::wire::{Batch, FORMAT, Texts, WireError};
use crate::config::Cluster as Settings;

/// The longest wait for one answer of NATS, shorter than that for all tries together: a server
/// that dies takes its answers with it.
const ONE_TRY: Duration = Duration::from_secs(1);

/// How soon what was refused or lost is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// The leader of a stream that has heard so long nothing of its peers may be it no more: they answer
/// once a second.
pub(super) const QUIET: Duration = Duration::from_secs(3);

/// Messages that are kept until whoever follows has read them.
const UNREAD: usize = 4096;

/// Within this NATS knows a message that it has taken already.
const DUPLICATES: Duration = Duration::from_secs(120);

/// The stream's own notes of what lies in it.
const META_FORMAT: &str = "veche-format";
const META_EPOCH: &str = "veche-epoch";

/// Why the cluster's log can't be had, or not now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The settings lead nowhere.
    #[error("[cluster] can't be used")]
    Settings(#[source] std::io::Error),
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
    #[error("the stream `{0}` was not made by this program")]
    Foreign(String),
    /// What lies in it can't be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl LinkError {
    fn nats(what: &'static str) -> impl FnOnce(async_nats::Error) -> Self {
        move |source| Self::Nats { what, source }
    }
}

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
    replicas: usize,
    /// How long an append may take, with all its tries.
    patience: Duration,
}

/// What the stream says of itself.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) epoch: String,
    /// The first sequence that is still there, and the last.
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Link {
    /// Connects, and makes the streams where they are not there yet: for a history with this
    /// epoch.
    pub(super) async fn open(settings: &Settings, epoch: &str) -> Result<(Self, Found), LinkError> {
        let client = connect(settings).await?;
        let jetstream = ContextBuilder::new().timeout(ONE_TRY).build(client.clone());
        let name = settings.stream.clone();
        let texts_name = format!("{name}-texts");
        let patience = settings.timeout.to_std();
        let deadline = Instant::now() + patience.max(Duration::from_secs(10));
        let make = |name: &str, subject: String, told: String| StreamConfig {
            name: name.to_owned(),
            subjects: vec![subject.clone()],
            num_replicas: settings.replicas.into(),
            allow_direct: true,
            duplicate_window: DUPLICATES,
            // Whoever follows needs no consumer in NATS, which would die with its server.
            republish: Some(Republish {
                source: subject,
                destination: told,
                headers_only: false,
            }),
            metadata: [
                (META_FORMAT.to_owned(), FORMAT.to_string()),
                (META_EPOCH.to_owned(), epoch.to_owned()),
            ]
            .into(),
            ..StreamConfig::default()
        };
        let log = make(&name, format!("{name}.batch"), format!("{name}.told.batch"));
        let texts = make(
            &texts_name,
            format!("{name}.text"),
            format!("{name}.told.text"),
        );
        // The texts first: where the log is there, they are.
        let texts = found_or_made(&jetstream, texts, deadline).await?;
        let log = found_or_made(&jetstream, log, deadline).await?;
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
            replicas: settings.replicas.into(),
            patience,
        };
        drop(texts);
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

    /// Appends texts, each as a message; gives their sequences, in the same order. None where not
    /// all were taken in time: then the batch can't be appended.
    pub(super) async fn append_texts(&self, batch: Uuid, texts: &[Texts]) -> Option<Vec<u64>> {
        let deadline = Instant::now() + self.patience;
        let mut seqs = vec![None; texts.len()];
        let subject = self.subject("text");
        loop {
            let mut under_way = Vec::new();
            for (index, texts) in texts.iter().enumerate() {
                if seqs.get(index).is_some_and(Option::is_some) {
                    continue;
                }
                let bytes = serde_json::to_vec(texts).ok()?;
                let message = PublishMessage::build()
                    .payload(bytes.into())
                    .message_id(format!("{batch}-{index}"));
                let sending = self.jetstream.send_publish(subject.clone(), message);
                match timeout_at(deadline, sending).await.ok()? {
                    Ok(ack) => under_way.push((index, ack)),
                    Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                        tracing::error!(%error, "appending a text");
                        return None;
                    }
                    Err(_) => break,
                }
            }
            for (index, ack) in under_way {
                match timeout_at(deadline, ack.into_future()).await.ok()? {
                    Ok(ack) => {
                        if let Some(seq) = seqs.get_mut(index) {
                            *seq = Some(ack.sequence);
                        }
                    }
                    Err(error) => tracing::debug!(%error, "appending a text"),
                }
            }
            if let Some(seqs) = seqs.iter().copied().collect() {
                return Some(seqs);
            }
            if !self.is_connected() || Instant::now() + AGAIN >= deadline {
                return None;
            }
            sleep(AGAIN).await;
        }
    }

    /// Appends a batch, if the stream still ends at `expected`. It is tried again until its outcome
    /// is known: NATS knows its id.
    pub(super) async fn append(&self, id: Uuid, bytes: Bytes, expected: u64) -> Outcome {
        let deadline = Instant::now() + self.patience;
        let subject = self.subject("batch");
        loop {
            let message = PublishMessage::build()
                .payload(bytes.clone())
                .message_id(id.to_string())
                .expected_last_sequence(expected);
            let publish = async {
                let sent = self.jetstream.send_publish(subject.clone(), message);
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

/// Connects to the first server that answers.
async fn connect(settings: &Settings) -> Result<Client, LinkError> {
    let mut options = ConnectOptions::new()
        .name("veche")
        .connection_timeout(Duration::from_secs(2))
        .request_timeout(Some(ONE_TRY))
        .ping_interval(Duration::from_secs(2))
        // What is lost beyond it is read from the stream.
        .subscription_capacity(UNREAD)
        .reconnect_delay_callback(|tries| {
            Duration::from_millis(50 * u64::try_from(tries.min(20)).unwrap_or(20))
        });
    let is_set = |path: &std::path::Path| !path.as_os_str().is_empty();
    if is_set(&settings.credentials) {
        let secret = std::fs::read_to_string(&settings.credentials).map_err(LinkError::Settings)?;
        options = match secret.trim().split_once(':') {
            Some((user, password)) => options.user_and_password(user.into(), password.into()),
            None => options.token(secret.trim().to_owned()),
        };
    }
    if is_set(&settings.ca) {
        options = options.add_root_certificates(settings.ca.clone());
    }
    if is_set(&settings.cert) {
        options = options.add_client_certificate(settings.cert.clone(), settings.key.clone());
    }
    let servers: Vec<&str> = settings.nats.split(',').map(str::trim).collect();
    Ok(options.connect(servers).await?)
}

/// A stream as it is there, or as it is made now. Another node may be making it at the same time.
async fn found_or_made(
    jetstream: &Context,
    config: StreamConfig,
    deadline: Instant,
) -> Result<Stream, LinkError> {
    loop {
        let error: async_nats::Error = match jetstream.get_stream(&config.name).await {
            Ok(stream) => return Ok(stream),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(told)
                    if told.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    match jetstream.create_stream(&config).await {
                        Ok(stream) => return Ok(stream),
                        Err(error) => match error.kind() {
                            CreateStreamErrorKind::JetStream(told)
                                if told.error_code() == ErrorCode::STREAM_NAME_EXIST =>
                            {
                                continue;
                            }
                            _ => error.into(),
                        },
                    }
                }
                _ => error.into(),
            },
        };
        // A cluster of NATS servers that has just started has no leader yet.
        if Instant::now() + AGAIN >= deadline {
            return Err(LinkError::nats("making the stream")(error));
        }
        sleep(AGAIN * 4).await;
    }
}
