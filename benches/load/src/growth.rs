//! The loads that show how costs grow: a history is filled, pages of it are read, users and rooms
//! are made, somebody in many chats asks for their status, many scheduled messages are due.

mod pages;
mod scheduled;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::Problem;
use crate::loads::{MAKING, TEXT, Target, make_users, ratio};
use crate::mark::Mark;
use crate::protocol::{self, To};
use crate::publisher::Publisher;
use crate::times::{Percentiles, Times, now};
use pages::Place;

/// How many requests a connection that fills sends before it reads the answers.
const DEPTH: u64 = 16;

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
        } => pages::pages(target, place, clients, seconds).await?,
        Growth::People {
            first,
            users,
            rooms,
        } => people(target, first, users, rooms).await?,
        Growth::Status { chats, seconds } => status(target, chats, seconds).await?,
        Growth::Scheduled { messages } => scheduled::scheduled(target, messages).await?,
    };
    report.resident = target.usage()?.resident;
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

/// A name that no run before this one has given to its users.
fn fresh(kind: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{kind}{:x}-", since.unwrap_or_default().as_micros())
}

/// What the server took since it began.
struct Measure {
    target: Target,
    cpu: Duration,
    begin: u64,
}

impl Measure {
    fn start(target: Target) -> Result<Self, Problem> {
        let (cpu, begin) = (target.usage()?.cpu, now());
        Ok(Self { target, cpu, begin })
    }

    fn report(&self, count: u64) -> Result<Report, Problem> {
        let took = now() - self.begin;
        let cpu = self.target.usage()?.cpu - self.cpu;
        Ok(Report {
            count,
            per_second: ratio(count, took) * 1e9,
            cpu_us: cpu.as_secs_f64() * 1e6 / ratio(count, 1),
            ..Report::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_its_users_as_no_other_does() {
        let first = fresh("fill");
        std::thread::sleep(Duration::from_micros(10));
        assert_ne!(first, fresh("fill"));
        assert!(first.len() + 6 <= 32, "{first} has no room for a number");
    }
}
