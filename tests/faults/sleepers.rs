//! Streams that never read, beside others that get everything as it comes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use veche::testing::{Client, PATIENCE, Server};

use crate::rounds;

/// Threads that post.
const WRITERS: usize = 16;

/// Streams that sleep, streams that read, messages, and the characters of each: of a short run fewer,
/// that are longer, so that they don't fit into the system's buffers.
const SHORT: [usize; 4] = [20, 5, 500, 3_000];
const LONG: [usize; 4] = [1_000, 100, 6_000, 200];

/// What the server may take more while they sleep, in KiB: far less than what waits for each of
/// them would be.
const MORE: u64 = 128 * 1024;

/// What the system may hold for one of them: `server.unsent`, a write beyond it, and what is under
/// way to it.
const HELD: u64 = 256 * 1024;

/// A stream from a cursor on.
fn open(server: &Server, client: &Client, cursor: &str, sleeps: bool) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).expect("it accepts");
    if sleeps {
        setsockopt(&socket, sockopt::RcvBuf, &(32 * 1024)).expect("a small buffer");
    }
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        socket,
        "GET /events?after={cursor} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        client.token
    )
    .expect("a request");
    socket
}

/// Reads on until so many messages were told or the stream ends: adds their ids in the order in which
/// they came. The cursor follows.
fn read(socket: TcpStream, count: usize, ids: &mut Vec<u64>, cursor: &mut String) {
    let mut next = String::new();
    let mut is_message = false;
    let mut told: Option<u64> = None;
    // One that was closed ends anywhere, within a character too.
    for line in BufReader::new(socket).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut next);
        } else if let Some(event) = line.strip_prefix("event: ") {
            assert_ne!(event, "reset", "the log has it all");
            is_message = event == "message";
        } else if let Some(data) = line.strip_prefix("data: {\"id\":")
            && is_message
        {
            let number: String = data.chars().take_while(char::is_ascii_digit).collect();
            told = Some(number.parse().expect("an id"));
        } else if line.is_empty() && !next.is_empty() {
            *cursor = std::mem::take(&mut next);
            ids.extend(told.take());
            if ids.len() == count {
                return;
            }
        }
    }
}

/// The ids of so many messages, all by one stream.
fn ids(socket: TcpStream, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    read(socket, count, &mut ids, &mut String::new());
    assert_eq!(ids.len(), count, "the stream ended");
    ids
}

/// The same by somebody who may have slept so long that the server closed the stream, and resumes.
fn resumed(
    server: &Server,
    client: &Client,
    mut socket: TcpStream,
    mut cursor: String,
    count: usize,
) -> Vec<u64> {
    let mut ids = Vec::new();
    loop {
        let before = ids.len();
        read(socket, count, &mut ids, &mut cursor);
        if ids.len() == count {
            return ids;
        }
        assert!(ids.len() > before, "the stream ended at its start");
        socket = open(server, client, &cursor, false);
    }
}

/// KiB that a process has in memory.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).expect("VmRSS in kB")
}

/// The most bytes that wait in the system for one client of a server on this port.
fn most_held(port: u16) -> u64 {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("it is there");
    let held = sockets.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let is_server = u16::from_str_radix(local, 16) == Ok(port);
        let held = fields.get(4)?.split_once(':')?.0;
        is_server.then(|| u64::from_str_radix(held, 16).expect("a number"))
    });
    held.max().expect("clients")
}

#[test]
fn streams_that_never_read_cost_nothing_harm_nobody_and_miss_nothing() {
    let [sleepers, readers, messages, length] = if rounds(1) < 10 { SHORT } else { LONG };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(4_000)), hard).expect("a limit");

    let server = Server::core();
    let people: Vec<_> = (0..WRITERS)
        .map(|n| server.connect(&format!("w{n}")))
        .collect();
    let eve = server.connect("eve");
    let cursor = eve.cursor();
    let asleep: Vec<_> = (0..sleepers)
        .map(|_| open(&server, &eve, &cursor, true))
        .collect();
    let awake: Vec<_> = (0..readers)
        .map(|_| open(&server, &eve, &cursor, false))
        .collect();
    let before = resident(server.pid());
    let text = "\u{20ac}".repeat(length);
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let (posted, told) = std::thread::scope(|scope| {
        let readers: Vec<_> = awake
            .into_iter()
            .map(|socket| scope.spawn(move || ids(socket, messages)))
            .collect();
        let writers: Vec<_> = people
            .iter()
            .map(|client| {
                let (next, text) = (&next, &text);
                scope.spawn(move || {
                    let mut posted = Vec::new();
                    while next.fetch_add(1, Ordering::Relaxed) < messages {
                        posted.extend(client.say(text)["id"].as_u64());
                    }
                    posted
                })
            })
            .collect();
        let posted = writers
            .into_iter()
            .flat_map(|writer| writer.join().expect("it ends"));
        let posted: BTreeSet<u64> = posted.collect();
        let told: Vec<_> = readers
            .into_iter()
            .map(|reader| reader.join().expect("it ends"))
            .collect();
        (posted, told)
    });
    let took = begin.elapsed();
    let more = resident(server.pid()).saturating_sub(before);
    println!("{messages} messages to {readers} streams in {took:?}, {more} KiB more");
    assert!(more < MORE, "{more} KiB more than {before}");
    let held = most_held(server.address().port());
    assert!(
        held < HELD,
        "{held} bytes wait in the system for one client"
    );
    let expected: Vec<u64> = posted.into_iter().collect();
    assert_eq!(expected.len(), messages);
    assert!(
        told.iter().all(|ids| *ids == expected),
        "a reader was harmed"
    );
    assert!(took < Duration::from_secs(60 + messages as u64 / 100));

    let asleep = std::sync::Mutex::new(asleep);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let take = || asleep.lock().expect("nobody panics with it").pop();
                while let Some(socket) = take() {
                    assert!(
                        resumed(&server, &eve, socket, cursor.clone(), messages) == expected,
                        "a sleeper missed something"
                    );
                }
            });
        }
    });
}
