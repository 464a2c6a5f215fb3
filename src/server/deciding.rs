//! Commands on their way to a writer: this server's own, or in a cluster that of the node that
//! decides.

use bytes::Bytes;
use http::Method;
use uuid::Uuid;

use super::Core;
use super::admin::Order;
use crate::bus::{Answer, Decide, KeySpec, internal};
use crate::chat::connect::Joining;
use crate::chat::not_found;
use crate::cluster::Asked;
use crate::feature::{Call, Run};
use crate::http::{Found, Problem};
use crate::log::{ClientId, UserId};

/// What joining is called between nodes.
const JOIN: &str = "/connect";

/// What an administrator's command is called there: no path that anybody could ask for.
const ORDER: &str = "an administrator's";

/// All that makes a decision, here or at another node.
pub(crate) struct Asking<'a> {
    /// Whose it is.
    pub(crate) by: Option<(UserId, ClientId)>,
    /// The path's method.
    pub(crate) method: &'a Method,
    /// Its path, as it came.
    pub(crate) path: &'a str,
    /// What makes it happen once.
    pub(crate) key: Option<KeySpec>,
    /// What its decision is prepared from.
    pub(crate) body: &'a Bytes,
}

impl Core {
    /// Has a command decided.
    pub(crate) async fn decide(
        &self,
        asking: Asking<'_>,
        decide: Decide,
    ) -> Result<Answer, Problem> {
        let Asking { by, key, body, .. } = asking;
        let Some(cluster) = &self.cluster else {
            return self.bus.submit(by, key, decide).await;
        };
        let asked = Asked::new(by, asking.method, asking.path, key.as_ref());
        cluster.decide(&self.bus, asked, body, key, decide).await
    }

    /// Has it decided whether a client may join.
    pub(crate) async fn join(&self, joining: Joining) -> Result<Answer, Problem> {
        let body = match &self.cluster {
            Some(_) => serde_json::to_vec(&joining).map_err(|error| internal("joining", &error))?,
            None => Vec::new(),
        };
        let asking = Asking {
            by: None,
            method: &Method::POST,
            path: JOIN,
            key: None,
            body: &body.into(),
        };
        let decide: Decide = Box::new(move |tx| joining.decide(tx));
        self.decide(asking, decide).await
    }

    /// Has an administrator's command decided.
    pub(super) async fn order(&self, order: Order) -> Result<Answer, Problem> {
        let body = match &self.cluster {
            Some(_) => serde_json::to_vec(&order).map_err(|error| internal("a command", &error))?,
            None => Vec::new(),
        };
        let Some(decide) = self.board.prepare(&order) else {
            return Err(not_found("there is no such command"));
        };
        let asking = Asking {
            by: None,
            method: &Method::POST,
            path: ORDER,
            key: None,
            body: &body.into(),
        };
        self.decide(asking, decide).await
    }

    /// The decision that another node of the cluster asks for; none where it is of a path that is
    /// not here.
    pub(crate) fn prepare(&self, asked: &Asked, body: &Bytes) -> Option<Result<Decide, Problem>> {
        if asked.by.is_none() && asked.path == JOIN {
            let joining: Joining = serde_json::from_slice(body).ok()?;
            return Some(Ok(Box::new(move |tx| joining.decide(tx))));
        }
        if asked.by.is_none() && asked.path == ORDER {
            return self
                .board
                .prepare(&serde_json::from_slice(body).ok()?)
                .map(Ok);
        }
        let method = asked.method.parse().ok()?;
        let Found::Target { target, params } = self.router.find(&method, &asked.path) else {
            return None;
        };
        let Some((user, client)) = asked.by else {
            return match &target.run {
                Run::Open(prepare) if target.off.is_none() => Some(prepare(params, body)),
                _ => None,
            };
        };
        let call = Call {
            user,
            client,
            params,
        };
        match &target.run {
            Run::Write(prepare) | Run::Upload { keep: prepare, .. } if target.off.is_none() => {
                Some(prepare(call, body))
            }
            _ => None,
        }
    }

    /// Whether a row names an object, by all that was decided until now; none where this node of a
    /// cluster is behind that.
    pub(crate) async fn names_object(&self, object: Uuid) -> Result<Option<bool>, Problem> {
        let look = async || {
            let row = self.reader.read(move |r| r.row_of(object)).await;
            row.map_err(|error| internal("looking for an object's row", &error))
        };
        if look().await?.is_some() {
            return Ok(Some(true));
        }
        match &self.cluster {
            None => Ok(Some(false)),
            Some(cluster) if cluster.catch_up().await => Ok(Some(look().await?.is_some())),
            Some(_) => Ok(None),
        }
    }
}
