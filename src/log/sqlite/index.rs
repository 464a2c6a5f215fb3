//! The index of texts: SQLite's FTS5, kept where a feature asks for it.
//!
//! It is fed with words that are folded already ([`words`]), so its own tokenizer is the simplest
//! there is, and it holds no text: what is found is read from the messages. Messages up to a mark
//! are in it, those beyond are read through by whoever looks (`reader/find.rs`); the mark and the
//! index change in one transaction, so no crash leaves a hole. A message that goes is taken out in
//! the transaction that deletes it, with `secure-delete`, so that no word of it stays in the file.

use rusqlite::{Connection, ErrorCode, params};

use super::{SqliteLog, append_error, set_meta};
use crate::log::query::{self, int, many, one};
use crate::log::sums::{self, MESSAGE};
use crate::log::words::{RULES, words};
use crate::log::{AppendError, ChatId, Id, LogError, UserId};

/// Begins the tokens that are no words; no word has it.
const MARK: char = '\u{e000}';

/// The columns that a message is put in and taken out by; a checksum is over all of them.
const COLUMNS: &str = "id, chat, author, addressee, at, riders, text, sum";

/// A token that every message of a chat has.
pub(in crate::log) fn of_chat(chat: ChatId) -> String {
    format!("{MARK}c{}", chat.0)
}

/// A token that every message of an author has.
pub(in crate::log) fn of_author(author: UserId) -> String {
    format!("{MARK}a{}", author.0)
}

/// The name in `meta` of the last message that is in the index.
fn mark_name() -> String {
    format!("indexed_by_{RULES}")
}

/// The last message in the index; none where there is no index.
pub(in crate::log) fn mark(connection: &Connection) -> Result<Option<Id>, LogError> {
    let mark: Option<i64> = query::meta(connection, &mark_name())?;
    Ok(mark.map(i64::cast_unsigned))
}

/// A message as the index holds it.
fn tokens(chat: i64, author: i64, text: &str) -> String {
    let chat = of_chat(ChatId(chat.cast_unsigned()));
    let mut tokens = chat + " " + &of_author(UserId(author.cast_unsigned()));
    for word in words(text) {
        tokens.push(' ');
        tokens.push_str(&word.text);
    }
    tokens
}

/// A message that goes into the index: its id and its tokens, none where its row is damaged.
type Put = (Id, Option<String>);

fn read(row: &rusqlite::Row<'_>) -> Result<Put, LogError> {
    let id = row.get::<_, i64>(0)?.cast_unsigned();
    match MESSAGE.check(row, 0) {
        Err(LogError::Damaged { .. }) => return Ok((id, None)),
        checked => checked?,
    }
    let text = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
    Ok((id, Some(tokens(row.get(1)?, row.get(2)?, text))))
}

impl SqliteLog {
    /// Makes the index where it is wanted and not there, or made by other rules; drops it where it
    /// is not wanted.
    pub(super) fn make_or_drop_index(&mut self, wanted: bool) -> Result<(), AppendError> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'texts'";
        let is_there: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(append_error)?;
        let is_there = is_there > 0;
        let is_good = is_there && self.mark()?.is_some();
        if wanted == is_good && wanted == is_there {
            return Ok(());
        }
        self.apart(|log| {
            if is_there {
                log.drop_index()?;
            }
            if wanted { log.make_index() } else { Ok(()) }
        })?;
        self.indexed.set(None);
        Ok(())
    }

    fn make_index(&self) -> Result<(), AppendError> {
        let made = self.connection.execute_batch(
            "CREATE VIRTUAL TABLE texts
                 USING fts5 (words, content='', columnsize=0, tokenize='ascii');
             INSERT INTO texts (texts, rank) VALUES ('secure-delete', 1);",
        );
        made.map_err(append_error)?;
        self.sum_schema()?;
        set_meta(&self.connection, &mark_name(), &0).map_err(append_error)
    }

    fn drop_index(&self) -> Result<(), AppendError> {
        let dropped = self.connection.execute_batch(
            "DROP TABLE texts; DELETE FROM meta WHERE key LIKE 'indexed\\_by\\_%' ESCAPE '\\';",
        );
        dropped.map_err(append_error)?;
        self.sum_schema()
    }

    fn sum_schema(&self) -> Result<(), AppendError> {
        sums::sum_schema(&self.connection).map_err(AppendError::Failed)
    }

    /// Empties the index, to be filled anew.
    fn reset_index(&self) -> Result<(), AppendError> {
        self.drop_index()?;
        self.make_index()?;
        self.indexed.set(None);
        Ok(())
    }

    /// The last message in the index.
    fn mark(&self) -> Result<Option<Id>, AppendError> {
        if let Some(mark) = self.indexed.get() {
            return Ok(mark);
        }
        let mark = mark(&self.connection).map_err(AppendError::Failed)?;
        self.indexed.set(Some(mark));
        Ok(mark)
    }

    /// Puts the first `limit` messages beyond the mark into the index; says how many there were.
    pub(super) fn index_some(&mut self, limit: usize) -> Result<usize, AppendError> {
        let Some(mark) = self.mark()? else {
            return Ok(0);
        };
        let (count, upto) = self.apart(|log| {
            let sql = format!("SELECT {COLUMNS} FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2");
            let bounds = params![int(mark), query::rows(limit)];
            let found = many(&log.connection, &sql, bounds, read).map_err(AppendError::Failed)?;
            for put in &found {
                log.put(put)?;
            }
            let upto = found.last().map_or(mark, |(id, _)| *id);
            set_meta(&log.connection, &mark_name(), &int(upto)).map_err(append_error)?;
            Ok((found.len(), upto))
        })?;
        self.indexed.set(Some(Some(upto)));
        Ok(count)
    }

    fn put(&self, (id, tokens): &Put) -> Result<(), AppendError> {
        let Some(tokens) = tokens else {
            return Ok(());
        };
        let sql = "INSERT INTO texts (rowid, words) VALUES (?1, ?2)";
        self.write(sql, params![int(*id), tokens]).map(drop)
    }

    /// Puts a message whose text was changed back into the index, where those about it are in it.
    pub(super) fn index_again(&self, id: Id) -> Result<(), AppendError> {
        if self.mark()?.is_none_or(|mark| id > mark) {
            return Ok(());
        }
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE id = ?1");
        let found = one(&self.connection, &sql, [int(id)], read).map_err(AppendError::Failed)?;
        found.as_ref().map_or(Ok(()), |put| self.put(put))
    }

    /// Takes a message out of the index, before its row goes or gets another text: the index must be told each word that
    /// it was put in by. Where those are not known any more it is made anew.
    pub(super) fn unindex(&self, id: Id) -> Result<(), AppendError> {
        if self.mark()?.is_none_or(|mark| id > mark) {
            return Ok(());
        }
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE id = ?1");
        let found = one(&self.connection, &sql, [int(id)], read).map_err(AppendError::Failed)?;
        let Some((_, tokens)) = found else {
            return Ok(());
        };
        let Some(tokens) = tokens else {
            tracing::error!(
                id,
                "a damaged message goes: the index of texts is made anew"
            );
            return self.reset_index();
        };
        let sql = "INSERT INTO texts (texts, rowid, words) VALUES ('delete', ?1, ?2)";
        let statement = self.connection.prepare_cached(sql);
        let deleted = statement.and_then(|mut one| one.execute(params![int(id), tokens]));
        match deleted {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                tracing::error!(%error, "the index of texts is damaged, and made anew");
                self.reset_index()
            }
            deleted => deleted.map(drop).map_err(append_error),
        }
    }
}
