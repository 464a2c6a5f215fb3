//! The console client and servers that speak TLS.

use std::process::{Command, Stdio};

use veche::testing::{Folder, Output, Server, binary, run};

use super::Authority;

/// `veche send` as `ann`, with further flags.
fn send(folder: &Folder, server: &str, flags: &[&str]) -> Output {
    let mut arguments = vec![
        "send", "common", "hello", "--name", "ann", "--server", server,
    ];
    arguments.extend(flags);
    run(folder.path(), arguments)
}

#[test]
fn a_server_is_verified_by_the_authorities_of_a_file() {
    let authority = Authority::new();
    let server = authority.server("");
    let ca = authority.file().display().to_string();
    let home = Folder::new();
    let sent = send(&home, &server.url(), &["--ca", &ca]);
    assert!(sent.status.success(), "{sent:?}");
    // By the environment, and by the file of settings.
    let by_environment = Command::new(binary())
        .args(["send", "common", "again", "--server", &server.url()])
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("VECHE_NAME", "ann")
        .env("VECHE_CA", &ca)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert!(by_environment.status.success(), "{by_environment:?}");
    std::fs::write(
        home.join(".config/veche/client.toml"),
        format!("server = {:?}\nname = \"ann\"\nca = {ca:?}\n", server.url()),
    )
    .expect("a file");
    let by_file = run(home.path(), ["send", "common", "once more"]);
    assert!(by_file.status.success(), "{by_file:?}");
    let unread = Command::new(binary())
        .args([
            "chat",
            "bob",
            "--json",
            "--server",
            &server.url(),
            "--ca",
            &ca,
        ])
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.join(".bob"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let seen = String::from_utf8_lossy(&unread.stdout).into_owned();
    for text in ["hello", "again", "once more"] {
        assert!(seen.contains(text), "{text}: {seen}");
    }
}

#[test]
fn one_that_nobody_vouches_for_is_not_spoken_to() {
    let authority = Authority::new();
    let server = authority.server("");
    let home = Folder::new();
    // Without the flag: by the system's authorities, of which this is none.
    let refused = send(&home, &server.url(), &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--ca FILE"), "{refused:?}");
    // By another authority.
    let other = Authority::new();
    let ca = other.file().display().to_string();
    let refused = send(&home, &server.url(), &["--ca", &ca]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not one to trust"), "{refused:?}");
}

#[test]
fn one_whose_certificate_has_another_name_is_not_spoken_to() {
    let authority = Authority::new();
    authority.certify("chat.example.org");
    let server = Server::builder()
        .core()
        .config(authority.settings(""))
        .start();
    let ca = authority.file().display().to_string();
    let refused = send(&Folder::new(), &server.url(), &["--ca", &ca]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not one to trust"), "{refused:?}");
}

#[test]
fn the_wrong_scheme_is_told() {
    let authority = Authority::new();
    let tls = authority.server("");
    let plain = Server::core();
    let home = Folder::new();
    let refused = send(&home, &format!("http://{}", tls.address()), &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("https://"), "{refused:?}");
    let ca = authority.file().display().to_string();
    let refused = send(
        &home,
        &format!("https://{}", plain.address()),
        &["--ca", &ca],
    );
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("http://"), "{refused:?}");
}

#[test]
fn a_file_of_authorities_that_is_none_is_named() {
    let home = Folder::new();
    home.write("ca.pem", "nothing");
    for (file, said) in [
        ("missing.pem", "No such file"),
        ("ca.pem", "no certificate in PEM"),
    ] {
        let refused = send(&home, "https://127.0.0.1:1", &["--ca", file]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let names = refused.stderr.contains(file) && refused.stderr.contains(said);
        assert!(names, "{refused:?}");
    }
}
