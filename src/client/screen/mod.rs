//! The whole terminal: chats at the side, messages, a line to type, the state.
//!
//! `model` is what is shown, with `reading` for what of it is there and read, `outgoing` for what is not there yet, `people` for who is here and
//! `panel` for what lies over it, `typing` for who is writing, and `events` what changes it; `lines`, `wrap` and `draw` are how;
//! `input` is the line being typed, `secret` a password in its place, and `keys` what each key does; `front` is how the other threads
//! tell of news, `tty` the terminal; `unsent` is what becomes of lines that are not sent yet,
//! `moving` of those behind a command that leads to another chat, and `drafts` where they are kept. One thread, this one, has the model.

mod chat;
mod drafts;
mod draw;
mod editor;
mod events;
mod front;
mod input;
mod keys;
mod lines;
mod model;
mod moving;
mod outgoing;
mod panel;
mod people;
mod reading;
mod secret;
mod tty;
mod typing;
mod unsent;
mod wrap;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use self::drafts::Drafts;
pub use self::front::News;
use self::front::{Front, Wanted};
use self::input::Input;
use self::model::{Effect, Model};
use self::outgoing::Stage;
use self::panel::{Item, Kind, Panel, Request};
use self::secret::Secret;
use self::tty::Tty;
use super::commands::{Command, Wait, parse, typed_hook};
use super::complete::Completion;
use super::notice::Reader;
use super::post::Post;
use super::session::{Session, SignedIn};
use super::store::Store;
use super::text::{Zone, safe_line};
use super::worker::{Ended, Job, QUEUE, Worker};
use super::{Error, Link, Output, interrupt, terminal};
use jiff::Timestamp;

use crossterm::event::{self, Event as TerminalEvent, KeyEventKind};

/// How much news may wait for the screen's thread.
const NEWS: usize = 1_024;
/// How much of it is taken before the screen is drawn anew.
const BATCH: usize = 256;
/// A file whose connection was lost goes out again after so long, where there seems to be another.
const AGAIN: Duration = Duration::from_secs(5);
/// What counts down is drawn so often, and what is typed is kept after so long.
const TICK: Duration = Duration::from_secs(1);

/// Chats on the whole terminal until the user leaves. `signed_in` is how one signed in, where that
/// is done already: else it is done, and tried again, while the screen is open.
pub fn run(
    session: Arc<Session>,
    store: &Store,
    bell: bool,
    signed_in: Option<SignedIn>,
) -> Result<(), Error> {
    let (news, heard) = sync_channel(NEWS);
    let front: Arc<dyn Output> = Arc::new(Front::new(session.clone(), news.clone()));
    let (jobs, queue) = sync_channel(QUEUE);
    let (finished, end) = sync_channel(1);
    let worker = Worker::new(session.clone(), front.clone(), true);
    let over = news.clone();
    spawn("worker", move || {
        // The end is not waited for where the user has left in a hurry.
        let _ = finished.send(worker.run(&queue));
        let _ = over.send(News::Over);
    })?;
    let (pages, wanted) = sync_channel(QUEUE);
    front::load(session.clone(), wanted, news.clone())?;
    interrupt::on_end(news.clone()).map_err(Error::Interrupt)?;
    let tty = Tty::take().map_err(Error::Screen)?;
    super::follow_later(&session, &front, &jobs)?;
    let go_on = read(news.clone())?;
    let me = session.me();
    let mut screen = Screen {
        model: Model::new(&me, bell),
        input: Input::new(Completion::new(session.clone()), &store.history()),
        drafts: Drafts::open(&store.drafts(session.api.base(), &me)),
        session: session.clone(),
        jobs: jobs.clone(),
        pages,
        news,
        tty: Some(tty),
        zone: Zone::local(),
        colour: super::colours(),
        transfer: Arc::default(),
        is_known: false,
        unsaved: false,
        saved: Instant::now(),
        over: false,
    };
    screen.restore();
    screen
        .model
        .note(terminal::greeting(&session, signed_in), false);
    let left = screen.run(&heard, &go_on);
    screen.save();
    match screen.model.link {
        Link::Up => {
            let rest = screen.model.rest(None);
            screen.send(rest);
        }
        // What is on its way is kept: nobody waits for a server that is not there.
        _ => session.gate.close(),
    }
    // From here on the terminal is as it was.
    screen.tty = None;
    let done = terminal::leave(&session, &jobs, &end);
    // What came through while the user left is not kept as unsent.
    for news in heard.try_iter() {
        match news {
            News::Sent(post, _) | News::Done(post) | News::Filed(post, Ended::Here) => {
                screen.model.arrived(&post);
            }
            _ => {}
        }
    }
    screen.save();
    done.and(left)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map(drop).map_err(Error::Thread)
}

