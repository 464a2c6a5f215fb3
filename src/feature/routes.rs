//! Paths: how a feature (and the core) declares them, and what their handlers get.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Feature, Named};
use crate::bus::{Answer, Tx, View, fault, internal};
use crate::chat::{self, invalid};
use crate::http::{Params, Problem, Request, Response};
use crate::log::{ClientId, Id, MessageRow, Row, UserId};
use crate::server::Core;

/// A future in a box.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes a decision from a request's parts; an error is the body's.
pub(crate) type Prepare =
    Arc<dyn Fn(Call, &Bytes) -> Result<crate::bus::Decide, Problem> + Send + Sync>;

/// Answers a request without the writer, or with it when it chooses.
pub(crate) type Handler =
    Arc<dyn Fn(Arc<Core>, Option<Call>, Request) -> Boxed<Result<Response, Problem>> + Send + Sync>;

/// One path with one method.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) about: &'static str,
    pub(crate) body: Option<MakeSchema>,
    /// Whether the body may be left away.
    pub(crate) body_optional: bool,
    pub(crate) query: Option<MakeSchema>,
    pub(crate) returns: Vec<(u16, &'static str, Option<MakeSchema>)>,
    /// Whether it is answered without a token.
    pub(crate) open: bool,
    /// Whether it can be answered as a stream of events.
    pub(crate) streams: bool,
    pub(crate) run: Run,
}

/// A field that a feature adds to what others declare.
pub(crate) struct Field {
    /// The schema that it is added to.
    pub(crate) of: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) schema: MakeSchema,
}

/// Makes the JSON schema of a type.
pub(crate) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What a path does.
#[derive(Clone)]
pub(crate) enum Run {
    /// It has the writer decide.
    Write(Prepare),
    /// It is answered beside the writer.
    Read(Handler),
}

/// A user's request, as a handler sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks.
    pub user: UserId,
    pub(crate) client: ClientId,
    pub(crate) params: Params,
}

impl Call {
    /// A part of the path, percent-decoded; empty where the path has no such part.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// A part of the path that is an id; what can't be one is 404, as an unknown one.
    pub fn id(&self, name: &str) -> Result<Id, Problem> {
        let digits = self.param(name);
        let id = digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())
            .flatten();
        id.ok_or_else(chat::no_message)
    }
}

/// The paths of a feature, in the making.
pub struct Routes<F> {
    routes: Vec<Route>,
    fields: Vec<Field>,
    feature: PhantomData<fn() -> F>,
}

impl<F> Default for Routes<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Routes<F> {
    /// None yet.
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            fields: Vec::new(),
            feature: PhantomData,
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<Route>, Vec<Field>) {
        (self.routes, self.fields)
    }

    pub(crate) fn add(
        mut self,
        method: Method,
        path: &'static str,
        about: &'static str,
        run: Run,
    ) -> Self {
        self.routes.push(Route {
            method,
            path,
            about,
            body: None,
            body_optional: false,
            query: None,
            returns: Vec::new(),
            open: false,
            streams: false,
            run,
        });
        self
    }

    /// Says what the last path returns, for the API's description.
    #[must_use]
    pub fn returns<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, Some(SchemaGenerator::subschema_for::<T>))
    }

    /// Says that the last path returns `status` without a body.
    #[must_use]
    pub fn returns_nothing(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, None)
    }

    /// The last path's body may be left away, which is `{}`.
    #[must_use]
    pub fn body_optional(self) -> Self {
        self.last(|route| route.body_optional = true)
    }

    pub(crate) fn streams(self) -> Self {
        self.last(|route| route.streams = true)
    }

    pub(crate) fn body<B: JsonSchema>(self) -> Self {
        self.last(|route| route.body = Some(SchemaGenerator::subschema_for::<B>))
    }

    pub(crate) fn query<Q: JsonSchema>(self) -> Self {
        self.last(|route| route.query = Some(SchemaGenerator::subschema_for::<Q>))
    }

    pub(crate) fn open(self) -> Self {
        self.last(|route| route.open = true)
    }

    fn answer(self, status: u16, about: &'static str, schema: Option<MakeSchema>) -> Self {
        self.last(|route| route.returns.push((status, about, schema)))
    }

    fn last(mut self, change: impl FnOnce(&mut Route)) -> Self {
        if let Some(route) = self.routes.last_mut() {
            change(route);
        }
        self
    }
}

