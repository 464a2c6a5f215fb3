//! Commands on their way to the node that decides, and its answers. That is speed alone: whoever
//! gets no answer decides by itself.
//!
//! What travels is a line of JSON, and the body behind it.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::bus::{Answer, Body, KeySpec};
use crate::http::{Problem, RequestId};
use crate::log::{ClientId, Id, Pos, UserId};
use crate::time::Time;

/// What one node asks another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    /// To decide a request.
    Decide(Asked),
    /// Whether it is there, and its writer works.
    Alive,
    /// To record with its next batch what was noted in passing.
    Note {
        /// Messages that were handed over.
        delivered: Vec<Id>,
        /// When clients were there.
        seen: Vec<(ClientId, Time)>,
    },
}

/// A request that is to be decided, without its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Names it, however often it is tried.
    pub(crate) command: Uuid,
    /// Whose it is.
    pub(crate) by: Option<(UserId, ClientId)>,
    /// The path's method.
    pub(crate) method: String,
    /// Its path, as it came.
    pub(crate) path: String,
    /// Its idempotency key, and the digest that goes with that.
    pub(crate) key: Option<(String, String)>,
    /// Its name in log lines.
    pub(crate) request: Option<String>,
    /// How far the one who asks has followed the stream.
    #[serde(default)]
    pub(crate) since: Option<u64>,
}

impl Asked {
    /// A request that is asked for now.
    pub(crate) fn new(
        by: Option<(UserId, ClientId)>,
        method: &Method,
        path: &str,
        key: Option<&KeySpec>,
    ) -> Self {
        Self {
            command: Uuid::new_v4(),
            by,
            method: method.as_str().to_owned(),
            path: path.to_owned(),
            key: key.map(|key| (key.key.clone(), key.digest.clone())),
            request: RequestId::current().map(|request| request.as_str().to_owned()),
            since: None,
        }
    }
}

/// What is answered, without its body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// It was decided.
    Decided {
        status: u16,
        headers: Vec<(String, String)>,
        /// Whether the body is JSON by itself.
        json: bool,
        delivers: Vec<Id>,
        /// The log reaches so far with it.
        pos: Pos,
    },
    /// It was refused.
    Refused {
        status: u16,
        code: String,
        detail: String,
        members: Map<String, Value>,
        headers: Vec<(String, String)>,
        pos: Pos,
    },
    /// This node does not know such a path: ask another.
    NotHere,
    /// It is there; what was noted will be recorded.
    Yes,
    /// It is there, and can't write.
    No,
}

/// Puts a head and a body together.
pub(super) fn pack(head: &impl Serialize, body: &[u8]) -> serde_json::Result<Bytes> {
    let mut out = BytesMut::new().writer();
    serde_json::to_writer(&mut out, head)?;
    let mut out = out.into_inner();
    // JSON holds no raw line break.
    out.put_u8(b'\n');
    out.put_slice(body);
    Ok(out.freeze())
}

/// Takes them apart; none where this is no such message.
pub(super) fn unpack<T: DeserializeOwned>(bytes: &Bytes) -> Option<(T, Bytes)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = serde_json::from_slice(bytes.get(..end)?).ok()?;
    Some((head, bytes.slice(end + 1..)))
}

/// An outcome as it travels.
pub(super) fn tell(outcome: Result<Answer, Problem>, pos: Pos) -> (Told, Bytes) {
    match outcome {
        Ok(answer) => {
            let (json, body) = match answer.body {
                Body::None => (false, Bytes::new()),
                Body::Json(body) => (true, body.to_string().into()),
                Body::Written(body) => (false, body),
            };
            let told = Told::Decided {
                status: answer.status.as_u16(),
                headers: texts(&answer.headers),
                json,
                delivers: answer.delivers,
                pos,
            };
            (told, body)
        }
        Err(problem) => {
            let told = Told::Refused {
                status: problem.status.as_u16(),
                code: problem.code.clone().into_owned(),
                detail: problem.detail.clone(),
                members: problem.members.clone(),
                headers: texts(&problem.headers),
                pos,
            };
            (told, Bytes::new())
        }
    }
}

/// The outcome that was told, and how far the log reaches with it; none where there is none.
pub(super) fn heard(told: Told, body: Bytes) -> Option<(Result<Answer, Problem>, Pos)> {
    match told {
        Told::Decided {
            status,
            headers,
            json,
            delivers,
            pos,
        } => {
            let body = match (json, body.is_empty()) {
                (true, _) => Body::Json(serde_json::from_slice(&body).ok()?),
                (false, true) => Body::None,
                (false, false) => Body::Written(body),
            };
            let answer = Answer {
                status: StatusCode::from_u16(status).ok()?,
                headers: fields(headers),
                body,
                content: None,
                made: None,
                delivers,
            };
            Some((Ok(answer), pos))
        }
        Told::Refused {
            status,
            code,
            detail,
            members,
            headers,
            pos,
        } => {
            let mut problem = Problem::new(StatusCode::from_u16(status).ok()?, code, detail);
            problem.members = members;
            problem.headers = fields(headers);
            Some((Err(problem), pos))
        }
        Told::NotHere | Told::Yes | Told::No => None,
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn fields(headers: Vec<(String, String)>) -> HeaderMap {
    let field = |(name, value): (String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(&value).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.into_iter().filter_map(field) {
        map.append(name, value);
    }
    map
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn travelled(outcome: Result<Answer, Problem>) -> Result<Answer, Problem> {
        let (told, body) = tell(outcome, 9);
        let packed = pack(&told, &body).expect("JSON");
        let (told, body) = unpack(&packed).expect("a head and a body");
        let (outcome, pos) = heard(told, body).expect("an outcome");
        assert_eq!(pos, 9);
        outcome
    }

    #[test]
    fn an_answer_arrives_as_it_was_given() {
        let made = Answer::created(json!({"id": 7, "text": "a\nb"}))
            .location("/messages/7")
            .delivers(vec![3]);
        let came = travelled(Ok(made)).expect("an answer");
        assert_eq!(came.status, StatusCode::CREATED);
        assert_eq!(came.body.value(), Some(&json!({"id": 7, "text": "a\nb"})));
        assert_eq!(came.headers["location"], "/messages/7");
        assert_eq!(came.delivers, [3]);
        let nothing = travelled(Ok(Answer::no_content())).expect("an answer");
        assert!(matches!(nothing.body, Body::None));
    }

    #[test]
    fn a_refusal_arrives_with_its_members_and_headers() {
        let problem = Problem::new(StatusCode::FORBIDDEN, "banned", "not now")
            .with("until", "tomorrow")
            .retry_after(5);
        let came = travelled(Err(problem)).expect_err("a refusal");
        assert_eq!((came.status.as_u16(), &*came.code), (403, "banned"));
        assert_eq!(came.members["until"], "tomorrow");
        assert_eq!(came.headers["retry-after"], "5");
    }
}
