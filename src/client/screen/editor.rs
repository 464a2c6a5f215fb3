//! A long text, written in the editor that the user has chosen.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use super::drafts::write;

/// What is used where neither `VISUAL` nor `EDITOR` says.
const EDITOR: &str = "vi";

/// Runs the editor on a text; gives what it has become, or why it is none.
pub fn edit(path: &Path, text: &str) -> Result<String, String> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR"));
    let editor = editor.unwrap_or_else(|| EDITOR.to_owned());
    write(path, text.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))?;
    // It may have arguments, and is read as shells read it.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(path)
        .status();
    let edited = match status {
        Ok(status) if status.success() => {
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        }
        Ok(status) => Err(format!(
            "{editor} ended with {status}: the line is as it was"
        )),
        Err(error) => Err(format!("{editor} cannot be started: {error}")),
    };
    // What stays of it is the user's alone, and written over the next time.
    let _ = fs::remove_file(path);
    edited
}
