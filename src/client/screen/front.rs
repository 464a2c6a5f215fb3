//! What the other threads tell the screen's, and the thread that fetches pages.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::Event as TerminalEvent;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::answer::{CallError, ChatStatus};
use super::super::post::Post;
use super::super::render::{Event, Style};
use super::super::session::Session;
use super::super::text::Zone;
use super::super::transfer::Progress;
use super::super::worker::Ended;
use super::super::{Error, Link, Output};
use super::panel::{Kind, Once};
use super::reading::{Fetched, Part};

/// How many messages a page has.
const PAGE: u16 = 100;

/// Something that changes what is shown.
pub enum News {
    /// An event, and what it says to its reader where it is no message.
    Event(Event, Option<String>),
    /// The user's own post, and the server's answer to it.
    Sent(Post, Value),
    /// Something told, and whether it went wrong.
    Told(String, bool),
    /// Something told about a room.
    ToldOf(String, String),
    /// What one has of a kind was listed.
    Own(Kind),
    /// What is shown only now, to be copied.
    Once(Once),
    /// How far a file is.
    Progress(Option<String>),
    /// How the chats stand; whether what is shown of them may have gaps.
    Chats(Vec<ChatStatus>, bool),
    /// How many are in each chat and here.
    People(Option<Vec<ChatStatus>>),
    /// How the stream stands.
    Link(Link),
    /// A part of a chat.
    Page(String, Part, Result<Fetched, String>),
    /// A post that the server wants later.
    Later(Post, Instant),
    /// A post that was refused since this client is signed out.
    Barred(Post),
    /// The password is asked for, perhaps since another one was wrong; who is to hear it.
    Password(bool, SyncSender<String>),
    /// What leads to no message is done.
    Done(Post),
    /// A file was sent, or was not.
    Filed(Post, Ended),
    /// A post for a chat that there is not, and why not.
    Nowhere(Post, String),
    /// A post that failed, and why.
    Unsent(Post, String),
    /// The command of this number has ended, which leads to another chat.
    Moved(u64, Ended),
    /// A key, a paste, another size.
    Terminal(TerminalEvent),
    /// The session cannot go on, or this client was signed out: the screen closes.
    Over,
}

/// Hands everything to the screen's thread.
pub struct Front {
    session: Arc<Session>,
    zone: Zone,
    news: SyncSender<News>,
}

impl Front {
    /// What tells that thread.
    pub fn new(session: Arc<Session>, news: SyncSender<News>) -> Front {
        Front {
            session,
            zone: Zone::local(),
            news,
        }
    }

    fn tell(&self, news: News) {
        // A screen that has closed shows nothing more.
        let _ = self.news.send(news);
    }
}

impl Output for Front {
    fn event(&self, event: &Event) {
        let text = match event.kind.as_str() {
            "message" | "comment" | "edited" | "reaction" | "removed" | "read" | "user"
            | "typing" => None,
            _ => {
                let room = |chat: &str| self.session.title(chat);
                let style = Style {
                    colour: false,
                    single_line: false,
                    zone: self.zone.clone(),
                    me: self.session.me(),
                };
                style.event(event, room, Timestamp::now())
            }
        };
        self.tell(News::Event(event.clone(), text));
    }

    fn ended(&self, event: &Event) {
        self.event(event);
    }

    fn sent(&self, post: &Post, posted: &Value) {
        self.tell(News::Sent(post.clone(), posted.clone()));
    }

    fn answer(&self, kind: &str, data: &Value, text: &str) {
        let of = match kind {
            "hooks" => return self.tell(News::Own(Kind::Hooks)),
            "subscriptions" => return self.tell(News::Own(Kind::Subscriptions)),
            "hook" => Some("a new hook"),
            "link" => Some("a new link"),
            "subscription" => Some("a new subscription's secret"),
            _ => None,
        };
        if let (Some(of), Some((text, about))) = (of, text.split_once('\n')) {
            let (text, about) = (text.to_owned(), about.to_owned());
            return self.tell(News::Once(Once { of, text, about }));
        }
        match data["room"].as_str() {
            Some(room) => self.tell(News::ToldOf(room.to_owned(), text.to_owned())),
            None => self.notice(text),
        }
    }

