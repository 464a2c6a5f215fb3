//! The loads that show how costs grow: a history is filled, pages of it are read, users and rooms
//! are made, somebody in many chats asks for their status, many scheduled messages are due.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::Problem;
use crate::loads::{MAKING, TEXT, Target, make_users, pace, ratio};
use crate::mark::Mark;
use crate::process::usage;
use crate::protocol::{self, To};
use crate::publisher::Publisher;
use crate::streams::Streams;
use crate::times::{Percentiles, Times, now};

/// How many requests a connection that fills sends before it reads the answers.
const DEPTH: u64 = 16;
/// How many messages a page has.
const PAGE: usize = 50;
/// How many pages a second are asked for at fixed times.
const RATE: u32 = 1000;
/// How many messages each user schedules: as many as may wait by default.
const WAITING: u32 = 100;

/// The loads that show how costs grow. They are for veche alone.
#[derive(Subcommand)]
pub enum Growth {
    /// Posts so many messages to the common chat, as fast as it can
    Fill {
        /// How many
        #[arg(long)]
        messages: u64,
        /// Over how many connections
        #[arg(long, default_value_t = 256)]
        connections: usize,
    },
    /// Asks for pages of the common chat, each client again when it is answered; then at fixed
    /// times, a thousand a second
    Pages {
        /// Which pages
        #[arg(long, value_enum)]
        place: Place,
        /// How many clients
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// How long, each way
        #[arg(long, default_value_t = 2)]
        seconds: u32,
    },
    /// Makes users and rooms, and brings every user into a room
    People {
        /// The number of the first user
        #[arg(long, default_value_t = 0)]
        first: usize,
        /// How many users
        #[arg(long)]
        users: usize,
        /// How many rooms; the first users have one each
        #[arg(long)]
        rooms: usize,
    },
    /// Makes somebody with so many chats, and asks for their status again and again
    Status {
        /// How many chats
        #[arg(long)]
        chats: usize,
        /// How long
        #[arg(long, default_value_t = 2)]
        seconds: u32,
    },
    /// Schedules so many messages within one second, and listens to them
    Scheduled {
        /// How many
        #[arg(long)]
        messages: u32,
    },
}

/// Where in a chat's history a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The newest messages.
    End,
    /// Pages around the middle, of a tenth of all messages.
    Middle,
    /// The very first messages.
    Beginning,
    /// Each page somewhere else in all of the history.
    Anywhere,
}

impl Place {
    /// The path of the page for a random number, in a chat whose messages have these ids.
    fn path(self, ids: &RangeInclusive<u64>, random: u64) -> String {
        let (first, last) = (*ids.start(), *ids.end());
        let span = last - first;
        let before = match self {
            Self::End => return "/messages?chat=common".to_owned(),
            Self::Beginning => return "/messages?chat=common&after=0".to_owned(),
            Self::Middle => first + span / 20 * 9 + random % (span / 10).max(1),
            Self::Anywhere => first + random % span.max(1),
        };
        // A whole page lies before it.
        let before = before.max((first + 2 * PAGE as u64).min(last));
        format!("/messages?chat=common&before={before}")
    }
}

/// Numbers that look random and are the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Growth {
    /// How many connections it opens at most.
    pub fn connections(&self) -> u64 {
        let most = match *self {
            Self::Fill { connections, .. } => connections,
            Self::Pages { clients, .. } => clients,
            Self::People { .. } | Self::Status { .. } | Self::Scheduled { .. } => 2 * MAKING,
        };
        most as u64
    }
}

/// What it took. What does not belong to the load is left away.
#[derive(Default, Serialize)]
pub struct Report {
    /// How many requests are counted, or messages where they are scheduled.
    count: u64,
    /// How many in a second.
    per_second: f64,
    /// The server's CPU time for each, in microseconds.
    cpu_us: f64,
    /// From when each was due to its answer; for a scheduled message, to its arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Percentiles>,
    /// The same where they are due at fixed times, whether the last is answered or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    paced: Option<Percentiles>,
    /// From when the first was due until the last had arrived, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_s: Option<f64>,
    /// Messages that did not arrive, that came twice, or before one that was due earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<u64>,
    /// How many bytes an answer has.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// The server's memory in bytes at the end.
    resident: u64,
}

