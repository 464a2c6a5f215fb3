//! **search**: messages by the words in them.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" "$URL/search?q=lunch+-friday"
//! curl -H "Authorization: Bearer $TOKEN" "$URL/search?q=%22next+week%22&chat=common&from=bob"
//! ```
//!
//! All words must stand in a message, whatever their case and accents; `"words in a row"`, `-not`,
//! `begin*`. Scripts without spaces are found by any part of a text. Only what the asking user may
//! see now is found, and what is removed is found no more. The newest come first, or with
//! `order=best` those that fit best. Each comes with the piece of its text where the words stand.

use veche::prelude::*;

#[path = "search/query.rs"]
mod query;
#[path = "search/snippet.rs"]
mod snippet;

use query::{Asked, parse};
use snippet::{Piece, score, snippet};

/// Of so many of the newest that were found, the best are given.
const RANKED: usize = 1_000;

settings! {
    /// Finding messages.
    pub struct Settings {
        /// How many of the newest messages are read through for each question, and not looked up:
        /// more cost finding time, fewer cost posting and removing more. At most 65536.
        pub newest: usize = 4096 => 0..=65_536,
    }
}

/// Finding messages by their words.
pub struct Search {
    settings: Settings,
}

feature!(Search);

#[derive(Deserialize, JsonSchema)]
struct Question {
    /// What is looked for, at most 256 characters.
    q: String,
    /// In this chat alone: an address.
    #[serde(default)]
    chat: Option<String>,
    /// By this user alone: a name.
    #[serde(default)]
    from: Option<String>,
    /// Messages before this id.
    #[serde(default)]
    before: Option<Id>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
    /// What comes first.
    #[serde(default)]
    order: Order,
}

/// What comes first.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// The newest.
    #[default]
    Newest,
    /// What fits best, of the newest 1000 that were found.
    Best,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Results {
    /// What was found.
    found: Vec<Hit>,
    /// Whether there is more.
    more: bool,
    /// Whether all messages were looked at: not while those are being indexed that were there
    /// before the search was switched on.
    complete: bool,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Hit {
    /// The message, as `GET /messages/ID` gives it.
    message: Map<String, Value>,
    /// The piece of its text where the words stand.
    snippet: Vec<Piece>,
}

impl Feature for Search {
    const ABOUT: &'static str = "Finds messages by the words in them";

    type Settings = Settings;
    type State = ();
    type Fact = ();

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .get("/search", "Messages in which words stand", Self::search)
            .returns::<Results>(200, "What was found, the newest first or the best")
    }

    fn searches(&self) -> Option<usize> {
        Some(self.settings.newest)
    }
}

impl Search {
    async fn search(ask: Ask<Self>, question: Question) -> Result<Answer, Problem> {
        let limit = Paging {
            after: None,
            limit: question.limit,
        };
        let limit = limit.limit()?;
        let is_ranked = question.order == Order::Best;
        if is_ranked && question.before.is_some() {
            let detail = "`before` goes with the newest first, not with `order=best`";
            return Err(invalid("before", detail));
        }
        let Asked {
            all,
            none,
            from,
            chat,
        } = parse(&question.q)?;
        let from = question.from.or(from);
        let chat = question.chat.or(chat);
        let user = ask.call.user;
        let (chats, author) = ask
            .view(|view| {
                let author = from.as_deref().map(|name| author(view, name)).transpose()?;
                Ok((chats(view, user, chat.as_deref())?, author))
            })
            .await??;
        let wanted = Wanted {
            chats,
            author,
            all: all.clone(),
            none,
            before: question.before,
            limit: if is_ranked { RANKED } else { limit },
        };
        let Found {
            mut rows,
            mut more,
            complete,
        } = ask.find(wanted).await?;
        if is_ranked {
            // The newest first among those that fit as well.
            rows.sort_by_cached_key(|row| std::cmp::Reverse(score(&row.text, &all)));
            more |= rows.len() > limit;
            rows.truncate(limit);
        }
        ask.hand_out(&rows, |shown| {
            let hit = |(row, message): (&MessageRow, Value)| {
                let snippet = snippet(&row.text, &all);
                json!({"message": message, "snippet": snippet})
            };
            let found: Vec<_> = shown.into_iter().map(hit).collect();
            json!({"found": found, "more": more, "complete": complete})
        })
        .await
    }
}

fn author(view: &View<'_>, name: &str) -> Result<UserId, Problem> {
    let found = view.find_user(name);
    found.ok_or_else(|| not_found("there is nobody of the name in `from`"))
}

/// The chats that are looked into.
fn chats(
    view: &View<'_>,
    user: UserId,
    address: Option<&str>,
) -> Result<Vec<(ChatId, Id)>, Problem> {
    let mut seen = view.seen_by(user);
    if let Some(address) = address {
        let only = match view.address("chat", address, user)? {
            Address::Chat(chat) => Some(chat),
            // None where nobody has written yet.
            Address::User(peer) => view.private(user, peer),
        };
        seen.retain(|(chat, _)| Some(*chat) == only);
    }
    Ok(seen)
}
