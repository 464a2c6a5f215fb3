//! How many are here. Events tell who comes and goes, and the server is asked where they cannot tell
//! how many that makes: after a gap, of a chat that is new, of somebody who was not heard of before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::answer::ChatStatus;
use super::super::here::COMMON;
use super::model::Model;

/// So long after something that cannot be told the server is asked: it may be one of several.
const CALM: Duration = Duration::from_millis(500);
/// It is asked no more often than that.
const PAUSE: Duration = Duration::from_secs(2);
/// The most people whose coming and going is remembered.
const MAX: usize = 10_000;

/// What is known of the people.
#[derive(Debug, Default)]
pub struct People {
    /// Since when it is not known how many are here.
    doubt: Option<Instant>,
    /// When the server was asked last.
    asked: Option<Instant>,
    /// Whether the answer is still to come.
    asking: bool,
    /// Who was heard of since the last gap, and whether they are here.
    heard: HashMap<String, bool>,
}

impl Model {
    /// It is no longer known how many are here.
    pub fn doubt_people(&mut self) {
        self.people.doubt.get_or_insert_with(Instant::now);
    }

    /// Something may have been missed.
    pub fn forget_people(&mut self) {
        self.people.heard.clear();
        self.doubt_people();
    }

    /// How long until the server is to be asked how many are here, if it is.
    pub fn people_due(&self, now: Instant) -> Option<Duration> {
        let calm = self.people.doubt? + CALM;
        let rested = self.people.asked.map_or(calm, |asked| asked + PAUSE);
        Some(calm.max(rested).saturating_duration_since(now))
    }

    /// The server is being asked.
    pub fn ask_people(&mut self, now: Instant) {
        (self.people.doubt, self.people.asked) = (None, Some(now));
        self.people.asking = true;
    }

    /// The server did not tell: it is asked again with the next connection.
    pub fn people_unknown(&mut self) {
        self.people.asking = false;
    }

    /// Takes in the answer; `members` tells who is in a room.
    pub fn count_people(&mut self, chats: &[ChatStatus], members: impl Fn(&str) -> Vec<String>) {
        self.people.asking = false;
        for chat in &mut self.chats {
            let status = chats.iter().find(|status| status.chat == chat.address);
            if let Some(status) = status {
                chat.people = status.members.zip(status.online);
            }
            if chat.address.starts_with("room:") {
                chat.members = members(&chat.address);
            }
        }
    }

    /// Somebody has come or gone.
    pub fn presence(&mut self, data: &Value) {
        let is_here = data["online"] == true;
        let name = data["name"].as_str().unwrap_or_default();
        // Whoever reads this is here.
        if name == self.me {
            return;
        }
        let heard = &mut self.people.heard;
        let before = match heard.len() < MAX || heard.contains_key(name) {
            true => heard.insert(name.to_owned(), is_here),
            false => None,
        };
        match before {
            Some(before) if before == is_here => {}
            Some(_) => self.count_one(name, is_here),
            // The last count may have them in it, or not; they may be new.
            None => self.doubt_people(),
        }
        // So may the count that is on its way.
        if self.people.asking {
            self.doubt_people();
        }
    }

    /// The common chat is everybody's, a private one is theirs, a room is its members'.
    fn count_one(&mut self, name: &str, is_here: bool) {
        for chat in &mut self.chats {
            let concerned = chat.address == COMMON
                || chat.address.strip_prefix('@') == Some(name)
                || chat.members.iter().any(|member| member == name);
            if let Some((members, here)) = chat.people.as_mut().filter(|_| concerned) {
                *here = match is_here {
                    true => (*here + 1).min(*members),
                    false => here.saturating_sub(1),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model() -> Model {
        let mut model = Model::new("ann", true);
        let chats: Vec<ChatStatus> = serde_json::from_value(json!([
            {"chat": "common", "members": 4, "online": 2},
            {"chat": "@bob", "members": 2, "online": 1},
            {"chat": "room:7", "members": 3, "online": 1},
        ]))
        .unwrap();
        model.chats(&chats, str::to_owned, false);
        let members = |_: &str| vec!["ann".to_owned(), "bob".to_owned()];
        model.count_people(&chats, members);
        model.ask_people(Instant::now());
        model.people_unknown();
        model
    }

    fn comes(model: &mut Model, name: &str, online: bool) {
        model.presence(&json!({"name": name, "online": online}));
    }

    fn here(model: &Model) -> Vec<u64> {
        let people = model.chats.iter().filter_map(|chat| chat.people);
        people.map(|(_, here)| here).collect()
    }

    fn answer(model: &mut Model, here: u64) {
        model.ask_people(Instant::now());
        let chats = json!([{"chat": "common", "members": 4, "online": here}]);
        let chats: Vec<ChatStatus> = serde_json::from_value(chats).unwrap();
        model.count_people(&chats, |_| vec!["bob".to_owned()]);
    }

    #[test]
    fn somebody_not_heard_of_before_is_asked_about_and_then_counted() {
        let mut model = model();
        assert_eq!(model.people_due(Instant::now()), None);
        comes(&mut model, "ann", true);
        assert_eq!(
            model.people_due(Instant::now()),
            None,
            "one is here oneself"
        );
        comes(&mut model, "bob", true);
        assert_eq!(here(&model), [2, 1, 1]);
        assert!(model.people_due(Instant::now()).is_some());
        answer(&mut model, 3);
        assert_eq!(here(&model), [3, 1, 1]);
        comes(&mut model, "bob", true);
        assert_eq!(here(&model), [3, 1, 1], "that is known already");
        comes(&mut model, "bob", false);
        assert_eq!(here(&model), [2, 0, 0]);
        assert_eq!(model.people_due(Instant::now()), None);
    }

    #[test]
    fn who_comes_while_the_server_is_asked_is_asked_about_again() {
        let mut model = model();
        comes(&mut model, "bob", true);
        answer(&mut model, 3);
        model.ask_people(Instant::now());
        comes(&mut model, "bob", false);
        assert!(model.people_due(Instant::now()).is_some());
        answer(&mut model, 2);
        // After a gap nothing that was heard before it counts.
        model.forget_people();
        answer(&mut model, 2);
        comes(&mut model, "bob", false);
        assert!(model.people_due(Instant::now()).is_some());
    }

    #[test]
    fn the_server_is_asked_when_it_is_calm_and_not_all_the_time() {
        let mut model = model();
        let now = Instant::now();
        comes(&mut model, "bob", true);
        let due = model.people_due(now).unwrap();
        assert!(due > CALM && due <= PAUSE, "{due:?}");
        assert_eq!(model.people_due(now + PAUSE * 2), Some(Duration::ZERO));
    }

    #[test]
    fn after_a_gap_and_for_a_new_chat_the_server_is_asked() {
        let mut model = model();
        model.link(super::super::super::Link::Up);
        assert!(model.people_due(Instant::now()).is_some());
        model.ask_people(Instant::now());
        model.place("@eve", "@eve");
        assert!(model.people_due(Instant::now()).is_some());
        model.ask_people(Instant::now());
        let joined = json!({"room": "room:7", "user": "carl"});
        let joined = super::super::super::render::Event::new("joined", joined);
        model.event(&joined, None, str::to_owned);
        assert!(model.people_due(Instant::now()).is_some());
    }
}
