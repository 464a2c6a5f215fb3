//! Random steps. They name users, rooms, messages and links by numbers that are counted over what
//! there is, so that a sequence stays one when a part of it is taken away.

use proptest::prelude::*;

use crate::model::{DAY, HOUR, MINUTE, Ms, SECOND};

/// The names that are taken, in the order in which they are tried.
const NAMES: [&str; 4] = ["ann", "bob", "Cyd", "дан"];

/// Names that nobody can have.
const BAD_NAMES: [&str; 4] = ["", "me", "a b", "-.-"];

/// What a password is tried with.
pub const PASSWORDS: [Option<&str>; 3] = [None, Some("open sesame"), Some("wrong")];

/// Texts, the last two of which are not allowed.
pub const TEXTS: [&str; 7] = [
    "a",
    "hello",
    "@дан, @BOB.",
    "\"q\" \\ <b>\n",
    "жжжжжжжжжжжж",
    "",
    "1234567890123",
];

/// What is put on messages: two of them are one, and the last is no emoji.
pub const EMOJI: [&str; 5] = ["👍", "❤", "❤\u{fe0f}", "👍🏽", "x"];

/// Names of files.
pub const FILES: [&str; 3] = ["a.txt", "Küche.md", "\"q\" 1"];

/// Addresses of nobody.
pub const NOBODY: [&str; 4] = [
    "@nobody",
    "room:00000000-0000-4000-8000-000000000000",
    "room:x",
    "nowhere",
];

/// A number that is counted over what there is: a small one over what the caller has to do with, a
/// large one over all, so that most calls meet something, and some what is none of their business.
pub type N = usize;

#[derive(Debug, Clone)]
pub enum Step {
    /// A client connects, with the token of another one or without.
    Connect { name: N, password: N, by: Option<N> },
    /// A client calls, with an idempotency key or without.
    Do { client: N, what: What, keyed: bool },
    /// A request that had a key comes again; `other` is another one under its key.
    Again { which: N, client: N, other: bool },
    /// A client asks what has happened since it last asked.
    Poll { client: N },
    /// A client that has ended calls.
    Dead { client: N },
    /// The clock is set.
    Clock { by: Ms },
    /// The server is stopped or killed; it starts with the clock set.
    Restart { kill: bool, by: Ms },
    /// The server is killed so many microseconds after a post set out, which is then repeated.
    Crash {
        client: N,
        to: To,
        text: N,
        after: u64,
    },
}

#[derive(Debug, Clone)]
pub enum To {
    Common,
    Me,
    User(N),
    Room(N),
    Nobody(N),
}

#[derive(Debug, Clone)]
pub enum What {
    Disconnect {
        all: bool,
    },
    Status,
    Users {
        limit: u64,
    },
    Send {
        to: To,
        text: N,
        file: Option<N>,
    },
    Messages {
        chat: To,
        page: u8,
        id: N,
        limit: u64,
    },
    Message {
        id: N,
    },
    Unread {
        limit: u64,
    },
    Mentions {
        before: Option<N>,
        limit: u64,
    },
    Read {
        chat: Option<To>,
        upto: Option<N>,
    },
    Edit {
        id: N,
        text: N,
    },
    Unsay {
        id: N,
    },
    React {
        id: N,
        emoji: N,
        on: bool,
    },
    Reactions {
        id: N,
        emoji: Option<N>,
        after: Option<N>,
        limit: u64,
    },
    Comment {
        id: N,
        text: N,
    },
    Comments {
        id: N,
        after: Option<N>,
        limit: u64,
    },
    Complain {
        user: N,
        reason: Option<N>,
        message: Option<N>,
    },
    Schedule {
        to: To,
        text: N,
        file: Option<N>,
        by: Ms,
        at: bool,
    },
    Upload {
        name: N,
        large: bool,
    },
    File {
        id: N,
    },
    ScheduleWrongly {
        both: bool,
    },
    Scheduled,
    Cancel {
        id: N,
    },
    MakeRoom {
        title: N,
        all: bool,
    },
    Rooms,
    Room {
        room: N,
    },
    Invite {
        room: N,
        user: N,
    },
    Uninvite {
        room: N,
        user: N,
    },
    Link {
        room: N,
        expires: Option<u64>,
        uses: Option<u64>,
    },
    Unlink {
        room: N,
        code: N,
    },
    UnlinkAll {
        room: N,
    },
    Requests {
        room: N,
    },
    Decide {
        room: N,
        user: N,
        approve: bool,
    },
    Remove {
        room: N,
        user: N,
    },
    Enter {
        room: N,
    },
    Ask {
        code: N,
    },
    Leave {
        room: N,
    },
}

