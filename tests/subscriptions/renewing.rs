//! Secrets that are made anew, with nothing lost on the way.

use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Received, Receiver, Server, wait_until};

use super::{listed, path, server, signed, subscribe, text, verify};

/// Of this secret nothing is left on the disk.
fn forgotten(server: &Server, secret: &Value) {
    let secret = secret.as_str().expect("a secret");
    server.forgets(Duration::from_secs(30), secret.trim_start_matches("whsec_"));
}

/// What was received is signed with both.
fn both(received: &Received, new: &Value, old: &Value) {
    let expected = format!("{} {}", signed(received, new), signed(received, old));
    assert_eq!(received.header("webhook-signature"), expected);
}

#[test]
fn a_new_secret_signs_beside_the_one_of_before_and_a_third_takes_the_first_away() {
    let mut server = server("");
    let program = Receiver::start();
    let ann = server.connect("ann");
    let made = subscribe(&ann, "common", &program);
    let other = subscribe(&ann, "@me", &program);
    ann.say("one");
    verify(&program.next(), &made["secret"]);

    let mut events = ann.events();
    let second = ann.post(&path(&made, "/secret"), &json!({})).expect(200);
    assert_ne!(second["secret"], made["secret"]);
    let mut told = second.clone();
    told.as_object_mut().expect("an object").remove("secret");
    assert_eq!(told, listed(&ann), "all but the secret is what it was");
    assert_eq!(events.next("subscription").data, told);
    ann.say("two");
    let received = program.next();
    assert_eq!(text(&received), "two");
    both(&received, &second["secret"], &made["secret"]);
    server.kill();
    server.restart();
    ann.say("three");
    let mut received = std::iter::repeat_with(|| program.next());
    let received = received.find(|received| text(received) == "three");
    both(&received.expect("it"), &second["secret"], &made["secret"]);

    let third = ann.post(&path(&made, "/secret"), &json!({})).expect(200);
    ann.say("four");
    both(&program.next(), &third["secret"], &second["secret"]);
    forgotten(&server, &made["secret"]);
    // Each subscription has its own.
    ann.tell("ann", "to myself");
    verify(&program.next(), &other["secret"]);

    ann.delete(&path(&made, "")).expect(204);
    for secret in [&second["secret"], &third["secret"]] {
        forgotten(&server, secret);
    }
    ann.post(&path(&made, "/secret"), &json!({}))
        .problem(404, "not_found");
}

#[test]
fn after_its_time_the_secret_of_before_signs_no_more_and_is_gone() {
    let server = server("old_secret = \"1s\"\n");
    let program = Receiver::start();
    let ann = server.connect("ann");
    let made = subscribe(&ann, "common", &program);
    let renewed = ann.post(&path(&made, "/secret"), &json!({})).expect(200);
    ann.say("at once");
    both(&program.next(), &renewed["secret"], &made["secret"]);
    wait_until("the secret of before to sign no more", || {
        ann.say("later");
        let received = program.next();
        let alone = signed(&received, &renewed["secret"]);
        (received.header("webhook-signature") == alone).then_some(())
    });
    forgotten(&server, &made["secret"]);
    assert_eq!(
        listed(&ann)["url"],
        made["url"],
        "it is in the new one's row"
    );
    ann.post(&path(&made, "/on"), &json!({})).expect(200);
    ann.say("and on");
    verify(&program.next(), &renewed["secret"]);
}
