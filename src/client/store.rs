//! The user's config folder: a token for each server and name, and the history of typed lines.
//!
//! The folder is `$XDG_CONFIG_HOME/veche`, or `~/.config/veche`, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// A token file is some 150 bytes; whatever is larger is not one.
const MAX_FILE: u64 = 16 * 1024;

/// A file of the config folder could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot {action}")]
pub struct StoreError {
    path: String,
    action: &'static str,
    source: io::Error,
}

/// The folder, existing and private.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    name: String,
    token: String,
}

impl Store {
    /// The user's own folder, made if it is not there.
    pub fn open() -> Result<Store, StoreError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = set("XDG_CONFIG_HOME").map(PathBuf::from);
        // The XDG base directory specification has relative paths ignored.
        let config = config.filter(|path| path.is_absolute());
        let config = config.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")));
        match config {
            Some(config) => Store::at(config.join("veche")),
            None => Err(StoreError {
                path: "the config folder".to_owned(),
                action: "be found: set HOME or XDG_CONFIG_HOME",
                source: io::ErrorKind::NotFound.into(),
            }),
        }
    }

    /// The store in `folder`, which is made with mode 0700, or given it.
    pub fn at(folder: PathBuf) -> Result<Store, StoreError> {
        let fail = |source| StoreError {
            path: folder.display().to_string(),
            action: "make this folder",
            source,
        };
        fs::create_dir_all(&folder).map_err(fail)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(fail)?;
        }
        Ok(Store { folder })
    }

    /// The token kept for `name` at `server`, if one is.
    pub fn load(&self, server: &str, name: &str) -> Result<Option<String>, StoreError> {
        let path = self.token_path(server, name);
        let fail = |source| StoreError {
            path: path.display().to_string(),
            action: "read the kept token",
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut text = String::new();
        io::Read::read_to_string(&mut io::Read::take(file, MAX_FILE), &mut text).map_err(fail)?;
        // A damaged file is as good as none: the server then asks for what proves the name.
        let kept: Option<Kept> = serde_json::from_str(&text).ok();
        Ok(kept
            .filter(|kept| kept.server == server && folded(&kept.name) == folded(name))
            .map(|kept| kept.token))
    }

    /// Keeps a token: a file of mode 0600 that is there whole or not at all.
    pub fn save(&self, server: &str, name: &str, token: &str) -> Result<(), StoreError> {
        let path = self.token_path(server, name);
        let fresh = self.folder.join(format!(".{}.new", uuid::Uuid::new_v4()));
        let kept = Kept {
            server: server.to_owned(),
            name: name.to_owned(),
            token: token.to_owned(),
        };
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&fresh)?;
            serde_json::to_writer(&mut file, &kept)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|source| {
            // Nothing of a failed attempt stays; the first error is the one to tell.
            let _ = fs::remove_file(&fresh);
            StoreError {
                path: path.display().to_string(),
                action: "keep the token",
                source,
            }
        })
    }

    /// Forgets the token of `name` at `server`, if it is still `token`.
    pub fn forget(&self, server: &str, name: &str, token: &str) -> Result<(), StoreError> {
        if self.load(server, name)?.as_deref() != Some(token) {
            return Ok(());
        }
        let path = self.token_path(server, name);
        fs::remove_file(&path).map_err(|source| StoreError {
            path: path.display().to_string(),
            action: "remove the token",
            source,
        })
    }

    /// Where the user writes what they would else say by flags.
    pub fn settings(&self) -> PathBuf {
        self.folder.join("client.toml")
    }

    /// Where the lines typed before are kept.
    pub fn history(&self) -> PathBuf {
        self.folder.join("history")
    }

    /// The file's name tells a reader whose it is, as far as ASCII can, and the digest tells all
    /// servers and names apart, whatever characters and length they have.
    fn token_path(&self, server: &str, name: &str) -> PathBuf {
        self.own_path("token", server, name)
    }

    /// Where the lines are kept that were typed and not sent.
    pub fn drafts(&self, server: &str, name: &str) -> PathBuf {
        self.own_path("drafts", server, name)
    }

    fn own_path(&self, what: &str, server: &str, name: &str) -> PathBuf {
        let folded = folded(name);
        let digest = Sha256::digest(format!("{server}\n{folded}").as_bytes());
        let digest: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
        let readable: String = folded
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .take(32)
            .collect();
        self.folder.join(format!("{what}-{readable}-{digest}"))
    }
}

/// A name as the server compares it: in Unicode's NFC and whatever its case.
fn folded(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::fake::store;
    use super::*;

    const SERVER: &str = "http://127.0.0.1:8000";

    #[test]
    fn a_token_is_kept_for_its_server_and_name_alone() {
        let (store, _folder) = store();
        store.save(SERVER, "ann", "t1").unwrap();
        assert_eq!(store.load(SERVER, "ann").unwrap().as_deref(), Some("t1"));
        assert_eq!(store.load(SERVER, "bob").unwrap(), None);
        assert_eq!(store.load("http://127.0.0.1:8001", "ann").unwrap(), None);
        store.save(SERVER, "ann", "t2").unwrap();
        assert_eq!(store.load(SERVER, "ann").unwrap().as_deref(), Some("t2"));
    }

    #[test]
    fn a_name_is_found_in_any_case_and_normal_form() {
        let (store, _folder) = store();
        store.save(SERVER, "Zo\u{e9}", "t").unwrap();
        assert_eq!(
            store.load(SERVER, "ZOE\u{301}").unwrap().as_deref(),
            Some("t")
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_and_the_token_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (store, _folder) = store();
        fs::set_permissions(&store.folder, fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store::at(store.folder).unwrap();
        store.save(SERVER, "ann", "t").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.folder), 0o700);
        assert_eq!(mode(&store.token_path(SERVER, "ann")), 0o600);
    }

    #[test]
    fn saving_leaves_no_other_file_behind() {
        let (store, _folder) = store();
        store.save(SERVER, "ann", "t1").unwrap();
        store.save(SERVER, "ann", "t2").unwrap();
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 1);
    }

    #[test]
    fn a_name_is_never_a_path() {
        let (store, _folder) = store();
        for name in ["../../x", "a/b", "..", "", &"語".repeat(32)] {
            let path = store.token_path(SERVER, name);
            assert_eq!(path.parent(), Some(store.folder.as_path()), "{name}");
            store.save(SERVER, name, "t").unwrap();
            assert_eq!(
                store.load(SERVER, name).unwrap().as_deref(),
                Some("t"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let (store, _folder) = store();
        fs::write(store.token_path(SERVER, "ann"), "{\"server\":").unwrap();
        assert_eq!(store.load(SERVER, "ann").unwrap(), None);
    }

    #[test]
    fn only_the_token_that_ended_is_forgotten() {
        let (store, _folder) = store();
        store.save(SERVER, "ann", "newer").unwrap();
        store.forget(SERVER, "ann", "older").unwrap();
        assert_eq!(store.load(SERVER, "ann").unwrap().as_deref(), Some("newer"));
        store.forget(SERVER, "ann", "newer").unwrap();
        assert_eq!(store.load(SERVER, "ann").unwrap(), None);
        store.forget(SERVER, "ann", "newer").unwrap();
    }
}
