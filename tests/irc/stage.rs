//! A server with the feature, and an IRC client whose every line is the test's own.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use veche::testing::{PATIENCE, Server, wait_until};

/// All that a modern client asks for.
pub const ALL: &str = "server-time message-tags echo-message batch labeled-response \
     draft/chathistory draft/message-redaction standard-replies account-tag";

/// A server that listens for IRC clients, with further settings of the feature and of others.
pub fn server(settings: &str, others: &str) -> Server {
    Server::with(config(settings, others))
}

pub fn config(settings: &str, others: &str) -> String {
    format!("[features.irc]\nlisten = \"127.0.0.1:0\"\n{settings}\n{others}")
}

/// Where it listens in its present run, with TLS or without.
pub fn address(server: &Server, secure: bool) -> SocketAddr {
    wait_until("the listener's log line", || {
        let log = server.log();
        let line = log.lines().rfind(|line| {
            line.contains("listening, too") && line.contains(&format!("secure={secure}"))
        })?;
        let address = line.split("address=").nth(1)?.split(' ').next()?;
        address.parse().ok()
    })
}

/// A client.
pub struct Irc {
    reader: BufReader<TcpStream>,
    /// Whether it answers the server's questions whether it is there.
    pub answers: bool,
    syncs: u32,
}

impl Irc {
    /// A connection on which nothing was said.
    pub fn dial(server: &Server) -> Self {
        let stream = TcpStream::connect(address(server, false)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            reader: BufReader::new(stream),
            answers: true,
            syncs: 0,
        }
    }

    /// Somebody who is let in by `PASS`, a plain old client.
    pub fn plain(server: &Server, nick: &str) -> Self {
        let mut client = Self::dial(server);
        client.send(&format!("PASS {}", password(nick)));
        client.send(&format!("NICK {nick}"));
        client.send(&format!("USER {nick} 0 * :{nick}"));
        client.until(" 366 ");
        client
    }

    /// The same with all that a modern client asks for.
    pub fn modern(server: &Server, nick: &str) -> Self {
        let mut client = Self::dial(server);
        client.send("CAP LS 302");
        client.send(&format!("CAP REQ :{ALL}"));
        client.send(&format!("PASS {}", password(nick)));
        client.send(&format!("NICK {nick}"));
        client.send(&format!("USER {nick} 0 * :{nick}"));
        client.send("CAP END");
        client.until(" 366 ");
        client
    }

    pub fn send(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        let mut stream = self.reader.get_ref();
        stream.write_all(bytes).expect("the server takes it");
    }

    /// The next line but the server's questions; none at the end.
    pub fn next(&mut self) -> Option<String> {
        loop {
            let mut line = Vec::new();
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no line came: {error}"),
            }
            let line = String::from_utf8(line).expect("UTF-8");
            let line = line.strip_suffix("\r\n").expect("a whole line").to_owned();
            assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
            match line.strip_prefix("PING ") {
                None => return Some(line),
                Some(_) if !self.answers => {}
                Some(word) => self.send(&format!("PONG {word}")),
            }
        }
    }

    /// All lines up to one that has this in it.
    pub fn until(&mut self, what: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.next() else {
                panic!("the end came before {what:?}: {lines:#?}");
            };
            let is_it = line.contains(what);
            lines.push(line);
            if is_it {
                return lines;
            }
        }
    }

    /// The next line that has this in it.
    pub fn line(&mut self, what: &str) -> String {
        self.until(what).pop().unwrap_or_default()
    }

    /// Everything that answers what was sent so far.
    pub fn sync(&mut self) -> Vec<String> {
        self.syncs += 1;
        let word = format!("sync-{}", self.syncs);
        self.send(&format!("PING {word}"));
        let mut lines = self.until(&format!(" PONG irc.veche :{word}"));
        lines.pop();
        lines
    }

    /// What the server says to the end of the connection.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Joins a room by its title, and gives its channel's name.
    #[cfg(has_feature = "rooms")]
    pub fn joins(&mut self, title: &str) -> String {
        self.send(&format!("JOIN {title}"));
        // Others come into #common meanwhile.
        let begin = title.split('~').next().unwrap_or_default().to_lowercase() + "~";
        let channel = loop {
            let line = self.line(" JOIN #");
            let channel = line.split(" JOIN ").nth(1).expect("a channel");
            if channel.to_lowercase().starts_with(&begin) {
                break channel.to_owned();
            }
        };
        self.line(&format!(" {channel} :End of /NAMES"));
        channel
    }

    /// Leaves, once all is read that it has read.
    pub fn quit(&mut self) {
        self.send("QUIT :bye");
        let rest = self.rest();
        assert!(
            rest.last().is_some_and(|line| line.starts_with("ERROR")),
            "{rest:?}"
        );
    }
}

/// The password that a user of these tests has.
pub fn password(nick: &str) -> String {
    format!("the word of {nick}").replace(' ', "-")
}

/// A line without its tags.
pub fn bare(line: &str) -> &str {
    match line.strip_prefix('@') {
        Some(tagged) => tagged.split_once(' ').map_or("", |(_, line)| line),
        None => line,
    }
}

/// A tag's value.
pub fn tag<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let tags = line.strip_prefix('@')?.split(' ').next()?;
    let mut pairs = tags.split(';').filter_map(|tag| tag.split_once('='));
    pairs.find(|(tag, _)| *tag == name).map(|(_, value)| value)
}

/// Whose `PRIVMSG` lines these are and what they say.
pub fn said(lines: &[String]) -> Vec<String> {
    let messages = lines
        .iter()
        .map(|line| bare(line))
        .filter(|line| line.contains(" PRIVMSG "));
    let text = |line: &str| line.splitn(3, ':').nth(2).unwrap_or_default().to_owned();
    messages.map(text).collect()
}
