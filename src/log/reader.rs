//! Reading without the writer: a few connections to the same file, each answer from one
//! consistent moment of it. What they see is durable, since SQLite shows a commit only after its
//! fsync.

mod find;
mod told;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Row as SqlRow, params};
use uuid::Uuid;

use super::query::{self, int, many, misled, rows as rows_limit};
use super::readers::Readers;
use super::sqlite;
use super::sums::{STORE, TRASH};
use super::{CORE, ChatId, Id, LogError, MessageRow, Pos, Record, Row, UserId, unless_damaged};
use crate::time::Time;

pub use find::{Found, Wanted};
pub use told::Told;

/// A pool of reading connections.
#[derive(Clone)]
pub struct Reader {
    readers: Arc<Readers>,
}

impl Reader {
    /// A reader of a data folder's database, which the writer has opened before.
    pub fn new(data: &Path) -> Self {
        Self {
            readers: Arc::new(Readers::new(sqlite::file(data))),
        }
    }

    /// Runs `work` on one moment of the store, off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.readers.submit(Box::new(move |reading| {
            // Whoever asked may have gone.
            let _ = answer.send(reading.and_then(work));
        }))?;
        // Work that panicked answers nothing: a failed read.
        let failed = |_| LogError::Sqlite(rusqlite::Error::InvalidQuery);
        answered.await.map_err(failed)?
    }

    /// The same, for threads that may block.
    pub fn read_here<T>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        work(&Reading::of(self.readers.connect()?)?)
    }
}

/// One moment of the store.
pub struct Reading {
    connection: Connection,
}

/// Which page of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest messages.
    Newest,
    /// The last ones before this id.
    Before(Id),
    /// The first ones after this id.
    After(Id),
}

/// A message that the index names for a chat, in which it must be.
fn in_chat(chat: ChatId, row: &SqlRow<'_>) -> Result<MessageRow, LogError> {
    let row = MessageRow::from_sql(row)?;
    if row.chat == chat {
        return Ok(row);
    }
    Err(misled("messages_by_chat", row.id))
}

/// How much is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Messages.
    pub messages: u64,
    /// What features keep, beside messages or by itself.
    pub rows: u64,
    /// Objects, such as files.
    pub objects: u64,
}

