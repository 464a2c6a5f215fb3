//! The log: each action with its user, client and outcome, and no secret in it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veche::testing::{Client, Folder, Server, binary, wait_until};

const PASSWORD: &str = "correct-horse-battery";
const TEXT: &str = "purple-elephant-text";

/// Does one of everything, and gives the two clients.
fn act(server: &Server) -> (Client, Client) {
    let ann = server.client(&json!({ "name": "ann", "password": PASSWORD }));
    let bob = server.connect("bob");
    let mut events = bob.events();
    let message = ann.say(&format!("{TEXT} one"));
    ann.tell("bob", &format!("{TEXT} two"));
    ann.post_once(
        "key-of-ann",
        "/send",
        &json!({ "to": "common", "text": format!("{TEXT} three") }),
    )
    .expect(201);
    ann.send("@nobody", &format!("{TEXT} four"))
        .problem(404, "unknown_chat");
    ann.send("common", &TEXT.repeat(1000))
        .problem(422, "invalid");
    ann.request("POST", "/send")
        .body(
            format!("{{\"to\":\"common\",\"text\":\"{TEXT}"),
            "application/json",
        )
        .send()
        .problem(400, "malformed");
    server
        .join(&json!({ "name": "ann", "password": format!("{PASSWORD}-wrong") }))
        .problem(401, "wrong_password");
    bob.get(&format!("/messages/{}", message["id"])).expect(200);
    bob.read_all();
    events.until_text(&format!("{TEXT} two"));
    Client::new(&server.url(), "unknown-token-of-nobody")
        .get("/status")
        .problem(401, "unauthorized");
    bob.get(&format!("/status?token={}", ann.token));
    bob.disconnect();
    (ann, bob)
}

fn no_secret(log: &str, clients: &[&Client]) {
    for client in clients {
        assert!(
            !log.contains(&client.token),
            "a token is in the log:\n{log}"
        );
    }
    for secret in [PASSWORD, TEXT, "unknown-token-of-nobody"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn each_action_is_logged_with_its_user_client_and_outcome() {
    let mut server = Server::core();
    let (ann, bob) = act(&server);
    server.stop();
    let log = server.log();
    let posts: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("/send") || line.contains("send"))
        .filter(|line| line.contains("ann") && line.contains(&ann.id))
        .collect();
    for status in ["201", "404", "422", "400"] {
        assert!(
            posts.iter().any(|line| line.contains(status)),
            "no {status} of a post in\n{log}"
        );
    }
    assert!(
        log.lines()
            .any(|line| line.contains(&bob.id) && line.contains("bob")),
        "{log}"
    );
    assert!(
        log.lines()
            .any(|line| line.contains("wrong_password") || line.contains("401")),
        "{log}"
    );
    no_secret(&log, &[&ann, &bob]);
    assert!(!log.contains('\u{1b}'), "colours are for terminals:\n{log}");
}

#[test]
fn no_secret_is_logged_however_much_is_asked_for() {
    let mut server = Server::builder().core().env("RUST_LOG", "trace").start();
    let (ann, bob) = act(&server);
    server.stop();
    no_secret(&server.log(), &[&ann, &bob]);
}

#[test]
fn as_json_each_line_is_an_object() {
    let mut server = Server::builder()
        .core()
        .config("[log]\nformat = \"json\"\n")
        .env("RUST_LOG", "debug")
        .start();
    let (ann, bob) = act(&server);
    server.stop();
    let log = server.log();
    for line in log.lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(
            parsed.is_ok_and(|value| value.is_object()),
            "no JSON: {line}"
        );
    }
    assert!(
        log.lines()
            .any(|line| line.contains(&ann.id) && line.contains("201")),
        "{log}"
    );
    no_secret(&log, &[&ann, &bob]);
}

#[test]
fn what_leads_nowhere_has_a_line_that_shows_no_secret_of_a_link() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.get("/joyn/SECRET").expect(404);
    ann.delete("/send").expect(405);
    let mut wire = server.wire();
    wire.write("GET / HTTP/1.1\r\n\r\n");
    let answer = wire.response();
    let id = answer.header("x-request-id").expect("a name").to_owned();
    let log = wait_until("the lines", || {
        let log = server.log();
        log.contains(&id).then_some(log)
    });
    let line = |with: &str| {
        log.lines()
            .find(|line| line.contains(with))
            .unwrap_or_else(|| panic!("no {with} in\n{log}"))
            .to_owned()
    };
    assert!(line("/joyn").contains("status=404"), "{log}");
    assert!(!log.contains("SECRET"), "{log}");
    let wrong_method = line("status=405");
    assert!(wrong_method.contains("/send"), "{log}");
    assert!(line(&id).contains("status=400"), "{log}");
    assert!(line(&id).contains("Host"), "{log}");
}

