//! What can happen to rooms.

use veche::prelude::*;

/// What can happen to a room.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A room was made.
    Made {
        /// The room.
        chat: ChatId,
        /// Whose it is.
        owner: UserId,
    },
    /// Somebody was invited.
    Invited {
        /// Where to.
        chat: ChatId,
        /// Who.
        user: UserId,
    },
    /// An invitation was taken back.
    Uninvited {
        /// Where to.
        chat: ChatId,
        /// Whose.
        user: UserId,
    },
    /// A link was made.
    Linked {
        /// Where to.
        chat: ChatId,
        /// The digest of its code.
        code: String,
        /// Until when it can be used.
        expires: Option<Time>,
        /// How many it can let in.
        uses: Option<u64>,
    },
    /// A link can be used no more from now on.
    Expired {
        /// Of which room.
        chat: ChatId,
        /// The digest of its code.
        code: String,
        /// Whose the room is.
        owner: UserId,
    },
    /// Links were revoked.
    Unlinked {
        /// Of which room.
        chat: ChatId,
        /// The digests of their codes.
        codes: Vec<String>,
    },
    /// Somebody with a link asked to be let in.
    Asked {
        /// Where to.
        chat: ChatId,
        /// Who.
        user: UserId,
        /// The digest of the link's code.
        code: String,
    },
    /// The owner refused a request.
    Refused {
        /// Where to.
        chat: ChatId,
        /// Whose request.
        user: UserId,
        /// When they may ask again.
        until: Time,
    },
    /// Somebody is a member now.
    Joined {
        /// Of which room.
        chat: ChatId,
        /// Who.
        user: UserId,
        /// The digest of the link's code that they came with.
        code: Option<String>,
    },
    /// Somebody is no longer a member.
    Left {
        /// Of which room.
        chat: ChatId,
        /// Who.
        user: UserId,
        /// Whether the owner removed them.
        removed: bool,
        /// Whose the room is from now on, where its owner left.
        heir: Option<UserId>,
    },
    /// An administrator gave the room to one of its members.
    Owned {
        /// The room.
        chat: ChatId,
        /// Whose it is from now on.
        owner: UserId,
    },
    /// Something to be told, which changes nothing.
    Told(Told),
}

/// What is told to some alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The whole room as it is for a member.
    Room {
        /// The room.
        chat: ChatId,
        /// Who sees it.
        to: UserId,
    },
    /// The room's links, to its owner.
    Links {
        /// The room.
        chat: ChatId,
        /// The owner.
        to: UserId,
    },
    /// The asker's own request.
    Asked {
        /// The room's title, all that an asker sees.
        title: String,
    },
    /// The asker's request is granted, or needed no more.
    Approved {
        /// The room's title.
        title: String,
        /// When they asked.
        asked: Time,
    },
    /// The asker's request is refused.
    Refused {
        /// The room's title, all that an asker sees.
        title: String,
        /// When they asked.
        asked: Time,
    },
    /// Invitations are void.
    Void {
        /// Where they led to.
        room: String,
        /// The room's title.
        title: String,
    },
}
