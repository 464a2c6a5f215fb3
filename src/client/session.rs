//! Who one is at the server, and what its threads share.

use std::sync::atomic::AtomicBool;
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

/// How long a server is waited for, unless one says.
const WAIT: Duration = Duration::from_secs(120);

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
    /// How long the server is waited for where it cannot be reached.
    pub wait: Duration,
    pub(super) store: Store,
    pub(super) name: String,
    password: Mutex<Option<String>>,
    /// Whether the answer was lost that would have made the name one's own.
    pub(super) lost_name: AtomicBool,
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
            gate: api.gate.clone(),
            api,
            transfers: Transfers::default(),
            here: Here::default(),
            wait: WAIT,
            store,
            password: Mutex::new(password),
            lost_name: AtomicBool::new(false),
            leaving: Mutex::default(),
            state: Mutex::new(State {
                me: name.clone(),
                ..State::default()
            }),
            name,
            changed: Condvar::new(),
        }
    }

    /// One that waits so long for a server that cannot be reached.
    pub fn waiting(self, wait: Duration) -> Session {
        Session { wait, ..self }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere left it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of a call that the whole session depends on.
    pub fn failed(&self, error: CallError) -> Error {
        Error::Server {
            server: self.api.base().to_owned(),
            why: error,
        }
    }

    pub(super) fn password(&self) -> Option<String> {
        let password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        password.clone()
    }

    /// What one signs in by where no token is kept.
    pub fn set_password(&self, password: Option<String>) {
        *self.password.lock().unwrap_or_else(PoisonError::into_inner) = password;
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

    /// Whether the server has this feature on; before it was asked, whether it may have.
    pub fn has_feature(&self, name: &str) -> bool {
        let state = self.state();
        let features = state.features.as_ref();
        features.is_none_or(|features| features.iter().any(|feature| feature == name))
    }

    /// How many bytes a file may have, where that is less than so many.
    pub fn max_file(&self, size: u64) -> Result<Option<u64>, CallError> {
        let exceeded = |session: &Session| session.state().max_file.filter(|most| *most < size);
        if exceeded(self).is_some() {
            // It may take more by now.
            let status = self.api.status()?;
            self.state().learn(&status);
        }
        Ok(exceeded(self))
    }

    /// Whether one has signed in.
    pub fn is_signed_in(&self) -> bool {
        self.state().features.is_some()
    }

    /// Whether a token is kept to sign in by.
    pub fn has_token(&self) -> Result<bool, Error> {
        Ok(self.store.load(self.api.base(), &self.name)?.is_some())
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
            state.learn_from(event);
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
    use super::super::fake::{Reply, serve, session};
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
}
