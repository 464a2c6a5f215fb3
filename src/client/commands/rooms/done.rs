//! What the commands on rooms do.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::told;
use crate::client::api::segment;
use crate::client::commands::Done;
use crate::client::naming;
use crate::client::render::Event;
use crate::client::text::safe_line;
use crate::client::worker::{Failure, Worker};
use crate::settings::Period;

/// One's rooms, as `GET /rooms` lists them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rooms {
    pub rooms: Vec<Room>,
    pub invites: Vec<Invite>,
    pub requests: Vec<Asked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Room {
    pub room: String,
    pub title: String,
    pub owner: String,
    pub members: Vec<String>,
    pub history: String,
    pub invites: Vec<Waiting>,
    pub links: Vec<Value>,
    pub requests: Vec<Waiting>,
}

/// Somebody who may come in, or has asked to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub user: String,
    pub at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Invite {
    pub room: String,
    pub title: String,
    pub from: String,
}

/// One's own request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub title: String,
}

fn fetch(worker: &Worker) -> Result<(Value, Rooms), Failure> {
    let list = worker.session.api.get("/rooms", &[])?;
    // What is no such list is none: the commands then say that there is nothing.
    let rooms = Rooms::deserialize(&list).unwrap_or_default();
    Ok((list, rooms))
}

/// The path of the room that plain lines go to.
fn here(worker: &Worker, current: Option<&str>) -> Result<(String, String), Failure> {
    let address = worker.here(current)?;
    match address.strip_prefix("room:") {
        Some(id) => Ok((format!("/rooms/{}", segment(id)), address.to_owned())),
        None => Err(Failure::Refused(format!(
            "{} is no room: /to TITLE first, /rooms lists yours",
            safe_line(address)
        ))),
    }
}

/// The data of an event on a room and a user.
fn of_room(worker: &Worker, room: &str, user: &str) -> Value {
    json!({ "room": room, "title": worker.session.title(room), "user": user })
}

pub fn make(worker: &Worker, title: &str, all: bool) -> Done {
    let history = if all { "all" } else { "joined" };
    let body = json!({ "title": title, "history": history });
    let made = worker.act(&["room"], || {
        let made = Event::new("room", worker.post_once("/rooms", &body)?);
        Ok((made.clone(), vec![made]))
    })?;
    let text = format!(
        "you have made \"{}\" and are in it: /invite NAME and /link bring others",
        safe_line(made.data["title"].as_str().unwrap_or(title))
    );
    worker.output.answer("room", &made.data, &text);
    Ok(made.data["room"].as_str().map(str::to_owned))
}

pub fn list(worker: &Worker) -> Result<(), Failure> {
    let (list, rooms) = fetch(worker)?;
    let text = told::list(&rooms, &worker.session.me());
    worker.output.answer("rooms", &list, &text);
    Ok(())
}

pub fn invite(worker: &Worker, current: Option<&str>, name: &str) -> Result<(), Failure> {
    let (path, _) = here(worker, current)?;
    let body = json!({ "user": name });
    let invited = worker.act(&["invited"], || {
        let invite = worker.post_once(&format!("{path}/invites"), &body)?;
        let invited = Event::new("invited", invite);
        Ok((invited.clone(), vec![invited]))
    })?;
    worker.tell(&invited);
    Ok(())
}

pub fn uninvite(worker: &Worker, current: Option<&str>, name: &str) -> Result<(), Failure> {
    let (path, room) = here(worker, current)?;
    let void = worker.act(&["refused"], || {
        let path = format!("{path}/invites/{}", segment(name));
        worker.session.api.delete(&path)?;
        let void = Event::new("refused", of_room(worker, &room, name));
        Ok((void.clone(), vec![void]))
    })?;
    worker.tell(&void);
    Ok(())
}

pub fn link(
    worker: &Worker,
    current: Option<&str>,
    expires: Option<Period>,
    uses: Option<u64>,
) -> Result<(), Failure> {
    let (path, room) = here(worker, current)?;
    let mut body = json!({});
    if let Some(expires) = expires {
        body["expires"] = expires.to_string().into();
    }
    if let Some(uses) = uses {
        body["uses"] = uses.into();
    }
    let link = worker.act(&["room"], || {
        let link = worker.post_once(&format!("{path}/links"), &body)?;
        Ok((link, vec![Event::new("room", json!({ "room": room }))]))
    })?;
    if let Some(code) = link["link"].as_str() {
        worker.session.note_link(&room, code);
    }
    let url = link["url"].as_str().unwrap_or_default();
    let until = link["expires"].as_str().map(|until| {
        let until = worker.zone().show(until, Timestamp::now());
        format!(", until {until}")
    });
    let uses = uses.map(|uses| format!(", for {uses}"));
    let text = format!(
        "{}{}\nwhoever writes /join and this asks to come into {}, and you /approve or /refuse \
         them{}{}",
        worker.session.api.base(),
        safe_line(url),
        worker.session.label(&room),
        until.unwrap_or_default(),
        uses.unwrap_or_default(),
    );
    worker.output.answer("link", &link, &text);
    Ok(())
}

