//! Looking for words in messages.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::params;

use super::Reading;
use crate::log::query::{self, int, many, rows as rows_limit};
use crate::log::sqlite::{index_mark, token_of_author, token_of_chat};
use crate::log::words::{Phrase, words};
use crate::log::{ChatId, Id, LogError, MessageRow, UserId, unless_damaged};

/// The most messages beyond the index that are read through: while it is filled there are more.
const MOST: usize = 65_536;

/// How long messages are read through for one question: a few thousand take some 100 ms at the most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Chats that one question to the index is about.
const AT_ONCE: usize = 64;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// In these chats, each beyond an id.
    pub chats: Vec<(ChatId, Id)>,
    /// By this user alone.
    pub author: Option<UserId>,
    /// All of these stand in it.
    pub all: Vec<Phrase>,
    /// None of these does.
    pub none: Vec<Phrase>,
    /// With ids below this one.
    pub before: Option<Id>,
    /// So many of the newest.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The messages, the newest first.
    pub rows: Vec<MessageRow>,
    /// Whether there are more, older ones.
    pub more: bool,
    /// Whether every message was looked at: not while the index is filled for the first time.
    pub complete: bool,
}

impl Reading {
    /// Messages in which words stand, the newest first.
    pub fn find(&self, wanted: &Wanted) -> Result<Found, LogError> {
        // Without an index, as on a node that has just been given a copy, nothing is in it.
        let mark = index_mark(self.connection())?.unwrap_or(0);
        let before = wanted.before.unwrap_or(Id::MAX);
        let (mut rows, mut complete) = self.read_through(wanted, mark, before)?;
        if rows.len() <= wanted.limit && mark > 0 {
            let room = wanted.limit + 1 - rows.len();
            let ids = self.look_up(wanted, before.min(mark + 1), room);
            complete &= !ids.as_ref().is_err_and(LogError::is_damage);
            for id in unless_damaged(ids)? {
                // The index only leads; what may be seen is said by the row.
                let is_wanted = |row: &MessageRow| is_among(wanted, row);
                rows.extend(self.message_that(id, is_wanted, &mut complete)?);
            }
        }
        let more = rows.len() > wanted.limit;
        rows.truncate(wanted.limit);
        Ok(Found {
            rows,
            more,
            complete,
        })
    }

    /// How many messages are beyond the index, at most `limit`; none where there is no index.
    pub(crate) fn unindexed(&self, limit: usize) -> Result<Option<usize>, LogError> {
        let Some(mark) = index_mark(self.connection())? else {
            return Ok(None);
        };
        let sql = "SELECT count(*) FROM (SELECT 1 FROM messages WHERE id > ?1 LIMIT ?2)";
        let count: i64 = self
            .connection()
            .prepare_cached(sql)?
            .query_row(params![int(mark), rows_limit(limit)], |row| row.get(0))?;
        Ok(Some(usize::try_from(count).unwrap_or(limit)))
    }

    /// Looks at the messages beyond the index; says whether it looked at all of them.
    fn read_through(
        &self,
        wanted: &Wanted,
        mark: Id,
        before: Id,
    ) -> Result<(Vec<MessageRow>, bool), LogError> {
        let floors: BTreeMap<_, _> = wanted.chats.iter().copied().collect();
        let sql = "SELECT id, chat, author FROM messages WHERE id > ?1 AND id < ?2
                   ORDER BY id DESC LIMIT ?3";
        let bounds = params![int(mark), int(before), rows_limit(MOST + 1)];
        let ids = many(self.connection(), sql, bounds, |row| {
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            // What is no number is damaged, and found out to be where the whole row is read.
            let (Ok(chat), Ok(author)) = (row.get::<_, i64>(1), row.get::<_, i64>(2)) else {
                return Ok((id, true));
            };
            let (chat, author) = (ChatId(chat.cast_unsigned()), UserId(author.cast_unsigned()));
            let is_there = floors.get(&chat).is_some_and(|floor| id > *floor);
            let is_by = wanted.author.is_none_or(|wanted| wanted == author);
            Ok((id, is_there && is_by))
        });
        let is_whole = !ids.as_ref().is_err_and(LogError::is_damage);
        let ids = unless_damaged(ids)?;
        let mut complete = is_whole && ids.len() <= MOST;
        let has = |row: &MessageRow| {
            let words = words(&row.text);
            let has = |phrase: &Phrase| phrase.is_in(&words);
            wanted.all.iter().all(has) && !wanted.none.iter().any(has) && is_among(wanted, row)
        };
        let until = Instant::now() + PATIENCE;
        let mut rows = Vec::new();
        for (id, _) in ids.into_iter().take(MOST).filter(|(_, is_asked)| *is_asked) {
            if Instant::now() > until {
                complete = false;
                break;
            }
            rows.extend(self.message_that(id, has, &mut complete)?);
            if rows.len() > wanted.limit {
                break;
            }
        }
        Ok((rows, complete))
    }

