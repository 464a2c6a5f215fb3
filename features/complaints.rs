//! **complaints**: warnings by one's fellows, and a ban from posting when there are enough.
//!
//! ```toml
//! [features.complaints]
//! warnings = 3
//! ban = "4h"
//! decay = "30d"
//! min_age = "0s"
//! ```
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"user": "bob", "reason": "spam"}' $URL/complaints
//! ```
//!
//! Each complaint is a warning, which counts for `decay`. The one that makes `warnings` of them
//! bans the accused for `ban` instead: no post of theirs passes, whatever makes it, and reading
//! goes on. The warnings are zero then. One complains about another once, until the accused's
//! next ban ends. The accused gets `warned`, `warning_ended`, `banned` and `unbanned`, and is never
//! told by whom.
//!
//! - `complaints/state.rs`: what can happen, and what is remembered.
//! - `complaints/desk.rs`: what administrators see and decide.

#[path = "complaints/desk.rs"]
mod desk;
#[path = "complaints/state.rs"]
mod state;

use veche::prelude::*;

use state::{Case, Warning};
pub use state::{Cases, Complaint, Fact};

/// Users whose ban or warnings end in one go, so that many which end together hold no post up.
const AT_ONCE: usize = 64;

settings! {
    /// Warnings by one's fellows, and the ban that follows.
    pub struct Settings {
        /// How many warnings ban a user, 1 to 1000.
        pub warnings: u64 = 3 => 1..=1000,
        /// How long a ban lasts. At least 1ms.
        pub ban: Period = Period::hours(4) => Period::ms(1)..,
        /// How long a warning counts. At least 1ms.
        pub decay: Period = Period::days(30) => Period::ms(1)..,
        /// How long somebody must have been known here before they may complain. At least 0s.
        pub min_age: Period = Period::ZERO,
    }
}

/// Complaints, warnings and bans.
pub struct Complaints {
    settings: Settings,
}

feature!(Complaints);

#[derive(Deserialize, JsonSchema)]
struct NewComplaint {
    /// The name of the user who is complained about, in any case, with or without `@`.
    #[schemars(with = "strings::Mention")]
    user: String,
    /// Why: as long as a message's text may be. The accused never sees it.
    #[serde(default)]
    reason: Option<String>,
    /// The message that it is about, one that the complainer can see.
    #[serde(default)]
    message: Option<Id>,
}

/// How a user stands: their own part of `/status`, and what each event tells.
#[derive(Serialize, JsonSchema)]
struct OwnCase {
    /// How many warnings they have; none while they are banned.
    warnings: u64,
    /// How many ban them.
    limit: u64,
    /// When their ban ends, if they are banned.
    #[schemars(with = "Option<strings::Moment>")]
    banned_until: Option<String>,
}

/// What a complaint led to.
#[derive(Serialize, JsonSchema)]
struct Outcome<'a> {
    /// The accused.
    user: &'a str,
    /// How they stand now.
    #[serde(flatten)]
    case: OwnCase,
}

impl Feature for Complaints {
    const ABOUT: &'static str = "Complaints about users: three warnings are a ban from posting";

