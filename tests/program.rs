//! The program: its calls, its config, starting, stopping, backing up.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Folder, Output, Server, binary, features, run};

/// `veche check` of this config.toml.
fn check(config: &str) -> Output {
    let folder = Folder::new();
    folder.write("config.toml", config);
    run(folder.path(), ["check"])
}

/// A config that must be refused, and what the refusal must say.
fn refused(config: &str, says: &[&str]) {
    let output = check(config);
    assert_eq!(output.status.code(), Some(1), "{config}: {output:?}");
    assert!(output.stdout.is_empty(), "{config}: {output:?}");
    for part in says {
        assert!(
            output.stderr.contains(part),
            "{part:?} is not in\n{}",
            output.stderr
        );
    }
    // What `check` refuses, `serve` refuses too: never ignored.
    let folder = Folder::new();
    folder.write("config.toml", config);
    let output = run(folder.path(), ["serve", "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success(), "{config}: {output:?}");
    assert!(output.stdout.is_empty(), "{config}: {output:?}");
}

#[test]
fn without_a_word_it_serves_by_the_config_of_the_working_folder() {
    let folder = Folder::new();
    folder.write(
        "config.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\nname = \"here\"\n",
    );
    let mut child = Command::new(binary())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("a line");
    let url = line
        .trim_end()
        .strip_prefix("listening on ")
        .unwrap_or_default()
        .to_owned();
    let guest = veche::testing::Client::new(&url, "");
    let welcome = guest
        .post("/connect", &json!({ "name": "ann" }))
        .expect(201);
    let ann = veche::testing::Client::welcomed(&url, &welcome);
    assert_eq!(ann.status()["server"]["name"], "here");
    assert!(
        folder.join("data").is_dir(),
        "the data folder is the working folder's"
    );
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    line.clear();
    stdout.read_line(&mut line).expect("the end");
    assert_eq!(line, "", "it prints one line");
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let server = Server::core();
    let ann = server.connect("ann");
    let other = Folder::new();
    let data = server.data();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data"].map(Into::into);
    let output = run(
        other.path(),
        arguments.into_iter().chain([data.into_os_string()]),
    );
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(output.stderr.contains("data"), "{output:?}");
    ann.say("still here");
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let server = Server::core();
    let other = Folder::new();
    let address = server.address().to_string();
    let output = run(other.path(), ["serve", "--listen", &address]);
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stderr.contains(&address), "{output:?}");
}

#[test]
fn what_leads_to_no_nats_is_refused_with_its_setting_and_its_file() {
    for (settings, says) in [
        ("nats = \"http://10.0.0.1:4222\"", "cluster.nats"),
        ("nats = \"nats://10.0.0.1:99999\"", "cluster.nats"),
        ("nats = \"nats://10.0.0.1:4222,,\"", "cluster.nats"),
        ("nats = \"nats://a b:4222\"", "cluster.nats"),
        ("nats = \"nats://ann:secret@a:4222\"", "`credentials`"),
        (
            "nats = \"a:4222\"\nstream = \"veche-texts\"",
            "cluster.stream",
        ),
        (
            "nats = \"a:4222\"\nca = \"nowhere.pem\"",
            "`ca`: nowhere.pem",
        ),
        (
            "nats = \"a:4222\"\ncredentials = \"nowhere\"",
            "`credentials`: nowhere",
        ),
        ("nats = \"a:4222\"\ncert = \"own.pem\"", "`cert` and `key`"),
    ] {
        let config = format!("[cluster]\n{settings}\n");
        refused(&config, &[says]);
        assert!(!check(&config).stderr.contains("secret"), "{config}");
    }
    for nats in ["", "a:4222, tls://b.example.org:4223", "nats://[::1]:4222"] {
        let output = check(&format!("[cluster]\nnats = \"{nats}\"\n"));
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_named_config_must_exist() {
    let folder = Folder::new();
    for call in ["serve", "check"] {
        let output = run(folder.path(), [call, "--config", "nowhere.toml"]);
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stderr.contains("nowhere.toml"), "{output:?}");
    }
}

#[test]
fn a_named_config_is_read_from_there() {
    let folder = Folder::new();
    folder.write("mine.toml", "[chat]\nhistory = 7\n");
    let output = run(folder.path(), ["check", "--config", "mine.toml"]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.contains("history = 7"), "{output:?}");
}

#[test]
fn it_stops_within_10_seconds_whatever_is_open_and_answers_what_is_under_way() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::core();
        let ann = server.connect("ann");
        let bob = server.connect("bob");
        let mut stream = ann.events();
        let cursor = ann.cursor();
        let head = |path: &str, token: &str| {
            format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nAuthorization: Bearer {token}\r\n\r\n"
            )
        };
        let mut poll = server.wire();
        poll.write(head(
            &format!("/events?after={cursor}&wait=60s"),
            &ann.token,
        ));
        let _silent = server.wire();
        let mut half = server.wire();
        half.write("POST /send HTTP/1.1\r\nHost:");
        let mut unread = server.wire();
        unread.write(head("/events", &bob.token).replace("application/json", "text/event-stream"));
        unread.write("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000));
        let last = bob.say("the last");
        assert_eq!(poll.response().status(), 200);
        poll.write(head(
            &format!("/events?after={}&wait=60s", ann.cursor()),
            &ann.token,
        ));
        stream.next("message");

        let begin = Instant::now();
        server.terminate(signal);
        let status = server.stopped();
        assert_eq!(status.code(), Some(0), "SIG{signal}: {status}");
        assert!(begin.elapsed() < Duration::from_secs(10));
        stream.end();
        let answer = poll.try_response().map(|response| response.status());
        assert!(
            matches!(answer, Some(200 | 503)),
            "SIG{signal}: the poll got {answer:?}"
        );
        server.restart();
        assert_eq!(ann.messages("common"), [last]);
    }
}

