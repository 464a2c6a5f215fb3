//! The complaints feature: warnings by one's fellows, and the ban that follows.

#![cfg(has_feature = "complaints")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veche::testing::{Client, Event, Reply, Server, binary, features, wait_until};

fn server(settings: &str) -> Server {
    Server::only("complaints", settings)
}

fn complain(client: &Client, user: &str) -> Reply {
    client.post("/complaints", &json!({ "user": user }))
}

/// The user's own part of `GET /status`.
fn standing(client: &Client) -> Value {
    client.status()["user"]["complaints"].clone()
}

fn warned(count: u32) -> Value {
    json!({"warnings": count, "limit": 3, "banned_until": null})
}

/// Whether an event is one of this feature's.
fn is_own(event: &Event) -> bool {
    ["warned", "banned", "unbanned"].contains(&event.event.as_str())
}

fn kinds(events: &[Event]) -> Vec<&str> {
    let own = events.iter().filter(|event| is_own(event));
    own.map(|event| event.event.as_str()).collect()
}

#[test]
fn each_complaint_is_a_warning_and_the_third_is_a_ban_with_no_warnings_left() {
    let server = server("");
    let bob = server.connect("bob");
    assert_eq!(standing(&bob), warned(0));
    for (count, name) in [(1, "ann"), (2, "cat")] {
        let outcome = complain(&server.connect(name), "bob").expect(201);
        assert_eq!(
            outcome,
            json!({"user": "bob", "warnings": count, "limit": 3, "banned_until": null})
        );
        assert_eq!(standing(&bob), warned(count));
        bob.say("still here");
    }
    let outcome = complain(&server.connect("dan"), "bob").expect(201);
    let until = outcome["banned_until"].clone();
    assert!(until.is_string(), "{outcome}");
    assert_eq!(
        outcome,
        json!({"user": "bob", "warnings": 0, "limit": 3, "banned_until": until})
    );
    assert_eq!(
        standing(&bob),
        json!({"warnings": 0, "limit": 3, "banned_until": until})
    );
    let refused = bob.send("common", "x");
    assert_eq!(refused.problem(403, "banned")["until"], until);
    let seconds = refused.retry_after().as_secs();
    assert!((14_300..=14_400).contains(&seconds), "{seconds}");
}

#[test]
fn a_ban_stops_every_post_and_nothing_else() {
    let all = features(&binary());
    let server = if all.iter().any(|name| name == "comments") {
        Server::with("[features.complaints]\nwarnings = 1\n")
    } else {
        server("warnings = 1")
    };
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let message = ann.say("hello");
    let mut events = bob.events();
    complain(&ann, "bob").expect(201);
    for to in ["common", "@ann", "@me"] {
        bob.send(to, "x").problem(403, "banned");
        bob.again().send(to, "x").problem(403, "banned");
    }
    if all.iter().any(|name| name == "comments") {
        let path = format!("/messages/{}/comments", message["id"]);
        bob.post(&path, &json!({ "text": "x" }))
            .problem(403, "banned");
        bob.get(&path).expect(200);
    }
    // The ban is what is told of all that is wrong with a post.
    bob.send("common", "").problem(403, "banned");
    assert_eq!(bob.texts("common"), ["hello"]);
    ann.say("can you hear me?");
    events.until_text("can you hear me?");
    assert_eq!(bob.unread().len(), 2);
    bob.read_all();
    bob.again().status();
    // To complain is not to post.
    complain(&bob, "ann").expect(201);
}

#[test]
fn what_was_to_be_sent_later_fails_in_a_ban_and_says_why() {
    if !features(&binary()).iter().any(|name| name == "schedule") {
        return;
    }
    let server = Server::with("[features.complaints]\nwarnings = 1\n");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let later = |delay: &str| {
        let body = json!({"to": "common", "text": "later", "in": delay});
        bob.post("/scheduled", &body)
    };
    let mut events = bob.events();
    let item = later("2s").expect(201);
    complain(&ann, "bob").expect(201);
    later("1h").problem(403, "banned");
    let failed = events.next("scheduled_failed").data;
    assert_eq!(failed["id"], item["id"]);
    assert_eq!(failed["reason"], "banned");
    assert!(ann.messages("common").is_empty());
}

