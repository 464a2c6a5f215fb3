//! What the server counts of itself, and who may read it.
#![cfg(has_feature = "metrics")]

use std::collections::{BTreeMap, BTreeSet};

use veche::testing::{Folder, Reply, Server, run, wait_until};

/// A server with the feature, its settings, and some of the server's own.
fn server(settings: &str, core: &str) -> Server {
    Server::builder()
        .config(core)
        .only("metrics", settings)
        .start()
}

fn read(server: &Server) -> String {
    let reply = server.guest().get("/metrics");
    assert_eq!(reply.status, 200, "{reply}");
    reply.text
}

/// The value of a series, by its name and labels as they stand there.
fn value(text: &str, series: &str) -> Option<f64> {
    let lines = text.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values.next()?.parse().ok()
}

fn requests(text: &str, method: &str, route: &str, status: u16) -> Option<f64> {
    let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
    value(text, &format!("veche_http_requests_total{{{labels}}}"))
}

#[test]
fn it_is_off_unless_it_is_switched_on() {
    let server = Server::start();
    server.guest().get("/metrics").problem(404, "feature_off");
    let folder = Folder::new();
    let list = run(folder.path(), ["features"]).stdout;
    assert!(list.contains("metrics (off)"), "{list}");
    let server = Server::with("[features.metrics]\nenabled = true\n");
    assert_eq!(server.guest().get("/metrics").status, 200);
}

#[test]
fn requests_are_counted_by_the_pattern_of_their_route_and_their_status() {
    let server = server("", "");
    let ann = server.connect("ann");
    let message = ann.say("hello");
    ann.get(&format!("/messages/{}", message["id"])).expect(200);
    for id in [4_000_001, 4_000_002, 4_000_003] {
        ann.get(&format!("/messages/{id}"))
            .problem(404, "not_found");
    }
    server.guest().get("/status").problem(401, "unauthorized");
    server
        .guest()
        .get("/secret-path-of-mine")
        .problem(404, "not_found");
    server.raw("nonsense\r\n\r\n");
    let text = read(&server);
    assert_eq!(
        requests(&text, "POST", "/connect", 201),
        Some(1.0),
        "{text}"
    );
    assert_eq!(requests(&text, "POST", "/send", 201), Some(1.0));
    assert_eq!(requests(&text, "GET", "/messages/{id}", 200), Some(1.0));
    assert_eq!(requests(&text, "GET", "/messages/{id}", 404), Some(3.0));
    assert_eq!(requests(&text, "GET", "/status", 401), Some(1.0));
    assert_eq!(requests(&text, "none", "none", 404), Some(1.0));
    assert_eq!(requests(&text, "none", "none", 400), Some(1.0));
    assert!(!text.contains("secret-path") && !text.contains("4000001"));
    let labels = "method=\"GET\",route=\"/messages/{id}\"";
    let count = format!("veche_http_request_duration_seconds_count{{{labels}}}");
    assert_eq!(value(&text, &count), Some(4.0), "{text}");
    let all = format!("veche_http_request_duration_seconds_bucket{{{labels},le=\"30\"}}");
    assert_eq!(value(&text, &all), Some(4.0), "{text}");
}

#[test]
fn streams_batches_facts_and_the_log_are_seen() {
    let server = server("", "");
    let before = read(&server);
    assert_eq!(value(&before, "veche_streams"), Some(0.0), "{before}");
    assert_eq!(value(&before, "veche_facts_total"), Some(0.0));
    let ann = server.connect("ann");
    let mut events = ann.events();
    for number in 0..10 {
        ann.say(&format!("message {number}"));
    }
    events.until_text("message 9");
    let text = read(&server);
    for (name, expected) in [
        ("veche_streams", 1.0),
        ("veche_users", 1.0),
        ("veche_users_online", 1.0),
        ("veche_writable", 1.0),
        ("veche_writer_queue", 0.0),
        ("veche_hub_queue", 0.0),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name} in\n{text}");
    }
    let at_least = |name: &str, least: f64| {
        let found = value(&text, name).unwrap_or(-1.0);
        assert!(found >= least, "{name} is {found}, not {least}:\n{text}");
        found
    };
    // One to join, one for the client, one a message.
    let facts = at_least("veche_facts_total", 12.0);
    assert_eq!(value(&text, "veche_log_facts"), Some(facts));
    assert_eq!(value(&text, "veche_log_position"), Some(facts));
    at_least("veche_batch_commands_count", 11.0);
    at_least("veche_batch_commands_sum", 11.0);
    at_least("veche_commit_duration_seconds_count", 11.0);
    assert!(value(&text, "veche_commit_duration_seconds_sum").is_some_and(|sum| sum > 0.0));
    // The stream's, and the one that asks.
    at_least("veche_http_connections", 2.0);
    at_least("veche_log_bytes", 1.0);
    at_least("veche_wal_bytes", 1.0);
    at_least("process_resident_memory_bytes", 1_000_000.0);
    at_least("process_open_fds", 5.0);
    at_least("process_max_fds", 5.0);
    at_least("process_start_time_seconds", 1_600_000_000.0);
    assert!(value(&text, "process_cpu_seconds_total").is_some());
    drop(events);
    wait_until("the stream to be gone", || {
        (value(&read(&server), "veche_streams") == Some(0.0)).then_some(())
    });
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let server = server("", "");
    server.connect("ann").say("hello");
    let reply = server.guest().get("/metrics");
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let mut kinds = BTreeMap::new();
    let mut series = BTreeSet::new();
    let text = &reply.text;
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_default();
            assert!(kinds.insert(name, kind).is_none(), "{name} twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (named, number) = line.rsplit_once(' ').unwrap_or_default();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        assert!(series.insert(named), "{named} twice");
        let name = named.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|family| kinds.get(family) == Some(&"histogram"))
            .unwrap_or(name);
        assert!(kinds.contains_key(family), "{line} has no kind before it");
    }
    // The page names each.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/features/metrics.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    for name in kinds.keys() {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
}

