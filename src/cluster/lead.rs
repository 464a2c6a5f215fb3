//! Between nodes: asking the one that decides, answering the others, and noticing that it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::Cluster;
use super::forward::{Asked, Question, Told, heard, pack, tell, unpack};
use super::link::{Link, QUIET};
use super::live;
use super::role::Role;
use crate::bus::{Answer, Bus, Decide, Health, KeySpec, Live, MOVED, Others, Shared, moved};
use crate::http::{Problem, RequestId};
use crate::log::{ClientId, Id, Pos};
use crate::server::Core;
use crate::time::Time;

/// How often the writer is asked whether it is there, while nothing is heard of it.
const ASK: Duration = Duration::from_millis(400);

/// How long its answer to that is waited for. Both together are well below the 2 s within which
/// another takes over.
const ANSWER: Duration = Duration::from_millis(700);

/// How often a command is handed on, where the writer changes meanwhile.
const TURNS: usize = 4;

/// Others' commands that are being decided here.
const AT_ONCE: usize = 1024;

/// How soon what could not be noted is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

impl Cluster {
    /// Has a command decided: by the node that decides, or here.
    pub(crate) async fn decide(
        &self,
        bus: &Bus,
        asked: Asked,
        body: &Bytes,
        key: Option<KeySpec>,
        decide: Decide,
    ) -> Result<Answer, Problem> {
        let by = asked.by;
        // It may be tried more than once.
        let decide = Arc::new(Mutex::new(decide));
        for _ in 0..TURNS {
            let command = match self.hand_on(bus, asked.clone(), body).await {
                Handed::Decided(outcome) => return *outcome,
                Handed::Back(command) => command,
            };
            let decide = Arc::clone(&decide);
            let once: Decide = Box::new(move |tx| {
                let decide = decide.lock().unwrap_or_else(PoisonError::into_inner);
                decide(tx)
            });
            match bus.submit_once(by, key.clone(), once, command).await {
                Err(problem) if problem.code == MOVED => {}
                outcome => return outcome,
            }
        }
        Err(Health::NoLog.problem().unwrap_or_else(moved))
    }

    /// Hands a command on to the node that decides.
    async fn hand_on(&self, bus: &Bus, asked: Asked, body: &Bytes) -> Handed {
        let leader = self.role.leader().filter(|_| self.link.is_connected());
        let Some(mut leader) = leader else {
            return Handed::Back(None);
        };
        let command = asked.command;
        let Ok(question) = pack(&Question::Decide(asked), body) else {
            return Handed::Back(None);
        };
        for _ in 0..TURNS {
            let mut writers = self.role.watch();
            let answer = tokio::select! {
                answer = ask(&self.link, leader, question.clone(), self.link.patience()) => answer,
                // It is gone, or another has taken over, which knows of this command if it was
                // decided.
                _ = writers.wait_for(|writer| *writer != Some(leader)) => Err(Gone),
            };
            match answer {
                Ok((Told::NotHere, _)) => break,
                Ok((told, body)) => match heard(told, body) {
                    Some((Err(problem), _)) if is_cut_off(&problem) => self.role.lost(leader),
                    // This node hears of the one that decides now as that appends.
                    Some((Err(problem), _)) if problem.code == MOVED => {
                        let another = writers.wait_for(|writer| *writer != Some(leader));
                        if timeout(ANSWER, another).await.is_err() {
                            self.role.lost(leader);
                        }
                    }
                    Some((outcome, pos)) => {
                        // Who asks here is to find it here.
                        let _ = timeout(self.link.patience(), bus.reached(pos)).await;
                        return Handed::Decided(Box::new(outcome));
                    }
                    None => break,
                },
                Err(Gone) => self.role.lost(leader),
            }
            match self.role.leader() {
                Some(another) => leader = another,
                None => break,
            }
        }
        Handed::Back(Some(command))
    }

