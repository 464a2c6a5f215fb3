//! What was said before: nothing is missed and nothing doubled, over reconnects, kills and restarts.

use serde_json::json;
use veche::testing::{Client, Server, wait_until};

use super::stage::{Irc, bare, password, said, server, tag};

/// More than the tests post.
const LIMIT: &str = "[features.rate_limit]\nmessages = 1000\n";

fn limit() -> &'static str {
    if cfg!(has_feature = "rate_limit") {
        LIMIT
    } else {
        ""
    }
}

fn unread(client: &Client) -> usize {
    client.unread().len()
}

/// The user of an IRC client, over HTTP.
fn beside(server: &Server, name: &str) -> Client {
    server.client(&json!({"name": name, "password": password(name)}))
}

#[test]
fn what_a_client_has_is_read_and_what_it_missed_is_given_once() {
    let server = server("", limit());
    let (mut ann, bob) = (Irc::modern(&server, "ann"), server.connect("bob"));
    let phone = beside(&server, "ann");
    bob.say("one");
    bob.tell("ann", "two");
    ann.line("two");
    // The harness answers the server's question when it reads on.
    wait_until("what was shown to be read", || {
        ann.sync();
        (unread(&phone) == 0).then_some(())
    });
    ann.quit();
    bob.say("three");
    bob.tell("ann", "four");
    bob.say("five");
    let mut ann = Irc::modern(&server, "ann");
    let missed = ann.sync();
    assert_eq!(said(&missed), ["three", "five", "four"]);
    let begin = missed
        .iter()
        .find(|line| line.contains(" BATCH +"))
        .expect("a batch");
    assert!(begin.ends_with(" chathistory #common"), "{begin}");
    let line = missed.iter().find(|line| line.contains(":four")).unwrap();
    assert!(
        tag(line, "time").is_some() && tag(line, "batch").is_some(),
        "{line}"
    );
    assert_eq!(bare(line), ":bob!bob@veche PRIVMSG ann :four");
    wait_until("what was given to be read", || {
        ann.sync();
        (unread(&phone) == 0).then_some(())
    });
    ann.quit();
    // A plain client is told when it was.
    bob.say("six");
    let mut old = Irc::plain(&server, "ann");
    let missed = said(&old.sync());
    assert!(
        missed.len() == 1 && missed[0].starts_with("[20") && missed[0].ends_with("] six"),
        "{missed:?}"
    );
}

#[test]
fn who_does_not_answer_has_read_nothing() {
    let server = server("", limit());
    let (mut ann, bob) = (Irc::plain(&server, "ann"), server.connect("bob"));
    let phone = beside(&server, "ann");
    ann.answers = false;
    bob.say("hello");
    ann.line("hello");
    ann.sync();
    assert_eq!(unread(&phone), 1);
    drop(ann);
    let mut ann = Irc::plain(&server, "ann");
    assert!(said(&ann.sync())[0].ends_with("hello"));
}

#[test]
fn a_kill_of_the_server_loses_and_doubles_nothing() {
    let mut server = server("", limit());
    let (mut ann, bob) = (Irc::modern(&server, "ann"), server.connect("bob"));
    let phone = beside(&server, "ann");
    bob.say("before");
    ann.line("before");
    wait_until("what was shown to be read", || {
        ann.sync();
        (unread(&phone) == 0).then_some(())
    });
    ann.send("PRIVMSG #common :mine");
    ann.line("mine");
    server.kill();
    assert!(ann.rest().is_empty());
    server.restart();
    bob.say("after");
    let mut ann = Irc::modern(&server, "ann");
    assert_eq!(said(&ann.sync()), ["after"]);
    ann.send("CHATHISTORY LATEST #common * 10");
    assert_eq!(said(&ann.until(" BATCH -")), ["before", "mine", "after"]);
}

#[test]
fn many_unread_messages_come_in_order_with_what_arrives_meanwhile() {
    let server = server("", limit());
    Irc::plain(&server, "ann").quit();
    let bob = server.connect("bob");
    let count = 450;
    for number in 0..count {
        bob.say(&format!("number {number}."));
    }
    let late = std::thread::spawn(move || {
        for number in count..count + 50 {
            bob.say(&format!("number {number}."));
        }
    });
    let mut ann = Irc::modern(&server, "ann");
    let texts = said(&ann.until(&format!("number {}.", count + 49)));
    let expected: Vec<_> = (0..count + 50)
        .map(|number| format!("number {number}."))
        .collect();
    assert_eq!(texts, expected);
    late.join().unwrap();
}

