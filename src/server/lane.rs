//! A lane: costly work that few do at a time, and for which few wait.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Problem;

/// Bounds one kind of work.
pub(crate) struct Lane {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    busy: &'static str,
}

/// One's turn, until it is dropped: by the work, and not by whoever waits for it and may go.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Lane {
    /// `at_once` work while `waiting` wait; `busy` is what one more is told.
    pub(crate) fn new(at_once: usize, waiting: usize, busy: &'static str) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting)),
            busy,
        }
    }

    /// Waits for a turn; 503 `overloaded` where too many do.
    pub(crate) async fn enter(&self) -> Result<Turn, Problem> {
        let (turns, places) = (Arc::clone(&self.turns), Arc::clone(&self.places));
        let _place = places.try_acquire_owned().map_err(|_| self.busy())?;
        let _turn = turns.acquire_owned().await.map_err(|_| self.busy())?;
        Ok(Turn { _turn, _place })
    }

    pub(crate) fn busy(&self) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", self.busy).retry_after(1)
    }
}
