//! A fact as its readers get it: one Server-Sent Event, serialised once.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::{Event, View};
use crate::chat;
use crate::feature::Features;
use crate::http::Chunk;
use crate::log::{Audience, CORE, Contents, Id, Pos, Record, UserId};

/// One event, ready to be written to any number of streams.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its position; 0 for one that only those see who are there.
    pub(crate) pos: Pos,
    /// A message whose life starts when this user has it.
    pub(crate) delivers: Option<(UserId, Id)>,
    kind: &'static str,
    chunk: Chunk,
    data: Range<usize>,
}

impl Frame {
    /// An event with a cursor.
    pub(crate) fn new(pos: Pos, cursor: &str, event: &Event) -> Self {
        Self::build(pos, &format!("id: {cursor}\n"), event)
    }

    /// An event that is never resumed.
    pub(crate) fn live(event: &Event) -> Self {
        Self::build(0, "", event)
    }

    /// One that another node made: the text of such an event.
    pub(crate) fn relayed(text: &[u8]) -> Self {
        Self {
            pos: 0,
            delivers: None,
            kind: "live",
            data: 0..0,
            chunk: Chunk::framed(text),
        }
    }

    /// The comment that shows a stream to be alive.
    pub(crate) fn comment() -> Self {
        Self {
            pos: 0,
            delivers: None,
            kind: "",
            data: 0..0,
            chunk: Chunk::framed(b":\n\n"),
        }
    }

    fn build(pos: Pos, id: &str, event: &Event) -> Self {
        // JSON never holds a raw line break, so that one `data:` line is enough.
        let data = event.data.to_string();
        let text = format!("{id}event: {}\ndata: {data}\n\n", event.kind);
        let start = text.len() - 2 - data.len();
        Self {
            pos,
            delivers: None,
            kind: event.kind,
            data: start..start + data.len(),
            chunk: Chunk::framed(text.as_bytes()),
        }
    }

    /// The bytes for a stream.
    pub(crate) fn chunk(&self) -> Chunk {
        self.chunk.clone()
    }

    /// The bytes themselves.
    pub(crate) fn text(&self) -> &[u8] {
        self.chunk.data()
    }

    /// The bytes for a stream in the chunked coding.
    pub(crate) fn wire(&self) -> &Bytes {
        self.chunk.wire()
    }

    /// Whether it says nothing but that the stream is alive.
    pub(crate) fn is_comment(&self) -> bool {
        self.kind.is_empty()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its JSON.
    pub(crate) fn data(&self) -> &[u8] {
        &self.chunk.data()[self.data.clone()]
    }
}

/// What makes frames: the features that are on, and the name of this history.
#[derive(Clone)]
pub(crate) struct Frames {
    features: Arc<Features>,
    epoch: Arc<str>,
}

impl Frames {
    pub(crate) fn new(features: Arc<Features>, epoch: &str) -> Self {
        Self {
            features,
            epoch: epoch.into(),
        }
    }

    /// A position as clients hold it.
    pub(crate) fn cursor(&self, pos: Pos) -> String {
        format!("{}-{pos}", self.epoch)
    }

    /// The position of a cursor of this history.
    pub(crate) fn position(&self, cursor: &str) -> Option<Pos> {
        let pos = cursor.strip_prefix(&*self.epoch)?.strip_prefix('-')?;
        let canonical = pos == "0" || !pos.starts_with(['0', '+']);
        if canonical { pos.parse().ok() } else { None }
    }

    /// The frame of a record; none for a fact without an event, of a feature that is off, or
    /// whose text is gone, or in a chat of a feature that is off.
    pub(crate) fn frame(
        &self,
        view: &View<'_>,
        record: &Record,
        contents: &Contents,
    ) -> Option<Frame> {
        if record.text && contents.text.is_none() {
            return None;
        }
        if let Audience::Chat(chat) = record.audience
            && view.world().chat.is_hidden(chat)
        {
            return None;
        }
        // A panic can only be a fault of a feature's code, and must not end every stream.
        let told = catch_unwind(AssertUnwindSafe(|| {
            if record.owner == CORE {
                chat::event(view, &self.features, record, contents)
            } else {
                let text = contents.text.as_deref();
                Some((self.feature_event(view, record, text)?, None))
            }
        }));
        let (event, delivers) = told.unwrap_or_else(|_| {
            tracing::error!(
                pos = record.pos,
                owner = record.owner,
                "telling a fact panicked"
            );
            None
        })?;
        let mut frame = Frame::new(record.pos, &self.cursor(record.pos), &event);
        frame.delivers = delivers;
        Some(frame)
    }

    fn feature_event(&self, view: &View<'_>, record: &Record, text: Option<&str>) -> Option<Event> {
        if !self.features.is_on(&record.owner) {
            return None;
        }
        let registration = Features::registration(&record.owner)?;
        let telling = super::Telling {
            id: record.pos,
            at: record.at,
            by: record.by,
            message: record.message(),
            text,
            view,
            features: &self.features,
        };
        (registration.state.event)(&record.fact, &telling).unwrap_or_else(|error| {
            tracing::error!(%error, pos = record.pos, owner = record.owner, "telling a fact");
            None
        })
    }
}
