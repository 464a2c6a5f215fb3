//! Writing an object: piece by piece, never whole in memory.

use object_store::{MultipartUpload, PutPayload};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Store;
use super::sums::Sums;
use crate::http::Problem;

/// Bytes that are gathered before they are written.
const PART: usize = 64 * 1024;

/// An object being written. Dropped unfinished, it leaves nothing behind.
pub struct NewObject {
    store: Store,
    id: Uuid,
    upload: Box<dyn MultipartUpload>,
    /// A copy: pieces of the network's buffers would hold all of these.
    waiting: Vec<u8>,
    size: u64,
    digest: Sha256,
    sums: Sums,
}

/// An object that is written and durable, until now without a row that names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub id: Uuid,
    /// Its bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
}

impl NewObject {
    pub(crate) async fn begin(store: &Store) -> Result<Self, Problem> {
        let id = Uuid::new_v4();
        let upload = store.begin(id).await?;
        Ok(Self {
            store: store.clone(),
            id,
            upload,
            waiting: Vec::new(),
            size: 0,
            digest: Sha256::new(),
            sums: Sums::new(id),
        })
    }

    /// Adds to its end.
    ///
    /// # Errors
    /// 503 `storage_full` where there is no room, 503 `storage_failed` where the store fails
    /// otherwise, 503 `no_store` where it does not answer: nobody was told of the object yet, so that
    /// what is written beside it is as good as before.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.digest.update(bytes);
        self.sums.update(bytes);
        self.size += bytes.len() as u64;
        self.waiting
            .reserve_exact(bytes.len().max(PART - self.waiting.len()));
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < PART {
            return Ok(());
        }
        self.flush().await
    }

    /// Makes it whole and durable.
    ///
    /// # Errors
    /// Those of [`NewObject::write`].
    pub async fn finish(mut self) -> Result<Object, Problem> {
        let sums = std::mem::replace(&mut self.sums, Sums::new(self.id));
        self.waiting.extend(sums.finish());
        self.flush().await?;
        let _turn = self.store.turn().await?;
        if let Err(error) = self.upload.complete().await {
            // It may have come to its name before it failed.
            if let Err(error) = self.store.delete(self.id).await {
                tracing::error!(%error, object = %self.id, "deleting what could not be finished");
            }
            self.store.clear(self.id).await;
            return Err(self.store.refused(&error));
        }
        Ok(Object {
            id: self.id,
            size: self.size,
            sha256: hex::encode(self.digest.finalize()),
        })
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let part = PutPayload::from(std::mem::take(&mut self.waiting));
        let _turn = self.store.turn().await?;
        let written = self.upload.put_part(part).await;
        written.map_err(|error| self.store.refused(&error))
    }
}
