//! What lies over the messages until it is put away: the list of keys and commands, who asks to come
//! into one's rooms, one's hooks and subscriptions, and what is shown only now, to be copied.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Clear};

use super::super::text::safe_line;
use super::wrap::{cut, width, wrap};

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

/// What of one's own is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Hooks, by which programs post.
    Hooks,
    /// Subscriptions, by which programs are told.
    Subscriptions,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What is typed for it.
    pub typed: String,
    /// What it is, for people.
    pub line: String,
}

/// What is shown only now, and to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What has it, in a word or two.
    pub of: &'static str,
    /// What is copied.
    pub text: String,
    /// What it is for.
    pub about: String,
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
    /// What one has of a kind, and which of it is chosen.
    Own(Kind, Vec<Item>, usize),
    /// What is shown only now, and the first of its rows in sight.
    Once(Once, usize),
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

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Kind::Hooks => "hooks",
            Kind::Subscriptions => "subscriptions",
        }
    }

    /// What is said where there are none.
    fn none(self) -> &'static str {
        match self {
            Kind::Hooks => "you have no hooks, by which programs post",
            Kind::Subscriptions => "you have no subscriptions, by which programs are told",
        }
    }

    /// The line that a key begins, for the one that is chosen if there is one.
    fn begins(self, key: char, chosen: Option<&Item>) -> Option<String> {
        let command = match (self, key) {
            (Kind::Hooks, 'n') => return Some("/hook ".to_owned()),
            (Kind::Subscriptions, 'n') => return Some("/subscribe ".to_owned()),
            (Kind::Hooks, 'd') => "/unhook",
            (Kind::Subscriptions, 'd') => "/unsubscribe",
            (Kind::Subscriptions, 'o') => "/resubscribe",
            _ => return None,
        };
        Some(chosen.map_or(String::new(), |item| format!("{command} {}", item.typed)))
    }
}

impl Panel {
    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Act {
        let at = match self {
            Panel::Help(_, at) | Panel::Requests(_, at) | Panel::Own(_, _, at) => at,
            Panel::Once(_, at) => match key.code {
                KeyCode::PageUp => {
                    *at = at.saturating_sub(PAGE);
                    return Act::Stay;
                }
                KeyCode::PageDown => {
                    *at += PAGE;
                    return Act::Stay;
                }
                KeyCode::Esc => return Act::Close,
                // It comes while something is typed, and is not to go with the next letter.
                _ => return Act::Below,
            },
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
            KeyCode::Char(letter) => return self.letter(letter),
            _ => return Act::Pass,
        }
        self.stay_inside();
        Act::Stay
    }

    fn letter(&self, letter: char) -> Act {
        match self {
            Panel::Requests(requests, at) if matches!(letter, 'a' | 'r') => match requests.get(*at)
            {
                Some(request) => Act::Decide(request.clone(), letter == 'a'),
                None => Act::Close,
            },
            Panel::Own(kind, items, at) => match kind.begins(letter, items.get(*at)) {
                Some(line) if line.is_empty() => Act::Stay,
                Some(line) => Act::Begin(line),
                None => Act::Pass,
            },
            _ => Act::Pass,
        }
    }

    /// What is chosen is one of those that there are.
    fn stay_inside(&mut self) {
        let (count, at) = match self {
            Panel::Requests(requests, at) => (requests.len(), at),
            Panel::Own(_, items, at) => (items.len(), at),
            Panel::Help(..) | Panel::Once(..) => return,
        };
        *at = (*at).min(count.saturating_sub(1));
    }

    /// Takes over who asks now, or what one has now.
    pub fn refresh(&mut self, asking: Vec<Request>, own: impl FnOnce(Kind) -> Vec<Item>) {
        match self {
            Panel::Requests(requests, _) => *requests = asking,
            Panel::Own(kind, known, _) => *known = own(*kind),
            Panel::Help(..) | Panel::Once(..) => return,
        }
        self.stay_inside();
    }

