//! Nodes and the NATS servers that they share.

use std::collections::BTreeMap;

use veche::testing::{Client, Server, wait_until};

use crate::nats::Nats;
use crate::proxy::{Proxy, Way};

/// A cluster: its nodes go before its NATS servers.
pub struct Cluster {
    pub nodes: Vec<Server>,
    pub nats: Vec<Nats>,
    /// The ways from each node to each NATS server, where they can be cut.
    pub ways: Vec<Vec<Proxy>>,
    /// The ways from each NATS server to each other one, by both their numbers.
    pub between: BTreeMap<(usize, usize), Proxy>,
    settings: String,
}

impl Cluster {
    /// So many NATS servers and nodes, with these settings beside `[cluster]`.
    pub fn start(nats: usize, nodes: usize, settings: &str) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            nats: Nats::start(nats),
            ways: Vec::new(),
            between: BTreeMap::new(),
            settings: settings.to_owned(),
        };
        for _ in 0..nodes {
            let node = cluster.add();
            cluster.nodes.push(node);
        }
        cluster
    }

    /// Of what there is already, with the first node's settings.
    pub fn of(nats: Vec<Nats>, nodes: Vec<Server>) -> Self {
        Self {
            nodes,
            nats,
            ways: Vec::new(),
            between: BTreeMap::new(),
            settings: String::new(),
        }
    }

    /// The same with ways that can be cut, between nodes and NATS servers and among these.
    pub fn apart(nats: usize, nodes: usize, settings: &str) -> Self {
        let mut between = BTreeMap::new();
        let nats = Nats::linked(nats, "", |from, to, address| {
            let way = between.entry((from, to));
            way.or_insert_with(|| Proxy::to(address)).address()
        });
        let mut cluster = Self {
            nodes: Vec::new(),
            nats,
            ways: Vec::new(),
            between,
            settings: settings.to_owned(),
        };
        for _ in 0..nodes {
            let ways = cluster.nats.iter().map(|nats| Proxy::to(nats.address()));
            cluster.ways.push(ways.collect());
            let node = cluster.add();
            cluster.nodes.push(node);
        }
        cluster
    }

    /// How the ways of a node to NATS are from now on.
    pub fn set(&self, node: usize, way: Way) {
        self.ways[node].iter().for_each(|proxy| proxy.set(way));
    }

    /// How the ways between one NATS server and the others are from now on.
    pub fn set_between(&self, nats: usize, way: Way) {
        let of = |(from, to): &(usize, usize)| *from == nats || *to == nats;
        let ways = self.between.iter().filter(|(ends, _)| of(ends));
        ways.for_each(|(_, proxy)| proxy.set(way));
    }

    /// Another node, with an empty folder.
    pub fn add(&self) -> Server {
        self.add_with(&self.settings)
    }

    /// Another node, with settings of its own.
    pub fn add_with(&self, settings: &str) -> Server {
        let mut urls: Vec<String> = match self.ways.get(self.nodes.len()) {
            None => self.nats.iter().map(Nats::url).collect(),
            Some(ways) => {
                let address = |way: &Proxy| format!("nats://{}", way.address());
                ways.iter().map(address).collect()
            }
        };
        let number = self.nodes.len() % urls.len();
        urls.rotate_left(number);
        let replicas = self.nats.len();
        let config = format!(
            "[cluster]\nnats = \"{}\"\nreplicas = {replicas}\n{settings}\n",
            urls.join(", ")
        );
        Server::builder().config(config).start()
    }

    /// Somebody new, who joined on the first node and is known on each: a client on every node.
    pub fn join(&self, name: &str) -> Vec<Client> {
        let client = self.nodes[0].connect(name);
        self.everywhere(&client)
    }

    /// The same client on every node, once each knows of it.
    pub fn everywhere(&self, client: &Client) -> Vec<Client> {
        let on = |node: &Server| {
            let mut same = Client::new(&node.url(), &client.token);
            same.name.clone_from(&client.name);
            same.id.clone_from(&client.id);
            wait_until("a node to know of somebody who joined on another", || {
                (same.get("/status").status == 200).then_some(())
            });
            same
        };
        self.nodes.iter().map(on).collect()
    }
}

/// Every text of a chat, in order.
pub fn texts(client: &Client, chat: &str) -> Vec<String> {
    let all = client.history(chat);
    let text = |message: &serde_json::Value| message["text"].as_str().map(str::to_owned);
    all.iter().filter_map(text).collect()
}

/// Waits until every one of these has the same texts in a chat, and gives them.
pub fn agreed(clients: &[Client], chat: &str, count: usize) -> Vec<String> {
    wait_until("every node to have the same messages", || {
        let all: Vec<Vec<String>> = clients.iter().map(|client| texts(client, chat)).collect();
        let first = all.first()?;
        (first.len() == count && all.iter().all(|texts| texts == first)).then(|| first.clone())
    })
}

/// Starts a server in a folder, where it is to fail.
pub fn refused(folder: &veche::testing::Folder, config: &str) -> veche::testing::Output {
    folder.write("config.toml", config);
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--config",
        "config.toml",
    ];
    let output = veche::testing::run(folder.path(), arguments);
    assert_ne!(output.status.code(), Some(0));
    output
}
