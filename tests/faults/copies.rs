//! Backups and exports that are taken while all write, and what is made of them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::json;
use veche::testing::{Client, Server, binary, features, run, wait_until};

use crate::ledger::{Ledger, config};
use crate::random::Random;
use crate::rounds;

/// Writes that are answered before a copy is begun, and after it.
const SOME: usize = 60;

/// The last position of a data folder that nobody uses.
fn last(data: &Path) -> u64 {
    let database = Connection::open(data.join("veche.db")).expect("a database");
    let last = database.query_row("SELECT max(pos) FROM facts", [], |row| row.get::<_, i64>(0));
    last.expect("facts").unsigned_abs()
}

fn unpack(server: &Server, file: &Path) {
    fs::create_dir(server.data()).expect("a new folder");
    let tar = Command::new("tar")
        .arg("-xf")
        .arg(file)
        .arg("-C")
        .arg(server.data())
        .status();
    assert!(tar.expect("tar is there").success());
}

fn import(server: &Server, file: &Path) {
    let file = file.to_string_lossy();
    let output = run(server.folder().path(), ["import", &file, "--data", "data"]);
    assert!(output.status.success(), "{output:?}");
}

/// Sends files to oneself, and has every other of them removed, so that they go while a copy is taken.
fn upload_and_remove(server: &Server, eve: &Client, stop: &AtomicBool) {
    let has_files = features(&binary()).iter().any(|name| name == "files");
    for number in 0.. {
        if stop.load(Ordering::Relaxed) || !has_files {
            return;
        }
        let upload = eve.request("POST", "/files?name=x");
        let bytes = format!("{number} {}", "x".repeat(100_000));
        let file = upload.body(bytes, "text/plain").send().expect(201)["id"].clone();
        let text = number.to_string();
        let sent = eve.post("/send", &json!({"to": "@eve", "text": text, "file": file}));
        let id = sent.expect(201)["id"].to_string();
        if number % 2 == 0 {
            server.told(&["remove", &id]);
        }
    }
}

/// Whoever is there has the file with it.
fn check_uploads(eve: &Client) {
    for message in eve.history("@eve") {
        let url = message["file"]["url"].as_str().expect("a file");
        let file = eve.get(url);
        assert_eq!(file.status, 200, "{message}: {}", file.status);
        let begin = format!("{} x", message["text"].as_str().unwrap_or_default());
        assert!(
            file.text.starts_with(&begin),
            "{message} has another's file"
        );
    }
}

/// Takes a copy while all write, makes another server of it, and compares that.
fn survives(copy: &str, restore: fn(&Server, &Path)) {
    let mut random = Random::seeded();
    for _ in 0..rounds(1) {
        let server = Server::with(config());
        let ledger = Ledger::new(&server);
        let eve = server.connect("eve");
        let stop = AtomicBool::new(false);
        let file = server.folder().join("copy");
        let before = std::thread::scope(|scope| {
            for by in 0..ledger.writers() {
                let mut random = Random::new(random.next());
                let (ledger, stop) = (&ledger, &stop);
                scope.spawn(move || ledger.write_until(by, stop, &mut random));
            }
            scope.spawn(|| upload_and_remove(&server, &eve, &stop));
            let answered = |more: usize| {
                let enough = ledger.answered.load(Ordering::Relaxed) + more;
                wait_until("some writes to be answered", || {
                    (ledger.answered.load(Ordering::Relaxed) >= enough).then_some(())
                });
            };
            answered(SOME);
            let before = ledger.ids();
            let output = run(server.folder().path(), [copy, "copy"]);
            answered(SOME);
            stop.store(true, Ordering::Relaxed);
            assert!(output.status.success(), "{output:?}");
            before
        });
        let cursors = ledger
            .clients_at(&server)
            .into_iter()
            .map(|one| one.cursor());
        let cursors: Vec<String> = cursors.collect();

        let mut other = Server::with(config());
        other.kill();
        fs::remove_dir_all(other.data()).expect("the data folder goes");
        restore(&other, &file);
        let last = last(&other.data());
        assert!(
            before.iter().all(|id| *id <= last),
            "what was answered before {copy}"
        );
        assert!(
            ledger.ids().iter().any(|id| *id > last),
            "nothing was written meanwhile"
        );
        let verified = run(other.folder().path(), ["verify"]);
        assert!(verified.status.success(), "{verified:?}");
        other.restart();
        ledger.check_copy(&other, last);
        check_uploads(&Client::new(&other.url(), &eve.token));
        for (by, client) in ledger.clients_at(&other).iter().enumerate() {
            for cursor in [&ledger.cursors()[by], &cursors[by]] {
                let mut events = client.events_after(cursor);
                assert_eq!(events.any().event, "reset", "{cursor}");
            }
            client.say("it goes on");
        }
        let verified = run(other.folder().path(), ["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }
}

#[test]
fn what_was_answered_before_a_backup_is_in_it_and_of_what_came_after_either_all_or_nothing() {
    survives("backup", unpack);
}

#[test]
fn what_was_answered_before_an_export_is_in_it_and_of_what_came_after_either_all_or_nothing() {
    survives("export", import);
}
