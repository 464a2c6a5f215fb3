//! Data of earlier versions opens, and shows what it showed.
//!
//! `format-2.tar.gz` is the data folder of a server that was stopped, with its config.toml, of the last
//! format without checksums; `format-2.json` what its users were answered, and their tokens.

use std::process::Command;

use serde_json::{Value, json};
use veche::testing::{Client, Server, run};

#[test]
fn data_without_checksums_gets_them_and_shows_what_it_showed() {
    let mut server = Server::start();
    server.kill();
    std::fs::remove_dir_all(server.data()).expect("the empty data goes");
    let archive = server
        .folder()
        .write("old.tar.gz", include_bytes!("format-2.tar.gz"));
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(server.folder().path())
        .status()
        .expect("tar is there");
    assert!(unpacked.success());
    let config = std::fs::read_to_string(server.folder().join("config.toml")).expect("a config");
    server.configure(config);

    let kept: Value = serde_json::from_str(include_str!("format-2.json")).expect("JSON");
    let client = |name: &Value, server: &Server| {
        let token = kept["tokens"][name.as_str().unwrap_or_default()].as_str();
        Client::new(&server.url(), token.unwrap_or_default())
    };
    for _ in 0..2 {
        server.restart();
        for answer in kept["answers"].as_array().into_iter().flatten() {
            let path = answer[1].as_str().unwrap_or_default();
            let now = client(&answer[0], &server).get(path);
            assert_eq!(now.status, 200, "{path}: {now}");
            match answer[2].as_str() {
                Some(before) => assert_eq!(now.text, before, "{path}"),
                None => assert_eq!(now.text.len(), 70_000, "{path}"),
            }
        }
        client(&json!("dan"), &server)
            .send("common", "x")
            .problem(403, "banned");
        let data = server.data();
        let arguments = ["verify".as_ref(), "--data".as_ref(), data.as_os_str()];
        let found = run(server.folder().path(), arguments);
        assert!(found.status.success(), "{found:?}");
    }
    let told = server.log().matches("giving every row").count();
    assert_eq!(told, 1, "they are given once");
}
