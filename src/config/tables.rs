//! The core's own tables, and what their values are held to.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::http::Network;
use crate::settings::{Period, Problem, Size, quoted};

/// No timeout is shorter, so that none is zero, and none is longer than a day.
const TIMEOUT: RangeInclusive<Period> = Period::ms(1)..=Period::days(1);

crate::settings! {
    /// The server: where it listens, where it keeps its data, and the limits that hold for
    /// every connection and request.
    pub struct Server {
        /// The address and port to listen on. Port 0 picks a free one; 0.0.0.0 and [::] listen
        /// on every interface.
        pub listen: String = "127.0.0.1:8000".to_owned() => listen,
        /// What the server calls itself in GET /status, 1 to 100 characters.
        pub name: String = "veche".to_owned() => name,
        /// The folder of the data, made where it does not exist; the folder around it must be
        /// there. A relative path starts at the working folder. One server at a time uses it.
        pub data: PathBuf = PathBuf::from("data") => data,
        /// The Unix socket of `veche admin`, made at start for the server's own user alone. In the
        /// data folder where it is relative. Empty: none.
        pub admin: PathBuf = PathBuf::from("admin.sock"),
        /// How many connections may be open at once, 1 to 1000000. One more is answered 503.
        pub connections: usize = 4096 => 1..=1_000_000,
        /// How many connections one address may have open at once, 1 to 1000000; of IPv6 each /64
        /// counts as one. From a trusted proxy the requests and streams of each address that it
        /// forwards are counted instead. One more is answered 429.
        pub per_address: usize = 256 => 1..=1_000_000,
        /// How many wrong passwords one address or one name may have in guesses_per, and how many
        /// unknown tokens one address, 1 to 1000000. More are answered 429.
        pub guesses: u32 = 20 => 1..=1_000_000,
        /// In how long as many guesses as guesses says are forgiven, one after the other, 1s to 1d.
        pub guesses_per: Period = Period::mins(10) => Period::secs(1)..=Period::days(1),
        /// The IP addresses and networks for which per_address does not count, nor their guesses;
        /// a name's always do. Empty it to hold this machine to them, too.
        pub exempt: Vec<String> = loopback() => networks,
        /// How many clients one user may have, 1 to 1000000. Where one more connects, the one that was
        /// seen longest ago and has no stream open is signed out; where all have, it is answered 429.
        pub clients: usize = 1000 => 1..=1_000_000,
        /// How many event streams and long polls may be open at once, 1 to 1000000. One more is
        /// answered 503.
        pub streams: usize = 4096 => 1..=1_000_000,
        /// How long a request's head may be, its request line included, 16KiB to 1MiB. A longer
        /// one is answered 414 or 431.
        pub head: Size = Size::kib(64) => Size::kib(16)..=Size::mib(1),
        /// How many header fields a request may have, 100 to 1000. More are answered 431.
        pub fields: usize = 128 => 100..=1000,
        /// How long a JSON body may be, 1KiB to 16MiB. A longer one is answered 413.
        pub body: Size = Size::kib(256) => Size::kib(1)..=Size::mib(16),
        /// How long a request's whole head may take to arrive, 1ms to 1d, then it is answered
        /// 408.
        pub head_timeout: Period = Period::secs(10) => TIMEOUT,
        /// How long a request's whole body may take to arrive, 1ms to 1d, and a second more for
        /// each 16KiB of it; then it is answered 408.
        pub body_timeout: Period = Period::secs(60) => TIMEOUT,
        /// How long a connection may stay open between two requests, 1ms to 1d.
        pub idle_timeout: Period = Period::secs(60) => TIMEOUT,
        /// How long a client may keep the server waiting while it takes an answer, 1ms to 1d, and
        /// a second more for each 16KiB that it takes; of a stream, one write of it. Then the
        /// connection is closed.
        pub write_timeout: Period = Period::secs(60) => TIMEOUT,
        /// How much of an answer or a stream the system may hold for a client beyond what is on
        /// its way to it, 16KiB to 16MiB. It bounds what clients that do not read cost; without
        /// it, a thousand of them take all the memory that the system has for connections.
        pub unsent: Size = Size::kib(128) => Size::kib(16)..=Size::mib(16),
        /// How many requests may wait for the writer, 1 to 1000000. One more is answered 503.
        pub queue: usize = 1024 => 1..=1_000_000,
        /// How many frames may wait for an event stream whose client does not read, 1 to 65536;
        /// of what is for everybody 4 MiB are kept for all such streams together. Beyond them the
        /// stream goes on from the log, once the client reads again.
        pub stream_queue: usize = 256 => 1..=65_536,
        /// The proxies whose X-Forwarded-For and X-Request-Id are believed, as IP addresses or
        /// networks such as "10.0.0.0/8".
        pub trusted_proxies: Vec<String> = Vec::new() => networks,
        /// The web origins whose pages may use the API (CORS), such as "https://example.org";
        /// "*" allows every one. Without any, browsers keep other sites' pages out.
        pub cors: Vec<String> = Vec::new() => origins,
    }

    /// TLS: with a certificate the server speaks HTTPS, and nothing else, on its address. SIGHUP
    /// has both files read again.
    pub struct Tls {
        /// The file of the certificate, those that vouch for it after it, in PEM. Empty: none, and
        /// the server speaks HTTP.
        pub cert: PathBuf = PathBuf::new(),
        /// The file of the certificate's private key, in PEM. Empty where the key lies in the
        /// certificate's file, too.
        pub key: PathBuf = PathBuf::new(),
    }

    /// The chat: what the core's messages are held to.
    pub struct Chat {
        /// How many of the common chat's last messages a client is given on connecting, 0 to
        /// 200.
        pub history: usize = 20 => 0..=200,
        /// How many characters a text may have, 1 to 100000.
        pub text: usize = 4000 => 1..=100_000,
    }

    /// The log lines on stderr. The environment variable RUST_LOG says which are written.
    pub struct LogOutput {
        /// How a line is written: "text", for people, or "json", one object a line, for
        /// programs.
        pub format: Format = Format::Text,
    }

    /// The log of facts, from which clients that were away resume and a start rebuilds the
    /// server's state. Messages are kept whatever stands here.
    pub struct Storage {
        /// How long facts are kept at least, 0s to 36500d. A client that was away for longer
        /// may have to start anew.
        pub keep: Period = Period::hours(24),
        /// How many of the newest facts are kept at least, 0 to 1000000000000, however old
        /// they are.
        pub keep_facts: u64 = 1_000_000 => 0..=1_000_000_000_000,
        /// After how many new facts a snapshot is made, 1 to 1000000000. A start reads the last
        /// snapshot and the facts after it.
        pub snapshot_every: u64 = 50_000 => 1..=1_000_000_000,
    }
}

