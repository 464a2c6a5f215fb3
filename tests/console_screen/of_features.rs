//! What the features bring to the screen.

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
    bob.until("an empty line for common", |shown| {
        shown.lines().any(|line| line == "common>")
    });
    bob.keys(&["Up"]);
    bob.sees("common> half a tho");
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
fn a_new_hooks_address_is_copied_whole_from_a_narrow_screen_and_hooks_are_reached_by_keys() {
    if !has(&["webhooks"]) {
        return;
    }
    let server = Server::only("webhooks", "");
    let other = server.client(&json!({"name": "ann", "password": "secret"}));
    let home = Folder::new();
    home.write("password", "secret\n");
    let ann = Screen::with(&server, "ann", home, "VECHE_PASSWORD_FILE=password");
    ann.tmux(&["resize-window", "-x", "40", "-y", "16"]);
    ann.keys(&["F9"]);
    ann.sees("you have no hooks, by which programs");
    ann.keys(&["n"]);
    ann.sees("common> /hook");
    ann.says("alerts");
    ann.sees("a new hook");
    // It comes while one types, and does not go with the next letter.
    ann.types("typed on");
    let seen = ann.sees("common> typed on");
    assert!(seen.contains("a new hook"), "{seen}");
    let address = wait_until("the address in one line", || {
        // What the terminal itself has broken it gives as one.
        let copied = ann.tmux(&["capture-pane", "-p", "-J"]);
        let mut lines = copied.lines().map(str::trim);
        let whole = lines.find(|line| line.starts_with(&server.url()))?;
        (whole.len() > 50).then(|| whole.to_owned())
    });
    let path = address.trim_start_matches(&server.url());
    server
        .guest()
        .post(path, &json!({"text": "the disk is full"}))
        .expect(200);
    ann.keys(&["Escape"]);
    let seen = ann.sees("alerts (program): the disk is full");
    assert!(!seen.contains("/hooks/"), "{seen}");
    ann.sees("common> typed on");
    ann.keys(&["C-c", "F9"]);
    ann.sees("alerts to common, since ");
    let body = json!({"name": "ci", "to": "@me"});
    other.post("/hooks", &body).expect(201);
    ann.sees("ci to you alone, since ");
    ann.keys(&["Down", "d"]);
    ann.sees("common> /unhook ci");
    ann.keys(&["Enter", "F9"]);
    let left = wait_until("the hook to be gone", || {
        let listed = other.get("/hooks").expect(200);
        let hooks = listed["hooks"].as_array().cloned().unwrap_or_default();
        (hooks.len() == 1).then(|| hooks[0].clone())
    });
    assert_eq!(left["name"], "alerts");
    ann.until("one hook", |shown| !shown.contains("ci to you alone"));
    other.delete(&format!("/hooks/{}", left["id"])).expect(204);
    ann.sees("you have no hooks, by which programs");
}

/// The line of the screen that begins so, with what the terminal itself has broken as one.
fn whole(screen: &Screen, beginning: &str) -> String {
    wait_until("it in one line", || {
        let copied = screen.tmux(&["capture-pane", "-p", "-J"]);
        let mut lines = copied.lines().map(str::trim);
        let whole = lines.find(|line| line.starts_with(beginning))?;
        (whole.len() > 40).then(|| whole.to_owned())
    })
}

#[test]
fn a_new_link_is_copied_whole_from_a_narrow_screen() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    ann.says("/room Garden");
    ann.sees("Garden");
    ann.says("/link 7d 3");
    ann.sees("a new link");
    let link = whole(&ann, &server.url());
    let path = link.trim_start_matches(&server.url());
    assert_eq!(path.len(), "/join/".len() + 32, "{link}");
    bob.post(path, &json!({})).expect(202);
    // What it is for has no room beside it, and the border says so.
    let seen = ann.sees("↓ ");
    assert!(!seen.contains("for 3"), "{seen}");
    ann.keys(&["PageDown"]);
    ann.sees("for 3");
    ann.keys(&["Escape"]);
    ann.until("the box to be gone", |shown| !shown.contains("a new link"));
}

#[test]
fn on_a_small_screen_boxes_tell_what_is_out_of_sight_and_show_it() {
    if !has(&["rooms"]) {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    ann.says("/room A garden with a long name, as some have");
    ann.sees("garden");
    let rooms = server.client(&json!({"name": "eve"}));
    ann.says("/link");
    let link = whole(&ann, &server.url());
    ann.keys(&["Escape"]);
    let path = link.trim_start_matches(&server.url());
    let askers: Vec<_> = (1..=5)
        .map(|number| server.connect(&format!("somebody{number}")))
        .collect();
    for asker in &askers {
        asker.post(path, &json!({})).expect(202);
    }
    rooms.post(path, &json!({})).expect(202);
    ann.keys(&["F1"]);
    let help = ann.sees("↓ ");
    assert!(help.contains("Esc closes"), "{help}");
    ann.keys(&["PageDown"]);
    ann.sees("↑ 10 more");
    ann.keys(&["Escape"]);
    ann.until("the help to be gone", |shown| !shown.contains("Esc closes"));
    ann.keys(&["F3"]);
    let asks = ann.sees("somebody1 asks");
    assert!(
        asks.contains("a yes, r no") && asks.contains("↓ "),
        "{asks}"
    );
    // A line that is longer than the screen is wide goes on in the next row.
    assert!(asks.contains("some have"), "{asks}");
    for _ in 0..6 {
        ann.keys(&["Down"]);
    }
    let last = ann.sees("eve asks");
    assert!(last.contains("↑ ") && !last.contains("↓ "), "{last}");
    ann.keys(&["Escape"]);
    ann.types("/approve some");
    ann.keys(&["Tab"]);
    // What Tab has taken is in sight, and how many there are.
    for number in [1, 2, 3, 4, 5] {
        let seen = ann.sees(&format!("[somebody{number}]"));
        assert!(seen.contains(&format!("({number} of 5)")), "{seen}");
        ann.keys(&["Tab"]);
    }
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
fn a_subscriptions_secret_is_copied_whole_and_the_list_begins_lines() {
    if !has(&["subscriptions"]) {
        return;
    }
    let server = Server::only("subscriptions", "");
    let ann = Screen::start(&server, "ann");
    ann.tmux(&["resize-window", "-x", "40", "-y", "16"]);
    ann.says("/subscriptions");
    ann.sees("you have no subscriptions");
    ann.keys(&["n"]);
    ann.sees("common> /subscribe");
    ann.says("https://hooks.example/said");
    ann.sees("a new subscription's secret");
    let secret = whole(&ann, "whsec_");
    assert_eq!(secret.len(), "whsec_".len() + 44, "{secret}");
    ann.keys(&["Escape"]);
    ann.says("/subscriptions");
    let listed = ann.sees("common to");
    assert!(listed.contains("n new, d ends, o again"), "{listed}");
    ann.keys(&["o"]);
    ann.sees("common> /resubscribe #");
    ann.keys(&["Enter"]);
    ann.sees("is tried again now");
    ann.says("/subscriptions");
    ann.sees("common to");
    ann.keys(&["d"]);
    ann.sees("common> /unsubscribe #");
    ann.keys(&["Enter"]);
    ann.sees("is no more");
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
    let id = bob.messages("common")[0]["id"].to_string();
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
