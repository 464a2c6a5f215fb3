//! The piece of a text where words stand, and how well it fits.

use std::ops::Range;

use super::{JsonSchema, Phrase, Serialize, Word, words};

/// About how much of a text is shown, in characters, and how much of it before the first hit.
const LENGTH: usize = 160;
const BEFORE: usize = 40;

/// A part of a piece of text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Piece {
    /// What stands there.
    pub text: String,
    /// Whether it is what was looked for.
    pub hit: bool,
}

/// Where what is looked for stands, in bytes, in order and apart from each other.
fn hits(text: &[Word], all: &[Phrase]) -> Vec<Range<usize>> {
    let place = |phrase: &Phrase, first: usize| {
        let last = first + phrase.words.len().max(1) - 1;
        text[first].at.start..text[last].at.end
    };
    let mut found: Vec<_> = all
        .iter()
        .flat_map(|phrase| phrase.places(text).map(move |first| place(phrase, first)))
        .collect();
    found.sort_unstable_by_key(|hit| (hit.start, hit.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for hit in found {
        match apart.last_mut() {
            Some(last) if hit.start <= last.end => last.end = last.end.max(hit.end),
            _ => apart.push(hit),
        }
    }
    apart
}

/// A piece of a text, from a little before the first hit on, with the hits marked.
pub fn snippet(text: &str, all: &[Phrase]) -> Vec<Piece> {
    let words = words(text);
    let hits = hits(&words, all);
    let first = hits.first().map_or(0, |hit| hit.start);
    let (start, end) = cut(text, &words, first);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut put = |text: &str, hit: bool| {
        if !text.is_empty() {
            let text = text.to_owned();
            pieces.push(Piece { text, hit });
        }
    };
    if start > 0 {
        put("\u{2026}", false);
    }
    let mut at = start;
    for hit in hits.into_iter().filter(|hit| hit.start < end) {
        put(&text[at..hit.start], false);
        at = hit.end.min(end);
        put(&text[hit.start..at], true);
    }
    put(&text[at..end], false);
    if end < text.len() {
        put("\u{2026}", false);
    }
    pieces
}

/// Where the piece begins and ends: at a word, if one is near.
fn cut(text: &str, words: &[Word], first: usize) -> (usize, usize) {
    let back = text[..first].char_indices().rev().nth(BEFORE - 1);
    let earliest = back.map_or(0, |(at, _)| at);
    let start = if earliest == 0 {
        0
    } else {
        let begin = words.iter().map(|word| word.at.start);
        let mut begin = begin.filter(|begin| (earliest..=first).contains(begin));
        begin.next().unwrap_or(earliest)
    };
    let forth = text[start..].char_indices().nth(LENGTH);
    let end = forth.map_or(text.len(), |(at, _)| start + at);
    (start, end)
}

/// How well a text fits: more hits in fewer words are better, and so is a word that is whole.
pub fn score(text: &str, all: &[Phrase]) -> u64 {
    let words = words(text);
    let weight = |phrase: &Phrase| {
        let whole = Phrase {
            prefix: false,
            ..phrase.clone()
        };
        // Repeating a word makes a text no better without end.
        let count = phrase.places(&words).count().min(4) + whole.places(&words).count().min(4);
        count as u64
    };
    let sum: u64 = all.iter().map(weight).sum();
    sum * 10_000 / (words.len() as u64 + 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(asked: &str) -> Vec<Phrase> {
        super::super::query::parse(asked).expect("a question").all
    }

    fn shown(text: &str, asked: &str) -> String {
        let pieces = snippet(text, &phrases(asked));
        let mark = |piece: &Piece| {
            if piece.hit {
                format!("[{}]", piece.text)
            } else {
                piece.text.clone()
            }
        };
        pieces.iter().map(mark).collect()
    }

    #[test]
    fn what_was_looked_for_is_marked_in_the_text_as_it_was_written() {
        assert_eq!(
            shown("Das Café am Eck, cafés", "cafe"),
            "Das [Café] am Eck, cafés"
        );
        assert_eq!(
            shown("Das Café am Eck, cafés", "cafe*"),
            "Das [Café] am Eck, [cafés]"
        );
        assert_eq!(shown("東京都に住む", "京都"), "東[京都]に住む");
        assert_eq!(
            shown("to be or not to be", "\"to be\""),
            "[to be] or not [to be]"
        );
        assert_eq!(shown("a b c d", "\"a b\" \"b c\""), "[a b c] d");
        assert_eq!(shown("ok 👍🏽", "👍"), "ok [👍🏽]");
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_hit_at_words() {
        let text = format!("{} needle {}", "before ".repeat(50), "after ".repeat(50));
        let cut = shown(&text, "needle");
        assert!(cut.starts_with("\u{2026}before before"), "{cut}");
        assert!(cut.contains(" [needle] after"), "{cut}");
        assert!(
            cut.ends_with('\u{2026}') && cut.chars().count() < 170,
            "{cut}"
        );
        let one = "長".repeat(500) + "短" + &"長".repeat(500);
        assert!(shown(&one, "短").contains("[短]"));
    }

    #[test]
    fn more_hits_in_fewer_words_fit_better() {
        let all = phrases("dep*");
        let score = |text: &str| score(text, &all);
        assert!(score("dep") > score("deploy"));
        assert!(score("dep dep") > score("dep"));
        assert!(score("dep") > score(&format!("dep {}", "and so on ".repeat(50))));
        assert!(score("dep up") > 0);
    }
}
