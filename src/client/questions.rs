//! What a user is asked on a terminal before there is a session.

use std::borrow::Cow;

use rustyline::completion::Completer;
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Editor, Helper};

use super::text::safe_line;
use super::{Error, terminal};

/// Asks, a line each.
pub struct Questions(Editor<Mask, DefaultHistory>);

impl Questions {
    /// Questions on this terminal.
    pub fn new() -> Result<Questions, Error> {
        let config = terminal::config().map_err(Error::Terminal)?;
        let mut editor = Editor::with_config(config).map_err(Error::Terminal)?;
        editor.set_helper(Some(Mask(false)));
        editor.set_auto_add_history(false);
        // The mask is a highlighting: it has to be on whatever the colours are.
        editor.set_color_mode(ColorMode::Forced);
        Ok(Questions(editor))
    }

    /// Asks, with an answer to begin with that can be changed.
    pub fn ask(&mut self, question: &str, initial: &str) -> Result<String, Error> {
        let line = self.0.readline_with_initial(question, (initial, ""));
        let line = line.map_err(unanswered)?;
        Ok(line.trim().to_owned())
    }

    /// Asks for something of which nothing is shown or kept; none where the answer is empty.
    pub fn secret(&mut self, question: &str) -> Result<Option<String>, Error> {
        self.0.set_helper(Some(Mask(true)));
        let line = self.0.readline(question);
        self.0.set_helper(Some(Mask(false)));
        let line = line.map_err(unanswered)?;
        Ok((!line.is_empty()).then_some(line))
    }

    /// Asks for the password of a name that is new, or may be, twice, as nobody sees what they type.
    pub fn password(&mut self, name: &str) -> Result<Option<String>, Error> {
        eprintln!("· with a password a name is yours from elsewhere, too");
        let question = format!("password for {} (Enter: none): ", safe_line(name));
        loop {
            let Some(password) = self.secret(&question)? else {
                return Ok(None);
            };
            if self.secret("the same once more: ")?.as_ref() == Some(&password) {
                return Ok(Some(password));
            }
            complain("that was not the same");
        }
    }
}

/// Says what was wrong.
pub fn complain(what: &str) {
    eprintln!("! {what}");
}

fn unanswered(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Eof | ReadlineError::Interrupted => Error::Unanswered,
        error => Error::Terminal(error),
    }
}

/// Shows nothing of a line that is typed, where it is on.
struct Mask(bool);

impl Helper for Mask {}
impl Validator for Mask {}

impl Hinter for Mask {
    type Hint = String;
}

impl Completer for Mask {
    type Candidate = String;
}

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.0 {
            true => Cow::Owned(" ".repeat(line.chars().count())),
            false => Cow::Borrowed(line),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.0 && kind != CmdKind::MoveCursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_password_is_shown() {
        assert_eq!(Mask(true).highlight("secret", 3), "      ");
        assert!(Mask(true).highlight_char("s", 0, CmdKind::Other));
        assert_eq!(Mask(false).highlight("ann", 3), "ann");
    }
}
