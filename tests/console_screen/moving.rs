//! Commands that lead to another chat, and what is typed behind them.

use serde_json::json;
use veche::testing::{Folder, Server, wait_until};

use crate::screen::{Screen, has};

#[test]
fn what_is_typed_behind_a_to_goes_where_it_leads_in_its_order() {
    let server = Server::core();
    let carol = server.connect("carol");
    let ann = Screen::start(&server, "ann");
    ann.types("all\r/to @carol\rsecret to carol\r/to common\rto all\r/to @carol\rmore\r/who\r");
    wait_until("what carol is told", || {
        (carol.texts("@ann") == ["secret to carol", "more"]).then_some(())
    });
    wait_until("what all are told", || {
        (carol.texts("common") == ["all", "to all"]).then_some(())
    });
    ann.sees("@carol>");
    // Where the answer takes long, it is seen what waits for it, and a half line goes along.
    server.terminate("STOP");
    ann.types("/to common\rone\rtwo\rthr");
    let seen = ann.sees("/to common…> thr");
    assert!(seen.contains("one  goes where /to common leads"), "{seen}");
    ann.keys(&["C-u", "C-c"]);
    ann.sees("/to common…> two");
    server.terminate("CONT");
    ann.sees("common> two");
    ann.types(" and a half\r");
    wait_until("the rest", || {
        (carol
            .texts("common")
            .ends_with(&["one".to_owned(), "two and a half".to_owned()]))
        .then_some(())
    });
    // Another chat that is looked at meanwhile stays what it is.
    server.terminate("STOP");
    ann.types("/to @carol\rlast\r");
    ann.sees("/to @carol…>");
    ann.keys(&["M-2"]);
    ann.sees("@carol>");
    ann.keys(&["M-1"]);
    ann.sees("/to @carol…>");
    ann.keys(&["M-2"]);
    server.terminate("CONT");
    wait_until("the last", || {
        (carol.texts("@ann").last()? == "last").then_some(())
    });
    assert_eq!(carol.texts("common").len(), 4);
}

#[test]
fn what_is_typed_behind_a_room_a_join_and_a_leave_goes_where_they_lead() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let carol = server.connect("carol");
    let ann = Screen::start(&server, "ann");
    let room = carol.post("/rooms", &json!({"title": "Attic"})).expect(201);
    let room = room["room"].as_str().unwrap_or_default();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    carol
        .post(&format!("{path}/invites"), &json!({"user": "ann"}))
        .expect(201);
    ann.types("/join Attic\rin the attic\r/leave\rout of it\r/room Fast\rfor nobody\r");
    let seen = ann.sees("ann: for nobody");
    assert!(seen.contains("[Fast]>"), "{seen}");
    assert_eq!(carol.texts(room), ["in the attic"]);
    assert_eq!(carol.texts("common"), ["out of it"]);
}

#[test]
fn what_is_typed_behind_a_to_that_fails_goes_to_no_chat() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::with(&server, "ann", Folder::new(), "VECHE_WAIT=0s");
    // It is all typed before the answer.
    server.terminate("STOP");
    ann.types("/to @nobody\rsecret\rmore\r");
    ann.sees("more  goes where");
    server.terminate("CONT");
    let seen = ann.sees("nowhere>");
    assert!(seen.contains("secret"), "{seen}");
    ann.sees("/to @nobody leads to no chat: what you typed behind it");
    // However fast one is.
    ann.types("and more\r");
    ann.sees("         and more");
    ann.keys(&["Escape"]);
    ann.sees("common> secret");
    assert!(bob.texts("common").is_empty());
    ann.keys(&["Enter"]);
    wait_until("it, as it was wanted then", || {
        (bob.texts("common") == ["secret\nmore\nand more"]).then_some(())
    });
    server.kill();
    ann.sees("○ offline");
    ann.types("/to @bob\rpsst\r");
    ann.sees("not done: the server cannot be reached");
    ann.sees("nowhere> psst");
    server.restart();
    ann.sees("● connected");
    ann.keys(&["C-c"]);
    ann.types("for nobody\r");
    ann.sees("nowhere> for nobody");
    ann.keys(&["C-c"]);
    ann.types("/file none.txt\r");
    ann.types("/to @bob\rpsst\r");
    wait_until("what bob is told", || {
        (bob.texts("@ann") == ["psst"]).then_some(())
    });
    assert_eq!(bob.texts("common").len(), 1);
}

#[test]
fn what_was_meant_for_another_chat_goes_to_none_after_a_restart_either() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    server.kill();
    ann.sees("○ offline");
    ann.types("/to @bob\rsecret\r");
    ann.sees("nowhere> secret");
    let home = ann.ends_by_a_signal();
    server.restart();
    let ann = Screen::with(&server, "ann", home, "");
    ann.sees("nowhere> secret");
    ann.types("and more\r");
    ann.sees("         and more");
    assert!(bob.texts("common").is_empty());
}
