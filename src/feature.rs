//! The `Feature` trait: all that a feature may do, on one screen.
//!
//! The life of a feature:
//! 1. `feature!(Name)` registers the type; its module's name is the feature's name.
//! 2. At start its table in config.toml is read into `Settings`, and `new` builds it.
//! 3. The log is replayed: `apply` folds each of its facts into its `State`.
//! 4. When every feature stands and the log is read, `run` starts with its [`Site`], and requests come in.
//! 5. A request to one of its `routes` decides on the writer and records facts; every draft of a
//!    post, whoever makes it, passes `check`; when `due` says so, `wake` decides without a request.
//! 6. What is recorded is durable, then applied facts become events by `event`, and `show` adds
//!    the feature's fields wherever a message, a chat, a user or the server is shown.
//!
//! When a step before 4 fails, the start fails with the feature's name and reason. A feature that
//! is switched off keeps its state: its facts are folded all the same, nothing else is called.

mod admin;
mod ask;
mod erased;
mod fixed;
mod inside;
mod parse;
mod routes;
mod site;
mod upload;
mod verdict;
mod visit;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bus::{Draft, Event, Fields, Stamp, Subject, Telling, Tx, View};
use crate::config::FeatureTable;
use crate::http::Problem;
use crate::log::{CORE, Id};
use crate::settings::Table;
use crate::time::Time;

pub(crate) use admin::{Command, Duty, Order, Report, Usage, form, given};
pub(crate) use ask::limit;
pub use ask::{Ask, NoQuery, Paging};
pub use erased::Features;
pub(crate) use erased::{AnyState, Checked, Erased, StateOps};
pub use fixed::Fixed;
pub(crate) use fixed::answer as answer_fixed;
pub use inside::{Answered, Events, Happened, Inside};
pub use parse::{parse_json, parse_query};
pub(crate) use routes::{
    Boxed, Field, Handler, MakeSchema, Owner, Parts, Prepare, PrepareOpen, Route, Run,
};
pub use routes::{Call, Routes};
pub use site::{Listen, Site};
pub use verdict::Verdict;
pub use visit::Visit;

/// One feature. Every method has a quiet default; see the module's head for their order.
#[async_trait]
pub trait Feature: Named + Sized + Send + Sync + 'static {
    /// What it does, in one line.
    const ABOUT: &'static str;

    /// Whether it is on where config.toml does not say.
    const ON: bool = true;

    /// Its table `[features.NAME]` in config.toml; `()` where it has no settings.
    type Settings: Table;
    /// What it remembers: the fold of its facts. Saved in snapshots.
    type State: Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What can happen in it, as the log keeps it.
    type Fact: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Builds it. An error stops the server's start.
    fn new(settings: Self::Settings) -> Result<Self, String>;

    /// Its paths, and its commands of `veche admin`. They are known even where the feature is off, to
    /// say so.
    fn routes() -> Routes<Self> {
        Routes::new()
    }

    /// Where it keeps objects, bytes too large for a row: a folder, in the data folder where it
    /// is relative, or `s3://BUCKET/PREFIX`. None where it has no objects.
    fn objects(&self) -> Option<&str> {
        None
    }

    /// Where it listens beside the server, for another protocol than HTTP. All of it is opened before
    /// anything runs, and comes in by [`Site::guest`]; what can't be listened on stops the start.
    fn listens(&self) -> Vec<Listen> {
        Vec::new()
    }

    /// Whether it looks for words in messages ([`Ask::find`]): then the log keeps an index of their
    /// texts. Up to so many of the newest messages stay outside of it and are read through: the more
    /// there are, the less posting costs and the more finding does.
    fn searches(&self) -> Option<usize> {
        None
    }

    /// Judges a draft of any post: refuses it, or adds a fact and headers of its own.
    fn check(&self, _state: &Self::State, _draft: &Draft<'_>, _tx: &Tx<'_>) -> Verdict<Self::Fact> {
        Verdict::pass()
    }

    /// Folds one of its facts. It reads no clock and no settings, and cannot fail: what a fact's
    /// meaning needs of them is in the fact.
    fn apply(_state: &mut Self::State, _fact: Self::Fact, _stamp: &Stamp) {}

    /// Lets go of messages that are gone, where its state has their ids. What lies beside them goes
    /// without it.
    fn removed(_state: &mut Self::State, _messages: &[Id]) {}

    /// The event that a fact is to those in its audience.
    fn event(_fact: &Self::Fact, _telling: &Telling<'_>) -> Option<Event> {
        None
    }

    /// When it next has something to do by itself.
    fn due(&self, _state: &Self::State, _tx: &Tx<'_>) -> Option<Time> {
        None
    }

    /// Does what is due; a part of it where it is much, for `due` is asked again at once.
    fn wake(&self, _state: &Self::State, _tx: &mut Tx<'_>) -> Result<(), Problem> {
        Ok(())
    }

    /// Its fields on a message, or its part under its own name on a chat, a user or the server.
    fn show(&self, _state: &Self::State, _of: &Subject<'_>, _view: &View<'_>, _to: &mut Fields) {}

    /// Work beside the server, such as a listener of its own, or calls to elsewhere. It may end by itself;
    /// when the server stops it has a moment to ([`Site::stopping`]), and then is dropped.
    async fn run(self: Arc<Self>, _site: Site<Self>) {}
}

