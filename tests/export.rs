//! Export and import: everything as lines of JSON, and the same server again made of them.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use veche::testing::{Client, Folder, Output, Server, binary, encode, features, run, wait_until};

/// A server on which every feature was used.
fn used(server: &Server) -> Vec<Client> {
    let has = |name: &str| features(&binary()).iter().any(|known| known == name);
    let ann = server.client(&json!({"name": "ann", "password": "secret"}));
    let [bob, cat] = ["bob", "cat"].map(|name| server.connect(name));
    for number in 0..20 {
        ann.say(&format!(
            "{number}: \u{1f984} \"quoted\" \u{0}\u{2028} {}",
            "x".repeat(number * 90)
        ));
    }
    let private = bob.tell("ann", "between us");
    bob.post_once("a-key", "/send", &json!({"to": "common", "text": "once"}))
        .expect(201);
    bob.read("common", &bob.messages("common")[9]["id"]);
    let gone = cat.say("it was here");
    server.told(&["remove", &gone["id"].to_string()]);
    if has("comments") {
        let path = format!("/messages/{}/comments", private["id"]);
        ann.post(&path, &json!({"text": "a comment"})).expect(201);
    }
    if has("reactions") {
        for (who, emoji, on) in [(&ann, "👍", true), (&bob, "👍", true), (&bob, "👍", false)]
        {
            let body = json!({"message": private["id"], "emoji": emoji, "on": on});
            who.post("/react", &body).expect(200);
        }
    }
    if has("files") {
        for length in [1, 70_000, 200_000] {
            let upload = ann
                .request("POST", "/files?name=x")
                .body(vec![b'a'; length], "text/plain");
            let file = upload.send().expect(201)["id"].clone();
            let message = json!({"to": "@bob", "text": "a file", "file": file});
            ann.post("/send", &message).expect(201);
        }
    }
    if has("rooms") {
        let room = ann.post("/rooms", &json!({"title": "Garden"})).expect(201)["room"].clone();
        let address = room.as_str().unwrap_or_default();
        let path = address.replacen("room:", "/rooms/", 1);
        for who in ["bob", "cat"] {
            ann.post(&format!("{path}/invites"), &json!({"user": who}))
                .expect(201);
        }
        bob.post(&format!("{path}/join"), &json!({})).expect(200);
        bob.send(address, "in the garden").expect(201);
    }
    if has("schedule") {
        let later = json!({"to": "@bob", "text": "later", "in": "5h"});
        ann.post("/scheduled", &later).expect(201);
    }
    if has("complaints") {
        ann.post("/complaints", &json!({"user": "cat", "reason": "why"}))
            .expect(201);
        server.told(&["ban", "cat"]);
    }
    vec![ann, bob, cat]
}

fn export(server: &Server, file: &str) -> String {
    let output = run(server.folder().path(), ["export", file]);
    assert!(output.status.success(), "{output:?}");
    fs::read_to_string(server.folder().join(file)).expect("lines")
}

/// Another server, that does not run, on what an export says.
fn imported(file: &Path, config: &str) -> Server {
    let mut server = Server::with(config);
    server.stop();
    fs::remove_dir_all(server.data()).expect("the data folder goes");
    let output = import(&server, file);
    assert!(output.status.success(), "{output:?}");
    server
}

fn import(server: &Server, file: &Path) -> Output {
    run(server.folder().path(), ["import", &file.to_string_lossy()])
}

/// What each line says, without its checksum and without the header.
fn said(export: &str) -> Vec<Value> {
    let lines = export.lines().skip(1);
    lines
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            line.as_object_mut().expect("an object").remove("crc");
            line
        })
        .collect()
}

/// All that a client is answered to its reading, without what varies with time.
fn seen(client: &Client) -> Vec<Value> {
    let mut paths: Vec<String> = [
        "/status",
        "/users",
        "/unread?limit=200",
        "/rooms",
        "/scheduled",
    ]
    .map(str::to_owned)
    .into();
    let mut seen: Vec<Value> = Vec::new();
    let chats = client.status()["chats"].clone();
    for chat in chats.as_array().into_iter().flatten() {
        let chat = chat["chat"].as_str().unwrap_or_default();
        paths.push(format!("/messages?limit=200&chat={}", encode(chat)));
        for message in client.messages(chat) {
            paths.push(format!("/messages/{}/comments", message["id"]));
            paths.push(format!("/messages/{}/reactions", message["id"]));
            if let Some(url) = message["file"]["url"].as_str() {
                seen.push(client.get(url).text.into());
            }
        }
    }
    for path in paths {
        let mut body = client.get(&path).body;
        forget(&mut body);
        seen.push(body);
    }
    seen
}

