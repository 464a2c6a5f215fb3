//! What a backup or an export leaves behind, when it is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use veche::testing::{Folder, Server, binary, run, wait_until};

/// A backup to a pipe that nobody reads yet, with its temporary files in `temporary`.
#[expect(clippy::expect_used, reason = "a step of a test")]
fn begun(server: &Server, temporary: &Folder) -> Child {
    Command::new(binary())
        .args(["backup", "-"])
        .current_dir(server.folder().path())
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// The copies in a folder that are not finished, without the database's own files beside them.
fn copies(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

#[test]
fn what_a_killed_one_leaves_goes_with_the_next_and_what_another_works_on_stays() {
    let server = Server::core();
    let ann = server.connect("ann");
    // More than a pipe holds, so that it waits for its reader.
    for number in 0..40 {
        ann.say(&format!("{number} {}", "word ".repeat(700)));
    }
    let temporary = Folder::new();
    let there = |count: usize| {
        wait_until("the copies to be there", || {
            let copies = copies(temporary.path());
            (copies.len() == count).then_some(copies)
        })
    };
    let mut killed = begun(&server, &temporary);
    let left = there(1);
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    assert_eq!(copies(temporary.path()), left, "what a kill leaves");
    let mut working = begun(&server, &temporary);
    let its = wait_until("the killed one's copy to go", || {
        let copies = copies(temporary.path());
        (copies.len() == 1 && copies != left).then_some(copies)
    });
    let mut other = begun(&server, &temporary);
    assert!(there(2).is_superset(&its), "another's is swept away");
    for child in [&mut other, &mut working] {
        let mut tar = Vec::new();
        let mut pipe = child.stdout.take().expect("piped");
        pipe.read_to_end(&mut tar).expect("it writes on");
        assert!(child.wait().expect("it ends").success());
        assert!(tar.len() > 100_000, "{} bytes", tar.len());
    }
    let left = fs::read_dir(temporary.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing is left of those that ended");
}

#[test]
fn what_lies_beside_a_file_goes_before_it_is_written_anew_and_nothing_else_does() {
    let server = Server::core();
    server.connect("ann");
    let folder = server.folder();
    let id = "00000000-0000-4000-8000-000000000000";
    let stale = ["tmp", "part"].map(|end| folder.write(format!("copy.tar.{id}.{end}"), "stale"));
    let kept = ["copy.tar.old.tmp", "other.tar.tmp", "copy.tar"];
    for name in kept {
        folder.write(name, "kept");
    }
    for call in ["backup", "export"] {
        let output = run(folder.path(), [call, "copy.tar"]);
        assert!(output.status.success(), "{output:?}");
        assert!(stale.iter().all(|file| !file.exists()), "{call}");
        assert!(kept.iter().all(|name| folder.join(name).exists()), "{call}");
    }
}

#[test]
fn what_is_no_file_of_its_own_is_not_replaced() {
    let server = Server::core();
    server.connect("ann");
    let folder = server.folder();
    let made = Command::new("mkfifo").arg(folder.join("fifo")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, folder.join(name)).expect("a link");
    };
    link("data/veche.db", "inside");
    link("kept/copy", "outside");
    link("nowhere/copy", "nowhere");
    fs::create_dir(folder.join("kept")).expect("a folder");
    folder.write("kept/copy", "older");
    let before = fs::read(server.data().join("veche.db")).expect("a database");
    for call in ["backup", "export"] {
        for file in [
            "data/veche.db",
            "data/new",
            "inside",
            "fifo",
            "nowhere",
            "kept",
            "/dev/null",
        ] {
            let output = run(folder.path(), [call, file]);
            assert_eq!(output.status.code(), Some(1), "{call} {file}: {output:?}");
            assert!(output.stderr.contains(file), "{call} {file}: {output:?}");
        }
        let after = fs::read(server.data().join("veche.db")).expect("a database");
        assert!(after == before, "{call} changes the database");
        assert!(!server.data().join("new").exists());
        let output = run(folder.path(), [call, "outside"]);
        assert!(output.status.success(), "{call}: {output:?}");
        let link = fs::symlink_metadata(folder.join("outside")).expect("a link");
        assert!(link.is_symlink(), "{call} replaces a link");
        assert!(fs::read(folder.join("kept/copy")).expect("a copy").len() > 100);
    }
    let fifo = fs::symlink_metadata(folder.join("fifo")).expect("it stays");
    assert!(!fifo.is_file(), "a FIFO is replaced");
}

#[test]
fn a_reader_that_goes_is_a_failure() {
    let server = Server::core();
    let ann = server.connect("ann");
    // More than a pipe holds.
    for number in 0..40 {
        ann.say(&format!("{number} {}", "word ".repeat(700)));
    }
    for call in ["backup", "export"] {
        let mut child = Command::new(binary())
            .args([call, "-"])
            .current_dir(server.folder().path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut begin = [0; 100];
        let mut pipe = child.stdout.take().expect("piped");
        pipe.read_exact(&mut begin).expect("it begins");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{call}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{call}: {said}");
    }
}

#[test]
fn a_damaged_row_is_copied_as_it_is_and_told() {
    let mut server = Server::core();
    server.connect("ann").say("a text with a mark");
    server.stop();
    let database = server.data().join("veche.db");
    let mut bytes = fs::read(&database).expect("a database");
    let mark = b"with a mark";
    let at = bytes.windows(mark.len()).position(|part| part == mark);
    bytes[at.expect("the text is there")] ^= 1;
    fs::write(&database, bytes).expect("written");
    let output = run(server.folder().path(), ["backup", "copy.tar"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("`messages` "), "{output:?}");
    assert!(server.folder().join("copy.tar").is_file(), "it is written");
}

#[cfg(has_feature = "files")]
#[test]
fn a_folder_of_files_that_the_server_would_not_open_is_not_copied() {
    let mut server = Server::only("files", "");
    let ann = server.connect("ann");
    let upload = ann.request("POST", "/files?name=x");
    upload.body("bytes", "text/plain").send().expect(201);
    server.stop();
    fs::write(server.data().join("files/lock"), "another").expect("written");
    for command in ["backup", "export"] {
        let copied = run(server.folder().path(), [command, "copy"]);
        assert_eq!(copied.status.code(), Some(1), "{copied:?}");
        let said = &copied.stderr;
        assert!(said.contains("another") && said.contains("lock"), "{said}");
        assert!(!server.folder().join("copy").exists(), "{command}");
    }
}