/// A feature's name, given by [`feature!`](crate::feature!).
pub trait Named {
    /// The name of its module: its table's and its facts' name, too.
    const NAME: &'static str;

    /// Its place among all that are registered.
    #[doc(hidden)]
    fn place() -> usize;
}

/// Registers a feature. Its name is the name of the module this stands in.
#[macro_export]
macro_rules! feature {
    ($feature:ty) => {
        impl $crate::feature::Named for $feature {
            const NAME: &'static str = $crate::feature::last_segment(module_path!());

            fn place() -> usize {
                // Looked up once: states are asked for with each message that is shown.
                static PLACE: ::std::sync::OnceLock<usize> = ::std::sync::OnceLock::new();
                *PLACE.get_or_init(|| $crate::feature::place(Self::NAME).unwrap_or(usize::MAX))
            }
        }
        $crate::inventory::submit! { $crate::feature::Registration::of::<$feature>(file!()) }
    };
}

/// A feature as it is registered: a constant of names and function pointers.
pub struct Registration {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The file that registers it.
    pub file: &'static str,
    pub(crate) table: fn() -> FeatureTable,
    pub(crate) state: StateOps,
    pub(crate) build: fn(&crate::config::Config) -> Result<Box<dyn Erased>, String>,
    pub(crate) routes: fn() -> Parts,
}

inventory::collect!(Registration);

impl Registration {
    /// The registration of `F`, which `file` submits.
    pub const fn of<F: Feature>(file: &'static str) -> Self {
        Self {
            name: F::NAME,
            about: F::ABOUT,
            file,
            table: || FeatureTable {
                on: F::ON,
                ..FeatureTable::of::<F::Settings>(F::NAME, F::ABOUT)
            },
            state: StateOps::of::<F>(),
            build: erased::build::<F>,
            routes: || F::routes().into_parts(),
        }
    }
}

/// The last part of a module's path.
pub const fn last_segment(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b':' {
        start -= 1;
    }
    path.split_at(start).1
}

/// Every feature compiled in, sorted by name: link order differs from build to build.
pub fn registry() -> &'static [&'static Registration] {
    static SORTED: OnceLock<Vec<&'static Registration>> = OnceLock::new();
    SORTED.get_or_init(|| {
        let mut all: Vec<_> = inventory::iter::<Registration>().collect();
        all.sort_by_key(|registration| (registration.name, registration.file));
        all
    })
}

/// The place of a feature among them.
pub fn place(name: &str) -> Option<usize> {
    registry()
        .binary_search_by_key(&name, |registration| registration.name)
        .ok()
}

/// Names that the core has: its facts' owner, and its fields where features add parts.
const RESERVED: [&str; 11] = [
    CORE, "name", "clients", "kind", "title", "members", "online", "unread", "last", "id", "core",
];

/// Says which two features have one name, or which has one of the core's, if any do.
pub fn conflict(registry: &[&Registration]) -> Option<String> {
    if let Some(taken) = registry.iter().find(|one| RESERVED.contains(&one.name)) {
        return Some(format!(
            "the feature in {} is named `{}`, which is a name of the core; rename the file",
            taken.file, taken.name
        ));
    }
    registry
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name)
        .map(|pair| {
            format!(
                "two features are named `{}`: one in {}, one in {}; rename one of them",
                pair[0].name, pair[0].file, pair[1].file
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_features_name_is_the_last_part_of_its_modules_path() {
        assert_eq!(last_segment("veche::features::comments"), "comments");
        assert_eq!(last_segment("poll"), "poll");
    }

    #[test]
    fn features_are_sorted_and_of_different_names() {
        let names: Vec<_> = registry()
            .iter()
            .map(|registration| registration.name)
            .collect();
        assert!(names.is_sorted());
        assert_eq!(conflict(registry()), None);
    }

    #[test]
    fn two_of_one_name_are_both_named() {
        struct Twin;
        impl Named for Twin {
            fn place() -> usize {
                usize::MAX
            }

            const NAME: &'static str = "twin";
        }
        impl Feature for Twin {
            const ABOUT: &'static str = "A twin.";
            type Settings = ();
            type State = ();
            type Fact = ();
            fn new((): ()) -> Result<Self, String> {
                Ok(Self)
            }
        }
        let (one, two) = (
            Registration::of::<Twin>("a.rs"),
            Registration::of::<Twin>("b.rs"),
        );
        let sentence = conflict(&[&one, &two]).expect("a conflict");
        let core = Registration {
            name: "chat",
            ..Registration::of::<Twin>("chat.rs")
        };
        assert!(conflict(&[&core]).expect("a conflict").contains("chat.rs"));
        assert!(
            sentence.contains("a.rs") && sentence.contains("b.rs"),
            "{sentence}"
        );
    }
}
