//! The world of a stopped server, folded from its log in every way that there is.

use std::path::Path;

use crate::bus::{World, WorldError};
use crate::log::reader::{Reader, Reading};
use crate::log::{Pos, Snapshot};

/// Facts folded at a time.
const STEP: usize = 2_000;

/// A world at the end of the log: from which position it was folded, and its bytes.
pub type Folded = (u64, Vec<u8>);

/// Folds the world of a stopped server's data folder from the last snapshot but one, then from the
/// last one, each with the facts after it; and, before those, from nothing, where the log still
/// begins at its beginning. All are the same bytes.
///
/// # Panics
/// Where the log cannot be read, or a fact not be folded.
#[doc(hidden)]
pub fn folds(data: &Path) -> Vec<Folded> {
    let folded = Reader::new(data).read_here(|reading| Ok(all(reading)));
    match folded.map_err(WorldError::from).and_then(|folds| folds) {
        Ok(folds) => folds,
        Err(error) => panic!("the log of {} cannot be folded: {error}", data.display()),
    }
}

fn all(reading: &Reading) -> Result<Vec<Folded>, WorldError> {
    let newest = reading.snapshot()?;
    let before = match &newest {
        Some(newest) => reading.snapshot_before(newest.pos)?,
        None => None,
    };
    let mut folds = Vec::new();
    if reading.floor()? == 0 {
        folds.push(fold(reading, None)?);
    }
    for snapshot in [before, newest].into_iter().flatten() {
        folds.push(fold(reading, Some(&snapshot))?);
    }
    Ok(folds)
}

fn fold(reading: &Reading, snapshot: Option<&Snapshot>) -> Result<Folded, WorldError> {
    let mut world = match snapshot {
        Some(snapshot) => World::restore(snapshot)?,
        None => World::default(),
    };
    let from: Pos = world.pos;
    loop {
        let records = reading.records(world.pos, STEP)?;
        for record in &records {
            world.apply(record)?;
        }
        if records.len() < STEP {
            return Ok((from, world.save()?));
        }
    }
}
