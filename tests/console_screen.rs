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
        screen.sees("● connected");
        screen
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
    ann.sees("○ offline");
    ann.says("said meanwhile");
    server.restart();
    ann.sees("● connected");
    ann.sees("ann: said meanwhile");
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
            shown.contains('│')
                && shown
                    .lines()
                    .next()
                    .is_some_and(|line| line.contains('│') == side)
        });
        assert!(seen.contains("● connected"), "{seen}");
        assert!(seen.contains("after it"), "{seen}");
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
    ann.sees("not sent: taken back");
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
    ann.says("/link");
    let seen = ann.sees("/join/");
    let code = seen
        .split("/join/")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let bob = Screen::start(&server, "bob");
    bob.says(&format!("/join {}", code.unwrap_or_default()));
    ann.sees("bob asks to come into");
    ann.keys(&["F3"]);
    ann.sees("[The Garden]> /approve");
    ann.types("b");
    ann.keys(&["Tab"]);
    ann.sees("/approve bob");
    ann.keys(&["Enter"]);
    bob.sees("2 [The Garden]");
    bob.keys(&["M-2"]);
    bob.sees("[The Garden]>");
    bob.types("half a tho");
    bob.sees("[The Garden]> half a tho");
    ann.says("/kick bob");
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
fn a_first_start_asks_for_what_it_needs_and_a_second_one_does_not() {
    let server = Server::core();
    server.client(&json!({ "name": "ann", "password": "secret" }));
    let screen = Screen::run(Folder::new(), "chat", "");
    screen.sees("server [http://127.0.0.1:8000]:");
    screen.says(&server.url());
    screen.sees("your name:");
    screen.says("ann");
    screen.sees("password:");
    screen.says("secret");
    screen.sees("● connected");
    screen.keys(&["C-d"]);
    let seen = screen.sees("ended with 0");
    assert!(!seen.contains("secret"), "{seen}");
    let Screen { ref home, .. } = screen;
    let kept = std::fs::read_to_string(home.join(".config/veche/client.toml"));
    assert!(kept.is_ok_and(|kept| kept.contains("name = \"ann\"")));
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
