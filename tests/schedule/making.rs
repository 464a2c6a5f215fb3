//! Making and cancelling one.

use super::*;

#[test]
fn one_is_answered_201_and_told_to_its_users_clients_alone() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let second = ann.again();
    let (mut hers, mut his) = (second.events(), bob.events());
    let made = schedule(&ann, "@BOB", "lunch?", "10m").expect(201);
    let mut fields: Vec<&String> = made
        .as_object()
        .into_iter()
        .flatten()
        .map(|f| f.0)
        .collect();
    fields.sort();
    assert_eq!(fields, ["at", "id", "state", "text", "to"]);
    assert_eq!(made["to"], "@bob");
    assert_eq!(made["text"], "lunch?");
    assert_eq!(made["state"], "waiting");
    let id: Result<uuid::Uuid, _> = made["id"].as_str().unwrap_or_default().parse();
    assert!(id.is_ok(), "{made}");
    let at: Result<Time, _> = made["at"].as_str().unwrap_or_default().parse();
    assert!(at.is_ok_and(|at| (590_000..=600_000).contains(&(at.0 - now()))));
    assert_eq!(hers.next("scheduled").data, made);
    assert_eq!(scheduled(&second), std::slice::from_ref(&made));
    assert!(scheduled(&bob).is_empty());
    ann.say("marker");
    let passed = his.until_text("marker");
    assert!(passed.iter().all(|event| event.event != "scheduled"));
    assert!(bob.messages("@ann").is_empty());
    let status = ann.status();
    let part = json!({ "waiting": 1, "next": made["at"] });
    assert_eq!(status["user"]["schedule"], part);
    let none = json!({ "waiting": 0, "next": null });
    assert_eq!(bob.status()["user"]["schedule"], none);
}

#[test]
fn what_is_asked_for_is_judged_when_it_is_made() {
    let server = Server::only("schedule", "horizon = \"1h\"");
    let ann = server.connect("ann");
    schedule(&ann, "@nobody", "x", "1m").problem(404, "unknown_chat");
    let room = "room:00000000-0000-4000-8000-000000000000";
    schedule(&ann, room, "x", "1m").problem(404, "unknown_chat");
    schedule(&ann, "nonsense", "x", "1m").problem(422, "invalid");
    schedule(&ann, "common", "", "1m").problem(422, "invalid");
    schedule(&ann, "common", &"x".repeat(4001), "1m").problem(422, "invalid");
    for (body, field) in [
        (json!({}), "at"),
        (json!({ "at": null, "in": null }), "at"),
        (json!({ "at": "2100-01-01T00:00:00Z", "in": "1m" }), "in"),
        (json!({ "at": "2020-01-01T00:00:00Z" }), "at"),
        (json!({ "at": "2100-01-01T00:00:00Z" }), "at"),
        (json!({ "at": "noon" }), "at"),
        (json!({ "at": 5 }), "at"),
        (json!({ "in": "61m" }), "in"),
        (json!({ "in": "-1m" }), "in"),
        (json!({ "in": "soon" }), "in"),
        (json!({ "in": 60 }), "in"),
    ] {
        let mut body = body;
        body["to"] = json!("common");
        body["text"] = json!("x");
        let refused = ann.post("/scheduled", &body);
        assert_eq!(refused.problem(422, "invalid")["field"], field, "{body}");
    }
    assert!(scheduled(&ann).is_empty());
    schedule(&ann, "common", "x", "59m").expect(201);
}

#[test]
fn one_is_cancelled_by_its_user_alone_and_never_sent() {
    let server = server();
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let made = schedule(&ann, "common", "never", "1s").expect(201);
    let mut second = ann.again().events();
    cancel(&bob, &made).problem(404, "not_found");
    for id in ["00000000-0000-4000-8000-000000000000", "x", "1"] {
        let path = format!("/scheduled/{id}");
        ann.delete(&path).problem(404, "not_found");
    }
    cancel(&ann, &made).expect(204);
    assert_eq!(second.next("cancelled").data, json!({ "id": made["id"] }));
    cancel(&ann, &made).problem(404, "not_found");
    assert!(scheduled(&ann).is_empty());
    // One that is due later has come, so the other would have, too.
    schedule(&ann, "common", "later", "1500ms").expect(201);
    settled(&ann);
    assert_eq!(ann.texts("common"), ["later"]);
}

#[test]
fn no_more_wait_than_are_allowed_each_user_on_their_own() {
    let server = Server::only("schedule", "pending = 2");
    let ann = server.connect("ann");
    let bob = server.connect("bob");
    let first = schedule(&ann, "common", "1", "10m").expect(201);
    schedule(&ann, "common", "2", "20m").expect(201);
    let refused = schedule(&ann, "common", "3", "30m");
    refused.problem(429, "too_many_scheduled");
    let retry = refused.retry_after().as_secs();
    assert!((590..=600).contains(&retry), "{retry}");
    schedule(&bob, "common", "1", "10m").expect(201);
    cancel(&ann, &first).expect(204);
    schedule(&ann, "common", "3", "30m").expect(201);
    schedule(&ann, "common", "4", "40m").problem(429, "too_many_scheduled");
}

#[test]
fn a_repeat_with_its_key_schedules_once() {
    let server = server();
    let ann = server.connect("ann");
    let body = json!({ "to": "common", "text": "once", "in": "1500ms" });
    let first = ann.post_once("k", "/scheduled", &body).expect(201);
    let again = ann.post_once("k", "/scheduled", &body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(scheduled(&ann).len(), 1);
    settled(&ann);
    ann.post_once("k", "/scheduled", &body).problem(410, "gone");
    assert_eq!(ann.texts("common"), ["once"]);
}
