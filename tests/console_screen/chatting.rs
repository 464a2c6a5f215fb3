//! Reading and writing.

use veche::testing::{Folder, Server, wait_until};

use crate::screen::Screen;

#[test]
fn two_people_chat_and_what_is_unread_is_counted_and_marked() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = Screen::start(&server, "bob");
    ann.says("hello bob");
    bob.sees("ann: hello bob");
    bob.says("/msg @ann psst");
    let seen = ann.sees("2 @bob              !1│");
    assert!(seen.contains("new: @bob !1"), "{seen}");
    ann.keys(&["M-a"]);
    let seen = ann.sees("─ new ─");
    assert!(seen.contains("bob: psst"), "{seen}");
    assert!(seen.contains("@bob>"), "{seen}");
    ann.says("what is it");
    ann.keys(&["M-1"]);
    ann.sees("common>");
    bob.keys(&["M-2"]);
    bob.sees("ann: what is it");
    bob.says("nothing");
    ann.sees("2 @bob              !1│");
    ann.keys(&["M-Down"]);
    ann.sees("bob: nothing");
}

#[test]
fn a_hostile_text_a_narrow_terminal_and_a_wide_one_leave_the_layout_whole() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    bob.say("\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}evil 漢字漢字 👨‍👩‍👧‍👦 שלום עולם e\u{301} end");
    bob.say("after it");
    let seen = ann.sees("after it");
    assert!(seen.contains("\\u{1b}[2J"), "{seen}");
    assert!(seen.contains("\\u{202e}evil"), "{seen}");
    for line in seen.lines().take(22) {
        assert_eq!(line.chars().nth(22), Some('│'), "{line}");
    }
    for (columns, rows, side) in [("40", "12", false), ("160", "50", true), ("80", "24", true)] {
        ann.tmux(&["resize-window", "-x", columns, "-y", rows]);
        let seen = ann.until("the chats at the side where there is room", |shown| {
            shown.contains("● connected")
                && shown.contains("after it")
                && shown
                    .lines()
                    .next()
                    .is_some_and(|line| line.contains('│') == side)
        });
        assert!(seen.contains('│'), "{seen}");
    }
}

#[test]
fn scrolling_back_loads_older_pages() {
    let server = Server::core();
    let bob = server.connect("bob");
    for number in 1..=130 {
        bob.say(&format!("line {number}."));
    }
    let ann = Screen::start(&server, "ann");
    ann.sees("line 130.");
    ann.until("the first line", |shown| {
        if shown.contains("line 1.") {
            return true;
        }
        ann.keys(&["PageUp"]);
        false
    });
    ann.keys(&["End"]);
    ann.sees("line 130.");
}

#[test]
fn a_mention_stands_out_and_rings_unless_the_bell_is_off() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    bob.say("anna is somebody else");
    ann.sees("somebody else");
    // Whose window is looked at keeps no flag of a bell: another one is, from here on.
    ann.tmux(&["set", "-g", "monitor-bell", "on"]);
    ann.tmux(&["new-window", "-d", "cat"]);
    ann.tmux(&["select-window", "-t", ":1"]);
    let flag = || ann.tmux(&["display-message", "-p", "-t", ":0", "#{window_bell_flag}"]);
    assert_eq!(flag().trim(), "0");
    bob.say("Ann: look");
    wait_until("the bell", || (flag().trim() == "1").then_some(()));
    ann.tmux(&["select-window", "-t", ":0"]);
    let styled = ann.tmux(&["capture-pane", "-p", "-e"]);
    let line = styled
        .lines()
        .find(|line| line.contains("look"))
        .unwrap_or_default();
    assert!(line.contains("\u{1b}[1m"), "{line:?}");
    ann.keys(&["F8"]);
    ann.sees("bell off");
}

#[test]
fn tab_completes_ctrl_r_searches_and_a_paste_is_one_text() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    ann.types("/hi");
    ann.keys(&["Tab"]);
    ann.sees("common> /history");
    ann.keys(&["C-c"]);
    bob.say("here");
    ann.sees("bob: here");
    ann.types("hi @b");
    ann.keys(&["Tab"]);
    ann.sees("common> hi @bob");
    // The next Tab is for what follows, and nobody writes to themselves.
    ann.types("and @");
    ann.keys(&["Tab"]);
    ann.sees("common> hi @bob and @bob");
    ann.keys(&["C-u"]);
    ann.types("hi @bob");
    ann.keys(&["Enter"]);
    ann.sees("ann: hi @bob");
    ann.tmux(&["set-buffer", "one\ntwo\n\u{1b}[31mthree"]);
    ann.tmux(&["paste-buffer", "-p"]);
    ann.sees("        two");
    ann.keys(&["Enter"]);
    wait_until("the paste as one message", || {
        let texts = bob.texts("common");
        (texts.last()?.starts_with("one\ntwo\n")).then_some(())
    });
    ann.keys(&["C-r"]);
    ann.types("@bo");
    ann.sees("common> hi @bob");
    ann.keys(&["Enter", "Enter"]);
    wait_until("it again", || {
        (bob.texts("common")
            .iter()
            .filter(|text| text.trim_end() == "hi @bob")
            .count()
            == 2)
            .then_some(())
    });
}

