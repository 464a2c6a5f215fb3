//! The schedule feature: messages that are sent later, each exactly once.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use veche::prelude::Time;
use veche::testing::{Client, Event, Events, Reply, Server, binary, features, wait_until};

/// What a text that is gone may still be found for in the files of a running server.
const FORGOTTEN: Duration = Duration::from_secs(60);

fn server() -> Server {
    Server::only("schedule", "")
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0))
}

/// Waits for a time by the clock: what is tried then is told by no event.
fn wait_for(time: i64) {
    let left = u64::try_from(time - now()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(left));
}

fn schedule(client: &Client, to: &str, text: &str, delay: &str) -> Reply {
    client.post(
        "/scheduled",
        &json!({ "to": to, "text": text, "in": delay }),
    )
}

fn schedule_at(client: &Client, to: &str, text: &str, at: i64) -> Reply {
    let at = Time(at).to_string();
    client.post("/scheduled", &json!({ "to": to, "text": text, "at": at }))
}

fn scheduled(client: &Client) -> Vec<Value> {
    let list = client.get("/scheduled").expect(200);
    list["scheduled"].as_array().cloned().unwrap_or_default()
}

fn cancel(client: &Client, item: &Value) -> Reply {
    let id = item["id"].as_str().unwrap_or_default();
    client.delete(&format!("/scheduled/{id}"))
}

/// Waits until nothing waits any more, and gives the list.
fn settled(client: &Client) -> Vec<Value> {
    wait_until("everything to be sent or to fail", || {
        let list = scheduled(client);
        list.iter()
            .all(|item| item["state"] != "waiting")
            .then_some(list)
    })
}

/// What a client holds that does nothing but follow the events.
#[derive(Default)]
struct Follower {
    items: BTreeMap<String, Value>,
    texts: BTreeMap<u64, Value>,
}

impl Follower {
    fn take(&mut self, events: &[Event]) {
        for Event { event, data, .. } in events {
            let id = data["id"].as_str().unwrap_or_default().to_owned();
            match event.as_str() {
                "scheduled" | "scheduled_failed" => {
                    self.items.insert(id, data.clone());
                }
                "scheduled_sent" => {
                    let mut item = data.clone();
                    // The message came before it.
                    let message = item["message"].as_u64().unwrap_or_default();
                    if let Some(text) = self.texts.get(&message) {
                        item["text"] = text.clone();
                    }
                    self.items.insert(id, item);
                }
                "cancelled" | "scheduled_forgotten" => {
                    self.items.remove(&id);
                }
                "message" => {
                    let id = data["id"].as_u64().unwrap_or_default();
                    self.texts.insert(id, data["text"].clone());
                }
                _ => {}
            }
        }
    }

    fn follow(&mut self, events: &mut Events, marker: &str) {
        self.take(&events.until_text(marker));
    }
}

/// What a client holds that comes new.
fn fresh(client: &Client) -> BTreeMap<String, Value> {
    let list = scheduled(&client.again()).into_iter();
    list.map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item))
        .collect()
}

#[test]
fn one_is_answered_201_and_told_to_its_users_clients_alone() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let second = ann.again();
    let (mut hers, mut his) = (second.events(), bob.events());
    let made = schedule(&ann, "@BOB", "lunch?", "10m").expect(201);
    let mut fields: Vec<&String> = made
        .as_object()
        .into_iter()
        .flatten()
        .map(|f| f.0)
        .collect();
    fields.sort();
    assert_eq!(fields, ["at", "id", "state", "text", "to"]);
    assert_eq!(made["to"], "@bob");
    assert_eq!(made["text"], "lunch?");
    assert_eq!(made["state"], "waiting");
    let id: Result<uuid::Uuid, _> = made["id"].as_str().unwrap_or_default().parse();
    assert!(id.is_ok(), "{made}");
    let at: Result<Time, _> = made["at"].as_str().unwrap_or_default().parse();
    assert!(at.is_ok_and(|at| (590_000..=600_000).contains(&(at.0 - now()))));
    assert_eq!(hers.next("scheduled").data, made);
    assert_eq!(scheduled(&second), std::slice::from_ref(&made));
    assert!(scheduled(&bob).is_empty());
    ann.say("marker");
    let passed = his.until_text("marker");
    assert!(passed.iter().all(|event| event.event != "scheduled"));
    assert!(bob.messages("@ann").is_empty());
    let status = ann.status();
    let part = json!({ "waiting": 1, "next": made["at"] });
    assert_eq!(status["user"]["schedule"], part);
    let none = json!({ "waiting": 0, "next": null });
    assert_eq!(bob.status()["user"]["schedule"], none);
}

