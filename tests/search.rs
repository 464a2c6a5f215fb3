//! The search feature: messages by the words in them, and only those that one may see.

#![cfg(has_feature = "search")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Server, encode, run, wait_until};

/// Everything is looked up, so that the index is what answers.
const INDEXED: &str = "newest = 0";

fn search(client: &Client, q: &str, more: &str) -> Value {
    client
        .get(&format!("/search?q={}{more}", encode(q)))
        .expect(200)
}

/// The texts that are found.
fn texts(client: &Client, q: &str) -> Vec<String> {
    let answer = search(client, q, "");
    let found = answer["found"].as_array().cloned().unwrap_or_default();
    let text = |hit: &Value| {
        hit["message"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    found.iter().map(text).collect()
}

/// Waits until all messages are in the index.
fn indexed(client: &Client, data: &Path) {
    let newest = client
        .messages("common")
        .last()
        .map(|one| one["id"].clone());
    let newest = newest.and_then(|id| id.as_i64()).unwrap_or_default();
    wait_until("the index is full", || (mark(data) >= newest).then_some(()));
}

fn mark(data: &Path) -> i64 {
    let store = store(data);
    let sql = "SELECT value FROM meta WHERE key LIKE 'indexed_by_%'";
    store.query_row(sql, [], |row| row.get(0)).unwrap_or(-1)
}

fn store(data: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(data.join("veche.db")).expect("a database")
}

/// How many words the index has that begin so.
fn terms(data: &Path, beginning: &str) -> i64 {
    let store = store(data);
    store
        .execute_batch(
            "CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'texts', 'instance')",
        )
        .expect("the vocabulary");
    let sql = "SELECT count(*) FROM temp.terms WHERE term LIKE ?1 || '%'";
    store
        .query_row(sql, [beginning], |row| row.get(0))
        .expect("a count")
}

/// The search and one other feature, the rest off.
fn with(other: &str, settings: &str) -> String {
    let all = veche::testing::features(&veche::testing::binary());
    let off = all
        .iter()
        .filter(|name| ![other, "search"].contains(&name.as_str()));
    let off: String = off
        .map(|name| format!("[features.{name}]\nenabled = false\n"))
        .collect();
    off + settings
}

fn says(client: &Client, text: &str) -> u64 {
    client.send("common", text).expect(201)["id"]
        .as_u64()
        .unwrap_or_default()
}

#[test]
fn messages_are_found_by_words_phrases_beginnings_and_what_they_lack() {
    for settings in ["", INDEXED] {
        let server = Server::only("search", settings);
        let ann = server.connect("ann");
        for text in [
            "Lunch on Friday?",
            "next week we deploy",
            "we deployed last week, after lunch",
            "week next",
        ] {
            says(&ann, text);
        }
        if settings == INDEXED {
            indexed(&ann, &server.data());
        }
        assert_eq!(
            texts(&ann, "LUNCH"),
            ["we deployed last week, after lunch", "Lunch on Friday?"]
        );
        assert_eq!(
            texts(&ann, "lunch -friday"),
            ["we deployed last week, after lunch"]
        );
        assert_eq!(texts(&ann, "\"next week\""), ["next week we deploy"]);
        assert_eq!(texts(&ann, "deploy"), ["next week we deploy"]);
        assert_eq!(texts(&ann, "deploy*").len(), 2);
        assert_eq!(texts(&ann, "week -\"next week\" -lunch"), ["week next"]);
        assert_eq!(texts(&ann, "friday deploy"), [""; 0]);
        let answer = search(&ann, "friday", "");
        assert_eq!(answer["complete"], true);
        assert_eq!(answer["more"], false);
        let snippet = json!([{"text": "Lunch on ", "hit": false}, {"text": "Friday", "hit": true},
            {"text": "?", "hit": false}]);
        assert_eq!(answer["found"][0]["snippet"], snippet);
        assert_eq!(answer["found"][0]["message"], ann.messages("common")[0]);
    }
}

#[test]
fn every_script_is_found_by_what_people_type() {
    for settings in ["", INDEXED] {
        let server = Server::only("search", settings);
        let ann = server.connect("ann");
        for (text, asked) in [
            ("昨日東京都に着いた", &["東京", "京都", "に"][..]),
            ("ภาษาไทยไม่ยาก", &["ไทย"]),
            ("학교에서 봐요", &["학교"]),
            ("Подъехал ещё один поезд", &["ЕЩЕ", "поез*"]),
            ("Crème brûlée à la Straße", &["creme brulee", "strasse"]),
            ("done 👍🏽🎉", &["👍", "🎉"]),
            ("שָׁלוֹם", &["שלום"]),
        ] {
            let id = says(&ann, text);
            if settings == INDEXED {
                wait_until("it is indexed", || {
                    (mark(&server.data()) >= id.cast_signed()).then_some(())
                });
            }
            for asked in asked {
                assert_eq!(texts(&ann, asked), [text], "{asked}");
            }
        }
        assert_eq!(texts(&ann, "東都"), [""; 0]);
    }
}

#[test]
fn pages_go_back_in_time_and_the_best_come_first_if_asked_for() {
    for settings in ["newest = 8", INDEXED] {
        let server = Server::only("search", settings);
        let ann = server.connect("ann");
        for n in 0..20 {
            says(&ann, &format!("number {n}"));
        }
        says(
            &ann,
            "number, and a good deal of other words that are not about that at all",
        );
        if settings == INDEXED {
            indexed(&ann, &server.data());
        } else {
            wait_until("some of it is indexed", || {
                (mark(&server.data()) > 0).then_some(())
            });
        }
        let mut seen = Vec::new();
        let mut before = String::new();
        loop {
            let page = search(&ann, "number", &format!("&limit=6{before}"));
            let found = page["found"].as_array().cloned().unwrap_or_default();
            assert!(found.len() <= 6);
            seen.extend(
                found
                    .iter()
                    .map(|hit| hit["message"]["id"].as_u64().unwrap_or_default()),
            );
            if page["more"] == false {
                break;
            }
            before = format!("&before={}", seen.last().copied().unwrap_or_default());
        }
        assert_eq!(seen.len(), 21);
        assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
        let best = search(&ann, "number 7", "&order=best&limit=1");
        assert_eq!(best["found"][0]["message"]["text"], "number 7");
        let best = search(&ann, "number", "&order=best");
        assert_eq!(best["found"][0]["message"]["text"], "number 19");
        let worst = best["found"][20]["message"]["text"]
            .as_str()
            .unwrap_or_default();
        assert!(worst.starts_with("number, and"), "{worst}");
        assert_eq!(search(&ann, "number", "&order=best&limit=3")["more"], true);
    }
}

#[test]
fn who_and_where_narrow_it_and_what_can_t_be_asked_is_refused_in_words() {
    for settings in ["", INDEXED] {
        let server = Server::only("search", settings);
        let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
        ann.tell("bob", "apple pie");
        bob.tell("ann", "apple tart");
        ann.tell("ann", "apple of mine");
        says(&bob, "apple for all");
        if settings == INDEXED {
            indexed(&ann, &server.data());
        }
        let asked = |more: &str| {
            search(&ann, "apple", more)["found"]
                .as_array()
                .map_or(0, Vec::len)
        };
        assert_eq!(asked(""), 4);
        assert_eq!(asked("&chat=common"), 1);
        assert_eq!(asked("&chat=@bob"), 2);
        assert_eq!(asked("&chat=@ann"), 1);
        assert_eq!(asked("&from=BOB"), 2);
        assert_eq!(asked("&from=bob&chat=@bob"), 1);
        assert_eq!(texts(&ann, "apple from:@bob in:@bob"), ["apple tart"]);
        let problem =
            |query: &str, status, code| ann.get(&format!("/search?{query}")).problem(status, code);
        problem("q=x&chat=@nobody", 404, "unknown_chat");
        problem(
            "q=x&chat=room:00000000-0000-4000-8000-000000000000",
            404,
            "unknown_chat",
        );
        problem("q=x&from=nobody", 404, "not_found");
        for q in [
            "",
            "%22x",
            "-x",
            "x*",
            "...",
            "x&limit=0",
            "x&order=best&before=3",
        ] {
            let refused = problem(&format!("q={q}"), 422, "invalid");
            // It is read by people, who know no name of a parameter.
            let detail = refused["detail"].as_str().unwrap_or_default();
            assert!(!detail.contains("`q`"), "{detail}");
        }
        problem("", 422, "invalid");
        problem("q=x&order=worst", 422, "invalid");
        let cat = server.connect("cat");
        assert_eq!(
            texts(&cat, "apple"),
            ["apple for all"],
            "what is for two is found by two"
        );
    }
}

#[test]
fn a_restart_a_kill_and_the_switch_leave_no_hole() {
    let mut server = Server::only("search", INDEXED);
    let ann = server.connect("ann");
    for n in 0..30 {
        says(&ann, &format!("word{n} common"));
        if n % 10 == 9 {
            server.kill();
            server.restart();
        }
        assert_eq!(texts(&ann, &format!("word{n}")).len(), 1);
    }
    assert_eq!(
        search(&ann, "common", "")["found"]
            .as_array()
            .map_or(0, Vec::len),
        30
    );
    indexed(&ann, &server.data());
    assert_eq!(
        search(&ann, "common", "")["found"]
            .as_array()
            .map_or(0, Vec::len),
        30
    );
    assert!(terms(&server.data(), "word") >= 30);
    // While it is off there is no index, and its path says so.
    server.stop();
    server.configure("[features.search]\nenabled = false\n");
    server.restart();
    ann.get("/search?q=x").problem(404, "feature_off");
    says(&ann, "meanwhile common");
    assert_eq!(mark(&server.data()), -1);
    server.stop();
    server.configure("[features.search]\nnewest = 0\n");
    server.restart();
    assert_eq!(texts(&ann, "meanwhile").len(), 1);
    indexed(&ann, &server.data());
    assert_eq!(
        search(&ann, "common", "")["found"]
            .as_array()
            .map_or(0, Vec::len),
        31
    );
}

#[test]
fn what_is_removed_is_found_no_more_and_its_words_leave_the_disk() {
    let mut server = Server::only("search", INDEXED);
    let ann = server.connect("ann");
    // Words that share beginnings, so that the index keeps some of them as their ends alone.
    let words: Vec<String> = (0..40)
        .map(|_| format!("qz{}", uuid::Uuid::new_v4().simple()))
        .collect();
    let ids: Vec<u64> = words
        .iter()
        .map(|word| says(&ann, &format!("{word} stays 東京")))
        .collect();
    indexed(&ann, &server.data());
    assert_eq!(terms(&server.data(), "qz"), 40);
    for (nth, id) in ids.iter().enumerate().filter(|(nth, _)| nth % 4 != 0) {
        server.told(&["remove", &id.to_string()]);
        assert_eq!(texts(&ann, &words[nth]), [""; 0], "at once");
    }
    assert_eq!(texts(&ann, "stays").len(), 10);
    assert_eq!(texts(&ann, "東京").len(), 10);
    assert_eq!(terms(&server.data(), "qz"), 10);
    let forgotten = |server: &Server, limit: u64| {
        for (_, word) in words.iter().enumerate().filter(|(nth, _)| nth % 4 != 0) {
            // Its end is what the index would keep of it for certain.
            server.forgets(Duration::from_secs(limit), &word[10..]);
        }
    };
    forgotten(&server, 60);
    assert!(
        !server.holding(&words[0][10..]).is_empty(),
        "what stays can be found so"
    );
    server.kill();
    server.restart();
    assert_eq!(texts(&ann, "stays").len(), 10);
    // Switched off, nothing of what the index held stays in the file but the texts themselves.
    server.told(&["remove", &ids[0].to_string()]);
    server.stop();
    forgotten(&server, 0);
    assert!(server.holding(&words[0][10..]).is_empty());
}

#[cfg(has_feature = "ttl")]
#[test]
fn what_ends_is_found_no_more() {
    for settings in ["", INDEXED] {
        let config = format!("[features.ttl]\nafter = \"2s\"\n\n[features.search]\n{settings}\n");
        let server = Server::with(with("ttl", &config));
        let ann = server.connect("ann");
        let mut events = ann.events();
        ann.say("soon gone");
        assert_eq!(texts(&ann, "soon"), ["soon gone"]);
        events.next("removed");
        assert_eq!(texts(&ann, "soon"), [""; 0]);
    }
}

#[cfg(has_feature = "ttl")]
#[test]
fn finding_a_private_message_is_its_delivery() {
    let config = "[features.ttl]\nafter = \"1h\"\n\n[features.search]\n";
    let server = Server::with(with("ttl", config));
    let [ann, bob] = ["ann", "bob"].map(|name| server.connect(name));
    let mut events = ann.events();
    ann.tell("bob", "pssst");
    assert_eq!(texts(&ann, "pssst"), ["pssst"]);
    assert_eq!(texts(&bob, "pssst"), ["pssst"]);
    assert_eq!(events.next("delivered").data["to"], "@bob");
}

#[cfg(has_feature = "rooms")]
#[test]
fn a_room_is_searched_by_its_members_as_far_as_they_see_it() {
    for settings in ["", INDEXED] {
        let config = format!("[features.rooms]\n\n[features.search]\n{settings}\n");
        let server = Server::with(with("rooms", &config));
        let [ann, bob, cat] = ["ann", "bob", "cat"].map(|name| server.connect(name));
        let make = |history: &str| {
            let body = json!({"title": history, "history": history});
            let room = ann.post("/rooms", &body).expect(201)["room"].clone();
            let room = room.as_str().unwrap_or_default().to_owned();
            ann.send(&room, &format!("secret before {history}"))
                .expect(201);
            let path = format!("/rooms/{}", &room[5..]);
            ann.post(&format!("{path}/invites"), &json!({"user": "bob"}))
                .expect(201);
            bob.post(&format!("{path}/join"), &json!({})).expect(200);
            ann.send(&room, &format!("secret after {history}"))
                .expect(201);
            (room, path)
        };
        let rooms = [make("joined"), make("all")];
        says(&ann, "done");
        if settings == INDEXED {
            indexed(&ann, &server.data());
        }
        assert_eq!(texts(&ann, "secret").len(), 4);
        let his = [
            "secret after all",
            "secret before all",
            "secret after joined",
        ];
        assert_eq!(texts(&bob, "secret"), his);
        let only = search(&bob, "secret", &format!("&chat={}", rooms[0].0));
        assert_eq!(only["found"].as_array().map_or(0, Vec::len), 1);
        assert_eq!(texts(&cat, "secret"), [""; 0]);
        cat.get(&format!("/search?q=secret&chat={}", rooms[0].0))
            .problem(404, "unknown_chat");
        for (_, path) in &rooms {
            bob.post(&format!("{path}/leave"), &json!({})).expect(204);
        }
        assert_eq!(texts(&bob, "secret"), [""; 0]);
    }
}

#[cfg(has_feature = "edits")]
#[test]
fn an_edited_message_is_found_by_what_it_says_now() {
    let server = Server::with(with("edits", &format!("[features.search]\n{INDEXED}\n")));
    let ann = server.connect("ann");
    let id = says(&ann, "the qzbefore");
    indexed(&ann, &server.data());
    assert_eq!(texts(&ann, "qzbefore").len(), 1);
    let edit = json!({"message": id, "text": "the qzafter"});
    ann.post("/edit", &edit).expect(200);
    assert_eq!(texts(&ann, "qzbefore"), [""; 0], "at once");
    assert_eq!(texts(&ann, "qzafter"), ["the qzafter"]);
    assert_eq!(terms(&server.data(), "qzb"), 0, "off the index, too");
    assert_eq!(terms(&server.data(), "qza"), 1);
    server.told(&["remove", &id.to_string()]);
    assert_eq!(texts(&ann, "qzafter"), [""; 0]);
    assert_eq!(terms(&server.data(), "qz"), 0);
}

/// Some messages of which every other one was removed, and another server on what a command of `veche` has
/// copied of them.
fn copied(settings: &str, copy: &[&str], bring: impl Fn(&Server, &Path)) {
    let server = Server::only("search", settings);
    let ann = server.connect("ann");
    for number in 0..20 {
        let id = says(&ann, &format!("qz{number} shared 東京"));
        if number == 0 && settings == INDEXED {
            // One goes from the index, the others from what is not in it yet.
            indexed(&ann, &server.data());
        }
        if number % 2 == 0 {
            server.told(&["remove", &id.to_string()]);
        }
    }
    let output = run(server.folder().path(), copy);
    assert!(output.status.success(), "{output:?}");
    let mut other = Server::only("search", settings);
    other.stop();
    fs::remove_dir_all(other.data()).expect("the data folder goes");
    bring(&other, &server.folder().join(copy[1]));
    other.restart();
    let ann = Client::new(&other.url(), &ann.token);
    let look = |when: &str| {
        assert_eq!(texts(&ann, "shared").len(), 10, "{when}");
        assert_eq!(texts(&ann, "東京").len(), 10, "{when}");
        for number in 0..20 {
            let found = texts(&ann, &format!("qz{number}"));
            assert_eq!(found.len(), number % 2, "{number}, {when}");
        }
        assert_eq!(search(&ann, "shared", "")["complete"], true, "{when}");
    };
    wait_until("all to be looked into", || {
        (search(&ann, "shared", "")["complete"] == true).then_some(())
    });
    look("at once");
    // And it goes on: what is said and removed from here on is found, or not.
    let id = says(&ann, "qzlast");
    assert_eq!(texts(&ann, "qzlast"), ["qzlast"]);
    other.told(&["remove", &id.to_string()]);
    assert_eq!(texts(&ann, "qzlast"), [""; 0]);
    if settings == INDEXED {
        indexed(&ann, &other.data());
        assert_eq!(terms(&other.data(), "qz"), 10);
    }
    look("later");
}

#[test]
fn after_an_import_what_there_is_is_found_and_what_was_removed_is_not() {
    for settings in ["", INDEXED] {
        copied(settings, &["export", "copy.jsonl"], |server, file| {
            let file = file.to_string_lossy();
            let output = run(server.folder().path(), ["import", &file]);
            assert!(output.status.success(), "{output:?}");
        });
    }
}

#[test]
fn after_a_backup_is_restored_what_there_is_is_found_and_what_was_removed_is_not() {
    for settings in ["", INDEXED] {
        copied(settings, &["backup", "copy.tar"], |server, file| {
            fs::create_dir(server.data()).expect("a new folder");
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(file).arg("-C").arg(server.data());
            assert!(tar.status().expect("tar is there").success());
        });
    }
}
