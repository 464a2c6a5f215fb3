//! Programs of others read the description: a validator, one that makes requests from it, and a
//! generator of clients. They are of Python, and of these versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use veche::testing::{Folder, Server};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Whoever may send as much as they like, so that requests reach what they are for.
fn config() -> String {
    let mut config = String::from("[chat]\n");
    if cfg!(has_feature = "rate_limit") {
        config += "[features.rate_limit]\nmessages = 1000000\n";
    }
    config
}

/// A program that scripts/test installs.
fn tool(name: &str) -> PathBuf {
    let program = Path::new(ROOT).join("target/python/bin").join(name);
    assert!(
        program.exists(),
        "there is no {name}: python3 -m venv target/python && \
         target/python/bin/pip install -r tests/openapi/requirements.txt"
    );
    program
}

/// Runs it in a folder, and shows what it says where it fails.
fn run(folder: &Folder, command: &mut Command) -> String {
    // What it leaves on its way lands there, too.
    let command = command.current_dir(folder.path());
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

/// A folder with the description in it, and with these files.
fn folder(server: &Server, files: &[&str]) -> Folder {
    let folder = Folder::new();
    let description = server.guest().get("/openapi.json").expect(200).to_string();
    folder.write("openapi.json", description);
    for name in files {
        let text = fs::read_to_string(Path::new(ROOT).join("tests/openapi").join(name));
        folder.write(name, text.expect("it is there"));
    }
    folder
}

#[test]
fn a_validator_finds_no_fault_with_it() {
    let server = Server::with(config());
    let folder = folder(&server, &[]);
    run(
        &folder,
        Command::new(tool("openapi-spec-validator")).arg("openapi.json"),
    );
}

/// Another seed comes by `VECHE_API_SEED`, more requests for each call by `VECHE_API_EXAMPLES`.
#[test]
fn requests_made_from_it_are_answered_as_it_says() {
    let server = Server::with(config());
    let folder = folder(&server, &["schemathesis.toml", "hooks.py"]);
    let ann = server.connect("ann");
    let set = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let schemathesis = |arguments: &[&str]| {
        let mut command = Command::new(tool("schemathesis"));
        command
            .args(["run", "openapi.json", "--checks", "all", "--no-color"])
            .args(["--url", &server.url()])
            .args(["--seed", &set("VECHE_API_SEED", "1")])
            .args(["--max-examples", &set("VECHE_API_EXAMPLES", "10")])
            .args(arguments)
            .env("VECHE_TOKEN", &ann.token);
        run(&folder, &mut command)
    };
    // A stream has no end, and who has left asks for nothing any more.
    let said = schemathesis(&["--exclude-path", "/events", "--exclude-path", "/disconnect"]);
    println!("{said}");
    schemathesis(&["--include-path", "/disconnect"]);
}

#[test]
fn a_client_that_is_generated_from_it_sends_and_receives() {
    let server = Server::with(config());
    let folder = folder(&server, &["client.py"]);
    let made = ["generate", "--meta", "none", "--path", "openapi.json"];
    run(
        &folder,
        Command::new(tool("openapi-python-client"))
            .args(made)
            .args(["--output-path", "veche_client"]),
    );
    let mut client = Command::new(tool("python"));
    let said = run(&folder, client.args(["client.py", &server.url()]));
    assert_eq!(said.trim(), "sent and received");
}
