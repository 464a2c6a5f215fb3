//! One room's rules: who may come in, and by what. Who is in it is the core's.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// A room's policy.
#[derive(Serialize, Deserialize)]
pub struct Room {
    /// The row of its making.
    #[serde(default)]
    pub row: Id,
    /// Whose it is.
    pub owner: UserId,
    /// Who may come in.
    pub invites: BTreeMap<UserId, Invite>,
    /// The ways to ask, by the digest of their codes.
    pub links: BTreeMap<String, Link>,
    /// Who has asked.
    pub requests: BTreeMap<UserId, Request>,
    /// Who was refused, and until when they may not ask again.
    pub refused: BTreeMap<UserId, Time>,
    /// The rows of those who were let in.
    #[serde(default)]
    pub entered: BTreeMap<UserId, Id>,
}

/// An invitation.
#[derive(Serialize, Deserialize)]
pub struct Invite {
    /// The row of its making.
    #[serde(default)]
    pub row: Id,
    /// Who invited.
    pub by: UserId,
    /// When.
    pub at: Time,
}

/// A link.
#[derive(Serialize, Deserialize)]
pub struct Link {
    /// The row of its making.
    #[serde(default)]
    pub row: Id,
    /// Who made it.
    pub by: UserId,
    /// When.
    #[serde(default)]
    pub at: Time,
    /// Until when it can be used.
    pub expires: Option<Time>,
    /// How many it can still let in.
    pub uses: Option<u64>,
    /// Whether its time has come, whatever a clock that is set back says later.
    #[serde(default)]
    pub over: bool,
}

/// A request.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// The row of its making.
    #[serde(default)]
    pub row: Id,
    /// The digest of the link's code.
    pub code: String,
    /// When.
    pub at: Time,
}

impl Link {
    /// Whether one can still ask with it.
    pub fn is_alive(&self, now: Time) -> bool {
        let is_in_time = self.expires.is_none_or(|expires| expires > now);
        !self.over && self.uses != Some(0) && is_in_time
    }
}

impl Room {
    /// One that was just made.
    pub fn new(row: Id, owner: UserId) -> Self {
        Self {
            row,
            owner,
            invites: BTreeMap::new(),
            links: BTreeMap::new(),
            requests: BTreeMap::new(),
            refused: BTreeMap::new(),
            entered: BTreeMap::new(),
        }
    }

    /// Whom a member invited who have not come yet.
    pub fn invited_by(&self, by: UserId) -> Vec<UserId> {
        let theirs = self.invites.iter().filter(|(_, invite)| invite.by == by);
        theirs.map(|(user, _)| *user).collect()
    }

    /// The links that nobody can use and whose uses no request needs.
    pub fn dead_links(&self, now: Time) -> Vec<String> {
        let asked: BTreeSet<&String> = self
            .requests
            .values()
            .map(|request| &request.code)
            .collect();
        let links = self.links.iter();
        links
            .filter(|(code, link)| !link.is_alive(now) && !asked.contains(code))
            .map(|(code, _)| code.clone())
            .collect()
    }

    /// The rows of some of its links.
    pub fn rows_of(&self, codes: &[String]) -> Vec<Id> {
        let links = codes.iter().filter_map(|code| self.links.get(code));
        links.map(|link| link.row).collect()
    }

    /// The rows of the invitations and links that somebody made.
    pub fn rows_by(&self, by: UserId) -> Vec<Id> {
        let invites = self.invites.values().filter(|invite| invite.by == by);
        let links = self.links.values().filter(|link| link.by == by);
        invites
            .map(|invite| invite.row)
            .chain(links.map(|link| link.row))
            .collect()
    }

    /// The rows of all that was made.
    pub fn rows(&self) -> Vec<Id> {
        let invites = self.invites.values().map(|invite| invite.row);
        let links = self.links.values().map(|link| link.row);
        let requests = self.requests.values().map(|request| request.row);
        let entered = self.entered.values().copied();
        [self.row]
            .into_iter()
            .chain(invites)
            .chain(links)
            .chain(requests)
            .chain(entered)
            .collect()
    }
}
