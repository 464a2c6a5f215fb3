//! What each key does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::render::Message;
use super::super::text::safe_line;
use super::super::{Error, reason};
use super::panel::{Act, Panel, Request};
use super::secret::Act as Asked;
use super::{Screen, draw, editor, lines};

/// The keys, for `/help`.
pub const HELP: &str = "\
Alt+1…9 a chat by its number, Alt+A the next with something new, Alt+Up and Alt+Down the next one
PageUp, PageDown, Ctrl+Home, Ctrl+End scroll; Home and End too while nothing is typed
Alt+U shows the chat from where the unread begins
Ctrl+Up and Ctrl+Down select a message: c comments, v its comments, r writes to its sender,
g gets its file, + and - put an emoji on it and take it back, x complains, e changes your own,
d removes it, Esc ends it
Up on an empty line takes up your last message, and then what you typed before
Enter sends, and on an empty line sends again what has failed; while there is no connection it
is tried at once
Alt+Enter or Ctrl+J begins another row, Ctrl+O opens your editor, Ctrl+R searches
Ctrl+C stops a file, clears the line, or takes back what is not sent; Ctrl+D leaves
F1 this list, F2 rooms, F3 requests to come in, F4 what is scheduled, F5 who is here,
F6 what is unread, F7 the state, F8 the bell on or off, F9 hooks, Ctrl+L draws anew";

/// How far a page scrolls less than the whole pane.
const OVERLAP: usize = 2;

impl Screen {
    /// Does what a key asks for.
    pub fn key(&mut self, key: KeyEvent) -> Result<(), Error> {
        if self.secret_key(key) {
            return Ok(());
        }
        if self.model.panel.is_some() && self.panel_key(key) {
            return Ok(());
        }
        if self.input.searching().is_some() {
            self.input.key(key);
            return Ok(());
        }
        if self.model.selected.is_some() && self.selected_key(key) {
            return Ok(());
        }
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let empty = self.input.is_empty();
        let count = self.model.chats.len();
        match key.code {
            KeyCode::Char(digit @ '1'..='9') if alt => {
                let at = digit.to_digit(10).unwrap_or(1) as usize - 1;
                self.open(at);
            }
            KeyCode::Char('a') if alt => {
                if let Some(at) = self.model.next_unread() {
                    self.open(at);
                }
            }
            KeyCode::Up if alt => self.open((self.model.at + count - 1) % count),
            KeyCode::Down if alt => self.open((self.model.at + 1) % count),
            KeyCode::Up if ctrl => self.select(true)?,
            KeyCode::Down if ctrl => self.select(false)?,
            KeyCode::Up if empty && self.take_up() => {}
            KeyCode::PageUp => self.scroll(-1)?,
            KeyCode::PageDown => self.scroll(1)?,
            KeyCode::Home if ctrl || empty => self.scroll_to(-lines::FAR)?,
            KeyCode::End if ctrl || empty => self.scroll_to(lines::FAR)?,
            KeyCode::Esc if self.input.leave() => self.unsaved = true,
            KeyCode::Esc if self.stay() => {}
            KeyCode::Esc => self.model.chat_mut().go_to_end(),
            KeyCode::Char('u') if alt => self.model.go_to_unread(),
            KeyCode::Enter if !alt && empty => {
                self.session.gate.rouse();
                if self.model.again() {
                    self.model.chat_mut().go_to_end();
                }
            }
            KeyCode::Enter if !alt => {
                self.session.gate.rouse();
                let line = self.input.take();
                self.unsaved = true;
                let chat = self.model.chat().address.clone();
                self.typed(&line, &chat);
            }
            KeyCode::Char('c') if ctrl => self.interrupt(),
            KeyCode::Char('d') if ctrl && empty => self.over = true,
            KeyCode::Char('l') if ctrl => {
                if let Some(tty) = &mut self.tty {
                    tty.clear().map_err(Error::Screen)?;
                }
            }
            KeyCode::Char('o') if ctrl => self.edit()?,
            KeyCode::F(number) if key.modifiers.is_empty() => self.function(number),
            _ => {
                if self.input.key(key) {
                    self.unsaved = true;
                }
            }
        }
        Ok(())
    }

    /// Puts one's last message into the line, to change it; false where that can't be.
    fn take_up(&mut self) -> bool {
        let may = self.session.has_feature("edits") && !self.input.is_back();
        let Some(last) = self.model.own_last().filter(|_| may) else {
            return false;
        };
        self.input.begin(&edit(last));
        self.unsaved = true;
        true
    }

    fn function(&mut self, number: u8) {
        let line = match number {
            1 => "/help",
            2 => "/rooms",
            3 if self.session.has_feature("rooms") => {
                self.model.panel = Some(Panel::Requests(Vec::new(), 0));
                // They are known by the events; a gap may have hidden one.
                self.model.doubt_people();
                return;
            }
            3 => "/requests",
            4 => "/scheduled",
            5 => "/who",
            6 => "/unread",
            7 => "/status",
            9 => "/hooks",
            8 => {
                self.model.bell = !self.model.bell;
                return;
            }
            _ => return,
        };
        self.submit(line);
    }

