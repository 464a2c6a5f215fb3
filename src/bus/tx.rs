//! What a decision sees and records.

use std::ops::Deref;
use std::sync::Arc;

use http::StatusCode;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::decide::guarded;
use super::draft::Judgement;
use super::{
    Address, Answer, Draft, Entry, Event, Live, PassedDraft, Purpose, Recipients, View, World,
    fault, internal,
};
use crate::chat::{self, Fact, Name};
use crate::feature::{Feature, Features};
use crate::http::Problem;
use crate::log::{
    Audience, Beside, CORE, ChatId, Contents, Going, Id, Kept, Log, LogError, Marked, MessageRow,
    Pos, Record, Row, Told, UserId,
};
use crate::time::Time;

/// What a decision recorded: a record and what lies beside it.
type Recorded = (Record, Contents);

/// What comes of a decision.
pub(crate) struct Outcome {
    pub(crate) records: Vec<Recorded>,
    /// What only those are told who are there.
    pub(crate) live: Vec<Live>,
}

/// A decision under way. Reading it is free; what it records is appended only if the whole
/// decision succeeds. It may be run again, so it must change nothing else.
pub struct Tx<'a> {
    view: View<'a>,
    log: &'a dyn Log,
    features: &'a Features,
    text_limit: usize,
    up_since: Time,
    by: Option<UserId>,
    records: Vec<Recorded>,
    live: Vec<Live>,
    next: Pos,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        world: &'a World,
        now: Time,
        log: &'a dyn Log,
        features: &'a Features,
        text_limit: usize,
        up_since: Time,
        by: Option<UserId>,
    ) -> Self {
        let next = world.pos + 1;
        Self {
            view: View::new(world, now),
            log,
            features,
            text_limit,
            up_since,
            by,
            records: Vec::new(),
            live: Vec::new(),
            next,
        }
    }

    /// Since when this server runs, by the clock as it is: what fell due before fell due while it was
    /// down. It is never later than now.
    pub fn up_since(&self) -> Time {
        self.up_since
    }

    /// A message that `user` may see; 404 otherwise, as if it did not exist.
    pub fn message(&self, id: Id, user: UserId) -> Result<MessageRow, Problem> {
        let sees = |row: &MessageRow| chat::sees(&self.view, user, row);
        let row = self.log.message_if(id, &sees);
        row.map_err(|error| internal("a look-up", &error))?
            .ok_or_else(chat::no_message)
    }

    /// Where somebody writes who adds to a message's chat.
    pub fn address_of(&self, message: &MessageRow, user: UserId) -> Address {
        match self.chat(message.chat).and_then(|chat| chat.pair) {
            None => Address::Chat(message.chat),
            Some([one, other]) => Address::User(if one == user { other } else { one }),
        }
    }

    /// One of the feature's own rows.
    pub fn row<F: Feature>(&self, id: Id) -> Result<Option<Row>, Problem> {
        let row = self
            .log
            .row(id)
            .map_err(|error| internal(F::NAME, &error))?;
        Ok(row.filter(|row| row.owner == F::NAME))
    }

    /// The feature's row of an object.
    pub fn row_of<F: Feature>(&self, object: Uuid) -> Result<Option<Row>, Problem> {
        let row = self
            .log
            .row_of(object)
            .map_err(|error| internal(F::NAME, &error))?;
        Ok(row.filter(|row| row.owner == F::NAME))
    }

    /// Whether a user sees a message that holds a row.
    pub fn sees_holder(&self, row: Id, user: UserId) -> Result<bool, Problem> {
        let held = self.log.is_held_in(row, &self.seen_by(user));
        held.map_err(|error| internal("a look-up", &error))
    }

    /// When the next message ends.
    pub fn next_end(&self) -> Option<Time> {
        self.log.next_end().unwrap_or_else(|error| {
            tracing::error!(%error, "looking for the next message that ends");
            None
        })
    }

    /// How many characters a text may have.
    pub fn text_limit(&self) -> usize {
        self.text_limit
    }

    /// Whether a text in `field` of a body is as long as a text may be: else 422 `invalid`. A
    /// draft's text is judged with the draft.
    pub fn check_text(&self, field: &str, text: &str) -> Result<(), Problem> {
        chat::check_text(field, text, self.text_limit)
    }

    /// Those of a request's fields that some check reads, to be kept for a later draft
    /// ([`Draft::with`]).
    pub fn read_by_checks(&self, more: &Map<String, Value>) -> Map<String, Value> {
        self.features.read(more)
    }

    /// Has every feature judge a draft. What the checks add must go with the draft's fact:
    /// [`Entry::passed`].
    pub fn check(&self, draft: &Draft<'_>) -> Result<PassedDraft, Problem> {
        let mut judgement = Judgement::default();
        for feature in self.features.iter() {
            // A check that fails refuses: this draft, and not what is decided with it.
            let checked = guarded(|| Ok(feature.check(draft, self)));
            match checked {
                Ok(checked) => judgement.add(feature.name(), checked),
                Err(failed) => judgement.refuse(failed),
            }
        }
        let wordless = draft.text.is_empty();
        if wordless && draft.purpose == Purpose::Change && self.holds(draft.beside)? {
            judgement.content = true;
        }
        if !(wordless && judgement.content)
            && draft.purpose != Purpose::Upload
            && let Err(refusal) = self.check_text("text", draft.text)
        {
            // The core's own word goes before a feature's of the same status; but a text that is
            // not there may stand for something that is, and is refused.
            if wordless {
                judgement.refuse(refusal);
            } else {
                judgement.refuse_first(refusal);
            }
        }
        if let Address::Chat(chat) = draft.to
            && !self.is_member(chat, draft.sponsor.unwrap_or(draft.from))
        {
            judgement.refuse_first(chat::unknown_chat());
        }
        judgement.close().map(PassedDraft)
    }

    /// Posts a message, if every check lets it pass: 201 with the message.
    pub fn post(&mut self, draft: &Draft<'_>) -> Result<Answer, Problem> {
        let PassedDraft(passed) = self.check(draft)?;
        let (chat, addressee) = match draft.to {
            Address::Chat(chat) => (chat, None),
            Address::User(peer) => (self.open(draft.from, peer)?, Some(peer)),
        };
        let fact = Fact::Posted {
            chat,
            to: addressee,
            ends: passed.ends,
            fuse: passed.fuse,
        };
        let mut record = self.core_record(&fact, Audience::Chat(chat))?;
        record.by = Some(draft.from);
        record.riders = passed.riders;
        record.holds = passed.holds;
        record.text = true;
        let row = MessageRow {
            id: record.pos,
            chat,
            author: draft.from,
            addressee,
            at: record.at,
            ends: passed.ends,
            fuse: passed.fuse,
            riders: record.riders.clone(),
            counts: Default::default(),
            held: self.held(&record.holds)?,
            marks: Vec::new(),
            text: draft.text.to_owned(),
            reworded: None,
        };
        let body = chat::message_json(&self.view, self.features, &row, self.by);
        let contents = Contents {
            text: Some(row.text),
            held: row.held,
        };
        self.records.push((record, contents));
        Ok(Answer::created(body)
            .made(row.id)
            .location(&format!("/messages/{}", row.id))
            .headers(passed.headers))
    }

    /// What was told of a command that another node did; none where that can't be told again.
    pub(crate) fn retell(&self, Told(status, posted): Told) -> Option<Answer> {
        let mut answer = Answer::no_content();
        if let Some(id) = posted {
            // It may be gone again.
            let row = self.message_row(id).ok()??;
            answer = Answer::created(self.shown(row).ok()?)
                .made(id)
                .location(&format!("/messages/{id}"));
        }
        answer.status = StatusCode::from_u16(status).ok()?;
        Some(answer)
    }

    /// Whether a message has something beside its text.
    fn holds(&self, message: Option<Id>) -> Result<bool, Problem> {
        let row = message.map(|id| self.log.message(id)).transpose();
        let row = row
            .map_err(|error| internal("a look-up", &error))?
            .flatten();
        Ok(row.is_some_and(|row| !row.held.is_empty()))
    }

    /// Gives a message the entry's text instead of its own, which is erased, and answers with the
    /// message: 200. The fact rides on it from then on ([`Shown::rider`](super::Shown::rider)).
    pub fn reword<F: Feature>(
        &mut self,
        mut message: MessageRow,
        mut entry: Entry<F>,
    ) -> Result<Answer, Problem> {
        entry.row = Some(Beside::Text(message.id));
        entry.audience = Audience::Chat(message.chat);
        self.record(entry)?;
        if let Some((record, contents)) = self.records.last() {
            message.reword(record, contents.text.as_deref().unwrap_or_default());
        }
        let id = message.id;
        Ok(Answer::ok(self.shown(message)?).made(id))
    }

    /// A message as the asking user is shown it.
    pub fn shown(&self, mut message: MessageRow) -> Result<Value, Problem> {
        let marks = self.log.marks(message.id);
        message.marks = marks.map_err(|error| internal("a look-up", &error))?;
        Ok(chat::message_json(
            &self.view,
            self.features,
            &message,
            self.by,
        ))
    }

    /// How one of the feature's marks stands on a message, for one user.
    pub fn marked<F: Feature>(
        &self,
        message: Id,
        text: &str,
        by: UserId,
    ) -> Result<Marked, Problem> {
        let marked = self.log.marked(F::NAME, message, text, by);
        marked.map_err(|error| internal(F::NAME, &error))
    }

    /// Takes messages away for good, with all that lies beside them.
    pub fn remove(&mut self, rows: &[MessageRow]) -> Result<(), Problem> {
        self.take_away(&rows.iter().map(Going::from).collect::<Vec<_>>())
    }

    pub(crate) fn take_away(&mut self, rows: &[Going]) -> Result<(), Problem> {
        let mut groups: std::collections::BTreeMap<_, Vec<Id>> = Default::default();
        for row in rows {
            groups
                .entry((row.chat, row.addressee))
                .or_default()
                .push(row.id);
        }
        for ((chat, to), ids) in groups {
            self.core(&Fact::Removed { chat, to, ids }, Audience::Chat(chat))?;
        }
        Ok(())
    }

    /// Takes away up to `limit` messages whose end has come.
    pub fn remove_ended(&mut self, limit: usize) -> Result<(), Problem> {
        let rows = self
            .log
            .ended(self.now(), limit)
            .map_err(|error| internal("looking for messages that ended", &error))?;
        self.take_away(&rows)
    }

    /// Makes a user who is no person, and gives the name as it is spelt: nobody can connect as one,
    /// and what posts as it says who answers for that ([`Draft::sponsored`]). 422 where it can't be a
    /// name, 409 `name_taken` where it is somebody's.
    pub fn enrol(&mut self, name: &str) -> Result<(UserId, String), Problem> {
        let name = Name::parse(name)?;
        if self.find_user(name.as_str()).is_some() {
            let detail = "the name is somebody's already";
            return Err(Problem::new(StatusCode::CONFLICT, "name_taken", detail));
        }
        let fact = Fact::Joined {
            name: name.as_str().to_owned(),
            password: None,
        };
        let user = UserId(self.core(&fact, Audience::Nobody)?);
        Ok((user, name.as_str().to_owned()))
    }

    /// Makes a chat with members, the feature's own. `all` says whether members see what was
    /// posted before they came. It has none yet: [`enter`](Self::enter).
    pub fn found<F: Feature>(&mut self, title: &str, all: bool) -> Result<(ChatId, Uuid), Problem> {
        let uuid = Uuid::new_v4();
        let fact = Fact::Founded {
            owner: F::NAME.to_owned(),
            uuid,
            title: title.to_owned(),
            all,
        };
        let chat = ChatId(self.core(&fact, Audience::Nobody)?);
        Ok((chat, uuid))
    }

    /// Lets a user into a chat of the feature's own: they see what is told there from now on.
    pub fn enter<F: Feature>(&mut self, chat: ChatId, user: UserId) -> Result<(), Problem> {
        self.owns::<F>(chat)?;
        self.core(&Fact::Entered { chat, user }, Audience::Nobody)
            .map(|_| ())
    }

    /// Takes a user out of a chat of the feature's own: what was recorded before this is the
    /// last that they see. When the last one goes the chat ends, and its messages are removed.
    pub fn leave<F: Feature>(&mut self, chat: ChatId, user: UserId) -> Result<(), Problem> {
        self.owns::<F>(chat)?;
        self.core(&Fact::Left { chat, user }, Audience::Nobody)
            .map(|_| ())
    }

    fn owns<F: Feature>(&self, chat: ChatId) -> Result<(), Problem> {
        // One that this decision makes is not in the world yet.
        let is_new = chat.0 > self.view.world().pos && chat.0 < self.next_pos();
        let group = self.view.world().chat.group(chat);
        if is_new || group.is_some_and(|group| group.owner == F::NAME) {
            return Ok(());
        }
        Err(fault(F::NAME, &format!("chat {} is not its own", chat.0)))
    }

    /// Records a fact of the feature's own and gives its position, the id of what it makes.
    pub fn record<F: Feature>(&mut self, entry: Entry<F>) -> Result<Id, Problem> {
        let fact = to_raw_value(&entry.fact).map_err(|error| internal(F::NAME, &error))?;
        // A fact that its own reader refuses would stop every later start.
        serde_json::from_str::<F::Fact>(fact.get()).map_err(|error| internal(F::NAME, &error))?;
        if let (Some(Beside::Mark { message, .. }), Some(by)) = (entry.row, self.by) {
            let text = entry.text.as_deref().unwrap_or_default();
            if let Some(before) = self.marked::<F>(message, text, by)?.own {
                self.erase::<F>(vec![before.id])?;
            }
        }
        let record = Record {
            pos: self.next_pos(),
            at: self.now(),
            owner: F::NAME.to_owned(),
            fact,
            by: self.by,
            audience: entry.audience,
            riders: entry.passed.riders,
            row: entry.row,
            object: entry.object,
            holds: entry.passed.holds,
            text: entry.text.is_some(),
        };
        let id = record.pos;
        let contents = Contents {
            text: entry.text,
            held: self.held(&record.holds)?,
        };
        self.records.push((record, contents));
        Ok(id)
    }

    /// Tells those in a chat who are there now, `from` among them, once what is decided is durable.
    /// It is kept nowhere: it has no id, is never told again and ends no long poll.
    pub fn tell(&mut self, from: UserId, to: Address, event: &Event) {
        let these = |users: Arc<[UserId]>| Recipients::These {
            count: users.len(),
            users,
        };
        let to = match to {
            Address::Chat(ChatId::COMMON) => Recipients::Everyone,
            Address::Chat(chat) => these(self.members(chat)),
            Address::User(peer) if peer == from => these([from].into()),
            Address::User(peer) => these([from, peer].into()),
        };
        self.live.push(Live::new(to, event));
    }

    /// Erases rows of the feature's own.
    pub fn erase<F: Feature>(&mut self, ids: Vec<Id>) -> Result<(), Problem> {
        for id in &ids {
            if self.row::<F>(*id)?.is_none() {
                return Err(fault(F::NAME, &format!("row {id} is not its own")));
            }
        }
        self.core(&Fact::Erased { ids }, Audience::Nobody)
            .map(|_| ())
    }

    pub(crate) fn core(&mut self, fact: &Fact, audience: Audience) -> Result<Pos, Problem> {
        self.core_with(fact, audience, None)
    }

    /// The same with a text that can be erased.
    pub(crate) fn core_with(
        &mut self,
        fact: &Fact,
        audience: Audience,
        text: Option<String>,
    ) -> Result<Pos, Problem> {
        let record = self.core_record(fact, audience)?;
        let pos = record.pos;
        let contents = Contents {
            text,
            held: Vec::new(),
        };
        self.records.push((record, contents));
        Ok(pos)
    }

    fn held(&self, rows: &[Id]) -> Result<Vec<Row>, Problem> {
        let rows = rows.iter().map(|id| self.log.row(*id));
        let rows = rows.collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|error| internal("a look-up", &error))?;
        Ok(rows.into_iter().flatten().collect())
    }

    pub(crate) fn key(&self, user: UserId, key: &str) -> Result<Option<Kept>, LogError> {
        self.log
            .key(user, key, self.now().minus(crate::log::sqlite::KEY_LIFE))
    }

    /// A message that is to be removed.
    pub(crate) fn going(&self, id: Id) -> Result<Option<Going>, Problem> {
        let going = self.log.going(id);
        going.map_err(|error| internal("a look-up", &error))
    }

    /// Does what an administrator asks for, and has `record` record what came of it; of what was
    /// refused nothing else is recorded.
    pub(crate) fn administer(
        &mut self,
        decide: impl FnOnce(&mut Self) -> Result<Answer, Problem>,
        record: impl FnOnce(&mut Self, u16) -> Result<(), Problem>,
    ) -> Result<Answer, Problem> {
        let answer = guarded(|| decide(self)).unwrap_or_else(|refusal| {
            self.records.clear();
            self.live.clear();
            Answer::refused(&refusal)
        });
        record(self, answer.status.as_u16())?;
        Ok(answer)
    }

    pub(crate) fn message_row(&self, id: Id) -> Result<Option<MessageRow>, LogError> {
        self.log.message(id)
    }

    pub(crate) fn features(&self) -> &'a Features {
        self.features
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        Outcome {
            records: self.records,
            live: self.live,
        }
    }

    /// The private chat of two users, opened now if need be.
    fn open(&mut self, one: UserId, other: UserId) -> Result<ChatId, Problem> {
        if let Some(chat) = self.view.world().chat.private(one, other) {
            return Ok(chat);
        }
        let pair = [one.min(other), one.max(other)];
        self.core(&Fact::Opened { pair }, Audience::Nobody)
            .map(ChatId)
    }

    fn core_record(&self, fact: &Fact, audience: Audience) -> Result<Record, Problem> {
        Ok(Record {
            pos: self.next_pos(),
            at: self.now(),
            owner: CORE.to_owned(),
            fact: to_raw_value(fact).map_err(|error| internal(CORE, &error))?,
            by: self.by,
            audience,
            riders: Default::default(),
            row: None,
            object: None,
            holds: Vec::new(),
            text: false,
        })
    }

    fn next_pos(&self) -> Pos {
        self.next + self.records.len() as Pos
    }
}
