//! Pages of a chat's history: which, and what each takes.

use std::ops::RangeInclusive;
use std::sync::Arc;

use clap::ValueEnum;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::{Measure, Report, fresh};
use crate::Problem;
use crate::loads::{Target, make_users, pace};
use crate::protocol;
use crate::publisher::Publisher;
use crate::times::{Times, now};

/// How many messages a page has.
const PAGE: u64 = 50;
/// How many pages a second are asked for at fixed times.
const RATE: u32 = 1000;

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
        let before = before.max((first + 2 * PAGE).min(last));
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

/// Asks for pages.
///
/// # Errors
/// Where one is not answered, or is no whole page.
pub(super) async fn pages(
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
    Ok(page
        .messages
        .into_iter()
        .map(|message| message.id)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(place: Place, ids: &RangeInclusive<u64>, random: u64) -> u64 {
        let path = place.path(ids, random);
        let (_, id) = path.split_once("before=").unwrap();
        id.parse().unwrap()
    }

    #[test]
    fn pages_lie_where_they_are_wanted_and_are_whole() {
        let (ids, mut random) = (1000..=101_000, Random(7));
        let (mut low, mut high) = (u64::MAX, 0);
        for _ in 0..10_000 {
            let middle = before(Place::Middle, &ids, random.next());
            assert!((46_000..56_000).contains(&middle), "{middle}");
            let any = before(Place::Anywhere, &ids, random.next());
            (low, high) = (low.min(any), high.max(any));
        }
        assert!((1100..2000).contains(&low), "{low}");
        assert!((100_000..=101_000).contains(&high), "{high}");
        assert_eq!(Place::End.path(&ids, 5), "/messages?chat=common");
        assert!(Place::Beginning.path(&ids, 5).ends_with("&after=0"));
        // A history that is shorter than that has its last page.
        assert_eq!(before(Place::Anywhere, &(1..=20), 3), 20);
        assert_eq!(before(Place::Middle, &(9..=9), 3), 9);
    }

    #[test]
    fn random_numbers_are_the_same_in_each_run() {
        // The first ones of SplitMix64 from 0, as its authors publish them.
        let mut random = Random(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn the_ids_of_a_page_are_read_in_its_order() {
        let page = b"HTTP/1.1 200 OK\r\n\r\n{\"messages\":[{\"id\":3,\"text\":\"\"},{\"id\":9}],\"more\":true}";
        assert_eq!(ids(page).unwrap(), [3, 9]);
        assert!(ids(b"HTTP/1.1 200 OK\r\n").is_err());
    }
}
