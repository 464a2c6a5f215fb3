//! Paths whose body is a file: read beside the writer, then decided like any command.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::routes::decide_on;
use super::{Ask, Call, Feature, Prepare, Routes, Run, parse_query};
use crate::bus::{Answer, KeySpec, Tx, internal};
use crate::http::{Problem, RequestId, Upload};
use crate::objects::{Object, Store};
use crate::server::{Asking, Core, digest, idempotency_key};

impl<F: Feature> Routes<F> {
    /// A POST whose body is a file, raw or the part `file` of a form. `receive` reads it beside the
    /// writer into an object ([`Ask::new_object`]), and gives that and what it found out about it.
    /// Then `keep` decides on the writer, as for [`Routes::post`]; it records the object's row with
    /// [`Entry::object`](crate::bus::Entry::object). Where it records none, because it refuses or
    /// because the request is a repeat, the object is deleted. Another request under the same
    /// idempotency key is the same where the same is found out about its object.
    #[must_use]
    pub fn upload<Q, B, Fut>(
        self,
        path: &'static str,
        about: &'static str,
        receive: impl Fn(Ask<F>, Q, Upload) -> Fut + Send + Sync + 'static,
        keep: impl Fn(&F, &mut Tx<'_>, &Call, &Object, &B) -> Result<Answer, Problem>
        + Send
        + Sync
        + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: Serialize + DeserializeOwned + Send + Sync + 'static,
        Fut: Future<Output = Result<(Object, B), Problem>> + Send + 'static,
    {
        let keep = Arc::new(keep);
        let keep: Prepare = Arc::new(move |call, bytes| {
            let read = serde_json::from_slice(bytes);
            let (object, found): (Object, B) = read.map_err(|error| internal(F::NAME, &error))?;
            let keep = Arc::clone(&keep);
            Ok(decide_on(move |feature: &F, tx| {
                keep(feature, tx, &call, &object, &found)
            }))
        });
        let receive = Arc::new(receive);
        let kept = Arc::clone(&keep);
        let handler: super::Handler = Arc::new(move |core, call, request| {
            let (receive, keep) = (Arc::clone(&receive), Arc::clone(&kept));
            Box::pin(async move {
                let query = parse_query(request.uri().query())?;
                let call = call.ok_or_else(crate::server::unauthorized)?;
                let (parts, body) = request.into_parts();
                let upload = Upload::new(&parts.headers, body)?;
                let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
                let key = idempotency_key(&method, &parts.headers)?;
                let ask = Ask::new(Arc::clone(&core), call.clone(), parts);
                let store = ask.store()?.clone();
                let (object, found) = receive(ask, query, upload).await?;
                let encoded = encode(&object, &found);
                let (same, body) = encoded.map_err(|error| internal(F::NAME, &error))?;
                let key = key.map(|key| KeySpec {
                    key,
                    digest: digest(&method, &path, &same),
                });
                // In a task of its own: whoever asks may go, and the object must be settled.
                let settled = tokio::spawn(RequestId::carry(async move {
                    let asking = Asking {
                        by: Some((call.user, call.client)),
                        method: &method,
                        path: &path,
                        key,
                        body: &body,
                    };
                    let answer = match keep(call, &body) {
                        Ok(decide) => core.decide(asking, decide).await,
                        Err(problem) => Err(problem),
                    };
                    settle(&core, &store, object.id, &answer).await;
                    answer
                }));
                let failed = |error: tokio::task::JoinError| internal(F::NAME, &error);
                let answer = settled.await.map_err(failed)?;
                answer.map(crate::server::respond)
            })
        });
        let receive = handler;
        self.add(Method::POST, path, about, Run::Upload { receive, keep })
            .query::<Q>()
    }
}

/// What makes another request the same, and what `keep` is given.
fn encode<B: Serialize>(object: &Object, found: &B) -> serde_json::Result<(Vec<u8>, Bytes)> {
    let same = serde_json::to_vec(found)?;
    let body = serde_json::to_vec(&(object, found))?;
    Ok((same, body.into()))
}

/// Deletes an object that no row came to name. Whether one did may not be known: while the server
/// stops, where the cluster's log is lost from sight or this node is behind it. Then a later start
/// finds out.
async fn settle(core: &Core, store: &Store, object: Uuid, answer: &Result<Answer, Problem>) {
    let is_unsettled =
        |problem: &Problem| ["stopping", "unknown_outcome"].contains(&&*problem.code);
    if answer.as_ref().is_err_and(is_unsettled) {
        return;
    }
    match core.names_object(object).await {
        Ok(Some(false)) => {
            if let Err(error) = store.delete(object).await {
                tracing::error!(%error, %object, "deleting what was not kept");
            }
        }
        Ok(_) => {}
        Err(problem) => tracing::error!(%problem, %object, "looking for an object's row"),
    }
}
