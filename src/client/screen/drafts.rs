//! What was typed and not sent, kept for each chat over a restart.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outgoing::Kept;

/// The most that is read of a damaged or strange file.
const MAX_FILE: u64 = 4 << 20;

/// The file of one user at one server.
pub struct Drafts {
    path: PathBuf,
    kept: Unsent,
}

/// What was not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsent {
    /// The lines that were begun, by chat.
    pub begun: BTreeMap<String, String>,
    /// What was on its way.
    pub outgoing: Vec<Kept>,
    /// The titles of the rooms among those chats, by their addresses.
    pub titles: BTreeMap<String, String>,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.outgoing.is_empty()
    }
}

impl Drafts {
    /// What is kept at `path`; nothing, where that is damaged or not there.
    pub fn open(path: PathBuf) -> Drafts {
        let small = fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_FILE);
        let text = small.then(|| fs::read_to_string(&path).ok()).flatten();
        let kept = text.and_then(|text| serde_json::from_str(&text).ok());
        Drafts {
            path,
            kept: kept.unwrap_or_default(),
        }
    }

    /// Where a text may lie for as long as an editor has it.
    pub fn beside(&self) -> PathBuf {
        self.path.with_extension("txt")
    }

    /// What is kept.
    pub fn all(&self) -> &Unsent {
        &self.kept
    }

    /// Keeps this instead, in a file for the user alone that is there whole or not at all.
    pub fn keep(&mut self, drafts: Unsent) -> io::Result<()> {
        if drafts == self.kept {
            return Ok(());
        }
        if drafts.is_empty() {
            fs::remove_file(&self.path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        } else {
            write(&self.path, &serde_json::to_vec(&drafts)?)?;
        }
        self.kept = drafts;
        Ok(())
    }
}

/// Writes a file for the user alone, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&fresh)?.write_all(bytes)?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::folder;
    use super::super::super::post::Post;
    use super::*;

    #[test]
    fn drafts_are_there_after_a_restart_until_they_are_sent() {
        let folder = folder();
        let path = folder.path().join("drafts");
        let mut drafts = Drafts::open(path.clone());
        assert!(drafts.all().is_empty());
        let some = Unsent {
            begun: BTreeMap::from([("common".to_owned(), "half a\nthought".to_owned())]),
            outgoing: vec![Kept {
                post: Post::text("common", "on its way"),
                here: "common".to_owned(),
            }],
            titles: BTreeMap::from([("room:7".to_owned(), "Garden".to_owned())]),
        };
        drafts.keep(some.clone()).unwrap();
        // The key is the same, so that it is there once.
        assert_eq!(Drafts::open(path.clone()).all(), &some);
        drafts.keep(Unsent::default()).unwrap();
        assert!(!path.exists());
        fs::write(&path, "{\"begun\":").unwrap();
        assert!(Drafts::open(path).all().is_empty());
    }
}
