//! What holds on one machine holds on several: each request may go to any node.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;
use veche::testing::{Client, Reply, wait_until};

use crate::stage::{Cluster, agreed};

#[test]
fn a_post_on_one_node_is_told_and_read_on_every_other() {
    let cluster = Cluster::start(1, 3, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let mut streams: Vec<_> = bob.iter().map(Client::events).collect();
    for (number, client) in ann.iter().enumerate() {
        let text = format!("from {number}");
        let message = client.say(&text);
        for stream in &mut streams {
            let event = stream.next("message");
            assert_eq!(event.data, message);
        }
    }
    let texts = agreed(&bob, "common", 3);
    assert_eq!(texts, ["from 0", "from 1", "from 2"]);
    // What is the same is called the same: the cursors are of one history.
    let cursors: BTreeSet<_> = streams.iter().map(|stream| stream.cursor()).collect();
    assert_eq!(cursors.len(), 1, "{cursors:?}");
}

#[test]
fn a_stream_resumes_on_another_node_without_a_hole_and_without_a_double() {
    let cluster = Cluster::start(1, 2, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let mut first = bob[0].events();
    ann[0].say("one");
    ann[1].say("two");
    first.until_text("two");
    let cursor = first.cursor().to_owned();
    drop(first);
    ann[1].say("three");
    ann[0].say("four");
    agreed(&bob, "common", 4);
    let mut second = bob[1].events_after(&cursor);
    let told = second.until_text("four");
    let texts: Vec<_> = told
        .iter()
        .filter(|event| event.event == "message")
        .map(|event| event.data["text"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(texts, ["three", "four"]);
}

#[test]
fn a_name_that_two_nodes_are_asked_for_at_once_is_claimed_once() {
    let cluster = Cluster::start(1, 2, "");
    for number in 0..10 {
        let name = json!({ "name": format!("eve{number}") });
        let replies: Vec<Reply> = thread::scope(|scope| {
            let asking: Vec<_> = cluster
                .nodes
                .iter()
                .map(|node| scope.spawn(|| node.join(&name)))
                .collect();
            asking
                .into_iter()
                .map(|asked| asked.join().expect("an answer"))
                .collect()
        });
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{replies:?}");
    }
}

#[test]
fn posts_on_every_node_at_once_have_one_order() {
    const EACH: usize = 30;
    let cluster = Cluster::start(1, 3, "[features]\n");
    let ann = cluster.join("ann");
    thread::scope(|scope| {
        for (number, client) in ann.iter().enumerate() {
            scope.spawn(move || {
                for post in 0..EACH {
                    client.tell("ann", &format!("{number} {post}"));
                }
            });
        }
    });
    let texts = agreed(&ann, "@ann", EACH * ann.len());
    let once: BTreeSet<_> = texts.iter().collect();
    assert_eq!(once.len(), texts.len());
}

#[test]
fn an_idempotency_key_is_honoured_by_another_node() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    let body = json!({ "to": "@ann", "text": "once" });
    let first = ann[0].post_once("k", "/send", &body).expect(201);
    let again = ann[1].post_once("k", "/send", &body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(agreed(&ann, "@ann", 1), ["once"]);
}

#[cfg(has_feature = "rate_limit")]
#[test]
fn the_rate_limit_counts_over_all_nodes() {
    let settings = "[features.rate_limit]\nmessages = 3\nper = \"1h\"";
    let cluster = Cluster::start(1, 2, settings);
    let ann = cluster.join("ann");
    for number in 0..3 {
        ann[number % 2].send("common", "x").expect(201);
    }
    for client in &ann {
        client.send("common", "x").problem(429, "rate_limited");
    }
}

#[cfg(has_feature = "schedule")]
#[test]
fn a_scheduled_message_is_sent_once() {
    let cluster = Cluster::start(1, 3, "");
    let ann = cluster.join("ann");
    let mut stream = ann[2].events();
    for number in 0..5 {
        let body = json!({ "to": "@ann", "text": format!("later {number}"), "in": "300ms" });
        ann[number % 3].post("/scheduled", &body).expect(201);
    }
    for _ in 0..5 {
        stream.next("scheduled_sent");
    }
    let texts = agreed(&ann, "@ann", 5);
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[cfg(has_feature = "complaints")]
#[test]
fn a_ban_holds_on_every_node_at_once() {
    let cluster = Cluster::start(1, 2, "");
    let bob = cluster.join("bob");
    for (number, name) in ["ann", "cat", "dan"].into_iter().enumerate() {
        let complaint = json!({ "user": "bob" });
        let client = cluster.join(name);
        client[number % 2]
            .post("/complaints", &complaint)
            .expect(201);
    }
    // The last was on the first node: whoever decides, on either, has it before them.
    for client in bob.iter().rev() {
        client.send("common", "x").problem(403, "banned");
    }
}

#[cfg(has_feature = "rooms")]
#[test]
fn a_room_that_is_gone_is_gone_from_streams_on_every_node() {
    let cluster = Cluster::start(1, 2, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let made = ann[0]
        .post("/rooms", &json!({ "title": "Kitchen" }))
        .expect(201);
    let room = made["room"].as_str().expect("an address");
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    ann[0]
        .post(&format!("{path}/invites"), &json!({ "user": "bob" }))
        .expect(201);
    bob[1].post(&format!("{path}/join"), &json!({})).expect(200);
    let mut streams: Vec<_> = bob.iter().map(Client::events).collect();
    ann[1].delete(&format!("{path}/members/bob")).expect(204);
    for stream in &mut streams {
        stream.next("left");
    }
    for client in &bob {
        wait_until("the room to be gone", || {
            (client.get(&path).status == 404).then_some(())
        });
    }
}

#[cfg(has_feature = "schedule")]
#[test]
fn a_text_that_goes_is_erased_in_the_stream_and_on_every_node() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    let body = json!({ "to": "@ann", "text": "unforgettable", "in": "1h" });
    let made = ann[0].post_once("k", "/scheduled", &body).expect(201);
    ann[0].tell("ann", "stays");
    agreed(&ann, "@ann", 1);
    assert!(cluster.nats[0].holds("unforgettable"));
    let id = made["id"].as_str().expect("an id");
    ann[1].delete(&format!("/scheduled/{id}")).expect(204);
    wait_until("the text to leave NATS's files", || {
        let holds = cluster.nats.iter().any(|nats| nats.holds("unforgettable"));
        (!holds).then_some(())
    });
    assert!(cluster.nats[0].holds("stays"));
    for node in &cluster.nodes {
        node.forgets(Duration::from_secs(30), "unforgettable");
    }
}

#[cfg(has_feature = "edits")]
#[test]
fn a_text_that_is_changed_is_erased_in_the_stream_and_every_node_has_the_new_one() {
    let cluster = Cluster::start(1, 2, "");
    let ann = cluster.join("ann");
    let body = json!({ "to": "common", "text": "unforgettable" });
    let message = ann[0].post_once("k", "/send", &body).expect(201);
    agreed(&ann, "common", 1);
    assert!(cluster.nats[0].holds("unforgettable"));
    let change = json!({ "message": message["id"], "text": "remembered" });
    ann[1].post("/edit", &change).expect(200);
    for client in &ann {
        wait_until("the new text", || {
            (client.texts("common") == ["remembered"]).then_some(())
        });
    }
    wait_until("the text to leave NATS's files", || {
        let holds = cluster.nats.iter().any(|nats| nats.holds("unforgettable"));
        (!holds).then_some(())
    });
    // What took its place stays.
    assert!(cluster.nats[0].holds("remembered"));
    for (node, client) in cluster.nodes.iter().zip(&ann) {
        node.forgets(Duration::from_secs(30), "unforgettable");
        let again = client.post_once("k", "/send", &body).expect(201);
        assert_eq!(again["text"], "remembered");
    }
}

#[cfg(has_feature = "webhooks")]
#[test]
fn a_hook_that_one_node_made_is_posted_to_at_each() {
    let cluster = Cluster::start(1, 3, "");
    let ann = cluster.join("ann");
    let new = json!({ "name": "alerts", "to": "common" });
    let made = ann[0].post("/hooks", &new).expect(201);
    let url = made["url"].as_str().expect("a path").to_owned();
    for (number, node) in cluster.nodes.iter().enumerate() {
        let text = json!({ "text": format!("from {number}") });
        // A node that is behind knows the hook once it has caught up: it does not decide that alone.
        let reply = node.guest().post(&url, &text);
        assert_eq!((reply.status, reply.text.as_str()), (200, "ok"), "{reply}");
    }
    agreed(&ann, "common", 3);
    let posted = ann[0].messages("common");
    assert!(posted.iter().all(|message| message["from"] == "alerts"));
}

#[cfg(all(has_feature = "reactions", has_feature = "edits"))]
#[test]
fn a_reaction_counts_on_every_node_and_goes_with_its_message_from_the_stream() {
    let cluster = Cluster::start(1, 2, "");
    let (ann, bob) = (cluster.join("ann"), cluster.join("bob"));
    let message = ann[0].say("hello");
    agreed(&ann, "common", 1);
    let react = |by: &Client, emoji: &str, on: bool| {
        let body = json!({ "message": message["id"], "emoji": emoji, "on": on });
        by.post("/react", &body).expect(200)["count"].clone()
    };
    // Emoji that stand nowhere else.
    assert_eq!(react(&ann[0], "🫎", true), 1);
    assert_eq!(react(&bob[1], "🫎", true), 2);
    assert_eq!(react(&ann[1], "🪿", true), 1);
    assert_eq!(react(&bob[0], "🫎", false), 1);
    for client in &ann {
        wait_until("the reactions", || {
            let shown = client.messages("common")[0]["reactions"].clone();
            let shown = shown.as_array()?.iter();
            let counts = shown.map(|one| json!([one["emoji"], one["count"], one["mine"]]));
            let expected = [json!(["🫎", 1, true]), json!(["🪿", 1, true])];
            (counts.collect::<Vec<_>>() == expected).then_some(())
        });
    }
    assert!(cluster.nats[0].holds("🫎"));
    let gone = json!({ "message": message["id"] });
    ann[1].post("/remove", &gone).expect(204);
    for emoji in ["🫎", "🪿"] {
        wait_until("the emoji to leave NATS's files", || {
            let holds = cluster.nats.iter().any(|nats| nats.holds(emoji));
            (!holds).then_some(())
        });
        for node in &cluster.nodes {
            node.forgets(Duration::from_secs(30), emoji);
        }
    }
}

#[cfg(has_feature = "subscriptions")]
#[test]
fn one_node_posts_what_is_said_and_another_goes_on_when_it_dies() {
    use veche::testing::{Received, Receiver};
    let settings = "[features.subscriptions]\nallow = [\"127.0.0.1\"]\npause = \"1s\"";
    let mut cluster = Cluster::start(1, 3, settings);
    let program = Receiver::start();
    let ann = cluster.join("ann");
    let new = json!({ "chat": "@me", "url": program.url("/") });
    ann[0].post("/subscriptions", &new).expect(201);
    for number in 0..12 {
        ann[number % 3].tell("ann", &number.to_string());
    }
    let text = |received: &Received| received.body["data"]["text"].clone();
    for number in 0..12 {
        assert_eq!(
            text(&program.next()),
            number.to_string(),
            "each once, and in order"
        );
    }
    assert!(program.within(Duration::from_millis(300)).is_none());
    // The first node appended first, and others hand on to it. Nobody writes after its death.
    program.answer(503);
    ann[1].tell("ann", "last");
    assert_eq!(text(&program.next()), "last");
    program.answer(200);
    cluster.nodes[0].kill();
    let mut again = program.next();
    while text(&again) != "last" {
        // What was taken within the last second is not recorded.
        again = program.next();
    }
    wait_until("it to be recorded on each node", || {
        let listed = [&ann[1], &ann[2]].map(|client| client.get("/subscriptions").expect(200));
        let on = |listed: &serde_json::Value| listed["subscriptions"][0]["state"] == "on";
        listed.iter().all(on).then_some(())
    });
    assert!(program.within(Duration::from_millis(300)).is_none());
}
