//! Links into a room, the requests that come by them, and the owner's decisions.

use veche::prelude::*;

use super::shown::requests as requests_json;
use super::*;

#[derive(Deserialize, JsonSchema)]
pub(super) struct NewLink {
    /// How long it can be used, at least 1s; for ever without it.
    #[serde(default)]
    expires: Option<Period>,
    /// How many it can let in, at least 1; any number without it.
    #[serde(default)]
    #[schemars(range(min = 1))]
    uses: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Decision {
    /// Whether they may come in.
    approve: bool,
}

/// A new link.
#[derive(Serialize, JsonSchema)]
pub(super) struct MadeLink {
    /// The code, which is shown only here.
    link: String,
    /// Where it is used.
    url: String,
    /// When it was made, by which the room lists it.
    #[schemars(with = "strings::Moment")]
    at: String,
    /// Until when.
    #[schemars(with = "Option<strings::Moment>")]
    expires: Option<String>,
}

/// A request that waits.
#[derive(Serialize, JsonSchema)]
pub(super) struct Pending<'a> {
    /// `pending`.
    state: &'static str,
    /// The room's title.
    title: &'a str,
}

impl Rooms {
    pub(super) fn link(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        new: &NewLink,
    ) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        if new.uses == Some(0) {
            return Err(invalid("uses", "`uses` is at least 1"));
        }
        if new.expires.is_some_and(|life| life < Period::secs(1)) {
            return Err(invalid("expires", "`expires` is at least 1s"));
        }
        let alive = room.links.values().filter(|link| link.is_alive(tx.now()));
        full(alive.count(), self.settings.links, "links")?;
        let dead = room.dead_links(tx.now());
        if !dead.is_empty() {
            let rows = room.rows_of(&dead);
            let codes = dead;
            tx.record(Entry::<Self>::new(Fact::Unlinked { chat, codes }))?;
            erase(tx, rows)?;
        }
        let code = new_code()?;
        let expires = new.expires.map(|life| tx.now().plus(life));
        let fact = Fact::Linked {
            chat,
            code: digest(&code),
            expires,
            uses: new.uses,
        };
        let row = tx.record(told(fact, vec![call.user]).kept())?;
        let made = MadeLink {
            url: format!("/join/{code}"),
            link: code,
            at: tx.now().to_string(),
            expires: expires.map(|expires| expires.to_string()),
        };
        Ok(Answer::created(json!(made)).made(row))
    }

    pub(super) fn unlink(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let code = digest(call.param("code"));
        if !room.links.contains_key(&code) {
            return Err(no_link());
        }
        Self::revoke(tx, call, chat, room, vec![code])
    }

    pub(super) fn unlink_all(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let codes: Vec<String> = room.links.keys().cloned().collect();
        if codes.is_empty() {
            return Ok(Answer::no_content());
        }
        Self::revoke(tx, call, chat, room, codes)
    }

    fn revoke(
        tx: &mut Tx<'_>,
        call: &Call,
        chat: ChatId,
        room: &Room,
        codes: Vec<String>,
    ) -> Result<Answer, Problem> {
        let rows = room.rows_of(&codes);
        tx.record(told(Fact::Unlinked { chat, codes }, vec![call.user]))?;
        erase(tx, rows)?;
        Ok(Answer::no_content())
    }

    pub(super) async fn requests(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let list = ask.view(|view| {
            let (_, room) = owned(view, &ask.call)?;
            let requests = requests_json(view, room);
            Ok(json!(RequestList { requests }))
        });
        Ok(Answer::ok(list.await??))
    }

    pub(super) fn decide(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        decision: &Decision,
    ) -> Result<Answer, Problem> {
        let (chat, room) = owned(tx, call)?;
        let asker = tx
            .find_user(call.param("name"))
            .and_then(|user| Some((user, room.requests.get(&user)?)));
        let (user, request) = asker.ok_or_else(|| not_found("there is no such request"))?;
        if !decision.approve {
            let until = tx.now().plus(self.settings.cooldown);
            tx.record(told(Fact::Refused { chat, user, until }, vec![call.user]))?;
            let title = tx.title(chat).unwrap_or_default().to_owned();
            let asked = request.at;
            let refused = Fact::Told(Told::Refused { title, asked });
            tx.record(told(refused, vec![user]))?;
            erase(tx, vec![request.row])?;
            return Ok(Answer::no_content());
        }
        let link = room.links.get(&request.code);
        if link.is_some_and(|link| link.uses == Some(0)) {
            let detail = "the link has let in as many as it may; invite them, or refuse";
            return Err(Problem::new(StatusCode::CONFLICT, "link_spent", detail));
        }
        let row = self.let_in(tx, chat, user, link.map(|_| request.code.clone()))?;
        if let Some(link) = link {
            if link.uses == Some(1) {
                erase(tx, vec![link.row])?;
            }
            let to = call.user;
            tx.record(told(Fact::Told(Told::Links { chat, to }), vec![to]))?;
        }
        Ok(Answer::no_content().made(row))
    }

    /// Tells the owner that a link's time is over.
    pub(super) fn expire(
        tx: &mut Tx<'_>,
        chat: ChatId,
        room: &Room,
        code: &str,
    ) -> Result<(), Problem> {
        let owner = room.owner;
        let code = code.to_owned();
        let rows = room.rows_of(std::slice::from_ref(&code));
        tx.record(told(Fact::Expired { chat, code, owner }, vec![owner]))?;
        erase(tx, rows)
    }

    pub(super) fn ask(&self, tx: &mut Tx<'_>, call: &Call, _: &Nothing) -> Result<Answer, Problem> {
        let user = call.user;
        let code = digest(call.param("code"));
        let (chat, room, _) = tx
            .state::<Self>()
            .by_link(&code)
            .filter(|(_, _, link)| link.is_alive(tx.now()))
            .ok_or_else(no_link)?;
        let title = tx.title(chat).ok_or_else(no_link)?;
        if tx.is_member(chat, user) {
            let room = tx.spell(chat, None);
            return Err(already_member("you are in this room").with("room", room));
        }
        let row = if let Some(request) = room.requests.get(&user) {
            request.row
        } else {
            let until = room.refused.get(&user).copied();
            if let Some(until) = until.filter(|until| *until > tx.now()) {
                let seconds = tx.now().seconds_until(until);
                let detail = format!("the request was refused; ask again in {seconds} s");
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "refused", detail);
                return Err(problem.retry_after(seconds));
            }
            full(
                room.requests.len(),
                self.settings.requests,
                "pending requests",
            )?;
            let owner = room.owner;
            let row = tx.record(told(Fact::Asked { chat, user, code }, vec![owner]).kept())?;
            let title = title.to_owned();
            tx.record(told(Fact::Told(Told::Asked { title }), vec![user]))?;
            row
        };
        let state = "pending";
        Ok(Answer::accepted(json!(Pending { state, title })).made(row))
    }
}

fn no_link() -> Problem {
    let detail = "there is no such link, or it is dead";
    Problem::new(StatusCode::NOT_FOUND, "unknown_link", detail)
}