    fn progress(&self, progress: Option<&Progress<'_>>) {
        self.tell(News::Progress(progress.map(Progress::line)));
    }

    fn notice(&self, text: &str) {
        self.tell(News::Told(text.to_owned(), false));
    }

    fn trouble(&self, text: &str) {
        self.tell(News::Told(text.to_owned(), true));
    }

    fn broken(&self) -> Option<io::Error> {
        None
    }

    fn chats(&self, chats: &[ChatStatus], anew: bool) {
        self.tell(News::Chats(chats.to_vec(), anew));
    }

    fn link(&self, link: Link) {
        self.tell(News::Link(link));
    }

    fn later(&self, post: &Post, wait: Duration) -> bool {
        self.tell(News::Later(post.clone(), Instant::now() + wait));
        true
    }

    fn barred(&self, post: &Post) -> bool {
        self.tell(News::Barred(post.clone()));
        true
    }

    fn ask_password(&self, again: bool) -> Option<String> {
        let (answer, answered) = sync_channel(1);
        let wrong = again || self.session.has_password();
        self.tell(News::Password(wrong, answer));
        // A screen that has closed answers nothing.
        answered.recv().ok()
    }

    fn done(&self, post: &Post) {
        self.tell(News::Done(post.clone()));
    }

    fn nowhere(&self, post: &Post, why: &str) -> bool {
        self.tell(News::Nowhere(post.clone(), why.to_owned()));
        true
    }

    fn unsent(&self, post: &Post, why: &str) -> bool {
        self.tell(News::Unsent(post.clone(), why.to_owned()));
        true
    }
}

/// What is asked for beside what is posted: that may wait for the server for long.
pub enum Wanted {
    /// A part of a chat.
    Page(String, Part),
    /// How many are in each chat and here, and who is in the rooms.
    People,
    /// What there is to be completed.
    Known,
    /// Others are to know that one writes in this chat.
    Typing(String),
}

fn fetch(session: &Session, chat: &str, part: Part) -> Result<Fetched, CallError> {
    let api = &session.api;
    let mut fetched = Fetched {
        page: match part {
            Part::Newest => api.older(chat, None, PAGE)?,
            Part::Before(id) => api.older(chat, Some(id), PAGE)?,
            Part::After(id) => api.messages(chat, Some(id), PAGE)?,
        },
        ..Fetched::default()
    };
    if part == Part::Newest {
        // In this order: whatever comes in between is unread, and comes by the stream.
        fetched.first = api.first_unread(chat)?;
        let oldest = fetched.page.messages.first();
        let oldest = oldest.and_then(|oldest| oldest["id"].as_u64());
        if let Some(first) = fetched.first
            && fetched.page.more
            && oldest.is_some_and(|oldest| first < oldest)
        {
            let before = first.saturating_sub(1);
            fetched.begin = Some(api.messages(chat, Some(before), PAGE)?);
        }
    }
    let begin = fetched.begin.iter().flat_map(|page| &page.messages);
    for message in begin.chain(&fetched.page.messages) {
        session.note_shown(std::slice::from_ref(message));
    }
    Ok(fetched)
}

/// Fetches what is wanted, one after another.
pub fn load(
    session: Arc<Session>,
    wanted: Receiver<Wanted>,
    news: SyncSender<News>,
) -> Result<(), Error> {
    let run = move || {
        for wanted in wanted {
            let fetched = match wanted {
                Wanted::Page(chat, part) => {
                    let fetched = fetch(&session, &chat, part);
                    News::Page(chat, part, fetched.map_err(|error| error.to_string()))
                }
                Wanted::People => {
                    let rooms = session.fetch_rooms();
                    let status = rooms.and_then(|()| session.api.status());
                    News::People(status.ok().map(|status| status.chats))
                }
                Wanted::Known => {
                    // What cannot be fetched is only not completed.
                    let _ = session.fetch_known();
                    continue;
                }
                Wanted::Typing(chat) => {
                    // Nothing is lost where they do not.
                    let _ = session.api.post("/typing", &json!({"to": chat}), None);
                    continue;
                }
            };
            if news.send(fetched).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("pages".to_owned());
    thread.spawn(run).map(drop).map_err(Error::Thread)
}
