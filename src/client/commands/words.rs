//! How arguments are read.

use super::Wrong;
use crate::client::naming;

/// The first word and what follows it, without the white space between.
pub fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

/// The address of a chat, or the beginning of a room's.
pub fn address(word: &str) -> Result<String, Wrong> {
    let may_begin = word.strip_prefix("room:").is_some_and(|id| !id.is_empty());
    if may_begin || is_address(word) {
        Ok(word.to_owned())
    } else {
        Err(Wrong::Because(format!(
            "\"{word}\" is no chat: write common, @NAME or room:ID"
        )))
    }
}

/// Whether that is written as a whole address is.
pub fn is_address(word: &str) -> bool {
    let known = word == "common"
        || word.strip_prefix('@').is_some_and(|name| !name.is_empty())
        || naming::is_whole(word);
    known && !word.contains(char::is_whitespace)
}

/// The id of a message, with or without `#`.
pub fn message_id(word: &str) -> Result<u64, Wrong> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    digits.parse().map_err(|_| Wrong::Usage)
}

/// A user's name, written with or without `@`, and nothing after it.
pub fn name(rest: &str) -> Result<String, Wrong> {
    let (word, more) = split(rest);
    let name = word.strip_prefix('@').unwrap_or(word);
    if name.is_empty() || !more.is_empty() {
        return Err(Wrong::Usage);
    }
    Ok(name.to_owned())
}

/// Nothing at all.
pub fn nothing(rest: &str) -> Result<(), Wrong> {
    if rest.trim().is_empty() {
        Ok(())
    } else {
        Err(Wrong::Usage)
    }
}

/// A path, in quotes or with backslashes where it has white space, and what follows it.
pub fn path(text: &str) -> Result<(String, &str), Wrong> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inside = quote.map_or(text, |quote| &text[quote.len_utf8()..]);
    let mut path = String::new();
    let mut chars = inside.char_indices();
    let mut end = None;
    while let Some((at, c)) = chars.next() {
        match c {
            c if Some(c) == quote => {
                end = Some(at + c.len_utf8());
                break;
            }
            c if quote.is_none() && c.is_whitespace() => {
                end = Some(at);
                break;
            }
            '\\' if quote != Some('\'') => match chars.next() {
                Some((_, escaped)) => path.push(escaped),
                None => path.push('\\'),
            },
            c => path.push(c),
        }
    }
    if path.is_empty() || (quote.is_some() && end.is_none()) {
        return Err(Wrong::Usage);
    }
    Ok((path, inside[end.unwrap_or(inside.len())..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_stands_in_quotes_or_has_backslashes() {
        for (text, expected, rest) in [
            ("a.png", "a.png", ""),
            ("a.png  see this ", "a.png", "see this"),
            ("my\\ cat.png look", "my cat.png", "look"),
            ("\"my cat.png\" look", "my cat.png", "look"),
            ("'my \\cat.png'", "my \\cat.png", ""),
            ("\"a\\\"b\" c", "a\"b", "c"),
            ("it\\'s", "it's", ""),
            ("фото.png ё", "фото.png", "ё"),
            ("a\\", "a\\", ""),
        ] {
            assert_eq!(path(text), Ok((expected.to_owned(), rest)), "{text}");
        }
        for wrong in ["", "  ", "\"open", "''"] {
            assert_eq!(path(wrong), Err(Wrong::Usage), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_taken_with_and_without_its_sign() {
        assert_eq!(name("bob"), Ok("bob".to_owned()));
        assert_eq!(name(" @Боб "), Ok("Боб".to_owned()));
        for wrong in ["", "@", "bob eve"] {
            assert_eq!(name(wrong), Err(Wrong::Usage), "{wrong}");
        }
    }
}
