//! Posting and reading while something fails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Event, wait_at_most};

use crate::stage::{Cluster, texts};

/// Events that a reader stays for at one node.
const STAY: usize = 50;

/// After so long without an event a reader tries another node.
const SILENCE: Duration = Duration::from_secs(1);

/// NATS chooses another leader within this.
pub const ELECTED: Duration = Duration::from_secs(60);

/// Posts on and on, each until it is acknowledged, and tells how many were: like a client that goes
/// to another node when one fails.
fn load(number: usize, clients: &[Client], over: &AtomicBool) -> usize {
    let mut node = number;
    for count in 0.. {
        let text = format!("{number} {count}");
        let body = json!({ "to": "@ann", "text": text });
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < 2 * ELECTED, "a post is never taken");
            let client = &clients[node % clients.len()];
            let posted = client
                .request("POST", "/send")
                .header("Idempotency-Key", &text)
                .json(&body)
                .try_send();
            if posted.is_ok_and(|reply| reply.status == 201) {
                break;
            }
            node += 1;
            thread::sleep(Duration::from_millis(20));
        }
        if over.load(Ordering::Acquire) {
            return count + 1;
        }
    }
    0
}

/// Whose turn it is: each of three once, or as often as the environment says.
pub fn turns() -> impl Iterator<Item = usize> {
    let rounds = std::env::var("VECHE_CLUSTER_ROUNDS").ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    (0..rounds).flat_map(|_| 0..3)
}

/// Waits until a node has some more messages than now.
pub fn goes_on(client: &Client) {
    let count = texts(client, "@ann").len();
    wait_at_most(ELECTED, "posts to go on", || {
        (texts(client, "@ann").len() > count + 3).then_some(())
    });
}

/// Ends what runs beside.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `faults` while three clients post; then all is as it should be.
pub fn under_load(cluster: &mut Cluster, faults: impl FnOnce(&mut Cluster, &[Client])) {
    let ann = cluster.join("ann");
    let over = AtomicBool::new(false);
    let cursor = ann[0].cursor();
    let (posted, (mut wandered, place)): (usize, _) = thread::scope(|scope| {
        let (ann, cursor) = (&ann, &cursor);
        // Also where a fault panics: else the others would go on for ever.
        let end = End(&over);
        let over = &over;
        let loads: Vec<_> = (0..3)
            .map(|number| scope.spawn(move || load(number, ann, over)))
            .collect();
        let wandering = scope.spawn(move || wander(ann, cursor, over));
        faults(cluster, ann);
        drop(end);
        let counts = loads.into_iter().map(|load| load.join().expect("a load"));
        (counts.sum(), wandering.join().expect("a reader"))
    });
    let texts = wait_at_most(ELECTED, "every node to have the same messages", || {
        let all: Vec<Vec<String>> = ann.iter().map(|client| texts(client, "@ann")).collect();
        all.iter()
            .all(|texts| *texts == all[0])
            .then(|| all[0].clone())
    });
    let once: BTreeSet<&String> = texts.iter().collect();
    assert_eq!(once.len(), texts.len(), "something was posted twice");
    assert_eq!(texts.len(), posted, "acknowledged, and there");
    let last = texts.last().expect("a message");
    for client in &ann {
        let told = client.events_after(&cursor).until_text(last);
        assert_eq!(said(told), texts);
    }
    if wandered.last() != Some(last) {
        wandered.extend(said(ann[0].events_after(&place).until_text(last)));
    }
    assert_eq!(wandered, texts, "on a stream that went from node to node");
}

/// The texts that events tell.
fn said(events: Vec<Event>) -> Vec<String> {
    let messages = events.into_iter().filter(|event| event.event == "message");
    let text = |event: Event| event.data["text"].as_str().unwrap_or_default().to_owned();
    messages.map(text).collect()
}

/// Reads on and on, as a client that goes to another node whenever a stream falls silent, and once
/// in a while in any case; what it read, and where it was then.
fn wander(clients: &[Client], from: &str, over: &AtomicBool) -> (Vec<String>, String) {
    let (mut read, mut cursor) = (Vec::new(), from.to_owned());
    for client in clients.iter().cycle() {
        if over.load(Ordering::Acquire) {
            break;
        }
        // It may be down.
        let Ok(mut stream) = client.try_events_after(&cursor) else {
            continue;
        };
        for _ in 0..STAY {
            let Some(event) = stream.within(SILENCE) else {
                break;
            };
            assert_ne!(event.event, "reset", "a stream that resumes has no hole");
            read.extend(said(vec![event]));
        }
        stream.cursor().clone_into(&mut cursor);
    }
    (read, cursor)
}
