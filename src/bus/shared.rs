//! What the rest of the server holds of the bus: a way to ask the writer, and reads that show
//! only what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use http::StatusCode;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use uuid::Uuid;

use super::{Answer, Live, Tx, View, World};
use crate::http::{Problem, RequestId};
use crate::log::{AppendError, ClientId, Id, Log, Pos, UserId};
use crate::time::{Clock, Time};

/// A decision: what a request asks, to be run on the writer. It may be run again.
pub(crate) type Decide = Box<dyn Fn(&mut Tx<'_>) -> Result<Answer, Problem> + Send>;

/// A request waiting for the writer.
pub(crate) struct Command {
    /// Whose request it is; its client must still be alive when it is decided.
    pub(crate) by: Option<(UserId, ClientId)>,
    pub(crate) key: Option<KeySpec>,
    pub(crate) decide: Decide,
    /// The request that asks, for the log.
    pub(crate) request: Option<RequestId>,
    pub(crate) reply: oneshot::Sender<Result<Answer, Problem>>,
    /// Where nodes of a cluster hand it to each other.
    pub(crate) once: Option<Once>,
    /// Whether the one who asked hands it to the node that decides now, where that is another one.
    pub(crate) moves: bool,
}

/// A command that nodes of a cluster hand to each other: one of them does it, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Once {
    /// Names it.
    pub(crate) command: Uuid,
    pub(crate) from: From,
}

/// Where such a command comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// Another node, which had followed the log's stream so far. It counts on this one until another
    /// appends: then it is refused with the code [`MOVED`].
    Elsewhere { since: u64 },
    /// It was asked for here.
    Here {
        /// Whether another node was handed it and has not answered: then nothing is answered but behind
        /// a batch of this node's own, after which that one can't do it any more.
        in_doubt: bool,
    },
}

/// The code of the refusal of a command that is another node's to decide by now. It reaches no client.
pub(crate) const MOVED: &str = "moved";

/// That refusal.
pub(crate) fn moved() -> Problem {
    let detail = "another node decides now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, MOVED, detail).retry_after(1)
}

/// An idempotency key with a digest of its request.
#[derive(Clone, Debug)]
pub(crate) struct KeySpec {
    pub(crate) key: String,
    pub(crate) digest: String,
}

/// Work on the log itself, done between two batches.
pub(crate) type Upkeep = Box<dyn FnOnce(&mut dyn Log) -> Result<(), AppendError> + Send>;

/// What the writer is asked for.
pub(crate) enum Task {
    Decide(Command),
    Maintain(Upkeep, oneshot::Sender<Result<(), AppendError>>),
    Stop,
}

/// How far the log is durable. Each rebuild of the world starts another generation: what was seen
/// of the one before may never have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) generation: u64,
    pub(crate) pos: Pos,
}

/// Whether writes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Health {
    /// They are.
    Ok = 0,
    /// The storage is full; they will be when there is room.
    Full = 1,
    /// Another program holds the storage; they will be when it lets go.
    Busy = 2,
    /// The storage failed; not before a restart.
    Failed = 3,
    /// The cluster's log does not answer; they will be when it does.
    NoLog = 4,
}

impl Health {
    /// The refusal of a write.
    pub(crate) fn problem(self) -> Option<Problem> {
        let refuse = |code: &'static str, detail: &str| {
            Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail))
        };
        match self {
            Self::Ok => None,
            Self::Full => refuse(
                "storage_full",
                "the server's storage is full; nothing was kept",
            )
            .map(|problem| problem.retry_after(1)),
            Self::Busy => refuse(
                "storage_busy",
                "another program holds the server's storage; nothing was kept",
            )
            .map(|problem| problem.retry_after(1)),
            Self::NoLog => refuse(
                "no_log",
                "the cluster's log does not answer; nothing was kept",
            )
            .map(|problem| problem.retry_after(1)),
            Self::Failed => refuse(
                "storage_failed",
                "the server's storage failed; it takes no writes until it is restarted",
            ),
        }
    }
}

