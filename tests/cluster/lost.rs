//! What NATS has lost, or has no more: said as it is, and gone on from where that can be.

use std::thread;
use std::time::Duration;

use serde_json::json;
use veche::testing::{Server, wait_at_most, wait_until};

use crate::load::ELECTED;
use crate::nats::Nats;
use crate::nodes::first;
use crate::proxy::Way;
use crate::stage::{Cluster, agreed, refused};

/// The streams that are there.
fn streams(nats: &Nats) -> Vec<String> {
    nats.ask(async |jetstream| {
        let mut names = Vec::new();
        for name in ["veche", "veche-texts"] {
            if jetstream.get_stream(name).await.is_ok() {
                names.push(name.to_owned());
            }
        }
        names
    })
}

fn delete(nats: &Nats, stream: &str) {
    let deleted = nats.ask(async |jetstream| jetstream.delete_stream(stream).await);
    assert!(deleted.expect("an answer").success);
}

#[test]
fn a_node_that_the_stream_has_left_behind_goes_on_from_a_snapshot_in_the_same_process() {
    let mut cluster = Cluster::apart(1, 2, "timeout = \"1s\"\n[storage]\nsnapshot_every = 20");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "0");
    agreed(&ann, "@ann", 1);
    let behind = first(&cluster.nats[0]);
    let (pid, mut count) = (cluster.nodes[1].pid(), 1);
    cluster.set(1, Way::Cut);
    wait_until("the stream to be trimmed", || {
        for number in count..count + 20 {
            ann[0].tell("ann", &number.to_string());
        }
        count += 20;
        thread::sleep(Duration::from_millis(500));
        (first(&cluster.nats[0]) > behind + 40).then_some(())
    });
    cluster.set(1, Way::Open);
    wait_at_most(ELECTED, "the node to start from a snapshot", || {
        let log = cluster.nodes[1].log();
        (log.matches("joined the cluster").count() > 1).then_some(())
    });
    wait_at_most(ELECTED, "the node to answer", || {
        let read = ann[1].request("GET", "/status").try_send();
        read.is_ok_and(|reply| reply.status == 200).then_some(())
    });
    assert_eq!(cluster.nodes[1].pid(), pid);
    agreed(&ann, "@ann", count);
    ann[1].tell("ann", "again");
    agreed(&ann, "@ann", count + 1);
    assert!(cluster.nodes[1].stop().success());
}

#[test]
fn a_stream_that_is_gone_is_said_to_be_and_none_is_made_in_its_place() {
    let mut cluster = Cluster::start(1, 1, "");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "kept");
    let mut node = cluster.nodes.pop().expect("a node");
    node.stop();
    for stream in ["veche", "veche-texts"] {
        delete(&cluster.nats[0], stream);
    }
    let config = node.config().to_owned();
    let said = refused(node.folder(), &config).stderr;
    assert!(said.contains("there is no stream `veche`"), "{said}");
    assert!(said.contains("start it once without [cluster]"), "{said}");
    assert_eq!(streams(&cluster.nats[0]), Vec::<String>::new());
    // That does it.
    node.configure("");
    node.restart();
    node.configure(config);
    node.restart();
    cluster.nodes.push(node);
    let added = cluster.add();
    cluster.nodes.push(added);
    let ann = cluster.everywhere(&ann[0]);
    ann[1].tell("ann", "together");
    assert_eq!(agreed(&ann, "@ann", 2), ["kept", "together"]);
}

#[test]
fn a_stream_that_was_made_again_is_not_taken_for_the_one_before() {
    let mut cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "kept");
    agreed(&ann, "@ann", 1);
    let other = cluster.nodes.pop().expect("a node");
    let mut node = cluster.nodes.pop().expect("a node");
    let (config, theirs) = (node.config().to_owned(), other.config().to_owned());
    let mut other = other;
    other.stop();
    node.stop();
    for stream in ["veche", "veche-texts"] {
        delete(&cluster.nats[0], stream);
    }
    // It brings the same history to another stream of that name.
    node.configure("");
    node.restart();
    node.configure(config);
    node.restart();
    let said = refused(other.folder(), &theirs).stderr;
    assert!(said.contains("deleted and made again"), "{said}");
}

#[test]
fn texts_that_nats_has_lost_are_told_of_and_writes_go_on() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    let kept = ann[0].tell("ann", "kept");
    agreed(&ann, "@ann", 1);
    delete(&cluster.nats[0], "veche-texts");
    ann[0].tell("ann", "one more");
    ann[1].tell("ann", "after that");
    assert_eq!(agreed(&ann, "@ann", 3), ["kept", "one more", "after that"]);
    let told = cluster
        .nodes
        .iter()
        .filter(|node| node.log().contains("NATS has lost the stream of texts"));
    assert!(told.count() > 0);
    // What was named in the stream that is gone names nothing in this one.
    cluster.nodes[0].told(&["remove", &kept["id"].to_string()]);
    agreed(&ann, "@ann", 2);
    thread::sleep(Duration::from_secs(12));
    assert!(cluster.nats[0].holds("one more"));
}

#[test]
fn a_node_waits_some_seconds_for_nats_and_no_longer() {
    let mut nats = Nats::start(1);
    let config = format!("[cluster]\nnats = \"{}\"\nreplicas = 1\n", nats[0].url());
    nats[0].kill();
    let said = refused(&veche::testing::Folder::new(), &config).stderr;
    assert!(said.contains("no NATS server can be reached"), "{said}");
    let node = thread::scope(|scope| {
        let starting = scope.spawn(|| Server::builder().config(config.clone()).start());
        thread::sleep(Duration::from_secs(1));
        nats[0].launch();
        starting.join().expect("it starts")
    });
    assert!(node.log().contains("waiting"), "{}", node.log());
    node.client(&json!({ "name": "ann" }));
}

#[cfg(has_feature = "files")]
#[test]
fn files_that_no_other_node_reaches_are_warned_of() {
    let cluster = Cluster::start(1, 1, "");
    let warning = "the other nodes can't read them";
    assert!(cluster.nodes[0].log().contains(warning));
    let shared = veche::testing::Folder::new();
    let dir = shared.join("files");
    let settings = format!("[features.files]\ndir = \"{}\"", dir.display());
    assert!(!cluster.add_with(&settings).log().contains(warning));
}