/// Runs the load.
///
/// # Errors
/// Where the server refuses, is gone, or answers what it should not.
pub async fn run(load: &Growth, target: Target) -> Result<Report, Problem> {
    let mut report = match *load {
        Growth::Fill {
            messages,
            connections,
        } => fill(target, messages, connections).await?,
        Growth::Pages {
            place,
            clients,
            seconds,
        } => pages(target, place, clients, seconds).await?,
        Growth::People {
            first,
            users,
            rooms,
        } => people(target, first, users, rooms).await?,
        Growth::Status { chats, seconds } => status(target, chats, seconds).await?,
        Growth::Scheduled { messages } => scheduled(target, messages).await?,
    };
    report.resident = usage(target.pid)?.resident;
    Ok(report)
}

async fn fill(target: Target, messages: u64, connections: usize) -> Result<Report, Problem> {
    let tokens = make_users(target, &fresh("fill"), 16.min(connections)).await?;
    let mut publishers = Vec::with_capacity(connections);
    for _ in 0..connections {
        publishers.push(Publisher::bare(target.kind, target.addr).await?);
    }
    let sent = Arc::new(AtomicU64::new(0));
    let measure = Measure::start(target)?;
    let mut tasks = JoinSet::new();
    for (place, mut publisher) in publishers.into_iter().enumerate() {
        let (sent, token) = (sent.clone(), tokens[place % tokens.len()].clone());
        tasks.spawn(async move {
            loop {
                let from = sent.fetch_add(DEPTH, Ordering::Relaxed);
                let upto = (from + DEPTH).min(messages);
                if from >= upto {
                    return Ok::<_, Problem>(());
                }
                let requests = (from..upto).map(|number| {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    let text = Mark { number, due: now() }.text(TEXT);
                    target.kind.publish(To::Everybody, &token, &text)
                });
                let requests: String = requests.collect();
                publisher.ask_all(&requests, upto - from).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    measure.report(messages)
}

async fn pages(
    target: Target,
    place: Place,
    count: usize,
    seconds: u32,
) -> Result<Report, Problem> {
    let token = make_users(target, &fresh("page"), 1).await?.remove(0);
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(Publisher::bare(target.kind, target.addr).await?);
    }
    let client = clients.first_mut().ok_or("there must be a client")?;
    let ask = |path: &str| protocol::get(path, &token);
    let newest = client.ask(&ask("/messages?chat=common")).await?;
    let first = ask("/messages?chat=common&after=0&limit=1");
    let first = *ids(&client.ask(&first).await?)?
        .first()
        .ok_or("there is no message")?;
    let ids = ids(&newest)?;
    let last = *ids.last().ok_or("there is no message")?;
    let job = Arc::new(Job {
        token,
        place,
        ids: first..=last,
        // The same of each page, whose ids differ in length by some bytes.
        least: newest.len() * 3 / 4,
    });
    let warm = now() + 300_000_000;
    let (clients, _) = asked(clients, &job, Until::Time(warm)).await?;
    let measure = Measure::start(target)?;
    let end = now() + u64::from(seconds) * 1_000_000_000;
    let (clients, times) = asked(clients, &job, Until::Time(end)).await?;
    let mut report = measure.report(times.count())?;
    report.answer = Some(times.percentiles());
    let (due, pacer) = pace(RATE, RATE * seconds);
    let due = Arc::new(Mutex::new(due));
    let paced = asked(clients, &job, Until::Dues(due)).await;
    // It ends with the last page, or with the clients.
    let _ = pacer.join();
    report.paced = Some(paced?.1.percentiles());
    report.bytes = Some(newest.len());
    Ok(report)
}

/// Which pages clients ask for.
struct Job {
    token: String,
    place: Place,
    ids: RangeInclusive<u64>,
    /// How many bytes an answer has at least.
    least: usize,
}

/// How long clients ask, and when for the next.
#[derive(Clone)]
enum Until {
    /// Each when its last is answered, until then.
    Time(u64),
    /// Whichever is free, when the next is due.
    Dues(Arc<Mutex<mpsc::UnboundedReceiver<u64>>>),
}

impl Until {
    /// When the next is due; none when it is over.
    async fn next(&self) -> Option<u64> {
        match self {
            Self::Time(end) => Some(now()).filter(|now| now < end),
            Self::Dues(due) => due.lock().await.recv().await,
        }
    }
}

async fn asked(
    clients: Vec<Publisher>,
    job: &Arc<Job>,
    until: Until,
) -> Result<(Vec<Publisher>, Times), Problem> {
    let mut tasks = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let (job, until) = (job.clone(), until.clone());
        tasks.spawn(async move {
            let (mut times, mut random) = (Times::new()?, Random(number as u64));
            while let Some(due) = until.next().await {
                let path = job.place.path(&job.ids, random.next());
                let page = client.ask(&protocol::get(&path, &job.token)).await?;
                times.record(now().saturating_sub(due));
                if page.len() < job.least {
                    return Err(format!("{path} has {} bytes", page.len()).into());
                }
            }
            Ok::<_, Problem>((client, times))
        });
    }
    let (mut clients, mut times) = (Vec::new(), Times::new()?);
    while let Some(done) = tasks.join_next().await {
        let (client, more) = done??;
        times.add(&more)?;
        clients.push(client);
    }
    Ok((clients, times))
}

async fn people(
    target: Target,
    first: usize,
    users: usize,
    rooms: usize,
) -> Result<Report, Problem> {
    let name = format!("u{first}-");
    let measure = Measure::start(target)?;
    let tokens = Arc::new(make_users(target, &name, users).await?);
    let report = measure.report(users as u64)?;
    // One after the other: what is measured is what they leave behind.
    let mut owner = Publisher::bare(target.kind, target.addr).await?;
    let mut made = Vec::with_capacity(rooms);
    for token in tokens.iter().take(rooms) {
        let room = protocol::post("/rooms", token, r#"{"title":"A room of its own"}"#);
        let room = owner.ask(&room).await?;
        made.push(protocol::word(&room, "\"room\":\"room:").ok_or("no room was made")?);
    }
    let made = Arc::new(made);
    let mut tasks = JoinSet::new();
    for place in 0..MAKING {
        let (tokens, made, name) = (tokens.clone(), made.clone(), name.clone());
        tasks.spawn(async move {
            let mut client = Publisher::bare(target.kind, target.addr).await?;
            for user in (rooms + place..tokens.len()).step_by(MAKING) {
                let Some(room) = made.get(user % rooms.max(1)) else {
                    break;
                };
                let body = format!("{{\"user\":\"{name}{user}\"}}");
                let owner = &tokens[user % rooms];
                let path = format!("/rooms/{room}/invites");
                client.ask(&protocol::post(&path, owner, &body)).await?;
                let path = format!("/rooms/{room}/join");
                client
                    .ask(&protocol::post(&path, &tokens[user], "{}"))
                    .await?;
            }
            Ok::<_, Problem>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(report)
}

async fn status(target: Target, chats: usize, seconds: u32) -> Result<Report, Problem> {
    let somebody = fresh("status");
    let token = make_users(target, &somebody, 1).await?.remove(0);
    let others = make_users(target, &fresh("friend"), chats.saturating_sub(1)).await?;
    let mut client = Publisher::bare(target.kind, target.addr).await?;
    let others = others.iter().chain(std::iter::once(&token));
    for (number, other) in others.enumerate() {
        // The last is their own, to the common chat, so that each chat has a message.
        let to = if number + 1 == chats {
            "common".to_owned()
        } else {
            format!("@{somebody}0")
        };
        let body = format!("{{\"to\":\"{to}\",\"text\":\"{}\"}}", "text ".repeat(20));
        client.ask(&protocol::post("/send", other, &body)).await?;
    }
    let ask = protocol::get("/status", &token);
    let length = client.ask(&ask).await?.len();
    let measure = Measure::start(target)?;
    let end = now() + u64::from(seconds) * 1_000_000_000;
    let mut times = Times::new()?;
    loop {
        let due = now();
        if due >= end {
            break;
        }
        client.ask(&ask).await?;
        times.record(now().saturating_sub(due));
    }
    let mut report = measure.report(times.count())?;
    report.answer = Some(times.percentiles());
    report.bytes = Some(length);
    Ok(report)
}

async fn scheduled(target: Target, messages: u32) -> Result<Report, Problem> {
    let users = messages.div_ceil(WAITING) as usize;
    let tokens = Arc::new(make_users(target, &fresh("later"), users).await?);
    let listener = make_users(target, &fresh("listener"), 1).await?;
    let streams = Streams::open(target.kind, target.addr, listener).await?;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
    // Time enough to schedule them: a thousand a second, and what a slow machine needs.
    let lead = Duration::from_secs(3 + u64::from(messages) / 1000);
    let begin = now() + u64::try_from(lead.as_nanos())?;
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..MAKING {
        let (tokens, next) = (tokens.clone(), next.clone());
        tasks.spawn(async move {
            let mut client = Publisher::bare(target.kind, target.addr).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= messages {
                    return Ok::<_, Problem>(());
                }
                let after = within_second(number, messages);
                let (at, due) = ((wall + lead + after).as_millis(), begin + nanos(after));
                let at = jiff::Timestamp::from_millisecond(i64::try_from(at)?)?;
                let text = Mark { number, due }.text(TEXT);
                let body = format!("{{\"to\":\"common\",\"text\":\"{text}\",\"at\":\"{at}\"}}");
                let token = &tokens[number as usize % tokens.len()];
                client
                    .ask(&protocol::post("/scheduled", token, &body))
                    .await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    if now() >= begin {
        return Err("they were due before all were scheduled".into());
    }
    let measure = Measure::start(target)?;
    tokio::time::sleep(Duration::from_nanos(begin - now())).await;
    let tally = streams.collect(messages.into()).await?;
    streams.close()?;
    let missing = u64::from(messages).saturating_sub(tally.delivered);
    let mut report = measure.report(tally.delivered)?;
    let took = tally.last.saturating_sub(begin);
    report.per_second = ratio(tally.delivered, took) * 1e9;
    report.took_s = Some(Duration::from_nanos(took).as_secs_f64());
    report.answer = Some(tally.times.percentiles());
    report.wrong = Some(missing + tally.doubled + tally.overtaken);
    Ok(report)
}

/// When the message of this number is due, of so many within one second; to the millisecond, as
/// the server keeps it.
fn within_second(number: u32, of: u32) -> Duration {
    Duration::from_millis(u64::from(number) * 1000 / u64::from(of.max(1)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A name that no run before this one has given to its users.
fn fresh(kind: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{kind}{:x}-", since.unwrap_or_default().as_micros())
}

/// The ids of a page's messages.
fn ids(page: &[u8]) -> Result<Vec<u64>, Problem> {
    #[derive(serde::Deserialize)]
    struct Message {
        id: u64,
    }
    #[derive(serde::Deserialize)]
    struct Page {
        messages: Vec<Message>,
    }
    let page: Page = serde_json::from_slice(protocol::body(page)?)?;
    Ok(page.messages.into_iter().map(|message| message.id).collect())
}

/// What the server took since it began.
struct Measure {
    target: Target,
    cpu: Duration,
    begin: u64,
}

impl Measure {
    fn start(target: Target) -> Result<Self, Problem> {
        let (cpu, begin) = (usage(target.pid)?.cpu, now());
        Ok(Self { target, cpu, begin })
    }

    fn report(&self, count: u64) -> Result<Report, Problem> {
        let took = now() - self.begin;
        let cpu = usage(self.target.pid)?.cpu - self.cpu;
        Ok(Report {
            count,
            per_second: ratio(count, took) * 1e9,
            cpu_us: cpu.as_secs_f64() * 1e6 / ratio(count, 1),
            ..Report::default()
        })
    }
}
