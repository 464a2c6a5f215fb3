//! The core's paths.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{admin, connect, events, posting, reading, status};
use crate::bus::{Answer, Decide, Tx};
use crate::feature::{
    Call, Handler, NoQuery, Parts, Prepare, Routes, Run, parse_json, parse_query,
};
use crate::http::{Problem, Request};
use crate::openapi::schemas::{
    Connected, EventPage, HealthView, MessagePage, MessageView, StatusView, UserPage,
};
use crate::server::{Core, health, respond, unauthorized};

/// What the core answers, and what it can be told by administrators.
pub(crate) fn routes() -> Parts {
    let routes = Routes::<()>::new()
        .add(
            Method::POST,
            "/connect",
            "Joins the common chat under a name, or comes back under it",
            Run::Read(Arc::new(|core, _, request| {
                Box::pin(connect::connect(core, request))
            })),
        )
        .body::<connect::Connect>()
        .open()
        .returns::<Connected>(201, "A new user's first client")
        .returns::<Connected>(200, "Another client of a known user")
        .write(
            "/disconnect",
            "Ends this client, another or every one of the user's",
            connect::disconnect,
        )
        .body_optional()
        .returns_nothing(204, "Its token is dead, its streams are closed")
        .read(
            "/status",
            "The server, oneself and one's chats",
            |core, call, _: NoQuery| status::status(core, call),
        )
        .returns::<StatusView>(200, "The overview")
        .read("/users", "Everyone, by name", |core, _, query| {
            reading::users(core, query)
        })
        .returns::<UserPage>(200, "Users in order of their names")
        .write("/send", "Posts a message", posting::send)
        .drafts()
        .returns::<MessageView>(201, "The message")
        .read("/messages", "A chat's history", reading::history)
        .returns::<MessagePage>(200, "Messages, oldest first")
        .read("/messages/{id}", "One message", |core, call, _: NoQuery| {
            reading::message(core, call)
        })
        .returns::<MessageView>(200, "The message")
        .read(
            "/unread",
            "All that is unread, in every chat or in one",
            reading::unread,
        )
        .returns::<MessagePage>(200, "Messages, oldest first")
        .write(
            "/read",
            "Moves the read mark of a chat, or of every one",
            posting::read,
        )
        .body_optional()
        .returns_nothing(204, "The mark is there, or was further already")
        .add(
            Method::GET,
            "/events",
            "Everything that happens, as Server-Sent Events or, for application/json, a long poll",
            Run::Read(Arc::new(|core, call, request| {
                Box::pin(async move {
                    events::events(core, call.ok_or_else(unauthorized)?, request).await
                })
            })),
        )
        .query::<events::Query>()
        .streams()
        .returns::<EventPage>(200, "The stream, or what a poll found")
        .add(
            Method::GET,
            "/healthz",
            "Whether the server takes writes",
            Run::Read(Arc::new(|core, _, _| {
                Box::pin(async move { health(&core) })
            })),
        )
        .open()
        .returns::<HealthView>(200, "It does")
        .add(
            Method::GET,
            "/openapi.json",
            "This description",
            Run::Read(Arc::new(|core, _, _| {
                Box::pin(async move { Ok(core.openapi()) })
            })),
        )
        .open()
        .returns::<serde_json::Value>(200, "OpenAPI 3.1");
    admin::commands(routes).into_parts()
}

impl Routes<()> {
    fn write<B>(
        self,
        path: &'static str,
        about: &'static str,
        decide: fn(&mut Tx<'_>, &Call, &B) -> Result<Answer, Problem>,
    ) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + Sync + 'static,
    {
        let prepare: Prepare = Arc::new(move |call: Call, bytes: &Bytes| {
            let body: B = parse_json(bytes)?;
            Ok(Box::new(move |tx: &mut Tx<'_>| decide(tx, &call, &body)) as Decide)
        });
        self.add(Method::POST, path, about, Run::Write(prepare))
            .body::<B>()
    }

    fn read<Q, Fut>(
        self,
        path: &'static str,
        about: &'static str,
        answer: impl Fn(Arc<Core>, Call, Q) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let handler: Handler = Arc::new(move |core, call, request: Request| {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                let query = parse_query(request.uri().query())?;
                let call = call.ok_or_else(unauthorized)?;
                Ok(respond(answer(core, call, query).await?))
            })
        });
        self.add(Method::GET, path, about, Run::Read(handler))
            .query::<Q>()
    }
}
