//! The stream of events: what it tells to whom, exact resuming, and the long poll.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veche::testing::{Client, Event, Server, encode, wait_until};

fn texts(events: &[Event]) -> Vec<&str> {
    let messages = events.iter().filter(|event| event.event == "message");
    messages
        .filter_map(|event| event.data["text"].as_str())
        .collect()
}

#[test]
fn a_stream_begins_with_hello_a_retry_and_the_headers_of_a_stream() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut events = ann.events();
    assert_eq!(events.head.header("x-accel-buffering"), Some("no"));
    assert_eq!(
        events.head.header("x-content-type-options"),
        Some("nosniff")
    );
    let cache = events.head.header("cache-control").unwrap_or_default();
    assert!(cache.contains("no-store"), "{cache}");
    let cursor = events.hello().to_owned();
    assert!(!cursor.is_empty());
    assert_eq!(encode(&cursor), cursor, "a cursor is URL-safe");
    ann.say("x");
    events.next("message");
    assert_eq!(events.retry(), Some(2000));
}

#[test]
fn every_client_hears_a_message_to_all_the_senders_own_too() {
    let server = Server::core();
    let ann = server.connect("ann");
    let second = ann.again();
    let bob = server.connect("bob");
    let mut streams = [ann.events(), second.events(), bob.events()];
    let message = ann.say("hello");
    for stream in &mut streams {
        let event = stream.next("message");
        assert_eq!(event.data, message);
        assert!(event.id.is_some());
    }
}

#[test]
fn a_private_message_goes_to_the_two_and_no_one_else() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let eve = server.connect("eve");
    let mut hers = ann.events();
    let mut his = bob.events();
    let mut others = eve.events();
    let message = ann.tell("bob", "psst");
    ann.tell("ann", "note");
    ann.say("marker");
    assert_eq!(hers.next("message").data, message);
    assert_eq!(texts(&hers.until_text("marker")), ["note", "marker"]);
    assert_eq!(his.next("message").data, message);
    assert_eq!(texts(&his.until_text("marker")), ["marker"]);
    assert_eq!(texts(&others.until_text("marker")), ["marker"]);
}

#[test]
fn a_read_mark_is_told_to_own_clients_only() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let second = bob.again();
    let mut hers = ann.events();
    let mut his = second.events();
    let message = ann.say("hello");
    bob.read("common", &message["id"]);
    ann.say("marker");
    let event = his.next("read");
    assert_eq!(
        event.data,
        json!({ "chat": "common", "upto": message["id"] })
    );
    assert!(event.id.is_some());
    let passed = hers.until_text("marker");
    assert!(
        passed.iter().all(|event| event.event != "read"),
        "{passed:?}"
    );
}

#[test]
fn marking_everything_read_tells_the_mark_of_each_chat() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let common = ann.say("one");
    let private = ann.tell("bob", "two");
    let mut his = bob.events();
    bob.read_all();
    ann.say("marker");
    let passed = his.until_text("marker");
    let marks: Vec<&Value> = passed
        .iter()
        .filter(|event| event.event == "read")
        .map(|event| &event.data)
        .collect();
    assert!(
        marks.contains(&&json!({ "chat": "common", "upto": common["id"] })),
        "{marks:?}"
    );
    assert!(
        marks.contains(&&json!({ "chat": "@ann", "upto": private["id"] })),
        "{marks:?}"
    );
    assert_eq!(marks.len(), 2);
}

#[test]
fn a_coming_or_going_client_is_told_to_own_clients_only() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut hers = ann.events();
    let mut his = bob.events();
    let second = ann.again();
    hers.next("client");
    second.disconnect();
    hers.next("client");
    ann.say("marker");
    let passed = his.until_text("marker");
    assert!(
        passed.iter().all(|event| event.event != "client"),
        "{passed:?}"
    );
}