crate::settings! {
    /// Many servers as one: with NATS servers named, each of its nodes has the same chat. Their log is
    /// a stream of NATS JetStream; docs/cluster.md says how to run it.
    pub struct Cluster {
        /// The addresses of the NATS servers, separated by commas, such as
        /// "nats://a:4222,nats://b:4222"; tls:// instead of nats:// asks for TLS. Empty: this server
        /// is the only one.
        pub nats: String = String::new() => nats,
        /// A file with what NATS lets this server in by: "USER:PASSWORD", a token, the seed of an nkey,
        /// or a user's .creds. Empty: nothing.
        pub credentials: PathBuf = PathBuf::new(),
        /// A file of the authorities that vouch for the NATS servers, in PEM. Empty: the system's.
        pub ca: PathBuf = PathBuf::new(),
        /// The file of this server's own certificate for NATS, in PEM. Empty: none.
        pub cert: PathBuf = PathBuf::new(),
        /// The file of that certificate's private key, in PEM.
        pub key: PathBuf = PathBuf::new(),
        /// What the stream is called, 1 to 32 letters, digits, - and _, and not -texts at its end. Another
        /// one is another chat.
        pub stream: String = "veche".to_owned() => stream,
        /// On how many NATS servers the stream lies, 1 to 5. It counts when the stream is made: three
        /// survive the loss of one.
        pub replicas: u8 = 3 => 1..=5,
        /// How long a write waits for NATS, 1s to 60s. Then it is answered 503, at most 2 s later.
        pub timeout: Period = Period::secs(5) => Period::secs(1)..=Period::secs(60),
    }
}

