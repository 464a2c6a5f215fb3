//! The streams that one thread writes to. Each has its place on the tape of what is for everybody,
//! and a queue of what is for some.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::{Recipients, Seated};
use crate::bus::Frame;
use crate::bus::tape::Tape;
use crate::http::{Source, Wire};
use crate::log::{ClientId, Pos, UserId};

/// How much of the tape is kept for a stream whose client does not read: 4 MiB, once for all of
/// them. Beyond it such a stream goes on from the log.
const TAPE: u64 = 4 * 1024 * 1024;

/// Pieces in one gathered write.
const GATHER: usize = 32;

/// Streams written to before others get a turn: what is for some is not to wait for all.
const SLICE: usize = 64;

/// What a stream's socket has to tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// Nothing goes over it any more, either way.
    Broken,
    /// Its client has sent something, or sends nothing more.
    Readable,
    /// It takes something.
    Writable,
}

/// How long a stream may take nothing before its own task looks after it.
const BLOCKED: Duration = Duration::from_secs(15);

struct Seat {
    wire: Wire,
    stream: Box<dyn Seated>,
    /// How far on the tape it is written.
    at: u64,
    own: Option<Box<Own>>,
    /// Since when the socket takes nothing.
    blocked: Option<Instant>,
}

/// What is for some streams only and waits for this one.
#[derive(Default)]
struct Own {
    frames: VecDeque<Anchored>,
    /// Bytes of the first that are written.
    written: usize,
}

/// A frame that goes between what the tape has before and after an offset.
struct Anchored {
    at: u64,
    frame: Arc<Frame>,
}

/// A round over all streams, of which some are done.
#[derive(Clone, Copy)]
struct Round {
    next: usize,
    /// Until where the tape is written in it.
    upto: u64,
    /// The least that some stream has had.
    least: u64,
}

/// All seats.
pub(super) struct Seats {
    seats: Slab<Seat>,
    by_user: HashMap<UserId, Vec<usize>>,
    /// Those with frames of their own that were not tried to be written yet.
    touched: Vec<usize>,
    tape: Tape,
    round: Option<Round>,
    registry: Registry,
    /// The last position that was fanned out.
    pub(super) published: Pos,
    /// The most own frames that wait for one stream.
    queue: usize,
}

