//! Why something did not go, in words for people: without the names of calls and the numbers of
//! errors.

use std::io;

/// Why there was no answer from a server.
pub fn call(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => connection(error),
        ureq::Error::Timeout(_) => "there is no answer".to_owned(),
        ureq::Error::HostNotFound => "there is no host of that name".to_owned(),
        ureq::Error::ConnectionFailed => "there is no way to it".to_owned(),
        ureq::Error::Protocol(_) => "what answers there speaks no HTTP".to_owned(),
        other => plain(&other.to_string()),
    }
}

/// Why a connection was not there, or not for long.
pub fn connection(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    // A body that is being read says so in this way.
    if let Some(error) = error.get_ref().and_then(|why| why.downcast_ref()) {
        return call(error);
    }
    let why = match error.kind() {
        Kind::ConnectionRefused => "nothing listens there",
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::UnexpectedEof => "the connection broke off",
        Kind::TimedOut | Kind::WouldBlock => "there is no answer",
        Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown => {
            "there is no way to it from here"
        }
        _ => return plain(&error.to_string()),
    };
    why.to_owned()
}

/// The same text without the numbers that the system has for its errors.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        out.push_str(before);
        let digits = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        rest = digits.strip_prefix(')').unwrap_or(digits);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_an_error_is_left() {
        for (text, expected) in [
            (
                "No such file or directory (os error 2)",
                "No such file or directory",
            ),
            ("a (os error 2): b (os error 111)!", "a: b!"),
            ("nothing (of it)", "nothing (of it)"),
        ] {
            assert_eq!(plain(text), expected);
        }
        let refused = io::Error::from_raw_os_error(111);
        assert!(!connection(&refused).contains("111"));
    }

    #[test]
    fn a_call_fails_for_a_reason_in_words() {
        for (error, expected) in [
            (
                ureq::Error::Io(io::ErrorKind::ConnectionRefused.into()),
                "nothing listens there",
            ),
            (
                ureq::Error::Io(io::ErrorKind::UnexpectedEof.into()),
                "the connection broke off",
            ),
            (ureq::Error::HostNotFound, "there is no host of that name"),
            (
                ureq::Error::Io(ureq::Error::Timeout(ureq::Timeout::RecvBody).into_io()),
                "there is no answer",
            ),
        ] {
            assert_eq!(call(&error), expected);
        }
    }
}
