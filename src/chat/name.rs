//! Names of users.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::invalid;
use crate::http::Problem;

/// The most characters a name has.
const LENGTH: usize = 32;

/// A valid name, in NFC, as its owner spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name: 1 to 32 letters, digits, combining marks, `_`, `-`, `.` of any script, after
    /// NFC, with at least one letter or digit; else 422 `invalid`.
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        // NFC can lengthen a string threefold at most; what is longer than that can't fit.
        let name: String = raw.nfc().take(LENGTH + 1).collect();
        let count = name.chars().count();
        if count == 0 || count > LENGTH {
            return Err(invalid(
                "name",
                format!("a name has 1 to {LENGTH} characters"),
            ));
        }
        if let Some(wrong) = name.chars().find(|c| !is_in_name(*c)) {
            return Err(invalid(
                "name",
                format!(
                    "`{}` can't be in a name; letters, digits, combining marks, `_`, `-` and `.` can",
                    wrong.escape_default()
                ),
            ));
        }
        if !name.chars().any(is_alphanumeric) {
            return Err(invalid("name", "a name needs at least one letter or digit"));
        }
        // `@me` is everybody's own notebook.
        if name.eq_ignore_ascii_case("me") {
            return Err(invalid("name", "`me` is what everybody calls themselves"));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name by which users are told apart: whatever its case, NFC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Folded(CompactString);

impl Folded {
    /// Folds a name (Unicode's full case folding, then NFC again, which folding can undo).
    pub fn of(name: &str) -> Self {
        let name: String = name.nfc().collect();
        Self(UniCase::new(name.as_str()).to_folded_case().nfc().collect())
    }
}

fn is_alphanumeric(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
        || c.general_category() == GeneralCategory::DecimalNumber
}

/// Whether a character can stand in a name.
pub fn is_in_name(c: char) -> bool {
    let is_drawn = is_alphanumeric(c) || c.general_category_group() == GeneralCategoryGroup::Mark;
    matches!(c, '_' | '-' | '.') || (is_drawn && !is_hidden(c))
}

/// Letters and marks that are not drawn (`Default_Ignorable_Code_Point` of Unicode): two names would
/// look like one, or like none.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180d}'
        | '\u{180f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken() {
        for name in [
            "ann",
            "Åsa",
            "Владимир",
            "小明",
            "नमस्ते",
            "o_o-1.x",
            "٣",
            "ǅ",
        ] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_with_nothing_to_call_or_with_other_signs_are_refused() {
        for name in [
            "",
            "_.-",
            "a b",
            "a@b",
            "a/b",
            "😀",
            "a\u{202e}b",
            "a\nb",
            "Me",
            "\u{301}",
            "ann\u{fe0f}",
            "a\u{34f}b",
            "\u{3164}",
            "\u{ffa0}",
        ] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_length_counts_characters_after_nfc() {
        let composed = "e\u{301}".repeat(32);
        assert_eq!(
            Name::parse(&composed).expect("32 characters").as_str(),
            "é".repeat(32)
        );
        assert!(Name::parse(&"é".repeat(33)).is_err());
    }

    #[test]
    fn case_and_composition_make_no_other_name() {
        for (one, other) in [
            ("ann", "ANN"),
            ("Straße", "STRASSE"),
            ("é", "E\u{301}"),
            ("σας", "ΣΑΣ"),
        ] {
            assert_eq!(Folded::of(one), Folded::of(other), "{one} {other}");
        }
    }
}
