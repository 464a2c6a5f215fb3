//! The log: the one durable order of facts, and what the writer must look up in it.
//!
//! Everything the server knows follows from this sequence. [`Log`] is its interface, with each
//! method's promise on it; [`sqlite`] is the embedded store. Texts and whatever belongs to a
//! message are rows beside the facts ([`Change`]), written in the same transaction, so that they
//! can be erased while the facts stay. [`reader`] serves requests from the same file without the
//! writer.

pub mod export;
mod query;
pub mod reader;
mod readers;
mod rows;
pub mod sqlite;
mod sums;
#[cfg(test)]
mod tests;
mod verify;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::counts::COUNTS;
use crate::settings::Period;
use crate::time::Time;

pub use reader::{Found, Wanted};
pub use rows::{Going, KeptAnswer, Mark, Marked, MessageRow, Row};
pub(crate) use verify::Named;
pub use words::{Phrase, Word, words};

/// A position in the log: counted from 1, never reused, below 2⁵³ so that JSON holds it exactly.
pub type Pos = u64;

/// A message or comment is named by the position of the fact that made it.
pub type Id = Pos;

/// A user, named by the position of the fact that made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Pos);

/// A chat, named by the position of the fact that made it; the common chat is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatId(pub Pos);

impl ChatId {
    /// The chat everybody is in.
    pub const COMMON: Self = Self(0);
}

/// A client of a user.
pub type ClientId = Uuid;

/// What the features' checks added to a draft, each under its feature's name.
pub type Riders = BTreeMap<String, Box<RawValue>>;

/// Who may see a fact's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Nobody: the fact has no event.
    Nobody,
    /// Whoever is in the chat when it happens.
    Chat(ChatId),
    /// These users alone.
    Users(Vec<UserId>),
}

impl Audience {
    /// The numbers under which the log indexes this audience: a chat is its id, a user theirs
    /// negated, so that both share one index.
    pub fn keys(&self) -> Vec<i64> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Chat(chat) => vec![Self::chat_key(*chat)],
            Self::Users(users) => users.iter().map(|user| Self::user_key(*user)).collect(),
        }
    }

    /// Whether the log's index has it under this number.
    pub fn includes(&self, key: i64) -> bool {
        match self {
            Self::Nobody => false,
            Self::Chat(chat) => Self::chat_key(*chat) == key,
            Self::Users(users) => users.iter().any(|user| Self::user_key(*user) == key),
        }
    }

    /// The index's number of a chat.
    pub fn chat_key(chat: ChatId) -> i64 {
        chat.0.cast_signed()
    }

    /// The index's number of a user.
    pub fn user_key(user: UserId) -> i64 {
        -user.0.cast_signed()
    }
}

/// One fact as the log keeps it. `pos` and `at` are columns of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its position.
    #[serde(skip)]
    pub pos: Pos,
    /// When its batch was decided.
    #[serde(skip)]
    pub at: Time,
    /// Whose fact it is: [`CORE`] or a feature's name.
    pub owner: String,
    /// The fact itself, in its owner's words.
    pub fact: Box<RawValue>,
    /// Whose request it came from; none for what fell due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Who may see its event.
    pub audience: Audience,
    /// What the checks of the draft added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub riders: Riders,
    /// Whether it is also a row of its own in the store, and beside which message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Beside>,
    /// The object whose row it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Uuid>,
    /// The rows that live as long as what it makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Id>,
    /// Whether a text lies beside it; when the text is gone, so is the event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
}

impl Record {
    /// The message that it lies beside, or changes.
    pub fn message(&self) -> Option<Id> {
        match self.row {
            Some(Beside::Message(id) | Beside::Text(id) | Beside::Mark { message: id, .. }) => {
                Some(id)
            }
            Some(Beside::None) | None => None,
        }
    }
}

/// The owner's name of the core's facts. No feature can have it.
pub const CORE: &str = "chat";

/// Where a feature's row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// Beside a message, and gone with it.
    Message(Id),
    /// By itself, until its feature erases it.
    None,
    /// Nowhere: its text takes the place of this message's own, and it rides on that.
    Text(Id),
    /// On a message, as what its user has marked it with, which the text says; and gone with it.
    Mark {
        /// The message.
        message: Id,
        /// Whether it is there, and not taken back.
        on: bool,
    },
}

