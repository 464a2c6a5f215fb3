//! A plain model of the contract: maps and lists, one call after another, no log and no writer.
//!
//! It is told what the server chose (ids, tokens, codes), and says all the rest.
//!
//! - `call.rs`: the calls; `answer.rs`: what one is answered.
//! - `people.rs`: users, clients, who asked when.
//! - `posts.rs`: posting, judged by every rule; what lies beside a message; what ends.
//! - `rooms.rs`, `complaints.rs`, `edits.rs`, `reactions.rs`, `mentions.rs`, `schedule.rs`, `files.rs`: the
//!   features with rules of their own.
//! - `views.rs`: what a user sees; `events.rs`: what they are told.

pub mod answer;
pub mod call;
mod complaints;
mod edits;
pub mod events;
pub mod files;
mod mentions;
mod people;
mod posts;
mod reactions;
mod rooms;
mod schedule;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use veche::prelude::Time;

pub use answer::{Keyed, Outcome};
pub use events::Told;
pub use people::User;
pub use reactions::Reaction;
pub use rooms::Room;
use views::MOST;

pub type Ms = i64;

pub const SECOND: Ms = 1_000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;

/// The settings of the server under test: small, so that limits are met often.
pub const HISTORY: usize = 3;
pub const TEXT: usize = 12;
pub const WARNINGS: usize = 2;
pub const BAN: Ms = HOUR;
pub const DECAY: Ms = 2 * HOUR;
pub const POSTS: u64 = 2;
pub const PER: Ms = 30 * MINUTE;
pub const COOLDOWN: Ms = HOUR;
pub const OWNED: usize = 3;
pub const MEMBERS: usize = 3;
pub const INVITES: usize = 2;
pub const LINKS: usize = 2;
pub const REQUESTS: usize = 2;
pub const HORIZON: Ms = 30 * DAY;
pub const PENDING: usize = 3;
pub const MAX_LATE: Ms = DAY;
pub const MAX_SIZE: usize = 1024;
pub const ORPHAN: Ms = HOUR;
pub const UPLOADS: usize = 2;
pub const AFTER: Ms = HOUR;
pub const UNDELIVERED: Ms = 7 * DAY;
pub const WINDOW: Ms = 15 * MINUTE;
pub const TIMES: u64 = 2;
pub const EMOJIS: usize = 2;

/// The same as the server reads them, by feature; the core's come first.
pub const CORE: &str = "[chat]\nhistory = 3\ntext = 12\n[storage]\nsnapshot_every = 1\n";
pub const SETTINGS: [(&str, &str); 7] = [
    ("complaints", "warnings = 2\nban = \"1h\"\ndecay = \"2h\"\n"),
    ("edits", "window = \"15m\"\ntimes = 2\n"),
    (
        "files",
        "max_size = \"1KiB\"\norphan = \"1h\"\npending = 2\n",
    ),
    ("rate_limit", "messages = 2\nper = \"30m\"\n"),
    ("reactions", "emojis = 2\n"),
    (
        "rooms",
        "cooldown = \"1h\"\nrooms = 3\nmembers = 3\ninvites = 2\nlinks = 2\nrequests = 2\n",
    ),
    (
        "schedule",
        "horizon = \"30d\"\npending = 3\nmax_late = \"1d\"\n",
    ),
];

/// A user, by order of joining.
pub type UserIx = usize;
/// A chat, by order of making; the common one is 0.
pub type ChatIx = usize;
/// A place in the order of all that happened which has one, such as messages.
pub type Moment = usize;

pub const COMMON: ChatIx = 0;

pub struct Chat {
    pub kind: Kind,
    /// The last message ever posted in it.
    pub last: Option<Moment>,
}

pub enum Kind {
    Common,
    Private([UserIx; 2]),
    Room(Room),
}

pub struct Message {
    pub from: UserIx,
    pub chat: ChatIx,
    /// Whom it is addressed to, in a private chat.
    pub to: Option<UserIx>,
    pub text: String,
    pub file: Option<String>,
    pub at: Ms,
    pub ends: Option<Ms>,
    /// How long it lives from its delivery on, until it is delivered.
    pub fuse: Option<Ms>,
    /// Whom it called as it was posted.
    pub called: Vec<UserIx>,
    pub comments: Vec<Comment>,
    /// The emoji on it, in the order in which they came.
    pub reactions: Vec<Reaction>,
    /// When each user last put each emoji on it or took it back.
    pub said: BTreeMap<(UserIx, String), Moment>,
    /// How it was shown as it was posted, with the text that it has now.
    pub posted: Value,
    /// When it was last changed, and how often it was.
    pub edited: Option<Ms>,
    pub times: u64,
    /// Who was there as it was last changed: what it says now is not for those who had gone.
    pub readers: Option<Vec<UserIx>>,
}

