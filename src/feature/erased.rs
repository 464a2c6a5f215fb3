//! Features of different types behind one: the adapter between the trait and the bus.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::HeaderMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{Feature, Listen, Named, Owner, Registration, Site, registry};
use crate::bus::{Draft, Event, Fields, Stamp, Subject, Telling, Tx, View, World};
use crate::config::Config;
use crate::http::{Door, Problem};
use crate::log::Id;
use crate::server::Core;
use crate::settings::Period;
use crate::time::Time;

/// How a feature's state is made, read, written and folded, without its type.
#[derive(Clone, Copy)]
pub(crate) struct StateOps {
    pub(crate) new: fn() -> AnyState,
    pub(crate) load: fn(&RawValue) -> serde_json::Result<AnyState>,
    pub(crate) save: fn(&AnyState) -> serde_json::Result<Box<RawValue>>,
    pub(crate) apply: fn(&mut AnyState, &RawValue, &Stamp) -> serde_json::Result<()>,
    pub(crate) removed: fn(&mut AnyState, &[Id]),
    pub(crate) event: fn(&RawValue, &Telling<'_>) -> serde_json::Result<Option<Event>>,
}

/// A feature's state.
pub(crate) type AnyState = Box<dyn Any + Send + Sync>;

impl StateOps {
    pub(crate) const fn of<F: Feature>() -> Self {
        Self {
            new: || Box::new(F::State::default()),
            load: |json| Ok(Box::new(serde_json::from_str::<F::State>(json.get())?)),
            save: |state| match state.downcast_ref::<F::State>() {
                Some(state) => to_raw_value(state),
                None => to_raw_value(&()),
            },
            apply: |state, fact, stamp| {
                let fact = serde_json::from_str(fact.get())?;
                if let Some(state) = state.downcast_mut() {
                    F::apply(state, fact, stamp);
                }
                Ok(())
            },
            removed: |state, messages| {
                if let Some(state) = state.downcast_mut() {
                    F::removed(state, messages);
                }
            },
            event: |fact, telling| Ok(F::event(&serde_json::from_str(fact.get())?, telling)),
        }
    }
}

/// A check's word with the feature's own fact as JSON.
pub(crate) struct Checked {
    pub(crate) refusal: Option<Problem>,
    pub(crate) rider: Option<Box<RawValue>>,
    pub(crate) ends: Option<Time>,
    pub(crate) fuse: Option<Period>,
    pub(crate) holds: Vec<Id>,
    pub(crate) content: bool,
    pub(crate) shown: Map<String, Value>,
    pub(crate) passed: HeaderMap,
    pub(crate) refused: HeaderMap,
}

/// A feature that is on, without its type.
#[async_trait::async_trait]
pub(crate) trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn objects(&self) -> Option<&str>;
    fn listens(&self) -> Vec<Listen>;
    fn searches(&self) -> Option<usize>;
    fn check(&self, draft: &Draft<'_>, tx: &Tx<'_>) -> Checked;
    fn due(&self, tx: &Tx<'_>) -> Option<Time>;
    fn wake(&self, tx: &mut Tx<'_>) -> Result<(), Problem>;
    fn show(&self, world: &World, of: &Subject<'_>, view: &View<'_>, to: &mut Fields);
    fn any(&self) -> Arc<dyn Any + Send + Sync>;
    async fn run(&self, core: Arc<Core>, doors: Vec<Door>, stopping: watch::Receiver<bool>);
}

struct Adapter<F>(Arc<F>);

pub(crate) fn build<F: Feature>(config: &Config) -> Result<Box<dyn Erased>, String> {
    let settings = config
        .settings::<F::Settings>(F::NAME)
        .map_err(|error| error.to_string())?;
    Ok(Box::new(Adapter(Arc::new(F::new(settings)?))))
}

#[async_trait::async_trait]
impl<F: Feature> Erased for Adapter<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn objects(&self) -> Option<&str> {
        self.0.objects()
    }

    fn listens(&self) -> Vec<Listen> {
        self.0.listens()
    }

    fn searches(&self) -> Option<usize> {
        self.0.searches()
    }

    fn check(&self, draft: &Draft<'_>, tx: &Tx<'_>) -> Checked {
        let verdict = self.0.check(tx.world().state::<F>(), draft, tx);
        let mut checked = Checked {
            refusal: verdict.refusal,
            rider: None,
            ends: verdict.ends,
            fuse: verdict.fuse,
            holds: verdict.holds,
            content: verdict.content,
            shown: verdict.shown,
            passed: verdict.passed,
            refused: verdict.refused,
        };
        match verdict.rider.map(|fact| to_raw_value(&fact)).transpose() {
            Ok(rider) => checked.rider = rider,
            // A check that fails refuses.
            Err(error) => checked.refusal = Some(crate::bus::internal(F::NAME, &error)),
        }
        checked
    }

    fn due(&self, tx: &Tx<'_>) -> Option<Time> {
        self.0.due(tx.world().state::<F>(), tx)
    }

    fn wake(&self, tx: &mut Tx<'_>) -> Result<(), Problem> {
        self.0.wake(tx.world().state::<F>(), tx)
    }

    fn show(&self, world: &World, of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        self.0.show(world.state::<F>(), of, view, to);
    }

    fn any(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>
    }

    async fn run(&self, core: Arc<Core>, doors: Vec<Door>, stopping: watch::Receiver<bool>) {
        let site = Site::new(core, doors, stopping);
        Arc::clone(&self.0).run(site).await;
    }
}

/// The features that are on, sorted by name.
pub struct Features {
    on: BTreeMap<&'static str, Box<dyn Erased>>,
    /// The fields that checks read.
    draft_fields: BTreeSet<&'static str>,
}

impl Features {
    /// Builds every feature that the settings switch on; the error names the first that fails.
    pub(crate) fn build(config: &Config) -> Result<Self, String> {
        let mut on = BTreeMap::new();
        let mut draft_fields = BTreeSet::new();
        for registration in registry() {
            if config.enabled(registration.name) {
                let feature = (registration.build)(config)
                    .map_err(|reason| format!("feature {}: {reason}", registration.name))?;
                on.insert(registration.name, feature);
                let parts = (registration.routes)();
                let read = parts
                    .fields
                    .iter()
                    .filter(|field| field.of == Owner::Drafts);
                draft_fields.extend(read.map(|field| field.name));
            }
        }
        Ok(Self { on, draft_fields })
    }

    /// Those that are on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Erased> {
        self.on.values().map(|feature| &**feature)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.on.keys().copied().collect()
    }

    /// How many messages the index of texts may be behind; none where nobody asks for one.
    pub(crate) fn text_index(&self) -> Option<usize> {
        self.iter().filter_map(Erased::searches).min()
    }

    /// Those of a request's fields that some check reads.
    pub(crate) fn read(&self, more: &Map<String, Value>) -> Map<String, Value> {
        let read = more
            .iter()
            .filter(|(name, _)| self.draft_fields.contains(name.as_str()));
        read.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Whether a feature is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.on.contains_key(name)
    }

    /// A feature by its type, if it is on.
    pub(crate) fn get<F: Feature>(&self) -> Option<Arc<F>> {
        self.on.get(<F as Named>::NAME)?.any().downcast().ok()
    }

    /// How to fold a feature's facts.
    pub(crate) fn registration(name: &str) -> Option<&'static Registration> {
        registry()
            .iter()
            .find(|registration| registration.name == name)
            .copied()
    }
}
