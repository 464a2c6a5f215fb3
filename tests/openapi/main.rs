//! The API's description: OpenAPI 3.1 of exactly what the running server answers.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod reference;
mod tools;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use veche::testing::{Server, binary, features};

/// The core's calls, by the contract.
const CORE: [(&str, &str); 12] = [
    ("post", "/connect"),
    ("post", "/disconnect"),
    ("get", "/status"),
    ("get", "/users"),
    ("post", "/send"),
    ("get", "/messages"),
    ("get", "/messages/{id}"),
    ("get", "/unread"),
    ("post", "/read"),
    ("get", "/events"),
    ("get", "/healthz"),
    ("get", "/openapi.json"),
];

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

fn document(server: &Server) -> Value {
    let reply = server.guest().get("/openapi.json");
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/json") || kind.starts_with("application/openapi+json"),
        "{kind}"
    );
    reply.expect(200)
}

/// Every method and path, with whatever its parameters are called.
fn calls(document: &Value) -> BTreeSet<(String, String)> {
    let mut calls = BTreeSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in item
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, _)| method)
        {
            if METHODS.contains(&method.as_str()) {
                calls.insert((method.clone(), path.clone()));
            }
        }
    }
    calls
}

fn core() -> BTreeSet<(String, String)> {
    CORE.iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect()
}

#[test]
fn with_no_feature_on_it_is_the_core_exactly() {
    let server = Server::core();
    let document = document(&server);
    assert_eq!(
        document["openapi"]
            .as_str()
            .map(|version| version.starts_with("3.1.")),
        Some(true)
    );
    assert!(
        document["info"]["title"].is_string(),
        "{}",
        document["info"]
    );
    assert!(
        document["info"]["version"].is_string(),
        "{}",
        document["info"]
    );
    assert_eq!(calls(&document), core());
}

#[test]
fn each_operation_describes_its_parameters_body_and_answers() {
    let server = Server::start();
    let document = document(&server);
    let mut ids = BTreeSet::new();
    for (method, path) in calls(&document) {
        let operation = &document["paths"][&path][&method];
        let what = format!("{method} {path}: {operation}");
        assert!(
            operation["summary"].is_string() || operation["description"].is_string(),
            "{what}"
        );
        let responses = operation["responses"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{what}"
        );
        assert!(responses.values().all(|response| response["description"].is_string() || response["$ref"].is_string()), "{what}");
        if let Some(id) = operation["operationId"].as_str() {
            assert!(ids.insert(id.to_owned()), "two operations are called {id}");
        }
        let shared = document["paths"][&path]["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let own = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let parameters: Vec<Value> = shared
            .into_iter()
            .chain(own)
            .map(|parameter| resolve(&document, &parameter))
            .collect();
        for name in path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
        {
            let found = parameters.iter().any(|parameter| {
                parameter["name"] == name
                    && parameter["in"] == "path"
                    && parameter["required"] == true
            });
            assert!(found, "{name} of {what}");
        }
    }
}

#[test]
fn every_reference_in_it_leads_somewhere() {
    let server = Server::start();
    let document = document(&server);
    let mut pending = vec![&document];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap_or("/nowhere");
                    assert!(
                        document.pointer(pointer).is_some(),
                        "{target} leads nowhere"
                    );
                }
                pending.extend(fields.values());
            }
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
}

fn resolve(document: &Value, value: &Value) -> Value {
    let target = value["$ref"]
        .as_str()
        .and_then(|target| target.strip_prefix('#'));
    target
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
        .clone()
}

#[test]
fn what_it_lists_is_there() {
    let server = Server::start();
    let ann = server.connect("ann");
    let message = ann.tell("ann", "note");
    for (method, path) in calls(&document(&server)) {
        // A client of its own each time: one of the calls ends it.
        let client = ann.again();
        let mut known = true;
        let mut target = String::new();
        for part in path.split('/').skip(1) {
            target.push('/');
            match part {
                // Other ids than messages' are UUIDs.
                "{id}" if path.starts_with("/messages/") => {
                    target += &message["id"].to_string();
                }
                "{name}" => target += "ann",
                _ if part.starts_with('{') => {
                    known = false;
                    target += "01234567-89ab-4cde-8f01-23456789abcd";
                }
                _ => target += part,
            }
        }
        if path == "/messages" {
            target += "?chat=common";
        }
        let request = client.request(&method.to_uppercase(), &target);
        let request = if method == "post" {
            request.json(&json!({}))
        } else {
            request
        };
        let reply = if path == "/events" {
            client
                .request("GET", "/events?wait=0s")
                .header("Accept", "application/json")
                .send()
        } else {
            request.send()
        };
        assert_ne!(reply.status, 405, "{method} {path}");
        assert!(reply.status < 500, "{method} {path}: {reply}");
        if known {
            assert_ne!(reply.body["code"], "not_found", "{method} {path}: {reply}");
        }
    }
}

#[test]
fn what_a_feature_adds_is_in_it_when_it_is_on_and_answers_feature_off_when_it_is_off() {
    let off = Server::core();
    let nobody = off.connect("ann");
    let mut all = core();
    for name in features(&binary()) {
        let on = Server::only(&name, "");
        let added: Vec<_> = calls(&document(&on)).difference(&core()).cloned().collect();
        for (method, path) in added {
            let target: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "1" } else { part })
                .collect();
            let request = nobody.request(&method.to_uppercase(), &target.join("/"));
            let request = if method == "post" {
                request.json(&json!({}))
            } else {
                request
            };
            let problem = request.send().problem(404, "feature_off");
            assert!(
                problem.to_string().contains(&name),
                "{method} {path}: {problem}"
            );
            all.insert((method, path));
        }
    }
    let server = Server::builder().all().start();
    assert_eq!(calls(&document(&server)), all);
}