#[test]
fn what_is_not_given_is_not_read_until_it_is_asked_for() {
    let server = server("", limit());
    Irc::plain(&server, "ann").quit();
    let (bob, phone) = (server.connect("bob"), beside(&server, "ann"));
    for number in 0..1150 {
        bob.tell("ann", &format!("number {number}."));
    }
    let mut ann = Irc::modern(&server, "ann");
    let lines = ann.until(" BATCH -");
    let notice = lines.iter().find(|line| line.contains(":bob: 150 more "));
    let ask = notice.and_then(|line| line.split("have them: ").nth(1));
    let mut ask = ask.expect("how to ask for the rest").to_owned();
    assert_eq!(said(&lines).first().unwrap(), "number 150.");
    bob.tell("ann", "live");
    ann.line("live");
    bob.say("elsewhere");
    ann.line("elsewhere");
    // What is read of other chats is told apart.
    wait_until("the common chat to be read", || {
        ann.sync();
        (unread_in(&phone, "common") == 0).then_some(())
    });
    assert_eq!(unread_in(&phone, "@bob"), 1151);
    let mut texts = Vec::new();
    for count in [100, 50] {
        ann.send(&ask);
        let lines = ann.until(" BATCH -");
        let given = said(&lines);
        assert_eq!(given.len(), count);
        let first = lines.iter().find_map(|line| tag(line, "msgid")).unwrap();
        ask = format!("CHATHISTORY BEFORE bob msgid={first} 100");
        texts.splice(0..0, given);
    }
    let expected: Vec<_> = (0..150).map(|number| format!("number {number}.")).collect();
    assert_eq!(texts, expected);
    wait_until("all to be read", || {
        ann.sync();
        (unread_in(&phone, "@bob") == 0).then_some(())
    });
}

#[test]
fn of_what_has_very_many_lines_less_is_given_unasked() {
    let server = server("", limit());
    Irc::plain(&server, "ann").quit();
    let (bob, phone) = (server.connect("bob"), beside(&server, "ann"));
    let long = "line\n".repeat(100);
    for number in 0..150 {
        bob.tell("ann", &format!("number {number}.\n{long}"));
    }
    let mut ann = Irc::modern(&server, "ann");
    let lines = ann.until(" BATCH -");
    // 51 lines each: 99 have 5049.
    let numbers: Vec<_> = said(&lines)
        .into_iter()
        .filter(|text| text.starts_with("number "))
        .collect();
    let expected: Vec<_> = (51..150)
        .map(|number| format!("number {number}."))
        .collect();
    assert_eq!(numbers, expected);
    let notice = lines.iter().find(|line| line.contains(":bob: 51 more "));
    let ask = notice.and_then(|line| line.split("have them: ").nth(1));
    ann.send(ask.expect("how to ask for the rest"));
    let rest = said(&ann.until(" BATCH -"));
    let rest = rest.iter().filter(|text| text.starts_with("number "));
    assert_eq!(rest.count(), 51);
    wait_until("all to be read", || {
        ann.sync();
        (unread_in(&phone, "@bob") == 0).then_some(())
    });
}

#[cfg(has_feature = "comments")]
#[test]
fn comments_on_what_was_missed_come_behind_it_and_once() {
    let server = server("", "");
    let bob = server.connect("bob");
    Irc::plain(&server, "ann").quit();
    let missed = bob.say("lunch?");
    let comments = format!("/messages/{}/comments", missed["id"]);
    let comment = |text: &str| bob.post(&comments, &json!({"text": text})).expect(201);
    comment("at noon");
    let last = comment("at one");
    bob.say("hello?");
    let mut ann = Irc::modern(&server, "ann");
    // So all of it stays unread.
    ann.answers = false;
    let lines = ann.sync();
    let expected = [
        "lunch?",
        "re “lunch?”: at noon",
        "re “lunch?”: at one",
        "hello?",
    ];
    assert_eq!(said(&lines), expected);
    let line = lines.iter().find(|line| line.contains("at one")).unwrap();
    assert_eq!(tag(line, "msgid"), Some(last["id"].to_string().as_str()));
    assert_eq!(tag(line, "time"), last["at"].as_str());
    assert!(tag(line, "batch").is_some(), "{line}");
    comment("at two");
    assert_eq!(said(&ann.until("at two")), ["re “lunch?”: at two"]);
    drop(ann);
    // Who reads no tags is told when it was.
    let mut old = Irc::plain(&server, "ann");
    let texts = said(&old.until("hello?"));
    assert!(
        texts[1].starts_with("[20") && texts[1].ends_with("] re “lunch?”: at noon"),
        "{texts:?}"
    );
}

