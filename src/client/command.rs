//! What a typed line asks for.

/// The commands with their arguments and what they do, as `/help` and the completion show them.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("/help", "", "this list"),
    ("/to", "common | @NAME | room:ID", "where plain lines go"),
    ("/msg", "@NAME TEXT", "a private message"),
    ("/me", "", "who you are and where plain lines go"),
    ("/who", "", "who is here"),
    ("/unread", "", "what is not read yet, in every chat"),
    ("/history", "[N]", "the last N messages of the chat (20)"),
    ("/comment", "ID TEXT", "a comment on a message"),
    ("/comments", "ID", "the comments on a message"),
    ("/read", "", "marks everything as read"),
    ("/status", "", "the server, your clients, your chats"),
    ("/logout", "", "ends this client, forgets its token"),
    ("/quit", "", "leaves, and stays the same client"),
    ("//TEXT", "", "sends a text that begins with a slash"),
];

/// How many messages `/history` shows when it is not told.
pub const HISTORY: u16 = 20;
/// The most that one answer of the server holds.
pub const HISTORY_MAX: u16 = 200;

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Post this text to the current chat.
    Say(String),
    /// Post a text to another chat than the current one.
    Msg {
        /// The chat's address.
        to: String,
        /// The text.
        text: String,
    },
    /// Make another chat the current one.
    To(String),
    /// Post a comment.
    Comment {
        /// The message that it is on.
        id: u64,
        /// The text.
        text: String,
    },
    /// Show the comments on a message.
    Comments(u64),
    /// Show the last messages of the current chat.
    History(u16),
    /// Show the users.
    Who,
    /// Show what is unread.
    Unread,
    /// Mark everything as read.
    Read,
    /// Show the server's and one's own state.
    Status,
    /// Tell one's name and the current chat.
    Me,
    /// Explain the commands.
    Help,
    /// End this client on the server.
    Logout,
    /// Leave.
    Quit,
}

/// Reads a line; `None` for one with nothing in it. The error is a sentence for the user.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let Some(rest) = line.strip_prefix('/') else {
        let blank = line.trim().is_empty();
        return Ok((!blank).then(|| Command::Say(line.to_owned())));
    };
    if rest.starts_with('/') {
        return Ok(Some(Command::Say(rest.to_owned())));
    }
    let (word, rest) = split_word(rest);
    let command = match word {
        "help" => Command::Help,
        "to" if rest.is_empty() => Command::Me,
        "to" => Command::To(address(rest)?),
        "msg" => {
            let (to, text) = split_word(rest);
            if text.is_empty() {
                return Err(usage("/msg"));
            }
            Command::Msg {
                to: address(to)?,
                text: text.to_owned(),
            }
        }
        "comment" => {
            let (id, text) = split_word(rest);
            if text.is_empty() {
                return Err(usage("/comment"));
            }
            Command::Comment {
                id: message_id(id, "/comment")?,
                text: text.to_owned(),
            }
        }
        "comments" => Command::Comments(message_id(rest, "/comments")?),
        "history" if rest.is_empty() => Command::History(HISTORY),
        "history" => match rest.parse() {
            Ok(n @ 1..=HISTORY_MAX) => Command::History(n),
            _ => return Err(format!("/history takes a number from 1 to {HISTORY_MAX}")),
        },
        "who" => Command::Who,
        "unread" => Command::Unread,
        "read" => Command::Read,
        "status" => Command::Status,
        "me" => Command::Me,
        "logout" => Command::Logout,
        "quit" => Command::Quit,
        _ => {
            return Err(format!(
                "/{word} is no command: /help lists them, //{word} sends it as a text"
            ));
        }
    };
    Ok(Some(command))
}