/// Takes out what tells when somebody asked; a private message's life begins then, too.
fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["seen", "uptime_s", "online", "expires"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// The world that a server saves at the end of its log.
fn world(server: &mut Server) -> (i64, Vec<u8>) {
    server.configure("[storage]\nsnapshot_every = 1\n");
    server.restart();
    let database = server.data().join("veche.db");
    let world = wait_until("a snapshot of all", || {
        let database = Connection::open(&database).ok()?;
        let last: i64 = database
            .query_row("SELECT max(pos) FROM facts", [], |row| row.get(0))
            .ok()?;
        let sql = "SELECT body FROM snapshots WHERE pos = ?1 ORDER BY part";
        let named: i64 = database
            .query_row("SELECT value FROM meta WHERE key = 'snapshot'", [], |row| {
                row.get(0)
            })
            .ok()?;
        let mut parts = database.prepare(sql).ok()?;
        let parts = parts
            .query_map([last], |row| row.get::<_, Vec<u8>>(0))
            .ok()?;
        let body: Vec<u8> = parts.flatten().flatten().collect();
        (named == last && !body.is_empty()).then_some((last, body))
    });
    server.stop();
    world
}

/// Snapshots are made early, and the log is trimmed behind them.
const TRIMMED: &str = "[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 10\n";

/// Goes on until snapshots are saved, and facts before them are gone.
fn trimmed(server: &Server, client: &Client) {
    let database = server.data().join("veche.db");
    wait_until("the log to be trimmed", || {
        client.tell(&client.name, "a note");
        let database = Connection::open(&database).ok()?;
        let first =
            database.query_row("SELECT min(pos) FROM facts", [], |row| row.get::<_, i64>(0));
        (first.ok()? > 1).then_some(())
    });
}

#[test]
fn an_import_is_the_same_server_row_by_row_and_answer_by_answer() {
    for config in ["", TRIMMED] {
        let mut server = Server::with(config);
        let clients = used(&server);
        export(&server, "running");
        let running = imported(&server.folder().join("running"), config);
        let verified = run(running.folder().path(), ["verify"]);
        assert!(verified.status.success(), "{verified:?}");
        if config == TRIMMED {
            trimmed(&server, &clients[0]);
        }
        server.stop();
        let whole = export(&server, "whole");
        let file = server.folder().join("whole");
        let mut other = imported(&file, config);
        assert_eq!(said(&export(&other, "again")), said(&whole));
        let verified = run(other.folder().path(), ["verify"]);
        assert!(verified.status.success(), "{verified:?}");

        server.restart();
        other.restart();
        for client in &clients {
            let there = Client::new(&other.url(), &client.token);
            let (one, other) = (seen(client), seen(&there));
            assert_eq!(one.len(), other.len());
            let differs = one.iter().zip(&other).find(|(one, other)| one != other);
            assert_eq!(differs, None, "{}", client.name);
            let mut events = there.events_after(&client.cursor());
            assert_eq!(events.any().event, "reset");
        }
        let bob = Client::new(&other.url(), &clients[1].token);
        let again = bob.post_once("a-key", "/send", &json!({"to": "common", "text": "once"}));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        other
            .join(&json!({"name": "ann", "password": "secret"}))
            .expect(200);
        assert_eq!(other.told(&["audit"])["audit"][0]["command"], "remove");
        bob.say("it goes on");
    }
}

#[test]
fn the_world_of_an_import_is_the_same_byte_by_byte() {
    for config in ["", TRIMMED] {
        let mut server = Server::with(config);
        used(&server);
        server.stop();
        export(&server, "whole");
        let file = server.folder().join("whole");
        let mut other = imported(&file, config);
        let (one, another) = (world(&mut server), world(&mut other));
        assert_eq!(one.0, another.0);
        assert!(one.1 == another.1, "the worlds differ");
    }
}

/// The lines again after a change, with checksums that are right.
fn signed(lines: &[String]) -> String {
    let mut sum = 0;
    let mut text = String::new();
    for line in lines {
        let line = line
            .rsplit_once(",\"crc\":")
            .map_or(line.as_str(), |(line, _)| line);
        let mut hasher = crc32fast::Hasher::new_with_initial(sum);
        hasher.update(line.as_bytes());
        sum = hasher.finalize();
        text += &format!("{line},\"crc\":{sum}}}\n");
    }
    text
}

/// An import that must be refused, with these words, and leave nothing behind.
fn refused(folder: &Folder, export: impl AsRef<[u8]>, words: &[&str]) {
    let file = folder.write("damaged", export);
    let file = file.to_string_lossy();
    let output = run(folder.path(), ["import", &file, "--data", "new"]);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?}: {output:?}");
    }
    assert!(!folder.join("new").exists(), "{words:?}: something is left");
}

