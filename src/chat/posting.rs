//! Writing: messages and read marks.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Fact, invalid};
use crate::bus::{Address, Answer, Draft, Tx};
use crate::feature::Call;
use crate::http::Problem;
use crate::log::{Audience, ChatId, Id};
use crate::openapi::strings;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Send {
    /// Where to: `common`, `@name` or `room:UUID`.
    #[schemars(with = "strings::Address")]
    to: String,
    /// 1–4000 characters; it may be left away where something else is said.
    #[serde(default)]
    text: String,
    #[serde(flatten)]
    #[schemars(skip)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Read {
    /// Which chat; every one without it.
    #[serde(default)]
    #[schemars(with = "Option<strings::Address>")]
    chat: Option<String>,
    /// The last message read; the chat's last without it.
    #[serde(default)]
    upto: Option<Id>,
}

/// `POST /send`
pub(super) fn send(tx: &mut Tx<'_>, call: &Call, body: &Send) -> Result<Answer, Problem> {
    let to = tx.address("to", &body.to, call.user)?;
    tx.post(&Draft::message(call.user, to, &body.text).with(&body.more))
}

/// `POST /read`
pub(super) fn read(tx: &mut Tx<'_>, call: &Call, body: &Read) -> Result<Answer, Problem> {
    let chats = match (&body.chat, body.upto) {
        (None, Some(_)) => return Err(invalid("chat", "`upto` needs its `chat`")),
        (None, None) => tx.world().chat.chats_of(call.user),
        (Some(address), _) => match tx.address("chat", address, call.user)? {
            Address::Chat(chat) => vec![chat],
            Address::User(peer) => tx
                .world()
                .chat
                .private(call.user, peer)
                .into_iter()
                .collect::<Vec<ChatId>>(),
        },
    };
    for chat in chats {
        let Some(last) = tx.chat(chat).map(|chat| chat.last) else {
            continue;
        };
        let upto = body.upto.map_or(last, |upto| upto.min(last));
        if upto > tx.world().chat.mark(chat, call.user) {
            let fact = Fact::Read {
                user: call.user,
                chat,
                upto,
            };
            tx.core(&fact, Audience::Users(vec![call.user]))?;
        }
    }
    Ok(Answer::no_content())
}
