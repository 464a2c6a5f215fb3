//! Between nodes: asking the one that decides, answering the others, and noticing that it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
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
use crate::bus::{
    Answer, Bus, Decide, From, Health, KeySpec, Live, MOVED, Once, Others, Shared, moved,
    unknown_outcome,
};
use crate::http::{Problem, RequestId};
use crate::log::{ClientId, Id, Pos};
use crate::server::Core;
use crate::time::Time;

/// How often the writer is asked whether it is there, while nothing is heard of it.
const ASK: Duration = Duration::from_millis(400);

/// How long its answer to that is waited for. Both together are well below the 2 s within which
/// another takes over.
const ANSWER: Duration = Duration::from_millis(700);

/// How long another takes at most to take over from a node that is gone.
const TAKE_OVER: Duration = Duration::from_secs(2);

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
        let in_doubt = AtomicBool::new(false);
        let deciding = self.decide_somewhere(bus, asked, body, key, decide, &in_doubt);
        let decided = timeout(self.link.patience() + TAKE_OVER, deciding).await;
        // It may still wait for its turn here.
        let (outcome, pos) = decided.map_err(|_| unknown_outcome())?;
        // Who asks here is to find it here.
        let _ = timeout(self.link.patience(), bus.reached(pos)).await;
        match outcome {
            // This node did not keep it; that one may have.
            Err(problem) if in_doubt.into_inner() && !is_decided(&problem) => {
                Err(unknown_outcome())
            }
            outcome => outcome,
        }
    }

    /// The same; says how far the log reaches with it, and notes whether a node was handed it that has
    /// not answered.
    async fn decide_somewhere(
        &self,
        bus: &Bus,
        asked: Asked,
        body: &Bytes,
        key: Option<KeySpec>,
        decide: Decide,
        in_doubt: &AtomicBool,
    ) -> (Result<Answer, Problem>, Pos) {
        let (by, command) = (asked.by, asked.command);
        // It may be tried more than once.
        let decide = Arc::new(Mutex::new(decide));
        let mut turns = 0;
        while turns < TURNS {
            if let Some(decided) = self.hand_on(asked.clone(), body, in_doubt).await {
                return decided;
            }
            let decide = Arc::clone(&decide);
            let again: Decide = Box::new(move |tx| {
                let decide = decide.lock().unwrap_or_else(PoisonError::into_inner);
                decide(tx)
            });
            let in_doubt = in_doubt.load(Ordering::Acquire);
            let from = From::Here { in_doubt };
            let once = in_doubt.then_some(Once { command, from });
            match bus.submit_once(by, key.clone(), again, once).await {
                Err(problem) if problem.code == MOVED => turns += 1,
                // Once NATS is back, it shows what became of it.
                Err(problem) if in_doubt && is_kept_by_none(&problem) => sleep(AGAIN).await,
                outcome => return (outcome, 0),
            }
        }
        (Err(Health::NoLog.problem().unwrap_or_else(moved)), 0)
    }

    /// Hands a command on to the node that decides; none where it is to be decided here, unless it was
    /// decided already.
    async fn hand_on(
        &self,
        mut asked: Asked,
        body: &Bytes,
        in_doubt: &AtomicBool,
    ) -> Option<(Result<Answer, Problem>, Pos)> {
        for _ in 0..TURNS {
            let mut writers = self.role.watch();
            // In this order: what came between the two is not counted on.
            asked.since = Some(*self.role.reached().borrow());
            let leader = self.role.leader().filter(|_| self.link.is_connected())?;
            let question = pack(&Question::Decide(asked.clone()), body).ok()?;
            let was_in_doubt = in_doubt.swap(true, Ordering::AcqRel);
            // Where it is certain that this one has not taken it.
            let untaken = || in_doubt.store(was_in_doubt, Ordering::Release);
            let answer = tokio::select! {
                answer = ask(&self.link, leader, question, self.link.patience()) => answer,
                // It is gone, or another has taken over, which knows of this command if it was
                // decided.
                _ = writers.wait_for(|writer| *writer != Some(leader)) => Err(Gone::Silent),
            };
            match answer {
                Ok((told, body)) => match heard(told, body) {
                    Some((Err(problem), _)) if is_cut_off(&problem) => {
                        if is_kept_by_none(&problem) {
                            untaken();
                        }
                        self.role.lost(leader);
                    }
                    // This node hears of the one that decides now as that appends.
                    Some((Err(problem), _)) if problem.code == MOVED => {
                        untaken();
                        let another = writers.wait_for(|writer| *writer != Some(leader));
                        if timeout(ANSWER, another).await.is_err() {
                            self.role.lost(leader);
                        }
                    }
                    Some(decided) => {
                        untaken();
                        return Some(decided);
                    }
                    None => {
                        untaken();
                        return None;
                    }
                },
                Err(gone) => {
                    if matches!(gone, Gone::NotThere) {
                        untaken();
                    }
                    self.role.lost(leader);
                }
            }
        }
        None
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

/// Nobody answers.
enum Gone {
    /// NATS knows of no such node: it has heard nothing.
    NotThere,
    /// It may have heard what was said.
    Silent,
}

/// Whether a node refuses because it can't write: another may, or find out what became of it.
fn is_cut_off(problem: &Problem) -> bool {
    let fails = ["storage_failed", "stopping", "unknown_outcome"];
    fails.contains(&&*problem.code) || is_kept_by_none(problem)
}

/// Whether a node that can't write has kept nothing of what it refuses.
fn is_kept_by_none(problem: &Problem) -> bool {
    ["no_log", "storage_full", "storage_busy"].contains(&&*problem.code)
}

/// Whether a refusal is the decision itself.
fn is_decided(problem: &Problem) -> bool {
    !is_cut_off(problem) && ![MOVED, "overloaded"].contains(&&*problem.code)
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
        match error.kind() {
            RequestErrorKind::NoResponders => Gone::NotThere,
            _ => Gone::Silent,
        }
    })?;
    match unpack(&answer.payload) {
        None | Some((Told::No, _)) => Err(Gone::Silent),
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
            Err(_) if !link.is_connected() => {}
            Err(_) => {
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
    let from = From::Elsewhere {
        since: asked.since.unwrap_or(u64::MAX),
    };
    let once = Once {
        command: asked.command,
        from,
    };
    let deciding = core.bus.submit_once(asked.by, key, decide, Some(once));
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
