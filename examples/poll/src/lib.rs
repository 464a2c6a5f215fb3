//! **poll**: a message that asks, and votes on it.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" $URL/polls \
//!     --json '{"question": "Lunch?", "options": ["soup", "rice"]}'
//! curl -H "Authorization: Bearer $TOKEN" $URL/polls/12/votes --json '{"option": 2}'
//! curl -H "Authorization: Bearer $TOKEN" $URL/polls/12
//! ```
//!
//! A poll is an ordinary message of this form, so every client shows it and any client can begin
//! one with `POST /send`:
//!
//! ```text
//! Poll: Lunch?
//! 1. soup
//! 2. rice
//! ```
//!
//! Whoever sees the message may vote, if they may post in its chat; a second vote takes the place
//! of the first. The event `vote` tells of each. After `open` the poll is closed: it takes no more
//! votes, and the event `poll_closed` says how it ended. While it is open its message shows the
//! votes as `poll`. A poll goes with its message.
//!
//! This is a feature in a crate of its own. It uses what a feature inside the repository uses,
//! and could be moved to `features/poll.rs` as it is.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// Polls closed in one go, so that many which end together hold no post up.
const AT_ONCE: usize = 100;

settings! {
    /// Polls in every chat.
    pub struct Settings {
        /// How long a poll takes votes, 1s to 365d.
        pub open: Period = Period::days(1) => Period::secs(1)..=Period::days(365),
        /// How many options a poll may have, 2 to 100.
        pub options: usize = 10 => 2..=100,
    }
}

/// Polls.
pub struct Poll {
    settings: Settings,
}

feature!(Poll);

/// What can happen to a poll. The question and the options are the message's text, not here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A message began a poll. Rides in the message's own fact.
    Opened {
        /// How many options it has.
        options: usize,
        /// When it closes.
        closes: Time,
    },
    /// Somebody voted.
    Voted {
        /// On which message.
        poll: Id,
        /// For which option, counted from 1.
        option: usize,
    },
    /// A poll closed. Lies beside its message.
    Closed {
        /// Which one.
        poll: Id,
        /// The votes for each option.
        votes: Vec<usize>,
    },
}

/// The polls that are open. What closed is a row beside its message, so this stays small.
#[derive(Default, Serialize, Deserialize)]
pub struct Polls {
    open: BTreeMap<Id, Open>,
    /// The same in order of their ends.
    ends: BTreeSet<(Time, Id)>,
}

#[derive(Serialize, Deserialize)]
struct Open {
    by: UserId,
    options: usize,
    closes: Time,
    votes: BTreeMap<UserId, usize>,
}

#[derive(Deserialize, JsonSchema)]
struct NewPoll {
    /// What is asked, one line.
    question: String,
    /// What can be voted for: at least two, one line each.
    options: Vec<String>,
    /// Where to, as in `POST /send`; the common chat without it.
    #[serde(default)]
    to: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct NewVote {
    /// Which option, counted from 1.
    option: usize,
}

/// What administrators say.
#[derive(Deserialize)]
struct Which {
    poll: Id,
}

/// How a poll stands.
#[derive(Serialize, JsonSchema)]
struct Standing<'a> {
    /// The message that asks.
    id: Id,
    question: &'a str,
    options: Vec<&'a str>,
    /// The votes for each option.
    votes: Vec<usize>,
    /// Whether it takes votes.
    open: bool,
    /// When it closes, or did.
    closes: String,
    /// What the asking user voted for, while it is open.
    mine: Option<usize>,
}

impl Feature for Poll {
    const ABOUT: &'static str = "Polls: messages that ask, and votes on them";

