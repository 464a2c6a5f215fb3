//! A folder that misses what it had, or whose log is damaged: whoever opens it says so, and leaves it
//! as it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use veche::testing::{Client, Output, Server, run};

use crate::damage::{copy, flip, restore, starts};

/// A server that was killed, and what was posted to it lies in its write-ahead log alone.
fn killed() -> (Server, Client) {
    let mut server = Server::core();
    let ann = server.connect("ann");
    for number in 0..40 {
        ann.say(&format!("{number}"));
    }
    server.kill();
    (server, ann)
}

/// Every file of a folder but SQLite's index of the log, which holds nothing, and sockets.
fn content(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(data).expect("a folder").flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| {
        let is_index = path.to_string_lossy().ends_with("-shm");
        path.is_file() && !is_index
    });
    let mut files: Vec<_> = files
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

fn ask(server: &Server, words: &[&str]) -> Output {
    run(server.folder().path(), words)
}

/// Whoever opens the folder refuses it with these words, and changes nothing.
fn is_refused(server: &mut Server, words: &str) {
    let data = server.data();
    let before = content(&data);
    for call in [
        ["backup", "copy"].as_slice(),
        &["export", "copy"],
        &["verify"],
        &["backup", "-"],
    ] {
        let output = ask(server, call);
        assert_eq!(output.status.code(), Some(1), "{call:?}: {output:?}");
        assert!(output.stderr.contains(words), "{call:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{call:?}");
        assert!(!server.folder().join("copy").exists(), "{call:?}");
        assert!(content(&data) == before, "{call:?} changes the folder");
    }
    let said = server.log().len();
    assert!(!starts(server), "it starts");
    let said = server.log()[said..].to_owned();
    assert!(said.contains(words), "{said}");
    assert!(content(&data) == before, "a start changes the folder");
}

#[test]
fn a_damaged_log_is_refused_by_all_and_left_as_it_is() {
    let (mut server, ann) = killed();
    let wal = server.data().join("veche.db-wal");
    let whole = fs::read(&wal).expect("a log");
    flip(&wal, whole.len() / 2 + 999, 2);
    is_refused(&mut server, "veche.db-wal is damaged in frame");
    fs::write(&wal, whole).expect("a log");
    server.restart();
    assert_eq!(ann.history("common").len(), 40);
}

#[test]
fn a_copy_of_a_folder_after_a_kill_has_all_of_it_and_changes_nothing() {
    let (mut server, ann) = killed();
    let before = content(&server.data());
    for call in [
        ["backup", "copy"].as_slice(),
        &["export", "copy"],
        &["verify"],
    ] {
        let output = ask(&server, call);
        assert!(output.status.success(), "{call:?}: {output:?}");
        assert!(content(&server.data()) == before, "{call:?}");
    }
    let lines = fs::read_to_string(server.folder().join("copy")).expect("lines");
    assert_eq!(lines.matches("{\"messages\":").count(), 40);
    server.restart();
    assert_eq!(ann.history("common").len(), 40);
}

#[test]
fn a_folder_that_misses_its_database_or_its_log_is_no_new_one() {
    let (mut server, ann) = killed();
    let data = server.data();
    let killed = server.folder().join("killed");
    copy(&data, &killed);
    server.restart();
    assert!(server.stop().success());
    let stopped = server.folder().join("stopped");
    copy(&data, &stopped);
    let (database, wal) = (data.join("veche.db"), data.join("veche.db-wal"));
    let shorten = |file: &Path, length: u64| {
        let file = File::options().write(true).open(file).expect("a file");
        file.set_len(length).expect("it is cut");
    };
    for kept in [&killed, &stopped] {
        restore(kept, &data);
        fs::remove_file(&database).expect("it is there");
        is_refused(&mut server, "veche.db is missing or empty");
        restore(kept, &data);
        shorten(&database, 0);
        is_refused(&mut server, "veche.db is missing or empty");
    }
    restore(&killed, &data);
    fs::remove_file(&wal).expect("it is there");
    is_refused(&mut server, "veche.db-wal is missing or cut");
    for length in [0, 32, 4_000] {
        restore(&killed, &data);
        shorten(&wal, length);
        is_refused(&mut server, "veche.db-wal is missing or cut");
    }
    // Whoever says that it is to go on without.
    fs::remove_file(data.join("lock")).expect("it is there");
    server.restart();
    restore(&stopped, &data);
    server.restart();
    assert_eq!(ann.history("common").len(), 40);
    // Nothing has been written since: there is no log that could be missed.
    server.kill();
    let _ = fs::remove_file(&wal);
    server.restart();
    assert_eq!(ann.history("common").len(), 40);
}

#[test]
fn what_empties_the_log_while_the_server_runs_is_no_loss() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let gone = ann.say("a text that goes");
    server.told(&["remove", &gone["id"].to_string()]);
    server.forgets(std::time::Duration::from_secs(60), "a text that goes");
    server.kill();
    server.restart();
    ann.say("it goes on");
    server.kill();
    let wal = server.data().join("veche.db-wal");
    fs::remove_file(&wal).expect("it is there");
    is_refused(&mut server, "veche.db-wal is missing or cut");
}

#[test]
fn a_database_that_is_cut_is_called_damaged_once() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    for number in 0..40 {
        ann.say(&format!("{number} {}", "x".repeat(1000)));
    }
    server.stop();
    let database = server.data().join("veche.db");
    let whole = fs::read(&database).expect("a database");
    for length in [50, 4096, whole.len() - 4096] {
        fs::write(&database, &whole[..length]).expect("a database");
        let said = server.log().len();
        let found = ask(&server, &["verify"]);
        assert_eq!(found.status.code(), Some(1), "{length}: {found:?}");
        if starts(&mut server) {
            let problem = ann.get("/messages?chat=common").problem(500, "damaged");
            assert!(problem.to_string().contains("veche.db"), "{problem}");
            server.kill();
        }
        let said = server.log()[said..].to_owned();
        assert!(said.contains("veche.db is damaged"), "{length}: {said}");
        assert!(!said.contains("Error code"), "{length}: {said}");
    }
}
