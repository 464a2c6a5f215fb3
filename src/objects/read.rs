//! Reading an object: piece by piece, each verified before it is passed on.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::timeout;
use uuid::Uuid;

use super::bucket::Bucket;
use super::{Kind, Store, damaged, name, sums};
use crate::bus::internal;
use crate::counts::COUNTS;
use crate::http::{Chunk, Problem, Source};
use crate::log::LogError;

/// An object that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    store: Store,
    id: Uuid,
    size: u64,
    has_sums: bool,
    /// What was read of it to verify where an answer begins: from a bucket nothing is read twice.
    ahead: Option<Ahead>,
}

/// The first piece that an answer needs, verified, and the checksums of that and of those after it.
#[derive(Clone, Debug)]
struct Ahead {
    from: u64,
    bytes: Bytes,
    sums: Bytes,
}

impl Stored {
    /// One that lies in a store with so many bytes; its own are `size`.
    pub(super) fn new(store: &Store, id: Uuid, size: u64, found: u64) -> Result<Self, Problem> {
        let whole = sums::with_sums(size);
        if found != whole && found != size {
            let what = format!("it has {found} bytes instead of {whole}");
            return Err(damaged(id, &what));
        }
        Ok(Self {
            store: store.clone(),
            id,
            size,
            has_sums: found == whole,
            ahead: None,
        })
    }

    /// Reads a part of it, the whole pieces around it, and verifies them.
    async fn read(&self, part: Range<u64>) -> io::Result<Bytes> {
        let _turn = self.store.turns.acquire().await.map_err(io::Error::other)?;
        let (piece, sum) = sums::piece(part.start, self.size);
        let mut ranges = vec![piece.clone()];
        ranges.extend(self.has_sums.then_some(sum));
        let read = self.store.objects.get_ranges(&name(self.id), &ranges).await;
        let read = read.map_err(io::Error::other)?;
        let bytes = read.first().cloned().unwrap_or_default();
        if let Some(sum) = read.get(1) {
            self.verify(piece.start, &bytes, sum)?;
        }
        within(&bytes, piece.start, part)
    }

    /// Reads where a part of it begins, for [`Stored::next`].
    async fn read_ahead(&self, bucket: &Bucket, part: &Range<u64>) -> io::Result<Ahead> {
        let (piece, sum) = sums::piece(part.start, self.size);
        let (_, last) = sums::piece(part.end - 1, self.size);
        let mut ranges = vec![piece.clone()];
        ranges.extend(self.has_sums.then_some(sum.start..last.end));
        let name = name(self.id);
        let read = bucket.within(self.store.objects.get_ranges(&name, &ranges));
        let read = read.await.map_err(io::Error::other)?;
        // Copies: what lies between them was read with them.
        let mut read = read.iter().map(|bytes| Bytes::copy_from_slice(bytes));
        let ahead = Ahead {
            from: piece.start,
            bytes: read.next().unwrap_or_default(),
            sums: read.next().unwrap_or_default(),
        };
        self.verify_ahead(&ahead, piece.start, &ahead.bytes)?;
        Ok(ahead)
    }

    /// Verifies a piece by the checksums that were read ahead.
    fn verify_ahead(&self, ahead: &Ahead, from: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.has_sums {
            return Ok(());
        }
        let (_, first) = sums::piece(ahead.from, self.size);
        let (_, sum) = sums::piece(from, self.size);
        let at = |at: u64| usize::try_from(at.saturating_sub(first.start)).unwrap_or(usize::MAX);
        let sum = ahead.sums.get(at(sum.start)..at(sum.end));
        self.verify(from, bytes, sum.unwrap_or_default())
    }

    fn verify(&self, from: u64, bytes: &[u8], sum: &[u8]) -> io::Result<()> {
        if sums::is_whole(self.id, bytes, sum) {
            return Ok(());
        }
        let what = format!("its checksum from byte {from} on is another's");
        let id = self.id;
        Err(io::Error::other(LogError::DamagedObject { id, what }))
    }

    /// Verifies where a part of it begins: an answer that has begun can't say any more that it is
    /// not as it was, only break off.
    pub(crate) async fn verify_begin(&mut self, part: &Range<u64>) -> Result<(), Problem> {
        if part.is_empty() {
            return Ok(());
        }
        let store = self.store.clone();
        let begin = match &store.kind {
            Kind::Folder(_) => self.read(part.start..part.start + 1).await.map(drop),
            Kind::Bucket(bucket) => {
                let _turn = store.turn().await?;
                let ahead = self.read_ahead(bucket, part).await;
                ahead.map(|ahead| self.ahead = Some(ahead))
            }
        };
        let Err(error) = begin else {
            return Ok(());
        };
        match error.get_ref() {
            Some(cause) => match cause.downcast_ref::<object_store::Error>() {
                Some(error) => Err(store.unread(error)),
                None => Err(internal("reading an object", cause)),
            },
            None => Err(internal("reading an object", &error)),
        }
    }

