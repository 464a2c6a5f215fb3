//! Files in a bucket of S3 instead of a folder.

use super::bucket::{Buckets, KEY, READER, SECRET};
use super::*;

fn server_on(buckets: &Buckets) -> Server {
    Server::only("files", &buckets.settings())
}

fn id(file: &Value) -> String {
    file["id"].as_str().unwrap_or_default().to_owned()
}

/// Text of so many bytes, each piece of which is another.
fn long(length: usize) -> String {
    (0..length / 8).map(|at| format!("{at:7} ")).collect()
}

fn part(client: &Client, file: &Value, range: &str) -> Reply {
    let url = file["url"].as_str().unwrap_or_default();
    let request = client.request("GET", url);
    request.header("Range", &format!("bytes={range}")).send()
}

/// Says something with each, and has it removed.
fn removed(server: &Server, ann: &Client, file: &Value) {
    let sent = send(ann, "common", file).expect(201);
    server.told(&["remove", &sent["id"].to_string()]);
}

#[test]
fn a_file_in_a_bucket_is_as_one_in_a_folder() {
    let buckets = Buckets::start();
    let settings = format!("max_size = \"20MiB\"\n{}", buckets.settings());
    let server = Server::only("files", &settings);
    let ann = server.connect("ann");
    // None of it, one piece, many; and more than is put in one call.
    let texts = [0, 8, 600_000, 20 << 20].map(long);
    let files: Vec<Value> = texts
        .iter()
        .map(|text| upload(&ann, "x.txt", text.as_bytes()))
        .collect();
    for (file, text) in files.iter().zip(&texts) {
        let found = get(&ann, file);
        assert_eq!(found.status, 200);
        assert!(found.text == *text, "{} bytes", text.len());
    }
    let (file, text) = (&files[2], &texts[2]);
    for (from, upto) in [
        (0, 0),
        (7, 99),
        (65_535, 65_536),
        (65_536, 131_071),
        (70_000, 400_000),
        (599_999, 599_999),
    ] {
        let found = part(&ann, file, &format!("{from}-{upto}"));
        assert_eq!(found.status, 206);
        assert!(found.text == text[from..=upto], "{from}-{upto}");
    }
    assert!(part(&ann, file, "-100000").text == text[500_000..]);
    assert_eq!(part(&ann, file, "600000-").status, 416);
    // All of it lies there, and no name of a part.
    let mut ids: Vec<String> = files.iter().map(id).collect();
    ids.sort();
    assert_eq!(buckets.objects(), ids);
    assert!(!server.data().join("files").exists());
    for file in &files {
        removed(&server, &ann, file);
    }
    wait_until("the bucket to be empty", || {
        buckets.objects().is_empty().then_some(())
    });
    get(&ann, file).problem(404, "not_found");
}

#[test]
fn what_is_broken_off_leaves_nothing_in_the_bucket_nor_on_the_disk() {
    let buckets = Buckets::start();
    let mut server = server_on(&buckets);
    let ann = server.connect("ann");
    let mut wires: Vec<_> = (0..3)
        .map(|_| {
            let mut wire = server.wire();
            wire.write(format!(
                "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
                 Content-Length: {MAX}\r\n\r\n",
                ann.token
            ));
            wire.write(vec![b'x'; MAX / 2]);
            wire
        })
        .collect();
    drop(wires.pop());
    upload(&ann, "whole", b"whole");
    server.kill();
    server.restart();
    let ann = Client::new(&server.url(), &ann.token);
    let file = upload(&ann, "whole", b"whole again");
    assert_eq!(get(&ann, &file).text, "whole again");
    assert_eq!(buckets.objects().len(), 2, "{:?}", buckets.objects());
    let lies_about: Vec<PathBuf> = fs::read_dir(server.data())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "part"))
        .collect();
    assert!(lies_about.is_empty(), "{lies_about:?}");
}

#[test]
fn a_bucket_that_is_away_is_waited_for_by_whom_it_concerns_alone() {
    let buckets = Buckets::away();
    let settings = buckets.settings().replace("\"10s\"", "\"1s\"");
    let server = Server::only("files", &settings);
    assert!(server.log().contains("does not answer"), "{}", server.log());
    let ann = server.connect("ann");
    let refused = |reply: Reply| {
        reply.problem(503, "no_store");
        assert!(reply.retry_after() >= Duration::from_secs(1));
    };
    // Its first answers may take long.
    let upload = |ann: &Client, name: &str, bytes: &[u8]| {
        wait_until("an upload", || {
            let reply = raw(ann, name, bytes);
            (reply.status != 503).then(|| reply.expect(201))
        })
    };
    refused(raw(&ann, "a", b"a"));
    ann.say("the rest goes on");
    buckets.launch();
    let file = upload(&ann, "a", b"a");
    let sent = send(&ann, "common", &file).expect(201);
    buckets.kill();
    refused(get(&ann, &file));
    refused(raw(&ann, "b", b"b"));
    // The message goes at once, and the object when it can.
    server.told(&["remove", &sent["id"].to_string()]);
    get(&ann, &file).problem(404, "not_found");
    buckets.launch();
    let left = buckets.objects();
    assert!(left.contains(&id(&file)), "{left:?}");
    let other = upload(&ann, "b", b"b");
    removed(&server, &ann, &other);
    wait_until("the bucket to be empty", || {
        buckets.objects().is_empty().then_some(())
    });
    // One that says nothing any more costs a wait, and no more than that.
    let file = upload(&ann, "c", b"c");
    buckets.signal("STOP");
    let verified = run(server.folder().path(), ["verify"]);
    assert!(verified.stdout.contains("does not answer"), "{verified:?}");
    let begun = std::time::Instant::now();
    refused(raw(&ann, "d", b"d"));
    refused(get(&ann, &file));
    // Two waits, each twice: until it is their turn, and of what they ask.
    assert!(begun.elapsed() < Duration::from_secs(10));
    buckets.signal("CONT");
    let found = wait_until("the file", || {
        Some(get(&ann, &file)).filter(|found| found.status == 200)
    });
    assert_eq!(found.text, "c");
}