/// What others tell the writer in passing, without waiting for it.
#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) delivered: Mutex<BTreeSet<Id>>,
    pub(crate) seen: Mutex<BTreeMap<ClientId, Time>>,
    pub(crate) changed: Notify,
    /// Rows have gone, and perhaps objects with them.
    pub(crate) removed: Notify,
}

/// What the writer knows of the other nodes of a cluster.
pub(crate) trait Others: Send {
    /// Whether one of them decides: then it does what is due, too.
    fn decide(&self) -> bool;

    /// Tells those at other nodes what only those are told who are there.
    fn tell(&self, live: &Live);

    /// Has that one record what was noted in passing here; gives it back where it can't.
    fn note(&self, shared: &Arc<Shared>, delivered: BTreeSet<Id>, seen: BTreeMap<ClientId, Time>);
}

impl Notices {
    /// Notes again what could not be recorded.
    pub(crate) fn give_back(&self, delivered: BTreeSet<Id>, seen: BTreeMap<ClientId, Time>) {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(delivered);
        let mut known = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (client, at) in seen {
            known.entry(client).or_insert(at);
        }
    }
}

/// The state shared by the writer and those who read.
pub(crate) struct Shared {
    pub(crate) world: Arc<RwLock<World>>,
    pub(crate) generation: AtomicU64,
    pub(crate) health: AtomicU8,
    pub(crate) notices: Notices,
    pub(crate) clock: Clock,
}

impl Shared {
    pub(crate) fn new(world: World, clock: Clock) -> Self {
        Self {
            world: Arc::new(RwLock::new(world)),
            generation: AtomicU64::new(0),
            health: AtomicU8::new(Health::Ok as u8),
            notices: Notices::default(),
            clock,
        }
    }

    /// The world, for reading.
    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            0 => Health::Ok,
            1 => Health::Full,
            2 => Health::Busy,
            4 => Health::NoLog,
            _ => Health::Failed,
        }
    }
}

/// The bus as the rest of the server holds it.
#[derive(Clone)]
pub(crate) struct Bus {
    shared: Arc<Shared>,
    tasks: mpsc::Sender<Task>,
    durable: watch::Receiver<Durable>,
}

impl Bus {
    pub(crate) fn new(
        shared: Arc<Shared>,
        tasks: mpsc::Sender<Task>,
        durable: watch::Receiver<Durable>,
    ) -> Self {
        Self {
            shared,
            tasks,
            durable,
        }
    }

    /// Has the writer decide, and answers once that is durable. 503 `overloaded` when too many
    /// wait already.
    pub(crate) async fn submit(
        &self,
        by: Option<(UserId, ClientId)>,
        key: Option<KeySpec>,
        decide: Decide,
    ) -> Result<Answer, Problem> {
        self.put(by, key, decide, None, false).await
    }

    /// The same for a command that another node of the cluster may have done: then it is not done
    /// again. Where another node comes to decide meanwhile, it is refused with the code [`MOVED`], and
    /// nothing of it is kept.
    pub(crate) async fn submit_once(
        &self,
        by: Option<(UserId, ClientId)>,
        key: Option<KeySpec>,
        decide: Decide,
        once: Option<Once>,
    ) -> Result<Answer, Problem> {
        self.put(by, key, decide, once, true).await
    }

