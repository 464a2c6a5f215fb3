//! **schedule**: messages that are sent later.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" $URL/scheduled \
//!     --json '{"to": "@bob", "text": "lunch?", "in": "10m"}'
//! curl -H "Authorization: Bearer $TOKEN" $URL/scheduled
//! curl -H "Authorization: Bearer $TOKEN" -X DELETE $URL/scheduled/3f1c2a9e-...
//! ```
//!
//! ```toml
//! [features.schedule]
//! horizon = "365d"
//! pending = 100
//! max_late = "1d"
//! ```
//!
//! Address and text are judged when it is made, and again by every rule when it is due. Then it
//! becomes an ordinary message, in order of due time; a rule that refuses it makes it `failed`,
//! and so does a server that was down for more than `max_late`. The message and the fact that it
//! was sent are records of one decision, which are durable together or not at all: so it is sent
//! exactly once. What was sent or failed is shown for 7 days.
//!
//! The text lies in a row of its own while it waits, and goes with the sending: from then on the
//! message has it. A failed one keeps its text until it is forgotten.

#[path = "schedule/state.rs"]
mod state;

use std::collections::BTreeSet;

use veche::prelude::*;

use state::{AT_ONCE, Item, Standing, Step};
pub use state::{Fact, Plan, Reason, State};

/// How long it is shown what was sent or failed.
const SHOWN: Period = Period::days(7);

/// How many of those are shown to a user, as a multiple of those who may wait: so that what is
/// remembered has a bound.
const SHOWN_PER_PENDING: usize = 10;

settings! {
    /// Messages that are sent later.
    pub struct Settings {
        /// How far ahead a message may be scheduled. At least 1s.
        pub horizon: Period = Period::days(365) => Period::secs(1)..,
        /// How many messages of one user may wait at once, 1 to 1000000.
        pub pending: usize = 100 => 1..=1_000_000,
        /// How late a message may be sent that fell due while the server was down; it fails
        /// beyond that. At least 1s.
        pub max_late: Period = Period::hours(24) => Period::secs(1)..,
    }
}

/// Messages that wait for their time.
pub struct Schedule {
    settings: Settings,
}

feature!(Schedule);

#[derive(Deserialize, JsonSchema)]
struct NewScheduled {
    /// Where to: `common`, `@name` or `room:UUID`.
    #[schemars(with = "strings::Address")]
    to: String,
    /// 1–4000 characters; it may be left away where something else is said.
    #[serde(default)]
    text: String,
    /// When to send it, by RFC 3339; or else `in`.
    #[serde(default)]
    #[schemars(with = "Option<strings::Moment>")]
    at: Option<String>,
    /// How long from now to send it, such as "10m"; or else `at`.
    #[serde(default, rename = "in")]
    delay: Option<Period>,
    #[serde(flatten)]
    #[schemars(skip)]
    more: Map<String, Value>,
}

/// What is to be said, as its row keeps it: the text, and what else the checks read.
#[derive(Default, Serialize, Deserialize)]
struct Words {
    text: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    more: Map<String, Value>,
    /// How the latter is shown.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    shown: Map<String, Value>,
}

impl Words {
    fn of(row: Option<&str>) -> Option<Self> {
        serde_json::from_str(row?).ok()
    }
}

/// A scheduled message.
#[derive(Serialize, JsonSchema)]
struct Scheduled<'a> {
    /// A UUID.
    #[schemars(with = "strings::Uuid")]
    id: String,
    /// Where to.
    to: &'a str,
    /// The text; of a sent one as long as its message is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What else was asked for, until it is sent.
    #[serde(flatten)]
    #[schemars(skip)]
    more: Map<String, Value>,
    /// When it is due, or was.
    #[schemars(with = "strings::Moment")]
    at: String,
    /// `waiting`, `sent` or `failed`.
    state: &'static str,
    /// The message that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Id>,
    /// Why it failed: the code of the refusal, or `too_late`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ScheduledList<'a> {
    scheduled: Vec<Scheduled<'a>>,
}

/// What waits, in the user's own `/status`.
#[derive(Serialize, JsonSchema)]
struct Waiting {
    /// How many wait.
    waiting: usize,
    /// When the next one is due, if any waits.
    next: Option<String>,
}

impl Feature for Schedule {
    const ABOUT: &'static str = "Messages that are sent later, each exactly once";

