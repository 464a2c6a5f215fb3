//! A draft: what somebody is about to post, for every feature's check to judge.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::chat::Kind;
use crate::http::Problem;
use crate::log::{ChatId, Id, Riders, UserId};
use crate::settings::Period;
use crate::time::Time;

/// Where a post goes, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// A chat that many are in.
    Chat(ChatId),
    /// The private chat with a user, which may not exist yet.
    User(UserId),
}

/// What a draft is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It appears at once.
    PostNow,
    /// It is kept, to be posted later (and judged again then).
    PostLater,
    /// It brings something that a post may use later; its text, such as a name, is judged by
    /// whoever makes the draft.
    Upload,
    /// It changes the message that it is beside: no post more.
    Change,
}

/// What somebody is about to post. Whatever makes one, a message, a comment or another feature's
/// post, passes every enabled feature's check.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Who posts.
    pub from: UserId,
    /// Who answers for it, where `from` is no person: the chats that they are in are those that it may
    /// be posted to, and a ban of theirs holds for it.
    pub sponsor: Option<UserId>,
    /// Where to.
    pub to: Address,
    /// What for.
    pub purpose: Purpose,
    /// The message it belongs to, if it is no message of its own.
    pub beside: Option<Id>,
    /// Its text.
    pub text: &'a str,
    /// What else the request says, for the checks that know it.
    pub more: Option<&'a Map<String, Value>>,
}

impl<'a> Draft<'a> {
    /// A message to be posted now.
    pub fn message(from: UserId, to: Address, text: &'a str) -> Self {
        Self {
            from,
            sponsor: None,
            to,
            purpose: Purpose::PostNow,
            beside: None,
            text,
            more: None,
        }
    }

    /// The same with somebody who answers for it.
    pub fn sponsored(mut self, sponsor: UserId) -> Self {
        self.sponsor = Some(sponsor);
        self
    }

    /// Something to be posted now beside a message.
    pub fn beside(mut self, message: Id) -> Self {
        self.beside = Some(message);
        self
    }

    /// The same with the other fields of its request.
    pub fn with(mut self, more: &'a Map<String, Value>) -> Self {
        self.more = Some(more);
        self
    }

    /// One of its request's other fields; none where it is `null`.
    pub fn field(&self, name: &str) -> Option<&'a Value> {
        self.more?.get(name).filter(|value| !value.is_null())
    }

    /// The kind of chat that it goes to.
    pub fn kind(&self) -> Kind {
        match self.to {
            Address::Chat(ChatId::COMMON) => Kind::Common,
            Address::Chat(_) => Kind::Room,
            Address::User(_) => Kind::Private,
        }
    }

    /// Whether it goes to the sender's own notebook.
    pub fn is_note(&self) -> bool {
        self.to == Address::User(self.from)
    }
}

/// A draft that passed every check, with what the checks added.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) riders: Riders,
    pub(crate) headers: HeaderMap,
    pub(crate) ends: Option<Time>,
    pub(crate) fuse: Option<Period>,
    pub(crate) holds: Vec<Id>,
    pub(crate) shown: Map<String, Value>,
}

/// Gathers the checks' words into one: all headers, the soonest end, and of several refusals the
/// one of the lowest status, then of the first name.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    passed: Passed,
    refused: HeaderMap,
    refusal: Option<Problem>,
    /// Whether a check finds that it needs no text.
    pub(crate) content: bool,
}

impl Judgement {
    /// Takes a refusal in; those of an equal status must come in order of their features' names.
    pub(crate) fn refuse(&mut self, refusal: Problem) {
        if self
            .refusal
            .as_ref()
            .is_none_or(|known| refusal.status < known.status)
        {
            self.refusal = Some(refusal);
        }
    }

    /// Takes a refusal in that goes before others of its status.
    pub(crate) fn refuse_first(&mut self, refusal: Problem) {
        if self
            .refusal
            .as_ref()
            .is_none_or(|known| refusal.status <= known.status)
        {
            self.refusal = Some(refusal);
        }
    }

    /// Takes one feature's word in.
    pub(crate) fn add(&mut self, name: &str, checked: crate::feature::Checked) {
        if let Some(refusal) = checked.refusal {
            self.refuse(refusal);
        }
        if let Some(rider) = checked.rider {
            self.passed.riders.insert(name.to_owned(), rider);
        }
        self.passed.ends = soonest(self.passed.ends, checked.ends);
        self.passed.fuse = soonest(self.passed.fuse, checked.fuse);
        self.passed.holds.extend(checked.holds);
        self.content |= checked.content;
        self.passed.shown.extend(checked.shown);
        append(&mut self.passed.headers, checked.passed);
        append(&mut self.refused, checked.refused);
    }

    /// What it comes to.
    pub(crate) fn close(self) -> Result<Passed, Problem> {
        match self.refusal {
            None => Ok(self.passed),
            Some(mut refusal) => {
                append(&mut refusal.headers, self.refused);
                Err(refusal)
            }
        }
    }
}

fn soonest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn append(all: &mut HeaderMap, more: HeaderMap) {
    let mut current = None;
    for (name, value) in more {
        current = name.or(current);
        if let Some(name) = &current {
            all.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, StatusCode};

    use super::*;
    use crate::feature::Checked;

    fn word(status: Option<u16>, header: &'static str) -> Checked {
        let headers = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static(header),
                HeaderValue::from_static(value),
            );
            headers
        };
        Checked {
            refusal: status.map(|status| {
                let status = StatusCode::from_u16(status).expect("a status");
                Problem::new(status, header, "no")
            }),
            rider: None,
            ends: None,
            fuse: None,
            holds: Vec::new(),
            content: false,
            shown: Map::new(),
            passed: headers("passed"),
            refused: headers("refused"),
        }
    }

    #[test]
    fn of_several_refusals_the_lowest_status_is_answered_with_every_header() {
        let mut judgement = Judgement::default();
        judgement.add("a", word(Some(429), "x-a"));
        judgement.add("b", word(Some(403), "x-b"));
        judgement.add("c", word(Some(403), "x-c"));
        judgement.add("d", word(None, "x-d"));
        let refusal = judgement.close().expect_err("a refusal");
        assert_eq!(refusal.code, "x-b");
        for header in ["x-a", "x-b", "x-c", "x-d"] {
            assert_eq!(refusal.headers[header], "refused");
        }
    }

    #[test]
    fn the_soonest_end_holds() {
        let mut judgement = Judgement::default();
        for ends in [None, Some(Time(7)), Some(Time(5)), Some(Time(6))] {
            judgement.add(
                "a",
                Checked {
                    ends,
                    ..word(None, "x-a")
                },
            );
        }
        let passed = judgement.close().expect("passed");
        assert_eq!(passed.ends, Some(Time(5)));
        assert_eq!(passed.headers["x-a"], "passed");
    }
}
