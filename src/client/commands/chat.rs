//! The core's commands.

use jiff::Timestamp;
use serde_json::json;

use super::super::notice::Reader;
use super::super::summary;
use super::super::worker::{Failure, Worker};
use super::words::{address, is_address, nothing, split};
use super::{Done, Parsed, Wrong, standing};

/// How many messages `/history` shows when it is not told.
const HISTORY: u16 = 20;
/// The most that one answer of the server holds.
const HISTORY_MAX: u16 = 200;
/// How many that are unread are listed beside the chats that they stand in.
const UNREAD: u16 = 10;
/// The most users that `/who` lists.
const MAX_USERS: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Post a text to another chat than the current one.
    Msg { to: String, text: String },
    /// Make another chat the current one: by its address, or by its title.
    To(String),
    /// Show the last messages of the current chat.
    History(u16),
    /// Show the users.
    Who,
    /// Show what is unread.
    Unread,
    /// Mark everything as read.
    Read,
    /// Show the server's and one's own state.
    Status,
    /// Tell one's name and the current chat.
    Me,
}

fn plain(rest: &str, command: Command) -> Parsed {
    nothing(rest)?;
    Ok(super::Command::Chat(command))
}

pub fn help(rest: &str) -> Parsed {
    nothing(rest).map(|()| super::Command::Help)
}

pub fn logout(rest: &str) -> Parsed {
    nothing(rest).map(|()| super::Command::Logout)
}

pub fn quit(rest: &str) -> Parsed {
    nothing(rest).map(|()| super::Command::Quit)
}

pub fn me(rest: &str) -> Parsed {
    plain(rest, Command::Me)
}

pub fn who(rest: &str) -> Parsed {
    plain(rest, Command::Who)
}

pub fn unread(rest: &str) -> Parsed {
    plain(rest, Command::Unread)
}

pub fn read(rest: &str) -> Parsed {
    plain(rest, Command::Read)
}

pub fn status(rest: &str) -> Parsed {
    plain(rest, Command::Status)
}

pub fn to(rest: &str) -> Parsed {
    let command = match rest {
        "" => Command::Me,
        chat => Command::To(chat.to_owned()),
    };
    Ok(super::Command::Chat(command))
}

pub fn msg(rest: &str) -> Parsed {
    let (to, text) = split(rest);
    if text.is_empty() {
        return Err(Wrong::Usage);
    }
    // A bare word can be nothing but a name.
    let to = match address(to) {
        Err(_) if !to.contains(':') => format!("@{to}"),
        other => other?,
    };
    let text = text.to_owned();
    Ok(super::Command::Chat(Command::Msg { to, text }))
}

pub fn history(rest: &str) -> Parsed {
    let limit = match rest {
        "" => HISTORY,
        number => match number.parse() {
            Ok(n @ 1..=HISTORY_MAX) => n,
            _ => {
                let why = format!("/history takes a number from 1 to {HISTORY_MAX}");
                return Err(Wrong::Because(why));
            }
        },
    };
    Ok(super::Command::Chat(Command::History(limit)))
}

impl Command {
    /// Whether plain lines may go elsewhere afterwards.
    pub fn moves(&self) -> bool {
        matches!(self, Command::To(_))
    }

    /// The address that it names as the chat to go to, if it does.
    pub fn goes_to(&self) -> Option<&str> {
        match self {
            Command::To(chat) if is_address(chat) => Some(chat),
            _ => None,
        }
    }

