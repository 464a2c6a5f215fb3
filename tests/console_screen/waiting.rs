//! What can not be sent now: it waits, is shown, and is sent or given back.

use serde_json::json;
use veche::testing::{Folder, Server, wait_until};

use crate::screen::{Screen, has};

#[test]
fn what_the_rate_limit_refuses_waits_with_its_time_shown_and_is_sent_then() {
    if !has(&["rate_limit"]) {
        return;
    }
    let server = Server::only("rate_limit", "messages = 1\nper = \"6s\"");
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    ann.says("one");
    ann.says("two");
    ann.sees("1 to send in");
    ann.says("three");
    ann.sees("2 to send in");
    ann.keys(&["C-c"]);
    ann.sees("common> three");
    // Other chats are not held up.
    ann.keys(&["C-u"]);
    ann.says("/msg @bob psst");
    wait_until("what bob alone is told", || {
        (bob.texts("@ann") == ["psst"]).then_some(())
    });
    ann.keys(&["M-1"]);
    ann.says("/msg common three");
    ann.sees("ann: three  sent after the one above");
    wait_until("the second and the third", || {
        (bob.texts("common") == ["one", "two", "three"]).then_some(())
    });
    ann.sees("ann: two");
}

#[test]
fn what_a_ban_refuses_waits_with_its_time_shown_and_is_sent_then() {
    if !has(&["complaints"]) {
        return;
    }
    let server = Server::only("complaints", "warnings = 1\nban = \"4s\"");
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    ann.says("one");
    let seen = ann.sees("1 to send in");
    assert!(seen.contains("ann: one  sent in"), "{seen}");
    ann.says("two");
    wait_until("both", || {
        (bob.texts("common") == ["one", "two"]).then_some(())
    });
    ann.until("both as said", |shown| {
        shown.contains("ann: two") && !shown.contains("to send in")
    });
}

#[test]
fn commands_typed_while_the_server_is_away_are_shown_kept_and_done() {
    if !has(&["comments", "edits", "files", "reactions", "schedule"]) {
        return;
    }
    let mut server = Server::with("[features.rate_limit]\nenabled = false\n");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    ann.says("mine");
    ann.sees("ann: mine");
    let id = wait_until("it", || {
        Some(bob.messages("common").first()?["id"].to_string())
    });
    ann.home.write("note.txt", "in the file\n");
    server.kill();
    ann.sees("○ offline");
    for line in [
        &format!("/comment {id} so it is"),
        &format!("/edit {id} ours"),
        &format!("/react {id} 👍"),
        "/later 1h lunch",
        "/file note.txt a file",
    ] {
        ann.says(line);
    }
    let seen = ann.sees("/file note.txt a file  sending…");
    for shown in ["so it is", "ours", "👍", "lunch"] {
        let mut lines = seen.lines();
        assert!(lines.any(|line| line.contains(shown)), "{shown}: {seen}");
    }
    // A start after the end finds them, and Enter sends them.
    let home = ann.ends();
    let chat = format!("chat ann --server {}", server.url());
    let ann = Screen::run(home, &chat, "");
    ann.sees("5 not sent");
    let typed = jiff::Timestamp::now();
    server.restart();
    ann.sees("● connected");
    ann.keys(&["Enter"]);
    wait_until("all of it", || {
        let messages = bob.messages("common");
        let (first, last) = (messages.first()?, messages.last()?);
        let is_done = first["text"] == "ours"
            && first["comments"] == 1
            && first["reactions"][0]["count"] == 1
            && last["file"]["name"] == "note.txt";
        is_done.then_some(())
    });
    let seen = ann.until("nothing left", |shown| !shown.contains("not sent"));
    assert!(seen.contains("a file"), "{seen}");
    // The hour counts from when that was typed.
    ann.says("/scheduled");
    ann.sees("lunch");
    let due = typed + jiff::SignedDuration::from_hours(1);
    let due = due.strftime("%H:%M").to_string();
    assert!(ann.shown().contains(&due), "{due}: {}", ann.shown());
}