/// A name to connect by; the later ones are the same in capitals, or bad.
pub fn name(n: N) -> String {
    match n {
        0..4 => NAMES[n].to_owned(),
        4..8 => NAMES[n - 4].to_uppercase(),
        n => BAD_NAMES[n % 4].to_owned(),
    }
}

fn jump() -> impl Strategy<Value = Ms> {
    prop_oneof![
        8 => (1..120i64).prop_map(|n| n * SECOND),
        6 => (1..7i64).prop_map(|n| n * 10 * MINUTE),
        2 => (1..30i64).prop_map(|n| n * HOUR),
        1 => (1..9i64).prop_map(|n| n * DAY),
        1 => (1..200i64).prop_map(|n| -n * MINUTE),
    ]
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        4 => Just(To::Common),
        1 => Just(To::Me),
        4 => (0..8usize).prop_map(To::User),
        8 => (0..7usize).prop_map(To::Room),
        1 => (0..4usize).prop_map(To::Nobody),
    ]
}

fn a_text() -> impl Strategy<Value = N> {
    prop_oneof![9 => 0..5usize, 1 => 5..7usize]
}

fn file() -> impl Strategy<Value = Option<N>> {
    prop::option::weighted(0.25, 0..9usize)
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![1..4u64, Just(50), Just(1000)]
}

fn core() -> impl Strategy<Value = What> {
    use prop::option::weighted;
    prop_oneof![
        1 => prop::bool::weighted(0.2).prop_map(|all| What::Disconnect { all }),
        3 => Just(What::Status),
        1 => limit().prop_map(|limit| What::Users { limit }),
        20 => (to(), a_text(), file()).prop_map(|(to, text, file)| What::Send { to, text, file }),
        5 => (to(), 0..4u8, 0..12usize, limit())
            .prop_map(|(chat, page, id, limit)| What::Messages { chat, page, id, limit }),
        3 => (0..9usize).prop_map(|id| What::Message { id }),
        3 => limit().prop_map(|limit| What::Unread { limit }),
        5 => (weighted(0.8, to()), weighted(0.7, 0..9usize)).prop_map(|(chat, upto)| What::Read { chat, upto }),
    ]
}

