//! What a session knows by its name or its beginning: chats, users, files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::CallError;
use super::commands::{Hook, Subscription};
use super::naming;
use super::notice::label;
use super::render::Attached;
use super::session::Session;
use super::state::{MAX_FILES, MAX_NAMES};
use super::text::safe_line;

impl Session {
    /// The title of a room.
    pub fn title(&self, chat: &str) -> Option<String> {
        self.state().titles.get(chat).cloned()
    }

    /// Knows rooms by the titles that they had, until the server tells.
    pub fn know_titles(&self, titles: &BTreeMap<String, String>) {
        let mut state = self.state();
        for (room, title) in titles.iter().take(MAX_FILES) {
            state.titles.insert(room.clone(), title.clone());
        }
    }

    /// A chat as people call it: a room by its title, in brackets.
    pub fn label(&self, chat: &str) -> String {
        label(chat, self.title(chat))
    }

    /// The address of a chat that is named by its address, or by the title of a room. The error is
    /// a sentence for the user.
    pub fn find_chat(&self, named: &str) -> Result<String, String> {
        let one_word = !named.contains(char::is_whitespace);
        if one_word && (named == "common" || named.starts_with('@')) {
            return Ok(named.to_owned());
        }
        let state = self.state();
        let rooms = state.titles.iter();
        let rooms = rooms.map(|(room, title)| (room.as_str(), title.as_str()));
        match naming::find(named, rooms, "/to")? {
            Some(room) => Ok(room),
            // The server knows whether it is there.
            None if naming::is_whole(named) => Ok(named.to_owned()),
            None => Err(format!(
                "\"{}\" is no chat: write common, @NAME, a room's title or how its address begins; \
                 /rooms lists yours",
                safe_line(named)
            )),
        }
    }

    /// The files that were shown whose ids begin so.
    pub fn files(&self, beginning: &str) -> Vec<Attached> {
        if !may_begin_an_id(beginning) {
            return Vec::new();
        }
        let beginning = beginning.to_lowercase();
        let state = self.state();
        let fits = |file: &&Attached| file.id.starts_with(&beginning);
        state.files.iter().filter(fits).cloned().collect()
    }

    /// Fetches what there is to be completed: names, who is in one's rooms, what is
    /// scheduled, one's hooks and subscriptions.
    pub fn fetch_known(&self) -> Result<(), CallError> {
        self.fetch_rooms()?;
        if self.has_feature("schedule") {
            let answer = self.api.get("/scheduled", &[])?;
            self.state().known.learn_scheduled(&answer);
        }
        if self.has_feature("webhooks") {
            self.fetch_hooks()?;
        }
        if self.has_feature("subscriptions") {
            self.fetch_subscriptions()?;
        }
        self.fetch_names()
    }

    /// Fetches who is in one's rooms and who asks to come in.
    pub fn fetch_rooms(&self) -> Result<(), CallError> {
        if self.has_feature("rooms") {
            let answer = self.api.get("/rooms", &[])?;
            self.state().known.learn_rooms(&answer);
        }
        Ok(())
    }

    /// Fetches one's hooks, and gives them as the server lists them.
    pub fn fetch_hooks(&self) -> Result<Value, CallError> {
        let answer = self.api.get("/hooks", &[])?;
        self.state().known.learn_hooks(&answer);
        Ok(answer)
    }

    /// One's hooks, the oldest first.
    pub fn hooks(&self) -> Vec<Hook> {
        self.state().known.hooks.clone()
    }

    /// Fetches one's subscriptions, and gives them as the server lists them.
    pub fn fetch_subscriptions(&self) -> Result<Value, CallError> {
        let answer = self.api.get("/subscriptions", &[])?;
        self.state().known.learn_subscriptions(&answer);
        Ok(answer)
    }

    /// One's subscriptions, the oldest first.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.state().known.subscriptions.clone()
    }

    /// Who asks to come into which of one's rooms: the rooms' addresses and titles, and names.
    pub fn requests(&self) -> Vec<(String, String, String)> {
        self.state().known.requests()
    }

    /// How many rooms one is invited to.
    pub fn invitations(&self) -> usize {
        self.state().known.invites.len()
    }

    /// Who is in a room that one is in.
    pub fn members(&self, room: &str) -> Vec<String> {
        let state = self.state();
        let room = state.known.room(room);
        room.map(|room| room.members.clone()).unwrap_or_default()
    }

    /// A link into a room was made.
    pub fn note_link(&self, room: &str, code: &str) {
        self.state().known.link(room, code);
    }

    /// A link into a room is dead, or, without a code, all of them.
    pub fn forget_link(&self, room: &str, code: Option<&str>) {
        self.state().known.unlink(room, code);
    }

    /// Fetches the users' names for completion.
    fn fetch_names(&self) -> Result<(), CallError> {
        let mut after = String::new();
        loop {
            let page = self.api.users(&after)?;
            let names = page.users.iter().filter_map(|user| user["name"].as_str());
            let mut state = self.state();
            names.for_each(|name| state.name(name));
            let last = page.users.last().and_then(|user| user["name"].as_str());
            match last {
                Some(last) if page.more && last != after && state.names.len() < MAX_NAMES => {
                    after = last.to_owned();
                }
                _ => return Ok(()),
            }
        }
    }
}

/// Whether the beginning of an id is meant: a few digits are a number, perhaps a mistaken one.
pub(super) fn may_begin_an_id(written: &str) -> bool {
    written.len() >= 6 || !written.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Reply, serve, session};
    use super::super::render::Event;
    use serde_json::json;

    const WHOLE: &str = "room:6a7d9c0e-52a4-4f0b-9a59-3e1c7f0c2b11";

    #[test]
    fn a_chat_is_found_by_its_address_or_the_title_of_a_room() {
        let answer = json!({"server": {}, "user": {"name": "ann"}});
        let session = session(&serve(move |_| Reply::Json(200, answer.clone())));
        for (room, title) in [
            ("room:7a", "Garden"),
            ("room:7b", "Attic"),
            ("room:8", "attic"),
            ("room:c0ffee00-1", "Roof "),
        ] {
            let data = json!({"room": room, "title": title, "user": "ann"});
            session.take(Event::new("joined", data));
        }
        for (named, chat) in [
            ("common", "common"),
            ("@bob", "@bob"),
            (WHOLE, WHOLE),
            ("Roof", "room:c0ffee00-1"),
            ("room:8", "room:8"),
            ("room:7a", "room:7a"),
            ("garden", "room:7a"),
            ("Attic", "room:7b"),
        ] {
            assert_eq!(session.find_chat(named).as_deref(), Ok(chat), "{named}");
        }
        for (named, why) in [
            ("room:7", "how more than one room's address begins"),
            ("ATTIC", "the title of more than one room"),
            ("room:9", "\"room:9\" is no chat"),
            ("bob", "\"bob\" is no chat"),
            ("@bob hi", "is no chat"),
        ] {
            let error = session.find_chat(named).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(session.label("room:7a"), "[Garden]");
    }
}
