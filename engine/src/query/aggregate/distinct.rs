//! How many different values: exactly by their fingerprints, or estimated.
//!
//! A value is known by 128 bits of its xxh3, whole numbers and floats of one value by the same. Up
//! to [`EXACT_MAX`] values are kept as they are; an approximate count then goes over to
//! `HyperLogLog` with 2^12 registers (Ertl's estimator, standard error 1.6 %). Both depend on the
//! set of the values alone, so any order and any split gives the same count.

use hashbrown::HashSet;

/// Values up to which an approximate count is exact.
pub(super) const EXACT_MAX: usize = 512;
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// Highest value of a register.
const RANK_MAX: usize = 64 - REGISTER_BITS as usize + 1;

/// A set of values.
#[derive(Clone, Debug)]
pub(super) enum Distinct {
    Exact(HashSet<u128>),
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::default())
    }
}

impl Distinct {
    /// Adds a value. With `approximate` it takes no more than a fixed number of bytes.
    pub(super) fn add(&mut self, value: u128, approximate: bool) {
        match self {
            Self::Exact(values) => {
                values.insert(value);
                if approximate && values.len() > EXACT_MAX {
                    self.estimate();
                }
            }
            Self::Registers(registers) => note(registers, value),
        }
    }

    /// Goes over to registers.
    pub(super) fn estimate(&mut self) {
        if let Self::Exact(values) = self
            && values.len() > EXACT_MAX
        {
            let mut registers = Box::new([0; REGISTERS]);
            values.iter().for_each(|value| note(&mut registers, *value));
            *self = Self::Registers(registers);
        }
    }

    /// Adds the values of another set.
    pub(super) fn merge(&mut self, other: &Self, approximate: bool) {
        match other {
            Self::Exact(values) => values.iter().for_each(|v| self.add(*v, approximate)),
            Self::Registers(theirs) => {
                if let Self::Exact(values) = self {
                    let mut registers = theirs.clone();
                    values.iter().for_each(|value| note(&mut registers, *value));
                    *self = Self::Registers(registers);
                } else if let Self::Registers(mine) = self {
                    for (mine, theirs) in mine.iter_mut().zip(theirs.iter()) {
                        *mine = (*mine).max(*theirs);
                    }
                }
            }
        }
    }

    /// How many values are held one by one.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Exact(values) => values.len(),
            Self::Registers(_) => 0,
        }
    }

    /// Bytes held beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Exact(values) => values.allocation_size(),
            Self::Registers(_) => REGISTERS,
        }
    }

    /// The count, and whether it is exact.
    pub(super) fn count(&self) -> (u64, bool) {
        match self {
            Self::Exact(values) => (values.len() as u64, true),
            Self::Registers(registers) => (estimate(registers), false),
        }
    }
}

fn note(registers: &mut [u8; REGISTERS], value: u128) {
    let hash = u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0);
    let at = usize::try_from(hash >> (64 - REGISTER_BITS)).unwrap_or(0);
    // The bit set below the rest bounds the rank.
    let rest = hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1);
    let rank = u8::try_from(rest.leading_zeros() + 1).unwrap_or(u8::MAX);
    if let Some(register) = registers.get_mut(at) {
        *register = (*register).max(rank);
    }
}

/// Ertl, "New cardinality estimation algorithms for `HyperLogLog` sketches", algorithm 6.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate of fewer than 2^53 values"
)]
fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let mut counts = [0u32; RANK_MAX + 1];
    for register in registers {
        if let Some(count) = counts.get_mut(usize::from(*register)) {
            *count += 1;
        }
    }
    let m = REGISTERS as f64;
    let (first, last) = (counts[0], counts[RANK_MAX]);
    let mut z = m * tau(1.0 - f64::from(last) / m);
    for count in counts[1..RANK_MAX].iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(first) / m);
    (m / (2.0 * std::f64::consts::LN_2) * m / z).round() as u64
}

#[expect(clippy::float_cmp, reason = "iterates until nothing changes")]
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

#[expect(clippy::float_cmp, reason = "iterates until nothing changes")]
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small counts")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(n: u64) -> impl Iterator<Item = u128> {
        (0..n).map(|n| xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes()))
    }

    fn set(n: u64, approximate: bool) -> Distinct {
        let mut set = Distinct::default();
        values(n).for_each(|v| set.add(v, approximate));
        set
    }

    #[test]
    fn exact_up_to_the_limit_and_near_above() {
        let limit = EXACT_MAX as u64;
        assert_eq!(set(limit, true).count(), (limit, true));
        assert!(!set(limit + 1, true).count().1);
        assert_eq!(set(100_000, false).count(), (100_000, true));
        for n in [limit + 1, 1_000, 5_000, 20_000, 300_000] {
            let (got, exact) = set(n, true).count();
            // Four standard errors.
            let off = got.abs_diff(n) as f64 / n as f64;
            assert!(!exact && off < 0.065, "{got} is not {n}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_split_gives_the_same(n in 0u64..3_000, cut in 0u64..3_000, turn in any::<bool>()) {
            let (mut a, mut b) = (Distinct::default(), Distinct::default());
            for (at, value) in (0..).zip(values(n)) {
                if at < cut { a.add(value, true) } else { b.add(value, true) }
                // Some are in both.
                if at % 3 == 0 { a.add(value, true) }
            }
            if turn { std::mem::swap(&mut a, &mut b) }
            a.merge(&b, true);
            prop_assert_eq!(a.count(), set(n, true).count());
        }
    }
}
