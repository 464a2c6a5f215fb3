//! The whole terminal: chats at the side, messages, a line to type, the state.
//!
//! `model` is what is shown and `lines`, `wrap` and `draw` are how; `input` is the line being typed
//! and `keys` what each key does; `front` is how the other threads tell of news, `tty` the terminal,
//! `drafts` what is kept of lines that were not sent. One thread, this one, has the model.

mod chat;
mod drafts;
mod draw;
mod editor;
mod front;
mod input;
mod keys;
mod lines;
mod model;
mod tty;
mod wrap;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::drafts::Drafts;
use self::front::Front;
pub use self::front::News;
use self::input::Input;
use self::model::{Effect, Model};
use self::tty::Tty;
use super::commands::{Command, Wait, parse};
use super::complete::Completion;
use super::post::Post;
use super::session::Session;
use super::store::Store;
use super::text::{Zone, duration};
use super::worker::{Ended, Job, QUEUE, Worker};
use super::{Error, Link, Output, interrupt, terminal};
use crossterm::event::{self, Event as TerminalEvent, KeyEventKind};

/// How much news may wait for the screen's thread.
const NEWS: usize = 1_024;
/// How much of it is taken before the screen is drawn anew.
const BATCH: usize = 256;
/// What counts down is drawn so often, and what is typed is kept after so long.
const TICK: Duration = Duration::from_secs(1);

