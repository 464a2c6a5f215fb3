//! **mentions**: `@name` in a message calls somebody.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"to": "common", "text": "@bob, lunch?"}' $URL/send
//! curl -H "Authorization: Bearer $BOBS_TOKEN" $URL/mentions
//! ```
//!
//! Whoever is in the message's chat can be called, by a name in any case, with `@` before it and no
//! part of a word around it. Who was called when a message was posted stands on it for good,
//! whatever an edit says. Until they read it, their chat says so: its part `mentions` lists the
//! messages. Whoever comes later, and whoever writes, is not called.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// So many of one message's names count; a message to everybody is none to somebody.
const NAMES: usize = 50;

/// So many of the newest messages that call a user are kept at hand.
const KEPT: usize = 200;

/// Who is called where.
pub struct Mentions;

feature!(Mentions);

/// A message calls these users.
#[derive(Serialize, Deserialize)]
pub struct Mentioned {
    users: Vec<UserId>,
}

/// The newest messages that call each user.
#[derive(Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub struct State {
    #[serde(skip)]
    users: BTreeMap<UserId, BTreeSet<(Id, ChatId)>>,
    messages: BTreeMap<Id, Message>,
}

/// A message, and those whom it calls and who have not been called too often since.
#[derive(Serialize, Deserialize)]
struct Message {
    chat: ChatId,
    users: Vec<UserId>,
}

#[derive(Deserialize)]
struct Saved {
    messages: BTreeMap<Id, Message>,
}

impl From<Saved> for State {
    fn from(saved: Saved) -> Self {
        let mut state = Self::default();
        let messages = saved.messages.into_iter();
        messages.for_each(|(id, message)| state.add(id, message));
        state
    }
}

impl State {
    fn add(&mut self, id: Id, message: Message) {
        let chat = message.chat;
        let users = message.users.clone();
        self.messages.insert(id, message);
        for user in users {
            let own = self.users.entry(user).or_default();
            own.insert((id, chat));
            if own.len() > KEPT
                && let Some((oldest, _)) = own.pop_first()
            {
                self.let_go(oldest, user);
            }
        }
    }

    /// A message is not one of a user's newest any more.
    fn let_go(&mut self, id: Id, user: UserId) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.users.retain(|called| *called != user);
            if message.users.is_empty() {
                self.messages.remove(&id);
            }
        }
    }

    /// A message is gone.
    fn remove(&mut self, id: Id) {
        let Some(message) = self.messages.remove(&id) else {
            return;
        };
        for user in message.users {
            if let Some(own) = self.users.get_mut(&user) {
                own.remove(&(id, message.chat));
                if own.is_empty() {
                    self.users.remove(&user);
                }
            }
        }
    }

    /// The newest messages that call a user.
    fn of(&self, user: UserId) -> impl DoubleEndedIterator<Item = (Id, ChatId)> + '_ {
        self.users.get(&user).into_iter().flatten().copied()
    }
}