#[derive(Clone)]
pub struct Comment {
    pub moment: Moment,
    pub from: UserIx,
    pub text: String,
    pub at: Ms,
}

#[derive(Default)]
pub struct Model {
    pub now: Ms,
    /// Whether the server is several nodes, each of which sees for itself who asks and who polls.
    pub spread: bool,
    /// The features that the server has.
    pub has: BTreeSet<String>,
    /// The server's id for each moment that has one, once it is known.
    pub ids: Vec<Option<u64>>,
    /// Since when the server runs.
    pub up_since: Ms,
    pub users: Vec<User>,
    pub chats: Vec<Chat>,
    /// Those that live.
    pub messages: BTreeMap<Moment, Message>,
    /// Posts of the running periods: their end and their number.
    pub periods: BTreeMap<UserIx, (Ms, u64)>,
    pub cases: BTreeMap<UserIx, complaints::Case>,
    pub scheduled: Vec<schedule::Item>,
    pub files: Vec<files::File>,
    pub keys: BTreeMap<(UserIx, String), Keyed>,
    /// All that was told, and to whom.
    pub told: Vec<(Vec<UserIx>, Told)>,
    /// Messages handed to those they are addressed to with the answer that is being made.
    pub handed: Vec<Moment>,
}

impl Model {
    pub fn new(now: Ms, spread: bool) -> Self {
        let common = Chat {
            kind: Kind::Common,
            last: None,
        };
        Self {
            now,
            spread,
            up_since: now,
            chats: vec![common],
            ..Self::default()
        }
    }

    pub fn has(&self, feature: &str) -> bool {
        self.has.contains(feature)
    }

    /// The next moment, with the id that the server gave it.
    pub fn moment(&mut self, id: Option<u64>) -> Moment {
        self.ids.push(id);
        self.ids.len() - 1
    }

    /// A moment's id as it stands in an answer: one that is not known yet is learnt from it.
    pub fn id(&self, moment: Moment) -> Value {
        match self.ids[moment] {
            Some(id) => json!(id),
            None => json!({"?id": moment}),
        }
    }

    pub fn moment_of(&self, id: u64) -> Option<Moment> {
        self.ids.iter().position(|known| *known == Some(id))
    }

    pub fn tell(&mut self, to: Vec<UserIx>, what: Told) {
        self.told.push((to, what));
    }

    /// Messages that were handed over in the answer before are delivered now, and both sides are
    /// told when they end.
    pub fn deliver(&mut self) {
        let mut delivered: BTreeMap<(ChatIx, UserIx), BTreeMap<Moment, Ms>> = BTreeMap::new();
        for moment in std::mem::take(&mut self.handed) {
            let Some(message) = self.messages.get_mut(&moment) else {
                continue;
            };
            if let (Some(to), Some(fuse)) = (message.to, message.fuse.take()) {
                let ends = self.now + fuse;
                let ends = message.ends.map_or(ends, |known| known.min(ends));
                message.ends = Some(ends);
                let of = delivered.entry((message.chat, to)).or_default();
                of.insert(moment, ends);
            }
        }
        for ((chat, to), messages) in delivered {
            let shown = messages.into_iter();
            let shown =
                shown.map(|(moment, ends)| json!({"id": self.id(moment), "expires": time(ends)}));
            let data =
                json!({"to": self.spell(chat, Some(to)), "messages": shown.collect::<Vec<_>>()});
            self.tell(self.members(chat), Told::Plain("delivered", data));
        }
    }

    /// Does what is due by now.
    pub fn tick(&mut self) {
        self.end_cases();
        self.end_links();
        self.send_due();
        self.end_messages();
        self.end_files();
    }

    pub fn is_due(&self) -> bool {
        let mut messages = self.messages.values();
        let cases = self.cases.values().filter_map(|case| case.next_end());
        let scheduled = self.scheduled.iter().map(schedule::Item::due);
        let uploads = self.files.iter().filter_map(|file| file.waits);
        messages.any(|message| self.is_over(message))
            || cases
                .chain(scheduled)
                .chain(uploads)
                .chain(self.next_link_end())
                .any(|due| due <= self.now)
    }
}

/// A time as the API writes it.
pub fn time(ms: Ms) -> String {
    Time(ms).to_string()
}

/// Whole seconds until a time, rounded up.
pub fn seconds(from: Ms, to: Ms) -> i64 {
    (to - from + SECOND - 1) / SECOND
}
