//! What a client asks for, command by command.

use veche::prelude::*;

use super::caps::Cap;
use super::line::{Line, Out};
use super::link::{End, Link, SERVER};
use super::names::{field, name};
use super::text::{banned, incoming};

/// The most targets of one message.
const TARGETS: usize = 4;

/// What a tag is called by which a message answers another.
pub const REPLY: &str = "+draft/reply";
/// The tags of a reaction, and of one that is taken back.
pub const REACT: (&str, &str) = ("+draft/react", "+draft/unreact");
/// The tag of somebody who is writing.
pub const TYPING: &str = "+typing";

/// How many parameters a command needs at least, where it needs any.
const NEEDS: [(&str, usize); 10] = [
    ("JOIN", 1),
    ("PART", 1),
    ("INVITE", 2),
    ("KICK", 2),
    ("MODE", 1),
    ("TOPIC", 1),
    ("REDACT", 2),
    ("TAGMSG", 1),
    ("USERHOST", 1),
    ("ISON", 1),
];

impl Link {
    /// Does what a line asks for.
    pub async fn obey(&mut self, line: Line) -> Result<(), End> {
        self.begin_label(&line);
        let command = line.command.as_str();
        let needs = NEEDS.iter().find(|(name, _)| *name == command);
        let lacks = needs.is_some_and(|(_, count)| {
            let given = line.params.iter().take(*count);
            given.filter(|param| !param.is_empty()).count() < *count
        });
        let ended = if lacks {
            self.needs_more(command);
            Ok(())
        } else {
            self.command(&line).await
        };
        self.end_label();
        ended
    }

    async fn command(&mut self, line: &Line) -> Result<(), End> {
        match line.command.as_str() {
            "PING" => self.ping(line),
            "PONG" => self.pong(line).await,
            "PRIVMSG" | "NOTICE" => self.say(line).await,
            "TAGMSG" => self.tag_message(line).await,
            "REDACT" => self.redact(line).await,
            "CHATHISTORY" => self.history(line).await?,
            "JOIN" => self.join(line).await?,
            "PART" => self.part(line).await,
            "NAMES" => self.ask_names(line).await?,
            "TOPIC" => self.ask_topic(line),
            "LIST" => self.list().await,
            "MODE" => self.mode(line),
            "INVITE" => self.invite(line).await,
            "KICK" => self.kick(line).await,
            "WHO" => self.who(line).await,
            "WHOIS" => self.whois(line).await,
            "WHOWAS" => self.whowas(line),
            "ISON" => self.ison(line).await,
            "USERHOST" => self.userhost(line).await,
            "AWAY" => self.numeric("305", &[], "Who is here is who is connected"),
            "NICK" if line.param(0) == super::names::nick(&self.me) => {}
            "NICK" => self.numeric("447", &[], "A user keeps the name that it came with"),
            "PASS" | "USER" => self.numeric("462", &[], "You may not reregister"),
            "CAP" => self.cap(line),
            "AUTHENTICATE" => self.authenticate(line).await,
            "MOTD" => self.motd(),
            "LUSERS" => self.lusers().await,
            "VERSION" => {
                let version = concat!("veche-", env!("CARGO_PKG_VERSION"));
                self.numeric("351", &[version, SERVER], "");
            }
            "QUIT" => return Err(End::Told(format!("Quit: {}", line.param(0)))),
            other => self.numeric("421", &[other], "Unknown command"),
        }
        Ok(())
    }

    /// What the API calls a target; none where it can't be one.
    pub fn address(&self, target: &str) -> Option<String> {
        if target.starts_with('#') {
            return Some(self.channels.named(target)?.address.clone());
        }
        Some(format!("@{}", name(target)))
    }

    /// `PRIVMSG` and `NOTICE`: a message each; with a tag that says to what it replies, a comment.
    async fn say(&mut self, line: &Line) {
        let is_notice = line.command == "NOTICE";
        let (targets, text) = (line.param(0), line.param(1));
        if targets.is_empty() {
            return self.numeric("411", &[], "No recipient given");
        }
        if targets.split(',').count() > TARGETS {
            return self.numeric("407", &[targets], "Too many recipients");
        }
        let Some(text) = incoming(text) else {
            return;
        };
        // Programs answer questions of programs with notices, and people ask nothing by them.
        if is_notice && line.param(1).starts_with('\u{1}') {
            return;
        }
        if text.is_empty() {
            return self.numeric("412", &[], "No text to send");
        }
        for target in targets.split(',').filter(|target| !target.is_empty()) {
            let Some(to) = self.address(target) else {
                let text = "You are in no such channel: LIST shows what each is called";
                self.numeric("403", &[target], text);
                continue;
            };
            let answers = line.tag(REPLY).and_then(message_id);
            let told = match answers {
                Some(id) => self.reply_to(id, &to, &text).await,
                None => None,
            };
            let told = match told {
                Some(told) => told,
                None => {
                    self.inside
                        .post("/send", &json!({"to": to, "text": text}))
                        .await
                }
            };
            if !told.status.is_success() {
                self.refused(&told, "404", target);
                continue;
            }
            let posted = &told.body;
            self.posted(posted["id"].as_u64().unwrap_or_default());
            if self.caps.has(Cap::EchoMessage) {
                let lines = match answers.filter(|_| posted["message"].is_u64()) {
                    Some(_) => self.comment_lines(posted).await,
                    None => self.message_lines(posted, None),
                };
                // To others it is a message as any other.
                let command = if is_notice { "NOTICE" } else { "PRIVMSG" };
                let lines = lines.into_iter().map(|line| line.command(command));
                let id = posted["id"].as_u64().unwrap_or_default();
                let message = posted["message"].as_u64().unwrap_or(id);
                self.give(message, &id.to_string(), lines.collect());
            }
        }
    }

