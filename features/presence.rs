//! **presence**: who is writing just now.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"to": "@bob"}' $URL/typing
//! ```
//!
//! Those in the chat who are there get the event `typing`, and show it for some seconds. Nothing
//! of it is kept. Who may not post there now, because they are banned or over a limit, is refused
//! as their post would be. (Who is online at all is the core's: the event `user`.)

use veche::prelude::*;

/// Who is writing.
pub struct Presence;

feature!(Presence);

#[derive(Deserialize, JsonSchema)]
struct Writing {
    /// Where: an address.
    #[schemars(with = "strings::Address")]
    to: String,
}

impl Feature for Presence {
    const ABOUT: &'static str = "Shows who is writing just now";

    type Settings = ();
    type State = ();
    type Fact = ();

    fn new((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/typing", "Says that one is writing", Self::typing)
            .returns_nothing(204, "Those who are there were told")
    }
}

impl Presence {
    fn typing(&self, tx: &mut Tx<'_>, call: &Call, writing: &Writing) -> Result<Answer, Problem> {
        let to = tx.address("to", &writing.to, call.user)?;
        // Judged as what is being written will be, whatever its text.
        tx.check(&Draft::message(call.user, to, "\u{2026}"))?;
        let spelt = match to {
            Address::Chat(chat) => tx.spell(chat, None),
            Address::User(peer) => format!("@{}", tx.name(peer).unwrap_or_default()),
        };
        let from = tx.name(call.user).unwrap_or_default();
        let event = Event::new("typing", json!({"from": from, "to": spelt}));
        tx.tell(call.user, to, &event);
        Ok(Answer::no_content())
    }
}
