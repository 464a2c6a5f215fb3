//! Channels: the common chat, which everybody is in, and the rooms that one is in.

use veche::prelude::*;

use super::caps::Cap;
use super::line::{Line, Out};
use super::link::{End, Link, SERVER};
use super::names::{COMMON, channel, field, folded, name, nick, part, source, title};
use super::text::{banned, unbroken};

/// How many users a page of a list has.
const PAGE: usize = 200;

/// How many rooms of one title are named at once, so that they fit into a line.
const TOLD: usize = 4;

/// How long a line of names may be, for the channel's name before it.
const NAMES: usize = 300;

/// A chat as a channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// What the client calls it.
    pub name: String,
    /// What the API calls it.
    pub address: String,
    pub title: String,
    /// Whose it is; empty where it is nobody's.
    pub owner: String,
}

/// The channels that a client is in.
#[derive(Default)]
pub struct Channels(Vec<Channel>);

impl Channels {
    /// The one of this name, in any case.
    pub fn named(&self, name: &str) -> Option<&Channel> {
        let name = folded(name);
        self.0.iter().find(|one| folded(&one.name) == name)
    }

    /// The one of this address.
    pub fn at(&self, address: &str) -> Option<&Channel> {
        self.0.iter().find(|one| one.address == address)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.0.iter()
    }

    fn remove(&mut self, address: &str) -> Option<Channel> {
        let place = self.0.iter().position(|one| one.address == address)?;
        Some(self.0.remove(place))
    }
}

impl Link {
    /// Enters all that the user is in, and tells what concerns them and what they have missed.
    pub async fn arrive(&mut self, chats: &Value, user: &Value) -> Result<(), End> {
        self.enter_common().await?;
        let listed = self.inside.get("/rooms").await.body;
        let mine = listed["rooms"].as_array().cloned().unwrap_or_default();
        for room in &mine {
            self.enter_room(room).await?;
            for request in room["requests"].as_array().into_iter().flatten() {
                self.asks_in(field(room, "room"), field(request, "user"));
            }
        }
        for invite in listed["invites"].as_array().into_iter().flatten() {
            self.invited(invite);
        }
        if let Some(until) = user["complaints"]["banned_until"].as_str() {
            self.notice(&banned(until));
        }
        self.flush().await?;
        self.catch_up(chats).await
    }

    async fn enter_common(&mut self) -> Result<(), End> {
        let (address, name) = COMMON;
        self.channels.0.push(Channel {
            name: name.to_owned(),
            address: address.to_owned(),
            title: String::new(),
            owner: String::new(),
        });
        self.joined(name);
        self.names(name).await
    }

    /// Enters a room, as the API shows it.
    pub async fn enter_room(&mut self, room: &Value) -> Result<(), End> {
        let (address, title) = (field(room, "room"), field(room, "title"));
        if self.channels.at(address).is_some() {
            return Ok(());
        }
        let name = channel(title, address);
        self.channels.0.push(Channel {
            name: name.clone(),
            address: address.to_owned(),
            title: title.to_owned(),
            owner: field(room, "owner").to_owned(),
        });
        self.shows(&name).await
    }

    async fn shows(&mut self, name: &str) -> Result<(), End> {
        self.joined(name);
        self.topic(name);
        self.names(name).await
    }

    fn joined(&mut self, name: &str) {
        let out = Out::new(&self.source(), "JOIN").word(name);
        self.send(out);
    }

    /// `JOIN`: a room that one is invited to, or asks to come into by a link's code, or a new one.
    pub async fn join(&mut self, line: &Line) -> Result<(), End> {
        let mut keys = line.param(1).split(',');
        for name in line.param(0).split(',').filter(|name| !name.is_empty()) {
            let key = keys.next().unwrap_or_default();
            if name == "0" {
                self.numeric(
                    "403",
                    &[name],
                    "Leave channels one by one: it may be for good",
                );
            } else if !key.is_empty() {
                self.ask_in(name, key).await;
            } else if folded(name) == COMMON.1 {
                if self.channels.named(name).is_none() {
                    self.enter_common().await?;
                }
            } else if self.channels.named(name).is_none() {
                self.join_room(name).await?;
            }
        }
        Ok(())
    }

