//! The rows of a database as JSON, and a database made of such rows.
//!
//! A row is an object of its columns, its checksums among them, so that they go from the row's first
//! writing on to wherever it is read. The index of audiences is left away: it follows from the facts.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, OpenFlags, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::query::{self, int};
use super::reader::Reading;
use super::sqlite::{FORMAT, set_meta};
use super::sums::SNAPSHOT;
use super::{LogError, Pos, Record};

/// What is exported, each table with the columns that order it.
const TABLES: [(&str, &str); 7] = [
    ("stores", "owner"),
    ("members", "user, chat, since"),
    ("messages", "id"),
    ("rows", "id"),
    ("held", "holder, row"),
    ("keys", "user, key"),
    ("facts", "pos"),
];

/// Columns that an earlier layout has not.
const ADDED: [&str; 2] = ["marks", "marks_sum"];

/// The kind of the line of a snapshot.
const WORLD: &str = "snapshot";

/// A part of a snapshot, as the server writes them.
const PART: usize = 256 * 1024;

/// What an export begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The layout of the rows.
    pub format: i64,
    /// The history that they are of.
    pub epoch: String,
}

/// A saved world, as it is exported.
#[derive(Serialize, Deserialize)]
struct World<T> {
    pos: Pos,
    world: T,
}

/// A database that is a copy, and so nobody else's.
pub fn open_copy(file: &Path) -> Result<Reading, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Reading::of(Connection::open_with_flags(file, flags)?)
}

impl Reading {
    /// What this is an export of; one of another layout is none.
    pub fn header(&self) -> Result<Header, LogError> {
        let found = self.connection().query_row(
            "SELECT value FROM meta WHERE key = 'format'",
            [],
            |row| row.get(0),
        )?;
        if found != FORMAT {
            let known = FORMAT;
            return Err(LogError::Format { found, known });
        }
        Ok(Header {
            format: FORMAT,
            epoch: query::meta(self.connection(), "epoch")?.unwrap_or_default(),
        })
    }

    /// Gives the newest snapshot, every row, and the facts from the snapshot's own on, each with its
    /// kind, as JSON. The first error of `put` ends it.
    pub fn export<E: From<LogError>>(
        &self,
        put: &mut dyn FnMut(&str, String) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.snapshot()?;
        if let Some(snapshot) = &snapshot {
            let unreadable = |source| unreadable("the snapshot", source);
            let world: &RawValue = serde_json::from_slice(&snapshot.body).map_err(unreadable)?;
            let pos = snapshot.pos;
            let json = serde_json::to_string(&World { pos, world }).map_err(unreadable)?;
            put(WORLD, json)?;
        }
        // The snapshot's own, too: the last position is read from the facts.
        let from = snapshot.map_or(0, |snapshot| snapshot.pos);
        for (table, order) in TABLES {
            let from = if table == "facts" { from } else { 0 };
            self.export_table(table, order, from, put)?;
        }
        Ok(())
    }

    fn export_table<E: From<LogError>>(
        &self,
        table: &str,
        order: &str,
        from: Pos,
        put: &mut dyn FnMut(&str, String) -> Result<(), E>,
    ) -> Result<(), E> {
        let condition = match from {
            0 => String::new(),
            from => format!("WHERE {order} >= {from}"),
        };
        let sql = format!("SELECT * FROM {table} {condition} ORDER BY {order}");
        let mut statement = self.connection().prepare(&sql).map_err(LogError::from)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).map_err(LogError::from)?;
        while let Some(row) = rows.next().map_err(LogError::from)? {
            let mut json = Map::new();
            for (column, name) in names.iter().enumerate() {
                let value = match row.get_ref(column).map_err(LogError::from)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Text(_) => {
                        let text: String = row.get(column).map_err(LogError::from)?;
                        text.into()
                    }
                    // No table that is exported has any.
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(LogError::from(rusqlite::Error::InvalidQuery).into());
                    }
                };
                json.insert(name.clone(), value);
            }
            let json = serde_json::to_string(&json).map_err(|source| unreadable(table, source))?;
            put(table, json)?;
        }
        Ok(())
    }
}

