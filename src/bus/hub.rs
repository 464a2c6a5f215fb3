//! Fans what is durable out to the streams it is for, beside requests and never in their way.
//!
//! One thread does it (`fan_out.rs`). A stream that only waits has its seat there (`seats.rs`): the
//! thread writes to its socket. All others, be it that they read the log, that they are polls, or
//! that their sockets are not plain ones, follow the hub by a mailbox.

mod elsewhere;
mod fan_out;
mod inbox;
mod seats;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;
use smallvec::SmallVec;
use tokio::sync::Notify;
use uuid::Uuid;

use self::elsewhere::Elsewhere;
use self::inbox::Inbox;
use super::{Event, Frame, Frames, Mailbox, World};
use crate::chat::Fact;
use crate::http::{Source, Wire};
use crate::log::{Audience, CORE, ChatId, ClientId, Contents, Id, Pos, Record, UserId};
use crate::time::Clock;

pub(crate) use fan_out::FanOut;

/// How long somebody who polls counts as online between two polls.
const LINGER: Duration = Duration::from_secs(10);

/// How many streams may be open for what everybody is told who is there and nobody else: among more
/// it is worth little, and costs each of them a write.
const CROWD: usize = 100;

/// How much of that may wait for the hub's thread. More of it is dropped, which loses nothing that is
/// kept.
const LIVE_WAITING: usize = 1024;

/// A durable record on its way to the streams.
pub(crate) struct Sent {
    pub(crate) record: Record,
    pub(crate) contents: Contents,
    pub(crate) to: Recipients,
}

/// Whom an event is for, as it was when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recipients {
    Everyone,
    /// The first `count` of these users.
    These {
        users: Arc<[UserId]>,
        count: usize,
    },
}

impl Recipients {
    /// Whoever is in a record's audience now.
    pub(crate) fn of(record: &Record, world: &World) -> Self {
        let these = |users: Arc<[UserId]>| Self::These {
            count: users.len(),
            users,
        };
        match &record.audience {
            Audience::Nobody => these(Arc::default()),
            Audience::Chat(ChatId::COMMON) => Self::Everyone,
            Audience::Chat(chat) => {
                let users = world.chat.members(*chat);
                match about(record) {
                    None => these(users),
                    // Who came later does not see the message, nor what lies beside it.
                    Some(message) => Self::These {
                        count: world.chat.seeing(*chat, message),
                        users,
                    },
                }
            }
            Audience::Users(users) => these(users.as_slice().into()),
        }
    }

    fn includes(&self, user: UserId) -> bool {
        match self {
            Self::Everyone => true,
            Self::These { users, count } => users[..*count].contains(&user),
        }
    }

    fn is_nobody(&self) -> bool {
        matches!(self, Self::These { count: 0, .. })
    }
}

/// What only those are told who are there now.
pub(crate) struct Live {
    pub(crate) to: Recipients,
    pub(crate) frame: Arc<Frame>,
}

impl Live {
    pub(crate) fn new(to: Recipients, event: &Event) -> Self {
        let frame = Arc::new(Frame::live(event));
        Self { to, frame }
    }
}

/// The message that a fact speaks of: the one that it lies beside, or the newest that it removes.
pub(crate) fn about(record: &Record) -> Option<Id> {
    if record.owner == CORE && record.fact.get().starts_with("{\"removed\"") {
        return match serde_json::from_str(record.fact.get()) {
            Ok(Fact::Removed { ids, .. }) => ids.into_iter().max(),
            _ => None,
        };
    }
    record.message()
}

/// A stream that can sit with the hub.
pub(crate) trait Seated: Source {
    /// Its place.
    fn registered(&self) -> &Registered;

    /// Notes that a frame was written.
    fn wrote(&mut self, frame: &Frame);

    /// Has it go on from the log after this position, or from where it is if that is further.
    fn go_on_from(&mut self, pos: Pos);
}