    /// A message if it is one that is wanted. One that is damaged is none, and `complete` is so no
    /// more.
    fn message_that(
        &self,
        id: Id,
        is_wanted: impl FnOnce(&MessageRow) -> bool,
        complete: &mut bool,
    ) -> Result<Option<MessageRow>, LogError> {
        match query::message_if(self.connection(), id, is_wanted) {
            Err(damage) if damage.is_damage() => {
                tracing::error!(error = %damage, "a message is not looked into");
                *complete = false;
                Ok(None)
            }
            found => found,
        }
    }

    /// The newest ids that the index has.
    fn look_up(&self, wanted: &Wanted, before: Id, limit: usize) -> Result<Vec<Id>, LogError> {
        // Those seen from their beginning together; what lies before one came is never looked at.
        let (all, some): (Vec<_>, Vec<_>) = wanted.chats.iter().partition(|(_, floor)| *floor == 0);
        let mut ids = Vec::new();
        for (chats, floor) in all
            .chunks(AT_ONCE)
            .map(|chats: &[(ChatId, Id)]| (chats, 0))
            .chain(some.iter().map(|one| (std::slice::from_ref(one), one.1)))
        {
            let sql = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid < ?2 AND rowid > ?3
                       ORDER BY rowid DESC LIMIT ?4";
            let question = question(wanted, chats);
            let bounds = params![question, int(before), int(floor), rows_limit(limit)];
            ids.extend(many(self.connection(), sql, bounds, |row| {
                Ok(row.get::<_, i64>(0)?.cast_unsigned())
            })?);
            ids.sort_unstable_by(|one, other| other.cmp(one));
            ids.truncate(limit);
        }
        Ok(ids)
    }
}

fn is_among(wanted: &Wanted, row: &MessageRow) -> bool {
    let mut chats = wanted.chats.iter();
    let is_there = chats.any(|(chat, floor)| row.chat == *chat && row.id > *floor);
    is_there && wanted.author.is_none_or(|author| row.author == author)
}

/// What is asked of the index. Words hold letters, digits and signs beyond ASCII alone, so nothing
/// in them means anything between quotes.
fn question(wanted: &Wanted, chats: &[(ChatId, Id)]) -> String {
    let quoted = |words: &[String]| format!("\"{}\"", words.join(" "));
    let phrase = |phrase: &Phrase| {
        let star = if phrase.prefix { " *" } else { "" };
        quoted(&phrase.words) + star
    };
    let one = |token: String| quoted(&[token]);
    let mut all: Vec<_> = wanted.all.iter().map(phrase).collect();
    all.extend(wanted.author.map(|author| one(token_of_author(author))));
    let chats: Vec<_> = chats
        .iter()
        .map(|(chat, _)| one(token_of_chat(*chat)))
        .collect();
    all.push(format!("({})", chats.join(" OR ")));
    let all = all.join(" AND ");
    if wanted.none.is_empty() {
        return all;
    }
    let none: Vec<_> = wanted.none.iter().map(phrase).collect();
    format!("({all}) NOT ({})", none.join(" OR "))
}
