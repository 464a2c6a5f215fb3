//! Whom messages call.

use super::answer::Outcome;
use super::posts::To;
use super::{MOST, Model, Moment, UserIx};

impl Model {
    /// Whom a text calls, each once.
    pub fn called(&self, from: UserIx, to: To, text: &str) -> Vec<UserIx> {
        let mut called = Vec::new();
        if !self.has("mentions") {
            return called;
        }
        let is_here = |user: UserIx| match to {
            To::Chat(chat) => self.is_member(chat, user),
            To::User(peer) => user == peer,
        };
        for behind in text.split('@').skip(1) {
            let name = behind.split(|c: char| !c.is_alphanumeric()).next();
            let user = name.and_then(|name| self.find(name));
            let new = |user: &UserIx| *user != from && is_here(*user) && !called.contains(user);
            called.extend(user.filter(new));
        }
        called
    }

    /// The messages that call a user and are unread, of those of one chat that are.
    pub fn calling(&self, user: UserIx, unread: &[Moment]) -> Vec<Moment> {
        let calls = |moment: &&Moment| self.messages[*moment].called.contains(&user);
        unread.iter().filter(calls).copied().collect()
    }

    pub fn mentions(&mut self, by: UserIx, before: Option<u64>, limit: u64) -> Outcome {
        let all: Vec<Moment> = self.messages.keys().copied().collect();
        let mut all = self.calling(by, &all);
        let before = before.map(|id| self.moment_of(id).unwrap_or(Moment::MAX));
        all.retain(|moment| self.sees(by, *moment) && before.is_none_or(|before| *moment < before));
        let limit = limit.min(MOST) as usize;
        let more = all.len() > limit;
        all.drain(..all.len().saturating_sub(limit));
        Ok(self.page(by, &all, more))
    }
}
