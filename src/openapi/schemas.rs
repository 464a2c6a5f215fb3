//! The shapes of answers, for the description alone. Features add fields to messages, chats and
//! users, so those are open.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::strings;

macro_rules! view {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Serialize, JsonSchema)]
        $(#[$about])*
        pub(crate) struct $name { $($(#[$doc])* $field: $type,)* }
    };
}

view! {
    /// A message. Features add fields.
    #[schemars(rename = "Message")]
    MessageView {
        /// Only grows, and is never used again.
        id: u64,
        /// Who wrote it.
        from: String,
        /// `common`, `@name` or `room:UUID`.
        #[schemars(with = "strings::Address")]
        to: String,
        /// The text.
        text: String,
        /// When it was posted, RFC 3339.
        #[schemars(with = "strings::Moment")]
        at: String,
    }
}

view! {
    /// A page of messages.
    #[schemars(rename = "Messages")]
    MessagePage {
        /// Oldest first.
        messages: Vec<MessageView>,
        /// Whether there are more that way.
        more: bool,
    }
}

view! {
    /// A chat as its member sees it. Features add parts.
    #[schemars(rename = "Chat")]
    ChatView {
        /// Its address.
        #[schemars(with = "strings::Address")]
        chat: String,
        /// `common`, `private` or `room`.
        kind: String,
        /// What to call it.
        title: String,
        /// How many are in it.
        members: u64,
        /// How many of them are online.
        online: u64,
        /// How many messages of others follow one's mark.
        unread: u64,
        /// The last message.
        last: Option<MessageView>,
    }
}

view! {
    /// A client of the user.
    #[schemars(rename = "Client")]
    ClientView {
        /// Its id, a UUID.
        #[schemars(with = "strings::Uuid")]
        id: String,
        /// The program it says it is.
        agent: String,
        /// When it connected.
        #[schemars(with = "strings::Moment")]
        since: String,
        /// When it was last seen.
        #[schemars(with = "strings::Moment")]
        seen: String,
        /// Whether it is the one that asks.
        current: bool,
    }
}

view! {
    /// The user's own name.
    #[schemars(rename = "Name")]
    NameView {
        /// As it was spelt first.
        name: String,
    }
}

view! {
    /// A new client.
    Connected {
        /// The user.
        user: NameView,
        /// The client's id, a UUID.
        #[schemars(with = "strings::Uuid")]
        client: String,
        /// Goes into `Authorization: Bearer` of every other request.
        token: String,
        /// The user's chats.
        chats: Vec<ChatView>,
        /// The common chat's last messages, oldest first.
        history: Vec<MessageView>,
        /// Unread messages by chat.
        unread: BTreeMap<String, u64>,
        /// Where `GET /events` goes on from.
        cursor: String,
    }
}

view! {
    /// The server. Features add parts: what their settings allow.
    #[schemars(rename = "Server")]
    ServerView {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// For how many seconds it runs.
        uptime_s: u64,
        /// The features that are on.
        features: Vec<String>,
        /// How many characters a text may have.
        text: u64,
    }
}

view! {
    /// Oneself. Features add parts.
    #[schemars(rename = "Self")]
    SelfView {
        /// The name.
        name: String,
        /// The clients.
        clients: Vec<ClientView>,
    }
}

view! {
    /// The overview.
    #[schemars(rename = "Status")]
    StatusView {
        /// The server.
        server: ServerView,
        /// Oneself.
        user: SelfView,
        /// One's chats.
        chats: Vec<ChatView>,
    }
}

view! {
    /// Another user.
    #[schemars(rename = "User")]
    UserView {
        /// The name.
        name: String,
        /// Whether they are there.
        online: bool,
        /// When they were last seen.
        #[schemars(with = "strings::Moment")]
        seen: String,
    }
}

view! {
    /// A page of users.
    #[schemars(rename = "Users")]
    UserPage {
        /// In order of their names.
        users: Vec<UserView>,
        /// Whether more follow.
        more: bool,
    }
}

view! {
    /// Something that happened.
    #[schemars(rename = "Event")]
    EventView {
        /// Its cursor.
        id: String,
        /// Its kind.
        event: String,
        /// What happened.
        data: Value,
    }
}

view! {
    /// What a poll found.
    #[schemars(rename = "Events")]
    EventPage {
        /// In order.
        events: Vec<EventView>,
        /// Where the next poll goes on from.
        cursor: String,
    }
}

view! {
    /// The server's health.
    #[schemars(rename = "Health")]
    HealthView {
        /// `ok`.
        status: String,
    }
}

view! {
    /// A refusal (RFC 9457).
    #[schemars(rename = "Problem")]
    ProblemView {
        /// A URI for the code.
        r#type: String,
        /// The status in words.
        title: String,
        /// The status.
        status: u16,
        /// What is wrong and what is allowed.
        detail: String,
        /// A stable word for programs.
        code: String,
    }
}