#[test]
fn an_export_of_the_layout_before_marks_is_read() {
    let server = Server::start();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    // So that there is a row.
    server.told(&["remove", &ann.say("gone")["id"].to_string()]);
    let lines = export(&server, "whole");
    let nothing = ",\"marks\":null,\"marks_sum\":null";
    assert!(lines.contains(nothing), "{lines}");
    let before = lines.lines().map(|line| {
        let line = line.replace("\"format\":4", "\"format\":3");
        line.replace(nothing, "")
    });
    let before: Vec<String> = before.collect();
    let file = server.folder().write("before", signed(&before));
    let mut other = imported(&file, "");
    other.restart();
    let again = Client::new(&other.url(), &ann.token);
    assert_eq!(again.messages("common")[0]["id"], message["id"]);
    assert_eq!(again.texts("common"), ["hello"]);
}

#[test]
fn what_is_not_whole_is_refused_with_its_line_and_leaves_nothing() {
    let server = Server::start();
    used(&server);
    let whole = export(&server, "whole");
    let folder = Folder::new();
    let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    refused(&folder, "", &["line 1:"]);
    refused(&folder, "{\"a\":1}\n", &["line 1:"]);
    for cut in [1, 2, lines.len() / 2, lines.len() - 1] {
        let text: String = lines[..cut]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        refused(&folder, text, &[&format!("line {}:", cut + 1), "cut off"]);
    }
    let bytes = whole.as_bytes();
    let (mut at, mut line) = (0, 1);
    for (place, byte) in bytes.iter().enumerate() {
        if place == at {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            refused(&folder, &damaged, &[&format!("line {line}:")]);
            at += bytes.len() / 12 + 1;
        }
        line += usize::from(*byte == b'\n');
    }
    refused(
        &folder,
        &bytes[..bytes.len() - 9],
        &[&format!("line {}:", lines.len())],
    );
    refused(
        &folder,
        whole.clone() + &lines[1] + "\n",
        &["more behind the end"],
    );

    let newer = |from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[0].contains(from), "{}", lines[0]);
        lines[0] = lines[0].replace(from, to);
        signed(&lines)
    };
    assert_eq!(signed(&lines), whole);
    refused(
        &folder,
        newer("\"export\":1", "\"export\":2"),
        &["line 1:", "newer"],
    );
    refused(
        &folder,
        newer("\"format\":4", "\"format\":99"),
        &["line 1:", "newer"],
    );
    let other = |from: &str, to: &str| {
        let mut lines = lines.clone();
        let place = lines
            .iter()
            .position(|line| line.contains(from))
            .expect("such a line");
        lines[place] = lines[place].replace(from, to);
        (signed(&lines), format!("line {}:", place + 1))
    };
    let (text, line) = other("{\"messages\":", "{\"tomorrow\":");
    refused(&folder, text, &[&line, "tomorrow"]);
    let (text, line) = other("\"author\":", "\"auteur\":");
    refused(&folder, text, &[&line]);
    // A row that is not what was written, whatever its line says.
    let (text, _) = other("between us", "between them");
    refused(&folder, text, &["damaged", "messages"]);
    let output = run(folder.path(), ["import", "nowhere", "--data", "new"]);
    assert!(
        !output.status.success() && output.stderr.contains("nowhere"),
        "{output:?}"
    );
}