    /// Follows the log up to where it ends now, as far as that is soon; says whether it was.
    pub(crate) async fn catch_up(&self) -> bool {
        let Ok((_, last)) = self.link.bounds().await else {
            return false;
        };
        let mut reached = self.role.reached();
        let waited = timeout(ANSWER, reached.wait_for(|seq| *seq >= last)).await;
        waited.is_ok_and(|reached| reached.is_ok())
    }

    /// Whether the log has come to a position that is beyond this node's end; none where that can't
    /// be found out now.
    pub(crate) async fn reaches(&self, bus: &Bus, pos: Pos) -> Option<bool> {
        // Of several NATS servers the one that answers may have been cut off a moment ago: then it
        // is found out.
        let sure = Instant::now() + QUIET + AGAIN;
        loop {
            if !self.catch_up().await {
                return None;
            }
            if bus.durable_pos() >= pos {
                return Some(true);
            }
            if self.link.replicas() == 1 || Instant::now() >= sure {
                return Some(false);
            }
            sleep(AGAIN).await;
        }
    }

    /// Answers the other nodes, and looks after the one that decides, until the server ends.
    pub(crate) async fn lead(self: Arc<Self>, core: Arc<Core>) {
        let looking = look_after(self.link.clone(), Arc::clone(&self.role), core.bus.clone());
        let serving = serve(Arc::clone(&self), core);
        tokio::join!(serving, looking);
    }
}

/// What came of handing a command on.
enum Handed {
    /// It was decided.
    Decided(Box<Result<Answer, Problem>>),
    /// It is to be decided here, unless it was decided already, under this name.
    Back(Option<Uuid>),
}

/// Nobody answers.
struct Gone;

/// Whether a node refuses because it can't write: another may.
fn is_cut_off(problem: &Problem) -> bool {
    [
        "no_log",
        "storage_failed",
        "storage_full",
        "storage_busy",
        "stopping",
    ]
    .contains(&&*problem.code)
}

async fn ask(
    link: &Link,
    node: Uuid,
    question: Bytes,
    patience: Duration,
) -> Result<(Told, Bytes), Gone> {
    let request = Request::new().payload(question).timeout(Some(patience));
    let subject = link.subject(&format!("node.{node}"));
    let answer = link.client().send_request(subject, request).await;
    let answer = answer.map_err(|error| {
        tracing::debug!(%error, %node, "asking a node");
        Gone
    })?;
    match unpack(&answer.payload) {
        None | Some((Told::No, _)) => Err(Gone),
        Some(told) => Ok(told),
    }
}

/// Asks the writer now and then whether it is there. Where it is not, this node decides by itself,
/// and does what is due.
async fn look_after(link: Link, role: Arc<Role>, bus: Bus) {
    let mut look = interval(ASK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Ok(question) = pack(&Question::Alive, b"") else {
        return;
    };
    loop {
        look.tick().await;
        let Some(leader) = role.leader() else {
            continue;
        };
        if role.silence() < ASK {
            continue;
        }
        // Without NATS nobody can be heard, and nobody can take over.
        match ask(&link, leader, question.clone(), ANSWER).await {
            Ok(_) => role.hear(),
            Err(Gone) if !link.is_connected() => {}
            Err(Gone) => {
                role.lost(leader);
                bus.wake();
            }
        }
    }
}

/// Answers what other nodes ask.
async fn serve(cluster: Arc<Cluster>, core: Arc<Core>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let subject = cluster
        .link
        .subject(&format!("node.{}", cluster.role.node()));
    loop {
        let mut questions = match cluster.link.client().subscribe(subject.clone()).await {
            Ok(questions) => questions,
            Err(error) => {
                tracing::debug!(%error, "listening to other nodes");
                sleep(AGAIN).await;
                continue;
            }
        };
        while let Some(message) = questions.next().await {
            let Some(reply) = message.reply else { continue };
            let Some((question, body)) = unpack::<Question>(&message.payload) else {
                continue;
            };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (core, client) = (Arc::clone(&core), cluster.link.client().clone());
            tokio::spawn(async move {
                answer(&core, &client, reply, question, body).await;
                drop(place);
            });
        }
    }
}

async fn answer(
    core: &Arc<Core>,
    client: &Client,
    reply: async_nats::Subject,
    question: Question,
    body: Bytes,
) {
    let (told, body) = match question {
        Question::Decide(asked) => match decide(core, asked, &body).await {
            Some(outcome) => tell(outcome, core.bus.durable_pos()),
            None => (Told::NotHere, Bytes::new()),
        },
        Question::Alive => {
            // On the writer's own thread: one that hangs is as good as gone.
            let nothing: Decide = Box::new(|_| Ok(Answer::no_content()));
            match core.bus.submit(None, None, nothing).await {
                Err(problem) if is_cut_off(&problem) => (Told::No, Bytes::new()),
                _ => (Told::Yes, Bytes::new()),
            }
        }
        Question::Note { delivered, seen } => {
            core.bus.delivered(delivered);
            core.bus.seen_at(seen);
            (Told::Yes, Bytes::new())
        }
    };
    let sent = match pack(&told, &body) {
        Ok(bytes) => client
            .publish(reply, bytes)
            .await
            .map_err(async_nats::Error::from),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "answering a node");
    }
}

