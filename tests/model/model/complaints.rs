//! Complaints: warnings, and the ban that follows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::{BAN, DECAY, Model, Ms, Told, UserIx, WARNINGS, time};

#[derive(Default)]
pub struct Case {
    /// Who complained since the last ban ended.
    by: BTreeSet<UserIx>,
    /// When each warning no longer counts.
    warnings: Vec<Ms>,
    banned_until: Option<Ms>,
}

impl Case {
    pub fn next_end(&self) -> Option<Ms> {
        self.warnings.iter().copied().chain(self.banned_until).min()
    }
}

impl Model {
    pub fn banned_until(&self, user: UserIx) -> Option<Ms> {
        let until = self.cases.get(&user)?.banned_until;
        until.filter(|until| *until > self.now)
    }

    pub fn own_case(&self, user: UserIx) -> Value {
        let warnings = self.cases.get(&user).map(|case| &case.warnings);
        let counting = warnings
            .into_iter()
            .flatten()
            .filter(|ends| **ends > self.now);
        json!({
            "warnings": counting.count(),
            "limit": WARNINGS,
            "banned_until": self.banned_until(user).map(time),
        })
    }

    /// Whom a user could be the next to warn.
    pub fn warned(&self, by: UserIx) -> Vec<UserIx> {
        let cases = self.cases.iter();
        let open = cases.filter(|(user, case)| **user != by && !case.by.contains(&by));
        open.map(|(user, _)| *user).collect()
    }

    pub fn complain(
        &mut self,
        by: UserIx,
        name: &str,
        reason: Option<&str>,
        message: Option<u64>,
    ) -> Outcome {
        let name = name.strip_prefix('@').unwrap_or(name);
        let user = if name == "me" {
            Some(by)
        } else {
            self.find(name)
        };
        let user = user.ok_or_else(Refusal::not_found)?;
        if user == by {
            return Err(Refusal::new(422, "self_complaint"));
        }
        if let Some(id) = message {
            self.visible(by, id)?;
        }
        if let Some(reason) = reason {
            Self::check_text("reason", reason)?;
        }
        let now = self.now;
        let case = self.cases.entry(user).or_default();
        if case.by.contains(&by) {
            return Err(Refusal::new(409, "already_complained"));
        }
        if case.banned_until.is_some() {
            return Err(Refusal::new(409, "already_banned"));
        }
        case.by.insert(by);
        case.warnings.push(now + DECAY);
        let counting = case.warnings.iter().filter(|ends| **ends > now).count();
        let is_banned = counting >= WARNINGS;
        if is_banned {
            case.warnings.clear();
            case.banned_until = Some(now + BAN);
        }
        let mut told = self.own_case(user);
        let mut body = told.clone();
        body["user"] = json!(self.users[user].name);
        let kind = if is_banned {
            "banned"
        } else {
            told["expires"] = json!(time(now + DECAY));
            "warned"
        };
        self.tell(vec![user], Told::Plain(kind, told));
        Ok(Answer::new(201, body))
    }

    /// Ends the bans and warnings whose time is over.
    pub fn end_cases(&mut self) {
        let now = self.now;
        let (mut free, mut warned) = (Vec::new(), Vec::new());
        for (user, case) in &mut self.cases {
            let before = case.warnings.len();
            case.warnings.retain(|ends| *ends > now);
            if case.warnings.len() < before {
                warned.push(*user);
            }
            if case.banned_until.is_some_and(|until| until <= now) {
                *case = Case::default();
                free.push(*user);
            }
        }
        for user in warned {
            let data = self.own_case(user);
            self.tell(vec![user], Told::Plain("warning_ended", data));
        }
        for user in free {
            let data = json!({"warnings": 0, "limit": WARNINGS, "banned_until": null});
            self.tell(vec![user], Told::Plain("unbanned", data));
        }
    }
}