#[test]
fn user_is_live_only_without_an_id_and_never_replayed() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut live = ann.events();
    let cursor = live.hello().to_owned();
    let bob = server.connect("bob");
    let _his = bob.events();
    let event = live.until(|event| event.event == "user" && event.data["name"] == "bob");
    let event = &event[event.len() - 1];
    assert_eq!(event.data, json!({ "name": "bob", "online": true }));
    assert_eq!(event.id, None);
    ann.say("marker");
    let mut resumed = ann.events_after(&cursor);
    let passed = resumed.until_text("marker");
    let replayed = passed
        .iter()
        .any(|event| event.event == "user" && event.data["name"] == "bob");
    assert!(!replayed, "{passed:?}");
}

#[test]
fn the_id_of_each_event_is_where_to_resume_after_it() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut live = ann.events();
    for number in 0..10 {
        ann.say(&format!("m{number}"));
    }
    let events = live.until_text("m9");
    let ids: Vec<&String> = events
        .iter()
        .filter_map(|event| event.id.as_ref())
        .collect();
    assert_eq!(ids.len(), 10, "{events:?}");
    ann.say("last");
    for (number, id) in ids.iter().enumerate() {
        let mut resumed = ann.events_after(id);
        let expected: Vec<String> = (number + 1..10)
            .map(|number| format!("m{number}"))
            .chain(["last".to_owned()])
            .collect();
        assert_eq!(texts(&resumed.until_text("last")), expected);
    }
}

#[test]
fn last_event_id_resumes_as_after_does_and_goes_before_it() {
    let server = Server::core();
    let ann = server.connect("ann");
    let start = ann.cursor();
    ann.say("one");
    let middle = ann.cursor();
    ann.say("two");
    let mut resumed = ann.events_with("/events", &[("Last-Event-ID", &start)]);
    assert_eq!(texts(&resumed.until_text("two")), ["one", "two"]);
    // A browser that reconnects sends its newest id, while the URL still has the oldest.
    let path = format!("/events?after={start}");
    let mut resumed = ann.events_with(&path, &[("Last-Event-ID", &middle)]);
    assert_eq!(texts(&resumed.until_text("two")), ["two"]);
}

#[test]
fn with_no_cursor_it_starts_now() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.say("before");
    let mut events = ann.events();
    ann.say("after");
    assert_eq!(texts(&events.until_text("after")), ["after"]);
}

#[test]
fn resuming_is_exact_over_a_clean_stop_and_a_crash() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut his = bob.events();
    ann.say("one");
    his.next("message");
    let cursor = his.cursor().to_owned();
    ann.say("two");
    server.restart();
    assert_eq!(texts(&his.end()), ["two"]);
    ann.tell("bob", "three");
    server.kill();
    server.restart();
    ann.say("four");
    let mut resumed = bob.events_after(&cursor);
    assert_eq!(texts(&resumed.until_text("four")), ["two", "three", "four"]);
    // The position of now is as good after a restart as any event's.
    let now = bob.cursor();
    server.kill();
    server.restart();
    ann.say("five");
    assert_eq!(texts(&bob.events_after(&now).until_text("five")), ["five"]);
}

