//! Objects in a bucket of S3, or of a server that speaks as S3 does.
//!
//! A bucket can be away, as a folder can't: the server starts all the same, and what needs an object
//! is refused until the bucket answers. Nothing keeps two servers out of one bucket but its object
//! `lock`, which names the history that it belongs to; so an object without a row is taken away only
//! when it is old, for another node may be about to name it.
//!
//! - `objects/bucket/connector.rs`: HTTP and TLS beneath it.
//! - `objects/bucket/spool.rs`: an upload until it is whole.

mod connector;
mod spool;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::StatusCode;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::HttpError;
use object_store::path::Path as Name;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use uuid::Uuid;

use self::connector::Connector;
use self::spool::{SPOOL, Spool};
use super::{LOCK, SETTLED, StoreError, owned};
use crate::bus::causes;
use crate::config::S3;
use crate::http::Problem;

/// How a place says that it is a bucket.
const SCHEME: &str = "s3://";

/// A call that was in vain is made again so often, if there is time.
const RETRIES: usize = 3;

/// So long whoever needs an object is asked to wait, in seconds, while the bucket is away.
const AWAY: u64 = 5;

/// How much of `lock` is read: far more than the name of a history.
const NAME: u64 = 1024;

/// Whether a place is a URL, not a folder.
pub(super) fn is_url(place: &str) -> bool {
    place.contains("://")
}

/// A bucket, or what lies in it under a prefix.
#[derive(Debug)]
pub(super) struct Bucket {
    place: String,
    epoch: String,
    timeout: Duration,
    /// Where uploads lie until they are whole.
    spool: PathBuf,
    /// Set once `lock` names this history.
    claimed: OnceCell<()>,
}

