//! Letting a client in: capabilities, a name and its password, and what it is told first.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;
use veche::prelude::*;

use super::caps::{Cap, Caps};
use super::commands::words;
use super::line::{Line, Out};
use super::link::{End, Link, SERVER};
use super::names::{field, name, nick};

/// How long somebody may take to be let in.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most characters of a SASL answer: more than name and password have.
const SASL: usize = 4096;

/// How many characters of it a line has, where more follow.
const SASL_LINE: usize = 400;

/// A client that no connection has used for so long belonged to a server that was killed.
const DEAD: Period = Period::secs(1800);

/// What a client has said of itself.
#[derive(Default)]
pub struct Introduction {
    nick: Option<String>,
    has_user: bool,
    password: Option<String>,
    /// Whether it still talks about capabilities.
    is_negotiating: bool,
    /// Whether it knows capabilities with values, and hears of changes.
    version: u32,
    /// What it has sent of a SASL answer, if it is at it.
    sasl: Option<String>,
    /// What the server said to who it is.
    welcome: Option<Value>,
}

impl Link {
    /// Lets a client in, or not; and tells it where it is.
    pub async fn welcome(&mut self) -> Result<Events, End> {
        let introduced = timeout(PATIENCE, self.introduce()).await;
        let welcome = introduced.map_err(|_| End::Told("registration timed out".to_owned()))??;
        let cursor = field(&welcome, "cursor").to_owned();
        let events = self.inside.events(Some(&cursor)).await;
        let events = events.map_err(|told| End::Told(told.detail().to_owned()))?;
        let user = self.inside.get("/status").await.body["user"].take();
        self.bury(&user["clients"]).await;
        self.greet().await?;
        self.arrive(&welcome["chats"], &user).await?;
        Ok(events)
    }

