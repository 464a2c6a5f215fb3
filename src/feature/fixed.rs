//! Fixed content: what a feature serves to anyone who asks, such as a page and its parts.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::http::{Params, Payload, Problem, Request, Response, Selected, select};

/// Content that is the same for everyone as long as the server runs. It is answered with its type
/// and an `ETag` made of its bytes. Whoever keeps it asks each time whether it is still that
/// (`Cache-Control: no-cache`), and is told so with 304 and no body.
#[derive(Clone, Debug)]
pub struct Fixed {
    bytes: Bytes,
    etag: String,
    headers: HeaderMap,
}

impl Fixed {
    /// Bytes of a media type.
    pub fn new(kind: &'static str, bytes: &'static [u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        Self {
            bytes: Bytes::from_static(bytes),
            etag: format!("\"{}\"", crate::chat::connect::hex(&digest[..16])),
            headers: headers.into_iter().collect(),
        }
    }

    /// Adds a header, or takes another value for one that is there.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn respond(&self, request: &Request) -> Result<Response, Problem> {
        let (headers, length) = (request.headers(), self.bytes.len() as u64);
        let mut response = match select(request.method(), headers, &self.etag, length) {
            Selected::Failed => return Err(Problem::outdated()),
            Selected::NotModified => {
                let mut response = Response::new(Payload::Empty);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            // A range may be answered with the whole (RFC 9110, section 14.2).
            Selected::Whole | Selected::Part(_) | Selected::Unsatisfiable => {
                Response::new(Payload::Full(self.bytes.clone()))
            }
        };
        response.headers_mut().extend(self.headers.clone());
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        Ok(response)
    }
}

/// Answers a request with what was found for its path.
pub(crate) fn answer(
    find: &super::routes::Find,
    params: &Params,
    request: &Request,
) -> Result<Response, Problem> {
    let found = find(params).ok_or_else(|| {
        let detail = "there is nothing at this path";
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    })?;
    found.respond(request)
}
