//! The hub's thread: makes frames, fills mailboxes, and writes to the sockets of seated streams.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Poll};

use super::inbox::WAKE;
use super::seats::{News, Seats};
use super::{Hub, Live, Recipients, Seated, Sent};
use crate::bus::mailbox::Left;
use crate::bus::{Frame, View};
use crate::chat::Fact;
use crate::http::Wire;
use crate::log::{CORE, ClientId, Record, UserId};

/// How often a stream hears that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long seated streams wait to hear what only those are told who are there, such as who comes and
/// goes, so that much is told at once.
const LIVE: Duration = Duration::from_millis(50);

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
    /// When seated streams are told what only those are told who are there.
    live_at: Option<Instant>,
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
            live_at: None,
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
                let news = if event.is_error() || event.is_write_closed() {
                    News::Broken
                } else if event.is_readable() || event.is_read_closed() {
                    News::Readable
                } else {
                    News::Writable
                };
                self.seats.ready(event.token().0, news);
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
        let times = [Some(self.heartbeat), self.live_at, lingering];
        let next = times.into_iter().flatten().min().unwrap_or(self.heartbeat);
        // The system counts in milliseconds, and rounds down.
        next.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    /// Takes in what waits; whether there is more.
    fn take_in(&mut self) -> bool {
        self.standing.extend(self.hub.inbox.take_streams());
        self.seat();
        self.take_live();
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

    /// Gives those who sit what those who follow were told at once.
    fn take_live(&mut self) {
        let live = self.hub.inbox.take_live();
        if !live.is_empty() && !self.seats.is_empty() {
            for Live { to, frame } in &live {
                self.seats.push(frame, to);
            }
            self.live_at.get_or_insert_with(|| Instant::now() + LIVE);
        }
    }

    /// Seats those who stand and can sit.
    fn seat(&mut self) {
        let hub = Arc::clone(&self.hub);
        for (stream, wire) in std::mem::take(&mut self.standing) {
            let mut streams = hub.lock();
            // Their mailboxes have been told already, and nobody comes or goes under this lock.
            self.take_live();
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
        if self.live_at.is_some_and(|at| at <= now) {
            self.live_at = None;
            self.seats.write_own();
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
        let hub = Arc::clone(&self.hub);
        let (published, count) = {
            let streams = hub.lock();
            (streams.published, streams.count)
        };
        if last <= published {
            // Every stream was put back on the log for what came after it.
            return;
        }
        let frames = if count == 0 {
            Vec::new()
        } else {
            self.render(batch)
        };
        let mut streams = hub.lock();
        streams.published = last;
        if hub.missed.load(Ordering::Acquire) > 0 {
            // This batch, too, is read from the log then.
            drop(streams);
            return self.close_gap();
        }
        self.seats.published = last;
        for (frame, to) in &frames {
            streams.push(frame, to);
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
            self.seats.push(frame, to);
        }
        self.seats.write_own();
        self.seats.begin();
        ended
            .into_iter()
            .for_each(|(user, client)| self.seats.close(user, client));
    }

    /// Puts every stream back on the log, if something could not be handed over.
    pub(crate) fn close_gap(&mut self) {
        let missed = self.hub.missed.swap(0, Ordering::AcqRel);
        if missed == 0 {
            return;
        }
        self.seats.give_all_back();
        let mut streams = self.hub.lock();
        // Who has read less from the log must read on, and who has read it all waits for nothing.
        streams.published = streams.published.max(missed);
        self.seats.published = streams.published;
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::RwLock;
    use std::sync::atomic::AtomicU64;
    use std::task::Context;

    use uuid::Uuid;

    use super::*;
    use crate::bus::hub::Registered;
    use crate::bus::{Frames, World};
    use crate::config::Config;
    use crate::feature::Features;
    use crate::http::{Chunk, Source};
    use crate::log::{Audience, Contents, Pos, Riders};
    use crate::time::{Clock, Time};

    /// A stream that only says where it is to go on from.
    struct Probe {
        registered: Registered,
        from: Arc<AtomicU64>,
    }

    impl Source for Probe {
        fn poll_chunks(
            &mut self,
            _: &mut Context<'_>,
            _: &mut Vec<Chunk>,
        ) -> std::task::Poll<io::Result<bool>> {
            std::task::Poll::Pending
        }
    }

    impl Seated for Probe {
        fn registered(&self) -> &Registered {
            &self.registered
        }

        fn wrote(&mut self, _: &Frame) {}

        fn go_on_from(&mut self, pos: Pos) {
            self.from.store(pos, Ordering::Release);
        }
    }

    fn batch(pos: Pos) -> Vec<Sent> {
        let record = Record {
            pos,
            at: Time(5),
            owner: "other".into(),
            fact: serde_json::value::to_raw_value(&1).expect("JSON"),
            by: None,
            audience: Audience::Nobody,
            riders: Riders::new(),
            row: None,
            object: None,
            holds: Vec::new(),
            text: false,
        };
        let to = Recipients::of(&record, &World::default());
        vec![Sent {
            record,
            contents: Contents::default(),
            to,
        }]
    }

    #[test]
    fn who_sits_reads_from_the_log_what_was_not_handed_over() {
        let config = Config::parse("", "config.toml", &[]).expect("the defaults");
        let features = Arc::new(Features::build(&config).expect("features"));
        let world = Arc::new(RwLock::new(World::default()));
        let frames = Frames::new(features, "epoch");
        let clock = Clock::manual(Time(5));
        let (hub, mut fan_out) = Hub::new(frames, world, clock, 0, 10, 10).expect("a hub");
        let registered = hub
            .register(UserId(1), Uuid::nil(), false)
            .expect("a place");
        assert!(registered.go_live(0));
        let from = Arc::new(AtomicU64::new(Pos::MAX));
        let probe = Box::new(Probe {
            registered,
            from: Arc::clone(&from),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let socket = std::net::TcpStream::connect(address).expect("it listens");
        socket.set_nonblocking(true).expect("an option");
        hub.seat(probe, Wire::lone(socket, address));
        hub.hand_over(batch(1));
        fan_out.take_in();
        assert_eq!(from.load(Ordering::Acquire), Pos::MAX, "it sits");

        hub.missed(3);
        hub.hand_over(batch(2));
        fan_out.take_in();
        assert_eq!(from.load(Ordering::Acquire), 1);
        assert_eq!(hub.lock().published, 3);
        // What came before was read from the log, too.
        hub.hand_over(batch(3));
        fan_out.take_in();
        assert_eq!(hub.lock().published, 3);
    }
}
