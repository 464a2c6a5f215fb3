//! Lays text out by the columns that it takes: what stands together stays together, and nothing is
//! wider than its place.

use ratatui::buffer::CellWidth as _;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(columns_of).sum()
}

/// The columns of one character as people see it. What steers a terminal is drawn nowhere.
fn columns_of(one: &str) -> usize {
    match one.contains(char::is_control) {
        true => 0,
        false => one.cell_width().into(),
    }
}

/// The beginning of a text that fits in so many columns, with an ellipsis where something is cut.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for one in text.graphemes(true) {
        used += columns_of(one);
        if used + 1 > columns {
            break;
        }
        out.push_str(one);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

struct Piece<'a> {
    text: &'a str,
    style: Style,
    width: usize,
}

/// Breaks styled text into lines of at most `columns`, those after the first indented by `indent`.
/// Breaks stand after blanks, or, in a word that is too long, between two characters.
pub fn wrap(spans: &[(String, Style)], columns: usize, indent: usize) -> Vec<Line<'static>> {
    let indent = if indent * 2 > columns { 0 } else { indent };
    let pieces: Vec<Piece<'_>> = spans
        .iter()
        .flat_map(|(text, style)| {
            text.graphemes(true).map(|one| Piece {
                text: one,
                style: *style,
                width: columns_of(one),
            })
        })
        .collect();
    let mut lines = Vec::new();
    let mut begin = 0;
    while begin < pieces.len() || lines.is_empty() {
        let room = columns.saturating_sub(if lines.is_empty() { 0 } else { indent });
        let end = line_end(&pieces[begin..], room.max(1)) + begin;
        let line = line(
            &pieces[begin..end],
            if lines.is_empty() { 0 } else { indent },
        );
        lines.push(line);
        begin = end;
        // The blanks that a line breaks at are nowhere.
        while begin < pieces.len() && pieces[begin].text == " " {
            begin += 1;
        }
    }
    lines
}

/// How many pieces are on the next line.
fn line_end(pieces: &[Piece<'_>], room: usize) -> usize {
    let mut used = 0;
    let mut blank = None;
    for (at, piece) in pieces.iter().enumerate() {
        used += piece.width;
        if used > room {
            if piece.text == " " {
                return at;
            }
            // A word that no line has room for begins where it stands.
            let begun = blank.unwrap_or(0);
            let word = pieces[begun..].iter().take_while(|piece| piece.text != " ");
            let fits = word.map(|piece| piece.width).sum::<usize>() <= room;
            // One piece that is wider than the place is there nevertheless, and is cut.
            return blank.filter(|_| fits).unwrap_or(at.max(1));
        }
        if piece.text == " " {
            blank = Some(at + 1);
        }
    }
    pieces.len()
}

fn line(pieces: &[Piece<'_>], indent: usize) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if indent > 0 {
        spans.push(Span::raw(" ".repeat(indent)));
    }
    let begin = spans.len();
    for piece in pieces {
        match spans[begin..].last_mut() {
            Some(span) if span.style == piece.style => span.content.to_mut().push_str(piece.text),
            _ => spans.push(Span::styled(piece.text.to_owned(), piece.style)),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, columns: usize, indent: usize) -> Vec<String> {
        wrap(&[(text.to_owned(), Style::new())], columns, indent)
            .iter()
            .map(|line| line.to_string().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(lines("one two three", 8, 0), ["one two", "three"]);
        assert_eq!(lines("one two three", 9, 2), ["one two", "  three"]);
        assert_eq!(lines("abcdefgh", 3, 0), ["abc", "def", "gh"]);
        assert_eq!(lines("a bcdefgh i", 4, 0), ["a bc", "defg", "h i"]);
        assert_eq!(lines("", 3, 0), [""]);
        assert_eq!(lines("abc   def", 3, 0), ["abc", "def"]);
    }

    #[test]
    fn a_character_takes_the_columns_that_a_terminal_gives_it() {
        for (text, columns) in [
            ("abc", 3),
            ("漢字", 4),
            ("e\u{301}", 1),
            ("👍", 2),
            ("שלום", 4),
            ("\u{1b}\u{7}", 0),
        ] {
            assert_eq!(width(text), columns, "{text:?}");
        }
        assert_eq!(cut("漢字漢字", 5), "漢字…");
    }

    #[test]
    fn nothing_is_wider_than_its_place() {
        for text in [
            "漢字漢字漢字 漢字",
            "👨‍👩‍👧‍👦 family 👍🏽 ok 🇩🇪🇫🇷",
            "e\u{301}e\u{301}e\u{301}e\u{301} z\u{337}\u{322}\u{334}\u{321}",
            "שלום עולם، مرحبا بالعالم",
            "a\u{200b}b\u{feff}c",
        ] {
            for columns in 2..20 {
                for line in lines(text, columns, 2) {
                    assert!(width(&line) <= columns, "{columns}: {line:?}");
                }
                let cut = cut(text, columns);
                assert!(width(&cut) <= columns, "{columns}: {cut:?}");
            }
            let all: String = lines(text, 4, 0).concat();
            let without_blanks = |text: &str| text.replace(' ', "");
            assert_eq!(without_blanks(&all), without_blanks(text));
        }
    }
}
