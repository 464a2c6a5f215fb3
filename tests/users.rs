//! The list of users, and who is online.

use serde_json::{Value, json};
use veche::testing::{Client, Server, encode, wait_until};

fn names(page: &Value) -> Vec<String> {
    let users = page["users"].as_array().into_iter().flatten();
    users
        .filter_map(|user| user["name"].as_str())
        .map(str::to_owned)
        .collect()
}

fn online(asking: &Client, name: &str) -> Option<Value> {
    let page = asking.get("/users?limit=200").expect(200);
    let users = page["users"].as_array().cloned().unwrap_or_default();
    let user = users.into_iter().find(|user| user["name"] == name)?;
    Some(user["online"].clone())
}

#[test]
fn everybody_is_listed_with_when_they_were_seen() {
    let server = Server::core();
    let ann = server.connect("ann");
    server.connect("bob");
    let page = ann.get("/users").expect(200);
    assert_eq!(names(&page), ["ann", "bob"]);
    assert_eq!(page["more"], false);
    for user in page["users"].as_array().into_iter().flatten() {
        assert!(user["online"].is_boolean(), "{user}");
        assert!(user["seen"].is_string(), "{user}");
    }
}

#[test]
fn pages_cover_everybody_exactly_once() {
    let server = Server::core();
    let all = [
        "Zoe",
        "ann",
        "Bob",
        "жанна",
        "Ева",
        "李",
        "x1",
        "x10",
        "x2",
        "_a",
        "éva",
    ];
    let ann = all.map(|name| server.connect(name))[1].clone();
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map(|name| format!("&after={}", encode(name)));
        let path = format!("/users?limit=3{}", after.unwrap_or_default());
        let page = ann.get(&path).expect(200);
        let next = names(&page);
        assert!(next.len() <= 3);
        found.extend(next);
        if page["more"] != true {
            break;
        }
    }
    let sort = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sort(found), sort(all.map(str::to_owned).into()));
}

#[test]
fn a_page_begins_after_any_name_whether_somebody_has_it_or_not() {
    let server = Server::core();
    let ann = server.connect("ann");
    server.connect("bob");
    server.connect("eve");
    for (after, rest) in [
        ("bob", vec!["eve"]),
        ("BOB", vec!["eve"]),
        ("c", vec!["eve"]),
        ("zz", vec![]),
    ] {
        let page = ann.get(&format!("/users?after={after}")).expect(200);
        assert_eq!(
            (names(&page), &page["more"]),
            (rest.into_iter().map(str::to_owned).collect(), &json!(false)),
            "{after}"
        );
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let server = Server::core();
    let ann = server.connect("ann");
    ann.get("/users?limit=x").problem(422, "invalid");
}

#[test]
fn whoever_listens_is_online_until_they_stop() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let mut watching = ann.events();
    ann.say("marker");
    watching.until_text("marker");
    let listening = bob.events();
    let seen = watching.until(|event| {
        event.event == "user" && event.data == json!({ "name": "bob", "online": true })
    });
    assert!(
        seen.iter()
            .all(|event| event.event != "user" || event.id.is_none())
    );
    assert_eq!(online(&ann, "bob"), Some(Value::Bool(true)));
    drop(listening);
    bob.disconnect();
    watching.until(|event| {
        event.event == "user" && event.data == json!({ "name": "bob", "online": false })
    });
    wait_until("bob to be shown offline", || {
        (online(&ann, "bob") == Some(Value::Bool(false))).then_some(())
    });
}

#[test]
fn a_stream_that_said_hello_hears_who_comes() {
    // Whoever asks for the users after the hello must not miss a change in between.
    let server = Server::core();
    let ann = server.connect("ann");
    for number in 0..30 {
        let name = format!("user{number}");
        let user = server.connect(&name);
        let mut watching = ann.events();
        let _listening = user.events();
        user.say(&name);
        let passed = watching.until_text(&name);
        let came = passed.iter().any(|event| {
            event.event == "user" && event.data == json!({ "name": name, "online": true })
        });
        assert!(came, "{passed:?}");
    }
}

#[test]
fn one_of_two_clients_leaving_leaves_the_user_online() {
    let server = Server::core();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let second = bob.again();
    let mut watching = ann.events();
    ann.say("begin");
    watching.until_text("begin");
    let _first = bob.events();
    watching.until(|event| event.event == "user" && event.data["name"] == "bob");
    let other = second.events();
    drop(other);
    second.disconnect();
    bob.say("marker");
    let passed = watching.until_text("marker");
    let left = passed.iter().any(|event| {
        event.event == "user" && event.data == json!({ "name": "bob", "online": false })
    });
    assert!(!left, "{passed:?}");
    assert_eq!(online(&ann, "bob"), Some(Value::Bool(true)));
}
