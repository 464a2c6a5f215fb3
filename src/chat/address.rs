//! Addresses: `common`, `@name`, `@me` (one's own notebook), `room:UUID`.

use http::StatusCode;

use super::{Kind, State, invalid};
use crate::bus::Address;
use crate::http::Problem;
use crate::log::{ChatId, UserId};

/// What an address names for a user: 404 `unknown_chat` where they see nothing by it, 422 where
/// it is no address, naming the `field` that it stands in.
pub fn resolve(
    state: &State,
    field: &str,
    address: &str,
    user: UserId,
) -> Result<Address, Problem> {
    if address == "common" {
        return Ok(Address::Chat(ChatId::COMMON));
    }
    if let Some(name) = address.strip_prefix('@') {
        if name.eq_ignore_ascii_case("me") {
            return Ok(Address::User(user));
        }
        return state.find(name).map(Address::User).ok_or_else(unknown_chat);
    }
    if let Some(uuid) = address.strip_prefix("room:") {
        let chat = uuid.parse().ok().and_then(|uuid| state.find_group(uuid));
        return chat
            .filter(|chat| state.is_member(*chat, user))
            .map(Address::Chat)
            .ok_or_else(unknown_chat);
    }
    Err(invalid(
        field,
        "an address is `common`, `@name` or `room:UUID`",
    ))
}

/// A message's address as everyone in its chat reads it.
pub fn spell(state: &State, chat: ChatId, addressee: Option<UserId>) -> String {
    match addressee.and_then(|user| state.user(user)) {
        Some(user) => format!("@{}", user.name),
        None => match state.uuid(chat) {
            Some(uuid) => format!("room:{uuid}"),
            None => "common".to_owned(),
        },
    }
}

/// A chat's address as one of its members uses it.
pub(super) fn address_for(state: &State, chat: ChatId, user: UserId) -> String {
    let pair = state
        .chat(chat)
        .filter(|chat| chat.kind == Kind::Private)
        .and_then(|chat| chat.pair);
    match pair {
        None => spell(state, chat, None),
        Some([one, other]) => {
            let peer = if one == user { other } else { one };
            spell(state, chat, Some(peer))
        }
    }
}

/// 404 `unknown_chat`, for a chat or user that is not there or not for this user.
pub fn unknown_chat() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_chat",
        "there is no such chat or user",
    )
}