crate::settings! {
    /// Objects in a store that speaks S3, where a feature's store is "s3://BUCKET/PREFIX". What is empty
    /// here is as the environment says, by AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS's other variables.
    pub struct S3 {
        /// The URL of the server, such as "https://s3.example.org". Empty: Amazon's own.
        pub endpoint: String = String::new() => endpoint,
        /// The region. Empty, and in the environment, too: "us-east-1".
        pub region: String = String::new(),
        /// A file with "KEY_ID:SECRET". Empty, and none in the environment, either: what the machine
        /// hands out that Amazon lends.
        pub credentials: PathBuf = PathBuf::new(),
        /// A file of the authorities that vouch for the server, in PEM. Empty: the system's.
        pub ca: PathBuf = PathBuf::new(),
        /// Whether the server may be one of http://, to which files go unencrypted.
        pub allow_http: bool = false,
        /// How long a call may take, 1s to 300s; 8MiB go in one. Then what needs it is answered 503.
        pub timeout: Period = Period::secs(10) => Period::secs(1)..=Period::secs(300),
    }
}

impl S3 {
    /// The id of the key and the key itself; none where the settings name no file of them.
    ///
    /// # Errors
    /// What is wrong with the file, in words, which are without what lies in it.
    pub(crate) fn key(&self) -> Result<Option<(String, String)>, String> {
        let file = &self.credentials;
        if file.as_os_str().is_empty() {
            return Ok(None);
        }
        let wrong = |what: &dyn fmt::Display| format!("`credentials`: {}: {what}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
        match text.trim().split_once(':') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok(Some((id.to_owned(), secret.to_owned())))
            }
            _ => Err(wrong(&"must have KEY_ID:SECRET in it")),
        }
    }

    /// The file of authorities, where one is named.
    pub(crate) fn ca(&self) -> Option<&Path> {
        Some(self.ca.as_path()).filter(|file| !file.as_os_str().is_empty())
    }
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
fn endpoint(url: &String) -> Result<(), String> {
    let is_one = url.is_empty()
        || Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
        });
    match is_one {
        true => Ok(()),
        false => Err(format!(
            "{} is no URL of http or https without a user, such as \"https://s3.example.org\"",
            quoted(url)
        )),
    }
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
fn nats(urls: &String) -> Result<(), String> {
    if urls.trim().is_empty() {
        return Ok(());
    }
    for url in urls.split(',').map(str::trim) {
        let whole = match url.contains("://") {
            true => url.to_owned(),
            false => format!("nats://{url}"),
        };
        let parsed = Url::parse(&whole).ok().filter(|url| {
            let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
            is_bare && url.has_host() && matches!(url.scheme(), "nats" | "tls")
        });
        match parsed {
            None => {
                return Err(format!(
                    "{} is no address of a NATS server: write such as \"nats://10.0.0.1:4222\" or \
                     \"tls://n1.example.org:4222\", with commas between them",
                    quoted(url)
                ));
            }
            // What it is stays unsaid.
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                return Err(
                    "must be without a user and a password: write them into a file, and name that as \
                     `credentials`"
                        .to_owned(),
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl Cluster {
    /// Whether there are other nodes.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.nats.trim().is_empty()
    }

    /// What lets this server in; none where the settings name no file of it.
    ///
    /// # Errors
    /// What is wrong with a file that the settings name, in words, which are without what lies in it.
    pub(crate) fn secret(&self) -> Result<Option<String>, String> {
        let is_set = |file: &Path| !file.as_os_str().is_empty();
        if is_set(&self.cert) != is_set(&self.key) {
            return Err("`cert` and `key` must be named together".to_owned());
        }
        let read = |key: &str, file: &Path| {
            let text = std::fs::read_to_string(file);
            text.map_err(|error| format!("`{key}`: {}: {error}", file.display()))
        };
        for (key, file) in [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)] {
            if is_set(file) {
                read(key, file)?;
            }
        }
        let file = Some(&self.credentials).filter(|file| is_set(file));
        file.map(|file| read("credentials", file)).transpose()
    }
}

/// Reads `[server.tls]`, in which one setting asks for another.
pub(super) fn read_tls(table: toml::Table) -> Result<toml::Table, Vec<Problem>> {
    let table = super::filled::<Tls>(table)?;
    let is_set = |key| {
        let file = table.get(key).and_then(toml::Value::as_str);
        file.is_some_and(|file| !file.is_empty())
    };
    if is_set("key") && !is_set("cert") {
        let message = "must name the certificate's file where `key` is set".to_owned();
        let key = "cert".to_owned();
        return Err(vec![Problem { key, message }]);
    }
    Ok(table)
}

impl Tls {
    /// The files of the certificate and of its key; none where the server speaks HTTP.
    #[must_use]
    pub fn pair(&self) -> Option<(&Path, &Path)> {
        let (cert, key) = (self.cert.as_path(), self.key.as_path());
        let is_set = |file: &Path| !file.as_os_str().is_empty();
        is_set(cert).then(|| (cert, if is_set(key) { key } else { cert }))
    }
}

impl Server {
    /// The proxies that are trusted. Those that do not parse are left out; a [`Config`] that
    /// was read has none.
    ///
    /// [`Config`]: super::Config
    #[must_use]
    pub fn proxies(&self) -> Vec<Network> {
        read(&self.trusted_proxies)
    }

    /// Where the socket of `veche admin` lies; none where there is to be none.
    #[must_use]
    pub fn admin_socket(&self) -> Option<PathBuf> {
        let is_set = !self.admin.as_os_str().is_empty();
        is_set.then(|| self.data.join(&self.admin))
    }

    /// Those who are exempt from what counts by address, read in the same way.
    #[must_use]
    pub fn exempt(&self) -> Vec<Network> {
        read(&self.exempt)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Text => "text",
            Format::Json => "json",
        })
    }
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
pub(crate) fn listen(address: &String) -> Result<(), String> {
    let is_host = |host: &str| {
        let last = host.rsplit('.').next().unwrap_or_default();
        host.len() <= 253
            && host
                .split('.')
                .all(|label| !label.is_empty() && label.len() <= 63)
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            // What ends in a number would have been an IPv4 address.
            && !last.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let named = address.rsplit_once(':');
    if address.parse::<SocketAddr>().is_ok()
        || named.is_some_and(|(host, port)| is_host(host) && is_port(port))
    {
        return Ok(());
    }
    Err(format!(
        "{} is no address to listen on: write an IP address or a host name, and a port from 0 to \
         65535, such as \"127.0.0.1:8000\", \"[::1]:8000\" or \"localhost:8000\"",
        quoted(address)
    ))
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
fn name(name: &String) -> Result<(), String> {
    let characters = name.chars().count();
    if (1..=100).contains(&characters) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "must have from 1 to 100 characters and no control characters, not {}",
        quoted(name)
    ))
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
fn stream(name: &String) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.ends_with("-texts") {
        return Err(format!(
            "must not end with -texts: {} is where another chat's texts are",
            quoted(name)
        ));
    }
    if (1..=32).contains(&name.len()) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "must have from 1 to 32 letters, digits, - and _, not {}",
        quoted(name)
    ))
}