    pub fn run(self, worker: &Worker, current: Option<&str>) -> Done {
        let (session, output) = (&worker.session, &worker.output);
        match self {
            Command::Msg { to, text } => {
                let to = session.find_chat(&to).map_err(Failure::Refused)?;
                worker.send(&to, &text)?;
            }
            Command::To(chat) => {
                let chat = session.find_chat(&chat).map_err(Failure::Refused)?;
                let there = session.api.messages(&chat, None, 1);
                there.map_err(|error| error.about(Some(&chat)))?;
                // On the whole screen one sees where one is.
                if worker.typed && !session.looks() {
                    let label = session.label(&chat);
                    output.notice(&format!("plain lines go to {label} from now on"));
                }
                return Ok(Some(chat));
            }
            Command::History(limit) => {
                let chat = worker.here(current)?;
                let page = session.api.messages(chat, None, limit)?;
                let nothing = format!("nothing in {} yet", session.label(chat));
                worker.list(page.messages, &nothing);
            }
            Command::Unread => {
                let looks = session.looks();
                let limit = if looks { UNREAD } else { HISTORY_MAX };
                let page = session.api.unread(limit)?;
                worker.list(page.messages, "nothing is unread");
                match (page.more, looks) {
                    (false, _) => {}
                    (true, false) => output.notice("there is more: /unread again"),
                    // There it is read where it stands.
                    (true, true) => {
                        output.notice("and more: Alt+A leads to each chat, where it begins");
                    }
                }
                session.mark()?;
            }
            Command::Read => {
                session.api.post("/read", &json!({}), None)?;
                output.notice("everything is marked as read");
            }
            Command::Who => list_users(worker)?,
            Command::Status => {
                // What stands on the screen counts as read.
                session.mark()?;
                let status = session.api.get("/status", &[])?;
                let me = session.me();
                let title = |chat: &str| session.title(chat);
                let reader = Reader {
                    me: &me,
                    title: &title,
                    zone: worker.zone(),
                    now: Timestamp::now(),
                };
                let text = summary::status(&status, &standing(&status["user"], &reader), &reader);
                output.answer("status", &status, &text);
            }
            Command::Me => {
                let me = session.me();
                let label = current.map_or_else(|| "nowhere".to_owned(), |at| session.label(at));
                let text = format!("you are {me}; plain lines go to {label}");
                output.answer("me", &json!({ "name": me, "chat": current }), &text);
            }
        }
        Ok(None)
    }
}

fn list_users(worker: &Worker) -> Result<(), Failure> {
    let mut users = Vec::new();
    let mut after = String::new();
    let mut more = true;
    while more && users.len() < MAX_USERS {
        let page = worker.session.api.users(&after)?;
        let last = page.users.last().and_then(|user| user["name"].as_str());
        let last = last.unwrap_or_default().to_owned();
        more = page.more && last != after;
        after = last;
        users.extend(page.users);
    }
    let text = summary::users(&users, more);
    let data = json!({ "users": users, "more": more });
    worker.output.answer("users", &data, &text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn ok(line: &str) -> Command {
        match parse(line, |_| false) {
            Ok(Some(super::super::Command::Chat(command))) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    const WHOLE_TO: &str = "/to room:6a7d9c0e-52a4-4f0b-9a59-3e1c7f0c2b11";

    fn refused(line: &str) -> String {
        parse(line, |_| false).unwrap_err()
    }

    #[test]
    fn a_private_message_names_its_recipient_and_keeps_its_text() {
        let expected = Command::Msg {
            to: "@Боб".into(),
            text: "two  words".into(),
        };
        assert_eq!(ok("/msg  @Боб   two  words "), expected);
        assert_eq!(refused("/msg @bob"), "write /msg @NAME TEXT");
        let expected = Command::Msg {
            to: "@bob".into(),
            text: "hi".into(),
        };
        assert_eq!(ok("/msg bob hi"), expected);
        assert!(refused("/msg room: hi").contains("\"room:\" is no chat"));
    }

    #[test]
    fn the_current_chat_is_switched_by_address_or_title() {
        for (line, chat, address) in [
            ("/to @bob", "@bob", true),
            ("/to common", "common", true),
            ("/to room:0b1e", "room:0b1e", false),
            (WHOLE_TO, &WHOLE_TO["/to ".len()..], true),
            ("/to The Garden ", "The Garden", false),
        ] {
            let command = ok(line);
            assert_eq!(command, Command::To(chat.into()), "{line}");
            assert_eq!(command.goes_to().is_some(), address, "{line}");
        }
        assert_eq!(ok("/to"), Command::Me);
    }

    #[test]
    fn the_length_of_the_history_is_bounded() {
        assert_eq!(ok("/history"), Command::History(20));
        assert_eq!(ok("/history 200"), Command::History(200));
        for bad in ["/history 0", "/history 201", "/history all"] {
            assert!(refused(bad).contains("from 1 to 200"), "{bad}");
        }
    }
}
