//! The console client line by line on a terminal: what is drawn, and what Ctrl-C does.

#![cfg(unix)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::pty::{Winsize, openpty};
use serde_json::json;
use veche::testing::{Folder, Server, binary, features, wait_until};

/// A client on a pseudo-terminal of 100 columns.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    home: Folder,
}

impl Terminal {
    fn start(server: &Server, name: &str) -> Self {
        let size = Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let Ok(pair) = openpty(&size, None) else {
            unreachable!("the system has pseudo-terminals")
        };
        let tty = |fd: &std::os::fd::OwnedFd| {
            let Ok(copy) = fd.try_clone() else {
                unreachable!("a new descriptor can be copied")
            };
            copy
        };
        let home = Folder::new();
        let child = Command::new(binary())
            .args(["chat", name, "--plain", "--server", &server.url()])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("TERM", "xterm")
            .stdin(Stdio::from(tty(&pair.slave)))
            .stdout(Stdio::from(tty(&pair.slave)))
            .stderr(Stdio::from(pair.slave))
            .spawn();
        let Ok(child) = child else {
            unreachable!("the binary starts")
        };
        let mut output = File::from(tty(&pair.master));
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Its end is an error on a pseudo-terminal.
            while let Ok(length @ 1..) = output.read(&mut piece) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.extend(&piece[..length]);
            }
        });
        let mut terminal = Self {
            child,
            keyboard: File::from(pair.master),
            screen,
            home,
        };
        terminal.sees("(Enter: none): ");
        terminal.types("\r");
        terminal.sees("/help lists the commands");
        terminal.sees("common> ");
        terminal
    }

    fn types(&mut self, keys: &str) {
        let written = self.keyboard.write_all(keys.as_bytes());
        assert!(written.is_ok(), "{keys}: {written:?}");
    }

    fn seen(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until this was drawn, and gives all that was.
    fn sees(&self, text: &str) -> String {
        wait_until(&format!("{text:?} on the screen"), || {
            let seen = self.seen();
            seen.contains(text).then_some(seen)
        })
    }

    /// Waits until this was drawn so many times: what was drawn before is still among it.
    fn sees_times(&self, text: &str, times: usize) {
        wait_until(&format!("{text:?} {times} times on the screen"), || {
            (self.seen().matches(text).count() == times).then_some(())
        });
    }

    /// What Ctrl-C sends while no line is edited.
    fn interrupt(&self) {
        let sent = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on the screen: {:?}", self.seen());
        }
        // One that has ended is no fault here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops a server, and waits until each of its threads has: one that is still to be told answers.
fn stop(server: &Server) {
    server.terminate("STOP");
    let tasks = format!("/proc/{}/task", server.pid());
    wait_until("the server to stand still", || {
        // Elsewhere than on Linux there is nothing to look at.
        let mut tasks = std::fs::read_dir(&tasks).into_iter().flatten().flatten();
        let stands = |stat: String| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|at| at.starts_with('T'))
        };
        tasks
            .all(|task| std::fs::read_to_string(task.path().join("stat")).is_ok_and(stands))
            .then_some(())
    });
}

fn has(feature: &str) -> bool {
    features(&binary()).iter().any(|known| known == feature)
}

#[test]
fn the_prompt_names_the_chat_that_plain_lines_go_to() {
    if !has("rooms") {
        return;
    }
    let server = Server::only("rooms", "");
    let mut ann = Terminal::start(&server, "ann");
    ann.sees("common> ");
    ann.types("/room The Garden\r");
    ann.sees("[The Garden]> ");
    ann.types("/to comm\t\r");
    ann.sees("plain lines go to common from now on");
    ann.types("/to the g\t\r");
    ann.sees("plain lines go to [The Garden] from now on");
    ann.types("/lea\t\r");
    ann.sees("you left \"The Garden\"");
    ann.sees("; plain lines go to common from now on");
    ann.types("back in common\r");
    ann.sees("✓ sent");
    ann.types("/quit\r");
    let ended = wait_until("the client to end", || ann.child.try_wait().ok().flatten());
    assert!(ended.success());
}

#[test]
fn a_removal_changes_the_prompt_at_once_and_a_line_begun_for_the_room_goes_nowhere_else() {
    if !has("rooms") {
        return;
    }
    let server = Server::only("rooms", "");
    let ann = server.connect("ann");
    let room = ann
        .post("/rooms", &json!({"title": "The Garden"}))
        .expect(201);
    let room = room["room"].as_str().unwrap_or_default();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    let mut bob = Terminal::start(&server, "bob");
    bob.sees("common> ");
    ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
        .expect(201);
    bob.types("/join the garden\r");
    bob.sees("[The Garden]> ");
    bob.types("half a tho");
    bob.sees("half a tho");
    ann.delete(&format!("{path}/members/bob")).expect(204);
    bob.sees("you were removed from \"The Garden\"");
    bob.sees("; plain lines go to common from now on");
    // Over the end of the old prompt, so that the line stays where it is.
    bob.sees("\u{1b}[8Dcommon> half a tho");
    bob.types("ught\r");
    bob.sees("! not sent: you began it for a chat that has ended; Enter sends it to common");
    bob.sees("\r\u{1b}[Kcommon> half a thought");
    assert!(ann.texts("common").is_empty());
    bob.types("\r");
    wait_until("what bob says after all", || {
        (ann.texts("common") == ["half a thought"]).then_some(())
    });
}

