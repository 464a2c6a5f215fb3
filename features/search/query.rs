//! What somebody types to find something.

use super::{Phrase, Problem, invalid, words};

/// The longest question, in characters.
const LONGEST: usize = 256;

/// The most words and phrases in one.
const MOST: usize = 16;

/// The fewest letters of a word's beginning.
const BEGINNING: usize = 2;

/// A question.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    /// All of these stand in what is looked for.
    pub all: Vec<Phrase>,
    /// None of these does.
    pub none: Vec<Phrase>,
    /// Who wrote it: `from:NAME`.
    pub from: Option<String>,
    /// Where: `in:ADDRESS`.
    pub chat: Option<String>,
}

/// A piece of what was typed.
struct Term<'a> {
    text: &'a str,
    is_not: bool,
    is_quoted: bool,
}

/// Reads a question; what can't be one is 422.
pub fn parse(typed: &str) -> Result<Asked, Problem> {
    if typed.chars().count() > LONGEST {
        let detail = format!("the search has at most {LONGEST} characters");
        return Err(invalid("q", detail));
    }
    let mut asked = Asked::default();
    for term in split(typed)? {
        if let Some(name) = modifier(&term, "from:") {
            asked.from = Some(name);
        } else if let Some(address) = modifier(&term, "in:") {
            asked.chat = Some(address);
        } else {
            asked.add(&term)?;
        }
    }
    if asked.all.len() + asked.none.len() > MOST {
        let detail = format!("the search has at most {MOST} words and phrases");
        return Err(invalid("q", detail));
    }
    if asked.all.is_empty() {
        let detail = if asked.none.is_empty() {
            "the search has no word, number or emoji to look for"
        } else {
            "the search says only what not to find: it needs a word that stands in it"
        };
        return Err(invalid("q", detail));
    }
    Ok(asked)
}

fn modifier(term: &Term<'_>, name: &str) -> Option<String> {
    let begins = term.text.get(..name.len())?.eq_ignore_ascii_case(name);
    let value = term.text.get(name.len()..)?;
    (begins && !term.is_not && !term.is_quoted && !value.is_empty()).then(|| value.to_owned())
}

/// Splits at white space, but not between quotes.
fn split(typed: &str) -> Result<Vec<Term<'_>>, Problem> {
    let mut terms = Vec::new();
    let mut rest = typed.trim_start();
    while !rest.is_empty() {
        let is_not = rest.starts_with('-');
        let body = if is_not { &rest[1..] } else { rest };
        let quote = body
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\u{201c}' | '\u{201e}'));
        let (text, after) = match quote {
            Some(quote) => {
                let body = &body[quote.len_utf8()..];
                let end = body.find(['"', '\u{201c}', '\u{201d}']);
                let end = end.ok_or_else(|| invalid("q", "a quote in the search has no end"))?;
                let closing = body[end..].chars().next().map_or(0, char::len_utf8);
                (&body[..end], &body[end + closing..])
            }
            None => body.split_at(body.find(char::is_whitespace).unwrap_or(body.len())),
        };
        terms.push(Term {
            text,
            is_not,
            is_quoted: quote.is_some(),
        });
        rest = after.trim_start();
    }
    Ok(terms)
}

impl Asked {
    fn add(&mut self, term: &Term<'_>) -> Result<(), Problem> {
        let found = words(term.text);
        // A script without spaces is found by any part of it as it is.
        let is_word = found.last().is_some_and(|word| !word.alone);
        let prefix = !term.is_quoted && is_word && term.text.ends_with('*');
        if prefix
            && found
                .last()
                .is_some_and(|word| word.text.chars().count() < BEGINNING)
        {
            let detail = format!("before `*` stand at least {BEGINNING} letters of a word");
            return Err(invalid("q", detail));
        }
        // Signs alone are nothing to look for.
        if !found.is_empty() {
            let words = found.into_iter().map(|word| word.text).collect();
            let phrases = if term.is_not {
                &mut self.none
            } else {
                &mut self.all
            };
            phrases.push(Phrase { words, prefix });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(words: &str, prefix: bool) -> Phrase {
        let words = words.split(' ').map(str::to_owned).collect();
        Phrase { words, prefix }
    }

    fn refused(typed: &str) -> String {
        let problem = parse(typed).expect_err("no question");
        assert_eq!((problem.status.as_u16(), &*problem.code), (422, "invalid"));
        problem.detail.to_string()
    }

    #[test]
    fn words_phrases_what_not_and_beginnings() {
        let asked =
            parse("Lunch \"Next Week\" -friday -\"not this\" dep* e-mail").expect("a question");
        let all = [
            phrase("lunch", false),
            phrase("next week", false),
            phrase("dep", true),
            phrase("e mail", false),
        ];
        assert_eq!(asked.all, all);
        assert_eq!(
            asked.none,
            [phrase("friday", false), phrase("not this", false)]
        );
    }

    #[test]
    fn from_and_in_say_who_and_where() {
        let asked = parse("from:Ann in:@bob hello FROM: \"from:x\"").expect("a question");
        assert_eq!(asked.from.as_deref(), Some("Ann"));
        assert_eq!(asked.chat.as_deref(), Some("@bob"));
        let all = [
            phrase("hello", false),
            phrase("from", false),
            phrase("from x", false),
        ];
        assert_eq!(asked.all, all);
    }

    #[test]
    fn nothing_that_is_typed_means_anything_else() {
        for typed in ["a OR b AND (NEAR", "x:y ^z {w} + /", "a* OR b\u{0}"] {
            let asked = parse(&typed.replace("a*", "aa*")).expect("a question");
            assert!(asked.none.is_empty(), "{typed}");
        }
        assert_eq!(parse("or").expect("a word").all, [phrase("or", false)]);
        let quoted = parse("\u{201e}so nicht\u{201c} \u{201c}like this\u{201d}").expect("quotes");
        assert_eq!(
            quoted.all,
            [phrase("so nicht", false), phrase("like this", false)]
        );
        let asked = parse("東京* 👍").expect("signs");
        assert_eq!(asked.all, [phrase("東 京", false), phrase("👍", false)]);
    }

    #[test]
    fn what_can_t_be_looked_for_is_refused_in_words() {
        assert!(refused("").contains("no word"));
        assert!(refused(" -- ... !").contains("no word"));
        assert!(refused("-lunch").contains("only what not"));
        assert!(refused("\"lunch").contains("no end"));
        assert!(refused("a*").contains("2 letters"));
        assert!(refused(&"x".repeat(257)).contains("256"));
        assert!(refused(&"ab ".repeat(17)).contains("16"));
    }
}
