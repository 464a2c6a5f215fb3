//! What a handler beside the writer reaches.

use std::marker::PhantomData;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Call, Feature, Named};
use crate::bus::{Answer, Content, Tx, View, fault, internal};
use crate::chat::{invalid, not_found, show};
use crate::http::{Problem, Selected, select};
use crate::log::{Found, Id, MessageRow, Row, UserId, Wanted, unless_damaged};
use crate::objects::{NewObject, Store, damaged};
use crate::server::{Core, idempotency_key};

/// A request being answered beside the writer.
pub struct Ask<F> {
    core: Arc<Core>,
    /// The request.
    pub call: Call,
    parts: Parts,
    feature: PhantomData<fn() -> F>,
}

impl<F: Feature> Ask<F> {
    pub(crate) fn new(core: Arc<Core>, call: Call, parts: Parts) -> Self {
        Self {
            core,
            call,
            parts,
            feature: PhantomData,
        }
    }

    /// The request's header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The feature itself.
    pub fn feature(&self) -> Result<Arc<F>, Problem> {
        let feature = self.core.features.get::<F>();
        feature.ok_or_else(|| fault(F::NAME, "its path was asked while it is off"))
    }

    /// Reads the world; the answer waits until what was seen is durable.
    pub async fn view<T>(&self, look: impl Fn(&View<'_>) -> T) -> Result<T, Problem> {
        self.core.bus.read(look).await
    }

    /// A message that the asking user may see; 404 otherwise, as if it did not exist.
    pub async fn message(&self, id: Id) -> Result<MessageRow, Problem> {
        self.core.message(id, self.call.user).await
    }

    /// Those of some messages that there are, whoever may see them: [`hand_out`](Self::hand_out)
    /// leaves out what the asking user does not. The log names those that are damaged.
    pub async fn messages(&self, ids: Vec<Id>) -> Result<Vec<MessageRow>, Problem> {
        let read = self.core.reader.read(move |r| {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.extend(unless_damaged(r.message(id, |_| true))?);
            }
            Ok(rows)
        });
        read.await.map_err(|error| internal(F::NAME, &error))
    }

    /// One of the feature's own rows.
    pub async fn row(&self, id: Id) -> Result<Option<Row>, Problem> {
        let read = self.core.reader.read(move |r| r.row(id)).await;
        let row = read.map_err(|error| internal(F::NAME, &error))?;
        Ok(row.filter(|row| row.owner == F::NAME))
    }

    /// The feature's row of an object.
    pub async fn row_of(&self, object: Uuid) -> Result<Option<Row>, Problem> {
        let read = self.core.reader.read(move |r| r.row_of(object)).await;
        let row = read.map_err(|error| internal(F::NAME, &error))?;
        Ok(row.filter(|row| row.owner == F::NAME))
    }

    /// The feature's rows beside a message after an id, oldest first, and whether there are more.
    pub async fn rows(
        &self,
        message: Id,
        after: Id,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), Problem> {
        let read = self
            .core
            .reader
            .read(move |r| r.rows(<F as Named>::NAME, message, after, limit));
        read.await.map_err(|error| internal(F::NAME, &error))
    }

    /// Who has marked a message ([`Entry::mark`](crate::bus::Entry::mark)), with what or with one
    /// `text`: the feature's rows after an id, oldest first, and whether there are more.
    pub async fn marks(
        &self,
        message: Id,
        text: Option<String>,
        after: Id,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), Problem> {
        let read = self.core.reader.read(move |r| {
            let text = text.as_deref();
            r.marks(<F as Named>::NAME, message, text, after, limit)
        });
        read.await.map_err(|error| internal(F::NAME, &error))
    }

    /// Whether a user sees a message that holds a row.
    pub async fn sees_holder(&self, row: Id, user: UserId) -> Result<bool, Problem> {
        let chats = self.view(|view| view.seen_by(user)).await?;
        let read = self.core.reader.read(move |r| r.is_held_in(row, &chats));
        read.await.map_err(|error| internal(F::NAME, &error))
    }

    /// Those of a request's fields that some check reads now: what others are shown of it.
    pub fn read_by_checks(&self, more: &Map<String, Value>) -> Map<String, Value> {
        self.core.features.read(more)
    }

    /// Messages in which words stand that the asking user may see now, the newest first. The chats
    /// that are wanted are among those of [`View::seen_by`]; the feature says with
    /// [`Feature::searches`] that it asks. One is answered at a time: 503 `overloaded` where too many
    /// wait, or too many of one user's.
    pub async fn find(&self, wanted: Wanted) -> Result<Found, Problem> {
        let turn = self.core.searches.enter(Some(self.call.user)).await?;
        let read = self.core.reader.read(move |r| {
            let _turn = turn;
            r.find(&wanted)
        });
        let read = read.await;
        read.map_err(|error| internal(F::NAME, &error))
    }

