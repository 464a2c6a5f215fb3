//! One thing done for a script: a line of output for what came of it, the rest by the exit status.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::answer::CallError;
use super::commands::find_file;
use super::post::Post;
use super::render::Event;
use super::session::Session;
use super::settings::Who;
use super::text::{safe_indented, safe_line};
use super::transfer::{self, Progress, TransferError};
use super::worker::Failure;
use super::{Error, Output};

/// A file that is named so is the standard output, or input.
const STANDARD: &str = "-";
/// No larger body is taken by the server.
const MAX_TEXT: u64 = 256 * 1024;

/// Posts a text, or what stands on standard input, and prints the number of the message.
///
/// # Errors
/// What kept it from being posted.
pub fn send(who: Who, to: &str, text: Option<String>) -> Result<(), Error> {
    let text = match text {
        Some(text) => text,
        None => read_text(&mut io::stdin().lock())?,
    };
    let begun = Instant::now();
    let session = sign_in(who)?;
    let to = session.find_chat(to).map_err(Error::NotDone)?;
    let posted = post(&session, begun, &Post::text(&to, &text))?;
    print(&posted["id"].to_string())
}

/// Uploads a file and prints its id; with `to` posts it there, and prints the message's number.
///
/// # Errors
/// What kept it from being uploaded or posted.
pub fn upload(who: Who, file: &str, to: Option<&str>) -> Result<(), Error> {
    if file == STANDARD {
        let why = "standard input is not uploaded, as it has no name: write it to a file first";
        return Err(Error::NotDone(why.to_owned()));
    }
    let begun = Instant::now();
    let session = sign_in(who)?;
    let to = to.map(|to| session.find_chat(to)).transpose();
    let to = to.map_err(Error::NotDone)?;
    let output: Arc<dyn Output> = Arc::new(Quiet);
    let uploaded = transfer::upload(&session, &output, file).map_err(not_done)?;
    let Some(to) = to else {
        return print(uploaded["id"].as_str().unwrap_or_default());
    };
    let body = json!({ "to": to, "file": uploaded["id"] });
    let posted = post(&session, begun, &Post::new("/send", body))?;
    print(&posted["id"].to_string())
}

/// Downloads a file, named by its message, its id or a URL, and prints where it lies, or the file
/// itself where it is to go to standard output.
///
/// # Errors
/// What kept it from arriving whole.
pub fn download(who: Who, which: &str, path: Option<&str>) -> Result<(), Error> {
    let session = sign_in(who)?;
    let which = id_of(which, session.api.base()).map_err(Error::NotDone)?;
    let output: Arc<dyn Output> = Arc::new(Quiet);
    let wanted = find_file(&session, &output, which).map_err(|failure| match failure {
        Failure::Refused(why) => Error::NotDone(why),
        Failure::Lost(error) => Error::Call(error),
    })?;
    if path == Some(STANDARD) {
        let mut stdout = io::stdout().lock();
        return transfer::pour(&session, &wanted, &mut stdout).map_err(|error| match error {
            // Whoever reads it has seen enough.
            TransferError::File { why, .. } => Error::Output(why),
            other => not_done(other),
        });
    }
    let saved = transfer::download(&session, &output, wanted, path).map_err(not_done)?;
    print(&safe_line(&saved.path.display().to_string()))
}

fn sign_in(who: Who) -> Result<Session, Error> {
    let session = super::open(who)?;
    session.sign_in_patiently()?;
    Ok(session)
}

/// Posts, for as long as the server is waited for since the beginning.
fn post(session: &Session, begun: Instant, post: &Post) -> Result<Value, CallError> {
    let call = (post.path.as_str(), &post.body, post.key.as_str());
    let left = session.wait.saturating_sub(begun.elapsed());
    let posted = session.api.post_once(call, left, |_| {});
    posted.map_err(|error| error.about(post.to()))
}

fn not_done(error: TransferError) -> Error {
    match error {
        TransferError::Call(error) => Error::Call(error),
        TransferError::Broken(error) => Error::Stream(error),
        other => Error::NotDone(other.to_string()),
    }
}

/// Standard input to its end, without the last line's end.
fn read_text(input: &mut impl io::Read) -> Result<String, Error> {
    let wrong = |why: String| Error::NotDone(format!("standard input is not sent: {why}"));
    let mut text = String::new();
    let length = input.take(MAX_TEXT + 1).read_to_string(&mut text);
    match length {
        Err(error) => return Err(wrong(error.to_string())),
        Ok(length) if length as u64 > MAX_TEXT => {
            return Err(wrong(format!("it is more than {MAX_TEXT} bytes")));
        }
        Ok(_) => {}
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// What a URL of this server's names; anything else names it itself.
fn id_of<'a>(which: &'a str, base: &str) -> Result<&'a str, String> {
    let path = match which.strip_prefix(base) {
        Some(path) => path,
        None if which.contains("://") => {
            return Err(format!("{} is not at {base}", safe_line(which)));
        }
        None => which,
    };
    let path = path
        .split(['?', '#'])
        .next()
        .filter(|path| !path.is_empty());
    let path = path.unwrap_or(which);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["files" | "messages", id] | [id] => Ok(id),
        _ => Err(format!("{} is the address of no file", safe_line(which))),
    }
}

fn print(line: &str) -> Result<(), Error> {
    let line = format!("{line}\n");
    io::stdout()
        .lock()
        .write_all(line.as_bytes())
        .map_err(Error::Output)
}

/// Tells what goes wrong, and, to somebody who watches, how far a file is.
struct Quiet;

impl Quiet {
    fn tell(&self, line: &str) {
        // Where standard error is closed there is nobody to tell.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

impl Output for Quiet {
    fn event(&self, _: &Event) {}
    fn ended(&self, _: &Event) {}
    fn sent(&self, _: &Post, _: &Value) {}
    fn answer(&self, _: &str, _: &Value, _: &str) {}

    fn progress(&self, progress: Option<&Progress<'_>>) {
        if io::stderr().is_terminal() {
            let line = progress.map(Progress::line).unwrap_or_default();
            self.tell(&format!("\r\u{1b}[K{line}"));
        }
    }

    fn notice(&self, text: &str) {
        self.tell(&format!("veche: {}\n", safe_indented(text)));
    }

    fn trouble(&self, text: &str) {
        self.notice(text);
    }

    fn broken(&self) -> Option<io::Error> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_the_end_of_its_last_line_alone() {
        let read = |text: &str| read_text(&mut text.as_bytes()).unwrap();
        assert_eq!(read("one\ntwo\n"), "one\ntwo");
        assert_eq!(read("one\r\n"), "one");
        assert_eq!(read("one\n\n"), "one\n");
        assert_eq!(read("one"), "one");
        let long = vec![b'x'; MAX_TEXT as usize + 1];
        assert!(read_text(&mut long.as_slice()).is_err());
        assert!(read_text(&mut [0xff].as_slice()).is_err());
    }

    #[test]
    fn a_file_is_named_by_a_number_an_id_or_an_address_of_this_server() {
        let id = |which| id_of(which, "http://h:1").map_err(|why| why.to_string());
        for (which, named) in [
            ("812", "812"),
            ("#812", "#812"),
            ("/files/4062c519", "4062c519"),
            ("http://h:1/files/4062c519", "4062c519"),
            ("http://h:1/messages/812?x=1", "812"),
        ] {
            assert_eq!(id(which).as_deref(), Ok(named), "{which}");
        }
        assert!(id("http://h:2/files/4062c519").is_err());
        assert!(id("http://h:1/rooms/4062c519/x").is_err());
    }
}
