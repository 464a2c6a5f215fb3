//! The hub's thread: makes frames, fills mailboxes, and writes to the sockets of seated streams.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Poll};

use super::inbox::WAKE;
use super::seats::Seats;
use super::{Hub, Recipients, Seated, Sent};
use crate::bus::mailbox::Left;
use crate::bus::{Frame, View};
use crate::chat::Fact;
use crate::http::Wire;
use crate::log::{CORE, ClientId, Record, UserId};

/// How often a stream hears that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long seated streams wait to hear who comes and goes, so that many are told at once.
const PRESENCE: Duration = Duration::from_millis(50);

/// Bytes for everybody that are written before more is taken in: beyond, batches wait, and in the
/// end the writer.
const BACKLOG: usize = 1024 * 1024;

/// Batches taken in before sockets and clocks get a turn.
const TURN: usize = 64;

/// News of sockets taken at a time.
const EVENTS: usize = 256;

/// What runs on the hub's thread.
pub(crate) struct FanOut {
    hub: Arc<Hub>,
    poll: Poll,
    seats: Seats,
    /// Streams that have had more from the log than the hub has published.
    standing: Vec<(Box<dyn Seated>, Wire)>,
    heartbeat: Instant,
    /// When seated streams are told of who came and went.
    presence: Option<Instant>,
}

impl FanOut {
    pub(super) fn new(hub: Arc<Hub>, poll: Poll) -> io::Result<Self> {
        let seats = Seats::new(poll.registry().try_clone()?, hub.queue);
        Ok(Self {
            hub,
            poll,
            seats,
            standing: Vec::new(),
            heartbeat: Instant::now() + HEARTBEAT,
            presence: None,
        })
    }

