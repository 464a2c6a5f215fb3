//! `veche admin`: commands over a Unix socket, each done as any other change, and kept on record.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(has_feature = "complaints")]
mod complaints;
mod core;
#[cfg(has_feature = "rooms")]
mod rooms;
mod socket;

use veche::testing::Server;

/// A command that is refused, with this code among what is said.
fn refused(server: &Server, words: &[&str], code: &str) {
    let output = server.admin(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    assert!(output.stderr.contains(code), "{words:?}: {output:?}");
}
