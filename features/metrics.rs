//! **metrics**: what the server counts of itself, for Prometheus.
//!
//! ```sh
//! curl -s http://127.0.0.1:8000/metrics
//! ```
//!
//! The core counts in any case; this shows it, to those who may see it: from the addresses that
//! `allow` lists to everyone, from others with the token of `token_file`. It is off unless it is
//! switched on.

use veche::prelude::*;

/// How Prometheus calls its text.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Who may read.
pub struct Metrics {
    allow: Vec<Network>,
    /// The token's digest, where there is one.
    token: Option<String>,
}

feature!(Metrics);

settings! {
    /// Who may read the metrics.
    pub struct Settings {
        /// The addresses and networks that need no token. A request that a proxy forwards counts
        /// as its client's, if the proxy is one of server.trusted_proxies, and else needs one.
        pub allow: Vec<String> = vec!["127.0.0.0/8".to_owned(), "::1".to_owned()] => networks,
        /// A file whose first line is the token that others read with, as Prometheus does with its
        /// credentials_file. Empty: nobody else reads.
        pub token_file: String = String::new(),
    }
}

fn networks(listed: &Vec<String>) -> Result<(), String> {
    for network in listed {
        network.parse::<Network>().map_err(|wrong| {
            format!("{network:?} {wrong}: write IP addresses or networks, such as \"10.0.0.0/8\"")
        })?;
    }
    Ok(())
}

impl Feature for Metrics {
    const ABOUT: &'static str = "What the server counts of itself, for Prometheus";
    const ON: bool = false;

    type Settings = Settings;
    type State = ();
    type Fact = ();

    fn new(settings: Settings) -> Result<Self, String> {
        let allow = settings.allow.iter().map(|network| network.parse());
        let file = settings.token_file;
        let token = match file.as_str() {
            "" => None,
            file => Some(read(file).map_err(|why| format!("token_file {file:?}: {why}"))?),
        };
        Ok(Self {
            allow: allow.collect::<Result<_, _>>()?,
            token: token.as_deref().map(digest),
        })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .open_get(
                "/metrics",
                "What the server counts of itself, for Prometheus",
                |visit: Visit<Self>| async move {
                    visit.feature()?.admit(&visit)?;
                    Ok(Answer::text(KIND, visit.counted().await?))
                },
            )
            .returns_nothing(200, "The metrics, in the text format of Prometheus")
    }
}

fn read(file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err("its first line is empty".to_owned()),
    }
}

impl Metrics {
    fn admit(&self, visit: &Visit<Self>) -> Result<(), Problem> {
        let is_allowed = |peer| self.allow.iter().any(|network| network.contains(peer));
        if visit.peer().is_some_and(is_allowed) {
            return Ok(());
        }
        let Some(token) = &self.token else {
            let detail = "the metrics are not for this address: features.metrics says for which";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
        };
        // Digests are compared: how long that takes says nothing of the token.
        let given = visit.bearer().map(digest);
        if given.as_ref() == Some(token) {
            return Ok(());
        }
        let detail = "this needs `Authorization: Bearer TOKEN` with the token of the metrics";
        Err(Visit::<Self>::unauthorized(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_that_is_none_stops_the_start() {
        for file in ["/nowhere/token", "/dev/null"] {
            let settings = Settings {
                token_file: file.to_owned(),
                ..Settings::default()
            };
            let error = Metrics::new(settings).err().unwrap_or_default();
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        assert_eq!(networks(&vec!["10.0.0.0/8".to_owned()]), Ok(()));
        let error = networks(&vec!["localhost".to_owned()]).unwrap_err();
        assert!(error.contains("localhost"), "{error}");
    }
}
