//! Tables list what is there, and nothing else.

use std::collections::BTreeSet;
use std::fs;

use veche::testing::{Server, binary, features};

use crate::pages::{code, read, root};

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
    assert_eq!(number("URI_TOO_LONG"), Some(414));
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
