//! The console client: a line editor on a terminal, plain lines or JSON in a pipe.
//!
//! `entry` asks on a terminal for what is not said, and opens the session; `session` knows who one
//! is and what was shown, `known` and `offers` what there is to be completed; `stream` follows the server's
//! events on a thread of its own; `worker` does what is asked, one after another; `commands` has
//! what can be asked, a file for the core and one for each feature; `terminal` and `pipe` read the
//! lines and print; `here` is where lines go; `sheet` is what the former prints on. `screen` takes
//! the whole terminal. `transfer` carries files. `api`, `trust`, `answer`, `reason`, `naming`,
//! `sse`, `store`, `render`, `notice` and `text` are what these stand on. Nothing here is used by
//! the server.

mod answer;
mod api;
mod commands;
mod complete;
mod entry;
#[cfg(test)]
mod fake;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod here;
mod history;
mod interrupt;
mod known;
mod lookup;
mod naming;
mod notice;
mod offers;
mod own;
mod pipe;
mod post;
mod questions;
mod reason;
mod render;
mod retry;
mod screen;
mod script;
mod seen;
mod session;
mod settings;
mod sheet;
mod signing;
pub(crate) mod sse;
mod state;
mod store;
mod stream;
mod summary;
mod terminal;
mod text;
mod transfer;
mod trust;
mod worker;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::answer::ChatStatus;
use self::post::Post;
use self::render::Event;
pub use self::script::{download, send, upload};
use self::session::Session;
use self::settings::Settings;
pub use self::settings::{Look, Who};
use self::stream::Stream;
use self::transfer::Progress;
use self::worker::Job;

