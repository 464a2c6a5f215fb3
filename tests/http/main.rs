//! HTTP/1.1 on the wire, byte by byte: what is taken, what is refused and how the connection goes
//! on after it. "9110" and "9112" are the RFCs that the clauses are quoted from.

mod bodies;
mod connections;
mod heads;

use veche::testing::Server;

const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A request that must be answered with `status`, and after which the connection goes on.
fn taken(server: &Server, clause: &str, request: &[u8], status: u16) {
    let mut wire = server.wire();
    wire.write(request);
    wire.write(NEXT);
    let first = wire.response();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert_eq!(
        first.status(),
        status,
        "{clause}: {shown:?}: {:?}",
        first.json()
    );
    let second = wire.response();
    assert_eq!(
        second.status(),
        200,
        "{clause}: the request after {shown:?}"
    );
}

/// A request that could be read in two ways: one refusal, and nothing after it is a request.
fn refused(server: &Server, clause: &str, request: &[u8], statuses: &[u16]) {
    let mut wire = server.wire();
    wire.write(request);
    wire.write(NEXT);
    let first = wire.response();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert!(
        statuses.contains(&first.status()),
        "{clause}: {shown:?} is {} instead of {statuses:?}: {:?}",
        first.status(),
        first.json()
    );
    assert!(
        first.closes(),
        "{clause}: {shown:?} is answered without `Connection: close`"
    );
    let rest = wire.rest();
    assert!(
        rest.is_empty(),
        "{clause}: {shown:?} is followed by {:?}",
        String::from_utf8_lossy(&rest)
    );
}

fn get(head: &str) -> Vec<u8> {
    format!("GET /healthz HTTP/1.1\r\n{head}\r\n\r\n").into_bytes()
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /connect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n\r\n{body}")
        .into_bytes()
}

/// `{"name":"NAME"}` as one chunk whose framing is the test's.
fn chunked(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked", body)
}
