//! Reads everything through.

use std::fs::File;
use std::io;

use rusqlite::types::ValueRef;

use super::query::{self, many};
use super::reader::Reading;
use super::sums::{self, PARTS, Part};
use super::{LogError, Pos};
use crate::objects::{self, Told};

/// Facts looked at in one go.
const STEP: usize = 2_000;

/// An object, as its row names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// Where those of its feature lie.
    pub(crate) place: String,
    /// Its name.
    pub(crate) object: String,
    /// What the row's text says of its bytes, if that is JSON with `size` and `sha256`.
    pub(crate) told: Option<Told>,
}

impl Named {
    /// What is wrong with the file, in words.
    pub(crate) fn damage(&self, file: &mut File) -> io::Result<Option<String>> {
        let Ok(id) = self.object.parse() else {
            return Ok(Some("its name is none".to_owned()));
        };
        objects::damage(file, id, self.told.as_ref())
    }
}

impl Reading {
    /// Reads every row, every index and every fact's audiences, and tells of each that is not as
    /// it was written, in words. Gives the number of rows.
    pub fn verify(&self, tell: &mut dyn FnMut(String)) -> u64 {
        let mut count = 0;
        if let Err(error) = sums::check_schema(self.connection()) {
            tell(error.to_string());
        }
        for part in PARTS {
            if let Err(error) = self.verify_part(part, &mut count, tell) {
                tell(format!(
                    "`{}` can't be read to its end: {error}",
                    part.table
                ));
            }
        }
        if let Err(error) = self.verify_audiences(tell) {
            tell(format!(
                "`audience` can't be compared with the facts: {error}"
            ));
        }
        // Last, for it tells little of where the damage lies.
        let checked = many(self.connection(), "PRAGMA integrity_check", [], |row| {
            Ok(row.get::<_, String>(0)?)
        });
        match checked {
            Ok(lines) if lines == ["ok"] => {}
            Ok(lines) => lines.into_iter().for_each(&mut *tell),
            Err(error) => tell(format!("SQLite can't check its file: {error}")),
        }
        count
    }

    /// Each object that a row names.
    pub(crate) fn objects(&self) -> Result<Vec<Named>, LogError> {
        let sql = "SELECT place, object, text FROM rows NOT INDEXED JOIN stores USING (owner)
                   WHERE object IS NOT NULL";
        many(self.connection(), sql, [], |row| {
            let text: Option<String> = row.get(2)?;
            Ok(Named {
                place: row.get(0)?,
                object: row.get(1)?,
                told: text.and_then(|text| serde_json::from_str(&text).ok()),
            })
        })
    }

    fn verify_part(
        &self,
        part: &Part,
        count: &mut u64,
        tell: &mut dyn FnMut(String),
    ) -> Result<(), LogError> {
        // In order of the table itself: an index would hide what it lost.
        let sql = format!(
            "SELECT {}, {} FROM {} NOT INDEXED",
            part.columns, part.sum, part.table
        );
        let mut statement = self.connection().prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            *count += 1;
            match part.check(row, 0) {
                Err(damage @ LogError::Damaged { .. }) => tell(damage.to_string()),
                checked => checked?,
            }
        }
        Ok(())
    }

    fn verify_audiences(&self, tell: &mut dyn FnMut(String)) -> Result<(), LogError> {
        let mut indexed = self
            .connection()
            .prepare_cached("SELECT 1 FROM audience WHERE who = ?1 AND pos = ?2")?;
        let mut from: Pos = 0;
        loop {
            let records = many(
                self.connection(),
                "SELECT pos, at, body, sum FROM facts WHERE pos > ?1 ORDER BY pos LIMIT ?2",
                [query::int(from), query::rows(STEP)],
                |row| {
                    let pos = match row.get_ref(0)? {
                        ValueRef::Integer(pos) => pos.cast_unsigned(),
                        _ => from,
                    };
                    // A damaged one has been told of.
                    Ok((pos, query::record(row).ok()))
                },
            )?;
            for (pos, record) in &records {
                let keys = record.iter().flat_map(|record| record.audience.keys());
                for who in keys {
                    if !indexed.exists([who, query::int(*pos)])? {
                        tell(format!("the row {who} {pos} of `audience` is missing"));
                    }
                }
                from = from.max(*pos);
            }
            if records.len() < STEP {
                return Ok(());
            }
        }
    }
}
