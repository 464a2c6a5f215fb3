//! **irc**: people's own IRC clients are clients of veche.
//!
//! ```sh
//! irssi -c 127.0.0.1 -n ann -w correct-horse
//! ```
//!
//! Somebody connects with the name and the password that they have here (`PASS`, or SASL PLAIN); a new name
//! is a new user. `#common` and the rooms that they are in are channels, users are nicks. What they do
//! is what the API does, in their name: whatever is judged there is judged. What they have missed is
//! given when they come, and is read when their client has answered a PING that came after it.
//!
//! One connection is one client of the user, signed out when it ends. The feature remembers nothing.
//!
//! - `irc/line.rs`, `irc/caps.rs`, `irc/wire.rs`: lines, capabilities, the connection.
//! - `irc/names.rs`, `irc/text.rs`: how IRC spells users and rooms; texts, split and without colours.
//! - `irc/link.rs`: one connection from its first line to its last; `irc/welcome.rs` lets it in.
//! - `irc/commands.rs`, `irc/channels.rs`, `irc/people.rs`, `irc/history.rs`: what clients ask for.
//! - `irc/fuzz.rs`: what holds whatever they send.
//! - `irc/events.rs`: what they are told of; `irc/given.rs`: what they were given, to take it back or count it as read.

#[path = "irc/caps.rs"]
mod caps;
#[path = "irc/channels.rs"]
mod channels;
#[path = "irc/commands.rs"]
mod commands;
#[path = "irc/events.rs"]
mod events;
#[cfg(any(test, fuzzing))]
#[path = "irc/fuzz.rs"]
mod fuzz;
#[path = "irc/given.rs"]
mod given;
#[path = "irc/history.rs"]
mod history;
#[path = "irc/line.rs"]
mod line;
#[path = "irc/link.rs"]
mod link;
#[path = "irc/names.rs"]
mod names;
#[path = "irc/people.rs"]
mod people;
#[path = "irc/text.rs"]
mod text;
#[path = "irc/welcome.rs"]
mod welcome;
#[path = "irc/wire.rs"]
mod wire;

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use veche::prelude::*;

/// What IRC's clients are among a user's clients.
const AGENT: &str = "IRC";

/// Connections beyond the bound that are being told so; one more is closed without a word.
const REFUSALS: usize = 64;

settings! {
    /// A listener for IRC clients.
    pub struct Settings {
        /// Where IRC clients connect without TLS, such as "127.0.0.1:6667". Empty: nowhere.
        pub listen: String = String::new(),
        /// Where they connect with TLS, by the certificate of [server.tls], such as "0.0.0.0:6697". Empty:
        /// nowhere.
        pub listen_tls: String = String::new(),
        /// How many IRC clients may be connected at once, 1 to 100000.
        pub connections: usize = 1000 => 1..=100_000,
        /// How long a client may be silent before it is asked whether it is there, and then how long it may
        /// take for an answer, or for what it is sent. 1s to 1h.
        pub timeout: Period = Period::secs(120) => Period::secs(1)..=Period::hours(1),
        /// What is told to everyone who connects.
        pub motd: String = String::new(),
        /// The server's address as people's browsers have it, such as "https://chat.example.org": links
        /// to files begin with it.
        pub url: String = String::new(),
    }
}

/// The listener.
pub struct Irc {
    settings: Settings,
}

feature!(Irc);

#[async_trait]
impl Feature for Irc {
    const ABOUT: &'static str = "People's own IRC clients are clients of this server";

    type Settings = Settings;
    type State = ();
    type Fact = ();

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn listens(&self) -> Vec<Listen> {
        let (plain, secure) = (&self.settings.listen, &self.settings.listen_tls);
        let both = [("listen", plain, false), ("listen_tls", secure, true)].into_iter();
        both.filter(|(_, address, _)| !address.is_empty())
            .map(|(setting, address, tls)| Listen {
                setting,
                address: address.clone(),
                tls,
            })
            .collect()
    }

    async fn run(self: Arc<Self>, site: Site<Self>) {
        let (mut links, mut refusals) = (JoinSet::new(), JoinSet::new());
        loop {
            let guest = tokio::select! {
                () = site.stopping() => break,
                guest = site.guest() => guest,
                Some(_) = links.join_next() => continue,
                Some(_) = refusals.join_next() => continue,
            };
            if links.len() < self.settings.connections {
                links.spawn(link::serve(Arc::clone(&self), site.clone(), guest));
            } else if refusals.len() < REFUSALS {
                refusals.spawn(refuse(guest));
            }
        }
        // Each tells its client, and signs it out.
        while links.join_next().await.is_some() {}
    }
}

async fn refuse(guest: Guest) {
    if let Ok(mut stream) = guest.enter().await {
        let told = b"ERROR :Closing Link: the server has as many IRC clients as it takes\r\n";
        // Its client may be gone already.
        let _ = stream.write_all(told).await;
        let _ = stream.shutdown().await;
    }
}
