//! What lies over the messages until it is put away: the list of keys and commands, who asks to come
//! into one's rooms, one's hooks, and the address of a new one.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Clear};

use super::super::text::safe_line;
use super::wrap::{cut, wrap};

/// How far a page scrolls.
const PAGE: usize = 10;
/// Where the further rows of a line begin.
const INDENT: usize = 2;

/// Somebody who asks to come into a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The room's address.
    pub room: String,
    /// The room's title.
    pub title: String,
    /// Who asks.
    pub user: String,
}

/// A hook of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooked {
    /// What is typed for it.
    pub typed: String,
    /// What it is, for people.
    pub line: String,
}

/// A text that is one line to whoever copies it, however narrow the terminal is: that breaks it
/// itself, from this row on.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    /// The row that it begins in, from the terminal's first column.
    pub row: u16,
    /// The text, with nothing in it that steers a terminal.
    pub text: String,
}

/// What lies there.
#[derive(Debug)]
pub enum Panel {
    /// Text, and the first of its rows in sight.
    Help(String, usize),
    /// Who asks to come in, and which of them is chosen.
    Requests(Vec<Request>, usize),
    /// One's hooks, and which of them is chosen.
    Hooks(Vec<Hooked>, usize),
    /// An address that is shown only now, and what it is.
    Address(String, String),
}

/// What a key does with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing but what is seen.
    Stay,
    /// It is put away.
    Close,
    /// It is put away, and the key does what it does without it.
    Pass,
    /// The key does what it does without it, beneath it.
    Below,
    /// It is put away, and this line is begun.
    Begin(String),
    /// This request is answered.
    Decide(Request, bool),
}

impl Panel {
    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Act {
        let at = match self {
            Panel::Help(_, at) | Panel::Requests(_, at) | Panel::Hooks(_, at) => at,
            Panel::Address(..) if key.code == KeyCode::Esc => return Act::Close,
            // It comes while something is typed, and is not to go with the next letter.
            Panel::Address(..) => return Act::Below,
        };
        if key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
        {
            return Act::Pass;
        }
        match key.code {
            KeyCode::Up => *at = at.saturating_sub(1),
            KeyCode::Down => *at += 1,
            KeyCode::PageUp => *at = at.saturating_sub(PAGE),
            KeyCode::PageDown => *at += PAGE,
            KeyCode::Home => *at = 0,
            KeyCode::Esc | KeyCode::Enter | KeyCode::F(1 | 3 | 9) => return Act::Close,
            KeyCode::Char('q') => return Act::Close,
            KeyCode::Char(decision @ ('a' | 'r')) => {
                let Panel::Requests(requests, at) = self else {
                    return Act::Pass;
                };
                return match requests.get(*at) {
                    Some(request) => Act::Decide(request.clone(), decision == 'a'),
                    None => Act::Close,
                };
            }
            KeyCode::Char('n') if matches!(self, Panel::Hooks(..)) => {
                return Act::Begin("/hook ".to_owned());
            }
            KeyCode::Char('d') => {
                let Panel::Hooks(hooks, at) = self else {
                    return Act::Pass;
                };
                return match hooks.get(*at) {
                    Some(hook) => Act::Begin(format!("/unhook {}", hook.typed)),
                    None => Act::Stay,
                };
            }
            _ => return Act::Pass,
        }
        self.stay_inside();
        Act::Stay
    }

    /// What is chosen is one of those that there are.
    fn stay_inside(&mut self) {
        let (count, at) = match self {
            Panel::Requests(requests, at) => (requests.len(), at),
            Panel::Hooks(hooks, at) => (hooks.len(), at),
            Panel::Help(..) | Panel::Address(..) => return,
        };
        *at = (*at).min(count.saturating_sub(1));
    }

    /// Takes over who asks now, or the hooks as they are now.
    pub fn refresh(&mut self, asking: Vec<Request>, hooks: impl FnOnce() -> Vec<Hooked>) {
        match self {
            Panel::Requests(requests, _) => *requests = asking,
            Panel::Hooks(known, _) => *known = hooks(),
            Panel::Help(..) | Panel::Address(..) => return,
        }
        self.stay_inside();
    }

