//! A program that is called: a small HTTP server that tells what came, and answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;

/// What a [`Receiver`] answers to the request that it was given, or to whatever comes.
type Answer = dyn Fn(&Received) -> String + Send + Sync;

/// A server that listens on a free port of this machine, until the test ends.
pub struct Receiver {
    address: std::net::SocketAddr,
    answer: Arc<Mutex<Arc<Answer>>>,
    came: mpsc::Receiver<Received>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request's path.
    pub path: String,
    /// Its fields, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub text: String,
    /// The same as JSON; null where it is none.
    pub body: Value,
    /// When it came.
    pub at: Instant,
}

impl Received {
    /// A field's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let field = self.headers.iter().find(|(known, _)| known == name);
        field.map_or("", |(_, value)| value)
    }
}

/// An answer of this status that says nothing else.
fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

impl Receiver {
    /// One that answers 204.
    ///
    /// # Panics
    /// Where the system has no port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (out, came) = mpsc::channel();
        let first: Arc<Answer> = Arc::new(|_| status(204));
        let answer = Arc::new(Mutex::new(first));
        let answers = Arc::clone(&answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (out, answers) = (out.clone(), Arc::clone(&answers));
                thread::spawn(move || serve(stream, &out, &answers));
            }
        });
        Self {
            address,
            answer,
            came,
        }
    }

    /// Where it listens, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on answers with this status.
    pub fn answer(&self, code: u16) {
        self.answer_with(move |_| status(code));
    }

    /// From now on answers what this says: the bytes of an answer, nothing at all to close the
    /// connection. It may take its time.
    ///
    /// # Panics
    /// Where one before has.
    pub fn answer_with(&self, answer: impl Fn(&Received) -> String + Send + Sync + 'static) {
        *self.answer.lock().expect("no answer panicked") = Arc::new(answer);
    }

    /// The next request that comes, or has.
    ///
    /// # Panics
    /// Where none does within [`PATIENCE`].
    pub fn next(&self) -> Received {
        let came = self.came.recv_timeout(PATIENCE);
        came.unwrap_or_else(|_| panic!("no request came within {PATIENCE:?}"))
    }

    /// The same for so many.
    ///
    /// # Panics
    /// As [`next`](Self::next).
    pub fn take(&self, count: usize) -> Vec<Received> {
        (0..count).map(|_| self.next()).collect()
    }

    /// What comes within this time, if anything does.
    ///
    /// # Panics
    /// Where it can't listen any more.
    pub fn within(&self, limit: Duration) -> Option<Received> {
        match self.came.recv_timeout(limit) {
            Ok(received) => Some(received),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the receiver is gone"),
        }
    }
}

fn serve(mut stream: TcpStream, out: &mpsc::Sender<Received>, answer: &Mutex<Arc<Answer>>) {
    // Whoever hangs up has said nothing.
    let Some(received) = read(&stream) else {
        return;
    };
    let answer = Arc::clone(&answer.lock().expect("no answer panicked"));
    // Whoever listened may have gone, and who asked, too.
    let _ = out.send(received.clone());
    let _ = stream.write_all(answer(&received).as_bytes());
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut input = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let field = line()?;
        if field.is_empty() {
            break;
        }
        let (name, value) = field.split_once(": ")?;
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, length)| length.parse().ok())?;
    let mut text = vec![0; length];
    input.read_exact(&mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    Some(Received {
        body: text.parse().unwrap_or_default(),
        path,
        headers,
        text,
        at: Instant::now(),
    })
}
