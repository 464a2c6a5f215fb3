//! Who was complained about, and what of it is not over: the fold of the complaints' facts.

use std::collections::{BTreeMap, BTreeSet};

use veche::prelude::*;

/// What can happen. A complaint comes from the request of whoever complained; a ban that comes from
/// nobody's is an administrator's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// What somebody gave as the reason of their complaint, which follows. The text lies beside
    /// it, and is erased when the warning or the ban is over.
    Reason {},
    /// A complaint that is a warning.
    Warned {
        /// What was complained of.
        complaint: Complaint,
        /// How many warnings the accused has now.
        warnings: u64,
        /// When it no longer counts.
        ends: Time,
    },
    /// A complaint that reached the limit.
    Banned {
        /// What was complained of.
        complaint: Complaint,
        /// When the ban ends.
        until: Time,
    },
    /// A ban ended.
    Unbanned {
        /// Whose.
        user: UserId,
        /// How many warnings ban them again.
        limit: u64,
    },
    /// Warnings of a user no longer count: those that had ended by then.
    Decayed {
        /// Whose.
        user: UserId,
        /// How many still count.
        warnings: u64,
        /// How many warnings ban them.
        limit: u64,
    },
    /// An administrator found that there was nothing in a complaint, or in all of a user's.
    Dismissed {
        /// Whose warnings.
        user: UserId,
        /// Which one; all without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        complaint: Option<Id>,
        /// How many still count.
        warnings: u64,
        /// How many warnings ban them.
        limit: u64,
    },
}

/// A complaint.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Complaint {
    /// The accused.
    pub(super) user: UserId,
    /// The row that holds the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Id>,
    /// The message that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Id>,
    /// How many warnings ban a user.
    pub(super) limit: u64,
}

/// Those who were complained about since their last ban.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cases {
    pub(super) users: BTreeMap<UserId, Case>,
    /// What ends first of each, in order of time.
    pub(super) ends: BTreeSet<(Time, UserId)>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// Who complained since the last ban ended.
    pub(super) by: BTreeSet<UserId>,
    /// None while a ban runs.
    pub(super) warnings: Vec<Warning>,
    pub(super) ban: Option<Ban>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Warning {
    pub(super) ends: Time,
    pub(super) reason: Option<Id>,
    /// Names the complaint. Those that an earlier version kept have no name, and the rest of what
    /// administrators are shown is not known of them.
    #[serde(default)]
    pub(super) id: Id,
    #[serde(default)]
    pub(super) at: Time,
    /// Who complained; none of an administrator's ban.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Id>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ban {
    pub(super) until: Time,
    /// The reasons of all that led to it.
    pub(super) reasons: Vec<Id>,
    /// All that led to it, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) of: Vec<Warning>,
}

impl Cases {
    /// Changes a user's case, and what of it ends first.
    pub(super) fn change(&mut self, user: UserId, change: impl FnOnce(&mut Case)) {
        let case = self.users.entry(user).or_default();
        let before = case.next_end();
        change(case);
        let after = case.next_end();
        if *case == Case::default() {
            self.users.remove(&user);
        }
        if let Some(ends) = before {
            self.ends.remove(&(ends, user));
        }
        self.ends.extend(after.map(|ends| (ends, user)));
    }

    /// Whom a complaint is about that counts, or led to a ban that runs.
    pub(super) fn accused(&self, complaint: Id) -> Option<UserId> {
        let is_it = |warning: &Warning| warning.id == complaint;
        let accused = self.users.iter().find(|(_, case)| {
            let led = case.ban.iter().flat_map(|ban| &ban.of);
            case.warnings.iter().chain(led).any(is_it)
        });
        accused.map(|(user, _)| *user)
    }

    /// When a user's ban ends, while it runs.
    pub(super) fn banned_until(&self, user: UserId, now: Time) -> Option<Time> {
        let ban = self.users.get(&user)?.ban.as_ref()?;
        (ban.until > now).then_some(ban.until)
    }

    /// How many of a user's warnings count.
    pub(super) fn warnings(&self, user: UserId, now: Time) -> u64 {
        let warnings = self.users.get(&user).into_iter();
        let warnings = warnings.flat_map(|case| &case.warnings);
        warnings.filter(|warning| warning.counts(now)).count() as u64
    }
}

impl Case {
    pub(super) fn next_end(&self) -> Option<Time> {
        let ban = self.ban.iter().map(|ban| ban.until);
        ban.chain(self.warnings.iter().map(|warning| warning.ends))
            .min()
    }
}

impl Warning {
    /// What a complaint is kept as.
    pub(super) fn of(complaint: &Complaint, ends: Time, stamp: &Stamp) -> Self {
        Self {
            ends,
            reason: complaint.reason,
            id: stamp.pos,
            at: stamp.at,
            by: stamp.by,
            message: complaint.message,
        }
    }

    pub(super) fn counts(&self, now: Time) -> bool {
        self.ends > now
    }
}
