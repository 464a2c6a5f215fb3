//! The files feature: uploaded, sent, seen by whom it concerns, and gone with the last message.

#![cfg(has_feature = "files")]

mod bucket;
mod damage;
mod downloads;
mod in_a_bucket;
mod later;
mod life;
mod uploads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use veche::testing::{Client, Folder, Reply, Server, binary, features, run, wait_until};

/// What the default allows.
const MAX: usize = 5 * 1024 * 1024;

fn server() -> Server {
    Server::only("files", "")
}

fn upload(client: &Client, name: &str, bytes: &[u8]) -> Value {
    raw(client, name, bytes).expect(201)
}

fn raw(client: &Client, name: &str, bytes: &[u8]) -> Reply {
    let path = format!("/files?name={}", veche::testing::encode(name));
    client
        .request("POST", &path)
        .body(bytes, "text/plain")
        .send()
}

/// A form with these parts: name, file name, bytes.
fn form(client: &Client, parts: &[(&str, Option<&str>, &[u8])]) -> Reply {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    let request = client.request("POST", "/files");
    request.body(body, "multipart/form-data; boundary=b").send()
}

fn send(client: &Client, to: &str, file: &Value) -> Reply {
    client.post("/send", &json!({"to": to, "file": file["id"]}))
}

fn get(client: &Client, file: &Value) -> Reply {
    client.get(file["url"].as_str().unwrap_or_default())
}

/// Whether another feature is there: its file may be taken out.
fn has(feature: &str) -> bool {
    features(&binary()).iter().any(|name| name == feature)
}

/// The objects on the disk, whole or in the making.
fn stored(server: &Server) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.data().join("files"))
        .into_iter()
        .flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.file_name().is_some_and(|name| name != "lock"))
        .collect()
}

fn nothing_stored(server: &Server) {
    wait_until("the folder of the files to be empty", || {
        stored(server).is_empty().then_some(())
    });
}

/// Begins an upload, and waits until some of it is on the disk.
fn half(server: &Server, ann: &Client) -> veche::testing::Wire {
    let mut wire = server.wire();
    wire.write(format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {MAX}\r\n\r\n",
        ann.token
    ));
    wire.write(vec![b'x'; MAX / 2]);
    wait_until("the upload to be under way", || {
        let paths = stored(server);
        let mut parts = paths
            .iter()
            .filter(|path| path.to_string_lossy().contains('#'));
        let begun = parts.any(|path| size(path) > 0);
        begun.then_some(())
    });
    wire
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0))
}