#[test]
fn when_due_it_is_an_ordinary_message_from_then_on() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let (mut hers, mut his) = (ann.events(), bob.events());
    let made = schedule(&ann, "@bob", "lunch?", "300ms").expect(201);
    let message = his.next("message").data;
    assert_eq!(message["text"], "lunch?");
    assert_eq!(message["from"], "ann");
    assert_eq!(message["to"], "@bob");
    assert!(message["at"].as_str() >= made["at"].as_str(), "{message}");
    assert_eq!(bob.unread(), std::slice::from_ref(&message));
    let passed = hers.until(|event| event.event == "scheduled_sent");
    let order: Vec<&str> = passed.iter().map(|event| event.event.as_str()).collect();
    let order: Vec<&str> = order.into_iter().filter(|kind| *kind != "user").collect();
    assert_eq!(order, ["scheduled", "message", "scheduled_sent"]);
    let sent = &passed[passed.len() - 1].data;
    assert_eq!(sent["id"], made["id"]);
    assert_eq!(sent["to"], "@bob");
    assert_eq!(sent["at"], made["at"]);
    assert_eq!(sent["state"], "sent");
    assert_eq!(sent["message"], message["id"]);
    assert!(sent.get("text").is_none(), "{sent}");
    let mut listed = sent.clone();
    listed["text"] = json!("lunch?");
    let mut list = scheduled(&ann);
    assert_eq!(list.len(), 1);
    assert_eq!(list.remove(0), listed);
    cancel(&ann, &made).problem(409, "already_sent");
    assert_eq!(bob.texts("@ann"), ["lunch?"]);
}

#[test]
fn a_note_to_oneself_and_one_to_all_are_sent_at_once_where_no_time_is_left() {
    let server = server();
    let ann = server.connect("ann");
    schedule(&ann, "@me", "note", "0s").expect(201);
    schedule(&ann, "common", "all", "0s").expect(201);
    settled(&ann);
    assert_eq!(ann.texts("@ann"), ["note"]);
    assert_eq!(ann.texts("common"), ["all"]);
}

#[test]
fn what_is_asked_for_is_judged_when_it_is_made() {
    let server = Server::only("schedule", "horizon = \"1h\"");
    let ann = server.connect("ann");
    schedule(&ann, "@nobody", "x", "1m").problem(404, "unknown_chat");
    let room = "room:00000000-0000-4000-8000-000000000000";
    schedule(&ann, room, "x", "1m").problem(404, "unknown_chat");
    schedule(&ann, "nonsense", "x", "1m").problem(422, "invalid");
    schedule(&ann, "common", "", "1m").problem(422, "invalid");
    schedule(&ann, "common", &"x".repeat(4001), "1m").problem(422, "invalid");
    for (body, field) in [
        (json!({}), "at"),
        (json!({ "at": null, "in": null }), "at"),
        (json!({ "at": "2100-01-01T00:00:00Z", "in": "1m" }), "in"),
        (json!({ "at": "2020-01-01T00:00:00Z" }), "at"),
        (json!({ "at": "2100-01-01T00:00:00Z" }), "at"),
        (json!({ "at": "noon" }), "at"),
        (json!({ "at": 5 }), "at"),
        (json!({ "in": "61m" }), "in"),
        (json!({ "in": "-1m" }), "in"),
        (json!({ "in": "soon" }), "in"),
        (json!({ "in": 60 }), "in"),
    ] {
        let mut body = body;
        body["to"] = json!("common");
        body["text"] = json!("x");
        let refused = ann.post("/scheduled", &body);
        assert_eq!(refused.problem(422, "invalid")["field"], field, "{body}");
    }
    assert!(scheduled(&ann).is_empty());
    schedule(&ann, "common", "x", "59m").expect(201);
}

#[test]
fn one_is_cancelled_by_its_user_alone_and_never_sent() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let made = schedule(&ann, "common", "never", "1s").expect(201);
    let mut second = ann.again().events();
    cancel(&bob, &made).problem(404, "not_found");
    for id in ["00000000-0000-4000-8000-000000000000", "x", "1"] {
        let path = format!("/scheduled/{id}");
        ann.delete(&path).problem(404, "not_found");
    }
    cancel(&ann, &made).expect(204);
    assert_eq!(second.next("cancelled").data, json!({ "id": made["id"] }));
    cancel(&ann, &made).problem(404, "not_found");
    assert!(scheduled(&ann).is_empty());
    // One that is due later has come, so the other would have, too.
    schedule(&ann, "common", "later", "1500ms").expect(201);
    settled(&ann);
    assert_eq!(ann.texts("common"), ["later"]);
}

