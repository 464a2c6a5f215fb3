//! What was said before: what a client has missed, and what it asks for (`CHATHISTORY`).

use veche::prelude::*;

use super::caps::Cap;
use super::line::{Line, Out};
use super::link::{End, Link, SERVER};
use super::names::{field, nick, part};

/// The most unread messages of one chat that are given unasked; the newest.
const MISSED: u64 = 1000;

/// Of so many lines no more of its messages are, and no more of their comments.
const MISSED_LINES: usize = 5000;

/// The most comments of one of them that are given behind it.
const COMMENTS: usize = 50;

/// How many messages are read at a time.
const PAGE: u64 = 200;

/// The most messages of one `CHATHISTORY`.
const LIMIT: u64 = 100;

/// A position is found by halving in at most so many steps: ids are below 2⁵³.
const STEPS: usize = 60;

/// Where a part of a chat's history begins or ends.
pub enum Edge {
    Id(Id),
    /// As the API writes times, so that the later one is the greater text.
    Time(String),
}

impl Link {
    /// Gives what is unread of each chat, the oldest first.
    pub async fn catch_up(&mut self, chats: &Value) -> Result<(), End> {
        for chat in chats.as_array().into_iter().flatten() {
            let address = field(chat, "chat");
            let is_heard = address.starts_with('@') || self.channels.at(address).is_some();
            let (unread, last) = (chat["unread"].as_u64(), chat["last"]["id"].as_u64());
            if let (Some(1..), Some(last), true) = (unread, last, is_heard) {
                let read = chat["read"].as_u64().unwrap_or_default();
                self.missed(address, unread.unwrap_or_default(), read, last)
                    .await?;
            }
        }
        Ok(())
    }

    async fn missed(&mut self, chat: &str, unread: u64, read: Id, last: Id) -> Result<(), End> {
        let wanted = unread.min(MISSED);
        let (mut begin, mut found, mut lines) = (last + 1, 0, 0);
        while found < wanted && lines < MISSED_LINES {
            let query = format!("before={begin}&limit={PAGE}");
            let (messages, more) = self.page(chat, &query).await;
            for message in messages.iter().rev() {
                if found < wanted && lines < MISSED_LINES {
                    begin = message["id"].as_u64().unwrap_or_default();
                    found += u64::from(field(message, "from") != self.me);
                    lines += self.message_lines(message, Some("")).len();
                }
            }
            if !more || messages.is_empty() {
                break;
            }
        }
        self.let_go(chat);
        let is_cut = found == wanted || lines >= MISSED_LINES;
        if is_cut && found < unread {
            let query = format!("after={read}&limit=1");
            let (first, _) = self.page(chat, &query).await;
            let first = first.first().and_then(|first| first["id"].as_u64());
            self.hold(chat, first.unwrap_or(begin), begin);
            let (name, more) = (self.target(chat), unread - found);
            self.notice(&format!(
                "{name}: {more} more are unread before these, and it stays unread until you have them: \
                 CHATHISTORY BEFORE {name} msgid={begin} {LIMIT}"
            ));
        }
        let batch = self.open_batch(chat);
        let mut room = MISSED_LINES;
        let mut after = begin.saturating_sub(1);
        while after < last {
            let (messages, more) = self
                .page(chat, &format!("after={after}&limit={PAGE}"))
                .await;
            for message in &messages {
                let id = message["id"].as_u64().unwrap_or_default();
                after = id;
                if id <= last && self.is_new(chat, id) {
                    if field(message, "from") != self.me {
                        self.reads(chat, id);
                    }
                    let lines = self.message_lines(message, Some(&batch));
                    self.give(id, &id.to_string(), lines);
                    if room > 0 && message["comments"].as_u64().is_some_and(|count| count > 0) {
                        room = room.saturating_sub(self.give_remarks(message, &batch).await);
                    }
                    self.relieve().await?;
                }
            }
            if !more || messages.is_empty() {
                break;
            }
        }
        self.close_batch(batch);
        self.flush().await
    }

    /// Gives the first comments of a message that was missed; says how many lines they have.
    async fn give_remarks(&mut self, message: &Value, batch: &str) -> usize {
        let id = message["id"].as_u64().unwrap_or_default();
        let path = format!("/messages/{id}/comments?limit={COMMENTS}");
        let listed = self.inside.get(&path).await.body;
        let mut count = 0;
        for comment in listed["comments"].as_array().into_iter().flatten() {
            let lines = self.comment_on(message, comment, Some(batch));
            count += lines.len();
            let own = comment["id"].as_u64().unwrap_or_default();
            self.gave_comment(own);
            self.give(id, &own.to_string(), lines);
        }
        count
    }

