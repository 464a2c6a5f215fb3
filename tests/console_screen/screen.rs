//! A client in a tmux of its own, and what stands on its screen.

use std::process::Command;

use veche::testing::{Folder, Server, binary, features, wait_until};

/// A client in a tmux of its own.
pub struct Screen {
    pub socket: String,
    pub home: Folder,
}

impl Screen {
    pub fn start(server: &Server, name: &str) -> Self {
        Self::with(server, name, Folder::new(), "")
    }

    pub fn with(server: &Server, name: &str, home: Folder, variables: &str) -> Self {
        let chat = format!("chat {name} --server {}", server.url());
        let screen = Self::run(home, &chat, variables);
        screen.enters();
        screen.sees("● connected");
        screen
    }

    /// Whoever is new has no password; whoever is known is not asked.
    pub fn enters(&self) {
        let asks = "(Enter: none):";
        let seen = self.until("a question or the screen", |shown| {
            shown.contains(asks) || shown.contains("● connected")
        });
        if seen.contains(asks) {
            self.keys(&["Enter"]);
        }
    }

    /// Leaves, and gives the home folder.
    pub fn leaves(self) -> Folder {
        self.keys(&["C-c"]);
        self.ends()
    }

    /// The same, with what waits left where it is.
    pub fn ends(mut self) -> Folder {
        self.keys(&["C-d"]);
        self.sees("ended with");
        // Another one of these starts in the same folder.
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
        std::mem::replace(&mut self.home, Folder::new())
    }

    /// Ended by a signal, whatever is in its line; the terminal is as it was then.
    pub fn ends_by_a_signal(mut self) -> Folder {
        let pid = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let child = Command::new("pgrep").args(["-P", pid.trim()]).output();
        let child = child.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let killed = Command::new("kill")
            .args(["-TERM", &child.unwrap_or_default()])
            .status();
        assert!(killed.is_ok_and(|status| status.success()));
        let seen = self.sees("ended with");
        assert!(!seen.contains("connected"), "{seen}");
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
        std::mem::replace(&mut self.home, Folder::new())
    }

    pub fn run(home: Folder, arguments: &str, variables: &str) -> Self {
        let unique = uuid::Uuid::new_v4().to_string();
        // Another socket each time: the last server may not have ended yet.
        let socket = home.join(format!("tmux-{}", &unique[..8]));
        let screen = Self {
            socket: socket.display().to_string(),
            home,
        };
        let command = format!(
            "cd {home}; env HOME={home} XDG_CONFIG_HOME= TZ=UTC NO_COLOR= {variables} {} {arguments}; \
             echo \"ended with $?\"; cat",
            binary().display(),
            home = screen.home.path().display(),
        );
        let session = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
        ];
        screen.tmux(&[&session[..], &[&command]].concat());
        screen
    }

    pub fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(arguments)
            .output();
        let Ok(output) = output else {
            unreachable!("tmux is there: these tests look at a terminal by it")
        };
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, by tmux's names of them.
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"][..], keys].concat());
    }

    /// Types a text.
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    pub fn says(&self, text: &str) {
        self.types(text);
        self.keys(&["Enter"]);
    }

    pub fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is so, and gives it.
    pub fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let last = std::cell::RefCell::new(String::new());
        let shown = Shown(&last);
        wait_until(what, || {
            let now = self.shown();
            shown.0.replace(now.clone());
            is(&now).then_some(now)
        })
    }

    pub fn sees(&self, text: &str) -> String {
        self.until(&format!("{text:?} on the screen"), |shown| {
            shown.contains(text)
        })
    }
}

/// Shows the screen where waiting for another one fails.
pub struct Shown<'a>(&'a std::cell::RefCell<String>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the screen is:\n{}", self.0.borrow());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended is no fault here.
        let _ = Command::new("tmux")
            .args(["-S", &self.socket, "kill-server"])
            .output();
    }
}

pub fn has(all: &[&str]) -> bool {
    let there = features(&binary());
    all.iter()
        .all(|name| there.iter().any(|known| known == name))
}
