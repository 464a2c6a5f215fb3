//! What administrators see of complaints, and decide: a ban of theirs is one as any other.

use std::collections::BTreeMap;

use veche::prelude::*;

use super::Complaints;
use super::state::{Cases, Complaint, Fact, Warning};

/// Users whose complaints are listed in one answer.
const PAGE: usize = 50;

#[derive(Deserialize)]
pub(super) struct NewBan {
    user: String,
    r#for: Option<Period>,
    reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct OfUser {
    user: String,
}

#[derive(Deserialize)]
pub(super) struct Which {
    id_or_user: String,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    user: Option<String>,
    after: Option<String>,
}

/// A complaint as administrators see it.
#[derive(Serialize)]
struct Listing {
    id: Id,
    user: String,
    by: Option<String>,
    at: String,
    /// Until when it counts, or the ban that it led to lasts.
    until: String,
    banned: bool,
    message: Option<Id>,
    reason: Option<String>,
    /// Where that lies.
    #[serde(skip)]
    row: Option<Id>,
}

impl Complaints {
    pub(super) fn ban(&self, tx: &mut Tx<'_>, new: &NewBan) -> Result<Answer, Problem> {
        let user = find(tx, &new.user)?;
        let length = new.r#for.unwrap_or(self.settings.ban);
        if length == Period::ZERO {
            return Err(invalid("for", "`for` must be longer than no time"));
        }
        if let Some(reason) = &new.reason {
            tx.check_text("reason", reason)?;
        }
        let until = tx.now().plus(length);
        let complaint = Complaint {
            user,
            reason: super::keep(tx, new.reason.as_deref())?,
            message: None,
            limit: self.settings.warnings,
        };
        let banned = Entry::<Self>::new(Fact::Banned { complaint, until });
        tx.record(banned.tell(vec![user]))?;
        Ok(Answer::ok(
            json!({"user": tx.name(user), "until": until.to_string()}),
        ))
    }

    pub(super) fn unban(&self, tx: &mut Tx<'_>, of: &OfUser) -> Result<Answer, Problem> {
        let user = find(tx, &of.user)?;
        let case = tx.state::<Self>().users.get(&user);
        let ban = case.and_then(|case| case.ban.as_ref());
        let ban = ban.ok_or_else(|| not_found("they are not banned"))?;
        let limit = self.settings.warnings;
        let unbanned = Entry::<Self>::new(Fact::Unbanned { user, limit });
        tx.record(unbanned.tell(vec![user]))?;
        if !ban.reasons.is_empty() {
            tx.erase::<Self>(ban.reasons.clone())?;
        }
        Ok(Answer::no_content())
    }

    /// A dismissed warning counts no longer. Whoever complained has complained: they don't again
    /// until the next ban has ended.
    pub(super) fn dismiss(&self, tx: &mut Tx<'_>, which: &Which) -> Result<Answer, Problem> {
        let cases = tx.state::<Self>();
        let named = which.id_or_user.parse().ok();
        let named = named.and_then(|id| Some((cases.accused(id)?, id)));
        let (user, complaint) = match named {
            Some((user, id)) => (user, Some(id)),
            None => (find(tx, &which.id_or_user)?, None),
        };
        let case = cases.users.get(&user);
        if case.is_some_and(|case| case.ban.is_some()) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "already_banned",
                "it led to a ban, which is running: `unban` ends that",
            ));
        }
        let warnings = case.map_or(&[][..], |case| &case.warnings);
        let is_meant = |warning: &&Warning| complaint.is_none_or(|id| warning.id == id);
        let (gone, left): (Vec<_>, Vec<_>) = warnings.iter().partition(is_meant);
        if gone.is_empty() {
            return Err(not_found("there is no complaint that counts"));
        }
        let now = tx.now();
        let dismissed = Fact::Dismissed {
            user,
            complaint,
            warnings: left.iter().filter(|warning| warning.counts(now)).count() as u64,
            limit: self.settings.warnings,
        };
        tx.record(Entry::<Self>::new(dismissed).tell(vec![user]))?;
        let reasons: Vec<Id> = gone.iter().filter_map(|warning| warning.reason).collect();
        if !reasons.is_empty() {
            tx.erase::<Self>(reasons)?;
        }
        Ok(Answer::no_content())
    }

    pub(super) async fn list(visit: Visit<Self>, listed: Listed) -> Result<Answer, Problem> {
        let found = visit.view(|view| {
            let cases = view.state::<Self>();
            // In order of their names, as all lists of users are.
            let mut named: BTreeMap<String, UserId> = BTreeMap::new();
            match &listed.user {
                Some(name) => {
                    let user = view.find_user(name);
                    let user = user.ok_or_else(|| not_found("there is no such user"))?;
                    named.insert(view.name(user).unwrap_or_default().to_owned(), user);
                }
                None => {
                    let all = cases.users.keys();
                    named
                        .extend(all.filter_map(|user| Some((view.name(*user)?.to_owned(), *user))));
                }
            }
            let after = listed.after.as_deref().unwrap_or_default();
            let mut named = named
                .into_iter()
                .skip_while(|(name, _)| name.as_str() <= after);
            let page: Vec<_> = named.by_ref().take(PAGE).collect();
            let last = page.last().map(|(name, _)| name.clone());
            let next = last.filter(|_| named.next().is_some());
            let entries: Vec<Listing> = page
                .iter()
                .flat_map(|(name, user)| entries(cases, view, name, *user))
                .collect();
            Ok((entries, next))
        });
        let (mut entries, next) = found.await??;
        for entry in &mut entries {
            if let Some(row) = entry.row {
                entry.reason = visit.row(row).await?.and_then(|row| row.text);
            }
        }
        Ok(Answer::ok(json!({"complaints": entries, "next": next})))
    }
}

/// What a user is complained of.
fn entries(cases: &Cases, view: &View<'_>, name: &str, user: UserId) -> Vec<Listing> {
    let Some(case) = cases.users.get(&user) else {
        return Vec::new();
    };
    let entry = |warning: &Warning, until: Time, banned| Listing {
        id: warning.id,
        user: name.to_owned(),
        by: warning.by.and_then(|by| view.name(by)).map(str::to_owned),
        at: warning.at.to_string(),
        until: until.to_string(),
        banned,
        message: warning.message,
        reason: None,
        row: warning.reason,
    };
    let counting = case.warnings.iter().filter(|one| one.counts(view.now()));
    let counting = counting.map(|one| entry(one, one.ends, false));
    let ban = case.ban.iter();
    let banned = ban.flat_map(|ban| ban.of.iter().map(|one| entry(one, ban.until, true)));
    counting.chain(banned).collect()
}

fn find(view: &View<'_>, name: &str) -> Result<UserId, Problem> {
    view.find_user(name)
        .ok_or_else(|| not_found("there is no such user"))
}
