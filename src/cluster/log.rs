//! The cluster's log: SQLite, in which a batch is staged as ever, and the stream, in which it is
//! appended before SQLite commits it.
//!
//! SQLite is this node's fold of the stream. It holds, in the same transaction, the sequence up to
//! which it has come, so that a node that was killed goes on from there.
//!
//! - `log/open.rs`: what the open batch is, and where its texts belong.
//! - `log/following.rs`: the batches of other nodes.
//! - `log/done.rs`: commands that were handed from node to node.

mod done;
mod following;
mod open;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use self::done::Done;
use self::open::Open;
use super::append::Outcome;
use super::follow::{Handed, Incoming};
use super::link::Link;
use super::role::Role;
use super::wire::{Batch, FORMAT, Texts};
use crate::log;
use crate::log::sqlite::{Placed, SqliteLog};
use crate::log::{
    AppendError, Change, ChatId, Followed, Going, Id, Kept, Log, LogError, Mark, Marked,
    MessageRow, Pos, Record, Row, Snapshot, Told, UserId,
};
use crate::time::Time;

/// The part of NATS's longest message that a batch fills before it ends: what is staged next must
/// fit, too.
const FULL: usize = 4;

/// A log that several nodes append to.
pub(crate) struct ClusterLog {
    local: SqliteLog,
    link: Link,
    role: Arc<Role>,
    runtime: Handle,
    incoming: mpsc::Receiver<Handed>,
    /// One that has come before its turn.
    pending: Option<Incoming>,
    /// The stream's sequence up to which SQLite has come.
    seq: u64,
    /// One that is known to be there: following waits for it.
    target: u64,
    /// The last one that another node appended.
    others: u64,
    /// When it was told last that another node's clock is far from this one's.
    clocks: Option<Time>,
    open: Open,
    /// Commands that were handed from node to node, and done.
    done: Done,
}

impl ClusterLog {
    /// The log of a node that has come up to `seq` in a stream that goes up to `last`.
    pub(super) fn new(
        local: SqliteLog,
        link: Link,
        role: Arc<Role>,
        incoming: mpsc::Receiver<Handed>,
        seq: u64,
        last: u64,
    ) -> Self {
        role.reach(seq);
        Self {
            local,
            link,
            role,
            runtime: Handle::current(),
            incoming,
            pending: None,
            seq,
            target: last,
            others: 0,
            clocks: None,
            open: Open::default(),
            done: Done::default(),
        }
    }

    /// Waits for NATS, on a thread that may.
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }

    /// Appends the open batch to the stream, its texts first; gives its sequence, and where they lie.
    /// Where it is not appended, nothing names them, and the sweep (`erase.rs`) erases them.
    fn append(&mut self) -> Result<(u64, Vec<Placed>), AppendError> {
        let open = std::mem::take(&mut self.open);
        if !self.link.is_connected() {
            return Err(AppendError::Away);
        }
        let id = Uuid::new_v4();
        let texts: Vec<Texts> = open
            .texts
            .iter()
            .map(|staged| staged.texts.clone())
            .collect();
        // Both together.
        let deadline = Instant::now() + self.link.patience();
        let seqs = self.wait(self.link.append_texts(id, &texts, deadline));
        let seqs = seqs.ok_or(AppendError::Away)?;
        let batch = Batch {
            format: FORMAT,
            id,
            node: self.role.node(),
            commands: open.commands,
            told: open.told,
            texts: seqs.clone(),
            records: open.records,
        };
        let bytes = batch.encode().map_err(|source| {
            AppendError::Failed(LogError::Unreadable {
                what: "a batch to be appended".into(),
                source,
            })
        })?;
        match self.wait(self.link.append(id, bytes.into(), self.seq, deadline)) {
            Outcome::Appended(seq) => {
                self.done.extend(batch.commands, batch.told);
                let placed = seqs.iter().zip(open.texts).map(|(seq, staged)| Placed {
                    id: staged.texts.of,
                    seq: *seq,
                    until: staged.until,
                    instead: staged.instead,
                });
                Ok((seq, placed.collect()))
            }
            Outcome::Lost => {
                self.target = self.target.max(self.seq + 1);
                Err(AppendError::Lost)
            }
            Outcome::Unknown => Err(AppendError::Unknown),
        }
    }
}

impl Log for ClusterLog {
    fn epoch(&self) -> &str {
        self.local.epoch()
    }

    fn last(&self) -> Pos {
        self.local.last()
    }

    fn read(&self, after: Pos, limit: usize) -> Result<Vec<Record>, LogError> {
        self.local.read(after, limit)
    }

    fn stage(
        &mut self,
        record: &Record,
        text: Option<&str>,
        changes: &[Change],
    ) -> Result<(), AppendError> {
        self.local.stage(record, text, changes)?;
        self.open.stage(record, text, changes);
        Ok(())
    }

    fn done(&self, command: Uuid) -> Option<log::Done> {
        self.done.get(command)
    }

    fn stage_command(&mut self, command: Uuid, told: Option<Told>) {
        self.open.commands.push(command);
        self.open.told.push(told);
    }

