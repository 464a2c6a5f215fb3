//! What a node of a cluster keeps beside its log: how far into the stream it has come, and where
//! the texts lie there.

use rusqlite::params;

use super::{SqliteLog, append_error, set_meta};
use crate::log::query::{self, int};
use crate::log::sums;
use crate::log::{AppendError, Id, LogError};
use crate::time::Time;

/// The name of the last sequence in `meta`.
pub(super) const SEQ: &str = "stream_seq";

/// The name of the stream's own name in `meta`.
const STREAM: &str = "stream_id";

/// The name of the last text in `meta` up to which none lies in the stream that nothing names.
pub(crate) const SWEPT: &str = "stream_swept";

/// Where texts lie in their stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// What they belong to, with which they go.
    pub(crate) id: Id,
    /// Their sequence.
    pub(crate) seq: u64,
    /// When they go otherwise.
    pub(crate) until: Option<Time>,
    /// Whether what lay there before of the same is to be erased.
    pub(crate) instead: bool,
}

impl SqliteLog {
    /// Makes the tables, and gives the stream's sequence up to which this log has come: none where
    /// it was not part of a cluster yet.
    pub(crate) fn join_stream(&self) -> Result<Option<u64>, LogError> {
        // As one: tables without the schema's new checksum would be damage after a crash.
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute_batch(include_str!("stream.sql"))?;
        sums::sum_schema(&transaction)?;
        transaction.commit()?;
        let seq = query::meta::<i64>(&self.connection, SEQ)?;
        Ok(seq.map(i64::cast_unsigned))
    }

    /// The stream that this log has come from, where that was noted.
    pub(crate) fn stream_id(&self) -> Result<Option<String>, LogError> {
        query::meta::<String>(&self.connection, STREAM)
    }

    /// Notes it.
    pub(crate) fn set_stream_id(&self, id: &str) -> Result<(), LogError> {
        Ok(set_meta(&self.connection, STREAM, &id)?)
    }

    /// Leaves the stream for good, where it was part of one: what is written from now on is not there.
    /// Says whether it was.
    pub(crate) fn leave_stream(&mut self) -> Result<bool, AppendError> {
        let was = query::meta::<i64>(&self.connection, SEQ).map_err(AppendError::Failed)?;
        if was.is_none() {
            return Ok(false);
        }
        self.apart(|log| {
            for table in ["stream_texts", "stream_trash"] {
                log.write(&format!("DELETE FROM {table}"), [])?;
            }
            for key in [SEQ, SWEPT, STREAM] {
                log.write("DELETE FROM meta WHERE key = ?1", [key])?;
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// Takes another history's name, while there is nothing in this log.
    pub(crate) fn set_epoch(&mut self, epoch: &str) -> Result<(), LogError> {
        set_meta(&self.connection, "epoch", &epoch)?;
        epoch.clone_into(&mut self.epoch);
        Ok(())
    }

    /// Notes in the open batch that it is this one of the stream.
    pub(crate) fn set_stream_seq(&self, seq: u64) -> Result<(), AppendError> {
        set_meta(&self.connection, SEQ, &int(seq)).map_err(append_error)
    }

    /// Notes in the open batch where its texts lie.
    pub(crate) fn place_texts(&self, placed: &[Placed]) -> Result<(), AppendError> {
        for text in placed {
            if text.instead {
                let id = int(text.id);
                self.write(
                    "INSERT OR IGNORE INTO stream_trash SELECT seq FROM stream_texts WHERE id = ?1",
                    [id],
                )?;
                self.write("DELETE FROM stream_texts WHERE id = ?1", [id])?;
            }
            self.write(
                "INSERT OR REPLACE INTO stream_texts (seq, id, until) VALUES (?1, ?2, ?3)",
                params![int(text.seq), int(text.id), text.until.map(|time| time.0)],
            )?;
        }
        Ok(())
    }

    /// Notes texts of the stream after `from`, up to `upto`, which no batch came to name, to be erased
    /// there; and that it was swept so far.
    pub(crate) fn sweep_texts(&mut self, from: u64, upto: u64) -> Result<(), AppendError> {
        self.apart(|log| {
            // Every number between, but those where something lies.
            log.write(
                "WITH RECURSIVE seqs (seq) AS (
                     SELECT ?1 + 1 WHERE ?1 < ?2
                     UNION ALL SELECT seq + 1 FROM seqs WHERE seq < ?2)
                 INSERT OR IGNORE INTO stream_trash
                 SELECT seq FROM seqs
                 WHERE NOT EXISTS (SELECT 1 FROM stream_texts WHERE stream_texts.seq = seqs.seq)",
                [int(from), int(upto)],
            )?;
            set_meta(&log.connection, SWEPT, &int(upto)).map_err(append_error)
        })
    }

    /// Forgets texts of the stream that are erased there.
    pub(crate) fn forget_texts(&mut self, seqs: &[u64]) -> Result<(), AppendError> {
        self.apart(|log| {
            for seq in seqs {
                log.write("DELETE FROM stream_trash WHERE seq = ?1", [int(*seq)])?;
                log.write("DELETE FROM stream_texts WHERE seq = ?1", [int(*seq)])?;
            }
            Ok(())
        })
    }
}
