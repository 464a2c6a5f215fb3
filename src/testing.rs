//! The harness that drives a real server from a test: it starts the binary as a process of its
//! own, on a free port and an empty folder, and talks to it as any client would.
//!
//! It is public so that a feature outside this repository tests itself with the same few lines:
//!
//! ```no_run
//! use veche::testing::Server;
//!
//! let server = Server::only("polls", "choices = 5");
//! let ann = server.connect("ann");
//! let mut events = ann.events();
//! let message = ann.say("hello");
//! assert_eq!(events.next("message").data["id"], message["id"]);
//! ```
//!
//! A server of your own (a `main` that links further features) is named by its path:
//! `Server::builder().binary(env!("CARGO_BIN_EXE_mine")).start()`.
//!
//! Everything here panics, with what the server said, where something is not as it should be: a
//! test fails by panicking. Every wait has an end, [`PATIENCE`].
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a harness reports to the test that runs it, and a test fails by panicking"
)]

mod builder;
mod client;
mod events;
mod fold;
mod folder;
mod front;
mod node;
mod nodes;
mod program;
mod receiver;
mod request;
mod server;
mod wire;

use std::time::{Duration, Instant};

pub use builder::Builder;
pub use client::{Client, encode};
pub use events::{Event, Events};
#[doc(hidden)]
pub use fold::folds;
pub use folder::Folder;
pub use program::{Output, binary, cargo, features, run};
pub use receiver::{Received, Receiver};
pub use request::{Reply, Request};
pub use server::Server;
pub use wire::{Head, Response, Wire};

/// How long the harness waits for anything before it calls the test failed.
///
/// Much longer than a sound server needs, even a debug build on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer, for what no event announces.
///
/// # Panics
/// Where there is none within [`PATIENCE`]; `what` says in words what was waited for.
pub fn wait_until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, what, ask)
}

/// [`wait_until`] with a limit of its own.
///
/// # Panics
/// Where there is no answer within `limit`.
pub fn wait_at_most<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
