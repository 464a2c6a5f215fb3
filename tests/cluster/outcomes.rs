//! What is answered while NATS and nodes fail holds: kept where it is acknowledged, nowhere where it is
//! told as kept by none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use veche::testing::{Client, wait_at_most};

use crate::load::ELECTED;
use crate::stage::{Cluster, texts};

/// Texts by the answer that they got: a status, or a problem's code.
type Answers = Mutex<BTreeMap<String, BTreeSet<String>>>;

/// Posts on and on, each text once, whatever is answered.
fn post(number: usize, client: &Client, over: &AtomicBool, answers: &Answers) {
    for count in 0.. {
        if over.load(Ordering::Acquire) {
            return;
        }
        let text = format!("{number} {count}");
        let body = json!({ "to": "@ann", "text": text });
        let posted = client.request("POST", "/send").json(&body).try_send();
        let answer = match posted {
            Ok(reply) if reply.status == 201 => "kept".to_owned(),
            Ok(reply) => reply.body["code"].as_str().unwrap_or_default().to_owned(),
            Err(_) => "none".to_owned(),
        };
        let is_refused = answer != "kept";
        let mut answers = answers.lock().expect("unpoisoned");
        answers.entry(answer).or_default().insert(text);
        drop(answers);
        if is_refused {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until a node takes writes.
fn takes(client: &Client, text: &str) {
    let body = json!({ "to": "@ann", "text": text });
    wait_at_most(ELECTED, "writes to be taken", || {
        (client.post_once(text, "/send", &body).status == 201).then_some(())
    });
}

/// Posts at all nodes while `fault` happens, and looks at what is there then.
fn under(
    cluster: &mut Cluster,
    fault: impl FnOnce(&mut Cluster),
) -> BTreeMap<String, BTreeSet<String>> {
    let ann = cluster.join("ann");
    for (node, client) in ann.iter().enumerate() {
        takes(client, &format!("before at {node}"));
    }
    let (over, answers) = (AtomicBool::new(false), Answers::default());
    thread::scope(|scope| {
        for number in 0..ann.len() * 3 {
            let (client, over, answers) = (&ann[number % ann.len()], &over, &answers);
            scope.spawn(move || post(number, client, over, answers));
        }
        let faulted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fault(cluster)));
        over.store(true, Ordering::Release);
        faulted.expect("the fault");
    });
    for (node, client) in ann.iter().enumerate() {
        takes(client, &format!("after at {node}"));
    }
    let there = wait_at_most(ELECTED, "every node to have the same messages", || {
        let all: Vec<_> = ann.iter().map(|client| texts(client, "@ann")).collect();
        all.iter()
            .all(|texts| *texts == all[0])
            .then(|| all[0].clone())
    });
    let once: BTreeSet<_> = there.iter().cloned().collect();
    assert_eq!(once.len(), there.len(), "something is there twice");
    let answers = answers.into_inner().expect("unpoisoned");
    for (answer, told) in &answers {
        let kept: Vec<_> = told.intersection(&once).collect();
        match answer.as_str() {
            "kept" => assert_eq!(kept.len(), told.len(), "acknowledged, and there"),
            "unknown_outcome" | "none" => {}
            answer => assert!(kept.is_empty(), "{answer}, and there: {kept:?}"),
        }
    }
    answers
}

#[test]
fn what_is_told_as_kept_by_none_is_nowhere_when_the_leader_of_the_stream_froze() {
    let mut cluster = Cluster::start(3, 3, "timeout = \"2s\"");
    under(&mut cluster, |cluster| {
        for _ in 0..2 {
            let leader = wait_at_most(ELECTED, "a leader", || cluster.nats[0].leader());
            cluster.nats[leader].signal("STOP");
            thread::sleep(Duration::from_secs(9));
            cluster.nats[leader].signal("CONT");
            cluster.nats.iter().for_each(crate::nats::Nats::wait);
        }
    });
}

#[test]
fn what_a_node_was_killed_with_is_told_as_it_is_by_the_others() {
    let mut cluster = Cluster::start(1, 3, "");
    let answers = under(&mut cluster, |cluster| {
        for node in [0, 1, 2, 0, 1, 2] {
            cluster.nodes[node].kill();
            thread::sleep(Duration::from_secs(1));
            cluster.nodes[node].restart();
        }
    });
    // NATS was there all the time: so nothing was unknown.
    let unknown = answers.get("unknown_outcome").into_iter().flatten();
    assert_eq!(unknown.count(), 0, "{:?}", answers.keys());
}
