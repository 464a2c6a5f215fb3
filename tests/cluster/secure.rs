//! NATS that asks who comes, and speaks TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use veche::testing::{Folder, Server};

use crate::nats::Nats;
use crate::stage::{Cluster, agreed, refused};

/// An authority, what it vouched for, and what lets a server in.
struct Keys {
    folder: Folder,
}

impl Keys {
    fn new() -> Self {
        let folder = Folder::new();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate");
        folder.write("ca.pem", ca.pem());
        let issuer = Issuer::new(params, key);
        for name in ["127.0.0.1", "veche"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            let cert = params.signed_by(&key, &issuer).expect("a certificate");
            folder.write(format!("{name}.pem"), cert.pem());
            folder.write(format!("{name}.key"), key.serialize_pem());
        }
        folder.write("password", "veche:se:cret\n");
        folder.write("token", "a-token\n");
        folder.write("wrong", "veche:wr0ng\n");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What NATS is told.
    fn nats(&self, more: &str) -> String {
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\" {more} }}\n",
            self.path("127.0.0.1.pem"),
            self.path("127.0.0.1.key"),
            self.path("ca.pem"),
        )
    }

    /// What a node is told: a setting names a file.
    fn node(&self, nats: &Nats, files: &[(&str, &str)]) -> String {
        let url = format!("tls://{}", nats.address());
        let files = files.iter();
        let files = files.map(|(key, name)| format!("{key} = \"{}\"\n", self.path(name)));
        format!(
            "[cluster]\nnats = \"{url}\"\nreplicas = 1\n{}",
            files.collect::<String>()
        )
    }
}

/// What a server says that does not start.
fn refusal(config: &str) -> String {
    refused(&Folder::new(), config).stderr
}

fn works(nats: Vec<Nats>, config: &str) {
    let start = || Server::builder().config(config).start();
    let cluster = Cluster::of(nats, vec![start(), start()]);
    let ann = cluster.join("ann");
    let mut stream = ann[1].events();
    ann[0].tell("ann", "in private");
    stream.until_text("in private");
    agreed(&ann, "@ann", 1);
}

#[test]
fn nodes_come_in_by_a_password_over_tls_and_nobody_else() {
    let keys = Keys::new();
    let users = "authorization { user: veche, password: \"se:cret\" }\n";
    let nats = Nats::secured(&(keys.nats("") + users));
    let wrong = keys.node(&nats[0], &[("ca", "ca.pem"), ("credentials", "wrong")]);
    let said = refusal(&wrong);
    assert!(said.contains("authorization violation"), "{said}");
    assert!(!said.contains("wr0ng"), "{said}");
    let nobody = refusal(&keys.node(&nats[0], &[("ca", "ca.pem")]));
    assert!(nobody.contains("authorization violation"), "{nobody}");
    // An authority that this system does not know vouches for nothing.
    let unknown = refusal(&keys.node(&nats[0], &[("credentials", "password")]));
    assert!(unknown.contains("certificate"), "{unknown}");
    let missing = refusal(&keys.node(
        &nats[0],
        &[("ca", "nowhere.pem"), ("credentials", "password")],
    ));
    assert!(missing.contains("[cluster]"), "{missing}");
    let config = keys.node(&nats[0], &[("ca", "ca.pem"), ("credentials", "password")]);
    works(nats, &config);
}

#[test]
fn nodes_come_in_by_a_token_and_a_certificate_of_their_own() {
    let keys = Keys::new();
    let token = "authorization { token: \"a-token\" }\n";
    let nats = Nats::secured(&(keys.nats(", verify: true") + token));
    let files = [("ca", "ca.pem"), ("credentials", "token")];
    let said = refusal(&keys.node(&nats[0], &files));
    assert!(said.contains("NATS"), "{said}");
    let own = [("cert", "veche.pem"), ("key", "veche.key")];
    let config = keys.node(&nats[0], &[files, own].concat());
    works(nats, &config);
}
