//! What was told to a user while they were away.

use rusqlite::params;
use rusqlite::types::ValueRef;

use super::Reading;
use crate::log::query::{self, int, many, one, rows as rows_limit};
use crate::log::rows::reworded;
use crate::log::sums::{LEFT, MESSAGE, ROW, STAY};
use crate::log::{
    Audience, Beside, ChatId, Contents, Id, LogError, MessageRow, Pos, Record, UserId,
};

/// A record that somebody could see when it happened.
#[derive(Debug)]
pub struct Told {
    /// The record.
    pub record: Record,
    /// What lies beside it, if it still does.
    pub contents: Contents,
    /// Since which position they were part of its audience.
    pub since: Pos,
}

/// An audience, and the positions from and to which somebody is part of it.
struct Seen {
    who: i64,
    since: Pos,
    until: i64,
}

impl Reading {
    /// Up to `limit` records after `after` that a user could see when they happened, in order,
    /// each with what lies beside it; and the position up to which these are all there are.
    pub fn told(
        &self,
        user: UserId,
        after: Pos,
        limit: usize,
    ) -> Result<(Vec<Told>, Pos), LogError> {
        let last = self.last()?;
        let mut found = Vec::new();
        for seen in self.seen_by(user)? {
            let from = seen.since.max(after.saturating_add(1));
            let bounds = params![seen.who, int(from), seen.until, rows_limit(limit + 1)];
            found.extend(many(
                &self.connection,
                "SELECT pos FROM audience WHERE who = ?1 AND pos >= ?2 AND pos <= ?3
                 ORDER BY pos LIMIT ?4",
                bounds,
                |row| Ok((row.get::<_, i64>(0)?, seen.since, seen.until, seen.who)),
            )?);
            found.sort_unstable();
            found.dedup_by_key(|(pos, ..)| *pos);
            found.truncate(limit + 1);
        }
        let complete = found.len() <= limit;
        found.truncate(limit);
        let upto = match found.last() {
            Some((last, ..)) if !complete => last.cast_unsigned(),
            _ => last,
        };
        let told = found
            .into_iter()
            .map(|(pos, since, until, who)| self.record(pos, since, until, who));
        let told = told.collect::<Result<Vec<_>, _>>()?;
        let mut told: Vec<_> = told.into_iter().flatten().collect();
        self.hold(&mut told)?;
        Ok((told, upto))
    }

    /// The audiences that a user is or was part of, each with its positions.
    fn seen_by(&self, user: UserId) -> Result<Vec<Seen>, LogError> {
        // What happened before they came was not theirs to see.
        let ever = |who| Seen {
            who,
            since: user.0,
            until: i64::MAX,
        };
        let mut seen = vec![
            ever(Audience::user_key(user)),
            ever(Audience::chat_key(ChatId::COMMON)),
        ];
        seen.extend(many(
            &self.connection,
            "SELECT user, chat, since, sum, user, chat, until, until_sum
             FROM members WHERE user = ?1",
            [int(user.0)],
            |row| {
                STAY.check(row, 0)?;
                LEFT.check(row, 4)?;
                let until: Option<i64> = row.get(6)?;
                Ok(Seen {
                    who: row.get(1)?,
                    since: row.get::<_, i64>(2)?.cast_unsigned(),
                    until: until.unwrap_or(i64::MAX),
                })
            },
        )?);
        Ok(seen)
    }

    /// A record that the index names for `who`, which it must be for.
    /// A text that took another's place after `until`, which they were not told of, is not theirs.
    fn record(&self, pos: i64, since: Pos, until: i64, who: i64) -> Result<Option<Told>, LogError> {
        let sql = "SELECT f.pos, f.at, f.body, f.sum,
                 m.id, m.chat, m.author, m.addressee, m.at, m.riders, m.text, m.sum,
                 r.id, r.owner, r.message, r.author, r.at, r.fact, r.text, r.object, r.sum
             FROM facts f LEFT JOIN messages m ON m.id = f.pos LEFT JOIN rows r ON r.id = f.pos
             WHERE f.pos = ?1";
        one(&self.connection, sql, [pos], |row| {
            let record = query::record(row)?;
            if !record.audience.includes(who) {
                return Err(LogError::Damaged {
                    table: "audience",
                    key: format!("{who} {pos}"),
                });
            }
            let text = if let Some(Beside::Text(message)) = record.row {
                self.text_of(message, record.pos)?
            } else if row.get_ref(4)? != ValueRef::Null {
                MESSAGE.check(row, 4)?;
                let riders = row.get_ref(9)?.as_str_or_null();
                let riders = riders.map_err(rusqlite::Error::from)?;
                let reworded = reworded(riders).map_err(|source| LogError::Unreadable {
                    what: format!("message {pos}"),
                    source,
                })?;
                if reworded.is_none_or(|by| int(by) <= until) {
                    row.get(10)?
                } else {
                    None
                }
            } else if row.get_ref(12)? != ValueRef::Null {
                ROW.check(row, 12)?;
                row.get(18)?
            } else {
                None
            };
            Ok(Told {
                record,
                contents: Contents {
                    text,
                    held: Vec::new(),
                },
                since,
            })
        })
    }

    /// A message's text, if it is this fact's.
    fn text_of(&self, message: Id, fact: Pos) -> Result<Option<String>, LogError> {
        let sql = format!("SELECT {} FROM messages WHERE id = ?1", MessageRow::COLUMNS);
        let row = one(&self.connection, &sql, [int(message)], MessageRow::from_sql)?;
        Ok(row
            .filter(|row| row.reworded == Some(fact))
            .map(|row| row.text))
    }

    /// Looks up what the records' messages and rows hold.
    fn hold(&self, told: &mut [Told]) -> Result<(), LogError> {
        let holders: Vec<_> = told
            .iter()
            .filter(|told| !told.record.holds.is_empty())
            .map(|told| told.record.pos)
            .collect();
        if holders.is_empty() {
            return Ok(());
        }
        for (holder, row) in query::held(&self.connection, &holders)? {
            if let Some(told) = told.iter_mut().find(|told| told.record.pos == holder) {
                told.contents.held.push(row);
            }
        }
        Ok(())
    }
}
