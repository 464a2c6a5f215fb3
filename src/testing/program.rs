//! Single calls of the program, from a folder of their own.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Folder, PATIENCE};

/// The cargo that runs this test, as a shell would call it. What it has set for the test is not for
/// other builds: build scripts are told of it, and all that stands on them would be built anew, here
/// and at the next build there.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "OUT_DIR"
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The binary under test: `VECHE_BINARY` where that is set, else the one that cargo built for
/// this integration test.
///
/// # Panics
/// Where there is none; a crate with a `main` of its own gives its path to [`Builder::binary`](super::Builder::binary).
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("VECHE_BINARY") {
        return path.into();
    }
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_veche") {
        return path.into();
    }
    // Older versions of cargo tell the path only while compiling; it is the same folder's.
    let test = std::env::current_exe().expect("a running test knows its own file");
    let path = test
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join(format!("veche{}", std::env::consts::EXE_SUFFIX)))
        .unwrap_or_default();
    assert!(
        path.exists(),
        "no binary at {}; name it with Server::builder().binary(env!(\"CARGO_BIN_EXE_…\"))",
        path.display()
    );
    path
}

/// What one call of the program gave back.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it printed.
    pub stdout: String,
    /// All that it complained.
    pub stderr: String,
}

/// Runs the program in `folder` with `arguments` and an empty stdin until it ends.
///
/// # Panics
/// Where it does not end within [`PATIENCE`] (it is killed then), or prints what is not UTF-8.
pub fn run<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Output {
    call(&binary(), folder, arguments)
}

/// The same of any binary.
pub(super) fn call<A: AsRef<OsStr>>(
    binary: &Path,
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Output {
    let mut child = command(binary, folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let status = ended(&mut child, PATIENCE).unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the program did not end within {PATIENCE:?}")
    });
    Output {
        status,
        stdout: stdout.join().expect("the reader ends"),
        stderr: stderr.join().expect("the reader ends"),
    }
}

/// The names of every feature that the binary has, by `veche check`.
///
/// # Panics
/// Where `check` fails or prints no TOML.
pub fn features(binary: &Path) -> Vec<String> {
    let folder = Folder::new();
    let output = command(binary, folder.path())
        .arg("check")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let text = String::from_utf8(output.stdout).expect("the settings are UTF-8");
    assert!(
        output.status.success(),
        "`check` of the defaults: {}{text}",
        String::from_utf8_lossy(&output.stderr)
    );
    let settings: toml::Table = text
        .parse()
        .unwrap_or_else(|error| panic!("`check` prints TOML, but: {error}\n{text}"));
    let tables = settings.get("features").and_then(toml::Value::as_table);
    tables
        .map(|tables| tables.keys().cloned().collect())
        .unwrap_or_default()
}

/// The program in a folder of its own, untouched by the environment of whoever runs the test.
pub(super) fn command(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("VECHE_CONFIG")
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join(".config"));
    command
}

/// Reads all of a pipe beside the test, so that the program never waits for its reader.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8(bytes).expect("the program prints UTF-8")
    })
}

/// How a process ended; none where it still runs after `limit`.
pub(super) fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