    type Settings = Settings;
    type State = Polls;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/polls", "Asks a question", Self::ask)
            .returns::<Value>(201, "The message that asks")
            .get("/polls/{id}", "How a poll stands", Self::standing)
            .returns::<Standing>(200, "The votes")
            .post("/polls/{id}/votes", "Votes on a poll", Self::vote)
            .returns_nothing(204, "The vote counts")
            .admin(
                "close-poll POLL",
                "Closes a poll before its time",
                Self::close_now,
            )
    }

    fn check(&self, _: &Polls, draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<Fact> {
        if draft.purpose != Purpose::PostNow || draft.beside.is_some() {
            return Verdict::pass();
        }
        match parse(draft.text).map(|(_, options)| options.len()) {
            Some(options) if (2..=self.settings.options).contains(&options) => {
                let closes = tx.now().plus(self.settings.open);
                Verdict::pass().rider(Fact::Opened { options, closes })
            }
            _ => Verdict::pass(),
        }
    }

    fn apply(state: &mut Polls, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Opened { options, closes } => {
                let Some(by) = stamp.by else { return };
                let open = Open {
                    by,
                    options,
                    closes,
                    votes: BTreeMap::new(),
                };
                state.open.insert(stamp.pos, open);
                state.ends.insert((closes, stamp.pos));
            }
            Fact::Voted { poll, option } => {
                if let (Some(open), Some(by)) = (state.open.get_mut(&poll), stamp.by) {
                    open.votes.insert(by, option);
                }
            }
            Fact::Closed { poll, .. } => {
                if let Some(open) = state.open.remove(&poll) {
                    state.ends.remove(&(open.closes, poll));
                }
            }
        }
    }

    fn event(fact: &Fact, telling: &Telling<'_>) -> Option<Event> {
        match fact {
            Fact::Opened { .. } => None,
            Fact::Voted { poll, option } => {
                let data = json!({"poll": poll, "from": telling.author()?, "option": option});
                Some(Event::new("vote", data))
            }
            Fact::Closed { poll, votes } => {
                let data = json!({"poll": poll, "votes": votes});
                Some(Event::new("poll_closed", data))
            }
        }
    }

    fn due(&self, state: &Polls, _: &Tx<'_>) -> Option<Time> {
        state.ends.first().map(|(closes, _)| *closes)
    }

    fn wake(&self, state: &Polls, tx: &mut Tx<'_>) -> Result<(), Problem> {
        let now = tx.now();
        let over = state.ends.iter().take_while(|(closes, _)| *closes <= now);
        for (_, poll) in over.take(AT_ONCE) {
            if let Some(open) = state.open.get(poll) {
                close(tx, *poll, open)?;
            }
        }
        Ok(())
    }

    fn show(&self, state: &Polls, of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        let Subject::Message(message) = of else {
            return;
        };
        let Some(Fact::Opened { options, closes }) = message.rider::<Self>() else {
            return;
        };
        // A row beside it is its end; `GET /polls/ID` has the votes then.
        let closes = closes.to_string();
        if message.count::<Self>() > 0 {
            to.set("poll", json!({"open": false, "closes": closes}));
            return;
        }
        let open = state.open.get(&message.id);
        let votes = open.map_or_else(|| vec![0; options], Open::tally);
        to.set(
            "poll",
            json!({"open": true, "closes": closes, "votes": votes}),
        );
    }
}

fn close(tx: &mut Tx<'_>, poll: Id, open: &Open) -> Result<(), Problem> {
    let votes = open.tally();
    let closed = Entry::<Poll>::new(Fact::Closed { poll, votes });
    let closed = match tx.message(poll, open.by) {
        Ok(message) => closed.tell_chat(message.chat).beside(message.id),
        // It went before its poll closed: nobody is left to be told.
        Err(problem) if problem.status == StatusCode::NOT_FOUND => closed,
        Err(problem) => return Err(problem),
    };
    tx.record(closed).map(drop)
}

impl Poll {
    fn close_now(&self, tx: &mut Tx<'_>, which: &Which) -> Result<Answer, Problem> {
        let open = tx.state::<Self>().open.get(&which.poll);
        close(tx, which.poll, open.ok_or_else(no_poll)?)?;
        Ok(Answer::no_content())
    }

    fn ask(&self, tx: &mut Tx<'_>, call: &Call, new: &NewPoll) -> Result<Answer, Problem> {
        let to = tx.address("to", new.to.as_deref().unwrap_or("common"), call.user)?;
        let most = self.settings.options;
        if !(2..=most).contains(&new.options.len()) {
            let count = new.options.len();
            let detail = format!("`options` has {count} entries; 2 to {most} are allowed");
            return Err(invalid("options", detail));
        }
        let options = new.options.iter().map(|option| ("options", option));
        for (field, line) in options.chain([("question", &new.question)]) {
            if line.trim().is_empty() || line.contains(['\n', '\r']) {
                let detail = format!("`{field}` must be one line that is not blank");
                return Err(invalid(field, detail));
            }
        }
        tx.post(&Draft::message(
            call.user,
            to,
            &compose(&new.question, &new.options),
        ))
    }

    fn vote(&self, tx: &mut Tx<'_>, call: &Call, vote: &NewVote) -> Result<Answer, Problem> {
        let message = tx.message(call.id("id")?, call.user)?;
        let (_, options) = parse(&message.text).ok_or_else(no_poll)?;
        if !tx.state::<Self>().open.contains_key(&message.id) {
            let detail = "this poll takes no votes any more";
            return Err(Problem::new(StatusCode::CONFLICT, "poll_closed", detail));
        }
        let chosen = vote.option.checked_sub(1).and_then(|n| options.get(n));
        let option = chosen.ok_or_else(|| {
            let detail = format!("`option` must be from 1 to {}", options.len());
            invalid("option", detail)
        })?;
        // A vote is a post as any other: whoever may not post may not vote.
        let to = tx.address_of(&message, call.user);
        let draft = Draft::message(call.user, to, option).beside(message.id);
        let mut passed = tx.check(&draft)?;
        let fact = Fact::Voted {
            poll: message.id,
            option: vote.option,
        };
        let voted = Entry::<Self>::new(fact).tell_chat(message.chat);
        tx.record(voted.passed(&mut passed))?;
        Ok(Answer::no_content().headers(passed.headers()))
    }

