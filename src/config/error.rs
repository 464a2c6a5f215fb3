//! What is said when config.toml cannot be used.

use std::fmt;
use std::io;

use crate::settings::quoted;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named does not exist.
    #[error(
        "{file}: there is no such file; when none is named, config.toml of the working folder is \
         read, and where there is none the defaults hold"
    )]
    Missing {
        /// The file, as it was named.
        file: String,
    },
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file, as it was named.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file is longer than any configuration.
    #[error("{file}: is longer than {limit} bytes, which is all that is read")]
    TooLong {
        /// The file, as it was named.
        file: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file says something that is not allowed; every fault that was found, in order.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Fault>),
    /// A feature asked for its settings as another type than its table was described with.
    #[error("[{table}] is not read as the settings it was described by: {reason}")]
    Mismatch {
        /// The table, `features.NAME`.
        table: String,
        /// What does not fit.
        reason: String,
    },
}

/// One thing that is wrong in a configuration file. Shown as
/// `FILE:LINE:COLUMN: KEY: what is wrong, and what is allowed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The key's whole path, `server.listen`; empty where the text is not TOML.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// How many faults are shown; a file that is wrong throughout should not flood the terminal.
const SHOWN: usize = 40;

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// The line and the column of a byte in a text, both counted from 1. The offset may lie within
/// a character or behind the end.
pub(super) fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let in_line = String::from_utf8_lossy(&before[start..]);
    (
        line,
        in_line.trim_start_matches('\u{feff}').chars().count() + 1,
    )
}

/// A key as it is shown in a path: bare where TOML lets it be bare.
pub(super) fn shown_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=64).contains(&key.len()) && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// Says what serde says, without the names that only Rust knows.
pub(super) fn plain(message: &str) -> String {
    const TYPES: [(&str, &str); 18] = [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number, 0 or more"),
        ("usize", "a whole number, 0 or more"),
        ("i8", "a whole number from -128 to 127"),
        ("i16", "a whole number from -32768 to 32767"),
        ("i32", "a whole number from -2147483648 to 2147483647"),
        ("i64", "a whole number"),
        ("isize", "a whole number"),
        ("f32", "a number"),
        ("f64", "a number"),
        ("a boolean", "true or false"),
        ("a string", "a text in quotes"),
        ("path string", "a path in quotes"),
        ("a sequence", "a list in square brackets"),
        ("a map", "a table"),
        ("any valid TOML value", "whole numbers of 64 bits at most"),
    ];
    let mut message = message
        .trim()
        .replace("unknown variant", "unknown value")
        .replace("invalid type: sequence", "invalid type: list")
        .replace("invalid type: map", "invalid type: table")
        .replace("boolean `", "`")
        .replace("` as i128,", "`,")
        .replace("` as u128,", "`,");
    for (technical, said) in TYPES {
        if let Some(start) = message.strip_suffix(&format!("expected {technical}")) {
            message = format!("{start}expected {said}");
            break;
        }
    }
    cut(message)
}

/// Holds a message to a length that can be read; what was written may be quoted in it.
pub(super) fn cut(message: String) -> String {
    const KEPT: usize = 300;
    match message.char_indices().nth(2 * KEPT) {
        None => message,
        Some(_) => {
            let characters: Vec<char> = message.chars().collect();
            let head: String = characters[..KEPT].iter().collect();
            let tail: String = characters[characters.len() - KEPT..].iter().collect();
            format!("{head} … {tail}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a = 1\r\nü = é # x\n".as_bytes();
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 4), (1, 5));
        assert_eq!(position(text, 7), (2, 1));
        assert_eq!(position(text, 12), (2, 5));
        assert_eq!(position(text, text.len()), (3, 1));
        assert_eq!(position(text, 1000), (3, 1));
        assert_eq!(position(b"", 0), (1, 1));
        assert_eq!(position("\u{feff}a".as_bytes(), 3), (1, 1));
    }

    #[test]
    fn no_rust_type_is_named() {
        assert_eq!(
            plain("invalid type: string \"x\", expected usize"),
            "invalid type: string \"x\", expected a whole number, 0 or more"
        );
        assert_eq!(
            plain("invalid type: boolean `true`, expected a sequence"),
            "invalid type: `true`, expected a list in square brackets"
        );
        assert_eq!(
            plain("unknown variant `a`, expected `text` or `json`"),
            "unknown value `a`, expected `text` or `json`"
        );
    }

    #[test]
    fn keys_and_messages_are_held_to_a_length() {
        assert_eq!(shown_key("trusted_proxies"), "trusted_proxies");
        assert_eq!(shown_key("a b"), "\"a b\"");
        assert_eq!(shown_key(""), "\"\"");
        assert!(shown_key(&"a".repeat(1000)).len() < 64);
        assert!(cut("é".repeat(100_000)).chars().count() < 700);
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let fault = Fault {
            file: "f".to_owned(),
            line: 1,
            column: 2,
            key: "a.b".to_owned(),
            message: "is wrong".to_owned(),
        };
        let error = ConfigError::Invalid(vec![fault.clone(); 50]).to_string();
        assert_eq!(error.lines().count(), 41);
        assert!(error.starts_with("f:1:2: a.b: is wrong\n"), "{error}");
        assert!(error.ends_with("and 10 more"), "{error}");
    }
}