    /// A name may be a title alone here, and here only: where it means one room, that is entered or
    /// shown under its own name; where it could mean more, none is.
    async fn join_room(&mut self, name: &str) -> Result<(), End> {
        let Some(plain) = title(name) else {
            self.numeric("403", &[name], "No such channel");
            return Ok(());
        };
        let listed = self.inside.get("/rooms").await;
        if !listed.status.is_success() {
            self.refused(&listed, "403", name);
            return Ok(());
        }
        let is_full = name.contains('~');
        let invites = listed.body["invites"].as_array().into_iter().flatten();
        let invited = invites.map(|one| (field(one, "title"), field(one, "room")));
        let mine = self.channels.iter().filter(|one| one.address != COMMON.0);
        let mine = mine.map(|one| (one.title.as_str(), one.address.as_str()));
        let meant = |(title, room): &(&str, &str)| match is_full {
            true => folded(&channel(title, room)) == folded(name),
            false => folded(title) == folded(&plain),
        };
        let meant: Vec<_> = invited
            .chain(mine)
            .filter(meant)
            .map(|(title, room)| (channel(title, room), room.to_owned()))
            .collect();
        let told = match &meant[..] {
            [(own, room)] if self.channels.at(room).is_some() => {
                self.forwards(name, own);
                return self.shows(own).await;
            }
            [(_, room)] => {
                let join = format!("{}/join", path(room));
                self.inside.post(&join, &json!({})).await
            }
            [] if is_full => {
                self.numeric("473", &[name], "You are not invited to that channel");
                return Ok(());
            }
            [] => self.inside.post("/rooms", &json!({"title": plain})).await,
            _ => {
                let names = meant.iter().map(|(name, _)| name.as_str());
                let names = names.take(TOLD).collect::<Vec<_>>().join(" ");
                let text = format!("More than one room is called that: JOIN one of {names}");
                self.numeric("437", &[name], &text);
                return Ok(());
            }
        };
        if !told.status.is_success() {
            self.refused(&told, "437", name);
            return Ok(());
        }
        let entered = channel(field(&told.body, "title"), field(&told.body, "room"));
        self.forwards(name, &entered);
        self.enter_room(&told.body).await?;
        if told.status == StatusCode::CREATED {
            let name = entered;
            self.notice(&format!(
                "{name} is a new room, and nobody else is in it: INVITE lets them in"
            ));
        }
        Ok(())
    }

    /// Says what a channel is called that was asked for by its title, so that the client waits for no other.
    fn forwards(&mut self, name: &str, to: &str) {
        if folded(name) != folded(to) {
            self.numeric("470", &[name, to], "That is its name");
        }
    }

    /// Asks to come into a room, by a link's code.
    async fn ask_in(&mut self, name: &str, code: &str) {
        let told = self
            .inside
            .post(&format!("/join/{}", part(code)), &json!({}))
            .await;
        if told.status.is_success() {
            self.notice(&format!("{name}: the owner has been asked to let you in"));
        } else {
            self.refused(&told, "475", name);
        }
    }

    /// `PART`: leaves a room for good; the common chat for this connection.
    pub async fn part(&mut self, line: &Line) {
        for name in line.param(0).split(',').filter(|name| !name.is_empty()) {
            let Some(channel) = self.channels.named(name).cloned() else {
                self.numeric("442", &[name], "You're not on that channel");
                continue;
            };
            if channel.address != COMMON.0 {
                let leave = format!("{}/leave", path(&channel.address));
                let told = self.inside.post(&leave, &json!({})).await;
                if !told.status.is_success() {
                    self.refused(&told, "442", name);
                    continue;
                }
            }
            self.left(&channel.address);
        }
    }

    /// Takes a channel away that the user is out of.
    pub fn left(&mut self, address: &str) {
        if let Some(channel) = self.channels.remove(address) {
            let out = Out::new(&self.source(), "PART").word(&channel.name);
            self.send(out);
        }
    }

