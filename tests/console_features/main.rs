//! The console client's commands for features, through the pipe: each line is one that people type,
//! and what is looked at is what they and the others see.

mod programs;
mod rooms;
mod webhooks;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use veche::testing::{Client, Folder, Server, binary, features, wait_until};

fn has(all: &[&str]) -> bool {
    let there = features(&binary());
    all.iter()
        .all(|name| there.iter().any(|known| known == name))
}

/// A client that runs, with a folder of its own to work in.
struct Console {
    child: Child,
    stdin: Option<ChildStdin>,
    home: Folder,
}

impl Console {
    fn start(server: &Server, name: &str) -> Self {
        Self::with(server, name, &[])
    }

    fn with(server: &Server, name: &str, arguments: &[&str]) -> Self {
        let home = Folder::new();
        home.write("password", "secret\n");
        let file = |name: &str| {
            let Ok(file) = File::create(home.join(name)) else {
                unreachable!("a new folder takes files")
            };
            file
        };
        let child = Command::new(binary())
            .args(["chat", name, "--server", &server.url()])
            .args(arguments)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(file("printed"))
            .stderr(file("told"))
            .spawn();
        let Ok(mut child) = child else {
            unreachable!("the binary starts")
        };
        let stdin = child.stdin.take();
        Self { child, stdin, home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn write(&mut self, line: &str) {
        let written = self
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(format!("{line}\n").as_bytes()));
        assert!(matches!(written, Some(Ok(()))), "{line}: {written:?}");
    }

    /// Messages, and after them what is told: answers, notices, refusals.
    fn seen(&self) -> String {
        let read = |name: &str| std::fs::read(self.path(name)).unwrap_or_default();
        let both = [read("printed"), read("told")].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Waits until a line with all of this is there, and gives it.
    fn sees(&self, parts: &[&str]) -> String {
        let shown = ShownAtPanic(self);
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        wait_until(&format!("a line with {parts:?}"), || {
            shown.0.seen().lines().find(fits).map(str::to_owned)
        })
    }

    /// Writes a line and waits for what is told then.
    fn types(&mut self, line: &str, parts: &[&str]) -> String {
        self.write(line);
        self.sees(parts)
    }

    /// Ends its input; whether it has ended well, and all that was seen.
    fn end(mut self) -> (bool, String) {
        self.stdin = None;
        let ended = wait_until("the client to end", || self.child.try_wait().ok().flatten());
        (ended.success(), self.seen())
    }
}

/// Shows what a client has said where waiting for more of it fails.
struct ShownAtPanic<'a>(&'a Console);

impl Drop for ShownAtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the client has said:\n{}", self.0.seen());
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // One that has ended is no fault here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of ann's by the API, and one by the console that follows the events already.
fn both(server: &Server) -> (Client, Console) {
    let other = server.client(&json!({"name": "ann", "password": "secret"}));
    let mut console = Console::with(server, "ann", &["--password-file", "password"]);
    console.types("/me", &["you are ann"]);
    (other, console)
}

#[test]
fn commands_are_offered_only_where_the_server_has_the_feature() {
    let server = Server::core();
    let mut ann = Console::start(&server, "ann");
    for (line, feature) in [
        ("/later 10m hi", "schedule"),
        ("/scheduled", "schedule"),
        ("/complain bob", "complaints"),
        ("/comment 3 hi", "comments"),
        ("/file x", "files"),
        ("/get 3", "files"),
        ("/room Garden", "rooms"),
        ("/approve bob", "rooms"),
        ("/search x", "search"),
        ("/react 3 👍", "reactions"),
        ("/hook ci", "webhooks"),
        ("/hooks", "webhooks"),
        ("/unhook ci", "webhooks"),
    ] {
        ann.types(line, &[&format!("! this server has no {feature}")]);
    }
    ann.types("/help", &["/history"]);
    let (ok, seen) = ann.end();
    assert!(!ok, "refused lines are told by the status");
    assert!(
        !seen.contains("/room ") && !seen.contains("/file ") && !seen.contains("/hook "),
        "{seen}"
    );

    let all = Server::start();
    let mut ann = Console::start(&all, "ann");
    for (feature, command) in [
        ("schedule", "/later 10m"),
        ("complaints", "/complain NAME"),
        ("comments", "/comment ID"),
        ("files", "/file PATH"),
        ("rooms", "/room [--all]"),
        ("search", "/search WORDS"),
        ("reactions", "/react ID EMOJI"),
        ("webhooks", "/hook NAME [TO]"),
    ] {
        if has(&[feature]) {
            ann.types("/help", &[command]);
        }
    }
}

#[test]
fn emoji_are_put_on_messages_shown_with_them_and_told() {
    if !has(&["reactions"]) {
        return;
    }
    let server = Server::only("reactions", "");
    let bob = server.connect("bob");
    let id = bob.say("lunch?")["id"].to_string();
    let mut ann = Console::start(&server, "ann");
    let mut listening = Console::with(&server, "carl", &["--json"]);
    listening.sees(&["lunch?"]);
    ann.types("/react", &["! write /react ID EMOJI"]);
    ann.types(&format!("/react {id} nice"), &["! ", "emoji"]);
    ann.types(
        &format!("/react #{id} ❤"),
        &[&format!("you have put ❤\u{fe0f} on #{id}")],
    );
    let body = json!({"message": bob.messages("common")[0]["id"], "emoji": "👍"});
    bob.post("/react", &body).expect(200);
    ann.sees(&[&format!("bob has put 👍 on #{id}")]);
    let line = listening.sees(&["\"reaction\"", "👍"]);
    let event: Value = serde_json::from_str(&line).unwrap_or_default();
    assert_eq!(event["data"]["user"], "bob");
    assert_eq!(event["data"]["count"], 1);
    ann.types("/history 1", &["lunch?  ❤\u{fe0f} 1*  👍 1"]);
    ann.types(
        &format!("/unreact {id} ❤\u{fe0f}"),
        &[&format!("you have taken ❤\u{fe0f} off #{id}")],
    );
    ann.types("/history 1", &["lunch?  👍 1"]);
    assert_eq!(
        bob.messages("common")[0]["reactions"][0]["emoji"],
        body["emoji"]
    );
    listening.write("/quit");
}

#[test]
fn a_message_for_later_is_listed_sent_and_cancelled() {
    if !has(&["schedule"]) {
        return;
    }
    let server = Server::only("schedule", "");
    let bob = server.connect("bob");
    let mut ann = Console::start(&server, "ann");
    ann.types("/scheduled", &["nothing is scheduled"]);
    ann.types("/later", &["! write /later"]);
    ann.types("/later soon hi", &["! \"soon\" is no time to come"]);
    let example = "write it like /later 10m TEXT";
    ann.types(
        "/later 9999d hi",
        &["! that time is too far ahead: 365d", example],
    );
    ann.types(
        "/later 2020-01-01T10:00Z hi",
        &["! that time is in the past: ", example],
    );
    ann.types(
        "/later 1h first",
        &["later, ", "to common: \"first\"", "/cancel "],
    );
    ann.types("/to @bob", &[]);
    let line = ann.types("/later 2h second", &["later, ", "to @bob: \"second\""]);
    let id = line
        .split_once("/cancel ")
        .and_then(|(_, rest)| rest.split(' ').next());
    ann.types("/scheduled", &["1. ", "first"]);
    ann.sees(&["2. ", "to @bob: \"second\""]);
    ann.types("/cancel 1", &["cancelled: ", "first"]);
    let id = id.unwrap_or_default();
    ann.types(&format!("/cancel {id}"), &["cancelled: ", "second"]);
    ann.types(&format!("/cancel {id}"), &["! nothing that is scheduled"]);
    ann.types("/later 1ms now", &["private", "now"]);
    assert_eq!(bob.texts("@ann"), ["now"]);
    let (_, seen) = ann.end();
    // The stream brings back what the answers told.
    assert_eq!(seen.matches("later, ").count(), 3, "{seen}");
    assert_eq!(seen.matches("· cancelled: ").count(), 2, "{seen}");
}

#[test]
fn what_another_client_schedules_is_told_and_so_is_what_fails() {
    if !has(&["schedule", "complaints"]) {
        return;
    }
    let server = Server::with("[features.complaints]\nwarnings = 1\nban = \"1h\"\n");
    let (other, mut ann) = both(&server);
    let bob = server.connect("bob");
    let body = json!({"to": "common", "text": "hi", "in": "1h"});
    let made = other.post("/scheduled", &body).expect(201);
    let id = made["id"].as_str().unwrap_or_default();
    ann.sees(&["later, ", "to common: \"hi\""]);
    other.delete(&format!("/scheduled/{id}")).expect(204);
    ann.sees(&["a scheduled message was cancelled", &id[..8]]);
    let body = json!({"to": "@bob", "text": "soon", "in": "4s"});
    other.post("/scheduled", &body).expect(201);
    ann.sees(&["later, ", "to @bob: \"soon\""]);
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    ann.sees(&["! you are banned from posting until "]);
    ann.sees(&["! not sent, though scheduled for ", "to @bob: \"soon\""]);
    ann.types(
        "hello",
        &[
            "! not sent: you are banned from posting until ",
            "\"hello\"",
        ],
    );
}

#[test]
fn a_complaint_is_answered_in_a_sentence_and_its_accused_is_told() {
    if !has(&["complaints"]) {
        return;
    }
    let server = Server::only("complaints", "warnings = 2\nban = \"5s\"");
    let (mut ann, mut bob) = (
        Console::start(&server, "ann"),
        Console::start(&server, "bob"),
    );
    bob.types("/me", &["you are bob"]);
    ann.types("/complain", &["! write /complain NAME [REASON]"]);
    ann.types("/complain nobody", &["! there is no such user"]);
    ann.types(
        "/complain @bob all this spam",
        &["bob is warned: 1 of the 2"],
    );
    bob.sees(&[
        "! somebody complained about you: 1 of the 2",
        "counts until ",
    ]);
    bob.types("/status", &["      1 of the 2 warnings that are a ban"]);
    ann.types("/complain bob", &["! you complained about them already"]);
    let mut eve = Console::start(&server, "eve");
    eve.types("/complain bob", &["bob is banned from posting until "]);
    bob.sees(&["! you are banned from posting until ", "; you can read"]);
    bob.types(
        "/status",
        &["banned from posting until ", "for the 2 warnings"],
    );
    bob.sees(&["· your ban is over: you can post again"]);
    let (_, seen) = bob.end();
    assert!(!seen.contains("spam") && !seen.contains("eve"), "{seen}");
}

#[test]
fn what_is_searched_for_is_told_with_its_words_marked() {
    if !has(&["search"]) {
        return;
    }
    let server = Server::start();
    let (other, mut console) = both(&server);
    server.connect("bob").tell("ann", "a needle in the hay");
    other.say("no needles here");
    console.types("/search NEEDLE", &["bob to @ann: a *needle* in the hay"]);
    console.types("/search needle -hay", &["nothing was found"]);
    console.types("/search -hay", &["says only what not to find"]);
    console.end();
}

#[test]
fn a_file_is_sent_seen_and_saved_over_no_other() {
    if !has(&["files"]) {
        return;
    }
    let server = Server::only("files", "max_size = \"1MiB\"");
    let (mut ann, mut bob) = (
        Console::start(&server, "ann"),
        Console::start(&server, "bob"),
    );
    bob.types("/me", &["you are bob"]);
    let bytes: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
    ann.home.write("my cat.png", bytes.as_slice());
    ann.home.write("large", vec![0; 2 << 20].as_slice());
    ann.types("/file", &["! write /file PATH [TEXT]"]);
    ann.types("/file nothing", &["! not sent: nothing: No such file"]);
    ann.types("/file .", &["! not sent: .: it is a folder"]);
    let limit = "the file has 2 MiB, and this server takes files of up to 1 MiB";
    ann.types("/file large", &["! ", limit]);
    ann.write("/file \"my cat.png\" look here");
    let line = bob.sees(&["ann: look here [file my cat.png, image/png, 684 KiB: /get "]);
    let id = line
        .rsplit_once("/get ")
        .map_or("", |(_, id)| id.trim_end_matches(']'));
    bob.home.write("my cat.png", b"another".as_slice());
    bob.types(&format!("/get {id}"), &["saved my cat (1).png (684 KiB)"]);
    assert_eq!(std::fs::read(bob.path("my cat (1).png")).ok(), Some(bytes));
    assert_eq!(
        std::fs::read(bob.path("my cat.png")).ok(),
        Some(b"another".to_vec())
    );
    bob.types(&format!("/get #{id} copy.png"), &["saved copy.png"]);
    let message = server
        .connect("eve")
        .get(&format!("/messages/{id}"))
        .expect(200);
    let file = message["file"]["id"].as_str().unwrap_or_default();
    bob.types(
        &format!("/get {} by-id.png", &file[..13]),
        &["saved by-id.png"],
    );
    bob.types(
        &format!("/get {id} no/where"),
        &["! not saved: no/where: there is no folder no"],
    );
    bob.types("/get 1", &["! there is no such message"]);
    // Eve has seen nothing of it, and the server tells her the name.
    let mut eve = Console::start(&server, "eva");
    eve.types(&format!("/get {file}"), &["saved my cat.png"]);
    let (ok, seen) = ann.end();
    assert!(!ok);
    assert!(!seen.contains('\r') && !seen.contains('#'.to_string().repeat(3).as_str()));
}

#[test]
fn a_name_that_would_lead_elsewhere_stays_in_the_folder() {
    if !has(&["files"]) {
        return;
    }
    let server = Server::only("files", "");
    let ann = server.connect("ann");
    let upload = ann.request("POST", "/files?name=.bashrc%1B%5B2J");
    let file = upload.body("rm", "text/plain").send().expect(201);
    let body = json!({"to": "common", "file": file["id"]});
    let sent = ann.post("/send", &body).expect(201);
    let mut bob = Console::start(&server, "bob");
    bob.sees(&["ann: [file .bashrc"]);
    bob.types(&format!("/get {}", sent["id"]), &["saved _bashrc"]);
    let (_, seen) = bob.end();
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}

#[test]
fn as_json_a_command_is_answered_by_one_line_that_a_program_reads() {
    if !has(&["rooms", "schedule"]) {
        return;
    }
    let server = Server::start();
    let mut ann = Console::with(&server, "ann", &["--json"]);
    ann.types(
        "/room Garden",
        &["\"event\":\"room\"", "\"title\":\"Garden\""],
    );
    ann.types("/link", &["\"event\":\"link\"", "\"url\":\"/join/"]);
    ann.types(
        "/later 1h hi",
        &["\"event\":\"scheduled\"", "\"text\":\"hi\""],
    );
    ann.types("/scheduled", &["\"event\":\"schedule\"", "\"waiting\""]);
    ann.write("/leave");
    let (ok, seen) = ann.end();
    assert!(ok, "{seen}");
    let kinds = seen.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some(line["event"].as_str()?.to_owned())
    });
    let kinds: Vec<String> = kinds
        .filter(|kind| kind != "user" && kind != "client")
        .collect();
    assert_eq!(kinds, ["room", "link", "scheduled", "schedule", "left"]);
}
