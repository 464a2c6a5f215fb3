//! Nothing outside its limits: floods, clients that never read or never answer, too many of them.

use std::time::{Duration, Instant};

use super::stage::{Irc, said, server};

#[test]
fn a_flood_is_slowed_down_and_is_nobody_elses_trouble() {
    let server = server("", "");
    let (mut ann, mut bob) = (Irc::plain(&server, "ann"), Irc::plain(&server, "bob"));
    let begun = Instant::now();
    for number in 0..60 {
        ann.send(&format!("PING {number}"));
    }
    bob.send("PING bob");
    bob.line(" PONG irc.veche :bob");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // All are answered, the last ones at the pace.
    ann.line(" PONG irc.veche :59");
    assert!(
        begun.elapsed() > Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn lines_that_can_not_be_read_are_refused_and_the_next_one_is() {
    let server = server("", "");
    let mut ann = Irc::modern(&server, "ann");
    ann.raw(&[&vec![b'x'; 100_000][..], b"\r\nPING one\r\n"].concat());
    ann.line(" 417 ann ");
    ann.line(" PONG irc.veche :one");
    ann.raw(b"PRIVMSG #common :\xff\xfe\r\n\r\n\n   \r\nPING two\n");
    ann.line("FAIL * INVALID_UTF8 ");
    ann.line(" PONG irc.veche :two");
}

#[test]
fn who_never_reads_is_let_go_and_misses_nothing() {
    let limit = if cfg!(has_feature = "rate_limit") {
        "[features.rate_limit]\nmessages = 100000\n"
    } else {
        ""
    };
    let server = server("timeout = \"1s\"", limit);
    let stuck = Irc::plain(&server, "ann");
    let bob = server.connect("bob");
    let text = "long words ".repeat(300);
    let mut count: usize = 0;
    // Until its connection has no room any more, and its patience is over.
    let begun = Instant::now();
    loop {
        bob.say(&format!("{count} {text}"));
        count += 1;
        let status = bob.get("/users?limit=200").expect(200);
        let ann = status["users"]
            .as_array()
            .unwrap()
            .iter()
            .find(|user| user["name"] == "ann");
        if ann.unwrap()["online"] == false {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "never let go, after {count}"
        );
    }
    drop(stuck);
    let mut ann = Irc::plain(&server, "ann");
    let last = count - 1;
    let lines = ann.until(&format!("] {last} long"));
    let begins = said(&lines)
        .into_iter()
        .filter(|text| text.starts_with('['));
    let numbers: Vec<usize> = begins
        .filter_map(|text| text.split(' ').nth(2)?.parse().ok())
        .collect();
    // As many as are given, and without a gap.
    let first = count.saturating_sub(1000).max(numbers[0]);
    assert!(count - first > 100, "{numbers:?}");
    assert_eq!(numbers, (first..count).collect::<Vec<_>>());
}

#[test]
fn who_does_not_answer_is_let_go() {
    let server = server("timeout = \"1s\"", "");
    let mut ann = Irc::plain(&server, "ann");
    ann.answers = false;
    let rest = ann.rest();
    assert!(
        rest.last().unwrap().contains("no answer to PING"),
        "{rest:#?}"
    );
    // Who answers stays.
    let mut bob = Irc::plain(&server, "bob");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        bob.send("PING x");
        bob.line(" PONG ");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn there_are_no_more_connections_than_are_allowed() {
    let server = server("connections = 1", "");
    let mut ann = Irc::plain(&server, "ann");
    let mut bob = Irc::dial(&server);
    assert_eq!(
        bob.rest(),
        ["ERROR :Closing Link: the server has as many IRC clients as it takes"]
    );
    ann.quit();
    // The place is free once she is signed out.
    let begun = Instant::now();
    loop {
        let mut bob = Irc::dial(&server);
        bob.send("PING x");
        if bob.next().is_some_and(|line| line.contains("PONG")) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[cfg(has_feature = "metrics")]
#[test]
fn those_who_are_connected_are_counted_by_feature_and_door() {
    use veche::testing::wait_until;

    let server = server("", "[features.metrics]\nenabled = true\n");
    let counted = |count: u32| {
        let line =
            format!("veche_feature_connections{{door=\"listen\",feature=\"irc\"}} {count}\n");
        wait_until(&line, || {
            let text = server.guest().get("/metrics").text;
            text.contains(&line).then_some(())
        });
    };
    counted(0);
    let (mut ann, stranger) = (Irc::plain(&server, "ann"), Irc::dial(&server));
    counted(2);
    drop(stranger);
    counted(1);
    ann.quit();
    counted(0);
}