#[test]
fn no_more_wait_than_are_allowed_each_user_on_their_own() {
    let server = Server::only("schedule", "pending = 2");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let first = schedule(&ann, "common", "1", "10m").expect(201);
    schedule(&ann, "common", "2", "20m").expect(201);
    let refused = schedule(&ann, "common", "3", "30m");
    refused.problem(429, "too_many_scheduled");
    let retry = refused.retry_after().as_secs();
    assert!((590..=600).contains(&retry), "{retry}");
    schedule(&bob, "common", "1", "10m").expect(201);
    cancel(&ann, &first).expect(204);
    schedule(&ann, "common", "3", "30m").expect(201);
    schedule(&ann, "common", "4", "40m").problem(429, "too_many_scheduled");
}

#[test]
fn what_is_shown_of_those_sent_has_a_bound_and_the_oldest_go_first() {
    let server = Server::only("schedule", "pending = 1");
    let ann = server.connect("ann");
    let mut events = ann.again().events();
    for number in 0..12 {
        schedule(&ann, "@ann", &format!("m{number}"), "0s").expect(201);
        events.next("scheduled_sent");
    }
    let list = scheduled(&ann);
    let texts: Vec<&str> = list
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect();
    let last: Vec<String> = (2..12).map(|number| format!("m{number}")).collect();
    assert_eq!(texts, last);
    assert_eq!(ann.messages("@ann").len(), 12);
}

#[test]
fn waiting_ones_are_listed_by_due_time_and_then_what_is_done() {
    let server = server();
    let ann = server.connect("ann");
    schedule(&ann, "@ann", "sent first", "0s").expect(201);
    settled(&ann);
    schedule(&ann, "@ann", "sent second", "0s").expect(201);
    settled(&ann);
    for (text, delay) in [("c", "3h"), ("a", "1h"), ("b", "2h")] {
        schedule(&ann, "common", text, delay).expect(201);
    }
    let list = scheduled(&ann);
    let texts: Vec<&str> = list
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect();
    assert_eq!(texts, ["a", "b", "c", "sent first", "sent second"]);
}

