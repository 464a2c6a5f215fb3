//! Fans what is durable out to the streams it is for, beside requests and never in their way.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Event, Frame, Frames, Mailbox, View, World};
use crate::chat::Fact;
use crate::log::{Audience, CORE, ChatId, ClientId, Contents, Id, Pos, Record, UserId};
use crate::time::Clock;

/// How often a stream hears that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long somebody who polls counts as online between two polls.
const LINGER: Duration = Duration::from_secs(10);

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

    fn is_nobody(&self) -> bool {
        matches!(self, Self::These { count: 0, .. })
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

/// The streams, and who is online.
pub(crate) struct Hub {
    streams: Mutex<Streams>,
    frames: Frames,
    world: Arc<RwLock<World>>,
    clock: Clock,
    gap: AtomicBool,
    rearm: Notify,
    /// The most streams at once.
    limit: usize,
    /// The most frames that wait for one stream.
    queue: usize,
}

#[derive(Default)]
struct Streams {
    /// The last position that was fanned out.
    published: Pos,
    by_user: HashMap<UserId, Vec<Arc<Mailbox>>>,
    count: usize,
    lingering: HashMap<UserId, Instant>,
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
    pub(crate) fn new(
        frames: Frames,
        world: Arc<RwLock<World>>,
        clock: Clock,
        published: Pos,
        limit: usize,
        queue: usize,
    ) -> Self {
        let streams = Streams {
            published,
            ..Streams::default()
        };
        Self {
            streams: Mutex::new(streams),
            frames,
            world,
            clock,
            gap: AtomicBool::new(false),
            rearm: Notify::new(),
            limit,
            queue,
        }
    }

    /// Takes batches until the writer is gone.
    pub(crate) async fn run(self: Arc<Self>, mut batches: mpsc::Receiver<Vec<Sent>>) {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        loop {
            let lingering = self.lock().lingering.values().min().copied();
            tokio::select! {
                biased;
                batch = batches.recv() => match batch {
                    Some(batch) => self.publish(&batch),
                    None => return,
                },
                () = expiry(lingering) => self.expire(),
                () = self.rearm.notified() => self.close_gap(),
                _ = heartbeat.tick() => self.beat(),
            }
        }
    }

    /// The writer could not hand a batch over: every stream goes back to the log.
    pub(crate) fn missed(&self) {
        self.gap.store(true, Ordering::Release);
        self.rearm.notify_one();
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
        let was_online = streams.is_online(user);
        if !was_online {
            self.tell_presence(&streams, user, true);
        }
        let mailbox = Arc::new(Mailbox::new(user, client, self.queue));
        streams.count += 1;
        streams
            .by_user
            .entry(user)
            .or_default()
            .push(Arc::clone(&mailbox));
        drop(streams);
        Some(Registered {
            hub: Arc::clone(self),
            mailbox,
            lingers,
        })
    }

    /// Ends every stream, for good.
    pub(crate) fn stop(&self) {
        let mut streams = self.lock();
        streams.stopped = true;
        streams.all().for_each(|mailbox| mailbox.close());
    }

    /// Everyone online.
    pub(crate) fn online(&self) -> BTreeSet<UserId> {
        let streams = self.lock();
        streams
            .by_user
            .keys()
            .chain(streams.lingering.keys())
            .copied()
            .collect()
    }

    /// What makes frames.
    pub(crate) fn frames(&self) -> &Frames {
        &self.frames
    }

    fn publish(&self, batch: &[Sent]) {
        let Some(last) = batch.last().map(|sent| sent.record.pos) else {
            return;
        };
        let frames = if self.lock().count == 0 {
            Vec::new()
        } else {
            self.render(batch)
        };
        let mut streams = self.lock();
        streams.published = last;
        if self.gap.load(Ordering::Acquire) {
            // This batch, too, is read from the log then.
            drop(streams);
            return self.close_gap();
        }
        for (frame, to) in &frames {
            match to {
                Recipients::Everyone => streams.all().for_each(|mailbox| mailbox.push(frame)),
                Recipients::These { users, count } => users
                    .iter()
                    .take(*count)
                    .filter_map(|user| streams.by_user.get(user))
                    .flatten()
                    .for_each(|mailbox| mailbox.push(frame)),
            }
        }
        for client in batch.iter().filter_map(|sent| ended_client(&sent.record)) {
            streams
                .all()
                .filter(|mailbox| mailbox.client == client)
                .for_each(|mailbox| mailbox.close());
        }
    }

    /// Puts every stream back on the log, if something could not be handed over.
    pub(super) fn close_gap(&self) {
        let streams = self.lock();
        if !self.gap.swap(false, Ordering::AcqRel) {
            return;
        }
        let world = self.world();
        for mailbox in streams.all() {
            mailbox.fall_behind();
            if world.chat.client(mailbox.client).is_none() {
                mailbox.close();
            }
        }
    }

    /// Each fact's one frame and whom it is for.
    fn render<'a>(&self, batch: &'a [Sent]) -> Vec<(Arc<Frame>, &'a Recipients)> {
        let world = self.world();
        let view = View::new(&world, self.clock.now());
        batch
            .iter()
            .filter(|sent| !sent.to.is_nobody())
            .filter_map(|sent| {
                let frame = self.frames.frame(&view, &sent.record, &sent.contents)?;
                Some((Arc::new(frame), &sent.to))
            })
            .collect()
    }

    fn beat(&self) {
        let frame = Arc::new(Frame::comment());
        self.lock().all().for_each(|mailbox| mailbox.push(&frame));
    }

    fn expire(&self) {
        let mut streams = self.lock();
        let now = Instant::now();
        let over: Vec<_> = streams
            .lingering
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(user, _)| *user)
            .collect();
        for user in over {
            streams.lingering.remove(&user);
            if !streams.is_online(user) {
                self.tell_presence(&streams, user, false);
            }
        }
    }

    fn tell_presence(&self, streams: &Streams, user: UserId, online: bool) {
        let name = self.world().chat.user(user).map(|user| user.name.clone());
        let event = Event::new("user", json!({"name": name, "online": online}));
        let frame = Arc::new(Frame::live(&event));
        streams.all().for_each(|mailbox| mailbox.push(&frame));
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
}

impl Drop for Registered {
    fn drop(&mut self) {
        let user = self.mailbox.user;
        let mut streams = self.hub.lock();
        streams.count -= 1;
        if let Some(mailboxes) = streams.by_user.get_mut(&user) {
            mailboxes.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
            if mailboxes.is_empty() {
                streams.by_user.remove(&user);
                if self.lingers && !streams.stopped {
                    let until = Instant::now() + LINGER;
                    streams.lingering.insert(user, until);
                    self.hub.rearm.notify_one();
                } else if !streams.lingering.contains_key(&user) {
                    self.hub.tell_presence(&streams, user, false);
                }
            }
        }
    }
}

impl Streams {
    fn all(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.by_user.values().flatten()
    }

    fn is_online(&self, user: UserId) -> bool {
        self.by_user.contains_key(&user) || self.lingering.contains_key(&user)
    }
}

async fn expiry(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ended_client(record: &Record) -> Option<ClientId> {
    if record.owner != CORE || !record.fact.get().starts_with("{\"disconnected\"") {
        return None;
    }
    match serde_json::from_str(record.fact.get()) {
        Ok(Fact::Disconnected { client, .. }) => Some(client),
        _ => None,
    }
}
