//! The rows of a chat as they are drawn, and which of them are in sight.

use std::time::Instant;

use jiff::Timestamp;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::super::commands::reaction_line;
use super::super::render::{Attached, Comment, Message, PROGRAM};
use super::super::text::{Zone, duration, mentions, safe_line, safe_lines, size};
use super::chat::{Chat, Entry, Key, Loaded};
use super::model::Model;
use super::outgoing::{Outgoing, Stage};
use super::reading::Sight;
use super::wrap::{width, wrap};

/// From this width on a message shows its number.
const NUMBERS: usize = 50;
/// Where the further rows of a message begin: after its time.
const INDENT: usize = 6;
/// Where those of something told begin: after its mark.
const TOLD: usize = 2;
/// Readable on dark and on light ground, and none of them taken for a warning.
const NAMES: [Color; 5] = [
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Cyan,
    Color::LightBlue,
];

/// For whom rows are made, and how wide.
pub struct Page<'a> {
    /// The user's own name.
    pub me: &'a str,
    /// The zone of the times.
    pub zone: &'a Zone,
    /// How many columns there are.
    pub columns: usize,
    /// The message that keys are for.
    pub selected: Option<u64>,
}

/// More rows than any chat has.
pub const FAR: isize = isize::MAX / 4;

type Spans = Vec<(String, Style)>;

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The colour of a name.
pub fn name_style(name: &str) -> Style {
    let sum = name.chars().fold(0usize, |sum, c| {
        sum.wrapping_mul(31).wrapping_add(c as usize)
    });
    Style::new()
        .fg(NAMES[sum % NAMES.len()])
        .add_modifier(Modifier::BOLD)
}

