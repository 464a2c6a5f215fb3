//! The loads: what is done, and what is reported of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Problem;
use crate::mark::Mark;
use crate::process::{Usage, usage};
use crate::protocol::{Kind, To};
use crate::publisher::Publisher;
use crate::streams::{Streams, Tally};
use crate::times::{Percentiles, Times, now};

/// How long a text is, in bytes.
pub const TEXT: usize = 100;
/// How long everything is left alone before idle memory and CPU are taken.
const SETTLE: Duration = Duration::from_secs(3);
/// How many users are made at once.
pub const MAKING: usize = 64;

/// The loads.
#[derive(Subcommand)]
pub enum Load {
    /// Streams, and publishers that send the next text when the last is answered
    Fanout {
        /// How many streams
        #[arg(long, default_value_t = 1000)]
        streams: usize,
        /// How many publishers
        #[arg(long, default_value_t = 4)]
        publishers: usize,
        /// How long
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
    /// Streams, and texts that are due at fixed times, whether the last is answered or not
    Paced {
        /// How many streams
        #[arg(long, default_value_t = 1000)]
        streams: usize,
        /// How many texts are due in a second
        #[arg(long, default_value_t = 50)]
        rate: u32,
        /// How long
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
    /// Streams on which nothing happens, each a user's own
    Idle {
        /// How many streams
        #[arg(long, default_value_t = 10_000)]
        streams: usize,
        /// How long they are watched
        #[arg(long, default_value_t = 20)]
        seconds: u32,
    },
    /// Publishers alone, each with a text when its last is answered
    Posts {
        /// How many publishers
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// How long
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
    /// A text to every stream each second, and others meanwhile to where no stream listens
    Broadcast {
        /// How many streams
        #[arg(long, default_value_t = 10_000)]
        streams: usize,
        /// How many other texts are due in a second
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// How long
        #[arg(long, default_value_t = 8)]
        seconds: u32,
    },
}

impl Load {
    /// How many connections it opens at most.
    pub fn connections(&self) -> u64 {
        let most = match *self {
            Self::Fanout {
                streams,
                publishers,
                ..
            } => streams + publishers,
            Self::Posts { connections, .. } => connections,
            Self::Paced { streams, .. }
            | Self::Idle { streams, .. }
            | Self::Broadcast { streams, .. } => streams + MAKING,
        };
        most as u64
    }
}

/// The server that is loaded.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it speaks.
    pub kind: Kind,
    /// Where it listens.
    pub addr: SocketAddr,
    /// All addresses, where it is several nodes: publishers go to each in turn.
    pub addrs: &'static [SocketAddr],
    /// Where streams are opened, in turn.
    pub streams_at: &'static [SocketAddr],
    /// Its processes.
    pub pids: &'static [u32],
}

impl Target {
    /// What its processes have used by now.
    ///
    /// # Errors
    /// Where one is gone.
    pub fn usage(&self) -> Result<Usage, Problem> {
        let mut total = Usage::default();
        for pid in self.pids {
            let one = usage(*pid)?;
            total.cpu += one.cpu;
            total.resident += one.resident;
        }
        Ok(total)
    }
}

/// What a load took. What does not belong to the load is left away.
#[derive(Default, Serialize)]
#[serde(default)]
pub struct Report {
    /// The streams that were open.
    streams: usize,
    /// The texts that were published and answered.
    sent: u64,
    /// The texts that streams received, each once.
    delivered: u64,
    /// Those that a stream should have received, and did not.
    lost: u64,
    /// Those that a stream received more than once.
    doubled: u64,
    /// The streams that the server closed.
    closed: u64,
    /// Deliveries in a second, or requests where there are no streams.
    per_second: f64,
    /// The server's CPU time for each of those, in microseconds.
    cpu_us: f64,
    /// From when a text was due until a stream had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Percentiles>,
    /// From when a text was due until it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Percentiles>,
    /// The same of the texts that go where no stream listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<Percentiles>,
    /// The server's memory in bytes before anybody came, and at the end.
    resident_before: u64,
    resident: u64,
    /// The memory that came with the streams, for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_a_stream: Option<f64>,
    /// The server's CPU time in a second in which nothing happens, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_cpu_ms: Option<f64>,
}

/// Runs the load.
///
/// # Errors
/// Where the server refuses, or is gone.
pub async fn run(load: &Load, target: Target) -> Result<Report, Problem> {
    let before = target.usage()?;
    let mut report = match *load {
        Load::Fanout {
            streams,
            publishers,
            seconds,
        } => fanout(target, streams, publishers, seconds).await?,
        Load::Paced {
            streams,
            rate,
            seconds,
        } => paced(target, streams, rate, seconds).await?,
        Load::Idle { streams, seconds } => idle(target, before, streams, seconds).await?,
        Load::Posts {
            connections,
            seconds,
        } => posts(target, connections, seconds).await?,
        Load::Broadcast {
            streams,
            rate,
            seconds,
        } => broadcast(target, streams, rate, seconds).await?,
    };
    report.resident_before = before.resident;
    report.resident = target.usage()?.resident;
    Ok(report)
}

async fn fanout(
    target: Target,
    count: usize,
    publishers: usize,
    seconds: u32,
) -> Result<Report, Problem> {
    let streams = open_streams(target, count).await?;
    let mut publishers = open_publishers(target, publishers).await?;
    let numbers = Arc::new(AtomicU32::new(0));
    // What a server or a compiler does only once is not part of what a delivery costs.
    let warm = closed_loop(&mut publishers, &numbers, 1).await?;
    streams.collect(warm.sent * count as u64).await?;
    let (start, begin) = (target.usage()?, now());
    let sent = closed_loop(&mut publishers, &numbers, seconds).await?;
    let tally = streams.collect(sent.sent * count as u64).await?;
    let report = delivered(target, start, begin, &sent, &tally, count)?;
    streams.close()?;
    Ok(report)
}

async fn paced(target: Target, count: usize, rate: u32, seconds: u32) -> Result<Report, Problem> {
    let streams = open_streams(target, count).await?;
    let publishers = open_publishers(target, 8).await?;
    let numbers = Arc::new(AtomicU32::new(0));
    let (publishers, warm) = open_loop(publishers, &numbers, rate, rate, false).await?;
    streams.collect(warm.sent * count as u64).await?;
    let (start, begin) = (target.usage()?, now());
    let (_, sent) = open_loop(publishers, &numbers, rate, rate * seconds, false).await?;
    let tally = streams.collect(sent.sent * count as u64).await?;
    let report = delivered(target, start, begin, &sent, &tally, count)?;
    streams.close()?;
    Ok(report)
}

async fn idle(
    target: Target,
    before: Usage,
    count: usize,
    seconds: u32,
) -> Result<Report, Problem> {
    let streams = open_streams(target, count).await?;
    sleep(SETTLE).await;
    let start = target.usage()?;
    sleep(Duration::from_secs(seconds.into())).await;
    let end = target.usage()?;
    let tally = streams.collect(0).await?;
    streams.close()?;
    let grown = end.resident.saturating_sub(before.resident);
    Ok(Report {
        streams: count,
        closed: tally.closed,
        bytes_a_stream: Some(ratio(grown, count as u64)),
        idle_cpu_ms: Some((end.cpu - start.cpu).as_secs_f64() * 1e3 / f64::from(seconds)),
        ..Report::default()
    })
}

async fn posts(target: Target, connections: usize, seconds: u32) -> Result<Report, Problem> {
    let mut publishers = open_publishers(target, connections).await?;
    let numbers = Arc::new(AtomicU32::new(0));
    closed_loop(&mut publishers, &numbers, 1).await?;
    let (start, begin) = (target.usage()?, now());
    let sent = closed_loop(&mut publishers, &numbers, seconds).await?;
    let took = now() - begin;
    let cpu = target.usage()?.cpu - start.cpu;
    Ok(Report {
        sent: sent.sent,
        per_second: ratio(sent.sent, took) * 1e9,
        cpu_us: cpu.as_secs_f64() * 1e6 / ratio(sent.sent, 1),
        answer: Some(sent.times.percentiles()),
        ..Report::default()
    })
}

async fn broadcast(
    target: Target,
    count: usize,
    rate: u32,
    seconds: u32,
) -> Result<Report, Problem> {
    let streams = open_streams(target, count).await?;
    let publishers = open_publishers(target, 1).await?;
    let asides = open_publishers(target, 16).await?;
    sleep(SETTLE).await;
    let numbers = Arc::new(AtomicU32::new(0));
    let (publishers, warm) = open_loop(publishers, &numbers, 1, 1, false).await?;
    streams.collect(warm.sent * count as u64).await?;
    let (start, begin) = (target.usage()?, now());
    let (sent, asides) = tokio::join!(
        open_loop(publishers, &numbers, 1, seconds, false),
        open_loop(asides, &numbers, rate, rate * seconds, true),
    );
    let ((_, sent), (_, asides)) = (sent?, asides?);
    let tally = streams.collect(sent.sent * count as u64).await?;
    let mut report = delivered(target, start, begin, &sent, &tally, count)?;
    report.aside = Some(asides.times.percentiles());
    streams.close()?;
    Ok(report)
}

/// The report of a load whose texts were delivered.
fn delivered(
    target: Target,
    start: Usage,
    begin: u64,
    sent: &Sent,
    tally: &Tally,
    streams: usize,
) -> Result<Report, Problem> {
    let cpu = target.usage()?.cpu - start.cpu;
    let took = tally.last.saturating_sub(begin);
    Ok(Report {
        streams,
        sent: sent.sent,
        delivered: tally.delivered,
        lost: (sent.sent * streams as u64).saturating_sub(tally.delivered),
        doubled: tally.doubled,
        closed: tally.closed,
        per_second: ratio(tally.delivered, took) * 1e9,
        cpu_us: cpu.as_secs_f64() * 1e6 / ratio(tally.delivered, 1),
        delivery: Some(tally.times.percentiles()),
        answer: Some(sent.times.percentiles()),
        ..Report::default()
    })
}

/// How many of one there are for each of the other.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

/// Opens the streams; where the server has users, each is one's own.
async fn open_streams(target: Target, count: usize) -> Result<Streams, Problem> {
    let tokens = if target.kind == Kind::Veche {
        make_users(target, "stream", count).await?
    } else {
        vec![String::new(); count]
    };
    Streams::open(target.kind, target.streams_at, tokens).await
}

/// Makes users of such a name, each with its number, and gives their tokens in that order.
///
/// # Errors
/// Where the server refuses one.
pub async fn make_users(target: Target, name: &str, count: usize) -> Result<Vec<String>, Problem> {
    let mut making = JoinSet::new();
    for first in 0..MAKING.min(count) {
        let name = name.to_owned();
        making.spawn(async move {
            let mut publisher = Publisher::bare(target.kind, target.addr).await?;
            let mut tokens = Vec::new();
            for number in (first..count).step_by(MAKING) {
                let token = publisher.make_user(&format!("{name}{number}")).await?;
                tokens.push((number, token));
            }
            Ok::<_, Problem>(tokens)
        });
    }
    let mut tokens = vec![String::new(); count];
    while let Some(made) = making.join_next().await {
        for (number, token) in made?? {
            tokens[number] = token;
        }
    }
    Ok(tokens)
}

/// Opens publishers, and makes what the server keeps their texts in.
async fn open_publishers(target: Target, count: usize) -> Result<Vec<Publisher>, Problem> {
    let mut publishers = Vec::with_capacity(count);
    for number in 0..count {
        let user = format!("publisher{count}-{number}");
        let addr = target.addrs[number % target.addrs.len()];
        let mut publisher = Publisher::open(target.kind, addr, &user).await?;
        if let Some(setup) = target.kind.setup(&user).filter(|_| number == 0) {
            publisher.ask(&setup).await?;
        }
        publishers.push(publisher);
    }
    Ok(publishers)
}

/// What publishers did.
struct Sent {
    /// How many texts were answered.
    sent: u64,
    /// From when each was due to its answer.
    times: Times,
}

impl Sent {
    fn new() -> Result<Self, Problem> {
        Ok(Self {
            sent: 0,
            times: Times::new()?,
        })
    }

    async fn one(&mut self, publisher: &mut Publisher, to: To, mark: Mark) -> Result<(), Problem> {
        publisher.publish(to, &mark.text(TEXT)).await?;
        self.times.record(now().saturating_sub(mark.due));
        self.sent += 1;
        Ok(())
    }

    fn add(&mut self, other: &Self) -> Result<(), Problem> {
        self.sent += other.sent;
        self.times.add(&other.times)
    }
}

/// Each publisher sends a text when its last one is answered, for so many seconds.
async fn closed_loop(
    publishers: &mut Vec<Publisher>,
    numbers: &Arc<AtomicU32>,
    seconds: u32,
) -> Result<Sent, Problem> {
    let end = now() + u64::from(seconds) * 1_000_000_000;
    let mut tasks = JoinSet::new();
    for mut publisher in publishers.drain(..) {
        let numbers = numbers.clone();
        tasks.spawn(async move {
            let mut sent = Sent::new()?;
            while now() < end {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let mark = Mark { number, due: now() };
                sent.one(&mut publisher, To::Everybody, mark).await?;
            }
            Ok::<_, Problem>((publisher, sent))
        });
    }
    let (back, sent) = gather(tasks).await?;
    *publishers = back;
    Ok(sent)
}

/// Tells `rate` times a second that something is due, `count` times in all, and when; and the
/// thread that does.
pub fn pace(rate: u32, count: u32) -> (mpsc::UnboundedReceiver<u64>, JoinHandle<()>) {
    let (sender, due) = mpsc::unbounded_channel();
    // The runtime's timers are exact to a millisecond; a thread that sleeps is to 60 µs.
    let pacer = std::thread::spawn(move || {
        let begin = now();
        for number in 0..count {
            let due = begin + u64::from(number) * 1_000_000_000 / u64::from(rate.max(1));
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(now())));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    (due, pacer)
}

/// Texts are due `rate` times a second, `count` in all; whichever publisher is free sends the next.
/// What has to wait for one is late, and counts from when it was due.
async fn open_loop(
    publishers: Vec<Publisher>,
    numbers: &Arc<AtomicU32>,
    rate: u32,
    count: u32,
    aside: bool,
) -> Result<(Vec<Publisher>, Sent), Problem> {
    let (due, pacer) = pace(rate, count);
    let due = Arc::new(Mutex::new(due));
    let (mut tasks, all) = (JoinSet::new(), publishers.len());
    for (place, mut publisher) in publishers.into_iter().enumerate() {
        let (numbers, due) = (numbers.clone(), due.clone());
        let to = if aside {
            To::Aside((place + 1) % all)
        } else {
            To::Everybody
        };
        tasks.spawn(async move {
            let mut sent = Sent::new()?;
            loop {
                let next = due.lock().await.recv().await;
                let Some(due) = next else {
                    return Ok::<_, Problem>((publisher, sent));
                };
                let number = match to {
                    To::Everybody => numbers.fetch_add(1, Ordering::Relaxed),
                    To::Aside(_) => u32::MAX,
                };
                sent.one(&mut publisher, to, Mark { number, due }).await?;
            }
        });
    }
    drop(due);
    let done = gather(tasks).await;
    // It ends with the last text, or with the publishers.
    let _ = pacer.join();
    done
}

async fn gather(
    mut tasks: JoinSet<Result<(Publisher, Sent), Problem>>,
) -> Result<(Vec<Publisher>, Sent), Problem> {
    let (mut publishers, mut total) = (Vec::new(), Sent::new()?);
    while let Some(done) = tasks.join_next().await {
        let (publisher, sent) = done??;
        total.add(&sent)?;
        publishers.push(publisher);
    }
    Ok((publishers, total))
}
