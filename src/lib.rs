//! veche: a self-hosted chat server in one binary, grown by dropping in feature modules.
//!
//! A request asks, one writer decides, facts are appended to a log, and everything else follows
//! the log. The way of a post through the folders:
//!
//! | where | what happens there |
//! |---|---|
//! | [`http`] | bytes become a request, an answer becomes bytes; knows nothing of chat |
//! | `server` | who asks, which path, which handler |
//! | [`chat`] | the core's rules: users, clients, chats, messages, read marks |
//! | [`mod@feature`] | the trait that features implement; `features/` holds one file each |
//! | [`bus`] | the writer decides, applies and answers; the hub fans out to streams |
//! | [`log`] | the one durable order of facts, and the rows beside it |
//! | `cluster` | the same order for many nodes, on NATS JetStream |
//! | [`config`], [`mod@settings`] | config.toml, with the tables of core and features |
//! | [`counts`] | what the server counts of itself |
//! | [`outgoing`] | calls to URLs that users name |
//! | [`secret`] | codes that are handed out once and kept as their digest |
//! | `client` | the console client |
//! | [`testing`] | the harness that tests of features use, in the tree and out of it |
//!
//! A server with features of one's own is a crate whose `main` links them and calls [`main`].

#![warn(missing_docs)]

// Freed memory goes back to the system, which glibc keeps: a password's hash takes 19 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// Feature files name this crate as a crate outside would.
extern crate self as veche;

pub mod bus;
pub mod chat;
mod cli;
mod client;
mod cluster;
pub mod config;
pub mod counts;
pub mod feature;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
mod inert;
pub mod log;
mod logging;
mod memory;
mod objects;
mod openapi;
pub mod outgoing;
pub mod prelude;
pub mod secret;
mod server;
pub mod settings;
mod shares;
pub mod testing;
pub mod time;

mod features {
    include!(concat!(env!("OUT_DIR"), "/features.rs"));
}

pub use cli::main;
// For the macros.
pub use {inventory, schemars, serde, serde_json};
