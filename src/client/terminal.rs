//! On a terminal: a line editor, with messages arriving above the line being typed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor, Prompt};

use super::commands::{Command, Wait, parse};
use super::complete::Completion;
use super::here::{COMMON, Here};
use super::session::{Session, SignedIn};
use super::sheet::Sheet;
use super::worker::{Ended, Job, QUEUE, Worker};
use super::{Error, Output, interrupt};

/// How long the prompt waits to hear where plain lines go.
const MOVE: Duration = Duration::from_secs(5);

/// How wide a terminal is that does not tell.
const COLUMNS: usize = 80;

/// How many typed lines are kept.
const MAX_HISTORY: usize = 1_000;
/// How long the answer to `/logout` is waited for.
const LOGOUT: Duration = Duration::from_secs(40);
/// How long what is under way may take when the user leaves.
const LEAVING: Duration = Duration::from_secs(5);

/// Chats on the terminal until the user leaves.
pub fn run(
    session: Arc<Session>,
    history: &Path,
    signed_in: Option<SignedIn>,
) -> Result<(), Error> {
    let mut editor = editor(session.clone()).map_err(Error::Terminal)?;
    // There is no history at the first start, and a damaged one is no reason not to chat.
    let _ = editor.load_history(history);
    let columns = Arc::new(AtomicUsize::new(COLUMNS));
    let screen = Sheet::new(session.clone(), &mut editor, columns.clone());
    let screen: Arc<dyn Output> = Arc::new(screen);
    screen.notice(&greeting(&session, signed_in));
    let (jobs, queue) = sync_channel(QUEUE);
    super::follow(&session, &screen, &jobs, true)?;
    let (finished, end) = sync_channel(1);
    let worker = Worker::new(session.clone(), screen, true);
    let own = session.clone();
    thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            // What cannot be fetched is only not completed.
            let _ = own.fetch_known();
            // The end is not waited for where the user has left in a hurry.
            let _ = finished.send(worker.run(&queue));
        })
        .map_err(Error::Thread)?;
    interrupt::watch(session.clone()).map_err(Error::Interrupt)?;
    let left = read(&mut editor, history, &session, &jobs, &columns);
    // Without the editor nothing more waits to be printed above its line.
    drop(editor);
    leave(&session, &jobs, &end).and(left)
}

/// What a user is told at the beginning; `signed_in` where that is done already.
pub fn greeting(session: &Session, signed_in: Option<SignedIn>) -> String {
    let (me, server) = (session.me(), session.api.base());
    let keys = match session.looks() {
        true => "F1 lists keys and commands",
        false => "/help lists the commands",
    };
    let mut text = format!("you are {me} at {server}; {keys}");
    if let Some(more) = signed_in.and_then(|how| welcome(session, how)) {
        text.push_str(&format!("\n{more}"));
    }
    text
}

/// What somebody is told whose name is new.
pub fn welcome(session: &Session, signed_in: SignedIn) -> Option<String> {
    let is_bare = signed_in == SignedIn::NewName && !session.has_password();
    is_bare.then(|| {
        "the name is new, and has no password: it is yours here alone, by what is kept in your \
         config folder"
            .to_owned()
    })
}

