//! Reading rows and records from SQLite, for the writer's connection and the readers'.

use std::collections::BTreeMap;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row as SqlRow, params};
use uuid::Uuid;

use super::sums::{FACT, HELD, META, SNAPSHOT};
use super::{ChatId, Id, LogError, Mark, Marked, MessageRow, Pos, Record, Row, Snapshot, UserId};
use crate::time::Time;

/// A number as SQLite holds it; none of ours is beyond what it can hold, a client's may be.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as SQLite takes it.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The last position of the log.
pub(super) fn last(connection: &Connection) -> Result<Pos, LogError> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(pos) FROM facts")?
        .query_row([], |row| row.get(0))?;
    Ok(last.unwrap_or(0).cast_unsigned())
}

/// Records after a position, in order.
pub(super) fn read(
    connection: &Connection,
    after: Pos,
    limit: usize,
) -> Result<Vec<Record>, LogError> {
    many(
        connection,
        "SELECT pos, at, body, sum FROM facts WHERE pos > ?1 ORDER BY pos LIMIT ?2",
        params![int(after), rows(limit)],
        record,
    )
}

/// A record from the columns `pos, at, body, sum`.
pub(super) fn record(row: &SqlRow<'_>) -> Result<Record, LogError> {
    FACT.check(row, 0)?;
    let pos = row.get::<_, i64>(0)?.cast_unsigned();
    let body = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
    let mut record: Record = serde_json::from_str(body).map_err(|source| LogError::Unreadable {
        what: format!("fact {pos}"),
        source,
    })?;
    record.pos = pos;
    record.at = Time(row.get(1)?);
    Ok(record)
}

/// A message with the counts of what lies beside it.
pub(super) fn message(connection: &Connection, id: Id) -> Result<Option<MessageRow>, LogError> {
    message_if(connection, id, |_| true)
}

/// The same where `is_wanted` says so of the bare message.
pub(super) fn message_if(
    connection: &Connection,
    id: Id,
    is_wanted: impl FnOnce(&MessageRow) -> bool,
) -> Result<Option<MessageRow>, LogError> {
    let sql = format!("SELECT {} FROM messages WHERE id = ?1", MessageRow::COLUMNS);
    let row = one(connection, &sql, [int(id)], MessageRow::from_sql)?;
    if row.is_none() {
        // Reading another takes as long as finding out that one is not wanted.
        let sql = format!(
            "SELECT {} FROM messages ORDER BY id DESC LIMIT 1",
            MessageRow::COLUMNS
        );
        let _ = one(connection, &sql, [], MessageRow::from_sql);
    }
    let Some(mut row) = row.filter(is_wanted) else {
        return Ok(None);
    };
    row.counts = counts(connection, id)?;
    row.held = held(connection, &[id])?
        .into_iter()
        .map(|(_, row)| row)
        .collect();
    Ok(Some(row))
}

/// The rows that messages or other rows hold, each with its holder, in order of their ids.
pub(super) fn held(connection: &Connection, holders: &[Id]) -> Result<Vec<(Id, Row)>, LogError> {
    let sql = format!(
        "SELECT {}, holder, row, chat, held.sum FROM held JOIN rows ON rows.id = held.row
         WHERE holder IN (SELECT value FROM json_each(?1)) ORDER BY holder, rows.id",
        Row::COLUMNS
    );
    many(connection, &sql, [list(holders)], |row| {
        HELD.check(row, Row::WIDTH)?;
        let holder: i64 = row.get(Row::WIDTH)?;
        Ok((holder.cast_unsigned(), Row::from_sql(row)?))
    })
}

/// Ids as a JSON array, which SQLite reads as a table.
pub(super) fn list(ids: &[Id]) -> String {
    let ids: Vec<_> = ids.iter().map(Id::to_string).collect();
    format!("[{}]", ids.join(","))
}

