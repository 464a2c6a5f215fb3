//! A connection on which a test writes its own bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;

/// The status and the headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The status line, as it came.
    pub line: String,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// A header's text; the first, where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Reads a head; none where the connection ends before it is whole.
pub(super) fn read_head(reader: &mut impl BufRead) -> Option<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        if line.pop() != Some(b'\n') {
            return None;
        }
        assert_eq!(line.pop(), Some(b'\r'), "a line of a head ends with CRLF");
        if line.is_empty() {
            break;
        }
        lines.push(String::from_utf8(line).expect("a head is text"));
    }
    let mut lines = lines.into_iter();
    let line = lines.next().expect("a head has a status line");
    assert!(line.starts_with("HTTP/1.1 "), "not a status line: {line:?}");
    let status = line.get(9..12).and_then(|code| code.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header has a colon");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Some(Head {
        status: status.unwrap_or_else(|| panic!("no status code: {line:?}")),
        headers: headers.collect(),
        line,
    })
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status line and headers.
    pub head: Head,
    /// Its body, freed of chunks.
    pub body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Whether the server says that this is the connection's last answer.
    pub fn closes(&self) -> bool {
        let options = self.header("connection").unwrap_or_default();
        options
            .split(',')
            .any(|option| option.trim().eq_ignore_ascii_case("close"))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody accepts.
    pub fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Goes on with a connection that a test has made in its own way.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option can be set");
        let reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
        let wire = Self { stream, reader };
        wire.patience(PATIENCE);
        wire
    }

    /// How long to wait for each answer, instead of [`PATIENCE`].
    ///
    /// # Panics
    /// On zero.
    pub fn patience(&self, limit: Duration) {
        let set = self.stream.set_read_timeout(Some(limit));
        set.and_then(|()| self.stream.set_write_timeout(Some(limit)))
            .expect("a timeout can be set");
    }

    /// Sends bytes. A server that has closed already is no fault here: what it said before that
    /// is still there to be read.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends bytes, and says whether the connection took them.
    ///
    /// # Errors
    /// What the system says: a full buffer after the patience's end, or a closed connection.
    pub fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Ends the sending side, and goes on listening.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next answer to anything but a `HEAD`.
    ///
    /// # Panics
    /// Where none comes, or not a whole one.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.read(true).expect("an answer before the end")
    }

    /// The next answer, to a `HEAD`: without a body, whatever its length says.
    ///
    /// # Panics
    /// Where none comes.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.read(false).expect("an answer before the end")
    }

    /// The next answer; none where the server closes without one.
    #[track_caller]
    pub fn try_response(&mut self) -> Option<Response> {
        self.read(true)
    }

    #[track_caller]
    fn read(&mut self, with_body: bool) -> Option<Response> {
        let head = read_head(&mut self.reader)?;
        let bodiless = !with_body || matches!(head.status, 100..=199 | 204 | 304);
        let mut body = Vec::new();
        if bodiless {
        } else if head.header("transfer-encoding").is_some() {
            body = self.chunks();
        } else if let Some(length) = head.header("content-length") {
            let length: usize = length.parse().expect("a Content-Length is a number");
            body.resize(length, 0);
            self.reader.read_exact(&mut body).expect("the whole body");
        } else {
            self.reader
                .read_to_end(&mut body)
                .expect("the body up to the end");
        }
        Some(Response { head, body })
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.reader.read_line(&mut size).expect("a chunk's size");
            let size = usize::from_str_radix(size.trim_end(), 16).expect("a size in hex");
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).expect("a whole chunk");
            assert!(chunk.ends_with(b"\r\n"), "a chunk ends with CRLF");
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return body;
            }
        }
    }

    /// Waits until the server closes, and says whether nothing came before that.
    ///
    /// # Panics
    /// Where it keeps the connection open.
    #[track_caller]
    pub fn closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// All bytes until the server closes. A reset counts as closing.
    ///
    /// # Panics
    /// Where it keeps the connection open.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => panic!(
                "the server keeps the connection open; it sent {:?}",
                String::from_utf8_lossy(&bytes)
            ),
            _ => bytes,
        }
    }

    /// Reads whatever is there within a moment, at most `most` bytes; for streams without an end.
    pub fn some(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let count = self.reader.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }
}
