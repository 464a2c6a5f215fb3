//! Checksums: each row has one, verified whenever the row is read.
//!
//! A checksum is over what a row means, its key included, so that a bit that flipped on the disk
//! shows, and a row that lies in another's place, too. Columns that change after the row was made
//! have one of their own: the new one is computed from what is written, so that writing them hides
//! no damage. The index of audiences has none: what it leads to says whom it is for.

use crc32fast::Hasher;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row as SqlRow, ToSql};

use super::sqlite::set_meta;
use super::{LogError, query};

/// The columns of a table that share a checksum. They stand in this order, the key first, and the
/// checksum behind them, wherever they are read.
pub(super) struct Part {
    /// The table.
    pub(super) table: &'static str,
    /// The columns, separated by commas.
    pub(super) columns: &'static str,
    /// How many there are.
    count: usize,
    /// How many of them name the row.
    keys: usize,
    /// The column of the checksum. It is null where the columns behind the key are.
    pub(super) sum: &'static str,
    /// Where the checksum begins: one part's values under another's are damage.
    seed: u32,
}

macro_rules! parts {
    ($($name:ident = $table:literal, $count:literal of $columns:literal by $keys:literal, $sum:literal;)*) => {
        parts!(@ 0; $($name = $table, $count of $columns by $keys, $sum;)*);
        /// Every part of every table.
        pub(super) const PARTS: &[&Part] = &[$(&$name),*];
    };
    (@ $seed:expr; $name:ident = $table:literal, $count:literal of $columns:literal by $keys:literal, $sum:literal; $($rest:tt)*) => {
        pub(super) const $name: Part = Part {
            table: $table,
            columns: $columns,
            count: $count,
            keys: $keys,
            sum: $sum,
            seed: $seed,
        };
        parts!(@ $seed + 1; $($rest)*);
    };
    (@ $seed:expr;) => {};
}

parts! {
    META = "meta", 2 of "key, value" by 1, "sum";
    FACT = "facts", 3 of "pos, at, body" by 1, "sum";
    MESSAGE = "messages", 7 of "id, chat, author, addressee, at, riders, text" by 1, "sum";
    END = "messages", 3 of "id, ends, fuse" by 1, "ends_sum";
    STAY = "members", 3 of "user, chat, since" by 2, "sum";
    LEFT = "members", 3 of "user, chat, until" by 2, "until_sum";
    ROW = "rows", 8 of "id, owner, message, author, at, fact, text, object" by 1, "sum";
    HELD = "held", 3 of "holder, row, chat" by 1, "sum";
    STORE = "stores", 2 of "owner, place" by 1, "sum";
    TRASH = "trash", 2 of "object, owner" by 1, "sum";
    KEY = "keys", 5 of "user, key, at, digest, made" by 2, "sum";
    ANSWER = "keys", 3 of "user, key, answer" by 2, "answer_sum";
    SNAPSHOT = "snapshots", 3 of "pos, part, body" by 2, "sum";
    MARK = "rows", 2 of "id, marks" by 1, "marks_sum";
}

impl Part {
    /// The checksum of values that are to be written.
    pub(super) fn of(&self, values: &[&dyn ToSql]) -> rusqlite::Result<u32> {
        let mut sum = Sum::new(self.seed);
        for value in values {
            match value.to_sql()? {
                ToSqlOutput::Borrowed(value) => sum.add(value),
                ToSqlOutput::Owned(value) => sum.add(ValueRef::from(&value)),
                _ => return Err(rusqlite::Error::InvalidQuery),
            }
        }
        Ok(sum.finish())
    }

    /// Verifies a row in which the part's columns and their checksum stand from `from` on.
    pub(super) fn check(&self, row: &SqlRow<'_>, from: usize) -> Result<(), LogError> {
        let mut sum = Sum::new(self.seed);
        let mut is_empty = true;
        for column in 0..self.count {
            let value = row.get_ref(from + column)?;
            is_empty &= column < self.keys || value == ValueRef::Null;
            sum.add(value);
        }
        let is_whole = match row.get_ref(from + self.count)? {
            ValueRef::Null => is_empty,
            stored => stored == ValueRef::Integer(sum.finish().into()),
        };
        if is_whole {
            return Ok(());
        }
        let key = (from..from + self.keys).map(|column| row.get_ref(column).map(word));
        Err(LogError::Damaged {
            table: self.table,
            key: key.collect::<Result<Vec<_>, _>>()?.join(" "),
        })
    }
}

/// Gives every row of a database that has none its checksums: of data that was written before
/// there were any.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("sum_of", -1, flags, |values| {
        let mut sum = Sum::new(values.get(0)?);
        for column in 1..values.len() {
            sum.add(values.get_raw(column));
        }
        Ok(sum.finish())
    })?;
    for part in PARTS {
        let Part {
            table,
            columns,
            sum,
            seed,
            ..
        } = part;
        connection.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN {sum} INTEGER;
             UPDATE {table} SET {sum} = sum_of({seed}, {columns});"
        ))?;
    }
    connection.remove_function("sum_of", -1)
}

/// Where `meta` keeps the checksum of the schema.
const SCHEMA: &str = "schema";

/// Keeps the checksum of the schema as it is now. Whatever changes the schema has it called.
pub(super) fn sum_schema(connection: &Connection) -> Result<(), LogError> {
    Ok(set_meta(connection, SCHEMA, &schema(connection)?)?)
}

/// Whether the schema is what it was made to be: a bit that flipped in its text can leave it good SQL of
/// another meaning, by which an index leads elsewhere. False where it has no checksum yet.
pub(super) fn check_schema(connection: &Connection) -> Result<bool, LogError> {
    match query::meta::<u32>(connection, SCHEMA)? {
        Some(sum) if sum != schema(connection)? => Err(LogError::Schema(None)),
        found => Ok(found.is_some()),
    }
}

fn schema(connection: &Connection) -> rusqlite::Result<u32> {
    let mut sum = Sum::new(0);
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            sum.add(row.get_ref(column)?);
        }
    }
    Ok(sum.finish())
}

/// A checksum in the making. Most values are numbers: they are gathered, for each piece that is
/// handed to the hasher by itself costs as much as the piece.
struct Sum {
    hasher: Hasher,
    waiting: [u8; 128],
    filled: usize,
}

impl Sum {
    fn new(seed: u32) -> Self {
        Self {
            hasher: Hasher::new_with_initial(seed),
            waiting: [0; 128],
            filled: 0,
        }
    }

    /// Adds a value with its type and its length, so that no two rows are the same bytes.
    fn add(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.put(&[0]),
            ValueRef::Integer(value) => self.number(1, value.to_le_bytes()),
            ValueRef::Real(value) => self.number(2, value.to_le_bytes()),
            ValueRef::Text(bytes) => {
                self.number(3, (bytes.len() as u64).to_le_bytes());
                self.put(bytes);
            }
            ValueRef::Blob(bytes) => {
                self.number(4, (bytes.len() as u64).to_le_bytes());
                self.put(bytes);
            }
        }
    }

    fn number(&mut self, tag: u8, bytes: [u8; 8]) {
        let mut all = [tag; 9];
        all[1..].copy_from_slice(&bytes);
        self.put(&all);
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.waiting.get_mut(self.filled..self.filled + bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled += bytes.len();
            return;
        }
        self.hasher.update(&self.waiting[..self.filled]);
        self.filled = 0;
        self.hasher.update(bytes);
    }

    fn finish(mut self) -> u32 {
        self.hasher.update(&self.waiting[..self.filled]);
        self.hasher.finalize()
    }
}

/// A key as people read it.
fn word(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("({})", other.data_type()),
    }
}
