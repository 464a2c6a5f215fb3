//! The files feature: uploaded, sent, seen by whom it concerns, and gone with the last message.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Folder, Reply, Server, binary, features, run, wait_until};

/// What the default allows.
const MAX: usize = 5 * 1024 * 1024;

fn server() -> Server {
    Server::only("files", "")
}

fn upload(client: &Client, name: &str, bytes: &[u8]) -> Value {
    raw(client, name, bytes).expect(201)
}

fn raw(client: &Client, name: &str, bytes: &[u8]) -> Reply {
    let path = format!("/files?name={}", veche::testing::encode(name));
    client
        .request("POST", &path)
        .body(bytes, "text/plain")
        .send()
}

/// A form with these parts: name, file name, bytes.
fn form(client: &Client, parts: &[(&str, Option<&str>, &[u8])]) -> Reply {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    let request = client.request("POST", "/files");
    request.body(body, "multipart/form-data; boundary=b").send()
}

fn send(client: &Client, to: &str, file: &Value) -> Reply {
    client.post("/send", &json!({"to": to, "file": file["id"]}))
}

fn get(client: &Client, file: &Value) -> Reply {
    client.get(file["url"].as_str().unwrap_or_default())
}

/// Whether another feature is there: its file may be taken out.
fn has(feature: &str) -> bool {
    features(&binary()).iter().any(|name| name == feature)
}

/// The objects on the disk, whole or in the making.
fn stored(server: &Server) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.data().join("files"))
        .into_iter()
        .flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.file_name().is_some_and(|name| name != "lock"))
        .collect()
}

fn nothing_stored(server: &Server) {
    wait_until("the folder of the files to be empty", || {
        stored(server).is_empty().then_some(())
    });
}

#[test]
fn a_file_is_uploaded_in_a_form_or_bare_and_sent() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let bare = upload(&ann, "notes.txt", b"bread, salt");
    assert_eq!(bare["name"], "notes.txt");
    assert_eq!(bare["type"], "text/plain");
    assert_eq!(bare["size"], 11);
    assert_eq!(
        bare["url"],
        format!("/files/{}", bare["id"].as_str().unwrap_or("?"))
    );
    let sha = "d757105715f86064cdb28b92b62a4cdf4e827bc0607f2c8cd9142fe05b3b505b";
    assert_eq!(bare["sha256"], sha);
    let formed = form(
        &ann,
        &[
            ("comment", None, b"ignored"),
            ("file", Some("x.bin"), b"a\r\n--c"),
            ("more", None, b"ignored"),
        ],
    );
    let formed = formed.expect(201);
    assert_eq!(
        (&formed["name"], &formed["size"]),
        (&json!("x.bin"), &json!(6))
    );
    assert_eq!(formed["type"], "application/octet-stream");

    let cursor = bob.cursor();
    let mut events = bob.events();
    let sent = send(&ann, "common", &bare).expect(201);
    assert_eq!((&sent["text"], &sent["file"]), (&json!(""), &bare));
    assert_eq!(events.next("message").data, sent);
    assert_eq!(bob.messages("common"), std::slice::from_ref(&sent));
    assert_eq!(bob.unread(), std::slice::from_ref(&sent));
    assert_eq!(bob.chat("common")["last"], sent);
    let path = format!("/messages/{}", sent["id"]);
    assert_eq!(bob.get(&path).expect(200), sent);
    let mut resumed = bob.events_after(&cursor);
    assert_eq!(resumed.next("message").data, sent);
    assert_eq!(get(&bob, &bare).text, "bread, salt");

    let both = json!({"to": "common", "file": formed["id"], "text": "look"});
    let both = ann.post("/send", &both).expect(201);
    assert_eq!((&both["text"], &both["file"]), (&json!("look"), &formed));
}

#[test]
fn what_is_no_file_is_refused() {
    let server = server();
    let ann = server.connect("ann");
    for file in [json!("3f1c2a9e-6f0b-4c55-9d0e-4d1c8a7be2f0"), json!("x")] {
        let body = json!({"to": "common", "file": file, "text": "a"});
        ann.post("/send", &body).problem(404, "not_found");
    }
    for file in [json!(5), json!({}), json!(["a"])] {
        let body = json!({"to": "common", "file": file});
        let refused = ann.post("/send", &body).problem(422, "invalid");
        assert_eq!(refused["field"], "file");
    }
    let empty = ann.post("/send", &json!({"to": "common", "file": null}));
    assert_eq!(empty.problem(422, "invalid")["field"], "text");
    for path in ["/files/x", "/files/3f1c2a9e-6f0b-4c55-9d0e-4d1c8a7be2f0"] {
        ann.get(path).problem(404, "not_found");
    }
    assert_eq!(ann.messages("common"), Vec::<Value>::new());
}

