//! The irc feature: raw lines over TCP against the running server.
#![cfg(has_feature = "irc")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bounds;
mod entering;
mod history;
#[cfg(has_feature = "rooms")]
mod rooms;
mod stage;
mod talking;
