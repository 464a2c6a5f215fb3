//! What shows that a feature is on and has all that it had, or is off and leaves no trace.

mod comments;
mod complaints;
mod edits;
mod files;
mod irc;
mod mentions;
mod presence;
mod rate_limit;
mod reactions;
mod rooms;
mod schedule;
mod search;
mod subscriptions;
mod ttl;
mod web;
mod webhooks;

use serde_json::Value;

use crate::stage::Stage;

/// A feature as it is seen from outside.
pub trait Probe {
    fn name(&self) -> &'static str;

    /// Its settings: nothing of it ends within the test.
    fn settings(&self) -> &'static str {
        ""
    }

    /// What it adds to messages.
    fn message_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it has a part in what the server says of itself.
    fn has_server_part(&self) -> bool {
        false
    }

    /// Whether it has a part in the user's own status.
    fn has_user_part(&self) -> bool {
        false
    }

    /// Whether it has a part in a chat's status.
    fn has_chat_part(&self) -> bool {
        false
    }

    /// Its events.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// It is on again: all is as it was.
    fn found(&mut self, stage: &mut Stage);

    /// It is off: what else must not be seen.
    fn hidden(&self, _: &mut Stage) {}

    /// It is on: does something.
    fn act(&mut self, stage: &mut Stage);
}

/// Those of every feature that has one.
pub fn all() -> Vec<Box<dyn Probe>> {
    vec![
        Box::new(comments::Comments::default()),
        Box::new(complaints::Complaints::default()),
        Box::new(edits::Edits::default()),
        Box::new(files::Files::default()),
        Box::new(irc::Irc),
        Box::new(mentions::Mentions::default()),
        Box::new(presence::Presence),
        Box::new(rate_limit::RateLimit),
        Box::new(reactions::Reactions::default()),
        Box::new(rooms::Rooms::default()),
        Box::new(schedule::Schedule::default()),
        Box::new(search::Search),
        Box::new(subscriptions::Subscriptions::default()),
        Box::new(ttl::Ttl),
        Box::new(web::Web),
        Box::new(webhooks::Webhooks::default()),
    ]
}

/// Whether a resumed stream tells of each of these once, in events of this kind.
fn resumes(stage: &Stage, kind: &str, field: &str, since: usize, made: &[(usize, Value)]) {
    let told = stage.resumed.iter().filter(|event| event.event == kind);
    let told: Vec<&Value> = told.map(|event| &event.data[field]).collect();
    for (_, one) in made.iter().filter(|(number, _)| *number >= since) {
        let times = told.iter().filter(|told| **told == one).count();
        assert_eq!(times, 1, "{kind} {one}");
    }
}

/// The start from which on the resumed stream tells of everything.
fn recent(stage: &Stage) -> usize {
    stage.number.saturating_sub(3)
}
