//! How each row of the matrix is called.

use serde_json::{Value, json};
use veche::testing::Request;

use super::matrix::Row;
use super::stage::Scene;

/// The same caller, who names things that there are not.
pub fn of_what_is_not(scene: &Scene) -> Scene {
    const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";
    let id = |id: &Value| Value::from(id.as_u64().unwrap_or_default() + 1_000_000_000);
    Scene {
        who: scene.who.clone(),
        accused: scene.accused.clone(),
        room: NOBODYS.to_owned(),
        code: "0".repeat(scene.code.len()),
        message: id(&scene.message),
        file: NOBODYS.to_owned(),
        in_room: id(&scene.in_room),
        scheduled: NOBODYS.to_owned(),
        hook: id(&scene.hook),
        secret: format!("/hooks/{}", "0".repeat(32)),
        subscription: id(&scene.subscription),
    }
}

/// The row's call, about the scene's things.
pub fn call(scene: &Scene, row: &Row) -> Request {
    let (method, path) = row.call.split_once(' ').unwrap_or_default();
    let about = row.about.as_str();
    let room = format!("room:{}", scene.room);
    let to = if about == "a room" {
        room.as_str()
    } else {
        "@owner"
    };
    let message = if about == "a room's message" {
        &scene.in_room
    } else {
        &scene.message
    };
    let part = |path: &str| match path {
        "/rooms/{id}/invites/{name}" => path.replace("{name}", "guest"),
        "/rooms/{id}/requests/{name}" => path.replace("{name}", "asker"),
        "/rooms/{id}/members/{name}" => path.replace("{name}", "member"),
        "/web/{part}" => path.replace("{part}", "app.js"),
        "/messages" if about == "a room" => format!("{path}?chat={room}"),
        "/messages" => format!("{path}?chat=common"),
        "/unread" if about == "a room" => format!("{path}?chat={room}"),
        "/search" if about == "a room" => format!("{path}?q=hello&chat={room}"),
        "/search" => format!("{path}?q=hello"),
        "/events" => format!("{path}?wait=1ms"),
        "/files" => format!("{path}?name=x"),
        "/hooks/{hook}" if method == "POST" => scene.secret.clone(),
        "/hooks/{hook}" => format!("/hooks/{}", scene.hook),
        _ => path.to_owned(),
    };
    let id = match path.split('/').nth(1).unwrap_or_default() {
        "messages" => message.to_string(),
        "files" => scene.file.clone(),
        "scheduled" => scene.scheduled.clone(),
        "subscriptions" => scene.subscription.to_string(),
        _ => scene.room.clone(),
    };
    let path = part(path)
        .replace("{id}", &id)
        .replace("{code}", &scene.code);
    assert!(!path.contains('{'), "tests/rights can't fill in {path}");
    let request = scene.who.request(method, &path);
    match body(scene, row, to) {
        _ if row.call == "POST /files" => request.body("bytes", "text/plain"),
        Some(body) => request.json(&body),
        // So that events come as an answer that ends.
        None => request.header("Accept", "application/json"),
    }
}

fn body(scene: &Scene, row: &Row, to: &str) -> Option<Value> {
    let is_about_a_room = row.about == "a room";
    Some(match row.call.as_str() {
        "POST /connect" => json!({"name": "owner"}),
        "POST /send" if row.about == "the owner's file" => json!({"to": to, "file": scene.file}),
        "POST /send" | "POST /messages/{id}/comments" => json!({"to": to, "text": "hello"}),
        "POST /edit" => json!({"message": scene.message, "text": "another"}),
        "POST /react" => json!({"message": scene.message, "emoji": "👍"}),
        "POST /remove" => json!({"message": scene.message}),
        "POST /typing" => json!({"to": to}),
        "POST /read" if is_about_a_room => json!({"chat": to, "upto": scene.in_room}),
        "POST /complaints" if row.about == "somebody" => json!({"user": scene.accused}),
        "POST /complaints" => json!({"user": scene.accused, "message": scene.message}),
        "POST /hooks" => json!({"name": format!("bot{}", scene.accused), "to": "@me"}),
        "POST /hooks/{hook}" => json!({"text": "hello"}),
        "POST /subscriptions" => {
            let chat = if is_about_a_room { to } else { "common" };
            json!({"chat": chat, "url": "http://127.0.0.1:9/"})
        }
        "POST /rooms" => json!({"title": "Another"}),
        "POST /rooms/{id}/invites" => json!({"user": "stranger"}),
        "POST /rooms/{id}/requests/{name}" => json!({"approve": true}),
        "POST /scheduled" => json!({"to": to, "text": "later", "in": "1h"}),
        call if call.starts_with("POST ") => json!({}),
        _ => return None,
    })
}
