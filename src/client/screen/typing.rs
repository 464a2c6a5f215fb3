//! Who is writing: the others, as it is told, and oneself, to be told.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::Link;
use super::super::text::safe_line;
use super::model::Model;

/// How long somebody is shown as writing after it was told.
const SHOWN: Duration = Duration::from_secs(6);
/// How often it is told while one writes.
const EVERY: Duration = Duration::from_secs(3);
/// The most who are shown at once.
const MAX: usize = 100;

/// What is known of who is writing.
#[derive(Debug, Default)]
pub struct Typing {
    /// Chats, names and until when they are shown.
    others: Vec<(String, String, Instant)>,
    /// Where and when one was told to write oneself.
    told: Option<(String, Instant)>,
}

impl Model {
    /// Somebody writes.
    pub fn typing(&mut self, data: &Value, now: Instant) {
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        let (from, to) = (text("from"), text("to"));
        let chat = self.chat_between(&from, &to);
        self.typed(&from, &chat);
        if from != self.me && self.typing.others.len() < MAX {
            self.typing.others.push((chat, from, now + SHOWN));
        }
    }

    /// What somebody wrote in a chat is there.
    pub fn typed(&mut self, from: &str, chat: &str) {
        if from == self.me {
            self.typing.told = None;
        }
        let others = &mut self.typing.others;
        others.retain(|(place, name, _)| place != chat || name != from);
    }

    /// Whether it is to be told now that one writes in the chat that is shown; it counts as told.
    pub fn tells_typing(&mut self, now: Instant) -> bool {
        let here = &self.chat().address;
        let told = self.typing.told.as_ref();
        let is_told = told.is_some_and(|(chat, at)| chat == here && now - *at < EVERY);
        let tells = self.link == Link::Up && !is_told;
        if tells {
            self.typing.told = Some((here.clone(), now));
        }
        tells
    }

    /// Who writes in the chat that is shown, in words.
    pub fn typists(&self, now: Instant) -> Option<String> {
        let here = &self.chat().address;
        let others = self.typing.others.iter();
        let writing = others.filter(|(chat, _, until)| chat == here && *until > now);
        let names: Vec<_> = writing.map(|(_, name, _)| safe_line(name)).collect();
        match &names[..] {
            [] => None,
            [one] => Some(format!("{one} is writing…")),
            [one, two] => Some(format!("{one} and {two} are writing…")),
            _ => Some("several people are writing…".to_owned()),
        }
    }

    /// How long until somebody is no longer shown as writing; whoever is not is forgotten.
    pub fn typing_ends(&mut self, now: Instant) -> Option<Duration> {
        self.typing.others.retain(|(.., until)| *until > now);
        let ends = self.typing.others.iter().map(|(.., until)| *until - now);
        ends.min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_writes_is_shown_in_that_chat_until_it_is_sent_or_for_a_while() {
        let mut model = Model::new("ann", true);
        let now = Instant::now();
        let writes = |from: &str, to: &str| json!({"from": from, "to": to});
        model.typing(&writes("bob", "@ann"), now);
        model.typing(&writes("ann", "common"), now);
        assert_eq!(model.typists(now), None, "elsewhere, and oneself");
        model.typing(&writes("bob", "common"), now);
        model.typing(&writes("bob", "common"), now);
        assert_eq!(model.typists(now).as_deref(), Some("bob is writing…"));
        model.typing(&writes("cat", "common"), now + SHOWN / 2);
        let both = model.typists(now + SHOWN / 2);
        assert_eq!(both.as_deref(), Some("bob and cat are writing…"));
        assert_eq!(model.typing_ends(now + SHOWN / 2), Some(SHOWN / 2));
        let later = now + SHOWN;
        assert_eq!(model.typing_ends(later), Some(SHOWN / 2));
        assert_eq!(model.typists(later).as_deref(), Some("cat is writing…"));
        model.typed("cat", "common");
        assert_eq!(model.typists(later), None);
    }

    #[test]
    fn that_one_writes_is_told_now_and_then_and_anew_after_a_message() {
        let mut model = Model::new("ann", true);
        let now = Instant::now();
        assert!(!model.tells_typing(now), "nobody hears it");
        model.link = Link::Up;
        assert!(model.tells_typing(now));
        assert!(!model.tells_typing(now + EVERY / 2));
        assert!(model.tells_typing(now + EVERY));
        model.typed("ann", "common");
        assert!(model.tells_typing(now + EVERY));
    }
}
