//! `/file` and `/get`, for servers with the feature `files`.

use std::sync::Arc;

use serde_json::json;

use super::super::Output;
use super::super::answer::CallError;
use super::super::render::Attached;
use super::super::session::Session;
use super::super::text::{safe_line, size};
use super::super::transfer::{Meter, TransferError, Wanted, download, upload};
use super::super::worker::{Failure, Worker};
use super::words::{path, split};
use super::{Parsed, Wrong};

const CANCELLED: &str = "the download was cancelled";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send a file to the current chat.
    Send { path: String, text: String },
    /// Save the file of a message, or with an id or the beginning of one.
    Get { which: String, path: Option<String> },
}

pub fn file(rest: &str) -> Parsed {
    let (path, text) = path(rest)?;
    let text = text.to_owned();
    Ok(super::Command::Files(Command::Send { path, text }))
}

pub fn get(rest: &str) -> Parsed {
    let (which, rest) = split(rest);
    if which.is_empty() {
        return Err(Wrong::Usage);
    }
    let path = match rest {
        "" => None,
        rest => match path(rest)? {
            (path, "") => Some(path),
            _ => return Err(Wrong::Usage),
        },
    };
    let which = which.to_owned();
    Ok(super::Command::Files(Command::Get { which, path }))
}

impl Command {
    pub fn run(self, worker: &mut Worker, current: Option<&str>) -> Result<(), Failure> {
        match self {
            Command::Send { path, text } => {
                let to = worker.here(current)?.to_owned();
                let file = upload(&worker.session, &worker.output, &path);
                let is_typed = worker.typed;
                let file = file.map_err(|error| {
                    let error = match error {
                        // Who waits for it may have it tried again.
                        TransferError::Call(lost @ CallError::Lost(_)) if is_typed => {
                            return Failure::Lost(lost);
                        }
                        TransferError::Broken(why) if is_typed => {
                            let lost = ureq::Error::Io(why);
                            return Failure::Lost(CallError::Lost(Box::new(lost)));
                        }
                        error => error,
                    };
                    Failure::Refused(match error {
                        // This one names the path.
                        TransferError::File { .. } => format!("not sent: {error}"),
                        TransferError::Stopped { .. } => format!(
                            "the upload of {} was cancelled: nothing was sent",
                            safe_line(&path)
                        ),
                        _ => format!("{} is not sent: {error}", safe_line(&path)),
                    })
                })?;
                let mut body = json!({ "to": to, "file": file["id"] });
                if !text.is_empty() {
                    body["text"] = text.into();
                }
                worker.post_later(body);
                Ok(())
            }
            Command::Get { which, path } => {
                let wanted =
                    find(&worker.session, &worker.output, &which).map_err(
                        |failure| match worker.session.transfers.is_stopped() {
                            true => Failure::Refused(CANCELLED.to_owned()),
                            false => failure,
                        },
                    )?;
                let id = wanted.id.clone();
                let saved = download(&worker.session, &worker.output, wanted, path.as_deref());
                let saved = saved.map_err(|error| {
                    let which = safe_line(&which);
                    Failure::Refused(match error {
                        TransferError::Stopped { kept: false } => CANCELLED.to_owned(),
                        TransferError::Stopped { kept: true } => {
                            format!("{CANCELLED}; /get {which} goes on from there")
                        }
                        TransferError::Broken(_) => {
                            format!("not saved: {error}; /get {which} goes on from there")
                        }
                        _ => format!("not saved: {error}"),
                    })
                })?;
                let path = saved.path.display().to_string();
                let text = format!("saved {} ({})", safe_line(&path), size(saved.size));
                let data = json!({ "id": id, "path": path, "size": saved.size });
                worker.output.answer("saved", &data, &text);
                Ok(())
            }
        }
    }
}

/// What the number of a message, a file's id or the beginning of one means.
pub fn find(session: &Session, output: &Arc<dyn Output>, which: &str) -> Result<Wanted, Failure> {
    let _asking = Meter::asking(&session.transfers, output, which);
    let api = session.transfers.carrier(&session.api);
    let mut why = format!(
        "no file that was shown here has the id {}",
        safe_line(which)
    );
    if let Ok(id) = which.strip_prefix('#').unwrap_or(which).parse::<u64>() {
        match api.get(&format!("/messages/{id}"), &[]) {
            Ok(message) => match Attached::of(&message) {
                Some(file) => return Ok(file.into()),
                None => why = format!("#{id} has no file"),
            },
            Err(error) if error.is_status(404) => why = error.to_string(),
            Err(error) => return Err(error.into()),
        }
    }
    // A few ids begin with digits alone.
    let mut known = session.files(which).into_iter();
    match (known.next(), known.next(), which.parse::<uuid::Uuid>()) {
        (Some(file), None, _) => Ok(file.into()),
        (Some(_), Some(_), _) => Err(Failure::Refused(format!(
            "more than one file's id begins with {which}: write more of it"
        ))),
        (None, _, Ok(id)) => Ok(Wanted {
            id: id.to_string(),
            ..Wanted::default()
        }),
        (None, _, Err(_)) => Err(Failure::Refused(why)),
    }
}

impl From<Attached> for Wanted {
    fn from(file: Attached) -> Wanted {
        Wanted {
            id: file.id,
            name: Some(file.name),
            size: Some(file.size),
            sha256: file.sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        match parse(line, |_| true)? {
            Some(super::super::Command::Files(command)) => Ok(command),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_file_is_named_by_its_path_and_may_have_a_text() {
        for (line, path, text) in [
            ("/file cat.png", "cat.png", ""),
            (
                "/file \"my cat.png\" look  here",
                "my cat.png",
                "look  here",
            ),
        ] {
            let (path, text) = (path.to_owned(), text.to_owned());
            assert_eq!(read(line), Ok(Command::Send { path, text }), "{line}");
        }
        let usage = Err("write /file PATH [TEXT]".to_owned());
        assert_eq!(read("/file \"open"), usage);
    }

    #[test]
    fn a_file_is_saved_here_or_where_one_says() {
        for (line, which, path) in [
            ("/get 812", "812", None),
            ("/get #812 ~/cats/", "#812", Some("~/cats/")),
            ("/get 4062c519 'my cats'", "4062c519", Some("my cats")),
        ] {
            let (which, path) = (which.to_owned(), path.map(str::to_owned));
            assert_eq!(read(line), Ok(Command::Get { which, path }), "{line}");
        }
        let usage = Err("write /get N | ID [PATH]".to_owned());
        assert_eq!(read("/get 812 my cats"), usage);
    }
}
