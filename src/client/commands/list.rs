//! Every command that there is, each with the feature that the server must have for it: what the
//! parser, `/help` and the completion know. How a command is read and done stands in the file of
//! its feature.

use super::{
    Parsed, chat, comments, complaints, edits, files, mentions, reactions, rooms, schedule, search,
    subscriptions, webhooks,
};

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// The feature that the server must have; none for those that each server has.
    pub feature: Option<&'static str>,
    /// What it begins with, slash included.
    pub name: &'static str,
    /// What follows, for people; what may be left away stands in brackets.
    pub arguments: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What the first argument is, for the completion.
    pub takes: Takes,
    /// Reads what follows.
    pub(super) read: fn(&str) -> Parsed,
}

/// What a first argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing that could be completed.
    Text,
    /// A user's name, with or without `@`.
    Name,
    /// A user's name with its `@`.
    Recipient,
    /// The name of somebody who is in the room.
    Member,
    /// The name of somebody who is not.
    Outsider,
    /// The name of somebody who is invited to it.
    Invited,
    /// The name of somebody who asks to come into a room of one's own.
    Requester,
    /// A chat: `common`, `@NAME` or a room's title.
    Chat,
    /// The title of a room that one is invited to.
    Invite,
    /// A file of this machine.
    Path,
    /// The number of a message.
    Message,
    /// The number of a message of one's own, in the chat that is shown.
    Own,
    /// The number of a message, and after it an emoji.
    Reaction,
    /// An emoji.
    Emoji,
    /// The number of a message with a file.
    File,
    /// The id of what is scheduled.
    Scheduled,
    /// The code of a link into the room.
    Link,
    /// The name that a hook posts by, and after it a chat.
    Bot,
    /// The chat that a hook posts to.
    Place,
    /// A hook of one's own.
    Hook,
    /// A URL, and after it a chat.
    Url,
    /// A subscription of one's own.
    Subscription,
}

impl Takes {
    /// Whether it is the name of a user.
    pub fn is_name(self) -> bool {
        matches!(
            self,
            Takes::Name | Takes::Member | Takes::Outsider | Takes::Invited | Takes::Requester
        )
    }
}

