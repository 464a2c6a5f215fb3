//! The writer: a thread of its own that takes waiting requests in batches, decides one after
//! another on one world, appends once, and only then answers.
//!
//! `applied ≥ durable`: each decided command is applied at once, so that the next one sees it;
//! answers, frames and reads wait for the commit. When a commit fails, nothing of the batch is in
//! the log: the world is rebuilt from it, and what was not answered is decided again (a lost
//! race) or refused (no room; a failed fsync, after which only a restart takes writes again).

mod attempt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::shared::{Durable, Others, Shared, Task, Upkeep, moved};
use super::{Command, Health, Hub, Live, Sent, Tx, World, WorldError, causes, fault, internal};
use crate::feature::{Erased, Features};
use crate::http::Problem;
use crate::log::{AppendError, ClientId, Id, Log, LogError, UserId};
use crate::settings::Period;
use crate::time::Time;

/// The most commands in one batch: enough to share an fsync, few enough to answer soon.
const BATCH: usize = 512;

/// How long a client's being seen waits to be written.
const SEEN_EVERY: Period = Period::secs(60);

/// The longest sleep: a clock that is set, as after a suspend, shows by then.
const NAP: Duration = Duration::from_secs(1);

/// How soon a full storage, or a feature whose work failed, is tried again.
const RETRY: Period = Period::secs(1);

/// How soon erased texts are brought out of the files: well within the minute that is promised.
const SCRUB_AFTER: Period = Period::secs(5);

/// How long who still reads is waited for at the end, until what was erased is out of the files.
const LAST_SCRUB: Duration = Duration::from_secs(3);

/// How often a lost race is decided again before the request is refused.
const RACES: usize = 100;

/// What the writer is made of.
pub(crate) struct WriterOptions {
    pub(crate) log: Box<dyn Log>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) features: Arc<Features>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tasks: mpsc::Receiver<Task>,
    pub(crate) durable: watch::Sender<Durable>,
    pub(crate) text_limit: usize,
    /// The other nodes, in a cluster.
    pub(crate) others: Option<Box<dyn Others>>,
}

/// The writer.
pub(crate) struct Writer {
    o: WriterOptions,
    /// Records of the open batch.
    sent: Vec<Sent>,
    /// What only those are told who are there, once the open batch is durable.
    live: Vec<Live>,
    /// Features whose work failed, and when it is tried again.
    resting: BTreeMap<&'static str, Time>,
    seen_since: Option<Time>,
    scrub_at: Option<Time>,
    /// Whether rows go with the open batch.
    removed: bool,
    probe_at: Time,
    up_since: Time,
    /// Whether what others appended can't be followed: this node would show what is past.
    astray: bool,
}

/// What others noted in passing since the last batch.
#[derive(Default)]
struct Noted {
    delivered: BTreeSet<Id>,
    seen: BTreeMap<ClientId, Time>,
}

/// Why a batch can't go on.
enum Broken {
    Append(AppendError),
    World(WorldError),
}

impl From<AppendError> for Broken {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<WorldError> for Broken {
    fn from(error: WorldError) -> Self {
        Self::World(error)
    }
}

impl Writer {
    pub(crate) fn new(options: WriterOptions) -> Self {
        Self {
            up_since: options.shared.clock.now(),
            o: options,
            sent: Vec::new(),
            live: Vec::new(),
            resting: BTreeMap::new(),
            seen_since: None,
            // What an earlier run erased may still lie in the files.
            scrub_at: Some(Time(0)),
            removed: false,
            probe_at: Time(0),
            astray: false,
        }
    }

    /// Does what fell due while the server was down, before anybody is served.
    pub(crate) fn catch_up(&mut self) {
        if self.fold().is_err() {
            // The one who asked is the start, which goes on: reads are answered.
            return;
        }
        while self.o.shared.health() == Health::Ok
            && self.next_due().is_some_and(|due| due <= self.now())
        {
            self.turn(Vec::new());
        }
    }