/// Hands the lines to the worker until the user leaves.
fn read(
    editor: &mut Lines,
    history: &Path,
    session: &Session,
    jobs: &SyncSender<Job>,
    columns: &AtomicUsize,
) -> Result<(), Error> {
    let here = &session.here;
    let mut kept = String::new();
    loop {
        let prompt = Place::new(session);
        let initial = std::mem::take(&mut kept);
        let line = match editor.readline_with_initial(&prompt, (&initial, "")) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {
                here.typed_line();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Error::Terminal(error)),
        };
        let doubtful = here.typed_line();
        // Whoever presses Enter does not want to wait for a server that may be back.
        session.gate.rouse();
        // Line by line, as a terminal that is closed leaves no time for it; a history that cannot
        // be kept is no reason not to chat.
        let _ = editor.append_history(history);
        let job = match parse(&line, |feature| session.has_feature(feature)) {
            Ok(None) => continue,
            // It was not meant for those who would read it now.
            Ok(Some(Command::Say(_))) if doubtful => {
                let now = here.get().unwrap_or_default();
                eprintln!(
                    "! not sent: you began it for a chat that has ended; Enter sends it to {now}"
                );
                kept = line;
                continue;
            }
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
            Ok(Some(command)) if command.wait() != Wait::No => {
                let (wait, goes_to) = (command.wait(), command.goes_to().map(str::to_owned));
                let leaves = command.leaves();
                let (ended, end) = sync_channel(1);
                let waiting = (wait == Wait::Transfer).then(|| session.transfers.wait());
                let width = editor
                    .dimensions()
                    .map_or(COLUMNS, |(width, _)| width.into());
                columns.store(width, Ordering::Relaxed);
                if jobs
                    .try_send(Job::Await(command, here.get(), ended))
                    .is_err()
                {
                    too_many();
                    continue;
                }
                let end = match wait {
                    // What the user waits for they can stop.
                    Wait::Transfer => end.recv().unwrap_or(Ended::Failed),
                    // Without an answer it is not known: what was meant for somebody must not go
                    // to where the last line went.
                    _ => match end.recv_timeout(MOVE) {
                        Ok(end) => end,
                        Err(_) => {
                            here.go(goes_to);
                            continue;
                        }
                    },
                };
                drop(waiting);
                match end {
                    Ended::At(chat) => here.go(Some(chat)),
                    // What was meant for a chat that is not there, or not yet, goes to no other.
                    _ if wait == Wait::Move && !leaves => here.go(None),
                    Ended::Here | Ended::Failed | Ended::Lost => {}
                }
                continue;
            }
            Ok(Some(command)) => Job::Run(command, here.get()),
            Err(why) => Job::Wrong(why),
        };
        match jobs.try_send(job) {
            Ok(()) => {}
            // To wait here would keep what arrives from being printed.
            Err(TrySendError::Full(_)) => too_many(),
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}

fn too_many() {
    eprintln!("! too many lines wait to be sent, and this one is not among them");
}

/// Lets the worker finish what it has, but not for long.
pub fn leave(
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

/// The prompt: the chat that the line will go to. That may end while the line is being typed, and
/// the editor, which measures the prompt once, then draws the other one when it draws it next, over
/// the end of the first, so that the line stays where it is.
struct Place<'a> {
    here: &'a Here,
    chat: Option<String>,
    first: String,
    then: String,
}

impl<'a> Place<'a> {
    fn new(session: &'a Session) -> Place<'a> {
        let chat = session.here.get();
        let label = chat.as_ref().map(|chat| session.label(chat));
        let then = format!("{COMMON}> ");
        let width = then.len();
        // No narrower, as the other one must have room.
        let first = format!(
            "{:>width$}",
            format!("{}> ", label.as_deref().unwrap_or("nowhere"))
        );
        let then = format!("{first}\u{1b}[1K\u{1b}[{width}D{then}");
        Place {
            here: &session.here,
            chat,
            first,
            then,
        }
    }
}

impl Prompt for Place<'_> {
    fn raw(&self) -> &str {
        match super::colours() {
            true => &self.first,
            false => self.styled(),
        }
    }

    /// What is drawn; without colours it is what is measured, too.
    fn styled(&self) -> &str {
        match self.here.get() == self.chat {
            true => &self.first,
            false => &self.then,
        }
    }
}

/// The editor of lines.
pub type Lines = Editor<Completion, DefaultHistory>;

fn editor(session: Arc<Session>) -> rustyline::Result<Lines> {
    let mut editor = Editor::with_config(config()?)?;
    editor.set_helper(Some(Completion::new(session)));
    Ok(editor)
}

/// How lines are edited.
pub fn config() -> rustyline::Result<Config> {
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
