//! The house rules, as tests: the core and the features know of each other what they may, every
//! feature keeps the same promises, no link is dead, and pulling a feature's file leaves the rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use veche::testing::{Folder, binary, features, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder whose name ends so, sorted, but what is built, fetched or git's.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if name != "target" && name != ".git" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The features whose files lie in the folder.
fn plugged() -> Vec<String> {
    let fronts = files("features", ".rs");
    let fronts = fronts
        .iter()
        .filter(|path| path.parent() == Some(&root().join("features")));
    fronts
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect()
}

/// Rust's text without its comments and, unless they are asked for, what is between quotes.
fn code(source: &str, with_strings: bool) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = raw_string(rest, &code) {
            if with_strings {
                code += &rest[..end];
            }
            end
        } else if first == '"' {
            let end = quoted(rest, '"');
            if with_strings {
                code += &rest[..end];
            }
            end
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    code
}

/// The length of a raw string that begins here.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    let text = hashes[count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    Some(rest.len() - text.len() + text.find(&end)? + end.len())
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character in quotes, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(end)) => end == '\'',
        _ => false,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every word of a text.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The first and the second part of every path in the code.
fn paths(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (place, _) in code.match_indices("::") {
        let before = &code[..place];
        let first = &before[before.trim_end_matches(is_word).len()..];
        let head = &before[..before.len() - first.len()];
        let after = &code[place + 2..];
        let second = &after[..after.find(|c| !is_word(c)).unwrap_or(after.len())];
        // `count::<u64>` is a call with its types, not a path.
        if first.is_empty() || second.is_empty() || head.ends_with("::") {
            continue;
        }
        found.push((first.to_owned(), second.to_owned()));
    }
    found
}

