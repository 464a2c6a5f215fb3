//! What makes many clients small: an index of their tokens that holds no token, and one copy of what
//! they say they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashTable;

use super::digest::Digest;
use super::state::Client;
use crate::log::ClientId;

type Clients = BTreeMap<ClientId, Client>;

/// Finds clients by their tokens. The tokens themselves lie with the clients.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashTable<ClientId>);

impl Tokens {
    pub(super) fn of(clients: &Clients) -> Self {
        let mut tokens = Self(HashTable::with_capacity(clients.len()));
        for client in clients.keys() {
            tokens.insert(*client, clients);
        }
        tokens
    }

    /// Adds a client that is among `clients` already.
    pub(super) fn insert(&mut self, new: ClientId, clients: &Clients) {
        let bits = |client: &ClientId| {
            let client = clients.get(client);
            client.map_or(0, |client| client.token.bits())
        };
        self.0.insert_unique(bits(&new), new, bits);
    }

    /// Takes out a client that is among `clients` still.
    pub(super) fn remove(&mut self, gone: ClientId, clients: &Clients) {
        if let Some(client) = clients.get(&gone)
            && let Ok(entry) = self
                .0
                .find_entry(client.token.bits(), |client| *client == gone)
        {
            entry.remove();
        }
    }

    pub(super) fn find(&self, token: Digest, clients: &Clients) -> Option<ClientId> {
        let has_it = |client: &ClientId| {
            let client = clients.get(client);
            client.is_some_and(|client| client.token == token)
        };
        self.0.find(token.bits(), has_it).copied()
    }
}

/// The programs that clients say they are, each once.
#[derive(Debug, Default)]
pub(super) struct Agents(BTreeSet<Arc<str>>);

impl Agents {
    pub(super) fn share(&mut self, agent: &str) -> Arc<str> {
        if let Some(known) = self.0.get(agent) {
            return Arc::clone(known);
        }
        let agent: Arc<str> = agent.into();
        self.0.insert(Arc::clone(&agent));
        agent
    }

    /// Forgets the program with its last client.
    pub(super) fn give_back(&mut self, agent: Arc<str>) {
        if Arc::strong_count(&agent) == 2 {
            self.0.remove(&agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::log::UserId;
    use crate::time::Time;

    fn id(number: u64) -> ClientId {
        Uuid::from_u64_pair(0, number)
    }

    fn client(token: &str) -> Client {
        Client {
            user: UserId(1),
            token: Digest::of(token),
            agent: "curl".into(),
            since: Time::default(),
            seen: Time::default(),
        }
    }

    #[test]
    fn a_client_is_found_by_its_token_as_long_as_it_lives() {
        let mut clients = Clients::new();
        let mut tokens = Tokens::default();
        for number in 0..1000 {
            clients.insert(id(number), client(&number.to_string()));
            tokens.insert(id(number), &clients);
        }
        let all = |tokens: &Tokens, clients: &Clients| {
            let found = |number: &u64| tokens.find(Digest::of(&number.to_string()), clients);
            let found: Vec<_> = (0..1001).filter_map(|number| found(&number)).collect();
            found
        };
        assert_eq!(
            all(&tokens, &clients),
            (0..1000).map(id).collect::<Vec<_>>()
        );
        tokens.remove(id(500), &clients);
        clients.remove(&id(500));
        tokens.remove(id(500), &clients);
        let rest: Vec<_> = (0..1000).filter(|n| *n != 500).map(id).collect();
        assert_eq!(all(&tokens, &clients), rest);
        assert_eq!(all(&Tokens::of(&clients), &clients), rest);
    }

    #[test]
    fn an_agent_is_kept_once_and_as_long_as_a_client_has_it() {
        let mut agents = Agents::default();
        let (one, other) = (agents.share("curl/8"), agents.share("curl/8"));
        assert!(Arc::ptr_eq(&one, &other));
        agents.give_back(one);
        assert_eq!(agents.0.len(), 1);
        agents.give_back(other);
        assert_eq!(agents.0.len(), 0);
    }
}
