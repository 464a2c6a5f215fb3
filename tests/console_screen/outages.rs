//! Starts, outages, and what is kept over them.

use serde_json::json;
use veche::testing::{Folder, Server, binary, wait_until};

use crate::screen::Screen;

#[test]
fn a_server_that_is_killed_and_comes_back_is_told_and_nothing_typed_is_lost() {
    let mut server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    server.kill();
    let seen = ann.sees("○ offline");
    assert!(!seen.contains("os error"), "{seen}");
    ann.says("said meanwhile");
    ann.sees("… ann: said meanwhile  sending…");
    server.restart();
    ann.sees("● connected");
    let seen = ann.until("the text alone", |shown| {
        shown.contains("ann: said meanwhile") && !shown.contains("sending…")
    });
    assert_eq!(seen.matches("said meanwhile").count(), 1, "{seen}");
    wait_until("the text at the server", || {
        (bob.texts("common") == ["said meanwhile"]).then_some(())
    });
}

#[test]
fn a_line_begun_is_kept_for_its_chat_and_over_a_restart() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    server.connect("bob").tell("ann", "psst");
    ann.sees("2 @bob");
    ann.types("half a thought");
    ann.sees("common> half a thought");
    ann.keys(&["M-2"]);
    ann.sees("bob: psst");
    ann.types("another one");
    ann.keys(&["M-1"]);
    ann.sees("common> half a thought");
    let home = ann.ends_by_a_signal();
    let ann = Screen::with(&server, "ann", home, "");
    ann.sees("common> half a thought");
    ann.keys(&["M-2"]);
    ann.sees("@bob> another one");
}

/// What stands in the config file, if it is there.
fn kept(home: &Folder) -> Option<String> {
    std::fs::read_to_string(home.join(".config/veche/client.toml")).ok()
}

#[test]
fn a_first_start_asks_until_it_works_and_keeps_nothing_before() {
    let server = Server::core();
    server.client(&json!({ "name": "ann", "password": "secret" }));
    server.connect("bob");
    let screen = Screen::run(Folder::new(), "chat", "");
    screen.sees("server [http://127.0.0.1:8000]:");
    screen.says("127.0.0.1:1");
    screen.sees("! http://127.0.0.1:1 cannot be reached: nothing listens there");
    screen.says("a b c");
    screen.sees("is no server's address");
    screen.says(&server.url());
    screen.sees("your name:");
    screen.says("a`b");
    screen.sees("can't be in a name");
    screen.says("bob");
    screen.sees("! the name bob is taken");
    assert_eq!(kept(&screen.home), None);
    screen.says("ann");
    // A name that is known is asked once for its password, and no other for any.
    let seen = screen.sees("! the name is taken, and has a password");
    assert!(!seen.contains("(Enter: none)"), "{seen}");
    screen.says("wrong");
    screen.sees("! that is not its password");
    screen.says("secret");
    screen.sees("● connected");
    screen.keys(&["C-d"]);
    let seen = screen.sees("ended with 0");
    for word in ["secret", "wrong", "os error"] {
        assert!(!seen.contains(word), "{seen}");
    }
    assert!(kept(&screen.home).is_some_and(|kept| kept.contains("name = \"ann\"")));
    let Screen { ref home, .. } = screen;
    let binary = binary();
    let again = format!(
        "env HOME={} XDG_CONFIG_HOME= {} chat; cat",
        home.path().display(),
        binary.display()
    );
    screen.tmux(&["new-window", &again]);
    screen.sees("● connected");
}

#[test]
fn a_new_name_is_offered_a_password_that_is_typed_twice_and_never_seen() {
    let server = Server::core();
    let chat = format!("chat ann --server {}", server.url());
    let ann = Screen::run(Folder::new(), &chat, "");
    ann.sees("password for ann (Enter: none):");
    ann.says("open sesame");
    ann.sees("the same once more:");
    ann.says("open says me");
    ann.sees("! that was not the same");
    ann.says("open sesame");
    ann.until("the second question", |shown| {
        shown.matches("the same once more:").count() == 2
    });
    ann.says("open sesame");
    ann.sees("● connected");
    ann.keys(&["C-d"]);
    let seen = ann.sees("ended with 0");
    assert!(!seen.contains("open"), "{seen}");
    // It is theirs from elsewhere, too.
    let body = json!({ "name": "ann", "password": "open sesame" });
    server.client(&body);
}

#[test]
fn it_opens_while_the_server_is_down_and_goes_on_trying() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    server.kill();
    let home = ann.leaves();
    let chat = format!("chat ann --server {}", server.url());
    let ann = Screen::run(home, &chat, "");
    let seen = ann.sees("○ connecting… nothing listens there, ");
    assert!(seen.contains("common>"), "{seen}");
    ann.says("said before it is there");
    ann.sees("sending…");
    server.restart();
    ann.sees("● connected");
    wait_until("the text at the server", || {
        (bob.texts("common") == ["said before it is there"]).then_some(())
    });
}

