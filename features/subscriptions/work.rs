//! Which message is posted when, and what came of it: the feature's work beside the server.
//!
//! One task looks at what is said and hands out attempts; each is a task of its own, of one message.
//! So one program's slowness is its own, and its next message waits for the one before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use veche::prelude::*;

use super::Subscriptions;
use super::attempt::{Outcome, attempt};
use super::pauses::JITTER;
use super::state::{Fact, Subscription, Why};

/// How long it waits to be recorded that messages were taken, and how many of them: a crash has as
/// many posted again.
const RECORD_AFTER: Duration = Duration::from_secs(1);
const RECORD_AT: usize = 64;

/// How long nothing is begun where the log takes nothing: what was taken could not be recorded.
const REST: Duration = Duration::from_secs(1);

/// The longest sleep: a clock that is set shows by then.
const NAP: Period = Period::mins(1);

/// How long what is under way has when the server stops.
const LAST: Duration = Duration::from_millis(500);

/// Of all that is on its way, so much may be one user's.
const SHARE: usize = 4;

/// Works until the server stops.
pub async fn run(feature: Arc<Subscriptions>, site: Site<Subscriptions>) {
    let mut seen = 0;
    loop {
        let any = site.view(|view| view.state::<Subscriptions>().on().next().is_some());
        if !any.await.unwrap_or(false) {
            tokio::select! {
                () = site.stopping() => return,
                pos = site.news(seen) => seen = pos,
            }
            continue;
        }
        tokio::select! {
            () = site.stopping() => return,
            () = site.duty() => {}
        }
        let mut round = Round::new(&feature, &site);
        tokio::select! {
            () = round.work() => {}
            () = site.relieved() => {}
        }
    }
}

/// How a subscription stands for whoever hands out attempts.
enum Turn {
    /// There is something to post.
    Now,
    /// Not before then.
    At(Time),
    /// There is nothing.
    Nothing,
    /// Nothing is to be posted, and what is under way is to be broken off.
    Never,
}

/// The time of this node's duty.
struct Round<'a> {
    feature: &'a Arc<Subscriptions>,
    site: &'a Site<Subscriptions>,
    seen: Id,
    under_way: JoinSet<(Id, Outcome)>,
    /// Whose attempts those are.
    busy: BTreeMap<Id, (AbortHandle, UserId)>,
    /// Those that wait for their turn, and their owners.
    ready: VecDeque<(Id, UserId)>,
    /// What was reached and is not recorded.
    reached: BTreeMap<Id, Id>,
    recovered: BTreeSet<Id>,
    taken: usize,
    record_at: Option<Instant>,
    /// When there is something to look at again.
    look_at: Option<Instant>,
    /// Until when nothing is begun.
    rest: Option<Instant>,
}

impl<'a> Round<'a> {
    fn new(feature: &'a Arc<Subscriptions>, site: &'a Site<Subscriptions>) -> Self {
        Self {
            feature,
            site,
            seen: 0,
            under_way: JoinSet::new(),
            busy: BTreeMap::new(),
            ready: VecDeque::new(),
            reached: BTreeMap::new(),
            recovered: BTreeSet::new(),
            taken: 0,
            record_at: None,
            look_at: None,
            rest: None,
        }
    }

    /// Ends when the server stops, or nobody subscribes any more.
    async fn work(&mut self) {
        loop {
            self.begin();
            let next = [self.record_at, self.look_at, self.rest]
                .into_iter()
                .flatten()
                .min();
            let site = self.site;
            tokio::select! {
                () = site.stopping() => return self.finish().await,
                pos = site.news(self.seen) => {
                    self.seen = pos;
                    if !self.look().await {
                        return;
                    }
                }
                Some(done) = self.under_way.join_next() => self.done(done).await,
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.tick().await;
                }
            }
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_over(self.rest) {
            self.rest = None;
            self.look_at = Some(now);
        }
        if is_over(self.record_at) {
            self.record().await;
        }
        if is_over(self.look_at) {
            self.look().await;
        }
    }

