//! The comparison of what was answered with what fresh clients see.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use veche::testing::{Client, encode};

use super::{Ledger, Post, State, WRITERS, at, id};

impl Ledger {
    /// Compares everything with what fresh clients see. `log` says whether the log still has all.
    pub fn check(&self, log: bool) {
        for by in 0..self.writers() {
            let fresh = self.clients[by].again();
            self.check_by(by, &fresh, log);
            fresh.disconnect();
        }
        let state = self.state();
        for (number, accused) in self.accused.iter().enumerate() {
            let name = format!("accused{number}");
            if state.banned.contains(&name) {
                accused.send("common", "x").problem(403, "banned");
            }
            let complainers = state.complaints.get(&name).into_iter().flatten();
            for by in complainers {
                let body = json!({ "user": name });
                let again = self.clients[*by].post("/complaints", &body);
                assert_eq!(again.status, 409, "{name} by {by}: {again}");
            }
        }
    }

    /// The same without a write: nobody new can come while there is no room.
    pub fn check_by_those_who_are_there(&self) {
        for by in 0..self.writers() {
            self.check_by(by, &self.clients[by], true);
        }
    }

    fn check_by(&self, by: usize, client: &Client, log: bool) {
        let state = self.state();
        self.check_messages(&state, by, client);
        if log {
            self.check_events(&state, by, client);
        }
        self.check_features(&state, by, client);
    }

