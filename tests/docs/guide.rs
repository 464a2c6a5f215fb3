//! The guide to a feature of one's own, followed to the letter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use veche::testing::{Folder, binary};

use crate::pages::{blocks, read, root};

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
    let mut command = veche::testing::cargo();
    command.args(arguments).current_dir(folder);
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
    let made = new_feature(&place, "read_marks");
    assert!(made.contains("features/read_marks.rs"), "{made}");
    assert!(made.contains("cargo test --test read_marks"), "{made}");
    let target = target();
    // What it stands on was checked for the lints, or is so for them, too: with what tests ask for.
    let check = "check --profile lints --lib --test prelude --offline --quiet";
    let complaints = cargo(
        &place,
        &check.split(' ').collect::<Vec<_>>(),
        &[("CARGO_TARGET_DIR", &target)],
    );
    assert!(!complaints.contains("warning"), "{complaints}");
}

/// Where this build's files lie, for another crate with the same dependencies to use.
fn target() -> PathBuf {
    let mut folder = Path::new(env!("CARGO_BIN_EXE_veche")).ancestors().skip(2);
    folder.next().map(Path::to_path_buf).unwrap_or_default()
}

/// Says what `veche new-feature` says in a folder.
fn new_feature(folder: &Path, name: &str) -> String {
    let mut veche = Command::new(binary());
    let done = veche
        .args(["new-feature", name])
        .current_dir(folder)
        .output();
    done.map_or_else(
        |error| error.to_string(),
        |done| {
            let said = [done.stdout, done.stderr].concat();
            String::from_utf8_lossy(&said).into_owned()
        },
    )
}

/// Has a crate find veche, and ask for what veche's own tests ask for, so that what both stand on is
/// built once.
fn settle(folder: &Path) {
    let path = folder.join("Cargo.toml");
    let manifest = fs::read_to_string(&path).unwrap_or_default();
    let manifest = manifest.replace("../veche", &root().display().to_string());
    let mut manifest: toml::Table = manifest.parse().unwrap_or_default();
    let own: toml::Table = read("Cargo.toml").parse().unwrap_or_default();
    let tests = "dev-dependencies";
    let unix = own["target"]["cfg(unix)"][tests].as_table().into_iter();
    let asked = own[tests].as_table().into_iter().chain(unix).flatten();
    let mut all: toml::Table = asked
        .map(|(name, asked)| (name.clone(), asked.clone()))
        .collect();
    if let Some(toml::Value::Table(given)) = manifest.remove(tests) {
        all.extend(given);
    }
    manifest.insert(tests.into(), all.into());
    write(&path, &manifest.to_string());
}

/// Makes crates one workspace with the profiles of the root, and runs the tests of each.
fn passes(folder: &Path, names: &[&str]) {
    let mut workspace = toml::toml! {
        [workspace]
        resolver = "3"
        members = ["*"]
    };
    let own: toml::Table = read("Cargo.toml").parse().unwrap_or_default();
    let mut profiles = own["profile"].clone();
    if let Some(packages) = profiles["dev"]["package"].as_table_mut() {
        packages.insert("veche".into(), toml::toml! { opt-level = 0 }.into());
    }
    workspace.insert("profile".into(), profiles);
    write(&folder.join("Cargo.toml"), &workspace.to_string());
    write(&folder.join("Cargo.lock"), &read("Cargo.lock"));
    let target = target();
    for name in names {
        let server = target.join("debug").join(name);
        cargo(
            folder,
            &["test", "--offline", "--quiet", "--package", name],
            &[("CARGO_TARGET_DIR", &target), ("VECHE_BINARY", &server)],
        );
    }
}

#[test]
fn the_guides_feature_and_a_new_one_pass_their_tests_in_crates_of_their_own() {
    // A place that stays, for cargo knows a crate by its path.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    let _ = fs::remove_dir_all(&folder);
    for (from, to) in [
        ("Cargo.toml", "Cargo.toml"),
        ("features/quiet.rs", "src/lib.rs"),
        ("src/main.rs", "src/main.rs"),
        ("tests/quiet.rs", "tests/quiet.rs"),
    ] {
        write(&folder.join("quiet").join(to), &file(from));
    }
    let made = new_feature(&folder, "read_marks");
    assert!(made.contains("read_marks/src/lib.rs"), "{made}");
    assert!(made.contains("cargo test"), "{made}");
    let names = ["quiet", "read_marks"];
    names.iter().for_each(|name| settle(&folder.join(name)));
    passes(&folder, &names);
    let again = new_feature(&folder, "read_marks");
    assert!(
        again.contains("read_marks/Cargo.toml can't be written"),
        "{again}"
    );
    let taken = new_feature(&folder, "Read-Marks");
    assert!(taken.contains("can't be a feature's name"), "{taken}");
}