    type Settings = Settings;
    type State = Cases;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post("/complaints", "Complains about a user", Self::complain)
            .returns::<Outcome>(201, "How the accused stands now")
            .user_part::<OwnCase>("One's own warnings and ban")
            .admin(
                "ban USER [--for TIME] [--reason TEXT]",
                "Bans a user from posting",
                Self::ban,
            )
            .admin("unban USER", "Ends a user's ban", Self::unban)
            .admin(
                "dismiss ID-or-USER",
                "Finds that there is nothing in a complaint, or in all about a user",
                Self::dismiss,
            )
            .admin_get(
                "complaints [USER] [--after NAME]",
                "Complaints that count, and bans, with who complained and why",
                Self::list,
            )
    }

    fn check(&self, cases: &Cases, draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<Fact> {
        let of = [Some(draft.from), draft.sponsor].into_iter().flatten();
        let until = of
            .filter_map(|user| cases.banned_until(user, tx.now()))
            .max();
        match until {
            None => Verdict::pass(),
            Some(until) => Verdict::refuse(
                Problem::new(
                    StatusCode::FORBIDDEN,
                    "banned",
                    "you are banned from posting until the time in `until`; you can read",
                )
                .with("until", until.to_string())
                .retry_after(tx.now().seconds_until(until)),
            ),
        }
    }

    fn apply(cases: &mut Cases, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Reason {} => {}
            Fact::Warned {
                complaint, ends, ..
            } => cases.change(complaint.user, |case| {
                case.by.extend(stamp.by);
                case.warnings.push(Warning::of(&complaint, ends, stamp));
            }),
            Fact::Banned { complaint, until } => cases.change(complaint.user, |case| {
                case.by.extend(stamp.by);
                // An administrator may ban whoever is banned already.
                let mut ban = case.ban.take().unwrap_or_default();
                let mut of = std::mem::take(&mut case.warnings);
                of.push(Warning::of(&complaint, until, stamp));
                let reasons = of.iter().filter_map(|warning| warning.reason);
                ban.reasons.extend(reasons);
                ban.of.append(&mut of);
                ban.until = until;
                case.ban = Some(ban);
            }),
            Fact::Unbanned { user, .. } => cases.change(user, |case| *case = Case::default()),
            Fact::Decayed { user, .. } => cases.change(user, |case| {
                case.warnings.retain(|warning| warning.counts(stamp.at));
            }),
            Fact::Dismissed {
                user, complaint, ..
            } => cases.change(user, |case| {
                case.warnings
                    .retain(|warning| complaint.is_some_and(|id| warning.id != id));
            }),
        }
    }

    fn event(fact: &Fact, _: &Telling<'_>) -> Option<Event> {
        match fact {
            Fact::Warned {
                complaint,
                warnings,
                ends,
            } => {
                let mut data = json!(OwnCase::new(*warnings, complaint.limit, None));
                data["expires"] = ends.to_string().into();
                Some(Event::new("warned", data))
            }
            Fact::Banned { complaint, until } => {
                let case = OwnCase::new(0, complaint.limit, Some(*until));
                Some(Event::new("banned", json!(case)))
            }
            Fact::Unbanned { limit, .. } => {
                let case = OwnCase::new(0, *limit, None);
                Some(Event::new("unbanned", json!(case)))
            }
            Fact::Decayed {
                warnings, limit, ..
            }
            | Fact::Dismissed {
                warnings, limit, ..
            } => {
                let case = OwnCase::new(*warnings, *limit, None);
                Some(Event::new("warning_ended", json!(case)))
            }
            Fact::Reason {} => None,
        }
    }

    fn due(&self, cases: &Cases, _: &Tx<'_>) -> Option<Time> {
        cases.ends.first().map(|(ends, _)| *ends)
    }

    fn wake(&self, cases: &Cases, tx: &mut Tx<'_>) -> Result<(), Problem> {
        let now = tx.now();
        let over = cases.ends.iter().take_while(|(ends, _)| *ends <= now);
        for (_, user) in over.take(AT_ONCE) {
            let Some(case) = cases.users.get(user) else {
                continue;
            };
            let limit = self.settings.warnings;
            let reasons = match &case.ban {
                Some(ban) => {
                    let unbanned = Entry::<Self>::new(Fact::Unbanned { user: *user, limit });
                    tx.record(unbanned.tell(vec![*user]))?;
                    ban.reasons.clone()
                }
                None => {
                    let decayed = Fact::Decayed {
                        user: *user,
                        warnings: cases.warnings(*user, now),
                        limit,
                    };
                    tx.record(Entry::<Self>::new(decayed).tell(vec![*user]))?;
                    let decayed = case.warnings.iter().filter(|warning| !warning.counts(now));
                    decayed.filter_map(|warning| warning.reason).collect()
                }
            };
            if !reasons.is_empty() {
                tx.erase::<Self>(reasons)?;
            }
        }
        Ok(())
    }

    fn show(&self, cases: &Cases, of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        let Subject::User(user) = of else { return };
        let until = cases.banned_until(*user, view.now());
        let warnings = cases.warnings(*user, view.now());
        to.set_all(&OwnCase::new(warnings, self.settings.warnings, until));
    }
}

