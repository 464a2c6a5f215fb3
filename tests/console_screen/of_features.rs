//! What the features bring to the screen.

use serde_json::json;
use veche::testing::Server;

use crate::screen::{Screen, has};

#[test]
fn an_upload_shows_its_bar_and_ctrl_c_stops_it() {
    if !has(&["files"]) {
        return;
    }
    let server = Server::only("files", "max_size = \"1GiB\"");
    let ann = Screen::start(&server, "ann");
    let film = std::fs::File::create(ann.home.join("film.mkv"));
    let film = film.and_then(|film| film.set_len(64 << 20));
    assert!(film.is_ok(), "{film:?}");
    // A server that does not read holds the upload up, so that it is there to be stopped.
    server.terminate("STOP");
    ann.types("/file fil");
    ann.keys(&["Tab"]);
    ann.sees("common> /file film.mkv");
    ann.keys(&["Enter"]);
    ann.sees("film.mkv             [");
    // The screen does other things meanwhile.
    ann.types("typed meanwhile");
    ann.sees("common> typed meanwhile");
    ann.keys(&["C-c"]);
    ann.sees("the upload of film.mkv was cancelled: nothing was sent");
    ann.sees("common> typed meanwhile");
    server.terminate("CONT");
}

#[test]
fn rooms_their_links_and_the_requests_are_reached_by_keys_and_commands() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = Screen::start(&server, "ann");
    // Wide enough for a link in one row.
    ann.tmux(&["resize-window", "-x", "120", "-y", "24"]);
    ann.says("/room The Garden");
    ann.sees("[The Garden]>");
    // It is told where one is now, and not where one was.
    ann.sees("you have made \"The Garden\"");
    ann.keys(&["M-1"]);
    let seen = ann.sees("common>");
    assert!(!seen.contains("you have made"), "{seen}");
    ann.keys(&["M-2"]);
    ann.sees("[The Garden]>");
    let carl = Screen::start(&server, "carl");
    ann.says("/invite carl");
    carl.sees("1 invitation (F2)");
    ann.says("/uninvite carl");
    carl.until("no invitation", |shown| !shown.contains("(F2)"));
    drop(carl);
    ann.says("/link");
    let seen = ann.sees("/join/");
    let code = seen
        .split("/join/")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    ann.keys(&["Escape"]);
    ann.until("the box to be gone", |shown| !shown.contains("a new link"));
    let bob = Screen::start(&server, "bob");
    bob.says(&format!("/join {}", code.unwrap_or_default()));
    ann.sees("bob asks to come into");
    ann.sees("1 asks to come in (F3)");
    ann.types("/approve ");
    // Whoever asks is offered, and nobody else.
    ann.keys(&["Tab"]);
    ann.sees("[The Garden]> /approve bob");
    ann.keys(&["C-c", "F3"]);
    ann.sees("requests to come in");
    ann.keys(&["a"]);
    ann.sees("nobody asks to come into a room of yours");
    ann.keys(&["Escape"]);
    ann.until("the panel away", |shown| !shown.contains("Esc closes"));
    bob.sees("2 [The Garden]");
    // Where they are, as well: they look at another chat.
    bob.sees("you are in \"The Garden\" now: /to The Garden or Alt+2");
    bob.keys(&["M-2"]);
    bob.sees("[The Garden]>");
    bob.types("half a tho");
    bob.sees("[The Garden]> half a tho");
    ann.types("/kick ");
    ann.keys(&["Tab"]);
    ann.sees("[The Garden]> /kick bob");
    ann.keys(&["Enter"]);
    // What was begun for the room goes nowhere else.
    let seen = bob.sees("you were removed from \"The Garden\"");
    assert!(seen.contains("1 common"), "{seen}");
    bob.sees("nowhere> half a tho");
    // Who has not looked up yet types on, and it goes to nobody.
    bob.says("ught");
    bob.sees("nowhere> half a thought");
    bob.keys(&["Escape"]);
    bob.sees("common> half a thought");
    assert!(server.connect("dora").texts("common").is_empty());
}

