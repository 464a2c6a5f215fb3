//! What was typed and is not there yet: on its way, waiting for its time, or failed. It stands below
//! the chat that it was typed in until the server has it or its user takes it back. What was typed in
//! one chat goes out in that order, each when the one before it was answered; what has failed waits
//! for its user and holds up nothing.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::Link;
use super::super::post::Post;
use super::chat::Chat;
use super::model::Model;

/// The most posts that are not there yet.
const MAX: usize = 100;

/// How far a post is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It is posted when nothing before it in its chat is on its way or waits for its time.
    Queued,
    /// It is posted.
    Sending,
    /// The server wants it at that time.
    Later(Instant),
    /// It is posted when this client is signed in again.
    Barred,
    /// It is not there, and why; perhaps it is, and only the answer was lost.
    Failed(String),
}

impl Stage {
    /// Whether it waits for something that may take long, and those behind it with it.
    fn holds(&self) -> bool {
        matches!(self, Stage::Later(_) | Stage::Barred)
    }
}

/// A post that is not there yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// What is posted.
    pub post: Post,
    /// The chat that it was typed in.
    pub here: String,
    /// How far it is.
    pub stage: Stage,
}

/// One as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What is posted, under the same idempotency key as before.
    pub post: Post,
    /// The chat that it was typed in.
    pub here: String,
}

impl Model {
    /// Takes in how far a post is; false where too many are under way to take another.
    pub fn stage(&mut self, post: &Post, stage: Stage) -> bool {
        let at = post.to().and_then(|to| self.find(to)).unwrap_or(self.at);
        let here = self.chats[at].address.clone();
        self.stage_in(post, &here, stage)
    }

    /// The same of a post that was typed in that chat.
    pub fn stage_in(&mut self, post: &Post, here: &str, stage: Stage) -> bool {
        let known = self
            .outgoing
            .iter_mut()
            .find(|out| out.post.key == post.key);
        if let Some(out) = known {
            out.stage = stage;
            return true;
        }
        let room = self.outgoing.len() < MAX;
        if room {
            let (post, here) = (post.clone(), here.to_owned());
            self.outgoing.push(Outgoing { post, here, stage });
        }
        room
    }

    /// What waits for a room that is gone is its writer's again; what is on its way is answered yet.
    pub fn give_up(&mut self, room: &str, label: &str) {
        let waits = |out: &mut Outgoing| out.here == room && out.stage != Stage::Sending;
        let gone = self.outgoing.extract_if(.., waits);
        let lines = gone.map(|out| (label.to_owned(), out.post.line()));
        self.given_up.extend(lines);
    }

    /// A post is there.
    pub fn arrived(&mut self, post: &Post) {
        self.outgoing.retain(|out| out.post.key != post.key);
    }

    /// The posts whose turn and time have come, one of a chat; they are on their way then.
    pub fn due(&mut self, now: Instant) -> Vec<Post> {
        let is_up = self.link == Link::Up;
        let mut due = Vec::new();
        for at in self.heads() {
            let out = &mut self.outgoing[at];
            let is_due = match out.stage {
                // A file is for a server that is there.
                Stage::Queued => is_up || !out.post.is_file(),
                Stage::Later(time) => time <= now,
                Stage::Sending | Stage::Barred | Stage::Failed(_) => false,
            };
            if is_due {
                out.stage = Stage::Sending;
                due.push(out.post.clone());
            }
        }
        due
    }

    /// The posts that wait for nothing but the answer to the one before them, of one chat or of all;
    /// they are on their way then, for nobody stays to send each in its turn.
    pub fn rest(&mut self, chat: Option<&str>) -> Vec<Post> {
        let heads = self.heads().into_iter();
        let later = heads.filter(|at| self.outgoing[*at].stage.holds());
        let held: Vec<String> = later.map(|at| self.outgoing[at].here.clone()).collect();
        let rest = self.outgoing.iter_mut();
        let rest = rest.filter(|out| {
            out.stage == Stage::Queued
                && !out.post.is_file()
                && !held.contains(&out.here)
                && chat.is_none_or(|chat| chat == out.here)
        });
        let rest = rest.map(|out| {
            out.stage = Stage::Sending;
            out.post.clone()
        });
        rest.collect()
    }

    /// The first of each chat that has not failed.
    fn heads(&self) -> Vec<usize> {
        let mut heads: Vec<usize> = Vec::new();
        for (at, out) in self.outgoing.iter().enumerate() {
            let is_head = |head: &usize| self.outgoing[*head].here == out.here;
            if !matches!(out.stage, Stage::Failed(_)) && !heads.iter().any(is_head) {
                heads.push(at);
            }
        }
        heads
    }

