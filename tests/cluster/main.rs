//! Several nodes as one server, on real NATS servers.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(has_feature = "files")]
mod bucket;
#[cfg(has_feature = "files")]
#[path = "../files/bucket.rs"]
#[allow(dead_code, reason = "the other test has more to do with it")]
mod buckets;
mod coming;
#[cfg(has_feature = "search")]
mod finding;
mod first;
mod keys;
mod kills;
mod load;
mod lost;
mod nats;
mod nodes;
mod outcomes;
mod partitions;
mod plain;
mod proxy;
mod secure;
mod stage;
