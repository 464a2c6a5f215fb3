//! One attempt at a batch: decide, apply, append.
//!
//! This thread alone changes the world. It holds the lock for itself only while one decision is
//! applied: others read while the next is decided and its rows are written.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::{Broken, Noted, RETRY, SCRUB_AFTER, Writer, unknown_outcome};
use crate::bus::shared::{Durable, From, moved};
use crate::bus::{Answer, Command, Outcome, Recipients, Sent, Tx, WorldError, decide};
use crate::chat::{self, Fact, Handed};
use crate::counts::COUNTS;
use crate::http::Problem;
use crate::log::{AppendError, Audience, Change, Contents, Done, Followed, LogError, Pos, UserId};
use crate::time::Time;

/// How often one feature does what is due within a batch: posts wait for so much at most.
const WAKES: usize = 64;

/// Messages of a chat that ended removed with one batch.
const CLEARED: usize = 64;

impl Writer {
    /// Decides and applies everything, and appends it. Nothing is answered here, so that a lost
    /// race leaves the commands to be decided again.
    pub(super) fn attempt(
        &mut self,
        commands: &[Command],
        noted: &Noted,
    ) -> Result<Vec<Result<Answer, Problem>>, Broken> {
        let now = self.now();
        self.sent.clear();
        self.live.clear();
        let mut answers = Vec::with_capacity(commands.len());
        let mut in_doubt = false;
        let shared = Arc::clone(&self.o.shared);
        let before = shared.world().pos;
        if !self.is_led() {
            self.wake(now)?;
            self.clear(now)?;
        }
        self.note(now, noted)?;
        for command in commands {
            let by = command.by.map(|(user, _)| user);
            if let Some(once) = command.once {
                // One with a key gets its answer by that.
                if let Some(told) = self.o.log.done(once.command)
                    && command.key.is_none()
                {
                    answers.push(self.retell(now, by, told));
                    continue;
                }
                if let From::Elsewhere { since } = once.from
                    && self.o.log.is_overtaken(since)
                {
                    answers.push(Err(moved()));
                    continue;
                }
                in_doubt |= matches!(once.from, From::Here { in_doubt: true });
            }
            let decided = self.look(now, by, |tx| {
                let mut decide = || decide::guarded(|| decide::decide(tx, command));
                match &command.request {
                    Some(request) => request.clone().scope_sync(decide),
                    None => decide(),
                }
            });
            match decided {
                Err(problem) => answers.push(Err(problem)),
                Ok((answer, outcome)) => {
                    if let Some(once) = command.once.filter(|_| !outcome.records.is_empty()) {
                        self.o.log.stage_command(once.command, answer.told());
                    }
                    self.apply(outcome)?;
                    answers.push(Ok(answer));
                }
            }
            if self.o.log.is_full() {
                break;
            }
        }
        if in_doubt && shared.world().pos == before {
            self.mark(now)?;
        }
        let after = shared.world().pos;
        if after > before {
            self.commit(before)?;
        }
        if !commands.is_empty() {
            COUNTS.batch.observe(commands.len() as f64);
        }
        if !noted.seen.is_empty() {
            self.seen_since = None;
        }
        self.tell(after);
        Ok(answers)
    }

    /// Takes over a batch that another node decided and appended.
    pub(super) fn take_over(&mut self, followed: Vec<Followed>) -> Result<(), Broken> {
        self.sent.clear();
        let before = self.o.shared.world().pos;
        for (record, text) in followed {
            let held = record.holds.iter().map(|row| self.o.log.row(*row));
            let held = held.collect::<Result<Vec<_>, _>>();
            let held = held.map_err(AppendError::Failed)?;
            let held = held.into_iter().flatten().collect();
            self.apply(Outcome {
                records: vec![(record, Contents { text, held })],
                live: Vec::new(),
            })?;
        }
        self.commit(before)?;
        let after = self.o.shared.world().pos;
        self.tell(after);
        Ok(())
    }

    /// What is answered to a command that was done already.
    fn retell(&self, now: Time, by: Option<UserId>, told: Done) -> Result<Answer, Problem> {
        let told = told.and_then(|told| {
            let world = self.o.shared.world();
            self.tx(&world, now, by).retell(told)
        });
        told.ok_or_else(unknown_outcome)
    }

    /// Records what changes nothing, and is appended like any other.
    fn mark(&mut self, now: Time) -> Result<(), Broken> {
        let clients = Vec::new();
        let seen = Fact::Seen { clients };
        let marked = self.look(now, None, |tx| tx.core(&seen, Audience::Nobody));
        match marked {
            Ok((_, outcome)) => self.apply(outcome),
            Err(problem) => {
                tracing::error!(%problem, "marking the end of the log");
                Err(AppendError::Unknown.into())
            }
        }
    }

    fn commit(&mut self, before: Pos) -> Result<(), AppendError> {
        let begun = Instant::now();
        self.o.log.commit(before)?;
        COUNTS.commit.observe(begun.elapsed().as_secs_f64());
        COUNTS.facts.inc_by(self.sent.len() as u64);
        Ok(())
    }

    /// Tells everybody that the log is durable up to here.
    fn tell(&mut self, pos: Pos) {
        let shared = Arc::clone(&self.o.shared);
        let generation = shared.generation.load(Ordering::Acquire);
        self.o.durable.send_replace(Durable { generation, pos });
        if std::mem::take(&mut self.removed) {
            shared.notices.removed.notify_one();
        }
        self.publish();
    }

