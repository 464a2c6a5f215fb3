//! Input at random: each seed as it is, then with what is in it changed, cut and put together. A
//! target is fuzzed for `VECHE_FUZZ_SECONDS`, a moment without it. What breaks a promise is shrunk
//! and told; it belongs into the corpus, under a name that says what it broke.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::{Own, target};

/// How long each target is fuzzed where nothing else is asked for.
const MOMENT: Duration = Duration::from_secs(1);

/// Inputs between two looks at the clock.
const CASES: u32 = 200;

/// What has a meaning somewhere, for wherever it has none.
const WORDS: [&str; 26] = [
    "\r\n",
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "=",
    "\"",
    "\\",
    "{",
    "[",
    "-",
    "+",
    "0",
    "9",
    "18446744073709551616",
    "1e999",
    "\u{feff}",
    "\u{202e}",
    "\u{1b}[2J",
    "%2e%00",
    "\\ud800",
    "@",
];

/// One change of an input. Places are fractions of its length.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index, usize),
    Insert(Index, Vec<u8>),
    /// The same piece again and again.
    Repeat(Index, usize, usize),
    /// The rest is another seed's.
    Splice(Index, Index, Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Change> {
        let place = any::<Index>;
        prop_oneof![
            (place(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (place(), 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            (place(), 1..20_usize).prop_map(|(at, length)| Self::Cut(at, length)),
            (place(), select(&WORDS[..])).prop_map(|(at, word)| Self::Insert(at, word.into())),
            (place(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (place(), 1..40_usize, 1..300_usize)
                .prop_map(|(at, length, times)| Self::Repeat(at, length, times)),
            (place(), place(), place()).prop_map(|(at, seed, from)| Self::Splice(at, seed, from)),
        ]
    }

    fn apply(&self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let place = |at: &Index| at.index(input.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                input.splice(at..(at + 1).min(input.len()), [*byte]);
            }
            Self::Flip(at, bit) => {
                let at = place(at);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Cut(at, length) => {
                let at = place(at);
                input.drain(at..(at + length).min(input.len()));
            }
            Self::Insert(at, bytes) => {
                let at = place(at);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Repeat(at, length, times) => {
                let at = place(at);
                let piece = input[at..(at + length).min(input.len())].repeat(*times);
                input.splice(at..at, piece);
            }
            Self::Splice(at, seed, from) => {
                let at = place(at);
                let other = seed.get(seeds);
                input.truncate(at);
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
}

/// Fuzzes a target.
pub(crate) fn fuzz(name: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(name);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        println!("{}", path.display());
        let seed = std::fs::read(&path).unwrap();
        target(&seed);
        seeds.push(seed);
    }
    assert!(!seeds.is_empty(), "{} is empty", folder.display());

    let strategy = (any::<Index>(), vec(Change::any(), 1..9)).prop_map(|(seed, changes)| {
        let mut input = seed.get(&seeds).clone();
        changes
            .iter()
            .for_each(|change| change.apply(&mut input, &seeds));
        Input(input)
    });
    let asked = std::env::var("VECHE_FUZZ_SECONDS").ok();
    let asked = asked.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let end = Instant::now() + asked.unwrap_or(MOMENT);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut inputs = 0_u64;
    while Instant::now() < end {
        // A runner makes its cases once.
        let run = TestRunner::new(config.clone()).run(&strategy, |input| {
            target(&input.0);
            Ok(())
        });
        if let Err(broken) = run {
            panic!("{name}: {broken}");
        }
        inputs += u64::from(CASES);
    }
    println!("{name}: {inputs} inputs");
}

/// Bytes that are shown as they would be written in a program.
#[derive(Clone)]
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn keeps_its_promise(name: &str) {
    fuzz(name, target(name).unwrap());
}

#[test]
fn heads_are_the_same_however_they_are_split_and_written() {
    keeps_its_promise("heads");
}

#[test]
fn requests_end_where_they_end_however_they_are_split() {
    keeps_its_promise("framing");
}

#[test]
fn chunked_bodies_are_the_same_however_they_are_cut() {
    keeps_its_promise("chunks");
}

#[test]
fn a_forms_file_is_a_part_of_it() {
    keeps_its_promise("forms");
}

#[test]
fn bodies_of_every_call_are_taken_or_refused_by_the_codes_for_it() {
    keeps_its_promise("bodies");
}

#[test]
fn queries_are_taken_or_refused_by_the_code_for_it() {
    keeps_its_promise("queries");
}

#[test]
fn addresses_name_what_they_are_written_as() {
    keeps_its_promise("addresses");
}

#[test]
fn names_steer_nothing_and_are_found() {
    keeps_its_promise("names");
}

#[test]
fn lengths_of_time_sizes_and_times_are_read_back() {
    keeps_its_promise("lengths");
}

#[test]
fn settings_are_read_back_and_mistakes_have_a_place() {
    keeps_its_promise("settings");
}

#[test]
fn what_a_hostile_server_sends_steers_no_terminal() {
    keeps_its_promise("events");
}

#[test]
fn what_features_hear_where_they_listen_keeps_their_promises() {
    for own in inventory::iter::<Own>() {
        keeps_its_promise(own.name);
    }
}
