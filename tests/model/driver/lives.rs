//! The server's stops, crashes and starts.

use std::time::Duration;

use veche::testing::{Client, folds, wait_until};

use super::{Done, Driver};
use crate::clock::clean_up;
use crate::model::Ms;
use crate::model::call::Call;

impl Driver {
    /// Stops or kills the server, looks at what it left, and starts it with the clock set.
    pub(super) fn restart(&mut self, kill: bool, by: Ms) -> Done {
        self.end(kill)?;
        self.set_clock(by);
        self.begin(kill)
    }

    pub(super) fn end(&mut self, kill: bool) -> Done {
        if kill {
            self.server.kill();
        } else {
            let status = self.server.stop();
            if !status.success() {
                return Err(format!("a clean stop ended with {status}"));
            }
        }
        self.pids.drain(..).for_each(clean_up);
        self.compare_folds()
    }

    pub(super) fn begin(&mut self, killed: bool) -> Done {
        self.server.restart();
        self.pids = self.server.pids();
        let url = self.server.url();
        for known in &mut self.clients {
            // Its connections are gone with the server that it had.
            let mut again = Client::new(&url, &known.http.token);
            again.name.clone_from(&known.http.name);
            again.id.clone_from(&known.http.id);
            known.http = again;
        }
        self.model.restarted(killed);
        self.catch_up()
    }

    /// The world is the same bytes from wherever it is folded, and at whichever node.
    pub(super) fn compare_folds(&mut self) -> Done {
        let data = self.server.all_data().into_iter();
        let nodes: Vec<_> = data.map(|data| folds(&data)).collect();
        for pair in nodes.iter().flat_map(|folds| folds.windows(2)) {
            let [(from, one), (later, other)] = pair else {
                continue;
            };
            same(one, other).map_err(|error| format!("from {from} and from {later}: {error}"))?;
        }
        let ends: Vec<_> = nodes.iter().filter_map(|folds| folds.last()).collect();
        // What a node noted in passing may have been appended as the others had ended.
        let upto = |world: &[u8]| world.split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
        for pair in ends.windows(2) {
            if let [(_, one), (_, other)] = pair
                && upto(one) == upto(other)
            {
                same(one, other).map_err(|error| format!("at two nodes: {error}"))?;
            }
        }
        self.folded += nodes
            .iter()
            .map(|folds| folds.len().saturating_sub(1))
            .sum::<usize>();
        Ok(())
    }

    /// Kills the server while a post is on its way, and repeats that under its key: whether it
    /// was kept or not, in the end it happened once.
    pub(super) fn crash(&mut self, client: usize, call: &Call, after: u64) -> Done {
        let key = self.new_key(client, call);
        let (method, path, body) = call.request();
        let http = self.clients[client].http.clone();
        let first = {
            let key = key.clone();
            std::thread::spawn(move || {
                let request = http.request(method, &path).header("Idempotency-Key", &key);
                request.json(&body.unwrap_or_default()).try_send().ok()
            })
        };
        // Not a wait for anything: a moment at random.
        std::thread::sleep(Duration::from_micros(after));
        // Of several nodes one dies, and the repeat goes to the others.
        let dies = usize::try_from(after).unwrap_or_default() % self.pids.len();
        if self.model.spread {
            self.server.kill_node(dies);
            clean_up(self.pids.remove(dies));
        } else {
            self.end(true)?;
        }
        let first = first.join().map_err(|_| "the first try panicked")?;
        if self.model.spread {
            self.until_decided(client, call, &key);
        } else {
            self.begin(true)?;
        }
        self.call(client, call, Some(&key), true)?;
        if self.model.spread {
            self.server.restart();
            self.pids = self.server.pids();
            self.model.lost_a_node();
        }
        let kept = first.filter(|reply| reply.status == 201);
        let Some(kept) = kept else { return Ok(()) };
        let id = kept.body["id"].as_u64();
        let is_one = self.model.ids.iter().filter(|known| **known == id).count() == 1;
        if is_one {
            Ok(())
        } else {
            Err(format!("answered 201 and then made anew: {kept}"))
        }
    }

    /// Repeats a post under its key until a node answers it that knows what came of it: one that has
    /// just lost the node that decided may not.
    fn until_decided(&self, client: usize, call: &Call, key: &str) {
        let (method, path, body) = call.request();
        let http = &self.clients[client].http;
        wait_until("a post to be decided", || {
            let request = http.request(method, &path).header("Idempotency-Key", key);
            let sent = request.json(&body.clone().unwrap_or_default()).try_send();
            sent.is_ok_and(|reply| reply.status != 503).then_some(())
        });
    }
}

/// Says where two worlds differ.
fn same(one: &[u8], other: &[u8]) -> Done {
    if one == other {
        return Ok(());
    }
    let pairs = one.iter().zip(other);
    let place = pairs.take_while(|(one, other)| one == other).count();
    let show = |bytes: &[u8]| {
        let part = &bytes[place.saturating_sub(80)..bytes.len().min(place + 80)];
        String::from_utf8_lossy(part).into_owned()
    };
    let (one, other) = (show(one), show(other));
    Err(format!("the worlds differ:\n{one}\n{other}"))
}