    /// Comments a message of that chat; none where there are no comments, or no such message there.
    async fn reply_to(&self, id: Id, to: &str, text: &str) -> Option<Answered> {
        let path = format!("/messages/{id}");
        let message = self.inside.get(&path).await.body;
        if self.chat_of(&message).to_lowercase() != to.to_lowercase() {
            return None;
        }
        let told = self
            .inside
            .post(&format!("{path}/comments"), &json!({"text": text}))
            .await;
        (told.status != StatusCode::NOT_FOUND).then_some(told)
    }

    /// `TAGMSG`: a reaction, or that somebody is writing.
    async fn tag_message(&mut self, line: &Line) {
        let target = line.param(0);
        let Some(to) = self.address(target) else {
            return self.numeric("403", &[target], "No such channel");
        };
        if !self.caps.has(Cap::MessageTags) {
            return self.numeric("421", &["TAGMSG"], "Unknown command");
        }
        let reacts = [(REACT.0, true), (REACT.1, false)];
        let reaction = reacts
            .iter()
            .find_map(|(tag, on)| Some((line.tag(tag)?, *on)));
        let told = match (reaction, line.tag(REPLY).and_then(message_id)) {
            (Some((emoji, on)), Some(id)) => {
                let body = json!({"message": id, "emoji": emoji, "on": on});
                self.inside.post("/react", &body).await
            }
            _ if line.tag(TYPING) == Some("active") => {
                self.inside.post("/typing", &json!({"to": to})).await
            }
            _ => return,
        };
        // Nobody has typed anything that could be answered.
        if !told.status.is_success() && reaction.is_some() {
            self.refused(&told, "404", target);
        }
    }

    /// `REDACT`: removes a message of one's own.
    async fn redact(&mut self, line: &Line) {
        let Some(id) = message_id(line.param(1)) else {
            let text = "There is no such message";
            return self.fail(
                "REDACT",
                "UNKNOWN_MSGID",
                &[line.param(0), line.param(1)],
                text,
            );
        };
        let told = self.inside.post("/remove", &json!({"message": id})).await;
        if !told.status.is_success() {
            let code = if told.status == StatusCode::NOT_FOUND {
                "UNKNOWN_MSGID"
            } else {
                "REDACT_FORBIDDEN"
            };
            let text = words(&told);
            self.fail("REDACT", code, &[line.param(0), line.param(1)], &text);
        }
    }

    async fn ask_names(&mut self, line: &Line) -> Result<(), End> {
        if line.params.is_empty() {
            self.numeric("366", &["*"], "End of /NAMES list");
        }
        for name in line.param(0).split(',').filter(|name| !name.is_empty()) {
            self.names(name).await?;
        }
        Ok(())
    }

    /// Says why something was not done: by the numeric of the refusal, or else by this one.
    pub fn refused(&mut self, told: &Answered, otherwise: &'static str, target: &str) {
        let number = match told.code() {
            "unknown_chat" if target.starts_with('#') => "403",
            "unknown_chat" => "401",
            "feature_off" => "403",
            "invalid" if otherwise == "404" && target.starts_with('#') => "404",
            _ => otherwise,
        };
        self.numeric(number, &[target], &words(told));
    }

    /// A failure as newer clients read it, and others as a sentence.
    pub fn fail(&mut self, command: &str, code: &str, words: &[&str], text: &str) {
        if !self.caps.has(Cap::StandardReplies) {
            return self.notice(&format!("{command} failed: {text}"));
        }
        let out = Out::new(SERVER, "FAIL").word(command).word(code);
        let out = words.iter().fold(out, |out, word| out.word(word));
        self.send(out.text(text));
    }

    /// The address of the chat that a message is in, as this user sees it.
    pub fn chat_of(&self, message: &Value) -> String {
        let (from, to) = (field(message, "from"), field(message, "to"));
        if to.starts_with('@') && from != self.me {
            return format!("@{from}");
        }
        to.to_owned()
    }
}

/// Why something was not done, and when it can be. What the API says in words of HTTP is said in those
/// of IRC.
pub fn words(told: &Answered) -> String {
    let mut text = match told.code() {
        "banned" => banned(field(&told.body, "until")),
        "too_many_guesses" => "Too many wrong passwords of late".to_owned(),
        "is_owner" => "One leaves one's own channel by PART".to_owned(),
        _ if told.detail().is_empty() => format!("refused ({})", told.status),
        _ => told.detail().to_owned(),
    };
    if let Some(seconds) = told.retry_after() {
        text += &format!(" (again in {})", Period::secs(seconds));
    }
    text
}

/// The id of a message that a client names, also of a further line of it or of an edit.
pub fn message_id(text: &str) -> Option<Id> {
    text.split('.').next()?.parse().ok()
}
