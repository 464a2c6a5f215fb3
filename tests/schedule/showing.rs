//! What is listed and told of them.

use super::*;

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