/// Chats on the whole terminal until the user leaves.
pub fn run(session: Arc<Session>, store: &Store, bell: bool) -> Result<(), Error> {
    let signed_in = terminal::sign_in(&session)?;
    let (news, heard) = sync_channel(NEWS);
    let front: Arc<dyn Output> = Arc::new(Front::new(session.clone(), news.clone()));
    let (jobs, queue) = sync_channel(QUEUE);
    super::follow(&session, &front, &jobs)?;
    let (finished, end) = sync_channel(1);
    let worker = Worker::new(session.clone(), front, true);
    let (own, over) = (session.clone(), news.clone());
    spawn("worker", move || {
        // Names that cannot be fetched are only not completed.
        let _ = own.fetch_names();
        // The end is not waited for where the user has left in a hurry.
        let _ = finished.send(worker.run(&queue));
        let _ = over.send(News::Over);
    })?;
    let (pages, wanted) = sync_channel(QUEUE);
    front::load(session.clone(), wanted, news.clone())?;
    interrupt::on_end(news.clone()).map_err(Error::Interrupt)?;
    let tty = Tty::take().map_err(Error::Screen)?;
    let go_on = read(news.clone())?;
    let me = session.me();
    let mut screen = Screen {
        model: Model::new(&me, bell),
        input: Input::new(Completion::new(session.clone()), &store.history()),
        drafts: Drafts::open(store.drafts(session.api.base(), &me)),
        session: session.clone(),
        jobs: jobs.clone(),
        pages,
        news,
        tty,
        zone: Zone::local(),
        colour: super::colours(),
        transfer: Arc::default(),
        restored: false,
        unsaved: false,
        saved: Instant::now(),
        over: false,
    };
    screen
        .model
        .note(terminal::greeting(&session, signed_in), false);
    let left = screen.run(&heard, &go_on);
    screen.save();
    // The terminal is as it was, and nobody waits to tell more.
    drop(screen);
    drop(heard);
    terminal::leave(&session, &jobs, &end).and(left)
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

/// All that this thread has.
struct Screen {
    model: Model,
    input: Input,
    drafts: Drafts,
    session: Arc<Session>,
    jobs: SyncSender<Job>,
    pages: SyncSender<(String, Option<u64>)>,
    news: SyncSender<News>,
    tty: Tty,
    zone: Zone,
    colour: bool,
    /// Held while a file is on its way: a stop is for one.
    transfer: Arc<Mutex<()>>,
    /// Whether what was not sent the last time is back.
    restored: bool,
    /// Whether something was typed that is not kept yet.
    unsaved: bool,
    saved: Instant,
    over: bool,
}

impl Screen {
    fn run(&mut self, heard: &Receiver<News>, go_on: &SyncSender<()>) -> Result<(), Error> {
        while !self.over {
            self.act();
            let (model, input, zone) = (&mut self.model, &mut self.input, &self.zone);
            let colour = self.colour;
            let drawn = self
                .tty
                .terminal
                .draw(|frame| draw::draw(frame, model, input, zone, colour));
            drawn.map_err(Error::Screen)?;
            // Drawing may have come to the top of what is there.
            self.act();
            let first = match self.pause() {
                None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => heard.recv_timeout(pause),
            };
            match first {
                Ok(first) => {
                    for news in std::iter::once(first).chain(heard.try_iter().take(BATCH)) {
                        let is_key = matches!(news, News::Terminal(_));
                        self.take(news)?;
                        if is_key && !self.over {
                            // A reader that has ended has told so.
                            let _ = go_on.try_send(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.unsaved && self.saved.elapsed() >= TICK {
                self.save();
            }
            for post in self.model.due(Instant::now()) {
                if self.jobs.try_send(Job::Post(post.clone())).is_err() {
                    self.model.later(post, Instant::now() + TICK);
                }
            }
        }
        Ok(())
    }

    /// How long nothing changes by itself.
    fn pause(&self) -> Option<Duration> {
        let counts = matches!(self.model.link, Link::Lost(_)) || !self.model.waiting.is_empty();
        (counts || self.unsaved).then_some(TICK)
    }

    /// Does what the model asks for.
    fn act(&mut self) {
        self.model.settle();
        while let Some(effect) = self.model.effects.pop_front() {
            match effect {
                Effect::Looked(chat, upto) => {
                    self.session.looked(&chat, upto);
                    // A full queue of it wakes the worker all the same.
                    let _ = self.jobs.try_send(Job::Marks);
                }
                Effect::Load(chat, before) => {
                    if let Err(error) = self.pages.try_send((chat, before)) {
                        let (chat, before) = match error {
                            std::sync::mpsc::TrySendError::Full(asked)
                            | std::sync::mpsc::TrySendError::Disconnected(asked) => asked,
                        };
                        let why = Err("too much is asked for at once".to_owned());
                        self.model.page(&chat, before, why);
                    }
                }
                Effect::Ring => self.tty.ring(),
            }
        }
        let here = Some(self.model.chat().address.clone());
        if self.session.here.get() != here {
            self.session.here.go(here);
        }
    }

    fn take(&mut self, news: News) -> Result<(), Error> {
        let session = self.session.clone();
        let label = |chat: &str| session.label(chat);
        let shown = self.model.chat().address.clone();
        match news {
            News::Event(event, text) => self.model.event(&event, text, label),
            News::Sent(posted) => self.model.sent(&posted, label),
            News::Told(text, bad) => self.model.note(text, bad),
            News::Progress(progress) => self.model.progress = progress,
            News::Chats(chats, anew) => {
                self.model.chats(&chats, label, anew);
                self.restore();
            }
            News::Link(link) => self.model.link(link),
            News::Page(chat, before, page) => self.model.page(&chat, before, page),
            News::Later(post, at) => {
                let wait = at.saturating_duration_since(Instant::now()).as_secs() + 1;
                let text = format!("the server takes it in {}; it is sent then", duration(wait));
                self.model.note(text, false);
                if !self.model.later(post.clone(), at) {
                    self.unsent(&post, "too many wait already");
                }
            }
            News::Unsent(post, why) => self.unsent(&post, &why),
            News::Moved(Ended::At(chat)) => {
                let at = self.model.place(&chat, &label(&chat));
                self.open(at);
                return Ok(());
            }
            News::Moved(_) => {}
            News::Terminal(event) => return self.terminal(event),
            News::Over => self.over = true,
        }
        // What was typed for a chat that has ended goes to no other.
        if self.model.chat().address != shown {
            let text = self.input.text();
            self.input.remember(&text);
            let draft = self.model.chat().draft.clone();
            self.input.set(&draft);
        }
        Ok(())
    }

    fn terminal(&mut self, event: TerminalEvent) -> Result<(), Error> {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.key(key)?,
            TerminalEvent::Paste(text) => {
                self.input.paste(&text);
                self.unsaved = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows another chat, with the line that was begun for it.
    fn open(&mut self, at: usize) {
        if at == self.model.at || at >= self.model.chats.len() {
            return;
        }
        self.model.chat_mut().draft = self.input.text();
        self.model.open(at);
        let draft = std::mem::take(&mut self.model.chat_mut().draft);
        self.input.set(&draft);
        self.unsaved = true;
    }

    /// Puts a text that was not sent back to where it was typed.
    fn unsent(&mut self, post: &Post, why: &str) {
        let here = &self.model.chat().address;
        let to = post.to().unwrap_or(here).to_owned();
        let text = post.line();
        self.model.note(format!("not sent: {why}"), true);
        if text.is_empty() {
            return;
        }
        let joined = |begun: &str| match begun {
            "" => text.clone(),
            begun => format!("{text}\n{begun}"),
        };
        self.unsaved = true;
        if self.model.chat().address == to {
            let text = joined(&self.input.text());
            self.input.set(&text);
        } else {
            let label = self.session.label(&to);
            let at = self.model.place(&to, &label);
            let draft = joined(&self.model.chats[at].draft);
            self.model.chats[at].draft = draft;
        }
    }

    /// Brings back what was not sent the last time.
    fn restore(&mut self) {
        if std::mem::replace(&mut self.restored, true) {
            return;
        }
        let drafts = self.drafts.all().clone();
        for (chat, text) in drafts {
            if chat == self.model.chat().address {
                self.input.set(&text);
            } else {
                let at = self.model.place(&chat, &self.session.label(&chat));
                self.model.chats[at].draft = text;
            }
        }
    }

    /// Keeps what is not sent.
    fn save(&mut self) {
        (self.unsaved, self.saved) = (false, Instant::now());
        if !self.restored {
            return;
        }
        let mut drafts: BTreeMap<String, String> = BTreeMap::new();
        let mut add = |chat: &str, text: &str| {
            if !text.trim().is_empty() {
                let draft = drafts.entry(chat.to_owned()).or_default();
                if !draft.is_empty() {
                    draft.push('\n');
                }
                draft.push_str(text);
            }
        };
        for waiting in &self.model.waiting {
            add(&waiting.here, &waiting.post.line());
        }
        for (at, chat) in self.model.chats.iter().enumerate() {
            match at == self.model.at {
                true => add(&chat.address, &self.input.text()),
                false => add(&chat.address, &chat.draft),
            }
        }
        if let Err(error) = self.drafts.keep(drafts) {
            self.model
                .note(format!("what is typed cannot be kept: {error}"), true);
        }
    }

    /// Does what a line says.
    fn submit(&mut self, line: &str) {
        let here = Some(self.model.chat().address.clone());
        let session = self.session.clone();
        let job = match parse(line, |feature| session.has_feature(feature)) {
            Ok(None) => return,
            Ok(Some(Command::Quit)) => {
                self.over = true;
                return;
            }
            Ok(Some(Command::Help)) => {
                let text = super::commands::help(|feature| session.has_feature(feature));
                self.model.note(format!("{text}\n{}", keys::HELP), false);
                return;
            }
            // Signed out, the worker ends, which closes the screen.
            Ok(Some(Command::Logout)) => Job::LogOut(sync_channel(1).0),
            Ok(Some(command)) if command.wait() != Wait::No => return self.wait(command, here),
            Ok(Some(command)) => Job::Run(command, here),
            Err(why) => Job::Wrong(why),
        };
        if self.jobs.try_send(job).is_err() {
            self.input.set(line);
            self.model
                .note("too many lines wait to be sent".to_owned(), true);
        }
    }

    /// Does a command whose end is told, beside what else is done.
    fn wait(&mut self, command: Command, here: Option<String>) {
        let (session, jobs, news) = (self.session.clone(), self.jobs.clone(), self.news.clone());
        let transfer = self.transfer.clone();
        let run = move || {
            let (ended, end) = sync_channel(1);
            let is_transfer = command.wait() == Wait::Transfer;
            let one = is_transfer.then(|| transfer.lock().unwrap_or_else(PoisonError::into_inner));
            let waiting = is_transfer.then(|| session.transfers.wait());
            if jobs.send(Job::Await(command, here, ended)).is_err() {
                return;
            }
            let end = end.recv().unwrap_or(Ended::Failed);
            drop(waiting);
            drop(one);
            // A screen that has closed shows nothing more.
            let _ = news.send(News::Moved(end));
        };
        if let Err(error) = spawn("command", run) {
            self.model.note(error.explain(), true);
        }
    }
}
