//! What a fact changes in the rows beside the log.

use rusqlite::params;
use rusqlite::types::Null;

use super::{KEY_LIFE, SqliteLog, sum, unwritable};
use crate::log::query::{self, int, many, one};
use crate::log::sums::{ANSWER, END, HELD, KEY, LEFT, MARK, MESSAGE, ROW, STAY, TRASH};
use crate::log::{AppendError, Beside, Change, Id, KeptAnswer, Record};

impl SqliteLog {
    pub(super) fn change(
        &self,
        record: &Record,
        text: Option<&str>,
        change: &Change,
    ) -> Result<(), AppendError> {
        let pos = int(record.pos);
        let author = record.by.map(|user| int(user.0));
        match change {
            Change::Message {
                chat,
                addressee,
                ends,
                fuse,
            } => {
                let riders = (!record.riders.is_empty())
                    .then(|| serde_json::to_string(&record.riders))
                    .transpose()
                    .map_err(unwritable)?;
                let chat = int(chat.0);
                let addressee = addressee.map(|user| int(user.0));
                let (at, text) = (record.at.0, text.unwrap_or_default());
                let ends = ends.map(|time| time.0);
                let fuse = fuse.map(|period| int(period.as_ms()));
                let ends_sum = sum(&END, params![pos, ends, fuse])?;
                let sum = sum(
                    &MESSAGE,
                    params![pos, chat, author, addressee, at, riders, text],
                )?;
                self.write(
                    "INSERT INTO messages (id, chat, author, addressee, at, riders, text, sum,
                                           ends, fuse, ends_sum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    params![
                        pos, chat, author, addressee, at, riders, text, sum, ends, fuse, ends_sum
                    ],
                )?;
            }
            Change::Enter(user, chat) => {
                let (user, chat) = (int(user.0), int(chat.0));
                let sum = sum(&STAY, params![user, chat, pos])?;
                self.write(
                    "INSERT OR IGNORE INTO members (user, chat, since, sum) VALUES (?1, ?2, ?3, ?4)",
                    params![user, chat, pos, sum],
                )?;
            }
            Change::Leave(user, chat) => {
                let (user, chat) = (int(user.0), int(chat.0));
                let sum = sum(&LEFT, params![user, chat, pos])?;
                self.write(
                    "UPDATE members SET until = ?3, until_sum = ?4
                     WHERE user = ?1 AND chat = ?2 AND until IS NULL",
                    params![user, chat, pos, sum],
                )?;
            }
            Change::Row(beside, object) => {
                let (message, marks) = match beside {
                    Beside::Message(id) => (Some(int(*id)), None),
                    Beside::Mark { message, on: true } => (None, Some(int(*message))),
                    Beside::Mark { message, on: false } => (None, Some(-int(*message))),
                    Beside::None | Beside::Text(_) => (None, None),
                };
                let (owner, at, fact) = (&record.owner, record.at.0, record.fact.get());
                let object = object.map(|object| object.to_string());
                let sum = sum(
                    &ROW,
                    params![pos, owner, message, author, at, fact, text, object],
                )?;
                let marks_sum = marks.map(|_| self::sum(&MARK, params![pos, marks]));
                let marks_sum = marks_sum.transpose()?;
                self.write(
                    "INSERT INTO rows (id, owner, message, author, at, fact, text, object, sum,
                                       marks, marks_sum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    params![
                        pos, owner, message, author, at, fact, text, object, sum, marks, marks_sum
                    ],
                )?;
            }
            Change::Reword(id) => {
                self.unindex(*id)?;
                self.reword(record, text.unwrap_or_default(), *id)?;
                self.index_again(*id)?;
            }
            Change::Remove(ids) => {
                for id in ids {
                    self.unindex(*id)?;
                    let beside = self.ids(
                        "SELECT id FROM rows WHERE message = ?1
                         UNION ALL SELECT id FROM rows WHERE marks IN (?1, -?1)",
                        *id,
                    )?;
                    self.write("DELETE FROM messages WHERE id = ?1", [int(*id)])?;
                    let held = self.gone(*id)?;
                    self.delete_rows(beside)?;
                    self.delete_rows(held)?;
                }
            }
            Change::Erase(ids) => self.delete_rows(ids.clone())?,
            Change::Hold(rows, chat) => {
                let chat = chat.map(|chat| int(chat.0));
                for row in rows {
                    let row = int(*row);
                    let sum = sum(&HELD, params![pos, row, chat])?;
                    self.write(
                        "INSERT OR IGNORE INTO held (holder, row, chat, sum)
                         VALUES (?1, ?2, ?3, ?4)",
                        params![pos, row, chat, sum],
                    )?;
                }
            }
            Change::Delivered(messages) => {
                for (id, ends) in messages {
                    let (id, ends) = (int(*id), ends.0);
                    let sum = sum(&END, params![id, ends, Null])?;
                    self.write(
                        "UPDATE messages SET ends = ?2, fuse = NULL, ends_sum = ?3
                         WHERE id = ?1 AND fuse IS NOT NULL",
                        params![id, ends, sum],
                    )?;
                }
            }
            Change::Key {
                user,
                key,
                digest,
                made,
            } => {
                self.write(
                    "DELETE FROM keys WHERE at < ?1",
                    [record.at.minus(KEY_LIFE).0],
                )?;
                let (user, at, made) = (int(user.0), record.at.0, made.map(int));
                let answer_sum = sum(&ANSWER, params![user, key, text])?;
                let sum = sum(&KEY, params![user, key, at, digest, made])?;
                self.write(
                    "INSERT OR REPLACE INTO keys (user, key, at, digest, made, sum, answer,
                                                  answer_sum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![user, key, at, digest, made, sum, text, answer_sum],
                )?;
            }
        }
        Ok(())
    }

