//! What was typed and is not there yet: on its way, waiting for its time, or failed. It stands below
//! the chat that it was typed in until the server has it or its user takes it back.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::post::Post;
use super::model::Model;

/// The most posts that are not there yet.
const MAX: usize = 100;

/// How far a post is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It is posted, or about to be.
    Sending,
    /// The server wants it at that time.
    Later(Instant),
    /// It is not there, and why; perhaps it is, and only the answer was lost.
    Failed(String),
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
            let at = post.to().and_then(|to| self.find(to)).unwrap_or(self.at);
            let here = self.chats[at].address.clone();
            let post = post.clone();
            self.outgoing.push(Outgoing { post, here, stage });
        }
        room
    }

    /// A post is there.
    pub fn arrived(&mut self, post: &Post) {
        self.outgoing.retain(|out| out.post.key != post.key);
    }

    /// The posts whose time has come; they are on their way then.
    pub fn due(&mut self, now: Instant) -> Vec<Post> {
        let is_due = |out: &Outgoing| matches!(out.stage, Stage::Later(at) if at <= now);
        self.send_again(is_due)
    }

    /// The posts of the chat that is shown that have failed; they are on their way then.
    pub fn again(&mut self) -> Vec<Post> {
        let here = self.chat().address.clone();
        self.send_again(|out| matches!(out.stage, Stage::Failed(_)) && out.here == here)
    }

    fn send_again(&mut self, which: impl Fn(&Outgoing) -> bool) -> Vec<Post> {
        let chosen = self.outgoing.iter_mut().filter(|out| which(out));
        let chosen = chosen.map(|out| {
            out.stage = Stage::Sending;
            out.post.clone()
        });
        chosen.collect()
    }

    /// Takes back the last post of the chat that is shown, or else of any, that is not on its way.
    pub fn take_back(&mut self) -> Option<Outgoing> {
        let here = self.chat().address.as_str();
        let waits = |out: &Outgoing| out.stage != Stage::Sending;
        let own = |out: &Outgoing| waits(out) && out.here == here;
        let at = self.outgoing.iter().rposition(own);
        let at = at.or_else(|| self.outgoing.iter().rposition(waits))?;
        Some(self.outgoing.remove(at))
    }

    /// How many have failed.
    pub fn failed(&self) -> usize {
        let failed = |out: &&Outgoing| matches!(out.stage, Stage::Failed(_));
        self.outgoing.iter().filter(failed).count()
    }

    /// When the next one is due that waits for its time, and how many do.
    pub fn next_due(&self) -> Option<(Instant, usize)> {
        let times = self.outgoing.iter().filter_map(|out| match out.stage {
            Stage::Later(at) => Some(at),
            _ => None,
        });
        let times: Vec<Instant> = times.collect();
        Some((*times.iter().min()?, times.len()))
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
        // The same again, under the same key.
        assert_eq!(model.again(), std::slice::from_ref(&post));
        assert_eq!(model.outgoing[0].stage, Stage::Sending);
        assert!(model.again().is_empty());
        assert!(model.take_back().is_none());
        model.arrived(&post);
        assert!(model.outgoing.is_empty());
    }

    #[test]
    fn only_what_was_typed_in_the_chat_that_is_shown_is_sent_again() {
        let mut model = model();
        model.place("@bob", "@bob");
        let there = Post::text("@Bob", "psst");
        model.stage(&there, Stage::Failed("no".to_owned()));
        assert!(model.again().is_empty());
        let here = Post::text("common", "hi");
        model.stage(&here, Stage::Failed("no".to_owned()));
        model.stage(&Post::text("@bob", "more"), Stage::Failed("no".to_owned()));
        assert_eq!(model.take_back().map(|out| out.post), Some(here));
        assert_eq!(
            model.take_back().map(|out| out.here).as_deref(),
            Some("@bob")
        );
    }

    #[test]
    fn a_post_waits_for_its_time_and_no_more_than_some_do() {
        let mut model = model();
        let now = Instant::now();
        let at = |number: u64| Stage::Later(now + Duration::from_secs(number));
        for number in 0..MAX as u64 {
            assert!(model.stage(&Post::text("common", &number.to_string()), at(number)));
        }
        assert!(!model.stage(&Post::text("common", "one more"), at(0)));
        assert_eq!(model.next_due(), Some((now, MAX)));
        let due = model.due(now + Duration::from_secs(1));
        let texts: Vec<&str> = due
            .iter()
            .filter_map(|post| post.body["text"].as_str())
            .collect();
        assert_eq!(texts, ["0", "1"]);
        assert_eq!(model.next_due().map(|(_, count)| count), Some(MAX - 2));
    }
}
