//! Connecting to NATS, and making the streams where they are not there yet.

use std::io;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config as StreamConfig, Republish, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::link::{AGAIN, LinkError, ONE_TRY};
use super::wire::FORMAT;
use crate::config::Cluster as Settings;
use crate::log::Pos;

/// What a file of credentials begins with, as `nsc` writes it: a user's JWT, and the key's seed.
const JWT: &str = "-----BEGIN NATS USER JWT-----";

/// Messages that are kept until whoever follows has read them.
const UNREAD: usize = 4096;

/// How long a start waits for a NATS server that can't be reached: both may be started at once.
const AWAITED: Duration = Duration::from_secs(10);

/// Within this NATS knows a message that it has taken already.
const DUPLICATES: Duration = Duration::from_secs(120);

/// The stream's own notes of what lies in it.
pub(super) const META_FORMAT: &str = "veche-format";
pub(super) const META_ID: &str = "veche-id";
pub(super) const META_EPOCH: &str = "veche-epoch";
pub(super) const META_POS: &str = "veche-begins-after";

/// Connects to the first server that answers.
pub(super) async fn connect(settings: &Settings) -> Result<Client, LinkError> {
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
    if let Some(secret) = settings.secret().map_err(LinkError::Settings)? {
        let unfit = |error| LinkError::Settings(format!("`credentials`: {error}"));
        options = let_in(options, secret.trim()).map_err(unfit)?;
    }
    if is_set(&settings.ca) {
        options = options.add_root_certificates(settings.ca.clone());
    }
    if is_set(&settings.cert) {
        options = options.add_client_certificate(settings.cert.clone(), settings.key.clone());
    }
    let servers: Vec<&str> = settings.nats.split(',').map(str::trim).collect();
    let deadline = Instant::now() + AWAITED;
    let mut is_told = false;
    loop {
        let error = match options.clone().connect(servers.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let is_away = matches!(
            error.kind(),
            ConnectErrorKind::Io | ConnectErrorKind::TimedOut | ConnectErrorKind::Dns
        );
        if !is_away || Instant::now() + AGAIN >= deadline {
            return Err(error.into());
        }
        if !std::mem::replace(&mut is_told, true) {
            let most = AWAITED.as_secs();
            tracing::warn!(%error, most, "no NATS server can be reached: waiting, some seconds at most");
        }
        sleep(AGAIN * 10).await;
    }
}

/// What lets this server in, of whichever kind: each is told from the others by its form.
fn let_in(options: ConnectOptions, secret: &str) -> io::Result<ConnectOptions> {
    if secret.contains(JWT) {
        // Without it the last line is not seen as one.
        return options.credentials(&format!("{secret}\n"));
    }
    if is_seed(secret) {
        return Ok(options.nkey(secret.to_owned()));
    }
    Ok(match secret.split_once(':') {
        Some((user, password)) => options.user_and_password(user.into(), password.into()),
        None => options.token(secret.to_owned()),
    })
}

/// Whether this is the seed of a user's nkey: 58 characters of base32, of which the first two name
/// the kind.
fn is_seed(secret: &str) -> bool {
    secret.len() == 58
        && secret.starts_with("SU")
        && secret
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

/// A stream as it is there, or as it is made now, unless there is nothing to make it of. Another node may
/// be making it at the same time.
pub(super) async fn found_or_made(
    jetstream: &Context,
    config: &StreamConfig,
    make: bool,
    deadline: Instant,
) -> Result<Stream, LinkError> {
    loop {
        let error: async_nats::Error = match jetstream.get_stream(&config.name).await {
            Ok(stream) if stream.cached_info().config.subjects != config.subjects => {
                return Err(LinkError::Foreign(config.name.clone()));
            }
            Ok(stream) => return Ok(stream),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(told)
                    if told.error_code() == ErrorCode::STREAM_NOT_FOUND && !make =>
                {
                    return Err(LinkError::Missing(config.name.clone()));
                }
                GetStreamErrorKind::JetStream(told)
                    if told.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    match jetstream.create_stream(config).await {
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

/// How a stream is made whose messages have this part of its subject: for a history with this epoch.
/// Where there is history up to `pos` already, it says so.
pub(super) fn config(
    name: &str,
    part: &str,
    settings: &Settings,
    epoch: &str,
    pos: Pos,
) -> StreamConfig {
    let chat = &settings.stream;
    let subject = format!("{chat}.{part}");
    StreamConfig {
        name: name.to_owned(),
        subjects: vec![subject.clone()],
        num_replicas: settings.replicas.into(),
        allow_direct: true,
        duplicate_window: DUPLICATES,
        // Whoever follows needs no consumer in NATS, which would die with its server.
        republish: Some(Republish {
            source: subject,
            destination: format!("{chat}.told.{part}"),
            headers_only: false,
        }),
        metadata: [
            (META_FORMAT, FORMAT.to_string()),
            (META_EPOCH, epoch.to_owned()),
            (META_ID, Uuid::new_v4().to_string()),
        ]
        .into_iter()
        .chain((pos > 0).then(|| (META_POS, pos.to_string())))
        .map(|(key, value)| (key.to_owned(), value))
        .collect(),
        ..StreamConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_a_server_in_is_told_by_its_form() {
        let seed = "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY";
        assert!(is_seed(seed));
        for other in [
            "",
            "a-token",
            &seed[1..],
            &seed.to_lowercase(),
            // An account's, and a password of that look.
            &seed.replace("SU", "SA"),
            &format!("{}:A", &seed[..56]),
        ] {
            assert!(!is_seed(other), "{other}");
        }
        let broken = format!("{JWT}\nnone\n");
        let refused = let_in(ConnectOptions::new(), &broken);
        assert!(refused.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
    }
}
