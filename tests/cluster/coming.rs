//! Servers that are killed while they come up as nodes for the first time: what was acknowledged is
//! there once, on every node, once they are up.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use veche::testing::{Client, Folder, Server, binary, wait_until};

use crate::nats::Nats;
use crate::proxy::{Proxy, Way};
use crate::stage::{agreed, texts};

fn settings(url: &str, stream: &str) -> String {
    format!("[cluster]\nnats = \"{url}\"\nreplicas = 1\nstream = \"{stream}\"\n")
}

/// A server on its way up.
struct Coming<'a> {
    folder: &'a Folder,
    process: Child,
}

impl<'a> Coming<'a> {
    fn start(folder: &'a Folder) -> Self {
        let file = |name: &str| fs::File::create(folder.join(name)).expect("a file");
        let process = Command::new(binary())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--config",
                "config.toml",
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file("said"))
            .stderr(file("log"))
            .spawn()
            .expect("it starts");
        Self { folder, process }
    }

    /// Where it listens, once it does.
    fn url(&mut self) -> String {
        wait_until("a node to come up", || {
            let said = fs::read_to_string(self.folder.join("said")).expect("its output");
            if let Some((_, url)) = said.trim().split_once("listening on ") {
                return Some(url.to_owned());
            }
            let ended = self.process.try_wait().expect("its status");
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "it ended: {}", log());
            None
        })
    }
}

impl Drop for Coming<'_> {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kills before a server comes up.
const KILLS: usize = 4;

/// So often a server comes up after those, or as often as the environment says.
fn rounds() -> u32 {
    let rounds = std::env::var("VECHE_CLUSTER_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Lets a server come up for a part of the time that this takes, by chance, and kills it.
fn killed(folder: &Folder, takes: Duration) {
    let part = f64::from(uuid::Uuid::new_v4().as_u128() as u16) / f64::from(u16::MAX);
    let coming = Coming::start(folder);
    let then = takes.mul_f64(part);
    // There is nothing to wait for: any moment will do.
    std::thread::sleep(then);
    drop(coming);
    eprintln!("killed after {then:?} of {takes:?}");
}

fn say(client: &Client, text: String, said: &mut Vec<String>) {
    client.tell("ann", &text);
    said.push(text);
}

#[test]
fn a_kill_at_any_moment_of_the_first_coming_up_costs_nothing() {
    let nats = Nats::start(1);
    let mut alone = Server::start();
    let ann = alone.connect("ann");
    let mut said = Vec::new();
    for number in 0..300 {
        say(&ann, format!("alone {number}"), &mut said);
    }
    // As long as it took the last one.
    let (mut first_takes, mut next_takes) =
        (Duration::from_millis(500), Duration::from_millis(300));
    for round in 0..rounds() {
        // Each has a stream of its own: a server that went alone again can't come back to one.
        let config = settings(&nats[0].url(), &format!("chat-{round}"));
        alone.stop();
        alone.configure(config.clone());
        alone.folder().write("config.toml", &config);
        (0..KILLS).for_each(|_| killed(alone.folder(), first_takes));
        let begun = Instant::now();
        alone.restart();
        first_takes = begun.elapsed();
        say(&ann, format!("together {round}"), &mut said);
        let folder = Folder::new();
        folder.write("config.toml", &config);
        (0..KILLS).for_each(|_| killed(&folder, next_takes));
        let begun = Instant::now();
        let mut node = Coming::start(&folder);
        let there = Client::new(&node.url(), &ann.token);
        next_takes = begun.elapsed();
        wait_until("the node to know who came before it", || {
            (there.get("/status").status == 200).then_some(())
        });
        say(&there, format!("there {round}"), &mut said);
        assert_eq!(agreed(&[ann.clone(), there], "@ann", said.len()), said);
        drop(node);
        alone.configure("");
        alone.restart();
        say(&ann, format!("alone again {round}"), &mut said);
    }
    assert_eq!(texts(&ann, "@ann"), said);
}

/// The last moment of it: the stream has the history, and the server does not know.
#[test]
fn a_kill_when_the_stream_has_just_taken_the_history_is_found_out() {
    let nats = Nats::start(1);
    let way = Proxy::to(nats[0].address());
    let mut alone = Server::start();
    let ann = alone.connect("ann");
    ann.tell("ann", "alone");
    alone.stop();
    let config = settings(&format!("nats://{}", way.address()), "veche");
    alone.folder().write("config.toml", &config);
    way.after("PUB veche.batch ", Way::Deaf);
    let coming = Coming::start(alone.folder());
    wait_until("the stream to have the history", || {
        nats[0].ask(async |jetstream| {
            let stream = jetstream.get_stream("veche").await.ok()?;
            (stream.cached_info().state.messages == 1).then_some(())
        })
    });
    drop(coming);
    way.set(Way::Open);
    alone.configure(config.clone());
    alone.restart();
    let other = Server::builder().config(config).start();
    let there = Client::new(&other.url(), &ann.token);
    wait_until("the node to know who came before it", || {
        (there.get("/status").status == 200).then_some(())
    });
    there.tell("ann", "together");
    let said = ["alone", "together"].map(str::to_owned);
    assert_eq!(agreed(&[ann, there], "@ann", 2), said);
}