#[test]
fn every_client_of_the_accused_is_told_at_once_or_when_it_is_back_and_nobody_else_is() {
    let server = server("ban = \"1s\"");
    let bob = server.connect("bob");
    let away = bob.cursor();
    let others: Vec<Client> = ["ann", "cat", "dan"]
        .map(|name| server.connect(name))
        .into();
    let mut theirs: Vec<_> = others.iter().map(Client::events).collect();
    let mut open = [bob.events(), bob.again().events()];
    for other in &others {
        complain(other, "bob").expect(201);
    }
    let mut told = Vec::new();
    for events in &mut open {
        let all = events.until(|event| event.event == "unbanned");
        let own: Vec<Event> = all.into_iter().filter(is_own).collect();
        assert_eq!(kinds(&own), ["warned", "warned", "banned", "unbanned"]);
        assert!(own.iter().all(|event| event.id.is_some()), "{own:?}");
        told.push(own);
    }
    assert_eq!(told[0], told[1]);
    let mut back = bob.events_after(&away);
    let all = back.until(|event| event.event == "unbanned");
    let own: Vec<Event> = all.into_iter().filter(is_own).collect();
    assert_eq!(own, told[0]);

    // Each says how the accused stands, as `GET /status` does; a warning also when it ends.
    for (event, count) in own.iter().zip([1, 2]) {
        let mut data = event.data.clone();
        let ends = data.as_object_mut().and_then(|data| data.remove("expires"));
        assert!(ends.is_some_and(|ends| ends.is_string()));
        assert_eq!(data, warned(count));
    }
    let until = &own[2].data["banned_until"];
    assert!(until.is_string(), "{own:?}");
    assert_eq!(
        own[2].data,
        json!({"warnings": 0, "limit": 3, "banned_until": until})
    );
    assert_eq!(own[3].data, warned(0));
    assert_eq!(standing(&bob), own[3].data);

    bob.say("marker");
    for events in &mut theirs {
        assert!(kinds(&events.until_text("marker")).is_empty());
    }
}

