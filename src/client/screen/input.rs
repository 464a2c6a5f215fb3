//! The line being typed: an editor of one or more lines, with history, search and completion.

use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};
use rustyline::history::{DefaultHistory, History as _, SearchDirection};

use super::super::complete::Completion;
use super::super::text::safe_line;
use super::draw::cursor;
use super::secret::Secret;
use super::wrap::{cut, width};

/// How many offers are shown at once.
const SHOWN: usize = 8;
/// What stands between them.
const GAP: &str = "  ";

/// The editor.
pub struct Input {
    area: TextArea<'static>,
    history: DefaultHistory,
    path: PathBuf,
    /// The line of the history that is shown, and what was typed before.
    back: Option<(usize, String)>,
    search: Option<Search>,
    offered: Option<Offered>,
    completion: Completion,
    /// Whether a key has begun the line.
    begun: bool,
    /// What is asked for in its place.
    pub secret: Option<Secret>,
}

struct Search {
    term: String,
    found: Option<usize>,
    before: String,
}

struct Offered {
    words: Vec<(String, String)>,
    at: usize,
    /// How many characters the last one has put before the cursor.
    put: usize,
}

/// A text without what steers a terminal.
fn typeable(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.replace('\t', "    ");
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

impl Input {
    /// An empty line; those typed before lie at `path`.
    pub fn new(completion: Completion, path: &Path) -> Input {
        let mut history = DefaultHistory::new();
        // There is none at the first start, and a damaged one is no reason not to chat.
        let _ = history.load(path);
        let mut input = Input {
            area: TextArea::default(),
            history,
            path: path.to_owned(),
            back: None,
            search: None,
            offered: None,
            completion,
            begun: false,
            secret: None,
        };
        input.set("");
        input
    }

    /// What is typed.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Whether a line of the history is shown.
    pub fn is_back(&self) -> bool {
        self.back.is_some()
    }

    /// Puts another text there, with the cursor at its end.
    pub fn set(&mut self, text: &str) {
        let text = typeable(text);
        self.area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        self.area.set_wrap_mode(WrapMode::WordOrGlyph);
        self.area.set_cursor_line_style(Style::new());
        self.area.set_cursor_style(Style::new());
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
        self.offered = None;
        self.begun = false;
    }

    /// Puts a line there that its user goes on with, or leaves by Esc.
    pub fn begin(&mut self, text: &str) {
        let before = self.text();
        self.remember(&before);
        self.set(text);
        self.begun = true;
    }

    /// Leaves such a line; false where there is none.
    pub fn leave(&mut self) -> bool {
        let leaves = self.begun;
        if leaves {
            self.take();
        }
        leaves
    }

    /// Takes what is typed, and keeps it in the history.
    pub fn take(&mut self) -> String {
        let text = self.text();
        self.remember(&text);
        self.set("");
        text
    }

    /// Keeps a line in the history. One that cannot be kept is no reason not to chat.
    pub fn remember(&mut self, text: &str) {
        self.back = None;
        if !text.trim().is_empty() && self.history.add(text).unwrap_or(false) {
            let _ = self.history.append(&self.path);
        }
    }

    /// Puts in what was pasted, as one piece, without what steers a terminal.
    pub fn paste(&mut self, text: &str) {
        self.area.insert_str(typeable(text));
        self.offered = None;
    }

    /// How many rows it takes in so many columns.
    pub fn height(&self, columns: usize) -> usize {
        if self.secret.is_some() {
            return 1;
        }
        let rows = |line: &String| (width(line) / columns.max(1)) + 1;
        self.area.lines().iter().map(rows).sum()
    }

    /// Takes a key that edits; false for one that does not.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if self.search.is_some() {
            return self.search_key(key);
        }
        let (ctrl, alt) = (
            key.modifiers.contains(KeyModifiers::CONTROL),
            key.modifiers.contains(KeyModifiers::ALT),
        );
        if key.code == KeyCode::Tab {
            self.complete();
            return true;
        }
        self.offered = None;
        match key.code {
            KeyCode::Char('j') if ctrl => self.area.insert_newline(),
            KeyCode::Enter if alt => self.area.insert_newline(),
            KeyCode::Char('u') if ctrl => drop(self.area.delete_line_by_head()),
            KeyCode::Char('z') if ctrl => drop(self.area.undo()),
            KeyCode::Char('r') if ctrl => self.search(),
            KeyCode::Char('f') if alt => self.word_end(),
            KeyCode::Right if ctrl || alt => self.word_end(),
            KeyCode::Up if self.area.cursor().0 == 0 && !ctrl && !alt => self.older(),
            KeyCode::Down if self.is_last_row() && !ctrl && !alt => self.newer(),
            KeyCode::Char('p') if ctrl => self.older(),
            KeyCode::Char('n') if ctrl => self.newer(),
            KeyCode::Char(c) if ctrl && !"abdefhkwy".contains(c) => return false,
            KeyCode::Char(c) if alt && !"bdfh".contains(c) => return false,
            KeyCode::Char(_)
            | KeyCode::Backspace
            | KeyCode::Delete
            | KeyCode::Left
            | KeyCode::Right
            | KeyCode::Up
            | KeyCode::Down
            | KeyCode::Home
            | KeyCode::End => drop(self.area.input(key)),
            _ => return false,
        }
        true
    }

    /// Moves behind the end of the word, as shells do.
    fn word_end(&mut self) {
        let place = self.area.cursor();
        let (mut row, mut column) = (place.0, place.1);
        loop {
            let rest = self.area.lines()[row].chars().skip(column);
            let gap = rest.clone().take_while(|c| !c.is_alphanumeric()).count();
            let word = rest.skip(gap).take_while(|c| c.is_alphanumeric()).count();
            if word > 0 || row + 1 == self.area.lines().len() {
                column += gap + word;
                break;
            }
            (row, column) = (row + 1, 0);
        }
        let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let to = CursorMove::Jump(place(row), place(column));
        self.area.move_cursor(to);
    }

    fn is_last_row(&self) -> bool {
        self.area.cursor().0 + 1 == self.area.lines().len()
    }

    fn line_of_history(&self, at: usize) -> Option<String> {
        let line = self.history.get(at, SearchDirection::Forward);
        Some(line.ok()??.entry.into_owned())
    }

    fn older(&mut self) {
        let (at, typed) = match self.back.take() {
            Some((at, typed)) => (at, typed),
            None => (self.history.len(), self.text()),
        };
        let at = at.checked_sub(1).unwrap_or(at);
        if let Some(line) = self.line_of_history(at) {
            self.set(&line);
            self.back = Some((at, typed));
        }
    }

    fn newer(&mut self) {
        let Some((at, typed)) = self.back.take() else {
            return;
        };
        match self
            .line_of_history(at + 1)
            .filter(|_| at + 1 < self.history.len())
        {
            Some(line) => {
                self.set(&line);
                self.back = Some((at + 1, typed));
            }
            None => self.set(&typed),
        }
    }

    fn search(&mut self) {
        self.search = Some(Search {
            term: String::new(),
            found: None,
            before: self.text(),
        });
    }

    /// What is searched for, while it is.
    pub fn searching(&self) -> Option<&str> {
        self.search.as_ref().map(|search| search.term.as_str())
    }

    fn search_key(&mut self, key: KeyEvent) -> bool {
        let Some(mut search) = self.search.take() else {
            return false;
        };
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let mut from = search.found;
        match key.code {
            KeyCode::Char('r') if ctrl => from = from.and_then(|at| at.checked_sub(1)),
            KeyCode::Char('c' | 'g') if ctrl => {
                self.set(&search.before);
                return true;
            }
            KeyCode::Esc => {
                self.set(&search.before);
                return true;
            }
            KeyCode::Char(c) if !ctrl => search.term.push(c),
            KeyCode::Backspace => {
                search.term.pop();
                from = None;
            }
            // Any other key takes what was found.
            _ => return key.code == KeyCode::Enter || self.key(key),
        }
        let newest = self.history.len().checked_sub(1);
        if let Some(from) = from.or(newest).filter(|_| !search.term.is_empty())
            && let Ok(Some(found)) =
                self.history
                    .search(&search.term, from, SearchDirection::Reverse)
        {
            let (at, line) = (found.idx, found.entry.into_owned());
            search.found = Some(at);
            self.set(&line);
        }
        self.search = Some(search);
        true
    }

    /// What Tab offers, the taken one in brackets.
    pub fn offers(&self, columns: usize) -> Option<String> {
        let offered = self
            .offered
            .as_ref()
            .filter(|offered| offered.words.len() > 1)?;
        let all = offered.words.iter().enumerate();
        let all = all.map(|(at, (shown, _))| match at == offered.at {
            true => format!("[{shown}]"),
            false => shown.clone(),
        });
        let words: Vec<String> = all.collect();
        let count = format!("  ({} of {})", offered.at + 1, words.len());
        if words.len() <= SHOWN && width(&words.join(GAP)) <= columns {
            return Some(words.join(GAP));
        }
        // The one that is taken is always in sight, and how many there are.
        let room = columns.saturating_sub(width(&count));
        let mut first = offered.at / SHOWN * SHOWN;
        while first < offered.at && width(&words[first..=offered.at].join(GAP)) > room {
            first += 1;
        }
        let mut shown = cut(&words[first], room);
        for word in words[first + 1..].iter().take(SHOWN - 1) {
            if width(&shown) + width(GAP) + width(word) > room {
                break;
            }
            shown.push_str(GAP);
            shown.push_str(word);
        }
        Some(shown + &count)
    }

    /// Completes what stands before the cursor; again, by the next that fits.
    fn complete(&mut self) {
        if let Some(offered) = &mut self.offered {
            offered.at = (offered.at + 1) % offered.words.len();
            for _ in 0..offered.put {
                self.area.delete_char();
            }
        } else {
            let place = self.area.cursor();
            let line = self.area.lines()[place.0].clone();
            let position = line
                .char_indices()
                .nth(place.1)
                .map_or(line.len(), |(at, _)| at);
            let Ok((start, pairs)) = self.completion.pairs(&line, position) else {
                return;
            };
            let words: Vec<(String, String)> = pairs
                .into_iter()
                .map(|pair| (safe_line(&pair.display), pair.replacement))
                .collect();
            if words.is_empty() {
                return;
            }
            for _ in 0..line[start..position].chars().count() {
                self.area.delete_char();
            }
            self.offered = Some(Offered {
                words,
                at: 0,
                put: 0,
            });
        }
        if let Some(offered) = &mut self.offered {
            let word = &offered.words[offered.at].1;
            offered.put = word.chars().count();
            self.area.insert_str(word);
        }
        // The only one is taken: the next Tab completes what follows.
        self.offered.take_if(|offered| offered.words.len() == 1);
    }

    /// Draws it, with the cursor of the terminal where the next character goes.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        if self.secret.is_some() {
            return frame.set_cursor_position(area.as_position());
        }
        frame.render_widget(&self.area, area);
        let place = self.area.screen_cursor();
        let (top, left) = self.area.scroll_offset();
        let (row, column) = (
            place.row.saturating_sub(top.into()),
            place.col.saturating_sub(left.into()),
        );
        if let Some(place) = cursor(area, column, row) {
            frame.set_cursor_position(place);
        }
    }
}