impl Complaints {
    fn complain(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        new: &NewComplaint,
    ) -> Result<Answer, Problem> {
        let now = tx.now();
        let user = accused(tx, call, &new.user)?;
        if user == call.user {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "self_complaint",
                "one complains about others, not about oneself",
            )
            .with("field", "user"));
        }
        if let Some(id) = new.message {
            tx.message(id, call.user)?;
        }
        if let Some(reason) = &new.reason {
            tx.check_text("reason", reason)?;
        }
        self.check_age(tx, call.user)?;
        check_case(tx.state::<Self>(), user, call.user)?;

        let Settings {
            warnings: limit,
            ban,
            decay,
            ..
        } = self.settings;
        let warnings = tx.state::<Self>().warnings(user, now) + 1;
        let reason = keep(tx, new.reason.as_deref())?;
        let complaint = Complaint {
            user,
            reason,
            message: new.message,
            limit,
        };
        let (fact, warnings, until) = if warnings < limit {
            let ends = now.plus(decay);
            let warned = Fact::Warned {
                complaint,
                warnings,
                ends,
            };
            (warned, warnings, None)
        } else {
            let until = now.plus(ban);
            (Fact::Banned { complaint, until }, 0, Some(until))
        };
        tx.record(Entry::<Self>::new(fact).tell(vec![user]))?;
        Ok(Answer::created(json!(Outcome {
            user: tx.name(user).unwrap_or_default(),
            case: OwnCase::new(warnings, limit, until),
        })))
    }

    /// 403 `too_new` for whoever has not been known for long enough.
    fn check_age(&self, tx: &Tx<'_>, user: UserId) -> Result<(), Problem> {
        let min_age = self.settings.min_age;
        let since = tx.joined_at(user);
        // Under a clock that was set back behind it one has been known for no time, not for less.
        let young = since.filter(|since| tx.now().since(*since) < min_age);
        match young.map(|since| since.plus(min_age)) {
            None => Ok(()),
            Some(from) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "too_new",
                format!("one may complain {min_age} after joining"),
            )
            .retry_after(tx.now().seconds_until(from))),
        }
    }
}

/// Keeps a reason in a row of its own, where it can be erased.
fn keep(tx: &mut Tx<'_>, reason: Option<&str>) -> Result<Option<Id>, Problem> {
    let kept = |text| Entry::<Complaints>::new(Fact::Reason {}).kept().text(text);
    reason.map(|text| tx.record(kept(text))).transpose()
}

/// Whom a name, with or without `@`, means; 404 where nobody has it.
fn accused(tx: &Tx<'_>, call: &Call, name: &str) -> Result<UserId, Problem> {
    let name = name.strip_prefix('@').unwrap_or(name);
    match tx.address("user", &format!("@{name}"), call.user) {
        Ok(Address::User(user)) => Ok(user),
        Ok(Address::Chat(_)) | Err(_) => Err(not_found("there is no such user")),
    }
}

/// 409 where there is nothing to be added to a case. One's own complaint holds until the ban
/// ends, so it is what is told first.
fn check_case(cases: &Cases, user: UserId, by: UserId) -> Result<(), Problem> {
    let Some(case) = cases.users.get(&user) else {
        return Ok(());
    };
    if case.by.contains(&by) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "already_complained",
            "you complained about them already; you may again when their next ban has ended",
        ));
    }
    if case.ban.is_some() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "already_banned",
            "they are banned already",
        ));
    }
    Ok(())
}