#[test]
fn a_file_that_was_on_its_way_when_the_server_died_goes_out_when_it_is_back() {
    if !has(&["files"]) {
        return;
    }
    let mut server = Server::only("files", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    ann.home.write("note.txt", "in the file\n");
    server.terminate("STOP");
    ann.says("/file note.txt a file");
    ann.sees("/file note.txt a file  sending…");
    server.kill();
    ann.sees("○ offline");
    server.restart();
    wait_until("the file", || {
        (bob.messages("common").last()?["file"]["name"] == "note.txt").then_some(())
    });
    ann.until("nothing left", |shown| {
        shown.contains("a file") && !shown.contains("sending…") && !shown.contains("not sent")
    });
    assert_eq!(bob.messages("common").len(), 1);
}

#[test]
fn what_waits_in_two_windows_is_each_ones_own_and_kept_for_the_next() {
    if !has(&["rate_limit"]) {
        return;
    }
    let server = Server::only("rate_limit", "messages = 1\nper = \"1h\"");
    let ann = Screen::start(&server, "ann");
    ann.says("one");
    ann.says("two");
    ann.sees("1 to send in");
    let chat = format!("chat ann --server {}", server.url());
    let home = ann.home.path().display().to_string();
    let variables = format!("HOME={home}");
    let other = Screen::run(Folder::new(), &chat, &variables);
    let seen = other.sees("● connected");
    assert!(!seen.contains("two"), "{seen}");
    other.says("three");
    other.sees("1 to send in");
    let _ = other.ends();
    let home = ann.ends();
    let ann = Screen::with(&server, "ann", home, "");
    let seen = ann.sees("2 not sent");
    assert!(seen.contains("two") && seen.contains("three"), "{seen}");
}

#[test]
fn a_comment_in_private_waits_in_its_chat_also_over_a_restart() {
    if !has(&["comments"]) {
        return;
    }
    let mut server = Server::only("comments", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    let id = bob.tell("ann", "psst")["id"].to_string();
    ann.sees("2 @bob");
    ann.keys(&["M-2"]);
    ann.sees("bob: psst");
    server.kill();
    ann.sees("○ offline");
    ann.says(&format!("/comment {id} between us"));
    ann.sees("between us");
    let home = ann.ends();
    server.restart();
    let ann = Screen::with(&server, "ann", home, "");
    let seen = ann.sees("1 not sent (@bob)");
    assert!(!seen.contains("between us"), "{seen}");
    ann.keys(&["M-2"]);
    ann.sees("between us");
    ann.keys(&["Enter"]);
    wait_until("the comment", || {
        (bob.messages("@ann")[0]["comments"] == 1).then_some(())
    });
}

#[test]
fn what_waits_for_a_room_that_one_was_removed_from_is_given_back() {
    if !has(&["rooms"]) {
        return;
    }
    let mut server = Server::only("rooms", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    let room = bob.post("/rooms", &json!({"title": "Garden"})).expect(201);
    let room = room["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    bob.post(&format!("{path}/invites"), &json!({"user": "ann"}))
        .expect(201);
    ann.says("/join Garden");
    ann.sees("[Garden]>");
    server.kill();
    ann.sees("○ offline");
    ann.says("for the garden");
    ann.sees("for the garden  sending…");
    let home = ann.ends();
    // Its title is known before the server tells it.
    let chat = format!("chat ann --server {}", server.url());
    let ann = Screen::run(home, &chat, "");
    let seen = ann.sees("1 not sent");
    assert!(seen.contains("2 [Garden]"), "{seen}");
    let home = ann.ends();
    server.restart();
    bob.delete(&format!("{path}/members/ann")).expect(204);
    let ann = Screen::with(&server, "ann", home, "");
    let seen = ann.sees("not sent, as you are no longer in [Garden]:");
    assert!(!seen.contains("1 not sent"), "{seen}");
    assert!(!seen.contains("2 [Garden]"), "{seen}");
    ann.keys(&["Up"]);
    ann.sees("common> for the garden");
}
