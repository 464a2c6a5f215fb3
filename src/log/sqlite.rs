//! The embedded log: one SQLite file that any SQLite tool opens.
//!
//! WAL with `synchronous=FULL`: a commit returns after its fsync, so a batch costs one. With
//! `secure_delete` what is erased is overwritten, and [`Log::scrub`] empties the WAL, where older
//! pages would stay otherwise.

mod bring;
mod change;
mod checkpoint;
mod copy;
mod folder;
mod index;
mod stream;
mod wal;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, ToSql, ffi, params};
use uuid::Uuid;

use self::checkpoint::Checkpointer;
use self::folder::{Note, There};
use super::query::{self, int, many, one, read, rows};
use super::sums::{self, ANSWER, FACT, KEY, META, Part, SNAPSHOT, STORE};
use super::{
    AppendError, Change, ChatId, Going, Id, Kept, Log, LogError, Mark, Marked, MessageRow, Pos,
    Record, Row, Snapshot, UserId,
};
use crate::settings::Period;
use crate::time::Time;

pub(crate) use bring::{Brought, Place};
pub(crate) use copy::{Copy, Put, copy};
pub(crate) use folder::{IMPORT, inspect, lock_file};
pub(super) use index::{
    mark as index_mark, of_author as token_of_author, of_chat as token_of_chat,
};
pub(crate) use stream::{Placed, SWEPT};

/// The number of this layout; a file with a higher one is refused.
pub(crate) const FORMAT: i64 = 4;

/// The last layout whose rows were no marks.
pub(crate) const UNMARKED: i64 = 3;

/// The last layout without checksums, which are added to it.
const UNSUMMED: i64 = 2;

/// What is added to a layout without marks.
const MARKS: &str = "ALTER TABLE rows ADD COLUMN marks INTEGER;
CREATE INDEX rows_by_mark ON rows (marks, owner, text, id, author) WHERE marks IS NOT NULL;
CREATE INDEX rows_by_marker ON rows (marks, author) WHERE marks IS NOT NULL;";

/// How long an answer is kept for a repeated request.
pub const KEY_LIFE: Period = Period::hours(24);

/// How long another program's lock on the database is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The writer's statements are few; all stay prepared.
const STATEMENTS: usize = 64;

/// The embedded log, open for writing.
pub struct SqliteLog {
    /// Ends before the connection, so that this one is the last: it leaves one file behind.
    checkpointer: Checkpointer,
    connection: Connection,
    note: Note,
    epoch: String,
    last: Pos,
    staged: Pos,
    /// When the next message ends, while that is known: it is asked for with every batch.
    next_end: Cell<Option<Option<Time>>>,
    /// The last message in the index of texts, if there is one, while that is known.
    indexed: Cell<Option<Option<Id>>>,
}

/// Where the data folder's database lies.
pub fn file(data: &Path) -> PathBuf {
    data.join("veche.db")
}

impl SqliteLog {
    /// Opens the database of a data folder, or makes it.
    pub fn open(data: &Path) -> Result<Self, LogError> {
        folder::inspect_own(data)?;
        let mut connection = Connection::open(file(data))?;
        connection.busy_timeout(PATIENCE)?;
        if !is_own(&connection)? {
            return Err(LogError::Foreign(file(data).display().to_string()));
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        create(&mut connection)?;
        let epoch = query::meta(&connection, "epoch")?.unwrap_or_default();
        let last = query::last(&connection)?;
        let checkpointer = Checkpointer::start(&file(data), &mut connection)?;
        let mut note = Note::open(data);
        note.put(match folder::has_wal(data)? {
            true => There::Wal,
            false => There::Database,
        });
        Ok(Self {
            checkpointer,
            connection,
            note,
            epoch,
            last,
            staged: last,
            next_end: Cell::new(None),
            indexed: Cell::new(None),
        })
    }

    /// Bounds the database's size, so that a test can fill it; no bound lifts that.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: Option<i64>) {
        let pages = pages.unwrap_or(i64::from(u32::MAX - 1));
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .expect("a limit");
    }

    /// Opens a batch, if none is open. SQLite itself says so: some errors end a transaction.
    pub(crate) fn begin(&mut self) -> Result<(), AppendError> {
        if self.connection.is_autocommit() {
            self.connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(append_error)?;
            self.staged = self.last;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), AppendError> {
        self.connection
            .execute_batch("COMMIT")
            .map_err(append_error)?;
        self.note.put(There::Wal);
        Ok(())
    }

    /// Does work in a transaction of its own: all of it, or nothing.
    fn apart<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        self.begin()?;
        let done = work(self).and_then(|done| self.end().map(|()| done));
        if done.is_err() {
            self.rollback();
        }
        done
    }

