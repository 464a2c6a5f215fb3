//! Peers that mean harm: what one address holds open is bounded, guessing is slowed down, and others
//! notice nothing of it.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpSocket;
use veche::testing::{Client, Events, Reply, Server, Wire, wait_until};

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

fn with(settings: &str) -> Server {
    let config = format!("[server]\n{settings}\n");
    Server::builder().core().config(config).start()
}

/// A connection from another address of this machine.
fn from(address: &str, server: SocketAddr) -> Wire {
    let connect = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(address.parse().unwrap_or(server.ip()), 0))?;
        socket.connect(server).await?.into_std()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let stream: std::io::Result<TcpStream> = runtime.and_then(|runtime| runtime.block_on(connect));
    match stream.and_then(|stream| stream.set_nonblocking(false).map(|()| stream)) {
        Ok(stream) => Wire::over(stream),
        Err(error) => unreachable!("all of 127.0.0.0/8 is this machine: {error}"),
    }
}

/// Asks, and leaves the connection open.
fn asks(wire: &mut Wire) -> u16 {
    wire.write(GET);
    wire.response().status()
}

#[test]
fn one_address_has_so_many_connections_and_no_more_and_others_have_theirs() {
    let server = with("per_address = 8\nexempt = []");
    let mut held: Vec<Wire> = (0..8).map(|_| server.wire()).collect();
    assert!(held.iter_mut().all(|wire| asks(wire) == 200));
    for _ in 0..3 {
        let refused = server.wire().response();
        assert_eq!(refused.status(), 429, "{:?}", refused.json());
        assert_eq!(refused.json()["code"], "too_many_connections");
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert!(refused.closes());
    }
    assert_eq!(asks(&mut from("127.0.0.2", server.address())), 200);
    assert!(held.iter_mut().all(|wire| asks(wire) == 200));
    drop(held.pop());
    wait_until("the place that was given back", || {
        let mut wire = server.wire();
        wire.write(GET);
        (wire.try_response()?.status() == 200).then_some(())
    });
}

#[test]
fn a_stream_is_a_connection_until_it_ends() {
    let server = with("per_address = 4\nexempt = []");
    let ann = server.connect("ann");
    let mut streams: Vec<Events> = (0..3).map(|_| ann.events()).collect();
    // What all see has gone through the hub, where streams wait.
    ann.say("hello");
    for stream in &mut streams {
        stream.until_text("hello");
    }
    // The fourth is Ann's own connection.
    assert_eq!(server.wire().response().status(), 429);
    streams.pop();
    wait_until("the stream's place", || {
        let mut wire = server.wire();
        wire.write(GET);
        (wire.try_response()?.status() == 200).then_some(())
    });
}

#[test]
fn this_machine_is_exempt_unless_told_otherwise() {
    let server = with("per_address = 2");
    let mut held: Vec<Wire> = (0..20).map(|_| server.wire()).collect();
    assert!(held.iter_mut().all(|wire| asks(wire) == 200));
}

/// A stream of somebody behind the proxy that this machine is.
fn stream_of(server: &Server, token: &str, forwarded: &str) -> (Wire, u16) {
    let mut wire = server.wire();
    wire.write(format!(
        "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
    ));
    let mut line = Vec::new();
    while line.len() < 12 {
        let more = wire.some(12 - line.len());
        assert!(!more.is_empty(), "no answer");
        line.extend(more);
    }
    let status = std::str::from_utf8(&line[9..12]).ok();
    (
        wire,
        status
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
    )
}

#[test]
fn behind_a_trusted_proxy_each_forwarded_address_is_counted() {
    let server = with("per_address = 2\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]");
    let ann = server.connect("ann");
    let mut held = Vec::new();
    for forwarded in [
        "198.51.100.7",
        // What a client claims before is no other address.
        "203.0.113.9, 198.51.100.7, 10.1.1.1",
    ] {
        let (wire, status) = stream_of(&server, &ann.token, forwarded);
        assert_eq!(status, 200, "{forwarded}");
        held.push(wire);
    }
    for forwarded in [
        "198.51.100.7",
        "nonsense, 198.51.100.7",
        "203.0.113.9,198.51.100.7",
    ] {
        assert_eq!(
            stream_of(&server, &ann.token, forwarded).1,
            429,
            "{forwarded}"
        );
    }
    let mut proxy = server.wire();
    let mut ask = |forwarded: &str| {
        proxy.write(format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
        ));
        proxy.response()
    };
    // The proxy's connection goes on, for it carries others' requests, too.
    let refused = ask("198.51.100.7");
    assert_eq!((refused.status(), refused.closes()), (429, false));
    assert_eq!(refused.json()["code"], "too_many_connections");
    for _ in 0..5 {
        assert_eq!(ask("198.51.100.8").status(), 200);
    }
    assert_eq!(stream_of(&server, &ann.token, "198.51.100.8").1, 200);
    held.clear();
    wait_until("the streams' places", || {
        (ask("198.51.100.7").status() == 200).then_some(())
    });
}

