//! What the client is told: by flags and the environment, by its config file, and, on a first
//! start on a terminal, by its user.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;

/// The server of those who name none.
const SERVER: &str = "http://127.0.0.1:8000";

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
    /// The server's address.
    pub server: String,
    /// The user's name.
    pub name: String,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// A file of the authorities that vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether lines are read one by one, if the file says.
    pub plain: Option<bool>,
    /// Whether mentions ring the bell, if the file says.
    pub bell: Option<bool>,
}

/// `client.toml`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    server: Option<String>,
    name: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    plain: Option<bool>,
    bell: Option<bool>,
}

impl Settings {
    /// What flags and the environment say, and the file at `path` where they say nothing. Asks for
    /// the name, and for the server with it, where `may_ask` and neither is said, and keeps the
    /// answers in the file if there is none.
    pub fn load(path: &Path, who: Who, may_ask: bool) -> Result<Settings, Error> {
        let (file, is_there) = read(path)?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let server = said(who.server).or(file.server);
        let name = said(who.name).or(file.name);
        let (server, name) = match (server, name) {
            (server, Some(name)) => (server.unwrap_or_else(|| SERVER.to_owned()), name),
            (server, None) if may_ask => {
                let server = match server {
                    Some(server) => server,
                    None => ask(&format!("server [{SERVER}]: "))?.unwrap_or_else(|| SERVER.into()),
                };
                let Some(name) = ask("your name: ")? else {
                    return Err(Error::NameNeeded(path.display().to_string()));
                };
                if !is_there {
                    keep(path, &server, &name)?;
                }
                (server, name)
            }
            (_, None) => return Err(Error::NameNeeded(path.display().to_string())),
        };
        let said = |flag: Option<PathBuf>, line: Option<PathBuf>| {
            let said = flag.or(line);
            said.filter(|path| !path.as_os_str().is_empty())
        };
        Ok(Settings {
            server,
            name,
            password_file: said(who.password_file, file.password_file),
            ca: said(who.ca, file.ca),
            plain: file.plain,
            bell: file.bell,
        })
    }
}

/// The file, and whether it is there.
fn read(path: &Path) -> Result<(File, bool), Error> {
    let wrong = |why: String| Error::Settings(format!("{}: {}", path.display(), why.trim_end()));
    match fs::read_to_string(path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(file) => Ok((file, true)),
            Err(error) => Err(wrong(error.to_string())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((File::default(), false)),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn keep(path: &Path, server: &str, name: &str) -> Result<(), Error> {
    let file = File {
        server: Some(server.to_owned()),
        name: Some(name.to_owned()),
        ..File::default()
    };
    let text = toml::to_string(&file).map_err(io::Error::other);
    text.and_then(|text| fs::write(path, text))
        .map_err(|error| Error::Settings(format!("{}: {error}", path.display())))?;
    eprintln!("· kept in {}", path.display());
    Ok(())
}

/// Asks on the terminal; none where the answer is empty.
fn ask(question: &str) -> Result<Option<String>, Error> {
    let mut line = String::new();
    eprint!("{question}");
    // A question that cannot be shown is answered by nobody either.
    let _ = io::stderr().flush();
    io::stdin().read_line(&mut line).map_err(Error::Output)?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
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
        let none = Settings::load(&path, Who::default(), false).unwrap_err();
        assert!(none.to_string().contains("VECHE_NAME"), "{none}");
        assert_eq!(none.status(), 4);
        let ann = Settings::load(&path, who("", "ann"), false).unwrap();
        assert_eq!((ann.server.as_str(), ann.name.as_str()), (SERVER, "ann"));
        fs::write(
            &path,
            "server = \"http://h:1\"\nname = \"bob\"\nbell = false\n",
        )
        .unwrap();
        let bob = Settings::load(&path, Who::default(), false).unwrap();
        assert_eq!(
            (bob.server.as_str(), bob.name.as_str()),
            ("http://h:1", "bob")
        );
        assert_eq!((bob.plain, bob.bell), (None, Some(false)));
        let ann = Settings::load(&path, who("http://h:2", "ann"), false).unwrap();
        assert_eq!(
            (ann.server.as_str(), ann.name.as_str()),
            ("http://h:2", "ann")
        );
    }

    #[test]
    fn an_unknown_line_of_the_file_is_an_error_that_names_it() {
        let folder = folder();
        let path = folder.path().join("client.toml");
        fs::write(&path, "nmae = \"bob\"\n").unwrap();
        let error = Settings::load(&path, Who::default(), false).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("client.toml") && error.contains("nmae"),
            "{error}"
        );
    }

    #[test]
    fn what_was_answered_once_is_not_asked_for_again() {
        let folder = folder();
        let path = folder.path().join("client.toml");
        keep(&path, "http://h:1", "Zoë \"z\"").unwrap();
        let kept = Settings::load(&path, Who::default(), false).unwrap();
        assert_eq!(
            (kept.server.as_str(), kept.name.as_str()),
            ("http://h:1", "Zoë \"z\"")
        );
    }
}
