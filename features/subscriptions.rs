//! **subscriptions**: what is said in a chat is posted to a program, as Standard Webhooks.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" $URL/subscriptions \
//!     --json '{"chat": "common", "url": "https://example.org/said"}'
//! curl -H "Authorization: Bearer $TOKEN" $URL/subscriptions
//! curl -H "Authorization: Bearer $TOKEN" --json '{}' $URL/subscriptions/31/on
//! ```
//!
//! Each message of the chat that the subscriber sees is posted to the URL, signed, in order: the next
//! one when the last was taken. What is not taken is tried again after growing pauses, and after
//! `give_up` the subscription is off until its owner switches it on again.
//!
//! How far each has come is a fact, recorded not for each message but once a while: so a crash has some
//! posted again, and none is lost. URL and secret lie in the row, which is erased with the subscription. Another
//! secret lies in a row of its own; that of before is erased when it signs no more.
//!
//! - `subscriptions/state.rs`: facts and their fold.
//! - `subscriptions/desk.rs`: the routes.
//! - `subscriptions/work.rs`: which message is posted when, and what came of it.
//! - `subscriptions/attempt.rs`, `subscriptions/letter.rs`: one message on its way, and as it is posted.
//! - `subscriptions/pauses.rs`: how long it is waited after a failure.

#[path = "subscriptions/attempt.rs"]
mod attempt;
#[path = "subscriptions/desk.rs"]
mod desk;
#[path = "subscriptions/letter.rs"]
mod letter;
#[path = "subscriptions/pauses.rs"]
mod pauses;
#[path = "subscriptions/state.rs"]
mod state;
#[path = "subscriptions/work.rs"]
mod work;

use std::sync::Arc;

use veche::prelude::*;

use desk::{MadeSubscription, Standing, SubscriptionList, SubscriptionView};
pub use state::{Fact, State};

/// So many secrets of before are taken away at once.
const AT_ONCE: usize = 100;

settings! {
    /// Messages that are posted to programs.
    pub struct Settings {
        /// How many subscriptions one user may have, 1 to 1000.
        pub subscriptions: usize = 20 => 1..=1000,
        /// How many messages are on their way at once, over all, 1 to 1000. A quarter of them may
        /// be one user's.
        pub at_once: usize = 64 => 1..=1000,
        /// How long a program may take to answer, from the look-up of its name on, 1s to 1m.
        pub timeout: Period = Period::secs(15) => Period::secs(1)..=Period::mins(1),
        /// How long it is waited after the first failure, 100ms to 1h. Each further one in a row
        /// makes it three times that.
        pub pause: Period = Period::secs(5) => Period::ms(100)..=Period::hours(1),
        /// The longest of these pauses, 100ms to 1d.
        pub longest_pause: Period = Period::hours(4) => Period::ms(100)..=Period::days(1),
        /// How long a program may fail until its subscription is off, 1s to 30d.
        pub give_up: Period = Period::days(3) => Period::secs(1)..=Period::days(30),
        /// How long the secret of before signs beside a new one, so that a program has time to learn that,
        /// 0ms to 30d.
        pub old_secret: Period = Period::days(1) => Period::ms(0)..=Period::days(30),
        /// IP addresses and networks that may be called although they are not public, such as
        /// "10.1.2.0/24". Whoever may subscribe reaches what listens there.
        pub allow: Vec<String> = Vec::new() => |allow: &Vec<String>| networks(allow).map(drop),
    }
}

fn networks(listed: &[String]) -> Result<Vec<Network>, String> {
    let read = listed.iter().map(|network| {
        network.parse::<Network>().map_err(|wrong| {
            format!("{network:?} {wrong}: write IP addresses or networks, such as \"10.0.0.0/8\"")
        })
    });
    read.collect()
}

/// Messages for programs.
pub struct Subscriptions {
    settings: Settings,
    caller: Caller,
}

feature!(Subscriptions);

#[async_trait]
impl Feature for Subscriptions {
    const ABOUT: &'static str = "Posts what is said to programs, signed, as Standard Webhooks";

    type Settings = Settings;
    type State = State;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        let caller = Caller::new(networks(&settings.allow)?, settings.timeout);
        Ok(Self { settings, caller })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post(
                "/subscriptions",
                "Subscribes a program to a chat",
                Self::make,
            )
            .returns::<MadeSubscription>(201, "The subscription, whose secret is shown only here")
            .get("/subscriptions", "One's own subscriptions", Self::list)
            .returns::<SubscriptionList>(200, "The subscriptions")
            .post(
                "/subscriptions/{id}/on",
                "Tries again now, also where it was given up",
                Self::switch_on,
            )
            .body_optional()
            .returns::<SubscriptionView>(200, "The subscription")
            .post(
                "/subscriptions/{id}/secret",
                "Signs with a new secret, and for a while with the one of before, too",
                Self::renew,
            )
            .body_optional()
            .returns::<MadeSubscription>(200, "The subscription, whose secret is shown only here")
            .delete("/subscriptions/{id}", "Ends a subscription", Self::remove)
            .returns_nothing(204, "Nothing is posted any more")
    }

    fn apply(state: &mut State, fact: Fact, stamp: &Stamp) {
        state.apply(fact, stamp);
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        Some(match fact {
            Fact::Made { by, place } => {
                let url = letter::Secrets::read(telling.text?)?.url;
                let Telling { view, id, at, .. } = *telling;
                let made = SubscriptionView::new(view, id, *by, *place, at, url);
                Event::new("subscription", json!(made))
            }
            Fact::Renewed { subscription, .. } => {
                let url = letter::Secrets::read(telling.text?)?.url;
                let (id, view) = (*subscription, telling.view);
                let one = view.state::<Self>().get(id)?;
                let shown = SubscriptionView::new(view, id, one.by, one.place, one.at, url);
                Event::new("subscription", json!(shown.standing(one.failure.as_ref())))
            }
            Fact::Failed {
                subscription,
                failure,
            } => {
                let standing = Standing::of(Some(failure));
                Event::new(
                    "subscription_state",
                    desk::changed(*subscription, &standing),
                )
            }
            Fact::On { subscription } => {
                let standing = Standing::of(None);
                Event::new(
                    "subscription_state",
                    desk::changed(*subscription, &standing),
                )
            }
            Fact::Removed { subscription } => {
                Event::new("subscription_removed", json!({"id": subscription}))
            }
            Fact::Taken { .. } | Fact::Retired { .. } => return None,
        })
    }

    fn due(&self, state: &State, _: &Tx<'_>) -> Option<Time> {
        Some(state.ends().next()?.0)
    }

    /// Secrets of before that sign no more go from every file.
    fn wake(&self, state: &State, tx: &mut Tx<'_>) -> Result<(), Problem> {
        let now = tx.now();
        let over = state.ends().take_while(|(until, _)| *until <= now);
        let over: Vec<Id> = over.take(AT_ONCE).map(|(_, id)| id).collect();
        let before = |id: &Id| Some(state.get(*id)?.before?.0);
        let rows = over.iter().filter_map(before).collect();
        tx.record(Entry::<Self>::new(Fact::Retired {
            subscriptions: over,
        }))?;
        tx.erase::<Self>(rows)
    }

    async fn run(self: Arc<Self>, site: Site<Self>) {
        work::run(self, site).await;
    }
}