    fn title(&self) -> &'static str {
        match self {
            Panel::Help(..) => "help",
            Panel::Requests(..) => "requests to come in",
            Panel::Own(kind, ..) => kind.title(),
            Panel::Once(once, _) => once.of,
        }
    }

    /// What keys do, in more words and in fewer.
    fn keys(&self) -> &'static [&'static str] {
        match self {
            Panel::Help(..) => &[" Up, Down, PageUp, PageDown; Esc closes ", " Esc closes "],
            Panel::Requests(..) => &[
                " a lets in, r refuses; Up, Down; Esc closes ",
                " a yes, r no, Esc closes ",
                " a, r, Esc ",
            ],
            Panel::Own(Kind::Hooks, ..) => &[
                " n new, d removes; Up, Down; Esc closes ",
                " n new, d removes, Esc ",
                " n, d, Esc ",
            ],
            Panel::Own(Kind::Subscriptions, ..) => &[
                " n new, d ends, o tries again; Up, Down; Esc closes ",
                " n new, d ends, o again, Esc ",
                " n, d, o, Esc ",
            ],
            Panel::Once(..) => &[" Esc closes "],
        }
    }

    /// Its rows, and the first of them in sight.
    fn rows(&mut self, columns: usize, height: usize) -> (Vec<Line<'static>>, usize) {
        let columns = columns.max(1);
        let rows = |text: &str, indent| wrap(&[(text.to_owned(), Style::new())], columns, indent);
        match self {
            Panel::Help(text, top) => {
                let rows: Vec<Line<'_>> =
                    text.lines().flat_map(|line| rows(line, INDENT)).collect();
                *top = (*top).min(rows.len().saturating_sub(height));
                (rows, *top)
            }
            Panel::Requests(requests, _) if requests.is_empty() => {
                (rows("nobody asks to come into a room of yours", INDENT), 0)
            }
            Panel::Requests(requests, at) => {
                let lines = requests.iter().map(|request| {
                    let (user, title) = (safe_line(&request.user), safe_line(&request.title));
                    format!("{user} asks to come into \"{title}\"")
                });
                choice(lines, *at, columns, height)
            }
            Panel::Own(kind, items, _) if items.is_empty() => (rows(kind.none(), INDENT), 0),
            Panel::Own(_, items, at) => {
                let lines = items.iter().map(|item| item.line.clone());
                choice(lines, *at, columns, height)
            }
            Panel::Once(once, top) => {
                let mut shown = rows(&once.text, 0);
                shown.push(Line::default());
                shown.extend(rows(&once.about, 0));
                *top = (*top).min(shown.len().saturating_sub(height));
                (shown, *top)
            }
        }
    }

    /// Draws it over an area as wide as the terminal; gives what of it the terminal is to break into
    /// rows itself.
    pub fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) -> Option<Whole> {
        let borders = match self {
            // What is copied has no border in it.
            Panel::Once(..) => Borders::TOP | Borders::BOTTOM,
            _ => Borders::ALL,
        };
        let block = Block::new().borders(borders);
        let inside = block.inner(area);
        let (columns, height) = (usize::from(inside.width), usize::from(inside.height));
        let (rows, top) = self.rows(columns, height);
        let below = rows.len().saturating_sub(top + height);
        // What is out of sight is told in the border.
        let mark = |sign: &str, count: usize| match count {
            0 => String::new(),
            count => format!(" {sign} {count} more "),
        };
        let (above, below) = (mark("↑", top), mark("↓", below));
        let title = cut(
            &format!(" {} ", self.title()),
            columns.saturating_sub(width(&above)),
        );
        let room = columns.saturating_sub(width(&below));
        let fitting = self.keys().iter().find(|keys| width(keys) <= room);
        let block = block
            .title_top(title)
            .title_top(Line::raw(above).right_aligned())
            .title_bottom(fitting.copied().unwrap_or_default())
            .title_bottom(Line::raw(below).right_aligned());
        let whole = match self {
            Panel::Once(once, _) if top == 0 => {
                let rows = wrap(&[(once.text.clone(), Style::new())], columns.max(1), 0);
                // One that has no room would be broken into what is below.
                (rows.len() <= height).then(|| Whole {
                    row: inside.y,
                    text: once.text.clone(),
                })
            }
            _ => None,
        };
        let sight: Vec<Line<'_>> = rows.into_iter().skip(top).take(height).collect();
        frame.render_widget(Clear, area);
        frame.render_widget(block, area);
        frame.render_widget(Text::from(sight), inside);
        whole
    }
}

