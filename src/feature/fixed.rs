//! Fixed content: what a feature serves to anyone who asks, such as a page and its parts.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::http::{Params, Payload, Problem, Request, Response, Selected, lists, select};

/// Content that is the same for everyone as long as the server runs. It is answered with its type
/// and an `ETag` made of its bytes. Whoever keeps it asks each time whether it is still that
/// (`Cache-Control: no-cache`), and is told so with 304 and no body. Who takes gzip gets it packed
/// (RFC 9110, section 12.5.3), under an `ETag` of its own.
#[derive(Clone, Debug)]
pub struct Fixed {
    plain: Form,
    packed: Form,
    headers: HeaderMap,
}

/// One of the forms in which content goes out.
#[derive(Clone, Debug)]
struct Form {
    bytes: Bytes,
    etag: String,
}

impl Form {
    fn new(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag = format!("\"{}\"", hex::encode(&digest[..16]));
        Self { bytes, etag }
    }
}

fn pack(bytes: &[u8]) -> io::Result<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    packer.finish().map(Bytes::from)
}

fn unpack(bytes: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(Bytes::from(plain))
}

impl Fixed {
    /// Bytes of a media type.
    pub fn new(kind: &'static str, bytes: &'static [u8]) -> Self {
        let plain = Bytes::from_static(bytes);
        // Packing writes to memory alone, which does not fail.
        let packed = pack(bytes).unwrap_or_else(|_| plain.clone());
        Self::both(kind, plain, packed)
    }

    /// Bytes of a media type that are packed already, by gzip: as a build script leaves what lies
    /// beside a feature in `OUT_DIR`. What is not packed is served as it is.
    pub fn packed(kind: &'static str, bytes: &'static [u8]) -> Self {
        let packed = Bytes::from_static(bytes);
        let plain = unpack(bytes).unwrap_or_else(|_| packed.clone());
        Self::both(kind, plain, packed)
    }

    fn both(kind: &'static str, plain: Bytes, packed: Bytes) -> Self {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("Accept-Encoding")),
        ];
        Self {
            plain: Form::new(plain),
            packed: Form::new(packed),
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

    fn respond(&self, request: &Request) -> Result<Response, Problem> {
        let headers = request.headers();
        // What is not smaller packed goes out as it is.
        let is_packed = lists(headers, &ACCEPT_ENCODING, "gzip")
            && self.packed.bytes.len() < self.plain.bytes.len();
        let form = if is_packed { &self.packed } else { &self.plain };
        let length = form.bytes.len() as u64;
        let mut response = match select(request.method(), headers, &form.etag, length) {
            Selected::Failed => return Err(Problem::outdated()),
            Selected::NotModified => {
                let mut response = Response::new(Payload::Empty);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            // A range may be answered with the whole (RFC 9110, section 14.2).
            Selected::Whole | Selected::Part(_) | Selected::Unsatisfiable => {
                Response::new(Payload::Full(form.bytes.clone()))
            }
        };
        response.headers_mut().extend(self.headers.clone());
        if is_packed {
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        if let Ok(etag) = HeaderValue::from_str(&form.etag) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_at_the_build_or_at_the_start_it_is_the_same() {
        let text = b"to be or not to be, to be or not to be, to be or not to be";
        let here = Fixed::new("text/plain", text);
        let packed = here.packed.bytes.to_vec().leak();
        assert!(packed.len() < text.len());
        let there = Fixed::packed("text/plain", packed);
        assert_eq!(there.plain.bytes, here.plain.bytes);
        assert_eq!(there.plain.etag, here.plain.etag);
        assert_eq!(there.packed.etag, here.packed.etag);
        let as_it_is = Fixed::packed("text/plain", text);
        assert_eq!(as_it_is.plain.bytes, Bytes::from_static(text));
    }
}
