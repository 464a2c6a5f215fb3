//! What a decision answers.

use std::ops::Range;

use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::log::Id;
use crate::objects::Store;

/// A part of an object as an answer's body.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) store: Store,
    pub(crate) object: Uuid,
    pub(crate) range: Range<u64>,
}

/// A decision's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Value>,
    pub(crate) content: Option<Content>,
    pub(crate) made: Option<Id>,
    /// Messages that are delivered once this answer is written.
    pub(crate) delivers: Vec<Id>,
}

impl Answer {
    fn new(status: StatusCode, body: Option<Value>) -> Self {
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
        Self::new(StatusCode::OK, Some(body.into()))
    }

    /// 201 with a body.
    pub fn created(body: impl Into<Value>) -> Self {
        Self::new(StatusCode::CREATED, Some(body.into()))
    }

    /// 202 with a body.
    pub fn accepted(body: impl Into<Value>) -> Self {
        Self::new(StatusCode::ACCEPTED, Some(body.into()))
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None)
    }

    /// 304.
    pub(crate) fn not_modified() -> Self {
        Self::new(StatusCode::NOT_MODIFIED, None)
    }

    pub(crate) fn content(status: StatusCode, content: Content) -> Self {
        Self {
            content: Some(content),
            ..Self::new(status, None)
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
