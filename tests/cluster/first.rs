//! A server that was alone becomes the first node of a cluster: what it had is everybody's.

use serde_json::json;
use veche::testing::{Client, Folder, Server, wait_until};

use crate::nats::Nats;
use crate::stage::{Cluster, agreed, refused};

fn settings(nats: &Nats) -> String {
    format!("[cluster]\nnats = \"{}\"\nreplicas = 1\n", nats.url())
}

#[test]
fn what_a_server_had_alone_is_the_clusters_and_goes_from_it() {
    let nats = Nats::start(1);
    let mut alone = Server::start();
    let ann = alone.connect("ann");
    let body = json!({ "to": "@ann", "text": "with a key" });
    let keyed = ann.post_once("k", "/send", &body).expect(201);
    let mut count = 1;
    for number in 0..600 {
        ann.tell("ann", &format!("alone {number}"));
        count += 1;
    }
    let cursor = ann.cursor();
    let goes = ann.tell("ann", "unforgettable");
    alone.configure(settings(&nats[0]));
    alone.restart();
    let mut cluster = Cluster::of(nats, vec![alone]);
    let node = cluster.add();
    assert!(node.log().contains("reading a snapshot"), "{}", node.log());
    cluster.nodes.push(node);
    let ann = cluster.everywhere(&ann);
    let texts = agreed(&ann, "@ann", count + 1);
    assert_eq!(texts[0], "with a key");
    assert_eq!(texts[count], "unforgettable");
    for client in &ann {
        // Keys, cursors and tokens are what they were.
        assert_eq!(client.post_once("k", "/send", &body).expect(201), keyed);
        assert_eq!(client.events_after(&cursor).next("message").data, goes);
    }
    // What it had goes from NATS, too, when it goes.
    assert!(cluster.nats[0].holds("unforgettable"));
    let id = goes["id"].to_string();
    cluster.nodes[1].told(&["remove", &id]);
    agreed(&ann, "@ann", count);
    wait_until("the text to leave NATS's files", || {
        (!cluster.nats[0].holds("unforgettable")).then_some(())
    });
    assert!(cluster.nats[0].holds("with a key"));
    ann[1].tell("ann", "together");
    agreed(&ann, "@ann", count + 1);
    // It goes on as any node does.
    cluster.nodes[0].restart();
    ann[0].tell("ann", "again");
    agreed(&ann, "@ann", count + 2);
}

#[cfg(all(
    has_feature = "edits",
    has_feature = "comments",
    has_feature = "reactions"
))]
#[test]
fn what_lies_beside_messages_and_in_place_of_them_comes_to_new_nodes() {
    let nats = Nats::start(1);
    let mut alone = Server::start();
    let ann = alone.connect("ann");
    let message = ann.say("as it was");
    let reword = |by: &Client, text: &str| {
        let change = json!({ "message": message["id"], "text": text });
        by.post_once(text, "/edit", &change).expect(200);
    };
    reword(&ann, "changed alone");
    let comments = format!("/messages/{}/comments", message["id"]);
    ann.post(&comments, &json!({ "text": "indeed" }))
        .expect(201);
    let reaction = json!({ "message": message["id"], "emoji": "👍", "on": true });
    ann.post("/react", &reaction).expect(200);
    alone.configure(settings(&nats[0]) + "[storage]\nsnapshot_every = 5\n");
    alone.restart();
    let mut cluster = Cluster::of(nats, vec![alone]);
    let node = cluster.add();
    cluster.nodes.push(node);
    let both = cluster.everywhere(&ann);
    let shown = both[0]
        .get(&format!("/messages/{}", message["id"]))
        .expect(200);
    assert_eq!(shown["text"], "changed alone");
    let same = |both: &[Client]| {
        for path in [format!("/messages/{}", message["id"]), comments.clone()] {
            let shown = both[0].get(&path).expect(200);
            wait_until("the same at another node", || {
                (both.last()?.get(&path).expect(200) == shown).then_some(())
            });
        }
    };
    same(&both);
    // Once more from a snapshot that a cluster made, of a text that took another's place there.
    reword(&both[1], "changed together");
    for number in 0..6 {
        both[0].tell("ann", &number.to_string());
    }
    wait_until("a snapshot", || {
        let saved = cluster
            .nodes
            .iter()
            .any(|node| node.log().contains("saved a snapshot for new"));
        saved.then_some(())
    });
    let node = cluster.add();
    cluster.nodes.push(node);
    let all = cluster.everywhere(&ann);
    let shown = all[2]
        .get(&format!("/messages/{}", message["id"]))
        .expect(200);
    assert_eq!(shown["text"], "changed together");
    same(&all);
}

#[test]
fn a_history_that_is_not_the_streams_is_refused_with_what_to_do() {
    let mut alone = Server::core();
    alone.connect("ann");
    alone.stop();
    // Another chat has begun there.
    let cluster = Cluster::start(1, 1, "");
    cluster.join("bob");
    let config = settings(&cluster.nats[0]);
    let output = refused(alone.folder(), &config);
    assert!(
        output.stderr.contains("another history"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("name another stream"),
        "{}",
        output.stderr
    );
    // That does it.
    let other = config.clone() + "stream = \"other\"\n";
    alone.configure(other);
    alone.restart();
    alone.client(&json!({ "name": "cid" }));
}

#[test]
fn a_node_that_went_its_own_way_does_not_come_back_to_the_stream() {
    let mut cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "together");
    agreed(&ann, "@ann", 1);
    let mut other = cluster.nodes.pop().expect("a node");
    let together = other.config().to_owned();
    other.configure("");
    other.restart();
    // Nothing of this is in the stream.
    ann[1].tell("ann", "alone");
    other.stop();
    let output = refused(other.folder(), &together);
    assert!(
        output.stderr.contains("name another stream"),
        "{}",
        output.stderr
    );
    ann[0].tell("ann", "together again");
    assert_eq!(agreed(&ann[..1], "@ann", 2), ["together", "together again"]);
}

#[test]
fn no_node_joins_before_the_history_is_there() {
    let nats = Nats::start(1);
    // As a first node leaves it that died on its way.
    nats[0].ask(async |jetstream| {
        for (name, subject) in [("veche-texts", "veche.text"), ("veche", "veche.batch")] {
            let metadata = [
                ("veche-format", "1"),
                ("veche-epoch", "its"),
                ("veche-begins-after", "7"),
            ];
            let config = async_nats::jetstream::stream::Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                metadata: metadata
                    .map(|(key, value)| (key.into(), value.into()))
                    .into(),
                ..Default::default()
            };
            jetstream.create_stream(config).await.expect("a stream");
        }
    });
    let folder = Folder::new();
    let output = refused(&folder, &settings(&nats[0]));
    assert!(
        output.stderr.contains("start that one first"),
        "{}",
        output.stderr
    );
}
