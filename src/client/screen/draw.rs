//! Draws the model: chats at the side, messages, what a file does, the state, the line being typed.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use std::time::Instant;

use super::super::Link;
use super::super::text::{Zone, duration, safe_line};
use super::chat::Chat;
use super::input::Input;
use super::lines::Page;
use super::model::Model;
use super::panel::Whole;
use super::wrap::{cut, width};

/// How wide the list of chats is.
const SIDE: u16 = 22;
/// The narrowest terminal that has room for it.
const WIDE: u16 = 70;
/// So many columns of the state are for what is new elsewhere, however narrow it is.
const NEW: usize = 18;
/// The most rows of the line being typed.
const INPUT: usize = 6;

/// How large the pane of messages is, in columns and rows, on a terminal of this size.
pub fn pane(area: Rect, input: &Input, model: &Model) -> Rect {
    parts(area, input, model).pane
}

struct Parts {
    body: Rect,
    side: Option<Rect>,
    pane: Rect,
    extra: Rect,
    status: Rect,
    prompt: Rect,
    input: Rect,
}

fn parts(area: Rect, input: &Input, model: &Model) -> Parts {
    let prompt_width = u16::try_from(width(&prompt(model, input, area.width))).unwrap_or(0);
    let columns = usize::from(area.width.saturating_sub(prompt_width + 1));
    let rows = u16::try_from(input.height(columns).clamp(1, INPUT)).unwrap_or(1);
    let extra = u16::from(model.progress.is_some() || extra(model, input, area.width).is_some());
    let [body, extra, status, below] = area.layout(&Layout::vertical([
        Constraint::Min(1),
        Constraint::Length(extra),
        Constraint::Length(1),
        Constraint::Length(rows),
    ]));
    let (side, pane) = if area.width >= WIDE {
        let [side, _, pane] = body.layout(&Layout::horizontal([
            Constraint::Length(SIDE),
            Constraint::Length(1),
            Constraint::Min(1),
        ]));
        (Some(side), pane)
    } else {
        (None, body)
    };
    let [prompt, input] = below.layout(&Layout::horizontal([
        Constraint::Length(prompt_width),
        Constraint::Min(1),
    ]));
    Parts {
        body,
        side,
        pane,
        extra,
        status,
        prompt,
        input,
    }
}

fn prompt(model: &Model, input: &Input, columns: u16) -> String {
    if let Some(secret) = &input.secret {
        return cut(&secret.question, usize::from(columns).saturating_sub(1));
    }
    let room = usize::from(columns / 3).saturating_sub(2);
    match model.moving() {
        None => format!("{}> ", cut(&model.chat().label, room)),
        Some(going) if going.failed => "nowhere> ".to_owned(),
        // It is not known yet where that leads.
        Some(going) => format!(
            "{}…> ",
            cut(&safe_line(&going.line), room.saturating_sub(1))
        ),
    }
}

/// What stands above the state: what keys do now, what Tab offers, what is searched for.
fn extra(model: &Model, input: &Input, columns: u16) -> Option<String> {
    if let Some(search) = input.searching() {
        return Some(format!(
            "search: {search}  (Ctrl+R older, Enter takes it, Esc leaves)"
        ));
    }
    if let Some(offers) = input.offers(columns.into()) {
        return Some(offers);
    }
    let message = model.selected()?;
    let get = if message.file.is_some() {
        " · g get the file"
    } else {
        ""
    };
    if message.from == model.me {
        return Some(format!(
            "#{}: c comment · v comments · + react · e change · d remove{get} · Esc",
            message.id
        ));
    }
    // A program reads nothing that is written to it.
    let write = match message.bot {
        true => String::new(),
        false => format!(" · r write to {}", safe_line(&message.from)),
    };
    Some(format!(
        "#{}: c comment · v comments · + react{write}{get} · x complain · Esc",
        message.id
    ))
}

