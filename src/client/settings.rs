//! What the client is told: by flags and the environment, and by its config file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::api::{Api, base_url};
use super::{Error, trust};
use crate::settings::Period;

/// The server of those who name none.
pub const SERVER: &str = "http://127.0.0.1:8000";
/// How long a server is waited for that cannot be reached.
const WAIT: Period = Period::mins(2);
/// A password file holds a line, not a film.
const MAX_PASSWORD_FILE: u64 = 4096;

/// Who to be, and where: what flags and the environment say of it.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The server's address, like `http://127.0.0.1:8000`.
    pub server: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// A file of the authorities that vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long a server is waited for that cannot be reached.
    pub wait: Option<Period>,
}

/// How a chat looks: what flags and the environment say of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Prints one event a line, as JSON, and reads plain lines, also from a terminal.
    pub json: bool,
    /// Reads line by line instead of taking the whole screen.
    pub plain: Option<bool>,
    /// Whether mentions and private messages ring the bell.
    pub bell: Option<bool>,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The server's address, if it is said.
    pub server: Option<String>,
    /// The user's name, if it is said.
    pub name: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// A file of the authorities that vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long a server is waited for that cannot be reached.
    pub wait: Duration,
    /// Whether lines are read one by one, if the file says.
    pub plain: Option<bool>,
    /// Whether mentions ring the bell, if the file says.
    pub bell: Option<bool>,
    /// Whether there is a file.
    pub is_there: bool,
}

/// `client.toml`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Lines {
    server: Option<String>,
    name: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    wait: Option<Period>,
    plain: Option<bool>,
    bell: Option<bool>,
}

impl Settings {
    /// What flags and the environment say, and the file at `path` where they say nothing.
    pub fn load(path: &Path, who: Who) -> Result<Settings, Error> {
        let (file, is_there) = read(path)?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let path_of = |flag: Option<PathBuf>, line: Option<PathBuf>| {
            let said = flag.or(line);
            said.filter(|path| !path.as_os_str().is_empty())
        };
        Ok(Settings {
            server: said(who.server).or(file.server),
            name: said(who.name).or(file.name),
            password_file: path_of(who.password_file, file.password_file),
            ca: path_of(who.ca, file.ca),
            wait: who.wait.or(file.wait).unwrap_or(WAIT).to_std(),
            plain: file.plain,
            bell: file.bell,
            is_there,
        })
    }

    /// The API of the server.
    pub fn api(&self) -> Result<Api, Error> {
        let server = self.server.as_deref().unwrap_or(SERVER);
        let base = base_url(server).map_err(Error::Address)?;
        Ok(match base.starts_with("https:") {
            true => Api::trusting(&base, trust::trust(self.ca.as_deref())?),
            false => Api::new(&base),
        })
    }

    /// The password of the file that is named, if one is.
    pub fn password(&self) -> Result<Option<String>, Error> {
        self.password_file.as_deref().map(read_password).transpose()
    }

    /// Keeps server and name in the file at `path`.
    pub fn keep(&self, path: &Path) -> Result<(), Error> {
        let lines = Lines {
            server: Some(self.server.clone().unwrap_or_else(|| SERVER.to_owned())),
            name: self.name.clone(),
            ..Lines::default()
        };
        let text = toml::to_string(&lines).map_err(io::Error::other);
        text.and_then(|text| fs::write(path, text))
            .map_err(|error| Error::Settings(format!("{}: {error}", path.display())))
    }
}

/// The file, and whether it is there.
fn read(path: &Path) -> Result<(Lines, bool), Error> {
    let wrong = |why: String| Error::Settings(format!("{}: {}", path.display(), why.trim_end()));
    match fs::read_to_string(path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(file) => Ok((file, true)),
            Err(error) => Err(wrong(error.to_string())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Lines::default(), false)),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn read_password(path: &Path) -> Result<String, Error> {
    let fail = |source| Error::PasswordFile {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fail)?;
    let mut text = String::new();
    file.take(MAX_PASSWORD_FILE)
        .read_to_string(&mut text)
        .map_err(fail)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(fail(io::Error::other("its first line is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::folder;
    use super::*;

    fn who(server: &str, name: &str) -> Who {
        Who {
            server: Some(server.to_owned()),
            name: Some(name.to_owned()),
            ..Who::default()
        }
    }

    #[test]
    fn flags_come_before_the_file_and_the_file_before_the_defaults() {
        let folder = folder();
        let path = folder.path().join("client.toml");
        let load = |who| Settings::load(&path, who).unwrap();
        let none = load(Who::default());
        assert_eq!((none.server, none.name), (None, None));
        assert_eq!(none.wait, Duration::from_secs(120));
        let ann = load(who("", "ann"));
        assert_eq!((ann.server, ann.name.as_deref()), (None, Some("ann")));
        let lines = "server = \"http://h:1\"\nname = \"bob\"\nbell = false\nwait = \"5s\"\n";
        fs::write(&path, lines).unwrap();
        let bob = load(Who::default());
        assert_eq!(
            (bob.server.as_deref(), bob.name.as_deref()),
            (Some("http://h:1"), Some("bob"))
        );
        assert_eq!((bob.plain, bob.bell), (None, Some(false)));
        assert_eq!(bob.wait, Duration::from_secs(5));
        let ann = load(who("http://h:2", "ann"));
        assert_eq!(
            (ann.server.as_deref(), ann.name.as_deref()),
            (Some("http://h:2"), Some("ann"))
        );
    }

    #[test]
    fn an_unknown_line_of_the_file_is_an_error_that_names_it() {
        let folder = folder();
        let path = folder.path().join("client.toml");
        fs::write(&path, "nmae = \"bob\"\n").unwrap();
        let error = Settings::load(&path, Who::default()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("client.toml") && error.contains("nmae"),
            "{error}"
        );
    }

    #[test]
    fn what_is_kept_is_there_the_next_time() {
        let folder = folder();
        let path = folder.path().join("client.toml");
        let mut settings = Settings::load(&path, who("http://h:1", "Zoë \"z\"")).unwrap();
        settings.keep(&path).unwrap();
        settings.is_there = true;
        assert_eq!(Settings::load(&path, Who::default()).unwrap(), settings);
    }

    #[test]
    fn the_password_is_the_first_line_of_its_file() {
        let path = std::env::temp_dir().join(format!("veche-password-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "пароль with spaces \r\nnext\n").unwrap();
        assert_eq!(read_password(&path).unwrap(), "пароль with spaces ");
        std::fs::write(&path, "\nsecond\n").unwrap();
        let error = read_password(&path).unwrap_err();
        assert!(
            error.explain().ends_with("its first line is empty"),
            "{}",
            error.explain()
        );
        std::fs::remove_file(&path).unwrap();
        assert!(
            read_password(&path)
                .unwrap_err()
                .explain()
                .contains("cannot read the password")
        );
    }
}
