//! Several nodes as one server, on real NATS servers.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod kills;
mod nats;
mod nodes;
mod plain;
mod stage;
