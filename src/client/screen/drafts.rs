//! What was typed and not sent, kept for each chat over a restart. Each window has a file of its own,
//! and a lock beside it for as long as it is open; the next one that opens takes over what those have
//! left that are closed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outgoing::Kept;

/// The most that is read of a damaged or strange file.
const MAX_FILE: u64 = 4 << 20;

/// The most windows of one user at one server that have a file each; more share the last one.
const WINDOWS: usize = 16;

/// The file of one user at one server, in one window.
pub struct Drafts {
    path: PathBuf,
    kept: Unsent,
    /// What is left in the files of closed windows, with their locks, until it is kept here.
    left: Vec<(PathBuf, Option<File>)>,
    _lock: Option<File>,
}

/// What was not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsent {
    /// The lines that were begun, by chat.
    pub begun: BTreeMap<String, String>,
    /// What was on its way.
    pub outgoing: Vec<Kept>,
    /// The chats whose lines go nowhere, with the commands that led there.
    pub nowhere: BTreeMap<String, String>,
    /// The titles of the rooms among those chats, by their addresses.
    pub titles: BTreeMap<String, String>,
}

impl Unsent {
    /// What is kept at `path`; nothing, where that is damaged or not there.
    fn read(path: &Path) -> Unsent {
        let small = fs::metadata(path).is_ok_and(|file| file.len() <= MAX_FILE);
        let text = small.then(|| fs::read_to_string(path).ok()).flatten();
        let kept = text.and_then(|text| serde_json::from_str(&text).ok());
        kept.unwrap_or_default()
    }

    /// Takes in what another window has left.
    fn add(&mut self, other: Unsent) {
        for (chat, text) in other.begun {
            let own = self.begun.entry(chat).or_default();
            let gap = if own.is_empty() { "" } else { "\n" };
            *own = format!("{own}{gap}{text}");
        }
        self.outgoing.extend(other.outgoing);
        self.nowhere.extend(other.nowhere);
        self.titles.extend(other.titles);
    }

    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.outgoing.is_empty()
    }
}

impl Drafts {
    /// What is kept at `path` by no other window; nothing, where that is damaged or not there.
    pub fn open(path: &Path) -> Drafts {
        let mut own: Option<Drafts> = None;
        for number in 1..=WINDOWS {
            let path = numbered(path, number);
            if own.is_some() && !path.exists() {
                continue;
            }
            let lock = match lock(&path) {
                Ok(lock) => Some(lock),
                Err(_) if own.is_some() => continue,
                Err(TryLockError::WouldBlock) if number < WINDOWS => continue,
                // Locks are not to be had everywhere.
                Err(_) => None,
            };
            match &mut own {
                None => {
                    own = Some(Drafts {
                        kept: Unsent::read(&path),
                        path,
                        left: Vec::new(),
                        _lock: lock,
                    });
                }
                Some(own) => own.left.push((path, lock)),
            }
        }
        own.unwrap_or_else(|| Drafts {
            path: path.to_owned(),
            kept: Unsent::default(),
            left: Vec::new(),
            _lock: None,
        })
    }

    /// Where a text may lie for as long as an editor has it.
    pub fn beside(&self) -> PathBuf {
        self.path.with_extension("txt")
    }

    /// All that is kept, and what closed windows have left.
    pub fn all(&self) -> Unsent {
        let mut all = self.kept.clone();
        for (path, _) in &self.left {
            all.add(Unsent::read(path));
        }
        all
    }

    /// Keeps this instead, in a file for the user alone that is there whole or not at all.
    pub fn keep(&mut self, drafts: Unsent) -> io::Result<()> {
        if drafts == self.kept && self.left.is_empty() {
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
        for (path, _) in self.left.drain(..) {
            // What is here is not to come again.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// The file of one of several windows.
fn numbered(path: &Path, number: usize) -> PathBuf {
    match number {
        1 => path.to_owned(),
        _ => appended(path, &format!("-{number}")),
    }
}

fn appended(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// Locks a window's file, which is told by one beside it: it is another one each time it is written.
fn lock(path: &Path) -> Result<File, TryLockError> {
    let path = appended(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
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
        let mut drafts = Drafts::open(&path);
        assert!(drafts.all().is_empty());
        let some = some("half a\nthought", "on its way");
        drafts.keep(some.clone()).unwrap();
        drop(drafts);
        // The key is the same, so that it is there once.
        let mut drafts = Drafts::open(&path);
        assert_eq!(drafts.all(), some);
        drafts.keep(Unsent::default()).unwrap();
        assert!(!path.exists());
        drop(drafts);
        fs::write(&path, "{\"begun\":").unwrap();
        assert!(Drafts::open(&path).all().is_empty());
    }

    fn some(begun: &str, outgoing: &str) -> Unsent {
        Unsent {
            begun: BTreeMap::from([("common".to_owned(), begun.to_owned())]),
            outgoing: vec![Kept {
                post: Post::text("common", outgoing),
                here: "common".to_owned(),
            }],
            nowhere: BTreeMap::from([("common".to_owned(), "/to @bob".to_owned())]),
            titles: BTreeMap::from([("room:7".to_owned(), "Garden".to_owned())]),
        }
    }

    #[test]
    fn each_window_has_its_own_and_the_next_one_takes_over_what_closed_ones_left() {
        let folder = folder();
        let path = folder.path().join("drafts");
        let [mut first, mut second] = [Drafts::open(&path), Drafts::open(&path)];
        let (one, two) = (some("one", "1"), some("two", "2"));
        first.keep(one.clone()).unwrap();
        second.keep(two.clone()).unwrap();
        // What another one has that is open is its own.
        assert!(Drafts::open(&path).all().is_empty());
        drop(first);
        drop(second);
        let mut next = Drafts::open(&path);
        let all = next.all();
        assert_eq!(all.begun["common"], "one\ntwo");
        assert_eq!(all.outgoing, [one.outgoing, two.outgoing].concat());
        next.keep(all.clone()).unwrap();
        drop(next);
        assert_eq!(Drafts::open(&path).all(), all, "it is there once");
    }
}