#[test]
fn a_ban_ends_by_itself_on_time() {
    let server = server("warnings = 1\nban = \"1500ms\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let mut events = bob.events();
    let begin = Instant::now();
    complain(&ann, "bob").expect(201);
    events.next("unbanned");
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    bob.say("back");
    assert_eq!(standing(&bob)["banned_until"], Value::Null);
}

#[test]
fn warnings_the_ban_and_its_end_survive_a_crash() {
    let mut server = server("");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    let others = ["ann", "cat", "dan"].map(|name| server.connect(name));
    for (count, other) in (1..).zip(&others[..2]) {
        complain(other, "bob").expect(201);
        server.kill();
        server.restart();
        assert_eq!(standing(&bob), warned(count));
        complain(other, "bob").problem(409, "already_complained");
    }
    let until = complain(&others[2], "bob").expect(201)["banned_until"].clone();
    for crashes in [true, false] {
        if crashes {
            server.kill();
        }
        server.restart();
        assert_eq!(standing(&bob)["banned_until"], until);
        let refused = bob.send("common", "x").problem(403, "banned");
        assert_eq!(refused["until"], until);
        complain(&others[2], "bob").problem(409, "already_complained");
    }
    let resumed = bob
        .events_after(&cursor)
        .until(|event| event.event == "banned");
    assert_eq!(kinds(&resumed), ["warned", "warned", "banned"]);
}

#[test]
fn a_ban_that_ends_while_the_server_is_down_is_over_at_its_start() {
    let mut server = server("warnings = 1\nban = \"2s\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let cursor = bob.cursor();
    complain(&ann, "bob").expect(201);
    bob.send("common", "x").problem(403, "banned");
    server.kill();
    // No server is there to tell of it.
    std::thread::sleep(Duration::from_millis(2100));
    server.restart();
    bob.say("back");
    complain(&ann, "bob").expect(201);
    let mut events = bob.events_after(&cursor);
    let mut all = events.until(|event| event.event == "unbanned");
    all.extend(events.until(|event| event.event == "banned"));
    assert_eq!(kinds(&all), ["banned", "unbanned", "banned"]);
}

#[test]
fn one_complains_about_another_once_until_the_ban_has_ended() {
    let server = server("warnings = 2\nban = \"2s\"");
    let bob = server.connect("bob");
    let [ann, cat, dan] = ["ann", "cat", "dan"].map(|name| server.connect(name));
    let mut events = bob.events();
    complain(&ann, "bob").expect(201);
    complain(&ann, "bob").problem(409, "already_complained");
    complain(&ann.again(), "bob").problem(409, "already_complained");
    complain(&ann, "cat").expect(201);
    complain(&bob, "ann").expect(201);
    assert_eq!(standing(&bob)["warnings"], 1);
    complain(&cat, "bob").expect(201);
    complain(&ann, "bob").problem(409, "already_complained");
    complain(&dan, "bob").problem(409, "already_banned");
    events.next("unbanned");
    assert_eq!(complain(&ann, "bob").expect(201)["warnings"], 1);
    complain(&dan, "bob").expect(201);
    assert!(standing(&bob)["banned_until"].is_string());
}

#[test]
fn of_many_at_once_as_many_get_through_as_the_ban_needs() {
    let server = server("");
    let bob = server.connect("bob");
    let others: Vec<Client> = (0..8)
        .map(|number| server.connect(&format!("user{number}")))
        .collect();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asking: Vec<_> = others
            .iter()
            .map(|other| scope.spawn(|| complain(other, "bob")))
            .collect();
        let asked = asking.into_iter().filter_map(|asked| asked.join().ok());
        asked.collect()
    });
    let through = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!((through, replies.len()), (3, 8));
    for refused in replies.iter().filter(|reply| reply.status != 201) {
        refused.problem(409, "already_banned");
    }
    assert!(standing(&bob)["banned_until"].is_string());
}

#[test]
fn the_accused_is_found_in_any_case_with_or_without_an_at() {
    let server = server("");
    let bob = server.connect("Bob");
    for (name, spelt) in [("ann", "bob"), ("cat", "@BOB"), ("dan", "Bob")] {
        let outcome = complain(&server.connect(name), spelt).expect(201);
        assert_eq!(outcome["user"], "Bob");
    }
    assert!(standing(&bob)["banned_until"].is_string());
}

#[test]
fn what_cannot_be_complained_of_is_refused() {
    let server = server("");
    let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
    let post = |body: Value| ann.post("/complaints", &body);
    for name in ["nobody", "@nobody", "", "@", "common", "room:x", "@@bob"] {
        complain(&ann, name).problem(404, "not_found");
    }
    for name in ["ann", "ANN", "@ann", "@me"] {
        complain(&ann, name).problem(422, "self_complaint");
    }
    let secret = bob.tell("cat", "psst");
    let unknown = post(json!({"user": "bob", "message": 9_007_199_254_740_991_u64}));
    let unseen = post(json!({"user": "bob", "message": secret["id"]}));
    assert_eq!(
        unseen.problem(404, "not_found"),
        unknown.problem(404, "not_found")
    );
    for body in [
        json!({}),
        json!({"user": 7}),
        json!({"user": "bob", "message": "x"}),
        json!({"user": "bob", "message": -1}),
        json!({"user": "bob", "reason": 7}),
        json!({"user": "bob", "reason": ""}),
        json!({"user": "bob", "reason": "ж".repeat(4001)}),
    ] {
        post(body).problem(422, "invalid");
    }
    let long = post(json!({"user": "bob", "reason": ""})).problem(422, "invalid");
    assert_eq!(long["field"], "reason");
    ann.get("/complaints").problem(405, "method_not_allowed");
    server
        .guest()
        .post("/complaints", &json!({"user": "bob"}))
        .problem(401, "unauthorized");
    assert_eq!(standing(&bob), warned(0));
    let whole = json!({"user": "bob", "reason": "ж".repeat(4000), "message": secret["id"]});
    cat.post("/complaints", &whole).expect(201);
    post(json!({"user": "bob", "reason": null, "message": null, "more": 1})).expect(201);
}

