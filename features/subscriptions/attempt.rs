//! One attempt to post one message.

use veche::prelude::*;

use super::Subscriptions;
use super::letter::{Letter, Secrets};
use super::state::Why;

/// What came of an attempt.
pub enum Outcome {
    /// The program has all up to this message.
    Reached {
        /// Which.
        upto: Id,
        /// Whether it had failed before.
        recovers: bool,
    },
    /// It has not.
    Failed {
        /// Why not.
        why: Why,
        /// How long it wants to be left alone.
        asked: Option<Period>,
    },
    /// It was not to be posted any more.
    Dropped,
}

/// Posts the next message of a subscription.
pub async fn attempt(
    feature: &Subscriptions,
    site: &Site<Subscriptions>,
    id: Id,
    reached: Option<Id>,
) -> Result<Outcome, Problem> {
    let find = |view: &View<'_>| {
        let one = view.state::<Subscriptions>().get(id)?;
        let chat = one.place.chat(view, one.by)?;
        Some((one.clone(), chat, view.chat(chat)?.last))
    };
    let Some((one, chat, last)) = site.view(find).await?.filter(|(one, _, _)| !one.is_off()) else {
        return Ok(Outcome::Dropped);
    };
    let recovers = one.failure.is_some();
    let upto = reached.map_or(one.upto, |reached| reached.max(one.upto));
    let next = site.messages(one.by, chat, upto, 1).await?.pop();
    let Some((row, message)) = next else {
        // What there was has gone, unless its reader has.
        let is_there = site.view(|view| one.place.chat(view, one.by).is_some());
        return Ok(match is_there.await? {
            true => Outcome::Reached {
                upto: last,
                recovers,
            },
            false => Outcome::Dropped,
        });
    };
    let failed = |why| Ok(Outcome::Failed { why, asked: None });
    let secrets = async |row| {
        let row = site.row(row).await?;
        Ok::<_, Problem>(row.and_then(|row| Secrets::read(&row.text?)))
    };
    let Some(Secrets { url, secret }) = secrets(one.row(id)).await? else {
        return failed(Why::Internal);
    };
    // It was one when it was made; what is allowed may be less by now.
    let Ok(callee) = feature.caller.callee(&url) else {
        return failed(Why::Call(CallError::Private));
    };
    let letter = Letter::new(row.id, row.at, &message);
    let now = site.view(|view| view.now()).await?;
    // One that has gone meanwhile signs no more.
    let before = match one.before.filter(|(_, until)| now < *until) {
        Some((row, _)) => secrets(row).await?.map(|before| before.secret),
        None => None,
    };
    let signs: Vec<&str> = [Some(&secret), before.as_ref()]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let Some(headers) = letter.headers(&signs, now) else {
        return failed(Why::Internal);
    };
    match feature
        .caller
        .post_json(&callee, headers, letter.json)
        .await
    {
        Ok(called) if called.status.is_success() => {
            site.handed(one.by, &row);
            Ok(Outcome::Reached {
                upto: row.id,
                recovers,
            })
        }
        Ok(called) => Ok(Outcome::Failed {
            why: Why::Status(called.status.as_u16()),
            asked: called.retry_after(),
        }),
        Err(error) => failed(Why::Call(error)),
    }
}
