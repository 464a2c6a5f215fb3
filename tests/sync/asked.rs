//! What a fresh client is told when it asks for everything, as one value.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use veche::testing::{Client, encode};

/// All that a user can ask for, in one value. Who is online and when somebody was seen is left
/// out, and so is what a rate leaves, which changes with the clock.
pub fn asked(client: &Client, features: &[String]) -> Value {
    let has = |name: &str| features.iter().any(|feature| feature == name);
    let status = client.status();
    let mut user = object(&status["user"]);
    for other in ["name", "clients", "rate_limit"] {
        user.shift_remove(other);
    }
    let clients = list(&status["user"]["clients"]).into_iter().map(|client| {
        let about = json!({"agent": client["agent"], "since": client["since"]});
        (text(&client["id"]), about)
    });
    let (mut chats, mut messages, mut comments) = (Map::new(), Map::new(), Map::new());
    for chat in list(&status["chats"]) {
        let address = text(&chat["chat"]);
        let mut chat = object(&chat);
        chat.shift_remove("online");
        chat.shift_remove("chat");
        let history = client.history(&address);
        for message in &history {
            if message["comments"].as_u64().is_some_and(|count| count > 0) {
                let path = format!("/messages/{}/comments?limit=200", message["id"]);
                let found = client.get(&path).body["comments"].clone();
                comments.insert(message["id"].to_string(), found);
            }
        }
        messages.insert(address.clone(), history.into());
        chats.insert(address, chat.into());
    }
    let unread = client.unread().into_iter().map(|one| one["id"].clone());
    let mut all = json!({
        "user": user,
        "users": users(client),
        "clients": clients.collect::<Map<_, _>>(),
        "chats": chats,
        "messages": messages,
        "comments": comments,
        "unread": unread.collect::<Vec<_>>(),
        "scheduled": {},
        "rooms": {},
        "invites": {},
        "requests": [],
    });
    if has("schedule") {
        let scheduled = client.get("/scheduled").expect(200);
        all["scheduled"] = by(&scheduled["scheduled"], "id");
    }
    if has("rooms") {
        let answer = client.get("/rooms").expect(200);
        let rooms: Vec<Value> = list(&answer["rooms"]).into_iter().map(in_order).collect();
        all["rooms"] = by(&rooms.into(), "room");
        all["invites"] = by(&answer["invites"], "room");
        all["requests"] = sorted(&answer["requests"]);
    }
    all
}

fn users(client: &Client) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().map(|last| format!("&after={}", encode(last)));
        let path = format!("/users?limit=200{}", after.unwrap_or_default());
        let page = client.get(&path).expect(200);
        names.extend(list(&page["users"]).iter().map(|user| text(&user["name"])));
        if page["more"] == false {
            names.sort();
            return names;
        }
    }
}

/// A room whose lists without an order of their own are sorted.
pub fn in_order(mut room: Value) -> Value {
    for part in ["invites", "links", "requests"] {
        if room[part].is_array() {
            room[part] = sorted(&room[part]);
        }
    }
    let room = object(&room).into_iter();
    room.filter(|(_, value)| !value.is_null()).collect()
}

pub fn sorted(values: &Value) -> Value {
    let mut values = list(values);
    values.sort_by_key(Value::to_string);
    values.into()
}

fn by(values: &Value, key: &str) -> Value {
    let keyed = |value: Value| (text(&value[key]), value);
    list(values)
        .into_iter()
        .map(keyed)
        .collect::<Map<_, _>>()
        .into()
}

pub fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Where two values differ first, in words.
pub fn difference(path: &str, held: &Value, truth: &Value) -> Option<String> {
    if held == truth {
        return None;
    }
    if let (Some(one), Some(other)) = (held.as_object(), truth.as_object()) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let missing = Value::String("(missing)".to_owned());
        let of = |map: &Map<String, Value>, key: &str| map.get(key).unwrap_or(&missing).clone();
        return keys
            .into_iter()
            .find_map(|key| difference(&format!("{path}/{key}"), &of(one, key), &of(other, key)));
    }
    Some(format!("{path}\n  held {held}\n  is   {truth}"))
}