#[cfg(has_feature = "edits")]
#[test]
fn what_was_edited_in_the_meantime_is_given_as_it_is_by_then_and_what_was_removed_is_not() {
    let server = server("", "");
    let bob = server.connect("bob");
    let mut ann = Irc::modern(&server, "ann");
    let phone = beside(&server, "ann");
    bob.say("at noon");
    ann.line("at noon");
    wait_until("what was shown to be read", || {
        ann.sync();
        (unread(&phone) == 0).then_some(())
    });
    ann.quit();
    let [changed, removed] = ["at ten", "never mind"].map(|text| bob.say(text)["id"].clone());
    bob.post("/edit", &json!({"message": changed, "text": "at two"}))
        .expect(200);
    bob.post("/remove", &json!({"message": removed}))
        .expect(204);
    let mut ann = Irc::modern(&server, "ann");
    assert_eq!(said(&ann.sync()), ["at two"]);
    ann.send("CHATHISTORY LATEST #common * 10");
    assert_eq!(said(&ann.until(" BATCH -")), ["at noon", "at two"]);
}

/// How many messages of a chat are unread.
fn unread_in(client: &Client, chat: &str) -> u64 {
    let status = client.get("/status").expect(200);
    let chats = status["chats"].as_array().expect("a list");
    let chat = chats.iter().find(|one| one["chat"] == chat);
    let unread = chat.and_then(|one| one["unread"].as_u64());
    unread.expect("a number")
}

#[test]
fn history_is_asked_for_by_messages_and_times() {
    let server = server("", limit());
    let (mut ann, bob) = (Irc::modern(&server, "ann"), server.connect("bob"));
    let mut ids = Vec::new();
    let mut times = Vec::new();
    for number in 0..10 {
        let message = bob.say(&format!("m{number}"));
        ids.push(message["id"].as_u64().unwrap());
        times.push(message["at"].as_str().unwrap().to_owned());
        // Each at a time of its own.
        wait_until("the next millisecond", || {
            let now = bob.say("x")["at"].as_str().unwrap().to_owned();
            (now > times[number]).then_some(())
        });
    }
    // What is live does not come between what is asked for.
    ann.line(":m9");
    let mut ask = |what: &str| {
        ann.send(&format!("CHATHISTORY {what}"));
        let mut texts = said(&ann.until(" BATCH -"));
        texts.retain(|text| text != "x");
        texts
    };
    let (id, time) = (
        |n: usize| format!("msgid={}", ids[n]),
        |n: usize| format!("timestamp={}", times[n]),
    );
    for edge in [id(5), time(5)] {
        let before = ask(&format!("BEFORE #common {edge} 3"));
        assert!(
            before.len() <= 3 && before.last().unwrap() == "m4",
            "{edge}: {before:?}"
        );
        let after = ask(&format!("AFTER #common {edge} 100"));
        assert_eq!(after, ["m6", "m7", "m8", "m9"], "{edge}");
        let latest = ask(&format!("LATEST #common {edge} 100"));
        assert_eq!(latest, ["m6", "m7", "m8", "m9"], "{edge}");
        let around = ask(&format!("AROUND #common {edge} 5"));
        assert!(around.contains(&"m5".to_owned()), "{edge}: {around:?}");
    }
    for (one, other) in [(id(2), id(5)), (time(2), time(5))] {
        assert_eq!(
            ask(&format!("BETWEEN #common {one} {other} 100")),
            ["m3", "m4"]
        );
        assert_eq!(
            ask(&format!("BETWEEN #common {other} {one} 100")),
            ["m3", "m4"]
        );
    }
    assert_eq!(
        ask("BEFORE #common timestamp=2000-01-01T00:00:00.000Z 10"),
        [""; 0]
    );
    assert_eq!(
        ask("AFTER #common timestamp=2999-01-01T00:00:00.000Z 10"),
        [""; 0]
    );
    bob.tell("ann", "psst");
    ann.line("psst");
    ann.send("@label=h CHATHISTORY LATEST bob * 10");
    let lines = ann.until(" BATCH -");
    assert_eq!(tag(&lines[0], "label"), Some("h"), "{lines:#?}");
    assert_eq!(said(&lines), ["psst"]);
    ann.send(&format!(
        "CHATHISTORY TARGETS {} timestamp=2999-01-01T00:00:00.000Z 10",
        time(0)
    ));
    let lines = ann.until(" BATCH -");
    let targets: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(" TARGETS "))
        .collect();
    assert!(
        targets[0].contains(" #common ") && targets[1].contains(" bob "),
        "{targets:?}"
    );
    for wrong in [
        "LATEST #common",
        "SIDEWAYS #common * 1",
        "BEFORE #common * 1",
        "LATEST #nowhere * 1",
    ] {
        ann.send(&format!("CHATHISTORY {wrong}"));
        ann.line("FAIL CHATHISTORY ");
    }
}