    /// Answers 200 with messages, as the asking user sees them, in a body that `write` makes of
    /// them. Those are left out that they no longer see; the others are delivered with it.
    pub async fn hand_out(
        &self,
        rows: &[MessageRow],
        write: impl FnOnce(Vec<(&MessageRow, Value)>) -> Value,
    ) -> Result<Answer, Problem> {
        let shown = show(&self.core, self.call.user, rows).await?;
        let both = rows.iter().zip(shown.messages);
        let seen = both.filter(|(_, message)| !message.is_null()).collect();
        Ok(Answer::ok(write(seen)).delivers(shown.delivers))
    }

    /// Has the writer judge something, as it is now: nothing is recorded. A repeat under an
    /// idempotency key passes: it was judged when it first came, and gets its answer again.
    pub async fn judge(
        &self,
        judge: impl Fn(&Tx<'_>, &Call) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let call = self.call.clone();
        let by = Some((call.user, call.client));
        let key = idempotency_key(&self.parts.method, &self.parts.headers)?;
        let decide = Box::new(move |tx: &mut Tx<'_>| {
            let kept = match &key {
                Some(key) => tx.key(call.user, key),
                None => Ok(None),
            };
            let kept = kept.map_err(|error| internal("an idempotency key", &error))?;
            if kept.is_none() {
                judge(tx, &call)?;
            }
            Ok(Answer::no_content())
        });
        self.core.bus.submit(by, None, decide).await.map(drop)
    }

    /// Begins an object in the feature's store ([`Feature::objects`]).
    pub async fn new_object(&self) -> Result<NewObject, Problem> {
        NewObject::begin(self.store()?).await
    }

    /// An object as this request asks for it: all of it, a range (206), or none (304, 412, 416),
    /// by RFC 9110, sections 13 and 14. `etag` is the strong one, quotes included.
    pub async fn serve(&self, object: Uuid, etag: &str, size: u64) -> Result<Answer, Problem> {
        let parts = &self.parts;
        let mut object = match self.store()?.stored(object, size).await? {
            Some(object) => object,
            // It went while it was asked for.
            None if self.row_of(object).await?.is_none() => {
                return Err(not_found("it was removed a moment ago"));
            }
            None => return Err(damaged(object, "it is missing")),
        };
        let tag = HeaderValue::from_str(etag).map_err(|error| internal(F::NAME, &error))?;
        let answer = match select(&parts.method, &parts.headers, etag, size) {
            Selected::Whole => {
                object.verify_begin(&(0..size)).await?;
                let range = 0..size;
                Answer::content(StatusCode::OK, Content { object, range })
            }
            Selected::Part(range) => {
                let of = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                object.verify_begin(&range).await?;
                Answer::content(StatusCode::PARTIAL_CONTENT, Content { object, range })
                    .header("content-range", &of)
            }
            Selected::NotModified => Answer::not_modified(),
            Selected::Failed => return Err(Problem::outdated()),
            Selected::Unsatisfiable => {
                let detail = format!("it has {size} bytes, and none in this range");
                let of = HeaderValue::from_str(&format!("bytes */{size}"))
                    .map_err(|error| internal(F::NAME, &error))?;
                return Err(Problem::new(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "range_not_satisfiable",
                    detail,
                )
                .header(http::header::CONTENT_RANGE, of));
            }
        };
        Ok(answer
            .header("etag", tag.to_str().unwrap_or_default())
            .header("accept-ranges", "bytes"))
    }

    pub(super) fn store(&self) -> Result<&Store, Problem> {
        let store = self.core.stores.get(F::NAME);
        store.ok_or_else(|| fault(F::NAME, "it has no store of objects"))
    }
}

/// The query of a path that takes none.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub struct NoQuery {}

/// Which part of a list: `?after=ID&limit=`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub struct Paging {
    /// What follows this id; the beginning without it.
    #[serde(default)]
    pub after: Option<Id>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

impl Paging {
    /// The limit in force.
    pub fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }
}

/// A page's limit: 50 by default, at most 200 (more is taken as 200).
pub(crate) fn limit(asked: Option<u64>) -> Result<usize, Problem> {
    match asked {
        None => Ok(50),
        Some(0) => Err(invalid("limit", "`limit` is 1 to 200")),
        Some(limit) => Ok(usize::try_from(limit.min(200)).unwrap_or(200)),
    }
}