    /// Works until it is told to stop; then everything that waited is answered and durable. It ends
    /// before that where it can't follow the other nodes.
    pub(crate) fn run(mut self, runtime: &Handle) {
        loop {
            let (commands, upkeep, stop) = runtime.block_on(self.wait());
            self.turn(commands);
            for (work, reply) in upkeep {
                let done = self.maintain(work);
                // Whoever asked may have gone.
                let _ = reply.send(done);
            }
            if stop {
                self.finish();
                return;
            }
            if self.astray {
                return;
            }
        }
    }

    /// Works on the log between two batches, unless it takes no writes.
    fn maintain(&mut self, work: Upkeep) -> Result<(), AppendError> {
        if self.o.shared.health() != Health::Ok {
            return Ok(());
        }
        let done = work(self.o.log.as_mut());
        if let Err(error) = &done {
            self.break_off(error);
        }
        done
    }

    async fn wait(
        &mut self,
    ) -> (
        Vec<Command>,
        Vec<(Upkeep, oneshot::Sender<Result<(), AppendError>>)>,
        bool,
    ) {
        let until = Instant::now() + self.nap();
        let shared = Arc::clone(&self.o.shared);
        let mut tasks = Vec::new();
        tokio::select! {
            biased;
            _ = self.o.tasks.recv_many(&mut tasks, BATCH) => {}
            () = shared.notices.changed.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
        let (mut commands, mut upkeep, mut stop) = (Vec::new(), Vec::new(), false);
        for task in tasks {
            match task {
                Task::Decide(command) => commands.push(command),
                Task::Maintain(work, reply) => upkeep.push((work, reply)),
                Task::Stop => stop = true,
            }
        }
        (commands, upkeep, stop)
    }

    /// How long there is nothing to do by itself.
    fn nap(&mut self) -> Duration {
        let now = self.now();
        let seen = &self.o.shared.notices.seen;
        if self.seen_since.is_none()
            && !seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty()
        {
            self.seen_since = Some(now);
        }
        let seen_at = self.seen_since.map(|since| since.plus(SEEN_EVERY));
        let next = match self.o.shared.health() {
            Health::Ok => [self.next_due(), seen_at, self.scrub_at, self.clear_at()]
                .into_iter()
                .flatten()
                .min(),
            Health::Full | Health::Busy | Health::NoLog => Some(self.probe_at),
            Health::Failed => None,
        };
        next.map_or(NAP, |next| next.since(now).to_std().min(NAP))
    }

    fn next_due(&self) -> Option<Time> {
        if self.is_led() {
            return None;
        }
        let world = self.o.shared.world();
        let tx = self.tx(&world, self.now(), None);
        self.o
            .features
            .iter()
            .filter_map(|feature| self.due_of(feature, &tx))
            .min()
    }

    /// At once, while a chat that ended has messages.
    fn clear_at(&self) -> Option<Time> {
        if self.is_led() {
            return None;
        }
        let ended = self.o.shared.world().chat.ended();
        ended.map(|_| self.now())
    }

    /// Whether another node decides, and does what is due.
    fn is_led(&self) -> bool {
        self.o.others.as_ref().is_some_and(|others| others.decide())
    }

    fn due_of(&self, feature: &dyn Erased, tx: &Tx<'_>) -> Option<Time> {
        let due = feature.due(tx)?;
        Some(
            self.resting
                .get(feature.name())
                .map_or(due, |rest| due.max(*rest)),
        )
    }

    /// One batch: what is due, what was noted in passing, and these commands.
    fn turn(&mut self, mut commands: Vec<Command>) {
        // A clock that is set back shows that it runs for longer than that said.
        self.up_since = self.up_since.min(self.now());
        if let Err(problem) = self.fold() {
            return refuse(commands, &problem);
        }
        if !self.is_healthy()
            && let Some(problem) = self.o.shared.health().problem()
        {
            return refuse(commands, &problem);
        }
        self.scrub(Duration::ZERO);
        let mut noted = self.take_noted();
        let mut races = 0;
        while races < RACES {
            let problem = match self.attempt(&commands, &noted) {
                Ok(answers) => {
                    let rest = commands.split_off(answers.len());
                    for (command, answer) in commands.into_iter().zip(answers) {
                        // The one who asked may have hung up.
                        let _ = command.reply.send(answer);
                    }
                    if rest.is_empty() {
                        return;
                    }
                    // The batch was full before them.
                    (commands, noted, races) = (rest, Noted::default(), 0);
                    continue;
                }
                Err(Broken::Append(AppendError::Lost)) => {
                    tracing::info!("another writer was first: deciding again");
                    races += 1;
                    match self.rebuild().and_then(|()| self.fold()) {
                        // Against one that appends without a pause this node would go on losing.
                        Ok(()) if self.is_led() => {
                            let moves = |command: &Command| command.moves;
                            let (moving, staying) = commands.into_iter().partition(moves);
                            refuse(moving, &moved());
                            self.give_back(std::mem::take(&mut noted));
                            commands = staying;
                            if commands.is_empty() {
                                return;
                            }
                            continue;
                        }
                        Ok(()) => continue,
                        Err(problem) => problem,
                    }
                }
                Err(Broken::Append(error)) => self.break_off(&error),
                Err(Broken::World(error)) => {
                    let problem = internal("applying a batch", &error);
                    self.rebuild().err().unwrap_or(problem)
                }
            };
            self.give_back(noted);
            return refuse(commands, &problem);
        }
        self.give_back(noted);
        refuse(
            commands,
            &fault("deciding", "every append was another writer's"),
        );
    }

    /// Folds what others appended.
    fn fold(&mut self) -> Result<(), Problem> {
        if !matches!(self.o.shared.health(), Health::Ok | Health::NoLog) {
            return Ok(());
        }
        loop {
            let followed = match self.o.log.follow() {
                Ok(None) => return Ok(()),
                Ok(Some(followed)) => followed,
                // That is known already.
                Err(AppendError::Away) if self.o.shared.health() == Health::NoLog => {
                    return Err(Health::NoLog.problem().unwrap_or_else(unknown_outcome));
                }
                Err(error) => return Err(self.break_off(&error)),
            };
            match self.take_over(followed) {
                Ok(()) => {}
                Err(Broken::Append(error)) => return Err(self.break_off(&error)),
                Err(Broken::World(error)) => {
                    // Whatever it is, this node can't go beyond it.
                    let error = AppendError::Failed(LogError::Stream(causes(&error)));
                    return Err(self.break_off(&error));
                }
            }
        }
    }

    /// Drops what was applied and not appended: the world as the log has it.
    fn rebuild(&mut self) -> Result<(), Problem> {
        self.o.log.rollback();
        let shared = Arc::clone(&self.o.shared);
        let mut world = shared.world.write().unwrap_or_else(PoisonError::into_inner);
        match World::load(self.o.log.as_ref()) {
            Ok(mut rebuilt) => {
                rebuilt.chat.switch_on(self.o.features.names());
                *world = rebuilt;
            }
            Err(error) => {
                shared.health.store(Health::Failed as u8, Ordering::Release);
                return Err(internal("reading the log again", &error));
            }
        }
        // What another writer appended reaches streams through the log alone.
        self.o.hub.missed(world.pos);
        let generation = shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.o.durable.send_replace(Durable {
            generation,
            pos: world.pos,
        });
        Ok(())
    }

    fn break_off(&mut self, error: &AppendError) -> Problem {
        self.astray |= matches!(error, AppendError::Failed(LogError::Stream(_)));
        tracing::error!(error = causes(error), "appending a batch");
        let health = match error {
            AppendError::Full(_) => Health::Full,
            AppendError::Busy(_) => Health::Busy,
            AppendError::Away | AppendError::Unknown => Health::NoLog,
            AppendError::Failed(_) | AppendError::Lost => Health::Failed,
        };
        self.o.shared.health.store(health as u8, Ordering::Release);
        self.probe_at = self.now().plus(RETRY);
        let rebuilt = self.rebuild();
        let unknown = matches!(error, AppendError::Unknown).then(unknown_outcome);
        rebuilt
            .err()
            .or(unknown)
            .or(health.problem())
            .unwrap_or_else(|| internal("appending", error))
    }

    /// Whether the log takes writes; a full one is tried again once a while.
    fn is_healthy(&mut self) -> bool {
        match self.o.shared.health() {
            Health::Ok => true,
            Health::Failed => false,
            Health::Full | Health::Busy | Health::NoLog if self.now() < self.probe_at => false,
            Health::Full | Health::Busy | Health::NoLog => match self.o.log.probe() {
                Ok(()) => {
                    tracing::info!("the storage takes writes again");
                    self.o
                        .shared
                        .health
                        .store(Health::Ok as u8, Ordering::Release);
                    true
                }
                Err(error) => {
                    self.o.log.rollback();
                    self.probe_at = self.now().plus(RETRY);
                    if matches!(error, AppendError::Failed(_)) {
                        tracing::error!(error = causes(&error), "probing the storage");
                        self.o
                            .shared
                            .health
                            .store(Health::Failed as u8, Ordering::Release);
                    }
                    false
                }
            },
        }
    }

    /// Brings erased texts out of the files, when it is time.
    fn scrub(&mut self, patience: Duration) {
        let now = self.now();
        if self.scrub_at.is_none_or(|at| at > now) {
            return;
        }
        self.scrub_at = match self.o.log.scrub(patience) {
            Ok(true) => None,
            // A reader was in the way.
            Ok(false) => Some(now.plus(RETRY)),
            Err(error) => {
                tracing::error!(%error, "bringing erased texts out of the storage");
                Some(now.plus(SCRUB_AFTER))
            }
        };
    }

    fn finish(&mut self) {
        self.seen_since = Some(Time(0));
        self.turn(Vec::new());
        if self.o.shared.health() == Health::Ok {
            self.scrub_at = Some(Time(0));
            self.scrub(LAST_SCRUB);
            if self.scrub_at.is_some() {
                tracing::warn!("erased texts stay in the write-ahead log until the next start");
            }
        }
    }

    fn take_noted(&mut self) -> Noted {
        let notices = &self.o.shared.notices;
        let delivered = std::mem::take(
            &mut *notices
                .delivered
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let due = self
            .seen_since
            .is_some_and(|since| since.plus(SEEN_EVERY) <= self.now());
        let seen = if due {
            std::mem::take(&mut *notices.seen.lock().unwrap_or_else(PoisonError::into_inner))
        } else {
            BTreeMap::new()
        };
        let is_nothing = delivered.is_empty() && seen.is_empty();
        if let Some(others) = self.o.others.as_ref().filter(|others| others.decide()) {
            if !is_nothing {
                others.note(&self.o.shared, delivered, seen);
            }
            if due {
                self.seen_since = None;
            }
            return Noted::default();
        }
        Noted { delivered, seen }
    }

    fn give_back(&self, noted: Noted) {
        let Noted { delivered, seen } = noted;
        self.o.shared.notices.give_back(delivered, seen);
    }

    fn tx<'a>(&'a self, world: &'a World, now: Time, by: Option<UserId>) -> Tx<'a> {
        Tx::new(
            world,
            now,
            self.o.log.as_ref(),
            &self.o.features,
            self.o.text_limit,
            self.up_since,
            by,
        )
    }

    fn now(&self) -> Time {
        self.o.shared.clock.now()
    }
}

/// The answer to what may have been kept, and may not.
pub(crate) fn unknown_outcome() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unknown_outcome",
        "the cluster's log was lost from sight: whether this was kept is not known, and a repeat \
         with the same Idempotency-Key tells",
    )
    .retry_after(1)
}

fn refuse(commands: Vec<Command>, problem: &Problem) {
    for command in commands {
        // The one who asked may have hung up.
        let _ = command.reply.send(Err(problem.clone()));
    }
}