fn data(folder: &PathBuf) -> Result<(), String> {
    if folder == Path::new("") || folder.as_os_str().as_encoded_bytes().contains(&0) {
        return Err("must name a folder, such as \"data\" or \"/var/lib/veche\"".to_owned());
    }
    Ok(())
}

fn loopback() -> Vec<String> {
    ["127.0.0.0/8", "::1"].map(str::to_owned).into()
}

fn read(networks: &[String]) -> Vec<Network> {
    let read = networks.iter().filter_map(|network| network.parse().ok());
    read.collect()
}

fn networks(networks: &Vec<String>) -> Result<(), String> {
    for network in networks {
        network.parse::<Network>().map_err(|wrong| {
            format!(
                "{} {wrong}: write IP addresses or networks, such as \"127.0.0.1\", \
                 \"10.0.0.0/8\" or \"fd00::/8\"",
                quoted(network)
            )
        })?;
    }
    Ok(())
}

#[expect(
    clippy::ptr_arg,
    reason = "a rule is called with the setting's own type"
)]
fn origins(origins: &Vec<String>) -> Result<(), String> {
    for origin in origins.iter().filter(|origin| *origin != "*") {
        origin_is_as_browsers_send_it(origin).map_err(|wrong| {
            format!(
                "{} {wrong}: write origins as browsers send them, such as \
                 \"https://example.org\" or \"http://localhost:5173\", or \"*\" for every one",
                quoted(origin)
            )
        })?;
    }
    Ok(())
}

