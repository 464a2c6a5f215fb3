//! The terminal as it is while the screen is up, and put back whatever happens.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::{Frame, Terminal};

use super::panel::Whole;

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, until it is dropped.
pub struct Tty {
    /// What draws on it.
    pub terminal: Terminal<CrosstermBackend<io::Stdout>>,
    disputed: Disputed,
}

/// The rows on the screen that have characters on whose width terminals disagree, as they were
/// painted last.
#[derive(Default)]
struct Disputed {
    columns: u16,
    rows: BTreeMap<u16, Vec<Cell>>,
}

/// Whether terminals disagree on how wide that is: those that know no clusters count each character
/// of one, and how wide a flag or an emoji is depends on how new they are.
fn is_disputed(cell: &Cell) -> bool {
    let mut chars = cell.symbol().chars();
    let first = chars.next();
    chars.next().is_some() || first.is_some_and(|first| first >= '\u{1f000}')
}

impl Disputed {
    /// The rows that are to be painted whole, now that this was drawn cell by cell: what has taken
    /// other columns than was thought stands elsewhere than the cells that were written over it.
    fn changed(&mut self, drawn: &Buffer) -> Vec<(u16, Vec<Cell>)> {
        let columns = drawn.area.width;
        if std::mem::replace(&mut self.columns, columns) != columns {
            self.rows.clear();
        }
        let mut changed = Vec::new();
        let rows = drawn.content.chunks(usize::from(columns).max(1));
        for (y, row) in (0..drawn.area.height).zip(rows) {
            let before = match row.iter().any(is_disputed) {
                true if self.rows.get(&y).is_some_and(|before| before == row) => continue,
                true => self.rows.insert(y, row.to_vec()),
                false => self.rows.remove(&y),
            };
            if before.is_some() || self.rows.contains_key(&y) {
                changed.push((y, row.to_vec()));
            }
        }
        changed
    }
}

/// Paints a row whole, so that each cell stands in its column however wide those before it are.
fn paint(backend: &mut CrosstermBackend<io::Stdout>, y: u16, row: &[Cell]) -> io::Result<()> {
    queue!(backend, cursor::MoveTo(0, y), Clear(ClearType::CurrentLine))?;
    let mut piece: Vec<(u16, &Cell)> = Vec::new();
    let mut x: u16 = 0;
    while let Some(cell) = row.get(usize::from(x)) {
        let width = cell.cell_width().max(1);
        if is_disputed(cell) {
            let before = piece.drain(..).map(|(x, cell)| (x, y, cell));
            backend.draw(before)?;
            // A terminal that thinks it narrower shows no gap of another colour.
            let mut blank = cell.clone();
            blank.set_symbol(" ");
            backend.draw((x..x.saturating_add(width)).map(|x| (x, y, &blank)))?;
            // Each of these calls begins with a place.
            backend.draw(std::iter::once((x, y, cell)))?;
        } else {
            piece.push((x, cell));
        }
        x = x.saturating_add(width);
    }
    backend.draw(piece.into_iter().map(|(x, cell)| (x, y, cell)))
}

impl Tty {
    /// Takes the whole screen.
    pub fn take() -> io::Result<Tty> {
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                // What a panic says is to be read afterwards.
                give_back();
                next(info);
            }));
        });
        take()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Tty {
            terminal,
            disputed: Disputed::default(),
        })
    }

    /// Draws a frame, all of it at once where the terminal can.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>) -> Option<Whole>) -> io::Result<()> {
        // What is wider than was thought stays in its row.
        queue!(io::stdout(), BeginSynchronizedUpdate, DisableLineWrap)?;
        let mut whole = None;
        let drawn = self.terminal.draw(|frame| whole = render(frame))?;
        let rows = self.disputed.changed(drawn.buffer);
        let backend = self.terminal.backend_mut();
        queue!(backend, cursor::SavePosition)?;
        for (y, row) in &rows {
            paint(backend, *y, row)?;
        }
        if let Some(Whole { row, text }) = whole {
            // Where a terminal has broken a line itself, it is copied as one.
            queue!(
                backend,
                cursor::MoveTo(0, row),
                EnableLineWrap,
                Print(text),
                DisableLineWrap
            )?;
        }
        execute!(
            backend,
            cursor::RestorePosition,
            EnableLineWrap,
            EndSynchronizedUpdate
        )
    }

    /// Has all of it drawn anew.
    pub fn clear(&mut self) -> io::Result<()> {
        self.disputed = Disputed::default();
        // Clearing alone would ask the terminal for its cursor, and some never answer.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives the screen to another program for as long as it runs.
    pub fn lend<T>(&mut self, run: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        let done = run();
        take()?;
        self.clear()?;
        Ok(done)
    }

    /// Rings the bell.
    pub fn ring(&self) {
        // A terminal that is gone takes the whole program with it.
        let _ = io::stdout()
            .write_all(b"\x07")
            .and_then(|()| io::stdout().flush());
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone has nothing to be put back.
        let _ = execute!(
            io::stdout(),
            EnableLineWrap,
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_row_is_painted_whole_where_it_has_or_had_what_terminals_dispute() {
        let mut disputed = Disputed::default();
        let mut rows = |lines: [&str; 3]| {
            let mut drawn = Buffer::empty(Rect::new(0, 0, 12, 3));
            for (y, line) in (0..).zip(lines) {
                drawn.set_string(0, y, line, Style::new());
            }
            let changed = disputed.changed(&drawn);
            changed.into_iter().map(|(y, _)| y).collect::<Vec<u16>>()
        };
        let flag = "🇺🇦 flag";
        assert_eq!(rows(["plain", flag, "नमस्ते"]), [1, 2]);
        assert!(rows(["other", flag, "नमस्ते"]).is_empty());
        assert_eq!(rows(["other", "no flag", "👍🏽"]), [1, 2]);
        assert_eq!(rows(["e\u{301}tude", "漢字", "👍🏽"]), [0]);
    }
}