    /// Works until [`Hub::end`].
    ///
    /// # Errors
    /// When the system can't wait for sockets any more.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut busy = false;
        while !self.hub.inbox.is_over() {
            let patience = if busy {
                Duration::ZERO
            } else {
                self.patience()
            };
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                self.seats.ready(event.token().0, readable);
            }
            let more = self.take_in();
            self.tick(Instant::now());
            busy = self.seats.go_round() || more;
        }
        self.seats.give_all_back();
        Ok(())
    }

    fn patience(&self) -> Duration {
        let lingering = self.hub.lock().lingering.values().min().copied();
        let times = [Some(self.heartbeat), self.presence, lingering];
        let next = times.into_iter().flatten().min().unwrap_or(self.heartbeat);
        // The system counts in milliseconds, and rounds down.
        next.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    /// Takes in what waits; whether there is more.
    fn take_in(&mut self) -> bool {
        self.standing.extend(self.hub.inbox.take_streams());
        self.seat();
        self.take_presence();
        if self.hub.lock().stopped {
            self.end_all();
        }
        for _ in 0..TURN {
            if self.seats.backlog() >= BACKLOG {
                break;
            }
            match self.hub.inbox.take_batch() {
                Some(batch) => {
                    self.publish(&batch);
                    self.seat();
                }
                None => {
                    self.close_gap();
                    self.seat();
                    return false;
                }
            }
        }
        true
    }

    fn take_presence(&mut self) {
        let presence = self.hub.inbox.take_presence();
        if !presence.is_empty() && !self.seats.is_empty() {
            presence.iter().for_each(|frame| self.seats.push_all(frame));
            self.presence
                .get_or_insert_with(|| Instant::now() + PRESENCE);
        }
    }

    /// Seats those who stand and can sit.
    fn seat(&mut self) {
        let hub = Arc::clone(&self.hub);
        for (stream, wire) in std::mem::take(&mut self.standing) {
            let mut streams = hub.lock();
            // Their mailboxes have been told already, and nobody comes or goes under this lock.
            self.take_presence();
            let mailbox = &stream.registered().mailbox;
            let left = mailbox.leave(streams.published);
            if let Left::With(_) = left {
                streams.unfollow(mailbox);
            }
            drop(streams);
            match left {
                Left::With(waiting) => self.seats.sit(stream, wire, waiting),
                Left::NotYet => self.standing.push((stream, wire)),
                Left::Never => wire.give_back(Bytes::new(), stream),
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.presence.is_some_and(|at| at <= now) {
            self.presence = None;
            self.seats.begin();
        }
        if self.heartbeat <= now {
            self.heartbeat = now + HEARTBEAT;
            let frame = Arc::new(Frame::comment());
            self.hub
                .lock()
                .followers()
                .for_each(|mailbox| mailbox.push(&frame));
            self.seats.relieve();
            self.seats.push_all(&frame);
            self.seats.begin();
        }
        self.expire(now);
    }

    fn publish(&mut self, batch: &[Sent]) {
        let Some(last) = batch.last().map(|sent| sent.record.pos) else {
            return;
        };
        let frames = if self.hub.lock().count == 0 {
            Vec::new()
        } else {
            self.render(batch)
        };
        let hub = Arc::clone(&self.hub);
        let mut streams = hub.lock();
        streams.published = last;
        self.seats.published = last;
        if hub.gap.load(Ordering::Acquire) {
            // This batch, too, is read from the log then.
            drop(streams);
            return self.close_gap();
        }
        for (frame, to) in &frames {
            match to {
                Recipients::Everyone => streams.followers().for_each(|mailbox| mailbox.push(frame)),
                Recipients::These { users, count } => users
                    .iter()
                    .take(*count)
                    .filter_map(|user| streams.followers.get(user))
                    .flatten()
                    .for_each(|mailbox| mailbox.push(frame)),
            }
        }
        let ended: Vec<_> = batch
            .iter()
            .filter_map(|sent| ended_client(&sent.record))
            .collect();
        for (_, client) in &ended {
            streams
                .followers()
                .filter(|mailbox| mailbox.client == *client)
                .for_each(|mailbox| mailbox.close());
        }
        drop(streams);
        for (frame, to) in &frames {
            match to {
                Recipients::Everyone => self.seats.push_all(frame),
                Recipients::These { users, count } => self.seats.push(&users[..*count], frame),
            }
        }
        self.seats.write_own();
        self.seats.begin();
        ended
            .into_iter()
            .for_each(|(user, client)| self.seats.close(user, client));
    }

    /// Puts every stream back on the log, if something could not be handed over.
    pub(crate) fn close_gap(&mut self) {
        if !self.hub.gap.swap(false, Ordering::AcqRel) {
            return;
        }
        self.seats.give_all_back();
        let streams = self.hub.lock();
        let world = self.hub.world();
        for mailbox in streams.followers() {
            mailbox.fall_behind();
            if world.chat.client(mailbox.client).is_none() {
                mailbox.close();
            }
        }
    }

    fn end_all(&mut self) {
        self.seats.give_all_back();
        self.hub
            .lock()
            .followers()
            .for_each(|mailbox| mailbox.close());
    }

    /// Each fact's one frame and whom it is for.
    fn render<'a>(&self, batch: &'a [Sent]) -> Vec<(Arc<Frame>, &'a Recipients)> {
        let world = self.hub.world();
        let view = View::new(&world, self.hub.clock.now());
        batch
            .iter()
            .filter(|sent| !sent.to.is_nobody())
            .filter_map(|sent| {
                let frames = &self.hub.frames;
                let frame = frames.frame(&view, &sent.record, &sent.contents)?;
                Some((Arc::new(frame), &sent.to))
            })
            .collect()
    }

    fn expire(&mut self, now: Instant) {
        let mut streams = self.hub.lock();
        let over: Vec<_> = streams
            .lingering
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(user, _)| *user)
            .collect();
        for user in over {
            streams.lingering.remove(&user);
            self.hub.came_or_left.notify_one();
            if !streams.is_online(user) {
                self.hub.tell_presence(&streams, user, false);
            }
        }
    }
}

fn ended_client(record: &Record) -> Option<(UserId, ClientId)> {
    if record.owner != CORE || !record.fact.get().starts_with("{\"disconnected\"") {
        return None;
    }
    match serde_json::from_str(record.fact.get()) {
        Ok(Fact::Disconnected { user, client }) => Some((user, client)),
        _ => None,
    }
}
