//! **webhooks**: programs that know how to post to Slack post here.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"name": "alerts", "to": "common"}' $URL/hooks
//! curl --json '{"text": "the disk is full"}' $URL/hooks/$SECRET
//! ```
//!
//! A hook is a secret path. Whoever knows it posts as the hook's bot, a user who is no person, to one
//! place: the common chat, a room, or its maker in private. Its maker answers for it: it posts
//! only where they are, and a ban of theirs holds for it. Its messages have the mark `bot`, also once the hook
//! is gone.
//!
//! - `webhooks/payload.rs`: what programs send, as a text.

#[path = "webhooks/payload.rs"]
mod payload;

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

settings! {
    /// Secret paths by which programs post.
    pub struct Settings {
        /// How many hooks one user may have, 1 to 1000.
        pub hooks: usize = 20 => 1..=1000,
    }
}

/// Programs that post.
pub struct Webhooks {
    settings: Settings,
}

feature!(Webhooks);

/// What can happen to hooks.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// One was made; its position names it.
    Made {
        /// Whose it is.
        by: UserId,
        /// Whom it posts as.
        bot: UserId,
        /// Where it posts; without one to its maker in private.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chat: Option<ChatId>,
        /// The digest of its secret.
        secret: String,
    },
    /// One is no more.
    Removed {
        /// Which.
        hook: Id,
    },
}

/// One secret path.
#[derive(Clone, Serialize, Deserialize)]
struct Hook {
    by: UserId,
    bot: UserId,
    chat: Option<ChatId>,
    secret: String,
    at: Time,
}

/// The hooks that there are.
#[derive(Default, Serialize, Deserialize)]
pub struct Hooks {
    hooks: BTreeMap<Id, Hook>,
    /// By the digest of its secret.
    secrets: BTreeMap<String, Id>,
    /// By its maker.
    makers: BTreeMap<UserId, BTreeSet<Id>>,
    /// Whose bots there are, also where no hook is left that posts as one.
    bots: BTreeMap<UserId, UserId>,
}

#[derive(Deserialize, JsonSchema)]
struct NewHook {
    /// Whom it posts as: a new name, or that of a bot of one's own.
    #[schemars(with = "strings::Name")]
    name: String,
    /// Where to: `common`, a room, or `@me` for private messages to oneself.
    #[serde(default = "common")]
    #[schemars(with = "strings::Address")]
    to: String,
}

fn common() -> String {
    "common".to_owned()
}

/// A hook, as its maker sees it.
#[derive(Serialize, JsonSchema)]
struct HookView {
    /// Names it.
    id: Id,
    /// Whom it posts as.
    name: String,
    /// Where to.
    to: String,
    /// When it was made.
    #[schemars(with = "strings::Moment")]
    at: String,
    /// Whether it can post there: its maker is still in that chat.
    works: bool,
}

/// A new hook.
#[derive(Serialize, JsonSchema)]
struct MadeHook {
    #[serde(flatten)]
    hook: HookView,
    /// Where to post to. It is a secret, and shown only here.
    url: String,
}

#[derive(Serialize, JsonSchema)]
struct HookList {
    /// One's own, the oldest first.
    hooks: Vec<HookView>,
}

impl Feature for Webhooks {
    const ABOUT: &'static str = "Lets programs post by secret paths, as they post to Slack";

    type Settings = Settings;
    type State = Hooks;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/hooks", "Makes a hook", Self::make)
            .returns::<MadeHook>(201, "The hook, whose path is shown only here")
            .get("/hooks", "One's own hooks", Self::list)
            .returns::<HookList>(200, "The hooks")
            .delete("/hooks/{hook}", "Removes a hook", Self::remove)
            .returns_nothing(204, "Its path leads nowhere any more")
            .open_post("/hooks/{hook}", "Posts by a hook", Self::post)
            .returns_nothing(200, "`ok`")
            .message_field::<Option<bool>>("bot", "`true` where a program posted it by a hook")
    }

    fn apply(hooks: &mut Hooks, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Made {
                by,
                bot,
                chat,
                secret,
            } => {
                hooks.secrets.insert(secret.clone(), stamp.pos);
                hooks.bots.insert(bot, by);
                hooks.makers.entry(by).or_default().insert(stamp.pos);
                let hook = Hook {
                    by,
                    bot,
                    chat,
                    secret,
                    at: stamp.at,
                };
                hooks.hooks.insert(stamp.pos, hook);
            }
            Fact::Removed { hook: id } => {
                let Some(hook) = hooks.hooks.remove(&id) else {
                    return;
                };
                hooks.secrets.remove(&hook.secret);
                if let Some(own) = hooks.makers.get_mut(&hook.by) {
                    own.remove(&id);
                    if own.is_empty() {
                        hooks.makers.remove(&hook.by);
                    }
                }
            }
        }
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        let view = telling.view;
        Some(match fact {
            Fact::Made { by, bot, chat, .. } => {
                let hook = HookView {
                    id: telling.id,
                    name: view.name(*bot)?.to_owned(),
                    to: spell(view, *chat),
                    at: telling.at.to_string(),
                    works: stands(view, *by, *chat),
                };
                Event::new("hook", json!(hook))
            }
            Fact::Removed { hook } => Event::new("hook_removed", json!({"id": hook})),
        })
    }

    fn show(&self, hooks: &Hooks, of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        if let Subject::Message(message) = of
            && hooks.bots.contains_key(&message.author)
        {
            to.set("bot", true);
        }
    }
}

