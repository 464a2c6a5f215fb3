//! Ways between nodes and NATS servers, and among those, are cut or go silent: what is acknowledged
//! is there once, what can't be is refused, and who asks is told what is not known.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Reply, wait_at_most, wait_until};

use crate::load::{ELECTED, goes_on, turns, under_load};
use crate::proxy::Way;
use crate::stage::{Cluster, agreed, texts};

/// How NATS clients begin to append a batch.
const BATCH: &str = "PUB veche.batch";

/// How a node begins to hand a command to another.
const HANDED_ON: &str = "{\"decide\":";

/// How long a write waits for NATS here.
const TIMEOUT: &str = "timeout = \"1s\"";

/// Waits until a node refuses writes because it has no log; none is said to be kept until then. Reads
/// go on.
fn refuses(client: &Client, chat: &str) {
    let mut begun = 0;
    wait_at_most(ELECTED, "writes to be refused", || {
        begun += 1;
        let refused = client.send(chat, &format!("refused {begun}"));
        assert!(refused.retry_after() >= Duration::from_secs(1), "{refused}");
        assert_eq!(refused.status, 503, "{refused}");
        (refused.body["code"] == "no_log").then_some(())
    });
    texts(client, chat);
    client.get("/status").expect(200);
}

/// Waits until a node takes writes, and says this.
fn says(client: &Client, text: &str) {
    wait_at_most(ELECTED, "writes to be taken again", || {
        let body = json!({ "to": format!("@{}", client.name), "text": text });
        let taken = client.post_once(text, "/send", &body);
        (taken.status == 201).then_some(())
    });
}

#[test]
fn each_node_in_turn_is_cut_off_from_nats_under_load() {
    let mut cluster = Cluster::apart(3, 3, TIMEOUT);
    under_load(&mut cluster, |cluster, ann| {
        let bob = cluster.join("bob");
        for (round, number) in turns().enumerate() {
            let mut stream = bob[number].events();
            cluster.set(number, [Way::Silent, Way::Cut][round % 2]);
            goes_on(&ann[(number + 1) % 3]);
            refuses(&bob[number], "@bob");
            cluster.set(number, Way::Open);
            let back = format!("back {round}");
            says(&bob[number], &back);
            let told = stream.until_text(&back);
            assert!(told.iter().all(|event| event.event != "reset"), "{told:?}");
            goes_on(&ann[number]);
        }
    });
}

#[test]
fn each_nats_server_in_turn_is_cut_off_from_its_peers_under_load() {
    let mut cluster = Cluster::apart(3, 3, TIMEOUT);
    // Each election takes its seconds: a short run has one.
    let count = if turns().count() > 3 { usize::MAX } else { 1 };
    under_load(&mut cluster, |cluster, ann| {
        for (round, number) in turns().take(count).enumerate() {
            cluster.set_between(number, [Way::Cut, Way::Silent][round % 2]);
            // Nodes whose connection leads to it find another one.
            ann.iter().for_each(goes_on);
            cluster.set_between(number, Way::Open);
            ann.iter().for_each(goes_on);
        }
    });
}

#[test]
fn without_a_majority_of_nats_reads_go_on_and_writes_are_refused_under_load() {
    let mut cluster = Cluster::apart(3, 3, TIMEOUT);
    under_load(&mut cluster, |cluster, ann| {
        let bob = cluster.join("bob");
        for (round, _) in turns().step_by(3).enumerate() {
            let mut streams: Vec<_> = bob.iter().map(Client::events).collect();
            for number in 0..3 {
                cluster.set_between(number, Way::Cut);
            }
            bob.iter().for_each(|client| refuses(client, "@bob"));
            for number in 0..3 {
                cluster.set_between(number, Way::Open);
            }
            let back = format!("back {round}");
            says(&bob[0], &back);
            for stream in &mut streams {
                let told = stream.until_text(&back);
                assert!(told.iter().all(|event| event.event != "reset"), "{told:?}");
            }
            ann.iter().for_each(goes_on);
        }
    });
}

/// Two nodes, of which the first decides.
fn led() -> (Cluster, Vec<Client>) {
    led_within(TIMEOUT)
}

fn led_within(timeout: &str) -> (Cluster, Vec<Client>) {
    let cluster = Cluster::apart(1, 2, timeout);
    let ann = cluster.join("ann");
    ann[0].tell("ann", "first");
    agreed(&ann, "@ann", 1);
    (cluster, ann)
}

/// Posts under a key, to oneself.
fn once(client: &Client, text: &str) -> Reply {
    client.post_once("k", "/send", &json!({ "to": "@ann", "text": text }))
}

#[test]
fn an_outcome_that_is_unknown_is_told_by_the_repeat_where_it_happened() {
    let (cluster, ann) = led();
    // NATS takes the batch, and its acknowledgement is lost.
    cluster.ways[0][0].after(BATCH, Way::Deaf);
    let unknown = once(&ann[0], "kept");
    unknown.problem(503, "unknown_outcome");
    assert!(unknown.retry_after() >= Duration::from_secs(1));
    agreed(&ann[1..], "@ann", 2);
    let told = once(&ann[1], "kept");
    let message = told.expect(201);
    assert_eq!(told.header("idempotency-replayed"), Some("true"));
    cluster.set(0, Way::Open);
    let again = wait_until("the node to be back", || {
        Some(once(&ann[0], "kept")).filter(|again| again.status != 503)
    });
    assert_eq!(again.expect(201), message);
    assert_eq!(agreed(&ann, "@ann", 2), ["first", "kept"]);
}

