//! What names a request: in its answer, as `X-Request-Id`, and in each log line written for it.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that carries it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long one that came with a request may be.
const LONGEST: usize = 128;

tokio::task_local! {
    /// The request that is being worked on. No span: one costs allocations for each request, also
    /// where nothing is logged.
    static CURRENT: RequestId;
}

/// The name of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Made([u8; 16]),
    Given(HeaderValue),
}

impl RequestId {
    /// The next one of this process: a number in 16 hex digits, counted on from a random one, so
    /// that two runs of a server have no name in common.
    pub(crate) fn new() -> Self {
        // The keys of the standard library's hashes are the system's random bits.
        static NEXT: LazyLock<AtomicU64> =
            LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        let mut number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut digits = [0; 16];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(number % 16) as usize];
            number /= 16;
        }
        Self(Form::Made(digits))
    }

    /// The one that a request brought along; believed of a trusted proxy alone, so that nobody else
    /// writes a name of their choice into the log.
    pub(super) fn brought(headers: &HeaderMap) -> Option<Self> {
        let mut brought = headers.get_all(X_REQUEST_ID).iter();
        let (Some(value), None) = (brought.next(), brought.next()) else {
            return None;
        };
        Self::given(value)
    }

    /// One that a request brought along: 1 to 128 visible ASCII characters. Quotes and backslashes
    /// would have to be escaped wherever it is written, so one that has any is none.
    pub(crate) fn given(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let is_valid = (1..=LONGEST).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
        is_valid.then(|| Self(Form::Given(value.clone())))
    }

    /// Its characters, all of them visible ASCII.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Made(digits) => digits,
            Form::Given(value) => value.as_bytes(),
        }
    }

    /// The request that this thread works on now.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Does something in this request's name.
    pub fn scope_sync<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// Runs a future in this request's name.
    pub(crate) fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Runs a future in the name of the request that is current now, wherever it is spawned.
    pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let current = Self::current();
        async {
            match current {
                Some(current) => current.scope(work).await,
                None => work.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_another_of_16_hex_digits() {
        let made: Vec<RequestId> = (0..1000).map(|_| RequestId::new()).collect();
        let different: BTreeSet<&str> = made.iter().map(RequestId::as_str).collect();
        assert_eq!(different.len(), 1000);
        for id in different {
            assert_eq!(id.len(), 16);
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(id.bytes().all(is_hex), "{id}");
        }
    }

    #[test]
    fn one_that_is_given_is_taken_if_it_is_short_and_visible() {
        let longest = "x".repeat(LONGEST);
        let too_long = "x".repeat(LONGEST + 1);
        for (given, taken) in [
            ("7", true),
            ("1-67891233-abcdef012345678912345678", true),
            ("Root=1:a/b,c;d@e{}", true),
            (&longest, true),
            (&too_long, false),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("a\"b", false),
            ("a'b", false),
            ("a\\b", false),
            ("ä", false),
        ] {
            let value = HeaderValue::from_bytes(given.as_bytes()).expect("a value");
            let id = RequestId::given(&value);
            let id = id.as_ref().map(RequestId::as_str);
            assert_eq!(id, taken.then_some(given), "{given}");
        }
    }

    #[tokio::test]
    async fn it_is_current_where_it_is_carried_and_nowhere_else() {
        assert_eq!(RequestId::current(), None);
        let id = RequestId::new();
        let seen = id.clone().scope(async {
            let bare = tokio::spawn(async { RequestId::current() });
            let carried = tokio::spawn(RequestId::carry(async { RequestId::current() }));
            (RequestId::current(), bare.await.ok(), carried.await.ok())
        });
        let id = Some(id);
        assert_eq!(seen.await, (id.clone(), Some(None), Some(id.clone())));
        assert_eq!(
            id.clone().map(|id| id.scope_sync(RequestId::current)),
            Some(id)
        );
        assert_eq!(RequestId::current(), None);
    }
}