#[test]
fn a_resumed_stream_skips_and_doubles_nothing_while_others_post() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut cursor = bob.cursor();
    let mut seen: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                ann.say(&format!("m{number}"));
            }
        });
        while seen.last().is_none_or(|text| text != "m299") {
            let mut events = bob.events_after(&cursor);
            for _ in 0..7 {
                let event = events.next("message");
                seen.push(event.data["text"].as_str().unwrap_or_default().to_owned());
                if event.data["text"] == "m299" {
                    break;
                }
            }
            events.cursor().clone_into(&mut cursor);
        }
    });
    let expected: Vec<String> = (0..300).map(|number| format!("m{number}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn what_is_no_cursor_of_this_log_is_answered_with_reset_and_goes_on() {
    let server = Server::core();
    let other = Server::core();
    let ann = server.connect("ann");
    ann.say("one");
    let foreign = other.connect("x").cursor();
    let own = ann.cursor();
    let garbage = ["x", "0", "%00", "-1", "%F0%9F%98%80", "a.b.c", "%22%0a"];
    let mut bad: Vec<String> = garbage.map(str::to_owned).into();
    bad.push(encode(&foreign));
    bad.push(encode(&"9".repeat(200)));
    for cursor in future(&own) {
        bad.push(encode(&cursor));
    }
    for cursor in bad {
        let mut events = ann.events_with(&format!("/events?after={cursor}"), &[]);
        let reset = events.any();
        assert_eq!(reset.event, "reset", "after={cursor}: {reset:?}");
        let fresh = reset.data["cursor"].as_str().unwrap_or_default().to_owned();
        ann.say("next");
        assert_eq!(
            texts(&events.until_text("next")),
            ["next"],
            "after={cursor}"
        );
        let mut resumed = ann.events_after(&fresh);
        assert_eq!(
            texts(&resumed.until_text("next")),
            ["next"],
            "after={cursor}"
        );

        let (polled, _) = ann.poll_raw(&cursor);
        assert_eq!(polled[0].event, "reset", "after={cursor}");
        assert!(polled[0].data["cursor"].is_string());
    }
}

/// Cursors of the same look whose position is far beyond the log's end.
fn future(own: &str) -> Vec<String> {
    let digits = own.chars().rev().take_while(char::is_ascii_digit).count();
    if digits == 0 {
        return Vec::new();
    }
    let stem = &own[..own.len() - digits];
    vec![
        format!("{stem}9007199254740991"),
        format!("{stem}18446744073709551615"),
        format!("{stem}99999999999999999999999999"),
        format!("{own}0000"),
    ]
}

trait PollRaw {
    fn poll_raw(&self, encoded: &str) -> (Vec<Event>, String);
}

impl PollRaw for Client {
    /// A poll whose cursor is percent-encoded already.
    fn poll_raw(&self, encoded: &str) -> (Vec<Event>, String) {
        let body = self
            .request("GET", &format!("/events?after={encoded}&wait=5s"))
            .header("Accept", "application/json")
            .send()
            .expect(200);
        let events = body["events"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Event::of);
        (
            events.collect(),
            body["cursor"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

#[test]
fn where_the_log_no_longer_reaches_back_there_is_a_reset_and_never_a_hole() {
    let mut server = Server::builder()
        .core()
        .config("[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 10\n")
        .start();
    let ann = server.connect("ann");
    let old = ann.cursor();
    let mut posted = 0;
    // When the log is trimmed is the server's own affair: until then all must be there.
    wait_until("the log to be trimmed", || {
        ann.say(&format!("m{posted}"));
        posted += 1;
        let mut events = ann.events_after(&old);
        let marker = format!("marker {posted}");
        ann.say(&marker);
        // The log may be trimmed at any moment, also between two parts that are read from it.
        let passed = events.until(|event| event.event == "reset" || event.data["text"] == *marker);
        if passed.iter().any(|event| event.event == "reset") {
            return Some(());
        }
        assert_eq!(texts(&passed).len(), 2 * posted);
        None
    });
    let (polled, next) = ann.poll(&old, "1s");
    assert_eq!(polled[0].event, "reset");
    server.restart();
    let mut events = ann.events_after(&old);
    assert_eq!(events.any().event, "reset");
    let cursor = events.cursor().to_owned();
    ann.say("next");
    assert_eq!(texts(&events.until_text("next")), ["next"]);
    assert_eq!(
        texts(&ann.events_after(&cursor).until_text("next")),
        ["next"]
    );
    assert_eq!(texts(&ann.poll(&next, "5s").0), ["next"]);
    // Messages are kept whatever becomes of the log.
    let kept = ann.history("common");
    assert_eq!(kept.len(), 2 * posted + 1);
}

#[test]
fn a_quiet_stream_shows_signs_of_life_every_15_seconds() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut events = ann.events();
    events.heartbeat();
    let between = events.heartbeat();
    assert!(
        between > Duration::from_secs(10) && between < Duration::from_secs(20),
        "{between:?}"
    );
}

#[test]
fn a_poll_is_answered_at_once_with_all_that_there_is() {
    let server = Server::core();
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let one = ann.say("one");
    ann.say("two");
    let begin = Instant::now();
    let (events, next) = ann.poll(&cursor, "30s");
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert_eq!(texts(&events), ["one", "two"]);
    assert_eq!(events[0].data, one);
    assert!(events.iter().all(|event| event.event != "hello"));
    assert_eq!(events[1].id.as_deref(), Some(next.as_str()));
    let (none, same) = ann.poll(&next, "0s");
    assert_eq!((texts(&none).len(), same), (0, next));
}

#[test]
fn a_poll_waits_for_what_is_to_come() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| bob.poll(&cursor, "30s"));
        // Whether the poll is there before or after the message, it has the message alone.
        ann.tell("bob", "hello");
        let Ok((events, _)) = poll.join() else {
            unreachable!("the poll's own panic is shown")
        };
        assert_eq!(texts(&events), ["hello"]);
    });
}

