//! The heart of the bus, with a log whose commits fail on demand.

mod faulty;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::faulty::{Fault, Faulty, Script};
use super::*;
use crate::chat::Fact;
use crate::config::Config;
use crate::feature::Features;
use crate::http::{Problem, RequestId};
use crate::log::reader::Reader;
use crate::log::sqlite::SqliteLog;
use crate::log::*;
use crate::time::{Clock, Time};

/// A bus with its writer, without HTTP.
struct Bench {
    bus: Bus,
    script: Script,
    clock: Clock,
    hub: Arc<Hub>,
    writer: Option<std::thread::JoinHandle<()>>,
    fan_out: FanOut,
    folder: std::path::PathBuf,
}

/// Another node, which decides from a moment on.
struct Elsewhere(Arc<AtomicBool>);

impl Others for Elsewhere {
    fn decide(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn tell(&self, _: &Live) {}

    fn note(&self, shared: &Arc<Shared>, delivered: BTreeSet<Id>, seen: BTreeMap<ClientId, Time>) {
        shared.notices.give_back(delivered, seen);
    }
}

impl Bench {
    fn new() -> Self {
        Self::among(None)
    }

    fn among(others: Option<Box<dyn Others>>) -> Self {
        let folder = std::env::temp_dir().join(format!("veche-bus-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let script = Script::default();
        let log = Faulty {
            inner: SqliteLog::open(&folder).expect("a log"),
            script: script.clone(),
        };
        let config = Config::parse("", "config.toml", &[]).expect("the defaults");
        let features = Arc::new(Features::build(&config).expect("features"));
        let clock = Clock::manual(Time(1_000_000));
        let shared = Arc::new(Shared::new(World::default(), clock.clone()));
        let (tasks, queue) = mpsc::channel(1_000);
        let (durable, seen) = watch::channel(Durable::default());
        let frames = Frames::new(Arc::clone(&features), log.epoch());
        let world = Arc::clone(&shared.world);
        let (hub, fan_out) = Hub::new(frames, world, clock.clone(), 0, 10, 10).expect("a hub");
        let writer = Writer::new(WriterOptions {
            log: Box::new(log),
            shared: Arc::clone(&shared),
            features,
            hub: Arc::clone(&hub),
            tasks: queue,
            durable,
            text_limit: 4000,
            others,
        });
        let runtime = tokio::runtime::Handle::current();
        let writer = std::thread::spawn(move || writer.run(&runtime));
        let bus = Bus::new(shared, tasks, seen);
        Self {
            bus,
            script,
            clock,
            hub,
            writer: Some(writer),
            fan_out,
            folder,
        }
    }

    fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script
            .faults
            .lock()
            .expect("unpoisoned")
            .extend(faults);
    }

    async fn join(&self, name: &str) -> Result<Answer, Problem> {
        join(&self.bus, name).await
    }

    fn knows(&self, name: &str) -> bool {
        self.bus.peek(|view| view.find_user(name).is_some())
    }

    async fn stop(mut self) -> World {
        self.bus.stop().await;
        let writer = self.writer.take().expect("not stopped before");
        tokio::task::spawn_blocking(move || writer.join().expect("no panic"))
            .await
            .expect("joined");
        World::load(&SqliteLog::open(&self.folder).expect("a log")).expect("a world")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Takes a name, unless somebody has it.
async fn join(bus: &Bus, name: &str) -> Result<Answer, Problem> {
    let name = name.to_owned();
    let decide = move |tx: &mut Tx<'_>| {
        if tx.find_user(&name).is_some() {
            return Err(Problem::new(http::StatusCode::CONFLICT, "taken", "taken"));
        }
        tx.core(
            &Fact::Joined {
                name: name.clone(),
                password: None,
            },
            Audience::Nobody,
        )
        .map(Answer::ok)
    };
    bus.submit(None, None, Box::new(decide)).await
}

/// Waits until something holds that no event announces.
async fn until(holds: impl Fn() -> bool) {
    bounded(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_share_one_append() {
    let bench = Bench::new();
    let (release, held) = std_mpsc::channel();
    bench.plan([Fault::Held(held)]);
    let first = tokio::spawn({
        let bus = bench.bus.clone();
        async move { join(&bus, "first").await }
    });
    until(|| *bench.script.commits.lock().expect("unpoisoned") > 0).await;
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let bus = bench.bus.clone();
            tokio::spawn(async move { join(&bus, &format!("user{n}")).await })
        })
        .collect();
    // All of them are in the queue once a read-only look at its capacity says so.
    until(|| bench.bus.waiting() == 100).await;
    release.send(()).expect("the writer waits");
    assert!(bounded(first).await.expect("no panic").is_ok());
    for one in waiting {
        assert!(bounded(one).await.expect("no panic").is_ok());
    }
    // One that has its place in the queue may come into it a moment later than the others.
    let commits = *bench.script.commits.lock().expect("unpoisoned");
    assert!((2..=3).contains(&commits), "{commits} appends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_made_in_the_name_of_the_request_that_asks_for_it() {
    let bench = Bench::new();
    let (tell, told) = std_mpsc::channel();
    let ask = || {
        let tell = tell.clone();
        let decide = move |_: &mut Tx<'_>| {
            tell.send(RequestId::current()).expect("somebody listens");
            Ok(Answer::no_content())
        };
        bench.bus.submit(None, None, Box::new(decide))
    };
    let name = http::HeaderValue::from_static("of-the-test");
    let id = RequestId::given(&name).expect("a name");
    let named = id.clone().scope_sync(|| RequestId::carry(ask()));
    bounded(named).await.expect("an answer");
    assert_eq!(told.recv().expect("it was decided"), Some(id));
    bounded(ask()).await.expect("an answer");
    assert_eq!(told.recv().expect("it was decided"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_or_read_before_it_is_durable() {
    let bench = Bench::new();
    let (release, held) = std_mpsc::channel();
    bench.plan([Fault::Held(held)]);
    let answer = tokio::spawn({
        let bus = bench.bus.clone();
        async move { join(&bus, "ann").await }
    });
    until(|| bench.knows("ann")).await;
    let read = tokio::spawn({
        let bus = bench.bus.clone();
        async move { bus.read(|view| view.find_user("ann").is_some()).await }
    });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished(), "answered before it was durable");
    assert!(!read.is_finished(), "shown before it was durable");
    release.send(()).expect("the writer waits");
    assert!(bounded(answer).await.expect("no panic").is_ok());
    assert!(bounded(read).await.expect("no panic").expect("readable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_decided_again_on_what_the_winner_wrote() {
    let bench = Bench::new();
    bench.plan([Fault::Lost("ann"), Fault::Lost("other")]);
    let answer = bounded(bench.join("ann")).await;
    assert_eq!(answer.expect_err("the winner has the name").code, "taken");
    assert!(bounded(bench.join("bob")).await.is_ok());
    let world = bench.stop().await;
    for name in ["ann", "other", "bob"] {
        assert!(world.chat.find(name).is_some(), "{name}");
    }
    assert_eq!(world.chat.user_count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_lost_to_the_node_that_decides_now_is_given_back_to_be_handed_on() {
    let led = Arc::new(AtomicBool::new(false));
    let bench = Bench::among(Some(Box::new(Elsewhere(Arc::clone(&led)))));
    bench.plan([Fault::Lost("other")]);
    let runs = Arc::new(AtomicUsize::new(0));
    let ran = Arc::clone(&runs);
    let decide = move |tx: &mut Tx<'_>| {
        ran.fetch_add(1, Ordering::AcqRel);
        led.store(true, Ordering::Release);
        let (name, password) = ("ann".to_owned(), None);
        tx.core(&Fact::Joined { name, password }, Audience::Nobody)
            .map(Answer::ok)
    };
    let given_back = bounded(bench.bus.submit_once(None, None, Box::new(decide), None)).await;
    assert_eq!(given_back.expect_err("another decides").code, MOVED);
    assert_eq!(runs.load(Ordering::Acquire), 1);
    assert!(bench.knows("other") && !bench.knows("ann"));
}

/// Refuses, or does nothing.
fn idle(is_refused: bool) -> Decide {
    Box::new(move |_| match is_refused {
        true => Err(Problem::new(http::StatusCode::CONFLICT, "taken", "taken")),
        false => Ok(Answer::no_content()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_may_have_done_is_answered_behind_a_batch_alone() {
    let bench = Bench::new();
    for (commits, (in_doubt, is_refused)) in [
        (0, (false, true)),
        (1, (true, true)),
        (1, (false, false)),
        (2, (true, false)),
    ] {
        let once = Once {
            command: uuid::Uuid::new_v4(),
            from: From::Here { in_doubt },
        };
        let asked = bench
            .bus
            .submit_once(None, None, idle(is_refused), Some(once));
        assert_eq!(bounded(asked).await.is_err(), is_refused);
        assert_eq!(*bench.script.commits.lock().expect("unpoisoned"), commits);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_counted_on_this_node_is_given_back_once_another_has_appended() {
    let bench = Bench::new();
    *bench.script.others.lock().expect("unpoisoned") = 7;
    for since in [6, 7] {
        let once = Once {
            command: uuid::Uuid::new_v4(),
            from: From::Elsewhere { since },
        };
        let asked = bench.bus.submit_once(None, None, idle(false), Some(once));
        let outcome = bounded(asked).await.map_err(|problem| problem.code.clone());
        assert_eq!(outcome.is_ok(), since == 7);
        assert!(outcome.is_ok() || outcome.is_err_and(|code| code == MOVED));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_storage_refuses_keeps_nothing_and_recovers_by_itself() {
    let bench = Bench::new();
    assert!(bounded(bench.join("before")).await.is_ok());
    bench.plan([Fault::Full]);
    let refusal = bounded(bench.join("ann")).await.expect_err("no room");
    assert_eq!(
        (refusal.status.as_u16(), &*refusal.code),
        (503, "storage_full")
    );
    assert!(
        !bench.knows("ann"),
        "what was not appended is not in the world"
    );
    assert!(bench.knows("before"));
    let commits = *bench.script.commits.lock().expect("unpoisoned");
    let refusal = bounded(bench.join("ann")).await.expect_err("still no room");
    assert_eq!(refusal.code, "storage_full");
    assert_eq!(
        *bench.script.commits.lock().expect("unpoisoned"),
        commits,
        "refused undecided"
    );
    // A second later it is tried: first there is still no room, then there is.
    bench
        .script
        .probes
        .lock()
        .expect("unpoisoned")
        .push_back(Fault::Full);
    bench.clock.advance(crate::settings::Period::secs(2));
    assert_eq!(
        bounded(bench.join("ann")).await.expect_err("no room").code,
        "storage_full"
    );
    bench.clock.advance(crate::settings::Period::secs(2));
    assert!(bounded(bench.join("ann")).await.is_ok());
    assert_eq!(bench.bus.health(), Health::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_fsync_ends_all_writing() {
    let bench = Bench::new();
    assert!(bounded(bench.join("before")).await.is_ok());
    bench.plan([Fault::Failed]);
    assert_eq!(
        bounded(bench.join("ann")).await.expect_err("failed").code,
        "storage_failed"
    );
    bench.clock.advance(crate::settings::Period::hours(1));
    assert_eq!(
        bounded(bench.join("ann")).await.expect_err("for good").code,
        "storage_failed"
    );
    let seen = bounded(bench.bus.read(|view| view.find_user("before").is_some())).await;
    assert!(seen.expect("reads go on"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_panics_is_one_failed_request() {
    let bench = Bench::new();
    let decide = |_: &mut Tx<'_>| panic!("a fault of a feature");
    let refusal = bounded(bench.bus.submit(None, None, Box::new(decide))).await;
    assert_eq!(refusal.expect_err("it failed").status.as_u16(), 500);
    assert!(bounded(bench.join("ann")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_world_and_the_facts_after_it_are_the_world_byte_for_byte() {
    let bench = Bench::new();
    for n in 0..20 {
        assert!(bounded(bench.join(&format!("user{n}"))).await.is_ok());
    }
    let reader = Reader::new(&bench.folder);
    let maker = Snapshotter {
        every: 1,
        keep: crate::settings::Period::hours(24),
        keep_facts: 0,
    };
    let making = tokio::spawn(maker.run(bench.bus.clone(), reader.clone()));
    let saved = bounded(async {
        loop {
            let snapshot = reader
                .read(|reading| reading.snapshot())
                .await
                .expect("readable");
            match snapshot {
                Some(snapshot) => return snapshot,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    making.abort();
    assert!(bounded(bench.join("after")).await.is_ok());
    let folder = bench.folder.clone();
    let log = SqliteLog::open(&folder).expect("a log");
    let from_snapshot = World::load(&log).expect("a world").save().expect("bytes");
    let mut from_start = World::default();
    for record in log.read(0, 1_000).expect("readable") {
        from_start.apply(&record).expect("applied");
    }
    assert_eq!(from_start.save().expect("bytes"), from_snapshot);
    assert_eq!(
        World::restore(&saved)
            .expect("a world")
            .save()
            .expect("bytes"),
        saved.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_race_streams_read_what_the_winner_wrote_from_the_log() {
    let mut bench = Bench::new();
    assert!(bounded(bench.join("ann")).await.is_ok());
    let registered = bench
        .hub
        .register(UserId(1), ClientId::nil(), false)
        .expect("a place");
    assert!(registered.go_live(1));
    let before = bench.bus.durable_pos();
    bench.plan([Fault::Lost("other")]);
    assert!(bounded(bench.join("bob")).await.is_ok());
    bench.fan_out.close_gap();
    assert!(
        !registered.go_live(before),
        "one that read the log before the winner wrote must read on"
    );
    let mut taken = Vec::new();
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let state = registered.mailbox().poll_take(cx, &mut taken);
    // Its client is none of the world's, so it is closed, too; before that it is put back.
    assert!(
        matches!(state, std::task::Poll::Ready(Taken::Behind | Taken::Closed)),
        "{state:?}"
    );
}

#[test]
fn facts_of_a_feature_that_is_not_compiled_in_are_carried_along() {
    let record = |pos| Record {
        pos,
        at: Time(5),
        owner: "elsewhere".into(),
        fact: serde_json::value::to_raw_value(&serde_json::json!({"n": pos})).expect("JSON"),
        by: None,
        audience: Audience::Nobody,
        riders: Riders::new(),
        row: None,
        object: None,
        holds: Vec::new(),
        text: false,
    };
    let mut world = World::default();
    world.apply(&record(1)).expect("carried");
    let body = world.save().expect("bytes");
    let mut again = World::restore(&Snapshot { pos: 1, body }).expect("a world");
    again.apply(&record(2)).expect("carried");
    let saved: serde_json::Value =
        serde_json::from_slice(&again.save().expect("bytes")).expect("JSON");
    let facts = &saved["features"]["elsewhere"]["facts"];
    assert_eq!(facts[0]["fact"]["n"], 1);
    assert_eq!(facts[1]["fact"]["n"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_runs_since_no_later_than_now() {
    let bench = Bench::new();
    for (clock, since) in [
        (1_000_000, 1_000_000),
        (2_000_000, 1_000_000),
        (7, 7),
        (9_000, 7),
    ] {
        bench.clock.set(Time(clock));
        let decide = |tx: &mut Tx<'_>| Ok(Answer::ok(tx.up_since().0));
        let answer = bench.bus.submit(None, None, Box::new(decide)).await;
        let said = answer.expect("an answer").body.value().cloned();
        assert_eq!(said, Some(since.into()), "at {clock}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_seen_no_more_though_it_is_not_removed_yet() {
    let bench = Bench::new();
    bench.join("ann").await.expect("a user");
    let row = MessageRow {
        id: 2,
        chat: ChatId::COMMON,
        author: UserId(1),
        addressee: None,
        at: Time(1_000_000),
        ends: Some(Time(1_000_500)),
        fuse: None,
        riders: Riders::new(),
        counts: BTreeMap::new(),
        held: Vec::new(),
        marks: Vec::new(),
        text: "x".to_owned(),
        reworded: None,
    };
    let sees = || {
        bench.bus.peek(|view| {
            let ann = view.find_user("ann").expect("known");
            crate::chat::sees(view, ann, &row)
        })
    };
    assert!(sees());
    bench.clock.set(Time(1_000_500));
    assert!(!sees());
    bench.stop().await;
}

#[test]
fn a_fact_of_the_core_that_is_unknown_stops_the_fold() {
    let record = Record {
        pos: 1,
        at: Time(5),
        owner: CORE.into(),
        fact: serde_json::value::to_raw_value(&serde_json::json!({"invented": {}})).expect("JSON"),
        by: None,
        audience: Audience::Nobody,
        riders: Riders::new(),
        row: None,
        object: None,
        holds: Vec::new(),
        text: false,
    };
    let error = World::default().apply(&record).expect_err("unknown");
    assert!(error.to_string().contains("fact 1"), "{error}");
}
