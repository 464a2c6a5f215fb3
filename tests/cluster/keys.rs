//! NATS that knows whom it lets in by their keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use veche::testing::{Folder, Server};

use crate::nats::Nats;
use crate::stage::{Cluster, agreed, refused};

/// What a node is told, with what lets it in.
fn settings(nats: &Nats, credentials: &std::path::Path) -> String {
    format!(
        "[cluster]\nnats = \"{}\"\nreplicas = 1\ncredentials = \"{}\"\n",
        nats.url(),
        credentials.display()
    )
}

fn works(nats: Vec<Nats>, config: &str, secret: &str) {
    let start = || Server::builder().config(config).start();
    let mut cluster = Cluster::of(nats, vec![start(), start()]);
    let ann = cluster.join("ann");
    ann[0].tell("ann", "in private");
    agreed(&ann, "@ann", 1);
    // A connection that was lost comes back in by the same.
    cluster.nats[0].kill();
    cluster.nats[0].launch();
    cluster.nats[0].wait();
    veche::testing::wait_until("writes to be taken again", || {
        let sent = ann[1].send("@ann", "again");
        (sent.status == 201).then_some(())
    });
    agreed(&ann, "@ann", 2);
    for node in &cluster.nodes {
        assert!(!node.log().contains(secret), "{}", node.log());
        let printed = veche::testing::run(node.folder().path(), ["check"]);
        assert!(!printed.stdout.contains(secret), "{printed:?}");
    }
}

#[test]
fn nodes_come_in_by_a_key_that_nats_knows_and_by_no_other() {
    let (own, other) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}\n",
        own.public_key()
    );
    let nats = Nats::secured(&users);
    let folder = Folder::new();
    let seed = |pair: &KeyPair| pair.seed().expect("a seed");
    let wrong = folder.write("wrong", seed(&other));
    let said = refused(&Folder::new(), &settings(&nats[0], &wrong)).stderr;
    assert!(said.contains("authorization violation"), "{said}");
    assert!(!said.contains(&seed(&other)), "{said}");
    let mut broken = seed(&own);
    let other = if &broken[20..21] == "A" { "B" } else { "A" };
    broken.replace_range(20..21, other);
    let broken = folder.write("broken", broken);
    let said = refused(&Folder::new(), &settings(&nats[0], &broken)).stderr;
    assert!(
        said.contains("NATS") && !said.contains(&seed(&own)),
        "{said}"
    );
    let file = folder.write("seed", seed(&own) + "\n");
    let config = settings(&nats[0], &file);
    works(nats, &config, &seed(&own));
}

/// A JWT as NATS has them: `claims` on `subject`, which `issuer` vouches for.
fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = encode(&json!({
        "jti": "of-a-test",
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": "chat",
        "nats": claims,
    }));
    let signed = format!("{head}.{body}");
    let signature = issuer.sign(signed.as_bytes()).expect("signed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn account(operator: &KeyPair, account: &KeyPair, jetstream: i64) -> String {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": jetstream, "disk_storage": jetstream,
        "streams": jetstream, "consumer": jetstream,
    });
    let claims = json!({ "type": "account", "version": 2, "limits": limits });
    jwt(operator, account, &claims)
}

/// What `nsc` writes for a user.
fn creds(issuer: &KeyPair, user: &KeyPair) -> String {
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(issuer, user, &claims),
        user.seed().expect("a seed")
    )
}

#[test]
fn nodes_come_in_by_what_an_operators_account_gave_them_and_by_nothing_else() {
    let operator = KeyPair::new_operator();
    let (chat, system, stranger) = (
        KeyPair::new_account(),
        KeyPair::new_account(),
        KeyPair::new_account(),
    );
    let claims = json!({ "type": "operator", "version": 2 });
    let nats = Nats::secured(&format!(
        "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{\n{}: \"{}\"\n{}: \"{}\"\n}}\n",
        jwt(&operator, &operator, &claims),
        system.public_key(),
        chat.public_key(),
        account(&operator, &chat, -1),
        system.public_key(),
        account(&operator, &system, 0),
    ));
    let folder = Folder::new();
    let user = KeyPair::new_user();
    let wrong = folder.write("wrong.creds", creds(&stranger, &user));
    let said = refused(&Folder::new(), &settings(&nats[0], &wrong)).stderr;
    assert!(said.contains("authorization violation"), "{said}");
    let seed = user.seed().expect("a seed");
    assert!(!said.contains(&seed), "{said}");
    let whole = creds(&chat, &user);
    let (half, _) = whole.split_once("***").expect("what follows the JWT");
    let half = folder.write("half.creds", half);
    let said = refused(&Folder::new(), &settings(&nats[0], &half)).stderr;
    assert!(said.contains("cannot parse nkey"), "{said}");
    assert!(!said.contains(&seed), "{said}");
    let file = folder.write("chat.creds", whole);
    let config = settings(&nats[0], &file);
    works(nats, &config, &seed);
}
