//! Joining and leaving.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Digest, Fact, Folded, Name, not_found, password, status};
use crate::bus::{Answer, Tx, View};
use crate::feature::{Call, parse_json};
use crate::http::{Problem, Request, Response};
use crate::log::{Audience, ClientId, UserId};
use crate::openapi::strings;
use crate::server::{Core, json_body, peer, respond};

/// The most characters kept of what a client says it is.
const AGENT: usize = 200;

/// Decided again so often when a name was taken or freed meanwhile.
const RACES: usize = 3;

/// So many clients at most make room for one that comes, which matters where a setting was lowered.
/// They are looked for when so few more have room, for others may come at the same time.
const LEAVING: usize = 64;

/// The code of a decision that must be prepared anew; never answered.
const RACE: &str = "race";

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Connect {
    /// 1–32 letters, digits, combining marks, `_`, `-`, `.` of any script.
    #[schemars(with = "strings::Name")]
    name: String,
    /// Guards the name; needed to come back under a name that has one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    password: Option<String>,
    /// Takes no new name: one that nobody has is 404 then.
    #[serde(default)]
    known: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Disconnect {
    /// Ends every client of the user.
    #[serde(default)]
    all: bool,
    /// Ends this one of the user's clients, by its id.
    #[serde(default)]
    #[schemars(with = "Option<strings::Uuid>")]
    client: Option<String>,
}

/// Who may have the name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Claim {
    /// Nobody has it: the new user's password hash, if any.
    New(Option<String>),
    /// This user has shown that it is theirs, by their password or by a live client's token.
    Known(UserId, Option<Digest>),
}

/// `POST /connect`
pub(super) async fn connect(core: Arc<Core>, mut request: Request) -> Result<Response, Problem> {
    let bytes = json_body(&core, &mut request, false).await?;
    let connect: Connect = parse_json(&bytes)?;
    let name = Name::parse(&connect.name)?;
    let answer = connect_as(core, &name, connect, &request).await;
    if let Err(problem) = &answer {
        // Whoever watches for guessed passwords must see whose.
        tracing::info!(user = name.as_str(), code = %problem.code, "not connected");
    }
    answer
}

async fn connect_as(
    core: Arc<Core>,
    name: &Name,
    connect: Connect,
    request: &Request,
) -> Result<Response, Problem> {
    if let Some(password) = &connect.password {
        password::check(password)?;
    }
    let agent = agent(request.headers());
    let shown = Shown {
        password: connect.password,
        is_known: connect.known,
        token: bearer(request.headers()).map(Digest::of),
        from: peer(request),
    };
    for _ in 0..RACES {
        let claim = claim(&core, name, &shown).await?;
        let others = match &claim {
            Claim::New(_) => Others::default(),
            Claim::Known(user, token) => Others::of(&core, *user, *token).await?,
        };
        let client = Uuid::new_v4();
        let token = new_token()?;
        let is_new = matches!(claim, Claim::New(_));
        let sets_password = matches!(claim, Claim::New(Some(_)));
        let joining = Joining {
            claim,
            name: name.as_str().to_owned(),
            client,
            token: Digest::of(&token),
            agent: agent.clone(),
            most: core.config.server.clients,
            others,
        };
        match core.join(joining).await {
            Err(problem) if problem.code == RACE => {}
            Err(problem) => return Err(problem),
            Ok(answer) => {
                if sets_password {
                    core.guesses.set(shown.from, &Folded::of(name.as_str()));
                }
                let user = answer.body.value().and_then(serde_json::Value::as_u64);
                let user = UserId(user.unwrap_or_default());
                let overview = status::welcome(&core, user).await?;
                let name = core.bus.peek(|view| view.name(user).map(str::to_owned));
                tracing::info!(user = name, %client, is_new, "connected");
                let body = json!({
                    "user": {"name": name},
                    "client": client,
                    "token": token,
                    "chats": overview.chats,
                    "history": overview.history,
                    "unread": overview.unread,
                    "cursor": core.hub.frames().cursor(overview.pos),
                });
                let answer = if is_new {
                    Answer::created(body)
                } else {
                    Answer::ok(body)
                };
                return Ok(respond(answer.delivers(overview.delivers)));
            }
        }
    }
    Err(taken())
}