#[test]
fn who_is_writing_is_shown_and_told() {
    if !has(&["presence"]) {
        return;
    }
    let server = Server::start();
    let bob = server.connect("bob");
    let mut events = bob.events();
    let ann = Screen::start(&server, "ann");
    ann.sees("connected");
    bob.post("/typing", &json!({"to": "common"})).expect(204);
    ann.sees("bob is writing");
    bob.say("there it is");
    ann.sees("bob: there it is");
    ann.until("nobody writes", |shown| !shown.contains("is writing"));
    ann.keys(&["h", "i"]);
    let told = events.until(|event| event.event == "typing" && event.data["from"] == "ann");
    let told = told.last().expect("it was told");
    assert_eq!(told.data, json!({"from": "ann", "to": "common"}));
}

#[test]
fn comments_and_files_are_reached_by_keys() {
    if !has(&["comments", "files", "rate_limit"]) {
        return;
    }
    let server = Server::with("[features.rate_limit]\nenabled = false\n");
    let bob = server.connect("bob");
    let upload = bob.request("POST", "/files?name=cat.png");
    let file = upload.body("meow", "image/png").send().expect(201);
    let body = json!({"to": "common", "text": "look", "file": file["id"]});
    let id = bob.post("/send", &body).expect(201)["id"].to_string();
    let ann = Screen::start(&server, "ann");
    ann.sees("[cat.png, image/png, 4 B]");
    for (typed, command) in [("/get ", "/get"), ("/comment ", "/comment")] {
        ann.types(typed);
        ann.keys(&["Tab"]);
        ann.sees(&format!("common> {command} {id}"));
        ann.keys(&["C-c"]);
        ann.until("an empty line", |shown| {
            shown.lines().any(|line| line == "common>")
        });
    }
    ann.keys(&["C-Up"]);
    ann.sees("g get the file");
    ann.keys(&["g"]);
    ann.sees("saved cat.png (4 B)");
    assert_eq!(
        std::fs::read(ann.home.join("cat.png")).ok(),
        Some(b"meow".to_vec())
    );
    ann.keys(&["C-Up", "c"]);
    ann.sees(&format!("common> /comment {id}"));
    ann.says("nice");
    ann.sees("(1 comment)");
    ann.sees(&format!("ann on #{id}: nice"));
}

