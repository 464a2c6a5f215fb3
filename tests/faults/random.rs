//! Chances that a seed repeats.

/// SplitMix64: as random as a test needs.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One seed a run: `VECHE_FAULTS_SEED`, or the clock's; printed, so that a failure tells it.
    pub fn seeded() -> Self {
        let seed = std::env::var("VECHE_FAULTS_SEED").ok();
        let seed = seed.map_or_else(
            || jiff::Timestamp::now().as_nanosecond().cast_unsigned() as u64,
            |seed| seed.parse().expect("VECHE_FAULTS_SEED is a number"),
        );
        println!("VECHE_FAULTS_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("below a usize")
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