    /// What has failed in the chat that is shown waits for its turn again; whether there is any.
    pub fn again(&mut self) -> bool {
        let here = self.chat().address.clone();
        let mut any = false;
        for out in &mut self.outgoing {
            if matches!(out.stage, Stage::Failed(_)) && out.here == here {
                out.stage = Stage::Queued;
                any = true;
            }
        }
        any
    }

    /// What waited for this client to be signed in waits for its turn again.
    pub fn unbar(&mut self) {
        let barred = self.outgoing.iter_mut();
        let barred = barred.filter(|out| out.stage == Stage::Barred);
        barred.for_each(|out| out.stage = Stage::Queued);
    }

    /// What waited for its time is tried now: a ban is over, perhaps before its time.
    pub fn now(&mut self) {
        let later = self.outgoing.iter_mut();
        let later = later.filter(|out| matches!(out.stage, Stage::Later(_)));
        later.for_each(|out| out.stage = Stage::Queued);
    }

    /// Takes back the last post of the chat that is shown that is not on its way.
    pub fn take_back(&mut self) -> Option<Outgoing> {
        let here = self.chat().address.as_str();
        let waits = |out: &Outgoing| out.stage != Stage::Sending && out.here == here;
        let at = self.outgoing.iter().rposition(waits)?;
        Some(self.outgoing.remove(at))
    }

    /// How many have failed.
    pub fn failed(&self) -> usize {
        let failed = |out: &&Outgoing| matches!(out.stage, Stage::Failed(_));
        self.outgoing.iter().filter(failed).count()
    }

    /// The chats that have failed ones and are not shown, by what they are called.
    pub fn failed_elsewhere(&self) -> Vec<String> {
        let has_failed = |chat: &&Chat| {
            let failed = |out: &Outgoing| matches!(out.stage, Stage::Failed(_));
            let mut outgoing = self.outgoing.iter();
            outgoing.any(|out| failed(out) && out.here == chat.address)
        };
        let others = self.chats.iter().enumerate();
        let others = others
            .filter(|(at, _)| *at != self.at)
            .map(|(_, chat)| chat);
        let failed = others.filter(has_failed);
        failed.map(|chat| chat.label.clone()).collect()
    }

    /// When the next one is due that waits for its time, and how many wait, those behind it included.
    pub fn next_due(&self) -> Option<(Instant, usize)> {
        let heads = self.heads().into_iter().map(|at| &self.outgoing[at]);
        let held = heads.filter_map(|out| match out.stage {
            Stage::Later(at) => Some((at, out.here.as_str())),
            _ => None,
        });
        let held: Vec<(Instant, &str)> = held.collect();
        let waits = |out: &&Outgoing| {
            !matches!(out.stage, Stage::Failed(_)) && held.iter().any(|(_, here)| *here == out.here)
        };
        let next = held.iter().map(|(at, _)| *at).min()?;
        Some((next, self.outgoing.iter().filter(waits).count()))
    }

