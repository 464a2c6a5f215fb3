//! The fold of all facts. Applying is deterministic: the same facts give the same world, byte for
//! byte, whatever the settings are now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::Stamp;
use crate::chat;
use crate::feature::{AnyState, Feature, place, registry};
use crate::log::{CORE, ChatId, Id, Log, LogError, Pos, Record, Snapshot, UserId};
use crate::time::Time;

/// Facts folded at a time when a world is read from the log.
const STEP: usize = 2_000;

/// Users, clients, chats and marks, and the state of every feature. Its size follows the people,
/// not the history.
pub struct World {
    /// The last fact applied.
    pub pos: Pos,
    /// The last fact after which messages that were there, or what lies beside them, may be
    /// others. Not saved: what was altered before it was read counts as altered then.
    pub(crate) altered: Pos,
    /// The core's state.
    pub chat: chat::State,
    /// The states of the features that are compiled in, on or off, in the registry's order.
    states: Vec<AnyState>,
    /// Those of the others, untouched.
    carried: BTreeMap<String, Carried>,
}

/// The state of a feature that is not compiled in, with the facts that wait for it.
#[derive(Default, Serialize, Deserialize)]
struct Carried {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    facts: Vec<CarriedFact>,
}

#[derive(Serialize, Deserialize)]
struct CarriedFact {
    pos: Pos,
    at: Time,
    by: Option<UserId>,
    chat: Option<ChatId>,
    message: Option<Id>,
    fact: Box<RawValue>,
}

#[derive(Serialize)]
struct SavedRef<'a> {
    pos: Pos,
    chat: &'a chat::State,
    features: BTreeMap<&'a str, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Saved {
    pos: Pos,
    chat: chat::State,
    features: BTreeMap<String, Carried>,
}

/// Why a world can't be had from the log.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A fact that this program does not know, or knows otherwise.
    #[error(
        "fact {pos} of `{owner}` is not known to this program; was the data written by a newer one?"
    )]
    Fact {
        /// Its position.
        pos: Pos,
        /// Whose it is.
        owner: String,
        /// What its reader said.
        source: serde_json::Error,
    },
    /// A snapshot that can't be read or written.
    #[error("the snapshot of `{part}` is not readable")]
    Snapshot {
        /// Which part of it.
        part: String,
        /// What its reader said.
        source: serde_json::Error,
    },
}

impl Default for World {
    fn default() -> Self {
        let states = registry().iter();
        Self {
            pos: 0,
            altered: 0,
            chat: chat::State::default(),
            states: states.map(|feature| (feature.state.new)()).collect(),
            carried: BTreeMap::new(),
        }
    }
}

impl World {
    /// The world at the end of the log.
    pub(crate) fn load(log: &dyn Log) -> Result<Self, WorldError> {
        let mut world = match log.snapshot()? {
            Some(snapshot) => Self::restore(&snapshot)?,
            None => Self::default(),
        };
        loop {
            let records = log.read(world.pos, STEP)?;
            for record in &records {
                world.apply(record)?;
            }
            if records.len() < STEP {
                world.altered = world.pos;
                return Ok(world);
            }
        }
    }

    /// The world as it was saved.
    pub(crate) fn restore(snapshot: &Snapshot) -> Result<Self, WorldError> {
        let saved: Saved =
            serde_json::from_slice(&snapshot.body).map_err(|source| WorldError::Snapshot {
                part: "all".into(),
                source,
            })?;
        let mut world = Self {
            pos: saved.pos,
            altered: saved.pos,
            chat: saved.chat,
            ..Self::default()
        };
        world.chat.index();
        for (name, carried) in saved.features {
            let known = place(&name).and_then(|place| {
                let registration = *registry().get(place)?;
                Some((registration, world.states.get_mut(place)?))
            });
            let Some((registration, state)) = known else {
                world.carried.insert(name, carried);
                continue;
            };
            if let Some(json) = &carried.state {
                *state =
                    (registration.state.load)(json).map_err(|source| WorldError::Snapshot {
                        part: name.clone(),
                        source,
                    })?;
            }
            for waiting in &carried.facts {
                let stamp = Stamp {
                    pos: waiting.pos,
                    at: waiting.at,
                    by: waiting.by,
                    chat: waiting.chat,
                    message: waiting.message,
                };
                (registration.state.apply)(state, &waiting.fact, &stamp).map_err(|source| {
                    WorldError::Fact {
                        pos: waiting.pos,
                        owner: name.clone(),
                        source,
                    }
                })?;
            }
        }
        Ok(world)
    }