/// The streams, and who is online.
pub(crate) struct Hub {
    streams: Mutex<Streams>,
    inbox: Inbox,
    frames: Frames,
    world: Arc<RwLock<World>>,
    clock: Clock,
    /// Somebody came to this node, or left it.
    came_or_left: Notify,
    /// The last position of what was not handed over, until streams are put back for it; else 0.
    missed: AtomicU64,
    /// The most streams at once.
    limit: usize,
    /// The most frames that wait for one stream.
    queue: usize,
}

#[derive(Default)]
struct Streams {
    /// The last position that was fanned out.
    published: Pos,
    /// The mailboxes of those who have no seat.
    followers: HashMap<UserId, Vec<Arc<Mailbox>>>,
    /// Of which clients a user has streams, each as often, seated ones among them.
    open: HashMap<UserId, SmallVec<[ClientId; 1]>>,
    count: usize,
    lingering: HashMap<UserId, Instant>,
    /// Who is online at the other nodes of a cluster.
    elsewhere: HashMap<Uuid, Elsewhere>,
    stopped: bool,
}

/// A stream's place in the hub, left when this is dropped.
pub(crate) struct Registered {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
    /// Whether its user stays online a while afterwards.
    lingers: bool,
}

impl Hub {
    /// A hub, and what is to run on its thread.
    ///
    /// # Errors
    /// When the system has no means to wait for sockets.
    pub(crate) fn new(
        frames: Frames,
        world: Arc<RwLock<World>>,
        clock: Clock,
        published: Pos,
        limit: usize,
        queue: usize,
    ) -> io::Result<(Arc<Self>, FanOut)> {
        let poll = mio::Poll::new()?;
        let streams = Streams {
            published,
            ..Streams::default()
        };
        let hub = Arc::new(Self {
            streams: Mutex::new(streams),
            inbox: Inbox::new(poll.registry())?,
            frames,
            world,
            clock,
            came_or_left: Notify::new(),
            missed: AtomicU64::new(0),
            limit,
            queue,
        });
        let fan_out = FanOut::new(Arc::clone(&hub), poll)?;
        Ok((hub, fan_out))
    }

    /// Takes a batch that is durable. Where it can't, every stream goes back to the log.
    pub(crate) fn hand_over(&self, batch: Vec<Sent>) {
        let Some(last) = batch.last().map(|sent| sent.record.pos) else {
            return;
        };
        if !self.inbox.put_batch(batch) {
            self.missed(last);
        }
    }

    /// What the log has up to this position was not all handed over: every stream goes back to it.
    pub(crate) fn missed(&self, upto: Pos) {
        self.missed.fetch_max(upto, Ordering::AcqRel);
        self.inbox.wake();
    }

    /// Gives a stream its place; none when there are too many or the server is stopping.
    pub(crate) fn register(
        self: &Arc<Self>,
        user: UserId,
        client: ClientId,
        lingers: bool,
    ) -> Option<Registered> {
        let mut streams = self.lock();
        if streams.count >= self.limit || streams.stopped {
            return None;
        }
        self.came_or_left.notify_one();
        let was_online = streams.is_online(user);
        if !was_online {
            self.tell_presence(&streams, user, true);
        }
        let mailbox = Arc::new(Mailbox::new(user, client, self.queue));
        streams.count += 1;
        streams.open.entry(user).or_default().push(client);
        streams.follow(&mailbox);
        drop(streams);
        Some(Registered {
            hub: Arc::clone(self),
            mailbox,
            lingers,
        })
    }

    /// Has the hub's thread write to a stream's socket.
    pub(crate) fn seat(&self, stream: Box<dyn Seated>, wire: Wire) {
        self.inbox.put_stream(stream, wire);
    }

    /// Ends every stream, for good.
    pub(crate) fn stop(&self) {
        let mut streams = self.lock();
        streams.stopped = true;
        streams.followers().for_each(|mailbox| mailbox.close());
        drop(streams);
        self.inbox.wake();
    }

    /// Ends the hub's thread, once it has done what it was handed.
    pub(crate) fn end(&self) {
        self.inbox.end();
    }

    /// Everyone online.
    pub(crate) fn online(&self) -> BTreeSet<UserId> {
        let streams = self.lock();
        streams
            .open
            .keys()
            .chain(streams.lingering.keys())
            .copied()
            .chain(streams.all_elsewhere())
            .collect()
    }