    /// Messages of a chat, and whether there are more.
    async fn page(&self, chat: &str, query: &str) -> (Vec<Value>, bool) {
        let path = format!("/messages?chat={}&{query}", part(chat));
        let mut body = self.inside.get(&path).await.body;
        let more = body["more"] == true;
        match body.get_mut("messages").map(Value::take) {
            Some(Value::Array(messages)) => (messages, more),
            _ => (Vec::new(), false),
        }
    }

    /// What the client calls a chat.
    pub fn target(&self, chat: &str) -> String {
        match chat.strip_prefix('@') {
            Some(name) => nick(name),
            None => self
                .channels
                .at(chat)
                .map_or_else(String::new, |one| one.name.clone()),
        }
    }

    fn open_batch(&mut self, chat: &str) -> String {
        let (batch, target) = (self.batch(), self.target(chat));
        if self.caps.has(Cap::Batch) {
            let out = Out::new(SERVER, "BATCH").word(&format!("+{batch}"));
            self.send(out.word("chathistory").word(&target));
        }
        batch
    }

    fn close_batch(&mut self, batch: String) {
        if self.caps.has(Cap::Batch) {
            self.send(Out::new(SERVER, "BATCH").word(&format!("-{batch}")));
        }
    }

    /// `CHATHISTORY`
    pub async fn history(&mut self, line: &Line) -> Result<(), End> {
        let kind = line.param(0).to_ascii_uppercase();
        let target = line.param(1).to_owned();
        if kind == "TARGETS" {
            return self.targets(line).await;
        }
        let edges = match kind.as_str() {
            "LATEST" | "BEFORE" | "AFTER" | "AROUND" => 1,
            "BETWEEN" => 2,
            _ => {
                let text = "Unknown subcommand";
                self.fail("CHATHISTORY", "INVALID_PARAMS", &[&kind], text);
                return Ok(());
            }
        };
        let given: Vec<_> = (2..2 + edges)
            .map(|place| edge(line.param(place)))
            .collect();
        let limit = line
            .param(2 + edges)
            .parse::<u64>()
            .ok()
            .filter(|limit| *limit > 0);
        let is_open = kind == "LATEST" && line.param(2) == "*";
        let (Some(limit), true) = (limit, is_open || given.iter().all(Option::is_some)) else {
            let text = "A target, where to begin (msgid= or timestamp=), and how many are needed";
            self.fail("CHATHISTORY", "INVALID_PARAMS", &[&kind, &target], text);
            return Ok(());
        };
        let limit = limit.min(LIMIT);
        let Some(chat) = self.address(&target) else {
            self.fail(
                "CHATHISTORY",
                "INVALID_TARGET",
                &[&kind, &target],
                "No such chat",
            );
            return Ok(());
        };
        let probe = self
            .inside
            .get(&format!("/messages?chat={}&limit=1", part(&chat)))
            .await;
        if !probe.status.is_success() {
            self.fail(
                "CHATHISTORY",
                "INVALID_TARGET",
                &[&kind, &target],
                probe.detail(),
            );
            return Ok(());
        }
        let mut edges = given.into_iter().flatten();
        let (first, second) = (edges.next(), edges.next());
        let messages = self.part_of(&chat, &kind, first, second, limit).await;
        let batch = self.open_batch(&chat);
        for message in &messages {
            let id = message["id"].as_u64().unwrap_or_default();
            let lines = self.message_lines(message, Some(&batch));
            self.give(id, &id.to_string(), lines);
            self.relieve().await?;
        }
        self.close_batch(batch);
        let id = |message: Option<&Value>| message.and_then(|message| message["id"].as_u64());
        if let (Some(first), Some(last), true) = (
            id(messages.first()),
            id(messages.last()),
            self.held.has(&chat),
        ) {
            let (next, _) = self.page(&chat, &format!("after={last}&limit=1")).await;
            self.gave(&chat, first, id(next.first()).unwrap_or(Id::MAX));
        }
        Ok(())
    }

    async fn part_of(
        &self,
        chat: &str,
        kind: &str,
        first: Option<Edge>,
        second: Option<Edge>,
        limit: u64,
    ) -> Vec<Value> {
        // The messages after an edge begin behind `after`, those before it end before `before`.
        let (mut after, mut before) = (0, 0);
        if let Some(edge) = &first {
            (before, after) = self.around(chat, edge).await;
        }
        match (kind, second) {
            ("LATEST", _) => self.last(chat, after, None, limit).await,
            ("BEFORE", _) => self.last(chat, 0, Some(before), limit).await,
            ("AFTER", _) => self.first(chat, after, None, limit).await,
            ("BETWEEN", Some(second)) => {
                let (second_before, second_after) = self.around(chat, &second).await;
                if before <= second_before {
                    self.first(chat, after, Some(second_before), limit).await
                } else {
                    self.last(chat, second_after, Some(before), limit).await
                }
            }
            _ => {
                let mut messages = self.last(chat, 0, Some(before), limit / 2).await;
                let rest = limit - messages.len() as u64;
                let from = before.saturating_sub(1);
                messages.extend(self.first(chat, from, None, rest).await);
                messages
            }
        }
    }