impl Bucket {
    /// The bucket of a place, which is not asked for yet.
    pub(super) fn open(
        place: &str,
        settings: &S3,
        data: &Path,
        epoch: &str,
    ) -> Result<(Arc<Self>, Arc<dyn ObjectStore>), StoreError> {
        let wrong = |what: String| StoreError::Place {
            place: place.to_owned(),
            what,
        };
        let (bucket, prefix) = split(place).map_err(wrong)?;
        let timeout = settings.timeout.to_std();
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            // Of objects that are deleted one by one, a list of one each gains nothing.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: timeout,
            });
        if !settings.endpoint.is_empty() {
            builder = builder.with_endpoint(&settings.endpoint);
        }
        if !settings.region.is_empty() {
            builder = builder.with_region(&settings.region);
        }
        if let Some((id, secret)) = settings.key().map_err(wrong)? {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        if endpoint.is_some_and(|endpoint| endpoint.starts_with("http:")) && !settings.allow_http {
            let what = "its endpoint is http://, without TLS: use https://, or set `allow_http`";
            return Err(wrong(what.to_owned()));
        }
        let connector = Connector::new(settings.ca(), timeout).map_err(wrong)?;
        let objects = builder
            .with_allow_http(settings.allow_http)
            .with_http_connector(connector)
            .build()
            .map_err(|source| StoreError::Store {
                place: place.to_owned(),
                source,
            })?;
        let bucket = Self {
            place: place.to_owned(),
            epoch: epoch.to_owned(),
            timeout,
            spool: data.to_owned(),
            claimed: OnceCell::new(),
        };
        let objects = PrefixStore::new(objects, prefix);
        Ok((Arc::new(bucket), Arc::new(objects)))
    }

    /// Bounds a call. What is retried is part of it.
    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        match timeout(self.timeout, call).await {
            Ok(done) => done,
            Err(elapsed) => Err(object_store::Error::Generic {
                store: "S3",
                source: Box::new(elapsed),
            }),
        }
    }

    /// Makes sure that the bucket is there, and this history's.
    ///
    /// # Errors
    /// [`StoreError::Away`] where it may be later; all else is for somebody to put right.
    pub(super) async fn claim(&self, objects: &dyn ObjectStore) -> Result<(), StoreError> {
        let claim = self.claimed.get_or_try_init(|| async {
            if self.named(objects).await? {
                return Ok(());
            }
            let (lock, name) = (Name::from(LOCK), self.epoch.clone().into_bytes());
            let put = objects.put_opts(&lock, name.into(), PutMode::Create.into());
            match self.within(put).await {
                Ok(_)
                | Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) => {}
                Err(error) => return Err(self.failed(error)),
            }
            // Not every server knows how to refuse what is there already.
            self.named(objects).await.map(drop)
        });
        // Who waits for another's look waits no longer than for one's own.
        match timeout(self.timeout, claim).await {
            Ok(done) => done.map(drop),
            Err(elapsed) => Err(StoreError::Away {
                place: self.place.clone(),
                source: elapsed.into(),
            }),
        }
    }

    /// Whether `lock` names this history; not, where it is not there; an error where it names another.
    pub(super) async fn named(&self, objects: &dyn ObjectStore) -> Result<bool, StoreError> {
        let lock = Name::from(LOCK);
        let read = async {
            let found = objects.get(&lock).await?;
            if found.meta.size > NAME {
                return Ok(Bytes::from_static(b"..."));
            }
            found.bytes().await
        };
        match self.within(read).await {
            Ok(found) => owned(&self.place, &found, &self.epoch).map(|()| !found.is_empty()),
            Err(error) if is_missing_bucket(&error) => {
                Err(StoreError::NoBucket(self.place.clone()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: object_store::Error) -> StoreError {
        let place = self.place.clone();
        match source {
            object_store::Error::NotFound { .. } => StoreError::NoBucket(place),
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => StoreError::Rights { place, source },
            source if is_away(&source) => StoreError::Away {
                place,
                source: source.into(),
            },
            source => StoreError::Store { place, source },
        }
    }

    /// Begins an object.
    pub(super) async fn begin(
        self: &Arc<Self>,
        objects: &Arc<dyn ObjectStore>,
        name: Name,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let (bucket, objects) = (Arc::clone(self), Arc::clone(objects));
        let spool = Spool::new(&self.spool, name, bucket, objects).await?;
        Ok(Box::new(spool))
    }

    /// The bytes of an object from `from` up to `upto`.
    pub(super) async fn stream(
        &self,
        objects: &dyn ObjectStore,
        name: &Name,
        range: std::ops::Range<u64>,
    ) -> object_store::Result<BoxStream<'static, object_store::Result<Bytes>>> {
        let options = object_store::GetOptions {
            range: Some(range.into()),
            ..Default::default()
        };
        let got = self.within(objects.get_opts(name, options)).await?;
        Ok(got.into_stream())
    }

    /// The next of these objects that was written a day before then or earlier; `None` at their end.
    pub(super) async fn next_old(
        &self,
        all: &mut BoxStream<'static, object_store::Result<ObjectMeta>>,
        then: SystemTime,
    ) -> object_store::Result<Option<Uuid>> {
        while let Some(found) = self.within(async { all.next().await.transpose() }).await? {
            let name = found.location.filename().map(str::parse);
            // One that lies in the future is young.
            let age = then.duration_since(SystemTime::from(found.last_modified));
            if let Some(Ok(id)) = name
                && found.location == super::name(id)
                && age.unwrap_or(Duration::ZERO) >= SETTLED
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// What whoever needs an object is answered while it can't be had.
    pub(super) fn away(&self, error: &dyn Error) -> Problem {
        tracing::error!(
            place = self.place,
            error = causes(error),
            "the store of objects failed"
        );
        let detail = "the store of objects does not answer; nothing was kept";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_store", detail).retry_after(AWAY)
    }

    /// How long a call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Whether an error is one of this machine's own disk.
pub(super) fn is_local(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { store, .. } if *store == SPOOL)
}

/// The bucket and the prefix that a place names.
fn split(place: &str) -> Result<(&str, Name), String> {
    let form = "must be a folder, or s3://BUCKET or s3://BUCKET/PREFIX";
    let rest = place.strip_prefix(SCHEME).ok_or(form)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !is_bucket {
        return Err(format!(
            "{form}; the name of a bucket is 3 to 63 letters, digits, -, . and _"
        ));
    }
    let prefix = Name::parse(prefix).map_err(|error| format!("{form}: {error}"))?;
    Ok((bucket, prefix))
}

/// Whether a bucket may answer later: it did not now, or has trouble of its own.
fn is_away(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if found.is::<HttpError>() || found.is::<tokio::time::error::Elapsed>() {
            return true;
        }
        cause = found.source();
    }
    // The library keeps the status to itself.
    error.to_string().contains("status code: 5")
}

/// Whether it is the bucket that is not there, not the object alone.
fn is_missing_bucket(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && error.to_string().contains("NoSuchBucket")
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    /// A bucket that is claimed by itself, in memory.
    fn bucket() -> (Bucket, InMemory) {
        let bucket = Bucket {
            place: "s3://chat".to_owned(),
            epoch: "this".to_owned(),
            timeout: Duration::from_secs(5),
            spool: PathBuf::new(),
            claimed: OnceCell::new(),
        };
        (bucket, InMemory::new())
    }

    #[tokio::test]
    async fn an_object_is_old_after_a_day_and_nothing_else_is_an_object() {
        let (bucket, objects) = bucket();
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let names = [
            crate::objects::name(one),
            crate::objects::name(other),
            Name::from("of-somebody-else"),
            Name::from(format!("below/{other}")),
        ];
        for name in &names {
            let put = objects.put(name, Bytes::from_static(b"x").into()).await;
            put.expect("kept");
        }
        for (hours, expected) in [(0, &[][..]), (23, &[]), (25, &[one, other])] {
            let then = SystemTime::now() + Duration::from_secs(hours * 60 * 60);
            let (mut all, mut old) = (objects.list(None), Vec::new());
            while let Some(id) = bucket.next_old(&mut all, then).await.expect("listed") {
                old.push(id);
            }
            old.sort();
            assert_eq!(old, expected, "after {hours} hours");
        }
    }

    #[tokio::test]
    async fn a_bucket_of_another_history_is_left_as_it_is() {
        let (bucket, objects) = bucket();
        let own = async || {
            let lock = objects.get(&Name::from(LOCK)).await.expect("it is there");
            lock.bytes().await.expect("read")
        };
        bucket.claim(&objects).await.expect("it is nobody's");
        assert_eq!(own().await, "this");
        let other = Bucket {
            epoch: "other".to_owned(),
            ..self::bucket().0
        };
        for _ in 0..2 {
            let refused = other.claim(&objects).await;
            assert!(matches!(refused, Err(StoreError::Foreign { .. })));
            assert_eq!(own().await, "this");
        }
    }

    #[test]
    fn a_place_names_a_bucket_and_what_lies_in_it() {
        for (place, bucket, prefix) in [
            ("s3://chat", "chat", ""),
            ("s3://chat/", "chat", ""),
            ("s3://my.chat/files/of-all", "my.chat", "files/of-all"),
        ] {
            let (found, under) = split(place).expect(place);
            assert_eq!((found, under.as_ref()), (bucket, prefix));
        }
        for place in [
            "s3://",
            "s3:///files",
            "s3://a",
            "s3://key:secret@chat/files",
            "s3://chat/a//b",
            "s3://chat/../b",
            "gs://chat",
        ] {
            assert!(is_url(place) && split(place).is_err(), "{place}");
        }
        assert!(!is_url("files") && !is_url("/var/lib/s3:/files"));
    }
}
