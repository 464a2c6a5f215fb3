//! Shows what was posted while one was away.

use std::collections::VecDeque;

use serde::Deserialize as _;
use serde_json::Value;

use super::answer::{CallError, ChatStatus};
use super::render::{Event, Message};
use super::session::Session;

/// How many messages of the common chat are shown at the start.
const HISTORY: u16 = 20;
/// The largest page that the server gives.
const PAGE: u16 = 200;

impl Session {
    /// Shows all that is unread, and the end of the common chat if `history` says so, oldest first,
    /// and marks it as read. The stream is open already, so what is posted meanwhile comes by it,
    /// too.
    pub fn begin(&self, history: bool, show: &mut dyn FnMut(Event)) -> Result<(), CallError> {
        let status = self.api.status()?;
        self.state().learn(&status);
        self.state().note_newest(&status.chats);
        let history = match history {
            true => self.api.messages("common", None, HISTORY)?.messages,
            false => Vec::new(),
        };
        self.show_unread(history.into(), show)
    }

    /// How the chats stand.
    pub fn chats(&self) -> Result<Vec<ChatStatus>, CallError> {
        let status = self.api.status()?;
        self.state().learn(&status);
        self.state().note_newest(&status.chats);
        Ok(status.chats)
    }

    /// Shows what was posted since the last that was shown in each chat, where the log no longer
    /// reaches back that far.
    pub fn catch_up(&self, show: &mut dyn FnMut(Event)) -> Result<(), CallError> {
        let status = self.api.status()?;
        self.state().learn(&status);
        for chat in &status.chats {
            let newest = self.state().newest.get(&chat.chat).copied();
            let Some(mut after) = newest.or((chat.kind != "room").then_some(0)) else {
                // A room that one has joined meanwhile: what is unread there comes below.
                continue;
            };
            let last = chat.last_id();
            while after < last {
                let page = self.api.messages(&chat.chat, Some(after), PAGE)?;
                let Some(id) = page.messages.last().and_then(|m| m["id"].as_u64()) else {
                    break;
                };
                self.show_all(page.messages, show);
                if !page.more || id <= after {
                    break;
                }
                after = id;
            }
        }
        self.state().note_newest(&status.chats);
        self.show_unread(VecDeque::new(), show)
    }

    /// Shows the unread messages page by page, with `others` in between, by their ids.
    fn show_unread(
        &self,
        mut others: VecDeque<Value>,
        show: &mut dyn FnMut(Event),
    ) -> Result<(), CallError> {
        let id = |message: &Value| message["id"].as_u64().unwrap_or(0);
        let mut before = None;
        loop {
            let page = self.api.unread(PAGE)?;
            let first = page.messages.first().map(id);
            for message in page.messages {
                while let Some(other) = others.pop_front_if(|other| id(other) < id(&message)) {
                    self.show_all(vec![other], show);
                }
                self.show_unread_one(message, show);
            }
            // There is no page after this one but by reading this one.
            self.mark()?;
            if !page.more || first == before {
                break;
            }
            before = first;
        }
        self.show_all(others.into(), show);
        self.mark()
    }

    fn show_all(&self, messages: Vec<Value>, show: &mut dyn FnMut(Event)) {
        for message in messages {
            if let Some(event) = self.take(Event::message(message)) {
                show(event);
            }
        }
    }

    /// An unread message that was shown before still has its mark to move.
    fn show_unread_one(&self, message: Value, show: &mut dyn FnMut(Event)) {
        if let Ok(read) = Message::deserialize(&message) {
            self.state().read(&read);
        }
        self.show_all(vec![message], show);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Asked, Reply, serve, session};
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    /// Ann's chats at a server whose pages have two messages.
    #[derive(Default)]
    struct Chats {
        messages: Vec<Value>,
        marks: BTreeMap<String, u64>,
    }

    impl Chats {
        fn post(&mut self, id: u64, from: &str, to: &str) {
            let at = "2026-11-24T20:18:55.123Z";
            let message = json!({"id": id, "from": from, "to": to, "text": "x", "at": at});
            self.messages.push(message);
        }

        fn chat(message: &Value) -> String {
            match message["to"].as_str().unwrap() {
                "@ann" => format!("@{}", message["from"].as_str().unwrap()),
                to => to.to_owned(),
            }
        }

        fn page(messages: Vec<&Value>) -> Reply {
            let more = messages.len() > 2;
            let page: Vec<_> = messages.into_iter().take(2).collect();
            Reply::Json(200, json!({"messages": page, "more": more}))
        }