impl OwnCase {
    fn new(warnings: u64, limit: u64, until: Option<Time>) -> Self {
        Self {
            warnings,
            limit,
            banned_until: until.map(|until| until.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: UserId = UserId(2);

    fn apply(cases: &mut Cases, at: i64, by: Option<u64>, fact: Fact) {
        let stamp = Stamp {
            pos: 1,
            at: Time(at),
            by: by.map(UserId),
            ..Stamp::default()
        };
        Complaints::apply(cases, fact, &stamp);
    }

    fn complaint(user: UserId, reason: Option<Id>) -> Complaint {
        Complaint {
            user,
            reason,
            message: None,
            limit: 3,
        }
    }

    fn warn(cases: &mut Cases, at: i64, by: u64, ends: i64) {
        let fact = Fact::Warned {
            complaint: complaint(BOB, Some(at.unsigned_abs())),
            warnings: 1,
            ends: Time(ends),
        };
        apply(cases, at, Some(by), fact);
    }

    fn ban(cases: &mut Cases, at: i64, by: u64, until: i64) {
        let fact = Fact::Banned {
            complaint: complaint(BOB, Some(at.unsigned_abs())),
            until: Time(until),
        };
        apply(cases, at, Some(by), fact);
    }

    fn decay(cases: &mut Cases, at: i64) {
        let warnings = cases.warnings(BOB, Time(at));
        let (user, limit) = (BOB, 3);
        let fact = Fact::Decayed {
            user,
            warnings,
            limit,
        };
        apply(cases, at, None, fact);
    }

    fn unban(cases: &mut Cases, at: i64) {
        let (user, limit) = (BOB, 3);
        apply(cases, at, None, Fact::Unbanned { user, limit });
    }

    fn refusal(cases: &Cases, by: u64) -> Option<String> {
        let refused = check_case(cases, BOB, UserId(by)).err();
        refused.map(|problem| problem.code.to_string())
    }

    #[test]
    fn a_warning_counts_until_its_end_and_no_longer() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 100);
        warn(&mut cases, 2, 3, 200);
        let counted = |now| cases.warnings(BOB, Time(now));
        assert_eq!([counted(2), counted(99), counted(100)], [2, 2, 1]);
        assert_eq!([counted(199), counted(200)], [1, 0]);
        assert_eq!(cases.warnings(UserId(1), Time(2)), 0);
    }

    #[test]
    fn a_ban_runs_until_its_end_and_sets_the_warnings_to_zero() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 1000);
        ban(&mut cases, 2, 3, 100);
        assert_eq!(cases.banned_until(BOB, Time(99)), Some(Time(100)));
        assert_eq!(cases.banned_until(BOB, Time(100)), None);
        assert_eq!(cases.warnings(BOB, Time(3)), 0);
        assert_eq!(cases.ends.first(), Some(&(Time(100), BOB)));
    }

    #[test]
    fn one_complains_once_until_the_ban_has_ended() {
        let mut cases = Cases::default();
        assert_eq!(refusal(&cases, 1), None);
        warn(&mut cases, 1, 1, 10);
        assert_eq!(refusal(&cases, 1).as_deref(), Some("already_complained"));
        assert_eq!(refusal(&cases, 3), None);
        decay(&mut cases, 10);
        assert_eq!(refusal(&cases, 1).as_deref(), Some("already_complained"));
        ban(&mut cases, 20, 3, 100);
        assert_eq!(refusal(&cases, 1).as_deref(), Some("already_complained"));
        assert_eq!(refusal(&cases, 3).as_deref(), Some("already_complained"));
        assert_eq!(refusal(&cases, 4).as_deref(), Some("already_banned"));
        unban(&mut cases, 100);
        assert_eq!([1, 3, 4].map(|by| refusal(&cases, by)), [None, None, None]);
    }

    #[test]
    fn what_ends_first_is_due_first_also_where_the_settings_changed() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 500);
        // Made under a shorter decay than the one before it.
        warn(&mut cases, 2, 3, 50);
        assert_eq!(cases.ends.first(), Some(&(Time(50), BOB)));
        decay(&mut cases, 60);
        assert_eq!(cases.ends.iter().collect::<Vec<_>>(), [&(Time(500), BOB)]);
        assert_eq!(cases.warnings(BOB, Time(60)), 1);
    }

    #[test]
    fn every_reason_is_known_until_what_it_led_to_is_over() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 100);
        warn(&mut cases, 2, 3, 100);
        ban(&mut cases, 3, 4, 50);
        let ban = cases.users[&BOB].ban.as_ref();
        assert_eq!(ban.map(|ban| ban.reasons.as_slice()), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn what_is_over_takes_no_memory() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 100);
        ban(&mut cases, 2, 3, 50);
        unban(&mut cases, 50);
        assert_eq!(cases, Cases::default());
        warn(&mut cases, 60, 1, 100);
        decay(&mut cases, 100);
        assert!(cases.ends.is_empty());
        assert!(cases.users[&BOB].warnings.is_empty());
    }

    #[test]
    fn what_was_saved_goes_on_where_it_was() {
        let mut cases = Cases::default();
        warn(&mut cases, 1, 1, 100);
        ban(&mut cases, 2, 3, 50);
        let saved = json!(cases);
        let mut again = Cases::deserialize(&saved).expect("a state");
        assert_eq!(again, cases);
        assert_eq!(json!(again).to_string(), saved.to_string());
        unban(&mut again, 50);
        assert_eq!(again, Cases::default());
    }
}