#[test]
fn a_data_folder_that_others_may_look_into_is_named_at_the_start() {
    let mut server = Server::core();
    assert!(!server.log().contains("chmod"), "{}", server.log());
    server.stop();
    let open = Permissions::from_mode(0o750);
    fs::set_permissions(server.data(), open).expect("the folder is ours");
    server.restart();
    assert!(server.log().contains("mode=\"750\""), "{}", server.log());
}

#[test]
fn a_request_that_its_forwarded_address_may_not_make_has_a_line() {
    let server =
        Server::with("[server]\ntrusted_proxies = [\"127.0.0.1\"]\nexempt = []\nper_address = 1\n");
    let ann = server.connect("ann");
    let _stream = ann.events_with("/events", &[("X-Forwarded-For", "192.0.2.7")]);
    let request = ann.request("GET", "/status");
    let refused = request.header("X-Forwarded-For", "192.0.2.7").send();
    refused.problem(429, "too_many_connections");
    let id = refused.header("x-request-id").expect("a name").to_owned();
    let line = wait_until("its line", || {
        let log = server.log();
        log.lines()
            .find(|line| line.contains(&id))
            .map(str::to_owned)
    });
    assert!(
        line.contains("status=429") && line.contains("192.0.2.7"),
        "{line}"
    );
}

#[test]
fn rust_log_filters() {
    let mut server = Server::builder().core().env("RUST_LOG", "off").start();
    act(&server);
    server.stop();
    assert_eq!(server.log(), "");
}

#[test]
fn a_rust_log_that_cannot_be_read_is_info_and_says_so() {
    for (asked, told) in [("veche=loud", true), ("[request]=debug", true), ("", false)] {
        let mut server = Server::builder().core().env("RUST_LOG", asked).start();
        server.guest().get("/healthz").expect(200);
        server.stop();
        let log = server.log();
        assert_eq!(log.contains("RUST_LOG"), told, "{asked:?}:\n{log}");
        assert!(log.contains("INFO"), "{asked:?}:\n{log}");
        assert!(!log.contains("DEBUG"), "{asked:?}:\n{log}");
    }
}