#[test]
fn a_second_and_a_resumed_client_hold_what_a_fresh_one_gets() {
    let mut server = Server::only("schedule", "pending = 3\nmax_late = \"1s\"");
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let mut follower = Follower::default();
    let mut live = ann.again().events();
    let mut check = |server: &Server, live: &mut Events, marker: &str| {
        let ann = Client::welcomed(&server.url(), &ann.welcome);
        ann.say(marker);
        follower.follow(live, marker);
        assert_eq!(follower.items, fresh(&ann), "live, {marker}");
        let mut resumed = Follower::default();
        resumed.follow(&mut ann.events_after(&cursor), marker);
        assert_eq!(resumed.items, fresh(&ann), "resumed, {marker}");
    };
    let waits = schedule(&ann, "common", "waits", "1h").expect(201);
    check(&server, &mut live, "made");
    cancel(&ann, &waits).expect(204);
    check(&server, &mut live, "cancelled");
    schedule(&ann, "@ann", "sent", "0s").expect(201);
    settled(&ann);
    check(&server, &mut live, "sent one");
    let late = now() + 500;
    let failed = schedule_at(&ann, "@ann", "too late", late).expect(201);
    check(&server, &mut live, "about to be late");
    let upto = live.cursor().to_owned();
    server.kill();
    wait_for(late + 1_500);
    server.restart();
    let mut live = ann.events_after(&upto);
    settled(&ann);
    check(&server, &mut live, "failed one");
    cancel(&ann, &failed).expect(204);
    check(&server, &mut live, "dismissed");
    for number in 0..31 {
        schedule(&ann, "@ann", &format!("m{number}"), "0s").expect(201);
        settled(&ann);
    }
    check(&server, &mut live, "forgotten");
}

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
fn of_cancelling_and_sending_one_wins_and_the_other_knows() {
    // How long before or after its time each is cancelled, in milliseconds.
    const OFFSETS: [i64; 8] = [-30, -8, -4, -2, -1, 0, 1, 20];
    let server = server();
    let ann = server.connect("ann");
    let due = now() + 1_000;
    let items: Vec<Value> = (0..60)
        .map(|number| {
            let at = due + number * 20;
            schedule_at(&ann, "common", &format!("m{number}"), at).expect(201)
        })
        .collect();
    let outcomes: Vec<u16> = std::thread::scope(|scope| {
        let cancelling: Vec<_> = (0..4)
            .map(|lane| {
                let (client, items) = (ann.again(), &items);
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for (number, item) in items.iter().enumerate().skip(lane).step_by(4) {
                        let at = due + i64::try_from(number).unwrap_or(0) * 20;
                        wait_for(at + OFFSETS[number / 4 % OFFSETS.len()]);
                        outcomes.push((number, cancel(&client, item).status));
                    }
                    outcomes
                })
            })
            .collect();
        let done = cancelling.into_iter().filter_map(|lane| lane.join().ok());
        let mut outcomes: Vec<_> = done.flatten().collect();
        outcomes.sort_unstable();
        outcomes.into_iter().map(|(_, status)| status).collect()
    });
    assert_eq!(outcomes.len(), items.len());
    let list = settled(&ann);
    let texts = ann.texts("common");
    for (number, status) in outcomes.iter().enumerate() {
        let times = texts
            .iter()
            .filter(|text| **text == format!("m{number}"))
            .count();
        let listed = list.iter().any(|item| item["id"] == items[number]["id"]);
        match status {
            204 => assert_eq!((times, listed), (0, false), "{number}"),
            409 => assert_eq!((times, listed), (1, true), "{number}"),
            other => assert_eq!(*other, 204, "{number}"),
        }
    }
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
fn a_thousand_that_are_due_within_a_second_are_all_sent_in_order_and_soon() {
    const COUNT: i64 = 1_000;
    let server = Server::only("schedule", "pending = 250");
    let users: Vec<Client> = (0..4)
        .map(|n| server.connect(&format!("user{n}")))
        .collect();
    let mut events = users[0].again().events();
    let due = now() + 15_000;
    std::thread::scope(|scope| {
        for (lane, user) in (0_i64..).zip(&users) {
            scope.spawn(move || {
                for number in (lane..COUNT).step_by(4) {
                    let place = number * 389 % COUNT;
                    schedule_at(user, "common", &format!("m{place}"), due + place).expect(201);
                }
            });
        }
    });
    assert!(now() < due, "they were made before they were due");
    for number in 0..COUNT {
        let message = events.next("message").data;
        assert_eq!(message["text"], format!("m{number}"));
        let at: Result<Time, _> = message["at"].as_str().unwrap_or_default().parse();
        let late = at.map_or(i64::MAX, |at| at.0 - due - number);
        assert!((0..5_000).contains(&late), "{message} is {late} ms late");
    }
    assert!(users.iter().all(|user| settled(user).len() == 250));
    assert_eq!(users[0].history("common").len(), 1_000);
}

#[test]
fn every_rule_is_asked_when_it_is_due_and_none_counts_before() {
    if !features(&binary()).contains(&"rate_limit".to_owned()) {
        return;
    }
    let server = Server::builder()
        .only("rate_limit", "messages = 2\nper = \"1h\"")
        .start();
    let config = server.config().replace(
        "[features.schedule]\nenabled = false",
        "[features.schedule]\nenabled = true",
    );
    let server = Server::with(config);
    let ann = server.connect("ann");
    let mut events = ann.events();
    let due = now() + 1_000;
    for number in 0..3 {
        let made = schedule_at(&ann, "common", &format!("m{number}"), due + number);
        made.expect(201);
        assert!(made.header("ratelimit").is_none(), "{made}");
    }
    assert_eq!(ann.status()["user"]["rate_limit"]["left"], 2);
    let failed = events.next("scheduled_failed").data;
    assert_eq!(failed["text"], "m2");
    assert_eq!(failed["reason"], "rate_limited");
    assert_eq!(ann.texts("common"), ["m0", "m1"]);
    ann.send("common", "now").problem(429, "rate_limited");
    // Who may not post now may still say what to post later.
    schedule(&ann, "common", "later", "2h").expect(201);
    let states: Vec<Value> = scheduled(&ann)
        .iter()
        .map(|item| item["state"].clone())
        .collect();
    assert_eq!(states, ["waiting", "sent", "sent", "failed"]);
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
fn a_repeat_with_its_key_schedules_once() {
    let server = server();
    let ann = server.connect("ann");
    let body = json!({ "to": "common", "text": "once", "in": "1500ms" });
    let first = ann.post_once("k", "/scheduled", &body).expect(201);
    let again = ann.post_once("k", "/scheduled", &body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(scheduled(&ann).len(), 1);
    settled(&ann);
    ann.post_once("k", "/scheduled", &body).problem(410, "gone");
    assert_eq!(ann.texts("common"), ["once"]);
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