#[test]
fn a_file_is_seen_by_its_uploader_and_by_those_who_see_its_message() {
    let server = server();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let file = upload(&ann, "a", b"for bob");
    get(&ann, &file).expect(200);
    get(&bob, &file).problem(404, "not_found");
    send(&bob, "common", &file).problem(404, "not_found");
    send(&ann, "@bob", &file).expect(201);
    assert_eq!(get(&bob, &file).text, "for bob");
    get(&eve, &file).problem(404, "not_found");
    send(&eve, "@me", &file).problem(404, "not_found");
    // Who sees it may send it on.
    send(&bob, "@eve", &file).expect(201);
    assert_eq!(get(&eve, &file).text, "for bob");
    server.guest().get("/files/x").problem(401, "unauthorized");
}

#[test]
fn what_is_too_large_is_refused_and_leaves_nothing() {
    let server = server();
    let ann = server.connect("ann");
    upload(&ann, "fits", &vec![b'x'; MAX]);
    let over = vec![b'x'; MAX + 1];
    assert_eq!(
        raw(&ann, "over", &over).problem(413, "too_large")["max"],
        MAX
    );
    form(&ann, &[("file", Some("over"), &over)]).problem(413, "too_large");
    let junk = vec![b'x'; 300 * 1024];
    for parts in [
        [("junk", None, &junk[..]), ("file", Some("a"), b"a")],
        [("file", Some("a"), b"a"), ("junk", None, &junk[..])],
    ] {
        form(&ann, &parts).problem(413, "too_large");
    }
    // Before it is read, where its length is told: the client waits for the word to go on.
    let mut wire = server.wire();
    wire.write(format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        ann.token,
        MAX + 1
    ));
    assert_eq!(wire.response().status(), 413);
    // And while it is read, where it is not.
    let mut wire = server.wire();
    wire.write(format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        ann.token,
        over.len()
    ));
    // The server may stop reading at the bound.
    let _ = wire.try_write(&over);
    assert_eq!(wire.response().status(), 413);
    wait_until("what was refused to be gone", || {
        (stored(&server).len() == 1).then_some(())
    });
}

#[test]
fn a_form_without_a_file_or_with_two_or_without_an_end_is_refused() {
    let server = server();
    let ann = server.connect("ann");
    let refused = form(&ann, &[("other", Some("a"), b"a")]).problem(422, "invalid");
    assert_eq!(refused["field"], "file");
    let two = [("file", Some("a"), &b"a"[..]), ("file", Some("b"), b"b")];
    assert_eq!(form(&ann, &two).problem(422, "invalid")["field"], "file");
    for (body, kind) in [
        (
            "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhalf",
            "; boundary=b",
        ),
        (
            "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nall\r\n--c--",
            "; boundary=b",
        ),
        ("", "; boundary=b"),
        ("--b--", ""),
    ] {
        let request = ann.request("POST", "/files");
        let kind = format!("multipart/form-data{kind}");
        let reply = request.body(body, &kind).send();
        reply.problem(400, "malformed");
    }
    let base64 = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--";
    let base64 = ann
        .request("POST", "/files")
        .body(base64, "multipart/form-data; boundary=b");
    base64.send().problem(415, "unsupported_type");
    let encoded = ann
        .request("POST", "/files")
        .header("Content-Encoding", "gzip");
    encoded
        .body("a", "text/plain")
        .send()
        .problem(415, "unsupported_type");
    nothing_stored(&server);
}