    fn write(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, AppendError> {
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(append_error)
    }

    /// When the next message ends after a change, where that follows from what was known.
    fn next_end_after(&self, change: &Change) -> Option<Option<Time>> {
        let known = self.next_end.get()?;
        match change {
            Change::Message { ends, .. } => Some(known.into_iter().chain(*ends).min()),
            // One that was delivered already keeps its end: asking again tells.
            Change::Remove(_) | Change::Delivered(_) => None,
            _ => Some(known),
        }
    }

    /// Brings all of the WAL over to the database; false where somebody is in the way for so long.
    /// Waiting here holds every post up.
    fn checkpoint(&self, mode: &str, patience: Duration) -> Result<bool, LogError> {
        let _turn = self.checkpointer.take_turn();
        self.connection.busy_timeout(patience)?;
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let busy: Result<i64, _> = self.connection.query_row(&sql, [], |row| row.get(0));
        self.connection.busy_timeout(PATIENCE)?;
        match busy {
            Ok(busy) => Ok(busy == 0),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn meta(&self, key: &str) -> Result<Option<i64>, AppendError> {
        query::meta(&self.connection, key).map_err(AppendError::Failed)
    }

    fn set_meta(&self, key: &str, value: i64) -> Result<(), AppendError> {
        set_meta(&self.connection, key, &value).map_err(append_error)
    }
}

impl Drop for SqliteLog {
    /// The connections end behind this, and take the WAL in.
    fn drop(&mut self) {
        self.note.put(There::Database);
    }
}

impl Log for SqliteLog {
    fn epoch(&self) -> &str {
        &self.epoch
    }

    fn last(&self) -> Pos {
        self.last
    }

    fn read(&self, after: Pos, limit: usize) -> Result<Vec<Record>, LogError> {
        read(&self.connection, after, limit)
    }

    fn stage(
        &mut self,
        record: &Record,
        text: Option<&str>,
        changes: &[Change],
    ) -> Result<(), AppendError> {
        self.begin()?;
        let pos = int(record.pos);
        let body = serde_json::to_string(record).map_err(unwritable)?;
        let sum = sum(&FACT, params![pos, record.at.0, body])?;
        self.write(
            "INSERT INTO facts (pos, at, body, sum) VALUES (?1, ?2, ?3, ?4)",
            params![pos, record.at.0, body, sum],
        )?;
        for who in record.audience.keys() {
            self.write(
                "INSERT OR IGNORE INTO audience (who, pos) VALUES (?1, ?2)",
                [who, pos],
            )?;
        }
        for change in changes {
            self.change(record, text, change)?;
            self.next_end.set(self.next_end_after(change));
        }
        self.staged = record.pos;
        Ok(())
    }

    fn commit(&mut self, expected: Pos) -> Result<(), AppendError> {
        if self.last != expected {
            return Err(AppendError::Lost);
        }
        if self.staged == self.last {
            return Ok(());
        }
        self.end()?;
        self.last = self.staged;
        if self.checkpointer.is_behind()
            && let Err(error) = self.checkpoint("RESTART", Duration::ZERO)
        {
            // What was committed is durable all the same.
            tracing::warn!(%error, "emptying the WAL");
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.staged = self.last;
        self.next_end.set(None);
        self.indexed.set(None);
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "rolling a batch back");
        }
    }

    fn probe(&mut self) -> Result<(), AppendError> {
        self.apart(|log| {
            // Larger than a page, so that it needs fresh room as a batch does.
            log.write(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(16384))",
                [],
            )?;
            log.write("DELETE FROM meta WHERE key = 'probe'", [])?;
            Ok(())
        })
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, LogError> {
        query::snapshot(&self.connection)
    }

    fn save_part(
        &mut self,
        pos: Pos,
        part: u32,
        body: &[u8],
        last: bool,
    ) -> Result<(), AppendError> {
        self.apart(|log| {
            let sum = sum(&SNAPSHOT, params![int(pos), part, body])?;
            log.write(
                "INSERT OR REPLACE INTO snapshots (pos, part, body, sum) VALUES (?1, ?2, ?3, ?4)",
                params![int(pos), part, body, sum],
            )?;
            if last {
                // A longer one that was never finished may have lain here.
                log.write(
                    "DELETE FROM snapshots WHERE pos = ?1 AND part > ?2",
                    params![int(pos), part],
                )?;
                let newest = log.meta("snapshot")?.unwrap_or(0);
                log.write(
                    "DELETE FROM snapshots WHERE pos NOT IN (?1, ?2)",
                    [int(pos), newest],
                )?;
                log.set_meta("snapshot_before", newest)?;
                log.set_meta("snapshot", int(pos))?;
            }
            Ok(())
        })
    }

    fn trim(&mut self, before: Time, keep: u64, limit: usize) -> Result<usize, AppendError> {
        let keep = int(self.last.saturating_sub(keep));
        self.apart(|log| {
            let upto = log.meta("snapshot_before")?.unwrap_or(0).min(keep);
            let records = match read(&log.connection, 0, limit) {
                // The log stays as long as it is: that is no reason to take no more posts.
                Err(error @ LogError::Damaged { .. }) => {
                    tracing::error!(%error, "trimming the log");
                    return Ok(0);
                }
                records => records.map_err(AppendError::Failed)?,
            };
            // A clock that was set back leaves younger facts before older ones: they stay.
            let gone: Vec<_> = records
                .iter()
                .take_while(|record| int(record.pos) <= upto && record.at < before)
                .collect();
            for record in &gone {
                for who in record.audience.keys() {
                    log.write(
                        "DELETE FROM audience WHERE who = ?1 AND pos = ?2",
                        [who, int(record.pos)],
                    )?;
                }
                log.write("DELETE FROM facts WHERE pos = ?1", [int(record.pos)])?;
            }
            Ok(gone.len())
        })
    }

    fn want_index(&mut self, wanted: bool) -> Result<(), AppendError> {
        self.make_or_drop_index(wanted)
    }

    fn fill_index(&mut self, limit: usize) -> Result<usize, AppendError> {
        self.index_some(limit)
    }

    fn message_if(
        &self,
        id: Id,
        is_wanted: &dyn Fn(&MessageRow) -> bool,
    ) -> Result<Option<MessageRow>, LogError> {
        query::message_if(&self.connection, id, is_wanted)
    }

    fn marks(&self, message: Id) -> Result<Vec<Mark>, LogError> {
        let marks = query::marks(&self.connection, &[message])?.into_iter();
        Ok(marks.map(|(_, mark)| mark).collect())
    }

    fn marked(&self, owner: &str, message: Id, text: &str, by: UserId) -> Result<Marked, LogError> {
        query::marked(&self.connection, owner, message, text, by)
    }

    fn row(&self, id: Id) -> Result<Option<Row>, LogError> {
        query::row(&self.connection, id)
    }

    fn row_of(&self, object: Uuid) -> Result<Option<Row>, LogError> {
        query::row_of(&self.connection, object)
    }

    fn is_held_in(&self, row: Id, chats: &[(ChatId, Id)]) -> Result<bool, LogError> {
        query::is_held_in(&self.connection, row, chats)
    }

    fn set_store(&mut self, owner: &str, place: &str) -> Result<(), AppendError> {
        self.apart(|log| {
            let sum = sum(&STORE, params![owner, place])?;
            log.write(
                "INSERT OR REPLACE INTO stores (owner, place, sum) VALUES (?1, ?2, ?3)",
                params![owner, place, sum],
            )
            .map(drop)
        })
    }

    fn forget(&mut self, objects: &[Uuid]) -> Result<(), AppendError> {
        self.apart(|log| {
            for object in objects {
                log.write("DELETE FROM trash WHERE object = ?1", [object.to_string()])?;
            }
            Ok(())
        })
    }

    fn key(&self, user: UserId, key: &str, since: Time) -> Result<Option<Kept>, LogError> {
        one(
            &self.connection,
            "SELECT user, key, at, digest, made, sum, user, key, answer, answer_sum
             FROM keys WHERE user = ?1 AND key = ?2 AND at >= ?3",
            params![int(user.0), key, since.0],
            |row| {
                KEY.check(row, 0)?;
                ANSWER.check(row, 6)?;
                let answer: Option<String> = row.get(8)?;
                let answer = answer.map(|json| serde_json::from_str(&json)).transpose();
                let answer = answer.map_err(|source| LogError::Unreadable {
                    what: "the answer of an idempotency key".into(),
                    source,
                })?;
                Ok((row.get(3)?, answer))
            },
        )
    }

    fn first(&self, chat: ChatId, limit: usize) -> Result<Vec<Going>, LogError> {
        let sql = format!(
            "SELECT {} FROM messages WHERE chat = ?1 ORDER BY id LIMIT ?2",
            Going::COLUMNS
        );
        let bounds = params![int(chat.0), rows(limit)];
        many(&self.connection, &sql, bounds, Going::from_sql)
    }

    fn going(&self, id: Id) -> Result<Option<Going>, LogError> {
        let sql = format!("SELECT {} FROM messages WHERE id = ?1", Going::COLUMNS);
        one(&self.connection, &sql, [int(id)], Going::from_sql)
    }

    fn next_end(&self) -> Result<Option<Time>, LogError> {
        if let Some(known) = self.next_end.get() {
            return Ok(known);
        }
        let sql = "SELECT min(ends) FROM messages WHERE ends IS NOT NULL";
        let ends: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        let ends = ends.map(Time);
        self.next_end.set(Some(ends));
        Ok(ends)
    }

    fn ended(&self, now: Time, limit: usize) -> Result<Vec<Going>, LogError> {
        let sql = format!(
            "SELECT {} FROM messages WHERE id IN
                 (SELECT id FROM messages WHERE ends <= ?1 ORDER BY ends LIMIT ?2) ORDER BY id",
            Going::COLUMNS
        );
        let bounds = params![now.0, rows(limit)];
        many(&self.connection, &sql, bounds, Going::from_sql)
    }

    fn scrub(&mut self, patience: Duration) -> Result<bool, LogError> {
        self.note.put(There::Database);
        self.checkpoint("TRUNCATE", patience)
    }
}

/// Whether a database is a log, or nothing yet.
fn is_own(connection: &Connection) -> rusqlite::Result<bool> {
    let sql =
        "SELECT count(*), coalesce(sum(name = 'meta'), 0) FROM sqlite_schema WHERE type = 'table'";
    let (tables, logs): (i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(tables == 0 || logs == 1)
}

fn create(connection: &mut Connection) -> Result<(), LogError> {
    let transaction = connection.transaction()?;
    let known: bool = transaction.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
        [],
        |row| row.get(0),
    )?;
    if known {
        let found: i64 =
            transaction.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| {
                row.get(0)
            })?;
        match found {
            FORMAT => {}
            UNMARKED => {
                // What is damaged is not to be taken for what was made now.
                sums::check_schema(&transaction)?;
                transaction.execute_batch(MARKS)?;
                transaction.execute_batch("ALTER TABLE rows ADD COLUMN marks_sum INTEGER")?;
                sums::sum_schema(&transaction)?;
                set_meta(&transaction, "format", &FORMAT)?;
            }
            UNSUMMED => {
                tracing::info!("giving every row of the log a checksum");
                transaction.execute_batch(MARKS)?;
                sums::add(&transaction)?;
                set_meta(&transaction, "format", &FORMAT)?;
            }
            found => {
                let known = FORMAT;
                return Err(LogError::Format { found, known });
            }
        }
    } else {
        transaction.execute_batch(include_str!("schema.sql"))?;
        set_meta(&transaction, "format", &FORMAT)?;
    }
    if !sums::check_schema(&transaction)? {
        sums::sum_schema(&transaction)?;
    }
    // A backup has none, so that every folder restored from it is a history of its own.
    if query::meta::<String>(&transaction, "epoch")?.is_none() {
        set_meta(&transaction, "epoch", &new_epoch())?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn set_meta(
    connection: &Connection,
    key: &str,
    value: &dyn ToSql,
) -> rusqlite::Result<()> {
    let sum = META.of(params![key, value])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value, sum) VALUES (?1, ?2, ?3)")?
        .execute(params![key, value, sum])?;
    Ok(())
}

/// The checksum of what is to be written.
fn sum(part: &Part, values: &[&dyn ToSql]) -> Result<u32, AppendError> {
    part.of(values).map_err(append_error)
}

/// A name for a history that no other has.
fn new_epoch() -> String {
    format!("{:08x}", uuid::Uuid::new_v4().as_fields().0)
}

/// Full or busy where nothing reached the disk, so that trying again is safe; failed where it
/// might have.
fn append_error(error: rusqlite::Error) -> AppendError {
    let rusqlite::Error::SqliteFailure(code, _) = &error else {
        return AppendError::Failed(error.into());
    };
    match (code.code, code.extended_code) {
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE) => {
            AppendError::Full(error.into())
        }
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => AppendError::Busy(error.into()),
        _ => AppendError::Failed(error.into()),
    }
}

fn unwritable(source: serde_json::Error) -> AppendError {
    AppendError::Failed(LogError::Unreadable {
        what: "a record to be written".into(),
        source,
    })
}