#[test]
fn a_stopping_server_accepts_nobody() {
    let mut server = Server::core();
    let address = server.address();
    assert!(server.stop().success());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn what_was_acknowledged_before_the_stop_is_there_after_it() {
    let mut server = Server::core();
    let ann = server.connect("ann");
    let posted = std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let mut posted = Vec::new();
            for number in 0.. {
                let body = json!({ "to": "common", "text": format!("m{number}") });
                match ann.request("POST", "/send").json(&body).try_send() {
                    Ok(reply) if reply.status == 201 => posted.push(reply.body),
                    _ => return posted,
                }
            }
            posted
        });
        let bob = server.connect("bob");
        let mut events = bob.events();
        for _ in 0..20 {
            events.next("message");
        }
        assert!(server.stop().success());
        posting.join().unwrap_or_default()
    });
    assert!(posted.len() >= 20);
    server.restart();
    let there = ann.history("common");
    assert!(posted.iter().all(|message| there.contains(message)));
    // At most one more: it was stored, and its answer was on its way.
    assert!(
        there.len() <= posted.len() + 1,
        "{} of {}",
        posted.len(),
        there.len()
    );
}

#[test]
fn check_prints_every_setting_in_force_as_a_config_that_says_the_same() {
    let output = check("[server]\nhead_timeout = \"3s\"\n[chat]\nhistory = 7\n");
    assert!(output.status.success(), "{output:?}");
    let settings: toml::Table = output.stdout.parse().expect("TOML");
    assert_eq!(settings["chat"]["history"].as_integer(), Some(7));
    assert_eq!(settings["chat"]["text"].as_integer(), Some(4000));
    assert_eq!(
        settings["server"]["listen"].as_str(),
        Some("127.0.0.1:8000")
    );
    assert_eq!(settings["server"]["data"].as_str(), Some("data"));
    assert_eq!(settings["log"]["format"].as_str(), Some("text"));
    for name in features(&binary()) {
        // One is for operators alone, who switch it on.
        assert_eq!(
            settings["features"][&name]["enabled"].as_bool(),
            Some(name != "metrics"),
            "{name}"
        );
    }
    let again = check(&output.stdout);
    assert_eq!(again.stdout, output.stdout);
}