/// Begins an upload, and waits until some of it is on the disk.
fn half(server: &Server, ann: &Client) -> veche::testing::Wire {
    let mut wire = server.wire();
    wire.write(format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {MAX}\r\n\r\n",
        ann.token
    ));
    wire.write(vec![b'x'; MAX / 2]);
    wait_until("the upload to be under way", || {
        let paths = stored(server);
        let mut parts = paths
            .iter()
            .filter(|path| path.to_string_lossy().contains('#'));
        let begun = parts.any(|path| size(path) > 0);
        begun.then_some(())
    });
    wire
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

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
fn a_name_is_harmless_and_comes_back_as_it_was() {
    let server = server();
    let ann = server.connect("ann");
    for (given, name) in [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
        ("", "file"),
        ("na\u{ef}ve \u{1f600}.txt", "na\u{ef}ve \u{1f600}.txt"),
    ] {
        let file = upload(&ann, given, b"a");
        assert_eq!(file["name"], name, "{given:?}");
        let reply = get(&ann, &file);
        let told = reply.header("Content-Disposition").unwrap_or_default();
        assert!(told.starts_with("attachment; filename=\""), "{told}");
    }
    let file = upload(&ann, "na\u{ef}ve \"1\".txt", b"a");
    assert_eq!(
        get(&ann, &file).header("Content-Disposition"),
        Some("attachment; filename=\"na_ve _1_.txt\"; filename*=UTF-8''na%C3%AFve%20%221%22.txt")
    );
    let tricky = form(&ann, &[("file", Some("/tmp/../x.sh"), b"a")]).expect(201);
    assert_eq!(tricky["name"], "x.sh");
    let names: Vec<_> = server
        .folder()
        .all()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert!(
        names
            .iter()
            .all(|path| !path.ends_with("passwd") && !path.ends_with("x.sh")),
        "a name of a client is a name on the disk: {names:?}"
    );
}

#[test]
fn nothing_that_is_uploaded_acts_in_a_browser() {
    let server = server();
    let ann = server.connect("ann");
    for kind in [
        "text/html",
        "image/svg+xml",
        "text/html; charset=utf-7",
        "nonsense",
    ] {
        let request = ann.request("POST", "/files?name=a.html");
        let file = request
            .body("<script>alert(1)</script>", kind)
            .send()
            .expect(201);
        let reply = get(&ann, &file);
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("X-Content-Type-Options"), "nosniff");
        assert_eq!(
            header("Content-Security-Policy"),
            "default-src 'none'; sandbox"
        );
        assert!(header("Content-Disposition").starts_with("attachment"));
        let told = if kind == "nonsense" {
            "application/octet-stream"
        } else {
            kind
        };
        assert_eq!(header("Content-Type"), told);
    }
}

#[test]
fn a_part_is_given_and_what_one_has_is_not() {
    let server = server();
    let ann = server.connect("ann");
    let file = upload(&ann, "digits", b"0123456789");
    let url = file["url"].as_str().unwrap_or_default();
    let asked = |headers: &[(&str, &str)]| {
        let request = ann.request("GET", url);
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    };
    let whole = asked(&[]);
    let etag = whole.header("ETag").unwrap_or_default().to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", file["sha256"].as_str().unwrap_or("?"))
    );
    assert_eq!(whole.header("Accept-Ranges"), Some("bytes"));
    assert_eq!((whole.status, &*whole.text), (200, "0123456789"));
    let part = asked(&[("Range", "bytes=2-4"), ("If-Range", &etag)]);
    assert_eq!((part.status, &*part.text), (206, "234"));
    assert_eq!(part.header("Content-Range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("Content-Length"), Some("3"));
    assert_eq!(asked(&[("Range", "bytes=-3")]).text, "789");
    let other = asked(&[("Range", "bytes=2-4"), ("If-Range", "\"x\"")]);
    assert_eq!((other.status, other.text.len()), (200, 10));
    let none = asked(&[("Range", "bytes=10-")]);
    none.problem(416, "range_not_satisfiable");
    assert_eq!(none.header("Content-Range"), Some("bytes */10"));
    let known = asked(&[("If-None-Match", &etag)]);
    assert_eq!((known.status, known.text.len()), (304, 0));
    assert_eq!(known.header("ETag"), Some(&*etag));
    asked(&[("If-Match", "\"x\"")]).problem(412, "precondition_failed");
    let head = ann.head(url);
    assert_eq!(
        (head.status, head.header("Content-Length")),
        (200, Some("10"))
    );
    let empty = upload(&ann, "empty", b"");
    assert_eq!(
        (get(&ann, &empty).status, get(&ann, &empty).text.len()),
        (200, 0)
    );
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

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0))
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
fn only_so_many_uploads_of_one_user_may_wait() {
    let server = Server::only("files", "pending = 2");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let first = upload(&ann, "a", b"a");
    upload(&ann, "b", b"b");
    let refused = raw(&ann, "c", b"c");
    refused.problem(429, "too_many_uploads");
    assert!(refused.retry_after() > Duration::from_secs(3000));
    upload(&bob, "a", b"a");
    send(&ann, "common", &first).expect(201);
    upload(&ann, "c", b"c");
}

