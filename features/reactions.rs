//! **reactions**: emoji on messages.
//!
//! ```toml
//! [features.reactions]
//! emojis = 20
//! ```
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"message": 12, "emoji": "👍"}' $URL/react
//! curl -H "Authorization: Bearer $TOKEN" --json '{"message": 12, "emoji": "👍", "on": false}' $URL/react
//! curl -H "Authorization: Bearer $TOKEN" $URL/messages/12/reactions
//! ```
//!
//! A user puts each emoji on a message once, and takes it back; to say the same again changes
//! nothing. Whoever sees a message may react to it, unless they are banned; to take back is always
//! allowed. A message shows each emoji with how many have put it there, in the order in which they
//! came; the event `reaction` goes to those who see the message. Reactions go with their message.

use veche::prelude::*;

#[path = "reactions/emoji.rs"]
mod emoji;

settings! {
    /// Emoji on messages.
    pub struct Settings {
        /// How many different emoji a message can have, 1 to 200.
        pub emojis: usize = 20 => 1..=200,
    }
}

/// Emoji on messages.
pub struct Reactions {
    settings: Settings,
}

feature!(Reactions);

/// An emoji was put on a message, or taken back. Which one lies beside it.
#[derive(Serialize, Deserialize)]
pub struct Reacted {
    /// Whether it is there from now on.
    on: bool,
    /// How many have put it there by now.
    count: u64,
    /// The fact since which somebody has; none where it is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Id>,
}

#[derive(Deserialize, JsonSchema)]
struct Reaction {
    /// The message.
    message: Id,
    /// One emoji, however it is written.
    emoji: String,
    /// Whether it is to be there: `false` takes it back.
    #[serde(default = "yes")]
    on: bool,
}

fn yes() -> bool {
    true
}

/// How an emoji stands on a message.
#[derive(Serialize, JsonSchema)]
struct Standing {
    message: Id,
    /// The emoji, as it is always written.
    emoji: String,
    /// Whether the asking user has it there.
    on: bool,
    /// How many have.
    count: u64,
}

/// An emoji on a message that is shown.
#[derive(Serialize, JsonSchema)]
struct Shown<'a> {
    emoji: &'a str,
    /// How many have put it there.
    count: usize,
    /// Whether the asking user has.
    mine: bool,
    /// By this they are in order: it only grows.
    first: Id,
}

/// Who has put an emoji on a message.
#[derive(Serialize, JsonSchema)]
struct By<'a> {
    /// Only grows, and is never used again.
    id: Id,
    user: &'a str,
    emoji: &'a str,
    #[schemars(with = "strings::Moment")]
    at: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ByList<'a> {
    reactions: Vec<By<'a>>,
    more: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Which {
    /// This emoji alone.
    #[serde(default)]
    emoji: Option<String>,
    /// What follows this id; the beginning without it.
    #[serde(default)]
    after: Option<Id>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

impl Feature for Reactions {
    const ABOUT: &'static str = "Emoji on messages, counted on each message";

    type Settings = Settings;
    type State = ();
    type Fact = Reacted;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post(
                "/react",
                "Puts an emoji on a message, or takes it back",
                Self::react,
            )
            .returns::<Standing>(200, "How it stands now")
            .get(
                "/messages/{id}/reactions",
                "Who has reacted to a message",
                Self::list,
            )
            .returns::<ByList>(200, "Reactions, oldest first")
            .message_field::<Option<Vec<Shown>>>(
                "reactions",
                "The emoji on it, if there are any, in the order in which they came",
            )
    }

    fn event(fact: &Reacted, telling: &Telling<'_>) -> Option<Event> {
        let mut data = json!({
            "message": telling.message?,
            "user": telling.author()?,
            "emoji": telling.text?,
            "on": fact.on,
            "count": fact.count,
        });
        if fact.count > 0 {
            data["first"] = fact.first.unwrap_or(telling.id).into();
        }
        Some(Event::new("reaction", data))
    }

    fn show(&self, (): &(), of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        let Subject::Message(message) = of else {
            return;
        };
        let mut all: Vec<_> = message
            .marks::<Self>()
            .map(|mark| Shown {
                emoji: mark.text(),
                count: mark.by.len(),
                mine: message.to.is_some_and(|user| mark.by.contains(&user)),
                first: first(mark.row()),
            })
            .collect();
        if !all.is_empty() {
            all.sort_unstable_by_key(|shown| shown.first);
            to.set("reactions", json!(all));
        }
    }
}