#[test]
fn what_is_wrong_with_a_bucket_is_said_before_it_is_used() {
    let buckets = Buckets::start();
    let mut server = server_on(&buckets);
    let folder = Folder::new();
    let said = |settings: &str, command: &[&str]| {
        let config = format!("[features.files]\n{settings}");
        folder.write("config.toml", config);
        let output = run(folder.path(), command);
        assert!(!output.status.success(), "{settings}: {output:?}");
        output.stderr
    };
    let start = ["--listen", "127.0.0.1:0"];
    let there = buckets.store();
    let right = buckets.write("right", &format!("{KEY}:{SECRET}"));
    let wrong = buckets.write("wrong", &format!("{KEY}:chat-wr0ng"));
    let reader = buckets.write("reader", READER);
    let none = buckets.write("none", "chat-secret");
    for (store, key, what) in [
        ("s3://nowhere/files", &right, "there is no bucket"),
        (&*there, &wrong, "does not let this server in"),
        (
            &format!("{there}-of-another"),
            &reader,
            "does not let this server in",
        ),
        // Another server's are there already.
        (&*there, &right, "belong to another history"),
    ] {
        let said = said(&buckets.settings_with(store, key), &start);
        assert!(said.contains(what), "{said}");
        assert!(!said.contains("wr0ng") && !said.contains(SECRET), "{said}");
    }
    let settings = buckets.settings();
    let unencrypted = settings.replace("allow_http = true", "");
    for (settings, what) in [
        (
            buckets.settings_with("s3:/chat/files", &right),
            "s3://BUCKET",
        ),
        (
            buckets.settings_with("gs://chat/files", &right),
            "s3://BUCKET",
        ),
        (
            buckets.settings_with("s3://a:b@chat", &right),
            "s3://BUCKET",
        ),
        (buckets.settings_with("s3://chat", &none), "KEY_ID:SECRET"),
        (
            buckets.settings_with("s3://chat", Path::new("nowhere")),
            "nowhere",
        ),
        (unencrypted, "allow_http"),
        (settings.clone() + "ca = \"config.toml\"", "config.toml"),
        (settings.replace("http://", "ftp://"), "http or https"),
    ] {
        for command in [&["check"][..], &start] {
            let said = said(&settings, command);
            assert!(said.contains(what), "{command:?} {what}: {said}");
            assert!(!said.contains(SECRET), "{said}");
        }
    }
    // Nor is the key printed where all is right, or logged.
    let printed = run(server.folder().path(), ["check"]);
    assert!(printed.status.success(), "{printed:?}");
    assert!(!printed.stdout.contains(SECRET), "{printed:?}");
    server.stop();
    assert!(!server.log().contains(SECRET) && !server.log().contains(KEY));
}

#[test]
fn the_environment_says_what_the_settings_do_not() {
    let buckets = Buckets::start();
    let settings = buckets.settings();
    let endpoint = settings.split('"').find(|part| part.starts_with("http:"));
    let settings = format!("store = \"{}\"\n[s3]\nallow_http = true", buckets.store());
    let server = Server::builder()
        .only("files", &settings)
        .env("AWS_ENDPOINT_URL", endpoint.unwrap_or_default())
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .start();
    let ann = server.connect("ann");
    let file = upload(&ann, "a", b"a");
    assert_eq!(buckets.objects(), [id(&file)]);
}

#[test]
fn copies_have_what_lies_in_the_bucket_and_damage_is_told() {
    let buckets = Buckets::start();
    let server = server_on(&buckets);
    let ann = server.connect("ann");
    let text = long(200_000);
    let file = upload(&ann, "a.txt", text.as_bytes());
    send(&ann, "common", &file).expect(201);
    let folder = server.folder().path();
    let all = |code| {
        for arguments in [
            &["verify"][..],
            &["backup", "backup.tar"],
            &["export", "out.jsonl"],
        ] {
            let output = run(folder, arguments);
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            if code > 0 && buckets.objects().len() == 1 && arguments[0] != "export" {
                let said = output.stdout + &output.stderr;
                assert!(
                    said.contains(&format!("{}/{}", buckets.store(), id(&file))),
                    "{said}"
                );
            }
        }
    };
    all(0);
    // They lie under the last name of the bucket's prefix, with nobody's name on them.
    let restored = Folder::new();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(server.folder().join("backup.tar"))
        .current_dir(restored.path())
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()));
    assert!(restored.join("files").join(id(&file)).is_file());
    assert!(!restored.join("files/lock").exists());
    let imported = Folder::new();
    let lines = server.folder().join("out.jsonl").display().to_string();
    let output = run(imported.path(), ["import", &lines, "--data", "."]);
    assert!(output.status.success(), "{output:?}");
    assert!(imported.join("files").join(id(&file)).is_file());
    // What has begun can only break off; what has not is refused.
    let whole = buckets.read(&id(&file));
    let mut damaged = whole.clone();
    damaged[70_000] ^= 1;
    buckets.put(&id(&file), &damaged);
    assert!(part(&ann, &file, "0-65535").text == text[..65_536]);
    part(&ann, &file, "66000-").problem(500, "damaged");
    let url = file["url"].as_str().unwrap_or_default();
    assert!(ann.request("GET", url).try_send().is_err());
    all(1);
    buckets.delete(&id(&file));
    get(&ann, &file).problem(500, "damaged");
    all(1);
    buckets.put(&id(&file), &whole);
    all(0);
}
