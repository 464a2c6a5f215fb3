//! Features on and off: the server runs with none, with each alone, with all.

use serde_json::{Value, json};
use veche::testing::{Server, binary, features};

/// What must work whatever is on.
fn works(server: &Server, on: &[String]) {
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut events = bob.events();
    let message = ann.say("hello");
    assert_eq!(events.next("message").data["id"], message["id"]);
    ann.tell("bob", "psst");
    events.until_text("psst");
    assert_eq!(bob.unread().len(), 2);
    bob.read_all();
    assert!(bob.unread().is_empty());
    let status = ann.status();
    let listed: Vec<String> = status["server"]["features"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, on);
}

#[test]
fn it_runs_with_none() {
    let mut server = Server::core();
    works(&server, &[]);
    server.restart();
}

#[test]
fn it_runs_with_each_alone() {
    for name in features(&binary()) {
        let mut server = Server::only(&name, "");
        works(&server, std::slice::from_ref(&name));
        server.restart();
    }
}

#[test]
fn it_runs_with_all() {
    let all = features(&binary());
    let mut server = Server::builder().all().start();
    works(&server, &all);
    server.restart();
}

#[test]
fn with_none_on_a_message_has_the_cores_fields_alone() {
    let server = Server::core();
    let ann = server.connect("ann");
    let message = ann.say("hello");
    let mut fields: Vec<&String> = message
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
        .collect();
    fields.sort();
    assert_eq!(fields, ["at", "from", "id", "text", "to"]);
    let status = ann.status();
    let mut fields: Vec<&String> = status["user"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
        .collect();
    fields.sort();
    assert_eq!(fields, ["clients", "name"]);
}

#[test]
fn what_features_recorded_is_carried_over_starts_without_them() {
    let on = Server::builder().start();
    drop(on);
    let mut server = Server::start();
    let ann = server.connect("ann");
    for number in 0..5 {
        ann.say(&format!("m{number}"));
    }
    let before = ann.messages("common");
    let off: String = features(&binary())
        .iter()
        .map(|name| format!("[features.{name}]\nenabled = false\n"))
        .collect();
    server.configure(off);
    server.restart();
    assert_eq!(ann.messages("common").len(), 5);
    server.configure("");
    server.restart();
    assert_eq!(ann.messages("common"), before);
    ann.post("/read", &json!({})).expect(204);
}
