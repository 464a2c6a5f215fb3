//! What lies over the messages until it is put away: the list of keys and commands, and who asks to
//! come into one's rooms.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear};

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

/// What lies there.
#[derive(Debug)]
pub enum Panel {
    /// Text, and the first of its rows in sight.
    Help(String, usize),
    /// Who asks to come in, and which of them is chosen.
    Requests(Vec<Request>, usize),
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
    /// This request is answered.
    Decide(Request, bool),
}

impl Panel {
    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Act {
        if key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
        {
            return Act::Pass;
        }
        let at = match self {
            Panel::Help(_, top) => top,
            Panel::Requests(_, at) => at,
        };
        match key.code {
            KeyCode::Up => *at = at.saturating_sub(1),
            KeyCode::Down => *at += 1,
            KeyCode::PageUp => *at = at.saturating_sub(PAGE),
            KeyCode::PageDown => *at += PAGE,
            KeyCode::Home => *at = 0,
            KeyCode::Esc | KeyCode::Enter | KeyCode::F(1 | 3) => return Act::Close,
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
            _ => return Act::Pass,
        }
        if let Panel::Requests(requests, at) = self {
            *at = (*at).min(requests.len().saturating_sub(1));
        }
        Act::Stay
    }

    /// Takes over who asks now.
    pub fn refresh(&mut self, asking: Vec<Request>) {
        if let Panel::Requests(requests, at) = self {
            *at = (*at).min(asking.len().saturating_sub(1));
            *requests = asking;
        }
    }

    /// Draws it over an area.
    pub fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let (title, keys) = match self {
            Panel::Help(..) => (" help ", " Up, Down, PageUp, PageDown; Esc closes "),
            Panel::Requests(..) => (
                " requests to come in ",
                " a lets in, r refuses; Up, Down; Esc closes ",
            ),
        };
        let block = Block::bordered().title(title).title_bottom(keys);
        let inside = block.inner(area);
        let (columns, height) = (usize::from(inside.width), usize::from(inside.height));
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
                let first = (*at + 1).saturating_sub(height);
                let rows = requests.iter().enumerate().skip(first).take(height);
                let rows = rows.map(|(number, request)| {
                    let (user, title) = (safe_line(&request.user), safe_line(&request.title));
                    let line = cut(&format!("{user} asks to come into \"{title}\""), columns);
                    match number == *at {
                        true => Line::styled(line, Style::new().add_modifier(Modifier::REVERSED)),
                        false => Line::raw(line),
                    }
                });
                rows.collect()
            }
        };
        frame.render_widget(Clear, area);
        frame.render_widget(block, area);
        frame.render_widget(Text::from(rows), inside);
    }
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
        panel.refresh(vec![request("bob")]);
        assert_eq!(
            press(&mut panel, KeyCode::Char('a')),
            Act::Decide(request("bob"), true)
        );
        panel.refresh(Vec::new());
        assert_eq!(press(&mut panel, KeyCode::Char('a')), Act::Close);
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
