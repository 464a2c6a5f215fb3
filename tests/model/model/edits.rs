//! Changing and removing one's own messages.

use serde_json::json;

use super::answer::{Answer, Made, Outcome, Refusal};
use super::posts::{Purpose, To};
use super::{Kind, Model, Moment, TIMES, Told, UserIx, WINDOW, time};

impl Model {
    /// The user's own message, while it may be changed.
    fn changeable(&self, by: UserIx, id: u64) -> Result<Moment, Refusal> {
        let moment = self.visible(by, id)?;
        let message = &self.messages[&moment];
        if message.from != by {
            return Err(Refusal::new(403, "not_yours"));
        }
        if self.now >= message.at + WINDOW {
            return Err(Refusal::new(403, "too_old"));
        }
        Ok(moment)
    }

    pub fn edit(&mut self, by: UserIx, id: u64, text: &str) -> Outcome {
        let moment = self.changeable(by, id)?;
        let message = &self.messages[&moment];
        let chat = message.chat;
        let to = match self.chats[chat].kind {
            Kind::Private(_) => To::User(by),
            _ => To::Chat(chat),
        };
        // A file is enough to say.
        let purpose = match text.is_empty() && message.file.is_some() {
            true => Purpose::Upload,
            false => Purpose::Change,
        };
        self.check(by, to, purpose, text, None)?;
        if message.text != text {
            if message.times == TIMES {
                return Err(Refusal::new(403, "too_often"));
            }
            let members = self.members(chat);
            let stays = |user: &UserIx| match &self.chats[chat].kind {
                Kind::Room(room) => room.since(*user).is_some_and(|since| since < moment),
                _ => true,
            };
            let readers = members.iter().copied().filter(stays).collect();
            let told = members.into_iter().filter(|user| self.sees(*user, moment));
            let told = told.collect();
            let now = self.now;
            let to = self.spell(chat, message.to);
            let data = json!({"to": to, "id": self.id(moment), "text": text, "edited": time(now)});
            let times = message.times + 1;
            if let Some(message) = self.messages.get_mut(&moment) {
                text.clone_into(&mut message.text);
                message.posted["text"] = text.into();
                (message.edited, message.times) = (Some(now), times);
                message.readers = Some(readers);
            }
            self.tell(told, Told::Edited(moment, times, data));
            let made = Some(Made::Message(moment));
            let body = self.shown_to(by, moment);
            return Ok(Answer {
                made,
                ..Answer::ok(body)
            });
        }
        Ok(Answer::ok(self.shown_to(by, moment)))
    }

    pub fn unsay(&mut self, by: UserIx, id: u64) -> Outcome {
        let moment = self.changeable(by, id)?;
        self.take_away(|at, _| at == moment);
        Ok(Answer::none())
    }
}