#[test]
fn a_repeated_upload_is_one() {
    let mut server = server();
    let ann = server.connect("ann");
    let once = |bytes: &str, name: &str| {
        let request = ann.request("POST", &format!("/files?name={name}"));
        let request = request.header("Idempotency-Key", "k");
        request.body(bytes, "text/plain").send()
    };
    let first = once("a", "a.txt").expect(201);
    let again = once("a", "a.txt");
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
    once("b", "a.txt").problem(422, "key_reused");
    once("a", "b.txt").problem(422, "key_reused");
    wait_until("one file to be left", || {
        (stored(&server).len() == 1).then_some(())
    });
    server.restart();
    assert_eq!(once("a", "a.txt").expect(201), first);
}

#[test]
fn who_is_banned_may_not_upload() {
    if !has("complaints") {
        return;
    }
    let server = Server::with("[features.complaints]\nwarnings = 1");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "a", b"a");
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    raw(&ann, "b", b"b").problem(403, "banned");
    send(&ann, "common", &file).problem(403, "banned");
    // They are told before they have sent it all.
    let mut wire = server.wire();
    wire.write(format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {MAX}\r\nExpect: 100-continue\r\n\r\n",
        ann.token
    ));
    assert_eq!(wire.response().status(), 403);
}

#[test]
fn a_file_can_be_sent_later() {
    if !has("schedule") {
        return;
    }
    let server = Server::with("[features.files]\norphan = \"1s\"");
    let ann = server.connect("ann");
    let [sent, cancelled] = ["sent", "cancelled"].map(|name| upload(&ann, name, b"a"));
    let later = |file: &Value, delay: &str| {
        let body = json!({"to": "common", "file": file["id"], "in": delay});
        let made = ann.post("/scheduled", &body).expect(201);
        assert_eq!((&made["text"], &made["file"]), (&json!(""), file));
        made
    };
    later(&sent, "2s");
    let waits = later(&cancelled, "1h");
    let mut events = ann.events();
    let message = events.next("message").data;
    assert_eq!(message["file"], sent);
    assert_eq!(get(&ann, &sent).text, "a");
    assert_eq!(get(&ann, &cancelled).text, "a", "what waits is no orphan");
    let path = format!("/scheduled/{}", waits["id"].as_str().unwrap_or("?"));
    ann.delete(&path).expect(204);
    get(&ann, &cancelled).problem(404, "not_found");
    wait_until("one file to be left", || {
        (stored(&server).len() == 1).then_some(())
    });
    let unknown = json!({"to": "common", "file": cancelled["id"], "in": "1h"});
    ann.post("/scheduled", &unknown).problem(404, "not_found");
}

#[test]
fn a_rooms_file_is_for_its_members() {
    if !has("rooms") {
        return;
    }
    let server = Server::start();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let room = ann.post("/rooms", &json!({"title": "Garden"})).expect(201);
    let room = room["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/rooms/{}", room.trim_start_matches("room:"));
    let before = upload(&ann, "before", b"before");
    send(&ann, &room, &before).expect(201);
    ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
        .expect(201);
    bob.post(&format!("{path}/join"), &json!({})).expect(200);
    let file = upload(&ann, "a", b"for the room");
    send(&ann, &room, &file).expect(201);
    assert_eq!(get(&bob, &file).text, "for the room");
    get(&bob, &before).problem(404, "not_found");
    get(&eve, &file).problem(404, "not_found");
    ann.delete(&format!("{path}/members/bob")).expect(204);
    get(&bob, &file).problem(404, "not_found");
    send(&bob, "common", &file).problem(404, "not_found");
    get(&ann, &file).expect(200);
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
    assert_eq!(copy, b"in the backup");
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
    one.restart();
    assert_eq!(get(&ann, &file).text, "a");
}

#[test]
fn to_plan_keeps_nobody_elses_file_from_ending() {
    if !(has("schedule") && has("ttl")) {
        return;
    }
    let server = Server::with("[features.ttl]\nafter = \"1s\"");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "a", b"a");
    send(&ann, "common", &file).expect(201);
    let mut events = bob.events();
    let later = json!({"to": "@me", "file": file["id"], "in": "2s"});
    bob.post("/scheduled", &later).expect(201);
    events.next("removed");
    nothing_stored(&server);
    let failed = events.next("scheduled_failed").data;
    assert_eq!(failed["reason"], "not_found");
}

