//! What can happen in the core chat.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Digest;
use crate::log::{Beside, Change, ChatId, ClientId, Id, Record, UserId};
use crate::settings::Period;
use crate::time::Time;

/// A fact of the core. Facts hold no text: that lies beside them and can be erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A name was taken; its position names the user.
    Joined {
        /// The name as it was spelt.
        name: String,
        /// The password's argon2id hash, a PHC string.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    /// A client of a user came to be.
    Connected {
        /// The user.
        user: UserId,
        /// The client.
        client: ClientId,
        /// The SHA-256 of its token, in hex.
        token: Digest,
        /// The program it says it is.
        agent: String,
    },
    /// A client ended: its token is dead.
    Disconnected {
        /// The user.
        user: UserId,
        /// The client.
        client: ClientId,
    },
    /// A private chat came to be; its position names it. Both are one user for a notebook.
    Opened {
        /// Its two users, in order.
        pair: [UserId; 2],
    },
    /// A chat with members came to be; its position names it.
    Founded {
        /// The feature whose chat it is.
        owner: String,
        /// Names it in addresses.
        uuid: Uuid,
        /// What to call it.
        title: String,
        /// Whether members see what was posted before they came.
        #[serde(default)]
        all: bool,
    },
    /// A user is in a chat from now on.
    Entered {
        /// The chat.
        chat: ChatId,
        /// The user.
        user: UserId,
    },
    /// A user is no longer in a chat. The last one's leaving ends it.
    Left {
        /// The chat.
        chat: ChatId,
        /// The user.
        user: UserId,
    },
    /// Nothing is left of a chat that ended.
    Cleared {
        /// The chat.
        chat: ChatId,
    },
    /// A message was posted; its position names it.
    Posted {
        /// The chat it stands in.
        chat: ChatId,
        /// Whom it is addressed to, in a private chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<UserId>,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<Time>,
        /// How long it lives from its delivery on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fuse: Option<Period>,
    },
    /// Messages of one address were handed to the one they are addressed to.
    Delivered {
        /// The chat they stand in.
        chat: ChatId,
        /// Whom they are addressed to.
        to: UserId,
        /// The messages.
        messages: Vec<Handed>,
    },
    /// Messages of one address are gone.
    Removed {
        /// The chat they stood in.
        chat: ChatId,
        /// Whom they were addressed to, in a private chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<UserId>,
        /// The messages.
        ids: Vec<Id>,
    },
    /// A feature's rows are gone.
    Erased {
        /// The rows.
        ids: Vec<Id>,
    },
    /// A user has read a chat up to a message.
    Read {
        /// The user.
        user: UserId,
        /// The chat.
        chat: ChatId,
        /// The last message read.
        upto: Id,
    },
    /// When clients were last seen.
    Seen {
        /// Each client and the time.
        clients: Vec<(ClientId, Time)>,
    },
    /// A request with an idempotency key was answered.
    Keyed {
        /// Whose request.
        user: UserId,
        /// The key.
        key: String,
        /// A digest of the request.
        digest: String,
        /// The message or row that was made. The answer is the record's text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<Id>,
    },
    /// Somebody on this machine gave a command of `veche admin`. Its arguments are the record's text.
    Administered {
        /// The number of their user in the system.
        by: u32,
        /// The command's name.
        command: String,
        /// What was answered, as an HTTP status.
        status: u16,
    },
}

impl Fact {
    /// Whether messages that are there, or what lies beside them, may be others after it.
    pub(crate) fn alters(&self) -> bool {
        match self {
            Self::Delivered { .. }
            | Self::Removed { .. }
            | Self::Cleared { .. }
            | Self::Erased { .. } => true,
            Self::Joined { .. }
            | Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::Opened { .. }
            | Self::Founded { .. }
            | Self::Entered { .. }
            | Self::Left { .. }
            | Self::Posted { .. }
            | Self::Read { .. }
            | Self::Seen { .. }
            | Self::Keyed { .. }
            | Self::Administered { .. } => false,
        }
    }
}

/// A message that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Its id.
    pub id: Id,
    /// When it was posted.
    pub at: Time,
    /// When it ends, now that its life has begun.
    pub ends: Time,
}

/// What a record changes in the rows beside the log.
pub(crate) fn changes(record: &Record) -> serde_json::Result<Vec<Change>> {
    let mut changes = own_changes(record)?;
    if !record.holds.is_empty() {
        let chat = changes.iter().find_map(|change| match change {
            Change::Message { chat, .. } => Some(*chat),
            _ => None,
        });
        changes.push(Change::Hold(record.holds.clone(), chat));
    }
    Ok(changes)
}

fn own_changes(record: &Record) -> serde_json::Result<Vec<Change>> {
    if record.owner != crate::log::CORE {
        let change = record.row.map(|beside| match beside {
            Beside::Text(message) => Change::Reword(message),
            Beside::Message(_) | Beside::None | Beside::Mark { .. } => {
                Change::Row(beside, record.object)
            }
        });
        return Ok(change.into_iter().collect());
    }
    Ok(match serde_json::from_str(record.fact.get())? {
        Fact::Posted {
            chat,
            to,
            ends,
            fuse,
        } => {
            vec![Change::Message {
                chat,
                addressee: to,
                ends,
                fuse,
            }]
        }
        Fact::Opened { pair } => pair
            .map(|user| Change::Enter(user, ChatId(record.pos)))
            .to_vec(),
        Fact::Entered { chat, user } => vec![Change::Enter(user, chat)],
        Fact::Left { chat, user } => vec![Change::Leave(user, chat)],
        Fact::Delivered { messages, .. } => {
            let ends = messages.iter().map(|message| (message.id, message.ends));
            vec![Change::Delivered(ends.collect())]
        }
        Fact::Removed { ids, .. } => vec![Change::Remove(ids)],
        Fact::Erased { ids } => vec![Change::Erase(ids)],
        Fact::Keyed {
            user,
            key,
            digest,
            made,
        } => {
            vec![Change::Key {
                user,
                key,
                digest,
                made,
            }]
        }
        Fact::Administered { .. } => vec![Change::Row(Beside::None, None)],
        Fact::Joined { .. }
        | Fact::Founded { .. }
        | Fact::Cleared { .. }
        | Fact::Connected { .. }
        | Fact::Disconnected { .. }
        | Fact::Read { .. }
        | Fact::Seen { .. } => Vec::new(),
    })
}