    /// Listens until it is known who it is.
    async fn introduce(&mut self) -> Result<Value, End> {
        loop {
            self.flush().await?;
            let line = match self.wire.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return Err(End::Gone),
                Err(wrong) => {
                    self.misread(&wrong);
                    continue;
                }
            };
            self.begin_label(&line);
            match line.command.as_str() {
                "CAP" => self.cap(&line),
                "AUTHENTICATE" => self.authenticate(&line).await,
                "PASS" if line.params.is_empty() => self.needs_more("PASS"),
                "PASS" => self.introduction.password = Some(line.params.join(" ")),
                "NICK" if line.param(0).is_empty() => {
                    self.numeric("431", &[], "No nickname given");
                }
                "NICK" => self.introduction.nick = Some(line.param(0).to_owned()),
                "USER" if line.params.len() < 4 => self.needs_more("USER"),
                "USER" => self.introduction.has_user = true,
                "PING" => self.ping(&line),
                "PONG" | "NOTICE" => {}
                "QUIT" => return Err(End::Told("Quit".to_owned())),
                _ => self.numeric("451", &[], "You have not registered"),
            }
            self.end_label();
            let said = &self.introduction;
            if said.is_negotiating || !said.has_user {
                continue;
            }
            let Some(nick) = said.nick.clone() else {
                continue;
            };
            if let Some(welcome) = self.introduction.welcome.take() {
                return Ok(welcome);
            }
            let password = self.introduction.password.clone();
            if let Some(welcome) = self.enter(&name(&nick), password).await? {
                return Ok(welcome);
            }
        }
    }

    pub fn needs_more(&mut self, command: &str) {
        self.numeric("461", &[command], "Not enough parameters");
    }

    pub fn ping(&mut self, line: &Line) {
        if line.params.is_empty() {
            return self.needs_more("PING");
        }
        let out = Out::new(SERVER, "PONG").word(SERVER);
        self.send(out.text(line.param(0)));
    }

    /// Connects with a nick and `PASS`; none where another nick may do.
    async fn enter(&mut self, name: &str, password: Option<String>) -> Result<Option<Value>, End> {
        let Some(password) = password else {
            let text = "A name has a password here: give it as the server's (PASS), or by SASL. \
                 A new name gets the one that comes with it";
            self.numeric("464", &[], text);
            return Err(End::Told("no password".to_owned()));
        };
        let told = self.connect(name, &password).await;
        if told.status.is_success() {
            return Ok(Some(told.body));
        }
        let nick = nick(name);
        match told.code() {
            "name_taken" => self.numeric("433", &[&nick], told.detail()),
            "invalid" if told.body["field"] == "name" || !told.detail().contains("password") => {
                self.numeric("432", &[&nick], told.detail());
            }
            "wrong_password" | "invalid" | "too_many_guesses" => {
                let text = words(&told);
                self.numeric("464", &[], &text);
                return Err(End::Told(text));
            }
            _ => return Err(End::Told(words(&told))),
        }
        self.introduction.nick = None;
        Ok(None)
    }

    /// Asks to be let in as the API's clients do.
    async fn connect(&mut self, name: &str, password: &str) -> Answered {
        let body = json!({"name": name, "password": password});
        let told = self.inside.post("/connect", &body).await;
        if told.status.is_success() {
            self.inside.sign_in(field(&told.body, "token"));
            field(&told.body["user"], "name").clone_into(&mut self.me);
        }
        told
    }

    /// `AUTHENTICATE`: SASL PLAIN (RFC 4616).
    pub async fn authenticate(&mut self, line: &Line) {
        let given = line.param(0);
        if !self.me.is_empty() {
            return self.numeric("907", &[], "You are who you are already");
        }
        if !self.caps.has(Cap::Sasl) || given.is_empty() {
            return self.numeric("904", &[], "SASL authentication failed");
        }
        let Some(mut answer) = self.introduction.sasl.take() else {
            if given.eq_ignore_ascii_case("PLAIN") {
                self.introduction.sasl = Some(String::new());
                return self.send(Out::new("", "AUTHENTICATE").word("+"));
            }
            if given != "*" {
                self.numeric("908", &["PLAIN"], "are the mechanisms");
            }
            let number = if given == "*" { "906" } else { "904" };
            return self.numeric(number, &[], "SASL authentication failed");
        };
        if given == "*" {
            return self.numeric("906", &[], "SASL authentication aborted");
        }
        if given.len() > SASL_LINE || answer.len() + given.len() > SASL {
            return self.numeric("905", &[], "The SASL message is too long");
        }
        if given != "+" {
            answer += given;
        }
        if given.len() == SASL_LINE {
            self.introduction.sasl = Some(answer);
            return;
        }
        let Some((name, password)) = credentials(&answer) else {
            return self.numeric("904", &[], "SASL authentication failed");
        };
        let told = self.connect(&name, &password).await;
        if !told.status.is_success() {
            return self.numeric("904", &[], &words(&told));
        }
        self.introduction.welcome = Some(told.body);
        let (source, me) = (self.source(), self.me.clone());
        self.numeric("900", &[&source, &me], &format!("You are {me}"));
        self.numeric("903", &[], "SASL authentication successful");
    }

    /// `CAP`: what is spoken beyond IRC as it was.
    pub fn cap(&mut self, line: &Line) {
        let is_in = !self.me.is_empty() && self.introduction.welcome.is_none();
        match line.param(0).to_ascii_uppercase().as_str() {
            "LS" => {
                self.introduction.is_negotiating |= !is_in;
                let version = line.param(1).parse().unwrap_or(301);
                self.introduction.version = self.introduction.version.max(version);
                if version >= 302 {
                    self.caps = self.caps.with(Cap::Changes);
                }
                let out = self.reply("CAP", &["LS"]);
                self.send(out.text(&Caps::offered(version >= 302)));
            }
            "LIST" => {
                let out = self.reply("CAP", &["LIST"]);
                self.send(out.text(&self.caps.names()));
            }
            "REQ" => {
                self.introduction.is_negotiating |= !is_in;
                let mut asked = self.caps.asked(line.param(1));
                // Who reads values hears of changes, whatever they say.
                if self.introduction.version >= 302 {
                    asked = asked.filter(|caps| caps.has(Cap::Changes));
                }
                let word = if asked.is_some() { "ACK" } else { "NAK" };
                let out = self.reply("CAP", &[word]).text(line.param(1));
                self.send(out);
                self.caps = asked.unwrap_or(self.caps);
            }
            "END" => self.introduction.is_negotiating = false,
            "" => self.needs_more("CAP"),
            other => self.numeric("410", &[other], "Invalid CAP command"),
        }
    }

    /// Signs those of the user's clients out that were of a server that was killed: nobody holds
    /// their tokens any more.
    async fn bury(&mut self, clients: &Value) {
        let alive = self
            .site
            .view(|view| view.now().minus(DEAD).to_string())
            .await;
        let Ok(alive) = alive else { return };
        for client in clients.as_array().into_iter().flatten() {
            let is_dead = client["agent"] == super::AGENT
                && client["current"] != true
                && field(client, "seen") < alive.as_str();
            if is_dead {
                let body = json!({"client": client["id"]});
                self.inside.post("/disconnect", &body).await;
            }
        }
    }

    /// The numerics that begin a session.
    async fn greet(&mut self) -> Result<(), End> {
        let me = nick(&self.me);
        let version = concat!("veche-", env!("CARGO_PKG_VERSION"));
        self.numeric("001", &[], &format!("Welcome to veche, {me}"));
        self.numeric(
            "002",
            &[],
            &format!("Your host is {SERVER}, running {version}"),
        );
        self.numeric("003", &[], "This server remembers");
        let out = self.reply("004", &[SERVER, version, "i", "in"]);
        self.send(out);
        let tokens = [
            "CASEMAPPING=ascii",
            "CHANLIMIT=#:",
            "CHANMODES=,,,in",
            "CHANNELLEN=80",
            "CHANTYPES=#",
            "CHATHISTORY=100",
            "CLIENTTAGDENY=*,-draft/react,-draft/reply,-draft/unreact,-typing",
            "MODES=1",
            "MSGREFTYPES=msgid,timestamp",
            "NETWORK=veche",
            "NICKLEN=132",
            "PREFIX=(o)@",
        ];
        self.numeric("005", &tokens, "are supported by this server");
        let tokens = [
            "TARGMAX=PRIVMSG:4,NOTICE:4,TAGMSG:4,JOIN:,PART:,KICK:1,NAMES:,WHOIS:1",
            "UTF8ONLY",
        ];
        self.numeric("005", &tokens, "are supported by this server");
        self.lusers().await;
        self.motd();
        self.flush().await
    }

    /// `MOTD`
    pub fn motd(&mut self) {
        let text = self.irc.settings.motd.clone();
        if text.trim().is_empty() {
            return self.numeric("422", &[], "There is no message of the day");
        }
        self.numeric("375", &[], &format!("- {SERVER} Message of the day -"));
        for line in super::text::outgoing(&text, 400) {
            self.numeric("372", &[], &format!("- {line}"));
        }
        self.numeric("376", &[], "End of MOTD");
    }
}

/// Name and password of a SASL PLAIN answer: `[authzid] NUL authcid NUL passwd`, in Base64.
pub fn credentials(answer: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(answer).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0');
    let (acts_as, nick, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_own = acts_as.is_empty() || acts_as == nick;
    (is_own && parts.next().is_none()).then(|| (name(nick), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sasl_answer_is_a_name_and_a_password() {
        let read = |plain: &str| credentials(&STANDARD.encode(plain));
        let ann = Some(("ann".to_owned(), "secret".to_owned()));
        assert_eq!(read("\0ann\0secret"), ann);
        assert_eq!(read("ann\0ann\0secret"), ann);
        for wrong in ["bob\0ann\0secret", "ann\0secret", "\0a\0b\0c", ""] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(credentials("!"), None);
    }
}