/// What a fact changes in the rows beside the log. Derived from the fact alone, so that every
/// node's rows are the same.
#[derive(Clone, Debug)]
pub enum Change {
    /// The fact is a message; its id is the fact's position.
    Message {
        /// The chat it stands in.
        chat: ChatId,
        /// The one it is addressed to, in a private chat.
        addressee: Option<UserId>,
        /// When it ends.
        ends: Option<Time>,
        /// How long it lives from its delivery on, while it waits for that.
        fuse: Option<Period>,
    },
    /// A user is in a chat from this fact on.
    Enter(UserId, ChatId),
    /// A user was in a chat up to this fact, which they still see.
    Leave(UserId, ChatId),
    /// The fact is a row of its owner, with an object if it has one.
    Row(Beside, Option<Uuid>),
    /// The fact's text takes the place of a message's, and that of the answers that told of it; the
    /// fact and what the checks added ride on the message.
    Reword(Id),
    /// What the fact makes holds these rows, in a chat where it is a message.
    Hold(Vec<Id>, Option<ChatId>),
    /// These messages are gone, with all that lies beside them.
    Remove(Vec<Id>),
    /// These rows are gone.
    Erase(Vec<Id>),
    /// These messages were delivered: each that has a fuse ends then, and its fuse is spent.
    Delivered(Vec<(Id, Time)>),
    /// An idempotency key and the answer that it got.
    Key {
        /// Whose key.
        user: UserId,
        /// The key.
        key: String,
        /// A digest of the request.
        digest: String,
        /// The message or row that it made. When that goes, so does the answer, which is the
        /// record's text.
        made: Option<Id>,
    },
}

/// What lies under an idempotency key: the digest of its request, and the answer unless what it
/// made is gone.
pub type Kept = (String, Option<KeptAnswer>);

/// A command that was done: what was told of it, where that can be told again.
pub(crate) type Done = Option<Told>;

/// What was told of a command, without what can be erased: the HTTP status, and the message that it
/// posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told(pub u16, pub Option<Id>);

/// What lies beside a record and can be erased.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Its text.
    pub text: Option<String>,
    /// The rows that it holds.
    pub held: Vec<Row>,
}

/// A saved world: everything up to `pos`.
#[derive(Debug)]
pub struct Snapshot {
    /// The last position it includes.
    pub pos: Pos,
    /// The world, as JSON.
    pub body: Vec<u8>,
}

/// Why a batch was not appended. Unless it says otherwise, nothing of it is in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer appended first: fold what it wrote and decide again.
    #[error("another writer was first")]
    Lost,
    /// There is no room: writing may work again later.
    #[error("the storage is full")]
    Full(#[source] LogError),
    /// Another program holds the storage: writing works again when it lets go.
    #[error("the storage is locked by another program")]
    Busy(#[source] LogError),
    /// The cluster's log does not answer: writing works again when it does.
    #[error("the cluster's log does not answer")]
    Away,
    /// The cluster's log was lost from sight while the batch was on its way: it is there, or not.
    #[error("whether the cluster's log has it is not known")]
    Unknown,
    /// What was written may or may not be durable: no more writes until a restart.
    #[error("the storage failed")]
    Failed(#[source] LogError),
}

/// The store answered with an error, or holds what this program can't read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// SQLite's own error.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    /// A table, an index or a column is not there as it was made: a statement does not fit it, or its
    /// checksum.
    #[error("the schema of veche.db is damaged; restore a backup")]
    Schema(#[source] Option<rusqlite::Error>),
    /// A row that doesn't say what it should.
    #[error("{what} is not readable")]
    Unreadable {
        /// Which row.
        what: String,
        /// What its reader said.
        source: serde_json::Error,
    },
    /// A row that is not what was written.
    #[error("`{table}` {key} is damaged: its checksum is another's")]
    Damaged {
        /// Its table.
        table: &'static str,
        /// Its key.
        key: String,
    },
    /// An object that is not what was written.
    #[error("file {id} is damaged: {what}")]
    DamagedObject {
        /// Its name.
        id: Uuid,
        /// What is wrong with it.
        what: String,
    },
    /// What was answered lies behind a damaged place, and could not be read.
    #[error(
        "{file} is damaged in frame {frame}, and what was written after it can't be read; restore \
         a backup"
    )]
    DamagedWal {
        /// The file.
        file: String,
        /// The frame, counted from 1; 0 is the header.
        frame: u64,
    },
    /// There was a database, and it is gone.
    #[error(
        "{0} is missing or empty, and there was one: restore a backup; a new server wants an empty \
         folder"
    )]
    NoDatabase(String),
    /// An import was broken off there.
    #[error(
        "an import to {0} was broken off: do it again, or delete `import.part` there to begin with \
         nothing"
    )]
    HalfImport(String),
    /// There are tables, and none is the log's.
    #[error("{0} is a database of another program; name another folder")]
    Foreign(String),
    /// What was answered last lay in a file that is gone.
    #[error(
        "{0} is missing or cut, and what was answered last lay in it: put it back, or restore a \
         backup. Where another program has taken it into veche.db, or to go on without, delete \
         `lock` beside it"
    )]
    NoWal(String),
    /// SQLite finds that its file is none.
    #[error("veche.db is damaged: {0}; `veche verify` tells more")]
    Malformed(String),
    /// A file can't be read.
    #[error("{file} can't be read")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The cluster's stream and this log don't go together.
    #[error("the cluster's stream can't be followed: {0}")]
    Stream(String),
    /// The system gives no thread.
    #[error("starting a thread of the store")]
    Thread(#[source] std::io::Error),
    /// The store was written in another format.
    #[error("the data was written in format {found}; this program reads format {known}")]
    Format {
        /// The number found.
        found: i64,
        /// The number known.
        known: i64,
    },
}

