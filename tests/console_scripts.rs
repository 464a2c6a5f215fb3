//! What scripts call: one thing done, a line of output, and an exit status.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use veche::testing::{Folder, Server, binary, features};

fn command(home: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env_remove("VECHE_SERVER")
        .env_remove("VECHE_NAME");
    command
}

fn run(home: &Folder, arguments: &[&str], stdin: &str) -> Output {
    let child = command(home, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        unreachable!("the binary starts")
    };
    if let Some(mut input) = child.stdin.take() {
        // One that reads nothing may have ended by now.
        let _ = input.write_all(stdin.as_bytes());
    }
    let Ok(output) = child.wait_with_output() else {
        unreachable!("a child that was started ends")
    };
    output
}

fn line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

/// A home whose config file names the server and the user.
fn home(server: &Server, name: &str) -> Folder {
    let home = Folder::new();
    let folder = home.join(".config/veche");
    let text = format!("server = \"{}\"\nname = \"{name}\"\n", server.url());
    let made = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("client.toml"), text));
    assert!(made.is_ok(), "{made:?}");
    home
}

#[test]
fn a_text_is_sent_from_the_command_line_or_from_standard_input() {
    let server = Server::core();
    let bob = server.connect("bob");
    let home = home(&server, "ann");
    let id = line(&run(&home, &["send", "common", "hello"], ""));
    assert_eq!(bob.messages("common")[0]["id"].to_string(), id);
    line(&run(&home, &["send", "@bob"], "two\nlines\n"));
    assert_eq!(bob.texts("common"), ["hello"]);
    assert_eq!(bob.texts("@ann"), ["two\nlines"]);
    // Flags come before the file.
    let as_carl = ["send", "@bob", "psst", "--name", "carl"];
    line(&run(&home, &as_carl, ""));
    assert_eq!(bob.texts("@carl"), ["psst"]);
}

#[test]
fn the_exit_status_tells_what_may_be_tried_again() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let home = home(&server, "ann");
    let code = |arguments: &[&str]| {
        let output = run(&home, arguments, "");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!output.stderr.is_empty(), "{output:?}");
        output.status.code()
    };
    assert_eq!(code(&["send", "@nobody", "x"]), Some(1));
    assert_eq!(code(&["send", "The Garden", "x"]), Some(1));
    assert_eq!(code(&["send"]), Some(2));
    assert_eq!(code(&["send", "common", "x", "--name", "bob"]), Some(4));
    server.kill();
    assert_eq!(code(&["send", "common", "x", "--wait", "0s"]), Some(3));
    drop(bob);
    assert_eq!(
        run(&Folder::new(), &["send", "common", "x"], "")
            .status
            .code(),
        Some(4)
    );
}

#[test]
fn a_server_that_is_down_is_waited_for_in_silence() {
    let mut server = Server::core();
    let bob = server.connect("bob");
    let home = home(&server, "ann");
    line(&run(&home, &["send", "common", "one"], ""));
    server.kill();
    let output = run(&home, &["send", "common", "two", "--wait", "1s"], "");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!(
        "veche: {} cannot be reached: nothing listens there\n",
        server.url()
    );
    assert_eq!(told, expected, "it is told once, in words");
    let waiting = command(&home, &["send", "common", "three"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut waiting) = waiting else {
        unreachable!("the binary starts")
    };
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().is_ok_and(|ended| ended.is_none()));
    server.restart();
    let Ok(output) = waiting.wait_with_output() else {
        unreachable!("a child that was started ends")
    };
    line(&output);
    assert_eq!(bob.texts("common"), ["one", "three"]);
}

