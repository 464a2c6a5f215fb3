//! What systemd is told, and what it hands over. The tests play its part.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use veche::testing::{Client, Folder, PATIENCE, Server, Wire, binary, wait_until};

/// The socket that is told of the server's state.
struct Manager {
    folder: Folder,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { folder, socket }
    }

    fn start(&self, variables: &[(&str, &str)]) -> Server {
        let mut builder = Server::builder()
            .core()
            .env("NOTIFY_SOCKET", self.folder.join("notify"));
        for (name, value) in variables {
            builder = builder.env(name, value);
        }
        builder.start()
    }

    fn told(&self) -> Vec<String> {
        let mut message = [0; 1024];
        let length = self.socket.recv(&mut message).expect("news");
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        message.lines().map(str::to_owned).collect()
    }
}

#[test]
fn it_is_told_when_the_server_is_ready_reloads_and_stops() {
    let manager = Manager::new();
    let mut server = manager.start(&[]);
    assert_eq!(manager.told(), ["READY=1"]);
    server.guest().get("/healthz").expect(200);
    server.terminate("HUP");
    let reloading = manager.told();
    assert_eq!(reloading.first().map(String::as_str), Some("RELOADING=1"));
    let since = reloading
        .get(1)
        .and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(since.is_some_and(|since| since.parse::<u64>().is_ok_and(|since| since > 0)));
    assert_eq!(manager.told(), ["READY=1"]);
    server.terminate("TERM");
    assert_eq!(manager.told(), ["STOPPING=1"]);
    assert!(server.stopped().success());
}

#[test]
fn one_that_does_not_read_keeps_the_server_from_nothing() {
    let manager = Manager::new();
    let filling = UnixDatagram::unbound().expect("a socket");
    filling.set_nonblocking(true).expect("a socket");
    let place = manager.folder.join("notify");
    let mut waiting = 0;
    while filling.send_to(b"X=1", &place).is_ok() {
        waiting += 1;
    }
    let mut server = manager.start(&[("WATCHDOG_USEC", "400000")]);
    server.guest().get("/healthz").expect(200);
    server.terminate("HUP");
    wait_until("the reload", || {
        let log = server.log();
        log.contains("nothing is read again").then_some(())
    });
    // What found no room is told as soon as there is some.
    for _ in 0..waiting {
        assert_eq!(manager.told(), ["X=1"]);
    }
    let told = |state: &str| manager.told().iter().any(|line| line == state);
    wait_until("READY=1", || told("READY=1").then_some(()));
    while filling.send_to(b"X=1", &place).is_ok() {}
    let begun = Instant::now();
    assert!(server.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
#[cfg(target_os = "linux")]
fn it_is_told_at_a_socket_without_a_file_too() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("veche-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let server = Server::builder()
        .core()
        .env("NOTIFY_SOCKET", format!("@{name}"));
    let _server = server.start();
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("news");
    assert_eq!(&message[..length], b"READY=1\n");
}

#[test]
fn it_hears_twice_in_the_time_it_allows_that_the_server_lives() {
    let manager = Manager::new();
    let server = manager.start(&[("WATCHDOG_USEC", "400000")]);
    assert_eq!(manager.told(), ["READY=1"]);
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(manager.told(), ["WATCHDOG=1"]);
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}");
    // One that does not run says nothing.
    server.terminate("STOP");
    let patience = Some(Duration::from_millis(800));
    manager
        .socket
        .set_read_timeout(patience)
        .expect("a timeout");
    let last = Instant::now();
    let mut message = [0; 64];
    while manager.socket.recv(&mut message).is_ok() {
        assert!(last.elapsed() < PATIENCE, "it goes on");
    }
    server.terminate("CONT");
    manager
        .socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    assert_eq!(manager.told(), ["WATCHDOG=1"]);
}

/// A server with sockets handed over, which ends with the test.
struct Handed(Child);

impl Drop for Handed {
    fn drop(&mut self) {
        // One that has ended can't be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server with sockets handed over from descriptor 3 on.
fn handed(folder: &Folder, socket: OwnedFd, count: usize) -> Handed {
    // `exec` keeps the number of the process, which the variable must name.
    let script = "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 4<&0 </dev/null";
    let started = Command::new("sh")
        .args(["-c", script])
        .arg(binary())
        .args(["serve", "--listen", "127.0.0.1:1", "--data", "data"])
        .current_dir(folder.path())
        .env("LISTEN_FDS", count.to_string())
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Handed(started.expect("a shell"))
}

#[test]
fn it_hands_over_the_socket_to_listen_on() {
    let folder = Folder::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    // Who comes before the server does is served as well.
    let mut early = Wire::open(address);
    early.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut server = handed(&folder, socket.into(), 1);
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, format!("listening on http://{address}\n"));
    assert_eq!(early.response().status(), 200);
    let guest = Client::new(&format!("http://{address}"), "");
    guest.get("/healthz").expect(200);
}

#[test]
fn what_is_not_one_tcp_socket_is_refused_with_the_reason() {
    let folder = Folder::new();
    let datagrams = UnixDatagram::bind(folder.join("socket")).expect("a socket");
    let two = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connected = TcpStream::connect(two.local_addr().expect("an address")).expect("a peer");
    for (socket, count, said) in [
        (OwnedFd::from(datagrams), 1, "not a valid tcp socket"),
        (OwnedFd::from(two), 2, "there are 2 sockets"),
        (OwnedFd::from(connected), 1, "the socket does not listen"),
    ] {
        let mut server = handed(&folder, socket, count);
        let status = wait_until("the refusal", || server.0.try_wait().ok().flatten());
        let mut stderr = String::new();
        let pipe = server.0.stderr.as_mut().expect("piped");
        pipe.read_to_string(&mut stderr).expect("text");
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert!(stderr.contains("one TCP socket"), "{stderr}");
    }
}