impl Page<'_> {
    fn civil(&self, at: &str) -> Option<jiff::civil::DateTime> {
        Some(self.zone.civil(at.parse::<Timestamp>().ok()?))
    }

    fn head(&self, id: u64, at: &str) -> Spans {
        let clock = self.civil(at).map(|at| at.strftime("%H:%M ").to_string());
        let mut head = clock.unwrap_or_else(|| "--:-- ".to_owned());
        if self.columns >= NUMBERS {
            head.push_str(&format!("#{id} "));
        }
        vec![(head, dim())]
    }

    /// A rule across the page with a word in it.
    fn rule(&self, word: &str, style: Style) -> Line<'static> {
        let dashes = self.columns.saturating_sub(width(word) + 2);
        let left = dashes / 2;
        let text = format!("{} {word} {}", "─".repeat(left), "─".repeat(dashes - left));
        Line::styled(super::wrap::cut(&text, self.columns), style)
    }

    /// What is written, line by line: after `head`, and indented by so much below it.
    fn text(
        &self,
        indent: usize,
        mut head: Spans,
        text: &str,
        style: Style,
        tail: Spans,
    ) -> Vec<Line<'static>> {
        let lines = safe_lines(text);
        let last = lines.len() - 1;
        let mut rows = Vec::new();
        for (number, line) in lines.into_iter().enumerate() {
            let mut spans = match number {
                0 => std::mem::take(&mut head),
                _ => vec![(" ".repeat(indent), Style::new())],
            };
            spans.push((line, style));
            if number == last {
                spans.extend(tail.iter().cloned());
            }
            rows.extend(wrap(&spans, self.columns, indent));
        }
        rows
    }

    fn message(&self, message: &Message) -> Vec<Line<'static>> {
        let mut head = self.head(message.id, &message.at);
        head.push((safe_line(&message.from), name_style(&message.from)));
        if message.bot {
            head.push((PROGRAM.to_owned(), dim()));
        }
        head.push((": ".to_owned(), Style::new()));
        let called = message.from != self.me && mentions(&message.text, self.me);
        let style = match called {
            true => Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD),
            false => Style::new(),
        };
        let mut tail = Vec::new();
        if let Some(file) = &message.file {
            let blank = if message.text.is_empty() { "" } else { " " };
            let about = format!("{blank}[{}]", about(file));
            tail.push((about, Style::new().fg(Color::Cyan)));
        }
        if message.edited.is_some() {
            tail.push((" (edited)".to_owned(), dim()));
        }
        match message.comments {
            0 => {}
            1 => tail.push((" (1 comment)".to_owned(), dim())),
            n => tail.push((format!(" ({n} comments)"), dim())),
        }
        let mut rows = self.text(INDENT, head, &message.text, style, tail);
        if !message.reactions.is_empty() {
            let blank = (" ".repeat(INDENT), Style::new());
            let spans = [blank, (reaction_line(&message.reactions), dim())];
            rows.extend(wrap(&spans, self.columns, INDENT));
        }
        rows
    }

    fn comment(&self, comment: &Comment) -> Vec<Line<'static>> {
        let mut head = self.head(comment.id, &comment.at);
        head.push(("↳ ".to_owned(), dim()));
        head.push((safe_line(&comment.from), name_style(&comment.from)));
        head.push((format!(" on #{}: ", comment.message), dim()));
        self.text(INDENT, head, &comment.text, Style::new(), Vec::new())
    }

    /// The rows of a line, with what stands between it and the one before.
    fn rows(&self, chat: &Chat, key: Key, entry: &Entry) -> Vec<Line<'static>> {
        let mut rows = Vec::new();
        if let Some(at) = time(entry).and_then(|at| self.civil(at)) {
            let mut before = chat.lines.range(..key).rev();
            let last = before.find_map(|(_, entry)| time(entry));
            let last = last.and_then(|at| self.civil(at));
            if last.is_none_or(|last| last.date() != at.date()) {
                let day = at.strftime("%A, %-d %B %Y").to_string();
                rows.push(self.rule(&day, dim()));
            }
        }
        if chat.fresh == Some(key.0) && key.1 == 0 {
            rows.push(self.rule("new", Style::new().fg(Color::Red)));
        }
        let lines = match entry {
            Entry::Message(message) => self.message(message),
            Entry::Comment(comment) => self.comment(comment),
            Entry::Note { text, bad } => {
                let (mark, style) = match bad {
                    true => ("! ", Style::new().fg(Color::Red)),
                    false => ("· ", dim()),
                };
                self.text(
                    TOLD,
                    vec![(mark.to_owned(), style)],
                    text,
                    style,
                    Vec::new(),
                )
            }
        };
        let is_selected = self.selected == Some(key.0) && key.1 == 0;
        let style = match is_selected {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        rows.extend(lines.into_iter().map(|line| line.patch_style(style)));
        if let Some(gap) = chat.gap_behind(key) {
            let more = match chat.missing(gap, self.me) {
                Some(missing) => format!("{missing} more"),
                None => "more".to_owned(),
            };
            rows.push(self.rule(&more, dim()));
        }
        rows
    }

    /// The rows of a post that is not there yet; `held` where another one of its chat waits for its
    /// time.
    pub fn outgoing(&self, out: &Outgoing, held: bool, now: Instant) -> Vec<Line<'static>> {
        let (mark, tail, style) = match &out.stage {
            Stage::Queued if held => {
                let tail = "sent after the one above (Ctrl+C takes it back)".to_owned();
                ("… ", tail, Style::new().fg(Color::Yellow))
            }
            Stage::Queued | Stage::Sending => ("… ", "sending…".to_owned(), dim()),
            Stage::Later(at) => {
                let left = at.saturating_duration_since(now).as_secs_f64().ceil() as u64;
                let tail = format!("sent in {} (Ctrl+C takes it back)", duration(left));
                ("… ", tail, Style::new().fg(Color::Yellow))
            }
            Stage::Barred => {
                let tail = "sent when you are signed in (Ctrl+C takes it back)".to_owned();
                ("… ", tail, Style::new().fg(Color::Yellow))
            }
            Stage::Failed(why) => {
                let why = safe_line(why);
                let tail = format!("not sent: {why} (Enter sends it again, Ctrl+C takes it back)");
                ("! ", tail, Style::new().fg(Color::Red))
            }
        };
        let head = vec![
            (mark.to_owned(), style),
            (safe_line(self.me), dim()),
            (": ".to_owned(), dim()),
        ];
        let text = match out.post.line() {
            line if line.is_empty() => "[a file]".to_owned(),
            line => line,
        };
        self.text(TOLD, head, &text, dim(), vec![(format!("  {tail}"), style)])
    }

    /// The rows of a line that waits until it is known where a command leads.
    pub fn held(&self, line: &str, command: &str) -> Vec<Line<'static>> {
        let style = Style::new().fg(Color::Yellow);
        let command = safe_line(command);
        let tail = format!("  goes where {command} leads (Ctrl+C takes it back)");
        self.text(
            TOLD,
            vec![("… ".to_owned(), style)],
            line,
            dim(),
            vec![(tail, style)],
        )
    }

    /// The rows in sight, at most `height` of them, and what of the chat that is.
    pub fn sight(&self, chat: &Chat, height: usize) -> (Vec<Line<'static>>, Sight) {
        let (end, below) = chat.bottom.unwrap_or(((u64::MAX, u32::MAX), 0));
        let mut rows: Vec<Line<'static>> = Vec::new();
        let mut skip = below;
        let mut sight = Sight {
            top: 0,
            bottom: 0,
            gap: None,
            is_top: true,
        };
        for (key, entry) in chat.lines.range(..=end).rev() {
            if rows.len() == height {
                sight.is_top = false;
                break;
            }
            let all = self.rows(chat, *key, entry);
            let skipped = skip.min(all.len());
            skip -= skipped;
            if skipped == all.len() {
                continue;
            }
            if skipped == 0 {
                sight.gap = sight.gap.or(chat.gap_behind(*key));
                // Of what is cut the end was not seen.
                sight.bottom = sight.bottom.max(key.0);
            }
            sight.top = key.0;
            let room = height - rows.len();
            sight.is_top &= all.len() - skipped <= room;
            rows.extend(all.into_iter().rev().skip(skipped).take(room));
        }
        rows.reverse();
        (rows, sight)
    }

    /// Each line with where its rows end.
    fn ends(&self, chat: &Chat) -> Vec<(Key, usize)> {
        let mut end = 0;
        let ends = chat.lines.iter().map(|(key, entry)| {
            end += self.rows(chat, *key, entry).len();
            (*key, end)
        });
        ends.collect()
    }
}