    type Settings = Settings;
    type State = State;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/scheduled", "Schedules a message", Self::make)
            .drafts()
            .returns::<Scheduled>(201, "What waits now")
            .get("/scheduled", "One's scheduled messages", Self::list)
            .returns::<ScheduledList>(
                200,
                "What waits, by due time, then what was sent or failed in the last 7 days",
            )
            .delete(
                "/scheduled/{id}",
                "Cancels a scheduled message",
                Self::cancel,
            )
            .returns_nothing(204, "It will not be sent")
            .user_part::<Waiting>("How many messages wait to be sent, and until when")
    }

    fn apply(state: &mut State, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Made(plan) => {
                if let Some(by) = stamp.by {
                    state.add(stamp.pos, by, plan);
                }
            }
            Fact::Cancelled { row, .. } | Fact::Forgotten { row, .. } => state.remove(row),
            Fact::Sent {
                row,
                message,
                until,
                ..
            } => state.settle(row, until, Standing::Sent { message, until }),
            Fact::Failed {
                row, why, until, ..
            } => {
                let copy = stamp.pos;
                state.settle(row, until, Standing::Failed { copy, why, until });
            }
        }
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        let mut words = Words::of(telling.text);
        if let Some(words) = &mut words {
            words.shown = telling.read_by_checks(&words.shown);
        }
        Some(match fact {
            Fact::Made(plan) => {
                let made = plan.shown(&Standing::Waiting, words);
                Event::new("scheduled", json!(made))
            }
            Fact::Cancelled { id, .. } => Event::new("cancelled", json!({"id": id})),
            Fact::Sent {
                plan,
                message,
                until,
                ..
            } => {
                let (message, until) = (*message, *until);
                let sent = Standing::Sent { message, until };
                Event::new("scheduled_sent", json!(plan.shown(&sent, words)))
            }
            Fact::Failed {
                plan, why, until, ..
            } => {
                let failed = Standing::Failed {
                    copy: telling.id,
                    why: why.clone(),
                    until: *until,
                };
                Event::new("scheduled_failed", json!(plan.shown(&failed, words)))
            }
            Fact::Forgotten { id, .. } => Event::new("scheduled_forgotten", json!({"id": id})),
        })
    }

    fn due(&self, state: &State, _: &Tx<'_>) -> Option<Time> {
        let next = [state.all.waiting.first(), state.all.done.first()];
        next.into_iter().flatten().map(|(time, _)| *time).min()
    }

    fn wake(&self, state: &State, tx: &mut Tx<'_>) -> Result<(), Problem> {
        match state.next(tx.now()) {
            None => Ok(()),
            Some(Step::Send(row)) => self.fall_due(state, tx, row),
            Some(Step::Forget(rows)) => Self::forget(state, tx, &rows),
        }
    }

    fn show(&self, state: &State, of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        let Subject::User(user) = of else { return };
        let waiting = state.users.get(user).map(|queues| &queues.waiting);
        let next = waiting.and_then(BTreeSet::first);
        to.set_all(&Waiting {
            waiting: waiting.map_or(0, BTreeSet::len),
            next: next.map(|(at, _)| at.to_string()),
        });
    }
}

impl Schedule {
    fn make(&self, tx: &mut Tx<'_>, call: &Call, new: &NewScheduled) -> Result<Answer, Problem> {
        let to = tx.address("to", &new.to, call.user)?;
        let at = self.when(tx.now(), new.at.as_deref(), new.delay)?;
        let mut words = Words {
            text: new.text.clone(),
            more: tx.read_by_checks(&new.more),
            shown: Map::new(),
        };
        let mut draft = Draft::message(call.user, to, &words.text).with(&words.more);
        draft.purpose = Purpose::PostLater;
        let mut passed = tx.check(&draft)?;
        words.shown = passed.shown();
        self.has_room(tx, call.user)?;
        let to = match to {
            Address::Chat(chat) => tx.spell(chat, None),
            Address::User(peer) => format!("@{}", tx.name(peer).unwrap_or_default()),
        };
        let id = Uuid::new_v4();
        let plan = Plan { id, to, at };
        let made = Entry::<Self>::new(Fact::Made(plan.clone()))
            .tell(vec![call.user])
            .kept()
            .text(&json!(words).to_string())
            .passed(&mut passed);
        let row = tx.record(made)?;
        let shown = plan.shown(&Standing::Waiting, Some(words));
        Ok(Answer::created(json!(shown))
            .made(row)
            .headers(passed.headers()))
    }

