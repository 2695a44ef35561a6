//! Seeded numbers, whole numbers only, so that every platform makes the same workload.

/// A small fast generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0. The bias (below `n` / 2^64) does not matter here.
    pub const fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.u64() % n }
    }

    /// An index below `n`.
    pub fn index(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("BUG: usize over 64 bits");
        usize::try_from(self.below(n)).expect("BUG: below a usize")
    }

    /// A number from `low` to `high`, both included.
    pub const fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `ppm` times in a million.
    pub const fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm as u64
    }

    /// One of `items`, evenly.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let at = self.index(items.len());
        *items.get(at).expect("BUG: pick from nothing")
    }
}

/// A Zipf distribution over ranks 0..n, as cumulative whole weights.
#[derive(Clone, Debug)]
pub struct Zipf {
    cumulative: Vec<u64>,
}

impl Zipf {
    /// Rank r (from 1) weighs 1 / r.
    pub fn harmonic(n: usize) -> Self {
        Self::new((1..=n as u64).map(|r| 1_000_000_000_000 / r))
    }

    /// Rank r (from 1) weighs 1 / r^1.5, ranks below `first` left out.
    pub fn steep(first: u64, last: u64) -> Self {
        Self::new((first..=last).map(|r| 1_000_000_000_000_000 / (r * r * r).isqrt().max(1)))
    }

    /// Rank r has the weight of that place.
    pub fn weighted(weights: impl Iterator<Item = u64>) -> Self {
        Self::new(weights)
    }

    /// The sum of the weights.
    pub fn total(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(0)
    }

    fn new(weights: impl Iterator<Item = u64>) -> Self {
        let mut sum = 0u64;
        let cumulative = weights
            .map(|w| {
                sum += w.max(1);
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// A rank, from 0.
    pub fn sample(&self, rng: &mut Rng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let at = rng.below(total);
        self.cumulative.partition_point(|&c| c <= at)
    }
}