#[test]
fn a_poll_whose_wait_is_over_is_answered_with_nothing_and_its_cursor_goes_on() {
    let server = Server::core();
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    let begin = Instant::now();
    let (events, next) = ann.poll(&cursor, "1s");
    assert!(events.is_empty(), "{events:?}");
    assert!(begin.elapsed() >= Duration::from_millis(900));
    ann.say("later");
    assert_eq!(texts(&ann.poll(&next, "10s").0), ["later"]);
}

#[test]
fn a_coming_user_ends_no_poll() {
    let server = Server::core();
    let ann = server.connect("ann");
    let users = ["bob", "cat", "dan"].map(|name| server.connect(name));
    let cursor = ann.cursor();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| ann.poll(&cursor, "3s").0);
        for user in &users {
            drop(user.events());
        }
        let Ok(events) = poll.join() else {
            unreachable!("the poll's own panic is shown")
        };
        assert!(events.is_empty(), "{events:?}");
    });
}

#[test]
fn polls_give_at_most_500_and_lose_nothing_between_them() {
    let server = Server::core();
    let ann = server.connect("ann");
    let mut cursor = ann.cursor();
    for number in 0..620 {
        ann.say(&format!("m{number}"));
    }
    let mut seen = Vec::new();
    while seen.len() < 620 {
        let (events, next) = ann.poll(&cursor, "5s");
        assert!(
            !events.is_empty() && events.len() <= 500,
            "{}",
            events.len()
        );
        seen.extend(texts(&events).into_iter().map(str::to_owned));
        cursor = next;
    }
    let expected: Vec<String> = (0..620).map(|number| format!("m{number}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_wait_that_is_none_is_refused() {
    let server = Server::core();
    let ann = server.connect("ann");
    let cursor = ann.cursor();
    for wait in ["x", "-1s", "5", ""] {
        let problem = ann
            .request("GET", &format!("/events?after={cursor}&wait={wait}"))
            .header("Accept", "application/json")
            .send()
            .problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("wait"), "{wait}: {detail}");
    }
}

#[test]
fn a_reader_that_does_not_read_delays_nobody_and_misses_nothing() {
    let server = Server::builder()
        .core()
        .config("[server]\nstream_queue = 4\n")
        .start();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let cursor = bob.cursor();
    let mut slow = server.wire();
    slow.write(format!(
        "GET /events?after={cursor} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        bob.token
    ));
    // More than the sockets' buffers hold, so that the server has to let this one lie.
    let text = "x".repeat(4000);
    let mut prompt = ann.events();
    for number in 0..2000 {
        ann.say(&format!("{number} {}", &text[..3990]));
    }
    ann.say("the last");
    prompt.until_text("the last");
    let mut seen = String::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !seen.contains("\"the last\"") {
        assert!(
            Instant::now() < deadline,
            "the slow reader never got the last message"
        );
        seen += &String::from_utf8_lossy(&slow.some(1 << 20));
    }
    let numbers: Vec<&str> = seen
        .split("\"text\":\"")
        .skip(1)
        .filter_map(|rest| rest.split_once(" xxx").map(|(number, _)| number))
        .collect();
    let expected: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn a_resumed_stream_shows_what_its_user_could_see_then_and_nothing_before_their_coming() {
    let server = Server::core();
    let ann = server.connect("ann");
    let start = ann.cursor();
    ann.tell("ann", "private");
    let bob = server.connect("bob");
    ann.say("all");
    // Another's cursor is a position, not a right.
    let mut his = bob.events_after(&start);
    assert_eq!(texts(&his.until_text("all")), ["all"]);
}
