//! `veche new-feature`: the files of a feature that works, to be changed into another.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::feature::place;

/// The feature, its test, its page. Their name is `sample` wherever it stands.
const FEATURE: &str = include_str!("new_feature/sample.rs");
const TEST: &str = include_str!("new_feature/test.rs");
const PAGE: &str = include_str!("new_feature/page.md");

/// What makes a crate of it.
const MANIFEST: &str = r#"[package]
name = "sample"
version = "0.1.0"
edition = "2024"

[dependencies]
veche = { path = "../veche" }
schemars = "1"
serde = { version = "1", features = ["derive"] }
"#;
const MAIN: &str = "\
//! A server of one's own: veche with the feature of this crate.

use sample as _;

fn main() -> std::process::ExitCode {
    veche::main()
}
";

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewFeatureError {
    /// No module can be called so.
    #[error(
        "`{0}` can't be a feature's name: it is a lower-case letter, then up to 39 lower-case letters, \
         digits and `_`, and no word of Rust"
    )]
    Name(String),
    /// There is one.
    #[error("there is a feature `{0}` already")]
    Taken(String),
    /// It is there, or can't be written.
    #[error("{} can't be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody hears what was done.
    #[error("what was done can't be told")]
    Output(#[from] io::Error),
}

/// Writes a feature into `folder`: into the tree of veche, where it is that; else as a crate of its own.
pub(super) fn write(folder: &Path, name: &str) -> Result<(), NewFeatureError> {
    if !is_module(name) {
        return Err(NewFeatureError::Name(name.to_owned()));
    }
    if place(name).is_some() {
        return Err(NewFeatureError::Taken(name.to_owned()));
    }
    let is_tree = ["features", "src/prelude.rs"]
        .iter()
        .all(|path| folder.join(path).exists());
    let (parts, next) = if is_tree {
        in_tree(name)
    } else {
        as_crate(name)
    };
    for (path, text) in &parts {
        let path = folder.join(path);
        create(&path, text).map_err(|source| NewFeatureError::File { path, source })?;
    }
    let mut out = io::stdout().lock();
    for (path, _) in &parts {
        writeln!(out, "{}", folder.join(path).display())?;
    }
    Ok(writeln!(out, "\n{next}")?)
}

type Files = Vec<(String, String)>;

fn in_tree(name: &str) -> (Files, String) {
    let test = TEST.replace("CARGO_BIN_EXE_sample", "CARGO_BIN_EXE_veche");
    let (head, body) = test.split_once("\n\n").unwrap_or_default();
    let test = format!("{head}\n\n#![cfg(has_feature = \"sample\")]\n\n{body}");
    let parts = vec![
        (format!("features/{name}.rs"), named(FEATURE, name)),
        (format!("tests/{name}.rs"), named(&test, name)),
        (format!("docs/features/{name}.md"), named(PAGE, name)),
    ];
    let next = format!(
        "Its test passes:    cargo test --test {name}\n\
         Its settings:       cargo run -- check --sample > config.toml\n\
         What it lacks yet:  cargo test --test house --test docs --test rights --test subsets\n\
         How to go on:       docs/writing-a-feature.md"
    );
    (parts, next)
}

fn as_crate(name: &str) -> (Files, String) {
    let parts = [
        ("Cargo.toml", MANIFEST),
        ("src/lib.rs", FEATURE),
        ("src/main.rs", MAIN),
        ("tests/sample.rs", TEST),
    ];
    let parts =
        parts.map(|(path, text)| (named(&format!("{name}/{path}"), name), named(text, name)));
    let next = format!(
        "Say in {name}/Cargo.toml where veche lies. Then its test passes: cd {name} && cargo test\n\
         How to go on: docs/writing-a-feature.md, in veche's tree"
    );
    (parts.into(), next)
}

/// A text about `sample`, about this feature.
fn named(text: &str, name: &str) -> String {
    let mut kind = String::new();
    for part in name.split('_') {
        let mut letters = part.chars();
        kind.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        kind.push_str(letters.as_str());
    }
    text.replace("sample", name).replace("Sample", &kind)
}

fn is_module(name: &str) -> bool {
    // Those of the words that could be mistaken for a name, and what crates can't be called.
    const WORDS: [&str; 52] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
        "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
        "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
        "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type",
        "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "test",
    ];
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 40
        && name.bytes().all(is_part)
        && !WORDS.contains(&name)
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::create_new(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_everywhere_in_the_form_that_is_wanted_there() {
        let text = named("feature!(Sample); // sample", "read_marks");
        assert_eq!(text, "feature!(ReadMarks); // read_marks");
        for (parts, _) in [in_tree("read_marks"), as_crate("read_marks")] {
            for (path, text) in parts {
                let all = format!("{path}\n{text}").to_lowercase();
                assert!(!all.contains("sample"), "{path}");
            }
        }
    }

    #[test]
    fn what_no_module_can_be_called_is_refused() {
        for name in [
            "",
            "Quiet",
            "2nd",
            "a-b",
            "über",
            "fn",
            "../x",
            "test",
            &"a".repeat(41),
        ] {
            assert!(!is_module(name), "{name}");
        }
        assert!(is_module("read_marks2"));
    }
}
