//! Saves the world now and then, off the writer: from the last snapshot and the facts since. The
//! log is trimmed behind it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Bus, Health, World, WorldError, causes};
use crate::log::reader::{Reader, Reading};
use crate::log::{AppendError, LogError};
use crate::memory;
use crate::settings::Period;

/// A part of a snapshot, small enough that writing it holds no post up.
const PART: usize = 256 * 1024;

/// Facts trimmed in one go, for the same reason.
const TRIM: usize = 2_000;

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(5);

/// When snapshots are made and how much log is kept for those who resume.
#[derive(Clone, Debug)]
pub(crate) struct Snapshotter {
    /// A snapshot is made after so many facts.
    pub(crate) every: u64,
    /// Facts younger than this stay.
    pub(crate) keep: Period,
    /// So many of the last facts stay.
    pub(crate) keep_facts: u64,
}

#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    World(#[from] WorldError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("making it panicked")]
    Panicked,
}

impl Snapshotter {
    /// Works until it is dropped.
    pub(crate) async fn run(self, bus: Bus, reader: Reader) {
        let mut saved = None;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            match self.step(&bus, &reader, saved).await {
                Ok(pos) => saved = Some(pos),
                Err(error) => tracing::error!(error = causes(&error), "saving a snapshot"),
            }
        }
    }

    /// Saves a snapshot and trims, if it is time; gives the position of the newest.
    async fn step(
        &self,
        bus: &Bus,
        reader: &Reader,
        saved: Option<u64>,
    ) -> Result<u64, SnapshotError> {
        let saved = match saved {
            Some(saved) => saved,
            None => {
                let newest = reader.read(Reading::snapshot_pos);
                newest.await.map_err(WorldError::from)?
            }
        };
        if bus.durable_pos().saturating_sub(saved) < self.every {
            return Ok(saved);
        }
        let (pos, body) = apart(reader.clone()).await?;
        self.save(bus, pos, body).await?;
        if bus.health() != Health::Ok {
            // The writer took nothing: it is made anew once there is room.
            return Ok(saved);
        }
        let before = bus.now().minus(self.keep);
        let keep = self.keep_facts;
        loop {
            let (count, counted) = tokio::sync::oneshot::channel();
            bus.maintain(Box::new(move |log| {
                // Whoever counts may have gone.
                let _ = count.send(log.trim(before, keep, TRIM)?);
                Ok(())
            }))
            .await?;
            if counted.await.unwrap_or(0) < TRIM {
                break;
            }
        }
        memory::give_back_freed();
        tracing::info!(pos, "saved a snapshot");
        Ok(pos)
    }

    async fn save(&self, bus: &Bus, pos: u64, body: Vec<u8>) -> Result<(), SnapshotError> {
        let body: Arc<[u8]> = body.into();
        let parts = body.len().div_ceil(PART);
        for part in 0..parts {
            let body = Arc::clone(&body);
            bus.maintain(Box::new(move |log| {
                let end = body.len().min((part + 1) * PART);
                let number = u32::try_from(part).unwrap_or(u32::MAX);
                log.save_part(pos, number, &body[part * PART..end], part + 1 == parts)
            }))
            .await?;
        }
        Ok(())
    }
}

/// Folds the log on a thread of its own: what a thread has freed is its own until it ends, and here
/// that is a second world.
async fn apart(reader: Reader) -> Result<(u64, Vec<u8>), SnapshotError> {
    let (made, making) = tokio::sync::oneshot::channel();
    thread::Builder::new()
        .name("snapshot".into())
        .spawn(move || {
            // Whoever asked may have gone.
            let _ = made.send(reader.read_here(|reading| Ok(fold(reading))));
        })
        .map_err(|error| WorldError::from(LogError::Thread(error)))?;
    let made = making.await.map_err(|_| SnapshotError::Panicked)?;
    Ok(made.map_err(WorldError::from)??)
}

/// The world at the end of the log, as bytes.
pub(crate) fn fold(reading: &Reading) -> Result<(u64, Vec<u8>), WorldError> {
    const STEP: usize = 2_000;
    let mut world = match reading.snapshot()? {
        Some(snapshot) => World::restore(&snapshot)?,
        None => World::default(),
    };
    loop {
        let records = reading.records(world.pos, STEP)?;
        for record in &records {
            world.apply(record)?;
        }
        if records.len() < STEP {
            return Ok((world.pos, world.save()?));
        }
    }
}
