//! A disk without room, syncs that fail, a folder that can't be used, too few descriptors.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use veche::testing::{Folder, Server, Wire, run, wait_until};

use crate::ledger::{Ledger, Open, config};
use crate::random::Random;
use crate::rounds;
use crate::shim::{Cut, Shim};

/// Posts until everything is refused with this code, and gives what was refused on the way.
fn until_refused(ledger: &Ledger, code: &str, random: &mut Random) -> Vec<Open> {
    let mut all = Vec::new();
    wait_until("posts to be refused", || {
        let refused = ledger.refusals(random);
        let is_all = refused.len() == ledger.writers();
        for (open, status, said) in refused {
            assert_eq!((status, said.as_str()), (503, code));
            all.push(open);
        }
        is_all.then_some(())
    });
    all
}

#[test]
fn a_full_disk_refuses_writes_keeps_nothing_half_and_takes_them_again_by_itself() {
    let mut random = Random::seeded();
    let shim = Shim::new();
    let mut server = shim.around(Server::builder().config(config())).start();
    let ledger = Ledger::new(&server);
    let eve = server.connect("eve");
    let mut events = eve.events();
    for _ in 0..rounds(3) {
        for by in 0..ledger.writers() {
            ledger.write(by, 10, &mut random);
        }
        shim.begin("full");
        // What was refused is not done again: it must not be there.
        until_refused(&ledger, "storage_full", &mut random);
        eve.get("/healthz").expect(503);
        if veche::testing::features(&veche::testing::binary()).contains(&"files".to_owned()) {
            let upload = eve.request("POST", "/files?name=x");
            let upload = upload.body(vec![b'x'; 200_000], "text/plain").send();
            upload.problem(503, "storage_full");
        }
        // Reads and streams go on; nothing that was refused is to be seen.
        ledger.check_by_those_who_are_there();
        assert!(events.arrived().iter().all(|event| event.event != "reset"));
        shim.end("full");
        wait_until("writes to be taken again", || {
            (eve.get("/healthz").status == 200).then_some(())
        });
        eve.read_all();
        ledger.check(true);
    }
    server.kill();
    server.restart();
    ledger.check(true);
    for (path, _) in server.folder().all() {
        let name = path.display().to_string();
        assert!(!name.contains('#'), "half an object is left: {name}");
    }
}

#[test]
fn a_sync_that_fails_ends_acknowledging_until_a_restart_and_nothing_is_lost() {
    let mut random = Random::seeded();
    let shim = Shim::new();
    let mut server = shim.around(Server::builder().config(config())).start();
    let ledger = Ledger::new(&server);
    for round in 0..rounds(4) {
        for by in 0..ledger.writers() {
            ledger.write(by, 10, &mut random);
        }
        shim.begin("fail-sync");
        let mut open = until_refused(&ledger, "storage_failed", &mut random);
        let refusal = server.guest().get("/healthz");
        assert_eq!(refusal.status, 503, "{refusal}");
        // An administrator sees it, and does nothing either.
        assert_eq!(server.told(&["stats"])["writes"], "storage_failed");
        let refused = server.admin(&["remove", "1"]);
        assert!(refused.stderr.contains("storage_failed"), "{refused:?}");
        ledger.check_by_those_who_are_there();
        // A sync that succeeds now says nothing of what the failed one had to keep.
        shim.end("fail-sync");
        let refused = ledger.refusals(&mut random);
        assert_eq!(refused.len(), ledger.writers(), "it takes writes again");
        open.extend(refused.into_iter().map(|(open, ..)| open));
        assert!(server.log().contains("appending a batch"), "it says so");
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        let cut = if random.coin() { Cut::All } else { Cut::Some };
        shim.cut(&server.data(), cut, &mut random);
        server.restart();
        // What was refused may be there, or not: done again, it is there once.
        ledger.settle(open);
        ledger.check(true);
    }
}