/// Asks as somebody would.
fn ask(server: &Server, headers: &[(&str, &str)]) -> Reply {
    let guest = server.guest();
    let mut request = guest.request("GET", "/metrics");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send()
}

#[test]
fn only_this_machine_reads_it_unless_told_otherwise() {
    let open = server("", "");
    assert_eq!(ask(&open, &[]).status, 200);
    // A proxy on this machine asks for another, whoever that is.
    for field in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"] {
        ask(&open, &[(field, "127.0.0.1")]).problem(403, "forbidden");
    }
    let closed = server("allow = [\"10.0.0.0/8\"]", "");
    ask(&closed, &[]).problem(403, "forbidden");
    // Nor does a client's token help.
    let ann = closed.connect("ann");
    ann.get("/metrics").problem(403, "forbidden");
}

#[test]
fn behind_a_trusted_proxy_the_clients_address_counts() {
    let proxy = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let server = server("allow = [\"192.0.2.0/24\"]", proxy);
    assert_eq!(
        ask(&server, &[("X-Forwarded-For", "192.0.2.7")]).status,
        200
    );
    ask(&server, &[("X-Forwarded-For", "198.51.100.7")]).problem(403, "forbidden");
    ask(&server, &[("X-Forwarded-For", "192.0.2.7, 198.51.100.7")]).problem(403, "forbidden");
}

#[test]
fn an_address_that_a_trusted_proxy_forwards_and_nobody_can_read_is_not_the_proxys() {
    let proxy = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let server = server("", proxy);
    assert_eq!(ask(&server, &[]).status, 200, "the proxy's machine itself");
    let local = [("X-Forwarded-For", "127.0.0.1")];
    assert_eq!(ask(&server, &local).status, 200, "a client on it");
    for unread in ["garbage", "", "unknown", "\"192.0.2.7\"", "[2001:db8::1]"] {
        ask(&server, &[("X-Forwarded-For", unread)]).problem(403, "forbidden");
    }
}

#[test]
fn who_has_the_token_reads_it_from_anywhere() {
    let folder = Folder::new();
    let file = folder.write("token", "a-long-random-word\nand more\n");
    let settings = format!("allow = []\ntoken_file = {:?}", file.display().to_string());
    let server = server(&settings, "");
    let refused = ask(&server, &[]);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    refused.problem(401, "unauthorized");
    for wrong in [
        "Bearer a-long-random-wor",
        "Bearer",
        "Bearer ",
        "Basic a-long-random-word",
    ] {
        ask(&server, &[("Authorization", wrong)]).problem(401, "unauthorized");
    }
    let right = ("Authorization", "Bearer a-long-random-word");
    assert_eq!(ask(&server, &[right]).status, 200);
    assert_eq!(
        ask(&server, &[right, ("X-Forwarded-For", "198.51.100.7")]).status,
        200
    );
    assert!(!server.log().contains("a-long-random-word"));
}

#[test]
fn a_start_without_the_token_that_it_was_told_of_says_so() {
    let folder = Folder::new();
    folder.write(
        "config.toml",
        "[features.metrics]\nenabled = true\ntoken_file = \"nowhere\"\n",
    );
    let output = run(folder.path(), ["--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = output.stderr.contains("metrics") && output.stderr.contains("nowhere");
    assert!(said, "{output:?}");
}
