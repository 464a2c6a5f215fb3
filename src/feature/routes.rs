//! Paths: how a feature (and the core) declares them, and what their handlers get.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use super::admin::Command;
use super::{Ask, Feature, Fixed, Visit, parse_json, parse_query};
use crate::bus::{Answer, Decide, Tx, fault};
use crate::chat;
use crate::http::{Params, Problem, Request, Response};
use crate::log::{ClientId, Id, UserId};
use crate::openapi::schemas::MessageView;
use crate::server::Core;

/// A future in a box.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes a decision from a request's parts; an error is the body's.
pub(crate) type Prepare =
    Arc<dyn Fn(Call, &Bytes) -> Result<crate::bus::Decide, Problem> + Send + Sync>;

/// The same from a path's parts and a body alone: nobody is known to have asked.
pub(crate) type PrepareOpen =
    Arc<dyn Fn(Params, &Bytes) -> Result<crate::bus::Decide, Problem> + Send + Sync>;

/// Answers a request without the writer, or with it when it chooses.
pub(crate) type Handler =
    Arc<dyn Fn(Arc<Core>, Option<Call>, Request) -> Boxed<Result<Response, Problem>> + Send + Sync>;

/// Finds the fixed content of a path by its parameters.
pub(crate) type Find = Arc<dyn Fn(&Params) -> Option<&'static Fixed> + Send + Sync>;

/// One path with one method.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) about: &'static str,
    pub(crate) body: Option<MakeSchema>,
    /// Whether the body may be left away.
    pub(crate) body_optional: bool,
    /// Whether its body becomes a draft, and takes the fields that checks read.
    pub(crate) drafts: bool,
    pub(crate) query: Option<MakeSchema>,
    pub(crate) returns: Vec<(u16, &'static str, Option<MakeSchema>)>,
    /// Whether it is answered without a token.
    pub(crate) open: bool,
    /// Whether it can be answered as a stream of events.
    pub(crate) streams: bool,
    /// Whether its answer is a file.
    pub(crate) downloads: bool,
    pub(crate) run: Run,
}

/// A field that a feature adds to what others declare.
pub(crate) struct Field {
    /// What it is added to.
    pub(crate) of: Owner,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) schema: MakeSchema,
}

