//! What waits for the hub's thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Registry, Token, Waker};

use super::{Live, Seated, Sent};
use crate::http::Wire;

/// The token of what wakes the thread; sockets have smaller ones.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Batches that may wait.
const BATCHES: usize = 256;

/// How long a batch waits for room. A fan-out delays no post, but one who posts on and on faster
/// than all streams together can be written to is slowed down to what they take, for else they
/// would all go back to the log, which costs far more.
const BRAKE: Duration = Duration::from_millis(500);

pub(super) struct Inbox {
    arrived: Mutex<Arrived>,
    room: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct Arrived {
    batches: VecDeque<Vec<Sent>>,
    streams: Vec<(Box<dyn Seated>, Wire)>,
    live: Vec<Live>,
    /// The thread was woken, and has not looked yet.
    woken: bool,
    ended: bool,
}

impl Inbox {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self {
            arrived: Mutex::default(),
            room: Condvar::new(),
            waker: Waker::new(registry, WAKE)?,
        })
    }

    /// Puts a batch in; false if there was no room for long.
    pub(super) fn put_batch(&self, batch: Vec<Sent>) -> bool {
        let full = |arrived: &mut Arrived| arrived.batches.len() >= BATCHES;
        let waited = self.room.wait_timeout_while(self.lock(), BRAKE, full);
        let (mut arrived, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if !waited.timed_out() {
            arrived.batches.push_back(batch);
            self.rouse(&mut arrived);
        }
        !waited.timed_out()
    }

    /// How many batches wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().batches.len()
    }

    pub(super) fn put_stream(&self, stream: Box<dyn Seated>, wire: Wire) {
        let mut arrived = self.lock();
        arrived.streams.push((stream, wire));
        self.rouse(&mut arrived);
    }

    pub(super) fn put_live(&self, live: Live) {
        let mut arrived = self.lock();
        arrived.live.push(live);
        self.rouse(&mut arrived);
    }

    pub(super) fn end(&self) {
        let mut arrived = self.lock();
        arrived.ended = true;
        self.rouse(&mut arrived);
    }

    /// Has the thread look at what others changed.
    pub(super) fn wake(&self) {
        let mut arrived = self.lock();
        self.rouse(&mut arrived);
    }

    fn rouse(&self, arrived: &mut Arrived) {
        if !std::mem::replace(&mut arrived.woken, true)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "waking the hub");
        }
    }

    /// Whether it is all done and nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        let arrived = self.lock();
        arrived.ended && arrived.batches.is_empty() && arrived.streams.is_empty()
    }

    pub(super) fn take_streams(&self) -> Vec<(Box<dyn Seated>, Wire)> {
        let mut arrived = self.lock();
        arrived.woken = false;
        std::mem::take(&mut arrived.streams)
    }

    /// How much of what is live waits.
    pub(super) fn live_waiting(&self) -> usize {
        self.lock().live.len()
    }

    /// Looks at what [`Inbox::take_live`] will take.
    pub(super) fn each_live(&self, look: impl FnMut(&Live)) {
        self.lock().live.iter().for_each(look);
    }

    pub(super) fn take_live(&self) -> Vec<Live> {
        std::mem::take(&mut self.lock().live)
    }

    pub(super) fn take_batch(&self) -> Option<Vec<Sent>> {
        let batch = self.lock().batches.pop_front();
        self.room.notify_one();
        batch
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
