//! What users see of it: the real server, from outside.

use veche::prelude::json;
use veche::testing::Server;

fn server(settings: &str) -> Server {
    let server = Server::builder().binary(env!("CARGO_BIN_EXE_sample"));
    server.only("sample", settings).start()
}

#[test]
fn whom_one_marks_all_ones_clients_know_even_after_a_crash() {
    let mut server = server("");
    let (ann, _bob) = (server.connect("ann"), server.connect("bob"));
    let mut events = ann.again().events();
    ann.post("/sample", &json!({"user": "bob"})).expect(204);
    assert_eq!(events.next("sample").data, json!({"user": "bob"}));
    server.kill();
    server.restart();
    assert_eq!(ann.get("/sample").expect(200), json!({"users": ["bob"]}));
}

#[test]
fn one_marks_so_many() {
    let server = server("most = 1");
    let ann = server.connect("ann");
    let mark = |name: &str| ann.post("/sample", &json!({ "user": name }));
    mark("nobody").problem(404, "not_found");
    mark("ann").expect(204);
    mark("ann").expect(204);
    server.connect("bob");
    mark("bob").problem(429, "too_many");
}
