//! Nodes that come, go and come back.

use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Config;
use serde_json::json;
use veche::testing::{Client, Folder, wait_at_most, wait_until};

use crate::nats::Nats;
use crate::stage::{Cluster, agreed, refused};

/// The first sequence that the log's stream still has.
pub fn first(nats: &Nats) -> u64 {
    nats.ask(async |jetstream| {
        let stream = jetstream.get_stream("veche").await.expect("the stream");
        stream.cached_info().state.first_sequence
    })
}

fn says(client: &Client, texts: std::ops::Range<usize>) {
    for number in texts {
        client.tell("ann", &number.to_string());
    }
}

#[test]
fn a_node_that_was_down_goes_on_where_its_database_ends() {
    let mut cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    says(&ann[0], 0..5);
    agreed(&ann, "@ann", 5);
    cluster.nodes[1].kill();
    says(&ann[0], 5..10);
    cluster.nodes[1].restart();
    agreed(&ann, "@ann", 10);
    says(&ann[1], 10..12);
    agreed(&ann, "@ann", 12);
}

#[test]
fn a_new_node_comes_up_from_a_snapshot_and_the_stream_is_trimmed_behind() {
    let mut cluster = Cluster::start(1, 1, "[storage]\nsnapshot_every = 20");
    let ann = cluster.join("ann");
    let body = json!({ "to": "@ann", "text": "with a key" });
    let keyed = ann[0].post_once("k", "/send", &body).expect(201);
    let mut count = 1;
    wait_until("the stream to be trimmed", || {
        says(&ann[0], count..count + 20);
        count += 20;
        thread::sleep(Duration::from_millis(500));
        (first(&cluster.nats[0]) > 1).then_some(())
    });
    let node = cluster.add();
    assert!(node.log().contains("reading a snapshot"), "{}", node.log());
    cluster.nodes.push(node);
    let ann = cluster.everywhere(&ann[0]);
    agreed(&ann, "@ann", count);
    assert_eq!(ann[1].post_once("k", "/send", &body).expect(201), keyed);
    says(&ann[1], count..count + 2);
    agreed(&ann, "@ann", count + 2);
    // One that the stream has left behind goes on from a snapshot, too.
    cluster.nodes[1].kill();
    let before = first(&cluster.nats[0]);
    count += 2;
    wait_until("the stream to be trimmed again", || {
        says(&ann[0], count..count + 20);
        count += 20;
        thread::sleep(Duration::from_millis(500));
        (first(&cluster.nats[0]) > before + 40).then_some(())
    });
    cluster.nodes[1].restart();
    agreed(&ann, "@ann", count);
}

#[test]
fn who_is_online_at_one_node_is_online_at_all() {
    let cluster = Cluster::start(1, 2, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let mut stream = bob[1].events();
    let hers = ann[0].events();
    let came = stream.until(|event| event.event == "user" && event.data["name"] == "ann");
    assert_eq!(
        came.last().map(|event| &event.data["online"]),
        Some(&json!(true))
    );
    // Her second stream, at the other node, changes nothing; nor does the end of one of them.
    let also_hers = ann[1].events();
    drop(hers);
    ann[0].tell("bob", "still here");
    let told = stream.until_text("still here");
    assert!(!told.iter().any(|event| event.event == "user"), "{told:?}");
    drop(also_hers);
    let left = stream.until(|event| event.event == "user" && event.data["name"] == "ann");
    assert_eq!(
        left.last().map(|event| &event.data["online"]),
        Some(&json!(false))
    );
}

#[cfg(has_feature = "presence")]
#[test]
fn who_is_writing_at_one_node_is_shown_at_all() {
    let cluster = Cluster::start(1, 3, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let mut streams: Vec<_> = bob.iter().map(Client::events).collect();
    for to in ["@bob", "common"] {
        let told = json!({"from": "ann", "to": to});
        for (from, ann) in ann.iter().enumerate() {
            ann.post("/typing", &json!({ "to": to })).expect(204);
            for stream in &mut streams {
                assert_eq!(stream.next("typing").data, told, "from node {from}");
            }
        }
    }
}

#[test]
fn a_node_does_not_start_on_a_stream_of_a_newer_format() {
    let nats = Nats::start(1);
    nats[0].ask(async |jetstream| {
        for (name, subject) in [("veche-texts", "veche.text"), ("veche", "veche.batch")] {
            let metadata = [("veche-format", "999"), ("veche-epoch", "later")];
            let config = Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                metadata: metadata
                    .map(|(key, value)| (key.into(), value.into()))
                    .into(),
                ..Config::default()
            };
            jetstream.create_stream(config).await.expect("a stream");
        }
    });
    let folder = Folder::new();
    let config = format!("[cluster]\nnats = \"{}\"\nreplicas = 1\n", nats[0].url());
    let output = refused(&folder, &config);
    assert!(output.stderr.contains("format 999"), "{}", output.stderr);
}

#[cfg(has_feature = "comments")]
#[test]
fn a_node_without_a_feature_keeps_its_facts_and_passes_them_over() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    let without = cluster.add_with("[features.comments]\nenabled = false");
    let message = ann[0].tell("ann", "first");
    let path = format!("/messages/{}/comments", message["id"]);
    ann[1].post(&path, &json!({ "text": "indeed" })).expect(201);
    let mut here = Client::new(&without.url(), &ann[0].token);
    here.name.clone_from(&ann[0].name);
    agreed(&[ann[0].clone(), here.clone()], "@ann", 1);
    here.post(&path, &json!({ "text": "?" }))
        .problem(404, "feature_off");
    // It decides, too, and harms nothing.
    here.tell("ann", "second");
    agreed(&[ann[0].clone(), ann[1].clone(), here], "@ann", 2);
    let shown = ann[0].get(&path).expect(200);
    assert_eq!(shown["comments"][0]["text"], "indeed", "{shown}");
}

