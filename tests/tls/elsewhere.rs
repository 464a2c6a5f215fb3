//! TLS where the server is the client: what it calls for somebody is verified.

#![cfg(has_feature = "subscriptions")]

use std::path::Path;

use serde_json::{Value, json};
use veche::testing::{Server, wait_until};

use super::Authority;

/// Why a server that trusts these authorities fails to post to `url`.
fn failure(authorities: &Path, url: &str) -> Value {
    let server = Server::builder()
        .only("subscriptions", "allow = [\"127.0.0.1\", \"::1\"]")
        .env("SSL_CERT_FILE", authorities)
        .start();
    let ann = server.connect("ann");
    let new = json!({"chat": "@me", "url": url});
    ann.post("/subscriptions", &new).expect(201);
    ann.tell("ann", "hello");
    let failure = wait_until("a failure", || {
        let listed = ann.get("/subscriptions").expect(200);
        let failure = listed["subscriptions"][0]["failure"].clone();
        (!failure.is_null()).then_some(failure)
    });
    failure["reason"].clone()
}

#[test]
fn who_is_called_is_verified_by_the_systems_authorities() {
    let (authority, another) = (Authority::new(), Authority::new());
    // It has nothing that can be posted to, and says so, to who has got as far as that.
    let called = authority.server("");
    let url = called.url();
    assert_eq!(failure(&authority.file(), &url), "status");
    assert_eq!(failure(&another.file(), &url), "tls");
    // Its certificate is of the address, and of no name.
    let name = url.replace("127.0.0.1", "localhost");
    assert_eq!(failure(&authority.file(), &name), "tls");
}
