//! Emoji on messages.

use serde_json::{Value, json};

use super::answer::{Answer, Made, Outcome, Refusal};
use super::posts::{Purpose, To};
use super::{EMOJIS, Kind, MOST, Model, Moment, Ms, Told, UserIx, time};

/// An emoji on a message.
pub struct Reaction {
    pub emoji: String,
    /// Since when somebody has it there.
    first: Moment,
    /// Who, with the moment and the time of each.
    by: Vec<(UserIx, Moment, Ms)>,
}

/// The one spelling of what is an emoji.
fn spelt(emoji: &str) -> Result<String, Refusal> {
    match emoji {
        "❤" => Ok("❤\u{fe0f}".to_owned()),
        "x" | "" => Err(Refusal::invalid("emoji")),
        emoji => Ok(emoji.to_owned()),
    }
}

impl Model {
    pub fn react(&mut self, by: UserIx, id: u64, emoji: &str, on: bool) -> Outcome {
        let about = self.visible(by, id)?;
        let emoji = spelt(emoji)?;
        let message = &self.messages[&about];
        let chat = message.chat;
        if on {
            let to = match self.chats[chat].kind {
                Kind::Private(_) => To::User(by),
                _ => To::Chat(chat),
            };
            self.check(by, to, Purpose::Change, &emoji, None)?;
        }
        let of = |one: &Reaction| one.emoji == emoji;
        let there = message.reactions.iter().find(|one| of(one));
        let mut count = there.map_or(0, |one| one.by.len());
        let was_on = there.is_some_and(|one| one.by.iter().any(|(user, ..)| *user == by));
        if was_on != on {
            if there.is_none() && message.reactions.len() == EMOJIS {
                return Err(Refusal::new(409, "too_many_reactions"));
            }
            let moment = self.moment(None);
            let now = self.now;
            let mut first = moment;
            if let Some(message) = self.messages.get_mut(&about) {
                message.said.insert((by, emoji.clone()), moment);
                if !message.reactions.iter().any(|one| one.emoji == emoji) {
                    message.reactions.push(Reaction {
                        emoji: emoji.clone(),
                        first,
                        by: Vec::new(),
                    });
                }
                for one in message
                    .reactions
                    .iter_mut()
                    .filter(|one| one.emoji == emoji)
                {
                    one.by.retain(|(user, ..)| *user != by);
                    if on {
                        one.by.push((by, moment, now));
                    }
                    (count, first) = (one.by.len(), one.first);
                }
                message.reactions.retain(|one| !one.by.is_empty());
            }
            let mut data = json!({
                "message": self.id(about),
                "user": self.users[by].name,
                "emoji": emoji,
                "on": on,
                "count": count,
            });
            if count > 0 {
                data["first"] = self.id(first);
            }
            let members = self.members(chat).into_iter();
            let told = members.filter(|user| self.sees(*user, about)).collect();
            self.tell(
                told,
                Told::Reaction(about, (by, emoji.clone()), moment, data),
            );
        }
        let body = json!({"message": self.id(about), "emoji": emoji, "on": on, "count": count});
        Ok(Answer {
            made: Some(Made::Message(about)),
            ..Answer::ok(body)
        })
    }

    pub fn reactions(
        &self,
        by: UserIx,
        id: u64,
        emoji: Option<&str>,
        after: u64,
        limit: u64,
    ) -> Outcome {
        let about = self.visible(by, id)?;
        let emoji = emoji.map(spelt).transpose()?;
        let after = (after > 0).then(|| self.moment_of(after).unwrap_or(Moment::MAX));
        let all = self.messages[&about].reactions.iter();
        let of = all.filter(|one| emoji.as_ref().is_none_or(|emoji| one.emoji == *emoji));
        let of = of.flat_map(|one| one.by.iter().map(|by| (one.emoji.as_str(), *by)));
        let mut all: Vec<_> = of
            .filter(|(_, (_, moment, _))| Some(*moment) > after)
            .collect();
        all.sort_unstable_by_key(|(_, (_, moment, _))| *moment);
        let limit = limit.min(MOST) as usize;
        let more = all.len() > limit;
        all.truncate(limit);
        let shown = all.into_iter().map(|(emoji, (user, moment, at))| {
            let user = &self.users[user].name;
            json!({"id": self.id(moment), "user": user, "emoji": emoji, "at": time(at)})
        });
        Ok(Answer::ok(
            json!({"reactions": shown.collect::<Vec<_>>(), "more": more}),
        ))
    }

    /// A message as a user is shown it.
    pub fn shown_to(&self, to: UserIx, moment: Moment) -> Value {
        let mut shown = self.shown(moment);
        let reactions = &self.messages[&moment].reactions;
        if !reactions.is_empty() {
            let one = |one: &Reaction| {
                json!({
                    "emoji": one.emoji,
                    "count": one.by.len(),
                    "mine": one.by.iter().any(|(user, ..)| *user == to),
                    "first": self.id(one.first),
                })
            };
            shown["reactions"] = reactions.iter().map(one).collect();
        }
        shown
    }

    /// The messages with reactions that a user sees.
    pub fn reacted(&self, user: UserIx) -> Vec<u64> {
        let messages = self.messages.iter();
        let seen = messages
            .filter(|(moment, message)| !message.reactions.is_empty() && self.sees(user, **moment));
        seen.filter_map(|(moment, _)| self.ids[*moment]).collect()
    }
}
