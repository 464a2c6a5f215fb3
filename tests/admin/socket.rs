//! The socket itself, and who reaches what over it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::{Value, json};
use veche::testing::{Folder, Server, binary, features, run};

/// What the socket answers to a request, whole.
fn asked(server: &Server, request: &str) -> String {
    let socket = server.data().join("admin.sock");
    let mut socket = UnixStream::connect(socket).expect("somebody listens");
    socket.write_all(request.as_bytes()).expect("it takes it");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The commands that a server offers, as its socket describes them.
fn offered(server: &Server) -> Vec<Value> {
    let request = "GET /admin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = asked(server, request);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    body["commands"].as_array().expect("a list").clone()
}

#[test]
fn arguments_come_as_a_forms_fields_and_nothing_else_is_taken_for_them() {
    let server = Server::core();
    let ann = server.connect("ann");
    let id = ann.say("hello")["id"].to_string();
    let remove = |kind: &str, body: &str| {
        let length = body.len();
        let head = "POST /admin/remove HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let request = format!("{head}{kind}Content-Length: {length}\r\n\r\n{body}");
        asked(&server, &request)
    };
    for kind in [
        "Content-Type: application/json\r\n",
        "Content-Type: text/plain\r\n",
        "",
    ] {
        let answer = remove(kind, &json!({ "message": id }).to_string());
        assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
        assert!(answer.contains("unsupported_type"), "{answer}");
        let allowed = "application/x-www-form-urlencoded";
        assert!(answer.contains(allowed), "{answer}");
    }
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = "x".repeat(60_000);
    let answer = remove(kind, &format!("message={long}"));
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    let answer = remove(kind, &format!("message={id}"));
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let audit = server.told(&["audit"]);
    let record = audit["audit"].as_array().expect("a record");
    assert_eq!(record.len(), 2, "{record:?}");
    let kept = &record[0]["arguments"]["message"];
    let kept = kept.as_str().expect("an argument");
    assert_eq!(kept.chars().count(), 1001);
    assert!(!server.log().contains(&long));
}

#[test]
fn it_is_the_servers_own_users_alone_and_goes_with_the_server() {
    let mut server = Server::core();
    server.connect("ann");
    let socket = server.data().join("admin.sock");
    let found = fs::symlink_metadata(&socket).expect("it is there");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert!(server.stop().success());
    assert!(
        !socket.exists(),
        "a server that has stopped listens to nobody"
    );
    refused_by_nobody(&server);
    server.restart();
    assert_eq!(server.told(&["users"])["users"][0]["name"], "ann");
    server.kill();
    assert!(socket.exists(), "a killed one leaves it");
    refused_by_nobody(&server);
    server.restart();
    assert_eq!(server.told(&["users"])["users"][0]["name"], "ann");
}

fn refused_by_nobody(server: &Server) {
    let output = server.admin(&["users"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("admin.sock"), "{output:?}");
}

#[test]
fn the_settings_say_where_it_is_and_whether_there_is_one() {
    let server = Server::with("[server]\nadmin = \"\"\n");
    assert!(!server.data().join("admin.sock").exists());
    let output = server.admin(&["users"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stderr.contains("server.admin"), "{output:?}");
    let elsewhere = Folder::new();
    let socket = elsewhere.join("chat.sock");
    let server = Server::with(format!("[server]\nadmin = {socket:?}\n"));
    assert!(socket.exists() && !server.data().join("admin.sock").exists());
    let output = run(
        server.folder().path(),
        ["admin", "--config", "config.toml", "users"],
    );
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_is_no_stale_socket_is_neither_taken_away_nor_taken_over() {
    let folder = Folder::new();
    let refused = |path: &Path, why: &str| {
        let config = format!("[server]\nlisten = \"127.0.0.1:0\"\nadmin = {path:?}\n");
        folder.write("config.toml", config);
        let output = run(folder.path(), ["serve"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let named = output.stderr.contains("server.admin") && output.stderr.contains(why);
        assert!(named, "{why}: {output:?}");
    };
    let file = folder.write("precious", "precious");
    refused(&file, "no socket");
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    let taken = folder.join("taken.sock");
    let _listener = UnixListener::bind(&taken).expect("a socket");
    refused(&taken, "another server");
    assert!(taken.exists());
    refused(&folder.join("x".repeat(120)), "longer");
}

#[test]
fn no_command_can_be_reached_over_tcp() {
    let server = Server::builder().all().start();
    let ann = server.connect("ann");
    let offered = offered(&server);
    assert!(offered.len() > 3, "{offered:?}");
    let names = offered
        .iter()
        .map(|command| command["name"].as_str().unwrap_or("?"));
    let paths = names.map(|name| format!("/admin/{name}"));
    for path in paths.chain(["/admin".to_owned(), "/admin/".to_owned()]) {
        for client in [&server.guest(), &ann] {
            client.get(&path).problem(404, "not_found");
            client.post(&path, &json!({})).problem(404, "not_found");
            client.delete(&path).problem(404, "not_found");
        }
    }
    let described = server.guest().get("/openapi.json").expect(200);
    let paths = described["paths"].as_object().expect("paths");
    assert!(paths.keys().all(|path| !path.contains("admin")));
    // Nor anything else over the socket.
    use std::io::{Read, Write};
    let mut socket = std::os::unix::net::UnixStream::connect(server.data().join("admin.sock"))
        .expect("somebody listens");
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    socket.write_all(request).expect("it takes a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
fn every_command_stands_in_the_documentation_and_every_one_there_is_offered() {
    let server = Server::builder().all().start();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operation.md");
    let page = fs::read_to_string(page).expect("a page");
    let there = features(&binary());
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| `veche admin …`"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<(String, String)> = rows
        .filter_map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let usage = cells.next()?.trim_matches('`').to_owned();
            Some((usage, cells.next()?.to_owned()))
        })
        .filter(|(_, owner)| owner == "core" || there.contains(owner))
        .collect();
    let word = |command: &Value, name: &str| command[name].as_str().unwrap_or("?").to_owned();
    let offered = offered(&server);
    let offered: BTreeSet<_> = offered
        .iter()
        .map(|command| (word(command, "usage"), word(command, "feature")))
        .collect();
    assert_eq!(listed, offered);
}