/// Reads keys on a thread of its own, the next one when the last one was done: another program may
/// have the terminal meanwhile.
fn read(news: SyncSender<News>) -> Result<SyncSender<()>, Error> {
    let (go_on, may) = sync_channel(1);
    spawn("keys", move || {
        // A terminal that cannot be read is gone.
        while let Ok(event) = event::read() {
            if news.send(News::Terminal(event)).is_err() || may.recv().is_err() {
                return;
            }
        }
        let _ = news.send(News::Over);
    })?;
    Ok(go_on)
}

/// What one has of a kind, as it is listed.
fn own(session: &Session, zone: &Zone, kind: Kind) -> Vec<Item> {
    let title = |chat: &str| session.title(chat);
    let reader = Reader {
        me: &session.me(),
        title: &title,
        zone,
        now: Timestamp::now(),
    };
    match kind {
        Kind::Hooks => {
            let hooks = session.hooks();
            let items = hooks.iter().map(|hook| Item {
                typed: typed_hook(hook, &hooks),
                line: hook.line(&reader),
            });
            items.collect()
        }
        Kind::Subscriptions => {
            let items = session.subscriptions().into_iter().map(|one| Item {
                typed: one.typed(),
                line: one.line(&reader),
            });
            items.collect()
        }
    }
}

/// All that this thread has.
struct Screen {
    model: Model,
    input: Input,
    drafts: Drafts,
    session: Arc<Session>,
    jobs: SyncSender<Job>,
    pages: SyncSender<Wanted>,
    news: SyncSender<News>,
    /// None when it was given back.
    tty: Option<Tty>,
    zone: Zone,
    colour: bool,
    /// Held while a file is on its way: a stop is for one.
    transfer: Arc<Mutex<()>>,
    /// Whether what there is to be completed was asked for.
    is_known: bool,
    /// Whether something was typed that is not kept yet.
    unsaved: bool,
    saved: Instant,
    over: bool,
}

