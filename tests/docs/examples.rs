//! Examples are run, and their answers compared.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use serde_json::Value;
use veche::testing::{PATIENCE, Server, binary, features};

use crate::pages::{Block, blocks};

/// Where the pages say that the server is.
const DOCUMENTED: &str = "http://127.0.0.1:8000";

/// What a refusal has in it.
const REFUSAL: &str = "urn:veche:error:";

/// curl, but one that was told to stop after some seconds has done what it should.
const CURL: &str = "#!/bin/sh
PATH=$OUTER_PATH
curl \"$@\"
code=$?
[ $code -eq 28 ] || exit $code
";

/// What differs from run to run.
const VARIES: [&str; 19] = [
    "agent",
    "at",
    "banned_until",
    "client",
    "cursor",
    "edited",
    "expires",
    "first",
    "id",
    "message",
    "room",
    "secret",
    "seen",
    "since",
    "token",
    "until",
    "uptime_s",
    "url",
    "version",
];

/// Runs examples of a page in one shell, as a reader would paste them, and compares the answers.
fn runs(page: &str, blocks: &[Block], server: &Server) {
    let folder = server.folder();
    let tools = folder.join("tools");
    let made = fs::create_dir(&tools)
        .and_then(|()| symlink(binary(), tools.join("veche")))
        .and_then(|()| fs::write(tools.join("curl"), CURL))
        .and_then(|()| fs::set_permissions(tools.join("curl"), fs::Permissions::from_mode(0o755)));
    assert!(made.is_ok(), "{made:?}");

    let mut script = "set -eu\n".to_owned();
    for block in blocks.iter().filter(|block| block.kind == "sh run") {
        let name = format!("line-{}", block.line);
        folder.write(&name, block.text.replace(DOCUMENTED, &server.url()));
        script += &format!(". ./{name} > {name}.out\n");
    }
    assert!(script.lines().count() > 1, "{page} has no example to run");
    folder.write("script", script);
    let outer = std::env::var("PATH").unwrap_or_default();
    let log = fs::File::create(folder.join("log"));
    let Ok(log) = log else {
        unreachable!("the folder is writable: {log:?}")
    };
    let shell = Command::new("bash")
        .args(["--noprofile", "--norc", "script"])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{outer}", tools.display()))
        .env("OUTER_PATH", &outer)
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stderr(log)
        .spawn();
    let Ok(mut shell) = shell else {
        unreachable!("bash is there: {shell:?}")
    };
    let ended = veche::testing::wait_at_most(PATIENCE * 2, page, || shell.try_wait().ok()?);
    let output = |block: &Block| {
        let name = format!("line-{}.out", block.line);
        fs::read_to_string(folder.join(name)).ok()
    };
    let last = blocks.iter().filter_map(output).next_back();
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert!(
        ended.success(),
        "{page}: {ended}\n{log}\nlast answer: {last:?}"
    );

    for (number, example) in blocks.iter().enumerate() {
        let Some(came) = output(example) else {
            continue;
        };
        let answer = blocks.get(number + 1);
        let documented = answer.map_or("", |answer| &answer.text);
        assert!(
            documented.contains(REFUSAL) || !came.contains(REFUSAL),
            "{page}:{}: the answer is\n{came}",
            example.line
        );
        let Some(answer) = answer else { continue };
        let place = format!("{page}:{}", answer.line);
        match answer.kind.as_str() {
            "json" => assert!(
                same(&json(&answer.text, &place), &json(&came, &place)),
                "{place}: the answer is\n{came}"
            ),
            "text" => assert!(
                lines(&answer.text) == lines(&came),
                "{place}: the answer is\n{came}"
            ),
            _ => {}
        }
    }
}

pub fn json(text: &str, place: &str) -> Value {
    let value = serde_json::from_str(text);
    value.unwrap_or_else(|error| unreachable!("{place}: {error} in\n{text}"))
}

/// Whether an answer is the documented one, but for what varies. `["…"]` is any list.
fn same(documented: &Value, came: &Value) -> bool {
    match (documented, came) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| match other.get(key) {
                    None => false,
                    Some(_) if VARIES.contains(&key.as_str()) && value.is_string() => true,
                    Some(other) if VARIES.contains(&key.as_str()) && value.is_number() => {
                        other.is_number()
                    }
                    Some(other) => same(value, other),
                })
        }
        (Value::Array(one), Value::Array(_)) if one.len() == 1 && one[0] == "…" => true,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other,
    }
}

/// The lines of a text without what varies.
fn lines(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        if line.starts_with("id: ") {
            return "id".to_owned();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return format!("data: {}", plain(&json(data, line)));
        }
        let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
        line.trim_end().chars().map(digits).collect()
    };
    text.trim_end().lines().map(plain).collect()
}

/// JSON with what varies left out.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let varies = VARIES.contains(&key.as_str()) && !value.is_null();
                let value = if varies {
                    Value::from("…")
                } else {
                    plain(value)
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_tour_of_the_readme_works_by_copy_and_paste() {
    let mut blocks = blocks("README.md");
    // A part of the tour is a feature's, whose file may be taken out.
    let there = features(&binary()).iter().any(|name| name == "comments");
    blocks.retain(|block| there || !block.text.contains("/comments"));
    runs("README.md", &blocks, &Server::start());
}

#[test]
fn the_commands_for_operators_do_what_is_said() {
    let page = "docs/operation.md";
    runs(page, &blocks(page), &Server::start());
}

#[test]
fn the_examples_of_the_cores_api_get_the_answers_that_it_shows() {
    let page = "docs/api.md";
    runs(page, &blocks(page), &Server::core());
}

#[test]
fn the_examples_of_each_features_api_get_the_answers_that_it_shows() {
    // A feature whose file was taken out leaves its page behind.
    for feature in features(&binary()) {
        let page = format!("docs/features/{feature}.md");
        runs(&page, &blocks(&page), &Server::only(&feature, ""));
    }
}

#[test]
fn the_comparison_of_answers_forgives_what_varies_and_nothing_else() {
    let shown = |text: &str| json(text, "a test");
    let documented = shown(r#"{"id": 7, "text": "hello", "last": null, "chats": ["…"]}"#);
    assert!(same(
        &documented,
        &shown(r#"{"id": 9, "text": "hello", "last": null, "chats": [1, 2]}"#)
    ));
    for other in [
        r#"{"id": 7, "text": "hi", "last": null, "chats": []}"#,
        r#"{"id": "x", "text": "hello", "last": null, "chats": []}"#,
        r#"{"id": 7, "text": "hello", "last": 1, "chats": []}"#,
        r#"{"id": 7, "text": "hello", "chats": []}"#,
        r#"{"id": 7, "text": "hello", "last": null, "chats": [], "more": 1}"#,
    ] {
        assert!(!same(&documented, &shown(other)), "{other}");
    }
    assert_eq!(lines("id: a-1\nx: 20\r\n\n"), lines("id: b-22\nx: 19"));
    assert_ne!(lines("data: {\"a\": 1}"), lines("data: {\"a\": 2}"));
}