#[test]
fn check_without_a_config_prints_the_defaults() {
    let folder = Folder::new();
    let output = run(folder.path(), ["check"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, check("").stdout);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_name() {
    refused(
        "[server]\nlissten = \"127.0.0.1:0\"\n",
        &["config.toml", "2", "lissten", "listen"],
    );
    refused(
        "[chat]\n\n\nhistroy = 3\n",
        &["config.toml", "4", "histroy", "history"],
    );
    refused(
        "[sever]\nlisten = \"127.0.0.1:0\"\n",
        &["config.toml", "1", "sever", "server"],
    );
    refused("name = \"x\"\n", &["config.toml", "1", "name"]);
    refused("[server.listen]\nx = 1\n", &["config.toml", "listen"]);
}

#[test]
fn an_unknown_feature_or_a_features_unknown_key_is_an_error() {
    refused(
        "[features.no_such_feature]\nenabled = true\n",
        &["config.toml", "1", "no_such_feature"],
    );
    for name in features(&binary()) {
        refused(
            &format!("[features.{name}x]\n"),
            &["config.toml", "1", &format!("{name}x"), &name],
        );
        refused(
            &format!("[features.{name}]\nenabledd = true\n"),
            &["config.toml", "2", &name, "enabledd", "enabled"],
        );
        refused(
            &format!("[features.{name}]\nenabled = 1\n"),
            &["config.toml", "2", &name, "enabled"],
        );
    }
}

#[test]
fn a_value_that_is_not_allowed_is_an_error_that_says_what_is() {
    refused(
        "[chat]\nhistory = \"many\"\n",
        &["config.toml", "2", "history"],
    );
    refused(
        "[chat]\nhistory = 201\n",
        &["config.toml", "2", "history", "200"],
    );
    refused("[chat]\nhistory = -1\n", &["config.toml", "2", "history"]);
    refused(
        "[server]\nhead_timeout = \"soon\"\n",
        &["config.toml", "2", "head_timeout", "soon"],
    );
    refused(
        "[server]\nhead_timeout = 10\n",
        &["config.toml", "2", "head_timeout"],
    );
    refused(
        "[server]\nlisten = \"nowhere\"\n",
        &["config.toml", "2", "listen", "nowhere"],
    );
    refused(
        "[log]\nformat = \"xml\"\n",
        &["config.toml", "2", "format", "xml", "json"],
    );
    refused(
        "[server]\ntrusted_proxies = [\"me\"]\n",
        &["config.toml", "2", "trusted_proxies"],
    );
}

#[test]
fn what_is_no_toml_is_an_error_with_its_line() {
    refused("[chat]\nhistory = \n", &["config.toml", "2"]);
    refused("[chat\n", &["config.toml", "1"]);
    refused(
        "[chat]\nhistory = 1\nhistory = 2\n",
        &["config.toml", "3", "history"],
    );
    let folder = Folder::new();
    folder.write("config.toml", b"[chat]\n# \xff\n");
    let output = run(folder.path(), ["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("config.toml"), "{output:?}");
}

#[test]
fn features_lists_each_with_its_state_and_settings() {
    let folder = Folder::new();
    let names = features(&binary());
    let output = run(folder.path(), ["features"]);
    assert!(output.status.success(), "{output:?}");
    for name in &names {
        assert!(output.stdout.contains(name.as_str()), "{name}: {output:?}");
    }
    assert!(
        names.is_empty() || output.stdout.contains("on"),
        "{output:?}"
    );
}

#[test]
fn a_call_that_is_none_is_refused_with_help() {
    let folder = Folder::new();
    for call in [
        vec!["srve"],
        vec!["serve", "--lissten", "x"],
        vec!["check", "more"],
        vec!["chat"],
        vec!["backup"],
    ] {
        let output = run(folder.path(), &call);
        assert!(!output.status.success(), "{call:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{call:?}");
    }
    for call in ["--help", "--version"] {
        let output = run(folder.path(), [call]);
        assert!(output.status.success(), "{call}: {output:?}");
        assert!(output.stdout.contains("veche"), "{call}: {output:?}");
    }
}

#[test]
fn a_backup_of_a_running_server_restores_all_of_it_as_a_new_epoch() {
    let mut server = Server::core();
    let ann = server.client(&json!({ "name": "ann", "password": "secret" }));
    let bob = server.connect("bob");
    for number in 0..30 {
        ann.say(&format!("m{number}"));
    }
    ann.tell("bob", "psst");
    bob.read("common", &bob.messages("common")[9]["id"]);
    let cursor = bob.cursor();
    let before = (ann.history("common"), bob.messages("@ann"), bob.unread());

    let file = server.folder().join("backup.tar");
    let output = run(server.folder().path(), ["backup", "backup.tar"]);
    assert!(output.status.success(), "{output:?}");
    assert!(file.is_file());
    // The server went on meanwhile.
    ann.say("after the backup");
    let later = bob.cursor();

    restore(&mut server, &file);
    assert_eq!(
        (ann.history("common"), bob.messages("@ann"), bob.unread()),
        before
    );
    server
        .join(&json!({ "name": "ann", "password": "secret" }))
        .expect(200);
    for old in [cursor, later] {
        let mut events = bob.events_after(&old);
        assert_eq!(events.any().event, "reset");
        ann.say("next");
        events.until_text("next");
    }

    // Restored once more, it is yet another history: ids are given again to other messages.
    let second_life = bob.cursor();
    ann.say("in the second life");
    restore(&mut server, &file);
    ann.say("in the third life");
    ann.say("in the third life again");
    let mut events = bob.events_after(&second_life);
    assert_eq!(events.any().event, "reset");
}

/// Kills the server and starts it again on what a backup holds.
#[expect(clippy::expect_used, reason = "a step of a test")]
fn restore(server: &mut Server, file: &std::path::Path) {
    server.kill();
    let data = server.data();
    std::fs::remove_dir_all(&data).expect("the data folder goes");
    std::fs::create_dir(&data).expect("a new folder");
    let status = Command::new("tar")
        .arg("-xf")
        .arg(file)
        .arg("-C")
        .arg(&data)
        .status()
        .expect("tar is there");
    assert!(status.success());
    server.restart();
}

#[test]
fn a_backup_never_overwrites_what_is_there_without_a_word() {
    let server = Server::core();
    server.connect("ann");
    server.folder().write("precious.txt", "precious");
    let output = run(server.folder().path(), ["backup", "precious.txt"]);
    let now = std::fs::read(server.folder().join("precious.txt")).unwrap_or_default();
    assert!(
        output.status.success() != (now == b"precious"),
        "either a backup or a refusal: {output:?}"
    );
}

/// What others of the machine may do with what lies in a folder, and with what lies in its folders.
fn open_to_others(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let found = std::fs::symlink_metadata(&path).expect("it is there");
        if found.is_dir() {
            open.extend(open_to_others(&path));
        }
        if found.mode() & 0o077 != 0 {
            open.push((path, found.mode() & 0o777));
        }
    }
    open
}

#[test]
fn all_that_the_server_and_its_copies_write_is_its_users_alone() {
    let mut server = Server::start();
    let ann = server.connect("ann");
    ann.say("hello");
    let upload = ann.request("POST", "/files?name=a.txt");
    upload.body("private", "text/plain").send();
    assert_eq!(open_to_others(&server.data()), []);
    let written = Folder::new();
    let data = server.data().display().to_string();
    for (command, file) in [("backup", "copy.tar"), ("export", "lines")] {
        let output = run(written.path(), [command, file, "--data", &data]);
        assert!(output.status.success(), "{output:?}");
    }
    let output = run(written.path(), ["import", "lines", "--data", "other"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(open_to_others(written.path()), []);
    assert!(server.stop().success());
    assert_eq!(open_to_others(&server.data()), []);

    // Also where what is copied was open.
    let files = server.data().join("files");
    for file in std::fs::read_dir(files).into_iter().flatten() {
        let file = file.expect("an entry").path();
        std::fs::set_permissions(file, Permissions::from_mode(0o644)).expect("ours");
    }
    let output = run(written.path(), ["backup", "copy.tar", "--data", &data]);
    assert!(output.status.success(), "{output:?}");
    let copy = std::fs::File::open(written.join("copy.tar")).expect("the copy");
    let mut copy = tar::Archive::new(copy);
    for entry in copy.entries().expect("a tar") {
        let entry = entry.expect("an entry");
        let mode = entry.header().mode().expect("a mode");
        assert_eq!(mode & 0o777, 0o600);
    }
}
