//! What Tab completes: commands, names, chats and paths.

use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::commands::{Spec, Takes, specs};
use super::session::Session;
use super::text::safe_line;

/// Completes what a session knows.
pub struct Completion {
    session: Arc<Session>,
    paths: FilenameCompleter,
}

impl Completion {
    /// The completion of that session's lines.
    pub fn new(session: Arc<Session>) -> Completion {
        Completion {
            session,
            paths: FilenameCompleter::new(),
        }
    }
}

impl Helper for Completion {}
impl Validator for Completion {}
impl Highlighter for Completion {}

impl Hinter for Completion {
    type Hint = String;

    /// Hints at nothing, but is told of each change of the line.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.session.here.typing(!line.is_empty());
        None
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.pairs(line, pos)
    }
}

impl Completion {
    /// What stands at `pos` of the line may become, and where that begins.
    pub fn pairs(&self, line: &str, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let specs = || specs(|feature| self.session.has_feature(feature));
        if let Some((Takes::Path, _)) = argument(typed, specs()) {
            return self.paths.complete_path(line, pos);
        }
        let known = Known {
            names: &|beginning| self.session.names(beginning),
            titles: &|beginning| self.session.titles(beginning),
        };
        let (start, words) = candidates(typed, specs, &known);
        let pair = |word: String| Pair {
            display: safe_line(&word),
            replacement: format!("{word} "),
        };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

/// What can be looked up by its beginning.
struct Known<'a> {
    names: &'a dyn Fn(&str) -> Vec<String>,
    titles: &'a dyn Fn(&str) -> Vec<String>,
}

/// What the argument of the typed command is, and where it begins.
fn argument(typed: &str, mut specs: impl Iterator<Item = &'static Spec>) -> Option<(Takes, usize)> {
    let (command, rest) = typed.split_once(' ')?;
    let spec = specs.find(|spec| spec.name == command)?;
    Some((spec.takes, typed.len() - rest.trim_start().len()))
}

/// What the last word may become, and where it begins: a command at the beginning of the line, what
/// a command takes, a name anywhere in a text, and after an `@` also in a command.
fn candidates<S: Iterator<Item = &'static Spec>>(
    typed: &str,
    specs: impl Fn() -> S,
    known: &Known<'_>,
) -> (usize, Vec<String>) {
    let start = typed
        .char_indices()
        .rfind(|(_, c)| c.is_whitespace())
        .map_or(0, |(at, c)| at + c.len_utf8());
    let word = &typed[start..];
    if let Some(beginning) = word.strip_prefix('@') {
        let names = (known.names)(beginning).into_iter();
        return (start, names.map(|name| format!("@{name}")).collect());
    }
    if start == 0 && word.starts_with('/') {
        let names = specs().map(|spec| spec.name);
        let fits = |name: &&str| name.starts_with(word);
        return (start, names.filter(fits).map(str::to_owned).collect());
    }
    match argument(typed, specs()) {
        Some((Takes::Name, at)) if at == start => (start, (known.names)(word)),
        // A title may have blanks.
        Some((Takes::Chat, at)) => {
            let mut words = (known.titles)(&typed[at..]);
            if at == start && "common".starts_with(word) {
                words.insert(0, "common".to_owned());
            }
            (at, words)
        }
        _ if word.is_empty() || typed.starts_with('/') => (start, Vec::new()),
        _ => (start, (known.names)(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(typed: &str) -> (usize, Vec<String>) {
        let from = |all: [&str; 3], beginning: &str| {
            let all = all.map(str::to_owned).into_iter();
            all.filter(|one| one.to_lowercase().starts_with(&beginning.to_lowercase()))
                .collect()
        };
        let known = Known {
            names: &|beginning| from(["ann", "Anna", "боб"], beginning),
            titles: &|beginning| from(["The Garden", "The Attic", "Cellar"], beginning),
        };
        let specs = || specs(|feature| feature == "rooms");
        candidates(typed, specs, &known)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_command_is_completed_at_the_beginning_and_where_the_server_has_it() {
        assert_eq!(complete("/his"), (0, words(&["/history"])));
        assert_eq!(complete("/roo"), (0, words(&["/room", "/rooms"])));
        assert!(complete("/comm").1.is_empty());
        assert!(complete("see /his").1.is_empty());
        assert!(complete("//").1.is_empty());
    }

    #[test]
    fn a_name_is_completed_anywhere_and_without_its_sign_where_a_command_takes_one() {
        assert_eq!(complete("hi @an"), (3, words(&["@ann", "@Anna"])));
        assert_eq!(complete("/msg @бо"), (5, words(&["@боб"])));
        assert_eq!(complete("привет @zz"), ("привет ".len(), Vec::new()));
        assert_eq!(complete("/invite an"), (8, words(&["ann", "Anna"])));
        assert!(complete("/invite ann an").1.is_empty());
        assert!(complete("hello").1.is_empty());
        assert_eq!(complete("hi an"), (3, words(&["ann", "Anna"])));
        assert!(complete("hi ").1.is_empty());
    }

    #[test]
    fn a_chat_is_completed_by_its_title_blanks_and_all() {
        assert_eq!(complete("/to c"), (4, words(&["common", "Cellar"])));
        assert_eq!(complete("/to the g"), (4, words(&["The Garden"])));
    }

    #[test]
    fn the_argument_of_a_command_is_known_by_what_the_command_takes() {
        let all = || specs(|_| true);
        assert_eq!(argument("/file a", all()), Some((Takes::Path, 6)));
        assert_eq!(argument("/file  ", all()), Some((Takes::Path, 7)));
        assert_eq!(argument("/file", all()), None);
        assert_eq!(argument("say /file a", all()), None);
    }
}