/// Decides here what came to another node; none where there is no such path here.
async fn decide(core: &Arc<Core>, asked: Asked, body: &Bytes) -> Option<Result<Answer, Problem>> {
    let decide = match core.prepare(&asked, body)? {
        Ok(decide) => decide,
        Err(problem) => return Some(Err(problem)),
    };
    let key = asked.key.map(|(key, digest)| KeySpec { key, digest });
    let deciding = core
        .bus
        .submit_once(asked.by, key, decide, Some(asked.command));
    let name = asked.request.and_then(|name| {
        let value = HeaderValue::from_str(&name).ok()?;
        RequestId::given(&value)
    });
    Some(match name {
        Some(name) => name.scope(deciding).await,
        None => deciding.await,
    })
}

/// What the writer knows of other nodes.
pub(super) struct Peers {
    pub(super) link: Link,
    pub(super) role: Arc<Role>,
    pub(super) runtime: Handle,
    /// Notes on their way: one at a time, so that they don't pile up.
    pub(super) under_way: Arc<Semaphore>,
    /// What is live on its way.
    pub(super) telling: Arc<Semaphore>,
}

impl Others for Peers {
    fn decide(&self) -> bool {
        self.role.leader().is_some()
    }

    fn tell(&self, told: &Live) {
        // What would have to wait for its turn would come too late.
        let Ok(place) = Arc::clone(&self.telling).try_acquire_owned() else {
            return;
        };
        let (link, node) = (self.link.clone(), self.role.node());
        let (to, frame) = (told.to.clone(), Arc::clone(&told.frame));
        self.runtime.spawn(async move {
            live::tell(&link, node, to, frame).await;
            drop(place);
        });
    }

    fn note(&self, shared: &Arc<Shared>, delivered: BTreeSet<Id>, seen: BTreeMap<ClientId, Time>) {
        let (Some(leader), Ok(place)) = (
            self.role.leader(),
            Arc::clone(&self.under_way).try_acquire_owned(),
        ) else {
            return shared.notices.give_back(delivered, seen);
        };
        let (link, shared) = (self.link.clone(), Arc::clone(shared));
        self.runtime.spawn(async move {
            let question = Question::Note {
                delivered: delivered.iter().copied().collect(),
                seen: seen.iter().map(|(client, at)| (*client, *at)).collect(),
            };
            let noted = match pack(&question, b"") {
                Ok(question) => ask(&link, leader, question, ANSWER).await.is_ok(),
                Err(_) => true,
            };
            if !noted {
                // Whoever looks after the writer finds out whether it is gone.
                sleep(AGAIN).await;
                shared.notices.give_back(delivered, seen);
            }
            drop(place);
        });
    }
}
