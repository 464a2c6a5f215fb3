//! The model test: random users do random things to a real server, whose clock is set and which is
//! stopped and killed at random, and to a plain model of the contract; every answer, every event and
//! every user's view must be the same on both.
//!
//! - `model/`: the model, written from the contract.
//! - `steps.rs`: what is done; `sight.rs`: on what; `driver.rs`: how it is done on both.
//! - `compare.rs`: what was expected beside what came.
//! - `clock.rs`: the server and its clock; of three nodes where NATS (`../cluster/nats.rs`) is there.
//! - `kept.rs`: sequences that failed once.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod clock;
mod compare;
mod driver;
mod kept;
mod model;
#[path = "../cluster/nats.rs"]
#[expect(dead_code, reason = "the tests of the cluster do more with it")]
mod nats;
mod sight;
mod steps;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use steps::Step;

/// So many threads do sequences at once.
const THREADS: usize = 2;

/// Sequences of some 100 steps each, unless `VECHE_MODEL_STEPS` asks for others.
const SEQUENCES: u64 = 36;

/// The same for several nodes.
const SPREAD: u64 = 4;

/// How many times as long they take for a step, more or less.
const SLOWER: usize = 8;

/// How long a sequence that fails is made shorter.
const SHORTENING: Duration = Duration::from_secs(90);

/// Does steps on a new server and a new model; the number of worlds that were folded twice.
/// `without` counts a feature that is off; with a NATS server there are several nodes.
fn run(steps: &[Step], without: Option<usize>, nats: Option<&str>) -> Result<usize, String> {
    let done = catch_unwind(|| {
        let mut driver = driver::Driver::new(without, nats)?;
        driver.run(steps)?;
        Ok(driver.folded)
    });
    // So the harness says what is wrong.
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("it panicked").to_owned())
    })
}

/// The sequence that is made of a number.
fn sequence(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = steps::steps().new_tree(&mut runner);
    tree.expect("no step is ever rejected").current()
}

/// A part of a sequence that fails as well, without steps that are not needed for that, and how
/// it fails. A value's own shrinking takes one step at a time; halves go sooner.
fn shorten(
    mut steps: Vec<Step>,
    without: Option<usize>,
    nats: Option<&str>,
    mut failure: String,
) -> (Vec<Step>, String) {
    let end = Instant::now() + SHORTENING;
    let mut size = steps.len() / 2;
    while size > 0 && Instant::now() < end {
        let mut from = 0;
        while from < steps.len() && Instant::now() < end {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + size).min(steps.len()));
            match run(&fewer, without, nats) {
                Err(error) => (steps, failure) = (fewer, error),
                Ok(_) => from += size,
            }
        }
        size /= 2;
    }
    (steps, failure)
}

/// Does the sequence of a number; how many steps that were, and how many worlds folded twice.
fn check(seed: u64, nats: Option<&str>) -> (usize, usize) {
    let steps = sequence(seed);
    // Every fourth is without some feature.
    let without = usize::try_from(seed / 4).ok().filter(|_| seed % 4 == 3);
    match run(&steps, without, nats) {
        Ok(folded) => (steps.len(), folded),
        Err(failure) => {
            let (steps, failure) = shorten(steps, without, nats, failure);
            let steps: String = steps
                .iter()
                .map(|step| format!("    {step:?},\n"))
                .collect();
            panic!(
                "VECHE_MODEL_SEED={seed} cargo test --test model\n{failure}\n\
                 the shortest that fails:\n{steps}"
            )
        }
    }
}

#[test]
fn whatever_users_do_and_whenever_it_crashes_the_server_answers_what_the_contract_says() {
    check_all(SEQUENCES, None);
}

/// Each request goes to another node than the one before, and what that answered is known there.
#[test]
fn whatever_users_do_three_nodes_answer_as_one_server() {
    let nats = nats::Nats::start(1).remove(0);
    check_all(SPREAD, Some(&nats.url()));
}

/// Does so many sequences, or what the environment asks for.
fn check_all(sequences: u64, nats: Option<&str>) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
        )
    };
    if let Some(seed) = number("VECHE_MODEL_SEED") {
        check(seed, nats);
        return;
    }
    // Always the same ones, or others each time, for as long as was asked. Of nodes fewer, for each
    // step takes longer.
    let asked = number("VECHE_MODEL_STEPS").and_then(|steps| usize::try_from(steps).ok());
    let asked = asked.map(|steps| {
        if nats.is_some() {
            steps / SLOWER
        } else {
            steps
        }
    });
    let first = if asked.is_some() { fresh_seed() } else { 0 };
    let (steps, folded) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_enough = |done: u64| match asked {
        Some(asked) => steps.load(Ordering::Relaxed) >= asked,
        None => done >= sequences,
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (steps, folded, is_enough) = (&steps, &folded, &is_enough);
            scope.spawn(move || {
                for done in (thread..)
                    .step_by(THREADS)
                    .take_while(|done| !is_enough(*done))
                {
                    let (count, worlds) = check(first + done, nats);
                    steps.fetch_add(count, Ordering::Relaxed);
                    folded.fetch_add(worlds, Ordering::Relaxed);
                }
            });
        }
    });
    let (steps, folded) = (steps.into_inner(), folded.into_inner());
    println!("{steps} steps, {folded} worlds folded twice");
    assert!(folded > 0, "no world was folded from an earlier snapshot");
}

fn fresh_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    // With room to count on.
    (high ^ low) >> 16
}