    /// Whether one that waits for its time, or for being signed in, holds up the others of this chat.
    pub fn is_held_up(&self, here: &str) -> bool {
        let mut heads = self.heads().into_iter().map(|at| &self.outgoing[at]);
        let is_held = |out: &Outgoing| out.here == here && out.stage.holds();
        heads.any(is_held)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn model() -> Model {
        Model::new("ann", true)
    }

    #[test]
    fn a_post_is_under_way_until_it_is_there() {
        let mut model = model();
        let post = Post::text("common", "hi");
        assert!(model.stage(&post, Stage::Sending));
        assert_eq!(model.failed(), 0);
        assert!(model.stage(&post, Stage::Failed("no".to_owned())));
        assert_eq!((model.outgoing.len(), model.failed()), (1, 1));
        assert!(model.failed_elsewhere().is_empty());
        // The same again, under the same key.
        model.again();
        assert_eq!(model.due(Instant::now()), std::slice::from_ref(&post));
        assert_eq!(model.outgoing[0].stage, Stage::Sending);
        model.again();
        assert!(model.due(Instant::now()).is_empty());
        assert!(model.take_back().is_none());
        model.arrived(&post);
        assert!(model.outgoing.is_empty());
    }

    #[test]
    fn only_what_was_typed_in_the_chat_that_is_shown_is_sent_again_or_taken_back() {
        let mut model = model();
        model.place("@bob", "@bob");
        let there = Post::text("@Bob", "psst");
        model.stage(&there, Stage::Failed("no".to_owned()));
        model.again();
        assert!(model.due(Instant::now()).is_empty());
        assert_eq!(model.failed_elsewhere(), ["@bob"]);
        let here = Post::text("common", "hi");
        model.stage(&here, Stage::Failed("no".to_owned()));
        model.stage(&Post::text("@bob", "more"), Stage::Failed("no".to_owned()));
        assert_eq!(model.take_back().map(|out| out.post), Some(here));
        assert_eq!(
            model.take_back(),
            None,
            "what is another chat's stays there"
        );
        model.open(1);
        let last = model.take_back().map(|out| out.post.line());
        assert_eq!(last.as_deref(), Some("more"));
    }

    fn texts(posts: &[Post]) -> Vec<&str> {
        let texts = posts.iter().filter_map(|post| post.body["text"].as_str());
        texts.collect()
    }

    #[test]
    fn a_post_waits_for_its_time_and_those_behind_it_for_its_answer() {
        let mut model = model();
        model.place("@bob", "@bob");
        let now = Instant::now();
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        let [first, second, third] = ["1", "2", "3"].map(|text| Post::text("common", text));
        model.stage(&first, Stage::Later(after(9)));
        // It was tried beside the first one, and told a time that is over sooner.
        model.stage(&second, Stage::Later(after(8)));
        model.stage(&third, Stage::Queued);
        model.stage(&Post::text("@bob", "psst"), Stage::Queued);
        assert!(model.is_held_up("common") && !model.is_held_up("@bob"));
        assert_eq!(model.next_due(), Some((after(9), 3)));
        assert_eq!(texts(&model.due(after(8))), ["psst"]);
        assert!(model.rest(None).is_empty());
        assert_eq!(texts(&model.due(after(9))), ["1"]);
        assert!(model.due(after(20)).is_empty(), "the first is not answered");
        // Refused once more for a while, it is still the first.
        model.stage(&first, Stage::Later(after(30)));
        assert!(model.due(after(20)).is_empty());
        assert_eq!(texts(&model.due(after(30))), ["1"]);
        model.arrived(&first);
        assert_eq!(texts(&model.due(after(30))), ["2"]);
        // What is refused for good waits for its user alone.
        model.stage(&second, Stage::Failed("you are banned".to_owned()));
        assert_eq!(texts(&model.due(after(30))), ["3"]);
        model.again();
        assert_eq!(
            texts(&model.due(after(30))),
            ["2"],
            "it stands before the third"
        );
    }

    #[test]
    fn what_is_refused_to_who_is_signed_out_is_posted_in_its_order_when_they_are_back() {
        let mut model = model();
        model.place("@bob", "@bob");
        let [first, second] = ["1", "2"].map(|text| Post::text("common", text));
        model.stage(&first, Stage::Barred);
        model.stage(&second, Stage::Queued);
        model.stage(&Post::text("@bob", "psst"), Stage::Barred);
        let now = Instant::now();
        assert!(model.due(now).is_empty() && model.is_held_up("common"));
        assert_eq!((model.failed(), model.next_due()), (0, None));
        assert!(model.rest(None).is_empty());
        model.link(super::super::super::Link::Up);
        assert_eq!(texts(&model.due(now)), ["1", "psst"]);
        model.arrived(&first);
        assert_eq!(texts(&model.due(now)), ["2"]);
    }

    #[test]
    fn what_is_left_when_its_user_leaves_is_handed_over_in_its_order() {
        let mut model = model();
        for text in ["1", "2", "3"] {
            model.stage(&Post::text("common", text), Stage::Queued);
        }
        assert_eq!(texts(&model.due(Instant::now())), ["1"]);
        // Whoever leaves one chat leaves what was typed in others.
        assert!(model.rest(Some("@bob")).is_empty());
        assert_eq!(texts(&model.rest(None)), ["2", "3"]);
        assert!(model.rest(None).is_empty());
    }

    #[test]
    fn no_more_posts_wait_than_some_do() {
        let mut model = model();
        for number in 0..MAX {
            assert!(model.stage(&Post::text("common", &number.to_string()), Stage::Queued));
        }
        assert!(!model.stage(&Post::text("common", "one more"), Stage::Queued));
        assert_eq!(model.outgoing.len(), MAX);
    }
}
