//! All that a feature uses: `use veche::prelude::*;`.

pub use async_trait::async_trait;
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::{Map, Value, json};

pub use crate::bus::{
    Address, Answer, Draft, Entry, Event, Fields, PassedDraft, Purpose, Shown, Stamp, Subject,
    Telling, Tx, View,
};
pub use crate::chat::{Chat, Kind, invalid, is_in_name, not_found, unknown_chat};
pub use crate::counts::{Counter, counter};
pub use crate::feature;
pub use crate::feature::{
    Answered, Ask, Call, Events, Feature, Fixed, Happened, Inside, Listen, Named, NoQuery, Paging,
    Routes, Site, Verdict, Visit, parse_json, parse_query,
};
#[cfg(any(test, fuzzing))]
pub use crate::fuzzed;
pub use crate::http::{Guest, GuestStream, Network};
pub use crate::http::{Params, Problem, Upload};
pub use crate::log::{ChatId, ClientId, Id, Mark, Marked, MessageRow, Pos, Row, UserId};
pub use crate::log::{Found, Phrase, Wanted, Word, words};
pub use crate::objects::Object;
pub use crate::openapi::strings;
pub use crate::outgoing::{CallError, Called, Callee, Caller};
pub use crate::secret::{Key, digest, new_code};
pub use crate::settings;
pub use crate::settings::{Period, Size};
pub use crate::time::Time;
pub use base64;
pub use http::{HeaderMap, HeaderValue, StatusCode};
pub use tokio;
pub use unicode_properties::{EmojiStatus, UnicodeEmoji};
pub use unicode_segmentation::UnicodeSegmentation;
pub use uuid::Uuid;
