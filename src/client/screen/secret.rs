//! A password that is asked for where lines are typed. Nothing of it is shown or kept, and the line
//! that was begun is there again when it is answered.

use std::sync::mpsc::SyncSender;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The most characters that are taken.
const MAX: usize = 1_024;

/// The question, with what is typed so far.
pub struct Secret {
    /// What stands before it.
    pub question: String,
    typed: String,
    answer: SyncSender<String>,
}

/// What a key does with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// It is typed.
    Stay,
    /// It is answered.
    Done,
    /// The client is left.
    Leave,
    /// What it does without a question.
    Pass,
}

impl Secret {
    /// A question; `answer` hears what is typed, once.
    pub fn new(question: String, answer: SyncSender<String>) -> Secret {
        let typed = String::new();
        Secret {
            question,
            typed,
            answer,
        }
    }

    /// Takes a key. Those that scroll and lead to other chats are for what is above.
    pub fn key(&mut self, key: KeyEvent) -> Act {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('1'..='9' | 'a' | 'u') | KeyCode::Up | KeyCode::Down if alt => Act::Pass,
            KeyCode::PageUp | KeyCode::PageDown | KeyCode::F(_) => Act::Pass,
            KeyCode::Char('l') if ctrl => Act::Pass,
            KeyCode::Char('d') if ctrl && self.typed.is_empty() => Act::Leave,
            KeyCode::Char('c' | 'u') if ctrl => self.clear(),
            KeyCode::Esc => self.clear(),
            KeyCode::Enter if !self.typed.is_empty() => {
                // Who has asked may have gone: then nobody waits for it.
                let _ = self.answer.try_send(std::mem::take(&mut self.typed));
                Act::Done
            }
            KeyCode::Backspace => {
                self.typed.pop();
                Act::Stay
            }
            KeyCode::Char(typed) if !ctrl && !alt => self.put(&typed.to_string()),
            _ => Act::Stay,
        }
    }

    /// Puts in what was pasted, of which a line break is no part.
    pub fn put(&mut self, text: &str) -> Act {
        let room = MAX.saturating_sub(self.typed.chars().count());
        let text = text.chars().filter(|c| !c.is_control()).take(room);
        self.typed.extend(text);
        Act::Stay
    }

    fn clear(&mut self) -> Act {
        self.typed.clear();
        Act::Stay
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn a_password_is_typed_cleared_pasted_and_answered_once() {
        let (answer, answered) = sync_channel(1);
        let mut secret = Secret::new("password: ".to_owned(), answer);
        let mut press = |code, modifiers| secret.key(key(code, modifiers));
        let (none, ctrl, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        assert_eq!(
            press(KeyCode::Enter, none),
            Act::Stay,
            "nothing is no answer"
        );
        for cleared in [(KeyCode::Char('c'), ctrl), (KeyCode::Esc, none)] {
            press(KeyCode::Char('x'), none);
            assert_eq!(press(KeyCode::Char('d'), ctrl), Act::Stay, "it is begun");
            assert_eq!(press(cleared.0, cleared.1), Act::Stay);
            assert_eq!(press(KeyCode::Char('d'), ctrl), Act::Leave);
        }
        assert_eq!(press(KeyCode::Char('2'), alt), Act::Pass);
        assert_eq!(press(KeyCode::Char('w'), ctrl), Act::Stay);
        press(KeyCode::Char('o'), none);
        press(KeyCode::Char('x'), none);
        press(KeyCode::Backspace, none);
        secret.put("pen\u{1b}\n");
        assert_eq!(secret.key(key(KeyCode::Enter, none)), Act::Done);
        assert_eq!(answered.recv().as_deref(), Ok("open"));
    }
}
