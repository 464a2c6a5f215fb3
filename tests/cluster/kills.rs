//! Nodes and NATS servers are killed under load: what was acknowledged is there once, in one order,
//! on every node, and a stream that resumes elsewhere misses and doubles nothing.

use std::time::{Duration, Instant};

use veche::testing::wait_until;

use crate::load::{goes_on, turns, under_load};
use crate::stage::{Cluster, agreed, texts};

/// A node that takes over does so within this.
const TAKEN_OVER: Duration = Duration::from_secs(2);

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