    /// The last messages after one and before another.
    async fn last(&self, chat: &str, after: Id, before: Option<Id>, limit: u64) -> Vec<Value> {
        if limit == 0 {
            return Vec::new();
        }
        let before = before.map_or_else(String::new, |before| format!("before={before}&"));
        let (mut messages, _) = self.page(chat, &format!("{before}limit={limit}")).await;
        messages.retain(|message| message["id"].as_u64().is_some_and(|id| id > after));
        messages
    }

    /// The first messages after one and before another.
    async fn first(&self, chat: &str, after: Id, before: Option<Id>, limit: u64) -> Vec<Value> {
        if limit == 0 {
            return Vec::new();
        }
        let (mut messages, _) = self
            .page(chat, &format!("after={after}&limit={limit}"))
            .await;
        let is_before = |id| before.is_none_or(|before| id < before);
        messages.retain(|message| message["id"].as_u64().is_some_and(is_before));
        messages
    }

    /// Before which id those lie that are before an edge, and after which those after it.
    async fn around(&self, chat: &str, edge: &Edge) -> (Id, Id) {
        match edge {
            Edge::Id(id) => (*id, *id),
            Edge::Time(time) => {
                let before = self.boundary(chat, |at| at >= time.as_str()).await;
                let after = self.boundary(chat, |at| at > time.as_str()).await;
                (before, after.saturating_sub(1))
            }
        }
    }

    /// An id before which all messages are early, and from which on all are late.
    async fn boundary(&self, chat: &str, late: impl Fn(&str) -> bool) -> Id {
        let (newest, _) = self.page(chat, "limit=1").await;
        let newest = newest.first().and_then(|message| message["id"].as_u64());
        // All up to `low` are early, all after `high` are late.
        let (mut low, mut high) = (0, newest.unwrap_or_default());
        for _ in 0..STEPS {
            if low >= high {
                break;
            }
            let middle = low + (high - low) / 2;
            let (next, _) = self.page(chat, &format!("after={middle}&limit=1")).await;
            match next.first().filter(|message| !late(field(message, "at"))) {
                Some(early) => low = early["id"].as_u64().unwrap_or(middle + 1),
                None => high = middle,
            }
        }
        high + 1
    }

    /// `CHATHISTORY TARGETS`: the chats that had messages between two times.
    async fn targets(&mut self, line: &Line) -> Result<(), End> {
        let limit = line.param(3).parse::<usize>().ok();
        let (Some(Edge::Time(one)), Some(Edge::Time(other)), Some(limit)) =
            (edge(line.param(1)), edge(line.param(2)), limit)
        else {
            let text = "Two times (timestamp=) and how many are needed";
            self.fail("CHATHISTORY", "INVALID_PARAMS", &["TARGETS"], text);
            return Ok(());
        };
        let (from, to) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        let status = self.inside.get("/status").await.body;
        let chats = status["chats"].as_array().into_iter().flatten();
        let mut found: Vec<(String, String)> = chats
            .filter_map(|chat| {
                let at = field(&chat["last"], "at");
                let target = self.target(field(chat, "chat"));
                let is_in = from.as_str() < at && at < to.as_str() && !target.is_empty();
                is_in.then(|| (at.to_owned(), target))
            })
            .collect();
        found.sort();
        let batch = self.batch();
        if self.caps.has(Cap::Batch) {
            let out = Out::new(SERVER, "BATCH").word(&format!("+{batch}"));
            self.send(out.word("draft/chathistory-targets"));
        }
        for (at, target) in found.into_iter().take(limit) {
            let out = Out::new(SERVER, "CHATHISTORY").word("TARGETS");
            self.send(out.word(&target).word(&at).tag("batch", batch.clone()));
        }
        self.close_batch(batch);
        Ok(())
    }
}

/// A selector: `msgid=ID` or `timestamp=TIME`.
pub fn edge(text: &str) -> Option<Edge> {
    if let Some(id) = text.strip_prefix("msgid=") {
        return super::commands::message_id(id).map(Edge::Id);
    }
    let time: Time = text.strip_prefix("timestamp=")?.parse().ok()?;
    Some(Edge::Time(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_names_a_message_or_a_time() {
        assert!(matches!(edge("msgid=7"), Some(Edge::Id(7))));
        assert!(matches!(edge("msgid=7.2"), Some(Edge::Id(7))));
        let time = "2026-11-29T10:18:55.123Z";
        let read = edge(&format!("timestamp={time}"));
        assert!(matches!(read, Some(Edge::Time(read)) if read == time));
        for none in ["", "*", "7", "msgid=", "msgid=x", "timestamp=now"] {
            assert!(edge(none).is_none(), "{none}");
        }
    }
}
