//! Response heads (RFC 9112, section 4), to bytes, without I/O.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{HeaderValue, Method, StatusCode, Version};

use super::{Payload, RequestId, Source, X_REQUEST_ID, date, framing};

/// What of the request decides how its answer looks.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) id: RequestId,
}

/// An answer as it goes to the wire.
pub(super) struct Answer {
    pub(super) head: Bytes,
    pub(super) content: Content,
    /// The connection is closed after it.
    pub(super) close: bool,
}

/// What follows a response's head.
pub(super) enum Content {
    Nothing,
    Whole(Bytes),
    Stream {
        coding: Coding,
        source: Box<dyn Source>,
    },
}

/// How a stream is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Makes the answer to what was asked. `close` is whether the connection is to be closed for a
/// reason that lies outside the response.
pub(super) fn answer(asked: &Asked, parts: &Parts, payload: Payload, close: bool) -> Answer {
    let bodiless = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    // RFC 9110, section 15.3.6: "the server MUST NOT generate content in a 205 response".
    let payload = if parts.status == StatusCode::RESET_CONTENT {
        Payload::Empty
    } else {
        payload
    };
    let head_only = asked.method == Method::HEAD;
    let mut length = None;
    let mut chunked = false;
    let mut until_close = false;
    match &payload {
        _ if bodiless => {}
        Payload::Empty if head_only => length = Some(told_length(parts).unwrap_or(0)),
        Payload::Empty => length = Some(0),
        Payload::Full(bytes) => length = Some(bytes.len() as u64),
        Payload::Stream {
            length: Some(told), ..
        } => length = Some(*told),
        Payload::Stream { length: None, .. } if head_only => {}
        Payload::Stream { length: None, .. } => {
            chunked = asked.version == Version::HTTP_11;
            until_close = !chunked;
        }
    }
    let close = close || until_close || framing::lists(&parts.headers, CONNECTION, b"close");

    let mut head = Writer::new(parts.status);
    if let Some(length) = length {
        head.field(&CONTENT_LENGTH, HeaderValue::from(length).as_bytes());
    }
    if chunked {
        head.field(&TRANSFER_ENCODING, b"chunked");
    }
    if close {
        head.field(&CONNECTION, b"close");
    } else if asked.version == Version::HTTP_10 {
        head.field(&CONNECTION, b"keep-alive");
    }
    if !parts.headers.contains_key(DATE)
        && let Some(date) = date::now()
    {
        head.field(&DATE, date.as_bytes());
    }
    head.field(&X_REQUEST_ID, asked.id.as_bytes());
    for (name, value) in &parts.headers {
        if !is_ours(name) {
            head.field(name, value.as_bytes());
        }
    }

    let content = match payload {
        _ if bodiless || head_only => Content::Nothing,
        Payload::Empty => Content::Nothing,
        Payload::Full(bytes) => Content::Whole(bytes),
        Payload::Stream { source, .. } => {
            let coding = match length {
                Some(length) => Coding::Length(length),
                None if chunked => Coding::Chunked,
                None => Coding::UntilClose,
            };
            Content::Stream { coding, source }
        }
    };
    Answer {
        head: head.finish(),
        content,
        close,
    }
}

fn told_length(parts: &Parts) -> Option<u64> {
    parts
        .headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Fields that speak of this connection and this message, and so are the layer's to set.
fn is_ours(name: &HeaderName) -> bool {
    [
        CONNECTION,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TRAILER,
        UPGRADE,
        X_REQUEST_ID,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

struct Writer(BytesMut);

impl Writer {
    fn new(status: StatusCode) -> Self {
        let mut buf = BytesMut::with_capacity(512);
        buf.put_slice(b"HTTP/1.1 ");
        buf.put_slice(status.as_str().as_bytes());
        buf.put_u8(b' ');
        buf.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        buf.put_slice(b"\r\n");
        Self(buf)
    }

    fn field(&mut self, name: &HeaderName, value: &[u8]) {
        self.0.put_slice(name.as_str().as_bytes());
        self.0.put_slice(b": ");
        self.0.put_slice(value);
        self.0.put_slice(b"\r\n");
    }

    fn finish(mut self) -> Bytes {
        self.0.put_slice(b"\r\n");
        self.0.freeze()
    }
}

#[cfg(test)]
mod tests;