impl Reactions {
    fn react(&self, tx: &mut Tx<'_>, call: &Call, asked: &Reaction) -> Result<Answer, Problem> {
        let message = tx.message(asked.message, call.user)?;
        let emoji = spelt(&asked.emoji)?;
        let mut passed = None;
        if asked.on {
            let to = tx.address_of(&message, call.user);
            let mut draft = Draft::message(call.user, to, &emoji).beside(message.id);
            draft.purpose = Purpose::Change;
            passed = Some(tx.check(&draft)?);
        }
        let headers = passed.as_mut().map(PassedDraft::headers);
        let marked = tx.marked::<Self>(message.id, &emoji, call.user)?;
        let newest = marked.newest.as_ref();
        let before = newest.and_then(Row::fact::<Self>);
        let mut count = before.map_or(0, |reacted| reacted.count);
        let was_on = marked.own.is_some_and(|row| row.on == Some(true));
        if was_on != asked.on {
            let first = newest.filter(|_| count > 0).map(first);
            count = if asked.on {
                count + 1
            } else {
                count.saturating_sub(1)
            };
            let most = self.settings.emojis;
            if first.is_none() && marked.different >= most {
                let detail = format!("a message can have {most} different emoji");
                return Err(Problem::new(
                    StatusCode::CONFLICT,
                    "too_many_reactions",
                    detail,
                ));
            }
            let on = asked.on;
            let mut entry = Entry::<Self>::new(Reacted { on, count, first })
                .tell_chat(message.chat)
                .mark(message.id, &emoji, on);
            if let Some(passed) = &mut passed {
                entry = entry.passed(passed);
            }
            tx.record(entry)?;
        }
        let standing = Standing {
            message: message.id,
            emoji,
            on: asked.on,
            count,
        };
        // What is kept for a repeat of the request goes with the message.
        let answer = Answer::ok(json!(standing)).made(message.id);
        Ok(answer.headers(headers.unwrap_or_default()))
    }

    async fn list(ask: Ask<Self>, which: Which) -> Result<Answer, Problem> {
        let paging = Paging {
            after: which.after,
            limit: which.limit,
        };
        let limit = paging.limit()?;
        let message = ask.message(ask.call.id("id")?).await?;
        let emoji = which.emoji.as_deref().map(spelt).transpose()?;
        let after = which.after.unwrap_or(0);
        let (rows, more) = ask.marks(message.id, emoji, after, limit).await?;
        let reactions = ask
            .view(|view| {
                let one = |row: &Row| {
                    json!(By {
                        id: row.id,
                        user: row
                            .author
                            .and_then(|user| view.name(user))
                            .unwrap_or_default(),
                        emoji: row.text.as_deref().unwrap_or_default(),
                        at: row.at.to_string(),
                    })
                };
                rows.iter().map(one).collect::<Vec<_>>()
            })
            .await?;
        Ok(Answer::ok(json!({"reactions": reactions, "more": more})))
    }
}

/// The fact since which an emoji has been on a message, by any of its rows since.
fn first(row: &Row) -> Id {
    let reacted = row.fact::<Reactions>();
    reacted.and_then(|fact| fact.first).unwrap_or(row.id)
}

/// The emoji that was asked for, as it is always written.
fn spelt(text: &str) -> Result<String, Problem> {
    emoji::spelt(text).ok_or_else(|| invalid("emoji", "that is not one emoji, as Unicode has them"))
}