pub fn unlink(worker: &Worker, current: Option<&str>, code: Option<&str>) -> Result<(), Failure> {
    let (path, room) = here(worker, current)?;
    let code = code.map(|code| code_of(code).unwrap_or(code));
    let path = match code {
        Some(code) => format!("{path}/links/{}", segment(code)),
        None => format!("{path}/links"),
    };
    worker.act(&["room"], || {
        worker.session.api.delete(&path)?;
        Ok(((), vec![Event::new("room", json!({ "room": room }))]))
    })?;
    worker.session.forget_link(&room, code);
    let label = worker.session.label(&room);
    let text = match code {
        Some(_) => format!("that link into {label} is dead"),
        None => format!("no link leads into {label} any more"),
    };
    let data = json!({ "room": room, "code": code });
    worker.output.answer("unlinked", &data, &text);
    Ok(())
}

/// The code in the URL of a link.
fn code_of(url: &str) -> Option<&str> {
    let (_, code) = url.rsplit_once("/join/")?;
    let code = code.trim_end_matches('/');
    (!code.is_empty()).then_some(code)
}

/// The address that is meant by a whole address or a UUID alone.
fn room_of(which: &str) -> Option<String> {
    let which = which.to_lowercase();
    // Codes may have the same digits, but never the hyphens.
    [format!("room:{which}"), which]
        .into_iter()
        .find(|address| naming::is_whole(address))
}

pub fn join(worker: &Worker, which: &str) -> Done {
    if let Some(room) = room_of(which) {
        return enter(worker, &room);
    }
    if let Some(code) = code_of(which) {
        return ask(worker, code);
    }
    let (_, rooms) = fetch(worker)?;
    match rooms.find(which).map_err(Failure::Refused)? {
        Some(room) => enter(worker, &room),
        None if which.contains(char::is_whitespace) || which.starts_with("room:") => {
            Err(Failure::Refused(format!(
                "nobody has invited you to \"{}\": /rooms lists who has to what",
                safe_line(which)
            )))
        }
        None => ask(worker, which),
    }
}

impl Rooms {
    /// The room that one is invited to, or in already, and means.
    fn find(&self, which: &str) -> Result<Option<String>, String> {
        let invites = self.invites.iter();
        let invites: Vec<(&str, &str)> = invites
            .map(|invite| (invite.room.as_str(), invite.title.as_str()))
            .collect();
        // Who is in one of that title wants to come into the other.
        let invited = |room: &&Room| invites.iter().any(|(_, title)| *title == room.title);
        let own = self.rooms.iter().filter(|room| !invited(room));
        let own = own.map(|room| (room.room.as_str(), room.title.as_str()));
        naming::find(which, invites.iter().copied().chain(own), "/join")
    }
}

fn enter(worker: &Worker, room: &str) -> Done {
    let id = room.strip_prefix("room:").unwrap_or(room);
    let whole = worker.act(&["joined", "room"], || {
        let path = format!("/rooms/{}/join", segment(id));
        let whole = Event::new("room", worker.post_once(&path, &json!({}))?);
        let (room, title) = (whole.data["room"].clone(), whole.data["title"].clone());
        let data = json!({ "room": room, "title": title, "user": worker.session.me() });
        let joined = Event::new("joined", data);
        Ok((whole.clone(), vec![joined, whole]))
    })?;
    let room = whole.data["room"].as_str().map(str::to_owned);
    let label = room.as_deref().map(|room| worker.session.label(room));
    let text = format!("you are in {} now", label.unwrap_or_default());
    worker.output.answer("room", &whole.data, &text);
    Ok(room)
}

fn ask(worker: &Worker, code: &str) -> Done {
    let asked = worker.act(&["join_request"], || {
        let path = format!("/join/{}", segment(code));
        let asked = Event::new("join_request", worker.post_once(&path, &json!({}))?);
        Ok((asked.clone(), vec![asked]))
    })?;
    worker.tell(&asked);
    Ok(None)
}

pub fn requests(worker: &Worker) -> Result<(), Failure> {
    let (_, rooms) = fetch(worker)?;
    let mut data = Vec::new();
    let mut lines = Vec::new();
    for room in &rooms.rooms {
        for request in &room.requests {
            let (room, title, user) = (&room.room, &room.title, &request.user);
            data.push(json!({ "room": room, "title": title, "user": user, "at": request.at }));
            lines.push(told::asks(user, title));
        }
    }
    let text = match lines.is_empty() {
        true => "nobody asks to come into a room of yours".to_owned(),
        false => format!("requests:\n{}", lines.join("\n")),
    };
    let data = json!({ "requests": data });
    worker.output.answer("requests", &data, &text);
    Ok(())
}