    /// Draws it over an area as wide as the terminal; gives what of it the terminal is to break into
    /// rows itself.
    pub fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) -> Option<Whole> {
        let (title, keys) = match self {
            Panel::Help(..) => (" help ", " Up, Down, PageUp, PageDown; Esc closes "),
            Panel::Requests(..) => (
                " requests to come in ",
                " a lets in, r refuses; Up, Down; Esc closes ",
            ),
            Panel::Hooks(..) => (" hooks ", " n new, d removes; Up, Down; Esc closes "),
            Panel::Address(..) => (" a new hook ", " Esc closes "),
        };
        let borders = match self {
            // What is copied has no border in it.
            Panel::Address(..) => Borders::TOP | Borders::BOTTOM,
            _ => Borders::ALL,
        };
        let block = Block::new().borders(borders).title(title);
        let block = block.title_bottom(keys);
        let inside = block.inner(area);
        let (columns, height) = (usize::from(inside.width), usize::from(inside.height));
        let mut whole = None;
        let rows = match self {
            Panel::Help(text, top) => {
                let lines = text.lines().flat_map(|line| {
                    wrap(&[(line.to_owned(), Style::new())], columns.max(1), INDENT)
                });
                let rows: Vec<Line<'_>> = lines.collect();
                *top = (*top).min(rows.len().saturating_sub(height));
                rows.into_iter().skip(*top).take(height).collect()
            }
            Panel::Requests(requests, _) if requests.is_empty() => {
                vec![Line::raw("nobody asks to come into a room of yours")]
            }
            Panel::Requests(requests, at) => {
                let lines = requests.iter().map(|request| {
                    let (user, title) = (safe_line(&request.user), safe_line(&request.title));
                    format!("{user} asks to come into \"{title}\"")
                });
                choice(lines, *at, columns, height)
            }
            Panel::Hooks(hooks, _) if hooks.is_empty() => {
                vec![Line::raw("you have no hooks, by which programs post")]
            }
            Panel::Hooks(hooks, at) => {
                let lines = hooks.iter().map(|hook| hook.line.clone());
                choice(lines, *at, columns, height)
            }
            Panel::Address(address, about) => {
                let rows = |text: &str| wrap(&[(text.to_owned(), Style::new())], columns.max(1), 0);
                let mut shown = rows(address);
                // One that has no room would be broken into what is below.
                whole = (shown.len() <= height).then(|| Whole {
                    row: inside.y,
                    text: address.clone(),
                });
                shown.push(Line::default());
                shown.extend(rows(about));
                shown
            }
        };
        frame.render_widget(Clear, area);
        frame.render_widget(block, area);
        frame.render_widget(Text::from(rows), inside);
        whole
    }
}

/// The lines in sight of those of which one is chosen.
fn choice(
    lines: impl Iterator<Item = String>,
    at: usize,
    columns: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let first = (at + 1).saturating_sub(height);
    let lines = lines.enumerate().skip(first).take(height);
    let lines = lines.map(|(number, line)| match number == at {
        true => {
            let style = Style::new().add_modifier(Modifier::REVERSED);
            Line::styled(cut(&line, columns), style)
        }
        false => Line::raw(cut(&line, columns)),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(panel: &mut Panel, code: KeyCode) -> Act {
        panel.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn request(user: &str) -> Request {
        Request {
            room: "room:7".to_owned(),
            title: "Garden".to_owned(),
            user: user.to_owned(),
        }
    }

    #[test]
    fn a_request_is_answered_by_one_key() {
        let mut panel = Panel::Requests(vec![request("bob"), request("eve")], 0);
        assert_eq!(
            press(&mut panel, KeyCode::Char('a')),
            Act::Decide(request("bob"), true)
        );
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        assert_eq!(
            press(&mut panel, KeyCode::Char('r')),
            Act::Decide(request("eve"), false)
        );
        panel.refresh(vec![request("bob")], Vec::new);
        assert_eq!(
            press(&mut panel, KeyCode::Char('a')),
            Act::Decide(request("bob"), true)
        );
        panel.refresh(Vec::new(), Vec::new);
        assert_eq!(press(&mut panel, KeyCode::Char('a')), Act::Close);
    }

    #[test]
    fn a_hook_is_removed_and_made_by_a_line_that_is_begun() {
        let hooked = |typed: &str| Hooked {
            typed: typed.to_owned(),
            line: format!("{typed} to common"),
        };
        let mut panel = Panel::Hooks(Vec::new(), 0);
        assert_eq!(press(&mut panel, KeyCode::Char('d')), Act::Stay);
        panel.refresh(Vec::new(), || vec![hooked("alerts"), hooked("#45")]);
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        let begun = |line: &str| Act::Begin(line.to_owned());
        assert_eq!(press(&mut panel, KeyCode::Char('d')), begun("/unhook #45"));
        assert_eq!(press(&mut panel, KeyCode::Char('n')), begun("/hook "));
        panel.refresh(Vec::new(), || vec![hooked("alerts")]);
        assert_eq!(
            press(&mut panel, KeyCode::Char('d')),
            begun("/unhook alerts")
        );
        assert_eq!(press(&mut panel, KeyCode::Char('a')), Act::Pass);
        let mut requests = Panel::Requests(Vec::new(), 0);
        assert_eq!(press(&mut requests, KeyCode::Char('d')), Act::Pass);
        assert_eq!(press(&mut requests, KeyCode::Char('n')), Act::Pass);
    }

    #[test]
    fn an_address_that_is_shown_once_stays_until_it_is_put_away() {
        let mut panel = Panel::Address("http://h:1/hooks/5f0c".to_owned(), "x".to_owned());
        for code in [KeyCode::Char('q'), KeyCode::Enter, KeyCode::F(1)] {
            assert_eq!(press(&mut panel, code), Act::Below);
        }
        assert_eq!(press(&mut panel, KeyCode::Esc), Act::Close);
    }

    #[test]
    fn help_goes_away_with_any_key_that_does_not_scroll_it() {
        let mut panel = Panel::Help("one\ntwo".to_owned(), 0);
        assert_eq!(press(&mut panel, KeyCode::PageDown), Act::Stay);
        assert_eq!(press(&mut panel, KeyCode::Esc), Act::Close);
        assert_eq!(press(&mut panel, KeyCode::F(1)), Act::Close);
        assert_eq!(press(&mut panel, KeyCode::Char('a')), Act::Pass);
        assert_eq!(press(&mut panel, KeyCode::Char('x')), Act::Pass);
    }
}
