//! The words of a text, as they are looked for: of any script, whatever their case and accents.
//!
//! A word is a run of letters and digits. Scripts that put no spaces between words (Chinese,
//! Japanese, Thai, Khmer and others) and Korean, whose words take endings, give each letter as a
//! word of its own: letters beside each other are a phrase, so that any part of a sentence is
//! found. So does each emoji and other sign beyond ASCII. Case is folded, compatible forms are one
//! (NFKD), and the marks of Latin, Greek, Cyrillic, Hebrew and Arabic letters are left away.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

/// The number of these rules: an index made by others is made anew.
pub(super) const RULES: u32 = 1;

/// The longest word, in characters. What is longer is several, one after another.
const LONGEST: usize = 64;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is looked for.
    pub text: String,
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
    /// Whether it is one letter of a script without spaces, or a sign.
    pub alone: bool,
}

/// Words in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The words, as [`words`] gives them.
    pub words: Vec<String>,
    /// Whether the last one is only the beginning of a word.
    pub prefix: bool,
}

impl Phrase {
    /// Where it stands in a text's words: the index of the first word of each place. It takes one
    /// look at each word, however often the phrase begins (Knuth, Morris and Pratt's way).
    pub fn places<'a>(&'a self, text: &'a [Word]) -> impl Iterator<Item = usize> + 'a {
        let beginning = self.words.last().filter(|_| self.prefix);
        let whole = &self.words[..self.words.len() - usize::from(beginning.is_some())];
        let back = borders(whole);
        let mut fits = 0;
        let ends = (0..=text.len()).filter_map(move |at| {
            if whole.is_empty() {
                return Some(at);
            }
            let word = &text.get(at.checked_sub(1)?)?.text;
            while fits > 0 && whole.get(fits) != Some(word) {
                fits = back[fits - 1];
            }
            fits += usize::from(whole.get(fits) == Some(word));
            (fits == whole.len()).then_some(at)
        });
        ends.filter(move |end| {
            beginning.is_none_or(|beginning| {
                let next = text.get(*end);
                next.is_some_and(|word| word.text.starts_with(beginning))
            })
        })
        .map(|end| end - whole.len())
    }

    /// Whether it stands in a text.
    pub fn is_in(&self, text: &[Word]) -> bool {
        self.places(text).next().is_some()
    }
}

/// Of each beginning of a phrase, how many of its last words are its first ones, too.
fn borders(words: &[String]) -> Vec<usize> {
    let mut borders = vec![0; words.len()];
    let mut fits = 0;
    for at in 1..words.len() {
        while fits > 0 && words[fits] != words[at] {
            fits = borders[fits - 1];
        }
        fits += usize::from(words[fits] == words[at]);
        borders[at] = fits;
    }
    borders
}

/// The words of a text, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut run = Run::default();
    if text.is_ascii() {
        // Most texts in most places: nothing of it can be folded but its case.
        for (at, byte) in text.bytes().enumerate() {
            if byte.is_ascii_alphanumeric() {
                run.add(byte.to_ascii_lowercase().into(), at..at + 1, &mut words);
            } else {
                run.end(&mut words);
            }
        }
    } else {
        for (at, cluster) in text.grapheme_indices(true) {
            let place = at..at + cluster.len();
            let mut is_between = true;
            for c in fold(cluster) {
                is_between = false;
                if stands_alone(c) {
                    run.end(&mut words);
                    words.push(Word {
                        text: c.into(),
                        at: place.clone(),
                        alone: true,
                    });
                } else {
                    run.add(c, place.clone(), &mut words);
                }
            }
            if is_between {
                run.end(&mut words);
            }
        }
    }
    run.end(&mut words);
    words
}

/// A word in the making.
#[derive(Default)]
struct Run {
    text: String,
    count: usize,
    at: Range<usize>,
}

impl Run {
    fn add(&mut self, c: char, at: Range<usize>, words: &mut Vec<Word>) {
        if self.count == LONGEST {
            self.end(words);
        }
        if self.count == 0 {
            self.at.start = at.start;
        }
        self.at.end = at.end;
        self.text.push(c);
        self.count += 1;
    }

    fn end(&mut self, words: &mut Vec<Word>) {
        if self.count == 0 {
            return;
        }
        self.count = 0;
        let text = std::mem::take(&mut self.text);
        let at = self.at.clone();
        words.push(Word {
            text,
            at,
            alone: false,
        });
    }
}

/// What counts of what people see as one character: none of it where it stands between words.
fn fold(cluster: &str) -> impl Iterator<Item = char> {
    let plain = cluster.nfkd().filter(|c| !is_left_away(*c));
    let folded = plain.flat_map(char::to_uppercase);
    let folded = folded.flat_map(char::to_lowercase);
    // An upper-case letter may come apart, as the dotted I does.
    let folded: String = folded.filter(|c| !is_left_away(*c)).nfc().collect();
    let counts: Vec<char> = folded.chars().filter(|c| counts(*c)).collect();
    counts.into_iter()
}