fn join(server: &Server, forwarded: &str, name: &str, password: &str) -> Reply {
    let guest = server.guest();
    let request = guest.request("POST", "/connect");
    let request = request.header("X-Forwarded-For", forwarded);
    request
        .json(&json!({"name": name, "password": password}))
        .send()
}

fn guarded() -> Server {
    let server = with("guesses = 4\nguesses_per = \"1h\"\ntrusted_proxies = [\"127.0.0.1\"]");
    for name in ["ann", "bob", "cat", "dan", "eve"] {
        join(&server, "192.0.2.1", name, "the right one").expect(201);
    }
    server
}

#[test]
fn guessing_at_one_name_is_slowed_down_from_wherever_it_comes() {
    let server = guarded();
    let ann = Client::welcomed(
        &server.url(),
        &join(&server, "192.0.2.9", "ann", "the right one").expect(200),
    );
    for number in 0..4 {
        join(&server, &format!("198.51.100.{number}"), "Ann", "a guess")
            .problem(401, "wrong_password");
    }
    let refused = join(&server, "198.51.100.9", "ANN", "a guess");
    refused.problem(429, "too_many_guesses");
    let wait = refused.retry_after();
    assert!(
        wait > Duration::from_secs(800) && wait <= Duration::from_secs(900),
        "{wait:?}"
    );
    // The right one is not looked at either, or it could be told by that.
    join(&server, "198.51.100.9", "ann", "the right one").problem(429, "too_many_guesses");
    // Ann herself gets in from where she was, and wherever one of her clients is.
    join(&server, "192.0.2.9", "ann", "the right one").expect(200);
    ann.again();
    join(&server, "198.51.100.9", "bob", "the right one").expect(200);
}

#[test]
fn guessing_from_one_address_is_slowed_down_whatever_the_name() {
    let server = guarded();
    for name in ["ann", "bob", "cat", "dan"] {
        join(&server, "198.51.100.7", name, "a guess").problem(401, "wrong_password");
    }
    for password in ["a guess", "the right one"] {
        join(&server, "198.51.100.7", "eve", password).problem(429, "too_many_guesses");
    }
    join(&server, "198.51.100.8", "eve", "the right one").expect(200);
    join(&server, "198.51.100.7", "somebody new", "x").problem(422, "invalid");
    join(&server, "198.51.100.7", "somebody-new", "x").expect(201);
    // An IPv6 network is one.
    for number in 0..4 {
        let name = ["ann", "bob", "cat", "dan"][number];
        join(&server, &format!("2001:db8::{number}"), name, "a guess")
            .problem(401, "wrong_password");
    }
    join(&server, "2001:db8::ffff", "eve", "a guess").problem(429, "too_many_guesses");
}

#[test]
fn nobody_takes_all_the_places_where_passwords_are_worked_on() {
    let server = guarded();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let server = &server;
        let joins: Vec<_> = (0..60)
            .map(|number| {
                scope.spawn(move || {
                    let name = format!("flood{number}");
                    join(server, "198.51.100.7", &name, "x").status
                })
            })
            .collect();
        join(server, "198.51.100.8", "fay", "x").expect(201);
        let joined = joins
            .into_iter()
            .map(|join| join.join().unwrap_or_default());
        joined.collect()
    });
    assert!(statuses.iter().all(|status| [201, 503].contains(status)));
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.contains(&201), "{statuses:?}");
}

