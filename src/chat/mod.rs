//! The core chat: users, clients, chats, messages and read marks.
//!
//! - [`Fact`]: what can happen; [`State`]: its fold, with the rules on it.
//! - `groups.rs`: chats with members.
//! - `few.rs`: small sets and maps; `clients.rs`, `digest.rs`: many clients in little room.
//! - `name.rs`, `address.rs`: names of users, addresses of chats.
//! - `render.rs`: messages, chats and events as JSON.
//! - `connect.rs`, `password.rs`: joining, tokens, passwords.
//! - `tails.rs`, `glimpses.rs`: the newest messages of chats and what is unread, kept at hand.
//! - `routes.rs`: the core's paths; `posting.rs`, `reading.rs`, `status.rs`, `events.rs`: what
//!   stands behind them.

mod address;
mod admin;
mod clients;
pub(crate) mod connect;
mod digest;
mod events;
mod facts;
mod few;
mod glimpses;
mod groups;
mod name;
mod password;
mod posting;
mod reading;
mod render;
mod routes;
mod state;
mod status;
mod tails;

pub use address::{resolve, spell, unknown_chat};
pub(crate) use admin::record;
pub use digest::Digest;
pub(crate) use facts::changes;
pub use facts::{Fact, Handed};
pub use few::{Few, FewBy};
pub(crate) use glimpses::Glimpses;
pub use groups::Group;
pub use name::{Folded, Name, is_in_name};
pub(crate) use password::Passwords;
pub(crate) use reading::{delivers, show};
pub(crate) use render::{event, message_json};
pub(crate) use routes::routes;
pub use state::{Chat, Client, Kind, State, User};
pub(crate) use tails::Tails;

use http::StatusCode;

use crate::bus::View;
use crate::http::Problem;
use crate::log::{MessageRow, UserId};

/// Whether a user may see a message now: also one whose time is over and that lies there still is
/// gone.
pub fn sees(view: &View<'_>, user: UserId, message: &MessageRow) -> bool {
    let state = &view.world().chat;
    state.is_member(message.chat, user)
        && message.id > state.floor(message.chat, user)
        && message.ends.is_none_or(|ends| ends > view.now())
}

/// The answer for a message that is not there, or not for this user.
pub fn no_message() -> Problem {
    not_found("there is no such message")
}

/// 404 `not_found`, for what is not there or not for this user.
pub fn not_found(detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// Whether the text in `field` can be kept: 1 to `limit` characters (Unicode scalar values).
pub fn check_text(field: &str, text: &str, limit: usize) -> Result<(), Problem> {
    // The length in bytes decides most cases without counting.
    let fits = !text.is_empty() && (text.len() <= limit || text.chars().count() <= limit);
    if fits {
        return Ok(());
    }
    let detail = format!(
        "`{field}` has {} characters; 1 to {limit} are allowed",
        text.chars().count()
    );
    Err(invalid(field, detail))
}

/// A value of the right type that is not allowed: 422 `invalid`, naming the field.
pub fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with("field", field)
}