    async fn put(
        &self,
        by: Option<(UserId, ClientId)>,
        key: Option<KeySpec>,
        decide: Decide,
        once: Option<Once>,
        moves: bool,
    ) -> Result<Answer, Problem> {
        let (reply, answer) = oneshot::channel();
        let task = Task::Decide(Command {
            by,
            key,
            decide,
            request: RequestId::current(),
            reply,
            once,
            moves,
        });
        self.tasks.try_send(task).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too many requests wait to be written",
            )
            .retry_after(1),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        answer.await.map_err(|_| stopping())?
    }

    /// Works on the log between two batches.
    pub(crate) async fn maintain(&self, upkeep: Upkeep) -> Result<(), AppendError> {
        let (reply, done) = oneshot::channel();
        if self
            .tasks
            .send(Task::Maintain(upkeep, reply))
            .await
            .is_err()
        {
            return Ok(());
        }
        done.await.unwrap_or(Ok(()))
    }

    /// Reads the world, and answers once what was seen is durable.
    pub(crate) async fn read<T>(&self, look: impl Fn(&View<'_>) -> T) -> Result<T, Problem> {
        let mut durable = self.durable.clone();
        loop {
            let (value, seen) = self.glance(&look);
            let reached = |now: &Durable| now.generation != seen.generation || now.pos >= seen.pos;
            let now = *durable.wait_for(reached).await.map_err(|_| stopping())?;
            if now.generation == seen.generation {
                return Ok(value);
            }
        }
    }

    /// Reads the world as it is decided by now, durable or not.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let world = self.shared.world();
        look(&View::new(&world, self.shared.clock.now()))
    }

    fn glance<T>(&self, look: impl Fn(&View<'_>) -> T) -> (T, Durable) {
        let world = self.shared.world();
        let generation = self.shared.generation.load(Ordering::Acquire);
        let value = look(&View::new(&world, self.shared.clock.now()));
        (
            value,
            Durable {
                generation,
                pos: world.pos,
            },
        )
    }

    /// Whether writes are taken.
    pub(crate) fn health(&self) -> Health {
        self.shared.health()
    }

    /// How many requests wait for the writer.
    pub(crate) fn waiting(&self) -> usize {
        self.tasks.max_capacity() - self.tasks.capacity()
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// How far the log is durable.
    pub(crate) fn durable_pos(&self) -> Pos {
        self.durable.borrow().pos
    }

    /// Ends when the log is durable beyond a position, and says how far; none where it never will be,
    /// for the writer is gone.
    pub(crate) async fn beyond(&self, pos: Pos) -> Option<Pos> {
        let mut durable = self.durable.clone();
        let reached = durable.wait_for(|now| now.pos > pos).await;
        reached.ok().map(|now| now.pos)
    }

    /// Ends when the log is durable up to a position.
    pub(crate) async fn reached(&self, pos: Pos) {
        // It ends as well when the writer does.
        let _ = self.durable.clone().wait_for(|now| now.pos >= pos).await;
    }

    /// Has the writer look whether there is something to do.
    pub(crate) fn wake(&self) {
        self.shared.notices.changed.notify_one();
    }

    /// Ends when rows have gone, since it was last asked.
    pub(crate) async fn removed(&self) {
        self.shared.notices.removed.notified().await;
    }

    /// Notes that messages were handed to the one they are addressed to.
    pub(crate) fn delivered(&self, ids: impl IntoIterator<Item = Id>) {
        let notices = &self.shared.notices;
        let mut delivered = notices
            .delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = delivered.len();
        delivered.extend(ids);
        if delivered.len() > before {
            notices.changed.notify_one();
        }
    }

    /// Notes that a client was there.
    pub(crate) fn seen(&self, client: ClientId) {
        let notices = &self.shared.notices;
        let mut seen = notices.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.is_empty();
        seen.insert(client, self.shared.clock.now());
        if first {
            notices.changed.notify_one();
        }
    }

    /// Notes when clients were there, elsewhere.
    pub(crate) fn seen_at(&self, seen: Vec<(ClientId, Time)>) {
        let notices = &self.shared.notices;
        let mut known = notices.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (client, at) in seen {
            let latest = known.entry(client).or_insert(at);
            *latest = at.max(*latest);
        }
        notices.changed.notify_one();
    }

    /// When clients were there that the log does not say yet.
    pub(crate) fn seen_lately(&self) -> BTreeMap<ClientId, Time> {
        self.shared
            .notices
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When some of them were, in the same way.
    pub(crate) fn seen_lately_of(
        &self,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> BTreeMap<ClientId, Time> {
        let seen = &self.shared.notices.seen;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = clients.into_iter();
        clients
            .filter_map(|client| Some((client, *seen.get(&client)?)))
            .collect()
    }

    /// Has the writer finish what waits, and end.
    pub(crate) async fn stop(&self) {
        // The writer may have ended already.
        let _ = self.tasks.send(Task::Stop).await;
    }
}

fn stopping() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the server is stopping",
    )
    .retry_after(1)
}