    /// Gives a message another text. One that is gone meanwhile stays gone.
    fn reword(&self, record: &Record, text: &str, id: Id) -> Result<(), AppendError> {
        let message = query::message(&self.connection, id).map_err(AppendError::Failed)?;
        let Some(mut message) = message else {
            return Ok(());
        };
        message.reword(record, text);
        let riders = message.stored_riders().map_err(unwritable)?;
        let (id, chat, author) = (int(id), int(message.chat.0), int(message.author.0));
        let addressee = message.addressee.map(|user| int(user.0));
        let message_sum = sum(
            &MESSAGE,
            params![id, chat, author, addressee, message.at.0, riders, text],
        )?;
        self.write(
            "UPDATE messages SET riders = ?2, text = ?3, sum = ?4 WHERE id = ?1",
            params![id, riders, text, message_sum],
        )?;
        // An answer that told of it holds the text, too.
        let told = many(
            &self.connection,
            "SELECT user, key, answer, answer_sum FROM keys WHERE made = ?1 AND answer IS NOT NULL",
            [id],
            |row| {
                ANSWER.check(row, 0)?;
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
            },
        );
        let told: Vec<(i64, String, String)> = told.map_err(AppendError::Failed)?;
        for (user, key, answer) in told {
            let mut answer: KeptAnswer = serde_json::from_str(&answer).map_err(unwritable)?;
            if let Some(old) = answer.body.as_mut().and_then(|body| body.get_mut("text")) {
                *old = text.into();
            }
            let answer = serde_json::to_string(&answer).map_err(unwritable)?;
            let answer_sum = sum(&ANSWER, params![user, key, answer])?;
            self.write(
                "UPDATE keys SET answer = ?3, answer_sum = ?4 WHERE user = ?1 AND key = ?2",
                params![user, key, answer, answer_sum],
            )?;
        }
        Ok(())
    }

    /// Deletes rows; those that they held alone go, too.
    fn delete_rows(&self, mut ids: Vec<Id>) -> Result<(), AppendError> {
        while let Some(id) = ids.pop() {
            self.throw_away(id)?;
            self.write("DELETE FROM held WHERE row = ?1", [int(id)])?;
            self.write("DELETE FROM rows WHERE id = ?1", [int(id)])?;
            ids.extend(self.gone(id)?);
        }
        Ok(())
    }

    /// Notes a row's object, if it has one, to be deleted.
    fn throw_away(&self, id: Id) -> Result<(), AppendError> {
        let object = one(
            &self.connection,
            "SELECT object, owner FROM rows WHERE id = ?1 AND object IS NOT NULL",
            [int(id)],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        );
        let Some((object, owner)) = object.map_err(AppendError::Failed)? else {
            return Ok(());
        };
        let sum = sum(&TRASH, params![object, owner])?;
        self.write(
            "INSERT OR IGNORE INTO trash (object, owner, sum) VALUES (?1, ?2, ?3)",
            params![object, owner, sum],
        )?;
        Ok(())
    }

    /// What follows from the going of a message or a row: the answer that told of it goes, and
    /// what it held is no longer held by it. Gives the rows that nothing holds now.
    fn gone(&self, id: Id) -> Result<Vec<Id>, AppendError> {
        self.write(
            "UPDATE keys SET answer = NULL, answer_sum = NULL WHERE made = ?1",
            [int(id)],
        )?;
        let left = self.ids(
            "SELECT row FROM held mine WHERE holder = ?1 AND NOT EXISTS
                 (SELECT 1 FROM held WHERE held.row = mine.row AND held.holder <> ?1)",
            id,
        )?;
        self.write("DELETE FROM held WHERE holder = ?1", [int(id)])?;
        Ok(left)
    }

    fn ids(&self, sql: &str, id: Id) -> Result<Vec<Id>, AppendError> {
        let ids = many(&self.connection, sql, [int(id)], |row| {
            Ok(row.get::<_, i64>(0)?.cast_unsigned())
        });
        ids.map_err(AppendError::Failed)
    }
}