#[test]
fn an_upload_shows_its_bar_and_ctrl_c_stops_it_and_not_the_client() {
    if !has("files") {
        return;
    }
    let server = Server::only("files", "max_size = \"1GiB\"");
    let bob = server.connect("bob");
    let mut ann = Terminal::start(&server, "ann");
    // With its answer all that is asked for at the start has come, too.
    ann.types("/me\r");
    ann.sees("you are ann; plain lines go to common");
    let film = File::create(ann.home.join("film.mkv")).and_then(|film| film.set_len(64 << 20));
    assert!(film.is_ok(), "{film:?}");
    // A server that does not read holds the upload up, so that it is there to be stopped.
    stop(&server);
    ann.types("/file film.mkv look\r");
    let seen = ann.sees("film.mkv             [");
    assert!(seen.contains("%  "), "{seen}");
    ann.interrupt();
    // At once, though the server does nothing.
    ann.sees("! the upload of film.mkv was cancelled: nothing was sent");
    server.terminate("CONT");
    ann.types("still here\r");
    wait_until("what is said after it", || {
        (bob.texts("common") == ["still here"]).then_some(())
    });
    ann.types("/file film.mkv look\r");
    ann.sees("[####################] 64 MiB, waiting for the server");
    wait_until("the film", || {
        let last = bob.messages("common").pop()?;
        (last["file"]["name"] == "film.mkv").then_some(())
    });
}

#[test]
fn ctrl_c_ends_a_file_whose_server_does_not_answer_and_not_the_client() {
    if !has("files") {
        return;
    }
    let server = Server::only("files", "");
    let bob = server.connect("bob");
    let upload = bob.request("POST", "/files?name=cat.png");
    let file = upload.body("meow", "image/png").send().expect(201);
    let body = json!({"to": "common", "file": file["id"]});
    let id = bob.post("/send", &body).expect(201)["id"].to_string();
    let mut ann = Terminal::start(&server, "ann");
    ann.types("/me\r");
    ann.sees("you are ann; plain lines go to common");
    ann.home.write("small.txt", "all of it fits the kernel");
    // Each is asked for by its message, by an id that nothing is known of, and again.
    let by_id = file["id"].as_str().unwrap_or_default().to_owned();
    for (times, which, waits) in [
        (1, id.as_str(), format!("{id:<20} waiting for the server")),
        (
            2,
            by_id.as_str(),
            "cat.png              waiting for the server".to_owned(),
        ),
    ] {
        stop(&server);
        ann.types(&format!("/get {which}\r"));
        ann.sees(&waits);
        ann.interrupt();
        // A server that goes on before Ctrl-C is heard would end the download itself.
        ann.sees_times("! the download was cancelled", times);
        server.terminate("CONT");
        ann.types(&format!("after {which}\r"));
        wait_until("what is said after it", || {
            (bob.texts("common").last()? == &format!("after {which}")).then_some(())
        });
    }
    stop(&server);
    ann.types("/file small.txt look\r");
    ann.sees("small.txt            [####################] 25 B, waiting for the server");
    ann.interrupt();
    let seen = ann.sees("! the upload of small.txt was cancelled: nothing was sent");
    assert!(!seen.contains("100%"), "{seen}");
    server.terminate("CONT");
    ann.types("still here\r");
    wait_until("what is said after it", || {
        (bob.texts("common").last()? == "still here").then_some(())
    });
    assert!(
        bob.messages("common")
            .iter()
            .all(|message| message["file"]["name"] != "small.txt")
    );
    // What was stopped goes well the next time.
    ann.types(&format!("/get {id}\r"));
    ann.sees("saved cat.png (4 B)");
    ann.types("/file small.txt look\r");
    wait_until("the file", || {
        let last = bob.messages("common").pop()?;
        (last["file"]["name"] == "small.txt").then_some(())
    });
}

#[test]
fn lines_typed_at_once_are_all_posted_in_their_order_and_a_half_one_is_kept() {
    let server = Server::core();
    let bob = server.connect("bob");
    let mut ann = Terminal::start(&server, "ann");
    ann.types("one\rtwo\rthree\rhal");
    wait_until("the three lines", || {
        (bob.texts("common") == ["one", "two", "three"]).then_some(())
    });
    ann.types("f\r");
    wait_until("the line that was begun before", || {
        (bob.texts("common").last()? == "half").then_some(())
    });
}

#[test]
fn what_is_typed_behind_a_to_goes_where_it_leads_and_nowhere_where_it_fails() {
    let server = Server::core();
    let bob = server.connect("bob");
    let mut ann = Terminal::start(&server, "ann");
    // While the answer is waited for, no line is edited.
    stop(&server);
    ann.types("/to @bob\r");
    ann.sees("/to @bob\u{1b}[?2004l");
    ann.types("psst\rhal");
    ann.sees("psst\r\nhal");
    server.terminate("CONT");
    ann.sees("plain lines go to @bob from now on");
    ann.types("f a thought\r/to @nobody\rsecret\r");
    wait_until("what bob is told", || {
        (bob.texts("@ann") == ["psst", "half a thought"]).then_some(())
    });
    ann.sees("there is no chat to do it in");
    ann.sees("nowhere> ");
    ann.types("/to common\rhello\r");
    wait_until("what all are told", || {
        (bob.texts("common") == ["hello"]).then_some(())
    });
    assert_eq!(bob.texts("@ann"), ["psst", "half a thought"]);
}
