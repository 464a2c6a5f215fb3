//! Texts of a log that was this machine's alone, for the stream of a cluster that it becomes.

use rusqlite::params;

use super::{KEY_LIFE, SqliteLog};
use crate::log::query::{self, int};
use crate::log::{AppendError, Id, LogError, UserId};
use crate::time::Time;

/// What an answer belongs to that tells of nothing that goes: no message or row has it.
const NOBODY: Id = 0;

/// A text, and what it belongs to.
#[derive(Debug)]
pub(crate) struct Brought {
    /// What it goes with.
    pub(crate) of: Id,
    /// The text itself.
    pub(crate) text: String,
    /// The user and the idempotency key whose answer it is.
    pub(crate) key: Option<(UserId, String)>,
    /// When it goes otherwise.
    pub(crate) until: Option<Time>,
}

/// How far the texts have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Messages after this id are next.
    Messages(i64),
    /// Features' rows after this one.
    Rows(i64),
    /// Kept answers after this user's key.
    Answers(i64, String),
    /// There are no more.
    End,
}

impl SqliteLog {
    /// Up to `limit` texts after a place, and where it goes on.
    pub(crate) fn texts_after(
        &self,
        place: &Place,
        limit: usize,
    ) -> Result<(Vec<Brought>, Place), LogError> {
        let beside = |sql: &str, after: i64| {
            query::many(
                &self.connection,
                sql,
                params![after, query::rows(limit)],
                |row| {
                    let id: i64 = row.get(0)?;
                    let brought = Brought {
                        of: id.cast_unsigned(),
                        text: row.get(1)?,
                        key: None,
                        until: None,
                    };
                    Ok((id, brought))
                },
            )
        };
        let then = |found: Vec<(i64, Brought)>, place: fn(i64) -> Place, next: Place| {
            let last = found.last().map(|(id, _)| *id);
            let texts = found.into_iter().map(|(_, text)| text).collect();
            (texts, last.map_or(next, place))
        };
        match place {
            Place::Messages(after) => {
                let sql = "SELECT id, text FROM messages WHERE id > ?1 AND text <> ''
                     ORDER BY id LIMIT ?2";
                Ok(then(beside(sql, *after)?, Place::Messages, Place::Rows(0)))
            }
            Place::Rows(after) => {
                let sql = "SELECT id, text FROM rows WHERE id > ?1 AND text IS NOT NULL
                     ORDER BY id LIMIT ?2";
                let next = Place::Answers(i64::MIN, String::new());
                Ok(then(beside(sql, *after)?, Place::Rows, next))
            }
            Place::Answers(user, key) => self.answers_after(*user, key, limit),
            Place::End => Ok((Vec::new(), Place::End)),
        }
    }

    fn answers_after(
        &self,
        user: i64,
        key: &str,
        limit: usize,
    ) -> Result<(Vec<Brought>, Place), LogError> {
        let sql = "SELECT user, key, answer, made, at FROM keys
             WHERE (user, key) > (?1, ?2) AND answer IS NOT NULL ORDER BY user, key LIMIT ?3";
        let found = query::many(
            &self.connection,
            sql,
            params![user, key, query::rows(limit)],
            |row| {
                let (user, key): (i64, String) = (row.get(0)?, row.get(1)?);
                let made: Option<i64> = row.get(3)?;
                let until = Time(row.get(4)?).plus(KEY_LIFE);
                Ok(Brought {
                    of: made.map_or(NOBODY, i64::cast_unsigned),
                    text: row.get(2)?,
                    key: Some((UserId(user.cast_unsigned()), key)),
                    until: made.is_none().then_some(until),
                })
            },
        )?;
        let last = found.last().and_then(|last| last.key.clone());
        let next = last.map_or(Place::End, |(user, key)| Place::Answers(int(user.0), key));
        Ok((found, next))
    }

    /// Forgets where texts lie in a stream: an earlier try to bring them there broke off.
    pub(crate) fn unplace_texts(&mut self) -> Result<(), AppendError> {
        self.apart(|log| {
            log.write("DELETE FROM stream_texts", [])?;
            log.write("DELETE FROM stream_trash", [])?;
            Ok(())
        })
    }

    /// Notes where texts lie that were brought to the stream.
    pub(crate) fn place_brought(&mut self, placed: &[super::Placed]) -> Result<(), AppendError> {
        self.apart(|log| log.place_texts(placed))
    }

    /// Notes how far into the stream this log has come, with nothing else.
    pub(crate) fn come_to(&mut self, seq: u64) -> Result<(), AppendError> {
        self.apart(|log| log.set_stream_seq(seq))
    }
}
