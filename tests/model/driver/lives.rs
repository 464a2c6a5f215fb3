//! The server's stops, crashes and starts.

use std::time::Duration;

use veche::testing::{Client, folds};

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
        self.pid.take().into_iter().for_each(clean_up);
        self.compare_folds()
    }

    pub(super) fn begin(&mut self, killed: bool) -> Done {
        self.server.restart();
        self.pid = Some(self.server.pid());
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

    /// The world is the same bytes from wherever it is folded.
    pub(super) fn compare_folds(&mut self) -> Done {
        let folds = folds(&self.server.data());
        for pair in folds.windows(2) {
            let [(from, one), (later, other)] = pair else {
                continue;
            };
            if one != other {
                let place = one
                    .iter()
                    .zip(other)
                    .take_while(|(one, other)| one == other)
                    .count();
                let show = |bytes: &[u8]| {
                    let part = &bytes[place.saturating_sub(80)..bytes.len().min(place + 80)];
                    String::from_utf8_lossy(part).into_owned()
                };
                return Err(format!(
                    "the world folded from {from} and from {later} differ:\n{}\n{}",
                    show(one),
                    show(other)
                ));
            }
        }
        self.folded += folds.len().saturating_sub(1);
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
        self.end(true)?;
        let first = first.join().map_err(|_| "the first try panicked")?;
        self.begin(true)?;
        self.call(client, call, Some(&key), true)?;
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
}