/// What `serve` says of a data folder.
fn refused(data: &str, folder: &Folder) -> String {
    let output = run(
        folder.path(),
        ["serve", "--listen", "127.0.0.1:0", "--data", data],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    output.stderr
}

#[test]
fn a_data_folder_that_can_not_be_used_is_a_clear_refusal() {
    let folder = Folder::new();
    let said = refused("missing/data", &folder);
    assert!(
        said.contains("missing/data") && said.contains("No such file"),
        "{said}"
    );

    folder.write("file", "");
    let said = refused("file", &folder);
    assert!(
        said.contains("file") && said.contains("Not a directory"),
        "{said}"
    );

    // Nobody may write there, not even root.
    let said = refused("/proc/self/fdinfo", &folder);
    assert!(said.contains("/proc/self/fdinfo"), "{said}");

    let mut server = Server::start();
    server.connect("ann");
    let data = server.data();
    let said = refused(&data.display().to_string(), &folder);
    assert!(
        said.contains("another server uses the data folder"),
        "{said}"
    );
    assert!(server.stop().success());

    let newer = rusqlite::Connection::open(data.join("veche.db")).expect("a database");
    newer
        .execute("UPDATE meta SET value = 99 WHERE key = 'format'", [])
        .expect("a newer format");
    drop(newer);
    let said = refused(&data.display().to_string(), &folder);
    assert!(said.contains("format 99"), "{said}");

    let other = folder.join("other");
    fs::create_dir(&other).expect("a folder");
    let foreign = rusqlite::Connection::open(other.join("veche.db")).expect("a database");
    foreign.execute("CREATE TABLE t (a)", []).expect("a table");
    drop(foreign);
    let said = refused(&other.display().to_string(), &folder);
    assert!(said.contains("of another program"), "{said}");
}

/// A server with a limit of the shell's, such as `-n 300`.
fn limited(limit: &str) -> (Folder, Server) {
    let folder = Folder::new();
    let binary = veche::testing::binary();
    let script = format!(
        "#!/bin/sh\nulimit {limit}\nexec {} \"$@\"\n",
        binary.display()
    );
    let script = folder.write("veche", script);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("it may be run");
    let server = Server::builder().binary(script).config(config()).start();
    (folder, server)
}

#[test]
fn a_limit_of_a_files_size_is_a_full_disk_and_no_end() {
    let (_folder, server) = limited("-f 4000");
    let ann = server.connect("ann");
    let text = "x".repeat(3900);
    let mut kept = 0;
    let refused = wait_until("the limit", || {
        let reply = ann.send("@me", &text);
        kept += usize::from(reply.status == 201);
        (reply.status != 201).then_some(reply)
    });
    refused.problem(503, "storage_full");
    assert!(kept > 50, "{kept}");
    let last = ann.messages("@me").len();
    assert!(last >= 50, "{last}");
    assert_eq!(server.guest().get("/healthz").status, 503, "it says so");
}

#[test]
fn without_descriptors_those_who_are_there_work_and_others_come_when_there_are_some() {
    let (_folder, server) = limited("-n 300");
    let ledger = Ledger::new(&server);
    let mut random = Random::seeded();
    for _ in 0..rounds(2) {
        let eve = server.guest();
        // Those who are there have a connection.
        for by in 0..ledger.writers() {
            ledger.write(by, 1, &mut random);
        }
        let silent: Vec<Wire> = (0..400).map(|_| server.wire()).collect();
        // All that it can have are taken: it says so, or leaves them waiting.
        for by in 0..ledger.writers() {
            ledger.write(by, 10, &mut random);
        }
        ledger.check_by_those_who_are_there();
        drop(silent);
        let begin = Instant::now();
        wait_until("new connections to be taken", || {
            let reply = eve.request("GET", "/healthz").try_send().ok()?;
            (reply.status == 200).then_some(())
        });
        assert!(begin.elapsed() < Duration::from_secs(10));
        ledger.check(true);
    }
    assert!(server.log().contains("fewer descriptors"), "it says so");
}

#[test]
fn a_stop_under_load_keeps_what_was_answered_and_answers_half_an_upload() {
    let mut server = Server::with(config());
    let ledger = Ledger::new(&server);
    let eve = server.connect("eve");
    for _ in 0..rounds(1) {
        let mut events = eve.events();
        let mut halves = Vec::new();
        for (path, kind) in [
            ("/send", "application/json"),
            ("/files?name=x", "text/plain"),
        ] {
            let mut half = server.wire();
            half.write(format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{{\"to\":",
                eve.token
            ));
            halves.push(half);
        }
        let mut random = Random::seeded();
        let open = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..ledger.writers())
                .map(|by| {
                    let mut random = Random::new(random.next());
                    let ledger = &ledger;
                    scope.spawn(move || ledger.write_until_gone(by, &mut random))
                })
                .collect();
            events.next("message");
            let begin = Instant::now();
            server.terminate("TERM");
            for half in &mut halves {
                // Without the feature there is no such path.
                let status = half.response().status();
                assert!(
                    [404, 503].contains(&status),
                    "half a request is answered {status}"
                );
            }
            let status = server.stopped();
            assert_eq!(status.code(), Some(0), "{status}");
            assert!(begin.elapsed() < Duration::from_secs(10));
            let open = writers
                .into_iter()
                .map(|writer| writer.join().expect("it ends"));
            let open: Vec<_> = open.flatten().collect();
            open
        });
        events.end();
        server.restart();
        ledger.settle(open);
        ledger.check(true);
    }
}

#[test]
fn an_upload_that_no_sync_covered_is_refused_alone() {
    if !veche::testing::features(&veche::testing::binary()).contains(&"files".to_owned()) {
        return;
    }
    let shim = Shim::new();
    let server = shim.around(Server::builder().only("files", "")).start();
    let ann = server.connect("ann");
    ann.say("before");
    let upload = || {
        let request = ann.request("POST", "/files?name=x");
        request.body(b"bytes".to_vec(), "text/plain").send()
    };
    shim.begin("fail-sync");
    upload().problem(503, "storage_failed");
    let left = fs::read_dir(server.data().join("files")).expect("a folder");
    let left: Vec<_> = left.flatten().map(|one| one.file_name()).collect();
    assert_eq!(left, ["lock"], "what could not be kept is gone");
    shim.end("fail-sync");
    assert_eq!(server.guest().get("/healthz").status, 200);
    upload().expect(201);
    ann.say("after");
}