    async fn standing(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let message = ask.message(ask.call.id("id")?).await?;
        let (question, options) = parse(&message.text).ok_or_else(no_poll)?;
        let user = ask.call.user;
        let open = ask
            .view(|view| {
                let open = view.state::<Self>().open.get(&message.id)?;
                let mine = open.votes.get(&user).copied();
                Some((open.tally(), open.closes, mine))
            })
            .await?;
        let is_open = open.is_some();
        let (votes, closes, mine) = match open {
            Some(open) => open,
            // In this order no poll is missed: what closes meanwhile has its row already.
            None => {
                let (rows, _) = ask.rows(message.id, 0, 1).await?;
                let row = rows.first().ok_or_else(no_poll)?;
                let Some(Fact::Closed { votes, .. }) = row.fact::<Self>() else {
                    return Err(no_poll());
                };
                (votes, row.at, None)
            }
        };
        Ok(Answer::ok(json!(Standing {
            id: message.id,
            question,
            options,
            votes,
            open: is_open,
            closes: closes.to_string(),
            mine,
        })))
    }
}

impl Open {
    /// The votes for each option.
    fn tally(&self) -> Vec<usize> {
        let mut tally = vec![0; self.options];
        for option in self.votes.values() {
            if let Some(count) = option.checked_sub(1).and_then(|n| tally.get_mut(n)) {
                *count += 1;
            }
        }
        tally
    }
}

/// A poll as a message's text.
fn compose(question: &str, options: &[String]) -> String {
    let options = options.iter().enumerate();
    let lines = options.map(|(n, option)| format!("\n{}. {option}", n + 1));
    format!("Poll: {question}{}", lines.collect::<String>())
}

/// The question and the options of a text that is a poll.
fn parse(text: &str) -> Option<(&str, Vec<&str>)> {
    let mut lines = text.lines();
    let question = lines.next()?.strip_prefix("Poll: ")?;
    let options = lines.zip(1_usize..).map(|(line, n)| {
        let line = line.strip_prefix(&n.to_string())?.strip_prefix(". ")?;
        (!line.trim().is_empty()).then_some(line)
    });
    let options: Vec<&str> = options.collect::<Option<_>>()?;
    (options.len() > 1 && !question.trim().is_empty()).then_some((question, options))
}

fn no_poll() -> Problem {
    not_found("there is no such poll")
}

fn invalid(field: &str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with("field", field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(state: &mut Polls, pos: Id, by: u64, fact: Fact) {
        let stamp = Stamp {
            pos,
            at: Time(0),
            by: Some(UserId(by)),
            ..Stamp::default()
        };
        Poll::apply(state, fact, &stamp);
    }

    fn opened(closes: i64) -> Fact {
        Fact::Opened {
            options: 2,
            closes: Time(closes),
        }
    }

    #[test]
    fn what_is_composed_reads_back_as_the_same_poll() {
        let options = ["soup".to_owned(), "2. rice".to_owned()];
        let text = compose("Lunch?", &options);
        assert_eq!(text, "Poll: Lunch?\n1. soup\n2. 2. rice");
        assert_eq!(parse(&text), Some(("Lunch?", vec!["soup", "2. rice"])));
    }

    #[test]
    fn other_texts_are_no_polls() {
        for text in [
            "",
            "Lunch?",
            "Poll: Lunch?",
            "Poll: Lunch?\n1. soup",
            "Poll: Lunch?\n1. soup\n3. rice",
            "Poll: Lunch?\n1. soup\n2. ",
            "Poll: \n1. soup\n2. rice",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_second_vote_takes_the_place_of_the_first() {
        let mut state = Polls::default();
        apply(&mut state, 7, 1, opened(100));
        for (by, option) in [(1, 1), (2, 1), (1, 2)] {
            apply(&mut state, 8, by, Fact::Voted { poll: 7, option });
        }
        assert_eq!(state.open[&7].tally(), [1, 1]);
    }

    #[test]
    fn the_poll_that_ends_first_is_due_first_and_a_closed_one_takes_no_memory() {
        let mut state = Polls::default();
        apply(&mut state, 7, 1, opened(200));
        apply(&mut state, 8, 1, opened(100));
        assert_eq!(state.ends.first(), Some(&(Time(100), 8)));
        for poll in [7, 8] {
            let votes = Vec::new();
            apply(&mut state, 9, 1, Fact::Closed { poll, votes });
        }
        assert!(state.open.is_empty() && state.ends.is_empty());
    }
}
