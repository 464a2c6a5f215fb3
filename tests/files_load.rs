//! Files go through the server as streams: many at once need little memory.

#![cfg(has_feature = "files")]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use veche::testing::{Client, Server};

/// As many as are uploaded, over so many connections.
const FILES: usize = 200;
const CONNECTIONS: usize = 50;
const SIZE: usize = 5 * 1024 * 1024;

/// What they may cost, in KiB above the server at rest.
const ALLOWED: u64 = 64 * 1024;

/// A figure of the server's process, in KiB.
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
fn memory(server: &Server, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("readable");
    let line = status.lines().find(|line| line.starts_with(figure));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("a number")
}

/// Does work number 0 to `FILES` on so many connections.
fn on_all(work: impl Fn(&Client, usize) + Sync, clients: &[Client]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= FILES {
                        return;
                    }
                    work(client, number);
                }
            });
        }
    });
}

#[test]
fn two_hundred_files_over_fifty_connections_take_less_than_64_mib() {
    let server = Server::only("files", "");
    let ann = server.connect("ann");
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| ann.again()).collect();
    let idle = memory(&server, "VmRSS:");
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let files: Vec<_> = (0..FILES).map(|_| std::sync::OnceLock::new()).collect();
    on_all(
        |client, number| {
            let request = client.request("POST", &format!("/files?name={number}"));
            let reply = request.body(bytes.clone(), "application/x-test").send();
            let file: Value = reply.expect(201);
            assert_eq!(file["size"], SIZE);
            files[number].set(file).expect("set once");
        },
        &clients,
    );
    let uploaded = memory(&server, "VmHWM:").saturating_sub(idle);
    assert!(uploaded < ALLOWED, "uploading took {uploaded} KiB");
    on_all(
        |client, number| {
            let file = files[number].get().expect("uploaded");
            let reply = client.get(file["url"].as_str().expect("a path"));
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("Content-Length"), Some(&*SIZE.to_string()));
        },
        &clients,
    );
    let downloaded = memory(&server, "VmHWM:").saturating_sub(idle);
    println!("uploading took {uploaded} KiB, downloading {downloaded} KiB above {idle} KiB");
    assert!(downloaded < ALLOWED, "downloading took {downloaded} KiB");
}
