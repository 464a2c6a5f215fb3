//! Every subset of the features on one data folder, one after the other in random order: what is
//! on works and finds its state as it left it, what is off leaves no trace, and nothing of
//! another is lost.

mod probes;
mod stage;

use std::collections::BTreeSet;

use probes::Probe;
use stage::Stage;
use veche::testing::{binary, features};

/// Subsets that are gone through, where there are more features than that.
const MOST: usize = 128;

/// Numbers that are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap_or_default()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.roll(last + 1));
        }
    }
}

/// The seed of this run: another one each day, unless `VECHE_SUBSETS_SEED` asks for one.
fn seed() -> u64 {
    let asked = std::env::var("VECHE_SUBSETS_SEED").ok();
    let day = jiff::Timestamp::now().as_second().unsigned_abs() / 86_400;
    asked.map_or(day, |seed| seed.parse().unwrap_or(day))
}

#[test]
fn a_feature_that_is_off_leaves_no_trace_and_one_that_comes_back_finds_its_state() {
    let seed = seed();
    eprintln!("VECHE_SUBSETS_SEED={seed}");
    let mut dice = Dice(seed);
    let there = features(&binary());
    let mut probes: Vec<Box<dyn Probe>> = probes::all();
    probes.retain(|probe| there.iter().any(|name| name == probe.name()));
    let mut subsets: Vec<usize> = (0..1 << probes.len()).collect();
    dice.shuffle(&mut subsets);
    subsets.truncate(MOST);

    let mut stage = Stage::new(&probes, &there);
    for probe in &mut probes {
        probe.act(&mut stage);
    }
    for subset in subsets {
        let names = probes.iter().map(|probe| probe.name()).enumerate();
        let on: BTreeSet<&'static str> = names
            .filter(|(place, _)| subset & (1 << place) != 0)
            .map(|(_, name)| name)
            .collect();
        eprintln!("{on:?}");
        stage.switch(&on, dice.roll(4) == 0);
        stage.looks_right(&probes);
        for probe in &mut probes {
            if on.contains(probe.name()) {
                probe.found(&mut stage);
            } else {
                probe.hidden(&mut stage);
            }
        }
        stage.talk();
        for probe in &mut probes {
            if on.contains(probe.name()) {
                probe.act(&mut stage);
            }
        }
    }
}