impl Webhooks {
    fn make(&self, tx: &mut Tx<'_>, call: &Call, new: &NewHook) -> Result<Answer, Problem> {
        let chat = match tx.address("to", &new.to, call.user)? {
            Address::Chat(chat) if tx.is_member(chat, call.user) => Some(chat),
            Address::Chat(_) => return Err(unknown_chat()),
            Address::User(user) if user == call.user => None,
            Address::User(_) => {
                let detail = "a hook posts to `common`, to a room, or to `@me`";
                return Err(invalid("to", detail));
            }
        };
        // Who may not post makes nothing that posts.
        let to = chat.map_or(Address::User(call.user), Address::Chat);
        tx.check(&Draft::message(call.user, to, &new.name))?;
        let hooks = tx.state::<Self>();
        let own = hooks.makers.get(&call.user).map_or(0, BTreeSet::len);
        let most = self.settings.hooks;
        if own >= most {
            let detail = format!("you have {most} hooks, as many as one may");
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many",
                detail,
            ));
        }
        let own = tx.find_user(&new.name);
        let own = own.filter(|bot| hooks.bots.get(bot) == Some(&call.user));
        let (bot, name) = match own {
            Some(bot) => (bot, tx.name(bot).unwrap_or_default().to_owned()),
            None => tx.enrol(&new.name)?,
        };
        let secret = new_code()?;
        let fact = Fact::Made {
            by: call.user,
            bot,
            chat,
            secret: digest(&secret),
        };
        let id = tx.record(Entry::<Self>::new(fact).tell(vec![call.user]).kept())?;
        let made = MadeHook {
            hook: HookView {
                id,
                name,
                to: spell(tx, chat),
                at: tx.now().to_string(),
                works: true,
            },
            url: format!("/hooks/{secret}"),
        };
        Ok(Answer::created(json!(made)).made(id))
    }

    async fn list(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let hooks = ask.view(|view| {
            let hooks = view.state::<Self>();
            let own = hooks.makers.get(&ask.call.user).into_iter().flatten();
            let own = own.filter_map(|id| Some((id, hooks.hooks.get(id)?)));
            own.map(|(id, hook)| HookView {
                id: *id,
                name: view.name(hook.bot).unwrap_or_default().to_owned(),
                to: spell(view, hook.chat),
                at: hook.at.to_string(),
                works: stands(view, hook.by, hook.chat),
            })
            .collect()
        });
        let hooks = hooks.await?;
        Ok(Answer::ok(json!(HookList { hooks })))
    }

    fn remove(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let hook = call.param("hook").parse().map_err(|_| no_hook())?;
        let found = tx.state::<Self>().hooks.get(&hook);
        found
            .filter(|hook| hook.by == call.user)
            .ok_or_else(no_hook)?;
        let fact = Fact::Removed { hook };
        tx.record(Entry::<Self>::new(fact).tell(vec![call.user]))?;
        // Its path goes with it from the answer that is kept for a repeat.
        tx.erase::<Self>(vec![hook])?;
        Ok(Answer::no_content())
    }

    fn post(&self, tx: &mut Tx<'_>, path: &Params, body: &[u8]) -> Result<Answer, Problem> {
        let hooks = tx.state::<Self>();
        let secret = digest(path.get("hook").unwrap_or_default());
        let hook = hooks
            .secrets
            .get(&secret)
            .and_then(|id| hooks.hooks.get(id));
        let hook = hook.ok_or_else(no_hook)?;
        let name = tx.name(hook.bot).unwrap_or_default();
        let text = payload::text(body, name, tx.text_limit())?;
        let to = hook.chat.map_or(Address::User(hook.by), Address::Chat);
        let draft = Draft::message(hook.bot, to, &text).sponsored(hook.by);
        tx.post(&draft)?;
        // To the byte: there are programs that compare it.
        Ok(Answer::text("text/plain", "ok".to_owned()))
    }
}

fn spell(view: &View<'_>, chat: Option<ChatId>) -> String {
    chat.map_or_else(|| "@me".to_owned(), |chat| view.spell(chat, None))
}

/// Whether a hook's maker is where it posts.
fn stands(view: &View<'_>, by: UserId, chat: Option<ChatId>) -> bool {
    chat.is_none_or(|chat| view.is_member(chat, by))
}

fn no_hook() -> Problem {
    not_found("there is no such hook")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(pos: Id) -> Stamp {
        Stamp {
            pos,
            at: Time(0),
            by: Some(UserId(1)),
            chat: None,
            message: None,
        }
    }

    #[test]
    fn what_is_removed_is_found_no_more_and_its_bot_stays_its_makers() {
        let mut hooks = Hooks::default();
        let made = |secret: &str| Fact::Made {
            by: UserId(1),
            bot: UserId(7),
            chat: Some(ChatId::COMMON),
            secret: secret.to_owned(),
        };
        Webhooks::apply(&mut hooks, made("one"), &stamp(10));
        Webhooks::apply(&mut hooks, made("two"), &stamp(11));
        assert_eq!(hooks.secrets.get("two"), Some(&11));
        Webhooks::apply(&mut hooks, Fact::Removed { hook: 11 }, &stamp(12));
        assert_eq!(hooks.secrets.get("two"), None);
        assert_eq!(hooks.hooks.keys().copied().collect::<Vec<_>>(), [10]);
        assert_eq!(hooks.makers.get(&UserId(1)), Some(&[10].into()));
        Webhooks::apply(&mut hooks, Fact::Removed { hook: 10 }, &stamp(13));
        assert!(hooks.makers.is_empty(), "nobody is remembered for nothing");
        assert_eq!(hooks.bots.get(&UserId(7)), Some(&UserId(1)));
    }
}
