//! What a decision answers.

use std::ops::Range;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::internal;
use crate::http::Problem;
use crate::log::{Id, Told};
use crate::objects::Stored;

/// A part of an object as an answer's body.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) object: Stored,
    pub(crate) range: Range<u64>,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// JSON.
    Json(Value),
    /// JSON, or what the headers say that it is, that is written already.
    Written(Bytes),
}

impl Body {
    /// The JSON; of one that is written there is none.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::None | Self::Written(_) => None,
        }
    }
}

/// A decision's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) content: Option<Content>,
    pub(crate) made: Option<Id>,
    /// Messages that are delivered once this answer is written.
    pub(crate) delivers: Vec<Id>,
}

impl Answer {
    fn new(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body,
            content: None,
            made: None,
            delivers: Vec::new(),
        }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Value>) -> Self {
        Self::new(StatusCode::OK, Body::Json(body.into()))
    }

    /// 200 with what serialises as a body, which takes about so many bytes.
    pub(crate) fn written(body: &impl Serialize, room: usize) -> Result<Self, Problem> {
        let mut bytes = Vec::with_capacity(room);
        serde_json::to_writer(&mut bytes, body)
            .map_err(|error| internal("writing an answer", &error))?;
        Ok(Self::new(StatusCode::OK, Body::Written(bytes.into())))
    }

    /// 200 with a text of a media type.
    pub fn text(kind: &'static str, text: String) -> Self {
        Self::new(StatusCode::OK, Body::Written(text.into())).header("content-type", kind)
    }

    /// 201 with a body.
    pub fn created(body: impl Into<Value>) -> Self {
        Self::new(StatusCode::CREATED, Body::Json(body.into()))
    }

    /// 202 with a body.
    pub fn accepted(body: impl Into<Value>) -> Self {
        Self::new(StatusCode::ACCEPTED, Body::Json(body.into()))
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, Body::None)
    }

    /// A refusal that is an answer like any other, so that what it is told with is kept.
    pub(crate) fn refused(problem: &Problem) -> Self {
        let body = Body::Written(problem.to_json().to_string().into());
        Self::new(problem.status, body)
            .headers(problem.headers.clone())
            .header("content-type", "application/problem+json")
    }

    /// 304.
    pub(crate) fn not_modified() -> Self {
        Self::new(StatusCode::NOT_MODIFIED, Body::None)
    }

    pub(crate) fn content(status: StatusCode, content: Content) -> Self {
        Self {
            content: Some(content),
            ..Self::new(status, Body::None)
        }
    }

    /// Names the message or row that was made: a repeat under the same idempotency key is 410
    /// once that is gone, and this answer is erased with it.
    #[must_use]
    pub fn made(mut self, id: Id) -> Self {
        self.made = Some(id);
        self
    }

    pub(crate) fn delivers(mut self, ids: Vec<Id>) -> Self {
        self.delivers = ids;
        self
    }

    /// What was made.
    pub fn id(&self) -> Option<Id> {
        self.made
    }

    /// What can be told of it again without what can be erased: of a message that was posted, and of what
    /// is answered without a body.
    pub(crate) fn told(&self) -> Option<Told> {
        let posted = self.made.filter(|made| {
            let path = format!("/messages/{made}");
            self.headers
                .get(LOCATION)
                .is_some_and(|location| *location == path)
        });
        let is_whole = matches!(self.body, Body::None) && self.headers.is_empty();
        (is_whole || posted.is_some()).then(|| Told(self.status.as_u16(), posted))
    }

    /// Says where what was made can be read.
    #[must_use]
    pub fn location(mut self, path: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(path) {
            self.headers.insert(LOCATION, value);
        }
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Adds a header. A value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }
}
