//! What Tab completes: commands, names, chats and paths.

use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::commands::{Spec, Takes, specs};
use super::offers::Offer;
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
    /// What stands at `pos` of the line may become, and where that begins. A word that is whole
    /// has a blank after it.
    pub fn pairs(&self, line: &str, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let rest = line.get(pos..).unwrap_or_default();
        let end = match rest.starts_with(' ') {
            true => "",
            false => " ",
        };
        let specs = || specs(|feature| self.session.has_feature(feature));
        if let Some(quote) = path(typed, specs()) {
            let (start, mut pairs) = self.paths.complete_path(line, pos)?;
            for pair in &mut pairs {
                // A folder goes on.
                if !pair.replacement.ends_with(std::path::MAIN_SEPARATOR) {
                    pair.replacement.extend(quote);
                    pair.replacement.push_str(end);
                }
            }
            return Ok((start, pairs));
        }
        let offers = |takes, beginning: &str| self.session.offers(takes, beginning);
        let (start, offered) = candidates(typed, specs, &offers);
        let pair = |offer: Offer| Pair {
            display: safe_line(&offer.shown),
            replacement: format!("{}{end}", offer.typed),
        };
        Ok((start, offered.into_iter().map(pair).collect()))
    }
}

/// What the argument of the typed command is, and where it begins.
fn argument(typed: &str, mut specs: impl Iterator<Item = &'static Spec>) -> Option<(Takes, usize)> {
    let (command, rest) = typed.split_once(' ')?;
    let spec = specs.find(|spec| spec.name == command)?;
    Some((spec.takes, typed.len() - rest.trim_start().len()))
}

/// Whether a path is typed, and the quote that it is begun with.
fn path(typed: &str, specs: impl Iterator<Item = &'static Spec>) -> Option<Option<char>> {
    let (takes, at) = argument(typed, specs)?;
    let argument = &typed[at..];
    let path = match takes {
        Takes::Path => argument,
        // Where it is saved stands after what it is.
        Takes::File => argument.split_once(' ')?.1.trim_start(),
        _ => return None,
    };
    let quote = path.chars().next().filter(|c| matches!(c, '"' | '\''));
    // One whose quotes are closed is whole, and a text follows.
    let open = quote.filter(|quote| path.matches(*quote).count() % 2 == 1);
    (quote.is_none() || open.is_some()).then_some(open)
}