impl Screen {
    fn run(&mut self, heard: &Receiver<News>, go_on: &SyncSender<()>) -> Result<(), Error> {
        while !self.over {
            self.act()?;
            let (model, input, zone) = (&mut self.model, &mut self.input, &self.zone);
            let colour = self.colour;
            if let Some(tty) = &mut self.tty {
                let draw =
                    |frame: &mut ratatui::Frame<'_>| draw::draw(frame, model, input, zone, colour);
                tty.draw(draw).map_err(Error::Screen)?;
            }
            // Drawing may have come to the end of what is there, and what was drawn is read.
            if self.act()? {
                continue;
            }
            let first = match self.pause() {
                None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => heard.recv_timeout(pause),
            };
            match first {
                Ok(first) => {
                    for news in std::iter::once(first).chain(heard.try_iter().take(BATCH)) {
                        let is_key = matches!(news, News::Terminal(_));
                        let before = self.model.chat().bottom;
                        self.take(news)?;
                        if is_key && !self.over {
                            // A reader that has ended has told so.
                            let _ = go_on.try_send(());
                        }
                        // What is scrolled over is read when it was drawn.
                        if self.model.chat().bottom != before {
                            break;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.unsaved && self.saved.elapsed() >= TICK {
                self.save();
            }
            let due = self.model.due(Instant::now());
            self.send(due);
        }
        Ok(())
    }

    /// How long nothing changes by itself.
    fn pause(&mut self) -> Option<Duration> {
        let writing = self.model.typing_ends(Instant::now());
        let model = &self.model;
        let counts = matches!(model.link, Link::Lost(..)) || model.next_due().is_some();
        let tick = (counts || self.unsaved).then_some(TICK);
        let people = model.people_due(Instant::now());
        tick.into_iter().chain(people).chain(writing).min()
    }

    /// Does what the model asks for; whether something was read, and is to be drawn so.
    fn act(&mut self) -> Result<bool, Error> {
        if self.model.chat().arriving {
            let size = self.size()?;
            lines::arrive(&mut self.model, &self.zone, size);
        }
        let before = self.model.chat().unread;
        self.model.settle();
        let has_read = self.model.chat().unread < before;
        while let Some(effect) = self.model.effects.pop_front() {
            match effect {
                Effect::Looked(chat, upto) => {
                    self.session.looked(&chat, upto);
                    // A full queue of it wakes the worker all the same.
                    let _ = self.jobs.try_send(Job::Marks);
                }
                Effect::Load(chat, part) => {
                    let wanted = Wanted::Page(chat.clone(), part);
                    if self.pages.try_send(wanted).is_err() {
                        let why = Err("too much is asked for at once".to_owned());
                        self.model.page(&chat, part, why);
                    }
                }
                Effect::Ring => {
                    if let Some(tty) = &self.tty {
                        tty.ring();
                    }
                }
            }
        }
        self.offer_back();
        let now = Instant::now();
        if self.model.people_due(now) == Some(Duration::ZERO) {
            self.model.ask_people(now);
            if self.pages.try_send(Wanted::People).is_err() {
                self.model.people_unknown();
            }
        }
        let asking = self.session.requests().into_iter();
        let asking: Vec<Request> = asking
            .map(|(room, title, user)| Request { room, title, user })
            .collect();
        self.model.asking = asking.len();
        self.model.invitations = self.session.invitations();
        if let Some(panel) = &mut self.model.panel {
            let (session, zone) = (&self.session, &self.zone);
            panel.refresh(asking, |kind| own(session, zone, kind));
        }
        let here = Some(self.model.chat().address.clone());
        if self.session.here.get() != here {
            self.session.here.go(here);
        }
        Ok(has_read)
    }

    fn take(&mut self, news: News) -> Result<(), Error> {
        let session = self.session.clone();
        let label = |chat: &str| session.label(chat);
        let shown = self.model.chat().address.clone();
        match news {
            News::Event(event, text) => self.model.event(&event, text, label),
            News::Sent(post, posted) => {
                self.model.arrived(&post);
                self.model.sent(&posted, label);
                self.unsaved = true;
            }
            News::Done(post) | News::Filed(post, Ended::Here) => {
                self.model.arrived(&post);
                self.unsaved = true;
            }
            News::Filed(post, Ended::Lost) => {
                let stage = match self.model.link {
                    Link::Up => Stage::Later(Instant::now() + AGAIN),
                    _ => Stage::Queued,
                };
                self.stage(&post, stage);
            }
            News::Filed(post, _) => {
                let why = "the file was not uploaded".to_owned();
                self.stage(&post, Stage::Failed(why));
            }
            News::Nowhere(post, why) => self.give_back(&post, &why),
            News::Told(text, bad) => self.model.note(text, bad),
            News::ToldOf(room, text) => {
                if session.title(&room).is_some() {
                    self.model.place(&room, &label(&room));
                }
                self.model.note_in(&room, text);
            }
            News::Own(kind) => self.model.panel = Some(Panel::Own(kind, Vec::new(), 0)),
            News::Once(once) => self.model.panel = Some(Panel::Once(once, 0)),
            News::Progress(progress) => self.model.progress = progress,
            News::Chats(chats, anew) => {
                if anew {
                    // What there is to be completed may have gaps, too.
                    let _ = self.pages.try_send(Wanted::Known);
                }
                self.model.knows_calls = session.has_feature("mentions");
                // The server may write one's name in another way.
                self.model.me = session.me();
                self.model.chats(&chats, label, anew);
            }
            News::People(Some(chats)) => {
                self.model
                    .count_people(&chats, |room| session.members(room));
            }
            News::People(None) => self.model.people_unknown(),
            News::Link(link) => {
                if link == Link::Up && !std::mem::replace(&mut self.is_known, true) {
                    // A full queue of pages is for a reader who scrolls: it is only not completed.
                    let _ = self.pages.try_send(Wanted::Known);
                }
                self.model.link(link);
            }
            News::Page(chat, part, fetched) => {
                self.model.page(&chat, part, fetched);
                if self.model.chat().address == chat {
                    self.scroll_owed()?;
                }
            }
            News::Later(post, at) => self.stage(&post, Stage::Later(at)),
            News::Barred(post) => self.stage(&post, Stage::Barred),
            News::Password(wrong, answer) => {
                let me = safe_line(&session.me());
                let why = match wrong {
                    true => format!("that is not the password of {me}"),
                    false => format!(
                        "this client is signed out: the password of {me} signs it in again, and \
                         nothing that was typed is lost"
                    ),
                };
                self.model.note(why, true);
                let question = format!("password for {me}: ");
                self.input.secret = Some(Secret::new(question, answer));
            }
            News::Unsent(post, why) => self.stage(&post, Stage::Failed(why)),
            News::Moved(id, end) => {
                self.moved(id, end);
                return Ok(());
            }
            News::Terminal(event) => return self.terminal(event),
            News::Over => self.over = true,
        }
        if self.model.chat().address != shown {
            let here = self.model.chat().address.clone();
            let mut is_behind = false;
            for going in self.model.moves.iter_mut().filter(|one| one.from == shown) {
                going.from.clone_from(&here);
                is_behind = true;
            }
            // What stands behind a command that leads elsewhere was not for that chat.
            if is_behind {
                return Ok(());
            }
            // What was typed for a chat that has ended goes to no other, nor does what is typed on: its
            // writer may not have seen yet where they are.
            let label = session.label(&shown);
            self.model.lead_nowhere(&here, &format!("/to {label}"));
            let draft = self.model.chat().draft.clone();
            if self.input.is_empty() {
                self.input.set(&draft);
            } else {
                self.input.remember(&draft);
            }
            self.tell_nowhere(&here, "");
            self.unsaved = true;
        }
        Ok(())
    }

    fn terminal(&mut self, event: TerminalEvent) -> Result<(), Error> {
        let before = self.input.text();
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.key(key)?,
            TerminalEvent::Paste(text) if self.input.secret.is_some() => {
                if let Some(secret) = &mut self.input.secret {
                    secret.put(&text);
                }
            }
            TerminalEvent::Paste(text) => {
                self.input.paste(&text);
                self.unsaved = true;
            }
            _ => {}
        }
        let text = self.input.text();
        let writes = text != before && !text.trim().is_empty() && !text.starts_with('/');
        let writes = writes && self.model.moving().is_none();
        if writes && self.session.has_feature("presence") && self.model.tells_typing(Instant::now())
        {
            // A full queue of pages is for a reader who scrolls.
            let here = self.model.chat().address.clone();
            let _ = self.pages.try_send(Wanted::Typing(here));
        }
        Ok(())
    }

    /// Shows another chat, with the line that was begun for it.
    fn open(&mut self, at: usize) {
        if at == self.model.at {
            self.stay();
        }
        if at == self.model.at || at >= self.model.chats.len() {
            return;
        }
        self.model.chat_mut().draft = self.input.text();
        self.model.open(at);
        let draft = std::mem::take(&mut self.model.chat_mut().draft);
        self.input.set(&draft);
        self.unsaved = true;
    }

    /// Does what a line says.
    fn submit(&mut self, line: &str) {
        let chat = self.model.chat().address.clone();
        self.submit_in(line, &chat, Some(chat.clone()));
    }

    /// Does what a line says that was typed in that chat; `here` is where plain lines go.
    fn submit_in(&mut self, line: &str, chat: &str, here: Option<String>) {
        let session = self.session.clone();
        let job = match parse(line, |feature| session.has_feature(feature)) {
            Ok(None) => return,
            Ok(Some(Command::Quit)) => {
                self.over = true;
                return;
            }
            Ok(Some(Command::Help)) => {
                let text = super::commands::help(|feature| session.has_feature(feature));
                let text = format!("{}\n\n{text}", keys::HELP);
                self.model.panel = Some(Panel::Help(text, 0));
                return;
            }
            // Signed out, the worker ends, which closes the screen.
            Ok(Some(Command::Logout)) => Job::LogOut(sync_channel(1).0),
            Ok(Some(command)) if command.sends_file() && here.is_some() => {
                return self.stage(&Post::file(chat, line), Stage::Queued);
            }
            Ok(Some(command)) if command.wait() != Wait::No => {
                return self.wait(line, command, chat, here);
            }
            Ok(Some(command)) => match command.posts(&session, here.as_deref(), &self.zone) {
                Some(Ok(post)) => {
                    // Who says something here goes to the end, where it stands; whatever else is
                    // done leaves the place, and with it what is unread.
                    let is_here = post.kind() == Some("message") && post.to() == Some(chat);
                    if is_here && self.model.chat().address == chat {
                        self.model.chat_mut().go_to_end();
                    }
                    return self.stage(&post, Stage::Queued);
                }
                Some(Err(why)) => Job::Wrong(why),
                None => Job::Run(command, here),
            },
            Err(why) => Job::Wrong(why),
        };
        if self.jobs.try_send(job).is_err() {
            self.input.set(line);
            self.model
                .note("too many lines wait to be sent".to_owned(), true);
        }
    }
}
