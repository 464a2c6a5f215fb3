//! What a check says of a draft.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::http::Problem;
use crate::log::Id;
use crate::settings::Period;
use crate::time::Time;

/// A check's word: a refusal or none, and what it adds. `Fact` is the feature's own.
pub struct Verdict<Fact> {
    pub(crate) refusal: Option<Problem>,
    pub(crate) rider: Option<Fact>,
    pub(crate) ends: Option<Time>,
    pub(crate) fuse: Option<Period>,
    pub(crate) holds: Vec<Id>,
    pub(crate) content: bool,
    pub(crate) shown: Map<String, Value>,
    pub(crate) passed: HeaderMap,
    pub(crate) refused: HeaderMap,
}

impl<Fact> Verdict<Fact> {
    /// Nothing against it.
    pub fn pass() -> Self {
        Self {
            refusal: None,
            rider: None,
            ends: None,
            fuse: None,
            holds: Vec::new(),
            content: false,
            shown: Map::new(),
            passed: HeaderMap::new(),
            refused: HeaderMap::new(),
        }
    }

    /// Against it. Other checks are asked all the same; of several refusals the one of the lowest
    /// status is answered.
    pub fn refuse(problem: Problem) -> Self {
        Self {
            refusal: Some(problem),
            ..Self::pass()
        }
    }

    /// Adds a fact of the feature's own, which rides in the draft's fact if it is posted.
    #[must_use]
    pub fn rider(mut self, fact: Fact) -> Self {
        self.rider = Some(fact);
        self
    }

    /// Lets a message end at `time`, if no other check lets it end sooner.
    #[must_use]
    pub fn ends(mut self, time: Time) -> Self {
        self.ends = Some(time);
        self
    }

    /// Lets a message end that long after its delivery, if that is sooner than its end.
    #[must_use]
    pub fn ends_after_delivery(mut self, fuse: Period) -> Self {
        self.fuse = Some(fuse);
        self
    }

    /// Has the message (or the row of a feature, where the draft becomes one) hold a row of the
    /// feature's own. Such a row lives until nothing holds it any more, and its object with it.
    #[must_use]
    pub fn holds(mut self, row: Id) -> Self {
        self.holds.push(row);
        self
    }

    /// Says that the draft has something to say without a text, which may be empty then.
    #[must_use]
    pub fn says_enough(mut self) -> Self {
        self.content = true;
        self
    }

    /// Says how a field that the check reads ([`Draft::field`](crate::bus::Draft::field)) is shown
    /// while the draft waits to become a message.
    #[must_use]
    pub fn shows(mut self, field: &str, value: Value) -> Self {
        self.shown.insert(field.to_owned(), value);
        self
    }

    /// Adds a header to the answer: one value if the draft is posted, another if any check
    /// refuses it. A value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, passed: &str, refused: &str) -> Self {
        let name = HeaderName::from_static(name);
        for (headers, value) in [(&mut self.passed, passed), (&mut self.refused, refused)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(name.clone(), value);
            }
        }
        self
    }
}