    fn check_messages(&self, state: &State, by: usize, fresh: &Client) {
        let mut chats: BTreeMap<String, Vec<&Post>> =
            BTreeMap::from([("common".to_owned(), vec![])]);
        for post in &state.posts {
            if let Some(chat) = state.chat(by, post) {
                chats.entry(chat).or_default().push(post);
            }
        }
        for (chat, posts) in &mut chats {
            posts.sort_by_key(|post| id(&post.message));
            let there = fresh.history(chat);
            let ids = there.iter().map(id).collect::<Vec<_>>();
            let expected = posts
                .iter()
                .map(|post| id(&post.message))
                .collect::<Vec<_>>();
            assert_eq!(ids, expected, "{} in {chat}", fresh.name);
            for (post, there) in posts.iter().zip(&there) {
                for field in ["from", "to", "text", "at", "file"] {
                    assert_eq!(post.message[field], there[field], "{field} of {there}");
                }
                let comments = state.comments.get(&id(there)).map_or(0, Vec::len);
                if self.has("comments") {
                    assert_eq!(there["comments"], comments, "{there}");
                }
            }
        }
        let own = state.posts.iter().filter(|post| post.by == by);
        let own: Vec<_> = own.map(|post| id(&post.message)).collect();
        assert!(
            own.is_sorted(),
            "{}'s were answered in order: {own:?}",
            fresh.name
        );
        let listed = fresh.status()["chats"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for chat in listed {
            let chat = chat["chat"].as_str().unwrap_or_default().to_owned();
            let known = chats.contains_key(&chat) || state.rooms.contains_key(&chat);
            assert!(
                known,
                "{} has a chat {chat} that nobody wrote in",
                fresh.name
            );
        }
        let mark = state.marks.get(&by).copied().unwrap_or(0);
        let unread = state.posts.iter().filter(|post| {
            post.message["to"] == "common" && post.by != by && id(&post.message) > mark
        });
        assert_eq!(
            fresh.chat("common")["unread"],
            unread.count(),
            "{}",
            fresh.name
        );
        let hidden = state
            .posts
            .iter()
            .rev()
            .filter(|post| !state.sees(by, post));
        for post in hidden.take(3) {
            let path = format!("/messages/{}", id(&post.message));
            fresh.get(&path).problem(404, "not_found");
        }
    }

    /// What a stream from the beginning shows: of the rooms, what was posted while they were in.
    fn check_events(&self, state: &State, by: usize, fresh: &Client) {
        let mut cursor = self.cursors[by].clone();
        let mut told = Vec::new();
        loop {
            let (events, next) = fresh.poll(&cursor, "0s");
            if events.is_empty() {
                break;
            }
            told.extend(events.into_iter().filter(|event| event.event == "message"));
            cursor = next;
        }
        let is_room = |message: &Value| {
            message["to"]
                .as_str()
                .is_some_and(|to| to.starts_with("room:"))
        };
        let told = told
            .iter()
            .map(|event| &event.data)
            .filter(|message| !is_room(message));
        let told: Vec<_> = told.map(id).collect();
        let seen = state.posts.iter().filter(|post| state.sees(by, post));
        let seen = seen.filter(|post| !is_room(&post.message));
        let mut seen: Vec<_> = seen.map(|post| id(&post.message)).collect();
        seen.sort_unstable();
        assert_eq!(told, seen, "what {}'s stream tells", fresh.name);
    }

    fn check_features(&self, state: &State, by: usize, fresh: &Client) {
        for (message, comments) in &state.comments {
            let post = state
                .posts
                .iter()
                .find(|post| id(&post.message) == *message);
            if !post.is_some_and(|post| state.sees(by, post)) {
                continue;
            }
            let path = format!("/messages/{message}/comments?limit=200");
            let mut expected = comments.clone();
            expected.sort_by_key(id);
            assert_eq!(
                fresh.get(&path).expect(200)["comments"],
                json!(expected),
                "{path}"
            );
        }
        for post in &state.posts {
            let Some(bytes) = &post.bytes else { continue };
            let url = post.message["file"]["url"]
                .as_str()
                .expect("a file has a url");
            let reply = fresh.get(url);
            if state.sees(by, post) {
                let is_it = reply.status == 200 && reply.text.as_bytes() == bytes;
                assert!(
                    is_it,
                    "{url}: {} with {} bytes",
                    reply.status,
                    reply.text.len()
                );
            } else {
                reply.problem(404, "not_found");
            }
        }
        if self.has("schedule") {
            let listed = fresh.get("/scheduled").expect(200)["scheduled"].clone();
            let listed = listed.as_array().cloned().unwrap_or_default();
            let listed = listed.into_iter().map(|entry| {
                let id = entry["id"].as_str().unwrap_or_default().to_owned();
                (id, entry)
            });
            let expected = state.scheduled.get(&by).cloned().unwrap_or_default();
            assert_eq!(
                listed.collect::<BTreeMap<_, _>>(),
                expected,
                "{}",
                fresh.name
            );
        }
        for (room, (members, invited)) in &state.rooms {
            let reply = fresh.get(&at(room));
            if members.contains(&by) {
                let mut names: Vec<_> = members.iter().map(|member| WRITERS[*member]).collect();
                let mut there = reply.expect(200)["members"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                names.sort_unstable();
                there.sort_by_key(Value::to_string);
                assert_eq!(json!(there), json!(names), "{room}");
            } else if !invited.contains(&by) {
                reply.problem(404, "not_found");
            }
            let listed = format!("/messages?limit=1&chat={}", encode(room));
            assert_eq!(
                fresh.get(&listed).status == 200,
                members.contains(&by),
                "{room}"
            );
        }
    }
}

impl State {
    /// The chat in which a user sees a message.
    pub(super) fn chat(&self, user: usize, post: &Post) -> Option<String> {
        let to = post.message["to"].as_str().unwrap_or_default();
        if to == "common" {
            return Some(to.to_owned());
        }
        if let Some((members, _)) = self.rooms.get(to) {
            return members.contains(&user).then(|| to.to_owned());
        }
        if post.by == user {
            return Some(to.to_owned());
        }
        (to == format!("@{}", WRITERS[user])).then(|| format!("@{}", WRITERS[post.by]))
    }

    pub(super) fn sees(&self, user: usize, post: &Post) -> bool {
        self.chat(user, post).is_some()
    }
}
