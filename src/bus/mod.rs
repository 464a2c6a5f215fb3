//! The message bus: one writer decides, facts are appended, everything else follows.
//!
//! - `tx.rs`, `view.rs`, `entry.rs`, `draft.rs`: what a decision sees and records.
//! - `world.rs`: the fold of all facts.
//! - `writer.rs`: takes waiting commands in batches, decides one after another, appends once,
//!   answers; wakes what is due.
//! - `shared.rs`: what others see of it: reads that wait until what they have seen is durable.
//! - `hub.rs`, `mailbox.rs`, `tape.rs`: one frame a fact, fanned out to every stream it is for.
//! - `indexer.rs`: brings messages into the index of texts, where a feature asks for one.
//! - `snapshot.rs`: saves the world off the writer and trims the log behind it.

mod answer;
mod decide;
mod draft;
mod entry;
mod fault;
mod frame;
mod hub;
mod indexer;
mod mailbox;
mod shared;
mod show;
mod snapshot;
mod tape;
#[cfg(test)]
mod tests;
mod tx;
mod view;
mod world;
mod writer;

pub use answer::Answer;
pub(crate) use answer::{Body, Content};
pub(crate) use draft::Passed;
pub use draft::{Address, Draft, Purpose};
pub use entry::{Entry, PassedDraft};
pub(crate) use fault::{causes, fault, internal};
pub(crate) use frame::{Frame, Frames};
#[cfg(test)]
pub(crate) use hub::FanOut;
pub(crate) use hub::{Hub, Live, Recipients, Registered, Seated, Sent, about};
pub(crate) use indexer::Indexer;
pub(crate) use mailbox::{Mailbox, Taken};
pub(crate) use shared::{
    Bus, Command, Decide, Durable, From, Health, KeySpec, MOVED, Once, Others, Shared, moved,
};
pub use show::{Event, Fields, Shown, Subject, Telling};
pub(crate) use snapshot::{Snapshotter, fold};
pub(crate) use tx::Outcome;
pub use tx::Tx;
pub use view::{Stamp, View};
pub use world::World;
pub(crate) use world::WorldError;
pub(crate) use writer::{Writer, WriterOptions, unknown_outcome};