/// The first word and what follows it, without the white space between.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn address(word: &str) -> Result<String, String> {
    let known = word == "common"
        || word.strip_prefix('@').is_some_and(|name| !name.is_empty())
        || word.strip_prefix("room:").is_some_and(|id| !id.is_empty());
    if known && !word.contains(char::is_whitespace) {
        Ok(word.to_owned())
    } else {
        Err(format!(
            "\"{word}\" is no chat: write common, @NAME or room:ID"
        ))
    }
}

fn message_id(word: &str, command: &str) -> Result<u64, String> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    digits.parse().map_err(|_| usage(command))
}

fn usage(command: &str) -> String {
    let arguments = COMMANDS
        .iter()
        .find(|(name, _, _)| *name == command)
        .map_or("", |(_, arguments, _)| arguments);
    format!("write {command} {arguments}")
}

/// The list that `/help` shows.
pub fn help() -> String {
    let mut text = String::from("a line without a slash is posted to the current chat");
    for (name, arguments, about) in COMMANDS {
        let call = format!("{name} {arguments}");
        text.push_str(&format!("\n{call:<30} {about}"));
    }
    text.push_str("\nTab completes commands and @names; Ctrl-C clears the line, Ctrl-D leaves");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn a_plain_line_is_posted_as_it_is() {
        assert_eq!(
            ok("  hello /there "),
            Command::Say("  hello /there ".into())
        );
    }

    #[test]
    fn a_blank_line_is_nothing() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse(" \t"), Ok(None));
    }

    #[test]
    fn two_slashes_send_a_text_with_one() {
        assert_eq!(ok("//etc is full"), Command::Say("/etc is full".into()));
        assert_eq!(ok("///"), Command::Say("//".into()));
    }

    #[test]
    fn an_unknown_command_is_explained_and_never_posted() {
        let error = parse("/shrug hi").unwrap_err();
        assert!(error.contains("/shrug is no command"), "{error}");
        assert!(parse("/").is_err());
        assert!(parse("/MSG @bob hi").is_err());
    }

    #[test]
    fn a_private_message_names_its_recipient_and_keeps_its_text() {
        let expected = Command::Msg {
            to: "@Боб".into(),
            text: "two  words".into(),
        };
        assert_eq!(ok("/msg  @Боб   two  words "), expected);
        assert_eq!(parse("/msg @bob"), Err("write /msg @NAME TEXT".into()));
        assert!(
            parse("/msg bob hi")
                .unwrap_err()
                .contains("\"bob\" is no chat")
        );
    }

    #[test]
    fn the_current_chat_is_switched_by_address() {
        assert_eq!(ok("/to @bob"), Command::To("@bob".into()));
        assert_eq!(ok("/to common"), Command::To("common".into()));
        assert_eq!(ok("/to room:0b1e"), Command::To("room:0b1e".into()));
        assert_eq!(ok("/to"), Command::Me);
        for bad in ["/to @", "/to bob", "/to room:", "/to @a b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_comment_names_a_message_with_or_without_the_hash() {
        let expected = Command::Comment {
            id: 812,
            text: "so it is".into(),
        };
        assert_eq!(ok("/comment 812 so it is"), expected);
        assert_eq!(ok("/comment #812 so it is"), expected);
        for bad in ["/comment", "/comment 812", "/comment x y", "/comment -1 y"] {
            assert_eq!(parse(bad), Err("write /comment ID TEXT".into()), "{bad}");
        }
    }

    #[test]
    fn the_length_of_the_history_is_bounded() {
        assert_eq!(ok("/history"), Command::History(20));
        assert_eq!(ok("/history 200"), Command::History(200));
        for bad in ["/history 0", "/history 201", "/history all"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_help_names_every_command_that_is_understood() {
        let text = help();
        for (name, _, _) in COMMANDS {
            assert!(text.contains(name));
        }
        for word in [
            "/who", "/unread", "/read", "/status", "/me", "/help", "/logout", "/quit",
        ] {
            assert!(parse(word).is_ok(), "{word}");
            assert!(COMMANDS.iter().any(|(name, _, _)| *name == word), "{word}");
        }
    }
}
