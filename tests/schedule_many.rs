//! Ten thousand messages that wait for their time cost nothing until it comes.

#![cfg(has_feature = "schedule")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use veche::testing::{Client, Server};

const WAITING: usize = 10_000;
const CONNECTIONS: usize = 16;
const POSTS: usize = 200;

/// The middle one of the times that posts take.
fn usual_post(client: &Client) -> Duration {
    let mut times: Vec<_> = (0..POSTS)
        .map(|_| {
            let begun = Instant::now();
            client.send("@me", "x").expect(201);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[POSTS / 2]
}

/// The processor time that the server has used, in clock ticks (a hundredth of a second).
fn ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap_or_default();
    let (_, after_name) = stat.rsplit_once(')').unwrap_or_default();
    let fields: Vec<u64> = after_name
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    assert!(fields.len() > 12, "{stat}");
    fields[11] + fields[12]
}

#[test]
fn posts_are_as_quick_with_ten_thousand_waiting_and_nothing_is_done_meanwhile() {
    let server = Server::only("schedule", &format!("pending = {WAITING}"));
    let ann = server.connect("ann");
    let before = usual_post(&ann);
    thread::scope(|scope| {
        for lane in 0..CONNECTIONS {
            let client = ann.again();
            scope.spawn(move || {
                for number in (lane..WAITING).step_by(CONNECTIONS) {
                    let delay = format!("{}s", 3_600 + number * 7_919 % WAITING);
                    let body = json!({"to": "@me", "text": "later", "in": delay});
                    client.post("/scheduled", &body).expect(201);
                }
            });
        }
    });
    assert_eq!(ann.status()["user"]["schedule"]["waiting"], WAITING);
    let after = usual_post(&ann);
    println!("a post took {before:?}, and {after:?} with {WAITING} waiting");
    assert!(
        after < before * 3 + Duration::from_millis(2),
        "{after:?} after {before:?}"
    );
    let (begun, used) = (Instant::now(), ticks(&server));
    thread::sleep(Duration::from_secs(2));
    let used = ticks(&server) - used;
    let share = used as f64 / 100.0 / begun.elapsed().as_secs_f64();
    assert!(share < 0.05, "idle, it uses {share:.2} of a processor");
}
