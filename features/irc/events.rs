//! What happens, as a client is told of it.

use veche::prelude::*;

use super::caps::Cap;
use super::channels::path;
use super::commands::{REACT, REPLY, TYPING};
use super::given::line_id;
use super::line::Out;
use super::link::{End, Link, SERVER};
use super::names::{COMMON, channel, field, nick, source};
use super::text::{banned, beginning, outgoing};

/// How many characters of a message stand before a comment on it.
const QUOTED: usize = 30;

/// The most lines of one text; one more says how many there are beyond them.
const LINES: usize = 50;

/// The shortest room of a line for a text, whatever stands before it.
const ROOM: usize = 40;

impl Link {
    /// Tells the client of an event.
    pub async fn happened(&mut self, happened: &Happened) -> Result<(), End> {
        let data = &happened.data;
        match happened.kind.as_str() {
            "message" => self.message(data),
            "comment" => self.comment(data).await,
            "edited" => self.edited(data).await,
            "removed" => self.removed(data),
            "reaction" => self.reaction(data).await,
            "typing" => self.typing(data),
            "user" => self.comes_or_goes(data),
            "joined" => self.joins(data).await?,
            "left" => self.leaves(data),
            "room" => self.room(data).await?,
            "invited" => self.invited(data),
            "join_request" | "refused" => self.request(&happened.kind, data),
            "warned" | "banned" | "unbanned" | "scheduled_failed" => {
                self.concerns(&happened.kind, data);
            }
            "read" => {
                let upto = data["upto"].as_u64().unwrap_or_default();
                self.read_elsewhere(field(data, "chat"), upto);
            }
            "reset" => {
                // The log no longer reaches back to where the stream was: what is unread is asked for.
                let chats = self.inside.get("/status").await.body;
                self.catch_up(&chats["chats"]).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, data: &Value) {
        let id = data["id"].as_u64().unwrap_or_default();
        let chat = self.chat_of(data);
        let is_new = self.is_new(&chat, id);
        // One's own to oneself comes back all the same.
        let is_told = self.is_own(id) && chat.strip_prefix('@') != Some(&self.me);
        if !is_new || is_told {
            return;
        }
        let lines = self.message_lines(data, None);
        if field(data, "from") != self.me && !lines.is_empty() {
            self.reads(&chat, id);
        }
        self.give(id, &id.to_string(), lines);
    }

    /// A message as the lines that a client gets; none where it is not in that chat. What is given of
    /// long ago says when it was, also to those who read no tags.
    pub fn message_lines(&self, message: &Value, batch: Option<&str>) -> Vec<Out> {
        self.lines_of(message, batch, &message["id"].to_string())
    }

    fn lines_of(&self, message: &Value, batch: Option<&str>, id: &str) -> Vec<Out> {
        let (from, at) = (field(message, "from"), field(message, "at"));
        let mut text = field(message, "text").to_owned();
        if message["file"].is_object() {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &self.file(&message["file"]);
        }
        let Some(target) = self.target_of(message) else {
            return Vec::new();
        };
        let line = said(from, &target, at, batch);
        self.split(&line, &text, id, &self.when(at, batch))
    }

    /// When something of long ago was, for those who read no tags.
    fn when(&self, at: &str, batch: Option<&str>) -> String {
        match batch {
            Some(_) if !self.caps.has(Cap::ServerTime) => {
                format!("[{}] ", at.get(..16).unwrap_or(at).replace('T', " "))
            }
            _ => String::new(),
        }
    }

    /// A text as lines like this one, with `before` at the beginning of the first. The first has the
    /// message's id, the others that id and their place. Of many lines the last says how many are left out.
    fn split(&self, line: &Out, text: &str, id: &str, before: &str) -> Vec<Out> {
        let room = line.room().max(ROOM);
        let text = match text.strip_prefix("/me ") {
            _ if before.is_empty() => text.to_owned(),
            Some(does) => format!("{before}* {does}"),
            None => format!("{before}{text}"),
        };
        let mut lines = outgoing(&text, room);
        if lines.len() > LINES {
            let page = match self.irc.settings.url.as_str() {
                "" => "the page".to_owned(),
                url => format!("the page ({url})"),
            };
            let more = lines.len() - LINES;
            lines.truncate(LINES);
            lines.push(format!(
                "… {more} more lines: all of it is in {page} and in the console client"
            ));
        }
        let lines = lines.into_iter().enumerate();
        lines
            .map(|(place, text)| {
                let id = line_id(id, place);
                line.clone().tag("msgid", id).text(&text)
            })
            .collect()
    }

    /// Whom or where a line of somebody's message goes to.
    fn target_of(&self, message: &Value) -> Option<String> {
        let (from, to) = (field(message, "from"), field(message, "to"));
        match to.strip_prefix('@') {
            Some(peer) if from == self.me => Some(nick(peer)),
            Some(_) => Some(nick(&self.me)),
            None => self.channels.at(to).map(|channel| channel.name.clone()),
        }
    }

    fn file(&self, file: &Value) -> String {
        let size = file["size"].as_u64().unwrap_or_default();
        let url = format!("{}{}", self.irc.settings.url, field(file, "url"));
        format!("{} ({}) {url}", field(file, "name"), bytes(size))
    }

    async fn comment(&mut self, data: &Value) {
        let id = data["id"].as_u64().unwrap_or_default();
        if self.is_own(id) || self.was_given(id) {
            return;
        }
        let lines = self.comment_lines(data).await;
        let message = data["message"].as_u64().unwrap_or_default();
        self.give(message, &id.to_string(), lines);
    }

    /// A comment as lines.
    pub async fn comment_lines(&self, comment: &Value) -> Vec<Out> {
        let message = self.commented(&comment["message"]).await;
        self.comment_on(&message, comment, None)
    }

    /// A comment as lines: what it is on stands before it, shortened.
    pub fn comment_on(&self, message: &Value, comment: &Value, batch: Option<&str>) -> Vec<Out> {
        let (from, at) = (field(comment, "from"), field(comment, "at"));
        let Some(target) = self.answered_to(message, from) else {
            return Vec::new();
        };
        let line = said(from, &target, at, batch);
        let line = line.tag(REPLY, comment["message"].to_string());
        let quoted = beginning(field(message, "text"), QUOTED);
        let when = self.when(at, batch);
        let before = format!("{when}re \u{201c}{quoted}\u{201d}: ");
        let id = comment["id"].to_string();
        self.split(&line, field(comment, "text"), &id, &before)
    }

    async fn commented(&self, id: &Value) -> Value {
        self.inside.get(&format!("/messages/{id}")).await.body
    }

    /// Where a line goes by which somebody answers a message.
    fn answered_to(&self, message: &Value, from: &str) -> Option<String> {
        let chat = self.chat_of(message);
        match chat.strip_prefix('@') {
            Some(peer) if from == self.me => Some(nick(peer)),
            Some(_) => Some(nick(&self.me)),
            None => self.channels.at(&chat).map(|channel| channel.name.clone()),
        }
    }

    async fn edited(&mut self, data: &Value) {
        let mut message = self.commented(&data["id"]).await;
        let Some(id) = message["id"].as_u64() else {
            return;
        };
        let before = "* edited: ";
        message["text"] = format!("{before}{}", field(data, "text")).into();
        message["at"] = data["edited"].clone();
        if let Some(message) = message.as_object_mut() {
            message.remove("file");
        }
        // It has an id of its own, which leads to the message as that of a further line does.
        let digits = field(data, "edited").chars().filter(char::is_ascii_digit);
        let of_edit = format!("{id}.e{}", digits.collect::<String>());
        let lines = self.lines_of(&message, None, &of_edit).into_iter();
        let lines = lines.map(|line| line.tag(REPLY, id.to_string())).collect();
        self.give(id, &of_edit, lines);
    }

    fn removed(&mut self, data: &Value) {
        if !self.caps.has(Cap::Redaction) {
            return;
        }
        let to = field(data, "to");
        let target = match to.strip_prefix('@') {
            Some(name) => nick(name),
            None => self.target(to),
        };
        let ids = data["ids"].as_array().into_iter().flatten();
        for id in ids.filter_map(Value::as_u64) {
            for line in self.lines.take(id) {
                if !target.is_empty() {
                    let out = Out::new(SERVER, "REDACT").word(&target);
                    self.send(out.word(&line));
                }
            }
        }
    }

    async fn reaction(&mut self, data: &Value) {
        if !self.caps.has(Cap::MessageTags) {
            return;
        }
        let message = self.commented(&data["message"]).await;
        let from = field(data, "user");
        let Some(target) = self.answered_to(&message, from) else {
            return;
        };
        let tag = if data["on"] == true { REACT.0 } else { REACT.1 };
        let out = Out::new(&source(from), "TAGMSG").word(&target);
        let out = out.tag(REPLY, data["message"].to_string());
        self.send(out.tag(tag, field(data, "emoji")));
    }

    fn typing(&mut self, data: &Value) {
        let from = field(data, "from");
        if !self.caps.has(Cap::MessageTags) || from == self.me {
            return;
        }
        if let Some(target) = self.target_of(data) {
            let out = Out::new(&source(from), "TAGMSG").word(&target);
            self.send(out.tag(TYPING, "active"));
        }
    }

    fn comes_or_goes(&mut self, data: &Value) {
        let name = field(data, "name");
        if name == self.me || self.channels.at(COMMON.0).is_none() {
            return;
        }
        let command = if data["online"] == true {
            "JOIN"
        } else {
            "PART"
        };
        self.send(Out::new(&source(name), command).word(COMMON.1));
    }

    async fn joins(&mut self, data: &Value) -> Result<(), End> {
        let (room, user) = (field(data, "room"), field(data, "user"));
        if user == self.me {
            return self.comes_in(room).await;
        }
        if let Some(channel) = self.channels.at(room) {
            let out = Out::new(&source(user), "JOIN").word(&channel.name);
            self.send(out);
        }
        Ok(())
    }

    /// The user is in a room by another client of theirs, or by its owner's word.
    async fn comes_in(&mut self, room: &str) -> Result<(), End> {
        if self.channels.at(room).is_some() {
            return Ok(());
        }
        let told = self.inside.get(&path(room)).await;
        if !told.status.is_success() {
            return Ok(());
        }
        self.enter_room(&told.body).await
    }

    fn leaves(&mut self, data: &Value) {
        let (room, user) = (field(data, "room"), field(data, "user"));
        let is_removed = data["removed"] == true;
        if user == self.me {
            return if is_removed {
                self.kicked(room)
            } else {
                self.left(room)
            };
        }
        let Some(channel) = self.channels.at(room).cloned() else {
            return;
        };
        let out = if is_removed {
            let out = Out::new(&source(&channel.owner), "KICK").word(&channel.name);
            out.word(&nick(user)).text("removed")
        } else {
            Out::new(&source(user), "PART").word(&channel.name)
        };
        self.send(out);
        if let Some(owner) = data["owner"].as_str() {
            self.owned(room, owner);
        }
    }

    /// A room as it is now, to one of its members.
    async fn room(&mut self, data: &Value) -> Result<(), End> {
        let (room, owner) = (field(data, "room"), field(data, "owner"));
        if self.channels.at(room).is_none() {
            return self.comes_in(room).await;
        }
        if !owner.is_empty() {
            self.owned(room, owner);
        }
        Ok(())
    }

    /// Somebody lets the user into a room.
    pub fn invited(&mut self, data: &Value) {
        let (room, title) = (field(data, "room"), field(data, "title"));
        let name = channel(title, room);
        let from = field(data, "from");
        // One's own invitation of another comes back as an event, too.
        if from == self.me {
            return;
        }
        let out = Out::new(&source(from), "INVITE").word(&nick(&self.me));
        self.send(out.word(&name));
    }

    fn request(&mut self, kind: &str, data: &Value) {
        let (title, user) = (field(data, "title"), field(data, "user"));
        let text = match (kind, user) {
            ("join_request", "") if data["state"] == "approved" => {
                format!("You were let into {title:?}")
            }
            ("join_request", "") => return,
            ("join_request", user) => return self.asks_in(field(data, "room"), user),
            _ if data["of"] == "invite" && (user.is_empty() || user == self.me) => {
                format!("The invitation to {title:?} is void")
            }
            (_, user) if user.is_empty() || user == self.me => {
                format!("You were not let into {title:?}")
            }
            _ => return,
        };
        self.notice(&text);
    }

    /// Somebody wants to come into the user's room.
    pub fn asks_in(&mut self, room: &str, user: &str) {
        let (name, user) = (self.target(room), nick(user));
        self.notice(&format!(
            "{user} asks to come into {name}: INVITE {user} {name} lets them in"
        ));
    }

    fn concerns(&mut self, kind: &str, data: &Value) {
        let text = match kind {
            "warned" => "Somebody has complained about you".to_owned(),
            "banned" => banned(field(data, "banned_until")),
            "unbanned" => "You may post again".to_owned(),
            _ => "A message that was to be sent later was not sent".to_owned(),
        };
        self.notice(&text);
    }
}

/// The line of somebody's text, without it.
fn said(from: &str, target: &str, at: &str, batch: Option<&str>) -> Out {
    let line = Out::new(&source(from), "PRIVMSG").word(target);
    let line = line.tag("time", at).tag("account", from);
    match batch {
        Some(batch) => line.tag("batch", batch),
        None => line,
    }
}

/// A size for people.
fn bytes(size: u64) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size / 1024),
        _ => format!("{} MiB", size / 1_048_576),
    }
}
