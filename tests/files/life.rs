//! How long a file lives, whatever crashes, and what lies on the disk.

use super::*;

#[test]
fn a_broken_upload_leaves_nothing() {
    let server = server();
    let ann = server.connect("ann");
    drop(half(&server, &ann));
    nothing_stored(&server);
}

#[test]
fn a_killed_server_leaves_nothing_of_an_upload_and_all_of_what_it_answered() {
    let mut server = server();
    let ann = server.connect("ann");
    let kept = upload(&ann, "kept", b"kept");
    let wire = half(&server, &ann);
    server.kill();
    drop(wire);
    assert_eq!(stored(&server).len(), 2, "what was killed lies there");
    // As if it had been killed between the object and its row.
    let stray = server
        .data()
        .join("files/3f1c2a9e-6f0b-4c55-9d0e-4d1c8a7be2f0");
    fs::write(&stray, "stray").expect("written");
    let foreign = server.data().join("files/README");
    fs::write(&foreign, "not ours").expect("written");
    server.restart();
    assert_eq!(get(&ann, &kept).text, "kept");
    fs::remove_file(&foreign).expect("what is not ours stays");
    assert_eq!(stored(&server).len(), 1);
    send(&ann, "common", &kept).expect(201);
}

#[test]
fn a_file_goes_with_the_last_message_that_holds_it() {
    if !has("ttl") {
        return;
    }
    let mut server = Server::with("[features.ttl]\nafter = \"2s\"\nundelivered = \"2s\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "secret-name.txt", b"secret-content");
    send(&ann, "common", &file).expect(201);
    send(&bob, "common", &file).expect(201);
    let mut events = bob.events();
    events.next("removed");
    wait_until("the file to be gone", || {
        get(&bob, &file).status.eq(&404).then_some(())
    });
    get(&ann, &file).problem(404, "not_found");
    nothing_stored(&server);
    server.forgets(Duration::from_secs(60), "secret-content");
    server.forgets(Duration::from_secs(60), "secret-name");
    // Nor is it there after a stop at once, or a kill.
    for kill in [false, true] {
        let file = upload(&ann, "x", b"secret-content");
        let sent = send(&ann, "common", &file).expect(201);
        if kill {
            server.kill();
        } else {
            server.stop();
        }
        wait_until("its end to come", || {
            let end = sent["expires"]
                .as_str()?
                .parse::<veche::prelude::Time>()
                .ok()?;
            (now() > end.0).then_some(())
        });
        server.restart();
        nothing_stored(&server);
    }
}

#[test]
fn an_upload_that_is_never_sent_is_gone_after_a_while() {
    let server = Server::only("files", "orphan = \"1s\"");
    let ann = server.connect("ann");
    let sent = upload(&ann, "sent", b"sent");
    let forgotten = upload(&ann, "forgotten", b"forgotten");
    send(&ann, "@me", &sent).expect(201);
    wait_until("the upload to be forgotten", || {
        get(&ann, &forgotten).status.eq(&404).then_some(())
    });
    send(&ann, "common", &forgotten).problem(404, "not_found");
    wait_until("one file to be left", || {
        (stored(&server).len() == 1).then_some(())
    });
    assert_eq!(get(&ann, &sent).text, "sent");
}

#[test]
fn switched_off_it_leaves_no_trace_and_keeps_its_files() {
    let mut server = server();
    let ann = server.connect("ann");
    let file = upload(&ann, "a", b"a");
    send(&ann, "common", &file).expect(201);
    let on = server.config().to_owned();
    server.configure(on.replace("enabled = true", "enabled = false"));
    server.restart();
    raw(&ann, "b", b"b").problem(404, "feature_off");
    get(&ann, &file).problem(404, "feature_off");
    assert_eq!(ann.messages("common")[0].get("file"), None);
    let ignored = ann.post(
        "/send",
        &json!({"to": "@me", "text": "a", "file": file["id"]}),
    );
    assert_eq!(ignored.expect(201).get("file"), None);
    server.configure(on);
    server.restart();
    assert_eq!(ann.messages("common")[0]["file"], file);
    assert_eq!(get(&ann, &file).text, "a");
}

#[test]
fn a_backup_has_the_files() {
    let server = server();
    let ann = server.connect("ann");
    let file = upload(&ann, "a", b"in the backup");
    send(&ann, "common", &file).expect(201);
    let folder = server.folder();
    let written = run(folder.path(), ["backup", "backup.tar"]);
    assert!(written.status.success(), "{written:?}");
    let restored = Folder::new();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(folder.join("backup.tar"))
        .current_dir(restored.path())
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()));
    let id = file["id"].as_str().unwrap_or_default();
    let copy = fs::read(restored.join("files").join(id)).expect("the file");
    assert!(copy.starts_with(b"in the backup"), "its checksums follow");
    assert!(
        !restored.join("files/lock").exists(),
        "it is to be another history's"
    );
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let elsewhere = Folder::new();
    let setting = format!("dir = {:?}", elsewhere.path());
    let mut one = Server::only("files", &setting);
    let ann = one.connect("ann");
    let file = upload(&ann, "a", b"a");
    assert!(elsewhere.join(file["id"].as_str().unwrap_or("?")).is_file());
    let other = Folder::new();
    other.write("config.toml", one.config());
    let refused = |what: &str| {
        let tried = run(other.path(), ["--listen", "127.0.0.1:0"]);
        let said = tried.stderr;
        assert!(!tried.status.success() && said.contains(what), "{said}");
    };
    refused("another server uses the folder");
    one.stop();
    refused("belong to another history");
    fs::remove_file(elsewhere.join("lock")).expect("a file");
    refused("of which this history knows none");
    assert!(elsewhere.join(file["id"].as_str().unwrap_or("?")).is_file());
    one.restart();
    assert_eq!(get(&ann, &file).text, "a");
}