/// What there is to decide once it is known who may have a name. It travels to the node of a cluster
/// that decides.
#[derive(Serialize, Deserialize)]
pub(crate) struct Joining {
    claim: Claim,
    name: String,
    client: Uuid,
    token: Digest,
    agent: String,
    /// How many clients a user may have.
    most: usize,
    others: Others,
}

/// The other clients of a user for whom one more comes.
#[derive(Default, Serialize, Deserialize)]
struct Others {
    /// Those that are there, and the one that lets it in.
    staying: Vec<ClientId>,
    /// Those that may make room for it, the one that was seen longest ago first, where that may be
    /// needed.
    leaving: Vec<ClientId>,
}

impl Joining {
    /// Lets a client in; the answer is its user's number.
    pub(crate) fn decide(&self, tx: &mut Tx<'_>) -> Result<Answer, Problem> {
        let user = match &self.claim {
            // The client whose token showed it may have ended meanwhile.
            Claim::Known(_, Some(token)) if tx.world().chat.client_by_token(*token).is_none() => {
                return Err(race());
            }
            Claim::Known(user, _) => {
                self.make_room(tx, *user)?;
                *user
            }
            Claim::New(_) if tx.find_user(&self.name).is_some() => return Err(race()),
            Claim::New(password) => {
                let fact = Fact::Joined {
                    name: self.name.clone(),
                    password: password.clone(),
                };
                UserId(tx.core(&fact, Audience::Nobody)?)
            }
        };
        let fact = Fact::Connected {
            user,
            client: self.client,
            token: self.token,
            agent: self.agent.clone(),
        };
        tx.core(&fact, Audience::Users(vec![user]))?;
        Ok(Answer::ok(user.0))
    }

    /// Signs clients out where their user has as many as one may.
    fn make_room(&self, tx: &mut Tx<'_>, user: UserId) -> Result<(), Problem> {
        let state = &tx.world().chat;
        let Some(known) = state.user(user) else {
            return Ok(());
        };
        let beyond = (known.clients.len() + 1).saturating_sub(self.most);
        if beyond == 0 {
            return Ok(());
        }
        let leaving = self.others.leaving.iter();
        let leaving = leaving.filter(|client| state.client(**client).is_some());
        let mut going: Vec<_> = leaving.take(beyond).copied().collect();
        if going.is_empty() {
            // Others that came at the same time were faster; each of them may go as well.
            let staying = &self.others.staying;
            let others = known.clients.iter();
            let others = others.filter(|client| !staying.contains(client));
            let first =
                others.min_by_key(|client| state.client(**client).map(|client| client.seen));
            going.extend(first);
        }
        if going.is_empty() {
            return Err(too_many(self.most));
        }
        for client in going {
            let fact = Fact::Disconnected { user, client };
            tx.core(&fact, Audience::Users(vec![user]))?;
        }
        Ok(())
    }
}

impl Others {
    /// Those of a user to whom this token lets a further one in, if one did.
    async fn of(core: &Core, user: UserId, token: Option<Digest>) -> Result<Self, Problem> {
        let most = core.config.server.clients;
        let look = |view: &View<'_>| {
            let state = &view.world().chat;
            let shown = token.and_then(|token| state.client_by_token(token));
            let own = state.user(user).map(|user| &user.clients);
            let own = own.filter(|own| own.len() + LEAVING > most);
            let own = own.into_iter().flatten();
            let own = own.filter_map(|id| Some((*id, state.client(*id)?.seen)));
            (shown.map(|(client, _)| client), own.collect::<Vec<_>>())
        };
        let (shown, mut own) = core.bus.read(look).await?;
        let mut staying = core.hub.clients_of(user);
        staying.extend(shown);
        own.retain(|(client, _)| !staying.contains(client));
        let lately = core
            .bus
            .seen_lately_of(own.iter().map(|(client, _)| *client));
        own.sort_unstable_by_key(|(client, seen)| lately.get(client).max(Some(seen)).copied());
        let leaving = own.into_iter().take(LEAVING).map(|(client, _)| client);
        Ok(Self {
            staying: staying.into_iter().collect(),
            leaving: leaving.collect(),
        })
    }
}

