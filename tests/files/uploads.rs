//! Uploading: forms and bare files, names, limits.

use super::*;

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