#[cfg(has_feature = "files")]
#[test]
fn what_is_uploaded_at_one_node_is_downloaded_at_another() {
    let shared = Folder::new();
    let dir = shared.join("files");
    let settings = format!("[features.files]\ndir = \"{}\"", dir.display());
    let mut cluster = Cluster::start(1, 2, &settings);
    let ann = cluster.join("ann");
    let uploaded = ann[1]
        .request("POST", "/files?name=note.txt")
        .body("shared by all", "text/plain")
        .send()
        .expect(201);
    let body = json!({ "to": "@ann", "text": "look", "file": uploaded["id"] });
    ann[0].post("/send", &body).expect(201);
    agreed(&ann, "@ann", 1);
    // A node that starts takes nothing away that another may be about to name.
    let second = ann[0]
        .request("POST", "/files?name=later.txt")
        .body("for later", "text/plain")
        .send()
        .expect(201);
    cluster.nodes[1].kill();
    cluster.nodes[1].restart();
    for client in &ann {
        for (file, content) in [(&uploaded, "shared by all"), (&second, "for later")] {
            let path = format!("/files/{}", file["id"].as_str().expect("an id"));
            let found = wait_until("the file", || {
                Some(client.get(&path)).filter(|found| found.status == 200)
            });
            assert_eq!(found.text, content);
        }
    }
}

#[cfg(has_feature = "files")]
#[test]
fn an_upload_leaves_the_writer_where_it_is() {
    let shared = Folder::new();
    let dir = shared.join("files");
    let settings = format!("[features.files]\ndir = \"{}\"", dir.display());
    let cluster = Cluster::start(1, 3, &settings);
    let ann = cluster.join("ann");
    ann[0].tell("ann", "this node decides");
    let decides = cluster.nats[0].writer();
    for round in 0..2 {
        for (number, client) in ann.iter().enumerate() {
            let key = format!("{round} {number}");
            let upload = |client: &Client| {
                client
                    .request("POST", &format!("/files?name={number}.txt"))
                    .header("Idempotency-Key", &key)
                    .body(&*key, "text/plain")
                    .send()
            };
            let uploaded = upload(client).expect(201);
            assert_eq!(cluster.nats[0].writer(), decides);
            let path = format!("/files/{}", uploaded["id"].as_str().expect("an id"));
            for client in &ann {
                let found = wait_until("the file", || {
                    Some(client.get(&path)).filter(|found| found.status == 200)
                });
                assert_eq!(found.text, key);
            }
            // A repeat at another node has the same answer, and leaves no second object.
            let again = upload(&ann[(number + 1) % ann.len()]);
            assert_eq!(again.expect(201), uploaded);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(cluster.nats[0].writer(), decides);
        }
    }
    let objects = shared.all().into_iter();
    let objects = objects.filter(|(path, _)| !path.ends_with("lock")).count();
    assert_eq!(objects, 2 * ann.len());
}

