//! How a server is to be started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::nodes::Together;
use super::{Server, binary, features};

/// How a [`Server`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    binary: Option<PathBuf>,
    config: String,
    features: Features,
    environment: Vec<(OsString, OsString)>,
    together: Option<Together>,
}

#[derive(Debug, Clone, Default)]
enum Features {
    #[default]
    AsConfigured,
    AllOn,
    AllOff,
    Only(String, String),
}

impl Builder {
    /// Another binary than this crate's.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// The text of `config.toml`. Address and data folder are the harness's own.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Every feature switched on, those among them that are off by default. Don't name one in
    /// [`config`](Self::config) then.
    pub fn all(mut self) -> Self {
        self.features = Features::AllOn;
        self
    }

    /// Every feature switched off, whichever the binary has. Don't name one in
    /// [`config`](Self::config) then.
    pub fn core(mut self) -> Self {
        self.features = Features::AllOff;
        self
    }

    /// Every feature switched off but this one, whose settings are given as TOML.
    pub fn only(mut self, feature: &str, settings: &str) -> Self {
        self.features = Features::Only(feature.to_owned(), settings.to_owned());
        self
    }

    /// A variable of the server's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// So many nodes of a cluster of their own on a NATS server, behind one address that leads each
    /// connection to the next of them: what holds on one server holds on all of them in turn. Each has
    /// all that was answered before a connection is led to it.
    pub fn nodes(mut self, count: usize, nats: &str) -> Self {
        self.together = Some(Together::new(nats, count));
        self
    }

    /// Starts it and waits until it accepts connections.
    ///
    /// # Panics
    /// Where it does not come up within [`PATIENCE`](super::PATIENCE).
    pub fn start(self) -> Server {
        let binary = self.binary.clone().unwrap_or_else(binary);
        let config = self.text(&binary);
        let is_one = config.contains("[cluster]");
        let asked = || Together::asked().filter(|_| !is_one);
        let together = self.together.or_else(asked);
        Server::launched(binary, config, &self.environment, together)
    }

    fn text(&self, binary: &Path) -> String {
        let mut text = self.config.clone();
        let mut rest = false;
        let only = match &self.features {
            Features::AsConfigured => return text,
            Features::AllOn => {
                rest = true;
                None
            }
            Features::AllOff => None,
            Features::Only(name, settings) => Some((name, settings)),
        };
        for name in features(binary) {
            match only {
                Some((on, settings)) if *on == name => {
                    text += &format!("\n[features.{name}]\nenabled = true\n{settings}\n");
                }
                _ => text += &format!("\n[features.{name}]\nenabled = {rest}\n"),
            }
        }
        text
    }
}