#[test]
fn a_long_text_is_written_in_the_editor() {
    let server = Server::core();
    let home = Folder::new();
    home.write(
        "editor",
        "#!/bin/sh\nprintf 'from the\\neditor' >> \"$1\"\n",
    );
    let variables = format!("VISUAL='sh {}'", home.join("editor").display());
    let ann = Screen::with(&server, "ann", home, &variables);
    ann.types("typed, ");
    ann.sees("typed,");
    ann.keys(&["C-o"]);
    ann.sees("common> typed, from the");
    ann.keys(&["Enter"]);
    let bob = server.connect("bob");
    wait_until("the text", || {
        (bob.texts("common") == ["typed, from the\neditor"]).then_some(())
    });
}

#[test]
fn what_is_typed_ahead_comes_through_also_when_the_window_has_changed() {
    let server = Server::core();
    let home = Folder::new();
    home.write(
        "editor",
        "tmux resize-window -x 70 -y 24\ntmux send-keys -l ' and on'\nprintf edited >> \"$1\"\n",
    );
    let variables = format!("VISUAL='sh {}'", home.join("editor").display());
    let ann = Screen::with(&server, "ann", home, &variables);
    ann.keys(&["C-o"]);
    ann.sees("common> edited and on");
}

#[test]
fn how_many_are_here_is_right_after_all_that_changes_it() {
    let mut server = Server::core();
    let ann = Screen::start(&server, "ann");
    ann.sees("common 1/1 here");
    let bob = Screen::start(&server, "bob");
    ann.sees("common 2/2 here");
    bob.sees("common 2/2 here");
    // A chat that appears later has its count, too.
    bob.says("/msg @ann psst");
    ann.sees("2 @bob");
    ann.keys(&["M-2"]);
    ann.sees("@bob 2/2 here");
    let carl = Screen::start(&server, "carl");
    ann.keys(&["M-1"]);
    ann.sees("common 3/3 here");
    let home = bob.leaves();
    ann.sees("common 2/3 here");
    server.kill();
    ann.sees("○ offline");
    let chat = format!("chat bob --server {}", server.url());
    let bob = Screen::run(home, &chat, "");
    bob.sees("connecting…");
    server.restart();
    for screen in [&ann, &bob, &carl] {
        screen.sees("common 3/3 here");
    }
}

#[test]
fn a_long_unread_chat_opens_where_the_unread_begins() {
    let server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    bob.say("before");
    ann.sees("bob: before");
    // It is read, and that is known to the server.
    wait_until("the mark", || {
        let status = server_unread(&server, &ann);
        (status == 0).then_some(())
    });
    let home = ann.leaves();
    for number in 1..=150 {
        bob.say(&format!("line {number}."));
    }
    let ann = Screen::with(&server, "ann", home, "");
    let seen = ann.sees("─ new ─");
    assert!(seen.contains("line 1."), "{seen}");
    ann.sees("new below (Ctrl+End: newest)");
    // What is told to her alone stands where she looks, and takes her nowhere.
    ann.says("/status");
    let seen = ann.sees("  you are ann");
    assert!(seen.contains("new below"), "{seen}");
    ann.keys(&["C-Up", "Escape", "Enter"]);
    let seen = ann.sees("new below");
    assert!(!seen.contains("line 150."), "{seen}");
    ann.keys(&["C-End"]);
    ann.sees("line 150.");
    ann.until("nothing new", |shown| !shown.contains("new below"));
    ann.keys(&["M-u"]);
    ann.sees("─ new ─");
}

#[test]
fn after_long_absence_only_what_was_on_the_screen_is_read() {
    let server = Server::core();
    let bob = server.connect("bob");
    let ann = Screen::start(&server, "ann");
    let home = ann.leaves();
    for number in 1..=450 {
        bob.say(&format!("line {number}."));
    }
    let ann = Screen::with(&server, "ann", home, "");
    let seen = ann.sees("─ new ─");
    assert!(seen.contains("line 1."), "{seen}");
    let is_read = |most: u64| {
        let unread = server_unread(&server, &ann);
        assert!(unread >= 450 - most, "{unread} are unread");
        (unread < 450).then_some(())
    };
    wait_until("what was seen as read", || is_read(22));
    ann.keys(&["C-End"]);
    ann.sees("line 450.");
    ann.sees("new above (Alt+U)");
    let unread = server_unread(&server, &ann);
    // Whoever looks back comes to where something is missing, and that is fetched then.
    let is_far = |shown: &str| {
        let mut numbers = shown.split("line ").skip(1).filter_map(|rest| {
            let (number, _) = rest.split_once('.')?;
            number.parse::<u32>().ok()
        });
        numbers.any(|number| number <= 330)
    };
    ann.until("what was missing", |shown| {
        ann.keys(&["PageUp"]);
        is_far(shown)
    });
    ann.keys(&["M-u"]);
    let seen = ann.sees("─ new ─");
    let first = format!("line {}.", 451 - unread);
    assert!(seen.contains(&first), "{seen}");
    // Page by page all is read, up to the end.
    ann.until("the end", |shown| {
        ann.keys(&["PageDown"]);
        shown.contains("line 450.") && !shown.contains("new below")
    });
    ann.until("nothing left", |shown| !shown.contains(" new "));
    wait_until("all as read", || {
        (server_unread(&server, &ann) == 0).then_some(())
    });
    // The beginning is one key away.
    ann.keys(&["C-Home"]);
    ann.sees("line 1.");
}