    /// The time that is asked for.
    fn when(&self, now: Time, at: Option<&str>, delay: Option<Period>) -> Result<Time, Problem> {
        let (field, time) = match (at, delay) {
            (Some(at), None) => {
                let time = at.parse();
                let time: Time = time.map_err(|error| invalid("at", format!("`at`: {error}")))?;
                ("at", time)
            }
            (None, Some(delay)) => ("in", now.plus(delay)),
            (Some(_), Some(_)) => return Err(invalid("in", "give either `at` or `in`, not both")),
            (None, None) => return Err(invalid("at", "either `at` or `in` must say when")),
        };
        if time < now {
            return Err(invalid(field, format!("`{field}` is in the past: {time}")));
        }
        let horizon = self.settings.horizon;
        if time > now.plus(horizon) {
            let detail = format!("`{field}` is too far ahead: {horizon} are allowed");
            return Err(invalid(field, detail));
        }
        Ok(time)
    }

    fn has_room(&self, tx: &Tx<'_>, user: UserId) -> Result<(), Problem> {
        let queues = tx.state::<Self>().users.get(&user);
        let Some(waiting) = queues.map(|queues| &queues.waiting) else {
            return Ok(());
        };
        let most = self.settings.pending;
        if waiting.len() < most {
            return Ok(());
        }
        let detail = format!("{most} messages may wait at once; cancel one, or wait for the next");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_scheduled", detail);
        let next = waiting.first().map(|(at, _)| tx.now().seconds_until(*at));
        Err(problem.retry_after(next.unwrap_or(0).max(1)))
    }

    fn cancel(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let unknown = || not_found("there is no such scheduled message");
        let id: Uuid = call.param("id").parse().map_err(|_| unknown())?;
        let state = tx.state::<Self>();
        let row = state.ids.get(&id).copied().ok_or_else(unknown)?;
        let item = state.items.get(&row).filter(|item| item.by == call.user);
        let item = item.ok_or_else(unknown)?;
        if let Standing::Sent { message, .. } = item.standing {
            let detail = "it has been sent already";
            let problem = Problem::new(StatusCode::CONFLICT, "already_sent", detail);
            return Err(problem.with("message", message));
        }
        let cancelled = Entry::<Self>::new(Fact::Cancelled { row, id });
        tx.record(cancelled.tell(vec![call.user]))?;
        tx.erase::<Self>(item.rows(row))?;
        Ok(Answer::no_content())
    }

    async fn list(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let user = ask.call.user;
        let items = ask.view(|view| view.state::<Self>().of(user)).await?;
        let mut found = Vec::with_capacity(items.len());
        for (row, item) in items {
            if let Some((item, words)) = Self::read(&ask, row, item).await? {
                found.push((item.order(row), item, words));
            }
        }
        // What was sent while it was being read has another place now.
        found.sort_by_key(|(order, ..)| *order);
        let shown: Vec<_> = found
            .into_iter()
            .map(|(_, item, words)| json!(item.plan.shown(&item.standing, words)))
            .collect();
        Ok(Answer::ok(json!({"scheduled": shown})))
    }

