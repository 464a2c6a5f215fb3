//! Following: the batches that other nodes appended, and this one's own whose outcome was not known.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ClusterLog;
use super::open::{Open, reworded, untold};
use crate::cluster::follow::{Handed, Incoming, load};
use crate::cluster::wire::Entry;
use crate::log::sqlite::Placed;
use crate::log::{AppendError, Followed, Log, LogError, Pos};
use crate::settings::Period;
use crate::time::{Clock, Time};

/// How long one that is known to be there is waited for, until it is asked for.
const HANDED_WITHIN: Duration = Duration::from_millis(200);

/// Clocks that are farther apart are told of, and how often.
const APART: Duration = Duration::from_secs(10);
const CLOCKS_TOLD: Period = Period::secs(600);

impl ClusterLog {
    /// The next batch of the stream that is not in this log: what has come, and what is known to
    /// be there.
    fn next(&mut self) -> Result<Option<Incoming>, AppendError> {
        loop {
            let incoming = match self.pending.take() {
                Some(incoming) => incoming,
                None => match self.receive()? {
                    Some(handed) => handed.map_err(|error| stream_failed(&error))?,
                    None if self.seq >= self.target => return Ok(None),
                    // It was handed over, and could not be committed here.
                    None => return self.load(self.seq + 1).map(Some),
                },
            };
            if incoming.seq <= self.seq {
                continue;
            }
            if incoming.seq > self.seq + 1 {
                self.pending = Some(incoming);
            } else if incoming.texts.is_some() {
                return Ok(Some(incoming));
            }
            // Else it is this node's own, whose outcome was not known.
            return self.load(self.seq + 1).map(Some);
        }
    }

    /// What the one who follows hands over; it is waited for where something is known to be there.
    fn receive(&mut self) -> Result<Option<Handed>, AppendError> {
        match self.incoming.try_recv() {
            Ok(handed) => return Ok(Some(handed)),
            Err(mpsc::error::TryRecvError::Empty) if self.seq >= self.target => return Ok(None),
            Err(_) if !self.link.is_connected() => return Err(AppendError::Away),
            Err(_) => {}
        }
        let (incoming, runtime) = (&mut self.incoming, &self.runtime);
        let next = async { timeout(HANDED_WITHIN, incoming.recv()).await };
        match tokio::task::block_in_place(|| runtime.block_on(next)) {
            Err(_) => Ok(None),
            Ok(Some(handed)) => Ok(Some(handed)),
            Ok(None) => Err(AppendError::Failed(LogError::Stream(
                "nobody follows it".into(),
            ))),
        }
    }

    fn load(&self, seq: u64) -> Result<Incoming, AppendError> {
        let loaded = self.wait(load(&self.link, seq, None));
        let loaded = loaded.map_err(|error| {
            tracing::error!(%error, seq, "reading the stream");
            AppendError::Away
        })?;
        loaded.ok_or_else(|| {
            self.role.leave_behind();
            AppendError::Failed(LogError::Stream(format!("it has no batch {seq} any more")))
        })
    }

    /// Says so, once a while, where a batch was decided by a clock that is far from this node's.
    fn compare_clocks(&mut self, decided: Time, is_new: bool) {
        let now = Clock::system().now();
        let is_told = self
            .clocks
            .is_some_and(|told| now.since(told) < CLOCKS_TOLD);
        if !is_told && let Some(apart) = apart(decided, now, is_new) {
            self.clocks = Some(now);
            let seconds = apart.as_secs();
            tracing::warn!(
                seconds,
                "the clock of the node that decided is that far from this one's: let NTP set both, or \
                 messages end and limits count by the wrong time"
            );
        }
    }

    /// Begins the next batch that another node appended, and gives its facts with their texts; none
    /// where there is none by now.
    pub(super) fn follow_one(&mut self) -> Result<Option<Vec<Followed>>, AppendError> {
        let Some(incoming) = self.next()? else {
            return Ok(None);
        };
        let Incoming {
            seq,
            batch,
            is_new,
            texts,
        } = incoming;
        if let Some(Entry(_, at, _)) = batch.records.last() {
            self.compare_clocks(*at, is_new);
        }
        let texts = texts.unwrap_or_default();
        let placed: Vec<_> = texts
            .iter()
            .map(|(seq, texts)| (*seq, texts.of, texts.texts.first().map(|text| text.pos)))
            .collect();
        let mut lying: BTreeMap<Pos, String> = texts
            .into_iter()
            .flat_map(|(_, texts)| texts.texts)
            .map(|text| (text.pos, text.text))
            .collect();
        let followed: Vec<Followed> = batch
            .records
            .into_iter()
            .map(|entry| {
                let record = entry.into_record();
                let text = lying.remove(&record.pos);
                (record, text)
            })
            .collect();
        let before = self.local.last();
        let mut next = before;
        for (record, _) in &followed {
            next += 1;
            if record.pos != next {
                return Err(AppendError::Failed(LogError::Stream(format!(
                    "batch {seq} holds fact {} where {next} was to come: it is of another history",
                    record.pos
                ))));
            }
        }
        self.open = Open {
            following: Some(seq),
            ..Open::default()
        };
        self.done.extend(batch.commands, batch.told);
        if batch.node != self.role.node() {
            self.others = seq;
        }
        self.local.begin()?;
        // They follow on one another.
        let at = |pos: Pos| {
            let place = usize::try_from(pos.checked_sub(before + 1)?).ok()?;
            followed.get(place).map(|(record, _)| record)
        };
        let placed: Vec<_> = placed
            .into_iter()
            .map(|(seq, id, first)| Placed {
                id,
                seq,
                until: at(id).and_then(untold),
                instead: first
                    .and_then(at)
                    .is_some_and(|one| reworded(one).is_some()),
            })
            .collect();
        self.local.place_texts(&placed)?;
        self.role.appended(batch.node);
        Ok(Some(followed))
    }
}

/// How far two clocks are apart, where it is too far: a batch is of the past where it was not told as it was
/// appended.
fn apart(decided: Time, now: Time, is_new: bool) -> Option<Duration> {
    let (ahead, behind) = (decided.since(now).to_std(), now.since(decided).to_std());
    let apart = if is_new { ahead.max(behind) } else { ahead };
    (apart > APART).then_some(apart)
}

fn stream_failed(error: &dyn std::error::Error) -> AppendError {
    AppendError::Failed(LogError::Stream(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_far_apart_are_told_by_what_is_not_old() {
        let (before, after) = (Time(1_000_000), Time(1_061_000));
        let minute = Some(Duration::from_secs(61));
        assert_eq!(apart(after, before, false), minute);
        assert_eq!(apart(after, before, true), minute);
        assert_eq!(apart(before, after, true), minute);
        assert_eq!(apart(before, after, false), None);
        assert_eq!(apart(before, Time(1_009_000), true), None);
    }
}