/// Marks that many leave away when they type, and what only says how a sign is drawn.
fn is_left_away(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'      // Latin, Greek, Cyrillic
        | '\u{591}'..='\u{5c7}'    // Hebrew points
        | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' // Arabic
        | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether a character is part of a word, or one by itself.
fn counts(c: char) -> bool {
    match c.general_category_group() {
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Mark => true,
        // The index's own tokenizer splits at those of ASCII.
        GeneralCategoryGroup::Symbol => !c.is_ascii(),
        _ => false,
    }
}

/// Whether a character is a word by itself.
fn stands_alone(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    let no_spaces = matches!(c,
        '\u{e00}'..='\u{eff}'         // Thai, Lao
        | '\u{f00}'..='\u{fff}'       // Tibetan
        | '\u{1000}'..='\u{109f}'     // Myanmar
        | '\u{1100}'..='\u{11ff}'     // Hangul
        | '\u{1780}'..='\u{17ff}'     // Khmer
        | '\u{1950}'..='\u{19df}'     // Tai Le, New Tai Lue
        | '\u{1a20}'..='\u{1aaf}'     // Tai Tham
        | '\u{2e80}'..='\u{318f}'     // radicals, kana, Bopomofo, Hangul
        | '\u{31a0}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}' // Han, Yi
        | '\u{a960}'..='\u{a97f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}'
        | '\u{ac00}'..='\u{d7ff}'     // Hangul
        | '\u{f900}'..='\u{faff}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}');
    no_spaces || c.general_category_group() == GeneralCategoryGroup::Symbol
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    fn finds(wanted: &str, text: &str) -> bool {
        let phrase = Phrase {
            words: texts(wanted),
            prefix: false,
        };
        phrase.is_in(&words(text))
    }

    #[test]
    fn words_are_what_stands_between_signs_whatever_their_case_and_accents() {
        assert_eq!(texts("Hello, World-42_x!"), ["hello", "world", "42", "x"]);
        assert_eq!(
            texts("Ça coûte 5€ à Straße"),
            ["ca", "coute", "5", "€", "a", "strasse"]
        );
        assert_eq!(texts("Ёлка и Йод"), ["елка", "и", "иод"]);
        assert_eq!(texts("ΟΔΟΣ οδός"), ["οδοσ", "οδοσ"]);
        assert_eq!(texts("ﬁne İstanbul"), ["fine", "istanbul"]);
        assert_eq!(texts("e\u{301}te\u{301}"), ["ete"]);
        assert_eq!(texts("  ...  "), [""; 0]);
    }

    #[test]
    fn any_part_of_a_text_without_spaces_is_found() {
        assert!(finds("京", "東京都に住む"));
        assert!(finds("京都", "東京都に住む"));
        assert!(!finds("東都", "東京都に住む"));
        assert!(finds("학교", "학교에서"));
        assert!(finds("ไทย", "ภาษาไทยง่าย"));
        assert!(finds("ガ", "ｶﾞｽ"), "half width");
        assert!(!finds("か", "が"), "a mark that makes another letter");
        assert!(finds("v2", "東京v2です"));
        assert!(finds(
            "한글",
            "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"
        ));
    }

    #[test]
    fn emoji_are_words_however_they_are_drawn() {
        assert!(finds("👍", "ok 👍🏽!"));
        assert!(finds("❤", "I❤️you"));
        assert!(finds("🎉", "done🎉🎉"));
        assert!(!finds("🎉", "done"));
    }

    #[test]
    fn each_says_where_it_stands() {
        let text = "Über 東京";
        let at: Vec<_> = words(text).into_iter().map(|word| &text[word.at]).collect();
        assert_eq!(at, ["Über", "東", "京"]);
    }

    #[test]
    fn what_is_long_is_several() {
        let long = "a".repeat(150);
        let lengths: Vec<_> = words(&long).iter().map(|word| word.at.clone()).collect();
        assert_eq!(lengths, [0..64, 64..128, 128..150]);
        assert!(finds(&long, &format!("x {long} y")));
    }

    #[test]
    fn a_phrase_is_found_where_it_overlaps_itself() {
        let places = |wanted: &str, text: &str| {
            let phrase = Phrase {
                words: texts(wanted),
                prefix: false,
            };
            let text = words(text);
            phrase.places(&text).collect::<Vec<_>>()
        };
        assert_eq!(places("a b a", "a b a b a c a b a"), [0, 2, 6]);
        assert_eq!(places("a a b", "a a a b a a"), [1]);
        assert_eq!(places("a", "a b a"), [0, 2]);
        assert_eq!(places("a b c", "a b"), [0; 0]);
        let many = "ab ".repeat(20_000);
        let begun = std::time::Instant::now();
        assert!(!finds(&("ab ".repeat(5_000) + "zz"), &many));
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn a_beginning_is_only_that_of_the_last_word() {
        let phrase = Phrase {
            words: texts("new dep"),
            prefix: true,
        };
        assert!(phrase.is_in(&words("a new deployment")));
        assert!(!phrase.is_in(&words("newer deployment")));
        assert_eq!(phrase.places(&words("new dep, new depot")).count(), 2);
    }
}
