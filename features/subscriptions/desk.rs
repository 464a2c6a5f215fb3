//! Making, listing, switching on and ending subscriptions.

use veche::prelude::*;

use super::Subscriptions;
use super::letter::Secrets;
use super::state::{Fact, Failure, Place, Why};

/// What is subscribed to, and where to it is posted.
#[derive(Deserialize, JsonSchema)]
pub struct NewSubscription {
    /// The chat.
    #[schemars(with = "strings::Address")]
    chat: String,
    /// Where to: `http` or `https`, without a user in it.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    url: String,
}

/// Nothing is said.
#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

/// A subscription, as its owner sees it.
#[derive(Serialize, JsonSchema)]
pub struct SubscriptionView {
    /// Names it.
    id: Id,
    /// The chat.
    chat: String,
    /// Where to.
    url: String,
    /// When it was made.
    #[schemars(with = "strings::Moment")]
    at: String,
    /// Whether its owner is in the chat: nothing is posted while they are not.
    works: bool,
    #[serde(flatten)]
    standing: Standing,
}

/// How a subscription stands.
#[derive(Serialize, JsonSchema)]
pub struct Standing {
    state: SubscriptionState,
    /// Why it does not work, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<SubscriptionFailure>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SubscriptionState {
    /// What is said is posted.
    On,
    /// The last message was not taken, and is tried again.
    Failing,
    /// It was given up.
    Off,
}

#[derive(Serialize, JsonSchema)]
struct SubscriptionFailure {
    /// What went wrong last.
    reason: FailureReason,
    /// The status of the answer, where that was it.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How often it has failed in a row.
    times: u32,
    /// Since when.
    #[schemars(with = "strings::Moment")]
    since: String,
    /// When the last time.
    #[schemars(with = "strings::Moment")]
    at: String,
    /// When it is tried again; null where it was given up.
    #[schemars(with = "Option<strings::Moment>")]
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FailureReason {
    /// It was answered with another status than 2xx.
    Status,
    /// The name has no address.
    Unresolved,
    /// The name's address is not a public one.
    Private,
    /// Nothing takes connections there.
    Unreachable,
    /// Its certificate is not trusted, or TLS failed otherwise.
    Tls,
    /// There was no answer in time.
    Timeout,
    /// What came is no answer of HTTP.
    Protocol,
    /// This server failed.
    Internal,
}

impl FailureReason {
    fn of(why: Why) -> Self {
        match why {
            Why::Status(_) => Self::Status,
            Why::Internal => Self::Internal,
            Why::Call(error) => match error {
                CallError::Unresolved => Self::Unresolved,
                CallError::Private => Self::Private,
                CallError::Unreachable => Self::Unreachable,
                CallError::Tls => Self::Tls,
                CallError::Timeout => Self::Timeout,
                CallError::Protocol => Self::Protocol,
            },
        }
    }
}

/// A new subscription.
#[derive(Serialize, JsonSchema)]
pub struct MadeSubscription {
    #[serde(flatten)]
    subscription: SubscriptionView,
    /// What is signed with. It is shown only here.
    secret: String,
}

/// A list of subscriptions.
#[derive(Serialize, JsonSchema)]
pub struct SubscriptionList {
    /// One's own, the oldest first.
    subscriptions: Vec<SubscriptionView>,
}

impl Standing {
    /// How it stands with a failure, or without.
    pub fn of(failure: Option<&Failure>) -> Self {
        let state = match failure {
            None => SubscriptionState::On,
            Some(Failure { next: Some(_), .. }) => SubscriptionState::Failing,
            Some(Failure { next: None, .. }) => SubscriptionState::Off,
        };
        let failure = failure.map(|failure| SubscriptionFailure {
            reason: FailureReason::of(failure.why),
            status: match failure.why {
                Why::Status(status) => Some(status),
                Why::Call(_) | Why::Internal => None,
            },
            times: failure.times,
            since: failure.since.to_string(),
            at: failure.at.to_string(),
            next: failure.next.map(|next| next.to_string()),
        });
        Self { state, failure }
    }
}

/// What is told of a subscription that stands otherwise now.
pub fn changed(id: Id, standing: &Standing) -> Value {
    let mut told = json!(standing);
    told["id"] = id.into();
    told
}

impl SubscriptionView {
    /// One that was just made.
    pub fn new(view: &View<'_>, id: Id, by: UserId, place: Place, at: Time, url: String) -> Self {
        let (chat, works) = match place {
            Place::Chat(chat) => (view.spell(chat, None), view.is_member(chat, by)),
            Place::With(peer) if peer == by => ("@me".to_owned(), true),
            Place::With(peer) => (format!("@{}", view.name(peer).unwrap_or_default()), true),
        };
        Self {
            id,
            chat,
            url,
            at: at.to_string(),
            works,
            standing: Standing::of(None),
        }
    }

