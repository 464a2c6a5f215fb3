//! What a handler reaches that is asked without a client's token, or by an administrator.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};

use super::Feature;
use crate::bus::{View, fault, internal};
use crate::chat::connect::bearer;
use crate::http::{Peer, Problem, Request};
use crate::log::{Id, Row};
use crate::server::{CHALLENGE, Core};

/// The fields by which a proxy says that it asks for another.
const FORWARDED: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// A request without a client's token being answered; an administrator's command, too.
pub struct Visit<F> {
    core: Arc<Core>,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    feature: PhantomData<fn() -> F>,
}

impl<F: Feature> Visit<F> {
    pub(crate) fn new(core: Arc<Core>, request: &Request) -> Self {
        let headers = request.headers().clone();
        let is_forwarded = FORWARDED.iter().any(|field| headers.contains_key(*field));
        let peer = request.extensions().get::<Peer>();
        let peer = peer.filter(|peer| peer.is_proxied || !is_forwarded);
        let peer = peer.map(|peer| peer.address);
        Self {
            core,
            headers,
            peer,
            feature: PhantomData,
        }
    }

    /// An administrator's.
    pub(crate) fn within(core: Arc<Core>) -> Self {
        Self {
            core,
            headers: HeaderMap::new(),
            peer: None,
            feature: PhantomData,
        }
    }

    /// Reads the world; the answer waits until what was seen is durable.
    pub async fn view<T>(&self, look: impl Fn(&View<'_>) -> T) -> Result<T, Problem> {
        self.core.bus.read(look).await
    }

    /// One of the feature's own rows.
    pub async fn row(&self, id: Id) -> Result<Option<Row>, Problem> {
        let read = self.core.reader.read(move |r| r.row(id)).await;
        let row = read.map_err(|error| internal(F::NAME, &error))?;
        Ok(row.filter(|row| row.owner == F::NAME))
    }

    /// The feature itself.
    pub fn feature(&self) -> Result<Arc<F>, Problem> {
        let feature = self.core.features.get::<F>();
        feature.ok_or_else(|| fault(F::NAME, "its path was asked while it is off"))
    }

    /// The request's header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The token of its `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        bearer(&self.headers)
    }

    /// The refusal of one without the token that it needs, which `detail` says.
    pub fn unauthorized(detail: &str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// The address that it came from; behind a trusted proxy that of the proxy's client. None where
    /// a proxy that is not trusted asks for another: whose address it says, it may say of anybody.
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// All that the server and its features have counted, as Prometheus reads it.
    pub async fn counted(&self) -> Result<String, Problem> {
        self.core.counted().await
    }
}
