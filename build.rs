//! Finds the features: every `features/NAME.rs` becomes a module of that name. Tests that need one
//! say so by `cfg(has_feature = "NAME")`, so that they go where it goes.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("features");
    // Watching the folder catches files that come and go; cargo watches the modules themselves.
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rustc-check-cfg=cfg(has_feature, values(any()))");
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_module = path.is_file() && path.extension().is_some_and(|end| end == "rs");
            if let Some(name) = path
                .file_stem()
                .and_then(|name| name.to_str())
                .filter(|_| is_module)
            {
                names.push((name.to_owned(), path.display().to_string()));
            }
        }
    }
    names.sort();
    let mut modules = String::new();
    for (name, path) in names {
        println!("cargo::rustc-cfg=has_feature={name:?}");
        // Writing to a string can't fail.
        let _ = writeln!(modules, "#[path = {path:?}]\npub mod {name};");
    }
    fs::write(
        Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("features.rs"),
        modules,
    )
}