        fn answer(&mut self, asked: &Asked) -> Reply {
            let id = |message: &&Value| message["id"].as_u64().unwrap();
            match asked.path.as_str() {
                "/status" => {
                    let last: BTreeMap<_, _> =
                        self.messages.iter().map(|m| (Chats::chat(m), m)).collect();
                    let chats: Vec<_> = last
                        .iter()
                        .map(|(chat, last)| json!({"chat": chat, "kind": "private", "last": last}))
                        .collect();
                    let body = json!({"server": {}, "user": {"name": "ann"}, "chats": chats});
                    Reply::Json(200, body)
                }
                "/messages" => {
                    let chat = asked.query("chat").unwrap();
                    let messages = self.messages.iter().filter(|m| Chats::chat(m) == chat);
                    match asked.query("after") {
                        Some(after) => {
                            let after: u64 = after.parse().unwrap();
                            Chats::page(messages.filter(|m| id(m) > after).collect())
                        }
                        None => {
                            let all: Vec<_> = messages.collect();
                            Reply::Json(200, json!({"messages": all, "more": false}))
                        }
                    }
                }
                "/unread" => {
                    let mark = |m: &&Value| self.marks.get(&Chats::chat(m)).copied().unwrap_or(0);
                    let unread = |m: &&Value| m["from"] != "ann" && id(m) > mark(m);
                    Chats::page(self.messages.iter().filter(unread).collect())
                }
                "/read" => {
                    let chat = asked.body["chat"].as_str().unwrap().to_owned();
                    let mark = self.marks.entry(chat).or_insert(0);
                    *mark = asked.body["upto"].as_u64().unwrap().max(*mark);
                    Reply::Json(204, Value::Null)
                }
                other => panic!("{other}"),
            }
        }
    }

    fn chats() -> (Arc<Mutex<Chats>>, Session) {
        let chats = Arc::new(Mutex::new(Chats::default()));
        let served = chats.clone();
        let base = serve(move |asked| served.lock().unwrap().answer(asked));
        (chats, session(&base))
    }

    fn shown(
        session: &Session,
        what: impl Fn(&Session, &mut dyn FnMut(Event)) -> Result<(), CallError>,
    ) -> Vec<u64> {
        let mut ids = Vec::new();
        what(session, &mut |event| {
            ids.push(event.data["id"].as_u64().unwrap())
        })
        .unwrap();
        ids
    }

    fn with_history(session: &Session, show: &mut dyn FnMut(Event)) -> Result<(), CallError> {
        session.begin(true, show)
    }

    #[test]
    fn the_beginning_without_history_shows_what_is_unread_alone() {
        let (chats, session) = chats();
        for (id, from) in [(1, "bob"), (2, "ann"), (3, "carl")] {
            chats.lock().unwrap().post(id, from, "common");
        }
        let marks = BTreeMap::from([("common".to_owned(), 1)]);
        chats.lock().unwrap().marks = marks;
        let begin = |session: &Session, show: &mut dyn FnMut(Event)| session.begin(false, show);
        assert_eq!(shown(&session, begin), [3]);
        assert!(shown(&session, begin).is_empty());
    }

    #[test]
    fn the_beginning_shows_history_and_unread_once_in_order_and_marks_it() {
        let (chats, session) = chats();
        {
            let mut chats = chats.lock().unwrap();
            for (id, from, to) in [
                (1, "bob", "@ann"),
                (2, "bob", "common"),
                (3, "ann", "common"),
                (4, "carl", "@ann"),
                (5, "ann", "@carl"),
                (6, "bob", "common"),
                (7, "bob", "@ann"),
                (8, "ann", "common"),
            ] {
                chats.post(id, from, to);
            }
            chats.marks.insert("@bob".to_owned(), 1);
        }
        assert_eq!(shown(&session, with_history), [2, 3, 4, 6, 7, 8]);
        let marks = &chats.lock().unwrap().marks;
        let marks: Vec<_> = marks
            .iter()
            .map(|(chat, id)| (chat.as_str(), *id))
            .collect();
        assert_eq!(marks, [("@bob", 7), ("@carl", 4), ("common", 6)]);
    }

    #[test]
    fn catching_up_shows_what_was_missed_of_every_chat_once() {
        let (chats, session) = chats();
        chats.lock().unwrap().post(1, "bob", "common");
        chats.lock().unwrap().post(2, "ann", "@bob");
        assert_eq!(shown(&session, with_history), [1]);
        for id in 3..=7 {
            chats.lock().unwrap().post(id, "bob", "common");
        }
        chats.lock().unwrap().post(8, "ann", "@bob");
        chats.lock().unwrap().post(9, "eve", "@ann");
        let mut ids = shown(&session, Session::catch_up);
        ids.sort_unstable();
        assert_eq!(ids, [3, 4, 5, 6, 7, 8, 9]);
        assert!(shown(&session, Session::catch_up).is_empty());
        assert_eq!(chats.lock().unwrap().marks["common"], 7);
    }

    #[test]
    fn a_server_that_moves_no_mark_is_not_asked_for_ever() {
        let page = json!({"messages": [{"id": 1, "from": "bob", "to": "common", "text": "x",
            "at": "2026-11-24T20:18:55.123Z"}], "more": true});
        let status = json!({"server": {}, "user": {"name": "ann"}});
        let base = serve(move |asked| match asked.path.as_str() {
            "/status" => Reply::Json(200, status.clone()),
            "/read" => Reply::Json(204, Value::Null),
            _ => Reply::Json(200, page.clone()),
        });
        assert_eq!(shown(&session(&base), with_history), [1]);
    }
}