    /// Reads `part`, which lies in one piece, of an answer that ends at `end`; from a bucket as one
    /// stream, of which `coming` is left.
    async fn next(
        self,
        mut coming: Option<Coming>,
        part: Range<u64>,
        end: u64,
    ) -> (Option<Coming>, io::Result<Bytes>) {
        let read = match &self.store.kind {
            Kind::Folder(_) => self.read(part).await,
            Kind::Bucket(bucket) => self.take(bucket, &mut coming, part, end).await,
        };
        (coming, read)
    }

    async fn take(
        &self,
        bucket: &Bucket,
        coming: &mut Option<Coming>,
        part: Range<u64>,
        end: u64,
    ) -> io::Result<Bytes> {
        let ahead = self.ahead.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let (piece, _) = sums::piece(part.start, self.size);
        if piece.start == ahead.from {
            return within(&ahead.bytes, piece.start, part);
        }
        let coming = match coming {
            Some(coming) => coming,
            None => {
                let (last, _) = sums::piece(end - 1, self.size);
                let (store, name) = (&*self.store.objects, name(self.id));
                let stream = bucket.stream(store, &name, piece.start..last.end).await;
                coming.insert(Coming {
                    stream: stream.map_err(io::Error::other)?,
                    held: Bytes::new(),
                })
            }
        };
        let bytes = coming.take(bucket, piece.end - piece.start).await?;
        self.verify_ahead(ahead, piece.start, &bytes)?;
        within(&bytes, piece.start, part)
    }
}

/// A part of the bytes of a piece, which begins at `from`.
fn within(bytes: &Bytes, from: u64, part: Range<u64>) -> io::Result<Bytes> {
    let inside = |at: u64| usize::try_from(at.saturating_sub(from)).unwrap_or(0);
    let (from, upto) = (inside(part.start), inside(part.end).min(bytes.len()));
    if from > upto {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.slice(from..upto))
}

/// What comes from a bucket.
struct Coming {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    /// What came and was not taken yet.
    held: Bytes,
}

impl Coming {
    /// So many bytes of it. Each wait for more is bounded; that of whoever takes them is not in it.
    async fn take(&mut self, bucket: &Bucket, length: u64) -> io::Result<Bytes> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut taken = Vec::with_capacity(length);
        loop {
            let more = self.held.len().min(length - taken.len());
            taken.extend_from_slice(&self.held.split_to(more));
            if taken.len() == length {
                return Ok(taken.into());
            }
            let came = timeout(bucket.timeout(), self.stream.next()).await?;
            self.held = came
                .ok_or(io::ErrorKind::UnexpectedEof)?
                .map_err(io::Error::other)?;
        }
    }
}

/// A part of an object as an answer's body. It reads on when what it read is written, so that one
/// piece is in memory at a time.
pub(crate) struct Download {
    object: Stored,
    left: Range<u64>,
    coming: Option<Coming>,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = (Option<Coming>, io::Result<Bytes>)> + Send>>;

impl Download {
    pub(crate) fn new(object: Stored, range: Range<u64>) -> Self {
        Self {
            object,
            left: range,
            coming: None,
            reading: None,
        }
    }
}

impl Source for Download {
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Chunk>,
    ) -> Poll<io::Result<bool>> {
        if self.left.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let (object, from, end) = (&self.object, self.left.start, self.left.end);
        let (piece, _) = sums::piece(from, object.size);
        let upto = end.min(piece.end);
        let coming = &mut self.coming;
        let reading = self
            .reading
            .get_or_insert_with(|| Box::pin(object.clone().next(coming.take(), from..upto, end)));
        let (coming, read) = ready!(reading.as_mut().poll(cx));
        (self.reading, self.coming) = (None, coming);
        let bytes = read.inspect_err(|error| broken_off(error, self.object.id))?;
        self.left.start = upto;
        out.push(Chunk::plain(bytes));
        Poll::Ready(Ok(!self.left.is_empty()))
    }
}

/// Tells why a download breaks off.
fn broken_off(error: &io::Error, object: Uuid) {
    let cause = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
    let is_gone = cause
        .and_then(|cause| cause.downcast_ref())
        .is_some_and(|error| matches!(error, object_store::Error::NotFound { .. }));
    if is_gone {
        return tracing::info!(%object, "a file was removed while it was sent");
    }
    tracing::error!(%error, %object, "reading an object");
    if cause.is_some_and(|cause| cause.is::<LogError>()) {
        COUNTS.damage.inc();
    }
}
