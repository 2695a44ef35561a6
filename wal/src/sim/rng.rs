//! Seeded random numbers.

use parking_lot::Mutex;

use crate::io::Rng;

/// Random numbers from a seed: the same seed gives the same run (`SplitMix64`).
#[derive(Debug)]
pub struct SimRng {
    state: Mutex<Stream>,
}

impl SimRng {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(Stream::new(seed)),
        }
    }

    /// The next number.
    pub fn next_u64(&self) -> u64 {
        self.state.lock().next()
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.state.lock().below(bound)
    }

    /// True once in `one_in` calls on average; never when it is 0.
    pub fn chance(&self, one_in: u64) -> bool {
        one_in != 0 && self.below(one_in) == 0
    }
}

impl Rng for SimRng {
    fn fill(&self, buf: &mut [u8]) {
        let mut stream = self.state.lock();
        for chunk in buf.chunks_mut(8) {
            let word = stream.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// The generator itself, for owners that hold their own lock.
#[derive(Clone, Debug)]
pub(super) struct Stream(u64);

impl Stream {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Biased by at most `bound / 2^64`: no test can tell.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        let word = self.next();
        if bound == 0 { 0 } else { word % bound }
    }

    pub(super) const fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}