/// Draws everything; `colour` is whether colours are wanted. Gives what the terminal is to break into
/// rows itself.
pub fn draw(
    frame: &mut Frame<'_>,
    model: &mut Model,
    input: &mut Input,
    zone: &Zone,
    colour: bool,
) -> Option<Whole> {
    let area = frame.area();
    let parts = parts(area, input, model);
    if let Some(side) = parts.side {
        frame.render_widget(chats(model, side), side);
        let rule = Rect::new(side.right(), side.y, 1, side.height);
        let bars =
            vec![Line::styled("│", Style::new().add_modifier(Modifier::DIM)); rule.height.into()];
        frame.render_widget(Text::from(bars), rule);
    }
    let page = Page {
        me: &model.me,
        zone,
        columns: parts.pane.width.into(),
        selected: model.selected,
    };
    let height = usize::from(parts.pane.height);
    let mut tail = tail(model, &page);
    // A message or two stay in sight above what is on its way.
    tail.drain(..tail.len().saturating_sub(height / 2));
    let (mut rows, sight) = page.sight(model.chat(), height - tail.len());
    rows.append(&mut tail);
    // The newest stand where the eye is: above the line being typed.
    let mut pane = parts.pane;
    let missing = pane
        .height
        .saturating_sub(u16::try_from(rows.len()).unwrap_or(u16::MAX));
    (pane.y, pane.height) = (pane.y + missing, pane.height - missing);
    frame.render_widget(Text::from(rows), pane);
    // What lies under something else is not in sight.
    if model.panel.is_none() {
        model.saw(sight);
    }
    if let Some(text) = extra(model, input, area.width).or_else(|| model.progress.clone()) {
        let text = cut(&text, parts.extra.width.into());
        let line = Line::styled(text, Style::new().fg(Color::Yellow));
        frame.render_widget(line, parts.extra);
    }
    let is_out = input.secret.is_some();
    let status = status(model, is_out, parts.status.width.into());
    frame.render_widget(status, parts.status);
    let label = prompt(model, input, area.width);
    frame.render_widget(
        Line::styled(label, Style::new().add_modifier(Modifier::BOLD)),
        parts.prompt,
    );
    input.draw(frame, parts.input);
    let panel = model.panel.as_mut();
    let whole = panel.and_then(|panel| panel.draw(frame, parts.body));
    if !colour {
        for cell in &mut frame.buffer_mut().content {
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
    whole
}

/// The rows of what is not there yet, below the newest of the chat that it was typed in.
fn tail(model: &Model, page: &Page<'_>) -> Vec<Line<'static>> {
    let chat = model.chat();
    if chat.bottom.is_some() {
        return Vec::new();
    }
    let now = Instant::now();
    let held = model.is_held_up(&chat.address);
    let own = model.outgoing.iter().filter(|out| out.here == chat.address);
    let own = own.flat_map(|out| page.outgoing(out, held, now));
    let moving = model.moving().into_iter();
    let held = moving.flat_map(|going| going.held.iter().map(|line| page.held(line, &going.line)));
    own.chain(held.flatten()).collect()
}

fn chats(model: &Model, area: Rect) -> Text<'static> {
    let height = usize::from(area.height);
    let columns = usize::from(area.width);
    let first = (model.at + 1).saturating_sub(height);
    let rows = model.chats.iter().enumerate().skip(first).take(height);
    let rows = rows.map(|(at, chat)| {
        let number = if at < 9 {
            format!("{} ", at + 1)
        } else {
            "  ".to_owned()
        };
        let count = unread(chat);
        let room = columns.saturating_sub(number.len() + width(&count) + 1);
        let label = cut(&chat.label, room);
        let gap = " ".repeat(columns.saturating_sub(number.len() + width(&label) + width(&count)));
        let mut style = Style::new();
        if chat.unread > 0 {
            style = style.add_modifier(Modifier::BOLD);
        }
        if chat.is_called() {
            style = style.fg(Color::Magenta);
        }
        if at == model.at {
            style = style.add_modifier(Modifier::REVERSED);
        }
        Line::styled(format!("{number}{label}{gap}{count}"), style)
    });
    Text::from(rows.collect::<Vec<_>>())
}

fn unread(chat: &Chat) -> String {
    match (chat.unread, chat.is_called()) {
        (0, _) => String::new(),
        (n, true) => format!("!{n}"),
        (n, false) => n.to_string(),
    }
}

/// The state; `is_out` where a password is asked for.
fn status(model: &Model, is_out: bool, columns: usize) -> Line<'static> {
    let now = Instant::now();
    let seconds = |at: Instant| at.saturating_duration_since(now).as_secs_f64().ceil() as u64;
    let (mark, link, colour) = match &model.link {
        _ if is_out => ("○", "signed out".to_owned(), Color::Red),
        Link::Connecting => ("○", "connecting…".to_owned(), Color::Yellow),
        Link::Up => ("●", "connected".to_owned(), Color::Green),
        Link::Lost(at, why) => {
            let (state, colour) = match model.was_up {
                true => ("offline:", Color::Red),
                false => ("connecting…", Color::Yellow),
            };
            let again = match seconds(*at) {
                0 => "trying".to_owned(),
                left => format!("again in {}", duration(left)),
            };
            ("○", format!("{state} {}, {again}", safe_line(why)), colour)
        }
    };
    let mut parts = vec![link, model.me.clone(), model.chat().label.clone()];
    if let Some((members, online)) = model.chat().people {
        parts[2].push_str(&format!(" {online}/{members} here"));
    }
    if let Some(writing) = model.typists(now) {
        parts.push(writing);
    }
    match model.failed() {
        0 => {}
        count => {
            let elsewhere = model.failed_elsewhere().join(", ");
            let place = match elsewhere.is_empty() {
                true => elsewhere,
                false => format!(" ({elsewhere})"),
            };
            parts.insert(1, format!("{count} not sent{place}"));
        }
    }
    if let Some((next, count)) = model.next_due() {
        let left = duration(seconds(next));
        parts.insert(1, format!("{count} to send in {left} (Ctrl+C takes back)"));
    }
    let chat = model.chat();
    match (chat.bottom, chat.unread) {
        _ if chat.owed != 0 => parts.insert(1, "loading…".to_owned()),
        // Whoever has gone to the end has left it out.
        (None, new) if model.leaves_out() => parts.insert(1, format!("{new} new above (Alt+U)")),
        (None, _) => {}
        (Some(_), 0) => parts.insert(1, "older messages (Ctrl+End: newest)".to_owned()),
        (Some(_), new) => parts.insert(1, format!("{new} new below (Ctrl+End: newest)")),
    }
    let others = model.chats.iter().enumerate();
    let others = others.filter(|(at, chat)| *at != model.at && chat.unread > 0);
    let others: Vec<String> = others
        .map(|(_, chat)| format!("{} {}", chat.label, unread(chat)))
        .collect();
    match model.invitations {
        0 => {}
        1 => parts.insert(1, "1 invitation (F2)".to_owned()),
        count => parts.insert(1, format!("{count} invitations (F2)")),
    }
    match model.asking {
        0 => {}
        1 => parts.insert(1, "1 asks to come in (F3)".to_owned()),
        count => parts.insert(1, format!("{count} ask to come in (F3)")),
    }
    if !model.bell {
        parts.push("bell off".to_owned());
    }
    if !others.is_empty() {
        // As far as it leaves room for the rest.
        let rest = width(&parts.join(" │ ")) + 6;
        let room = columns.saturating_sub(rest).max(NEW);
        let at = 1 + usize::from(model.invitations > 0) + usize::from(model.asking > 0);
        parts.insert(at, cut(&format!("new: {}", others.join(", ")), room));
    }
    let text = cut(
        &format!(" {}", parts.join(" │ ")),
        columns.saturating_sub(2),
    );
    let gap = " ".repeat(columns.saturating_sub(width(&text) + 2));
    let bar = Style::new().add_modifier(Modifier::REVERSED);
    Line::from(vec![
        Span::styled(format!(" {mark}"), bar.fg(colour)),
        Span::styled(format!("{text}{gap}"), bar),
    ])
}

/// Where the cursor is within an area, if it is in sight.
pub fn cursor(area: Rect, column: usize, row: usize) -> Option<Position> {
    let x = area.x.checked_add(u16::try_from(column).ok()?)?;
    let y = area.y.checked_add(u16::try_from(row).ok()?)?;
    let place = Position::new(x.min(area.right().saturating_sub(1)), y);
    area.contains(place).then_some(place)
}

#[cfg(test)]
mod tests;
