//! **sample**: a word about oneself, which everybody else sees.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"user": "bob"}' $URL/sample
//! curl -H "Authorization: Bearer $TOKEN" $URL/sample
//! ```
//!
//! It stands here so that there is something of each kind to change: a path that decides, one that
//! reads, a setting, a fact, a state, an event.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

settings! {
    /// Users who are marked by others.
    pub struct Settings {
        /// How many users one may mark, 1 to 1000.
        pub most: usize = 100 => 1..=1000,
    }
}

/// The feature.
pub struct Sample {
    settings: Settings,
}

feature!(Sample);

/// What can happen. Old logs hold it for ever: add to it, and change no meaning.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Somebody marked a user.
    Marked {
        /// Whom.
        user: UserId,
    },
}

/// What is remembered: whom each has marked.
pub type State = BTreeMap<UserId, BTreeSet<UserId>>;

#[derive(Deserialize, JsonSchema)]
struct Mark {
    /// Whom to mark.
    #[schemars(with = "strings::Mention")]
    user: String,
}

#[derive(Serialize, JsonSchema)]
struct Marks<'a> {
    /// Those whom one has marked.
    users: Vec<&'a str>,
}

impl Feature for Sample {
    const ABOUT: &'static str = "Marks users, for oneself";

    type Settings = Settings;
    type State = State;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/sample", "Marks a user", Self::mark)
            .returns_nothing(204, "They are marked")
            .get("/sample", "Those whom one has marked", Self::list)
            .returns::<Marks>(200, "Their names")
    }

    fn apply(state: &mut State, fact: Fact, stamp: &Stamp) {
        let Fact::Marked { user } = fact;
        if let Some(by) = stamp.by {
            state.entry(by).or_default().insert(user);
        }
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        let Fact::Marked { user } = fact;
        let name = telling.view.name(*user)?;
        Some(Event::new("sample", json!({"user": name})))
    }
}

impl Sample {
    fn mark(&self, tx: &mut Tx<'_>, call: &Call, mark: &Mark) -> Result<Answer, Problem> {
        let user = tx.find_user(&mark.user);
        let user = user.ok_or_else(|| not_found("there is no such user"))?;
        let marked = tx.state::<Self>().get(&call.user);
        if marked.is_some_and(|marked| marked.contains(&user)) {
            return Ok(Answer::no_content());
        }
        let most = self.settings.most;
        if marked.is_some_and(|marked| marked.len() >= most) {
            let detail = format!("you have marked {most} users, as many as one may");
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Problem::new(status, "too_many", detail));
        }
        tx.record(Entry::<Self>::new(Fact::Marked { user }).tell(vec![call.user]))?;
        Ok(Answer::no_content())
    }

    async fn list(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let marks = ask.view(|view| {
            let marked = view.state::<Self>().get(&ask.call.user);
            let users = marked.into_iter().flatten();
            let users = users.filter_map(|user| view.name(*user)).collect();
            json!(Marks { users })
        });
        Ok(Answer::ok(marks.await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_whose_request_it_was() {
        let mut state = State::new();
        let stamp = Stamp {
            pos: 7,
            at: Time(0),
            by: Some(UserId(1)),
            chat: None,
            message: None,
        };
        Sample::apply(&mut state, Fact::Marked { user: UserId(2) }, &stamp);
        assert_eq!(state[&UserId(1)], [UserId(2)].into());
    }
}
