//! One file as it comes in: a raw body, or the part `file` of a form (`multipart/form-data`,
//! RFC 7578). Read piece by piece, never whole in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use multer::{Field, Multipart};

use super::problem::{malformed, too_large};
use super::{Body, Problem, path};

/// Bytes that a form may have around its file.
const AROUND: u64 = 64 * 1024;

/// The part of a form that is the file.
const PART: &str = "file";

/// A request's body that is a file, not yet looked at.
#[derive(Debug)]
pub struct Upload {
    body: Body,
    kind: Option<String>,
}

/// A file being read.
pub struct UploadReader {
    from: From,
    name: Option<String>,
    kind: Option<String>,
    max: u64,
    seen: u64,
}

enum From {
    Raw(Body),
    Form(Box<Form>),
}

impl Upload {
    /// The file of a request.
    ///
    /// # Errors
    /// 415 `unsupported_type` for more than one `Content-Type`, or an encoding.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let mut kinds = headers.get_all(CONTENT_TYPE).iter();
        let (kind, another) = (kinds.next(), kinds.next());
        if another.is_some() || is_encoded(headers.get(CONTENT_ENCODING), &["identity"]) {
            let detail = "a file has one `Content-Type` and no encoding";
            return Err(unsupported(detail));
        }
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        Ok(Self { body, kind })
    }

    /// Begins to read the file, of at most `max` bytes.
    ///
    /// # Errors
    /// 413 `too_large`, without reading (and without `100 Continue`) where the length is told;
    /// 400 `malformed` for a form that is broken, 422 `invalid` for one without a file; and those
    /// of [`Body::chunk`].
    pub async fn open(self, max: u64) -> Result<UploadReader, Problem> {
        let Self { body, kind } = self;
        let essence = kind.as_deref().unwrap_or_default();
        let essence = essence.split(';').next().unwrap_or_default().trim();
        let is_form = essence.eq_ignore_ascii_case("multipart/form-data");
        let most = if is_form { max + AROUND } else { max };
        if body.len().is_some_and(|told| told > most) {
            return Err(over(max));
        }
        if !is_form {
            return Ok(UploadReader {
                from: From::Raw(body),
                name: None,
                kind,
                max,
                seen: 0,
            });
        }
        let boundary = multer::parse_boundary(kind.unwrap_or_default())
            .map_err(|_| malformed("the form's `Content-Type` has no boundary"))?;
        let mut form = Form::new(body, boundary);
        let (name, kind) = form.begin(max).await?;
        Ok(UploadReader {
            from: From::Form(Box::new(form)),
            name,
            kind,
            max,
            seen: 0,
        })
    }
}

impl UploadReader {
    /// The name that the form gives it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its media type, as the client tells it.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// The next piece; `None` at the end, once all of the request is read.
    ///
    /// # Errors
    /// 413 `too_large` beyond the bound, and those of [`Upload::open`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = match &mut self.from {
            From::Raw(body) => body.chunk().await?,
            From::Form(form) => form.chunk().await?,
        };
        self.seen += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.seen > self.max {
            return Err(over(self.max));
        }
        Ok(piece)
    }
}

/// Whether bytes come otherwise than they are.
fn is_encoded(field: Option<&HeaderValue>, plain: &[&str]) -> bool {
    field.is_some_and(|field| {
        let value = field.as_bytes().trim_ascii();
        !plain
            .iter()
            .any(|plain| value.eq_ignore_ascii_case(plain.as_bytes()))
    })
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_type",
        detail,
    )
}

fn over(max: u64) -> Problem {
    too_large(format!("a file is at most {max} bytes long")).with("max", max)
}

/// A form being read, up to its end.
struct Form {
    parts: Multipart<'static>,
    file: Option<Field<'static>>,
    budget: Arc<Budget>,
}

/// How much of the request is read, and how much may be. What is no file is short; the library
/// would keep all of it.
#[derive(Default)]
struct Budget {
    read: AtomicU64,
    most: AtomicU64,
}