    /// Decides something, and gives what it recorded with it.
    fn look<T, E>(
        &self,
        now: Time,
        by: Option<UserId>,
        decide: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<(T, Outcome), E> {
        let world = self.o.shared.world();
        let mut tx = self.tx(&world, now, by);
        decide(&mut tx).map(|decided| (decided, tx.into_outcome()))
    }

    /// Does what is due, a bounded part of it: each feature's work is applied before it is asked
    /// again, so that it sees what it did.
    fn wake(&mut self, now: Time) -> Result<(), Broken> {
        let features = Arc::clone(&self.o.features);
        for feature in features.iter() {
            for _ in 0..WAKES {
                if self.o.log.is_full() {
                    return Ok(());
                }
                let woken = self.look(now, None, |tx| {
                    let is_due = self.due_of(feature, tx).is_some_and(|due| due <= now);
                    if is_due {
                        decide::guarded(|| feature.wake(tx))?;
                    }
                    Ok::<_, Problem>(is_due)
                });
                match woken {
                    Ok((false, _)) => break,
                    Ok((true, outcome)) if !outcome.records.is_empty() => {
                        self.resting.remove(feature.name());
                        self.apply(outcome)?;
                        continue;
                    }
                    Ok(_) => tracing::debug!(feature = feature.name(), "nothing done when due"),
                    Err(problem) => {
                        tracing::error!(feature = feature.name(), %problem, "doing what is due");
                    }
                }
                // It would be asked for again at once, for ever.
                self.resting.insert(feature.name(), now.plus(RETRY));
            }
        }
        Ok(())
    }

    /// Removes some of the messages of a chat that ended.
    fn clear(&mut self, now: Time) -> Result<(), Broken> {
        let ended = self.o.shared.world().chat.ended();
        let Some(chat) = ended else {
            return Ok(());
        };
        let rows = self
            .o
            .log
            .first(chat, CLEARED)
            .map_err(AppendError::Failed)?;
        let cleared = self.look(now, None, |tx| {
            if rows.is_empty() {
                let fact = Fact::Cleared { chat };
                tx.core(&fact, Audience::Nobody).map(|_| ())
            } else {
                tx.take_away(&rows)
            }
        });
        match cleared {
            Ok(((), outcome)) => self.apply(outcome),
            Err(problem) => {
                tracing::error!(%problem, "removing what a chat that ended had");
                Ok(())
            }
        }
    }

    /// Records what others noted in passing.
    fn note(&mut self, now: Time, noted: &Noted) -> Result<(), Broken> {
        let ((), outcome) = self.look(now, None, |tx| {
            let mut handed: BTreeMap<_, Vec<Handed>> = BTreeMap::new();
            for id in &noted.delivered {
                let row = match tx.message_row(*id) {
                    // What one row has is no reason to take no more posts.
                    Err(error @ LogError::Damaged { .. }) => {
                        tracing::error!(%error, "recording a delivery");
                        None
                    }
                    row => row.map_err(AppendError::Failed)?,
                };
                // Another client of theirs may have been first.
                if let Some(row) = row
                    && let (Some(fuse), Some(to)) = (row.fuse, row.addressee)
                {
                    let (id, at, burnt) = (row.id, row.at, now.plus(fuse));
                    let ends = row.ends.map_or(burnt, |ends| ends.min(burnt));
                    let messages = handed.entry((row.chat, to)).or_default();
                    messages.push(Handed { id, at, ends });
                }
            }
            let clients: Vec<_> = noted
                .seen
                .iter()
                .filter(|(client, _)| tx.world().chat.client(**client).is_some())
                .map(|(client, at)| (*client, *at))
                .collect();
            let delivered = handed.into_iter().map(|((chat, to), messages)| {
                let fact = Fact::Delivered { chat, to, messages };
                (fact, Audience::Chat(chat))
            });
            let seen = (!clients.is_empty()).then_some(Fact::Seen { clients });
            let seen = seen.map(|fact| (fact, Audience::Nobody));
            for (fact, audience) in delivered.chain(seen) {
                if let Err(problem) = tx.core(&fact, audience) {
                    tracing::error!(%problem, "recording what was noted");
                }
            }
            Ok::<_, Broken>(())
        })?;
        self.apply(outcome)
    }

    /// Stages and applies what a decision recorded.
    fn apply(&mut self, Outcome { records, live }: Outcome) -> Result<(), Broken> {
        self.live.extend(live);
        for (record, contents) in &records {
            let changes = chat::changes(record).map_err(|source| WorldError::Fact {
                pos: record.pos,
                owner: record.owner.clone(),
                source,
            })?;
            let text = contents.text.as_deref();
            self.o.log.stage(record, text, &changes)?;
            let erases = |change: &Change| {
                matches!(
                    change,
                    Change::Remove(_) | Change::Erase(_) | Change::Reword(_)
                )
            };
            if changes.iter().any(erases) {
                self.removed = true;
                let at = record.at.plus(SCRUB_AFTER);
                self.scrub_at = Some(self.scrub_at.map_or(at, |known| known.min(at)));
            }
        }
        let shared = Arc::clone(&self.o.shared);
        let mut world = shared.world.write().unwrap_or_else(PoisonError::into_inner);
        for (record, contents) in records {
            world.apply(&record)?;
            let to = Recipients::of(&record, &world);
            self.sent.push(Sent {
                record,
                contents,
                to,
            });
        }
        Ok(())
    }

    fn publish(&mut self) {
        if !self.sent.is_empty() {
            self.o.hub.hand_over(std::mem::take(&mut self.sent));
        }
        for live in self.live.drain(..) {
            if let Some(others) = &self.o.others {
                others.tell(&live);
            }
            self.o.hub.tell(live);
        }
    }
}