    /// Takes a channel away that the user was put out of.
    pub fn kicked(&mut self, address: &str) {
        if let Some(channel) = self.channels.remove(address) {
            let out = Out::new(&source(&channel.owner), "KICK");
            let out = out.word(&channel.name).word(&nick(&self.me));
            self.send(out.text("removed"));
        }
    }

    /// Gives a room to another owner.
    pub fn owned(&mut self, address: &str, owner: &str) {
        let Some(channel) = self
            .channels
            .0
            .iter_mut()
            .find(|one| one.address == address)
        else {
            return;
        };
        if channel.owner != owner {
            owner.clone_into(&mut channel.owner);
            let out = Out::new(SERVER, "MODE").word(&channel.name).word("+o");
            let out = out.word(&nick(owner));
            self.send(out);
        }
    }

    /// Who is in a channel: of the common chat those who are online.
    pub async fn members(&self, channel: &Channel) -> Vec<String> {
        let mut members = Vec::new();
        if channel.address != COMMON.0 {
            let room = self.inside.get(&path(&channel.address)).await.body;
            let all = room["members"].as_array().into_iter().flatten();
            members.extend(all.filter_map(|name| name.as_str().map(str::to_owned)));
            return members;
        }
        let mut after = String::new();
        loop {
            let path = format!("/users?limit={PAGE}{after}");
            let page = self.inside.get(&path).await.body;
            let users = page["users"].as_array().map_or(&[][..], Vec::as_slice);
            for user in users.iter().filter(|user| user["online"] == true) {
                members.push(field(user, "name").to_owned());
            }
            match users.last().filter(|_| page["more"] == true) {
                Some(last) => after = format!("&after={}", part(field(last, "name"))),
                None => break,
            }
        }
        // This very stream may not be known yet.
        if !members.contains(&self.me) {
            members.push(self.me.clone());
        }
        members
    }

    /// `NAMES` of one channel.
    pub async fn names(&mut self, name: &str) -> Result<(), End> {
        if let Some(channel) = self.channels.named(name).cloned() {
            let mut row = String::new();
            for member in self.members(&channel).await {
                let mark = if member == channel.owner { "@" } else { "" };
                let shown = match self.caps.has(Cap::UserhostInNames) {
                    true => source(&member),
                    false => nick(&member),
                };
                let member = format!("{mark}{shown}");
                if !row.is_empty() && row.len() + 1 + member.len() > NAMES {
                    self.numeric("353", &["=", &channel.name], &row);
                    row.clear();
                }
                if !row.is_empty() {
                    row.push(' ');
                }
                row += &member;
            }
            if !row.is_empty() {
                self.numeric("353", &["=", &channel.name], &row);
            }
        }
        let name = self
            .channels
            .named(name)
            .map_or(name, |channel| &channel.name)
            .to_owned();
        self.numeric("366", &[&name], "End of /NAMES list");
        self.flush().await
    }

    fn topic(&mut self, name: &str) {
        let Some(channel) = self.channels.named(name).cloned() else {
            return self.numeric("403", &[name], "You are in no such channel");
        };
        if channel.title.is_empty() {
            self.numeric("331", &[&channel.name], "No topic is set");
        } else {
            self.numeric("332", &[&channel.name], &unbroken(&channel.title));
        }
    }

    /// `TOPIC`: a room's title, which stays what it is.
    pub fn ask_topic(&mut self, line: &Line) {
        let name = line.param(0);
        if line.params.len() > 1 && self.channels.named(name).is_some() {
            return self.numeric(
                "482",
                &[name],
                "A room keeps the title that it was made with",
            );
        }
        self.topic(name);
    }

