//! Nodes and NATS servers are killed under load: what was acknowledged is there once, in one order,
//! on every node, and a stream that resumes elsewhere misses and doubles nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, wait_at_most, wait_until};

use crate::stage::{Cluster, agreed, texts};

/// A node that takes over does so within this.
const TAKEN_OVER: Duration = Duration::from_secs(2);

/// NATS chooses another leader within this.
const ELECTED: Duration = Duration::from_secs(60);

/// Posts on and on, each until it is acknowledged, and tells how many were: like a client that goes
/// to another node when one fails.
fn load(number: usize, clients: &[Client], over: &AtomicBool) -> usize {
    let mut node = number;
    for count in 0.. {
        let text = format!("{number} {count}");
        let body = json!({ "to": "@ann", "text": text });
        loop {
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
fn turns() -> impl Iterator<Item = usize> {
    let rounds = std::env::var("VECHE_CLUSTER_ROUNDS").ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    (0..rounds).flat_map(|_| 0..3)
}

/// Waits until a node has some more messages than now.
fn goes_on(client: &Client) {
    let count = texts(client, "@ann").len();
    wait_at_most(ELECTED, "posts to go on", || {
        (texts(client, "@ann").len() > count + 3).then_some(())
    });
}

/// Runs `faults` while three clients post; then all is as it should be.
fn under_load(cluster: &mut Cluster, faults: impl FnOnce(&mut Cluster, &[Client])) {
    let ann = cluster.join("ann");
    let over = AtomicBool::new(false);
    let cursor = ann[0].cursor();
    let posted: usize = thread::scope(|scope| {
        let (ann, over) = (&ann, &over);
        let loads: Vec<_> = (0..3)
            .map(|number| scope.spawn(move || load(number, ann, over)))
            .collect();
        faults(cluster, ann);
        over.store(true, Ordering::Release);
        let counts = loads.into_iter().map(|load| load.join().expect("a load"));
        counts.sum()
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
    for client in &ann {
        let mut stream = client.events_after(&cursor);
        let last = texts.last().expect("a message");
        let told: Vec<String> = stream
            .until_text(last)
            .iter()
            .filter(|event| event.event == "message")
            .map(|event| event.data["text"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(told, texts);
    }
}

#[test]
fn a_node_that_is_killed_is_replaced_within_two_seconds() {
    let mut cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    for round in 0..4 {
        let (dies, lives) = (round % 2, (round + 1) % 2);
        // Whoever appended last decides.
        ann[dies].tell("ann", &format!("before {round}"));
        agreed(&ann, "@ann", round * 2 + 1);
        cluster.nodes[dies].kill();
        let begun = Instant::now();
        ann[lives].tell("ann", &format!("after {round}"));
        let took = begun.elapsed();
        assert!(took < TAKEN_OVER, "{took:?}");
        cluster.nodes[dies].restart();
        agreed(&ann, "@ann", round * 2 + 2);
    }
}

#[test]
fn each_node_in_turn_is_killed_under_load() {
    let mut cluster = Cluster::start(3, 3, "");
    under_load(&mut cluster, |cluster, ann| {
        for number in turns() {
            cluster.nodes[number].kill();
            goes_on(&ann[(number + 1) % 3]);
            cluster.nodes[number].restart();
            goes_on(&ann[number]);
        }
    });
}

#[test]
fn each_nats_server_in_turn_is_killed_under_load() {
    let mut cluster = Cluster::start(3, 3, "");
    under_load(&mut cluster, |cluster, ann| {
        for number in turns() {
            cluster.nats[number].kill();
            ann.iter().for_each(goes_on);
            cluster.nats[number].launch();
            cluster.nats[number].wait();
            ann.iter().for_each(goes_on);
        }
    });
}

#[test]
fn without_nats_reads_and_streams_go_on_and_writes_come_back_by_themselves() {
    let mut cluster = Cluster::start(1, 2, "timeout = \"1s\"");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    ann[0].tell("bob", "before");
    agreed(&bob, "@ann", 1);
    let mut stream = bob[1].events();
    cluster.nats[0].kill();
    // The first may have been on its way when NATS vanished.
    let first = ann[0].send("@bob", "during");
    assert_eq!(first.status, 503, "{first}");
    for client in &ann {
        let refused = client.send("@bob", "during");
        refused.problem(503, "no_log");
        assert!(refused.retry_after() >= Duration::from_secs(1));
        assert_eq!(texts(client, "@bob"), ["before"]);
    }
    cluster.nats[0].launch();
    cluster.nats[0].wait();
    wait_until("writes to be taken again", || {
        (ann[1].send("@bob", "after").status == 201).then_some(())
    });
    let told = stream.until_text("after");
    assert!(!told.iter().any(|event| event.event == "reset"));
    // What was refused as kept by nobody is nowhere.
    for client in &bob {
        let texts = texts(client, "@ann");
        let during = texts.iter().filter(|text| *text == "during").count();
        let may_be = usize::from(first.body["code"] == "unknown_outcome");
        assert!(during <= may_be, "{texts:?}");
        assert_eq!(texts.last().map(String::as_str), Some("after"));
    }
}

#[test]
fn a_node_that_hangs_is_replaced_and_finds_its_place_again() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "before");
    agreed(&ann, "@ann", 1);
    cluster.nodes[0].terminate("STOP");
    let begun = Instant::now();
    ann[1].tell("ann", "meanwhile");
    let took = begun.elapsed();
    cluster.nodes[0].terminate("CONT");
    assert!(took < TAKEN_OVER, "{took:?}");
    ann[0].tell("ann", "after");
    assert_eq!(agreed(&ann, "@ann", 3), ["before", "meanwhile", "after"]);
}

#[test]
fn each_nats_server_in_turn_hangs_under_load() {
    let mut cluster = Cluster::start(3, 3, "");
    under_load(&mut cluster, |cluster, ann| {
        for number in turns() {
            cluster.nats[number].signal("STOP");
            ann.iter().for_each(goes_on);
            cluster.nats[number].signal("CONT");
            ann.iter().for_each(goes_on);
        }
    });
}