#[test]
fn who_is_new_may_not_complain_yet() {
    let mut server = server("min_age = \"1h\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let refused = complain(&ann, "bob");
    refused.problem(403, "too_new");
    let seconds = refused.retry_after().as_secs();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    // Another client, or the one of before, is as old as its user.
    complain(&ann.again(), "bob").problem(403, "too_new");
    let config = server.config().replace("1h", "1ms");
    server.configure(config);
    server.restart();
    complain(&ann, "bob").expect(201);
    assert_eq!(standing(&bob), warned(1));
}

#[test]
fn a_warning_counts_until_it_has_decayed_and_its_complainer_had_their_say() {
    let server = server("warnings = 2\ndecay = \"1s\"");
    let bob = server.connect("bob");
    let [ann, cat, dan] = ["ann", "cat", "dan"].map(|name| server.connect(name));
    complain(&ann, "bob").expect(201);
    wait_until("a warning's end", || {
        (standing(&bob)["warnings"] == 0).then_some(())
    });
    complain(&ann, "bob").problem(409, "already_complained");
    assert_eq!(complain(&cat, "bob").expect(201)["warnings"], 1);
    wait_until("a warning's end", || {
        (standing(&bob)["warnings"] == 0).then_some(())
    });
    assert_eq!(
        complain(&dan, "bob").expect(201)["banned_until"],
        Value::Null
    );
    bob.say("never banned");
}

#[test]
fn the_accused_never_learns_by_whom_or_why() {
    let server = server("ban = \"1s\"");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    let names = ["xenophon", "yggdrasil", "zoroaster"];
    let others = names.map(|name| server.connect(name));
    let note = others[0].tell("xenophon", "a note of their own");
    let mut open = bob.events();
    let mut seen = String::new();
    for other in &others {
        let reason = json!({"user": "bob", "reason": "wherefore", "message": note["id"]});
        let plain = json!({"user": "bob", "reason": "wherefore"});
        let body = if other.name == names[0] {
            reason
        } else {
            plain
        };
        other.post("/complaints", &body).expect(201);
        for reply in [
            bob.get("/status"),
            bob.get("/unread"),
            bob.get("/messages?chat=common"),
            bob.get("/messages?chat=@me"),
            bob.send("@me", "am I banned?"),
            bob.post("/connect", &json!({"name": "bob"})),
            bob.get("/openapi.json"),
        ] {
            seen += &reply.to_string();
        }
    }
    let mut events = open.until(|event| event.event == "unbanned");
    events.extend(
        bob.events_after(&cursor)
            .until(|event| event.event == "unbanned"),
    );
    let (polled, _) = bob.poll(&cursor, "0s");
    events.extend(polled);
    assert!(kinds(&events).len() >= 12, "{events:?}");
    seen += &format!("{events:?}");
    for name in names.into_iter().chain(["wherefore"]) {
        assert!(!seen.contains(name), "{name} is in\n{seen}");
    }
    for event in events.iter().filter(|event| is_own(event)) {
        let fields = event.data.as_object().into_iter().flatten();
        let known = ["warnings", "limit", "banned_until", "expires"];
        assert!(
            fields
                .map(|(key, _)| key)
                .all(|key| known.contains(&key.as_str())),
            "{event:?}"
        );
    }
}

#[test]
fn a_reason_is_erased_when_what_it_led_to_is_over() {
    let server = server("warnings = 2\nban = \"2s\"\ndecay = \"4s\"");
    let [ann, bob, cat, dan] = ["ann", "bob", "cat", "dan"].map(|name| server.connect(name));
    let reason = |stem: &str| format!("{stem} {}", uuid::Uuid::new_v4());
    let (decays, bans, other) = (reason("decays"), reason("bans"), reason("other"));
    let post = |client: &Client, user: &str, reason: &str| {
        let body = json!({"user": user, "reason": reason});
        client.post("/complaints", &body).expect(201);
    };
    let mut events = dan.events();
    post(&ann, "bob", &decays);
    post(&ann, "dan", &other);
    post(&cat, "dan", &bans);
    assert!(!server.holding(&bans).is_empty());
    events.next("unbanned");
    for text in [decays, bans, other] {
        server.forgets(Duration::from_secs(60), &text);
    }
    assert_eq!(standing(&bob)["warnings"], 0);
}

#[test]
fn what_happened_keeps_its_meaning_when_the_settings_change() {
    let mut server = server("warnings = 2\nban = \"1h\"");
    let [ann, bob, cat, dan] = ["ann", "bob", "cat", "dan"].map(|name| server.connect(name));
    complain(&ann, "bob").expect(201);
    let until = complain(&cat, "bob").expect(201)["banned_until"].clone();
    complain(&ann, "dan").expect(201);
    let config = server.config().to_owned();
    let config = config
        .replace("warnings = 2", "warnings = 5")
        .replace("1h", "1ms");
    server.configure(format!("{config}\n"));
    server.restart();
    let refused = bob.send("common", "x").problem(403, "banned");
    assert_eq!(refused["until"], until);
    assert_eq!(
        standing(&dan),
        json!({"warnings": 1, "limit": 5, "banned_until": null})
    );
    let config = server.config().replace("warnings = 5", "warnings = 1");
    server.configure(config);
    server.restart();
    // A lower limit bans nobody by itself; the next complaint does.
    dan.say("still here");
    assert!(complain(&cat, "dan").expect(201)["banned_until"].is_string());
}

#[test]
fn a_repeat_with_its_key_complains_once_and_is_answered_also_after_the_ban() {
    let mut server = server("warnings = 1\nban = \"1s\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let mut events = bob.events();
    let body = json!({"user": "bob", "reason": "once"});
    let first = ann.post_once("k", "/complaints", &body).expect(201);
    events.next("unbanned");
    server.restart();
    let again = ann.post_once("k", "/complaints", &body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    bob.say("not banned again");
}

#[test]
fn switched_off_it_is_gone_and_switched_on_again_it_is_as_it_was() {
    let mut server = server("warnings = 2\nban = \"1h\"");
    let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
    complain(&ann, "bob").expect(201);
    complain(&ann, "cat").expect(201);
    let until = complain(&cat, "bob").expect(201)["banned_until"].clone();
    let cursor = bob.cursor();
    let on = server.config().to_owned();
    server.configure("[features.complaints]\nenabled = false\n");
    server.restart();
    let problem = complain(&ann, "bob").problem(404, "feature_off");
    assert!(problem.to_string().contains("complaints"), "{problem}");
    bob.say("nobody stops me");
    assert!(bob.status()["user"].get("complaints").is_none());
    let resumed = bob.events_after(&cursor).until_text("nobody stops me");
    assert!(kinds(&resumed).is_empty());
    server.configure(on);
    server.restart();
    let refused = bob.send("common", "x").problem(403, "banned");
    assert_eq!(refused["until"], until);
    assert_eq!(standing(&cat)["warnings"], 1);
    complain(&ann, "cat").problem(409, "already_complained");
}

#[test]
fn it_is_kept_where_the_log_was_trimmed_behind_a_snapshot() {
    let mut server = Server::builder()
        .only("complaints", "warnings = 2\nban = \"1h\"")
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n")
        .start();
    let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
    complain(&ann, "bob").expect(201);
    complain(&ann, "cat").expect(201);
    let until = complain(&cat, "bob").expect(201)["banned_until"].clone();
    for crashes in [true, false, true] {
        for number in 0..50 {
            ann.tell("ann", &format!("m{number}"));
        }
        if crashes {
            server.kill();
        }
        server.restart();
        assert_eq!(standing(&bob)["banned_until"], until);
        assert_eq!(standing(&cat)["warnings"], 1);
        complain(&ann, "cat").problem(409, "already_complained");
        bob.send("common", "x").problem(403, "banned");
    }
}
