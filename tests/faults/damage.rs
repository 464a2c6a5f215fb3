//! Files that are cut, or in which a bit flipped: what is cut off is told, what is damaged is named
//! and refused, and nothing else than what was written is ever shown.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use veche::testing::{Client, Folder, Output, Server, features, run};

use crate::ledger::config;
use crate::random::Random;
use crate::rounds;

/// A server with something in every table.
struct Stage {
    server: Server,
    people: Vec<Client>,
    /// What is asked for, by whom.
    asked: Vec<(usize, String)>,
}

impl Stage {
    fn new(config: String) -> Self {
        let server = Server::with(config);
        let has = features(&veche::testing::binary());
        let has = |name: &str| has.iter().any(|has| has == name);
        let people: Vec<_> = ["ann", "bob"].map(|name| server.connect(name)).into();
        let (ann, bob) = (&people[0], &people[1]);
        let mut asked = Vec::new();
        for number in 0..60 {
            let message = ann.say(&format!("{number} {}", "x".repeat(number * 7)));
            ann.tell("bob", &format!("to bob {number}"));
            if number % 5 == 0 {
                asked.push((1, format!("/messages/{}", message["id"])));
            }
            if has("comments") && number % 5 == 0 {
                let path = format!("/messages/{}/comments", message["id"]);
                bob.post(&path, &json!({ "text": format!("comment {number}") }));
                asked.push((0, path));
            }
            if has("reactions") && number % 5 == 0 {
                for (who, emoji) in [(ann, "👍"), (bob, "👍"), (bob, "🎉")] {
                    let body = json!({ "message": message["id"], "emoji": emoji });
                    who.post("/react", &body).expect(200);
                }
                asked.push((0, format!("/messages/{}/reactions", message["id"])));
            }
            if has("files") && number % 20 == 0 {
                let upload = ann.request("POST", "/files?name=x");
                let bytes = vec![b'a'; 1000 + number * 5_000];
                let file = upload.body(bytes, "text/plain").send().expect(201);
                let body = json!({ "to": "common", "file": file["id"] });
                ann.post("/send", &body).expect(201);
                asked.push((1, file["url"].as_str().unwrap_or_default().to_owned()));
            }
        }
        if has("rooms") {
            let room = ann.post("/rooms", &json!({ "title": "room" })).expect(201);
            let room = room["room"].as_str().unwrap_or_default().to_owned();
            for number in 0..10 {
                ann.send(&room, &format!("in the room {number}"))
                    .expect(201);
            }
            asked.push((0, format!("/messages?chat={room}")));
        }
        if has("schedule") {
            let body = json!({ "to": "@bob", "text": "later", "in": "5h" });
            ann.post("/scheduled", &body).expect(201);
            asked.push((0, "/scheduled".to_owned()));
        }
        for chat in ["common", "@ann", "@bob"] {
            for page in ["", "&before=60", "&after=100", "&after=0&limit=200"] {
                for who in 0..2 {
                    asked.push((who, format!("/messages?chat={chat}{page}")));
                }
            }
        }
        asked.push((1, "/unread?limit=200".to_owned()));
        Self {
            server,
            people,
            asked,
        }
    }

    /// Everything that is asked for, as it is answered now: nothing where it is a refusal in words.
    fn photo(&self) -> Vec<Option<String>> {
        let answers = self.asked.iter().map(|(who, path)| {
            // A file may break off where the damage is.
            let reply = self.people[*who].request("GET", path).try_send().ok()?;
            if reply.status >= 400 {
                let detail = reply.body["detail"].as_str().unwrap_or_default();
                assert!(!detail.is_empty(), "{path}: {reply}");
                return None;
            }
            Some(reply.text)
        });
        answers.collect()
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let path = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &path);
        } else if entry.path().is_file() {
            // A socket that a killed server left is none.
            fs::copy(entry.path(), path).expect("a copy");
        }
    }
}

/// Puts a data folder back as it was.
pub fn restore(kept: &Path, data: &Path) {
    fs::remove_dir_all(data).expect("it goes");
    copy(kept, data);
}

fn verify(data: &Path) -> Output {
    let folder = Folder::new();
    run(
        folder.path(),
        ["verify".as_ref(), "--data".as_ref(), data.as_os_str()],
    )
}

/// Starts it on damaged data: true where it serves, false where it refused and named the damage.
pub fn starts(server: &mut Server) -> bool {
    let before = server.log().len();
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.restart()));
    if started.is_ok() {
        return true;
    }
    let said = server.log()[before..].to_owned();
    let is_named = [
        "damaged",
        "malformed",
        "not a database",
        "can't be read",
        "missing",
        "format",
    ];
    assert!(is_named.iter().any(|word| said.contains(word)), "{said}");
    false
}