impl Seats {
    pub(super) fn new(registry: Registry, queue: usize) -> Self {
        Self {
            seats: Slab::new(),
            by_user: HashMap::new(),
            touched: Vec::new(),
            tape: Tape::default(),
            round: None,
            registry,
            published: 0,
            queue,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Bytes that wait to be written to everybody.
    pub(super) fn backlog(&self) -> usize {
        if self.round.is_some() {
            self.tape.len()
        } else {
            0
        }
    }

    /// Seats a stream for which these frames wait.
    pub(super) fn sit(&mut self, stream: Box<dyn Seated>, wire: Wire, waiting: Vec<Arc<Frame>>) {
        let user = stream.registered().mailbox().user;
        let at = self.tape.end();
        let own = (!waiting.is_empty()).then(|| {
            let frames = waiting.into_iter().map(|frame| Anchored { at, frame });
            let frames = frames.collect();
            Box::new(Own { frames, written: 0 })
        });
        let key = self.seats.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = wire.fd().and_then(|fd| {
            let fd = fd.as_raw_fd();
            self.registry
                .register(&mut SourceFd(&fd), Token(key), interest)
        });
        self.seats.insert(Seat {
            wire,
            stream,
            at,
            own,
            blocked: None,
        });
        self.by_user.entry(user).or_default().push(key);
        if let Err(error) = registered {
            tracing::warn!(%error, "a stream can not be watched");
            return self.give_back(key);
        }
        self.flush(key);
    }

    /// Puts a frame to those whom it is for; written by [`Seats::write_own`] and with the next round.
    pub(super) fn push(&mut self, frame: &Arc<Frame>, to: &Recipients) {
        match to {
            Recipients::Everyone => self.push_all(frame),
            Recipients::These { users, count } => self.push_own(&users[..*count], frame),
        }
    }

    /// Appends what is for everybody; written with the next round.
    pub(super) fn push_all(&mut self, frame: &Frame) {
        if !self.seats.is_empty() {
            self.tape.push(frame.wire(), frame.pos);
        }
    }

    /// Begins a round, if there is none.
    pub(super) fn begin(&mut self) {
        if self.round.is_none() && !self.seats.is_empty() {
            let upto = self.tape.end();
            self.round = Some(Round {
                next: 0,
                upto,
                least: upto,
            });
        }
    }

    /// Puts what is for some to their streams; written by [`Seats::write_own`].
    fn push_own(&mut self, users: &[UserId], frame: &Arc<Frame>) {
        let at = self.tape.end();
        for key in users
            .iter()
            .filter_map(|user| self.by_user.get(user))
            .flatten()
        {
            if let Some(seat) = self.seats.get_mut(*key) {
                let frame = Arc::clone(frame);
                let own = seat.own.get_or_insert_default();
                own.frames.push_back(Anchored { at, frame });
                self.touched.push(*key);
            }
        }
    }

    /// Writes what was put to some streams, with one write each.
    pub(super) fn write_own(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            if self.is_free(key) {
                self.flush(key);
            }
            let own = self.seats.get(key).and_then(|seat| seat.own.as_ref());
            if own.is_some_and(|own| own.frames.len() > self.queue) {
                self.give_back(key);
            }
        }
    }

    /// Goes on with the round; whether there is more of it.
    pub(super) fn go_round(&mut self) -> bool {
        let Some(mut round) = self.round else {
            return false;
        };
        let mut written = 0;
        while round.next < self.seats.capacity() && written < SLICE {
            let key = round.next;
            round.next += 1;
            let Some(seat) = self.seats.get(key) else {
                continue;
            };
            if seat.blocked.is_none() && seat.at < self.tape.end() {
                written += 1;
                self.flush(key);
            }
            let Some(seat) = self.seats.get(key) else {
                continue;
            };
            if self.tape.end() - seat.at > TAPE {
                self.give_back(key);
            } else {
                round.least = round.least.min(seat.at);
            }
        }
        if round.next < self.seats.capacity() {
            self.round = Some(round);
            return true;
        }
        self.round = None;
        // What came meanwhile has not reached those who were first.
        if self.tape.end() > round.upto {
            self.begin();
        }
        self.tape.trim(round.least);
        self.round.is_some()
    }

    /// Writes to a stream what its socket takes.
    fn flush(&mut self, key: usize) {
        let Some(seat) = self.seats.get_mut(key) else {
            return;
        };
        match seat.write(&self.tape) {
            Ok(true) => seat.blocked = None,
            Ok(false) => seat.blocked = Some(Instant::now()),
            Err(error) => {
                tracing::debug!(%error, "a stream was broken off");
                self.drop_seat(key);
            }
        }
    }

    /// A stream's socket has news.
    pub(super) fn ready(&mut self, key: usize, news: News) {
        match news {
            // Nobody is to read for it what it has not had yet.
            News::Broken => self.drop_seat(key),
            // Its task knows what to do with what a client sends, or with its end.
            News::Readable => self.give_back(key),
            News::Writable => {
                let seat = self.seats.get(key);
                if seat.is_some_and(|seat| seat.blocked.is_some()) {
                    self.flush(key);
                }
            }
        }
    }

    /// Has the tasks look after those that take nothing.
    pub(super) fn relieve(&mut self) {
        let now = Instant::now();
        let stuck = |seat: &Seat| seat.blocked.is_some_and(|since| now - since >= BLOCKED);
        let found = self.seats.iter().filter(|(_, seat)| stuck(seat));
        let keys: Vec<_> = found.map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.give_back(key));
    }

