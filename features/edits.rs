//! **edits**: one's own messages can be changed and removed.
//!
//! ```toml
//! [features.edits]
//! window = "15m"
//! times = 20
//! keep_history = false
//! ```
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"message": 12, "text": "hello"}' $URL/edit
//! curl -H "Authorization: Bearer $TOKEN" --json '{"message": 12}' $URL/remove
//! ```
//!
//! Only who wrote a message may, for `window` from its posting. What it said before is erased, as
//! what is removed is, unless `keep_history` keeps it: then all who see the message can read it. A
//! message that was changed says when, as `edited`, and is otherwise what it was: its comments and
//! its file stay, and its end. Its new text is judged as a post is, but is none more: a ban refuses
//! it, and no limit counts it. The event `edited` goes to those who see the message.

use veche::prelude::*;

settings! {
    /// Changing and removing one's own messages.
    pub struct Settings {
        /// How long after its posting a message can be changed or removed; 0s: always.
        pub window: Period = Period::mins(15),
        /// How often one message can be changed, 1 to 1000.
        pub times: u64 = 20 => 1..=1000,
        /// Whether what a message said before is kept, for all who see it.
        pub keep_history: bool = false,
    }
}

/// Changed and removed messages.
pub struct Edits {
    settings: Settings,
}

feature!(Edits);

/// What can happen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A message got another text, which lies with the message.
    Edited {
        /// The chat that it stands in.
        chat: ChatId,
        /// Whom it is addressed to, in a private chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<UserId>,
        /// When.
        at: Time,
        /// How often it was changed by now.
        times: u64,
    },
    /// What a message said before, from this time on. The text lies beside it.
    Was {
        /// Since when.
        at: Time,
    },
}

#[derive(Deserialize, JsonSchema)]
struct Edit {
    /// One's own message.
    message: Id,
    /// Its new text: 1–4000 characters.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Removal {
    /// One's own message.
    message: Id,
}

/// What a message said before.
#[derive(Serialize, JsonSchema)]
struct Earlier {
    /// Only grows, and is never used again.
    id: Id,
    /// What it said.
    text: String,
    /// Since when it said that.
    at: String,
}

/// What one may do with one's own messages.
#[derive(Serialize, JsonSchema)]
struct Allowed {
    /// For so many seconds after its posting a message can be changed or removed; 0: always.
    window_s: u64,
    /// Whether what a message said before is kept.
    keep_history: bool,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct EarlierList {
    edits: Vec<Earlier>,
    more: bool,
}

impl Feature for Edits {
    const ABOUT: &'static str = "Changes and removes one's own messages, for a while";

    type Settings = Settings;
    type State = ();
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/edit", "Changes the text of one's own message", Self::edit)
            .returns_message(200, "The message, as it is now")
            .post("/remove", "Removes one's own message", Self::remove)
            .returns_nothing(204, "It is gone")
            .get(
                "/messages/{id}/edits",
                "What a message said before, where that is kept",
                Self::list,
            )
            .returns::<EarlierList>(200, "Its earlier texts, oldest first")
            .message_field::<Option<String>>("edited", "When it was last changed, if it was")
            .server_part::<Allowed>("Until when one's own messages can be changed and removed")
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        let Fact::Edited { chat, to, at, .. } = fact else {
            return None;
        };
        let data = json!({
            "to": telling.view.spell(*chat, *to),
            "id": telling.message?,
            "text": telling.text?,
            "edited": at.to_string(),
        });
        Some(Event::new("edited", data))
    }

    fn show(&self, (): &(), of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        match of {
            Subject::Message(message) => {
                if let Some(Fact::Edited { at, .. }) = message.rider::<Self>() {
                    to.set("edited", at.to_string());
                }
            }
            Subject::Server => to.set_all(&Allowed {
                window_s: self.settings.window.as_ms() / 1000,
                keep_history: self.settings.keep_history,
            }),
            Subject::User(_) | Subject::Chat { .. } => {}
        }
    }
}

impl Edits {
    fn edit(&self, tx: &mut Tx<'_>, call: &Call, edit: &Edit) -> Result<Answer, Problem> {
        let message = self.own(tx, call, edit.message)?;
        let to = tx.address_of(&message, call.user);
        let mut draft = Draft::message(call.user, to, &edit.text).beside(message.id);
        draft.purpose = Purpose::Change;
        let mut passed = tx.check(&draft)?;
        let headers = passed.headers();
        if message.text == edit.text {
            return Ok(Answer::ok(tx.shown(message)?).headers(headers));
        }
        let (since, times) = match message.rider::<Self>() {
            Some(Fact::Edited { at, times, .. }) => (at, times),
            _ => (message.at, 0),
        };
        let most = self.settings.times;
        if times >= most {
            let detail = format!("a message can be changed {most} times");
            return Err(Problem::new(StatusCode::FORBIDDEN, "too_often", detail));
        }
        if self.settings.keep_history {
            let was = Entry::<Self>::new(Fact::Was { at: since });
            tx.record(was.beside(message.id).text(&message.text))?;
        }
        let edited = Entry::<Self>::new(Fact::Edited {
            chat: message.chat,
            to: message.addressee,
            at: tx.now(),
            times: times + 1,
        });
        let edited = edited.text(&edit.text).passed(&mut passed);
        Ok(tx.reword(message, edited)?.headers(headers))
    }

    fn remove(&self, tx: &mut Tx<'_>, call: &Call, of: &Removal) -> Result<Answer, Problem> {
        let message = self.own(tx, call, of.message)?;
        tx.remove(&[message])?;
        Ok(Answer::no_content())
    }

    /// The asking user's own message, while it may be changed.
    fn own(&self, tx: &Tx<'_>, call: &Call, id: Id) -> Result<MessageRow, Problem> {
        let message = tx.message(id, call.user)?;
        if message.author != call.user {
            let detail = "only who wrote a message may do that";
            return Err(Problem::new(StatusCode::FORBIDDEN, "not_yours", detail));
        }
        let window = self.settings.window;
        if window > Period::ZERO && tx.now() >= message.at.plus(window) {
            let detail = format!("a message can be changed or removed for {window}");
            return Err(Problem::new(StatusCode::FORBIDDEN, "too_old", detail));
        }
        Ok(message)
    }

    async fn list(ask: Ask<Self>, paging: Paging) -> Result<Answer, Problem> {
        let message = ask.message(ask.call.id("id")?).await?;
        let after = paging.after.unwrap_or(0);
        let (rows, more) = ask.rows(message.id, after, paging.limit()?).await?;
        let earlier = |row: Row| {
            let Some(Fact::Was { at }) = row.fact::<Self>() else {
                return None;
            };
            Some(Earlier {
                id: row.id,
                text: row.text.unwrap_or_default(),
                at: at.to_string(),
            })
        };
        let edits: Vec<Earlier> = rows.into_iter().filter_map(earlier).collect();
        Ok(Answer::ok(json!({"edits": edits, "more": more})))
    }
}