/// The rows of lines of which one is chosen, and the first in sight: that one is, as far as there is
/// room for it.
fn choice(
    lines: impl Iterator<Item = String>,
    at: usize,
    columns: usize,
    height: usize,
) -> (Vec<Line<'static>>, usize) {
    let mut rows = Vec::new();
    let mut top = 0;
    for (number, line) in lines.enumerate() {
        let style = match number == at {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        let first = rows.len();
        rows.extend(wrap(&[(line, style)], columns, INDENT));
        if number == at {
            top = first.min(rows.len().saturating_sub(height));
        }
    }
    (rows, top)
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
        panel.refresh(vec![request("bob")], |_| Vec::new());
        assert_eq!(
            press(&mut panel, KeyCode::Char('a')),
            Act::Decide(request("bob"), true)
        );
        panel.refresh(Vec::new(), |_| Vec::new());
        assert_eq!(press(&mut panel, KeyCode::Char('a')), Act::Close);
    }

    #[test]
    fn a_hook_is_removed_and_made_by_a_line_that_is_begun() {
        let hooked = |typed: &str| Item {
            typed: typed.to_owned(),
            line: format!("{typed} to common"),
        };
        let mut panel = Panel::Own(Kind::Hooks, Vec::new(), 0);
        assert_eq!(press(&mut panel, KeyCode::Char('d')), Act::Stay);
        panel.refresh(Vec::new(), |_| vec![hooked("alerts"), hooked("#45")]);
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        assert_eq!(press(&mut panel, KeyCode::Down), Act::Stay);
        let begun = |line: &str| Act::Begin(line.to_owned());
        assert_eq!(press(&mut panel, KeyCode::Char('d')), begun("/unhook #45"));
        assert_eq!(press(&mut panel, KeyCode::Char('n')), begun("/hook "));
        panel.refresh(Vec::new(), |_| vec![hooked("alerts")]);
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
    fn a_subscription_is_ended_and_switched_on_again_by_a_line_that_is_begun() {
        let item = Item {
            typed: "#31".to_owned(),
            line: "#31 common to http://h".to_owned(),
        };
        let mut panel = Panel::Own(Kind::Subscriptions, Vec::new(), 0);
        assert_eq!(press(&mut panel, KeyCode::Char('o')), Act::Stay);
        panel.refresh(Vec::new(), |kind| {
            assert_eq!(kind, Kind::Subscriptions);
            vec![item]
        });
        for (key, line) in [
            ('n', "/subscribe "),
            ('d', "/unsubscribe #31"),
            ('o', "/resubscribe #31"),
        ] {
            let begun = Act::Begin(line.to_owned());
            assert_eq!(press(&mut panel, KeyCode::Char(key)), begun);
        }
    }

    #[test]
    fn what_is_chosen_is_in_sight_whole_however_many_rows_lines_take() {
        let lines = || (0..9).map(|number| format!("{number} {}", "long ".repeat(4)));
        let per_line = choice(lines().take(1), 0, 10, 4).0.len();
        assert!(per_line > 1);
        for at in 0..9 {
            let (rows, top) = choice(lines(), at, 10, 4);
            assert_eq!(rows.len(), 9 * per_line);
            assert!(
                top <= at * per_line && top + 4 >= (at + 1) * per_line,
                "{at}"
            );
        }
        // One that is higher than there is room for is read from its beginning.
        assert_eq!(choice(lines(), 3, 10, 1).1, 3 * per_line);
    }

    #[test]
    fn an_address_that_is_shown_once_stays_until_it_is_put_away() {
        let once = Once {
            of: "a new hook",
            text: "http://h:1/hooks/5f0c".to_owned(),
            about: "x".to_owned(),
        };
        let mut panel = Panel::Once(once, 0);
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
