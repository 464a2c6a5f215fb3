//! What a fact changes in the rows beside the log.

use rusqlite::params;

use super::{KEY_LIFE, SqliteLog, unwritable};
use crate::log::query::{int, many};
use crate::log::{AppendError, Beside, Change, Id, Record};

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
                self.write(
                    "INSERT INTO messages (id, chat, author, addressee, at, ends, fuse, riders, text)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![
                        pos,
                        int(chat.0),
                        author,
                        addressee.map(|user| int(user.0)),
                        record.at.0,
                        ends.map(|time| time.0),
                        fuse.map(|period| int(period.as_ms())),
                        riders,
                        text.unwrap_or_default(),
                    ],
                )?;
            }
            Change::Enter(user, chat) => {
                self.write(
                    "INSERT OR IGNORE INTO members (user, chat, since) VALUES (?1, ?2, ?3)",
                    [int(user.0), int(chat.0), pos],
                )?;
            }
            Change::Leave(user, chat) => {
                self.write(
                    "UPDATE members SET until = ?3
                     WHERE user = ?1 AND chat = ?2 AND until IS NULL",
                    [int(user.0), int(chat.0), pos],
                )?;
            }
            Change::Row(beside, object) => {
                let message = match beside {
                    Beside::Message(id) => Some(int(*id)),
                    Beside::None => None,
                };
                self.write(
                    "INSERT INTO rows (id, owner, message, author, at, fact, text, object)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        pos,
                        record.owner,
                        message,
                        author,
                        record.at.0,
                        record.fact.get(),
                        text,
                        object.map(|object| object.to_string()),
                    ],
                )?;
            }
            Change::Remove(ids) => {
                for id in ids {
                    let beside = self.ids("SELECT id FROM rows WHERE message = ?1", *id)?;
                    self.write("DELETE FROM messages WHERE id = ?1", [int(*id)])?;
                    let held = self.gone(*id)?;
                    self.delete_rows(beside)?;
                    self.delete_rows(held)?;
                }
            }
            Change::Erase(ids) => self.delete_rows(ids.clone())?,
            Change::Hold(rows, chat) => {
                for row in rows {
                    self.write(
                        "INSERT OR IGNORE INTO held (holder, row, chat) VALUES (?1, ?2, ?3)",
                        params![pos, int(*row), chat.map(|chat| int(chat.0))],
                    )?;
                }
            }
            Change::Delivered(messages) => {
                for (id, ends) in messages {
                    self.write(
                        "UPDATE messages SET ends = ?2, fuse = NULL
                         WHERE id = ?1 AND fuse IS NOT NULL",
                        [int(*id), ends.0],
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
                self.write(
                    "INSERT OR REPLACE INTO keys (user, key, at, digest, made, answer)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![int(user.0), key, record.at.0, digest, made.map(int), text,],
                )?;
            }
        }
        Ok(())
    }

    /// Deletes rows; those that they held alone go, too.
    fn delete_rows(&self, mut ids: Vec<Id>) -> Result<(), AppendError> {
        while let Some(id) = ids.pop() {
            self.write(
                "INSERT OR IGNORE INTO trash (object, owner)
                 SELECT object, owner FROM rows WHERE id = ?1 AND object IS NOT NULL",
                [int(id)],
            )?;
            self.write("DELETE FROM held WHERE row = ?1", [int(id)])?;
            self.write("DELETE FROM rows WHERE id = ?1", [int(id)])?;
            ids.extend(self.gone(id)?);
        }
        Ok(())
    }

    /// What follows from the going of a message or a row: the answer that told of it goes, and
    /// what it held is no longer held by it. Gives the rows that nothing holds now.
    fn gone(&self, id: Id) -> Result<Vec<Id>, AppendError> {
        self.write("UPDATE keys SET answer = NULL WHERE made = ?1", [int(id)])?;
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
