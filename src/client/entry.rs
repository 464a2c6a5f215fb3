//! The way into a chat on a terminal: what is not said is asked for, and asked again where it does
//! not work. Nothing is kept before it has worked.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use super::answer::CallError;
use super::here::Here;
use super::questions::{Questions, complain};
use super::retry::{Backoff, dice};
use super::session::{Session, SignedIn};
use super::settings::{Look, SERVER, Settings, Who};
use super::store::Store;
use super::{Error, screen, terminal};

/// How often a password is asked for.
const ATTEMPTS: usize = 3;

/// Chats on the terminal until the user leaves.
pub fn run(who: Who, look: Look) -> Result<(), Error> {
    let store = Store::open()?;
    let settings = Settings::load(&store.settings(), who)?;
    let plain = look.plain.or(settings.plain).unwrap_or(false) || !io::stdout().is_terminal();
    let bell = look.bell.or(settings.bell).unwrap_or(true);
    let asks_server = settings.server.is_none() && settings.name.is_none();
    let mut entry = Entry {
        asks: settings.name.is_none(),
        asks_server,
        full: !plain,
        password: settings.password()?,
        questions: Questions::new()?,
        settings,
        store,
    };
    let (mut session, signed_in) = entry.open()?;
    let store = &entry.store;
    if plain {
        session.here = Here::typed();
        terminal::run(Arc::new(session), &store.history(), signed_in)
    } else {
        screen::run(Arc::new(session), store, bell, signed_in)
    }
}

/// What was said and answered so far.
struct Entry {
    settings: Settings,
    store: Store,
    questions: Questions,
    password: Option<String>,
    /// Whether the name is asked for, and the server with it.
    asks: bool,
    asks_server: bool,
    /// Whether the whole screen is taken, which may open before there is a session.
    full: bool,
}

impl Entry {
    /// A session, and how it was signed in, where that is done already.
    fn open(&mut self) -> Result<(Session, Option<SignedIn>), Error> {
        if self.asks {
            self.find_server()?;
        }
        loop {
            let name = self.name()?;
            let (api, password) = (self.settings.api()?, self.password.clone());
            let session = Session::new(api, self.store.clone(), name, password);
            let session = session.waiting(self.settings.wait);
            if self.full {
                session.look_at_chats();
            }
            match self.sign_in(&session) {
                Ok(signed_in) => {
                    self.keep()?;
                    return Ok((session, signed_in));
                }
                Err(error) if self.asks && is_about_the_name(&error) => {
                    complain(&error.to_string());
                    self.settings.name = None;
                    if self.settings.password_file.is_none() {
                        self.password = None;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for a server until there is one.
    fn find_server(&mut self) -> Result<(), Error> {
        loop {
            if self.asks_server {
                let question = format!("server [{SERVER}]: ");
                let server = self.questions.ask(&question, "")?;
                self.settings.server = Some(match server.as_str() {
                    "" => SERVER.to_owned(),
                    server => server.to_owned(),
                });
            }
            match self.settings.api().and_then(|api| {
                let is_there = api.is_there();
                is_there.map_err(|why| Error::Server {
                    server: api.base().to_owned(),
                    why,
                })
            }) {
                Ok(()) => return Ok(()),
                Err(error) if self.asks_server => complain(&error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }

    fn name(&mut self) -> Result<String, Error> {
        if let Some(name) = &self.settings.name {
            return Ok(name.clone());
        }
        loop {
            let name = self.questions.ask("your name: ", "")?;
            if !name.is_empty() {
                self.settings.name = Some(name.clone());
                return Ok(name);
            }
        }
    }

    /// Signs in, and asks for the password where there may be one.
    fn sign_in(&mut self, session: &Session) -> Result<Option<SignedIn>, Error> {
        let has_token = session.has_token()?;
        if !has_token && self.password.is_none() && !is_known(session)? {
            self.password = self.questions.password(&session.me())?;
            session.set_password(self.password.clone());
        }
        // Nobody looks at nothing for as long as a call may take.
        if self.full && !self.asks && session.api.is_there().is_err_and(|why| why.passes()) {
            return Ok(None);
        }
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let mut attempts = ATTEMPTS;
            let (questions, given) = (&mut self.questions, self.password.is_some());
            let signed_in = session.sign_in(&mut |again| {
                attempts = attempts.checked_sub(1)?;
                complain(match again || given {
                    true => "that is not its password",
                    false => "the name is taken, and has a password",
                });
                questions.secret("password: ").ok()?
            });
            match signed_in {
                Ok(signed_in) => return Ok(Some(signed_in)),
                Err(Error::Server { why, .. }) if why.passes() && !self.asks => {
                    // The screen shows how it goes on.
                    if self.full {
                        return Ok(None);
                    }
                    if !std::mem::replace(&mut told, true) {
                        let server = session.api.base();
                        let why = why.why();
                        complain(&format!(
                            "{server}: {why}; it is tried again, Ctrl-C leaves"
                        ));
                    }
                    session.gate.wait(backoff.next(dice()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps what was answered, if there is no file that says otherwise.
    fn keep(&mut self) -> Result<(), Error> {
        if self.asks && !self.settings.is_there {
            let path = self.store.settings();
            self.settings.keep(&path)?;
            self.settings.is_there = true;
            eprintln!("· kept in {}", path.display());
        }
        self.asks = false;
        Ok(())
    }
}

/// Whether the name has a password already: that is asked for once, a new one twice. Of a server that is
/// not there nobody knows, and the name may be new.
fn is_known(session: &Session) -> Result<bool, Error> {
    // That is known sooner than a call gives up.
    if session.api.is_there().is_err_and(|why| why.passes()) {
        return Ok(false);
    }
    match session.api.knows(&session.me()) {
        Ok(known) => Ok(known),
        Err(why) if why.passes() => Ok(false),
        Err(why) if why.is_status(409) => Err(Error::NameTaken(session.me())),
        Err(why) => Err(session.failed(why)),
    }
}

/// Whether another name may do.
fn is_about_the_name(error: &Error) -> bool {
    match error {
        Error::NameTaken(_)
        | Error::NameLost(_)
        | Error::WrongPassword(_)
        | Error::PasswordNeeded(_) => true,
        Error::Server { why, .. } => {
            matches!(why, CallError::Refused(problem) if problem.status == 422)
        }
        _ => false,
    }
}
