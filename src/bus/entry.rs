//! A feature's fact, about to be recorded.

use http::HeaderMap;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Passed;
use crate::feature::Feature;
use crate::log::{Audience, Beside, ChatId, Id, UserId};

/// A draft that passed: the token which lets a feature record what was judged.
pub struct PassedDraft(pub(super) Passed);

/// A fact of a feature's own, about to be recorded.
pub struct Entry<F: Feature> {
    pub(super) fact: F::Fact,
    pub(super) audience: Audience,
    pub(super) row: Option<Beside>,
    pub(super) object: Option<Uuid>,
    pub(super) text: Option<String>,
    pub(super) passed: Passed,
}

impl<F: Feature> Entry<F> {
    /// A fact that nobody is told of.
    pub fn new(fact: F::Fact) -> Self {
        Self {
            fact,
            audience: Audience::Nobody,
            row: None,
            object: None,
            text: None,
            passed: Passed::default(),
        }
    }

    /// Tells it to whoever is in a chat, as [`Feature::event`] says it.
    #[must_use]
    pub fn tell_chat(mut self, chat: ChatId) -> Self {
        self.audience = Audience::Chat(chat);
        self
    }

    /// Tells it to some users.
    #[must_use]
    pub fn tell(mut self, users: Vec<UserId>) -> Self {
        self.audience = Audience::Users(users);
        self
    }

    /// Keeps it as a row beside a message, which goes with the message.
    #[must_use]
    pub fn beside(mut self, message: Id) -> Self {
        self.row = Some(Beside::Message(message));
        self
    }

    /// Keeps it as a row by itself, until [`Tx::erase`](super::Tx::erase).
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.row = Some(Beside::None);
        self
    }

    /// Keeps it as what its user marks a message with, which `text` says: of a text there is one of
    /// each user, and it takes the place of the one before. One that is not `on` is taken back, and
    /// told of as others are. Those that are on are shown with the message
    /// ([`Shown::marks`](super::Shown::marks)); all go with it.
    #[must_use]
    pub fn mark(mut self, message: Id, text: &str, on: bool) -> Self {
        self.row = Some(Beside::Mark { message, on });
        self.text(text)
    }

    /// Puts a text into its row: it can be erased, the fact can't.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Gives its row an object: when the row goes, the object is deleted.
    #[must_use]
    pub fn object(mut self, id: Uuid) -> Self {
        self.object = Some(id);
        self
    }

    /// Takes what the checks added along. The headers are for the answer: [`Answer::headers`](super::Answer::headers).
    #[must_use]
    pub fn passed(mut self, passed: &mut PassedDraft) -> Self {
        self.passed.riders = std::mem::take(&mut passed.0.riders);
        self.passed.holds = std::mem::take(&mut passed.0.holds);
        self
    }
}

impl PassedDraft {
    /// How the fields that checks read are shown while the draft waits.
    pub fn shown(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.0.shown)
    }

    /// The headers that the checks gave the answer.
    pub fn headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.0.headers)
    }
}