impl<F: Feature> Routes<F> {
    /// Says that [`Feature::show`] adds a field to messages, for the API's description.
    #[must_use]
    pub fn message_field<T: JsonSchema>(self, name: &'static str, about: &'static str) -> Self {
        self.field::<T>("Message", name, about)
    }

    /// Says that [`Feature::show`] adds a part to the user's own view of themselves.
    #[must_use]
    pub fn user_part<T: JsonSchema>(self, about: &'static str) -> Self {
        self.field::<T>("Self", F::NAME, about)
    }

    /// Says that [`Feature::show`] adds a part to chats.
    #[must_use]
    pub fn chat_part<T: JsonSchema>(self, about: &'static str) -> Self {
        self.field::<T>("Chat", F::NAME, about)
    }

    fn field<T: JsonSchema>(
        mut self,
        of: &'static str,
        name: &'static str,
        about: &'static str,
    ) -> Self {
        let schema = SchemaGenerator::subschema_for::<T>;
        self.fields.push(Field {
            of,
            name,
            about,
            schema,
        });
        self
    }

    /// A POST with a JSON body, decided on the writer. `decide` may be run again: it changes
    /// nothing but what it records.
    #[must_use]
    pub fn post<B>(
        self,
        path: &'static str,
        about: &'static str,
        decide: impl Fn(&F, &mut Tx<'_>, &Call, &B) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + Sync + 'static,
    {
        let decide = Arc::new(decide);
        let prepare: Prepare = Arc::new(move |call, bytes| {
            let body: B = parse_json(bytes)?;
            let decide = Arc::clone(&decide);
            Ok(Box::new(move |tx| {
                decide(&*feature::<F>(tx)?, tx, &call, &body)
            }))
        });
        self.add(Method::POST, path, about, Run::Write(prepare))
            .body::<B>()
    }

    /// A DELETE, decided on the writer.
    #[must_use]
    pub fn delete(
        self,
        path: &'static str,
        about: &'static str,
        decide: impl Fn(&F, &mut Tx<'_>, &Call) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Self {
        let decide = Arc::new(decide);
        let prepare: Prepare = Arc::new(move |call, _| {
            let decide = Arc::clone(&decide);
            Ok(Box::new(move |tx| decide(&*feature::<F>(tx)?, tx, &call)))
        });
        self.add(Method::DELETE, path, about, Run::Write(prepare))
    }

    /// A GET (and HEAD), answered beside the writer from what is durable.
    #[must_use]
    pub fn get<Q, Fut>(
        self,
        path: &'static str,
        about: &'static str,
        answer: impl Fn(Ask<F>, Q) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let handler: Handler = Arc::new(move |core, call, request| {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                let query = parse_query(request.uri().query())?;
                let call = call.ok_or_else(crate::server::unauthorized)?;
                let ask = Ask {
                    core,
                    call,
                    feature: PhantomData,
                };
                Ok(crate::server::respond(answer(ask, query).await?))
            })
        });
        self.add(Method::GET, path, about, Run::Read(handler))
            .query::<Q>()
    }
}

fn feature<F: Feature>(tx: &Tx<'_>) -> Result<Arc<F>, Problem> {
    tx.features()
        .get::<F>()
        .ok_or_else(|| fault(F::NAME, "its path was asked while it is off"))
}

/// A request being answered beside the writer.
pub struct Ask<F> {
    core: Arc<Core>,
    /// The request.
    pub call: Call,
    feature: PhantomData<fn() -> F>,
}

impl<F: Feature> Ask<F> {
    /// Reads the world; the answer waits until what was seen is durable.
    pub async fn view<T>(&self, look: impl Fn(&View<'_>) -> T) -> Result<T, Problem> {
        self.core.bus.read(look).await
    }

    /// A message that the asking user may see; 404 otherwise, as if it did not exist.
    pub async fn message(&self, id: Id) -> Result<MessageRow, Problem> {
        self.core.message(id, self.call.user).await
    }

    /// One of the feature's own rows.
    pub async fn row(&self, id: Id) -> Result<Option<Row>, Problem> {
        let read = self.core.reader.read(move |r| r.row(id)).await;
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

/// How deep arrays and objects may lie in each other, those in ignored fields included.
const DEPTH: usize = 64;

/// How deep arrays and objects lie in each other at most. What is no JSON has some depth, too.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Reads a JSON body: 400 `malformed` where it is no JSON, 422 `invalid` naming the field where
/// it is of the wrong type. Unknown fields are ignored.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
    if depth(bytes) > DEPTH {
        return Err(malformed(format!(
            "the body is nested more than {DEPTH} deep"
        )));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(malformed(format!("the body is not UTF-8: {error}")));
    }
    if !bytes.trim_ascii_start().starts_with(b"{") {
        // A list of a struct's values would pass for the struct.
        return Err(
            match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                Ok(_) => invalid("body", "the body must be a JSON object"),
                Err(error) => malformed(format!("the body is not JSON: {error}")),
            },
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    match parsed {
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(malformed(format!("the body is not JSON: {error}"))),
        },
        Err(error) => {
            let said = error.inner();
            if said.is_syntax() || said.is_eof() {
                return Err(malformed(format!("the body is not JSON: {said}")));
            }
            // A wrong type may come before what is no JSON at all.
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                return Err(malformed(format!("the body is not JSON: {error}")));
            }
            Err(wrong_type(&error))
        }
    }
}

/// Reads a query: 422 `invalid` naming the field where a value is of the wrong type.
pub fn parse_query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let pairs = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        if path == "." {
            return wrong_type(&error);
        }
        // In a query everything is text, so that only numbers can be wrong.
        invalid(&path, format!("`{path}` must be a whole number"))
    })
}

