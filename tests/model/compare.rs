//! What was expected beside what came.

use std::collections::BTreeSet;

use serde_json::Value;
use veche::testing::{Event, Reply};

use crate::model::answer::Outcome;
use crate::model::events::{Events, Removed};

/// The headers that say something of the chat: each is there exactly when it is expected.
const HEADERS: [&str; 5] = [
    "idempotency-replayed",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
];

type Ids = Vec<Option<u64>>;

/// Whether JSON is what is expected; ids that were not known are learnt from it.
pub fn agree(ids: &mut Ids, expected: &Value, actual: &Value) -> Result<(), String> {
    at(ids, expected, actual, "")
}

fn at(ids: &mut Ids, expected: &Value, actual: &Value, path: &str) -> Result<(), String> {
    let differs = |what: &str| Err(format!("at `{path}`: expected {what}, came {actual}"));
    match (expected, actual) {
        (Value::Object(wanted), _) if wanted.keys().any(|key| key.starts_with('?')) => {
            if is_such(ids, wanted, actual) {
                Ok(())
            } else {
                differs(&expected.to_string())
            }
        }
        (Value::Object(wanted), Value::Object(came)) => {
            let keys =
                |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            if keys(wanted) != keys(came) {
                return differs(&expected.to_string());
            }
            wanted
                .iter()
                .try_for_each(|(key, value)| at(ids, value, &came[key], &format!("{path}.{key}")))
        }
        (Value::Array(wanted), Value::Array(came)) if wanted.len() == came.len() => {
            let mut pairs = wanted.iter().zip(came).enumerate();
            pairs.try_for_each(|(n, (wanted, came))| at(ids, wanted, came, &format!("{path}[{n}]")))
        }
        _ if expected == actual => Ok(()),
        _ => differs(&expected.to_string()),
    }
}

/// What is known of a value only in part.
fn is_such(ids: &mut Ids, wanted: &serde_json::Map<String, Value>, actual: &Value) -> bool {
    if let Some(moment) = wanted.get("?id") {
        let (Some(moment), Some(id)) = (moment.as_u64(), actual.as_u64()) else {
            return false;
        };
        return *ids[moment as usize].get_or_insert(id) == id;
    }
    if let Some(bounds) = wanted.get("?between") {
        let text = actual.as_str().unwrap_or_default();
        return bounds[0].as_str() <= Some(text) && Some(text) <= bounds[1].as_str();
    }
    if let Some(bounds) = wanted.get("?count") {
        let number = actual.as_u64();
        return bounds[0].as_u64() <= number && number <= bounds[1].as_u64();
    }
    !actual.is_null()
}

/// Ids only grow.
pub fn grow(ids: &Ids) -> Result<(), String> {
    let known: Vec<u64> = ids.iter().flatten().copied().collect();
    match known.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("the id {} came before {}", pair[0], pair[1])),
        None => Ok(()),
    }
}

/// Whether an answer is what is expected. `may_replay`: it may be a repeated one.
pub fn answer(
    ids: &mut Ids,
    expected: &Outcome,
    came: &Reply,
    may_replay: bool,
) -> Result<(), String> {
    let headers = match expected {
        Ok(answer) => {
            if came.status != answer.status {
                return Err(format!("expected {}", answer.status));
            }
            agree(ids, &answer.body, &came.body)?;
            &answer.headers
        }
        Err(refusal) => {
            if (came.status, came.body["code"].as_str()) != (refusal.status, Some(refusal.code)) {
                return Err(format!("expected {} {}", refusal.status, refusal.code));
            }
            came.problem(refusal.status, refusal.code);
            for (field, value) in &refusal.fields {
                agree(ids, value, &came.body[field])?;
            }
            &refusal.headers
        }
    };
    for name in HEADERS {
        let expected = headers.iter().find(|(header, _)| *header == name);
        let expected = expected.map(|(_, value)| value.as_str());
        let replayed = may_replay && name == "idempotency-replayed";
        if came.header(name) != expected && !replayed {
            return Err(format!("expected the header `{name}` to be {expected:?}"));
        }
    }
    Ok(())
}

/// Whether a poll brought what is expected: each event once and in order; what was removed in any
/// number of events.
pub fn events(ids: &mut Ids, expected: &Events, came: &[Event]) -> Result<(), String> {
    let (removed, came): (Vec<&Event>, Vec<&Event>) =
        came.iter().partition(|event| event.event == "removed");
    let kinds = |kinds: Vec<&str>| kinds.join(", ");
    let told = kinds(came.iter().map(|event| event.event.as_str()).collect());
    let wanted = kinds(expected.events.iter().map(|(kind, _)| *kind).collect());
    if told != wanted {
        return Err(format!("expected the events [{wanted}]"));
    }
    for ((kind, data), event) in expected.events.iter().zip(came) {
        agree(ids, data, &event.data).map_err(|error| format!("in a `{kind}` event, {error}"))?;
    }
    gone(ids, &expected.removed, &removed)
}

fn gone(ids: &Ids, expected: &[Removed], came: &[&Event]) -> Result<(), String> {
    let addresses = expected.iter().map(|removed| removed.to.as_str());
    let addresses: BTreeSet<&str> = addresses
        .chain(came.iter().filter_map(|event| event.data["to"].as_str()))
        .collect();
    for address in addresses {
        let named = came.iter().filter(|event| event.data["to"] == address);
        let named: Vec<u64> = named
            .flat_map(|event| event.data["ids"].as_array())
            .flatten()
            .filter_map(Value::as_u64)
            .collect();
        let once: BTreeSet<u64> = named.iter().copied().collect();
        if once.len() < named.len() {
            return Err(format!(
                "a message of {address} was removed twice: {named:?}"
            ));
        }
        let of = expected.iter().filter(|removed| removed.to == address);
        let known = |moments: &Vec<usize>| {
            moments
                .iter()
                .filter_map(|moment| ids[*moment])
                .collect::<Vec<u64>>()
        };
        let must: BTreeSet<u64> = of.clone().flat_map(|removed| known(&removed.saw)).collect();
        if let Some(missing) = must.difference(&once).next() {
            return Err(format!("expected {missing} of {address} to be removed"));
        }
        // The ids of those that nobody ever looked at are not known.
        let all = of.flat_map(|removed| removed.all.iter());
        let unknown = all.clone().filter(|moment| ids[**moment].is_none()).count();
        let may: BTreeSet<u64> = all.filter_map(|moment| ids[*moment]).collect();
        if once.difference(&may).count() > unknown {
            return Err(format!(
                "of {address} only {may:?} are gone, and {unknown} never seen"
            ));
        }
    }
    Ok(())
}