    /// Those of a user's clients that have streams here.
    pub(crate) fn clients_of(&self, user: UserId) -> BTreeSet<ClientId> {
        let streams = self.lock();
        let clients = streams.open.get(&user).into_iter().flatten();
        clients.copied().collect()
    }

    /// How many streams there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// How many batches wait to be fanned out.
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.waiting()
    }

    /// What makes frames.
    pub(crate) fn frames(&self) -> &Frames {
        &self.frames
    }

    fn tell_presence(&self, streams: &Streams, user: UserId, online: bool) {
        let name = self.world().chat.user(user).map(|user| user.name.clone());
        let event = Event::new("user", json!({"name": name, "online": online}));
        self.tell_those(streams, Live::new(Recipients::Everyone, &event));
    }

    /// Tells something to those who are there, unless they are a crowd or too much waits.
    pub(crate) fn tell(&self, live: Live) {
        let streams = self.lock();
        let is_for_a_crowd = live.to == Recipients::Everyone && streams.count > CROWD;
        if !is_for_a_crowd && self.inbox.live_waiting() < LIVE_WAITING {
            self.tell_those(&streams, live);
        }
    }

    fn tell_those(&self, streams: &Streams, live: Live) {
        streams.push(&live.frame, &live.to);
        self.inbox.put_live(live);
    }

    fn world(&self) -> std::sync::RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// The stream's mailbox.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Follows the hub from `pos` on, if the hub has not passed it yet.
    pub(crate) fn go_live(&self, pos: Pos) -> bool {
        let streams = self.hub.lock();
        let live = streams.published <= pos;
        if live {
            self.mailbox.go_live(pos);
        }
        live
    }

    /// Has a stream that sat follow by its mailbox again, beginning with the log.
    fn stand_up(&self) {
        let mut streams = self.hub.lock();
        self.mailbox.fall_behind();
        // Those who sit are still to be told of these.
        self.hub.inbox.each_live(|live| {
            if live.to.includes(self.mailbox.user) {
                self.mailbox.push(&live.frame);
            }
        });
        streams.follow(&self.mailbox);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let user = self.mailbox.user;
        let mut streams = self.hub.lock();
        streams.count -= 1;
        streams.unfollow(&self.mailbox);
        if let Some(open) = streams.open.get_mut(&user) {
            if let Some(place) = open.iter().position(|one| *one == self.mailbox.client) {
                open.swap_remove(place);
            }
            if !open.is_empty() {
                return;
            }
        }
        streams.open.remove(&user);
        self.hub.came_or_left.notify_one();
        if self.lingers && !streams.stopped {
            let until = Instant::now() + LINGER;
            streams.lingering.insert(user, until);
            self.hub.inbox.wake();
        } else if !streams.is_online(user) {
            self.hub.tell_presence(&streams, user, false);
        }
    }
}

impl Streams {
    fn followers(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.followers.values().flatten()
    }

    /// Puts a frame into the mailboxes of those whom it is for.
    fn push(&self, frame: &Arc<Frame>, to: &Recipients) {
        match to {
            Recipients::Everyone => self.followers().for_each(|mailbox| mailbox.push(frame)),
            Recipients::These { users, count } => users
                .iter()
                .take(*count)
                .filter_map(|user| self.followers.get(user))
                .flatten()
                .for_each(|mailbox| mailbox.push(frame)),
        }
    }

    fn follow(&mut self, mailbox: &Arc<Mailbox>) {
        let mailboxes = self.followers.entry(mailbox.user).or_default();
        mailboxes.push(Arc::clone(mailbox));
    }

    fn unfollow(&mut self, mailbox: &Arc<Mailbox>) {
        if let Some(mailboxes) = self.followers.get_mut(&mailbox.user) {
            mailboxes.retain(|other| !Arc::ptr_eq(other, mailbox));
            if mailboxes.is_empty() {
                self.followers.remove(&mailbox.user);
            }
        }
    }

    fn is_online(&self, user: UserId) -> bool {
        self.open.contains_key(&user)
            || self.lingering.contains_key(&user)
            || self.is_elsewhere(user)
    }
}