/// What somebody shows to have a name.
struct Shown {
    password: Option<String>,
    /// Whether they say that somebody has it.
    is_known: bool,
    token: Option<Digest>,
    from: Option<IpAddr>,
}

/// Finds out who may have a name; 409 `name_taken` or 401 `wrong_password` where the asker may
/// not, and 429 where too many have tried.
async fn claim(core: &Core, name: &Name, shown: &Shown) -> Result<Claim, Problem> {
    let token = shown.token;
    let known = core
        .bus
        .read(|view| {
            let user = view.find_user(name.as_str())?;
            let state = &view.world().chat;
            let owner = token.and_then(|hash| state.client_by_token(hash));
            let owner = owner.map(|(_, owner)| owner);
            Some((user, owner, state.user(user)?.password.clone()))
        })
        .await?;
    let Some((user, owner, hash)) = known else {
        if shown.is_known {
            return Err(not_found("nobody has this name"));
        }
        return Ok(Claim::New(match &shown.password {
            Some(password) => Some(core.passwords.hash(shown.from, password.clone()).await?),
            None => None,
        }));
    };
    if owner == Some(user) {
        return Ok(Claim::Known(user, shown.token));
    }
    let refusal = match (hash, &shown.password) {
        (None, _) => taken(),
        (Some(_), None) => wrong_password(),
        (Some(hash), Some(password)) => {
            let attempt = core
                .guesses
                .password(shown.from, &Folded::of(name.as_str()))?;
            match core
                .passwords
                .verify(shown.from, password.clone(), hash.into())
                .await
            {
                Ok(true) => {
                    attempt.was_right();
                    return Ok(Claim::Known(user, None));
                }
                Ok(false) => wrong_password(),
                Err(problem) => {
                    attempt.was_none();
                    return Err(problem);
                }
            }
        }
    };
    if token.is_some() && owner.is_none() {
        return Err(core.guesses.token(shown.from, refusal).await);
    }
    Err(refusal)
}

/// `POST /disconnect`
pub(super) fn disconnect(
    tx: &mut Tx<'_>,
    call: &Call,
    body: &Disconnect,
) -> Result<Answer, Problem> {
    let user = tx.world().chat.user(call.user);
    let mut own = user
        .into_iter()
        .flat_map(|user| user.clients.iter().copied());
    let clients: Vec<_> = match &body.client {
        _ if body.all => own.collect(),
        Some(id) => {
            let id = id.parse().ok();
            let found = id.filter(|id| own.any(|client| client == *id));
            vec![found.ok_or_else(|| not_found("you have no such client"))?]
        }
        None => vec![call.client],
    };
    for client in clients {
        let fact = Fact::Disconnected {
            user: call.user,
            client,
        };
        tx.core(&fact, Audience::Users(vec![call.user]))?;
    }
    Ok(Answer::no_content())
}

/// The token of an `Authorization: Bearer` field (RFC 6750, section 2.1; the scheme in any case).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// 256 random bits.
fn new_token() -> Result<String, Problem> {
    crate::secret::random::<32>()
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers
        .get(USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    agent
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(AGENT)
        .collect()
}

fn race() -> Problem {
    Problem::new(StatusCode::CONFLICT, RACE, "the name was taken meanwhile")
}

fn too_many(most: usize) -> Problem {
    let detail = format!(
        "you have {most} clients, as many as one may, and all of them are there: sign one out"
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail)
}

fn taken() -> Problem {
    let detail = "the name is taken, and has no password: it needs the token of one of its clients";
    Problem::new(StatusCode::CONFLICT, "name_taken", detail)
}

fn wrong_password() -> Problem {
    let detail = "the name is taken, and this is not its password";
    Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", detail)
        .header(http::header::WWW_AUTHENTICATE, crate::server::CHALLENGE)
}
