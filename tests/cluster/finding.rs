//! Words are looked for on whichever node somebody is: each keeps an index of its own.

use serde_json::Value;
use veche::testing::{Client, wait_until};

use crate::stage::{Cluster, agreed};

/// The texts that are found, once all could be looked into.
fn found(client: &Client, word: &str) -> Vec<String> {
    wait_until("all to be looked into", || {
        let answer = client.get(&format!("/search?q={word}")).expect(200);
        let text = |hit: &Value| hit["message"]["text"].as_str().map(str::to_owned);
        let found = answer["found"].as_array()?.iter().filter_map(text);
        (answer["complete"] == true).then(|| found.collect())
    })
}

#[test]
fn every_node_finds_what_is_there_and_nothing_that_was_removed() {
    for settings in ["", "[features.search]\nnewest = 0\n"] {
        let mut cluster = Cluster::start(1, 2, settings);
        let ann = cluster.join("ann");
        let mut ids = Vec::new();
        for number in 0..20 {
            let message = ann[number % 2].tell("ann", &format!("qz{number} shared"));
            ids.push(message["id"].to_string());
        }
        agreed(&ann, "@ann", 20);
        for client in &ann {
            assert_eq!(found(client, "shared").len(), 20);
        }
        for (number, id) in ids.iter().enumerate().filter(|(number, _)| number % 4 != 0) {
            cluster.nodes[number % 2].told(&["remove", id]);
        }
        agreed(&ann, "@ann", 5);
        let look = |client: &Client| {
            assert_eq!(found(client, "shared").len(), 5);
            for number in 0..20 {
                let texts = found(client, &format!("qz{number}"));
                assert_eq!(texts.len(), usize::from(number % 4 == 0), "{number}");
            }
        };
        ann.iter().for_each(look);
        // One that is started again, and one that comes later, have the same.
        cluster.nodes[1].restart();
        let late = cluster.add();
        cluster.nodes.push(late);
        let ann = cluster.everywhere(&ann[0]);
        agreed(&ann, "@ann", 5);
        ann.iter().for_each(look);
        ann[2].tell("ann", "qzlast");
        agreed(&ann, "@ann", 6);
        for client in &ann {
            assert_eq!(found(client, "qzlast"), ["qzlast"]);
        }
    }
}