/// A chat's part.
#[derive(Serialize, JsonSchema)]
struct Unread {
    /// The unread messages that call the user, of the newest 200 that do; oldest first.
    unread: Vec<Id>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct MessageList {
    messages: Vec<Map<String, Value>>,
    more: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Which {
    /// The last of them before this id.
    #[serde(default)]
    before: Option<Id>,
    /// How many: 50 by default, at most 200.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

impl Feature for Mentions {
    const ABOUT: &'static str = "`@name` calls somebody, whose chat says so until they read it";

    type Settings = ();
    type State = State;
    type Fact = Mentioned;

    fn new((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .get("/mentions", "The messages that call one", Self::list)
            .returns::<MessageList>(200, "The last of them, oldest first")
            .message_field::<Option<Vec<String>>>("mentions", "Whom it calls, if anybody")
            .chat_part::<Option<Unread>>("The unread messages that call one, if there are any")
    }

    fn check(&self, _: &State, draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<Mentioned> {
        if draft.purpose != Purpose::PostNow || draft.beside.is_some() {
            return Verdict::pass();
        }
        let users = called(draft, tx);
        if users.is_empty() {
            return Verdict::pass();
        }
        Verdict::pass().rider(Mentioned { users })
    }

    fn apply(state: &mut State, fact: Mentioned, stamp: &Stamp) {
        // What rides on a message is told where the message is.
        if let Some(chat) = stamp.chat {
            let users = fact.users;
            state.add(stamp.pos, Message { chat, users });
        }
    }

    fn removed(state: &mut State, messages: &[Id]) {
        messages.iter().for_each(|id| state.remove(*id));
    }

    fn show(&self, state: &State, of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        match of {
            Subject::Message(message) => {
                if let Some(mentioned) = message.rider::<Self>() {
                    let names = mentioned.users.iter().filter_map(|user| view.name(*user));
                    to.set("mentions", names.collect::<Vec<_>>());
                }
            }
            Subject::Chat { chat, to: user } => {
                let read = view.read_upto(*chat, *user);
                let unread = state.of(*user);
                let unread = unread.filter(|(id, of)| of == chat && *id > read);
                let unread: Vec<Id> = unread.map(|(id, _)| id).collect();
                if !unread.is_empty() {
                    to.set_all(&Unread { unread });
                }
            }
            Subject::User(_) | Subject::Server => {}
        }
    }
}

impl Mentions {
    async fn list(ask: Ask<Self>, which: Which) -> Result<Answer, Problem> {
        let paging = Paging {
            after: None,
            limit: which.limit,
        };
        let limit = paging.limit()?;
        let user = ask.call.user;
        let mut ids: Vec<Id> = ask
            .view(|view| {
                let seen: BTreeMap<_, _> = view.seen_by(user).into_iter().collect();
                let sees =
                    |(id, chat): &(Id, ChatId)| seen.get(chat).is_some_and(|floor| id > floor);
                let asked = |(id, _): &(Id, ChatId)| which.before.is_none_or(|before| *id < before);
                let newest = view
                    .state::<Self>()
                    .of(user)
                    .rev()
                    .filter(asked)
                    .filter(sees);
                newest.map(|(id, _)| id).take(limit + 1).collect()
            })
            .await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        ids.reverse();
        let rows = ask.messages(ids).await?;
        ask.hand_out(&rows, |shown| {
            let messages: Vec<_> = shown.into_iter().map(|(_, message)| message).collect();
            json!({"messages": messages, "more": more})
        })
        .await
    }
}

/// Whom a draft calls: each once, in the order of their names in the text.
fn called(draft: &Draft<'_>, view: &View<'_>) -> Vec<UserId> {
    let is_here = |user: &UserId| match draft.to {
        Address::Chat(chat) => view.is_member(chat, *user),
        Address::User(peer) => *user == peer,
    };
    let mut users = Vec::new();
    for name in names(draft.text) {
        // A name may end with what also ends a sentence.
        let bare = name.trim_end_matches(['.', '-', '_']);
        let found = [name, bare]
            .into_iter()
            .find_map(|name| view.find_user(name));
        let found = found.filter(|user| *user != draft.from && is_here(user));
        if let Some(user) = found
            && !users.contains(&user)
        {
            users.push(user);
        }
        if users.len() == NAMES {
            break;
        }
    }
    users
}

/// What stands behind each `@` of a text that is no part of a word.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('@').filter_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let rest = text.get(at + 1..)?;
        let end = rest.find(|c| !is_in_name(c)).unwrap_or(rest.len());
        let name = rest.get(..end)?;
        (!name.is_empty() && !before.is_some_and(is_in_name)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn mention(state: &mut State, id: Id, users: &[UserId]) {
        let stamp = Stamp {
            pos: id,
            chat: Some(ChatId::COMMON),
            ..Stamp::default()
        };
        let users = users.to_vec();
        Mentions::apply(state, Mentioned { users }, &stamp);
    }

    fn of(state: &State, user: UserId) -> Vec<Id> {
        state.of(user).map(|(id, _)| id).collect()
    }

    #[test]
    fn names_are_words_behind_an_at_sign() {
        for (text, found) in [
            ("@ann, @bob: hello", vec!["ann", "bob"]),
            ("(@ann.) @Åsa-Lil!", vec!["ann.", "Åsa-Lil"]),
            ("ann@example.org, @@bob @ @", vec!["bob"]),
            ("никто, кроме @Владимир", vec!["Владимир"]),
            ("¡@ann@bob!", vec!["ann"]),
            ("", vec![]),
        ] {
            assert_eq!(names(text).collect::<Vec<_>>(), found, "{text}");
        }
    }

    #[test]
    fn what_is_removed_calls_nobody_any_more() {
        let mut state = State::default();
        mention(&mut state, 10, &[ANN, BOB]);
        mention(&mut state, 11, &[ANN]);
        Mentions::removed(&mut state, &[10, 99]);
        assert_eq!((of(&state, ANN), of(&state, BOB)), (vec![11], vec![]));
        Mentions::removed(&mut state, &[11]);
        assert!(state.users.is_empty() && state.messages.is_empty());
    }

    #[test]
    fn of_many_the_newest_are_kept_and_the_same_after_a_snapshot() {
        let mut state = State::default();
        mention(&mut state, 1, &[ANN, BOB]);
        for id in 2..=Id::try_from(KEPT).expect("a number") + 1 {
            mention(&mut state, id, &[ANN]);
        }
        assert_eq!(of(&state, ANN).len(), KEPT);
        assert_eq!((of(&state, ANN)[0], of(&state, BOB)), (2, vec![1]));
        let saved = json!(state).to_string();
        let again: State = serde_json::from_str(&saved).expect("a state");
        assert_eq!((of(&again, ANN)[0], of(&again, BOB)), (2, vec![1]));
        assert_eq!(json!(again).to_string(), saved);
    }
}