#[test]
fn right_passwords_are_no_guesses_and_wrong_ones_are_forgiven_in_time() {
    let server = with("guesses = 2\nguesses_per = \"4s\"\nexempt = []");
    let join = |password: &str| server.join(&json!({"name": "ann", "password": password}));
    for _ in 0..6 {
        let reply = join("right");
        assert!(matches!(reply.status, 200 | 201), "{reply}");
    }
    join("wrong").problem(401, "wrong_password");
    join("wrong").problem(401, "wrong_password");
    let refused = join("right");
    refused.problem(429, "too_many_guesses");
    let begun = Instant::now();
    let wait = refused.retry_after();
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    wait_until("the next guess", || {
        (join("right").status == 200).then_some(())
    });
    assert!(begun.elapsed() < wait + Duration::from_secs(1));
}

#[test]
fn unknown_tokens_are_answered_ever_later_and_known_ones_at_once() {
    let server = with("guesses = 3\ntrusted_proxies = [\"127.0.0.1\"]");
    let ann = server.connect("ann");
    let ask = |token: &str, forwarded: &str| {
        let begun = Instant::now();
        let guest = Client::new(&server.url(), token);
        let request = guest.request("GET", "/status");
        let reply = request.header("X-Forwarded-For", forwarded).send();
        (reply, begun.elapsed())
    };
    for _ in 0..3 {
        ask("nobodys", "198.51.100.7")
            .0
            .problem(401, "unauthorized");
    }
    let (reply, took) = ask("nobodys", "198.51.100.7");
    reply.problem(429, "too_many_guesses");
    assert!(reply.retry_after() > Duration::ZERO);
    assert!(took >= Duration::from_secs(1), "{took:?}");
    // Joining is no way around it.
    let again = Client::new(&server.url(), "nobodys").request("POST", "/connect");
    let again = again.header("X-Forwarded-For", "198.51.100.7");
    again
        .json(&json!({"name": "ann"}))
        .send()
        .problem(429, "too_many_guesses");
    let (reply, took) = ask(&ann.token, "198.51.100.7");
    reply.expect(200);
    assert!(took < Duration::from_secs(1), "{took:?}");
    ask("nobodys", "198.51.100.8")
        .0
        .problem(401, "unauthorized");
    // No token is no guess.
    for _ in 0..5 {
        ask("", "198.51.100.9").0.problem(401, "unauthorized");
    }
    ask("nobodys", "198.51.100.9")
        .0
        .problem(401, "unauthorized");
}

/// A connection that does harm in one way, by the address that it comes from.
fn harm(kind: usize, server: &Server, token: &str, address: IpAddr) -> Wire {
    let mut wire = from(&address.to_string(), server.address());
    let post = format!(
        "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let begin = match kind {
        // A head, a body, an endless head and endless chunks that never come to their end.
        0 => "GET / HT".to_owned(),
        1 => format!("{post}Content-Length: 1000\r\n\r\n{{"),
        2 => format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "X: y\r\n".repeat(50)),
        3 => format!("{post}Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n {}", "\r\n1\r\n ".repeat(500)),
        // Streams and pages that nobody reads.
        4 => format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"),
        _ => format!("GET /messages?chat=common&limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").repeat(20),
    };
    wire.write(begin);
    wire
}

#[test]
fn slow_and_endless_peers_from_one_address_are_bounded_and_others_notice_nothing() {
    let server = with("connections = 600\nper_address = 200\nexempt = [\"127.0.0.1\"]");
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    for _ in 0..50 {
        ann.say(&"x".repeat(4000));
    }
    let mut events = bob.events();
    let hostile = IpAddr::from([127, 6, 6, 6]);
    // Thousands, of which few get in.
    let wires: Vec<Wire> = (0..1200)
        .map(|number| harm(number % 6, &server, &bob.token, hostile))
        .collect();
    let mut longest = Duration::ZERO;
    for number in 0..50 {
        let text = format!("m{number}");
        let begun = Instant::now();
        ann.say(&text);
        events.until_text(&text);
        // Whoever comes now gets in.
        let status = asks(&mut from("127.0.0.9", server.address()));
        assert_eq!(status, 200);
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    drop(wires);
    wait_until("the places of those that are gone", || {
        let mut wire = from(&hostile.to_string(), server.address());
        wire.write(GET);
        (wire.try_response()?.status() == 200).then_some(())
    });
}