#[test]
fn a_text_that_fails_is_sent_again_by_enter_and_is_there_once() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::with(&server, "ann", Folder::new(), "VECHE_WAIT=0s");
    bob.tell("ann", "psst");
    ann.sees("2 @bob");
    server.kill();
    ann.sees("○ offline");
    ann.says("one");
    ann.sees("not sent: the server cannot be reached:");
    // What is another chat's is not taken back from here.
    ann.keys(&["M-2"]);
    ann.sees("@bob>");
    ann.keys(&["C-c"]);
    ann.sees("Ctrl+D or /quit leaves");
    ann.keys(&["M-1"]);
    ann.sees("not sent: the server cannot be reached:");
    // Meanwhile another line is begun, and stays what it is.
    ann.types("two");
    server.restart();
    ann.sees("● connected");
    ann.keys(&["C-c", "Enter"]);
    ann.until("it as sent", |shown| {
        shown.contains("ann: one") && !shown.contains("not sent")
    });
    wait_until("the text at the server", || {
        (bob.texts("common") == ["one"]).then_some(())
    });
}

/// Ann's screen with a token that is kept and a password that is not, and a client of hers by the API.
fn with_token(server: &Server) -> (Screen, veche::testing::Client) {
    let other = server.client(&json!({ "name": "ann", "password": "secret" }));
    let home = Folder::new();
    home.write("password", "secret\n");
    let first = Screen::with(server, "ann", home, "VECHE_PASSWORD_FILE=password");
    let home = first.leaves();
    (Screen::with(server, "ann", home, ""), other)
}

#[test]
fn a_screen_that_is_signed_out_asks_for_the_password_in_place() {
    let server = Server::core();
    let (ann, other) = with_token(&server);
    let bob = server.connect("bob");
    ann.types("half a tho");
    ann.sees("common> half a tho");
    other
        .post("/disconnect", &json!({ "all": true }))
        .expect(204);
    ann.sees("password for ann:");
    ann.sees("○ signed out");
    ann.says("wrong");
    ann.sees("! that is not the password of ann");
    ann.sees("password for ann:");
    ann.says("secret");
    ann.sees("● connected");
    let seen = ann.sees("common> half a tho");
    for word in ["wrong", "secret"] {
        assert!(!seen.contains(word), "{seen}");
    }
    bob.say("there you are");
    ann.sees("bob: there you are");
    ann.keys(&["C-c", "Up"]);
    ann.sees("common> half a tho");
}

#[test]
fn what_was_typed_before_the_password_was_asked_for_is_sent_after_it() {
    let mut server = Server::core();
    let (ann, other) = with_token(&server);
    let bob = server.connect("bob");
    let home = ann.leaves();
    other
        .post("/disconnect", &json!({ "all": true }))
        .expect(204);
    server.kill();
    let ann = Screen::run(home, &format!("chat ann --server {}", server.url()), "");
    ann.sees("○ connecting…");
    ann.says("said before");
    ann.sees("sending…");
    ann.says("and behind it");
    server.restart();
    ann.sees("password for ann:");
    ann.sees("ann: said before  sent when you are signed in");
    assert!(bob.texts("common").is_empty());
    ann.says("secret");
    ann.sees("● connected");
    wait_until("the texts at the server", || {
        (bob.texts("common") == ["said before", "and behind it"]).then_some(())
    });
}

#[test]
fn enter_tries_at_once_and_what_is_sent_through_ends_the_outage() {
    let mut server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    let grown = |shown: &str| {
        let (_, after) = shown.split_once("again in ")?;
        let seconds = after.split(' ').next()?.parse::<u64>().ok()?;
        (seconds >= 6).then_some(())
    };
    for text in ["", "there again"] {
        server.kill();
        ann.until("a pause that has grown", |shown| grown(shown).is_some());
        server.restart();
        let pressed = std::time::Instant::now();
        ann.says(text);
        ann.sees("● connected");
        let took = pressed.elapsed();
        assert!(took.as_secs() < 4, "{took:?}");
    }
    wait_until("the text at the server", || {
        (bob.texts("common") == ["there again"]).then_some(())
    });
}

#[test]
fn what_is_for_nobody_is_given_back_and_leaves_no_chat() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    ann.says("/msg @nobody x");
    let seen = ann.sees("not sent: there is no such chat");
    assert!(seen.contains("common> /msg @nobody x"), "{seen}");
    assert!(!seen.contains("2 @nobody"), "{seen}");
    assert!(!seen.contains("1 not sent"), "{seen}");
}

#[test]
fn what_is_unread_is_listed_and_counted_once() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    for name in ["bob", "carl"] {
        server
            .connect(name)
            .tell("ann", &format!("psst from {name}"));
    }
    ann.sees("3 @carl");
    ann.keys(&["F6"]);
    let seen = ann.sees("psst from carl");
    assert!(seen.contains("psst from bob"), "{seen}");
    let counts = |seen: &str| {
        let counted = seen.lines().filter(|line| line.contains("!1│"));
        counted.count()
    };
    assert_eq!(counts(&seen), 2, "{seen}");
    let dora = server.connect("dora");
    for number in 1..=10 {
        dora.tell("ann", &format!("more {number}"));
    }
    ann.keys(&["F6"]);
    ann.sees("and more: Alt+A leads to each chat");
}

#[test]
fn a_search_in_what_was_typed_shows_itself_and_its_words() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    ann.says("alpha beta");
    ann.sees("ann: alpha beta");
    ann.keys(&["C-r"]);
    ann.sees("search: ");
    ann.types("bet");
    let seen = ann.sees("search: bet");
    assert!(seen.contains("common> alpha beta"), "{seen}");
}