    /// Looks who has something to be posted; says whether anybody subscribes.
    async fn look(&mut self) -> bool {
        self.look_at = None;
        let reached = &self.reached;
        let look = |view: &View<'_>| {
            let on = view.state::<Subscriptions>().on();
            let turns = on.map(|(id, one)| {
                let turn = turn(view, one, reached.get(&id).copied());
                (id, (one.by, turn))
            });
            (view.now(), turns.collect::<BTreeMap<_, _>>())
        };
        let Ok((now, turns)) = self.site.view(look).await else {
            self.rest();
            return true;
        };
        let is_to_go = |id: &Id| matches!(turns.get(id), None | Some((_, Turn::Never)));
        let broken_off = self.busy.iter().filter(|(id, _)| is_to_go(id));
        broken_off.for_each(|(_, (task, _))| task.abort());
        self.ready
            .retain(|(id, _)| matches!(turns.get(id), Some((_, Turn::Now))));
        let mut known: BTreeSet<Id> = self.ready.iter().map(|(id, _)| *id).collect();
        known.extend(self.busy.keys());
        let is_nobody = turns.is_empty() && self.reached.is_empty();
        for (id, (by, turn)) in turns {
            if !known.contains(&id) {
                self.queue(id, by, &turn, now);
            }
        }
        !is_nobody
    }

    fn queue(&mut self, id: Id, by: UserId, turn: &Turn, now: Time) {
        match turn {
            Turn::Now => self.ready.push_back((id, by)),
            Turn::At(time) => {
                let at = Instant::now() + time.since(now).min(NAP).to_std();
                self.look_at = Some(self.look_at.map_or(at, |known| known.min(at)));
            }
            Turn::Nothing | Turn::Never => {}
        }
    }

    /// Begins attempts, as many as may be under way.
    fn begin(&mut self) {
        if self.rest.is_some() {
            return;
        }
        let most = self.feature.settings.at_once;
        let share = most.div_ceil(SHARE);
        let mut each: BTreeMap<UserId, usize> = BTreeMap::new();
        for (_, by) in self.busy.values() {
            *each.entry(*by).or_default() += 1;
        }
        while self.busy.len() < most {
            let has_room = |(_, by): &(Id, UserId)| each.get(by).is_none_or(|own| *own < share);
            let place = self.ready.iter().position(has_room);
            let Some((id, by)) = place.and_then(|place| self.ready.remove(place)) else {
                return;
            };
            *each.entry(by).or_default() += 1;
            let (feature, site) = (Arc::clone(self.feature), self.site.clone());
            let reached = self.reached.get(&id).copied();
            let task = self.under_way.spawn(async move {
                let attempt = attempt(&feature, &site, id, reached).await;
                // The log says what it was.
                let failed = |_| Outcome::Failed {
                    why: Why::Internal,
                    asked: None,
                };
                (id, attempt.unwrap_or_else(failed))
            });
            self.busy.insert(id, (task, by));
        }
    }

    async fn done(&mut self, done: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                let is_its =
                    |(_, (task, _)): &(&Id, &(AbortHandle, UserId))| task.id() == error.id();
                let Some((id, _)) = self.busy.iter().find(is_its) else {
                    return;
                };
                let failed = Outcome::Failed {
                    why: Why::Internal,
                    asked: None,
                };
                let dropped = error.is_cancelled().then_some(Outcome::Dropped);
                (*id, dropped.unwrap_or(failed))
            }
        };
        let Some((_, by)) = self.busy.remove(&id) else {
            return;
        };
        match outcome {
            Outcome::Reached { upto, recovers } => {
                self.reached.insert(id, upto);
                self.taken += 1;
                if recovers {
                    self.recovered.insert(id);
                }
                let later = Instant::now() + RECORD_AFTER;
                self.record_at.get_or_insert(later);
                if recovers || self.taken >= RECORD_AT {
                    self.record().await;
                }
            }
            Outcome::Failed { why, asked } => self.fail(id, why, asked).await,
            Outcome::Dropped => {}
        }
        let reached = self.reached.get(&id).copied();
        let look = |view: &View<'_>| {
            let one = view.state::<Subscriptions>().get(id);
            (
                view.now(),
                one.map_or(Turn::Never, |one| turn(view, one, reached)),
            )
        };
        match self.site.view(look).await {
            Ok((now, turn)) => self.queue(id, by, &turn, now),
            Err(_) => self.rest(),
        }
    }

    /// Records how far programs have come.
    async fn record(&mut self) {
        self.record_at = None;
        if self.reached.is_empty() {
            return;
        }
        let (reached, recovered) = (self.reached.clone(), self.recovered.clone());
        let decided = self.site.decide(move |_, tx| {
            let state = tx.state::<Subscriptions>();
            let mut upto = reached.clone();
            upto.retain(|id, _| state.get(*id).is_some());
            let fails = |one: &&Subscription| one.failure.is_some();
            let back = recovered
                .iter()
                .map(|id| (*id, state.get(*id).filter(fails)));
            let back: Vec<_> = back.filter_map(|(id, one)| Some((id, one?.by))).collect();
            if !upto.is_empty() {
                tx.record(Entry::<Subscriptions>::new(Fact::Taken { upto }))?;
            }
            for (subscription, by) in back {
                let on = Entry::<Subscriptions>::new(Fact::On { subscription });
                tx.record(on.tell(vec![by]))?;
            }
            Ok(Answer::no_content())
        });
        if decided.await.is_err() {
            self.rest();
            self.record_at = self.rest;
            return;
        }
        self.reached.clear();
        self.recovered.clear();
        self.taken = 0;
    }

    /// Records that a program did not take a message.
    async fn fail(&mut self, id: Id, why: Why, asked: Option<Period>) {
        self.record().await;
        let chance = Uuid::new_v4().as_u64_pair().0 % JITTER;
        let decided = self.site.decide(move |feature: &Subscriptions, tx| {
            if let Some(one) = tx.state::<Subscriptions>().get(id) {
                let by = one.by;
                let failure = feature
                    .settings
                    .failed(one.failure, why, tx.now(), asked, chance);
                let failed = Fact::Failed {
                    subscription: id,
                    failure,
                };
                tx.record(Entry::<Subscriptions>::new(failed).tell(vec![by]))?;
            }
            Ok(Answer::no_content())
        });
        if decided.await.is_err() {
            self.rest();
        }
    }

    /// Begins nothing for a while.
    fn rest(&mut self) {
        self.rest = Some(Instant::now() + REST);
    }

    /// Records what can be, before the server stops.
    async fn finish(&mut self) {
        let until = Instant::now() + LAST;
        while let Ok(Some(done)) = timeout_at(until, self.under_way.join_next()).await {
            self.done(done).await;
        }
        self.record().await;
    }
}

/// Whether there is something to be posted now.
fn turn(view: &View<'_>, one: &Subscription, reached: Option<Id>) -> Turn {
    if one.is_off() {
        return Turn::Never;
    }
    let Some(chat) = one.place.chat(view, one.by) else {
        return Turn::Never;
    };
    let upto = reached.map_or(one.upto, |reached| reached.max(one.upto));
    if view.chat(chat).is_none_or(|chat| chat.last <= upto) {
        return Turn::Nothing;
    }
    match one.failure.and_then(|failure| failure.rests(view.now())) {
        Some(next) => Turn::At(next),
        None => Turn::Now,
    }
}
