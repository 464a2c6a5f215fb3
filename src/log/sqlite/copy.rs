//! A log's copy for another node of the cluster: all but its texts, which that node reads from
//! their own stream, where what is erased is erased at once.
//!
//! A row keeps the checksum that it has with its text. So a text that is put back is verified by
//! it, as any other.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::log::query::{self, int};
use crate::log::sums;
use crate::log::{Id, LogError, Pos, UserId};

/// Every table, and what of it is copied: columns by their names, for a file that was upgraded has
/// them in another order.
const TABLES: [(&str, &str, &str); 13] = [
    ("meta", "key, value, sum", "key, value, sum"),
    ("facts", "pos, at, body, sum", "pos, at, body, sum"),
    ("audience", "who, pos", "who, pos"),
    (
        "messages",
        "id, chat, author, addressee, at, ends, fuse, riders, sum, ends_sum, text",
        "id, chat, author, addressee, at, ends, fuse, riders, sum, ends_sum, ''",
    ),
    (
        "members",
        "user, chat, since, until, sum, until_sum",
        "user, chat, since, until, sum, until_sum",
    ),
    (
        "rows",
        "id, owner, message, author, at, fact, object, sum, marks, marks_sum, text",
        "id, owner, message, author, at, fact, object, sum, marks, marks_sum, NULL",
    ),
    ("held", "holder, row, chat, sum", "holder, row, chat, sum"),
    ("stores", "owner, place, sum", "owner, place, sum"),
    ("trash", "object, owner, sum", "object, owner, sum"),
    (
        "keys",
        "user, key, at, digest, made, sum, answer_sum, answer",
        "user, key, at, digest, made, sum, answer_sum, NULL",
    ),
    ("snapshots", "pos, part, body, sum", "pos, part, body, sum"),
    ("stream_texts", "seq, id, until", "seq, id, until"),
    ("stream_trash", "seq", "seq"),
];

/// Writes a copy of a node's log, as it is at one moment, into a new file; gives the stream's
/// sequence and the position up to which it goes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(u64, Pos), LogError> {
    let copy = Connection::open(to)?;
    // Half of one is never used.
    copy.pragma_update(None, "journal_mode", "OFF")?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.execute_batch(include_str!("../schema.sql"))?;
    copy.execute_batch(include_str!("stream.sql"))?;
    copy.execute("ATTACH ?1 AS source", [from.to_string_lossy()])?;
    copy.execute_batch("BEGIN")?;
    for (table, columns, values) in TABLES {
        copy.execute_batch(&format!(
            "INSERT INTO main.{table} ({columns}) SELECT {values} FROM source.{table}"
        ))?;
    }
    // The index of texts stays behind: a mark would say that it is there.
    copy.execute_batch("DELETE FROM meta WHERE key LIKE 'indexed\\_by\\_%' ESCAPE '\\'")?;
    sums::sum_schema(&copy)?;
    copy.execute_batch("COMMIT")?;
    copy.execute_batch("DETACH source")?;
    let seq: Option<i64> = query::meta(&copy, super::stream::SEQ)?;
    Ok((seq.unwrap_or(0).cast_unsigned(), query::last(&copy)?))
}

/// A copy that texts are put back into.
pub(crate) struct Copy(Connection);

/// A text that is put back: beside the message or row with this id, or as the answer under a key.
pub(crate) enum Put {
    /// Beside a message or row.
    Beside(Id, String),
    /// Under a key.
    Answer(UserId, String, String),
}

impl Copy {
    /// Opens a copy.
    pub(crate) fn open(file: &Path) -> Result<Self, LogError> {
        let copy = Connection::open(file)?;
        copy.pragma_update(None, "journal_mode", "OFF")?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        Ok(Self(copy))
    }

    /// Where up to `limit` of its texts lie in their stream, after a sequence, in order; each with
    /// what it belongs to.
    pub(crate) fn texts(&self, after: u64, limit: usize) -> Result<Vec<(u64, Id)>, LogError> {
        let sql = "SELECT seq, id FROM stream_texts WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let bounds = params![int(after), query::rows(limit)];
        query::many(&self.0, sql, bounds, |row| {
            let (seq, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((seq.cast_unsigned(), id.cast_unsigned()))
        })
    }

    /// Puts some texts back, and takes away what has none any more: the fact that says so comes
    /// later in the stream.
    pub(crate) fn put(&mut self, texts: &[Put], gone: &[Id]) -> Result<(), LogError> {
        let work = self.0.transaction()?;
        for text in texts {
            match text {
                Put::Answer(user, key, answer) => {
                    work.prepare_cached(
                        "UPDATE keys SET answer = ?3
                         WHERE user = ?1 AND key = ?2 AND answer_sum IS NOT NULL",
                    )?
                    .execute(params![int(user.0), key, answer])?;
                }
                Put::Beside(id, text) => {
                    let id = int(*id);
                    let found = work
                        .prepare_cached("UPDATE messages SET text = ?2 WHERE id = ?1")?
                        .execute(params![id, text])?;
                    if found == 0 {
                        work.prepare_cached("UPDATE rows SET text = ?2 WHERE id = ?1")?
                            .execute(params![id, text])?;
                    }
                }
            }
        }
        for id in gone {
            let id = int(*id);
            work.execute("DELETE FROM messages WHERE id = ?1", [id])?;
            work.execute("DELETE FROM rows WHERE id = ?1", [id])?;
            work.execute(
                "UPDATE keys SET answer = NULL, answer_sum = NULL WHERE made = ?1",
                [id],
            )?;
        }
        work.commit()?;
        Ok(())
    }
}
