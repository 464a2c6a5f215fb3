//! Several nodes as one server, on real NATS servers.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod first;
mod kills;
mod load;
mod nats;
mod nodes;
mod partitions;
mod plain;
mod proxy;
mod secure;
mod stage;