#[test]
fn ones_own_message_is_changed_by_up_and_removed_by_keys() {
    if !has(&["edits"]) {
        return;
    }
    let server = Server::only("edits", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    ann.says("helo");
    ann.until("it as said", |shown| {
        shown.contains("ann: helo") && !shown.contains("sending…")
    });
    let id = bob.messages("common")[0]["id"].to_string();
    ann.keys(&["Up"]);
    ann.sees(&format!("common> /edit {id} helo"));
    // Further up lies what was typed before.
    ann.keys(&["Up"]);
    ann.until("the line before", |shown| {
        shown.lines().any(|line| line.trim_end() == "common> helo")
    });
    ann.keys(&["C-c", "Up"]);
    ann.sees(&format!("common> /edit {id} helo"));
    ann.keys(&["BSpace", "l", "o", "Enter"]);
    ann.sees("ann: hello (edited)");
    assert_eq!(bob.texts("common"), ["hello"]);
    bob.say("well");
    ann.sees("bob: well");
    ann.keys(&["C-Up", "C-Up"]);
    ann.sees("e change · d remove");
    ann.keys(&["d"]);
    ann.sees(&format!("common> /remove {id}"));
    assert_eq!(bob.texts("common"), ["hello", "well"]);
    ann.keys(&["Enter"]);
    ann.until("the message to be gone", |shown| {
        !shown.contains("ann: hello")
    });
    assert_eq!(bob.texts("common"), ["well"]);
    // Another's is none to change.
    ann.says(&format!("/edit {} mine", bob.messages("common")[0]["id"]));
    ann.sees("mine  not sent: only who wrote a message");
}

#[test]
fn emoji_stand_beneath_their_message_and_are_reached_by_keys() {
    if !has(&["reactions"]) {
        return;
    }
    let server = Server::only("reactions", "");
    let bob = server.connect("bob");
    let message = bob.say("lunch?")["id"].clone();
    let react = |emoji: &str, on: bool| {
        let body = json!({"message": message, "emoji": emoji, "on": on});
        bob.post("/react", &body).expect(200);
    };
    react("👍", true);
    let ann = Screen::start(&server, "ann");
    ann.sees("bob: lunch?");
    ann.sees("      👍 1");
    ann.keys(&["C-Up"]);
    ann.sees("+ react");
    ann.keys(&["+"]);
    ann.sees(&format!("common> /react {message}"));
    ann.keys(&["Tab"]);
    ann.sees(&format!("common> /react {message} 👍"));
    ann.keys(&["Enter"]);
    ann.sees("      👍 2*");
    react("🎉", true);
    ann.sees("      👍 2*  🎉 1");
    react("👍", false);
    ann.sees("      👍 1*  🎉 1");
    ann.keys(&["C-Up", "-"]);
    ann.sees(&format!("common> /unreact {message}"));
    ann.types("👍");
    ann.keys(&["Enter"]);
    ann.until("it to be taken back", |shown| !shown.contains("👍 1*"));
    ann.sees("      🎉 1");
    react("🎉", false);
    ann.until("nothing to be there", |shown| !shown.contains("🎉 1"));
    // It is told by what it changes alone.
    ann.until("no lines about it", |shown| !shown.contains("has put"));
}

#[test]
fn esc_clears_a_line_that_a_key_has_begun() {
    if !has(&["edits"]) {
        return;
    }
    let server = Server::only("edits", "");
    let ann = Screen::start(&server, "ann");
    ann.says("hello");
    ann.until("it as sent", |shown| {
        shown.contains("ann: hello") && !shown.contains("sending…")
    });
    ann.keys(&["Up"]);
    ann.sees("common> /edit");
    ann.keys(&["Escape"]);
    ann.until("an empty line", |shown| {
        shown.trim_end().ends_with("common>")
    });
    ann.says("/me");
    ann.sees("you are ann; ");
}

#[test]
fn what_a_program_posted_is_marked_as_its_and_is_not_written_to() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "");
    let maker = server.connect("bob");
    let made = maker.post("/hooks", &json!({"name": "alerts"})).expect(201);
    let ann = Screen::start(&server, "ann");
    let path = made["url"].as_str().unwrap_or_default();
    let text = json!({"text": "the disk is full"});
    server.guest().post(path, &text).expect(200);
    ann.sees("alerts (program): the disk is full");
    ann.keys(&["C-Up"]);
    let keys = ann.sees("c comment");
    assert!(!keys.contains("write to"), "{keys}");
    ann.keys(&["r"]);
    ann.sees("alerts is a program, and reads nothing");
    ann.types("/msg @al");
    ann.keys(&["Tab"]);
    ann.sees("common> /msg @al");
}

#[test]
fn a_call_stands_until_its_message_is_read_also_after_a_restart() {
    if !has(&["mentions"]) {
        return;
    }
    let server = Server::only("mentions", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    let home = ann.leaves();
    for number in 1..40 {
        bob.say(&format!("line {number}."));
    }
    bob.say("@ann, there you are");
    bob.tell("ann", "psst");
    let ann = Screen::with(&server, "ann", home, "");
    let called = |shown: &str| {
        let mut lines = shown.lines();
        lines.any(|line| line.starts_with("1 common") && line.contains(" !"))
    };
    let seen = ann.sees("new below");
    assert!(called(&seen), "{seen}");
    assert!(seen.contains("!1│"), "@bob: {seen}");
    ann.until("the end", |shown| {
        ann.keys(&["PageDown"]);
        shown.contains("there you are")
    });
    ann.until("no call", |shown| !called(shown));
}
