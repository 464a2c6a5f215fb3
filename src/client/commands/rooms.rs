//! `/room` and all that is done in and around rooms, for servers with the feature `rooms`.

mod done;
mod told;

use super::words::{name, nothing, split};
use super::{Done, Parsed, Wrong};
use crate::client::worker::Worker;
use crate::settings::Period;

pub use told::notice;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a room and go there.
    Make { title: String, all: bool },
    /// Show one's rooms.
    List,
    /// Invite somebody into the current room.
    Invite(String),
    /// Take an invitation back.
    Uninvite(String),
    /// Make a link into the current room.
    Link {
        expires: Option<Period>,
        uses: Option<u64>,
    },
    /// Revoke a link into the current room, or all.
    Unlink(Option<String>),
    /// Come into a room, or ask to.
    Join(String),
    /// Show who asks to come in.
    Requests,
    /// Decide on such a request.
    Decide { name: String, approve: bool },
    /// Remove a member of the current room.
    Kick(String),
    /// Leave the current room.
    Leave,
}

fn command(command: Command) -> Parsed {
    Ok(super::Command::Rooms(command))
}

pub fn room(rest: &str) -> Parsed {
    let (first, title) = split(rest);
    let all = first == "--all";
    let title = if all { title } else { rest };
    if title.is_empty() {
        return Err(Wrong::Usage);
    }
    let title = title.to_owned();
    command(Command::Make { title, all })
}

pub fn rooms(rest: &str) -> Parsed {
    nothing(rest)?;
    command(Command::List)
}

pub fn invite(rest: &str) -> Parsed {
    command(Command::Invite(name(rest)?))
}

pub fn uninvite(rest: &str) -> Parsed {
    command(Command::Uninvite(name(rest)?))
}

pub fn unlink(rest: &str) -> Parsed {
    let (code, more) = split(rest);
    nothing(more)?;
    let code = (!code.is_empty()).then(|| code.to_owned());
    command(Command::Unlink(code))
}

pub fn join(rest: &str) -> Parsed {
    match rest {
        "" => Err(Wrong::Usage),
        which => command(Command::Join(which.to_owned())),
    }
}

pub fn requests(rest: &str) -> Parsed {
    nothing(rest)?;
    command(Command::Requests)
}

pub fn approve(rest: &str) -> Parsed {
    decide(rest, true)
}

pub fn refuse(rest: &str) -> Parsed {
    decide(rest, false)
}

pub fn kick(rest: &str) -> Parsed {
    command(Command::Kick(name(rest)?))
}

pub fn leave(rest: &str) -> Parsed {
    nothing(rest)?;
    command(Command::Leave)
}

pub fn link(rest: &str) -> Parsed {
    let (mut expires, mut uses) = (None, None);
    for word in rest.split_whitespace() {
        match (word.parse::<u64>(), word.parse::<Period>()) {
            (Ok(number), _) if uses.is_none() => uses = Some(number),
            (Err(_), Ok(period)) if expires.is_none() => expires = Some(period),
            _ => return Err(Wrong::Usage),
        }
    }
    command(Command::Link { expires, uses })
}

fn decide(rest: &str, approve: bool) -> Parsed {
    let name = name(rest)?;
    command(Command::Decide { name, approve })
}

impl Command {
    /// Whether plain lines may go elsewhere afterwards.
    pub fn moves(&self) -> bool {
        matches!(
            self,
            Command::Make { .. } | Command::Join(_) | Command::Leave
        )
    }

    pub fn run(self, worker: &Worker, current: Option<&str>) -> Done {
        match self {
            Command::Make { title, all } => return done::make(worker, &title, all),
            Command::Join(which) => return done::join(worker, &which),
            Command::Leave => return done::leave(worker, current),
            Command::List => done::list(worker)?,
            Command::Invite(name) => done::invite(worker, current, &name)?,
            Command::Uninvite(name) => done::uninvite(worker, current, &name)?,
            Command::Link { expires, uses } => done::link(worker, current, expires, uses)?,
            Command::Unlink(code) => done::unlink(worker, current, code.as_deref())?,
            Command::Requests => done::requests(worker)?,
            Command::Decide { name, approve } => done::decide(worker, current, &name, approve)?,
            Command::Kick(name) => done::kick(worker, current, &name)?,
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        match parse(line, |_| true)? {
            Some(super::super::Command::Rooms(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_room_is_made_by_its_title() {
        for (line, title, all) in [
            ("/room The Garden ", "The Garden", false),
            ("/room --all The Garden", "The Garden", true),
            ("/room --allotment", "--allotment", false),
        ] {
            let title = title.to_owned();
            assert_eq!(read(line), Ok(Command::Make { title, all }), "{line}");
        }
        let usage = Err("write /room [--all] TITLE".to_owned());
        assert_eq!(read("/room --all"), usage);
    }

    #[test]
    fn a_link_may_have_an_end_and_a_count_in_any_order() {
        let week = Some(Period::days(7));
        for (line, expires, uses) in [
            ("/link", None, None),
            ("/link 7d", week, None),
            ("/link 3", None, Some(3)),
            ("/link 7d 3", week, Some(3)),
            ("/link 3 7d", week, Some(3)),
        ] {
            assert_eq!(read(line), Ok(Command::Link { expires, uses }), "{line}");
        }
        for line in ["/link soon", "/link 3 4", "/link 7d 8d", "/link -1"] {
            let usage = Err("write /link [EXPIRES] [USES]".to_owned());
            assert_eq!(read(line), usage, "{line}");
        }
    }

    #[test]
    fn a_decision_names_who_has_asked() {
        for (line, approve) in [("/approve @bob", true), ("/refuse bob", false)] {
            let name = "bob".to_owned();
            assert_eq!(read(line), Ok(Command::Decide { name, approve }));
        }
        assert_eq!(read("/approve"), Err("write /approve NAME".to_owned()));
        assert_eq!(read("/leave it"), Err("write /leave".to_owned()));
    }
}