    /// As it stands with a failure, or without.
    pub fn standing(mut self, failure: Option<&Failure>) -> Self {
        self.standing = Standing::of(failure);
        self
    }
}

impl Subscriptions {
    pub(super) fn make(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        new: &NewSubscription,
    ) -> Result<Answer, Problem> {
        let place = match tx.address("chat", &new.chat, call.user)? {
            Address::Chat(chat) if tx.is_member(chat, call.user) => Place::Chat(chat),
            Address::Chat(_) => return Err(unknown_chat()),
            Address::User(peer) => Place::With(peer),
        };
        let callee = self.caller.callee(&new.url);
        let callee = callee.map_err(|wrong| invalid("url", format!("`url` {wrong}")))?;
        let most = self.settings.subscriptions;
        if tx.state::<Self>().of(call.user).count() >= most {
            let detail = format!("you have {most} subscriptions, as many as one may");
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many",
                detail,
            ));
        }
        let Secrets { url, secret } = Secrets::new(callee.to_string())?;
        let kept = json!(Secrets {
            url: url.clone(),
            secret: secret.clone()
        });
        let fact = Fact::Made {
            by: call.user,
            place,
        };
        let entry = Entry::<Self>::new(fact).tell(vec![call.user]).kept();
        let id = tx.record(entry.text(&kept.to_string()))?;
        let subscription = SubscriptionView::new(tx, id, call.user, place, tx.now(), url);
        let made = MadeSubscription {
            subscription,
            secret,
        };
        Ok(Answer::created(json!(made)).made(id))
    }

    pub(super) async fn list(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let own = ask.view(|view| {
            let own = view.state::<Self>().of(ask.call.user);
            own.map(|(id, one)| {
                let shown =
                    SubscriptionView::new(view, id, one.by, one.place, one.at, String::new());
                (one.row(id), shown.standing(one.failure.as_ref()))
            })
            .collect::<Vec<_>>()
        });
        let mut subscriptions = Vec::new();
        for (row, mut one) in own.await? {
            // One that goes meanwhile has no row any more.
            let row = ask.row(row).await?;
            if let Some(known) = row.and_then(|row| Secrets::read(&row.text?)) {
                one.url = known.url;
                subscriptions.push(one);
            }
        }
        Ok(Answer::ok(json!(SubscriptionList { subscriptions })))
    }

    pub(super) fn switch_on(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        _: &Nothing,
    ) -> Result<Answer, Problem> {
        let (id, one) = own(tx, call)?;
        if one.failure.is_some() {
            let fact = Fact::On { subscription: id };
            tx.record(Entry::<Self>::new(fact).tell(vec![call.user]))?;
        }
        let row = one.row(id);
        let url = tx
            .row::<Self>(row)?
            .and_then(|row| Secrets::read(&row.text?));
        let url = url.map(|known| known.url).unwrap_or_default();
        let shown = SubscriptionView::new(tx, id, one.by, one.place, one.at, url);
        Ok(Answer::ok(json!(shown)).made(row))
    }

    pub(super) fn renew(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        _: &Nothing,
    ) -> Result<Answer, Problem> {
        let (id, one) = own(tx, call)?;
        let row = tx.row::<Self>(one.row(id))?;
        let known = row.and_then(|row| Secrets::read(&row.text?));
        let known = known.ok_or_else(unknown)?;
        let Secrets { url, secret } = Secrets::new(known.url)?;
        let kept = json!(Secrets {
            url: url.clone(),
            secret: secret.clone()
        });
        let until = tx.now().plus(self.settings.old_secret);
        let fact = Fact::Renewed {
            subscription: id,
            until,
        };
        let entry = Entry::<Self>::new(fact).tell(vec![call.user]).kept();
        let made = tx.record(entry.text(&kept.to_string()))?;
        // Of three the oldest signs no more.
        if let Some((row, _)) = one.before {
            tx.erase::<Self>(vec![row])?;
        }
        let shown = SubscriptionView::new(tx, id, one.by, one.place, one.at, url);
        let renewed = MadeSubscription {
            subscription: shown.standing(one.failure.as_ref()),
            secret,
        };
        Ok(Answer::ok(json!(renewed)).made(made))
    }

    pub(super) fn remove(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let (id, one) = own(tx, call)?;
        let fact = Fact::Removed { subscription: id };
        tx.record(Entry::<Self>::new(fact).tell(vec![call.user]))?;
        // Where to it went, and what was signed with, also in the answers that are kept for a repeat.
        let rows = [Some(one.row(id)), one.before.map(|(row, _)| row)];
        tx.erase::<Self>(rows.into_iter().flatten().collect())?;
        Ok(Answer::no_content())
    }
}

fn unknown() -> Problem {
    not_found("there is no such subscription")
}

/// The subscription that a path names, if it is the caller's own.
fn own(tx: &Tx<'_>, call: &Call) -> Result<(Id, super::state::Subscription), Problem> {
    let id = call.param("id").parse().map_err(|_| unknown())?;
    let found = tx.state::<Subscriptions>().get(id);
    let found = found
        .filter(|one| one.by == call.user)
        .ok_or_else(unknown)?;
    Ok((id, found.clone()))
}
