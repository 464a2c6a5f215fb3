//! The documentation tells the truth: its examples run, its answers are the server's, its feature
//! compiles and passes its test, its tables list what is there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use veche::testing::{Folder, PATIENCE, Server, binary, features};

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
const VARIES: [&str; 16] = [
    "agent",
    "at",
    "banned_until",
    "client",
    "cursor",
    "expires",
    "id",
    "message",
    "room",
    "seen",
    "since",
    "token",
    "until",
    "uptime_s",
    "url",
    "version",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// A fenced block of a page.
#[derive(Debug)]
struct Block {
    line: usize,
    /// What stands after the fence.
    kind: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let text = read(page);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, content) in text.lines().enumerate() {
        match (content.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(kind), None) => {
                open = Some(Block {
                    line: line + 1,
                    kind: kind.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text += content;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

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

fn json(text: &str, place: &str) -> Value {
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

/// The names of a test's file, or of its folder's, with their modules, as cargo filters them.
fn tests_of(name: &str) -> Vec<String> {
    let single = root().join("tests").join(format!("{name}.rs"));
    let folder = root().join("tests").join(name);
    let mut files = vec![(String::new(), single)];
    files.extend(
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| {
                let path = entry.path();
                let module = path
                    .file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned());
                (module.unwrap_or_default(), path)
            }),
    );
    let mut names = Vec::new();
    for (module, path) in files {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") {
                is_test = true;
            } else if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
                let name = name.split('(').next().unwrap_or_default();
                names.push(format!("{module}::{name}"));
                is_test = false;
            }
        }
    }
    names
}

#[test]
fn every_promise_names_a_test_that_there_is() {
    let mut missing = Vec::new();
    for page in ["docs/operation.md", "docs/security.md"] {
        let text = read(page);
        let rows = text
            .lines()
            .skip_while(|line| *line != "| promise | test |");
        let rows: Vec<&str> = rows
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert!(rows.len() > 10, "{page} has no table of promises");
        for row in rows {
            let last = row.trim_matches('|').rsplit('|').next().unwrap_or_default();
            let command = last.trim().trim_matches('`');
            let words: Vec<&str> = command.split(' ').collect();
            let is_there = match words[..] {
                ["cargo", "test", "--test", name] => !tests_of(name).is_empty(),
                ["cargo", "test", "--test", name, filter] => {
                    // What a feature's own test holds goes with its file.
                    let tests = tests_of(name);
                    tests.is_empty() && !root().join("features").join(format!("{name}.rs")).exists()
                        || tests.iter().any(|test| test.contains(filter))
                }
                ["cargo", "test", "--lib", module] => {
                    let mut folders = vec![root().join("src")];
                    let mut is_there = false;
                    while let Some(folder) = folders.pop() {
                        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                            let path = entry.path();
                            is_there |= path.file_stem().is_some_and(|stem| stem == module);
                            folders.extend(path.is_dir().then_some(path));
                        }
                    }
                    is_there
                }
                [script, ..] => script.starts_with("scripts/") && root().join(script).exists(),
                [] => false,
            };
            if !is_there {
                missing.push(format!("{page}: {command}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// The words between backticks.
fn code(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_pages_of_the_api_name_every_path_of_the_description() {
    let server = Server::builder().all().start();
    let description = server.guest().get("/openapi.json").expect(200);
    let features = features(&binary());
    let pages = features
        .iter()
        .map(|name| read(&format!("docs/features/{name}.md")));
    let page: String = pages.chain([read("docs/api.md")]).collect();
    let paths = description["paths"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    assert!(paths.len() > 10, "{description}");
    let mut missing = Vec::new();
    for (path, methods) in &paths {
        let path = path.replace("{id}", "ID");
        for method in methods
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, _)| method)
        {
            let call = format!("{} {path}", method.to_uppercase());
            if !page.contains(&call) && method != "head" {
                missing.push(call);
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Rust files of the server below a folder, without their tests.
fn sources(folder: &str) -> Vec<String> {
    let mut sources = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if matches!(
                name.to_str(),
                Some("client" | "testing" | "tests" | "tests.rs")
            ) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = fs::read_to_string(path).unwrap_or_default();
                let code = source.split("#[cfg(test)]").next().unwrap_or_default();
                sources.push(code.to_owned());
            }
        }
    }
    sources
}

#[test]
fn the_table_of_errors_lists_every_code_and_no_other() {
    let page = read("docs/api.md");
    let there = features(&binary());
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<String> = rows
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let code = cells.next()?.trim_matches('`');
            let status: u16 = cells.next()?.parse().ok()?;
            Some(format!("{status} {code}"))
        })
        .collect();
    let mut sources = sources("src");
    sources.extend(self::sources("features"));
    let mut written = BTreeSet::new();
    for source in &sources {
        for (place, _) in source.match_indices("StatusCode::") {
            let mut parts = source[place + "StatusCode::".len()..].splitn(2, ',');
            let status = parts.next().unwrap_or_default();
            let next = parts.next().unwrap_or_default().trim_start();
            let code = next
                .strip_prefix('"')
                .and_then(|next| next.split('"').next());
            if let (Some(status), Some(code)) = (number(status), code) {
                written.insert(format!("{status} {code}"));
            }
        }
    }
    assert!(written.len() > 15, "{written:?}");
    let missing: Vec<_> = written.difference(&listed).collect();
    assert_eq!(missing, Vec::<&String>::new());
    let all = sources.concat();
    let invented = listed.iter().filter(|entry| {
        let code = entry.split(' ').nth(1).unwrap_or_default();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{code}`")));
        // A feature's code says whose it is; its file may be taken out.
        let owner = row.and_then(|row| row.split("](features/").nth(1)?.split(".md)").next());
        let is_gone = owner.is_some_and(|owner| !there.iter().any(|name| name == owner));
        !is_gone && !all.contains(&format!("\"{code}\""))
    });
    assert_eq!(invented.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The number of a status by the name of its constant.
fn number(constant: &str) -> Option<u16> {
    let name = constant.replace('_', " ");
    (400..600).find(|code| {
        let status = veche::prelude::StatusCode::from_u16(*code).ok();
        let reason = status.and_then(|status| status.canonical_reason());
        let plain = |c: &char| c.is_ascii_alphabetic() || *c == ' ';
        reason.is_some_and(|reason| {
            let reason: String = reason.replace('-', " ").chars().filter(plain).collect();
            reason.eq_ignore_ascii_case(&name)
        })
    })
}

#[test]
fn the_table_of_dependencies_is_cargos() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap_or_default();
    // Those of some systems alone stand in the same table.
    let some = manifest["target"].as_table().into_iter().flatten();
    let tables = some.filter_map(|(_, target)| target.get("dependencies"));
    let wanted = tables.chain([&manifest["dependencies"]]);
    let wanted = wanted.filter_map(toml::Value::as_table).flatten();
    let mut wanted: Vec<String> = wanted
        .map(|(name, entry)| {
            let mut features: BTreeSet<&str> = entry
                .get("features")
                .and_then(toml::Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(toml::Value::as_str)
                .collect();
            let default = entry.get("default-features").and_then(toml::Value::as_bool);
            if default != Some(false) {
                features.insert("default");
            }
            format!("{name} {features:?}")
        })
        .collect();
    let page = read("docs/architecture.md");
    let (_, section) = page.split_once("## Dependencies").unwrap_or_default();
    let mut listed = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, features, why, _] = cells[..] else {
            unreachable!("{row} has three cells")
        };
        assert!(why.len() > 3, "{row} gives no reason");
        let mut set = code(features);
        if features.starts_with("default") {
            set.insert("default");
        }
        listed.push(format!("{} {set:?}", name.trim_matches('`')));
    }
    listed.sort();
    wanted.sort();
    assert_eq!(listed, wanted);
}

/// The files that writing-a-feature.md holds, by their paths.
fn files() -> Vec<(String, String)> {
    let blocks = blocks("docs/writing-a-feature.md").into_iter();
    blocks
        .filter_map(|block| {
            let (_, path) = block.kind.split_once(' ')?;
            Some((path.to_owned(), block.text))
        })
        .collect()
}

fn file(path: &str) -> String {
    let files = files().into_iter();
    let found = files.filter(|(name, _)| name == path).map(|(_, text)| text);
    found.collect()
}

#[test]
fn what_the_guide_quotes_stands_in_the_files_it_names() {
    let quotes = files();
    let quotes = quotes
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix("from ")?, text)));
    let mut count = 0;
    for (path, text) in quotes {
        assert!(read(path).contains(text.as_str()), "{path} has no\n{text}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_guides_feature_is_whole_and_of_less_than_60_lines() {
    let feature = file("features/quiet.rs");
    assert!(feature.lines().count() < 60);
    assert!(feature.contains("feature!(Quiet);"), "{feature}");
}

/// Runs cargo, and gives what it complained about.
fn cargo(folder: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    // What cargo set for this test is not for the other crate.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    command.env_remove("CARGO_MANIFEST_DIR");
    command.envs(environment.iter().copied());
    let output = command.output();
    let Ok(output) = output else {
        unreachable!("cargo runs: {output:?}")
    };
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "cargo {arguments:?}:\n{complaints}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    complaints
}

fn write(path: &Path, text: &str) {
    let made = path.parent().map(fs::create_dir_all);
    assert!(matches!(made, Some(Ok(()))), "{}: {made:?}", path.display());
    let written = fs::write(path, text);
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}

/// A copy of what a build of the crate needs.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let inside = to.join(&name);
        if path.is_dir() {
            if !matches!(name.to_str(), Some("target" | ".git")) {
                let made = fs::create_dir_all(&inside);
                assert!(made.is_ok(), "{made:?}");
                copy(&path, &inside);
            }
        } else {
            let copied = fs::copy(&path, &inside);
            assert!(copied.is_ok(), "{}: {copied:?}", path.display());
        }
    }
}

#[test]
fn the_guides_feature_is_dropped_into_the_folder_and_builds_without_a_warning() {
    let folder = Folder::new();
    let place = folder.join("veche");
    let made = fs::create_dir(&place);
    assert!(made.is_ok(), "{made:?}");
    copy(root(), &place);
    write(&place.join("features/quiet.rs"), &file("features/quiet.rs"));
    let target = target();
    let complaints = cargo(
        &place,
        &["check", "--lib", "--offline", "--quiet"],
        &[("CARGO_TARGET_DIR", &target)],
    );
    assert!(!complaints.contains("warning"), "{complaints}");
}

/// Where this build's files lie, for another crate with the same dependencies to use.
fn target() -> PathBuf {
    let mut folder = Path::new(env!("CARGO_BIN_EXE_veche")).ancestors().skip(2);
    folder.next().map(Path::to_path_buf).unwrap_or_default()
}

#[test]
fn the_guides_feature_in_a_crate_of_its_own_passes_its_test_in_its_own_server() {
    let folder = Folder::new();
    let manifest = file("Cargo.toml").replace("../veche", &root().display().to_string());
    // The profiles of the root, so that what is built already is not built again.
    let own: toml::Table = read("Cargo.toml").parse().unwrap_or_default();
    let mut more = toml::Table::new();
    more.insert("profile".into(), own["profile"].clone());
    let plain = toml::Value::Table(toml::Table::from_iter([("opt-level".to_owned(), 0.into())]));
    if let Some(packages) = more["profile"]["dev"]["package"].as_table_mut() {
        packages.insert("veche".into(), plain);
    }
    folder.write("Cargo.toml", format!("{manifest}\n[workspace]\n{more}"));
    folder.write("Cargo.lock", read("Cargo.lock"));
    for (from, to) in [
        ("features/quiet.rs", "src/lib.rs"),
        ("src/main.rs", "src/main.rs"),
        ("tests/quiet.rs", "tests/quiet.rs"),
    ] {
        write(&folder.join(to), &file(from));
    }
    let target = target();
    let server = target.join("debug/quiet");
    cargo(
        folder.path(),
        &["test", "--offline", "--quiet"],
        &[("CARGO_TARGET_DIR", &target), ("VECHE_BINARY", &server)],
    );
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
    assert_eq!(number("URI_TOO_LONG"), Some(414));
}