#[test]
fn what_cannot_be_sent_later_lets_its_file_go() {
    if !(has("schedule") && has("complaints")) {
        return;
    }
    let server = Server::with("[features.complaints]\nwarnings = 1");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let file = upload(&ann, "a", b"a");
    let mut events = ann.events();
    let later = json!({"to": "common", "file": file["id"], "text": "look", "in": "1s"});
    ann.post("/scheduled", &later).expect(201);
    bob.post("/complaints", &json!({"user": "ann"})).expect(201);
    assert_eq!(events.next("scheduled_failed").data["reason"], "banned");
    nothing_stored(&server);
    let list = ann.get("/scheduled").expect(200);
    assert_eq!(list["scheduled"][0]["text"], "look");
}

#[test]
fn where_it_is_off_what_was_to_be_sent_later_shows_no_file_and_says_nothing_without() {
    if !has("schedule") {
        return;
    }
    let mut server = Server::start();
    let ann = server.connect("ann");
    let file = upload(&ann, "a", b"a");
    let cursor = ann.cursor();
    for text in ["", "with words"] {
        let later = json!({"to": "common", "file": file["id"], "text": text, "in": "2s"});
        ann.post("/scheduled", &later).expect(201);
    }
    server.configure("[features.files]\nenabled = false");
    server.restart();
    let list = ann.get("/scheduled").expect(200);
    assert_eq!(list["scheduled"].as_array().map(Vec::len), Some(2));
    assert!(!list.to_string().contains("file"), "{list}");
    let mut events = ann.events_after(&cursor);
    assert_eq!(events.next("scheduled").data.get("file"), None);
    assert_eq!(events.next("message").data["text"], "with words");
    let list = ann.get("/scheduled").expect(200);
    let reasons: Vec<_> = list["scheduled"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["reason"])
        .collect();
    assert!(reasons.contains(&&json!("invalid")), "{list}");
    assert_eq!(ann.texts("common"), ["with words"]);
}

#[test]
fn a_file_that_is_lost_is_an_error_in_the_answer_and_in_the_log() {
    let server = server();
    let ann = server.connect("ann");
    let [lost, cut] = ["lost", "cut"].map(|name| upload(&ann, name, b"0123456789"));
    let place = |file: &Value| {
        server
            .data()
            .join("files")
            .join(file["id"].as_str().unwrap_or("?"))
    };
    assert!(fs::remove_file(place(&lost)).is_ok() && fs::write(place(&cut), "012").is_ok());
    for file in [&lost, &cut] {
        get(&ann, file).problem(500, "internal");
        let id = file["id"].as_str().unwrap_or("?");
        wait_until("the log to name it", || {
            server.log().contains(id).then_some(())
        });
    }
}

#[test]
fn whether_somebody_sees_a_file_is_known_at_once_however_many_messages_hold_it() {
    let server = server();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| server.connect(name));
    let file = upload(&ann, "a", b"a");
    for _ in 0..2_000 {
        send(&ann, "@bob", &file).expect(201);
    }
    let asked = |client: &Client, url: &str, status: u16| {
        let mut times: Vec<_> = (0..50)
            .map(|_| {
                let begun = std::time::Instant::now();
                assert_eq!(client.get(url).status, status);
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[25]
    };
    let url = file["url"].as_str().unwrap_or_default();
    let unknown = asked(&eve, "/files/3f1c2a9e-6f0b-4c55-9d0e-4d1c8a7be2f0", 404);
    let unseen = asked(&eve, url, 404);
    let seen = asked(&bob, url, 200);
    println!("unknown {unknown:?}, unseen {unseen:?}, seen {seen:?}");
    assert!(
        unseen < unknown * 3 + Duration::from_millis(1),
        "{unseen:?} after {unknown:?}"
    );
}

#[test]
fn only_so_many_uploads_of_one_user_are_under_way_at_once() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let mut wires = Vec::new();
    for count in 1..=64 {
        let mut wire = server.wire();
        wire.write(format!(
            "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
             Content-Length: 5\r\n\r\nhalf",
            ann.token
        ));
        wires.push(wire);
        wait_until("the upload to be under way", || {
            (stored(&server).len() == count).then_some(())
        });
    }
    let refused = raw(&ann, "one more", b"a");
    refused.problem(429, "too_many_uploads");
    assert_eq!(refused.retry_after(), Duration::from_secs(1));
    upload(&bob, "another's", b"a");
    wires[0].write("!");
    assert_eq!(wires[0].response().status(), 201);
    upload(&ann, "one more", b"a");
}