    fn is_overtaken(&self, since: u64) -> bool {
        self.others > since
    }

    fn is_full(&self) -> bool {
        self.open.bytes > self.link.max_payload() / FULL
    }

    fn commit(&mut self, expected: Pos) -> Result<(), AppendError> {
        if let Some(seq) = self.open.following {
            self.local.set_stream_seq(seq)?;
            self.local.commit(expected)?;
            self.seq = seq;
            self.role.reach(seq);
            self.open = Open::default();
            return Ok(());
        }
        if self.open.records.is_empty() {
            return self.local.commit(expected);
        }
        let (seq, placed) = self.append()?;
        // From here on it is in the stream, whatever becomes of it here.
        self.target = self.target.max(seq);
        let kept = self.local.set_stream_seq(seq);
        let kept = kept.and_then(|()| self.local.place_texts(&placed));
        let kept = kept.and_then(|()| self.local.commit(expected));
        kept.map_err(|error| match error {
            AppendError::Full(error) | AppendError::Busy(error) => AppendError::Failed(error),
            error => error,
        })?;
        self.seq = seq;
        self.role.reach(seq);
        self.role.appended(self.role.node());
        Ok(())
    }

    fn rollback(&mut self) {
        if let Some(seq) = self.open.following {
            // It is to come again.
            self.target = self.target.max(seq);
        }
        self.open = Open::default();
        self.local.rollback();
    }

    fn follow(&mut self) -> Result<Option<Vec<Followed>>, AppendError> {
        self.follow_one()
    }

    fn probe(&mut self) -> Result<(), AppendError> {
        self.local.probe()?;
        if !self.link.is_connected() {
            return Err(AppendError::Away);
        }
        let bounds = self.wait(self.link.bounds());
        let (_, last) = bounds.map_err(|error| {
            tracing::debug!(%error, "probing the stream");
            AppendError::Away
        })?;
        if last < self.seq {
            let (own, error) = (self.seq, "NATS has lost what it had acknowledged");
            tracing::error!(own, last, error, "probing the stream");
            return Err(AppendError::Away);
        }
        self.target = self.target.max(last);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, LogError> {
        self.local.snapshot()
    }

    fn save_part(
        &mut self,
        pos: Pos,
        part: u32,
        body: &[u8],
        last: bool,
    ) -> Result<(), AppendError> {
        self.local.save_part(pos, part, body, last)
    }

    fn trim(&mut self, before: Time, keep: u64, limit: usize) -> Result<usize, AppendError> {
        self.local.trim(before, keep, limit)
    }

    fn want_index(&mut self, wanted: bool) -> Result<(), AppendError> {
        Log::want_index(&mut self.local, wanted)
    }

    fn fill_index(&mut self, limit: usize) -> Result<usize, AppendError> {
        Log::fill_index(&mut self.local, limit)
    }

    fn message_if(
        &self,
        id: Id,
        is_wanted: &dyn Fn(&MessageRow) -> bool,
    ) -> Result<Option<MessageRow>, LogError> {
        self.local.message_if(id, is_wanted)
    }

    fn marks(&self, message: Id) -> Result<Vec<Mark>, LogError> {
        self.local.marks(message)
    }

    fn marked(&self, owner: &str, message: Id, text: &str, by: UserId) -> Result<Marked, LogError> {
        self.local.marked(owner, message, text, by)
    }

    fn row(&self, id: Id) -> Result<Option<Row>, LogError> {
        self.local.row(id)
    }

    fn going(&self, id: Id) -> Result<Option<Going>, LogError> {
        self.local.going(id)
    }

    fn row_of(&self, object: Uuid) -> Result<Option<Row>, LogError> {
        self.local.row_of(object)
    }

    fn is_held_in(&self, row: Id, chats: &[(ChatId, Id)]) -> Result<bool, LogError> {
        self.local.is_held_in(row, chats)
    }

    fn set_store(&mut self, owner: &str, place: &str) -> Result<(), AppendError> {
        self.local.set_store(owner, place)
    }

    fn forget(&mut self, objects: &[Uuid]) -> Result<(), AppendError> {
        self.local.forget(objects)
    }

    fn forget_texts(&mut self, seqs: &[u64]) -> Result<(), AppendError> {
        self.local.forget_texts(seqs)
    }

    fn sweep_texts(&mut self, from: u64, upto: u64) -> Result<(), AppendError> {
        self.local.sweep_texts(from, upto)
    }

    fn key(&self, user: UserId, key: &str, since: Time) -> Result<Option<Kept>, LogError> {
        self.local.key(user, key, since)
    }

    fn first(&self, chat: ChatId, limit: usize) -> Result<Vec<Going>, LogError> {
        self.local.first(chat, limit)
    }

    fn next_end(&self) -> Result<Option<Time>, LogError> {
        self.local.next_end()
    }

    fn ended(&self, now: Time, limit: usize) -> Result<Vec<Going>, LogError> {
        self.local.ended(now, limit)
    }

    fn scrub(&mut self, patience: Duration) -> Result<bool, LogError> {
        self.local.scrub(patience)
    }
}
