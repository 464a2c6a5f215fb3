//! On a terminal: a line editor, with messages arriving above the line being typed.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustyline::completion::{Completer, Pair};
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter as _, Helper};
use serde_json::{Value, json};

use super::command::{COMMANDS, Command, parse};
use super::render::{Event, Style};
use super::session::{Session, SignedIn};
use super::text::{Zone, safe_line};
use super::worker::{Job, QUEUE, Worker};
use super::{Error, Output};

/// How long the prompt waits to hear whether there is a chat.
const SWITCH: Duration = Duration::from_secs(2);

/// How many typed lines are kept.
const MAX_HISTORY: usize = 1_000;
/// How often a password is asked for.
const ATTEMPTS: usize = 3;
/// How long the answer to `/logout` is waited for.
const LOGOUT: Duration = Duration::from_secs(40);
/// How long what is under way may take when the user leaves.
const LEAVING: Duration = Duration::from_secs(5);

/// Chats on the terminal until the user leaves.
pub fn run(session: Arc<Session>, history: &Path) -> Result<(), Error> {
    let mut attempts = ATTEMPTS;
    let signed_in = session.sign_in(&mut |again| {
        attempts = attempts.checked_sub(1)?;
        ask_password(again)
    })?;
    let mut editor = editor(session.clone()).map_err(Error::Terminal)?;
    // There is no history at the first start, and a damaged one is no reason not to chat.
    let _ = editor.load_history(history);
    let screen: Arc<dyn Output> = Arc::new(Screen::new(session.clone(), &mut editor));
    screen.notice(&greeting(&session, signed_in));
    let (jobs, queue) = sync_channel(QUEUE);
    super::follow(&session, &screen, &jobs)?;
    let (finished, end) = sync_channel(1);
    let worker = Worker::new(session.clone(), screen, true);
    let own = session.clone();
    thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            // Names that cannot be fetched are only not completed.
            let _ = own.fetch_names();
            // The end is not waited for where the user has left in a hurry.
            let _ = finished.send(worker.run(&queue));
        })
        .map_err(Error::Thread)?;
    let left = read(&mut editor, history, &jobs);
    // Without the editor nothing more waits to be printed above its line.
    drop(editor);
    leave(&session, &jobs, &end).and(left)
}

fn greeting(session: &Session, signed_in: SignedIn) -> String {
    let (me, server) = (session.me(), session.api.base());
    let mut text = format!("you are {me} at {server}; /help lists the commands");
    if signed_in == SignedIn::NewName && !session.has_password() {
        text.push_str(
            "\nthe name is new, and without a password (--password-file sets one): it stays yours \
             through the token kept in your config folder",
        );
    }
    text
}

/// Hands the lines to the worker until the user leaves.
fn read(editor: &mut Lines, history: &Path, jobs: &SyncSender<Job>) -> Result<(), Error> {
    let mut current = "common".to_owned();
    loop {
        let line = match editor.readline(&format!("{}> ", safe_line(&current))) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Error::Terminal(error)),
        };
        // Line by line, as a terminal that is closed leaves no time for it; a history that cannot
        // be kept is no reason not to chat.
        let _ = editor.append_history(history);
        let job = match parse(&line) {
            Ok(None) => continue,
            Ok(Some(Command::Quit)) => return Ok(()),
            Ok(Some(Command::Logout)) => {
                let (done, answer) = sync_channel(1);
                if jobs.try_send(Job::LogOut(done)).is_ok()
                    && answer.recv_timeout(LOGOUT) == Ok(true)
                {
                    return Ok(());
                }
                continue;
            }
            Ok(Some(Command::To(chat))) => {
                let (known, answer) = sync_channel(1);
                // Without an answer it switches all the same: what was meant for somebody must
                // not go to where the last line went.
                if jobs.try_send(Job::Switch(chat.clone(), known)).is_ok()
                    && answer.recv_timeout(SWITCH) != Ok(false)
                {
                    current = chat;
                }
                continue;
            }
            Ok(Some(command)) => Job::Run(command, current.clone()),
            Err(why) => Job::Wrong(why),
        };
        match jobs.try_send(job) {
            Ok(()) => {}
            // To wait here would keep what arrives from being printed.
            Err(TrySendError::Full(_)) => {
                eprintln!("! too many lines wait to be sent, and this one is not among them");
            }
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}

/// Lets the worker finish what it has, but not for long.
fn leave(
    session: &Session,
    jobs: &SyncSender<Job>,
    end: &Receiver<Result<(), Error>>,
) -> Result<(), Error> {
    // A full queue belongs to a worker that waits for the server: closing the gate ends that.
    let _ = jobs.try_send(Job::End);
    let mut result = end.recv_timeout(LEAVING);
    session.gate.close();
    if result.is_err() {
        result = end.recv_timeout(LEAVING);
    }
    match result {
        Ok(result) => result,
        Err(_) => {
            eprintln!("! the server does not answer: what was typed last may not have been sent");
            Ok(())
        }
    }
}

type Lines = Editor<Completion, DefaultHistory>;

fn editor(session: Arc<Session>) -> rustyline::Result<Lines> {
    let mut editor = Editor::with_config(config()?)?;
    editor.set_helper(Some(Completion { session }));
    Ok(editor)
}

fn config() -> rustyline::Result<Config> {
    let colours = if super::colours() {
        ColorMode::Enabled
    } else {
        ColorMode::Disabled
    };
    Ok(Config::builder()
        .max_history_size(MAX_HISTORY)?
        .auto_add_history(true)
        .completion_type(CompletionType::List)
        .color_mode(colours)
        .build())
}

/// Completes commands and names.
struct Completion {
    session: Arc<Session>,
}

