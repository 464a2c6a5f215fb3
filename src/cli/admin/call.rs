//! One request to the server's socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use form_urlencoded::Serializer;
use serde::de::DeserializeOwned;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The header fields that an answer may have: far more than it has.
const FIELDS: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum CallError {
    /// Nobody answers there.
    #[error("no server listens at {socket}; is it running, and on this data?")]
    Nobody {
        /// The socket.
        socket: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the server at {socket} did not answer")]
    Broken {
        /// The socket.
        socket: String,
        /// Why.
        source: io::Error,
    },
    /// It is no answer of such a server.
    #[error("the server answered what is not understood here: {0}")]
    Strange(String),
}

/// An answer.
pub(in crate::cli) struct Asked {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Asked {
    /// Its JSON.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::Strange(error.to_string()))
    }
}

/// Asks for a path: a GET has its fields in the query, any other method in a form.
pub(super) fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    fields: &[(&str, String)],
) -> Result<Asked, CallError> {
    let name = || socket.display().to_string();
    let mut stream = UnixStream::connect(socket).map_err(|source| CallError::Nobody {
        socket: name(),
        source,
    })?;
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    let (target, body) = match method {
        "GET" if form.is_empty() => (path.to_owned(), String::new()),
        "GET" => (format!("{path}?{form}"), String::new()),
        _ => (path.to_owned(), form),
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: veche\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = Vec::new();
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_to_end(&mut answer))
        .map_err(|source| CallError::Broken {
            socket: name(),
            source,
        })?;
    read(&answer)
}

/// An answer that ends with its connection, and says how long it is.
fn read(bytes: &[u8]) -> Result<Asked, CallError> {
    let strange = |what: &str| CallError::Strange(what.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let begin = match head.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Err(strange("it ends early")),
        Err(error) => return Err(strange(&error.to_string())),
    };
    let body = bytes.get(begin..).unwrap_or_default();
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    if let Some(length) = length
        && length.value != body.len().to_string().as_bytes()
    {
        return Err(strange("it ends early"));
    }
    Ok(Asked {
        status: head.code.unwrap_or_default(),
        body: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 17}";
        let asked = read(whole.as_bytes()).expect("an answer");
        let said: serde_json::Value = asked.read().expect("JSON");
        assert_eq!((asked.status, &said["a"]), (200, &17.into()));
        for end in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..end]).is_err(), "{end}");
        }
        let nothing = read(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
        assert_eq!((nothing.status, nothing.body.len()), (204, 0));
    }
}