    /// What a key does while a password is asked for; false where it is for what is above.
    fn secret_key(&mut self, key: KeyEvent) -> bool {
        let is_panels = key.code == KeyCode::Esc && self.model.panel.is_some();
        let Some(secret) = self.input.secret.as_mut().filter(|_| !is_panels) else {
            return false;
        };
        match secret.key(key) {
            Asked::Stay => {}
            Asked::Done => self.input.secret = None,
            Asked::Leave => self.over = true,
            Asked::Pass => return false,
        }
        true
    }

    /// What a key does with what lies over the messages; false where it is for what is below.
    fn panel_key(&mut self, key: KeyEvent) -> bool {
        let Some(panel) = &mut self.model.panel else {
            return false;
        };
        match panel.key(key) {
            Act::Stay => return true,
            Act::Close => self.model.panel = None,
            Act::Pass => {
                self.model.panel = None;
                return false;
            }
            Act::Below => return false,
            Act::Begin(line) => {
                self.model.panel = None;
                self.input.begin(&line);
                self.unsaved = true;
            }
            Act::Decide(Request { room, user, .. }, approve) => {
                let name = match approve {
                    true => "/approve",
                    false => "/refuse",
                };
                self.submit_in(&format!("{name} {user}"), &room, Some(room.clone()));
            }
        }
        true
    }

    /// Stops a file on its way, clears the line, or takes back what waits; tells how to leave
    /// where there is none of it.
    fn interrupt(&mut self) {
        if self.session.transfers.stop() {
            return;
        }
        if !self.input.is_empty() {
            let text = self.input.text();
            self.input.remember(&text);
            self.input.set("");
            self.unsaved = true;
        } else if let Some(line) = self.model.unhold() {
            self.take_back(&line);
        } else if let Some(out) = self.model.take_back() {
            self.take_back(&out.post.line());
        } else {
            self.model.note("Ctrl+D or /quit leaves".to_owned(), false);
        }
    }

    /// How large the pane of messages is.
    pub fn size(&self) -> Result<(usize, usize), Error> {
        let Some(tty) = &self.tty else {
            return Ok((0, 0));
        };
        let size = tty.terminal.size().map_err(Error::Screen)?;
        let pane = draw::pane(size.into(), &self.input, &self.model);
        Ok((pane.width.into(), pane.height.into()))
    }

    fn scroll(&mut self, pages: isize) -> Result<(), Error> {
        let size = self.size()?;
        let page = isize::try_from(size.1.saturating_sub(OVERLAP).max(1)).unwrap_or(1);
        lines::scroll(&mut self.model, &self.zone, size, pages * page);
        Ok(())
    }

    fn scroll_to(&mut self, end: isize) -> Result<(), Error> {
        let size = self.size()?;
        lines::scroll(&mut self.model, &self.zone, size, end);
        Ok(())
    }

    /// Goes on scrolling where what was missing has come.
    pub fn scroll_owed(&mut self) -> Result<(), Error> {
        match self.model.chat().owed {
            0 => Ok(()),
            _ => self.scroll_to(0),
        }
    }

    fn select(&mut self, up: bool) -> Result<(), Error> {
        self.model.select(up);
        let size = self.size()?;
        lines::show_selected(&mut self.model, &self.zone, size);
        Ok(())
    }

    /// What a key does with the selected message; false where it is for something else.
    fn selected_key(&mut self, key: KeyEvent) -> bool {
        let modified = KeyModifiers::CONTROL | KeyModifiers::ALT;
        let Some(message) = self
            .model
            .selected()
            .filter(|_| !key.modifiers.intersects(modified))
        else {
            return false;
        };
        let (id, from, is_bot) = (message.id, message.from.clone(), message.bot);
        let begun = match key.code {
            KeyCode::Char('c') => format!("/comment {id} "),
            KeyCode::Char('+') => format!("/react {id} "),
            KeyCode::Char('-') => format!("/unreact {id} "),
            KeyCode::Char('r') if is_bot => {
                let told = format!("{} is a program, and reads nothing", safe_line(&from));
                self.model.note(told, false);
                String::new()
            }
            KeyCode::Char('r') => format!("/msg @{from} "),
            KeyCode::Char('x') => format!("/complain {from} "),
            KeyCode::Char('e') if from == self.model.me => edit(message),
            KeyCode::Char('d') if from == self.model.me => format!("/remove {id}"),
            KeyCode::Char('v') => {
                self.submit(&format!("/comments {id}"));
                String::new()
            }
            KeyCode::Char('g') => {
                self.submit(&format!("/get {id}"));
                String::new()
            }
            KeyCode::Esc => String::new(),
            KeyCode::PageUp | KeyCode::PageDown => return false,
            _ => {
                self.model.selected = None;
                return false;
            }
        };
        self.model.selected = None;
        if !begun.is_empty() {
            self.input.begin(&begun);
        }
        true
    }

    /// Lets the user write in their own editor.
    fn edit(&mut self) -> Result<(), Error> {
        let text = self.input.text();
        let path = self.drafts.beside();
        let Some(tty) = &mut self.tty else {
            return Ok(());
        };
        let edited = tty.lend(|| editor::edit(&path, &text));
        match edited.map_err(Error::Screen)? {
            Ok(text) => {
                self.input.set(text.trim_end_matches('\n'));
                self.unsaved = true;
            }
            Err(why) => self.model.note(reason::plain(&why), true),
        }
        Ok(())
    }
}

/// What changes a message, with the text that it has.
fn edit(message: &Message) -> String {
    format!("/edit {} {}", message.id, message.text)
}
