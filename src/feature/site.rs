//! What work beside the server reaches: [`Feature::run`].

use std::future::pending;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::routes::decide_on;
use super::{Feature, Inside, limit};
use crate::bus::{Answer, Tx, View, internal};
use crate::chat::{delivers, show};
use crate::http::{Door, Guest, Problem, next_guest};
use crate::log::reader::Page;
use crate::log::{ChatId, Id, MessageRow, Pos, Row, UserId};
use crate::server::Core;

/// How often [`Site::news`] wakes at most: what comes meanwhile is gathered, so that somebody who
/// listens costs a busy writer next to nothing.
const GATHER: Duration = Duration::from_millis(20);

/// Where a feature listens beside the server.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Which setting of the feature's says so: what is wrong with it is told by this name, and
    /// connections are counted by it.
    pub setting: &'static str,
    /// The address and port, in the words of `[server] listen`; another stops the start, and `veche check`.
    pub address: String,
    /// Whether connections come with TLS, by the server's certificate (`[server.tls]`), which is read
    /// again as it is for HTTPS. Where the server has none, that stops them, too.
    pub tls: bool,
}

/// The server, as a feature's work beside it sees it. Cloning it costs little.
pub struct Site<F> {
    core: Arc<Core>,
    /// Where it listens.
    doors: Arc<[Door]>,
    stopping: watch::Receiver<bool>,
    /// When news were told last.
    told: Arc<Mutex<Option<Instant>>>,
    feature: PhantomData<fn() -> F>,
}

impl<F> Clone for Site<F> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            doors: Arc::clone(&self.doors),
            stopping: self.stopping.clone(),
            told: Arc::clone(&self.told),
            feature: PhantomData,
        }
    }
}

impl<F: Feature> Site<F> {
    pub(crate) fn new(core: Arc<Core>, doors: Vec<Door>, stopping: watch::Receiver<bool>) -> Self {
        Self {
            core,
            doors: doors.into(),
            stopping,
            told: Arc::default(),
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

    /// Messages of a chat after an id that a user sees now, the oldest first, each as that user is
    /// shown it: none of a chat that they are not in, and none of before they came where that is hidden
    /// from them. At most `limit`, and 200.
    pub async fn messages(
        &self,
        user: UserId,
        chat: ChatId,
        after: Id,
        limit: usize,
    ) -> Result<Vec<(MessageRow, Value)>, Problem> {
        let floor = |view: &View<'_>| {
            let chats = &view.world().chat;
            chats.is_member(chat, user).then(|| chats.floor(chat, user))
        };
        let Some(floor) = self.view(floor).await? else {
            return Ok(Vec::new());
        };
        let limit = self::limit(Some(limit as u64))?;
        let read = self
            .core
            .reader
            .read(move |r| r.page(chat, Page::After(after), floor, limit));
        let (rows, _) = read.await.map_err(|error| internal(F::NAME, &error))?;
        let shown = show(&self.core, user, &rows).await?.messages;
        let both = rows.into_iter().zip(shown);
        Ok(both.filter(|(_, message)| !message.is_null()).collect())
    }

    /// Notes that a user has a message: one that lives from its delivery on begins to.
    pub fn handed(&self, user: UserId, message: &MessageRow) {
        let delivered = delivers(user, [message]);
        if !delivered.is_empty() {
            self.core.bus.delivered(delivered);
        }
    }

    /// Ends when something beyond a position is durable, and says how far that goes: on a cluster also
    /// what other nodes decided. 0 is the beginning. However much happens, it ends no more often than
    /// 50 times a second.
    pub async fn news(&self, after: Pos) -> Pos {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = told {
            sleep_until(told + GATHER).await;
        }
        let Some(pos) = self.core.bus.beyond(after).await else {
            // The writer is gone, and the server about to be.
            return pending().await;
        };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        pos
    }

    /// Has the writer decide, as a route does, and gives the answer once that is durable. Nobody has
    /// asked: facts that are recorded have no [`by`](crate::bus::Stamp::by). On a cluster, whoever
    /// decides here decides from then on: await [`duty`](Self::duty) first.
    pub async fn decide(
        &self,
        decide: impl Fn(&F, &mut Tx<'_>) -> Result<Answer, Problem> + Send + 'static,
    ) -> Result<Answer, Problem> {
        let decide = decide_on(decide);
        self.core.bus.submit(None, None, decide).await
    }

    /// Ends when this node is the one to do what one node alone is to do: the one that decides. A
    /// server that is alone always is; where no node decides, one of those who ask will.
    pub async fn duty(&self) {
        if let Some(cluster) = &self.core.cluster {
            cluster.duty(&self.core.bus).await;
        }
    }

    /// Ends when another node has that duty: whatever this one is at is to be left to it, which goes
    /// on from what is recorded.
    pub async fn relieved(&self) {
        match &self.core.cluster {
            Some(cluster) => cluster.relieved().await,
            None => pending().await,
        }
    }

    /// The next connection to where it listens ([`Feature::listens`]); never where that is nowhere. One
    /// address may have `server.per_address` open.
    pub async fn guest(&self) -> Guest {
        match &*self.doors {
            [] => pending().await,
            doors => next_guest(doors).await,
        }
    }

    /// What a program does over HTTP, without a connection, for somebody at an address. `agent` is what
    /// their client says it is, as in the field `User-Agent`.
    pub fn inside(&self, address: IpAddr, agent: &str) -> Inside {
        Inside::new(Arc::clone(&self.core), address, agent)
    }

    /// Ends when the server stops. What is recorded within a second from then on is kept; then the
    /// work is dropped.
    pub async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // Whoever tells of it is gone with the server.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}