/// An origin is compared byte for byte (RFC 6454, section 6.2 serialises it), so one that no
/// browser sends would silently allow nobody.
fn origin_is_as_browsers_send_it(origin: &str) -> Result<(), &'static str> {
    let (scheme, rest) = origin.split_once("://").ok_or("is no origin")?;
    let scheme_is_valid = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        });
    if !scheme_is_valid {
        return Err("has a scheme that is not in lower case, or none");
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Err("has more than a scheme, a host and a port");
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    let host_is_valid = match host.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    if !host_is_valid {
        return Err("has no host in lower-case ASCII");
    }
    let Some(port) = port else { return Ok(()) };
    let number: u16 = port
        .parse()
        .ok()
        .filter(|number: &u16| number.to_string() == port)
        .ok_or("has no port from 1 to 65535 after its colon")?;
    match (scheme, number) {
        (_, 0) => Err("has no port from 1 to 65535 after its colon"),
        ("http", 80) | ("https", 443) => {
            Err("names its scheme's own port, which browsers leave out")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Table;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn the_defaults_are_allowed() {
        assert_eq!(Server::default().problems(), []);
        assert_eq!(Chat::default().problems(), []);
        assert_eq!(LogOutput::default().problems(), []);
        assert_eq!(Storage::default().problems(), []);
        assert_eq!(Cluster::default().problems(), []);
    }

    #[test]
    fn addresses_with_a_host_and_a_port_are_allowed() {
        for address in [
            "127.0.0.1:0",
            "0.0.0.0:65535",
            "[::]:80",
            "[::1]:8000",
            "localhost:8000",
            "chat.example.org:443",
        ] {
            assert_eq!(listen(&address.to_owned()), Ok(()), "{address}");
        }
        for address in [
            "",
            "8000",
            ":8000",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:+80",
            "127.0.0.256:80",
            "127.0.1:80",
            "::1:8000",
            "[::1]",
            "http://localhost:80",
            "local host:80",
            "a..b:80",
        ] {
            let error = listen(&address.to_owned()).expect_err(address);
            assert!(error.contains("from 0 to 65535"), "{error}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        assert_eq!(
            networks(&list(&["127.0.0.1", "10.0.0.0/8", "::/0"])),
            Ok(())
        );
        let error = networks(&list(&["127.0.0.1", "10.0.0.0/99"])).unwrap_err();
        assert!(
            error.starts_with("\"10.0.0.0/99\" needs a number from 0 to 32 after the /"),
            "{error}"
        );
        let server = Server {
            trusted_proxies: list(&["127.0.0.1", "10.0.0.0/8"]),
            ..Server::default()
        };
        assert_eq!(server.proxies().len(), 2);
        assert_eq!(Server::default().exempt().len(), 2);
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        let allowed = [
            "*",
            "https://example.org",
            "http://localhost:5173",
            "http://127.0.0.1:1",
            "http://[::1]:3000",
            "https://[::1]",
            "tauri://localhost",
        ];
        assert_eq!(origins(&list(&allowed)), Ok(()));
        for origin in [
            "",
            "example.org",
            "https://",
            "https://example.org/",
            "https://example.org/path",
            "https://Example.org",
            "HTTPS://example.org",
            "https://example.org:443",
            "http://example.org:80",
            "http://example.org:0",
            "http://example.org:080",
            "http://example.org:65536",
            "http://example.org:",
            "http://user@example.org",
            "http://*.example.org",
            "http://[::1",
            "http://exämple.org",
        ] {
            let error = origins(&list(&[origin])).expect_err(origin);
            assert!(error.contains("\"https://example.org\""), "{error}");
        }
    }

    #[test]
    fn streams_are_called_what_nats_takes() {
        for name in ["veche", "a-b_C3"] {
            assert_eq!(stream(&name.to_owned()), Ok(()), "{name}");
        }
        for name in ["", "a.b", "a b", "*", "ü", &"x".repeat(33)] {
            assert!(stream(&name.to_owned()).is_err(), "{name}");
        }
    }

    #[test]
    fn names_and_folders_are_not_empty() {
        assert!(name(&String::new()).is_err());
        assert!(name(&"a\nb".to_owned()).is_err());
        assert!(name(&"ü".repeat(101)).is_err());
        assert_eq!(name(&"ü".repeat(100)), Ok(()));
        assert!(data(&PathBuf::new()).is_err());
        assert!(data(&PathBuf::from("a\0b")).is_err());
        assert_eq!(data(&PathBuf::from("/var/lib/veche")), Ok(()));
    }
}
