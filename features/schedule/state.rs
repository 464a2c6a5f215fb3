//! What waits, and what was sent or failed lately: the fold of the schedule's facts.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// Forgotten in one go, so that many which end together hold no post up.
pub(super) const AT_ONCE: usize = 100;

/// What is to be sent, but for its text.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Its id, which clients know it by.
    pub(super) id: Uuid,
    /// Its address, as everyone in the chat reads it.
    pub(super) to: String,
    /// When it is due.
    pub(super) at: Time,
}

/// What can happen to a scheduled message. `row` names it: the position of the fact that made it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// It was made. Its text is in this fact's row.
    Made(Plan),
    /// Its user took it away.
    Cancelled {
        /// Which one.
        row: Id,
        /// Its id.
        id: Uuid,
    },
    /// It became a message.
    Sent {
        /// Which one.
        row: Id,
        /// What it was.
        plan: Plan,
        /// The message.
        message: Id,
        /// When it is forgotten.
        until: Time,
    },
    /// A rule refused it. Its text is in this fact's row, too, so that its event is whole.
    Failed {
        /// Which one.
        row: Id,
        /// What it was.
        plan: Plan,
        /// Why.
        why: Reason,
        /// When it is forgotten.
        until: Time,
    },
    /// It is shown no more.
    Forgotten {
        /// Which one.
        row: Id,
        /// Its id.
        id: Uuid,
    },
}

/// Why a message was not sent.
#[derive(Clone, Serialize, Deserialize)]
pub struct Reason {
    /// The refusal's code, or `too_late`.
    pub(super) code: String,
    /// The same for people.
    pub(super) detail: String,
}

/// What waits, and what was sent or failed lately.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    pub(super) items: BTreeMap<Id, Item>,
    /// The rows by the ids that clients have.
    pub(super) ids: BTreeMap<Uuid, Id>,
    pub(super) users: BTreeMap<UserId, Queues>,
    pub(super) all: Queues,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) by: UserId,
    pub(super) plan: Plan,
    pub(super) standing: Standing,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    Waiting,
    Sent { message: Id, until: Time },
    Failed { copy: Id, why: Reason, until: Time },
}

/// Rows in the order in which something is to be done with them.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Queues {
    /// By due time, then in order of making.
    pub(super) waiting: BTreeSet<(Time, Id)>,
    /// By the time of their being forgotten.
    pub(super) done: BTreeSet<(Time, Id)>,
}

/// What is to be done by itself.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Send(Id),
    Forget(Vec<Id>),
}

impl Item {
    /// The rows that hold its text.
    pub(super) fn rows(&self, row: Id) -> Vec<Id> {
        match self.standing {
            Standing::Waiting => vec![row],
            Standing::Sent { .. } => Vec::new(),
            Standing::Failed { copy, .. } => vec![copy],
        }
    }

    /// Where it stands in the list: what waits by due time, then the rest by its end.
    pub(super) fn order(&self, row: Id) -> (bool, Time, Id) {
        match self.standing {
            Standing::Waiting => (false, self.plan.at, row),
            Standing::Sent { until, .. } | Standing::Failed { until, .. } => (true, until, row),
        }
    }
}

impl State {
    pub(super) fn add(&mut self, row: Id, by: UserId, plan: Plan) {
        let due = (plan.at, row);
        self.ids.insert(plan.id, row);
        self.all.waiting.insert(due);
        self.users.entry(by).or_default().waiting.insert(due);
        let standing = Standing::Waiting;
        self.items.insert(row, Item { by, plan, standing });
    }

    /// One that waited does so no longer.
    pub(super) fn settle(&mut self, row: Id, until: Time, standing: Standing) {
        let Some(item) = self.items.get_mut(&row) else {
            return;
        };
        item.standing = standing;
        let (by, due) = (item.by, (item.plan.at, row));
        for queues in [&mut self.all, self.users.entry(by).or_default()] {
            queues.waiting.remove(&due);
            queues.done.insert((until, row));
        }
    }