/// How many of common's messages the client's user has not read.
fn server_unread(server: &Server, screen: &Screen) -> u64 {
    let folder = screen.home.join(".config/veche");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let tokens = files.filter_map(|file| {
        let is_token = file.file_name().to_string_lossy().starts_with("token-");
        let text = std::fs::read_to_string(file.path())
            .ok()
            .filter(|_| is_token)?;
        let kept: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(kept["token"].as_str()?.to_owned())
    });
    let token = tokens.last().unwrap_or_default();
    let status = server
        .guest()
        .request("GET", "/status")
        .header("Authorization", &format!("Bearer {token}"))
        .send()
        .expect(200);
    status["chats"][0]["unread"].as_u64().unwrap_or(u64::MAX)
}

#[test]
fn help_lies_over_the_messages_and_goes_away() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    let bob = server.connect("bob");
    bob.say("hello there");
    ann.sees("bob: hello there");
    ann.keys(&["F1"]);
    ann.sees("Esc closes");
    ann.sees("Alt+A the next with something new");
    ann.keys(&["Escape"]);
    let seen = ann.sees("bob: hello there");
    assert!(!seen.contains("Alt+A"), "{seen}");
    ann.keys(&["F1"]);
    ann.sees("Esc closes");
    // Who goes on typing needs no other key.
    ann.types("x");
    ann.sees("common> x");
    assert!(!ann.shown().contains("Esc closes"));
    ann.keys(&["C-c", "F7"]);
    let seen = ann.sees("(this one)");
    assert!(!seen.contains("Z\n"), "times are by the clock here: {seen}");
}

#[test]
fn a_function_key_with_another_key_is_bound_to_nothing() {
    let server = Server::core();
    let ann = Screen::start(&server, "ann");
    ann.keys(&["S-F8", "C-F7"]);
    ann.says("hello");
    let seen = ann.sees("ann: hello");
    assert!(
        !seen.contains("bell off") && !seen.contains("up for"),
        "{seen}"
    );
    ann.keys(&["F8"]);
    ann.sees("bell off");
}

#[test]
fn flags_emoji_and_combined_letters_leave_nothing_behind() {
    let server = Server::core();
    let bob = server.connect("bob");
    let texts = ["🇺🇦🇵🇱 flags", "नमस्ते दुनिया", "👍🏽 👩‍🚀 people", "❤️ e\u{301}"];
    for number in 0..40 {
        bob.say(&format!("{} end of {number}.", texts[number % texts.len()]));
    }
    let ann = Screen::start(&server, "ann");
    // Side and rule stand where they stood, and each message whole in its row alone.
    let is_whole = |line: &str| {
        let count = line.matches(" end of ").count();
        let signs = [("🇺🇦", texts[0]), ("न", texts[1])];
        let mut signs = signs.iter().filter(|(sign, _)| line.contains(sign));
        count <= 1
            && line.matches("bob: ").count() == count
            && (count == 0 || line.ends_with('.'))
            && signs.all(|(_, text)| line.contains(&format!("bob: {text} end of ")))
    };
    let drawn = |what: &str, key: &str, is: &dyn Fn(&str) -> bool| {
        ann.keys(&[key]);
        // A screen that is looked at while it is drawn is whole a moment later.
        ann.until(what, |seen| is(seen) && seen.lines().take(22).all(is_whole))
    };
    drawn("the newest", "C-End", &|seen| seen.contains("end of 39."));
    for _ in 0..3 {
        drawn("help", "F1", &|seen| {
            seen.contains("Esc closes") && !seen.contains("end of")
        });
        drawn("the newest", "Escape", &|seen| seen.contains("end of 39."));
        drawn("older ones", "PageUp", &|seen| {
            seen.contains("end of 19.") && !seen.contains("end of 39.")
        });
        drawn("the oldest", "C-Home", &|seen| seen.contains("end of 0."));
        drawn("the newest", "C-End", &|seen| seen.contains("end of 39."));
    }
}