    /// The world as bytes: the same for the same facts.
    pub(crate) fn save(&self) -> Result<Vec<u8>, WorldError> {
        let unsaved = |part: &str| {
            let part = part.to_owned();
            move |source| WorldError::Snapshot { part, source }
        };
        let mut features = BTreeMap::new();
        for (name, carried) in &self.carried {
            let saved = to_raw_value(carried).map_err(unsaved(name))?;
            features.insert(name.as_str(), saved);
        }
        for (registration, state) in registry().iter().zip(&self.states) {
            let saved = (registration.state.save)(state).and_then(|state| {
                to_raw_value(&Carried {
                    state: Some(state),
                    facts: Vec::new(),
                })
            });
            let saved = saved.map_err(unsaved(registration.name))?;
            features.insert(registration.name, saved);
        }
        serde_json::to_vec(&SavedRef {
            pos: self.pos,
            chat: &self.chat,
            features,
        })
        .map_err(|source| WorldError::Snapshot {
            part: "all".into(),
            source,
        })
    }

    /// Folds one record: its fact, and what the checks added, each into its own state.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), WorldError> {
        let stamp = Stamp::of(record);
        let unknown = |owner: &str| {
            let owner = owner.to_owned();
            move |source| WorldError::Fact {
                pos: record.pos,
                owner,
                source,
            }
        };
        if record.owner == CORE {
            let fact: chat::Fact =
                serde_json::from_str(record.fact.get()).map_err(unknown(CORE))?;
            if fact.alters() {
                self.altered = record.pos;
            }
            if let chat::Fact::Removed { ids, .. } = &fact {
                for (feature, state) in registry().iter().zip(&mut self.states) {
                    (feature.state.removed)(state, ids);
                }
            }
            self.chat.apply(fact, &stamp);
        } else {
            self.fold(&record.owner, &record.fact, &stamp)
                .map_err(unknown(&record.owner))?;
            if record.message().is_some() {
                self.altered = record.pos;
            }
        }
        for (name, fact) in &record.riders {
            self.fold(name, fact, &stamp).map_err(unknown(name))?;
        }
        self.pos = record.pos;
        Ok(())
    }

    /// A feature's state.
    #[expect(
        clippy::panic,
        reason = "every registered feature has a state from the start, and no \
        other type can be a feature"
    )]
    pub fn state<F: Feature>(&self) -> &F::State {
        match self
            .states
            .get(F::place())
            .map(|state| state.downcast_ref())
        {
            Some(Some(state)) => state,
            Some(None) => panic!("the state of `{}` is of another type", F::NAME),
            None => panic!("`{}` is not registered", F::NAME),
        }
    }

    fn fold(&mut self, name: &str, fact: &RawValue, stamp: &Stamp) -> serde_json::Result<()> {
        let known = place(name).and_then(|place| {
            let registration = registry().get(place)?;
            Some((registration, self.states.get_mut(place)?))
        });
        if let Some((registration, state)) = known {
            return (registration.state.apply)(state, fact, stamp);
        }
        let carried = self.carried.entry(name.to_owned()).or_default();
        carried.facts.push(CarriedFact::new(fact, stamp));
        Ok(())
    }
}

impl CarriedFact {
    fn new(fact: &RawValue, stamp: &Stamp) -> Self {
        Self {
            pos: stamp.pos,
            at: stamp.at,
            by: stamp.by,
            chat: stamp.chat,
            message: stamp.message,
            fact: fact.to_owned(),
        }
    }
}
