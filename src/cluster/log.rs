//! The cluster's log: SQLite, in which a batch is staged as ever, and the stream, in which it is
//! appended before SQLite commits it.
//!
//! SQLite is this node's fold of the stream. It holds, in the same transaction, the sequence up to
//! which it has come, so that a node that was killed goes on from there.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::follow::{Handed, Incoming, load};
use super::link::{Link, Outcome};
use super::role::Role;
use super::wire::{Batch, Entry, FORMAT, Text, Texts};
use crate::log::sqlite::{KEY_LIFE, Placed, SqliteLog};
use crate::log::{
    AppendError, Beside, Change, ChatId, Followed, Going, Id, Kept, Log, LogError, Mark, Marked,
    MessageRow, Pos, Record, Row, Snapshot, UserId,
};
use crate::time::Time;

/// The part of NATS's longest message that a batch fills before it ends: what is staged next must
/// fit, too.
const FULL: usize = 4;

/// How many commands are remembered: of more than a minute at a thousand a second.
const REMEMBERED: usize = 1 << 16;

/// How long one that is known to be there is waited for, until it is asked for.
const HANDED_WITHIN: Duration = Duration::from_millis(200);

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
    open: Open,
    /// Texts of a batch whose outcome is not known, until the stream has gone on.
    unsettled: Option<Unsettled>,
    /// Commands that were handed from node to node, and done.
    done: Done,
}

/// What the open batch is.
#[derive(Default)]
struct Open {
    /// Another node's, with this sequence; else this node's own.
    following: Option<u64>,
    records: Vec<Entry>,
    commands: Vec<Uuid>,
    texts: Vec<Staged>,
    /// The length of the records as they travel, more or less.
    bytes: usize,
}

/// A batch that is the one with this sequence, or will never be one.
struct Unsettled {
    seq: u64,
    id: Uuid,
    texts: Vec<u64>,
}

/// Texts of the open batch that are erased together.
struct Staged {
    texts: Texts,
    until: Option<Time>,
    /// Whether they take the place of what lies there of the same.
    instead: bool,
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
            open: Open::default(),
            unsettled: None,
            done: Done::default(),
        }
    }

    /// Waits for NATS, on a thread that may.
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }

    /// Appends the open batch to the stream, its texts first; gives its sequence and its name, and
    /// where they lie.
    fn append(&mut self) -> Result<(u64, Uuid, Vec<Placed>), AppendError> {
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
        let seqs = self.wait(self.link.append_texts(id, &texts));
        let seqs = seqs.ok_or(AppendError::Away)?;
        let batch = Batch {
            format: FORMAT,
            id,
            node: self.role.node(),
            commands: open.commands,
            texts: seqs.clone(),
            records: open.records,
        };
        let bytes = batch.encode().map_err(|source| {
            AppendError::Failed(LogError::Unreadable {
                what: "a batch to be appended".into(),
                source,
            })
        })?;
        match self.wait(self.link.append(id, bytes.into(), self.seq)) {
            Outcome::Appended(seq) => {
                self.done.extend(batch.commands);
                let placed = seqs.iter().zip(open.texts).map(|(seq, staged)| Placed {
                    id: staged.texts.of,
                    seq: *seq,
                    until: staged.until,
                    instead: staged.instead,
                });
                Ok((seq, id, placed.collect()))
            }
            Outcome::Lost => {
                self.target = self.target.max(self.seq + 1);
                self.local.rollback();
                self.local.discard_texts(&seqs)?;
                Err(AppendError::Lost)
            }
            Outcome::Unknown => {
                self.unsettled = Some(Unsettled {
                    seq: self.seq + 1,
                    id,
                    texts: seqs,
                });
                Err(AppendError::Unknown)
            }
        }
    }

    /// The stream has gone on with this batch: if that is not the one whose outcome was unknown, then
    /// nothing names that one's texts. Between two batches alone.
    fn settle(&mut self, seq: u64, id: Uuid) {
        let Some(unsettled) = self.unsettled.take_if(|unsettled| unsettled.seq <= seq) else {
            return;
        };
        if unsettled.seq == seq
            && unsettled.id != id
            && let Err(error) = self.local.discard_texts(&unsettled.texts)
        {
            tracing::warn!(%error, "noting texts that nothing names");
        }
    }

    /// The next batch of the stream that is not in this log: what has come, and what is known to
    /// be there.
    fn next(&mut self) -> Result<Option<Incoming>, AppendError> {
        loop {
            let incoming = match self.pending.take() {
                Some(incoming) => incoming,
                None => match self.receive()? {
                    Some(handed) => handed.map_err(|error| stream_failed(&error))?,
                    None if self.seq >= self.target => return Ok(None),
                    // It was handed over, and could not be committed here.
                    None => return self.load(self.seq + 1).map(Some),
                },
            };
            if incoming.seq <= self.seq {
                continue;
            }
            if incoming.seq > self.seq + 1 {
                self.pending = Some(incoming);
            } else if incoming.texts.is_some() {
                return Ok(Some(incoming));
            }
            // Else it is this node's own, whose outcome was not known.
            return self.load(self.seq + 1).map(Some);
        }
    }

    /// What the one who follows hands over; it is waited for where something is known to be there.
    fn receive(&mut self) -> Result<Option<Handed>, AppendError> {
        match self.incoming.try_recv() {
            Ok(handed) => return Ok(Some(handed)),
            Err(mpsc::error::TryRecvError::Empty) if self.seq >= self.target => return Ok(None),
            Err(_) if !self.link.is_connected() => return Err(AppendError::Away),
            Err(_) => {}
        }
        let (incoming, runtime) = (&mut self.incoming, &self.runtime);
        let next = async { timeout(HANDED_WITHIN, incoming.recv()).await };
        match tokio::task::block_in_place(|| runtime.block_on(next)) {
            Err(_) => Ok(None),
            Ok(Some(handed)) => Ok(Some(handed)),
            Ok(None) => Err(AppendError::Failed(LogError::Stream(
                "nobody follows it".into(),
            ))),
        }
    }

    fn load(&self, seq: u64) -> Result<Incoming, AppendError> {
        let loaded = self.wait(load(&self.link, seq, None));
        let loaded = loaded.map_err(|error| {
            tracing::error!(%error, seq, "reading the stream");
            AppendError::Away
        })?;
        loaded.ok_or_else(|| {
            AppendError::Failed(LogError::Stream(format!("it has no batch {seq} any more")))
        })
    }
}

