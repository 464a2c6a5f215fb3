//! What makes nodes of one cluster of several servers.

use super::node::Node;
use super::program::call;

/// The NATS servers that they share, as `[cluster]` names them, and the stream.
#[derive(Debug, Clone)]
pub(super) struct Together {
    nats: String,
    stream: String,
    /// How many they are.
    pub(super) nodes: usize,
}

impl Together {
    /// So many nodes of a cluster of their own on these NATS servers.
    pub(super) fn new(nats: &str, nodes: usize) -> Self {
        Self {
            nats: nats.to_owned(),
            stream: uuid::Uuid::new_v4().simple().to_string(),
            nodes: nodes.max(1),
        }
    }

    /// What the environment asks for: `VECHE_TESTING_NODES` nodes, one where it does not say, on the
    /// NATS servers that it names in `VECHE_TESTING_NATS`. So every test of one server is also one of a
    /// cluster.
    pub(super) fn asked() -> Option<Self> {
        let nats = std::env::var("VECHE_TESTING_NATS").ok()?;
        let nodes = std::env::var("VECHE_TESTING_NODES").ok();
        let nodes = nodes.map_or(1, |nodes| nodes.parse().expect("a number of nodes"));
        Some(Self::new(&nats, nodes))
    }

    /// Each node's config.toml, where `config` is that of a server alone. Folders of features are the
    /// first node's for all, for objects must be reached by each.
    pub(super) fn configs(&self, config: &str, first: &Node) -> Vec<String> {
        let Self { nats, stream, .. } = self;
        let replicas = nats.split(',').count();
        let table = format!(
            "\n[cluster]\nnats = \"{nats}\"\nreplicas = {replicas}\nstream = \"{stream}\"\n"
        );
        let one = config.to_owned() + &table;
        if self.nodes == 1 {
            return vec![one];
        }
        first.folder.write("config.toml", &one);
        let checked = call(
            &first.binary,
            first.folder.path(),
            ["check", "--config", "config.toml"],
        );
        let mut other: toml::Table = match one.parse() {
            Ok(table) if checked.status.success() => table,
            // The server says what is wrong with it.
            _ => return vec![one; self.nodes],
        };
        let all: toml::Table = checked.stdout.parse().expect("settings in force, as TOML");
        let features = all.get("features").and_then(toml::Value::as_table);
        for (feature, settings) in features.into_iter().flatten() {
            let Some(dir) = settings.get("dir").and_then(toml::Value::as_str) else {
                continue;
            };
            let shared = first.data().join(dir).display().to_string();
            let features = other.entry("features").or_insert(toml::Table::new().into());
            let own = features.as_table_mut().map(|features| {
                features
                    .entry(feature.as_str())
                    .or_insert(toml::Table::new().into())
            });
            if let Some(own) = own.and_then(toml::Value::as_table_mut) {
                own.insert("dir".to_owned(), shared.into());
            }
        }
        let other = toml::to_string(&other).expect("a table is TOML");
        let others = (1..self.nodes).map(|_| other.clone());
        [one].into_iter().chain(others).collect()
    }
}
