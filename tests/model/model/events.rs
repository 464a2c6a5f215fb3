//! What users are told, and how it reads when they ask for it: what is gone by then is told no
//! more, and a room is shown as it is.

use serde_json::{Value, json};

use super::{ChatIx, Model, Moment, UserIx};

/// Something that was told.
pub enum Told {
    /// Just this.
    Plain(&'static str, Value),
    /// A message, as it was posted; not once it is gone.
    Message(Moment),
    /// A message says something else, for the nth time; not once it has changed again, or is gone.
    Edited(Moment, u64, Value),
    /// An emoji was put on a message by a user, or taken back; not once they have said another
    /// word on it, or it is gone.
    Reaction(Moment, (UserIx, String), Moment, Value),
    /// A comment on a message; not once that is gone.
    Comment(Moment, Moment, Value),
    /// Messages of one address are gone; which of them each of those told had seen.
    Removed {
        to: String,
        ids: Vec<Moment>,
        saw: Vec<Vec<Moment>>,
    },
    /// How far somebody has read a chat, by its address.
    Read(String, Moment),
    /// A scheduled message with its text; not once that was sent, or taken away.
    Scheduled(String, &'static str, Value),
    /// Something in a room, with its title.
    Titled(&'static str, ChatIx, Value),
    /// A room, to one who is in it.
    Room(ChatIx, UserIx),
    /// A room's links, to its owner.
    Links(ChatIx, UserIx),
}

/// What a poll brings.
#[derive(Default)]
pub struct Events {
    /// Kind and data of each but of removals, in order.
    pub events: Vec<(&'static str, Value)>,
    pub removed: Vec<Removed>,
}

/// Messages of one address that are gone.
pub struct Removed {
    pub to: String,
    /// Those that the user had seen.
    pub saw: Vec<Moment>,
    /// Those that may be named beside them.
    pub all: Vec<Moment>,
}

impl Model {
    /// What a user is told of what happened since a place in the list of all that was told.
    pub fn events(&mut self, user: UserIx, since: usize) -> Events {
        let mut found = Events::default();
        for (to, what) in &self.told[since..] {
            let Some(place) = to.iter().position(|told| *told == user) else {
                continue;
            };
            if let Told::Removed { to, ids, saw } = what {
                found.removed.push(Removed {
                    to: to.clone(),
                    saw: saw[place].clone(),
                    all: ids.clone(),
                });
            }
            if let Told::Message(moment) = what
                && let Some(message) = self.messages.get(moment)
                && let Some(readers) = &message.readers
                && !readers.contains(&user)
            {
                continue;
            }
            if let Told::Message(moment) = what
                && self
                    .messages
                    .get(moment)
                    .is_some_and(|message| message.to == Some(user))
            {
                self.handed.push(*moment);
            }
            found.events.extend(self.read_out(what));
        }
        found
    }

    fn read_out(&self, what: &Told) -> Option<(&'static str, Value)> {
        Some(match what {
            Told::Plain(kind, data) => (*kind, data.clone()),
            Told::Message(moment) => ("message", self.messages.get(moment)?.posted.clone()),
            Told::Edited(moment, nth, data) => {
                let message = self.messages.get(moment)?;
                (message.times == *nth).then(|| ("edited", data.clone()))?
            }
            Told::Reaction(about, whose, moment, data) => {
                let last = self.messages.get(about)?.said.get(whose);
                (last == Some(moment)).then(|| ("reaction", data.clone()))?
            }
            Told::Comment(about, moment, data) => {
                let comments = &self.messages.get(about)?.comments;
                comments.iter().find(|comment| comment.moment == *moment)?;
                ("comment", data.clone())
            }
            Told::Removed { .. } => return None,
            Told::Read(chat, upto) => ("read", json!({"chat": chat, "upto": self.id(*upto)})),
            Told::Scheduled(id, kind, data) => {
                let item = self.scheduled.iter().find(|item| item.id == *id)?;
                // The text of what has come to anything is elsewhere.
                let is_latest = match *kind {
                    "scheduled" => item.is_waiting(),
                    _ => item.message.is_none(),
                };
                is_latest.then(|| (*kind, data.clone()))?
            }
            Told::Titled(kind, chat, data) => {
                let mut data = data.clone();
                data["title"] = json!(self.title(*chat));
                (*kind, data)
            }
            Told::Room(chat, to) => {
                let room = self.room(*chat).filter(|room| room.since(*to).is_some())?;
                ("room", self.whole(room, *to))
            }
            Told::Links(chat, to) => {
                let room = self.room(*chat).filter(|room| room.owner == *to)?;
                let address = format!("room:{}", room.uuid);
                (
                    "room",
                    json!({"room": address, "title": room.title, "links": self.links(room)}),
                )
            }
        })
    }
}