#[test]
fn a_refusal_is_told_once_and_without_the_words_of_programs() {
    let server = Server::core();
    let _bob = server.connect("bob");
    let home = home(&server, "ann");
    let told = |arguments: &[&str]| {
        let output = run(&home, arguments, "");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(
        told(&["send", "common", "x", "--name", "bob"]),
        "veche: the name bob is taken, and it has no password by which you could show that it is \
         yours; choose another name\n"
    );
    let bad = told(&["send", "common", "x", "--name", "a b"]);
    assert!(bad.contains("can't be in a name"), "{bad}");
    assert!(!bad.contains('`'), "{bad}");
    let refused = told(&["send", "@nobody", "x"]);
    assert_eq!(refused.matches(": ").count(), 1, "{refused}");
    assert!(
        refused.ends_with("no such chat or user as @nobody\n"),
        "{refused}"
    );
    let help = String::from_utf8_lossy(&run(&home, &["chat", "--help"], "").stdout).into_owned();
    for word in ["plain = true", "bell = false", "--wait"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn what_the_server_wants_later_has_the_status_of_what_may_be_tried_again() {
    if !features(&binary())
        .iter()
        .any(|known| known == "rate_limit")
    {
        return;
    }
    let server = Server::only("rate_limit", "messages = 1");
    let home = home(&server, "ann");
    line(&run(&home, &["send", "common", "one"], ""));
    let output = run(&home, &["send", "common", "two"], "");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("again in"));
}

struct Listening(Child);

impl Drop for Listening {
    fn drop(&mut self) {
        // One that has ended is no fault here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_said_is_listened_to_as_lines_or_as_json() {
    let server = Server::core();
    let bob = server.connect("bob");
    bob.say("before\u{1b}[2J");
    for arguments in [&["listen"][..], &["listen", "--json"]] {
        let home = home(&server, if arguments.len() == 1 { "ann" } else { "carl" });
        let child = command(&home, arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            unreachable!("the binary starts")
        };
        let stdout = child.stdout.take().map(BufReader::new);
        let _listening = Listening(child);
        let mut lines = stdout.into_iter().flat_map(|out| out.lines()).flatten();
        let mut next = |text: &str| {
            let found = lines.find(|line| line.contains(text)).unwrap_or_default();
            assert!(!found.contains('\u{1b}'), "{found:?}");
            found
        };
        next("before");
        bob.say("one\nmore");
        let line = next("one");
        if arguments.len() == 1 {
            assert!(line.ends_with("bob: one\\nmore"), "{line}");
        } else {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            assert_eq!(event["data"]["text"], "one\nmore");
        }
    }
}

#[test]
fn what_was_listened_to_is_not_told_again_by_the_next_start() {
    let server = Server::core();
    let bob = server.connect("bob");
    bob.say("before");
    let home = home(&server, "ann");
    let heard = |until: &str, then: &dyn Fn()| {
        let child = command(&home, &["listen"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            unreachable!("the binary starts")
        };
        let stdout = child.stdout.take().map(BufReader::new);
        let _listening = Listening(child);
        let lines = stdout.into_iter().flat_map(|out| out.lines()).flatten();
        let mut heard = Vec::new();
        for line in lines {
            let said = line.rsplit(": ").next().unwrap_or_default().to_owned();
            if said == "before" {
                then();
            }
            heard.push(said);
            if heard.last().is_some_and(|said| said == until) {
                break;
            }
        }
        heard
    };
    // What was there is marked before what comes is told.
    assert_eq!(heard("one", &|| drop(bob.say("one"))), ["before", "one"]);
    bob.say("two");
    let heard = heard("two", &|| {});
    assert!(!heard.contains(&"before".to_owned()), "{heard:?}");
    assert!(heard.ends_with(&["two".to_owned()]), "{heard:?}");
}

#[test]
fn a_file_goes_up_and_comes_down() {
    if !features(&binary()).iter().any(|known| known == "files") {
        return;
    }
    let server = Server::only("files", "");
    let home = home(&server, "ann");
    home.write("cat.png", "meow");
    let id = line(&run(&home, &["upload", "cat.png", "common"], ""));
    let url = format!("{}/messages/{id}", server.url());
    for (which, path) in [(id.as_str(), "one"), (url.as_str(), "two")] {
        assert_eq!(line(&run(&home, &["download", which, path], "")), path);
        assert_eq!(std::fs::read(home.join(path)).ok(), Some(b"meow".to_vec()));
    }
    let id = line(&run(&home, &["upload", "cat.png"], ""));
    assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    let file = line(&run(&home, &["download", &id, "three"], ""));
    assert_eq!(std::fs::read(home.join(&file)).ok(), Some(b"meow".to_vec()));
    // Bytes that are no text come through a pipe as they are.
    home.write("noise", [0u8, 255, 10, 13, 0].as_slice());
    let id = line(&run(&home, &["upload", "noise"], ""));
    let output = run(&home, &["download", &id, "-"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, [0u8, 255, 10, 13, 0]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let output = run(&home, &["upload", "-"], "meow");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("standard input is not uploaded"), "{told}");
    assert_eq!(run(&home, &["download", "999"], "").status.code(), Some(1));
    assert_eq!(
        run(&home, &["upload", "missing"], "").status.code(),
        Some(1)
    );
}

#[test]
fn shells_complete_the_commands_and_each_has_its_manual_page() {
    let home = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&home, &["completions", shell], "");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        for word in ["listen", "password-file", "completions"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let page = |arguments: &[&str]| {
        let output = run(&home, arguments, "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(page(&["man"]).contains("veche\\-listen(1)"));
    let send = page(&["man", "send"]);
    assert!(send.contains(".TH veche-send 1"), "{send}");
    assert!(send.contains("VECHE_SERVER"), "{send}");
    assert!(!run(&home, &["man", "moon"], "").status.success());
}

#[test]
fn a_wrong_line_in_the_config_file_is_named() {
    let server = Server::core();
    let home = home(&server, "ann");
    let path = home.join(".config/veche/client.toml");
    let written = std::fs::write(&path, "sever = \"x\"\n");
    assert!(written.is_ok());
    let output = run(&home, &["send", "common", "x"], "");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("client.toml") && told.contains("sever"),
        "{told}"
    );
}