#[test]
fn an_outcome_that_is_unknown_is_told_by_the_repeat_where_it_did_not_happen() {
    let (cluster, ann) = led();
    cluster.ways[0][0].before(BATCH, Way::Cut);
    let unknown = once(&ann[0], "lost");
    assert_eq!(unknown.status, 503, "{unknown}");
    agreed(&ann[1..], "@ann", 1);
    let told = once(&ann[1], "lost");
    told.expect(201);
    assert_eq!(told.header("idempotency-replayed"), None);
    cluster.set(0, Way::Open);
    assert_eq!(agreed(&ann, "@ann", 2), ["first", "lost"]);
}

#[test]
fn a_command_without_a_key_that_two_nodes_tried_happens_once() {
    let (cluster, ann) = led();
    // The node that decides appends it, hears nothing of that, and answers nothing; then this one
    // finds it done, and what was to be told of it.
    cluster.ways[0][0].after(BATCH, Way::Deaf);
    let begun = Instant::now();
    let message = ann[1].send("@ann", "once");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let location = message.header("location").map(str::to_owned);
    let message = message.expect(201);
    assert_eq!(location, Some(format!("/messages/{}", message["id"])));
    assert_eq!(message, ann[1].get(&location.expect("a path")).expect(200));
    assert_eq!(agreed(&ann[1..], "@ann", 2), ["first", "once"]);
    cluster.set(0, Way::Open);
    ann[1].tell("ann", "last");
    assert_eq!(agreed(&ann, "@ann", 3), ["first", "once", "last"]);
}

#[test]
fn what_another_node_did_unheard_is_never_told_as_kept_by_none() {
    let (cluster, ann) = led();
    // It hands it on, and then hears no more of NATS, nor of that node.
    cluster.ways[1][0].after(HANDED_ON, Way::Deaf);
    let unknown = ann[1].send("@ann", "kept");
    unknown.problem(503, "unknown_outcome");
    assert_eq!(agreed(&ann[..1], "@ann", 2), ["first", "kept"]);
    cluster.set(1, Way::Cut);
    refuses(&ann[1], "@ann");
    cluster.set(1, Way::Open);
    assert_eq!(agreed(&ann, "@ann", 2), ["first", "kept"]);
}

#[test]
fn what_another_node_did_unheard_is_found_out_where_nats_comes_back_in_time() {
    let (cluster, ann) = led_within("timeout = \"3s\"");
    cluster.ways[1][0].after(HANDED_ON, Way::Deaf);
    let kept = thread::scope(|scope| {
        let posting = scope.spawn(|| ann[1].send("@ann", "kept"));
        agreed(&ann[..1], "@ann", 2);
        // The answer is lost with the connection.
        cluster.set(1, Way::Cut);
        cluster.set(1, Way::Open);
        posting.join().expect("an answer")
    });
    let message = kept.expect(201);
    assert_eq!(agreed(&ann, "@ann", 2), ["first", "kept"]);
    let path = format!("/messages/{}", message["id"]);
    assert_eq!(ann[0].get(&path).expect(200), message);
}

#[test]
fn a_command_with_a_key_that_two_nodes_tried_is_answered_with_what_the_first_did() {
    let (cluster, ann) = led();
    cluster.ways[0][0].after(BATCH, Way::Deaf);
    let message = once(&ann[1], "once").expect(201);
    cluster.set(0, Way::Open);
    assert_eq!(agreed(&ann, "@ann", 2), ["first", "once"]);
    assert_eq!(once(&ann[1], "once").expect(201), message);
}

#[test]
fn a_command_that_the_first_node_could_not_do_is_done_by_the_second_alone() {
    let (cluster, ann) = led();
    cluster.ways[0][0].before(BATCH, Way::Cut);
    ann[1].tell("ann", "by the second");
    cluster.set(0, Way::Open);
    says(&ann[0], "by either");
    let all = agreed(&ann, "@ann", 3);
    assert_eq!(all, ["first", "by the second", "by either"]);
}

#[test]
fn a_cursor_of_what_a_node_has_not_heard_of_is_no_reset() {
    let (cluster, ann) = led();
    cluster.set(1, Way::Silent);
    ann[0].tell("ann", "unheard");
    let cursor = ann[0].cursor();
    let path = format!("/events?after={}&wait=0s", veche::testing::encode(&cursor));
    let behind = ann[1]
        .request("GET", &path)
        .header("Accept", "application/json")
        .send();
    behind.problem(503, "no_log");
    assert!(behind.retry_after() >= Duration::from_secs(1));
    cluster.set(1, Way::Open);
    let mut stream = wait_until("the node to be back", || {
        ann[1].try_events_after(&cursor).ok()
    });
    ann[0].tell("ann", "heard");
    let told = stream.until(|event| event.event == "message");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].data["text"], "heard");
}
