//! What features stand on: the prelude's items, as they were written down. One that goes or changes
//! breaks crates of features; one that comes is a promise. Both are to be done on purpose.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use public_api::Builder;
use veche::testing::{Folder, cargo};

/// Where they are written down.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/prelude.txt");

/// The prelude's items, with those of the types in it, each in a line.
fn items() -> BTreeSet<String> {
    let folder = Folder::new();
    // rustdoc's JSON is not stable yet; only rustdoc is to know that it is asked for, or all would be
    // built anew.
    let rustdoc = folder.join("rustdoc");
    let beside = Path::new(env!("CARGO")).with_file_name("rustdoc");
    let script = format!(
        "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec '{}' \"$@\"\n",
        beside.display()
    );
    fs::write(&rustdoc, script).expect("a file");
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)).expect("its mode");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("");
    let output = cargo()
        .args(["rustdoc", "--lib", "--offline", "--quiet", "--"])
        .args(["-Z", "unstable-options", "--output-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTDOC", &rustdoc)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all = Builder::from_rustdoc_json(target.join("doc/veche.json"))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .expect("another version of public-api reads what this rustdoc writes");
    let all = all.items().map(ToString::to_string);
    let is_module = |line: &String| line.starts_with("pub mod veche::");
    let prelude = all.skip_while(|line| line != "pub mod veche::prelude");
    let inside = |line: &String| !is_module(line) || line.contains("::prelude");
    // Macros stand in modules of their names, whose other items are the core's.
    let is_beside = |line: &String| {
        [
            "prelude::feature::",
            "prelude::settings::",
            "prelude::strings::",
            "config::",
        ]
        .iter()
        .any(|path| line.contains(&format!("veche::{path}")))
    };
    prelude
        .take_while(inside)
        .filter(|line| !is_beside(line))
        .collect()
}

#[test]
fn the_prelude_is_as_it_was_written_down() {
    let now = items();
    if std::env::var_os("VECHE_WRITE_PRELUDE").is_some() {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        fs::write(WRITTEN, text).expect("a file");
        return;
    }
    let written = fs::read_to_string(WRITTEN).unwrap_or_default();
    let written: BTreeSet<String> = written.lines().map(str::to_owned).collect();
    let gone: Vec<_> = written.difference(&now).collect();
    let new: Vec<_> = now.difference(&written).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "VECHE_WRITE_PRELUDE=1 cargo test --test prelude writes docs/prelude.txt anew; CHANGELOG.md \
         is to say what it means for those who have features\nwhat breaks them: {gone:#?}\nwhat is \
         new: {new:#?}"
    );
}
