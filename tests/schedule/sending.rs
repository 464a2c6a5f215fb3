//! What happens when one is due.

use super::*;

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