/// A database in the making.
pub struct Import {
    connection: Connection,
    /// The columns of each table, in their order.
    tables: BTreeMap<&'static str, Vec<String>>,
}

/// Why a row can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is of a kind that this program does not know.
    #[error("`{0}` is not known to this program; was it written by a newer one?")]
    Unknown(String),
    /// It is not what a row of its kind is.
    #[error("it is no row of `{0}`")]
    NoRow(String),
    /// The database refuses it.
    #[error("the database does not take it")]
    Database(#[from] rusqlite::Error),
}

impl Import {
    /// Makes a database in `file`, which is empty. Until [`Import::finish`] it is worth nothing.
    pub fn begin(file: &Path) -> Result<Self, LogError> {
        let connection = Connection::open(file)?;
        // It is thrown away unless all of it is there: then it is made durable at once.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch("BEGIN")?;
        connection.execute_batch(include_str!("schema.sql"))?;
        set_meta(&connection, "format", &FORMAT)?;
        let mut tables = BTreeMap::new();
        for (table, _) in TABLES {
            let statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
            let columns = statement.column_names().map(str::to_owned);
            tables.insert(table, columns.collect());
        }
        Ok(Self { connection, tables })
    }

    /// Takes what [`Reading::export`] gave.
    pub fn take(&self, kind: &str, json: &str) -> Result<(), ImportError> {
        if kind == WORLD {
            return self.snapshot(json);
        }
        let known = self.tables.get_key_value(kind);
        let (table, columns) = known.ok_or_else(|| ImportError::Unknown(kind.to_owned()))?;
        let no_row = || ImportError::NoRow(kind.to_owned());
        let row: Map<String, Value> = serde_json::from_str(json).map_err(|_| no_row())?;
        if !row.keys().all(|name| columns.contains(name)) {
            return Err(no_row());
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            values.push(match row.get(column) {
                Some(Value::Null) => SqlValue::Null,
                None if ADDED.contains(&column.as_str()) => SqlValue::Null,
                Some(Value::String(text)) => SqlValue::Text(text.clone()),
                Some(Value::Number(number)) => number.as_i64().ok_or_else(no_row)?.into(),
                _ => return Err(no_row()),
            });
        }
        let places: Vec<_> = (1..=columns.len())
            .map(|place| format!("?{place}"))
            .collect();
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            columns.join(", "),
            places.join(", ")
        );
        self.connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(values))?;
        if *table == "facts" {
            self.index(&row).ok_or_else(no_row)??;
        }
        Ok(())
    }

    /// Puts a fact into the index of those who may see it.
    fn index(&self, row: &Map<String, Value>) -> Option<Result<(), ImportError>> {
        let pos = row.get("pos")?.as_i64()?;
        let record: Record = serde_json::from_str(row.get("body")?.as_str()?).ok()?;
        let sql = "INSERT OR IGNORE INTO audience (who, pos) VALUES (?1, ?2)";
        let put = |who| self.connection.prepare_cached(sql)?.execute([who, pos]);
        let keys = record.audience.keys().into_iter();
        Some(
            keys.map(put)
                .try_for_each(|put| put.map(drop))
                .map_err(ImportError::from),
        )
    }

    fn snapshot(&self, json: &str) -> Result<(), ImportError> {
        let read: Result<World<Box<RawValue>>, _> = serde_json::from_str(json);
        let World { pos, world } = read.map_err(|_| ImportError::NoRow(WORLD.to_owned()))?;
        for (part, body) in world.get().as_bytes().chunks(PART).enumerate() {
            let (pos, part) = (int(pos), int(part as u64));
            let sum = SNAPSHOT.of(params![pos, part, body])?;
            self.connection
                .prepare_cached(
                    "INSERT INTO snapshots (pos, part, body, sum) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![pos, part, body, sum])?;
        }
        set_meta(&self.connection, "snapshot", &int(pos))?;
        set_meta(&self.connection, "snapshot_before", &0)?;
        Ok(())
    }

    /// Ends it. The file is whole then, and not yet durable.
    pub fn finish(self) -> Result<(), LogError> {
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

fn unreadable(what: &str, source: serde_json::Error) -> LogError {
    LogError::Unreadable {
        what: what.to_owned(),
        source,
    }
}