/// A record that another program appended, with its text unless that is erased.
pub type Followed = (Record, Option<String>);

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            // The statements are the program's own, so it is the schema that they do not fit.
            rusqlite::Error::SqlInputError { .. } => Self::Schema(Some(error)),
            error if is_malformed(&error) => {
                let words = match error {
                    rusqlite::Error::SqliteFailure(_, Some(words)) => words,
                    error => error.to_string(),
                };
                Self::Malformed(words)
            }
            error if is_of_another_kind(&error) => Self::Malformed(error.to_string()),
            error => Self::Sqlite(error),
        }
    }
}

impl LogError {
    /// Whether what was read is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Malformed(_) | Self::Unreadable { .. }
        )
    }
}

/// Nothing where something is damaged; the log says so.
pub(crate) fn unless_damaged<T: Default>(found: Result<T, LogError>) -> Result<T, LogError> {
    match found {
        Err(damage) if damage.is_damage() => {
            tracing::error!(error = %damage, "what is damaged is left out");
            COUNTS.damage.inc();
            Ok(T::default())
        }
        found => found,
    }
}

/// Whether a value is not of the type that is always written there.
fn is_of_another_kind(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

/// Whether SQLite can't read what it finds in its file.
fn is_malformed(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}

/// One durable order of facts, with the writer's own look-ups. There is one per process, owned by
/// the writer's thread; its calls block.
pub trait Log: Send {
    /// Names this history: a restored copy gets another one, so that cursors never point into
    /// the wrong past.
    fn epoch(&self) -> &str;

    /// The last position, 0 while empty.
    fn last(&self) -> Pos;

    /// Up to `limit` records after `after`, in order.
    fn read(&self, after: Pos, limit: usize) -> Result<Vec<Record>, LogError>;

    /// Adds a record and its changes to the open batch: this log's look-ups see it, nobody else.
    fn stage(
        &mut self,
        record: &Record,
        text: Option<&str>,
        changes: &[Change],
    ) -> Result<(), AppendError>;

    /// Appends the open batch if the log still ends at `expected`. When this returns `Ok` the
    /// batch survives a power cut; when it returns an error nothing of it is kept.
    fn commit(&mut self, expected: Pos) -> Result<(), AppendError>;

    /// Drops the open batch.
    fn rollback(&mut self);

    /// Whether a command that nodes hand to each other was done: it is in a batch.
    fn done(&self, _command: Uuid) -> Option<Done> {
        None
    }

    /// Notes in the open batch that it does such a command, and what is told of it.
    fn stage_command(&mut self, _command: Uuid, _told: Option<Told>) {}

    /// Whether a node that had followed the others to `since` handed a command to this one in vain:
    /// another has appended since, and goes by that.
    fn is_overtaken(&self, _since: u64) -> bool {
        false
    }

    /// Whether the open batch should end here: a message of the cluster's is only so long.
    fn is_full(&self) -> bool {
        false
    }

    /// Opens the next batch that others appended, if there is one: its records are to be staged,
    /// all of them, and committed as one's own. Between two batches alone.
    fn follow(&mut self) -> Result<Option<Vec<Followed>>, AppendError> {
        Ok(None)
    }

    /// Writes a little, durably, to find out whether there is room again.
    fn probe(&mut self) -> Result<(), AppendError>;

    /// The newest whole snapshot.
    fn snapshot(&self) -> Result<Option<Snapshot>, LogError>;

    /// Saves one part of a snapshot; with the `last` part it becomes whole and older ones but
    /// one go.
    fn save_part(
        &mut self,
        pos: Pos,
        part: u32,
        body: &[u8],
        last: bool,
    ) -> Result<(), AppendError>;

    /// Forgets up to `limit` facts before the older snapshot which are older than `before` and
    /// not among the last `keep`; says how many went. Rows stay.
    fn trim(&mut self, before: Time, keep: u64, limit: usize) -> Result<usize, AppendError>;

    /// Keeps an index of texts, or drops it. Messages that are there already come into it with
    /// [`fill_index`](Self::fill_index); each that is removed leaves it in the same batch.
    fn want_index(&mut self, wanted: bool) -> Result<(), AppendError>;

    /// Puts the oldest messages that are not in the index into it, up to `limit`; says how many
    /// there were. Between two batches alone.
    fn fill_index(&mut self, limit: usize) -> Result<usize, AppendError>;

    /// A message, the open batch included.
    fn message(&self, id: Id) -> Result<Option<MessageRow>, LogError> {
        self.message_if(id, &|_| true)
    }

    /// The same where `is_wanted` says so: what lies beside another is not looked for.
    fn message_if(
        &self,
        id: Id,
        is_wanted: &dyn Fn(&MessageRow) -> bool,
    ) -> Result<Option<MessageRow>, LogError>;

    /// What users have marked a message with, the open batch included.
    fn marks(&self, message: Id) -> Result<Vec<Mark>, LogError>;

    /// How one mark stands on a message, for one user; the open batch included.
    fn marked(&self, owner: &str, message: Id, text: &str, by: UserId) -> Result<Marked, LogError>;

    /// A feature's row, the open batch included.
    fn row(&self, id: Id) -> Result<Option<Row>, LogError>;

    /// The row of an object, the open batch included.
    fn row_of(&self, object: Uuid) -> Result<Option<Row>, LogError>;

    /// Whether a message of one of these chats, each given with the id that it must be beyond,
    /// holds a row, the open batch included. They are in order of their ids.
    fn is_held_in(&self, row: Id, chats: &[(ChatId, Id)]) -> Result<bool, LogError>;

    /// Says where the objects of a feature lie, so that they can be deleted without it.
    fn set_store(&mut self, owner: &str, place: &str) -> Result<(), AppendError>;

    /// Forgets objects that were deleted after their rows.
    fn forget(&mut self, objects: &[Uuid]) -> Result<(), AppendError>;

    /// Forgets texts that are erased in the cluster's stream, by their sequences.
    fn forget_texts(&mut self, _seqs: &[u64]) -> Result<(), AppendError> {
        Ok(())
    }

    /// Notes texts in the cluster's stream after one sequence, up to another, that no batch came to
    /// name, to be erased there; and that it was swept so far.
    fn sweep_texts(&mut self, _from: u64, _upto: u64) -> Result<(), AppendError> {
        Ok(())
    }

    /// What was kept since `since` under a user's idempotency key.
    fn key(&self, user: UserId, key: &str, since: Time) -> Result<Option<Kept>, LogError>;

    /// The first `limit` messages of a chat, to be removed.
    fn first(&self, chat: ChatId, limit: usize) -> Result<Vec<Going>, LogError>;

    /// A message, damaged or not, to be removed; the open batch included.
    fn going(&self, id: Id) -> Result<Option<Going>, LogError>;

    /// When the next message ends.
    fn next_end(&self) -> Result<Option<Time>, LogError>;

    /// Up to `limit` messages that ended by `now`, in order of their id.
    fn ended(&self, now: Time, limit: usize) -> Result<Vec<Going>, LogError>;

    /// Brings what was erased out of every file; false when a reader was in the way for all of
    /// `patience`, so that it must be tried again.
    fn scrub(&mut self, patience: Duration) -> Result<bool, LogError>;
}