/// The row below the last one in sight, counted from the beginning.
fn foot(ends: &[(Key, usize)], bottom: Option<(Key, usize)>) -> usize {
    let total = ends.last().map_or(0, |(_, end)| *end);
    let Some((key, below)) = bottom else {
        return total;
    };
    let end = ends.iter().rev().find(|(known, _)| *known <= key);
    end.map_or(0, |(_, end)| end.saturating_sub(below))
}

/// Shows the chat with that row as the last one in sight; gives which it is.
fn stand(model: &mut Model, ends: &[(Key, usize)], foot: usize, height: usize) -> usize {
    let total = ends.last().map_or(0, |(_, end)| *end);
    let foot = foot.clamp(height.min(total), total);
    model.chat_mut().bottom = match ends.iter().find(|(_, end)| *end >= foot) {
        Some((key, end)) if foot < total => Some((*key, end - foot)),
        _ => None,
    };
    // Whoever scrolls to where something is missing asks for it once more.
    model.chat_mut().failed = false;
    if foot <= height {
        model.want_older();
    }
    foot
}

/// Where scrolling from `foot` to `wanted` stops: at a row behind which something is missing, from
/// whichever side it is come to.
fn stop(model: &Model, ends: &[(Key, usize)], foot: usize, wanted: usize, height: usize) -> usize {
    let chat = model.chat();
    let mut gaps = ends
        .iter()
        .filter(|(key, _)| chat.gap_behind(*key).is_some());
    if wanted > foot {
        let below = gaps.find(|(_, end)| *end >= foot);
        return below.map_or(wanted, |(_, end)| wanted.min(*end));
    }
    let above = gaps.rfind(|(_, end)| end + height <= foot + 1);
    above.map_or(wanted, |(_, end)| wanted.max(end + height - 1))
}

