//! What a user sees: chats, history, what is unread.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Page;
use super::posts::To;
use super::{ChatIx, Kind, Model, Moment, Told, UserIx, time};

/// What the API takes a larger limit for.
pub const MOST: u64 = 200;

impl Model {
    /// Who is in a chat, in order of their coming.
    pub fn members(&self, chat: ChatIx) -> Vec<UserIx> {
        match &self.chats[chat].kind {
            Kind::Common => self.everybody(),
            Kind::Private([one, other]) if one == other => vec![*one],
            Kind::Private(pair) => pair.to_vec(),
            Kind::Room(room) => room.members.iter().map(|(user, _)| *user).collect(),
        }
    }

    pub fn is_member(&self, chat: ChatIx, user: UserIx) -> bool {
        self.members(chat).contains(&user)
    }

    /// From when on a user sees a chat's messages.
    fn floor(&self, chat: ChatIx, user: UserIx) -> Option<Moment> {
        match &self.chats[chat].kind {
            Kind::Room(room) if !room.all => room.since(user),
            _ => None,
        }
    }

    pub fn sees(&self, user: UserIx, moment: Moment) -> bool {
        let chat = self.messages.get(&moment).map(|message| message.chat);
        chat.is_some_and(|chat| {
            self.is_member(chat, user) && self.floor(chat, user).is_none_or(|floor| floor < moment)
        })
    }

    /// A message as everyone who sees it gets it.
    pub fn shown(&self, moment: Moment) -> Value {
        let message = &self.messages[&moment];
        let mut shown = json!({
            "id": self.id(moment),
            "from": self.users[message.from].name,
            "to": self.spell(message.chat, message.to),
            "text": message.text,
            "at": time(message.at),
        });
        if self.has("comments") {
            shown["comments"] = json!(message.comments.len());
        }
        if let Some(file) = &message.file {
            shown["file"] = json!(self.shown_file(file));
        }
        if !message.called.is_empty() {
            let names = message.called.iter().map(|user| &self.users[*user].name);
            shown["mentions"] = json!(names.collect::<Vec<_>>());
        }
        if let Some(edited) = message.edited {
            shown["edited"] = json!(time(edited));
        }
        // It is known once the message is delivered.
        if let (Some(ends), None) = (message.ends, message.fuse) {
            shown["expires"] = json!(time(ends));
        }
        shown
    }

    /// Messages on their way to a user, who has them then.
    pub fn hand(&mut self, to: UserIx, moments: &[Moment]) -> Vec<Value> {
        let waits = |moment: &&Moment| self.messages[*moment].to == Some(to);
        let handed: Vec<Moment> = moments.iter().filter(waits).copied().collect();
        self.handed.extend(handed);
        let shown = moments.iter().map(|moment| self.shown_to(to, *moment));
        shown.collect()
    }

    /// The messages of a chat that a user sees.
    fn of(&self, user: UserIx, chat: ChatIx) -> Vec<Moment> {
        let messages = self.messages.iter();
        let of =
            messages.filter(|(moment, message)| message.chat == chat && self.sees(user, **moment));
        of.map(|(moment, _)| *moment).collect()
    }

    pub fn latest(&self, user: UserIx, chat: ChatIx, limit: usize) -> Vec<Moment> {
        let all = self.of(user, chat);
        all[all.len().saturating_sub(limit)..].to_vec()
    }

    /// What others wrote after a user's mark.
    fn unread_in(&self, user: UserIx, chat: ChatIx) -> Vec<Moment> {
        let mark = self.users[user].marks.get(&chat);
        let mut unread = self.of(user, chat);
        unread.retain(|moment| {
            self.messages[moment].from != user && mark.is_none_or(|mark| mark < moment)
        });
        unread
    }

    /// The address of a chat, as one of its members uses it.
    pub fn address_for(&self, chat: ChatIx, user: UserIx) -> String {
        match self.chats[chat].kind {
            Kind::Private([one, other]) => {
                self.spell(chat, Some(if one == user { other } else { one }))
            }
            _ => self.spell(chat, None),
        }
    }

    pub fn chats_of(&self, user: UserIx) -> Vec<ChatIx> {
        (0..self.chats.len())
            .filter(|chat| self.is_member(*chat, user))
            .collect()
    }

    pub fn chats(&mut self, user: UserIx) -> Vec<Value> {
        let chats = self.chats_of(user);
        chats
            .into_iter()
            .map(|chat| self.outline(chat, user))
            .collect()
    }

    fn outline(&mut self, chat: ChatIx, user: UserIx) -> Value {
        let members = self.members(chat);
        let address = self.address_for(chat, user);
        let unread = self.unread_in(user, chat);
        let mark = self.users[user].marks.get(&chat).copied();
        let (kind, title) = match &self.chats[chat].kind {
            Kind::Common => ("common", "common"),
            Kind::Private(_) => ("private", address.trim_start_matches('@')),
            Kind::Room(room) => ("room", room.title.as_str()),
        };
        let mut outline = json!({
            "chat": address,
            "kind": kind,
            "title": title,
            "members": members.len(),
            "online": self.online(&members),
            "unread": unread.len(),
        });
        if self.has("web") {
            outline["web"] = json!({"read": mark.map_or(json!(0), |mark| self.id(mark))});
        }
        let calling = self.calling(user, &unread).into_iter();
        let calling: Vec<Value> = calling.map(|moment| self.id(moment)).collect();
        if !calling.is_empty() {
            outline["mentions"] = json!({"unread": calling});
        }
        if let Kind::Room(room) = &self.chats[chat].kind {
            let owner = &self.users[room.owner].name;
            outline["rooms"] = json!({"owner": owner, "history": room.history()});
        }
        let last = self.latest(user, chat, 1);
        outline["last"] = json!(self.hand(user, &last).pop());
        outline
    }

