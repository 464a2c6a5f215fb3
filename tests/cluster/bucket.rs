//! Files in one bucket of S3, that all nodes reach.

use serde_json::{Value, json};
use veche::testing::{Client, Reply, run, wait_until};

use crate::buckets::Buckets;
use crate::stage::{Cluster, agreed};

fn upload(client: &Client, name: &str) -> Value {
    let path = format!("/files?name={name}");
    let request = client.request("POST", &path).body(name, "text/plain");
    request.send().expect(201)
}

fn get(client: &Client, file: &Value) -> Reply {
    client.get(file["url"].as_str().expect("a path"))
}

#[test]
fn a_file_that_is_uploaded_at_one_node_comes_from_the_bucket_at_each_and_goes_from_it() {
    let buckets = Buckets::start();
    let settings = format!("[features.files]\n{}", buckets.settings());
    let mut cluster = Cluster::start(1, 2, &settings);
    let ann = cluster.join("ann");
    let mut sent = Vec::new();
    for (number, client) in ann.iter().enumerate() {
        let file = upload(client, &format!("{number}.txt"));
        let other = &ann[1 - number];
        let body = json!({ "to": "@ann", "text": "look", "file": file["id"] });
        let message = wait_until("the other node to know of the file", || {
            let reply = other.post("/send", &body);
            (reply.status != 404).then(|| reply.expect(201))
        });
        sent.push((file, message));
    }
    agreed(&ann, "@ann", 2);
    let each = |ann: &[Client], look: &dyn Fn(&Client, &Value, usize)| {
        for client in ann {
            for (number, (file, _)) in sent.iter().enumerate() {
                look(client, file, number);
            }
        }
    };
    each(&ann, &|client, file, number| {
        assert_eq!(get(client, file).text, format!("{number}.txt"));
    });
    assert_eq!(buckets.objects().len(), 2);
    // A new node has them, too, and takes away nothing that is there.
    let waiting = upload(&ann[0], "waiting");
    let node = cluster.add();
    cluster.nodes.push(node);
    let ann = cluster.everywhere(&ann[0]);
    agreed(&ann, "@ann", 2);
    each(&ann, &|client, file, number| {
        assert_eq!(get(client, file).text, format!("{number}.txt"));
    });
    let all = get(&ann[2], &waiting).text;
    assert_eq!(all, "waiting");
    let verified = run(cluster.nodes[2].folder().path(), ["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    // What is removed at one is gone everywhere.
    for (_, message) in &sent {
        cluster.nodes[1].told(&["remove", &message["id"].to_string()]);
    }
    agreed(&ann, "@ann", 0);
    each(&ann, &|client, file, _| {
        get(client, file).problem(404, "not_found");
    });
    wait_until("the bucket to have the third alone", || {
        (buckets.objects() == [waiting["id"].as_str().expect("an id")]).then_some(())
    });
}