pub fn decide(
    worker: &Worker,
    current: Option<&str>,
    name: &str,
    approve: bool,
) -> Result<(), Failure> {
    let (_, rooms) = fetch(worker)?;
    let wanted = name.to_lowercase();
    let asks = |request: &&Waiting| request.user.to_lowercase() == wanted;
    let asked = |room: &'_ Room| room.requests.iter().find(asks).map(|one| one.user.clone());
    let rooms = rooms.rooms.iter();
    let mut asked: Vec<(&Room, String)> = rooms
        .filter_map(|room| Some((room, asked(room)?)))
        .collect();
    let is_here = |(room, _): &(&Room, String)| Some(room.room.as_str()) == current;
    if asked.iter().any(is_here) {
        asked.retain(is_here);
    }
    let (room, name) = match asked.as_slice() {
        [(room, name)] => (*room, name.as_str()),
        [] => {
            let name = safe_line(name);
            let why = format!("{name} does not ask to come into a room of yours");
            return Err(Failure::Refused(why));
        }
        _ => {
            let titles = asked.iter().map(|(room, _)| safe_line(&room.title));
            let titles: Vec<String> = titles.map(|title| format!("\"{title}\"")).collect();
            return Err(Failure::Refused(format!(
                "{} asks to come into {}: go to one of them first, by /to",
                safe_line(name),
                titles.join(" and ")
            )));
        }
    };
    let kinds: &[&str] = match approve {
        true => &["joined", "room"],
        false => &["refused"],
    };
    let decided = worker.act(kinds, || {
        let id = room.room.strip_prefix("room:").unwrap_or(&room.room);
        let path = format!("/rooms/{}/requests/{}", segment(id), segment(name));
        worker.post_once(&path, &json!({ "approve": approve }))?;
        let data = json!({ "room": room.room, "title": room.title, "user": name });
        let decided = Event::new(kinds[0], data);
        let mut did = vec![decided.clone()];
        if approve {
            did.push(Event::new("room", json!({ "room": room.room })));
        }
        Ok((decided, did))
    })?;
    worker.tell(&decided);
    Ok(())
}

pub fn kick(worker: &Worker, current: Option<&str>, name: &str) -> Result<(), Failure> {
    let (path, room) = here(worker, current)?;
    let gone = worker.act(&["left", "room"], || {
        let path = format!("{path}/members/{}", segment(name));
        worker.session.api.delete(&path)?;
        let mut data = of_room(worker, &room, name);
        data["removed"] = true.into();
        let gone = Event::new("left", data);
        let links = Event::new("room", json!({ "room": room }));
        Ok((gone.clone(), vec![gone, links]))
    })?;
    worker.tell(&gone);
    Ok(())
}

pub fn leave(worker: &Worker, current: Option<&str>) -> Done {
    let (path, room) = here(worker, current)?;
    let left = worker.act(&["left"], || {
        // The title is forgotten with the leaving.
        let left = Event::new("left", of_room(worker, &room, &worker.session.me()));
        worker.post_once(&format!("{path}/leave"), &json!({}))?;
        Ok((left.clone(), vec![left]))
    })?;
    // It tells where lines go then, too.
    worker.tell(&left);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_known_by_its_path_and_a_room_by_its_address() {
        assert_eq!(code_of("http://h:1/join/abc"), Some("abc"));
        assert_eq!(code_of("/join/abc/"), Some("abc"));
        assert_eq!(code_of("abc"), None);
        assert_eq!(code_of("/join/"), None);
        let id = "6a7d9c0e-52a4-4f0b-9a59-3e1c7f0c2b11";
        let address = Some(format!("room:{id}"));
        assert_eq!(room_of(id), address);
        assert_eq!(room_of(&format!("room:{id}")), address);
        assert_eq!(room_of("6a7d9c0e52a44f0b9a593e1c7f0c2b11"), None);
        assert_eq!(room_of("room:6a7d9c0e"), None);
        assert_eq!(room_of("Garden"), None);
    }

    #[test]
    fn an_invitation_goes_before_the_room_of_that_title_that_one_is_in() {
        let rooms = Rooms::deserialize(json!({
            "rooms": [
                {"room": "room:7", "title": "Garden"},
                {"room": "room:8", "title": "Attic"},
            ],
            "invites": [
                {"room": "room:1a", "title": "Garden"},
                {"room": "room:1b", "title": " Cellar\u{200f}"},
                {"room": "room:9", "title": "room:1"},
            ],
        }));
        let rooms = rooms.unwrap();
        for (which, room) in [
            ("garden", "room:1a"),
            ("attic", "room:8"),
            ("Cellar", "room:1b"),
            ("room:1b", "room:1b"),
        ] {
            assert_eq!(rooms.find(which), Ok(Some(room.to_owned())), "{which}");
        }
        let told = rooms.find("room:1").unwrap_err();
        let expected = "/join room:1a or /join room:1b or /join room:9";
        assert!(told.ends_with(expected), "{told}");
    }
}
