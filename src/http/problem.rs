//! Refusals as the client sees them: RFC 9457 problem details with a stable `code`.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::{Payload, Response};

/// A refusal: a status, a stable word for programs, and a sentence for people.
///
/// Boxed, since it is the rare case of many results.
#[derive(Clone, Debug)]
pub struct Problem(Box<Details>);

/// What a [`Problem`] says.
#[derive(Clone, Debug)]
pub struct Details {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable word that a program can match.
    pub code: Cow<'static, str>,
    /// What is wrong and what is allowed, in one sentence.
    pub detail: String,
    /// Members beside the standard ones, such as `until`.
    pub members: Map<String, Value>,
    /// Headers that go with the answer, such as `Retry-After`.
    pub headers: HeaderMap,
}

impl Problem {
    /// A refusal with `status`, `code` and `detail`.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Details {
            status,
            code: code.into(),
            detail: detail.into(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 412: the version that `If-Match` asks for is not there.
    pub(crate) fn outdated() -> Self {
        let detail = "it is not the version that `If-Match` asks for";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            detail,
        )
    }

    /// Adds a member to the answer's JSON.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Tells the client to come back after `seconds` (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The answer's JSON: the standard members first (RFC 9457, section 3.1), then the others.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert(
            "type".into(),
            format!("urn:veche:error:{}", self.code).into(),
        );
        body.insert(
            "title".into(),
            self.status.canonical_reason().unwrap_or("Refused").into(),
        );
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("code".into(), self.code.clone().into_owned().into());
        for (name, value) in &self.members {
            body.insert(name.clone(), value.clone());
        }
        Value::Object(body)
    }

    /// The whole answer, `application/problem+json`.
    pub fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = Response::new(Payload::Full(body.into()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.0.headers;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// 400 `malformed`.
pub(super) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

/// 408 `timeout`.
pub(super) fn timeout(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
}

/// 503 `stopping`.
pub(super) fn stopping() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the server stops, and the body had not come; nothing was kept",
    )
    .retry_after(1)
}

/// 413 `too_large`.
pub(super) fn too_large(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

/// 431 `headers_too_large`.
pub(super) fn headers_too_large(detail: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers_too_large",
        detail,
    )
}

/// 501 `not_implemented`.
pub(super) fn not_implemented(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", detail)
}

impl Deref for Problem {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
