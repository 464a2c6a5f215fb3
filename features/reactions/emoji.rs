//! What is one emoji, and its one spelling: the sequences of Unicode's report on emoji (UTS 51), by their
//! form and not by a list of them, so that those of next year's keyboards are some, too.

use veche::prelude::*;

/// An emoji has so many bytes at most: a couple with two skin tones has 35.
const LONGEST: usize = 64;
/// Asks for the picture where a character is shown as text by default.
const PICTURE: char = '\u{fe0f}';
const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
/// The flag that tags make that of a part of a country.
const FLAG: char = '\u{1f3f4}';
const END_OF_TAGS: char = '\u{e007f}';

/// An emoji as it is always written: with its variation selectors, and in its own colour of skin. None where
/// it is something else, or more than one.
pub fn spelt(text: &str) -> Option<String> {
    let bare: Vec<char> = text.chars().filter(|one| *one != PICTURE).collect();
    if !is_one(&bare) {
        return None;
    }
    let mut emoji = String::with_capacity(text.len());
    for (place, one) in bare.iter().enumerate() {
        emoji.push(*one);
        let next = bare.get(place + 1);
        let is_toned = next.is_some_and(|next| is_tone(*next));
        if next == Some(&KEYCAP) || (is_text(*one) && !is_toned) {
            emoji.push(PICTURE);
        }
    }
    (emoji.len() <= LONGEST).then_some(emoji)
}

fn is_one(bare: &[char]) -> bool {
    match bare {
        [first, second] if is_regional(*first) => is_regional(*second),
        [key, KEYCAP] => matches!(key, '0'..='9' | '#' | '*'),
        [FLAG, tags @ .., END_OF_TAGS] => {
            // Those of a region and of a part of it, as in `gbeng`.
            let is_tag =
                |one: &char| matches!(one, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
            (3..=6).contains(&tags.len()) && tags.iter().all(is_tag)
        }
        _ => bare.split(|one| *one == JOINER).all(|part| match part {
            [one] => is_picture(*one),
            [one, tone] => takes_tone(*one) && is_tone(*tone),
            _ => false,
        }),
    }
}

fn is_regional(one: char) -> bool {
    matches!(one, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_tone(one: char) -> bool {
    one.emoji_status() == EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
}

fn takes_tone(one: char) -> bool {
    let status = one.emoji_status();
    let is_base = status == EmojiStatus::EmojiModifierBase;
    is_base || status == EmojiStatus::EmojiPresentationAndModifierBase
}

/// Whether it is shown as text where nothing asks for the picture. Digits, which are so in a keycap
/// alone, are none.
fn is_text(one: char) -> bool {
    let status = one.emoji_status();
    status == EmojiStatus::EmojiOther || status == EmojiStatus::EmojiModifierBase
}

/// Whether it is an emoji by itself.
fn is_picture(one: char) -> bool {
    one.is_emoji_char() && !one.is_ascii() && !is_regional(one) && !is_tone(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_has_one_spelling_however_it_is_written() {
        for (written, emoji) in [
            ("👍", "👍"),
            ("👍\u{fe0f}", "👍"),
            ("❤", "❤\u{fe0f}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("\u{fe0f}❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}"),
            ("©", "©\u{fe0f}"),
            ("ℹ", "ℹ\u{fe0f}"),
            // With a skin tone it is a picture without being asked.
            ("👍🏽", "👍🏽"),
            ("👍\u{fe0f}🏽", "👍🏽"),
            ("☝", "☝\u{fe0f}"),
            ("☝🏽", "☝🏽"),
            ("☝\u{fe0f}🏽", "☝🏽"),
            // Keycaps.
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
            ("#\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}"),
            ("*\u{20e3}", "*\u{fe0f}\u{20e3}"),
            // Flags: of countries, of parts of them, and others.
            ("🇩🇪", "🇩🇪"),
            (
                "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
                "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            ),
            ("🏴\u{200d}☠", "🏴\u{200d}☠\u{fe0f}"),
            ("🏳\u{200d}🌈", "🏳\u{fe0f}\u{200d}🌈"),
            // People, joined.
            ("👩\u{200d}❤\u{200d}👨", "👩\u{200d}❤\u{fe0f}\u{200d}👨"),
            ("👨🏽\u{200d}🦰", "👨🏽\u{200d}🦰"),
            ("🕵\u{200d}♀", "🕵\u{fe0f}\u{200d}♀\u{fe0f}"),
            ("🕵🏿\u{200d}♀", "🕵🏿\u{200d}♀\u{fe0f}"),
            (
                "👨\u{200d}👩\u{200d}👧\u{200d}👦",
                "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            ),
        ] {
            assert_eq!(spelt(written).as_deref(), Some(emoji), "{written}");
            assert_eq!(spelt(emoji).as_deref(), Some(emoji), "{written}, again");
        }
    }

    #[test]
    fn what_is_no_emoji_is_none() {
        let family = ["👩🏽"; 6].join("\u{200d}");
        assert_eq!(spelt(&family), Some(family.clone()), "63 bytes");
        for text in [
            "",
            "a",
            "1",
            "#",
            "*",
            "12",
            "1\u{fe0f}",
            "a\u{20e3}",
            "\u{20e3}",
            "👍👍",
            "👍 ",
            " 👍",
            "👍a",
            "👍\u{301}",
            "🏽",
            "🏽🏽",
            "👍🏽🏽",
            "🎉🏽",
            "\u{fe0f}",
            // The other selector asks for text.
            "❤\u{fe0e}",
            "🇩",
            "🇩🇪🇩",
            "🇩🇪🇩🇪",
            "🇩👍",
            "👍🇩",
            "\u{200d}",
            "👍\u{200d}",
            "\u{200d}👍",
            "👩\u{200d}\u{200d}👨",
            "👩\u{200d}a",
            "👩\u{200d}1",
            // Tags: without an end, without anything, of another, and with more than a region has.
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}",
            "🏴\u{e007f}",
            "👍\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e0065}\u{e006e}\u{e007f}",
            "🏴\u{e0020}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "thumbsup",
            "©©",
            &["👩🏽"; 7].join("\u{200d}"),
        ] {
            assert_eq!(spelt(text), None, "{text}");
        }
    }
}