#[test]
fn a_feature_imports_from_the_prelude_alone() {
    const ALLOWED: [&str; 5] = ["std", "core", "alloc", "self", "super"];
    // What the prelude exports may lead a path, such as a crate that it passes on.
    let prelude = files("src", "prelude.rs")
        .iter()
        .map(|path| code(&read(path), false))
        .collect::<String>()
        + &read(&root().join("src/lib.rs"));
    let exported = words(&prelude);
    let mut wrong = Vec::new();
    for path in files("features", ".rs") {
        let source = read(&path);
        let code = code(&source, false);
        let own: Vec<&str> = code
            .split("mod ")
            .skip(1)
            .filter_map(|rest| rest.split(|c| !is_word(c)).next())
            .collect();
        for (first, second) in paths(&code) {
            let is_type = first.starts_with(|c: char| c.is_uppercase());
            let is_primitive = [
                "u8", "u16", "u32", "u64", "i64", "usize", "f64", "str", "char",
            ]
            .contains(&first.as_str());
            let prelude = first == "veche" && second == "prelude";
            let passed_on =
                first != "crate" && first != "veche" && exported.contains(first.as_str());
            if !(is_type
                || is_primitive
                || prelude
                || passed_on
                || ALLOWED.contains(&first.as_str())
                || own.contains(&first.as_str()))
            {
                wrong.push(format!("{}: {first}::{second}", path.display()));
            }
        }
        if !plugged().is_empty() && path.parent() == Some(&root().join("features")) {
            assert!(
                code.contains("veche::prelude"),
                "{} uses no prelude",
                path.display()
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_core_names_no_feature() {
    let names = plugged();
    let mut wrong = Vec::new();
    for path in files("src", ".rs") {
        let inside = path.strip_prefix(root().join("src")).unwrap_or(&path);
        // The console client is a client of the whole API, not the core.
        if inside.starts_with("client") {
            continue;
        }
        if inside.ends_with("tests.rs") || inside.iter().any(|part| part == "tests") {
            continue;
        }
        let source = read(&path);
        let core = source
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let code = code(core, true);
        let words = words(&code);
        for name in &names {
            if words.contains(name.as_str()) {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Features whose code is a client of the whole API, for people who speak another protocol: it has the
/// API's paths and fields in its strings, as the console client has.
const CLIENTS: [&str; 1] = ["irc"];

#[test]
fn features_do_not_name_each_other() {
    let names = plugged();
    let mut wrong = Vec::new();
    for path in files("features", ".rs") {
        let inside = path.strip_prefix(root().join("features")).unwrap_or(&path);
        let own = inside
            .iter()
            .next()
            .and_then(|part| Path::new(part).file_stem())
            .and_then(|stem| stem.to_str());
        let source = read(&path);
        let is_client = own.is_some_and(|own| CLIENTS.contains(&own));
        let code = code(&source, !is_client);
        let words = words(&code);
        for name in names.iter().filter(|name| Some(name.as_str()) != own) {
            if words.contains(name.as_str()) {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_file_of_the_folder_is_a_feature_of_the_binary() {
    assert_eq!(features(&binary()), plugged());
}

#[test]
fn every_feature_says_what_it_is_about_and_has_its_documented_settings_and_its_page_in_docs() {
    let folder = Folder::new();
    let list = run(folder.path(), ["features"]);
    assert!(list.status.success(), "{list:?}");
    let settings = run(folder.path(), ["check"]).stdout;
    let settings: toml::Table = settings.parse().unwrap_or_default();
    let sample = read(&root().join("config.toml"));
    let mut wrong = Vec::new();
    for name in plugged() {
        let lines = list.stdout.lines();
        let mut block = lines.skip_while(|line| line.split(' ').next() != Some(&name));
        let state = words(block.next().unwrap_or_default());
        if !(state.contains("on") || state.contains("off")) {
            wrong.push(format!(
                "`veche features` does not say whether {name} is on"
            ));
        }
        let block: Vec<&str> = block.take_while(|line| line.starts_with(' ')).collect();
        if block.first().is_none_or(|about| words(about).len() < 3) {
            wrong.push(format!("`veche features` says nothing on {name}"));
        }
        let table = format!("[features.{name}]");
        let Some((_, section)) = sample.split_once(&table) else {
            wrong.push(format!("config.toml has no {table}"));
            continue;
        };
        let section = section.split("\n[").next().unwrap_or_default();
        let keys = settings["features"][&name]
            .as_table()
            .cloned()
            .unwrap_or_default();
        for key in keys.keys() {
            let shown = format!("{key} = ");
            if key != "enabled"
                && !block
                    .iter()
                    .any(|line| line.trim_start().starts_with(&shown))
            {
                wrong.push(format!("`veche features` does not show {name}'s {key}"));
            }
            let lines: Vec<&str> = section.lines().collect();
            let place = lines.iter().position(|line| {
                let setting = line.trim_start_matches(['#', ' ']);
                setting
                    .split('=')
                    .next()
                    .is_some_and(|word| word.trim() == key)
                    && setting.contains('=')
            });
            let documented = place.is_some_and(|place| {
                key == "enabled" || (place > 0 && lines[place - 1].trim_start().starts_with('#'))
            });
            if !documented {
                wrong.push(format!("{key} of {table} has no comment in config.toml"));
            }
        }
        let page = root().join(format!("docs/features/{name}.md"));
        if !page.is_file() {
            wrong.push(format!("docs/features has no page on {name}"));
        }
        let front = read(&root().join(format!("features/{name}.rs")));
        if !front.starts_with("//!") {
            wrong.push(format!(
                "features/{name}.rs does not begin with its manual page"
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The settings without the tables of features whose files were taken out: those are taken out by
/// whoever runs the server.
fn without_what_is_gone(settings: &str) -> String {
    let there = plugged();
    let mut is_gone = false;
    let kept = settings.trim_end().split("\n\n").filter(|paragraph| {
        let table = paragraph.lines().find_map(|line| line.strip_prefix('['));
        if let Some(table) = table {
            let feature = table
                .strip_prefix("features.")
                .and_then(|name| name.strip_suffix(']'));
            is_gone = feature.is_some_and(|name| !there.iter().any(|known| known == name));
        }
        !is_gone
    });
    kept.collect::<Vec<_>>().join("\n\n") + "\n"
}

#[test]
fn the_sample_config_is_the_one_that_the_settings_make_and_has_each_at_its_default() {
    let folder = Folder::new();
    let defaults = run(folder.path(), ["check"]);
    let sample = run(folder.path(), ["check", "--sample"]);
    let text = without_what_is_gone(&read(&root().join("config.toml")));
    assert_eq!(
        sample.stdout, text,
        "make it anew: veche check --sample > config.toml"
    );
    folder.write("config.toml", text);
    let checked = run(folder.path(), ["check"]);
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(checked.stdout, defaults.stdout);
}

#[test]
fn nothing_is_left_to_be_done_later() {
    // Written in parts, so that this file does not find itself.
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["HA", "CK"],
    ]
    .map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for folder in ["src", "features", "tests", "docs", "examples", "scripts"] {
        for path in files(folder, "") {
            let text = read(&path);
            for (number, line) in text.lines().enumerate() {
                if marks.iter().any(|mark| line.contains(mark.as_str())) {
                    wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A heading's anchor, as the sites that show Markdown make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_relative_link_in_the_documentation_leads_somewhere() {
    let mut pages = files("docs", ".md");
    pages.extend(files("examples", ".md"));
    pages.push(root().join("README.md"));
    let mut wrong = Vec::new();
    for page in pages {
        let text = read(&page);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://")
                || link.starts_with("mailto:")
                || link.contains(char::is_whitespace)
            {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap_or(root()).join(path)
            };
            let there = target.exists()
                && (fragment.is_empty()
                    || read(&target)
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == fragment));
            if !there {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Copies the crate to a folder, without what is built.
fn copy(to: &Path) {
    for path in files("", "") {
        let inside = path.strip_prefix(root()).unwrap_or(&path);
        let copy = to.join(inside);
        let made = copy.parent().map(std::fs::create_dir_all);
        assert!(matches!(made, Some(Ok(()))), "{}", copy.display());
        let copied = std::fs::copy(&path, &copy);
        assert!(copied.is_ok(), "{}: {copied:?}", path.display());
    }
    let made = std::fs::create_dir_all(to.join("features"));
    assert!(made.is_ok(), "{made:?}");
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_dir_all(path);
}

/// `cargo check` of a copy, in the folder that this test was built in: what the crate stands on
/// is there already.
fn builds(copy: &Path, target: &Path, without: &str) {
    let mut cargo = veche::testing::cargo();
    cargo.args(["check", "--lib", "--bins", "--offline", "--quiet"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .output();
    let Ok(output) = output else {
        unreachable!("cargo ran this test and is there: {output:?}")
    };
    assert!(
        output.status.success(),
        "without {without} the rest does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn pulling_a_features_file_leaves_the_rest_building_and_so_does_an_empty_folder() {
    let test = std::env::current_exe().unwrap_or_default();
    // target/debug/deps/house-…
    let target = test.ancestors().nth(3).unwrap_or(root());
    // One place for all copies and runs, for cargo knows a crate by its path.
    let place = target.join("plug/veche");
    let names = plugged();
    // All of them take long: one a day, or all where that is asked for.
    let day = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs() / 86_400);
    let all = std::env::var_os("VECHE_PLUG").is_some_and(|choice| choice == "all");
    let today = usize::try_from(day).unwrap_or(0) % names.len().max(1);
    for (number, name) in names.iter().enumerate() {
        if all || number == today {
            remove(&place);
            copy(&place);
            remove(&place.join(format!("features/{name}.rs")));
            remove(&place.join(format!("features/{name}")));
            builds(&place, target, name);
        }
    }
    remove(&place);
    copy(&place);
    remove(&place.join("features"));
    let made = std::fs::create_dir(place.join("features"));
    assert!(made.is_ok(), "{made:?}");
    builds(&place, target, "any feature");
    remove(&place);
}

#[test]
fn the_scanner_of_this_file_tells_code_from_comments_and_strings() {
    let source = "use a::b; // c::d\n/* e::f */ let x = \"g::h\"; r#\"i::\"j\"#; 'k'; '\\''; fn l<'m>() { n::o::p() }";
    let found: Vec<String> = paths(&code(source, false))
        .into_iter()
        .map(|(first, _)| first)
        .collect();
    assert_eq!(found, ["a", "n"]);
    assert!(code(source, true).contains("g::h"));
}
