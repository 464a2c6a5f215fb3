//! What outlives crashes, downtime and the off switch, and what does not.

use super::*;

#[test]
fn what_fell_due_while_the_server_was_down_is_sent_in_order_of_due_time() {
    let mut server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let due = now() + 1_500;
    for number in [3, 1, 4, 0, 2] {
        let client = if number % 2 == 0 { &ann } else { &bob };
        let text = format!("m{number}");
        schedule_at(client, "common", &text, due + number * 10).expect(201);
    }
    schedule_at(&ann, "common", "m0 again", due).expect(201);
    let cursor = ann.cursor();
    server.kill();
    wait_for(due + 200);
    server.restart();
    // It is done before anybody is served.
    let order = ["m0", "m0 again", "m1", "m2", "m3", "m4"];
    assert_eq!(ann.texts("common"), order);
    let mut resumed = ann.events_after(&cursor);
    let told: Vec<Value> = (0..6)
        .map(|_| resumed.next("message").data["text"].clone())
        .collect();
    assert_eq!(told, order);
}

#[test]
fn one_that_comes_too_late_fails_and_keeps_its_text() {
    let mut server = Server::only("schedule", "max_late = \"1s\"");
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let due = now() + 500;
    let made = schedule_at(&ann, "common", "too late", due).expect(201);
    let kept = schedule_at(&ann, "common", "in time", due + 1_000_000).expect(201);
    server.kill();
    wait_for(due + 1_500);
    server.restart();
    let event = ann.events_after(&cursor).next("scheduled_failed").data;
    assert_eq!(event["id"], made["id"]);
    assert_eq!(event["text"], "too late");
    assert_eq!(event["state"], "failed");
    assert_eq!(event["reason"], "too_late");
    assert!(event["detail"].is_string(), "{event}");
    assert_eq!(scheduled(&ann), [kept.clone(), event]);
    assert!(ann.messages("common").is_empty());
    server.restart();
    cancel(&ann, &made).expect(204);
    assert_eq!(scheduled(&ann), [kept]);
    server.forgets(FORGOTTEN, "too late");
}

#[test]
fn each_is_sent_exactly_once_whenever_the_server_is_killed() {
    const EACH: i64 = 5;
    let mut server = Server::only("schedule", "pending = 1000");
    let ann = server.connect("ann");
    let mut expected = Vec::new();
    for round in 0..30_i64 {
        let due = now() + 200;
        for number in 0..EACH {
            let text = format!("r{round} m{number}");
            schedule_at(&ann, "common", &text, due + number * 3).expect(201);
            expected.push(text);
        }
        // From before the first is due to after the last is sent.
        wait_for(due - 4 + round);
        server.kill();
        server.restart();
    }
    let list = settled(&ann);
    let messages = ann.history("common");
    let texts: Vec<&str> = messages.iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(texts, expected);
    assert_eq!(list.len(), expected.len());
    for item in &list {
        assert_eq!(item["state"], "sent");
        let message = messages
            .iter()
            .find(|message| message["id"] == item["message"]);
        assert_eq!(message.map(|message| &message["text"]), Some(&item["text"]));
    }
    // And once more after all that, from the log alone.
    server.kill();
    server.restart();
    assert_eq!(ann.history("common"), messages);
    assert_eq!(scheduled(&ann), list);
}

#[test]
fn a_text_is_in_no_file_once_it_is_cancelled_or_its_message_has_ended() {
    let ttl = features(&binary()).contains(&"ttl".to_owned());
    let config = if ttl {
        "[features.ttl]\nafter = \"2s\"\n"
    } else {
        ""
    };
    let mut server = Server::with(config);
    let ann = server.connect("ann");
    let mut events = ann.events();
    let cancelled = format!("cancelled {}", uuid::Uuid::new_v4());
    let ended = format!("ended {}", uuid::Uuid::new_v4());
    let body = json!({ "to": "common", "text": ended, "in": "500ms" });
    ann.post_once("k", "/scheduled", &body).expect(201);
    let item = schedule(&ann, "common", &cancelled, "1h").expect(201);
    assert!(!server.holding(&cancelled).is_empty());
    cancel(&ann, &item).expect(204);
    let sent = events.next("scheduled_sent").data;
    if ttl {
        // Its life begins when it is sent.
        let message = ann
            .get(&format!("/messages/{}", sent["message"]))
            .expect(200);
        let time = |field: &str| message[field].as_str().and_then(|at| at.parse().ok());
        let (at, expires): (Option<Time>, Option<Time>) = (time("at"), time("expires"));
        assert_eq!(at.zip(expires).map(|(at, end)| end.0 - at.0), Some(2_000));
        events.next("removed");
        assert!(scheduled(&ann)[0].get("text").is_none());
        assert_eq!(scheduled(&ann)[0]["message"], sent["message"]);
        server.forgets(FORGOTTEN, &ended);
    }
    server.forgets(FORGOTTEN, &cancelled);
    assert!(server.stop().success());
    assert!(server.holding(&cancelled).is_empty());
    assert_eq!(server.holding(&ended).is_empty(), ttl);
}

#[test]
fn switched_off_nothing_is_sent_or_shown_and_switched_on_again_it_goes_on() {
    let mut server = server();
    let on = server.config().to_owned();
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let due = now() + 2_000;
    let made = schedule_at(&ann, "common", "hello", due).expect(201);
    server.configure(on.replace("enabled = true", "enabled = false"));
    server.restart();
    wait_for(due + 100);
    ann.say("marker");
    assert_eq!(ann.texts("common"), ["marker"]);
    let refused = ann.get("/scheduled").problem(404, "feature_off");
    assert_eq!(refused["feature"], "schedule");
    schedule(&ann, "common", "x", "1m").problem(404, "feature_off");
    cancel(&ann, &made).problem(404, "feature_off");
    assert!(ann.status()["user"].get("schedule").is_none());
    let passed = ann.events_after(&cursor).until_text("marker");
    assert!(
        passed
            .iter()
            .all(|event| !event.event.starts_with("scheduled"))
    );
    server.configure(on);
    server.restart();
    assert_eq!(ann.texts("common"), ["marker", "hello"]);
    assert_eq!(settled(&ann)[0]["id"], made["id"]);
}

#[test]
fn what_waits_is_kept_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .only("schedule", "")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let ann = server.connect("ann");
    schedule(&ann, "@ann", "sent", "0s").expect(201);
    settled(&ann);
    schedule(&ann, "common", "waits", "1h").expect(201);
    let before = scheduled(&ann);
    for number in 0..50 {
        ann.tell("ann", &format!("m{number}"));
    }
    server.restart();
    assert_eq!(scheduled(&ann), before);
    server.kill();
    server.restart();
    assert_eq!(scheduled(&ann), before);
    cancel(&ann, &before[0]).expect(204);
    cancel(&ann, &before[1]).problem(409, "already_sent");
}