    pub fn page(&mut self, by: UserIx, moments: &[Moment], more: bool) -> Answer {
        let messages = self.hand(by, moments);
        Answer::ok(json!({"messages": messages, "more": more}))
    }

    pub fn history(&mut self, by: UserIx, chat: &str, page: Page, limit: u64) -> Outcome {
        let chat = match self.address(by, "chat", chat)? {
            To::Chat(chat) => Some(chat),
            To::User(peer) => self.private(by, peer),
        };
        let mut all = chat.map(|chat| self.of(by, chat)).unwrap_or_default();
        // An id that was never given to anything is beyond all that were.
        let place = |id: u64| match id {
            0 => None,
            id => Some(self.moment_of(id).unwrap_or(Moment::MAX)),
        };
        match page {
            Page::Newest => {}
            Page::Before(id) => all.retain(|moment| Some(*moment) < place(id)),
            Page::After(id) => all.retain(|moment| Some(*moment) > place(id)),
        }
        let limit = limit.min(MOST) as usize;
        let more = all.len() > limit;
        if matches!(page, Page::After(_)) {
            all.truncate(limit);
        } else {
            all.drain(..all.len().saturating_sub(limit));
        }
        Ok(self.page(by, &all, more))
    }

    pub fn one(&mut self, by: UserIx, id: u64) -> Outcome {
        let moment = self.visible(by, id)?;
        let message = self.hand(by, &[moment]).pop();
        Ok(Answer::ok(message.unwrap_or_default()))
    }

    pub fn unread(&mut self, by: UserIx, limit: u64) -> Answer {
        let chats = self.chats_of(by).into_iter();
        let mut all: Vec<Moment> = chats.flat_map(|chat| self.unread_in(by, chat)).collect();
        all.sort_unstable();
        let limit = limit.min(MOST) as usize;
        let more = all.len() > limit;
        all.truncate(limit);
        self.page(by, &all, more)
    }

    pub fn read(&mut self, by: UserIx, chat: Option<&str>, upto: Option<u64>) -> Outcome {
        let chats = match (chat, upto) {
            (None, Some(_)) => return Err(Refusal::invalid("chat")),
            (None, None) => self.chats_of(by),
            (Some(chat), _) => match self.address(by, "chat", chat)? {
                To::Chat(chat) => vec![chat],
                To::User(peer) => self.private(by, peer).into_iter().collect(),
            },
        };
        for chat in chats {
            let last = self.chats[chat].last;
            let upto = match upto {
                None => last,
                Some(0) => None,
                Some(id) => last.min(Some(self.moment_of(id).unwrap_or(Moment::MAX))),
            };
            if let Some(upto) = upto.filter(|upto| {
                self.users[by]
                    .marks
                    .get(&chat)
                    .is_none_or(|mark| mark < upto)
            }) {
                self.users[by].marks.insert(chat, upto);
                let chat = self.address_for(chat, by);
                self.tell(vec![by], Told::Read(chat, upto));
            }
        }
        Ok(Answer::none())
    }

    pub fn comments(&self, by: UserIx, id: u64, after: u64, limit: u64) -> Outcome {
        let about = self.visible(by, id)?;
        let after = (after > 0).then(|| self.moment_of(after).unwrap_or(Moment::MAX));
        let all = self.messages[&about].comments.iter();
        let mut all: Vec<_> = all.filter(|comment| Some(comment.moment) > after).collect();
        let limit = limit.min(MOST) as usize;
        let more = all.len() > limit;
        all.truncate(limit);
        let comments = all
            .into_iter()
            .map(|comment| self.shown_comment(about, comment));
        Ok(Answer::ok(
            json!({"comments": comments.collect::<Vec<_>>(), "more": more}),
        ))
    }

    /// The messages with comments that a user sees.
    pub fn commented(&self, user: UserIx) -> Vec<u64> {
        let messages = self.messages.iter();
        let seen = messages
            .filter(|(moment, message)| !message.comments.is_empty() && self.sees(user, **moment));
        seen.filter_map(|(moment, _)| self.ids[*moment]).collect()
    }

    /// A user who may read a message whose id is not known yet, and where.
    pub fn who_reads(&self, moment: Moment) -> Option<(UserIx, String)> {
        let message = self.messages.get(&moment)?;
        let members = [message.from].into_iter().chain(self.members(message.chat));
        let mut readers = members
            .filter(|user| self.sees(*user, moment) && !self.users[*user].clients.is_empty());
        let reader = readers.next()?;
        Some((reader, self.address_for(message.chat, reader)))
    }

    /// The messages whose ids are not known yet.
    pub fn unknown(&self) -> Vec<Moment> {
        let unknown = self
            .messages
            .keys()
            .filter(|moment| self.ids[**moment].is_none());
        unknown.copied().collect()
    }
}
