//! Faults: crashes, power cuts, damage, a full or failing disk. After each, everything that was
//! acknowledged is there, or what is not is named and refused.
//!
//! `VECHE_FAULTS_TIMES=10` does ten times as many rounds; `VECHE_FAULTS_SEED=…` the same ones again.

#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod copies;
mod crash;
mod damage;
mod disk;
mod folder;
mod ledger;
mod random;
mod shim;
mod sleepers;
mod upgrade;

/// How many rounds there are of something that there are `few` of in a short run.
fn rounds(few: usize) -> usize {
    let times = std::env::var("VECHE_FAULTS_TIMES").ok();
    let times = times.map_or(1, |times| {
        times.parse().expect("VECHE_FAULTS_TIMES is a number")
    });
    few * times
}