/// The row of an object.
pub(super) fn row_of(connection: &Connection, object: Uuid) -> Result<Option<Row>, LogError> {
    let sql = format!("SELECT {} FROM rows WHERE object = ?1", Row::COLUMNS);
    one(connection, &sql, [object.to_string()], Row::from_sql)
}

/// Whether a message of one of these chats, beyond the id given with it, holds a row. A row may be
/// held in many chats, and somebody be in many: the shorter way is taken, one look at an index for
/// each chat.
pub(super) fn is_held_in(
    connection: &Connection,
    row: Id,
    chats: &[(ChatId, Id)],
) -> Result<bool, LogError> {
    let newest = |chat: ChatId| -> Result<Id, LogError> {
        // The index says which; the row itself is verified.
        let sql = "SELECT holder, row, chat, sum FROM held WHERE row = ?2 AND holder =
             (SELECT max(holder) FROM held WHERE row = ?2 AND chat = ?1)";
        let newest = one(connection, sql, [int(chat.0), int(row)], |found| {
            HELD.check(found, 0)?;
            let is_here = found.get::<_, Option<i64>>(2)? == Some(int(chat.0));
            Ok(if is_here { found.get(0)? } else { 0_i64 })
        })?;
        Ok(newest.unwrap_or(0).cast_unsigned())
    };
    let mut next = connection.prepare_cached(
        "SELECT min(chat) FROM held WHERE row = ?1 AND chat IS NOT NULL AND chat >= ?2",
    )?;
    let mut from = 0;
    for _ in 0..chats.len() {
        let found: Option<i64> = next.query_row([int(row), from], |row| row.get(0))?;
        let Some(found) = found else {
            return Ok(false);
        };
        let chat = ChatId(found.cast_unsigned());
        if let Ok(place) = chats.binary_search_by_key(&chat, |(chat, _)| *chat)
            && newest(chat)? > chats[place].1
        {
            return Ok(true);
        }
        from = found + 1;
    }
    for (chat, floor) in chats {
        if newest(*chat)? > *floor {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A feature's row.
pub(super) fn row(connection: &Connection, id: Id) -> Result<Option<Row>, LogError> {
    let sql = format!("SELECT {} FROM rows WHERE id = ?1", Row::COLUMNS);
    one(connection, &sql, [int(id)], Row::from_sql)
}

/// How many rows each feature has beside a message.
pub(super) fn counts(connection: &Connection, id: Id) -> Result<BTreeMap<String, u64>, LogError> {
    let counts = many(
        connection,
        "SELECT owner, count(*) FROM rows WHERE message = ?1 GROUP BY owner",
        [int(id)],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())),
    )?;
    Ok(counts.into_iter().collect())
}

/// What users have marked messages with, each with its message. Who has is the index's word; what it says
/// is a row's, which is verified.
pub(super) fn marks(connection: &Connection, messages: &[Id]) -> Result<Vec<(Id, Mark)>, LogError> {
    // A text that is not there is of a mark that was taken back, which a later fact says.
    let found: Vec<(i64, i64, String)> = many(
        connection,
        "SELECT marks, max(id), group_concat(author) FROM rows
         WHERE marks IN (SELECT value FROM json_each(?1)) AND text IS NOT NULL
         GROUP BY marks, owner, text",
        [list(messages)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let marks = found.into_iter().map(|(message, newest, by)| {
        let (message, newest) = (message.cast_unsigned(), newest.cast_unsigned());
        let row = row(connection, newest)?.filter(|row| row.message == Some(message));
        let row = row.ok_or_else(|| misled("rows_by_mark", newest))?;
        let by = by.split(',').map(|user| user.parse().map(UserId));
        let by: Result<_, _> = by.collect();
        let by = by.map_err(|_| misled("rows_by_mark", newest))?;
        Ok((message, Mark { row, by }))
    });
    marks.collect()
}

/// How a mark stands on a message, for one user. However many have it there, it is a few looks.
pub(super) fn marked(
    connection: &Connection,
    owner: &str,
    message: Id,
    text: &str,
    by: UserId,
) -> Result<Marked, LogError> {
    let (message, columns) = (int(message), Row::COLUMNS);
    // SQLite would rather read all that have the same text.
    let own = format!(
        "SELECT {columns} FROM rows INDEXED BY rows_by_marker
         WHERE marks IN (?1, -?1) AND author = ?2 AND owner = ?3 AND text = ?4"
    );
    let own = one(
        connection,
        &own,
        params![message, int(by.0), owner, text],
        Row::from_sql,
    )?;
    let newest = |marks: i64| {
        let sql = format!(
            "SELECT {columns} FROM rows WHERE marks = ?1 AND owner = ?2 AND text = ?3
             ORDER BY id DESC LIMIT 1"
        );
        let newest = one(connection, &sql, params![marks, owner, text], Row::from_sql)?;
        let is_it = |row: &Row| row.owner == owner && row.text.as_deref() == Some(text);
        match newest {
            Some(row) if !is_it(&row) => Err(misled("rows_by_mark", row.id)),
            newest => Ok(newest),
        }
    };
    let both = [newest(message)?, newest(-message)?].into_iter().flatten();
    let mut next = connection.prepare_cached(
        "SELECT min(text) FROM rows WHERE marks = ?1 AND owner = ?2 AND text > ?3",
    )?;
    let (mut different, mut last) = (0, String::new());
    while let Some(text) = next.query_row(params![message, owner, last], |row| {
        row.get::<_, Option<String>>(0)
    })? {
        last = text;
        different += 1;
    }
    Ok(Marked {
        own,
        newest: both.max_by_key(|row| row.id),
        different,
    })
}

/// An index led to a row that is not of its kind.
pub(super) fn misled(index: &'static str, id: Id) -> LogError {
    LogError::Damaged {
        table: index,
        key: id.to_string(),
    }
}

/// The newest whole snapshot.
pub(super) fn snapshot(connection: &Connection) -> Result<Option<Snapshot>, LogError> {
    let pos = snapshot_pos(connection)?;
    pos.map(|pos| snapshot_at(connection, pos)).transpose()
}

/// The position of the newest whole snapshot.
pub(super) fn snapshot_pos(connection: &Connection) -> Result<Option<i64>, LogError> {
    meta(connection, "snapshot")
}

/// The whole snapshot before the one at `pos`.
pub(super) fn snapshot_before(
    connection: &Connection,
    pos: Pos,
) -> Result<Option<Snapshot>, LogError> {
    let before: Option<i64> = connection.query_row(
        "SELECT max(pos) FROM snapshots WHERE pos < ?1",
        [int(pos)],
        |row| row.get(0),
    )?;
    before.map(|pos| snapshot_at(connection, pos)).transpose()
}

/// What `meta` holds under a key.
pub(super) fn meta<T: FromSql>(connection: &Connection, key: &str) -> Result<Option<T>, LogError> {
    let sql = "SELECT key, value, sum FROM meta WHERE key = ?1";
    one(connection, sql, [key], |row| {
        META.check(row, 0)?;
        Ok(row.get(1)?)
    })
}

fn snapshot_at(connection: &Connection, pos: i64) -> Result<Snapshot, LogError> {
    let parts: Vec<Vec<u8>> = many(
        connection,
        "SELECT pos, part, body, sum FROM snapshots WHERE pos = ?1 ORDER BY part",
        [pos],
        |row| {
            SNAPSHOT.check(row, 0)?;
            Ok(row.get(2)?)
        },
    )?;
    Ok(Snapshot {
        pos: pos.cast_unsigned(),
        body: parts.concat(),
    })
}

/// The first row, read by `from`.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    from: impl FnOnce(&SqlRow<'_>) -> Result<T, LogError>,
) -> Result<Option<T>, LogError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(from).transpose()
}

/// Every row, read by `from`.
pub(super) fn many<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut from: impl FnMut(&SqlRow<'_>) -> Result<T, LogError>,
) -> Result<Vec<T>, LogError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(from(row)?);
    }
    Ok(all)
}
