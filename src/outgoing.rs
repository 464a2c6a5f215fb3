//! Calls to elsewhere: one POST to a URL that a user named, and what came of it.
//!
//! Who names a URL to a server could have it reach what only the server reaches. So a name is
//! resolved for each call, every address of it must be public or allowed by the settings, and the
//! connection goes to such an address and no other: what the name leads to a moment later makes no
//! difference. Redirects are not followed, and proxies of the environment not asked.
//!
//! - `outgoing/address.rs`: which addresses are public.
//! - `outgoing/exchange.rs`: the connection, TLS, one request and its answer.

mod address;
mod exchange;

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use self::address::is_public;
use self::exchange::Stream;
use crate::http::Network;
use crate::settings::Period;

/// The longest URL, in bytes.
const LONGEST: usize = 2048;

/// Names being resolved at once. The system's resolver can't be stopped, and each holds a thread.
const RESOLVING: usize = 16;

/// How many of a name's addresses are tried.
const TRIED: usize = 4;

/// A URL that may be called, as far as can be told without asking for its name's addresses.
#[derive(Clone, Debug)]
pub struct Callee(Url);

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was answered. The body is read, up to a bound, and dropped.
#[derive(Clone, Debug)]
pub struct Called {
    /// The answer's status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
}

impl Called {
    /// How long it asks to be left alone (RFC 9110, section 10.2.3), where it says so in seconds.
    pub fn retry_after(&self) -> Option<Period> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        value.trim().parse().ok().map(Period::secs)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CallError {
    /// The name has no address.
    #[error("the name has no address")]
    Unresolved,
    /// An address of it is neither public nor allowed.
    #[error("the address is not a public one")]
    Private,
    /// Nothing takes connections there.
    #[error("nothing takes connections there")]
    Unreachable,
    /// The certificate is not one to be trusted, or TLS failed otherwise.
    #[error("TLS failed")]
    Tls,
    /// There was no answer in time.
    #[error("there was no answer in time")]
    Timeout,
    /// What came is no answer of HTTP/1.1, or the connection ended before one.
    #[error("the answer is not one of HTTP/1.1")]
    Protocol,
}

/// What calls elsewhere.
pub struct Caller {
    allowed: Vec<Network>,
    timeout: Duration,
    resolving: Arc<Semaphore>,
    /// Made with the first call that needs it: the system's authorities take memory.
    tls: OnceCell<TlsConnector>,
}

impl Caller {
    /// One that calls public addresses, and those of the networks that are `allowed`. `timeout` is
    /// how long a call may take, from the look-up of the name to the end of the answer's head.
    pub fn new(allowed: Vec<Network>, timeout: Period) -> Self {
        Self {
            allowed,
            timeout: timeout.to_std(),
            resolving: Arc::new(Semaphore::new(RESOLVING)),
            tls: OnceCell::new(),
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words: it is no URL of `http` or `https`, is longer than 2048 bytes,
    /// has a user or a password in it, or is of an address that is not called.
    pub fn callee(&self, url: &str) -> Result<Callee, String> {
        if url.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let mut url = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("begins with neither http:// nor https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or a password in it".to_owned());
        }
        // It is the client's own, and never sent.
        url.set_fragment(None);
        let literal = match url.host() {
            None => return Err("has no host".to_owned()),
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
        };
        if literal.is_some_and(|address| !self.may_call(address)) {
            return Err("is of an address that is not a public one".to_owned());
        }
        Ok(Callee(url))
    }

    /// Posts JSON, and gives what was answered, whatever its status.
    ///
    /// # Errors
    /// Where there is no answer. Whether the other side got the request is not known then.
    pub async fn post_json(
        &self,
        to: &Callee,
        headers: HeaderMap,
        json: String,
    ) -> Result<Called, CallError> {
        let called = self.call(&to.0, headers, json).await;
        let host = to.0.host_str();
        match &called {
            Ok(called) => tracing::debug!(host, status = called.status.as_u16(), "called"),
            Err(error) => tracing::debug!(host, %error, "called in vain"),
        }
        called
    }

    async fn call(&self, url: &Url, headers: HeaderMap, json: String) -> Result<Called, CallError> {
        let until = Instant::now() + self.timeout;
        let request = exchange::request(url, headers, json).ok_or(CallError::Protocol)?;
        let stream = timeout_at(until, self.reach(url)).await;
        let stream = stream.unwrap_or(Err(CallError::Timeout))?;
        exchange::ask(stream, request, until).await
    }

    async fn reach(&self, url: &Url) -> Result<Box<dyn Stream>, CallError> {
        let addresses = self.addresses(url).await?;
        let stream = exchange::connect(&addresses).await?;
        if url.scheme() == "http" {
            return Ok(Box::new(stream));
        }
        let tls = self.tls.get_or_try_init(exchange::tls).await?;
        Ok(Box::new(exchange::shake_hands(tls, url, stream).await?))
    }

    /// The addresses that are called for a URL: all that its name has now may be.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, CallError> {
        let port = url.port_or_known_default().ok_or(CallError::Protocol)?;
        let mut found: Vec<SocketAddr> = match url.host().ok_or(CallError::Protocol)? {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(name) => self.resolve(name.to_owned(), port).await?,
        };
        if !found.iter().all(|address| self.may_call(address.ip())) {
            return Err(CallError::Private);
        }
        found.truncate(TRIED);
        Ok(found)
    }