#[test]
fn a_node_that_meets_a_newer_format_stops_and_says_why() {
    let mut cluster = Cluster::start(1, 2, "");
    cluster.join("ann");
    cluster.nats[0].ask(async |jetstream| {
        let sent = jetstream.publish("veche.batch", r#"{"format":999}"#.into());
        sent.await.expect("sent").await.expect("taken");
    });
    for node in &mut cluster.nodes {
        let status = node.stopped();
        assert!(!status.success());
        assert!(node.log().contains("format 999"), "{}", node.log());
    }
}

#[cfg(has_feature = "ttl")]
#[test]
fn what_a_stream_of_another_node_delivers_is_recorded_by_the_one_that_decides() {
    let cluster = Cluster::start(1, 2, "[features.ttl]\nafter = \"1s\"");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let mut hers = ann[0].events();
    let mut his = bob[1].events();
    let message = ann[0].tell("bob", "psst");
    his.until_text("psst");
    hers.until(|event| event.event == "delivered");
    let gone = hers.until(|event| event.event == "removed");
    assert_eq!(
        gone.last().map(|event| &event.data["ids"][0]),
        Some(&message["id"])
    );
    agreed(&bob, "@ann", 0);
}

#[cfg(has_feature = "complaints")]
#[test]
fn an_administrators_command_leaves_the_writer_where_it_is() {
    let cluster = Cluster::start(1, 3, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    ann[0].tell("ann", "this node decides");
    let decides = cluster.nats[0].writer();
    for (number, node) in cluster.nodes.iter().enumerate() {
        node.told(&["ban", "bob", "--for", "1h"]);
        bob[(number + 1) % 3]
            .send("common", "x")
            .problem(403, "banned");
        assert_eq!(
            cluster.nats[0].writer(),
            decides,
            "{number}: a command that decides"
        );
        node.told(&["unban", "bob"]);
        node.told(&["users"]);
        assert_eq!(
            cluster.nats[0].writer(),
            decides,
            "{number}: one that looks"
        );
        // What one refuses is refused, and on record like the others.
        assert!(!node.admin(&["ban", "nobody"]).status.success());
        assert_eq!(
            cluster.nats[0].writer(),
            decides,
            "{number}: one that is refused"
        );
    }
    for node in &cluster.nodes {
        wait_until("every command to be on record at every node", || {
            let audit = node.told(&["audit"]).to_string();
            let count = |command: &str| audit.matches(&format!("\"{command}\"")).count();
            (count("unban") >= 3 && count("users") >= 3).then_some(())
        });
    }
}

#[test]
fn a_text_that_no_batch_came_to_name_is_erased_in_the_end() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    ann[0].tell("ann", "stays");
    agreed(&ann, "@ann", 1);
    // As a node leaves it that dies between the two.
    let text = json!({ "of": 999_999, "texts": [{ "pos": 999_999, "text": "of nobody" }] });
    cluster.nats[0].ask(async |jetstream| {
        let sent = jetstream.publish("veche.text", text.to_string().into());
        sent.await.expect("sent").await.expect("taken");
    });
    assert!(cluster.nats[0].holds("of nobody"));
    let mut count = 1;
    wait_at_most(
        Duration::from_secs(60),
        "a text of nobody to be erased",
        || {
            says(&ann[count % 2], count..count + 1);
            count += 1;
            thread::sleep(Duration::from_millis(500));
            (!cluster.nats[0].holds("of nobody")).then_some(())
        },
    );
    assert!(cluster.nats[0].holds("stays"));
    agreed(&ann, "@ann", count);
}

#[test]
fn a_node_that_is_many_batches_behind_is_there_soon() {
    const POSTS: usize = 320;
    let mut cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    says(&ann[1], 0..1);
    agreed(&ann, "@ann", 1);
    cluster.nodes[1].kill();
    // One at a time: each is a batch.
    says(&ann[0], 1..POSTS);
    let begun = Instant::now();
    cluster.nodes[1].restart();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    agreed(&ann, "@ann", POSTS);
}
