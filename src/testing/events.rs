//! A stream of Server-Sent Events, read beside the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::wire::{Head, read_head};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The cursor right after it; live-only events have none.
    pub id: Option<String>,
    /// Its kind, such as `message`.
    pub event: String,
    /// What it says.
    pub data: Value,
}

impl Event {
    /// An event as a long poll writes it.
    ///
    /// # Panics
    /// Where it has no kind.
    pub fn of(value: &Value) -> Self {
        let kind = value["event"].as_str();
        Self {
            id: value["id"].as_str().map(str::to_owned),
            event: kind
                .unwrap_or_else(|| panic!("an event without its kind: {value}"))
                .to_owned(),
            data: value["data"].clone(),
        }
    }
}

enum Item {
    Event(Event),
    Comment,
    Retry(u64),
    End,
}

/// An open stream. What arrives is kept until it is asked for; dropping it closes the connection.
#[derive(Debug)]
pub struct Events {
    /// The status line and headers that it began with.
    pub head: Head,
    /// The cursor of the `hello` that it began with.
    hello: String,
    cursor: String,
    retry: Option<u64>,
    items: Receiver<Item>,
    stream: TcpStream,
}

impl Events {
    /// Opens one and waits for its `hello`.
    ///
    /// # Panics
    /// Where the server refuses, or begins with another event.
    pub fn open(url: &str, token: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(url, token, path, headers)
            .unwrap_or_else(|error| panic!("GET {path} is no stream: {error}"))
    }

    /// Opens one and waits for its `hello`, for a server that may be down just now.
    ///
    /// # Errors
    /// In words, why there is no stream.
    ///
    /// # Panics
    /// Where the stream begins with another event.
    pub fn try_open(
        url: &str,
        token: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, String> {
        let address = url.trim_start_matches("http://");
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\
             Authorization: Bearer {token}\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let connect = || -> std::io::Result<_> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            let reader = BufReader::new(stream.try_clone()?);
            Ok((stream, reader))
        };
        let (stream, mut reader) = connect().map_err(|error| error.to_string())?;
        let head = read_head(&mut reader).ok_or("no answer")?;
        let kind = head.header("content-type").unwrap_or_default();
        if head.status != 200 || !kind.starts_with("text/event-stream") {
            return Err(format!("{head:?}"));
        }
        // From here on silence is no fault: the test's own waits are bounded.
        stream
            .set_read_timeout(None)
            .map_err(|error| error.to_string())?;
        let (sender, items) = mpsc::channel();
        let chunked = head.header("transfer-encoding").is_some();
        std::thread::spawn(move || {
            if chunked {
                parse(BufReader::new(Chunks::new(reader)), &sender);
            } else {
                parse(reader, &sender);
            }
            let _ = sender.send(Item::End);
        });
        let mut events = Self {
            head,
            hello: String::new(),
            cursor: String::new(),
            retry: None,
            items,
            stream,
        };
        let first = events.next_or_end().ok_or("it ended before its hello")?;
        assert_eq!(
            first.event, "hello",
            "a stream begins with hello: {first:?}"
        );
        let cursor = first.data["cursor"].as_str().expect("hello has a cursor");
        cursor.clone_into(&mut events.hello);
        cursor.clone_into(&mut events.cursor);
        Ok(events)
    }

    /// The position after the last event taken, to resume from.
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The cursor that the stream began with.
    pub fn hello(&self) -> &str {
        &self.hello
    }

    /// The milliseconds of the last `retry:` seen.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The next event of any kind.
    ///
    /// # Panics
    /// Where none comes within [`PATIENCE`], or the stream ends.
    #[track_caller]
    pub fn any(&mut self) -> Event {
        self.next_or_end()
            .expect("the stream ended before its next event")
    }