/// The commands, in the order of `/help`.
pub const COMMANDS: &[Spec] = &[
    core("/help", "", "this list", chat::help),
    core(
        "/to",
        "[common | @NAME | TITLE]",
        "where plain lines go",
        chat::to,
    )
    .takes(Takes::Chat),
    core("/msg", "@NAME TEXT", "a private message", chat::msg).takes(Takes::Recipient),
    core("/me", "", "who you are and where plain lines go", chat::me),
    core("/who", "", "who is here", chat::who),
    core(
        "/unread",
        "",
        "what is not read yet, in every chat",
        chat::unread,
    ),
    core(
        "/history",
        "[N]",
        "the last N messages of the chat (20)",
        chat::history,
    ),
    core("/read", "", "marks everything as read", chat::read),
    core(
        "/status",
        "",
        "the server, your clients, your chats",
        chat::status,
    ),
    core(
        "/logout",
        "",
        "ends this client, forgets its token",
        chat::logout,
    ),
    core("/quit", "", "leaves, and stays the same client", chat::quit),
    of(
        "comments",
        "/comment",
        "ID TEXT",
        "a comment on a message",
        comments::comment,
    )
    .takes(Takes::Message),
    of(
        "comments",
        "/comments",
        "ID",
        "the comments on a message",
        comments::comments,
    )
    .takes(Takes::Message),
    of(
        "edits",
        "/edit",
        "ID TEXT",
        "another text for your message",
        edits::edit,
    )
    .takes(Takes::Own),
    of(
        "edits",
        "/edits",
        "ID",
        "what a message said before",
        edits::edits,
    )
    .takes(Takes::Message),
    of(
        "edits",
        "/remove",
        "ID",
        "removes your message for everybody",
        edits::remove,
    )
    .takes(Takes::Message),
    of(
        "reactions",
        "/react",
        "ID EMOJI",
        "puts an emoji on a message",
        reactions::react,
    )
    .takes(Takes::Reaction),
    of(
        "reactions",
        "/unreact",
        "ID EMOJI",
        "takes it back",
        reactions::unreact,
    )
    .takes(Takes::Reaction),
    of(
        "mentions",
        "/mentions",
        "[ID]",
        "what calls you, the newest last; before ID",
        mentions::mentions,
    ),
    of(
        "search",
        "/search",
        "WORDS",
        "messages in which these words stand",
        search::search,
    ),
    of(
        "files",
        "/file",
        "PATH [TEXT]",
        "sends a file to the chat",
        files::file,
    )
    .takes(Takes::Path),
    of(
        "files",
        "/get",
        "N | ID [PATH]",
        "saves the file of message N, here or to PATH",
        files::get,
    )
    .takes(Takes::File),
    of(
        "schedule",
        "/later",
        "10m | 18:30 | DATE TEXT",
        "posts a text to the chat later",
        schedule::later,
    ),
    of(
        "schedule",
        "/scheduled",
        "",
        "what will be posted, and was",
        schedule::scheduled,
    ),
    of(
        "schedule",
        "/cancel",
        "N | ID",
        "takes back what is scheduled",
        schedule::cancel,
    )
    .takes(Takes::Scheduled),
    of(
        "rooms",
        "/room",
        "[--all] TITLE",
        "makes a room; --all: with its whole history",
        rooms::room,
    ),
    of(
        "rooms",
        "/rooms",
        "",
        "your rooms, invitations and requests",
        rooms::rooms,
    ),
    of(
        "rooms",
        "/invite",
        "NAME",
        "lets somebody into the room",
        rooms::invite,
    )
    .takes(Takes::Outsider),
    of(
        "rooms",
        "/uninvite",
        "NAME",
        "takes the invitation back",
        rooms::uninvite,
    )
    .takes(Takes::Invited),
    of(
        "rooms",
        "/link",
        "[EXPIRES] [USES]",
        "a link to ask by, like /link 7d 3",
        rooms::link,
    ),
    of(
        "rooms",
        "/unlink",
        "[CODE]",
        "ends that link, or all of the room's",
        rooms::unlink,
    )
    .takes(Takes::Link),
    of(
        "rooms",
        "/join",
        "TITLE | LINK",
        "comes in, invited, or asks to, by a link",
        rooms::join,
    )
    .takes(Takes::Invite),
    of(
        "rooms",
        "/requests",
        "",
        "who asks to come into your rooms",
        rooms::requests,
    ),
    of(
        "rooms",
        "/approve",
        "NAME",
        "lets in who has asked",
        rooms::approve,
    )
    .takes(Takes::Requester),
    of(
        "rooms",
        "/refuse",
        "NAME",
        "does not let in who has asked",
        rooms::refuse,
    )
    .takes(Takes::Requester),
    of(
        "rooms",
        "/kick",
        "NAME",
        "removes a member from the room",
        rooms::kick,
    )
    .takes(Takes::Member),
    of("rooms", "/leave", "", "leaves the room", rooms::leave),
    of(
        "complaints",
        "/complain",
        "NAME [REASON]",
        "warns somebody; enough of it is a ban",
        complaints::complain,
    )
    .takes(Takes::Name),
    of(
        "webhooks",
        "/hook",
        "NAME [TO]",
        "lets a program post as NAME, here or to TO",
        webhooks::hook,
    )
    .takes(Takes::Bot),
    of(
        "webhooks",
        "/hooks",
        "",
        "the hooks by which your programs post",
        webhooks::hooks,
    ),
    of(
        "webhooks",
        "/unhook",
        "NAME | ID",
        "removes a hook: nothing posts by it",
        webhooks::unhook,
    )
    .takes(Takes::Hook),
    of(
        "subscriptions",
        "/subscribe",
        "URL [TO]",
        "posts what is said here or in TO to URL",
        subscriptions::subscribe,
    )
    .takes(Takes::Url),
    of(
        "subscriptions",
        "/subscriptions",
        "",
        "what is posted where, and how it stands",
        subscriptions::subscriptions,
    ),
    of(
        "subscriptions",
        "/unsubscribe",
        "ID",
        "ends a subscription",
        subscriptions::unsubscribe,
    )
    .takes(Takes::Subscription),
    of(
        "subscriptions",
        "/resubscribe",
        "ID",
        "tries again now, also what was given up",
        subscriptions::resubscribe,
    )
    .takes(Takes::Subscription),
];

/// A command that each server has.
const fn core(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    read: fn(&str) -> Parsed,
) -> Spec {
    Spec {
        feature: None,
        name,
        arguments,
        about,
        takes: Takes::Text,
        read,
    }
}

/// A command of a feature.
const fn of(
    feature: &'static str,
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    read: fn(&str) -> Parsed,
) -> Spec {
    Spec {
        feature: Some(feature),
        ..core(name, arguments, about, read)
    }
}

impl Spec {
    const fn takes(self, takes: Takes) -> Spec {
        Spec { takes, ..self }
    }
}
