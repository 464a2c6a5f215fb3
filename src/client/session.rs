//! Who one is at the server, and what its threads share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::CallError;
use super::api::Api;
use super::here::Here;
use super::render::Event;
use super::retry::Gate;
use super::state::{MAX_AWAITED, State};
use super::store::Store;
use super::transfer::Transfers;
use super::{Error, Output};

/// Asks the user for a password; told whether an earlier one was wrong.
pub type Ask<'a> = &'a mut dyn FnMut(bool) -> Option<String>;

/// One user's session at one server, shared by the threads of the client.
pub struct Session {
    /// The server.
    pub api: Api,
    /// Closed when the session ends.
    pub gate: Gate,
    /// Whether a file is on its way.
    pub transfers: Transfers,
    /// Where plain lines go.
    pub here: Here,
    store: Store,
    name: String,
    password: Mutex<Option<String>>,
    /// Held while this client is being signed out.
    leaving: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
}

/// How signing in went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedIn {
    /// As the client that a kept token is for.
    Again,
    /// As a new client of a known name.
    NewClient,
    /// With a name that nobody had.
    NewName,
}

impl Session {
    /// A session that is not signed in yet.
    pub fn new(api: Api, store: Store, name: String, password: Option<String>) -> Session {
        Session {
            api,
            gate: Gate::default(),
            transfers: Transfers::default(),
            here: Here::default(),
            store,
            name,
            password: Mutex::new(password),
            leaving: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere left it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on as the client whose token is kept, or becomes a new one.
    pub fn sign_in(&self, ask: Ask<'_>) -> Result<SignedIn, Error> {
        let kept = self.store.load(self.api.base(), &self.name)?;
        if self.resume(kept.clone())? {
            return Ok(SignedIn::Again);
        }
        let mut asked = false;
        loop {
            let password = self.password();
            let error = match self.api.connect(&self.name, password.as_deref()) {
                Ok(connected) => {
                    let token = connected.token;
                    self.api.set_token(Some(token.clone()));
                    let status = self.api.status().map_err(|error| self.failed(error))?;
                    self.state().learn(&status);
                    self.store.save(self.api.base(), &self.name, &token)?;
                    return Ok(if connected.created {
                        SignedIn::NewName
                    } else {
                        SignedIn::NewClient
                    });
                }
                Err(error) => error,
            };
            if error.is_status(409) {
                // Another start of the client may have taken the name a moment ago.
                let now = self.store.load(self.api.base(), &self.name)?;
                if now != kept && self.resume(now)? {
                    return Ok(SignedIn::Again);
                }
                return Err(Error::NameTaken(self.name.clone()));
            }
            if !error.is_status(401) {
                return Err(self.failed(error));
            }
            match ask(asked) {
                Some(password) => {
                    asked = true;
                    *self.password.lock().unwrap_or_else(PoisonError::into_inner) = Some(password);
                }
                None if password.is_some() => return Err(Error::WrongPassword(self.name.clone())),
                None => return Err(Error::PasswordNeeded(self.name.clone())),
            }
        }
    }

    /// Takes up a token, if there is one and it lives.
    fn resume(&self, token: Option<String>) -> Result<bool, Error> {
        let there = token.is_some();
        self.api.set_token(token);
        if !there {
            return Ok(false);
        }
        match self.api.status() {
            Ok(status) => {
                self.state().learn(&status);
                Ok(true)
            }
            Err(error) if error.is_status(401) => {
                self.api.set_token(None);
                Ok(false)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The error of a call that the whole session depends on.
    pub fn failed(&self, error: CallError) -> Error {
        Error::Server {
            server: self.api.base().to_owned(),
            source: error,
        }
    }

    fn password(&self) -> Option<String> {
        let password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        password.clone()
    }

    /// Whether this session could sign in again after losing its token.
    pub fn has_password(&self) -> bool {
        self.password().is_some()
    }

    /// Ends this client on the server and forgets its token; that ends the session.
    pub fn log_out(&self) -> Result<(), Error> {
        let _leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        match self.api.post("/disconnect", &json!({}), None) {
            Ok(_) => {}
            Err(error) if error.is_status(401) => {}
            Err(error) => return Err(self.failed(error)),
        }
        if let Some(token) = self.api.token() {
            self.store.forget(self.api.base(), &self.name, &token)?;
        }
        self.gate.close();
        Ok(())
    }

    /// Whether the session has ended. The end of a stream may be heard of before the answer to the
    /// signing out that ended it: that is waited for.
    pub fn is_over(&self) -> bool {
        drop(self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        self.gate.is_closed()
    }

    /// One's own name, as the server writes it.
    pub fn me(&self) -> String {
        self.state().me.clone()
    }

    /// Whether the server has this feature on.
    pub fn has_feature(&self, name: &str) -> bool {
        self.state().features.iter().any(|feature| feature == name)
    }

    /// Takes an event of the stream in; gives it back if it is to be shown now. Whoever shows it
    /// says so by [`Session::shown`].
    pub fn take(&self, event: Event) -> Option<Event> {
        let mut state = self.state();
        let event = state.take(event);
        if event.is_some() {
            state.showing += 1;
        }
        event
    }

    /// Notes that what [`Session::take`] gave stands on the screen.
    pub fn shown(&self, event: &Event) {
        let mut state = self.state();
        state.showing = state.showing.saturating_sub(1);
        if let Some(id) = event.data["id"].as_u64() {
            state.awaited.remove(&id);
        }
        if state.showing == 0 && state.awaited.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Holds back what comes from oneself until [`Session::posted`] tells which of it this very
    /// client has posted, and so stands on the screen as it was typed.
    pub fn posting(&self) {
        self.state().posting = true;
    }

    /// Ends what [`Session::posting`] began; gives what was held back and is to be shown after
    /// all.
    pub fn posted(&self, answer: Option<&Value>) -> Vec<Event> {
        let mut state = self.state();
        state.posting = false;
        if let Some(answer) = answer {
            state.note(answer);
        }
        let held = std::mem::take(&mut state.held);
        held.into_iter()
            .filter_map(|event| state.take(event))
            .collect()
    }

    /// Holds back events of these kinds until [`Session::acted`] tells which of them this very
    /// client has brought about.
    pub fn acting(&self, kinds: &'static [&'static str]) {
        self.state().own.begin(kinds);
    }

    /// Ends what [`Session::acting`] began, with the events that it led to; gives what was held
    /// back and is to be shown after all.
    pub fn acted(&self, did: &[Event]) -> Vec<Event> {
        let mut state = self.state();
        for event in did {
            state.learn_rooms(event);
        }
        state.own.end(did, Instant::now())
    }

    /// Forgets what one did: the stream does not go on where it was.
    pub fn stream_begins_anew(&self) {
        self.state().own.forget();
    }

    /// Shows an event; where it has ended the chat that plain lines went to, so that this is seen.
    pub fn show(&self, output: &dyn Output, event: &Event) {
        let is_mine = event.kind == "left" && event.data["user"] == self.me();
        let room = event.data["room"].as_str().filter(|_| is_mine);
        match room.is_some_and(|room| self.here.end(room)) {
            true => output.ended(event),
            false => output.event(event),
        }
        self.state().forget_room(event);
    }

    /// Expects the stream to bring back what was posted. Gives what is to be shown without
    /// waiting, since too much is waited for.
    pub fn await_echo(&self, event: Event) -> Option<Event> {
        let mut state = self.state();
        let id = event.data["id"].as_u64()?;
        if !state.is_new(&event.data) {
            return None;
        }
        state.awaited.insert(id, event);
        if state.awaited.len() <= MAX_AWAITED {
            return None;
        }
        let (_, oldest) = state.awaited.pop_first()?;
        state.take(oldest)
    }

    /// Waits until the stream has brought back all that was posted; gives what it did not.
    pub fn echoes(&self, patience: Duration) -> Vec<Event> {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, patience, |state| {
            state.showing > 0 || !state.awaited.is_empty()
        });
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::take(&mut state.awaited);
        left.into_values()
            .filter_map(|event| state.take(event))
            .collect()
    }

    /// The ids of a removal that are news to the reader.
    pub fn missed(&self, removed: &Value, now: Timestamp) -> Vec<u64> {
        let state = self.state();
        let ids = removed["ids"].as_array().into_iter().flatten();
        ids.filter_map(Value::as_u64)
            .filter(|id| state.seen.is_missed(*id, now))
            .collect()
    }

    /// Whether there is something shown that is not marked as read.
    pub fn has_marks(&self) -> bool {
        !self.state().marks.is_empty()
    }

    /// Marks as read what was shown.
    pub fn mark(&self) -> Result<(), CallError> {
        loop {
            let Some((chat, upto)) = self.state().marks.pop_first() else {
                return Ok(());
            };
            let body = json!({ "chat": chat, "upto": upto });
            match self.api.post("/read", &body, None) {
                Ok(_) => {}
                // A room left meanwhile has no mark to move.
                Err(error) if error.is_status(404) => {}
                Err(error) => {
                    let mut state = self.state();
                    let mark = state.marks.entry(chat).or_insert(upto);
                    *mark = upto.max(*mark);
                    return Err(error);
                }
            }
        }
    }

    /// From now on a chat is read when [`Session::looked`] says so, and not when something of it
    /// arrives.
    pub fn look_at_chats(&self) {
        self.state().looks = true;
    }

    /// Whether the reader looks at one chat at a time.
    pub fn looks(&self) -> bool {
        self.state().looks
    }

    /// The reader has seen a chat up to this message.
    pub fn looked(&self, chat: &str, upto: u64) {
        let mut state = self.state();
        let mark = state.marks.entry(chat.to_owned()).or_insert(0);
        *mark = upto.max(*mark);
    }

    /// Takes note of messages that are shown again on demand.
    pub fn note_shown(&self, messages: &[Value]) {
        let mut state = self.state();
        for message in messages {
            state.note(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Folder, Reply, serve, session, store};
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::thread;

    fn echo(id: u64) -> Event {
        let at = "2026-11-24T20:18:55.123Z";
        Event::message(json!({"id": id, "from": "ann", "to": "common", "text": "x", "at": at}))
    }

    fn signed_in() -> Session {
        session(&serve(|_| {
            Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}}))
        }))
    }

    #[test]
    fn the_end_waits_until_the_stream_has_brought_back_what_was_posted() {
        for answered_first in [true, false] {
            let session = signed_in();
            if answered_first {
                assert!(session.await_echo(echo(7)).is_none());
            }
            let event = session.take(echo(7)).unwrap();
            if !answered_first {
                assert!(session.await_echo(echo(7)).is_none());
            }
            let (begun, begins) = sync_channel(0);
            let order = Mutex::new(Vec::new());
            thread::scope(|scope| {
                scope.spawn(|| {
                    begun.send(()).unwrap();
                    assert!(session.echoes(Duration::from_secs(60)).is_empty());
                    order.lock().unwrap().push("ended");
                });
                begins.recv().unwrap();
                // Time enough for an end that does not wait.
                (0..200).for_each(|_| thread::yield_now());
                order.lock().unwrap().push("printed");
                session.shown(&event);
            });
            assert_eq!(order.into_inner().unwrap(), ["printed", "ended"]);
        }
    }

    #[test]
    fn what_the_stream_does_not_bring_back_is_shown_from_the_answer() {
        let session = signed_in();
        assert!(session.await_echo(echo(7)).is_none());
        assert_eq!(session.echoes(Duration::ZERO), [echo(7)]);
        assert!(session.take(echo(7)).is_none());
    }

    #[test]
    fn what_waits_for_its_echo_is_bounded() {
        let session = signed_in();
        for id in 1..=MAX_AWAITED as u64 {
            assert!(session.await_echo(echo(id)).is_none());
        }
        assert_eq!(session.await_echo(echo(5_000)), Some(echo(1)));
    }

    /// A server where ann's password is `right`, and the kept token is dead.
    fn with_password() -> (Session, Folder) {
        let base = serve(|asked| {
            let status = json!({"server": {}, "user": {"name": "ann"}});
            let fresh = asked.field("authorization") == Some("Bearer fresh");
            match asked.path.as_str() {
                "/status" if fresh => Reply::Json(200, status),
                "/connect" if asked.body["password"] == "right" => {
                    Reply::Json(200, json!({"token": "fresh"}))
                }
                _ => Reply::Json(401, json!({"code": "wrong_password"})),
            }
        });
        let (store, folder) = store();
        store.save(&base, "ann", "dead").unwrap();
        let session = Session::new(Api::new(&base), store, "ann".to_owned(), None);
        (session, folder)
    }

    #[test]
    fn a_dead_token_is_replaced_by_means_of_the_password() {
        let (session, _folder) = with_password();
        let mut answers = vec!["right", "wrong"];
        let mut again = Vec::new();
        let signed_in = session.sign_in(&mut |wrong| {
            again.push(wrong);
            answers.pop().map(str::to_owned)
        });
        assert_eq!(signed_in.unwrap(), SignedIn::NewClient);
        assert_eq!(again, [false, true]);
        let kept = session.store.load(session.api.base(), "ann").unwrap();
        assert_eq!(kept.as_deref(), Some("fresh"));
        assert_eq!(session.sign_in(&mut |_| None).unwrap(), SignedIn::Again);
    }

    #[test]
    fn a_password_that_nobody_gives_is_asked_for_in_the_error() {
        let (session, _folder) = with_password();
        let error = session.sign_in(&mut |_| None).unwrap_err();
        assert!(matches!(error, Error::PasswordNeeded(_)));
        let mut answers = vec!["wrong"];
        let error = session.sign_in(&mut |_| answers.pop().map(str::to_owned));
        assert!(matches!(error.unwrap_err(), Error::WrongPassword(_)));
    }

    #[test]
    fn a_name_of_somebody_else_is_explained() {
        let base = serve(|_| Reply::Json(409, json!({"code": "name_taken"})));
        let (store, _folder) = store();
        let session = Session::new(Api::new(&base), store, "ann".to_owned(), None);
        let error = session.sign_in(&mut |_| None).unwrap_err();
        assert!(
            error.to_string().contains("the name ann is taken"),
            "{error}"
        );
    }
}
