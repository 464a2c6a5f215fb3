//! The chat that plain lines go to, which the reader of the lines and the stream of events share:
//! it may end while a line is being typed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where people are who are nowhere else.
pub const COMMON: &str = "common";

/// The chat that plain lines go to.
#[derive(Debug)]
pub struct Here {
    place: Mutex<Place>,
    /// Where they go when that has ended.
    then: Option<&'static str>,
}

#[derive(Debug)]
struct Place {
    chat: Option<String>,
    /// Whether a line is begun.
    typing: bool,
    /// Whether a line was begun when its chat ended.
    doubtful: bool,
}

impl Here {
    /// For lines of a program: those for a chat that has ended go nowhere.
    pub fn piped() -> Here {
        Here::new(None)
    }

    /// For lines that are typed: their writer sees that the chat has ended, and that they go to the
    /// common one then.
    pub fn typed() -> Here {
        Here::new(Some(COMMON))
    }

    fn new(then: Option<&'static str>) -> Here {
        let place = Place {
            chat: Some(COMMON.to_owned()),
            typing: false,
            doubtful: false,
        };
        Here {
            place: Mutex::new(place),
            then,
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // It is whole between any two statements.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of that chat, if there is one.
    pub fn get(&self) -> Option<String> {
        self.place().chat.clone()
    }

    /// Makes lines go to this chat from now on, or nowhere.
    pub fn go(&self, chat: Option<String>) {
        self.place().chat = chat;
    }

    /// Notes that this chat has ended; false where lines did not go there.
    pub fn end(&self, chat: &str) -> bool {
        let mut place = self.place();
        if place.chat.as_deref() != Some(chat) {
            return false;
        }
        place.chat = self.then.map(str::to_owned);
        place.doubtful = place.typing;
        true
    }

    /// What has become of lines, for the reader of the event that ended their chat.
    pub fn told(&self) -> String {
        match self.then {
            Some(chat) => format!("plain lines go to {chat} from now on"),
            None => "plain lines are refused until /to names a chat".to_owned(),
        }
    }

    /// Notes whether a line is begun.
    pub fn typing(&self, begun: bool) {
        self.place().typing = begun;
    }

    /// Notes that the line is typed; true if it had been begun for a chat that has ended since.
    pub fn typed_line(&self) -> bool {
        let mut place = self.place();
        place.typing = false;
        std::mem::take(&mut place.doubtful)
    }
}

impl Default for Here {
    fn default() -> Here {
        Here::piped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_chat_that_has_ended_go_to_the_common_one_only_where_they_are_typed() {
        for (here, then) in [
            (Here::typed(), Some(COMMON.to_owned())),
            (Here::piped(), None),
        ] {
            assert_eq!(here.get().as_deref(), Some(COMMON));
            here.go(Some("room:7".to_owned()));
            assert!(!here.end("room:8"));
            assert_eq!(here.get().as_deref(), Some("room:7"));
            assert!(here.end("room:7"));
            assert_eq!(here.get(), then);
            assert!(!here.end("room:7"));
        }
    }

    #[test]
    fn a_line_is_in_doubt_once_and_only_if_it_was_begun() {
        for begun in [true, false] {
            let here = Here::typed();
            here.go(Some("room:7".to_owned()));
            here.typing(begun);
            here.end("room:7");
            here.typing(true);
            assert_eq!(here.typed_line(), begun);
            assert!(!here.typed_line());
        }
    }

    #[test]
    fn a_line_that_ends_its_chat_itself_leaves_the_next_one_in_no_doubt() {
        let here = Here::typed();
        here.go(Some("room:7".to_owned()));
        here.typing(true);
        assert!(!here.typed_line());
        here.end("room:7");
        here.typing(true);
        assert!(!here.typed_line());
    }
}
