//! The terminal as what is printed on: above the line being typed, or above the bar of a file on its
//! way.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustyline::ExternalPrinter as _;
use serde_json::{Value, json};

use super::Output;
use super::post::Post;
use super::render::{Event, Style};
use super::session::Session;
use super::terminal::Lines;
use super::text::Zone;
use super::transfer::Progress;

type Printer = Box<dyn FnMut(String) -> bool + Send>;

/// Removes what stands in the line of the cursor.
const CLEAR: &str = "\r\u{1b}[K";

/// The terminal, above the line being typed.
pub struct Sheet {
    session: Arc<Session>,
    style: Style,
    paper: Mutex<Paper>,
    /// How wide it was when the last line was typed.
    columns: Arc<AtomicUsize>,
}

/// What is printed on.
struct Paper {
    /// Prints through the editor, where it can: its output may be no terminal.
    printer: Option<Printer>,
    /// The bar that stands in the last line while a file is on its way.
    bar: Option<String>,
}

impl Paper {
    fn print(&mut self, text: &str) {
        if let Some(print) = self.printer.as_mut() {
            if print(text.to_owned()) {
                return;
            }
            // The editor is gone: the user is leaving.
            self.printer = None;
        }
        // A terminal that is gone takes the whole program with it.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }

    /// Draws the bar anew. The editor waits while a file is on its way, so that nothing else
    /// stands in this line. Where characters take two columns it does not wrap either, and what is
    /// typed meanwhile begins the line, where it goes with the bar.
    fn draw(&mut self) {
        if let Some(bar) = &self.bar {
            self.print(&format!("{CLEAR}\u{1b}[?7l{bar}\u{1b}[?7h\r"));
        }
    }
}

impl Sheet {
    /// The terminal of that editor; `columns` tells how wide it is.
    pub fn new(session: Arc<Session>, editor: &mut Lines, columns: Arc<AtomicUsize>) -> Sheet {
        let style = Style {
            colour: super::colours(),
            single_line: false,
            zone: Zone::local(),
            me: session.me(),
        };
        let printer = editor.create_external_printer().ok().map(|mut printer| {
            let print = move |text| printer.print(text).is_ok();
            Box::new(print) as Printer
        });
        Sheet {
            session,
            style,
            paper: Mutex::new(Paper { printer, bar: None }),
            columns,
        }
    }

    fn paper(&self) -> MutexGuard<'_, Paper> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, text: &str) {
        let mut paper = self.paper();
        let clear = if paper.bar.is_some() { CLEAR } else { "" };
        paper.print(&format!("{clear}{text}\n"));
        paper.draw();
    }
}

impl Output for Sheet {
    fn event(&self, event: &Event) {
        let now = Timestamp::now();
        let mut event = Cow::Borrowed(event);
        if event.kind == "removed" {
            let ids = self.session.missed(&event.data, now);
            if ids.is_empty() {
                return;
            }
            event.to_mut().data = json!({ "ids": ids });
        }
        let room = |chat: &str| self.session.title(chat);
        if let Some(text) = self.style.event(&event, room, now) {
            self.print(&text);
        }
    }

    fn ended(&self, event: &Event) {
        let room = |chat: &str| self.session.title(chat);
        let then = self.session.here.told();
        if let Some(line) = self.style.ended(event, room, Timestamp::now(), &then) {
            self.print(&line);
        }
    }

    fn sent(&self, _: &Post, posted: &Value) {
        let room = |chat: &str| self.session.title(chat);
        if let Some(text) = self.style.sent(posted, room, Timestamp::now()) {
            self.print(&text);
        }
    }

    fn answer(&self, _: &str, _: &Value, text: &str) {
        self.notice(text);
    }

    fn progress(&self, progress: Option<&Progress<'_>>) {
        let mut paper = self.paper();
        match progress {
            // Where the editor cannot print there is no line to draw in.
            Some(progress) if paper.printer.is_some() => {
                let columns = self.columns.load(Ordering::Relaxed);
                let bar = progress.line();
                paper.bar = Some(bar.chars().take(columns.saturating_sub(1)).collect());
                paper.draw();
            }
            Some(_) => {}
            None => {
                if paper.bar.take().is_some() {
                    paper.print(CLEAR);
                }
            }
        }
    }

    fn notice(&self, text: &str) {
        self.print(&self.style.notice(text));
    }

    fn trouble(&self, text: &str) {
        self.print(&self.style.trouble(text));
    }

    fn broken(&self) -> Option<io::Error> {
        None
    }
}
