//! A server for the client's unit tests: each request is answered by a closure.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::api::Api;
use super::post::Post;
use super::render::Event;
use super::session::Session;
use super::store::Store;
use super::transfer::Progress;
use super::{Link, Output};

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub fields: Vec<(String, String)>,
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Asked {
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        let pair = self.query.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
pub enum Reply {
    Json(u16, Value),
    Stream(String),
    /// Status, fields and bytes as they are.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is closed without an answer.
    Lost,
}

/// Serves until the test's process ends; gives the base URL.
pub fn serve(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let reply = Arc::new(reply);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let reply = reply.clone();
            thread::spawn(move || answer(stream.unwrap(), reply.as_ref()));
        }
    });
    base
}

fn answer(mut stream: TcpStream, reply: &dyn Fn(&Asked) -> Reply) {
    // A client that breaks off has no answer to read.
    let Ok(asked) = read(&stream) else { return };
    let kind = |kind: &str| vec![("Content-Type", kind.to_owned())];
    let (status, mut fields, body) = match reply(&asked) {
        Reply::Json(status, Value::Null) => (status, kind("application/json"), Vec::new()),
        Reply::Json(status, body) => (status, kind("application/json"), body.to_string().into()),
        Reply::Stream(body) => (200, kind("text/event-stream"), body.into()),
        Reply::Raw(status, fields, body) => (status, fields, body),
        Reply::Lost => return,
    };
    if !fields.iter().any(|(name, _)| *name == "Content-Length") {
        fields.push(("Content-Length", body.len().to_string()));
    }
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!("HTTP/1.1 {status} X\r\n{fields}Connection: close\r\n\r\n");
    // A client that has ended does not read its answer.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

fn read(mut stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let fields: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut asked = Asked {
        method,
        path: path.to_owned(),
        query: serde_urlencoded::from_str(query).unwrap(),
        fields,
        body: Value::Null,
        bytes: Vec::new(),
    };
    let length = asked
        .field("content-length")
        .map_or(0, |n| n.parse().unwrap());
    if asked.field("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    asked.bytes = vec![0; length];
    reader.read_exact(&mut asked.bytes)?;
    asked.body = serde_json::from_slice(&asked.bytes).unwrap_or_default();
    Ok(asked)
}

/// A folder that goes away with this value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What the system's own cleaning finds later is not worth a second panic.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder among the system's temporary files.
pub fn folder() -> Folder {
    let path = std::env::temp_dir().join(format!("veche-client-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&path).unwrap();
    Folder(path)
}

/// A config folder of its own.
pub fn store() -> (Store, Folder) {
    let folder = folder();
    (Store::at(folder.path().join("veche")).unwrap(), folder)
}

/// A session of ann's with that server, signed in by a kept token.
pub fn session(base: &str) -> Session {
    let (store, _folder) = store();
    store.save(base, "ann", "kept").unwrap();
    let session = Session::new(Api::new(base), store, "ann".to_owned(), None);
    session.sign_in(&mut |_| None).unwrap();
    session
}

/// Keeps what it is given, as lines; has these passwords to give, the first one last.
#[derive(Debug, Default)]
pub struct Record(pub Mutex<Vec<String>>, pub Mutex<Vec<String>>);

impl Record {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Output for Record {
    fn event(&self, event: &Event) {
        self.add(format!("{} {}", event.kind, event.data["id"]));
    }
    fn ended(&self, event: &Event) {
        self.add(format!("ended {}", event.data["room"]));
    }
    fn sent(&self, _: &Post, posted: &Value) {
        self.add(format!("sent {}", posted["id"]));
    }
    fn answer(&self, kind: &str, _: &Value, text: &str) {
        self.add(format!("{kind}: {text}"));
    }
    fn progress(&self, progress: Option<&Progress<'_>>) {
        if let Some(progress) = progress {
            self.add(format!("progress: {}", progress.name));
        }
    }
    fn notice(&self, text: &str) {
        self.add(format!("notice: {text}"));
    }
    fn trouble(&self, text: &str) {
        self.add(format!("trouble: {text}"));
    }
    fn broken(&self) -> Option<std::io::Error> {
        None
    }
    fn link(&self, link: Link) {
        if let Link::Lost(_, why) = link {
            self.add(format!("lost: {why}"));
        }
    }
    fn ask_password(&self, again: bool) -> Option<String> {
        self.add(format!("asked, again: {again}"));
        self.1.lock().unwrap().pop()
    }
}