/// The entries of a list, without what an index counts.
fn entries(answer: &str) -> Option<Vec<Value>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let fields = answer.as_object()?;
    // A message has lists of its own.
    let is_one = fields.contains_key("text");
    let list = fields
        .values()
        .filter(|_| !is_one)
        .find_map(Value::as_array);
    let mut entries = list.cloned().unwrap_or_else(|| vec![answer]);
    for entry in &mut entries {
        let entry = entry.as_object_mut()?;
        entry.remove("comments");
        let reactions = entry.remove("reactions");
        for one in reactions.iter().filter_map(Value::as_array).flatten() {
            assert!(one["emoji"] == "👍" || one["emoji"] == "🎉", "{one}");
        }
    }
    Some(entries)
}

pub fn flip(path: &Path, at: usize, bit: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn a_bit_that_flipped_is_named_and_never_shown() {
    let mut random = Random::seeded();
    let mut stage = Stage::new(config());
    // What is delivered by that shows its end.
    stage.photo();
    assert!(stage.server.stop().success());
    let data = stage.server.data();
    let kept = stage.server.folder().join("kept");
    copy(&data, &kept);
    stage.server.restart();
    let before = stage.photo();
    assert!(before.iter().all(Option::is_some));
    stage.server.stop();

    let known = before.iter().flatten().filter_map(|answer| entries(answer));
    let known: Vec<Value> = known.flatten().collect();
    let (mut refused, mut unharmed) = (0, 0);
    for _ in 0..rounds(40) {
        restore(&kept, &data);
        let files: Vec<PathBuf> = fs::read_dir(data.join("files"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| !path.ends_with("lock"))
            .collect();
        let file = match random.below(5) {
            0 if !files.is_empty() => random.pick(&files).clone(),
            _ => data.join("veche.db"),
        };
        let length = usize::try_from(fs::metadata(&file).expect("a file").len()).expect("small");
        let (at, bit) = (random.below(length), random.below(8));
        flip(&file, at, bit);
        let place = format!("bit {bit} of byte {at} of {}", file.display());

        let found = verify(&data);
        if !starts(&mut stage.server) {
            assert!(!found.status.success(), "{place}: {found:?}");
            refused += 1;
            continue;
        }
        // Whoever is not let in, for what is damaged, has not taken a name.
        let newcomer = json!({ "name": "newcomer" });
        let joined = stage.server.join(&newcomer);
        if joined.status != 201 {
            joined.problem(500, "damaged");
            assert_ne!(stage.server.join(&newcomer).status, 409, "{place}");
        }
        let after = stage.photo();
        let mut harmed = None;
        for (((_, path), before), after) in stage.asked.iter().zip(&before).zip(&after) {
            let (Some(before), Some(after)) = (before, after) else {
                harmed = Some(path);
                continue;
            };
            if before != after {
                // An index that lost an entry: it may be missing, an older one come into the page, and
                // its comments be fewer, but nothing that somebody wrote is shown wrong.
                let shown = entries(after).unwrap_or_else(|| panic!("{place}: {path}: {after}"));
                for entry in shown {
                    assert!(known.contains(&entry), "{place}: {path}: {entry}");
                }
                harmed = Some(path);
            }
        }
        assert!(
            harmed.is_none() || !found.status.success(),
            "{place} shows in {harmed:?}, and verify says {found:?}"
        );
        unharmed += usize::from(harmed.is_none());
        stage.server.kill();
    }
    println!("{refused} starts refused, {unharmed} flips without harm");
}

#[test]
fn a_damaged_schema_is_a_refusal_that_says_so() {
    let mut server = Server::core();
    server.connect("ann").say("hello");
    server.stop();
    let database = server.data().join("veche.db");
    let bytes = fs::read(&database).expect("a file");
    let find = |from: usize, text: &[u8]| {
        let at = bytes[from..]
            .windows(text.len())
            .position(|part| part == text);
        from + at.expect("it is there")
    };
    let table = find(0, b"CREATE TABLE rows");
    // Another name, which is as good as any, and another spelling, which SQLite reads alike.
    for (word, bit) in [("fact", 1), ("INTEGER", 5)] {
        let at = find(table, word.as_bytes()) + 1;
        flip(&database, at, bit);
        let before = server.log().len();
        assert!(!starts(&mut server), "{word}");
        let said = server.log()[before..].to_owned();
        assert!(said.contains("the schema of veche.db is damaged"), "{said}");
        let found = verify(&server.data());
        assert!(!found.status.success(), "{found:?}");
        flip(&database, at, bit);
    }
    assert!(starts(&mut server));
}

#[test]
fn a_damaged_message_is_an_error_that_names_it_and_the_others_are_there() {
    let mut server = Server::core();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let cursor = bob.cursor();
    ann.say("the first");
    let second = ann.say("the second, with a mark")["id"].clone();
    let third = ann.say("the third");
    server.stop();
    let database = server.data().join("veche.db");
    let bytes = fs::read(&database).expect("a file");
    let mark = b"with a mark";
    let at = bytes.windows(mark.len()).position(|window| window == mark);
    flip(&database, at.expect("the text is there"), 1);
    server.restart();

    for path in [
        format!("/messages/{second}"),
        "/messages?chat=common".to_owned(),
    ] {
        let problem = bob.get(&path).problem(500, "damaged");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains(&format!("`messages` {second} ")),
            "{detail}"
        );
    }
    let page = format!("/messages?chat=common&after={second}");
    assert_eq!(bob.get(&page).expect(200)["messages"], json!([third]));
    // A stream can't tell it either, and says that something is missing.
    let mut events = bob.events_after(&cursor);
    assert_eq!(events.any().event, "reset");
    ann.say("the fourth");
    events.until_text("the fourth");
    let said = verify(&server.data());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(
        said.stdout.contains(&format!("`messages` {second} ")),
        "{said:?}"
    );
    assert!(server.log().contains(&format!("`messages` {second} ")));
}

#[test]
fn a_log_that_is_cut_or_torn_at_its_end_starts_and_says_what_it_lost() {
    let mut random = Random::seeded();
    let mut server = Server::core();
    let ann = server.connect("ann");
    for number in 0..40 {
        ann.say(&format!("{number} {}", "x".repeat(number * 50)));
    }
    let posted = ann.history("common");
    server.kill();
    let data = server.data();
    let kept = server.folder().join("kept");
    copy(&data, &kept);
    for round in 0..rounds(10) {
        restore(&kept, &data);
        let wal = data.join("veche.db-wal");
        let mut bytes = fs::read(&wal).expect("a log");
        // Never at a frame's end, which may be a batch's: then nothing would be cut.
        let end = (bytes.len() - random.below(bytes.len() / 2) - 1) | 1;
        if round % 2 == 0 {
            bytes.truncate(end);
        } else {
            // The last batch's end, half written.
            let last = bytes.len() - 1 - random.below(4_000);
            bytes[last..].fill(0xa5);
        }
        fs::write(&wal, bytes).expect("a log");
        let before = server.log().len();
        server.restart();
        let there = ann.history("common");
        assert_eq!(
            there,
            posted[..there.len()],
            "a beginning of what was posted"
        );
        assert!(there.len() < posted.len() || round % 2 == 0);
        let said = server.log()[before..].to_owned();
        assert!(said.contains("it is cut off"), "{end}: {said}");
        ann.say("it goes on");
        server.kill();
    }
}

#[test]
fn a_log_that_is_damaged_before_its_end_is_a_refusal_that_names_the_place() {
    let mut random = Random::seeded();
    let mut server = Server::core();
    let ann = server.connect("ann");
    for number in 0..40 {
        ann.say(&format!("{number}"));
    }
    server.kill();
    let wal = server.data().join("veche.db-wal");
    let kept = fs::read(&wal).expect("a log");
    for _ in 0..rounds(10) {
        // Well before the last batch, which is a few pages long.
        let at = random.below(kept.len() * 3 / 4);
        flip(&wal, at, random.below(8));
        assert!(!starts(&mut server), "byte {at}");
        assert!(server.log().contains("veche.db-wal is damaged in frame"));
        fs::write(&wal, &kept).expect("a log");
    }
    server.restart();
    assert_eq!(ann.history("common").len(), 40);
}

#[test]
fn a_damaged_message_keeps_nobody_out_and_is_left_out_of_what_is_found() {
    let counts = features(&veche::testing::binary()).contains(&"metrics".to_owned());
    let config = if counts {
        "[features.metrics]\nenabled = true\n"
    } else {
        ""
    };
    let mut server = Server::with(config);
    let ann = server.connect("ann");
    let ids: Vec<Value> = ["needle one", "needle two", "needle three"]
        .map(|text| ann.say(text)["id"].clone())
        .into();
    server.stop();
    let database = rusqlite::Connection::open(server.data().join("veche.db")).expect("a database");
    let sql = "UPDATE messages SET text = CAST(x'ff' || text AS TEXT) WHERE id = ?1";
    database.execute(sql, [ids[1].as_i64()]).expect("damage");
    drop(database);
    server.restart();
    let found = |number: u32| {
        let told = server.guest().get("/metrics").text;
        assert!(
            !counts || told.contains(&format!("\nveche_damage_total {number}\n")),
            "{told}"
        );
    };
    found(0);
    // A page with it is refused, and named.
    ann.get("/messages?chat=common").problem(500, "damaged");
    found(1);
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|one| one["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let bob = server.join(&serde_json::json!({"name": "bob"})).expect(201);
    assert_eq!(texts(&bob["history"]), ["needle one", "needle three"]);
    assert_eq!(ann.status()["chats"][0]["last"]["text"], "needle three");
    if ann.get("/search?q=x").status == 200 {
        for word in ["needle", "three"] {
            let found = ann.get(&format!("/search?q={word}")).expect(200);
            assert_eq!(found["complete"], false, "{found}");
        }
    }
    assert!(server.log().contains("is left out"), "{}", server.log());
}
