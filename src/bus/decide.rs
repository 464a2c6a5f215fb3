//! Deciding one command: who asks, whether it is a repeat, and what is kept of its answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{HeaderName, HeaderValue, StatusCode};

use super::{Answer, Body, Command, KeySpec, Tx, fault, internal};
use crate::chat::Fact;
use crate::http::Problem;
use crate::log::{Audience, KeptAnswer, UserId};

/// Decides a command; what it records is in `tx` afterwards.
pub(super) fn decide(tx: &mut Tx<'_>, command: &Command) -> Result<Answer, Problem> {
    let Some((user, client)) = command.by else {
        return (command.decide)(tx);
    };
    // Its client may have ended while the request waited.
    if tx.world().chat.client(client).is_none() {
        return Err(crate::server::unauthorized());
    }
    let Some(key) = &command.key else {
        return (command.decide)(tx);
    };
    if let Some(answer) = replay(tx, user, key)? {
        return Ok(answer);
    }
    let answer = (command.decide)(tx)?;
    let fact = Fact::Keyed {
        user,
        key: key.key.clone(),
        digest: key.digest.clone(),
        made: answer.made,
    };
    let kept = serde_json::to_string(&keep(&answer)).map_err(|error| internal("a key", &error))?;
    tx.core_with(&fact, Audience::Nobody, Some(kept))?;
    Ok(answer)
}

/// Runs a decision; a panic in it, which can only be a fault of a feature's code, is one failed
/// request: a decision changes nothing until it is applied.
pub(super) fn guarded<T>(decide: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(decide))
        .unwrap_or_else(|_| Err(fault("a decision", "it panicked")))
}

/// The answer that was given before under this key.
fn replay(tx: &Tx<'_>, user: UserId, key: &KeySpec) -> Result<Option<Answer>, Problem> {
    let kept = tx
        .key(user, &key.key)
        .map_err(|error| internal("an idempotency key", &error))?;
    let Some((digest, kept)) = kept else {
        return Ok(None);
    };
    if digest != key.digest {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key_reused",
            "this Idempotency-Key was used for another request",
        ));
    }
    let Some(kept) = kept else {
        return Err(Problem::new(
            StatusCode::GONE,
            "gone",
            "this request succeeded, but what it made is gone meanwhile",
        ));
    };
    let mut answer = Answer {
        status: StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK),
        headers: Default::default(),
        body: kept.body.map_or(Body::None, Body::Json),
        made: kept.made,
        content: None,
        delivers: Vec::new(),
    };
    for (name, value) in &kept.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            answer.headers.append(name, value);
        }
    }
    Ok(Some(answer.header("idempotency-replayed", "true")))
}

/// What is kept of an answer.
fn keep(answer: &Answer) -> KeptAnswer {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    KeptAnswer {
        status: answer.status.as_u16(),
        headers: answer
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
            .collect(),
        body: answer.body.value().cloned(),
        made: answer.made,
    }
}