/// Shows a chat that was just opened from where the unread begins, or its end where all of that is
/// in sight there.
pub fn arrive(model: &mut Model, zone: &Zone, (columns, height): (usize, usize)) {
    if !std::mem::take(&mut model.chat_mut().arriving) {
        return;
    }
    let page = page(&model.me, zone, columns);
    let ends = page.ends(model.chat());
    let fresh = model.chat().fresh;
    let at = ends
        .iter()
        .position(|(key, _)| Some(*key) == fresh.map(|id| (id, 0)));
    let Some(at) = at else {
        return;
    };
    let begin = at.checked_sub(1).map_or(0, |at| ends[at].1);
    stand(model, &ends, begin + height, height);
}

/// Moves what is in sight by so many rows, up where they are less than none; [`FAR`] of them lead to the
/// end. Where something is missing on the way the rest is owed until that is there.
pub fn scroll(model: &mut Model, zone: &Zone, (columns, height): (usize, usize), by: isize) {
    let page = page(&model.me, zone, columns);
    let ends = page.ends(model.chat());
    let foot = foot(&ends, model.chat().bottom);
    let owed = std::mem::take(&mut model.chat_mut().owed);
    let by = match by {
        0 => owed,
        // What is read on the way down is to be seen.
        _ if by < 0 && owed < 0 => by.saturating_add(owed).max(-FAR),
        by => by,
    };
    let wanted = foot.saturating_add_signed(by);
    if by == -FAR && !model.chat().whole {
        model.chat_mut().failed = false;
        model.want_first();
        model.chat_mut().owed = by;
        return;
    }
    let stopped = match by.abs() {
        FAR => wanted,
        _ => stop(model, &ends, foot, wanted, height),
    };
    let stood = stand(model, &ends, stopped, height);
    let is_held = stopped != wanted || (by < 0 && !model.chat().whole);
    if is_held && model.chat().loaded == Loaded::Yes {
        let moved = isize::try_from(stood).unwrap_or(FAR) - isize::try_from(foot).unwrap_or(FAR);
        model.chat_mut().owed = by - moved;
    }
}

/// Brings the selected message in sight.
pub fn show_selected(model: &mut Model, zone: &Zone, (columns, height): (usize, usize)) {
    let page = page(&model.me, zone, columns);
    let ends = page.ends(model.chat());
    let Some(id) = model.selected else {
        model.chat_mut().bottom = None;
        return;
    };
    let Some(at) = ends.iter().position(|(key, _)| *key == (id, 0)) else {
        return;
    };
    let (begin, end) = (at.checked_sub(1).map_or(0, |at| ends[at].1), ends[at].1);
    let mut foot = foot(&ends, model.chat().bottom).max(end);
    if begin + height < foot {
        foot = begin + height;
    }
    stand(model, &ends, foot, height);
}

fn page<'a>(me: &'a str, zone: &'a Zone, columns: usize) -> Page<'a> {
    // A borrow of the whole model would not let it be changed afterwards.
    Page {
        me,
        zone,
        columns,
        selected: None,
    }
}

/// A file as people read it.
fn about(file: &Attached) -> String {
    let mut about = safe_line(&file.name);
    if !file.kind.is_empty() {
        about.push_str(&format!(", {}", safe_line(&file.kind)));
    }
    format!("{about}, {}", size(file.size))
}

fn time(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Message(message) => Some(&message.at),
        Entry::Comment(comment) => Some(&comment.at),
        Entry::Note { .. } => None,
    }
}