    /// The next event of any kind; none where the server closes the stream before that.
    ///
    /// # Panics
    /// Where neither happens within [`PATIENCE`].
    #[track_caller]
    pub fn next_or_end(&mut self) -> Option<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.item(deadline) {
                Some(Item::Event(event)) => return Some(event),
                Some(Item::End) => return None,
                Some(_) => {}
                None => panic!("no event within {PATIENCE:?}"),
            }
        }
    }

    /// The next event of any kind, if one comes within `limit` and before the stream ends.
    pub fn within(&mut self, limit: Duration) -> Option<Event> {
        let deadline = Instant::now() + limit;
        loop {
            match self.item(deadline)? {
                Item::Event(event) => return Some(event),
                Item::End => return None,
                Item::Comment | Item::Retry(_) => {}
            }
        }
    }

    /// The next event of this kind; others before it are passed over.
    ///
    /// # Panics
    /// Where none comes within [`PATIENCE`], or the stream ends; the panic shows what came.
    #[track_caller]
    pub fn next(&mut self, kind: &str) -> Event {
        let mut passed = self.until(|event| event.event == kind);
        passed.pop().expect("`until` ends with what it waited for")
    }

    /// All events up to and including the first that `last` picks. What shows that something
    /// else did *not* happen: post a marker after it and look at what came before.
    ///
    /// # Panics
    /// Where it does not come within [`PATIENCE`], or the stream ends.
    #[track_caller]
    pub fn until(&mut self, mut last: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut passed = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.item(deadline) {
                Some(Item::Event(event)) => {
                    let found = last(&event);
                    passed.push(event);
                    if found {
                        return passed;
                    }
                }
                Some(Item::End) => panic!(
                    "the stream ended after {} events, the last {:?}",
                    passed.len(),
                    passed.last()
                ),
                Some(_) => {}
                None => panic!(
                    "waited {PATIENCE:?} in vain; the last of {} that came: {:?}",
                    passed.len(),
                    passed.iter().rev().take(5).collect::<Vec<_>>()
                ),
            }
        }
    }

    /// What has arrived by now, without waiting.
    pub fn arrived(&mut self) -> Vec<Event> {
        let mut arrived = Vec::new();
        while let Some(item) = self.item(Instant::now()) {
            match item {
                Item::Event(event) => arrived.push(event),
                Item::End => break,
                Item::Comment | Item::Retry(_) => {}
            }
        }
        arrived
    }

    /// [`until`](Self::until) the message of this text.
    #[track_caller]
    pub fn until_text(&mut self, text: &str) -> Vec<Event> {
        self.until(|event| event.event == "message" && event.data["text"] == text)
    }

    /// Waits for a comment line, the sign of life on a quiet stream, and says how long it took.
    ///
    /// # Panics
    /// Where none comes within [`PATIENCE`].
    #[track_caller]
    pub fn heartbeat(&mut self) -> Duration {
        let begin = Instant::now();
        loop {
            match self.item(begin + PATIENCE) {
                Some(Item::Comment) => return begin.elapsed(),
                Some(Item::End) => panic!("the stream ended before a comment line"),
                Some(_) => {}
                None => panic!("no comment line within {PATIENCE:?}"),
            }
        }
    }

    /// Waits until the server has closed the stream; the events before that.
    ///
    /// # Panics
    /// Where it is still open after [`PATIENCE`].
    #[track_caller]
    pub fn end(&mut self) -> Vec<Event> {
        let mut passed = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.item(deadline) {
                Some(Item::Event(event)) => passed.push(event),
                Some(Item::End) => return passed,
                Some(_) => {}
                None => panic!("still open after {PATIENCE:?}; what came: {passed:?}"),
            }
        }
    }

    fn item(&mut self, deadline: Instant) -> Option<Item> {
        let left = deadline.saturating_duration_since(Instant::now());
        let item = match self.items.recv_timeout(left) {
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => Item::End,
        };
        match &item {
            Item::Event(Event { id: Some(id), .. }) => id.clone_into(&mut self.cursor),
            Item::Retry(milliseconds) => self.retry = Some(*milliseconds),
            _ => {}
        }
        Some(item)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Its reader holds the same socket and ends with it.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The grammar of an event stream, as the HTML standard has it ("Interpreting an event stream").
fn parse(stream: impl BufRead, items: &Sender<Item>) {
    let (mut id, mut kind, mut data) = (None, String::new(), Vec::new());
    for line in stream.lines().map_while(Result::ok) {
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let item = match field {
            "" if line.is_empty() => {
                let lines = std::mem::take(&mut data);
                let event = Event {
                    id: id.take(),
                    event: std::mem::take(&mut kind),
                    data: serde_json::from_str(&lines.join("\n")).unwrap_or(Value::Null),
                };
                if lines.is_empty() {
                    continue;
                }
                Item::Event(event)
            }
            "" => Item::Comment,
            "retry" => Item::Retry(value.parse().unwrap_or_default()),
            "id" => {
                id = Some(value.to_owned());
                continue;
            }
            "event" => {
                value.clone_into(&mut kind);
                continue;
            }
            "data" => {
                data.push(value.to_owned());
                continue;
            }
            _ => continue,
        };
        if items.send(item).is_err() {
            return;
        }
    }
}

/// A chunked body (RFC 9112, 7.1) as plain bytes.
struct Chunks<R> {
    inner: R,
    left: usize,
    first: bool,
    ended: bool,
}

impl<R: BufRead> Chunks<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            first: true,
            ended: false,
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.inner.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.ended {
            if !self.first {
                self.line()?;
            }
            self.first = false;
            let size = self.line()?;
            // The end of the connection reads as an empty line: the stream is over as well.
            self.left = usize::from_str_radix(&size, 16).unwrap_or(0);
            self.ended = self.left == 0;
        }
        if self.ended {
            return Ok(0);
        }
        let most = buffer.len().min(self.left);
        let count = self.inner.read(&mut buffer[..most])?;
        self.left -= count;
        self.ended = count == 0;
        Ok(count)
    }
}