/// What has fields that features add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A schema, by its name.
    Schema(&'static str),
    /// Each body that becomes a draft.
    Drafts,
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
    /// Its body, a file, is read beside the writer, which then decides.
    Upload { receive: Handler, keep: Prepare },
    /// It has the writer decide for whoever knows the path.
    Open(PrepareOpen),
    /// Anyone is answered with fixed content.
    Fixed(Find),
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

/// All that a feature declares to be asked for.
pub(crate) struct Parts {
    pub(crate) routes: Vec<Route>,
    /// What it adds to what others declare.
    pub(crate) fields: Vec<Field>,
    /// The commands of `veche admin`.
    pub(crate) commands: Vec<Command>,
}

/// The paths of a feature, in the making.
pub struct Routes<F> {
    routes: Vec<Route>,
    fields: Vec<Field>,
    pub(super) commands: Vec<Command>,
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
            commands: Vec::new(),
            feature: PhantomData,
        }
    }

    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            routes: self.routes,
            fields: self.fields,
            commands: self.commands,
        }
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
            drafts: false,
            query: None,
            returns: Vec::new(),
            open: false,
            streams: false,
            downloads: false,
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

    /// The last path's body becomes a draft: it takes the fields that features declare by
    /// [`Routes::draft_field`], too.
    #[must_use]
    pub fn drafts(self) -> Self {
        self.last(|route| route.drafts = true)
    }

    /// Says that the last path is answered with a message ([`Tx::reword`]).
    #[must_use]
    pub fn returns_message(self, status: u16, about: &'static str) -> Self {
        self.returns::<MessageView>(status, about)
    }

    /// Says that the last path is answered with a file ([`Ask::serve`]).
    #[must_use]
    pub fn returns_file(self, about: &'static str) -> Self {
        self.last(|route| route.downloads = true)
            .returns_nothing(200, about)
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

    /// Says that [`Feature::check`] reads a field of what is posted ([`Draft::field`]).
    ///
    /// [`Draft::field`]: crate::bus::Draft::field
    #[must_use]
    pub fn draft_field<T: JsonSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        self.fields.push(Field {
            of: Owner::Drafts,
            name,
            about,
            schema: SchemaGenerator::subschema_for::<T>,
        });
        self
    }

    /// Says that [`Feature::show`] adds a part to the user's own view of themselves.
    #[must_use]
    pub fn user_part<T: JsonSchema>(self, about: &'static str) -> Self {
        self.field::<T>("Self", F::NAME, about)
    }

    /// Says that [`Feature::show`] adds a part to the server's view: what its settings allow.
    #[must_use]
    pub fn server_part<T: JsonSchema>(self, about: &'static str) -> Self {
        self.field::<T>("Server", F::NAME, about)
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
            of: Owner::Schema(of),
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
            Ok(decide_on(move |feature, tx| {
                decide(feature, tx, &call, &body)
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
            Ok(decide_on(move |feature, tx| decide(feature, tx, &call)))
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
        let handler = beside(answer);
        self.add(Method::GET, path, about, Run::Read(handler))
            .query::<Q>()
    }

    /// A GET (and HEAD) that needs no token, answered with content that is the same for everyone.
    /// `find` gets the path's parameters; what it does not find is 404.
    #[must_use]
    pub fn fixed(
        self,
        path: &'static str,
        about: &'static str,
        find: impl Fn(&Params) -> Option<&'static Fixed> + Send + Sync + 'static,
    ) -> Self {
        self.add(Method::GET, path, about, Run::Fixed(Arc::new(find)))
            .open()
            .returns_nothing(200, "The content")
            .returns_nothing(304, "It is still what `If-None-Match` names")
    }

    /// A GET (and HEAD) that needs no client's token: who is answered, and what, is up to `answer`.
    #[must_use]
    pub fn open_get<Fut>(
        self,
        path: &'static str,
        about: &'static str,
        answer: impl Fn(Visit<F>) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let handler: Handler = Arc::new(move |core, _, request| {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                let visit = Visit::new(core, &request);
                Ok(crate::server::respond(answer(visit).await?))
            })
        });
        self.add(Method::GET, path, about, Run::Read(handler))
            .open()
    }
}

impl<F: Feature> Routes<F> {
    /// A POST that needs no client's token, decided on the writer: who may ask is told by what the path
    /// says ([`Params`]). The body comes as it is, whatever its type. What `decide` does not find, 404,
    /// counts as a guess of the address that it came from.
    #[must_use]
    pub fn open_post(
        self,
        path: &'static str,
        about: &'static str,
        decide: impl Fn(&F, &mut Tx<'_>, &Params, &[u8]) -> Result<Answer, Problem>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let decide = Arc::new(decide);
        let prepare: PrepareOpen = Arc::new(move |params, body| {
            let (decide, body) = (Arc::clone(&decide), body.clone());
            Ok(decide_on(move |feature, tx| {
                decide(feature, tx, &params, &body)
            }))
        });
        self.add(Method::POST, path, about, Run::Open(prepare))
            .open()
    }
}

/// Answers a request beside the writer.
fn beside<F, Q, Fut>(answer: impl Fn(Ask<F>, Q) -> Fut + Send + Sync + 'static) -> Handler
where
    F: Feature,
    Q: DeserializeOwned + Send + 'static,
    Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
{
    let answer = Arc::new(answer);
    Arc::new(move |core, call, request| {
        let answer = Arc::clone(&answer);
        Box::pin(async move {
            let query = parse_query(request.uri().query())?;
            let call = call.ok_or_else(crate::server::unauthorized)?;
            let (parts, _) = request.into_parts();
            let ask = Ask::new(core, call, parts);
            Ok(crate::server::respond(answer(ask, query).await?))
        })
    })
}

/// A decision of a feature as the writer runs it.
pub(super) fn decide_on<F: Feature>(
    decide: impl Fn(&F, &mut Tx<'_>) -> Result<Answer, Problem> + Send + 'static,
) -> Decide {
    Box::new(move |tx| decide(&*feature::<F>(tx)?, tx))
}

fn feature<F: Feature>(tx: &Tx<'_>) -> Result<Arc<F>, Problem> {
    tx.features()
        .get::<F>()
        .ok_or_else(|| fault(F::NAME, "its path was asked while it is off"))
}
