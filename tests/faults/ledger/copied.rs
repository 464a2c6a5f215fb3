//! The comparison of what was answered with a copy that was taken meanwhile: it must be all up to one
//! position of the log, and nothing after it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use veche::testing::{Client, Server};

use super::{Ledger, Open, Post, State, id};
use crate::random::Random;

impl Ledger {
    /// Writes until it is told to stop; every write is answered.
    pub fn write_until(&self, by: usize, stop: &AtomicBool, random: &mut Random) {
        while !stop.load(Ordering::Relaxed) {
            let write = self.think(by, random).expect("an upload is answered");
            self.settle([Open(write)]);
        }
    }

    /// The messages and comments that were answered by now.
    pub fn ids(&self) -> BTreeSet<u64> {
        let state = self.state();
        let comments = state.comments.values().flatten().map(id);
        let posts = state.posts.iter().map(|post| id(&post.message));
        posts.chain(comments).collect()
    }

    /// Where the writers' streams began.
    pub fn cursors(&self) -> &[String] {
        &self.cursors
    }

    /// The same clients at another server, which knows their tokens.
    pub fn clients_at(&self, server: &Server) -> Vec<Client> {
        let at = |client: &Client| Client::new(&server.url(), &client.token);
        self.clients.iter().map(at).collect()
    }

    /// Compares a server that was started on a copy, whose last position is `last`. Of rooms their
    /// makers are asked, who never leave them: who else was in is not known of any one moment.
    pub fn check_copy(&self, server: &Server, last: u64) {
        let clients = self.clients_at(server);
        let state = self.state();
        for (by, client) in clients.iter().enumerate() {
            let mut chats = vec!["common".to_owned()];
            chats.extend(super::WRITERS.iter().map(|name| format!("@{name}")));
            let made = state
                .rooms
                .iter()
                .filter(|(_, (members, _))| members[0] == by);
            // One that was made after the copy is not in it.
            let made = made.map(|(room, _)| room.clone());
            chats.extend(made.filter(|room| client.get(&super::at(room)).status == 200));
            for chat in chats {
                check_chat(&state, by, client, &chat, last);
            }
        }
    }
}

/// Compares a chat as one of its members sees it, up to a position.
fn check_chat(state: &State, by: usize, client: &Client, chat: &str, last: u64) {
    let here = |post: &&Post| {
        id(&post.message) <= last && state.chat(by, post).is_some_and(|one| one == chat)
    };
    let mut posts: Vec<&Post> = state.posts.iter().filter(here).collect();
    posts.sort_by_key(|post| id(&post.message));
    let there = client.history(chat);
    let ids = |messages: &[Value]| messages.iter().map(id).collect::<Vec<_>>();
    let expected: Vec<u64> = posts.iter().map(|post| id(&post.message)).collect();
    assert_eq!(ids(&there), expected, "{chat} of {by}, up to {last}");
    for (post, there) in posts.iter().zip(&there) {
        for field in ["from", "to", "text", "at", "file"] {
            assert_eq!(post.message[field], there[field], "{field} of {there}");
        }
        let comments = state.comments.get(&id(there)).into_iter().flatten();
        let mut comments: Vec<&Value> = comments.filter(|one| id(one) <= last).collect();
        comments.sort_by_key(|one| id(one));
        if !comments.is_empty() {
            let path = format!("/messages/{}/comments?limit=200", id(there));
            let listed = client.get(&path).expect(200);
            let listed = listed["comments"].as_array().cloned().unwrap_or_default();
            assert_eq!(listed.iter().collect::<Vec<_>>(), comments, "{path}");
        }
        if let (Some(bytes), Some(url)) = (&post.bytes, there["file"]["url"].as_str()) {
            let reply = client.get(url);
            assert_eq!(reply.status, 200, "{url}: {reply}");
            assert!(reply.text.as_bytes() == bytes, "{url} is another");
        }
    }
}