    /// One's words; none of a message that is gone. What changed since it was looked up is given
    /// as it is now, and nothing where it was cancelled meanwhile.
    async fn read(
        ask: &Ask<Self>,
        row: Id,
        mut item: Item,
    ) -> Result<Option<(Item, Option<Words>)>, Problem> {
        // Its row goes once, with the sending or the cancelling.
        for _ in 0..2 {
            if let Standing::Sent { message, .. } = item.standing {
                return match ask.message(message).await {
                    Ok(message) => {
                        let words = Words {
                            text: message.text,
                            ..Words::default()
                        };
                        Ok(Some((item, Some(words))))
                    }
                    Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                        Ok(Some((item, None)))
                    }
                    Err(problem) => Err(problem),
                };
            }
            let kept = match item.standing {
                Standing::Failed { copy, .. } => copy,
                _ => row,
            };
            if let Some(kept) = ask.row(kept).await? {
                let mut words = Words::of(kept.text.as_deref());
                if let Some(words) = &mut words {
                    words.shown = ask.read_by_checks(&words.shown);
                }
                return Ok(Some((item, words)));
            }
            let newer = ask.view(|view| view.state::<Self>().items.get(&row).cloned());
            match newer.await? {
                Some(newer) => item = newer,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Sends one, or says why not, in one decision.
    fn fall_due(&self, state: &State, tx: &mut Tx<'_>, row: Id) -> Result<(), Problem> {
        let Some(Item { by, plan, .. }) = state.items.get(&row).cloned() else {
            return Ok(());
        };
        let kept = tx.row::<Self>(row)?.and_then(|row| row.text);
        let mut words = Words::of(kept.as_deref()).unwrap_or_default();
        let until = tx.now().plus(SHOWN);
        match self.post(tx, by, &plan, &words) {
            Ok(message) => {
                let sent = Fact::Sent {
                    row,
                    plan,
                    message,
                    until,
                };
                tx.record(Entry::<Self>::new(sent).tell(vec![by]))?;
                tx.erase::<Self>(vec![row])?;
            }
            Err(why) => {
                let failed = Fact::Failed {
                    row,
                    plan,
                    why,
                    until,
                };
                let failed = Entry::<Self>::new(failed).tell(vec![by]);
                // With its row goes what that held: it is not sent again.
                words.more.clear();
                words.shown.clear();
                tx.record(failed.kept().text(&json!(words).to_string()))?;
                tx.erase::<Self>(vec![row])?;
            }
        }
        let Some(done) = state.users.get(&by).map(|queues| &queues.done) else {
            return Ok(());
        };
        let most = self.settings.pending.saturating_mul(SHOWN_PER_PENDING);
        // This one comes to those there are.
        let over = (done.len() + 1).saturating_sub(most).min(AT_ONCE);
        let oldest: Vec<Id> = done.iter().take(over).map(|(_, row)| *row).collect();
        Self::forget(state, tx, &oldest)
    }

    /// Posts it as if it were written now.
    fn post(&self, tx: &mut Tx<'_>, by: UserId, plan: &Plan, words: &Words) -> Result<Id, Reason> {
        // While the server runs nothing is late, however far its clock is set.
        let late = tx.up_since().since(plan.at);
        let max = self.settings.max_late;
        if late > max {
            let late = late.roughly();
            let detail = format!("it was due {late} before it could be sent; {max} are allowed");
            return Err(Reason {
                code: "too_late".to_owned(),
                detail,
            });
        }
        let posted = tx
            .address("to", &plan.to, by)
            .and_then(|to| tx.post(&Draft::message(by, to, &words.text).with(&words.more)));
        match posted {
            Ok(answer) => Ok(answer.id().unwrap_or_default()),
            // The server's own failure is one, too: trying for ever would hold all others up.
            Err(problem) => Err(Reason {
                code: problem.code.clone().into_owned(),
                detail: problem.detail.clone(),
            }),
        }
    }

    fn forget(state: &State, tx: &mut Tx<'_>, rows: &[Id]) -> Result<(), Problem> {
        let mut kept = Vec::new();
        for row in rows {
            let Some(item) = state.items.get(row) else {
                continue;
            };
            let (row, id) = (*row, item.plan.id);
            let forgotten = Entry::<Self>::new(Fact::Forgotten { row, id });
            tx.record(forgotten.tell(vec![item.by]))?;
            kept.extend(item.rows(row));
        }
        if kept.is_empty() {
            return Ok(());
        }
        tx.erase::<Self>(kept)
    }
}

impl Plan {
    fn shown<'a>(&'a self, standing: &'a Standing, words: Option<Words>) -> Scheduled<'a> {
        let (text, more) = match words {
            Some(words) => (Some(words.text), words.shown),
            None => (None, Map::new()),
        };
        let (state, message, why) = match standing {
            Standing::Waiting => ("waiting", None, None),
            Standing::Sent { message, .. } => ("sent", Some(*message), None),
            Standing::Failed { why, .. } => ("failed", None, Some(why)),
        };
        Scheduled {
            id: self.id.to_string(),
            to: &self.to,
            text,
            more,
            at: self.at.to_string(),
            state,
            message,
            reason: why.map(|why| why.code.as_str()),
            detail: why.map(|why| why.detail.as_str()),
        }
    }
}
