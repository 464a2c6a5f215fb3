use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use super::Probe;
use crate::stage::Stage;

pub struct Irc;

impl Irc {
    /// Where the server listens in its present run, if it does.
    fn listens(stage: &Stage) -> Option<String> {
        let log = stage.server.log();
        let mut lines = log.lines().filter(|line| line.contains(" listening")).rev();
        // It is opened before the server says that it listens itself.
        let line = lines
            .nth(1)
            .filter(|line| line.contains("listening, too"))?;
        let address = line.split("address=").nth(1)?.split(' ').next()?;
        Some(address.to_owned())
    }
}

impl Probe for Irc {
    fn name(&self) -> &'static str {
        "irc"
    }

    fn settings(&self) -> &'static str {
        "listen = \"127.0.0.1:0\""
    }

    fn found(&mut self, stage: &mut Stage) {
        self.act(stage);
    }

    fn hidden(&self, stage: &mut Stage) {
        assert_eq!(Self::listens(stage), None);
    }

    fn act(&mut self, stage: &mut Stage) {
        let address = Self::listens(stage).unwrap_or_default();
        let stream = TcpStream::connect(&address).unwrap_or_else(|error| {
            unreachable!("{address:?}: {error}");
        });
        let mut reader = BufReader::new(stream);
        std::io::Write::write_all(reader.get_mut(), b"PING x\r\n").unwrap_or_default();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap_or_default();
        assert_eq!(line, ":irc.veche PONG irc.veche :x\r\n");
    }
}