/// Why the client ended before its user wanted it to, or could not do all that was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none. The text is a whole sentence.
    #[error("{0}")]
    Address(String),
    /// The server cannot be reached, or refuses the session.
    #[error("{}", unserved(.server, .why))]
    Server {
        /// Its address.
        server: String,
        /// What it said, if anything.
        why: answer::CallError,
    },
    /// What was on its way broke off.
    #[error("{}", reason::connection(.0))]
    Stream(io::Error),
    /// The config folder cannot be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The password file cannot be read.
    #[error("cannot read the password from {path}")]
    PasswordFile {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Who was asked has left instead.
    #[error("nothing was answered")]
    Unanswered,
    /// Nobody said who to be.
    #[error(
        "who to be? give --name NAME, or VECHE_NAME in the environment, or a line name = \"NAME\" \
         in {0}"
    )]
    NameNeeded(String),
    /// The config file is not as it should be. The text is a whole sentence.
    #[error("{0}")]
    Settings(String),
    /// What was asked for was refused, or makes no sense. The text is a whole sentence.
    #[error("{0}")]
    NotDone(String),
    /// A single call was not answered, or refused.
    #[error("{0}")]
    Call(answer::CallError),
    /// The name is somebody's who set no password.
    #[error(
        "the name {0} is taken, and it has no password by which you could show that it is yours; \
         choose another name"
    )]
    NameTaken(String),
    /// The same, where an answer that would have made it one's own was lost a moment ago.
    #[error(
        "the name {0} is taken, perhaps by this very start, since the answer to its first try was \
         lost; without a password it cannot be had back: choose another name"
    )]
    NameLost(String),
    /// The password is not the name's.
    #[error("that is not the password of {0}")]
    WrongPassword(String),
    /// The name has a password, and there was nobody to ask.
    #[error("the name {0} is taken, and has a password: give it with --password-file FILE")]
    PasswordNeeded(String),
    /// The token died while the client ran, and the password that would make another one was not
    /// kept.
    #[error(
        "this client was signed out, by /logout or /disconnect from elsewhere; start it again, and \
         give the password of {0}"
    )]
    Ended(String),
    /// The token died while the client ran, and nothing else proves whose the name is.
    #[error(
        "this client was signed out, by /logout or /disconnect from elsewhere; the name {0} has no \
         password to come back by: start with another name"
    )]
    EndedForGood(String),
    /// Some lines of a pipe were not done; each was told when it happened.
    #[error("{0} of the lines {verb} refused", verb = if *.0 == 1 { "was" } else { "were" })]
    Refused(u64),
    /// What arrived cannot be printed.
    #[error("cannot print")]
    Output(#[source] io::Error),
    /// Ctrl-C cannot be heard.
    #[error("cannot listen for Ctrl-C")]
    Interrupt(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The whole terminal cannot be drawn on.
    #[error("the terminal cannot be used")]
    Screen(#[source] io::Error),
    /// The line editor failed.
    #[error("the terminal cannot be used")]
    Terminal(#[source] rustyline::error::ReadlineError),
}

impl Error {
    /// The exit status, for scripts: 3 where the same may go well later, 4 where the session could
    /// not be had, 1 for all else.
    pub fn status(&self) -> u8 {
        match self {
            Error::Server { why, .. } | Error::Call(why) if why.passes() || why.is_status(429) => 3,
            Error::Stream(_) => 3,
            Error::NameTaken(_)
            | Error::NameLost(_)
            | Error::WrongPassword(_)
            | Error::PasswordNeeded(_)
            | Error::NameNeeded(_)
            | Error::Unanswered
            | Error::Ended(_)
            | Error::EndedForGood(_) => 4,
            _ => 1,
        }
    }

    /// The error and its causes in one line.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        reason::plain(&text)
    }
}

impl From<answer::CallError> for Error {
    fn from(error: answer::CallError) -> Error {
        Error::Call(error)
    }
}

/// Why there is no session with a server.
fn unserved(server: &str, why: &answer::CallError) -> String {
    match why {
        answer::CallError::Lost(_) => format!("{server} cannot be reached: {}", why.why()),
        _ => format!("{server}: {why}"),
    }
}

/// How the stream of events stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    /// Not there yet.
    Connecting,
    /// Events come as they happen.
    Up,
    /// It is tried again at that time, and why it is not there.
    Lost(Instant, String),
}

/// Where events, answers and notices go.
trait Output: Send + Sync {
    /// An event of the stream, or a message of the history.
    fn event(&self, event: &Event);
    /// One that has ended the chat that plain lines went to.
    fn ended(&self, event: &Event);
    /// What the user has posted, and the server's answer to it.
    fn sent(&self, post: &Post, posted: &Value);
    /// The answer to a command: its data and the same as text.
    fn answer(&self, kind: &str, data: &Value, text: &str);
    /// How far a file has come; `None` when that is over.
    fn progress(&self, progress: Option<&Progress<'_>>);
    /// Something good to know.
    fn notice(&self, text: &str);
    /// Something that went wrong.
    fn trouble(&self, text: &str);
    /// Why nothing more can be printed, once.
    fn broken(&self) -> Option<io::Error>;
    /// The chats as they are now; `anew` where what was shown of them may have gaps.
    fn chats(&self, _chats: &[ChatStatus], _anew: bool) {}
    /// Whether events come, or how long until that is tried again.
    fn link(&self, _link: Link) {}
    /// A post that the server wants only after so long; true where it will be posted then.
    fn later(&self, _post: &Post, _wait: Duration) -> bool {
        false
    }
    /// A post that was refused since this client is signed out; true where it is posted when it is
    /// signed in again.
    fn barred(&self, _post: &Post) -> bool {
        false
    }
    /// The password, from whoever can be asked for it; `again` where another one was wrong. Blocks
    /// until it is answered.
    fn ask_password(&self, _again: bool) -> Option<String> {
        None
    }
    /// What leads to no message is done.
    fn done(&self, _post: &Post) {}
    /// A post for a chat that there is not, and why not; true where its user has it back.
    fn nowhere(&self, _post: &Post, _why: &str) -> bool {
        false
    }
    /// A post that failed; true where it is kept for another try.
    fn unsent(&self, _post: &Post, _why: &str) -> bool {
        false
    }
}

/// Chats until the user leaves or standard input ends. Blocks; starts threads of its own.
///
/// # Errors
/// What kept the session from being had or from going on; in a pipe, also that some lines were
/// refused.
pub fn chat(who: Who, look: Look) -> Result<(), Error> {
    if io::stdin().is_terminal() && !look.json {
        return entry::run(who, look);
    }
    let session = open(who)?;
    pipe::run(Arc::new(session), look.json)
}

/// Prints what is unread and what comes, until the session ends or nobody reads it.
///
/// # Errors
/// What kept the session from being had or from going on.
pub fn listen(who: Who, json: bool) -> Result<(), Error> {
    let session = open(who)?;
    pipe::listen(Arc::new(session), json)
}

/// A session that is not signed in yet, as flags, environment and config file want it, where there
/// is nobody to be asked.
fn open(who: Who) -> Result<Session, Error> {
    let store = store::Store::open()?;
    let settings = Settings::load(&store.settings(), who)?;
    let Some(name) = &settings.name else {
        let path = store.settings().display().to_string();
        return Err(Error::NameNeeded(path));
    };
    let password = settings.password()?;
    Ok(Session::new(settings.api()?, store, name.clone(), password).waiting(settings.wait))
}

/// Whether colours are wanted on standard output (see no-color.org).
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !refused && !dumb
}

/// Starts to follow the stream; returns when what was there before has been shown: what is unread,
/// and the end of the common chat if `history` says so.
fn follow(
    session: &Arc<Session>,
    output: &Arc<dyn Output>,
    jobs: &SyncSender<Job>,
    history: bool,
) -> Result<(), Error> {
    let (started, shown) = sync_channel(1);
    spawn_stream(session, output, jobs, Some(started), history)?;
    shown
        .recv()
        .unwrap_or_else(|_| Err(Error::Ended(session.me())))
}

/// Starts to follow the stream, whenever it will be there.
fn follow_later(
    session: &Arc<Session>,
    output: &Arc<dyn Output>,
    jobs: &SyncSender<Job>,
) -> Result<(), Error> {
    spawn_stream(session, output, jobs, None, true)
}

fn spawn_stream(
    session: &Arc<Session>,
    output: &Arc<dyn Output>,
    jobs: &SyncSender<Job>,
    started: Option<SyncSender<Result<(), Error>>>,
    history: bool,
) -> Result<(), Error> {
    let (own, output) = (session.clone(), output.clone());
    let stream = Stream::new(own, output, jobs.clone(), started, history);
    thread::Builder::new()
        .name("stream".to_owned())
        .spawn(move || stream.run())
        .map(drop)
        .map_err(Error::Thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_explained_with_its_causes() {
        let error = Error::Output(io::Error::other("no room (os error 28)"));
        assert_eq!(error.explain(), "cannot print: no room");
        let refused = ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let error = Error::from(answer::CallError::from(refused));
        let expected = "the server cannot be reached: nothing listens there";
        assert_eq!(error.explain(), expected, "a cause is told once");
    }
}
