//! A log whose commits fail on demand.

use std::collections::VecDeque;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use uuid::Uuid;

use crate::chat::Fact;
use crate::log::sqlite::SqliteLog;
use crate::log::*;
use crate::time::Time;

/// What the next commits do.
pub(super) enum Fault {
    /// Another writer takes the name first.
    Lost(&'static str),
    Full,
    Failed,
    /// Waits until it is let go.
    Held(std_mpsc::Receiver<()>),
}

#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) faults: Arc<Mutex<VecDeque<Fault>>>,
    pub(super) probes: Arc<Mutex<VecDeque<Fault>>>,
    pub(super) commits: Arc<Mutex<usize>>,
    /// The stream's sequence that another node appended last.
    pub(super) others: Arc<Mutex<u64>>,
}

pub(super) struct Faulty {
    pub(super) inner: SqliteLog,
    pub(super) script: Script,
}

fn error(fault: &Fault) -> AppendError {
    let cause = LogError::Sqlite(rusqlite::Error::InvalidQuery);
    match fault {
        Fault::Full => AppendError::Full(cause),
        _ => AppendError::Failed(cause),
    }
}

impl Log for Faulty {
    fn epoch(&self) -> &str {
        self.inner.epoch()
    }
    fn last(&self) -> Pos {
        self.inner.last()
    }
    fn read(&self, after: Pos, limit: usize) -> Result<Vec<Record>, LogError> {
        self.inner.read(after, limit)
    }
    fn stage(
        &mut self,
        record: &Record,
        text: Option<&str>,
        changes: &[Change],
    ) -> Result<(), AppendError> {
        self.inner.stage(record, text, changes)
    }
    fn commit(&mut self, expected: Pos) -> Result<(), AppendError> {
        *self.script.commits.lock().expect("unpoisoned") += 1;
        let fault = self.script.faults.lock().expect("unpoisoned").pop_front();
        match fault {
            None => self.inner.commit(expected),
            Some(Fault::Held(release)) => {
                release.recv().expect("let go");
                self.inner.commit(expected)
            }
            Some(Fault::Lost(name)) => {
                self.inner.rollback();
                let last = self.inner.last();
                let fact = Fact::Joined {
                    name: name.into(),
                    password: None,
                };
                let record = Record {
                    pos: last + 1,
                    at: Time(1),
                    owner: CORE.into(),
                    fact: serde_json::value::to_raw_value(&fact).expect("JSON"),
                    by: None,
                    audience: Audience::Nobody,
                    riders: Riders::new(),
                    row: None,
                    object: None,
                    holds: Vec::new(),
                    text: false,
                };
                self.inner.stage(&record, None, &[])?;
                self.inner.commit(last)?;
                Err(AppendError::Lost)
            }
            Some(fault) => Err(error(&fault)),
        }
    }
    fn is_overtaken(&self, since: u64) -> bool {
        *self.script.others.lock().expect("unpoisoned") > since
    }
    fn rollback(&mut self) {
        self.inner.rollback();
    }
    fn probe(&mut self) -> Result<(), AppendError> {
        match self.script.probes.lock().expect("unpoisoned").pop_front() {
            Some(fault) => Err(error(&fault)),
            None => self.inner.probe(),
        }
    }
    fn snapshot(&self) -> Result<Option<Snapshot>, LogError> {
        self.inner.snapshot()
    }
    fn save_part(
        &mut self,
        pos: Pos,
        part: u32,
        body: &[u8],
        last: bool,
    ) -> Result<(), AppendError> {
        self.inner.save_part(pos, part, body, last)
    }
    fn trim(&mut self, before: Time, keep: u64, limit: usize) -> Result<usize, AppendError> {
        self.inner.trim(before, keep, limit)
    }
    fn want_index(&mut self, wanted: bool) -> Result<(), AppendError> {
        self.inner.want_index(wanted)
    }
    fn fill_index(&mut self, limit: usize) -> Result<usize, AppendError> {
        self.inner.fill_index(limit)
    }
    fn message_if(
        &self,
        id: Id,
        is_wanted: &dyn Fn(&MessageRow) -> bool,
    ) -> Result<Option<MessageRow>, LogError> {
        self.inner.message_if(id, is_wanted)
    }
    fn marks(&self, message: Id) -> Result<Vec<Mark>, LogError> {
        self.inner.marks(message)
    }
    fn marked(&self, owner: &str, message: Id, text: &str, by: UserId) -> Result<Marked, LogError> {
        self.inner.marked(owner, message, text, by)
    }
    fn row(&self, id: Id) -> Result<Option<Row>, LogError> {
        self.inner.row(id)
    }
    fn row_of(&self, object: Uuid) -> Result<Option<Row>, LogError> {
        self.inner.row_of(object)
    }
    fn is_held_in(&self, row: Id, chats: &[(ChatId, Id)]) -> Result<bool, LogError> {
        self.inner.is_held_in(row, chats)
    }
    fn set_store(&mut self, owner: &str, place: &str) -> Result<(), AppendError> {
        self.inner.set_store(owner, place)
    }
    fn forget(&mut self, objects: &[Uuid]) -> Result<(), AppendError> {
        self.inner.forget(objects)
    }
    fn key(&self, user: UserId, key: &str, since: Time) -> Result<Option<Kept>, LogError> {
        self.inner.key(user, key, since)
    }
    fn first(&self, chat: ChatId, limit: usize) -> Result<Vec<Going>, LogError> {
        self.inner.first(chat, limit)
    }
    fn going(&self, id: Id) -> Result<Option<Going>, LogError> {
        self.inner.going(id)
    }
    fn next_end(&self) -> Result<Option<Time>, LogError> {
        self.inner.next_end()
    }
    fn ended(&self, now: Time, limit: usize) -> Result<Vec<Going>, LogError> {
        self.inner.ended(now, limit)
    }
    fn scrub(&mut self, patience: Duration) -> Result<bool, LogError> {
        self.inner.scrub(patience)
    }
}