fn wrong_type<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Problem {
    let path = error.path().to_string();
    let said = error.inner().to_string();
    // The place in the text helps nobody: the field is named. Nor do the names of Rust's types.
    let said = said.split(" at line ").next().unwrap_or_default();
    let said = ["u64", "u32", "u16", "u8", "usize", "i64"]
        .iter()
        .find_map(|number| said.strip_suffix(&format!("expected {number}")))
        .map_or(said.to_owned(), |said| {
            format!("{said}expected a whole number")
        });
    if path == "." {
        // A missing field is its parent's error, with its name in the sentence.
        let field = said.split('`').nth(1).unwrap_or("body").to_owned();
        return invalid(&field, said);
    }
    invalid(&path, format!("`{path}`: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Send {
        to: String,
        #[serde(default)]
        count: Option<u8>,
    }

    fn refusal(body: &[u8]) -> (u16, String) {
        let problem = parse_json::<Send>(body).expect_err("a refusal");
        (
            problem.status.as_u16(),
            problem
                .members
                .get("field")
                .map_or("-".into(), |f| f.as_str().unwrap_or("?").into()),
        )
    }

    #[test]
    fn what_is_no_json_is_400_and_a_wrong_type_is_422_with_the_field() {
        for malformed in [
            &b"{"[..],
            b"",
            b"{\"to\":\"a\"} x",
            b"{\"to\": 5, ",
            b"\xff",
            b"{\"to\":\"\\ud800\"}",
        ] {
            assert_eq!(refusal(malformed), (400, "-".into()), "{malformed:?}");
        }
        assert_eq!(refusal(br#"{"to": 5}"#), (422, "to".into()));
        assert_eq!(
            refusal(br#"{"to": "a", "count": 300}"#),
            (422, "count".into())
        );
        assert_eq!(refusal(b"{}"), (422, "to".into()));
        for no_object in [&b"[]"[..], b"[\"common\", 1]", b"5", b"null", b" \"x\""] {
            assert_eq!(refusal(no_object), (422, "body".into()), "{no_object:?}");
        }
        assert!(parse_json::<Send>(br#"{"to": "a", "more": [1]}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| {
            format!(
                r#"{{"to": "a\"[[", "x": {}{}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            )
        };
        assert!(parse_json::<Send>(nested(DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(refusal(nested(DEPTH).as_bytes()).0, 400);
        assert_eq!(refusal("[".repeat(100_000).as_bytes()).0, 400);
    }

    #[test]
    fn a_query_names_its_wrong_field() {
        let problem = parse_query::<Paging>(Some("after=x&other=1")).expect_err("a refusal");
        assert_eq!(problem.members["field"], "after");
        assert!(parse_query::<Paging>(Some("other=1")).is_ok());
        assert!(parse_query::<Paging>(None).is_ok());
    }
}