    /// Gives back all streams.
    pub(super) fn give_all_back(&mut self) {
        let keys: Vec<_> = self.seats.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.give_back(key));
    }

    /// Ends the streams of a client.
    pub(super) fn close(&mut self, user: UserId, client: ClientId) {
        let keys = self.by_user.get(&user).cloned().unwrap_or_default();
        for key in keys {
            if let Some(seat) = self.seats.get(key)
                && seat.stream.registered().mailbox().client == client
            {
                seat.stream.registered().mailbox().close();
                self.give_back(key);
            }
        }
    }

    /// Whether a stream's socket takes something, as far as is known.
    fn is_free(&self, key: usize) -> bool {
        let seat = self.seats.get(key);
        seat.is_some_and(|seat| seat.blocked.is_none())
    }

    /// Gives a stream back to a task, which reads the log from where the stream is.
    fn give_back(&mut self, key: usize) {
        if self.is_free(key) {
            // What only those see who are there is not in the log, and one that ends reads it no
            // more.
            self.flush(key);
        }
        let Some(seat) = self.take(key) else {
            return;
        };
        let (mut pos, rest) = seat.leave(&self.tape);
        if seat.own.is_none() && seat.at == self.tape.end() {
            // One that is told little needs not look for it far back in the log.
            pos = pos.max(self.published);
        }
        let Seat {
            wire, mut stream, ..
        } = seat;
        stream.go_on_from(pos);
        stream.registered().stand_up();
        let source: Box<dyn Source> = stream;
        wire.give_back(rest, source);
        self.tidy();
    }

    /// Ends a stream whose socket is broken.
    fn drop_seat(&mut self, key: usize) {
        drop(self.take(key));
        self.tidy();
    }

    /// Nobody is left to be written to.
    fn tidy(&mut self) {
        if self.seats.is_empty() {
            self.round = None;
            self.tape.trim(self.tape.end());
        }
    }

    fn take(&mut self, key: usize) -> Option<Seat> {
        let seat = self.seats.try_remove(key)?;
        let user = seat.stream.registered().mailbox().user;
        if let Some(keys) = self.by_user.get_mut(&user) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_user.remove(&user);
            }
        }
        // A socket that can't be watched any more is being closed.
        let _ = seat.wire.fd().and_then(|fd| {
            let fd = fd.as_raw_fd();
            self.registry.deregister(&mut SourceFd(&fd))
        });
        Some(seat)
    }
}

impl Seat {
    /// Writes all that waits; whether that was everything.
    fn write(&mut self, tape: &Tape) -> io::Result<bool> {
        loop {
            let (written, offered) = if self.own.is_none() {
                let both = tape.pieces(self.at, tape.end());
                let offered = both[0].len() + both[1].len();
                let pieces = match (both[0].is_empty(), both[1].is_empty()) {
                    (true, true) => return Ok(true),
                    (false, true) => &both[..1],
                    (true, false) => &both[1..],
                    (false, false) => &both[..],
                };
                (self.wire.write(pieces), offered)
            } else {
                let pieces = self.pieces(tape);
                let offered = pieces.iter().map(|piece| piece.len()).sum();
                (self.wire.write(&pieces), offered)
            };
            let written = match written {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.advance(written);
            if written < offered {
                return Ok(false);
            }
        }
    }

    /// What comes next, in order: the tape, and between its frames those of its own.
    fn pieces<'a>(&'a self, tape: &'a Tape) -> Vec<IoSlice<'a>> {
        let mut pieces = Vec::with_capacity(GATHER);
        let mut at = self.at;
        let (frames, mut written) = match &self.own {
            Some(own) => (own.frames.iter(), own.written),
            None => return pieces,
        };
        for own in frames {
            if pieces.len() + 5 > GATHER {
                return pieces;
            }
            let shared = tape.pieces(at, own.at);
            pieces.extend(shared.into_iter().filter(|piece| !piece.is_empty()));
            pieces.push(IoSlice::new(&own.frame.wire()[written..]));
            at = own.at.max(at);
            written = 0;
        }
        let shared = tape.pieces(at, tape.end());
        pieces.extend(shared.into_iter().filter(|piece| !piece.is_empty()));
        pieces
    }

    /// Notes what was written.
    fn advance(&mut self, written: usize) {
        let mut left = written;
        while let Some(own) = &mut self.own
            && let Some(first) = own.frames.front()
        {
            let before = usize::try_from(first.at.saturating_sub(self.at)).unwrap_or(usize::MAX);
            if left < before {
                break;
            }
            left -= before;
            self.at += before as u64;
            let rest = first.frame.wire().len() - own.written;
            if left < rest {
                own.written += left;
                return;
            }
            left -= rest;
            own.written = 0;
            if let Some(first) = own.frames.pop_front() {
                self.stream.wrote(&first.frame);
            }
            if own.frames.is_empty() {
                self.own = None;
            }
        }
        self.at += left as u64;
    }

    /// The last position of which it has had anything, and the rest of what it has had in part.
    fn leave(&self, tape: &Tape) -> (Pos, Bytes) {
        let (pos, rest) = tape.leave(self.at);
        match &self.own {
            Some(own) if own.written > 0 => match own.frames.front() {
                Some(first) => {
                    let rest = first.frame.wire().slice(own.written..);
                    (pos.max(first.frame.pos), rest)
                }
                None => (pos, rest),
            },
            _ => (pos, rest),
        }
    }
}