#[test]
fn what_clients_send_cannot_forge_lines() {
    let server = Server::core();
    let reply = server
        .guest()
        .request("POST", "/connect")
        .header("User-Agent", "agent\u{9}with tab")
        .json(&json!({ "name": "ann" }))
        .send();
    let ann = Client::welcomed(&server.url(), &reply.expect(201));
    ann.get("/nothing%0aFORGED%20line");
    ann.get("/nothing%1b%5b31mFORGED");
    ann.send("@x\nFORGED line", "x");
    ann.post("/send", &json!({ "to": "\nFORGED line", "text": "x" }));
    server.join(&json!({ "name": "\nFORGED line" }));
    ann.get("/status").expect(200);
    wait_until("the requests to be logged", || {
        server.log().contains("status").then_some(())
    });
    let log = server.log();
    assert!(
        log.lines()
            .all(|line| !line.trim_start().starts_with("FORGED")),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[test]
fn whatever_clients_send_each_line_is_inert_in_both_forms() {
    // Each ends a line, steers a terminal or turns the order of letters.
    const SIGNS: [char; 9] = [
        '\n', '\r', '\u{1b}', '\u{7}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{2066}',
    ];
    for format in ["text", "json"] {
        let mut server = Server::builder()
            .core()
            .config(format!("[log]\nformat = \"{format}\"\n"))
            .env("RUST_LOG", "trace")
            .start();
        let ann = server.connect("ann");
        for sign in SIGNS {
            let text = format!("a{sign}FORGED");
            ann.send(&text, &text);
            ann.send(&format!("@{text}"), &text);
            server.join(&json!({ "name": text }));
            ann.post("/read", &json!({ "chat": text, "upto": text }));
            ann.post("/send", &json!({ text.as_str(): text }));
            ann.get(&format!("/messages?chat={}", veche::testing::encode(&text)));
            ann.get(&format!(
                "/messages?limit={}",
                veche::testing::encode(&text)
            ));
            ann.get(&format!("/{}", veche::testing::encode(&text)));
            ann.request("GET", "/status")
                .header("X-Forwarded-For", "\u{9b}31m")
                .header("User-Agent", "\u{202e}FORGED")
                .send();
            // What is no request at all is told at the lower levels.
            server.raw(format!(
                "GET /{text} HTTP/1.1\r\nHost: x\r\n{text}: y\r\n\r\n"
            ));
            server.raw(format!("GET / HTTP/1.1\r\nHost: {text}\r\n\r\n"));
        }
        server.stop();
        let log = server.log();
        assert!(log.lines().count() > 100, "{log}");
        for line in log.lines() {
            assert!(!line.contains(&SIGNS[1..]), "{line:?}");
            assert!(!line.trim_start().starts_with("FORGED"), "{line:?}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_written_is_lost_and_nothing_else() {
    let folder = Folder::new();
    let full = File::options().write(true).open("/dev/full");
    let Ok(full) = full else {
        unreachable!("every Linux has it: {full:?}")
    };
    let started = Command::new(binary())
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn();
    let Ok(mut server) = started else {
        unreachable!("the binary is there: {started:?}")
    };
    let mut line = String::new();
    let read = server
        .stdout
        .take()
        .map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let guest = Client::new(&url, "");
    let asked: Vec<_> = (0..3)
        .map(|_| guest.request("GET", "/healthz").try_send())
        .map(|reply| reply.map(|reply| reply.status).unwrap_or_default())
        .collect();
    let ended = server.kill().and_then(|()| server.wait());
    assert!(matches!(read, Some(Ok(_))) && ended.is_ok());
    assert_eq!(asked, [200, 200, 200]);
}

#[cfg(has_feature = "metrics")]
const SETTINGS: &str = "[features.metrics]\nenabled = true\n";
#[cfg(not(has_feature = "metrics"))]
const SETTINGS: &str = "";

/// A server whose stderr takes nothing any more, because nobody reads it.
struct Unheard {
    server: Child,
    url: String,
    /// Where its stderr can be read after all.
    stderr: UnixStream,
}

impl Unheard {
    fn start(folder: &Folder, arguments: &[&str]) -> (Child, UnixStream) {
        let (stderr, mut full) = UnixStream::pair().expect("a pair");
        full.set_nonblocking(true).expect("a socket");
        while full.write(&[b'\n'; 4096]).is_ok() {}
        full.set_nonblocking(false).expect("a socket");
        let server = Command::new(binary())
            .current_dir(folder.path())
            .env("RUST_LOG", "trace")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(OwnedFd::from(full))
            .spawn()
            .expect("the binary starts");
        (server, stderr)
    }

    fn serving(folder: &Folder) -> Self {
        folder.write("config.toml", SETTINGS);
        let (mut server, stderr) = Self::start(folder, &["--listen", "127.0.0.1:0"]);
        let mut line = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line.trim_end().strip_prefix("listening on ");
        Self {
            url: url.unwrap_or_default().to_owned(),
            server,
            stderr,
        }
    }

    /// How many lines the server says to have lost.
    #[cfg(has_feature = "metrics")]
    fn lost(&self) -> u64 {
        let metrics = Client::new(&self.url, "").get("/metrics").text;
        let name = "veche_log_lines_lost_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the metric").parse().expect("a number")
    }

    /// Asks until lines find no room.
    #[cfg(has_feature = "metrics")]
    fn fill(&self) {
        let guest = Client::new(&self.url, "");
        let path = format!("/{}", "x".repeat(6000));
        let is_full = (0..20_000).any(|_| {
            guest.get(&path).problem(404, "not_found");
            self.lost() > 0
        });
        assert!(is_full, "everything found room");
    }

    fn stop(mut self) -> Option<i32> {
        let killed = Command::new("kill")
            .args(["-TERM", &self.server.id().to_string()])
            .status();
        assert!(killed.expect("kill").success());
        ended(&mut self.server, Duration::from_secs(10))
    }
}

/// The status of what must end by itself in time.
fn ended(process: &mut Child, limit: Duration) -> Option<i32> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().expect("a child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

#[test]
fn a_stderr_that_nobody_reads_holds_up_neither_requests_nor_the_stop() {
    let folder = Folder::new();
    let unheard = Unheard::serving(&folder);
    let _still_open = unheard.stderr.try_clone().expect("a socket");
    let guest = Client::new(&unheard.url, "");
    let ann = guest.post("/connect", &json!({ "name": "ann" }));
    let ann = Client::welcomed(&unheard.url, &ann.expect(201));
    for _ in 0..500 {
        ann.get("/status").expect(200);
    }
    assert_eq!(unheard.stop(), Some(0));
}

#[test]
#[cfg(has_feature = "metrics")]
fn lines_that_nobody_reads_are_counted_and_said_when_somebody_does() {
    let folder = Folder::new();
    let unheard = Unheard::serving(&folder);
    unheard.fill();
    let stderr = unheard.stderr.try_clone().expect("a socket");
    let read = std::thread::spawn(move || {
        let lines = BufReader::new(stderr).lines();
        lines.collect::<Result<Vec<_>, _>>().expect("text")
    });
    assert_eq!(unheard.stop(), Some(0));
    let lines = read.join().expect("the reader");
    let lost = lines
        .iter()
        .find(|line| line.contains("lines of the log are lost"));
    let lost = lost.unwrap_or_else(|| panic!("not said in {} lines", lines.len()));
    assert!(lost.contains("lines="), "{lost}");
}

#[test]
fn what_can_not_start_ends_though_nobody_reads_why() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (mut server, _stderr) = Unheard::start(&folder, &["--listen", &address]);
    assert_eq!(ended(&mut server, Duration::from_secs(10)), Some(1));
}