#[test]
fn only_an_empty_folder_is_imported_to() {
    let mut server = Server::start();
    let ann = server.connect("ann");
    export(&server, "whole");
    let file = server.folder().join("whole");
    let output = import(&server, &file);
    assert!(
        !output.status.success() && output.stderr.contains("another server"),
        "{output:?}"
    );
    ann.say("undisturbed");
    server.stop();
    let output = import(&server, &file);
    assert!(
        !output.status.success() && output.stderr.contains("empty folder"),
        "{output:?}"
    );
    server.restart();
    assert_eq!(ann.texts("common"), ["undisturbed"]);
    let folder = Folder::new();
    fs::create_dir(folder.join("data")).expect("a folder");
    folder.write("data/precious", "precious");
    let output = run(folder.path(), ["import", &file.to_string_lossy()]);
    assert!(
        !output.status.success() && output.stderr.contains("precious"),
        "{output:?}"
    );
    assert_eq!(
        fs::read(folder.join("data/precious")).expect("a file"),
        b"precious"
    );
}

#[test]
fn one_that_is_killed_leaves_no_server_and_the_next_begins_anew() {
    let server = Server::start();
    used(&server);
    let whole = export(&server, "whole");
    let folder = Folder::new();
    let mut killed = Command::new(binary())
        .args(["import", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = killed.stdin.take().expect("piped");
    let half = &whole.as_bytes()[..whole.len() / 2];
    pipe.write_all(half).expect("it reads");
    wait_until("it to be at work", || {
        folder
            .join("data/import.part/veche.db")
            .exists()
            .then_some(())
    });
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    assert!(!folder.join("data/veche.db").exists());
    for command in ["serve", "verify", "export"] {
        let to = (command == "export").then_some("elsewhere");
        let refused = run(folder.path(), [command].into_iter().chain(to));
        let said = &refused.stderr;
        assert!(said.contains("was broken off"), "{command}: {said}");
        assert_eq!(refused.status.code(), Some(1), "{command}");
    }
    let file = server.folder().join("whole");
    let output = run(folder.path(), ["import", &file.to_string_lossy()]);
    assert!(output.status.success(), "{output:?}");
    assert!(!folder.join("data/import.part").exists());
    let verified = run(folder.path(), ["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn an_export_that_lost_lines_is_refused_though_each_checksum_is_right() {
    let has_files = features(&binary()).iter().any(|known| known == "files");
    let server = Server::start();
    used(&server);
    let whole = export(&server, "whole.jsonl");
    for lost in ["file", "messages", "facts"] {
        let begin = format!("{{\"{lost}\":");
        if lost == "file" && !has_files {
            continue;
        }
        // With as many lines as the end says, too, and with no word of their kinds.
        for tells_kinds in [true, false] {
            let (mut sum, mut lines, mut text) = (0, 0, String::new());
            for line in whole.lines().filter(|line| !line.starts_with(&begin)) {
                let (line, _) = line.rsplit_once(",\"crc\":").expect("a checksum");
                let mut line = line.to_owned();
                if line.starts_with("{\"end\"") {
                    let (_, kinds) = line.split_once(",\"kinds\"").expect("kinds");
                    line = match tells_kinds {
                        true => format!("{{\"end\":{{\"lines\":{lines},\"kinds\"{kinds}"),
                        false => format!("{{\"end\":{{\"lines\":{lines}}}"),
                    };
                }
                let mut hasher = crc32fast::Hasher::new_with_initial(sum);
                hasher.update(line.as_bytes());
                sum = hasher.finalize();
                lines += 1;
                text.push_str(&format!("{line},\"crc\":{sum}}}\n"));
            }
            let folder = Folder::new();
            let file = folder.write("cut.jsonl", text);
            let words = ["import".as_ref(), file.as_os_str()];
            let output = run(folder.path(), words);
            // Files are named by rows; of the rest only the end knows.
            if tells_kinds || lost == "file" {
                assert_eq!(output.status.code(), Some(1), "{lost}: {output:?}");
                assert!(!folder.join("data").exists(), "{lost}: something is left");
            }
        }
    }
}
