//! How one signs in: by a kept token, or by the name and perhaps a password.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::Error;
use super::retry::{Backoff, dice};
use super::session::{Ask, Session, SignedIn};

impl Session {
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
                    self.lost_name.store(false, Ordering::Relaxed);
                    let token = connected.token;
                    self.api.set_token(Some(token.clone()));
                    let status = self.api.status().map_err(|error| self.failed(error))?;
                    self.state().learn(&status);
                    self.store.save(self.api.base(), &self.name, &token)?;
                    if connected.created && self.looks() {
                        // To somebody who has just come nothing is new. Where that fails, it is
                        // shown as if it were.
                        let _ = self.api.post("/read", &json!({}), None);
                    }
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
                return Err(match self.lost_name.load(Ordering::Relaxed) {
                    true => Error::NameLost(self.name.clone()),
                    false => Error::NameTaken(self.name.clone()),
                });
            }
            if password.is_none() && error.may_be_done() {
                self.lost_name.store(true, Ordering::Relaxed);
            }
            if !error.is_status(401) {
                return Err(self.failed(error));
            }
            match ask(asked) {
                Some(password) => {
                    asked = true;
                    self.set_password(Some(password));
                }
                None if password.is_some() => return Err(Error::WrongPassword(self.name.clone())),
                None => return Err(Error::PasswordNeeded(self.name.clone())),
            }
        }
    }

    /// Signs in where there is nobody to ask, and waits for a server that cannot be reached.
    pub fn sign_in_patiently(&self) -> Result<SignedIn, Error> {
        let begun = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let error = match self.sign_in(&mut |_| None) {
                Err(Error::Server { server, why }) if why.passes() => Error::Server { server, why },
                other => return other,
            };
            let left = self.wait.saturating_sub(begun.elapsed());
            // The last try comes when the time is over, and not before.
            if left.is_zero() || self.gate.wait(backoff.next(dice()).min(left)) {
                return Err(error);
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
}

#[cfg(test)]
mod tests {
    use super::super::api::Api;
    use super::super::fake::{Folder, Reply, serve, store};
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

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
        assert!(!error.to_string().contains("token"), "{error}");
    }

    #[test]
    fn a_name_that_a_lost_answer_may_have_taken_is_told_from_somebody_elses() {
        let first = Mutex::new(true);
        let base = serve(move |_| match std::mem::take(&mut *first.lock().unwrap()) {
            true => Reply::Lost,
            false => Reply::Json(409, json!({"code": "name_taken"})),
        });
        let (store, _folder) = store();
        let session = Session::new(Api::new(&base), store, "ann".to_owned(), None);
        let error = session.sign_in_patiently().unwrap_err();
        assert_eq!(error.status(), 4);
        let told = error.to_string();
        assert!(told.contains("perhaps by this very start"), "{told}");
        assert!(told.contains("choose another name"), "{told}");
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_waited_for_as_long_as_one_says() {
        let calls = std::sync::Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let base = serve(move |_| {
            *counted.lock().unwrap() += 1;
            match *counted.lock().unwrap() {
                1 | 2 => Reply::Lost,
                _ => Reply::Json(
                    200,
                    json!({"server": {}, "user": {"name": "ann"}, "token": "t"}),
                ),
            }
        });
        let session = |wait| {
            let (store, folder) = store();
            let session = Session::new(Api::new(&base), store, "ann".to_owned(), None);
            (session.waiting(wait), folder)
        };
        let (at_once, _folder) = session(Duration::ZERO);
        let error = at_once.sign_in_patiently().unwrap_err();
        assert_eq!(error.status(), 3);
        assert!(!at_once.is_signed_in());
        let (patient, _folder) = session(Duration::from_secs(60));
        assert!(patient.sign_in_patiently().is_ok());
        assert!(patient.is_signed_in());
    }
}