    async fn resolve(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, CallError> {
        let place = Arc::clone(&self.resolving).acquire_owned().await;
        // Nobody closes it.
        let place = place.map_err(|_| CallError::Unresolved)?;
        let found = tokio::task::spawn_blocking(move || {
            // Held as long as the thread is, also where nobody waits any more.
            let _place = place;
            (name, port).to_socket_addrs().map(Iterator::collect)
        });
        match found.await {
            Ok(Ok(found)) if !Vec::is_empty(&found) => Ok(found),
            _ => Err(CallError::Unresolved),
        }
    }

    fn may_call(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(allowed: &[&str]) -> Caller {
        let networks = allowed.iter().map(|network| network.parse().expect("one"));
        Caller::new(networks.collect(), Period::secs(5))
    }

    fn refusal(url: &str) -> String {
        let refused = caller(&[]).callee(url);
        refused.err().unwrap_or_else(|| panic!("{url} was taken"))
    }

    #[test]
    fn a_url_is_of_http_and_names_nobody() {
        let caller = caller(&[]);
        for (url, read) in [
            ("https://example.org", "https://example.org/"),
            (
                "http://example.org:8080/a?b=c#d",
                "http://example.org:8080/a?b=c",
            ),
            (
                "HTTPS://Bücher.example/ä",
                "https://xn--bcher-kva.example/%C3%A4",
            ),
            ("https://[2606:4700::1]/", "https://[2606:4700::1]/"),
        ] {
            let callee = caller.callee(url).expect(url);
            assert_eq!(callee.to_string(), read);
        }
        assert!(refusal("ftp://example.org").contains("http://"));
        assert!(refusal("file:///etc/passwd").contains("http://"));
        assert!(refusal("https://ann@example.org/").contains("user"));
        assert!(refusal("https://:secret@example.org/").contains("user"));
        assert!(refusal("example.org").contains("no URL"));
        assert!(refusal("https://").contains("no URL"));
        let long = format!("https://example.org/{}", "x".repeat(LONGEST));
        assert!(refusal(&long).contains("longer"));
    }

    #[test]
    fn an_address_that_is_not_public_is_refused_however_it_is_spelt() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::169.254.169.254]/",
            "http://[2002:7f00:1::]/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert!(refusal(url).contains("public"), "{url}");
        }
        assert!(caller(&["127.0.0.0/8"]).callee("http://127.1:81/").is_ok());
        let mapped = "http://[::ffff:127.0.0.1]/";
        assert!(caller(&["127.0.0.0/8"]).callee(mapped).is_ok());
        assert!(caller(&["10.0.0.0/8"]).callee(mapped).is_err());
    }

    #[tokio::test]
    async fn a_name_of_an_address_that_is_not_public_is_not_called() {
        // That is this machine, everywhere (RFC 6761, section 6.3).
        let callee = caller(&[]).callee("http://localhost:1/").expect("a name");
        let post = |caller: Caller| {
            let callee = callee.clone();
            async move {
                let called = caller.post_json(&callee, HeaderMap::new(), "{}".to_owned());
                called.await.map(|called| called.status)
            }
        };
        assert_eq!(post(caller(&[])).await, Err(CallError::Private));
        let allowed = caller(&["127.0.0.0/8", "::1"]);
        assert_eq!(post(allowed).await, Err(CallError::Unreachable));
    }

    #[test]
    fn it_is_left_alone_for_as_many_seconds_as_it_says() {
        let called = |value: &str| Called {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: [(RETRY_AFTER, value.parse().expect("a value"))]
                .into_iter()
                .collect(),
        };
        assert_eq!(called("120").retry_after(), Some(Period::secs(120)));
        assert_eq!(called("-1").retry_after(), None);
        assert_eq!(called("Wed, 21 Oct 2026 07:28:00 GMT").retry_after(), None);
    }
}
