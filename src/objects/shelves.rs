//! The objects as the commands beside the server see them: to be read, one after another.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::bucket::{self, Bucket};
use super::{StoreError, folder, name, unnamed};
use crate::config::S3;
use crate::log::Named;

/// The places of the objects that a data folder names.
pub(crate) struct Shelves<'a> {
    data: &'a Path,
    s3: &'a S3,
    /// Made with the first bucket.
    runtime: OnceCell<Runtime>,
    open: RefCell<BTreeMap<String, Opened>>,
}

type Opened = (Arc<Bucket>, Arc<dyn ObjectStore>);

impl<'a> Shelves<'a> {
    pub(crate) fn new(data: &'a Path, s3: &'a S3) -> Self {
        Self {
            data,
            s3,
            runtime: OnceCell::new(),
            open: RefCell::default(),
        }
    }

    /// Whether a place is one, and the settings are such that it could be used.
    pub(crate) fn check(&self, place: &str) -> Result<(), StoreError> {
        match bucket::is_url(place) {
            true => Bucket::open(place, self.s3, self.data, "").map(drop),
            false => Ok(()),
        }
    }

    /// Whose the objects in a place are: an error where they are another history's.
    pub(crate) fn owner(&self, place: &str, epoch: &str) -> Result<(), StoreError> {
        if !bucket::is_url(place) {
            return folder::owner(&self.data.join(place), epoch);
        }
        let (bucket, objects) = Bucket::open(place, self.s3, self.data, epoch)?;
        let runtime = self.runtime().map_err(|source| StoreError::Folder {
            folder: place.to_owned(),
            source,
        })?;
        let named = runtime.block_on(bucket.named(&*objects));
        named.map(drop)
    }

    /// An object's bytes; `NotFound` where it is not there. What lies in a bucket is fetched into a
    /// file without a name.
    pub(crate) fn open(&self, named: &Named) -> io::Result<File> {
        if !bucket::is_url(&named.place) {
            return File::open(self.data.join(&named.place).join(&named.object));
        }
        let id: Uuid = named.object.parse().map_err(io::Error::other)?;
        let (bucket, objects) = self.bucket(&named.place).map_err(io::Error::other)?;
        let fetched = self.runtime()?.block_on(fetch(&bucket, &objects, id));
        fetched.map_err(|error| match error.downcast() {
            Ok(object_store::Error::NotFound { .. }) => io::ErrorKind::NotFound.into(),
            Ok(error) => io::Error::other(error),
            Err(error) => error,
        })
    }

    /// Where an object lies, as people read it.
    pub(crate) fn tell(&self, named: &Named) -> String {
        match bucket::is_url(&named.place) {
            true => format!("{}/{}", named.place.trim_end_matches('/'), named.object),
            false => {
                let path = self.data.join(&named.place).join(&named.object);
                path.display().to_string()
            }
        }
    }

    fn bucket(&self, place: &str) -> Result<Opened, StoreError> {
        let mut open = self.open.borrow_mut();
        if let Some(opened) = open.get(place) {
            return Ok(opened.clone());
        }
        let opened = Bucket::open(place, self.s3, self.data, "")?;
        open.insert(place.to_owned(), opened.clone());
        Ok(opened)
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

async fn fetch(bucket: &Bucket, objects: &Arc<dyn ObjectStore>, id: Uuid) -> io::Result<File> {
    let mut file = unnamed(&std::env::temp_dir())?;
    let name = name(id);
    let got = bucket.within(objects.get(&name)).await;
    let mut all = got.map_err(io::Error::other)?.into_stream();
    while let Some(bytes) = bucket
        .within(async { all.next().await.transpose() })
        .await
        .map_err(io::Error::other)?
    {
        file.write_all(&bytes)?;
    }
    file.rewind()?;
    Ok(file)
}