/// What the last word may become, and where it begins: a command at the beginning of the line, what
/// a command takes, a name anywhere in a text, and after an `@` also in a command.
fn candidates<S: Iterator<Item = &'static Spec>>(
    typed: &str,
    specs: impl Fn() -> S,
    offers: &dyn Fn(Takes, &str) -> Vec<Offer>,
) -> (usize, Vec<Offer>) {
    let start = typed
        .char_indices()
        .rfind(|(_, c)| c.is_whitespace())
        .map_or(0, |(at, c)| at + c.len_utf8());
    let word = &typed[start..];
    if start == 0 && word.starts_with('/') {
        let names = specs().map(|spec| spec.name);
        let fits = |name: &&str| name.starts_with(word);
        let names = names.filter(fits).map(str::to_owned);
        return (start, names.map(Offer::plain).collect());
    }
    let called = |takes, beginning: &str| {
        let names = offers(takes, beginning).into_iter();
        names.map(|offer| Offer::plain(format!("@{}", offer.typed)))
    };
    let argument = argument(typed, specs());
    let name = word.strip_prefix('@');
    match (argument, name) {
        // A title may have blanks.
        (Some((Takes::Chat | Takes::Invite, at)), None) => {
            let takes = argument.map_or(Takes::Chat, |(takes, _)| takes);
            (at, offers(takes, &typed[at..]))
        }
        (Some((Takes::Reaction, at)), None) if typed[at..start].split_whitespace().count() == 1 => {
            (start, offers(Takes::Emoji, word))
        }
        // The chat follows the name or the URL, and may have blanks.
        (Some((Takes::Bot | Takes::Url, at)), _) if at < start => {
            let name = typed[at..].find(char::is_whitespace).unwrap_or_default();
            let rest = typed[at + name..].trim_start();
            (typed.len() - rest.len(), offers(Takes::Place, rest))
        }
        (Some((Takes::Recipient, at)), _) if at == start => {
            let beginning = name.unwrap_or(word);
            (start, called(Takes::Recipient, beginning).collect())
        }
        (Some((takes, at)), None) if at == start => (start, offers(takes, word)),
        (Some((takes, at)), Some(beginning)) if at == start && takes.is_name() => {
            (start, called(takes, beginning).collect())
        }
        (_, Some(beginning)) => (start, called(Takes::Name, beginning).collect()),
        _ if word.is_empty() || typed.starts_with('/') => (start, Vec::new()),
        _ => (start, offers(Takes::Name, word)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Reply, folder, serve, session};
    use super::*;
    use serde_json::json;

    fn complete(typed: &str) -> (usize, Vec<String>) {
        let offers = |takes: Takes, beginning: &str| {
            let all: &[&str] = match takes {
                Takes::Chat => &["The Garden", "The Attic", "common", "Cellar"],
                Takes::Invite => &["The Roof"],
                Takes::Place => &["common", "@me", "The Garden"],
                Takes::Bot | Takes::Hook => &["alerts"],
                Takes::Member => &["ann"],
                Takes::Message | Takes::Reaction => &["812"],
                Takes::Emoji => &["👍", "👀"],
                Takes::Text | Takes::Path | Takes::Url => &[],
                _ => &["ann", "Anna", "боб"],
            };
            let fits = |one: &&&str| one.to_lowercase().starts_with(&beginning.to_lowercase());
            let fitting = all.iter().filter(fits);
            fitting.map(|one| Offer::plain((*one).to_owned())).collect()
        };
        let specs = || {
            specs(|feature| ["reactions", "rooms", "subscriptions", "webhooks"].contains(&feature))
        };
        let (start, offered) = candidates(typed, specs, &offers);
        (
            start,
            offered.into_iter().map(|offer| offer.typed).collect(),
        )
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
        assert_eq!(complete("/msg бо"), (5, words(&["@боб"])));
        assert_eq!(
            complete("/msg @боб hi @a"),
            ("/msg @боб hi ".len(), words(&["@ann", "@Anna"]))
        );
        assert_eq!(complete("привет @zz"), ("привет ".len(), Vec::new()));
        assert_eq!(complete("/invite an"), (8, words(&["ann", "Anna"])));
        assert_eq!(complete("/kick @"), (6, words(&["@ann"])));
        assert_eq!(complete("/kick "), (6, words(&["ann"])));
        assert!(complete("/invite ann an").1.is_empty());
        assert!(complete("hello").1.is_empty());
        assert_eq!(complete("hi an"), (3, words(&["ann", "Anna"])));
        assert!(complete("hi ").1.is_empty());
    }

    #[test]
    fn a_chat_is_completed_by_its_title_blanks_and_all() {
        assert_eq!(complete("/to c"), (4, words(&["common", "Cellar"])));
        assert_eq!(complete("/to the g"), (4, words(&["The Garden"])));
        assert_eq!(complete("/join the"), (6, words(&["The Roof"])));
    }

    #[test]
    fn a_hook_has_a_name_and_then_a_chat_blanks_and_all() {
        assert_eq!(complete("/hook al"), (6, words(&["alerts"])));
        assert_eq!(complete("/hook alerts @"), (13, words(&["@me"])));
        assert_eq!(complete("/hook alerts the g"), (13, words(&["The Garden"])));
        let all = words(&["common", "@me", "The Garden"]);
        assert_eq!(complete("/hook  alerts  "), (15, all));
        assert_eq!(complete("/unhook "), (8, words(&["alerts"])));
        let typed = "/subscribe http://h/x the g";
        assert_eq!(complete(typed), (22, words(&["The Garden"])));
    }

    #[test]
    fn a_message_and_then_an_emoji_are_completed_for_a_reaction() {
        assert_eq!(complete("/react 8"), (7, words(&["812"])));
        assert_eq!(complete("/react 812 "), (11, words(&["👍", "👀"])));
        assert_eq!(complete("/unreact 812 👀"), (13, words(&["👀"])));
        assert!(complete("/react 812 👍 ").1.is_empty());
    }

    #[test]
    fn the_argument_of_a_command_is_known_by_what_the_command_takes() {
        let all = || specs(|_| true);
        assert_eq!(argument("/file a", all()), Some((Takes::Path, 6)));
        assert_eq!(argument("/file  ", all()), Some((Takes::Path, 7)));
        assert_eq!(argument("/file", all()), None);
        assert_eq!(argument("say /file a", all()), None);
        for (typed, expected) in [
            ("/file a", Some(None)),
            ("/file \"my c", Some(Some('"'))),
            ("/file \"my cat\" lo", None),
            ("/get 812", None),
            ("/get 812 ca", Some(None)),
            ("/kick a", None),
        ] {
            assert_eq!(path(typed, all()), expected, "{typed}");
        }
    }

    #[test]
    fn a_blank_follows_what_is_whole_and_no_folder() {
        let folder = folder();
        std::fs::create_dir(folder.path().join("cats")).unwrap();
        for name in ["cats/tom.png", "my cat.png"] {
            std::fs::write(folder.path().join(name), "meow").unwrap();
        }
        let answer = json!({"server": {"features": ["files"]}, "user": {"name": "ann"}});
        let session = session(&serve(move |_| Reply::Json(200, answer.clone())));
        let completion = Completion::new(Arc::new(session));
        let complete = |typed: &str| {
            let typed = typed.replace('~', &folder.path().display().to_string());
            let (start, pairs) = completion.pairs(&typed, typed.len()).unwrap();
            let pair = pairs.first().unwrap();
            format!("{}{}", &typed[..start], pair.replacement)
                .replace(&folder.path().display().to_string(), "~")
        };
        assert_eq!(complete("/file ~/ca"), "/file ~/cats/");
        assert_eq!(complete("/file ~/cats/t"), "/file ~/cats/tom.png ");
        assert_eq!(complete("/file \"~/my"), "/file \"~/my cat.png\" ");
        assert_eq!(complete("/his"), "/history ");
        let line = "/his 20";
        let (_, pairs) = completion.pairs(line, 4).unwrap();
        assert_eq!(pairs[0].replacement, "/history", "there is a blank already");
    }
}
