//! The memory of a server on which nothing happens. `scripts/idle-memory` measures it.

#![cfg(target_os = "linux")]

use veche::testing::Server;

#[test]
fn a_server_has_no_huge_pages() {
    let server = Server::core();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.unwrap_or_default();
    let enabled = status
        .lines()
        .find_map(|line| line.strip_prefix("THP_enabled:"));
    // A kernel before 5.0, or without huge pages, does not tell.
    assert_eq!(enabled.unwrap_or("0").trim(), "0", "{status}");
}
