//! The console client on the whole terminal, in tmux: keys go in by `send-keys`, and what is looked
//! at is what stands on the screen then.

#![cfg(unix)]

use std::process::Command;

use serde_json::json;
use veche::testing::{Folder, Server, binary, features, wait_until};

/// A client in a tmux of its own.
struct Screen {
    socket: String,
    home: Folder,
}

impl Screen {
    fn start(server: &Server, name: &str) -> Self {
        Self::with(server, name, Folder::new(), "")
    }

    fn with(server: &Server, name: &str, home: Folder, variables: &str) -> Self {
        let chat = format!("chat {name} --server {}", server.url());
        let screen = Self::run(home, &chat, variables);
        screen.enters();
        screen.sees("● connected");
        screen
    }

    /// Whoever is new has no password; whoever is known is not asked.
    fn enters(&self) {
        let asks = "(Enter: none):";
        let seen = self.until("a question or the screen", |shown| {
            shown.contains(asks) || shown.contains("● connected")
        });
        if seen.contains(asks) {
            self.keys(&["Enter"]);
        }
    }

    /// Leaves, and gives the home folder.
    fn leaves(mut self) -> Folder {
        self.keys(&["C-c", "C-d"]);
        self.sees("ended with");
        // Another one of these starts in the same folder.
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
        std::mem::replace(&mut self.home, Folder::new())
    }

    fn run(home: Folder, arguments: &str, variables: &str) -> Self {
        let unique = uuid::Uuid::new_v4().to_string();
        // Another socket each time: the last server may not have ended yet.
        let socket = home.join(format!("tmux-{}", &unique[..8]));
        let screen = Self {
            socket: socket.display().to_string(),
            home,
        };
        let command = format!(
            "cd {home}; env HOME={home} XDG_CONFIG_HOME= TZ=UTC NO_COLOR= {variables} {} {arguments}; \
             echo \"ended with $?\"; cat",
            binary().display(),
            home = screen.home.path().display(),
        );
        let session = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
        ];
        screen.tmux(&[&session[..], &[&command]].concat());
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(arguments)
            .output();
        let Ok(output) = output else {
            unreachable!("tmux is there: these tests look at a terminal by it")
        };
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, by tmux's names of them.
    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"][..], keys].concat());
    }

    /// Types a text.
    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn says(&self, text: &str) {
        self.types(text);
        self.keys(&["Enter"]);
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is so, and gives it.
    fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let last = std::cell::RefCell::new(String::new());
        let shown = Shown(&last);
        wait_until(what, || {
            let now = self.shown();
            shown.0.replace(now.clone());
            is(&now).then_some(now)
        })
    }

    fn sees(&self, text: &str) -> String {
        self.until(&format!("{text:?} on the screen"), |shown| {
            shown.contains(text)
        })
    }
}

/// Shows the screen where waiting for another one fails.
struct Shown<'a>(&'a std::cell::RefCell<String>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the screen is:\n{}", self.0.borrow());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended is no fault here.
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
    }
}

fn has(all: &[&str]) -> bool {
    let there = features(&binary());
    all.iter()
        .all(|name| there.iter().any(|known| known == name))
}

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
fn a_line_begun_is_kept_for_its_chat_and_over_a_restart() {
    let server = Server::core();
    let mut ann = Screen::start(&server, "ann");
    server.connect("bob").tell("ann", "psst");
    ann.sees("2 @bob");
    ann.types("half a thought");
    ann.sees("common> half a thought");
    ann.keys(&["M-2"]);
    ann.sees("bob: psst");
    ann.types("another one");
    ann.keys(&["M-1"]);
    ann.sees("common> half a thought");
    let pid = ann.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let child = Command::new("pgrep").args(["-P", pid.trim()]).output();
    let child = child.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let killed = Command::new("kill")
        .args(["-TERM", &child.unwrap_or_default()])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    // The terminal is as it was.
    let seen = ann.sees("ended with");
    assert!(!seen.contains("connected"), "{seen}");
    let _ = Command::new("tmux")
        .args(["-S", &ann.socket, "kill-server"])
        .output();
    let home = std::mem::replace(&mut ann.home, Folder::new());
    let ann = Screen::with(&server, "ann", home, "");
    ann.sees("common> half a thought");
    ann.keys(&["M-2"]);
    ann.sees("@bob> another one");
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
    wait_until("the second", || {
        (bob.texts("common") == ["one", "two"]).then_some(())
    });
    ann.sees("ann: two");
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
    ann.says("/link");
    let seen = ann.sees("/join/");
    let code = seen
        .split("/join/")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
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
    screen.sees("password for a`b (Enter: none):");
    screen.keys(&["Enter"]);
    screen.sees("can't be in a name");
    screen.says("bob");
    screen.sees("password for bob (Enter: none):");
    screen.keys(&["Enter"]);
    screen.sees("! the name bob is taken");
    assert_eq!(kept(&screen.home), None);
    screen.says("ann");
    screen.sees("password for ann (Enter: none):");
    screen.keys(&["Enter"]);
    screen.sees("! the name is taken, and has a password");
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
    server.kill();
    ann.sees("○ offline");
    ann.says("one");
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
    ann.keys(&["C-End"]);
    ann.sees("line 150.");
    ann.until("nothing new", |shown| !shown.contains("new below"));
    ann.keys(&["M-u"]);
    ann.sees("─ new ─");
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
