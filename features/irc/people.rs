//! Who is there.

use super::line::Line;
use super::link::{Link, SERVER};
use super::names::{COMMON, field, name, nick, part};

/// How many users a page of a list has, and how many pages are looked through for one.
const PAGE: usize = 200;
const PAGES: usize = 10;

/// The most names that one `ISON` or `USERHOST` asks for.
const ASKED: usize = 10;

/// Somebody.
struct Person {
    name: String,
    is_online: bool,
}

impl Link {
    /// Looks somebody up, by a nick in any case.
    async fn person(&self, nickname: &str) -> Option<Person> {
        let asked = name(nickname);
        let known = self.site.view(move |view| {
            let user = view.find_user(&asked)?;
            view.name(user).map(str::to_owned)
        });
        let name = known.await.ok()??;
        // The list has no way to one of it but from a name before.
        let mut before: String = name.clone();
        before.pop();
        for _ in 0..PAGES {
            let path = format!("/users?limit={PAGE}&after={}", part(&before));
            let page = self.inside.get(&path).await.body;
            let users = page["users"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(user) = users.iter().find(|user| field(user, "name") == name) {
                let is_online = user["online"] == true;
                return Some(Person { name, is_online });
            }
            match users.last().filter(|_| page["more"] == true) {
                Some(last) => field(last, "name").clone_into(&mut before),
                None => break,
            }
        }
        Some(Person {
            name,
            is_online: false,
        })
    }

    /// `WHO`: of a channel those who are in it, or one user.
    pub async fn who(&mut self, line: &Line) {
        let mask = line.param(0).to_owned();
        if let Some(channel) = self.channels.named(&mask).cloned() {
            for member in self.members(&channel).await {
                let mark = if member == channel.owner { "H@" } else { "H" };
                self.who_line(&channel.name, &member, mark);
            }
        } else if !mask.starts_with('#')
            && let Some(person) = self.person(&mask).await
        {
            let mark = if person.is_online { "H" } else { "G" };
            self.who_line("*", &person.name, mark);
        }
        let mask = if mask.is_empty() { "*" } else { &mask };
        self.numeric("315", &[mask], "End of /WHO list");
    }

    fn who_line(&mut self, channel: &str, name: &str, mark: &str) {
        let nick = nick(name);
        let words = [channel, &nick, "veche", SERVER, &nick, mark];
        self.numeric("352", &words, &format!("0 {name}"));
    }

    /// `WHOIS`
    pub async fn whois(&mut self, line: &Line) {
        let asked = match line.params.last() {
            None => return self.numeric("431", &[], "No nickname given"),
            Some(asked) => asked.clone(),
        };
        match self.person(&asked).await {
            None => self.numeric("401", &[&asked], "No such nick"),
            Some(person) => self.describe(&person).await,
        }
        self.numeric("318", &[&asked], "End of /WHOIS list");
    }

    async fn describe(&mut self, person: &Person) {
        let nick = nick(&person.name);
        self.numeric("311", &[&nick, &nick, "veche", "*"], &person.name);
        let mut shared = Vec::new();
        for channel in self.channels.iter().cloned().collect::<Vec<_>>() {
            let is_in =
                channel.address == COMMON.0 || self.members(&channel).await.contains(&person.name);
            if is_in {
                let mark = if channel.owner == person.name {
                    "@"
                } else {
                    ""
                };
                shared.push(format!("{mark}{}", channel.name));
            }
        }
        if !shared.is_empty() {
            self.numeric("319", &[&nick], &shared.join(" "));
        }
        self.numeric("312", &[&nick, SERVER], "veche");
        if !person.is_online {
            self.numeric("301", &[&nick], "not connected: messages wait");
        }
        self.numeric("330", &[&nick, &person.name], "is logged in as");
    }

    /// `WHOWAS`: names are never given up.
    pub fn whowas(&mut self, line: &Line) {
        let asked = line.param(0).to_owned();
        if asked.is_empty() {
            return self.numeric("431", &[], "No nickname given");
        }
        self.numeric("406", &[&asked], "There was no such nickname");
        self.numeric("369", &[&asked], "End of WHOWAS");
    }

    /// `ISON`
    pub async fn ison(&mut self, line: &Line) {
        let asked = line.params.iter().flat_map(|param| param.split(' '));
        let mut online = Vec::new();
        for asked in asked.filter(|asked| !asked.is_empty()).take(ASKED) {
            if let Some(person) = self.person(asked).await.filter(|person| person.is_online) {
                online.push(nick(&person.name));
            }
        }
        self.numeric("303", &[], &online.join(" "));
    }

    /// `USERHOST`
    pub async fn userhost(&mut self, line: &Line) {
        let mut known = Vec::new();
        for asked in line.params.iter().take(ASKED) {
            if let Some(person) = self.person(asked).await {
                let (nick, mark) = (nick(&person.name), if person.is_online { '+' } else { '-' });
                known.push(format!("{nick}={mark}{nick}@veche"));
            }
        }
        self.numeric("302", &[], &known.join(" "));
    }

    /// `LUSERS`
    pub async fn lusers(&mut self) {
        let status = self.inside.get("/status").await.body;
        let common = status["chats"].as_array();
        let common = common.and_then(|chats| chats.iter().find(|chat| chat["chat"] == COMMON.0));
        let online = common.map_or(0, |chat| chat["online"].as_u64().unwrap_or_default());
        let text = format!("There are {online} users and 0 invisible on 1 servers");
        self.numeric("251", &[], &text);
        let channels = self.channels.iter().count().to_string();
        self.numeric("254", &[&channels], "channels formed");
        self.numeric(
            "255",
            &[],
            &format!("I have {online} clients and 0 servers"),
        );
    }
}
