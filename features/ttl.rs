//! **ttl**: messages live for a while, then they are gone.
//!
//! ```toml
//! [features.ttl]
//! after = "1h"
//! undelivered = "7d"
//! ```
//!
//! In the common chat and in rooms a message lives `after` from its posting; in a private chat
//! `after` from its delivery to the recipient, and at most `undelivered` in all. A note to oneself
//! counts as delivered at posting. The lifetime is the one in force when the message was posted.
//! Then the message, its comments and its file are gone, and `removed` is sent; until then it
//! shows its end as `expires`, once that is known.

use veche::prelude::*;

/// Messages removed in one go, so that many which end together hold no post up.
const AT_ONCE: usize = 16;

settings! {
    /// How long messages live.
    pub struct Settings {
        /// How long a message lives: from its posting in the common chat and in rooms, from its
        /// delivery in a private chat. At least 1ms.
        pub after: Period = Period::hours(1) => Period::ms(1)..,
        /// How long a private message lives at most, delivered or not. At least 1ms.
        pub undelivered: Period = Period::days(7) => Period::ms(1)..,
    }
}

/// Messages that end.
pub struct Ttl {
    settings: Settings,
}

feature!(Ttl);

impl Feature for Ttl {
    const ABOUT: &'static str = "Messages live for an hour, then they are gone for good";

    type Settings = Settings;
    type State = ();
    type Fact = ();

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new().message_field::<Option<String>>("expires", "When it ends, once that is known")
    }

    fn check(&self, (): &(), draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<()> {
        let Settings { after, undelivered } = self.settings;
        if draft.purpose != Purpose::PostNow || draft.beside.is_some() {
            return Verdict::pass();
        }
        if draft.kind() != Kind::Private || draft.is_note() {
            return Verdict::pass().ends(tx.now().plus(after));
        }
        Verdict::pass()
            .ends(tx.now().plus(undelivered))
            .ends_after_delivery(after)
    }

    fn due(&self, (): &(), tx: &Tx<'_>) -> Option<Time> {
        tx.next_end()
    }

    fn wake(&self, (): &(), tx: &mut Tx<'_>) -> Result<(), Problem> {
        tx.remove_ended(AT_ONCE)
    }

    fn show(&self, (): &(), of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        if let Subject::Message(message) = of
            && let Some(ends) = message.ends
        {
            to.set("expires", ends.to_string());
        }
    }
}
