//! Fuzz targets: what strangers send, whatever it is, and the promises that hold all the same.
//!
//! `random.rs` makes their input at random in the tests; `fuzz/` has it made by libFuzzer, which
//! follows the branches that the input takes. Both begin with the seeds in `tests/corpus/TARGET`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken promise is told by a panic"
)]

use std::borrow::Cow;

use bytes::Bytes;
use unicode_normalization::is_nfc;

use crate::bus::{Address, Stamp};
use crate::chat::{self, Folded, Name};
use crate::config::{Config, FeatureTable};
use crate::feature::{Call, Paging, Route, Run, parse_query, registry};
use crate::http::Params;
use crate::http::fuzz::{chunks, forms, framing, heads};
use crate::inert::steers;
use crate::log::UserId;
use crate::settings::{Period, Size};
use crate::time::Time;

#[cfg(test)]
mod random;

#[cfg(test)]
pub(crate) use random::fuzz;

/// What takes an input, and panics where a promise is broken.
pub type Target = Box<dyn Fn(&[u8])>;

/// A target of a feature's own, for what strangers send to where it listens: it has the feature's name.
/// [`fuzzed!`](crate::fuzzed!) makes it.
pub struct Own {
    /// The feature's name.
    pub name: &'static str,
    /// What takes an input.
    pub target: fn(&[u8]),
}

inventory::collect!(Own);

/// Makes a function the fuzz target of a feature.
#[macro_export]
macro_rules! fuzzed {
    ($feature:ty, $target:expr) => {
        $crate::inventory::submit! {
            $crate::fuzz::Own { name: <$feature as $crate::feature::Named>::NAME, target: $target }
        }
    };
}

/// The target of this name, which is that of its seeds' folder.
pub fn target(name: &str) -> Option<Target> {
    Some(match name {
        "heads" => Box::new(heads),
        "framing" => Box::new(framing),
        "chunks" => Box::new(chunks),
        "forms" => Box::new(forms),
        "bodies" => {
            let routes = writing();
            Box::new(move |input| bodies(input, &routes))
        }
        "queries" => Box::new(queries),
        "addresses" => {
            let state = people();
            Box::new(move |input| addresses(input, &state))
        }
        "names" => Box::new(names),
        "lengths" => Box::new(lengths),
        "settings" => {
            let tables = registry().iter().map(|registration| (registration.table)());
            let tables: Vec<_> = tables.collect();
            Box::new(move |input| settings(input, &tables))
        }
        "events" => Box::new(crate::client::fuzz::events),
        _ => {
            let mut own = inventory::iter::<Own>().filter(|own| own.name == name);
            Box::new(own.next()?.target)
        }
    })
}

/// An input in small pieces, whose lengths are its own bytes'.
pub(crate) fn pieces(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let first = usize::from(*input.first()?);
        let (piece, rest) = input.split_at((1 + first % 9).min(input.len()));
        input = rest;
        Some(piece)
    })
}

fn text(input: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// The calls that have the writer decide.
fn writing() -> Vec<Route> {
    let mut routes = chat::routes().routes;
    for registration in registry() {
        routes.extend((registration.routes)().routes);
    }
    routes.retain(|route| matches!(route.run, Run::Write(_)));
    routes
}

/// A body is taken or refused by the two codes that are for it. The first byte chooses the call.
fn bodies(input: &[u8], routes: &[Route]) {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let route = &routes[usize::from(*choice) % routes.len()];
    let Run::Write(prepare) = &route.run else {
        return;
    };
    let call = Call {
        user: UserId(1),
        client: uuid::Uuid::nil(),
        params: Params::default(),
    };
    if let Err(problem) = prepare(call, &Bytes::copy_from_slice(body)) {
        let told = (problem.status.as_u16(), problem.code.as_ref());
        assert!(
            [(400, "malformed"), (422, "invalid")].contains(&told),
            "{problem}"
        );
    }
}

/// A query is taken, or refused by the one code that is for it.
fn queries(input: &[u8]) {
    if let Err(problem) = parse_query::<Paging>(Some(&text(input))) {
        assert_eq!(problem.status, 422, "{problem}");
    }
}

/// Some users, of several scripts.
fn people() -> chat::State {
    let mut state = chat::State::default();
    for (pos, name) in [(1, "ann"), (2, "Bob"), (3, "Владимир"), (4, "Åsa")] {
        let joined = chat::Fact::Joined {
            name: name.to_owned(),
            password: None,
        };
        let stamp = Stamp {
            pos,
            ..Stamp::default()
        };
        state.apply(joined, &stamp);
    }
    state
}

/// An address names what it is written as, and nothing else.
fn addresses(input: &[u8], state: &chat::State) {
    let address = text(input);
    match chat::resolve(state, "to", &address, UserId(1)) {
        Ok(Address::User(user)) => {
            let name = address.strip_prefix('@').expect("a user has an @");
            let found = state.user(user).expect("they are there");
            let is_me = user == UserId(1) && name.eq_ignore_ascii_case("me");
            assert!(is_me || Folded::of(name) == Folded::of(&found.name));
        }
        Ok(Address::Chat(_)) => assert_eq!(address, "common"),
        Err(problem) => assert!([404, 422].contains(&problem.status.as_u16()), "{problem}"),
    }
}

/// A name is composed, one line without a sign that steers, is found as it was written, and parses to itself.
fn names(input: &[u8]) {
    let raw = text(input);
    let folded = Folded::of(&raw);
    let Ok(name) = Name::parse(&raw) else { return };
    assert!((1..=32).contains(&name.as_str().chars().count()));
    assert!(
        !name
            .as_str()
            .contains(|c: char| steers(c) || c.is_whitespace())
    );
    assert_eq!(Name::parse(name.as_str()).ok(), Some(name.clone()));
    assert_eq!(Folded::of(name.as_str()), folded);
    assert!(is_nfc(name.as_str()), "{name:?}");
}

/// A value's text is read back as the same value.
fn round<T>(text: &str)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().expect("its own text"), value);
    }
}

fn lengths(input: &[u8]) {
    let text = text(input);
    round::<Period>(&text);
    round::<Size>(&text);
    round::<Time>(&text);
}

/// Settings that were read are printed, and read back, as the same. What is wrong has a place.
fn settings(input: &[u8], tables: &[FeatureTable]) {
    let text = text(input);
    match Config::parse(&text, "config.toml", tables) {
        Ok(config) => {
            let again = Config::parse(&config.print(), "config.toml", tables);
            assert_eq!(again.expect("what is printed is valid"), config);
        }
        Err(error) => assert!(error.to_string().contains("config.toml:"), "{error}"),
    }
}
