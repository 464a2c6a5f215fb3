//! The irc feature with the clients that people have: irssi and weechat, each in a terminal of its own.
#![cfg(has_feature = "irc")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::process::Command;

use serde_json::{Value, json};
use veche::testing::{Events, Folder, Server, wait_until};

/// A program in a tmux of its own.
struct Screen {
    socket: String,
    home: Folder,
    /// What was on it last.
    shown: RefCell<String>,
}

impl Screen {
    fn run(home: Folder, command: &str) -> Self {
        let socket = home.join(format!("tmux-{}", uuid::Uuid::new_v4()));
        let screen = Self {
            socket: socket.display().to_string(),
            home,
            shown: RefCell::default(),
        };
        let home = screen.home.path().display();
        let command = format!("cd {home}; env HOME={home} LC_ALL=C.UTF-8 TERM=screen {command}");
        screen.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "30",
            &command,
        ]);
        screen
    }

    fn irssi(home: Folder, server: &Server, name: &str) -> Self {
        let (folder, port) = (home.path().display().to_string(), port(server));
        let command =
            format!("irssi --home={folder} -c 127.0.0.1 -p {port} -n {name} -w word-of-{name}");
        let screen = Self::run(home, &command);
        screen.sees("Welcome to veche");
        screen
    }

    fn weechat(home: Folder, server: &Server, name: &str) -> Self {
        let (folder, port) = (home.path().display().to_string(), port(server));
        // By the releases' different names TLS is off.
        let commands = [
            format!("/server add veche 127.0.0.1/{port} -nicks={name} -password=word-of-{name}"),
            "/set irc.server.veche.tls off".to_owned(),
            "/set irc.server.veche.ssl off".to_owned(),
            "/set irc.server_default.capabilities *".to_owned(),
            // Keys that come at once are no paste to be asked about.
            "/set weechat.look.paste_max_lines -1".to_owned(),
            "/connect veche".to_owned(),
        ];
        let commands = commands.map(|command| format!(" -r '{command}'")).concat();
        let screen = Self::run(home, &format!("weechat -d {folder}/weechat{commands}"));
        screen.sees("2:#common");
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(arguments)
            .output();
        let output = output.expect("tmux is there: these tests look at a terminal by it");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn says(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Waits until this stands on the screen.
    #[track_caller]
    fn sees(&self, text: &str) {
        wait_until(&format!("{text:?} on the screen"), || {
            let shown = self.tmux(&["capture-pane", "-p"]);
            let is_there = shown.contains(text);
            self.shown.replace(shown);
            is_there.then_some(())
        });
    }

    /// Leaves, and gives the home folder.
    fn leaves(mut self, quit: &str) -> Folder {
        self.says(quit);
        wait_until("the program to end", || {
            let alive = Command::new("tmux")
                .args(["-S", &self.socket, "has-session"])
                .output();
            alive
                .is_ok_and(|output| !output.status.success())
                .then_some(())
        });
        std::mem::replace(&mut self.home, Folder::new())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the screen was:\n{}", self.shown.borrow());
        }
        // One that has ended is no fault here.
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
    }
}

/// Waits for a message with this text.
fn heard(events: &mut Events, text: &str) -> Value {
    let heard = events.until(|event| event.data["text"] == text).pop();
    heard.expect("it is there").data
}

fn server() -> Server {
    Server::with("[features.irc]\nlisten = \"127.0.0.1:0\"\n")
}

fn port(server: &Server) -> u16 {
    wait_until("the listener's log line", || {
        let log = server.log();
        let line = log.lines().rfind(|line| line.contains("listening, too"))?;
        let address = line.split("address=").nth(1)?.split(' ').next()?;
        address.rsplit(':').next()?.parse().ok()
    })
}

#[test]
fn irssi_talks_leaves_and_finds_what_it_missed() {
    let server = server();
    let bob = server.connect("bob");
    let mut events = bob.events();
    let irssi = Screen::irssi(Folder::new(), &server, "ann");
    irssi.says("/window goto #common");
    irssi.sees("[#common]");
    irssi.says("hello from irssi");
    heard(&mut events, "hello from irssi");
    irssi.says("/me waves");
    heard(&mut events, "/me waves");
    bob.say("hello\nfrom bob");
    irssi.sees("< bob> from bob");
    irssi.says("/whois bob");
    irssi.says("/names");
    irssi.sees("Total of 2 nicks");
    irssi.says("/query bob");
    irssi.says("psst");
    assert_eq!(heard(&mut events, "psst")["to"], "@bob");
    bob.tell("ann", "psst yourself");
    irssi.sees("<bob> psst yourself");
    #[cfg(has_feature = "rooms")]
    {
        irssi.says("/join #my_room");
        irssi.sees("[#my_room~");
        irssi.says("/invite bob");
        let invited = events.next("invited").data;
        assert_eq!(invited["title"], "my room");
    }
    let home = irssi.leaves("/quit");
    bob.say("while you were away");
    let irssi = Screen::irssi(home, &server, "ann");
    irssi.says("/window goto #common");
    irssi.sees("< bob> while you were away");
    irssi.leaves("/quit");
}

#[test]
fn weechat_talks_with_all_that_it_knows_of_newer_irc_and_comes_back_by_itself() {
    let mut server = server();
    let weechat = Screen::weechat(Folder::new(), &server, "ann");
    let bob = server.connect("bob");
    let mut events = bob.events();
    weechat.says("hello from weechat");
    heard(&mut events, "hello from weechat");
    bob.say("hello from bob");
    weechat.sees("hello from bob");
    weechat.says("/msg bob psst");
    assert_eq!(heard(&mut events, "psst")["to"], "@bob");
    #[cfg(has_feature = "rooms")]
    {
        let room = bob.post("/rooms", &json!({"title": "Kitchen"})).expect(201);
        let id = room["room"]
            .as_str()
            .and_then(|room| room.strip_prefix("room:"));
        let invites = format!("/rooms/{}/invites", id.expect("an id"));
        bob.post(&invites, &json!({"user": "ann"})).expect(201);
        weechat.says("/join #Kitchen");
        let room = room["room"].as_str().expect("a room");
        events.next("joined");
        bob.send(room, "dinner?").expect(201);
        weechat.sees("dinner?");
        weechat.says("/buffer #common");
        weechat.sees("2:#common");
    }
    // Cut off by a restart, it comes back, and nothing is missing or doubled.
    let listens = port(&server);
    server.kill();
    let config = server
        .config()
        .replace("127.0.0.1:0", &format!("127.0.0.1:{listens}"));
    server.configure(config);
    server.restart();
    bob.say("after the restart");
    weechat.says("/reconnect veche");
    weechat.sees("after the restart");
    let shown = weechat.shown.borrow().clone();
    assert_eq!(shown.matches("after the restart").count(), 1, "{shown}");
    weechat.leaves("/quit");
}