impl Reading {
    /// The store as it is now.
    pub(super) fn of(connection: Connection) -> Result<Self, LogError> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self { connection })
    }

    /// Gives the connection back.
    pub(super) fn end(self) -> Result<Connection, LogError> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(self.connection)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The last position.
    pub fn last(&self) -> Result<Pos, LogError> {
        query::last(&self.connection)
    }

    /// The position before the first fact that is still there.
    pub fn floor(&self) -> Result<Pos, LogError> {
        let sql = "SELECT min(pos) FROM facts";
        let first: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        Ok(first.map_or(0, |first| first.cast_unsigned().saturating_sub(1)))
    }

    /// Up to `limit` messages of a chat after `floor`, oldest first, and whether there are more
    /// that way.
    pub fn page(
        &self,
        chat: ChatId,
        page: Page,
        floor: Id,
        limit: usize,
    ) -> Result<(Vec<MessageRow>, bool), LogError> {
        let (condition, order, bound) = match page {
            Page::Newest => ("id < ?2", "DESC", i64::MAX),
            Page::Before(id) => ("id < ?2", "DESC", int(id)),
            Page::After(id) => ("id > ?2", "ASC", int(id)),
        };
        let sql = format!(
            "SELECT {} FROM messages WHERE chat = ?1 AND {condition} AND id > ?4
             ORDER BY id {order} LIMIT ?3",
            MessageRow::COLUMNS
        );
        let bounds = params![int(chat.0), bound, rows_limit(limit + 1), int(floor)];
        let mut rows = many(&self.connection, &sql, bounds, |row| in_chat(chat, row))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        if order == "DESC" {
            rows.reverse();
        }
        self.count(&mut rows)?;
        Ok((rows, more))
    }

    /// The last messages of a chat after `floor`, oldest first, without those that are damaged: the
    /// log names these.
    pub fn readable(
        &self,
        chat: ChatId,
        floor: Id,
        limit: usize,
    ) -> Result<Vec<MessageRow>, LogError> {
        match self.page(chat, Page::Newest, floor, limit) {
            Ok((rows, _)) => return Ok(rows),
            Err(damage) if damage.is_damage() => {}
            Err(error) => return Err(error),
        }
        let sql = "SELECT id FROM messages WHERE chat = ?1 AND id > ?2 ORDER BY id DESC LIMIT ?3";
        let bounds = params![int(chat.0), int(floor), rows_limit(limit)];
        let ids = many(&self.connection, sql, bounds, |row| {
            Ok(row.get::<_, i64>(0)?.cast_unsigned())
        });
        let mut rows = Vec::new();
        for id in unless_damaged(ids)?.into_iter().rev() {
            rows.extend(unless_damaged(self.message(id, |row| row.chat == chat))?);
        }
        Ok(rows)
    }

    /// One message where `is_wanted` says so: what lies beside another is not looked for.
    pub fn message(
        &self,
        id: Id,
        is_wanted: impl FnOnce(&MessageRow) -> bool,
    ) -> Result<Option<MessageRow>, LogError> {
        let mut row = query::message_if(&self.connection, id, is_wanted)?;
        if let Some(row) = &mut row {
            let marks = query::marks(&self.connection, &[id])?.into_iter();
            row.marks = marks.map(|(_, mark)| mark).collect();
        }
        Ok(row)
    }

    /// A feature's row.
    pub fn row(&self, id: Id) -> Result<Option<Row>, LogError> {
        query::row(&self.connection, id)
    }

    /// The row of an object.
    pub fn row_of(&self, object: Uuid) -> Result<Option<Row>, LogError> {
        query::row_of(&self.connection, object)
    }

    /// Whether a message of one of these chats, each given with the id that it must be beyond,
    /// holds a row. They are in order of their ids.
    pub fn is_held_in(&self, row: Id, chats: &[(ChatId, Id)]) -> Result<bool, LogError> {
        query::is_held_in(&self.connection, row, chats)
    }

    /// Up to `limit` objects whose rows are gone, each with its feature.
    pub fn trash(&self, limit: usize) -> Result<Vec<(Uuid, String)>, LogError> {
        let sql = "SELECT object, owner, sum FROM trash LIMIT ?1";
        let found = many(&self.connection, sql, [rows_limit(limit)], |row| {
            TRASH.check(row, 0)?;
            Ok((row.get::<_, String>(0)?.parse().ok(), row.get(1)?))
        })?;
        let found = found.into_iter();
        Ok(found
            .filter_map(|(object, owner)| Some((object?, owner)))
            .collect())
    }

    /// Up to `limit` texts in the cluster's stream that are to be erased there, by their sequences.
    pub(crate) fn stream_trash(&self, now: Time, limit: usize) -> Result<Vec<u64>, LogError> {
        let sql = "SELECT seq FROM stream_trash
             UNION SELECT seq FROM stream_texts WHERE until <= ?1 LIMIT ?2";
        many(
            &self.connection,
            sql,
            params![now.0, rows_limit(limit)],
            |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()),
        )
    }

    /// The last text in the cluster's stream up to which it was swept; none where it never was.
    pub(crate) fn stream_swept(&self) -> Result<Option<u64>, LogError> {
        let swept = query::meta::<i64>(&self.connection, sqlite::SWEPT)?;
        Ok(swept.map(i64::cast_unsigned))
    }

    /// Where each feature keeps its objects.
    pub fn stores(&self) -> Result<Vec<(String, String)>, LogError> {
        let sql = "SELECT owner, place, sum FROM stores ORDER BY owner";
        many(&self.connection, sql, [], |row| {
            STORE.check(row, 0)?;
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// How many messages of a chat after `mark` are by others than `user`.
    pub fn unread_count(&self, chat: ChatId, mark: Id, user: UserId) -> Result<u64, LogError> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM messages WHERE chat = ?1 AND id > ?2 AND author <> ?3",
            )?
            .query_row([int(chat.0), int(mark), int(user.0)], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// The first `limit` unread messages over several chats, each after its mark, oldest first,
    /// and whether there are more.
    pub fn unread(
        &self,
        chats: &[(ChatId, Id)],
        user: UserId,
        limit: usize,
    ) -> Result<(Vec<MessageRow>, bool), LogError> {
        let sql = format!(
            "SELECT {} FROM messages WHERE chat = ?1 AND id > ?2 AND author <> ?3
             ORDER BY id LIMIT ?4",
            MessageRow::COLUMNS
        );
        let mut rows = Vec::new();
        for (chat, mark) in chats {
            let bounds = params![int(chat.0), int(*mark), int(user.0), rows_limit(limit + 1)];
            let found = many(&self.connection, &sql, bounds, |row| in_chat(*chat, row))?;
            rows.extend(found);
            rows.sort_unstable_by_key(|row| row.id);
            rows.truncate(limit + 1);
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        self.count(&mut rows)?;
        Ok((rows, more))
    }

    /// A feature's rows beside a message, after an id, and whether there are more.
    pub fn rows(
        &self,
        owner: &str,
        message: Id,
        after: Id,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), LogError> {
        let sql = format!(
            "SELECT {} FROM rows WHERE message = ?1 AND owner = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            Row::COLUMNS
        );
        let bounds = params![int(message), owner, int(after), rows_limit(limit + 1)];
        let mut rows = many(&self.connection, &sql, bounds, |row| {
            let row = Row::from_sql(row)?;
            if row.message == Some(message) && row.owner == owner {
                return Ok(row);
            }
            Err(misled("rows_by_message", row.id))
        })?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    /// Who has marked a message, with what or with one `text`: a feature's rows after an id, oldest
    /// first, and whether there are more.
    pub fn marks(
        &self,
        owner: &str,
        message: Id,
        text: Option<&str>,
        after: Id,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), LogError> {
        let condition = match text {
            Some(_) => "text = ?3",
            None => "?3 IS NULL",
        };
        // In order of their ids are those of one text alone; the index has the ids of all.
        let sql = format!(
            "SELECT {} FROM rows WHERE id IN
                 (SELECT id FROM rows WHERE marks = ?1 AND owner = ?2 AND {condition} AND id > ?4
                  ORDER BY id LIMIT ?5) ORDER BY id",
            Row::COLUMNS
        );
        let bounds = params![int(message), owner, text, int(after), rows_limit(limit + 1)];
        let mut rows = many(&self.connection, &sql, bounds, |row| {
            let row = Row::from_sql(row)?;
            let is_it = row.on == Some(true) && row.message == Some(message) && row.owner == owner;
            if is_it && text.is_none_or(|text| row.text.as_deref() == Some(text)) {
                return Ok(row);
            }
            Err(misled("rows_by_mark", row.id))
        })?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    /// The core's own rows after an id, oldest first, and whether there are more.
    pub fn core_rows(&self, after: Id, limit: usize) -> Result<(Vec<Row>, bool), LogError> {
        let sql = format!(
            "SELECT {} FROM rows WHERE message IS NULL AND owner = ?1 AND id > ?2
             ORDER BY id LIMIT ?3",
            Row::COLUMNS
        );
        let bounds = params![CORE, int(after), rows_limit(limit + 1)];
        let mut rows = many(&self.connection, &sql, bounds, Row::from_sql)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    /// How much is stored.
    pub fn stored(&self) -> Result<Stored, LogError> {
        let count = |sql: &str| -> Result<u64, LogError> {
            let count: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        };
        Ok(Stored {
            messages: count("SELECT count(*) FROM messages")?,
            rows: count("SELECT count(*) FROM rows")?,
            objects: count("SELECT count(*) FROM rows WHERE object IS NOT NULL")?,
        })
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Result<Option<super::Snapshot>, LogError> {
        query::snapshot(&self.connection)
    }

    /// The position of the newest whole snapshot; 0 where there is none.
    pub fn snapshot_pos(&self) -> Result<Pos, LogError> {
        let pos = query::snapshot_pos(&self.connection)?;
        Ok(pos.map_or(0, i64::cast_unsigned))
    }

    /// The newest whole snapshot before the one at `pos`: a part of a later one may lie there.
    pub fn snapshot_before(&self, pos: Pos) -> Result<Option<super::Snapshot>, LogError> {
        query::snapshot_before(&self.connection, pos)
    }

    /// Records after a position, in order.
    pub fn records(&self, after: Pos, limit: usize) -> Result<Vec<Record>, LogError> {
        query::read(&self.connection, after, limit)
    }

    /// Counts what lies beside messages and looks up what they hold, of all of them at once.
    fn count(&self, rows: &mut [MessageRow]) -> Result<(), LogError> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else {
            return Ok(());
        };
        // Most messages have nothing beside them: one look finds that out for all of them.
        let any = |sql: &str| -> Result<bool, LogError> {
            let mut statement = self.connection.prepare_cached(sql)?;
            Ok(statement.exists([int(*first), int(*last)])?)
        };
        if any("SELECT 1 FROM rows WHERE message BETWEEN ?1 AND ?2 LIMIT 1")? {
            self.count_beside(rows, &ids)?;
        }
        if any("SELECT 1 FROM rows WHERE marks BETWEEN ?1 AND ?2 LIMIT 1")? {
            for (message, mark) in query::marks(&self.connection, &ids)? {
                if let Some(row) = rows.iter_mut().find(|row| row.id == message) {
                    row.marks.push(mark);
                }
            }
        }
        if any("SELECT 1 FROM held WHERE holder BETWEEN ?1 AND ?2 LIMIT 1")? {
            for (holder, held) in query::held(&self.connection, &ids)? {
                if let Some(row) = rows.iter_mut().find(|row| row.id == holder) {
                    row.held.push(held);
                }
            }
        }
        Ok(())
    }

    fn count_beside(&self, rows: &mut [MessageRow], ids: &[Id]) -> Result<(), LogError> {
        let counts = many(
            &self.connection,
            "SELECT message, owner, count(*) FROM rows
             WHERE message IN (SELECT value FROM json_each(?1)) GROUP BY message, owner",
            [query::list(ids)],
            |row| {
                let id = row.get::<_, i64>(0)?.cast_unsigned();
                Ok((id, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
            },
        )?;
        for (id, owner, count) in counts {
            if let Some(row) = rows.iter_mut().find(|row| row.id == id) {
                row.counts.insert(owner, count);
            }
        }
        Ok(())
    }
}
