//! An upload on its way to a bucket: it lies in a file without a name until it is whole. So whoever
//! sends slowly takes room on the disk and none in memory, a bucket has whole objects only, and a
//! crash leaves nothing behind.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path as Name;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, PutResult, UploadPart,
};

use super::Bucket;
use crate::objects::unnamed;

/// What is put in one call, in bytes, at most; the pieces of what is longer. S3 takes no piece below
/// 5 MiB but the last, and at most 10,000 of them.
const PART: u64 = 8 << 20;
const PARTS: u64 = 10_000;

/// What the file's errors are told by.
pub(super) const SPOOL: &str = "spool";

#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    name: Name,
    bucket: Arc<Bucket>,
    objects: Arc<dyn ObjectStore>,
}

impl Spool {
    pub(super) async fn new(
        folder: &Path,
        name: Name,
        bucket: Arc<Bucket>,
        objects: Arc<dyn ObjectStore>,
    ) -> object_store::Result<Self> {
        let folder = folder.to_owned();
        let file = on_disk(move || unnamed(&folder)).await?;
        Ok(Self {
            file: Arc::new(file),
            name,
            bucket,
            objects,
        })
    }

    async fn read(&self, length: u64) -> object_store::Result<PutPayload> {
        let file = Arc::clone(&self.file);
        on_disk(move || {
            let mut part = Vec::new();
            part.reserve_exact(usize::try_from(length).map_err(io::Error::other)?);
            (&*file).take(length).read_to_end(&mut part)?;
            Ok(part.into())
        })
        .await
    }

    async fn put_parts(
        &self,
        upload: &mut Box<dyn MultipartUpload>,
        size: u64,
    ) -> object_store::Result<PutResult> {
        let length = PART.max(size.div_ceil(PARTS));
        let mut left = size;
        while left > 0 {
            let part = self.read(length.min(left)).await?;
            left -= length.min(left);
            self.bucket.within(upload.put_part(part)).await?;
        }
        self.bucket.within(upload.complete()).await
    }
}

#[async_trait]
impl MultipartUpload for Spool {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let file = Arc::clone(&self.file);
        Box::pin(on_disk(move || {
            data.iter().try_for_each(|bytes| (&*file).write_all(bytes))
        }))
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let file = Arc::clone(&self.file);
        let size = on_disk(move || {
            (&*file).rewind()?;
            Ok(file.metadata()?.len())
        })
        .await?;
        if size <= PART {
            let whole = self.read(size).await?;
            return self
                .bucket
                .within(self.objects.put(&self.name, whole))
                .await;
        }
        let begun = self.objects.put_multipart(&self.name);
        let mut upload = self.bucket.within(begun).await?;
        let put = self.put_parts(&mut upload, size).await;
        if put.is_err()
            && let Err(error) = self.bucket.within(upload.abort()).await
        {
            tracing::warn!(%error, name = %self.name, "taking back what was put in part");
        }
        put
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        // The file goes with its last handle.
        Ok(())
    }
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> object_store::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| object_store::Error::Generic {
            store: SPOOL,
            source: Box::new(source),
        })
}