    /// `LIST`: the channels that the user is in, or may come into.
    pub async fn list(&mut self) {
        self.numeric("321", &["Channel"], "Users  Name");
        let status = self.inside.get("/status").await.body;
        let chats = status["chats"].as_array().cloned().unwrap_or_default();
        for channel in self.channels.iter().cloned().collect::<Vec<_>>() {
            let chat = chats
                .iter()
                .find(|chat| chat["chat"] == channel.address.as_str());
            let count = chat.map_or(0, |chat| chat["members"].as_u64().unwrap_or_default());
            let title = unbroken(&channel.title);
            self.numeric("322", &[&channel.name, &count.to_string()], &title);
        }
        let listed = self.inside.get("/rooms").await.body;
        for invite in listed["invites"].as_array().into_iter().flatten() {
            let (room, title) = (field(invite, "room"), field(invite, "title"));
            let name = channel(title, room);
            let text = format!("{title} ({} invites you)", nick(field(invite, "from")));
            self.numeric("322", &[&name, "0"], &unbroken(&text));
        }
        self.numeric("323", &[], "End of /LIST");
    }

    /// `MODE`: what a channel or the user is; nothing of it can be set.
    pub fn mode(&mut self, line: &Line) {
        let (name, asked) = (line.param(0), line.param(1));
        if !name.starts_with('#') {
            if folded(name) != folded(&nick(&self.me)) {
                return self.numeric("502", &[], "Can't change mode for other users");
            }
            return match asked {
                "" => {
                    let out = self.reply("221", &["+i"]);
                    self.send(out);
                }
                // Many clients ask for it by themselves, and have it.
                "i" | "+i" => {}
                _ => self.numeric("501", &[], "There are no modes to set"),
            };
        }
        let Some(channel) = self.channels.named(name).cloned() else {
            return self.numeric("403", &[name], "No such channel");
        };
        match asked.trim_start_matches(['+', '-']) {
            "" => {
                let modes = if channel.owner.is_empty() {
                    "+n"
                } else {
                    "+in"
                };
                let out = self.reply("324", &[&channel.name, modes]);
                self.send(out);
            }
            "b" if line.params.len() == 2 => {
                self.numeric("368", &[&channel.name], "End of channel ban list");
            }
            _ => self.numeric(
                "482",
                &[&channel.name],
                "Nothing of a channel can be set here",
            ),
        }
    }

    /// `INVITE`: lets somebody in who has asked, or may come.
    pub async fn invite(&mut self, line: &Line) {
        let (nickname, name) = (line.param(0), line.param(1));
        let Some(channel) = self.channels.named(name).cloned() else {
            return self.numeric("403", &[name], "You are in no such channel");
        };
        if channel.address == COMMON.0 {
            return self.numeric("443", &[nickname, name], "everybody is on that channel");
        }
        let (room, user) = (path(&channel.address), super::names::name(nickname));
        let request = format!("{room}/requests/{}", part(&user));
        let told = self.inside.post(&request, &json!({"approve": true})).await;
        let told = match told.status {
            StatusCode::NOT_FOUND => {
                self.inside
                    .post(&format!("{room}/invites"), &json!({"user": user}))
                    .await
            }
            _ => told,
        };
        match told.code() {
            "" => {
                let out = self.reply("341", &[nickname, &channel.name]);
                self.send(out);
            }
            "already_member" => {
                self.numeric("443", &[nickname, &channel.name], "is already on channel");
            }
            "not_found" => self.numeric("401", &[nickname], "No such nick"),
            _ => self.refused(&told, "482", &channel.name),
        }
    }

    /// `KICK`: removes somebody from a room that one owns.
    pub async fn kick(&mut self, line: &Line) {
        let (name_of, nickname) = (line.param(0), line.param(1));
        let Some(channel) = self.channels.named(name_of).cloned() else {
            return self.numeric("403", &[name_of], "You are in no such channel");
        };
        if channel.owner.is_empty() {
            return self.numeric("482", &[&channel.name], "Nobody is removed from there");
        }
        let user = part(&name(nickname));
        let told = self
            .inside
            .delete(&format!("{}/members/{user}", path(&channel.address)))
            .await;
        match told.code() {
            "" => {}
            "not_found" => {
                self.numeric(
                    "441",
                    &[nickname, &channel.name],
                    "They aren't on that channel",
                );
            }
            _ => self.refused(&told, "482", &channel.name),
        }
    }
}

/// A room's path.
pub fn path(address: &str) -> String {
    let id = address.strip_prefix("room:").unwrap_or(address);
    format!("/rooms/{}", part(id))
}