impl Budget {
    fn allow(&self, more: u64) {
        let read = self.read.load(Ordering::Relaxed);
        self.most.store(read + more, Ordering::Relaxed);
    }
}

impl Form {
    fn new(body: Body, boundary: String) -> Self {
        let budget = Arc::new(Budget::default());
        budget.allow(AROUND);
        let bytes = try_unfold(body, |mut body| async move {
            let piece = body.chunk().await?;
            Ok::<_, Problem>(piece.map(|piece| (piece, body)))
        });
        let paced = Paced {
            bytes: Box::pin(bytes),
            budget: Arc::clone(&budget),
            rests: false,
        };
        Self {
            parts: Multipart::new(paced, boundary),
            file: None,
            budget,
        }
    }

    /// Reads up to the file, and gives its name and type.
    async fn begin(&mut self, max: u64) -> Result<(Option<String>, Option<String>), Problem> {
        while let Some(mut part) = self.parts.next_field().await.map_err(broken)? {
            if part.name() == Some(PART) {
                let encoding = part.headers().get("content-transfer-encoding");
                if is_encoded(encoding, &["binary", "8bit", "7bit"]) {
                    return Err(unsupported("a file comes as it is, in no encoding"));
                }
                let disposition = part.headers().get(CONTENT_DISPOSITION);
                let name = disposition
                    .and_then(|disposition| extended_name(disposition.to_str().ok()?))
                    // Browsers and curl write a quote so.
                    .or_else(|| Some(part.file_name()?.replace("%22", "\"")));
                let kind = part.content_type().map(ToString::to_string);
                self.budget.allow(max + AROUND);
                self.file = Some(part);
                return Ok((name, kind));
            }
            while part.chunk().await.map_err(broken)?.is_some() {}
        }
        let detail = format!("the form has no part named `{PART}`");
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with("field", PART))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        if let Some(piece) = file.chunk().await.map_err(broken)? {
            return Ok(Some(piece));
        }
        self.file = None;
        self.budget.allow(AROUND);
        while let Some(mut part) = self.parts.next_field().await.map_err(broken)? {
            if part.name() == Some(PART) {
                let detail = "one file a request: the form has another part named `file`";
                return Err(
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
                        .with("field", PART),
                );
            }
            while part.chunk().await.map_err(broken)?.is_some() {}
        }
        Ok(None)
    }
}

/// The name that a part gives as `filename*` (RFC 8187): not meant for forms, and sent all the same.
fn extended_name(disposition: &str) -> Option<String> {
    let value = disposition.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_name = name.trim().eq_ignore_ascii_case("filename*");
        is_name.then(|| value.trim().trim_matches('"'))
    })?;
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
    is_utf8.then(|| Some(path::decode(encoded)?.into_owned()))?
}

fn broken(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Problem>() {
            Ok(problem) => *problem,
            Err(cause) => malformed(format!("the form can't be read: {cause}")),
        },
        error => malformed(format!("the form is broken: {error}")),
    }
}

/// A body's pieces, one at a time: the library takes in all that is ready before it gives a part
/// of it on, which would be the whole file.
struct Paced<S> {
    bytes: Pin<Box<S>>,
    budget: Arc<Budget>,
    rests: bool,
}

impl<S: Stream<Item = Result<Bytes, Problem>>> Stream for Paced<S> {
    type Item = Result<Bytes, Problem>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(self.bytes.as_mut().poll_next(cx));
        if let Some(Ok(piece)) = &piece {
            self.rests = true;
            let length = piece.len() as u64;
            let read = self.budget.read.fetch_add(length, Ordering::Relaxed) + length;
            if read > self.budget.most.load(Ordering::Relaxed) {
                let detail = format!("a form may have {AROUND} bytes around its file");
                return Poll::Ready(Some(Err(too_large(detail))));
            }
        }
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests;
