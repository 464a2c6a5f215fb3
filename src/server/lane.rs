//! A lane: costly work that few do at a time, and for which few wait.

use std::hash::Hash;
use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Problem;
use crate::shares::{Share, Shares};

/// Bounds one kind of work, and each holder's part of it, so that nobody takes all places.
pub(crate) struct Lane<K> {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    shares: Arc<Shares<K>>,
    busy: &'static str,
}

/// One's turn, until it is dropped: by the work, and not by whoever waits for it and may go.
pub(crate) struct Turn<K: Copy + Eq + Hash> {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _share: Option<Share<K>>,
}

impl<K: Copy + Eq + Hash> Lane<K> {
    /// `at_once` work while `waiting` wait, `each` of them for one holder; `busy` is what one more
    /// is told.
    pub(crate) fn new(at_once: usize, waiting: usize, each: usize, busy: &'static str) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting)),
            shares: Shares::new(each),
            busy,
        }
    }

    /// Waits for a turn; 503 `overloaded` where too many do, in all or for this holder. Nobody's
    /// part is bounded by all places alone.
    pub(crate) async fn enter(&self, holder: Option<K>) -> Result<Turn<K>, Problem> {
        let share = holder.map(|holder| self.shares.take(holder).ok_or_else(|| self.busy()));
        let _share = share.transpose()?;
        let (turns, places) = (Arc::clone(&self.turns), Arc::clone(&self.places));
        let _place = places.try_acquire_owned().map_err(|_| self.busy())?;
        let _turn = turns.acquire_owned().await.map_err(|_| self.busy())?;
        Ok(Turn {
            _turn,
            _place,
            _share,
        })
    }

    fn busy(&self) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", self.busy).retry_after(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_leaves_places_to_others() {
        let lane = Lane::new(1, 8, 2, "busy");
        let turn = lane.enter(Some("one")).await.expect("a turn");
        let mut waits = Box::pin(lane.enter(Some("one")));
        assert!(futures_util::poll!(&mut waits).is_pending());
        let third = lane.enter(Some("one")).await.err().expect("no third place");
        assert_eq!(third.code, "overloaded");
        let mut other = Box::pin(lane.enter(Some("another")));
        assert!(futures_util::poll!(&mut other).is_pending(), "it may wait");
        drop(turn);
        drop(waits);
        assert!(other.await.is_ok(), "and its turn comes");
    }
}