fn features() -> impl Strategy<Value = What> {
    use prop::option::weighted;
    let due = || prop_oneof![6 => 0..7200i64, 2 => 0..200_000i64, 1 => -60..0i64, 1 => 2_592_000..2_600_000i64];
    prop_oneof![
        8 => (0..9usize, a_text()).prop_map(|(id, text)| What::Comment { id, text }),
        12 => (0..9usize, prop_oneof![9 => 0..4usize, 1 => Just(4)], prop::bool::weighted(0.6))
            .prop_map(|(id, emoji, on)| What::React { id, emoji, on }),
        2 => (0..9usize, weighted(0.5, 0..5usize), weighted(0.3, 0..5usize), limit())
            .prop_map(|(id, emoji, after, limit)| What::Reactions { id, emoji, after, limit }),
        8 => (0..9usize, a_text()).prop_map(|(id, text)| What::Edit { id, text }),
        3 => (0..9usize).prop_map(|id| What::Unsay { id }),
        3 => (0..9usize, weighted(0.3, 0..5usize), limit())
            .prop_map(|(id, after, limit)| What::Comments { id, after, limit }),
        3 => (weighted(0.3, 0..9usize), limit())
            .prop_map(|(before, limit)| What::Mentions { before, limit }),
        12 => (0..8usize, weighted(0.4, a_text()), weighted(0.3, 0..9usize))
            .prop_map(|(user, reason, message)| What::Complain { user, reason, message }),
        10 => (to(), a_text(), file(), due(), any::<bool>())
            .prop_map(|(to, text, file, by, at)| What::Schedule { to, text, file, by: by * SECOND, at }),
        6 => (0..4usize, prop::bool::weighted(0.1))
            .prop_map(|(name, large)| What::Upload { name, large }),
        3 => (0..9usize).prop_map(|id| What::File { id }),
        1 => any::<bool>().prop_map(|both| What::ScheduleWrongly { both }),
        2 => Just(What::Scheduled),
        3 => (0..9usize).prop_map(|id| What::Cancel { id }),
        4 => (prop_oneof![9 => 0..3usize, 1 => 3..6usize], any::<bool>())
            .prop_map(|(title, all)| What::MakeRoom { title, all }),
        2 => Just(What::Rooms),
        1 => (0..8usize).prop_map(|room| What::Room { room }),
    ]
}

fn rooms() -> impl Strategy<Value = What> {
    use prop::option::weighted;
    let (room, user) = (|| 0..8usize, || 0..8usize);
    prop_oneof![
        6 => (room(), user()).prop_map(|(room, user)| What::Invite { room, user }),
        1 => (room(), user()).prop_map(|(room, user)| What::Uninvite { room, user }),
        4 => (room(), weighted(0.4, 0..7200u64), weighted(0.5, 0..3u64))
            .prop_map(|(room, expires, uses)| What::Link { room, expires, uses }),
        1 => (room(), 0..8usize).prop_map(|(room, code)| What::Unlink { room, code }),
        1 => room().prop_map(|room| What::UnlinkAll { room }),
        1 => room().prop_map(|room| What::Requests { room }),
        6 => (room(), user(), prop::bool::weighted(0.7))
            .prop_map(|(room, user, approve)| What::Decide { room, user, approve }),
        4 => (room(), user()).prop_map(|(room, user)| What::Remove { room, user }),
        6 => room().prop_map(|room| What::Enter { room }),
        8 => (0..4usize).prop_map(|code| What::Ask { code }),
        3 => room().prop_map(|room| What::Leave { room }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    use prop::option::weighted;
    let client = || 0..8usize;
    let what = prop_oneof![5 => core(), 4 => features(), 4 => rooms()];
    let name = prop_oneof![5 => 0..4usize, 1 => 4..12usize];
    prop_oneof![
        4 => (name, 0..3usize, weighted(0.5, client()))
            .prop_map(|(name, password, by)| Step::Connect { name, password, by }),
        60 => (client(), what, prop::bool::weighted(0.3))
            .prop_map(|(client, what, keyed)| Step::Do { client, what, keyed }),
        4 => (0..6usize, client(), prop::bool::weighted(0.2))
            .prop_map(|(which, client, other)| Step::Again { which, client, other }),
        12 => client().prop_map(|client| Step::Poll { client }),
        1 => client().prop_map(|client| Step::Dead { client }),
        7 => jump().prop_map(|by| Step::Clock { by }),
        2 => (any::<bool>(), prop_oneof![2 => Just(0), 1 => jump()])
            .prop_map(|(kill, by)| Step::Restart { kill, by }),
        1 => (client(), to(), a_text(), 0..3000u64)
            .prop_map(|(client, to, text, after)| Step::Crash { client, to, text, after }),
    ]
}

/// A sequence of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 60..160)
}
