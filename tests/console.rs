//! The console client without a terminal: lines in, lines out.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use veche::testing::{Folder, Server, binary, wait_until};

/// What `veche chat` printed, given these lines and then the end of stdin.
fn chat(server: &Server, home: &Folder, arguments: &[&str], lines: &str) -> (bool, String, String) {
    let output = home.join("output");
    let file = std::fs::File::create(&output);
    let mut command = Command::new(binary());
    command
        .arg("chat")
        .args(arguments)
        .args(["--server", &server.url()])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    if let Ok(file) = file {
        command.stdout(file);
    }
    let Ok(mut child) = command.spawn() else {
        unreachable!("the binary starts")
    };
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(lines.as_bytes());
    }
    wait_until("the client to end with its stdin", || {
        child.try_wait().ok().flatten()
    });
    let Ok(ended) = child.wait_with_output() else {
        unreachable!("an ended child is there")
    };
    let printed = std::fs::read_to_string(output).unwrap_or_default();
    (
        ended.status.success(),
        printed,
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}

#[test]
fn each_line_is_posted_and_it_ends_with_stdin() {
    let server = Server::core();
    let bob = server.connect("bob");
    let home = Folder::new();
    let (ok, _, errors) = chat(
        &server,
        &home,
        &["ann"],
        "hello\nпривет 😀\n\n/msg @bob psst\n",
    );
    assert!(ok, "{errors}");
    assert_eq!(bob.texts("common"), ["hello", "привет 😀"]);
    assert_eq!(bob.texts("@ann"), ["psst"]);
}

#[test]
fn it_prints_what_was_said_before_and_what_is_unread() {
    let server = Server::core();
    let bob = server.connect("bob");
    bob.say("earlier");
    let home = Folder::new();
    let (ok, printed, errors) = chat(&server, &home, &["ann"], "hello\n");
    assert!(ok, "{errors}");
    assert!(
        printed
            .lines()
            .any(|line| line.contains("bob") && line.contains("earlier")),
        "{printed}"
    );
    assert!(
        !printed.contains('\u{1b}'),
        "colours are for terminals: {printed:?}"
    );
}

#[test]
fn as_json_it_prints_one_event_a_line() {
    let server = Server::core();
    let bob = server.connect("bob");
    bob.say("two\nlines");
    let home = Folder::new();
    let (ok, printed, errors) = chat(&server, &home, &["ann", "--json"], "hello\n");
    assert!(ok, "{errors}");
    let events: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or(Value::Null))
        .collect();
    assert!(
        !events.is_empty() && events.iter().all(Value::is_object),
        "{printed}"
    );
    assert!(
        events
            .iter()
            .any(|event| event["data"]["text"] == "two\nlines"),
        "{printed}"
    );
}

#[test]
fn it_comes_back_as_the_same_user_by_the_token_that_it_kept_for_itself_alone() {
    let server = Server::core();
    let bob = server.connect("bob");
    let home = Folder::new();
    for text in ["one", "two"] {
        let (ok, _, errors) = chat(&server, &home, &["ann"], &format!("{text}\n"));
        assert!(ok, "{errors}");
    }
    assert_eq!(bob.texts("common"), ["one", "two"]);
    let kept: Vec<_> = home
        .all()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("output"))
        .collect();
    assert!(!kept.is_empty(), "a token is kept");
    #[cfg(unix)]
    for (path, _) in kept {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).map(|file| file.permissions().mode() & 0o777);
        assert_eq!(mode.ok(), Some(0o600), "{}", path.display());
    }
    // Somebody else at another machine is not let in by the name alone.
    let (ok, _, errors) = chat(&server, &Folder::new(), &["ann"], "three\n");
    assert!(!ok);
    assert!(!errors.is_empty());
    assert_eq!(bob.texts("common").len(), 2);
}

#[test]
fn a_password_comes_from_a_file() {
    let server = Server::core();
    server.client(&json!({ "name": "ann", "password": "secret" }));
    let home = Folder::new();
    home.write("password", "secret\n");
    let (ok, _, errors) = chat(
        &server,
        &home,
        &["ann", "--password-file", "password"],
        "hello\n",
    );
    assert!(ok, "{errors}");
    assert_eq!(server.connect("bob").texts("common"), ["hello"]);
}

#[test]
fn a_server_that_is_not_there_is_an_error_in_words() {
    let mut server = Server::core();
    server.kill();
    let home = Folder::new();
    let (ok, printed, errors) = chat(&server, &home, &["ann", "--wait", "0s"], "");
    assert!(!ok, "{printed}");
    let expected = format!(
        "veche: {} cannot be reached: nothing listens there\n",
        server.url()
    );
    assert_eq!(errors, expected);
}

#[test]
fn signing_out_is_no_loss_of_the_connection() {
    let server = Server::core();
    let home = Folder::new();
    for round in 0..5 {
        // The first asks once more, since without a password the name would be lost.
        let name = format!("ann{round}");
        let (ok, _, errors) = chat(&server, &home, &[&name], "hello\n/logout\n/logout\n");
        assert!(ok, "{errors}");
        assert!(!errors.contains("connection"), "{errors}");
    }
}
