//! What administrators decide on rooms.

use veche::prelude::*;

use super::facts::{Fact, Told};
use super::{Rooms, told};

#[derive(Deserialize)]
pub struct NewOwner {
    room: String,
    name: String,
}

impl Rooms {
    /// Gives a room to one of its members, as when its owner left for good without leaving it.
    pub(super) fn rename_owner(&self, tx: &mut Tx<'_>, new: &NewOwner) -> Result<Answer, Problem> {
        let uuid = new.room.strip_prefix("room:").unwrap_or(&new.room);
        let found = tx
            .room(uuid)
            .and_then(|chat| Some((chat, tx.state::<Self>().room(chat)?)));
        let (chat, room) = found.ok_or_else(super::no_room)?;
        let owner = tx
            .find_user(&new.name)
            .filter(|user| tx.is_member(chat, *user))
            .ok_or_else(|| not_found("there is no such member"))?;
        if owner == room.owner {
            let detail = "the room is theirs already";
            return Err(Problem::new(StatusCode::CONFLICT, "is_owner", detail));
        }
        tx.record(Entry::<Self>::new(Fact::Owned { chat, owner }).tell_chat(chat))?;
        // They see from now on what an owner sees.
        let whole = Fact::Told(Told::Room { chat, to: owner });
        tx.record(told(whole, vec![owner]))?;
        let room = tx.spell(chat, None);
        Ok(Answer::ok(json!({"room": room, "owner": tx.name(owner)})))
    }
}
