//! Finds the features: every `features/NAME.rs` becomes a module of that name. Tests that need one
//! say so by `cfg(has_feature = "NAME")`, so that they go where it goes.
//!
//! And packs what they serve as it is: of a file of the web in `features/NAME/` there is a packed one
//! in `OUT_DIR/NAME/`, for `Fixed::packed`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

/// The files of the web, by the ends of their names.
const WEB: [&str; 4] = ["css", "html", "js", "svg"];

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("features");
    let out = env::var("OUT_DIR").unwrap_or_default();
    let out = Path::new(&out);
    // Watching the folder catches files that come and go; cargo watches the modules themselves.
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rustc-check-cfg=cfg(has_feature, values(any()))");
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_dir()) {
                pack(&path, &out.join(name))?;
            }
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
    fs::write(out.join("features.rs"), modules)
}

/// Packs the files of the web that lie in a folder into another, each under its name and `.gz`.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) =
            name.filter(|name| WEB.iter().any(|end| name.ends_with(&format!(".{end}"))))
        else {
            continue;
        };
        let file = fs::File::create(to.join(format!("{name}.gz")))?;
        let mut packer = GzEncoder::new(file, Compression::best());
        packer.write_all(lean(&fs::read_to_string(&path)?).as_bytes())?;
        packer.finish()?;
    }
    Ok(())
}

/// A text without what only those need who write it: indentation, empty lines, and comments that have
/// their lines to themselves.
fn lean(text: &str) -> String {
    let mut is_comment = false;
    let mut lean = String::new();
    for line in text.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !(is_comment || line.is_empty() || line.starts_with("//")) {
            lean += line;
            lean.push('\n');
        }
        is_comment &= !line.ends_with("*/");
    }
    lean
}