impl Helper for Completion {}
impl Validator for Completion {}
impl Highlighter for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let (start, words) = candidates(typed, |beginning| self.session.names(beginning));
        let pair = |word: String| Pair {
            display: safe_line(&word),
            replacement: format!("{word} "),
        };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

/// What the last word may become, and where it begins: a command at the beginning of the line, a
/// name after an `@` anywhere.
fn candidates(typed: &str, names: impl Fn(&str) -> Vec<String>) -> (usize, Vec<String>) {
    let start = typed
        .char_indices()
        .rfind(|(_, c)| c.is_whitespace())
        .map_or(0, |(at, c)| at + c.len_utf8());
    let word = &typed[start..];
    let words = if let Some(beginning) = word.strip_prefix('@') {
        names(beginning)
            .into_iter()
            .map(|name| format!("@{name}"))
            .collect()
    } else if start == 0 && word.starts_with('/') {
        let commands = COMMANDS.iter().map(|(name, _, _)| *name);
        let fits = |name: &&str| name.starts_with(word) && !name.starts_with("//");
        commands.filter(fits).map(str::to_owned).collect()
    } else if typed[..start].trim_end() == "/to" && "common".starts_with(word) {
        vec!["common".to_owned()]
    } else {
        Vec::new()
    };
    (start, words)
}

/// Asks for the password with nothing of it shown or kept.
fn ask_password(again: bool) -> Option<String> {
    if again {
        eprintln!("! that is not the password");
    }
    let mut editor: Editor<Mask, DefaultHistory> = Editor::with_config(config().ok()?).ok()?;
    editor.set_helper(Some(Mask));
    editor.set_auto_add_history(false);
    // The mask is a highlighting: it has to be on whatever the colours are.
    editor.set_color_mode(ColorMode::Forced);
    let password = editor.readline("password: ").ok()?;
    (!password.is_empty()).then_some(password)
}

/// Shows nothing of a line that is typed.
struct Mask;

impl Helper for Mask {}
impl Validator for Mask {}

impl Hinter for Mask {
    type Hint = String;
}

impl Completer for Mask {
    type Candidate = String;
}

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(" ".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

type Printer = Box<dyn FnMut(String) -> bool + Send>;

/// The terminal, above the line being typed.
struct Screen {
    session: Arc<Session>,
    style: Style,
    printer: Mutex<Option<Printer>>,
}

impl Screen {
    /// Prints through the editor, where it can: its output may be no terminal.
    fn new(session: Arc<Session>, editor: &mut Lines) -> Screen {
        let style = Style {
            colour: super::colours(),
            single_line: false,
            zone: Zone::local(),
            me: session.me(),
        };
        let printer = editor.create_external_printer().ok().map(|mut printer| {
            let print = move |text| printer.print(text).is_ok();
            Box::new(print) as Printer
        });
        Screen {
            session,
            style,
            printer: Mutex::new(printer),
        }
    }

    fn print(&self, text: String) {
        let text = text + "\n";
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(print) = printer.as_mut() {
            if print(text.clone()) {
                return;
            }
            // The editor is gone: the user is leaving.
            *printer = None;
        }
        // A terminal that is gone takes the whole program with it.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }
}

impl Output for Screen {
    fn event(&self, event: &Event) {
        let now = Timestamp::now();
        let mut event = Cow::Borrowed(event);
        if event.kind == "removed" {
            let ids = self.session.missed(&event.data, now);
            if ids.is_empty() {
                return;
            }
            event.to_mut().data = json!({ "ids": ids });
        }
        let room = |chat: &str| self.session.title(chat);
        if let Some(text) = self.style.event(&event, room, now) {
            self.print(text);
        }
    }

    fn sent(&self, posted: &Value) {
        if let Some(text) = self.style.sent(posted, Timestamp::now()) {
            self.print(text);
        }
    }

    fn answer(&self, _: &str, _: &Value, text: &str) {
        self.notice(text);
    }

    fn notice(&self, text: &str) {
        self.print(self.style.notice(text));
    }

    fn trouble(&self, text: &str) {
        self.print(self.style.trouble(text));
    }

    fn broken(&self) -> Option<io::Error> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(typed: &str) -> (usize, Vec<String>) {
        let names = |beginning: &str| {
            let names = ["ann", "Anna", "боб"].map(str::to_owned);
            let fits = |name: &String| name.to_lowercase().starts_with(beginning);
            names.into_iter().filter(fits).collect()
        };
        candidates(typed, names)
    }

    #[test]
    fn a_command_is_completed_at_the_beginning_only() {
        assert_eq!(complete("/his"), (0, vec!["/history".to_owned()]));
        let (_, words) = complete("/comm");
        assert_eq!(words, ["/comment", "/comments"]);
        assert!(complete("see /his").1.is_empty());
        assert!(complete("//").1.is_empty());
    }

    #[test]
    fn a_name_is_completed_anywhere() {
        assert_eq!(
            complete("hi @an"),
            (3, vec!["@ann".to_owned(), "@Anna".to_owned()])
        );
        assert_eq!(complete("/msg @бо"), (5, vec!["@боб".to_owned()]));
        assert_eq!(complete("привет @zz"), ("привет ".len(), Vec::new()));
        assert!(complete("hello").1.is_empty());
    }

    #[test]
    fn the_common_chat_is_completed_after_to() {
        assert_eq!(complete("/to c"), (4, vec!["common".to_owned()]));
    }

    #[test]
    fn nothing_of_a_password_is_shown() {
        assert_eq!(Mask.highlight("secret", 3), "      ");
        assert!(Mask.highlight_char("s", 0, CmdKind::Other));
    }
}