    pub(super) fn remove(&mut self, row: Id) {
        let Some(item) = self.items.remove(&row) else {
            return;
        };
        self.ids.remove(&item.plan.id);
        let (is_done, time, _) = item.order(row);
        let queues = self.users.entry(item.by).or_default();
        for queues in [&mut self.all, &mut *queues] {
            let queue = if is_done {
                &mut queues.done
            } else {
                &mut queues.waiting
            };
            queue.remove(&(time, row));
        }
        if queues.waiting.is_empty() && queues.done.is_empty() {
            self.users.remove(&item.by);
        }
    }

    /// What is to be done now, if anything is.
    pub(super) fn next(&self, now: Time) -> Option<Step> {
        let due = self.all.waiting.first().filter(|(at, _)| *at <= now);
        if let Some((_, row)) = due {
            return Some(Step::Send(*row));
        }
        let over = self.all.done.iter().take_while(|(until, _)| *until <= now);
        let over: Vec<Id> = over.take(AT_ONCE).map(|(_, row)| *row).collect();
        (!over.is_empty()).then_some(Step::Forget(over))
    }

    /// A user's, all of them.
    pub(super) fn of(&self, user: UserId) -> Vec<(Id, Item)> {
        let queues = self.users.get(&user);
        let rows = queues.into_iter().flat_map(|queues| {
            let rows = queues.waiting.iter().chain(&queues.done);
            rows.map(|(_, row)| *row)
        });
        rows.filter_map(|row| Some((row, self.items.get(&row)?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Schedule, Settings};
    use super::*;

    fn apply(state: &mut State, pos: Id, by: Option<u64>, fact: Fact) {
        let stamp = Stamp {
            pos,
            at: Time(0),
            by: by.map(UserId),
            ..Stamp::default()
        };
        Schedule::apply(state, fact, &stamp);
    }

    fn plan(at: i64) -> Plan {
        Plan {
            id: Uuid::new_v4(),
            to: "common".to_owned(),
            at: Time(at),
        }
    }

    fn make(state: &mut State, pos: Id, by: u64, at: i64) {
        apply(state, pos, Some(by), Fact::Made(plan(at)));
    }

    fn sent(state: &mut State, pos: Id, row: Id, until: i64) {
        let fact = Fact::Sent {
            row,
            plan: state.items[&row].plan.clone(),
            message: pos - 1,
            until: Time(until),
        };
        apply(state, pos, None, fact);
    }

    /// Sends what is due, as the writer does it, until nothing is.
    fn send_all(state: &mut State, now: i64) -> Vec<Id> {
        let mut rows = Vec::new();
        while let Some(Step::Send(row)) = state.next(Time(now)) {
            sent(state, 1_000_000 + row, row, now + 1_000);
            rows.push(row);
        }
        rows
    }

    fn is_empty(state: &State) -> bool {
        state.items.is_empty()
            && state.ids.is_empty()
            && state.users.is_empty()
            && state.all.waiting.is_empty()
            && state.all.done.is_empty()
    }

    #[test]
    fn what_is_due_comes_in_order_of_due_time_and_then_of_making() {
        let mut state = State::default();
        for (pos, by, at) in [(1, 1, 300), (2, 2, 100), (3, 1, 200), (4, 2, 100)] {
            make(&mut state, pos, by, at);
        }
        assert_eq!(state.next(Time(99)), None);
        assert_eq!(send_all(&mut state, 250), [2, 4, 3]);
        assert_eq!(send_all(&mut state, 300), [1]);
    }

    #[test]
    fn a_clock_that_is_set_back_sends_nothing_twice_and_one_set_forward_loses_nothing() {
        let mut state = State::default();
        make(&mut state, 1, 1, 100);
        make(&mut state, 2, 1, 10_000);
        assert_eq!(send_all(&mut state, 100), [1]);
        for now in [50, 100, 101] {
            assert_eq!(send_all(&mut state, now), Vec::<Id>::new());
        }
        make(&mut state, 3, 1, 60);
        assert_eq!(send_all(&mut state, 70), [3]);
        assert_eq!(send_all(&mut state, 1_000_000), [2]);
    }

    #[test]
    fn what_was_sent_or_failed_is_forgotten_when_its_time_has_come_and_takes_no_memory_then() {
        let mut state = State::default();
        make(&mut state, 1, 1, 100);
        make(&mut state, 2, 2, 100);
        sent(&mut state, 4, 1, 500);
        let failed = Fact::Failed {
            row: 2,
            plan: state.items[&2].plan.clone(),
            why: Reason {
                code: "too_late".to_owned(),
                detail: "too late".to_owned(),
            },
            until: Time(600),
        };
        apply(&mut state, 5, None, failed);
        assert_eq!(state.items[&2].rows(2), [2, 5]);
        assert_eq!(state.next(Time(499)), None);
        assert_eq!(state.next(Time(500)), Some(Step::Forget(vec![1])));
        assert_eq!(state.next(Time(600)), Some(Step::Forget(vec![1, 2])));
        for row in [1, 2] {
            let id = state.items[&row].plan.id;
            apply(&mut state, 5 + row, None, Fact::Forgotten { row, id });
        }
        assert!(is_empty(&state));
    }

    #[test]
    fn what_is_cancelled_is_not_due_and_takes_no_memory() {
        let mut state = State::default();
        make(&mut state, 1, 1, 100);
        let id = state.items[&1].plan.id;
        apply(&mut state, 2, Some(1), Fact::Cancelled { row: 1, id });
        assert_eq!(state.next(Time(100)), None);
        assert!(is_empty(&state));
        // A fact on one that is gone changes nothing.
        apply(&mut state, 3, Some(1), Fact::Cancelled { row: 1, id });
        assert!(is_empty(&state));
    }

    #[test]
    fn ten_thousand_are_sent_in_order_and_forgotten_a_part_at_a_time() {
        let mut state = State::default();
        for pos in 1..=10_000_u64 {
            let at = (pos * 7_919 % 10_000).cast_signed();
            make(&mut state, pos, pos % 7, at);
        }
        let rows = send_all(&mut state, 10_000);
        let due: Vec<_> = rows
            .iter()
            .map(|row| (row * 7_919 % 10_000, *row))
            .collect();
        assert!(due.is_sorted());
        assert_eq!(due.len(), 10_000);
        while let Some(Step::Forget(rows)) = state.next(Time(11_000)) {
            assert!(rows.len() <= AT_ONCE);
            for row in rows {
                let id = state.items[&row].plan.id;
                apply(&mut state, 0, None, Fact::Forgotten { row, id });
            }
        }
        assert!(is_empty(&state));
    }

    #[test]
    fn the_state_survives_a_snapshot_byte_for_byte() {
        let mut state = State::default();
        make(&mut state, 1, 1, 100);
        make(&mut state, 2, 1, 50);
        sent(&mut state, 4, 2, 500);
        let saved = json!(state);
        let loaded = State::deserialize(&saved).unwrap();
        assert_eq!(json!(loaded).to_string(), saved.to_string());
        assert_eq!(loaded.next(Time(100)), Some(Step::Send(1)));
    }

    #[test]
    fn the_time_is_given_by_one_of_two_fields_and_lies_between_now_and_the_horizon() {
        let settings = Settings {
            horizon: Period::hours(1),
            ..Settings::default()
        };
        let schedule = Schedule { settings };
        let now = Time(10_000);
        let when = |at: Option<&str>, delay: Option<u64>| {
            let time = schedule.when(now, at, delay.map(Period::ms));
            time.map_err(|problem| {
                assert_eq!((problem.status.as_u16(), &*problem.code), (422, "invalid"));
                problem.members["field"].as_str().map(str::to_owned)
            })
        };
        let wrong = |field: &str| Err(Some(field.to_owned()));
        assert_eq!(when(None, Some(500)), Ok(Time(10_500)));
        assert_eq!(when(None, Some(0)), Ok(now));
        assert_eq!(when(None, Some(3_600_000)), Ok(Time(3_610_000)));
        assert_eq!(when(None, Some(3_600_001)), wrong("in"));
        assert_eq!(when(Some("1970-01-01T00:00:10Z"), None), Ok(now));
        assert_eq!(
            when(Some("1970-01-01T01:00:11+01:00"), None),
            Ok(Time(11_000))
        );
        assert_eq!(when(Some("1970-01-01T00:00:09.999Z"), None), wrong("at"));
        assert_eq!(when(Some("1970-01-01T01:00:10.001Z"), None), wrong("at"));
        assert_eq!(when(Some("tomorrow"), None), wrong("at"));
        assert_eq!(when(Some("1970-01-01T00:00:10Z"), Some(1)), wrong("in"));
        assert_eq!(when(None, None), wrong("at"));
    }
}
