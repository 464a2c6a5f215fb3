//! Many messages that are due within one second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use super::{Measure, Report, fresh};
use crate::Problem;
use crate::loads::{MAKING, TEXT, Target, make_users, ratio};
use crate::mark::Mark;
use crate::protocol;
use crate::publisher::Publisher;
use crate::streams::Streams;
use crate::times::now;

/// How many messages each user schedules: as many as may wait by default.
const WAITING: u32 = 100;

/// Schedules messages, and listens to them.
///
/// # Errors
/// Where one is refused, or is due before all are scheduled.
pub(super) async fn scheduled(target: Target, messages: u32) -> Result<Report, Problem> {
    let users = messages.div_ceil(WAITING) as usize;
    let tokens = Arc::new(make_users(target, &fresh("later"), users).await?);
    let listener = make_users(target, &fresh("listener"), 1).await?;
    let streams = Streams::open(target.kind, target.streams_at, listener).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduled_messages_are_spread_over_a_second_in_order() {
        let all: Vec<_> = (0..10_000).map(|n| within_second(n, 10_000)).collect();
        assert!(all.is_sorted());
        assert_eq!(all[0], Duration::ZERO);
        assert_eq!(all[5000], Duration::from_millis(500));
        assert_eq!(all[9999], Duration::from_millis(999));
        assert_eq!(within_second(0, 0), Duration::ZERO);
    }
}