/// The last commands that were done. Whoever tries one again has followed the stream since it was
/// first tried, so that no more of them are needed than come within some seconds.
#[derive(Default)]
struct Done {
    known: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Done {
    fn extend(&mut self, commands: Vec<Uuid>) {
        for command in commands {
            if self.known.insert(command) {
                self.order.push_back(command);
            }
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

fn stream_failed(error: &dyn std::error::Error) -> AppendError {
    AppendError::Failed(LogError::Stream(error.to_string()))
}

/// What a text belongs to, and when it goes if it belongs to nothing that goes.
fn owner(record: &Record, changes: &[Change]) -> (Id, Option<Time>) {
    let made = changes.iter().find_map(|change| match change {
        Change::Key { made, .. } => Some(*made),
        _ => None,
    });
    match made {
        None => (reworded(record).unwrap_or(record.pos), None),
        Some(Some(made)) => (made, None),
        Some(None) => (record.pos, Some(record.at.plus(KEY_LIFE))),
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
        if self.open.following.is_some() {
            return Ok(());
        }
        let open = &mut self.open;
        // Names and numbers beside the fact and the riders take about so much.
        open.bytes += 256 + record.fact.get().len();
        open.bytes += record
            .riders
            .values()
            .map(|fact| fact.get().len())
            .sum::<usize>();
        open.records
            .push(Entry(record.pos, record.at, record.clone()));
        if let Some(text) = text {
            let (of, until) = owner(record, changes);
            let key = changes.iter().find_map(|change| match change {
                Change::Key { user, key, .. } => Some((*user, key.clone())),
                _ => None,
            });
            let text = Text {
                pos: record.pos,
                text: text.to_owned(),
                key,
            };
            // What takes another's place is erased without it.
            let instead = reworded(record).is_some();
            let same = |last: &&mut Staged| last.texts.of == of && !instead;
            match open.texts.last_mut().filter(same) {
                Some(last) => last.texts.texts.push(text),
                None => open.texts.push(Staged {
                    texts: Texts {
                        of,
                        texts: vec![text],
                    },
                    until,
                    instead,
                }),
            }
        }
        Ok(())
    }

    fn is_done(&self, command: Uuid) -> bool {
        self.done.known.contains(&command)
    }

    fn stage_command(&mut self, command: Uuid) {
        self.open.commands.push(command);
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
        let (seq, id, placed) = self.append()?;
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
        self.settle(seq, id);
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
        let Some(incoming) = self.next()? else {
            return Ok(None);
        };
        let Incoming { seq, batch, texts } = incoming;
        self.settle(seq, batch.id);
        let texts = texts.unwrap_or_default();
        let placed: Vec<_> = texts
            .iter()
            .map(|(seq, texts)| (*seq, texts.of, texts.texts.first().map(|text| text.pos)))
            .collect();
        let mut lying: BTreeMap<Pos, String> = texts
            .into_iter()
            .flat_map(|(_, texts)| texts.texts)
            .map(|text| (text.pos, text.text))
            .collect();
        let followed: Vec<Followed> = batch
            .records
            .into_iter()
            .map(|entry| {
                let record = entry.into_record();
                let text = lying.remove(&record.pos);
                (record, text)
            })
            .collect();
        let before = self.local.last();
        let mut next = before;
        for (record, _) in &followed {
            next += 1;
            if record.pos != next {
                return Err(AppendError::Failed(LogError::Stream(format!(
                    "batch {seq} holds fact {} where {next} was to come: it is of another history",
                    record.pos
                ))));
            }
        }
        self.open = Open {
            following: Some(seq),
            ..Open::default()
        };
        self.done.extend(batch.commands);
        self.local.begin()?;
        // They follow on one another.
        let at = |pos: Pos| {
            let place = usize::try_from(pos.checked_sub(before + 1)?).ok()?;
            followed.get(place).map(|(record, _)| record)
        };
        let placed: Vec<_> = placed
            .into_iter()
            .map(|(seq, id, first)| Placed {
                id,
                seq,
                until: at(id).and_then(untold),
                instead: first
                    .and_then(at)
                    .is_some_and(|one| reworded(one).is_some()),
            })
            .collect();
        self.local.place_texts(&placed)?;
        self.role.appended(batch.node);
        Ok(Some(followed))
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

    fn scrub(&mut self) -> Result<bool, LogError> {
        self.local.scrub()
    }
}

/// The message whose text a fact's is instead.
fn reworded(record: &Record) -> Option<Id> {
    match record.row {
        Some(Beside::Text(message)) => Some(message),
        _ => None,
    }
}

/// When a text that another node placed is forgotten, where it is an answer that tells of nothing
/// that goes.
fn untold(record: &Record) -> Option<Time> {
    let changes = crate::chat::changes(record).ok()?;
    owner(record, &changes).1
}
